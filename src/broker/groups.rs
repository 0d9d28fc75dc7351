//! Group positions: the map, and the records of `__consumer_offsets` that it is made of.
//!
//! Key and value are Kafka's, so that Kafka's tools read them. A topic that is created again must inherit nothing,
//! and Kafka's key holds only its name, so a header carries the topic's id. Big-endian; texts are an i16 length + UTF-8.
//!
//! ```text
//! key     i16 version = 1, text group, text topic, i32 partition
//! value   i16 version = 3, i64 offset (-1: forgotten), i32 leader epoch = -1, text metadata = "", i64 commit time (ms)
//! header  "tapline.topic.id": 16 bytes
//! ```

use super::{
    GroupPosition,
    batch::{Batch, BatchBuilder, BatchError, BatchReader, Compression},
    layout::{Fields, Put},
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// The topic that holds them, by Kafka's name.
pub const GROUPS_TOPIC: &str = "__consumer_offsets";

/// Kafka sets no limit; ours keeps a position's record small.
pub(super) const GROUP_NAME_MAX: usize = 1_024;

const TOPIC_ID: &str = "tapline.topic.id";
const KEY_VERSION: i16 = 1;
const VALUE_VERSION: i16 = 3;

/// Who reads the log: groups, and the topics that each is to read, whether or not it has stored a position there.
pub type Readers = BTreeMap<Arc<str>, BTreeSet<Arc<str>>>;

/// The group that stands lowest in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Floor {
    pub group: Arc<str>,
    pub next: u64,
}

/// The stored positions of all groups.
#[derive(Debug, Default)]
pub(super) struct Groups(BTreeMap<Arc<str>, BTreeMap<(u128, u32), u64>>);

impl Groups {
    pub(super) fn set(&mut self, position: &GroupPosition) {
        let at = (position.topic_id, position.partition);
        if position.next == GroupPosition::UNSET {
            if let Some(positions) = self.0.get_mut(&position.group) {
                positions.remove(&at);
            }
            return;
        }
        self.0
            .entry(Arc::clone(&position.group))
            .or_default()
            .insert(at, position.next);
    }

    pub(super) fn of(&self, group: &str) -> Vec<GroupPosition> {
        let found = self.0.get_key_value(group);
        found
            .map(|(group, map)| list(group, map).collect())
            .unwrap_or_default()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = GroupPosition> {
        self.0.iter().flat_map(|(group, map)| list(group, map))
    }

    /// The lowest position per topic and partition, of these groups or of all.
    pub(super) fn floors(&self, readers: Option<&Readers>) -> HashMap<(u128, u32), Floor> {
        let mut floors: HashMap<(u128, u32), Floor> = HashMap::new();
        let wanted = |group: &Arc<str>| readers.is_none_or(|readers| readers.contains_key(group));
        for (group, positions) in self.0.iter().filter(|(group, _)| wanted(group)) {
            for (at, next) in positions {
                if floors.get(at).is_none_or(|floor| *next < floor.next) {
                    let (group, next) = (Arc::clone(group), *next);
                    floors.insert(*at, Floor { group, next });
                }
            }
        }
        floors
    }

    /// Whether a group has stored a position.
    pub(super) fn has(&self, group: &str, at: (u128, u32)) -> bool {
        let positions = self.0.get(group);
        positions.is_some_and(|positions| positions.contains_key(&at))
    }

    /// The topic was deleted.
    pub(super) fn forget(&mut self, topic_id: u128) {
        for positions in self.0.values_mut() {
            positions.retain(|(id, _), _| *id != topic_id);
        }
        self.0.retain(|_, positions| !positions.is_empty());
    }
}

fn list(group: &Arc<str>, map: &BTreeMap<(u128, u32), u64>) -> impl Iterator<Item = GroupPosition> {
    map.iter()
        .map(|((topic_id, partition), next)| GroupPosition {
            group: Arc::clone(group),
            topic_id: *topic_id,
            partition: *partition,
            next: *next,
        })
}

/// One batch of positions, each with its topic's name.
pub(super) fn encode(
    positions: &[(&GroupPosition, Arc<str>)],
    now_ms: i64,
) -> Result<Bytes, BatchError> {
    let mut builder = BatchBuilder::new();
    let (mut key, mut value) = (Vec::new(), Vec::new());
    for (position, topic) in positions {
        key.clear();
        key.put(&KEY_VERSION.to_be_bytes());
        key.put_text(&position.group);
        key.put_text(topic);
        key.put_u32(position.partition);
        value.clear();
        value.put(&VALUE_VERSION.to_be_bytes());
        value.put_u64(position.next);
        value.put(&(-1_i32).to_be_bytes());
        value.put_text("");
        value.put_i64(now_ms);
        let id = position.topic_id.to_be_bytes();
        builder.append(
            Some(&key),
            Some(&value),
            now_ms,
            [(TOPIC_ID, Some(&id[..]))],
        )?;
    }
    builder.finish(Compression::None)
}

/// The positions in a batch of `__consumer_offsets`; records that are none of ours are passed over.
pub(super) fn decode(batch: &[u8]) -> Result<Vec<GroupPosition>, BatchError> {
    let mut reader = BatchReader::new();
    let batch = Batch::parse(batch, 0)?;
    let mut positions = Vec::new();
    for record in reader.read(&batch)? {
        let record = record?;
        let id = record.headers.get(TOPIC_ID).flatten();
        positions.extend(position(record.key, record.value, id));
    }
    Ok(positions)
}

fn position(key: Option<&[u8]>, value: Option<&[u8]>, id: Option<&[u8]>) -> Option<GroupPosition> {
    let mut key = Fields::new(key?);
    let mut value = Fields::new(value?);
    if key.i16()? != KEY_VERSION || value.i16()? != VALUE_VERSION {
        return None;
    }
    let group = key.text()?.into();
    key.text()?;
    Some(GroupPosition {
        group,
        topic_id: Fields::new(id?).u128()?,
        partition: key.u32()?,
        next: value.u64()?,
    })
}
