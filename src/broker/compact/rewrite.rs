//! Writing segments anew with what is needed of them.

use super::{
    Host, Stop,
    latest::Latest,
    scan::{Checked, Source},
};
use crate::broker::{
    batch::{Compression, Header, Record, SparseBatch},
    index::Index,
    partition::{NO_TIMESTAMP, Partition},
    rules::Rules,
    storage::{File, Open, write_all_at},
    swap::CLEANED,
};
use std::{io, sync::Arc};

/// Small batches are gathered into one of this size, before compression: what is left of many is little.
const BATCH_BYTES: usize = 256 << 10;

/// A batch of which everything stays is copied as it is from this size on.
const COPY_BYTES_MIN: usize = 16 << 10;

/// Bytes gathered before they are written.
const WRITE_BYTES: usize = 1 << 20;

/// One pass over a partition.
pub(super) struct Rewrite<'a> {
    partition: &'a Partition,
    latest: &'a Latest,
    log_start: u64,
    /// Up to where the map knows what is needed.
    map_end: u64,
    /// Below it every sink has read.
    floor: u64,
    now_ms: i64,
    /// From when on a tombstone that is compacted for the first time may go.
    horizon_ms: i64,
    /// Whether a row stands below that a barrier may have to empty.
    rows_below: bool,
    /// Whether something stands below that was not looked into, and that a tombstone may delete.
    opaque_below: bool,
    before: Before,
    removed: u64,
}

/// The record that was looked at last.
#[derive(Default)]
struct Before {
    offset: u64,
    key: Vec<u8>,
    kept: bool,
}

impl<'a> Rewrite<'a> {
    pub(super) fn new(
        partition: &'a Partition,
        rules: &Rules,
        (latest, map_end): (&'a Latest, u64),
        log_start: u64,
        floor: u64,
    ) -> Self {
        let now_ms = partition.storage.now_ms();
        Self {
            partition,
            latest,
            log_start,
            map_end,
            floor,
            now_ms,
            horizon_ms: now_ms.saturating_add(rules.delete_retention_ms),
            rows_below: false,
            opaque_below: false,
            before: Before::default(),
            removed: 0,
        }
    }

    /// Records left out so far.
    pub(super) fn removed(&self) -> u64 {
        self.removed
    }

    /// Writes neighbours as one segment, durable on return, and returns its bytes; `None` if that would change nothing.
    pub(super) fn group(
        &mut self,
        group: &[&Source],
        host: &mut dyn Host,
    ) -> Result<Option<u64>, Stop> {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            return Ok(None);
        };
        let mut output = Output::create(self.partition, first.base)?;
        let mut changed = group.len() > 1;
        for source in group {
            let mut batches = source.batches(self.partition)?;
            while let Some(batch) = batches.next(host)? {
                changed |= self.batch(batch, &mut output)?;
            }
        }
        if !changed {
            output.discard();
            return Ok(None);
        }
        let bytes = output.finish(last.end)?;
        if !host.pace(bytes) {
            return Err(Stop::Asked);
        }
        Ok(Some(bytes))
    }

    /// `true`: something of it was left out, or noted.
    fn batch(&mut self, mut batch: Checked<'_>, output: &mut Output<'_>) -> Result<bool, Stop> {
        let header = *batch.header();
        let bytes = batch.bytes();
        if batch.is_opaque() {
            (self.opaque_below, self.rows_below) = (true, true);
            output.copy(&header, bytes)?;
            return Ok(false);
        }
        if header.base_offset >= self.map_end {
            // What a tombstone here deletes still stands below: it is not even noted that it was seen.
            self.rows_below = true;
            output.copy(&header, bytes)?;
            return Ok(false);
        }
        let Ok(compression) = header.compression() else {
            return Err(Stop::Damaged(header.base_offset));
        };
        let stamped = header.delete_horizon_ms();
        let is_tombstone = |record: &Record<'_>| record.key.is_some() && record.value.is_none();
        let mut keep = Vec::new();
        let mut fresh = false;
        batch.each(|record| {
            let mut keeps = self.keeps(record, stamped);
            if is_tombstone(record) && self.before.is_ended_by(record) {
                // What an earlier pass kept for sinks that had not read it is in no map any more.
                match keep.last_mut().filter(|_| self.is_over(&header)) {
                    Some(kept) => *kept = false,
                    // What it deletes stands.
                    None => keeps = true,
                }
            }
            self.before.set(record, keeps);
            fresh |= keeps && is_tombstone(record) && stamped.is_none();
            keep.push(keeps);
        })?;
        let removed = keep.iter().filter(|keep| !**keep).count() as u64;
        self.removed += removed;
        let changed = removed > 0 || fresh;
        if !changed && header.bytes >= COPY_BYTES_MIN {
            output.copy(&header, bytes)?;
            return Ok(false);
        }
        let horizon_ms = stamped.unwrap_or(self.horizon_ms);
        let mut keep = keep.into_iter();
        let mut failed = None;
        batch.each(|record| {
            if keep.next() == Some(true) && failed.is_none() {
                let horizon_ms = is_tombstone(record).then_some(horizon_ms);
                failed = output.push(record, horizon_ms, compression).err();
            }
        })?;
        failed.map_or(Ok(changed), Err)
    }

    /// Whether the record before, of this batch, was kept for its tombstone alone, and every sink has passed it.
    fn is_over(&self, header: &Header) -> bool {
        let Before { offset, key, .. } = &self.before;
        (header.base_offset..self.floor).contains(offset) && !self.latest.is_pinned(key)
    }

    fn keeps(&mut self, record: &Record<'_>, stamped: Option<i64>) -> bool {
        if record.offset < self.log_start {
            return false;
        }
        let passed = record.offset < self.floor;
        let Some(key) = record.key else {
            return !passed || self.rows_below;
        };
        if !self.latest.needs(key, record.offset) {
            // Who reads envelopes acts on the delete, and takes the tombstone right behind it for its echo.
            let announces = !passed && self.latest.ends_behind(key, record.offset);
            self.rows_below |= announces;
            return announces;
        }
        if record.value.is_some() {
            self.rows_below = true;
            return true;
        }
        let over = stamped.is_some_and(|horizon| self.now_ms > horizon);
        !(over && passed) || self.opaque_below || self.latest.is_pinned(key)
    }
}

impl Before {
    fn set(&mut self, record: &Record<'_>, kept: bool) {
        self.key.clear();
        self.key.extend_from_slice(record.key.unwrap_or_default());
        (self.offset, self.kept) = (record.offset, kept);
    }

    /// Whether it was kept, and the next offset is of its key.
    fn is_ended_by(&self, record: &Record<'_>) -> bool {
        let follows = self.offset.checked_add(1) == Some(record.offset);
        self.kept && follows && record.key == Some(&self.key[..])
    }
}

/// The segment that is written.
struct Output<'a> {
    partition: &'a Partition,
    base: u64,
    file: Arc<dyn File>,
    /// Batches that wait to be written.
    buffer: Vec<u8>,
    /// Bytes in the file.
    written: u64,
    /// The offset behind the last batch.
    covered: u64,
    pending: SparseBatch,
    compression: Compression,
    /// Of the tombstones that are pending.
    horizon_ms: Option<i64>,
    index: Index,
    /// The largest timestamp, and the last offset of its batch.
    max: (i64, u64),
}

impl<'a> Output<'a> {
    fn create(partition: &'a Partition, base: u64) -> io::Result<Self> {
        let path = format!("{}{CLEANED}", partition.path(base, "log"));
        let file = partition.storage.open(&path, Open::Create)?;
        file.set_len(0)?;
        Ok(Self {
            partition,
            base,
            file,
            buffer: Vec::new(),
            written: 0,
            covered: base,
            pending: SparseBatch::default(),
            compression: Compression::None,
            horizon_ms: None,
            index: Index::default(),
            max: (NO_TIMESTAMP, base),
        })
    }

    /// A record that stays; of a tombstone also from when on it may go.
    fn push(
        &mut self,
        record: &Record<'_>,
        horizon_ms: Option<i64>,
        compression: Compression,
    ) -> Result<(), Stop> {
        // A batch has one horizon for all its tombstones.
        let differs =
            horizon_ms.is_some() && self.horizon_ms.is_some_and(|h| horizon_ms != Some(h));
        if !self.pending.is_empty() && (differs || self.pending.bytes() >= BATCH_BYTES) {
            self.flush(record.offset)?;
        }
        if self.pending.is_empty() {
            (self.compression, self.horizon_ms) = (compression, None);
        }
        self.horizon_ms = self.horizon_ms.or(horizon_ms);
        self.pending.push(record);
        Ok(())
    }

    /// A whole batch as it is.
    fn copy(&mut self, header: &Header, bytes: &[u8]) -> Result<(), Stop> {
        self.flush(header.base_offset)?;
        self.write(header, bytes)
    }

    /// Ends the batch at hand; it reaches up to `end`.
    fn flush(&mut self, end: u64) -> Result<(), Stop> {
        if self.covered >= end {
            return Ok(());
        }
        let made = self
            .pending
            .finish(&(self.covered..end), self.compression, self.horizon_ms)
            .map_err(|error| error.to_string())
            .and_then(|batch| match Header::parse(&batch) {
                Ok(header) => Ok((header, batch)),
                Err(problem) => Err(format!("{problem:?}")),
            });
        let (header, batch) = made.map_err(|why| Stop::Io(io::Error::other(why)))?;
        self.horizon_ms = None;
        self.write(&header, &batch)
    }

    fn write(&mut self, header: &Header, bytes: &[u8]) -> Result<(), Stop> {
        if header.max_timestamp_ms > self.max.0 {
            self.max = (header.max_timestamp_ms, header.last_offset());
        }
        let position = self.written + self.buffer.len() as u64;
        self.index.add(self.base, position, header, self.max);
        self.buffer.extend_from_slice(bytes);
        self.covered = header.next_offset();
        if self.buffer.len() >= WRITE_BYTES {
            self.write_out()?;
        }
        Ok(())
    }

    fn write_out(&mut self) -> io::Result<()> {
        write_all_at(&*self.file, &[&self.buffer], self.written)?;
        let bytes = self.buffer.len() as u64;
        // Only a hint, so that the sync finds little left to write: what goes wrong here is found by that.
        drop(self.file.start_writeback(self.written, bytes));
        self.written += bytes;
        self.buffer.clear();
        Ok(())
    }

    /// Everything is durable on return; its bytes.
    fn finish(mut self, end: u64) -> Result<u64, Stop> {
        self.flush(end)?;
        self.write_out()?;
        self.index.close(self.base, self.max);
        let cleaned = |suffix: &str| format!("{}{CLEANED}", self.partition.path(self.base, suffix));
        let storage = &self.partition.storage;
        let offsets = storage.open(&cleaned("index"), Open::Create)?;
        let times = storage.open(&cleaned("timeindex"), Open::Create)?;
        offsets.set_len(0)?;
        times.set_len(0)?;
        // Caches, as ever: the next checkpoint's sync covers them.
        self.index.news().store(&*offsets, &*times)?;
        self.file.sync_data().map_err(Stop::Sync)?;
        storage
            .sync_dir(&self.partition.folder)
            .map_err(Stop::Sync)?;
        Ok(self.written)
    }

    fn discard(self) {
        self.partition.remove_cleaned(self.base);
    }
}
