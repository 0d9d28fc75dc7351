//! The operations a journal entry can hold, and the layout of their lists. Big-endian; texts are a u16 length + UTF-8.
//!
//! ```text
//! 1 append         u32 count, then per batch: u128 topic id, u32 partition, u64 base offset, u32 length, u32 batch
//!                  CRC, u32 offsets; the batches follow the list, back to back, in the same order
//! 2 create topics  u32 count, then per topic: u128 id, i64 created (ns), u32 partitions, text name,
//!                  u32 settings, then per setting: text key, text value
//! 3 delete topic   u128 topic id
//! 4 set log start  u128 topic id, u32 partition, u64 offset
//! 5 swap segments  u128 topic id, u32 partition, u32 count of segments taken out, then u64 base offset each,
//!                  u32 count of segments put in, then per segment: u64 base offset, u64 length
//! 6 alter topic    u128 topic id, u32 settings, then per setting: text key, text value; all it has from here on
//! ```
//!
//! Group positions are records of `__consumer_offsets`, appended in the same entry as the batches they ride with. Writer
//! generations are not stored: a writer lives in this process only, so none of an earlier process can commit.

use crate::broker::layout::{Fields, Put};
use std::{collections::BTreeMap, sync::Arc};

const APPEND: u8 = 1;
const CREATE: u8 = 2;
const DELETE: u8 = 3;
const LOG_START: u8 = 4;
const SWAP: u8 = 5;
const ALTER: u8 = 6;

/// A batch in an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) struct Item {
    pub topic_id: u128,
    pub partition: u32,
    pub base_offset: u64,
    pub bytes: u32,
    pub crc: u32,
    pub offsets: u32,
}

/// A topic in an entry, and in a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::broker) struct Created {
    pub id: u128,
    pub created_ns: i64,
    pub partitions: u32,
    pub name: Arc<str>,
    pub config: BTreeMap<String, String>,
}

/// What an entry does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::broker) enum Operation {
    Append(Vec<Item>),
    Create(Vec<Created>),
    Delete {
        topic_id: u128,
    },
    LogStart {
        topic_id: u128,
        partition: u32,
        offset: u64,
    },
    Swap(Swapped),
    Alter {
        topic_id: u128,
        config: BTreeMap<String, String>,
    },
}

/// Segments that others take the place of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::broker) struct Swapped {
    pub topic_id: u128,
    pub partition: u32,
    /// Base offsets of those taken out: neighbours, in order.
    pub out: Vec<u64>,
    /// Base offset and bytes of those put in.
    pub put_in: Vec<(u64, u64)>,
}

impl Operation {
    pub(in crate::broker) fn kind(&self) -> u8 {
        match self {
            Self::Append(_) => APPEND,
            Self::Create(_) => CREATE,
            Self::Delete { .. } => DELETE,
            Self::LogStart { .. } => LOG_START,
            Self::Swap(_) => SWAP,
            Self::Alter { .. } => ALTER,
        }
    }

    pub(in crate::broker) fn encode(&self) -> Vec<u8> {
        let mut list = Vec::new();
        match self {
            Self::Append(items) => put_items(&mut list, items),
            Self::Create(topics) => {
                list.put_count(topics.len());
                for topic in topics {
                    topic.encode(&mut list);
                }
            }
            Self::Delete { topic_id } => list.put_u128(*topic_id),
            Self::LogStart {
                topic_id,
                partition,
                offset,
            } => {
                list.put_u128(*topic_id);
                list.put_u32(*partition);
                list.put_u64(*offset);
            }
            Self::Swap(swapped) => swapped.encode(&mut list),
            Self::Alter { topic_id, config } => {
                list.put_u128(*topic_id);
                put_config(&mut list, config);
            }
        }
        list
    }

    /// `None` if the kind is unknown or the list is not exactly what its kind asks for.
    pub(in crate::broker) fn decode(kind: u8, list: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(list);
        let operation = match kind {
            APPEND => Self::Append(take_items(&mut fields)?),
            CREATE => {
                let count = fields.u32()?;
                let mut topics = Vec::new();
                for _ in 0..count {
                    topics.push(Created::decode(&mut fields)?);
                }
                Self::Create(topics)
            }
            DELETE => Self::Delete {
                topic_id: fields.u128()?,
            },
            LOG_START => Self::LogStart {
                topic_id: fields.u128()?,
                partition: fields.u32()?,
                offset: fields.u64()?,
            },
            SWAP => Self::Swap(Swapped::decode(&mut fields)?),
            ALTER => Self::Alter {
                topic_id: fields.u128()?,
                config: take_config(&mut fields)?,
            },
            _ => return None,
        };
        fields.is_empty().then_some(operation)
    }
}

impl Created {
    pub(in crate::broker) fn encode(&self, to: &mut Vec<u8>) {
        to.put_u128(self.id);
        to.put_i64(self.created_ns);
        to.put_u32(self.partitions);
        to.put_text(&self.name);
        put_config(to, &self.config);
    }

    pub(in crate::broker) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let id = fields.u128()?;
        let created_ns = fields.i64()?;
        let partitions = fields.u32()?;
        let name = fields.text()?.into();
        let config = take_config(fields)?;
        Some(Self {
            id,
            created_ns,
            partitions,
            name,
            config,
        })
    }
}

impl Swapped {
    fn encode(&self, to: &mut Vec<u8>) {
        to.put_u128(self.topic_id);
        to.put_u32(self.partition);
        to.put_count(self.out.len());
        for base in &self.out {
            to.put_u64(*base);
        }
        to.put_count(self.put_in.len());
        for (base, bytes) in &self.put_in {
            to.put_u64(*base);
            to.put_u64(*bytes);
        }
    }

    fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let (topic_id, partition) = (fields.u128()?, fields.u32()?);
        let (mut out, mut put_in) = (Vec::new(), Vec::new());
        for _ in 0..fields.u32()? {
            out.push(fields.u64()?);
        }
        for _ in 0..fields.u32()? {
            put_in.push((fields.u64()?, fields.u64()?));
        }
        Some(Self {
            topic_id,
            partition,
            out,
            put_in,
        })
    }
}

fn put_config(to: &mut Vec<u8>, config: &BTreeMap<String, String>) {
    to.put_count(config.len());
    for (key, value) in config {
        to.put_text(key);
        to.put_text(value);
    }
}

fn take_config(fields: &mut Fields<'_>) -> Option<BTreeMap<String, String>> {
    let mut config = BTreeMap::new();
    for _ in 0..fields.u32()? {
        config.insert(fields.text()?.to_owned(), fields.text()?.to_owned());
    }
    Some(config)
}

fn put_items(list: &mut Vec<u8>, items: &[Item]) {
    list.reserve(4 + items.len() * 40);
    list.put_count(items.len());
    for item in items {
        list.put_u128(item.topic_id);
        list.put_u32(item.partition);
        list.put_u64(item.base_offset);
        list.put_u32(item.bytes);
        list.put_u32(item.crc);
        list.put_u32(item.offsets);
    }
}

fn take_items(fields: &mut Fields<'_>) -> Option<Vec<Item>> {
    let count = fields.u32()?;
    let mut items = Vec::new();
    for _ in 0..count {
        items.push(Item {
            topic_id: fields.u128()?,
            partition: fields.u32()?,
            base_offset: fields.u64()?,
            bytes: fields.u32()?,
            crc: fields.u32()?,
            offsets: fields.u32()?,
        });
    }
    Some(items)
}
