//! The checkpoint: what the segments durably hold, so that a recovery replays only the journal behind it.
//!
//! One file, replaced in one step. Big-endian; texts are a u16 length + UTF-8:
//!
//! ```text
//! u32 magic "TLCP", u16 version = 1, u16 0, u128 cluster id
//! u64 journal generation, u64 offset in it, u32 link, u64 last sequence      where replay begins
//! u64 next journal generation
//! u32 topics, each:   as in the journal's «create topics», then per partition:
//!   u64 log start, u64 log end
//!   u32 damaged ranges, each:  u64 first offset, u64 offset behind, u64 position behind (all ones: none)
//!   u32 segments, each:        u64 base offset, u64 bytes, i64 max timestamp, u64 last offset of its batch
//! u32 group positions, each:   text group, u128 topic id, u32 partition, u64 next offset
//! u32 CRC-32C of everything before
//! ```

use super::{
    GroupPosition, error,
    journal::{Created, Failure, Position},
    layout::{Fields, Put, crc},
    partition::{Damage, Segment},
    storage::{Open, Storage, read_file, write_all_at},
};
use std::io;
use tapline_sdk::Error;

const FILE: &str = "checkpoint";
const TEMPORARY: &str = "checkpoint.tmp";
const MAGIC: u32 = u32::from_be_bytes(*b"TLCP");
const VERSION: u16 = 1;
const NO_POSITION: u64 = u64::MAX;

/// A partition in a checkpoint.
#[derive(Debug)]
pub(super) struct SavedPartition {
    pub log_start: u64,
    pub end: u64,
    pub damage: Vec<Damage>,
    pub segments: Vec<Segment>,
}

/// What a checkpoint holds.
#[derive(Debug)]
pub(super) struct Checkpoint {
    pub position: Position,
    pub next_generation: u64,
    pub topics: Vec<(Created, Vec<SavedPartition>)>,
    pub groups: Vec<GroupPosition>,
}

impl Checkpoint {
    /// Of a log without topics.
    pub(super) fn empty() -> Self {
        Self {
            position: Position {
                generation: 1,
                offset: 0,
                link: 0,
                sequence: 0,
            },
            next_generation: 1,
            topics: Vec::new(),
            groups: Vec::new(),
        }
    }

    pub(super) fn encode(&self, cluster: u128) -> Vec<u8> {
        let mut bytes = begin(
            cluster,
            self.position,
            self.next_generation,
            self.topics.len(),
        );
        for (created, partitions) in &self.topics {
            created.encode(&mut bytes);
            for partition in partitions {
                put_partition(
                    &mut bytes,
                    (partition.log_start, partition.end),
                    &partition.damage,
                    &partition.segments,
                );
            }
        }
        finish(bytes, &self.groups)
    }

    /// Reads the checkpoint of this cluster.
    pub(super) fn read(storage: &dyn Storage, cluster: u128) -> Result<Self, Error> {
        let bytes = read_file(storage, FILE).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                error::bad_checkpoint("is missing")
            } else {
                error::io("cannot read the checkpoint", error)
            }
        })?;
        Self::decode(&bytes, cluster).map_err(error::bad_checkpoint)
    }

    fn decode(bytes: &[u8], cluster: u128) -> Result<Self, &'static str> {
        let damaged = "is damaged";
        let (body, check) = bytes.split_last_chunk::<4>().ok_or(damaged)?;
        if crc(body) != u32::from_be_bytes(*check) {
            return Err(damaged);
        }
        let mut fields = Fields::new(body);
        if fields.u32() != Some(MAGIC) || fields.u16() != Some(VERSION) {
            return Err("is of another version");
        }
        fields.u16().ok_or(damaged)?;
        if fields.u128() != Some(cluster) {
            return Err("belongs to another data directory");
        }
        let checkpoint = Self::take(&mut fields).ok_or(damaged)?;
        if fields.is_empty() {
            Ok(checkpoint)
        } else {
            Err(damaged)
        }
    }

    fn take(fields: &mut Fields<'_>) -> Option<Self> {
        let position = Position {
            generation: fields.u64()?,
            offset: fields.u64()?,
            link: fields.u32()?,
            sequence: fields.u64()?,
        };
        let next_generation = fields.u64()?;
        let mut topics = Vec::new();
        for _ in 0..fields.u32()? {
            let created = Created::decode(fields)?;
            let mut partitions = Vec::new();
            for _ in 0..created.partitions {
                partitions.push(take_partition(fields)?);
            }
            topics.push((created, partitions));
        }
        let mut groups = Vec::new();
        for _ in 0..fields.u32()? {
            groups.push(GroupPosition {
                group: fields.text()?.into(),
                topic_id: fields.u128()?,
                partition: fields.u32()?,
                next: fields.u64()?,
            });
        }
        Some(Self {
            position,
            next_generation,
            topics,
            groups,
        })
    }
}

/// The part before the topics.
pub(super) fn begin(
    cluster: u128,
    position: Position,
    next_generation: u64,
    topics: usize,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.put_u32(MAGIC);
    bytes.put_u16(VERSION);
    bytes.put_u16(0);
    bytes.put_u128(cluster);
    bytes.put_u64(position.generation);
    bytes.put_u64(position.offset);
    bytes.put_u32(position.link);
    bytes.put_u64(position.sequence);
    bytes.put_u64(next_generation);
    bytes.put_count(topics);
    bytes
}

/// One partition.
pub(super) fn put_partition(
    bytes: &mut Vec<u8>,
    (log_start, end): (u64, u64),
    damage: &[Damage],
    segments: &[Segment],
) {
    bytes.put_u64(log_start);
    bytes.put_u64(end);
    bytes.put_count(damage.len());
    for damage in damage {
        bytes.put_u64(damage.offsets.start);
        bytes.put_u64(damage.offsets.end);
        bytes.put_u64(damage.resume.unwrap_or(NO_POSITION));
    }
    bytes.put_count(segments.len());
    for segment in segments {
        bytes.put_u64(segment.base);
        bytes.put_u64(segment.bytes);
        bytes.put_i64(segment.max.0);
        bytes.put_u64(segment.max.1);
    }
}

fn take_partition(fields: &mut Fields<'_>) -> Option<SavedPartition> {
    let (log_start, end) = (fields.u64()?, fields.u64()?);
    let mut damage = Vec::new();
    for _ in 0..fields.u32()? {
        damage.push(Damage {
            offsets: fields.u64()?..fields.u64()?,
            resume: Some(fields.u64()?).filter(|position| *position != NO_POSITION),
        });
    }
    let mut segments = Vec::new();
    for _ in 0..fields.u32()? {
        let mut segment = Segment::new(fields.u64()?);
        segment.bytes = fields.u64()?;
        segment.max = (fields.i64()?, fields.u64()?);
        segments.push(segment);
    }
    Some(SavedPartition {
        log_start,
        end,
        damage,
        segments,
    })
}

/// The part behind the topics.
pub(super) fn finish(mut bytes: Vec<u8>, groups: &[GroupPosition]) -> Vec<u8> {
    bytes.put_count(groups.len());
    for position in groups {
        bytes.put_text(&position.group);
        bytes.put_u128(position.topic_id);
        bytes.put_u32(position.partition);
        bytes.put_u64(position.next);
    }
    let check = crc(&bytes);
    bytes.put_u32(check);
    bytes
}

/// Puts a checkpoint in place. What it says of segments must be durable before.
pub(super) fn replace(storage: &dyn Storage, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::of("write the checkpoint", &error);
    // I7: an error of a sync is never mistaken for a full disk, which would be tried again.
    let unsynced =
        |error: io::Error| Failure::Broken(format!("sync of the checkpoint failed: {error}"));
    let file = storage.open(TEMPORARY, Open::Create).map_err(failed)?;
    file.set_len(0).map_err(failed)?;
    write_all_at(&*file, &[bytes], 0).map_err(failed)?;
    file.sync_data().map_err(unsynced)?;
    storage.rename(TEMPORARY, FILE).map_err(failed)?;
    storage.sync_dir("").map_err(unsynced)
}
