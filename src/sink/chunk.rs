//! Decoded records that are put as one batch.

use super::budget::{Purse, Room};
use std::collections::BTreeMap;
use tapline_sdk::{Batch, Place, Rows, TopicPartition};

/// Records after which a chunk is full: enough for a target's bulk path, few enough that a rejected record is found
/// quickly by bisection.
const ROWS_MAX: usize = 20_000;

/// Decoded bytes after which a chunk is full. Three chunks exist at most, so this bounds a sink task's memory; all of a
/// worker's together are bounded by [`Room`].
const BYTES_MAX: usize = 8 << 20;

/// A batch under construction.
pub(super) struct Chunk {
    pub(super) rows: Rows,
    pub(super) places: Vec<Place>,
    pub(super) next: Vec<(TopicPartition, u64)>,
    /// Encoded bytes that were read for it.
    pub(super) bytes: u64,
    /// Records that were read for it, filtered ones included.
    pub(super) records: u64,
    /// The time stamp of the last record.
    pub(super) last_timestamp_ms: Option<i64>,
    index: BTreeMap<TopicPartition, u32>,
    room: Room,
}

impl Chunk {
    pub(super) fn new(purse: &Purse) -> Self {
        Self {
            rows: Rows::default(),
            places: Vec::new(),
            next: Vec::new(),
            bytes: 0,
            records: 0,
            last_timestamp_ms: None,
            index: BTreeMap::new(),
            room: purse.room(),
        }
    }

    /// Whether no further batch of records goes in.
    pub(super) fn is_full(&mut self) -> bool {
        self.rows.len() >= ROWS_MAX || self.size_bytes() >= BYTES_MAX || !self.grows()
    }

    /// Whether another record goes in, as far as all chunks of the worker together are concerned: asked before each,
    /// because a batch of records may be larger than what is left.
    pub(super) fn grows(&mut self) -> bool {
        let size = self.size_bytes();
        self.room.grows(size)
    }

    fn size_bytes(&self) -> usize {
        self.rows.size_bytes() + self.places.len() * size_of::<Place>()
    }

    /// Whether it is full only because many sinks work, and may grow once the chunk before it has been put.
    pub(super) fn waits(&self) -> bool {
        self.rows.len() < ROWS_MAX && self.room.waits()
    }

    /// Waits until it may grow; see [`Room::grown`].
    pub(super) async fn grown(&mut self) {
        self.room.grown().await;
    }

    /// Whether there is nothing to tell a target.
    pub(super) fn is_empty(&self) -> bool {
        self.next.is_empty()
    }

    /// The number of this partition in [`Batch::next`], once it is advanced.
    pub(super) fn partition(&mut self, at: &TopicPartition, position: u64) -> u32 {
        if let Some(number) = self.index.get(at) {
            return *number;
        }
        let number = u32::try_from(self.next.len()).expect("invariant: partitions fit 32 bits");
        self.next.push((at.clone(), position));
        self.index.insert(at.clone(), number);
        number
    }

    /// Everything of this partition below `position` is in this chunk or before it.
    pub(super) fn advance(&mut self, at: &TopicPartition, position: u64) {
        let number = self.partition(at, position);
        if let Some((_, next)) = self.next.get_mut(number as usize) {
            *next = position;
        }
    }

    pub(super) fn batch(&self) -> Batch<'_> {
        Batch {
            rows: &self.rows,
            places: &self.places,
            next: &self.next,
        }
    }
}
