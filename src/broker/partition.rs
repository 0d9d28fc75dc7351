//! One partition: its segments, its ends, what is damaged, and appending to it.
//!
//! The journal's thread is the only one that changes a partition; readers ([`reader`](super::reader)) look at it under
//! a lock that is never held over I/O. A segment's length counts only what the journal has made durable before, so
//! whatever a reader can reach is durable (I3).

use super::{
    batch::{HEADER_BYTES, Header, PREFIX_BYTES},
    error,
    files::Files,
    folder::folder,
    index::Index,
    rules::Rules,
    stats::Stats,
    storage::{Storage, write_all_at},
    stored::header_at,
};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use std::{
    io,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
};
use tapline_sdk::{Error, TopicPartition};
use tokio::sync::Notify;

/// Bytes that a segment grows by before they are sent on their way to disk, so that a checkpoint's sync finds little
/// left to write.
const WRITEBACK_BYTES: u64 = 4 << 20;

/// Bytes at the front of a batch that the log sets: base offset, length, leader epoch.
const STAMP_BYTES: usize = PREFIX_BYTES + 4;

/// A batch with its place.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    /// With the offset that the log gave it.
    pub header: Header,
    stamp: [u8; STAMP_BYTES],
    rest: Bytes,
}

impl Placed {
    /// A batch that was checked, to stand at `base_offset`. Only the stamp is new: the bytes are not copied.
    pub(super) fn new(mut header: Header, batch: &Bytes, base_offset: u64) -> Self {
        debug_assert!(header.bytes >= HEADER_BYTES, "a checked header");
        header.base_offset = base_offset;
        header.leader_epoch = 0;
        let length = u32::try_from(header.bytes - PREFIX_BYTES).unwrap_or(u32::MAX);
        let mut stamp = [0; STAMP_BYTES];
        let (offset, rest) = stamp.split_at_mut(8);
        offset.copy_from_slice(&base_offset.to_be_bytes());
        rest.split_at_mut(4)
            .0
            .copy_from_slice(&length.to_be_bytes());
        Self {
            header,
            stamp,
            rest: batch.slice(STAMP_BYTES.min(batch.len())..),
        }
    }

    pub(super) fn parts(&self) -> [&[u8]; 2] {
        [&self.stamp, &self.rest]
    }

    /// Offsets it takes.
    pub(super) fn offsets(&self) -> u32 {
        self.header.last_offset_delta + 1
    }
}

/// A file of batches and its indexes.
#[derive(Debug)]
pub(super) struct Segment {
    /// The first offset; also its name.
    pub base: u64,
    /// What is durable of it.
    pub bytes: u64,
    /// The largest timestamp, and the last offset of the batch that has it.
    pub max: (i64, u64),
    /// Of the last segment, once something was appended since the start.
    pub index: Option<Index>,
    /// Which file of this name it is: compaction counts it up. Begins anew with each start.
    pub generation: u64,
    /// The largest timestamp of the first batch, once it is known: the age that closes the segment counts from it.
    first_ms: Option<i64>,
    /// How many checkpoints had begun when its file was complete: a later one covers all of it.
    pub complete_at: u64,
}

impl Segment {
    pub(super) fn new(base: u64) -> Self {
        Self {
            base,
            bytes: 0,
            max: (NO_TIMESTAMP, base),
            index: None,
            generation: 0,
            first_ms: None,
            complete_at: 0,
        }
    }
}

/// Kafka's «no timestamp».
pub(super) const NO_TIMESTAMP: i64 = -1;

/// Offsets that cannot be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Damage {
    pub offsets: Range<u64>,
    /// Where the segment goes on behind bytes that cannot be read; `None` where there are no such bytes, because the
    /// journal lost them.
    pub resume: Option<u64>,
}

#[derive(Debug)]
pub(super) struct State {
    pub log_start: u64,
    /// The next offset to be assigned, and the first that cannot be read yet: every append is durable (I3).
    pub end: u64,
    pub segments: Vec<Segment>,
    pub damage: Vec<Damage>,
    pub deleted: bool,
    /// Below it no key has two records that compaction may tell apart; where the next one begins to look.
    pub clean_to: u64,
    /// Whether rows below build upon records of another key, or may be about to.
    pub clean_moves: bool,
}

/// A partition, shared by the journal's thread and readers.
pub(super) struct Partition {
    pub at: TopicPartition,
    pub topic_id: u128,
    /// `logs/<topic>-<partition>`.
    pub folder: String,
    pub segment_bytes: AtomicU64,
    pub segment_ms: AtomicI64,
    pub(super) files: Arc<Files>,
    pub(super) storage: Arc<dyn Storage>,
    pub(super) stats: Arc<Stats>,
    pub(super) checkpoints: Arc<Checkpoints>,
    pub(super) state: RwLock<State>,
    /// Told when the end or the start moves, or the topic is deleted.
    pub changed: Notify,
    /// Where the last reads ended.
    pub(super) hints: Mutex<Vec<Hint>>,
}

/// Where a read ended, and the next one is likely to begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hint {
    pub offset: u64,
    /// Base offset and generation.
    pub segment: (u64, u64),
    pub position: u64,
}

/// How many checkpoints were begun since the start, and which was the last to be finished.
#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    pub begun: AtomicU64,
    pub finished: AtomicU64,
}

/// What all partitions of a log share.
#[derive(Clone)]
pub(super) struct Means {
    pub files: Arc<Files>,
    pub storage: Arc<dyn Storage>,
    pub stats: Arc<Stats>,
    pub checkpoints: Arc<Checkpoints>,
}

impl Partition {
    pub(super) fn new(
        means: &Means,
        at: TopicPartition,
        topic_id: u128,
        rules: &Rules,
        state: State,
    ) -> Self {
        Self {
            folder: folder(&at),
            at,
            topic_id,
            segment_bytes: AtomicU64::new(rules.segment_bytes),
            segment_ms: AtomicI64::new(rules.segment_ms),
            files: Arc::clone(&means.files),
            storage: Arc::clone(&means.storage),
            stats: Arc::clone(&means.stats),
            checkpoints: Arc::clone(&means.checkpoints),
            state: RwLock::new(state),
            changed: Notify::new(),
            hints: Mutex::default(),
        }
    }

    /// Takes over changed settings; the next append heeds them.
    pub(super) fn alter(&self, rules: &Rules) {
        self.segment_bytes.store(rules.segment_bytes, Relaxed);
        self.segment_ms.store(rules.segment_ms, Relaxed);
    }

    pub(super) fn path(&self, base: u64, suffix: &str) -> String {
        format!("{}/{base:020}.{suffix}", self.folder)
    }

    /// Writes some of the batches, at least one, and says how many. On an error none counts: the same again later
    /// writes over what this left.
    pub(super) fn append(&self, batches: &[Placed]) -> io::Result<usize> {
        let Some(first) = batches.first() else {
            return Ok(0);
        };
        let (base, position) = self.writable(&first.header)?;
        let limit = self.segment_bytes.load(Relaxed);
        let first_ms = first.header.max_timestamp_ms;
        let mut parts = Vec::with_capacity(batches.len() * 2);
        let mut bytes = 0;
        let mut count = 0;
        for batch in batches {
            let fits = position + bytes + batch.header.bytes as u64 <= limit
                && reaches(base, &batch.header)
                && !self.is_too_young(first_ms, &batch.header);
            let follows = count == 0
                || batches
                    .get(count - 1)
                    .is_some_and(|last| last.header.next_offset() == batch.header.base_offset);
            if count > 0 && !(fits && follows) {
                break;
            }
            parts.extend_from_slice(&batch.parts());
            bytes += batch.header.bytes as u64;
            count += 1;
        }
        let file = self.files.create(&self.path(base, "log"))?;
        write_all_at(&*file, &parts, position)?;
        let crossed = (position + bytes) / WRITEBACK_BYTES * WRITEBACK_BYTES;
        if position / WRITEBACK_BYTES * WRITEBACK_BYTES < crossed {
            let from = position / WRITEBACK_BYTES * WRITEBACK_BYTES;
            // Only a hint: what goes wrong here is found by the sync that counts.
            drop(file.start_writeback(from, crossed - from));
        }
        self.stats.log_bytes.fetch_add(bytes, Relaxed);
        self.publish(batches.get(..count).unwrap_or_default())?;
        Ok(count)
    }

    /// The segment and position where the next batch goes, after closing a full one.
    fn writable(&self, header: &Header) -> io::Result<(u64, u64)> {
        let (last, has_index) = {
            let state = self.state.read();
            let last = state.segments.last();
            (
                last.map(|segment| (segment.base, segment.bytes, segment.max.0)),
                last.is_some_and(|segment| segment.index.is_some()),
            )
        };
        if let Some((base, bytes, max_timestamp)) = last {
            if !has_index {
                self.load_last(base, bytes, max_timestamp)?;
            }
            let first_ms = self
                .state
                .read()
                .segments
                .last()
                .and_then(|last| last.first_ms);
            let full = bytes > 0
                && (bytes + header.bytes as u64 > self.segment_bytes.load(Relaxed)
                    || first_ms.is_some_and(|first_ms| self.is_too_young(first_ms, header)));
            if !full && reaches(base, header) {
                return Ok((base, bytes));
            }
            self.close_last()?;
        }
        self.open_segment(header.base_offset)?;
        Ok((header.base_offset, 0))
    }

    /// Whether a batch is so much younger than a segment's first that it belongs into the next, as in Kafka.
    fn is_too_young(&self, first_ms: i64, header: &Header) -> bool {
        first_ms >= 0
            && header.max_timestamp_ms.saturating_sub(first_ms) > self.segment_ms.load(Relaxed)
    }

    /// What the start did not read of the last segment: its index, and how old it is.
    fn load_last(&self, base: u64, bytes: u64, max_timestamp: i64) -> io::Result<()> {
        let offsets = self.files.create(&self.path(base, "index"))?;
        let times = self.files.create(&self.path(base, "timeindex"))?;
        let index = Index::load(&*offsets, &*times, bytes, max_timestamp)?;
        let file = self.files.create(&self.path(base, "log"))?;
        let first = header_at(&*file, 0, bytes)?;
        if let Some(segment) = self.state.write().segments.last_mut() {
            segment.index = Some(index);
            segment.first_ms = first.map(|header| header.max_timestamp_ms);
        }
        Ok(())
    }

    fn open_segment(&self, base: u64) -> io::Result<()> {
        if self.state.read().segments.is_empty() {
            self.claim_folder()?;
        }
        for suffix in ["index", "timeindex"] {
            // A crash may have left indexes of a segment of this name.
            self.files.create(&self.path(base, suffix))?.set_len(0)?;
        }
        let mut segment = Segment::new(base);
        segment.index = Some(Index::default());
        self.state.write().segments.push(segment);
        Ok(())
    }

    fn close_last(&self) -> io::Result<()> {
        if let Some(segment) = self.state.write().segments.last_mut() {
            let (base, max) = (segment.base, segment.max);
            if let Some(index) = &mut segment.index {
                index.close(base, max);
            }
        }
        self.store_index()?;
        if let Some(segment) = self.state.write().segments.last_mut() {
            segment.index = None;
            segment.complete_at = self.checkpoints.begun.load(Relaxed);
        }
        Ok(())
    }

    /// Takes note of batches that were written, makes them visible and wakes readers.
    fn publish(&self, batches: &[Placed]) -> io::Result<()> {
        let mut due = false;
        {
            let mut state = self.state.write();
            for batch in batches {
                state.end = batch.header.next_offset();
                if let Some(segment) = state.segments.last_mut() {
                    segment.add(&batch.header);
                    due |= segment.index.as_ref().is_some_and(Index::is_due);
                }
            }
        }
        // I3: the high watermark moved after the journal's sync and the segment's write.
        self.changed.notify_waiters();
        if due {
            // A cache: a full disk must not fail an append that is done. The next call tries again.
            match self.store_index() {
                Err(error) if error::is_full(&error) => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// Writes out what the index files lack.
    pub(super) fn store_index(&self) -> io::Result<()> {
        let last = self.state.read().segments.last().and_then(|segment| {
            let index = segment.index.as_ref().filter(|index| index.has_news())?;
            Some((segment.base, index.news()))
        });
        let Some((base, news)) = last else {
            return Ok(());
        };
        let offsets = self.files.create(&self.path(base, "index"))?;
        let times = self.files.create(&self.path(base, "timeindex"))?;
        news.store(&*offsets, &*times)?;
        let mut state = self.state.write();
        if let Some(index) = state
            .segments
            .last_mut()
            .and_then(|last| last.index.as_mut())
        {
            index.stored_news();
        }
        Ok(())
    }

    /// Moves the start; whole segments below it are forgotten, and their files returned. Nothing is below a start at
    /// the end: the last segment goes, too.
    pub(super) fn set_log_start(&self, offset: u64) -> Vec<String> {
        let mut state = self.state.write();
        if offset <= state.log_start {
            return Vec::new();
        }
        state.log_start = offset;
        // A start beyond what the log holds (a journal entry that survived damage before it) moves the end along.
        state.end = state.end.max(offset);
        let below = if offset >= state.end {
            state.segments.len()
        } else {
            let next_is_below =
                |pair: &&[Segment]| pair.last().is_some_and(|next| next.base <= offset);
            state.segments.windows(2).take_while(next_is_below).count()
        };
        let gone: Vec<u64> = state
            .segments
            .drain(..below)
            .map(|segment| segment.base)
            .collect();
        state.damage.retain(|damage| damage.offsets.end > offset);
        drop(state);
        self.hints.lock().clear();
        self.changed.notify_waiters();
        gone.into_iter()
            .flat_map(|base| ["log", "index", "timeindex"].map(|suffix| self.path(base, suffix)))
            .collect()
    }

    pub(super) fn delete(&self) {
        self.state.write().deleted = true;
        self.changed.notify_waiters();
    }

    /// Takes note of offsets that cannot be served.
    pub(super) fn damaged(&self, damage: Damage) {
        self.damaged_in(None, damage);
    }

    /// The same, unless the segment (base offset, generation) where they were missed is another file by now.
    pub(super) fn damaged_in(&self, segment: Option<(u64, u64)>, damage: Damage) {
        let Range { start, end } = damage.offsets;
        let mut state = self.state.write();
        let is_gone = segment.is_some_and(|segment| !state.has(segment));
        if is_gone || start >= end || state.damage.contains(&damage) {
            return;
        }
        state
            .damage
            .retain(|old| old.offsets.start < start || old.offsets.end > end);
        state.damage.push(damage);
        state.damage.sort_by_key(|damage| damage.offsets.start);
        state.end = state.end.max(end);
        drop(state);
        self.stats.damage.fetch_add(1, Relaxed);
        tracing::error!(
            topic = %self.at.topic,
            partition = self.at.partition,
            first = start,
            last = end.saturating_sub(1),
            "records are damaged on disk and are not served"
        );
    }

    pub(super) fn deleted_error(&self) -> Error {
        error::unknown_topic(&self.at.topic)
    }
}

impl State {
    /// Whether the segment with this base offset is still this file.
    pub(super) fn has(&self, (base, generation): (u64, u64)) -> bool {
        let is = |segment: &Segment| segment.base == base && segment.generation == generation;
        !self.deleted && self.segments.iter().any(is)
    }
}

impl Segment {
    fn add(&mut self, header: &Header) {
        if self.bytes == 0 {
            self.first_ms = Some(header.max_timestamp_ms);
        }
        if header.max_timestamp_ms > self.max.0 {
            self.max = (header.max_timestamp_ms, header.last_offset());
        }
        if let Some(index) = &mut self.index {
            index.add(self.base, self.bytes, header, self.max);
        }
        self.bytes += header.bytes as u64;
    }
}

/// Whether the batch's offsets can be told relative to the segment's in Kafka's indexes, and its position too.
fn reaches(base: u64, header: &Header) -> bool {
    i32::try_from(header.last_offset().saturating_sub(base)).is_ok()
}
