//! Reading a partition: finding an offset or a time, returning whole batches, and never one that is not right.
//!
//! Every batch is checked on its way out: its CRC, and, because base offset, length and leader epoch stand outside the
//! CRC, that it follows the batch before it without a gap. Where something is wrong the segment is read from its start
//! once, what can be read is told from what cannot, and the offsets in between are marked as damaged.

use super::{
    batch::{Batch, BatchReader, HEADER_BYTES, Header},
    error,
    index::{self, Index, Lookup},
    partition::{Damage, Hint, Partition},
    storage::{File, read_full_at},
    stored::{batch_at, header_at, is_right, search},
};
use bytes::Bytes;
use std::{io, sync::atomic::Ordering::Relaxed};
use tapline_sdk::Error;

/// Sequential readers remembered per partition.
const HINTS_MAX: usize = 8;

/// Looking for a time reads pieces of this size.
const TIME_READ_BYTES: usize = 256 << 10;

/// What a read saw.
#[derive(Debug, Clone)]
pub(super) struct Read {
    pub batches: Bytes,
    pub log_start: u64,
    pub high_watermark: u64,
}

/// Why a segment could not be read.
enum Bad {
    Io(io::Error),
    /// Something is not what it must be; or only the place to begin with was wrong.
    Content,
}

impl From<io::Error> for Bad {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A segment as it was when a read began.
struct View {
    base: u64,
    /// Of the segment's file.
    generation: u64,
    path: String,
    bytes: u64,
    /// The offset behind it.
    end: u64,
    damage: Vec<Damage>,
    /// Where to begin.
    position: u64,
    /// The base offset of the batch there, or its last offset.
    first: First,
}

#[derive(Clone, Copy)]
enum First {
    Base(u64),
    Last(u64),
}

impl Partition {
    /// Reads whole batches from the one that holds `offset`: up to `bytes_max`, one at least if there is one.
    pub(super) fn read(&self, offset: u64, bytes_max: usize) -> Result<Read, Error> {
        let mut cautious = false;
        loop {
            let Some(mut view) = self.view(offset, cautious)? else {
                return Ok(self.answer(Bytes::new()));
            };
            match view.read(self, offset, bytes_max) {
                Ok(bytes) if self.state.read().deleted => {
                    drop(bytes);
                    return Err(self.deleted_error());
                }
                Ok(bytes) => {
                    self.stats.read_bytes.fetch_add(bytes.len() as u64, Relaxed);
                    return Ok(self.answer(bytes));
                }
                // Retention, compaction or a deletion took the file away meanwhile: look again at what is there now.
                Err(_) if !self.state.read().has(view.segment()) => cautious = false,
                Err(Bad::Content) if !cautious => {
                    cautious = true;
                    self.survey(view).map_err(|error| self.failed(error))?;
                }
                Err(Bad::Content) => {
                    return Err(error::damaged(&self.at, &(offset..offset + 1)));
                }
                Err(Bad::Io(error)) => return Err(self.failed(error)),
            }
        }
    }

    fn failed(&self, error: io::Error) -> Error {
        error::io(
            format!("cannot read {}/{}", self.at.topic, self.at.partition),
            error,
        )
    }

    fn answer(&self, batches: Bytes) -> Read {
        let state = self.state.read();
        Read {
            batches,
            log_start: state.log_start,
            high_watermark: state.end,
        }
    }

    /// `None` at the end of the log. A cautious view begins at the segment's start and trusts no index.
    fn view(&self, offset: u64, cautious: bool) -> Result<Option<View>, Error> {
        let state = self.state.read();
        if state.deleted {
            return Err(self.deleted_error());
        }
        if offset < state.log_start || offset > state.end {
            return Err(error::out_of_range(
                &self.at,
                offset,
                state.log_start,
                state.end,
            ));
        }
        if let Some(damage) = state
            .damage
            .iter()
            .find(|damage| damage.offsets.contains(&offset))
        {
            return Err(error::damaged(&self.at, &damage.offsets));
        }
        if offset == state.end {
            return Ok(None);
        }
        let behind = state
            .segments
            .partition_point(|segment| segment.base <= offset);
        let Some(segment) = behind
            .checked_sub(1)
            .and_then(|index| state.segments.get(index))
        else {
            return Err(error::damaged(&self.at, &(offset..offset + 1)));
        };
        let mut view = View {
            base: segment.base,
            generation: segment.generation,
            path: self.path(segment.base, "log"),
            bytes: segment.bytes,
            end: state
                .segments
                .get(behind)
                .map_or(state.end, |next| next.base),
            damage: state.damage.clone(),
            position: 0,
            first: First::Base(segment.base),
        };
        let relative = u32::try_from(offset - segment.base).unwrap_or(u32::MAX);
        let in_memory = segment
            .index
            .as_ref()
            .and_then(|index| index.lookup(relative));
        let stored = segment.index.as_ref().map(Index::stored);
        drop(state);
        if cautious {
            return Ok(Some(view));
        }
        if let Some(position) = self.hint(offset, view.segment()) {
            view.position = position;
            view.first = First::Base(offset);
        } else if let Some(found) = in_memory.or_else(|| self.lookup(&view, stored, relative)) {
            view.position = found.position.into();
            view.first = First::Last(view.base + u64::from(found.last_offset));
        }
        view.skip_damage(offset);
        Ok(Some(view))
    }

    /// Errors of an index are no errors of a read: it begins at the segment's start.
    fn lookup(&self, view: &View, stored: Option<u64>, relative: u32) -> Option<Lookup> {
        let path = self.path(view.base, "index");
        let file = self.files.get_of(&path, view.generation).ok()?;
        let found = index::lookup_stored(&*file, stored, relative).ok()??;
        (u64::from(found.position) < view.bytes).then_some(found)
    }

    fn hint(&self, offset: u64, segment: (u64, u64)) -> Option<u64> {
        let hints = self.hints.lock();
        let is = |hint: &&Hint| hint.offset == offset && hint.segment == segment;
        hints.iter().find(is).map(|hint| hint.position)
    }

    fn remember(&self, hint: Hint) {
        let mut hints = self.hints.lock();
        hints.retain(|known| known.offset != hint.offset);
        if hints.len() >= HINTS_MAX {
            hints.remove(0);
        }
        hints.push(hint);
    }

    /// Reads a segment from its start and marks what is damaged.
    fn survey(&self, mut view: View) -> io::Result<()> {
        view.position = 0;
        view.first = First::Base(view.base);
        let file = self.files.get_of(&view.path, view.generation)?;
        let mut expected = view.base;
        while view.position < view.bytes {
            if let Some((next, position)) = view.beyond_damage(expected) {
                (expected, view.position) = (next, position);
                continue;
            }
            match view.checked(&*file, view.position, expected)? {
                Some(header) => {
                    expected = header.next_offset();
                    view.position += header.bytes as u64;
                }
                None => {
                    let offsets = expected..view.end;
                    let found = search(&*file, view.position + 1..view.bytes, &offsets)?;
                    let (position, next) = found.unwrap_or((view.bytes, view.end));
                    let damage = Damage {
                        offsets: expected..next,
                        resume: Some(position),
                    };
                    self.hints.lock().clear();
                    self.damaged_in(Some(view.segment()), damage.clone());
                    view.damage.push(damage);
                    (expected, view.position) = (next, position);
                }
            }
        }
        let tail = Damage {
            offsets: expected..view.end,
            resume: Some(view.bytes),
        };
        if expected < view.end && view.beyond_damage(expected).is_none() {
            self.damaged_in(Some(view.segment()), tail);
        }
        Ok(())
    }

    /// The first offset whose record's timestamp is at or after `timestamp`.
    pub(super) fn offset_for_time(&self, timestamp: i64) -> Result<Option<u64>, Error> {
        let mut offset = {
            let state = self.state.read();
            let last = state.segments.len().saturating_sub(1);
            let found = state.segments.iter().enumerate().find(|(index, segment)| {
                let next = state
                    .segments
                    .get(index + 1)
                    .map_or(state.end, |next| next.base);
                next > state.log_start && segment.max.0 >= timestamp
            });
            let Some((index, segment)) = found else {
                return Ok(None);
            };
            let in_memory = segment
                .index
                .as_ref()
                .and_then(|index| index.lookup_time(timestamp));
            let (base, start) = (segment.base, state.log_start);
            let segment = (base, segment.generation);
            drop(state);
            let below = in_memory.or_else(|| self.lookup_time(segment, index == last, timestamp));
            below
                .map_or(base, |below| base + u64::from(below))
                .max(start)
        };
        let mut reader = BatchReader::new();
        loop {
            let read = self.read(offset, TIME_READ_BYTES)?;
            if read.batches.is_empty() {
                return Ok(None);
            }
            for batch in super::batch::Batches::new(&read.batches) {
                let batch =
                    batch.map_err(|error| error::bad_batch(&self.at, &error.to_string()))?;
                if batch.header.max_timestamp_ms >= timestamp
                    && let Some(found) = self.find_time(&mut reader, &batch, timestamp, offset)?
                {
                    return Ok(Some(found));
                }
                offset = batch.header.next_offset();
            }
        }
    }

    fn lookup_time(
        &self,
        (base, generation): (u64, u64),
        active: bool,
        timestamp: i64,
    ) -> Option<u32> {
        let path = self.path(base, "timeindex");
        let file = self.files.get_of(&path, generation).ok()?;
        let found = index::lookup_time_stored(&*file, timestamp).ok()??;
        // An index that points behind the log would turn a find into an error.
        (!active || base + u64::from(found) < self.state.read().end).then_some(found)
    }

    fn find_time(
        &self,
        reader: &mut BatchReader,
        batch: &Batch<'_>,
        timestamp: i64,
        from: u64,
    ) -> Result<Option<u64>, Error> {
        let failed =
            |error: super::batch::BatchError| error::bad_batch(&self.at, &error.to_string());
        for record in reader.read(batch).map_err(failed)? {
            let record = record.map_err(failed)?;
            if record.timestamp_ms >= timestamp && record.offset >= from {
                return Ok(Some(record.offset));
            }
        }
        Ok(None)
    }
}

impl View {
    /// Base offset and generation.
    fn segment(&self) -> (u64, u64) {
        (self.base, self.generation)
    }

    /// Begins behind damage that lies between the segment's start and the offset, if the index does not.
    fn skip_damage(&mut self, offset: u64) {
        let behind = self
            .damage
            .iter()
            .rfind(|damage| damage.offsets.end <= offset && damage.offsets.start >= self.base);
        if let Some(damage) = behind
            && let Some(position) = damage.resume
            && position >= self.position
        {
            self.position = position;
            self.first = First::Base(damage.offsets.end);
        }
    }

    /// If damage begins at this offset, where the log goes on.
    fn beyond_damage(&self, expected: u64) -> Option<(u64, u64)> {
        let damage = self
            .damage
            .iter()
            .find(|damage| damage.offsets.start == expected)?;
        Some((damage.offsets.end, damage.resume.unwrap_or(self.position)))
    }

    fn read(&mut self, partition: &Partition, offset: u64, bytes_max: usize) -> Result<Bytes, Bad> {
        let file = partition.files.get_of(&self.path, self.generation)?;
        let first = self.seek(&*file, offset)?;
        // One batch at least, however large, and never more than the segment has.
        let there = self.bytes - self.position;
        let wanted = bytes_max
            .max(first.bytes)
            .min(usize::try_from(there).unwrap_or(usize::MAX));
        // Of few sizes, so that the allocator gives the same memory again.
        let mut bytes = Vec::with_capacity(wanted.next_power_of_two());
        bytes.resize(wanted, 0);
        let read = read_full_at(&*file, &mut bytes, self.position)?;
        bytes.truncate(read);
        let mut done = 0;
        let mut expected = first.base_offset;
        while done < wanted && self.beyond_damage(expected).is_none() {
            let rest = bytes.get(done..).unwrap_or_default();
            let Ok(batch) = Batch::parse(rest, 0) else {
                // Only the last batch may be incomplete, and only because no more was asked for: a file that is
                // shorter than its segment is damaged.
                if read == wanted && self.is_cut_off(rest, done, expected) {
                    break;
                }
                return Err(Bad::Content);
            };
            if !is_right(&batch, expected) {
                return Err(Bad::Content);
            }
            done += batch.header.bytes;
            expected = batch.header.next_offset();
        }
        bytes.truncate(done);
        partition.remember(Hint {
            offset: expected,
            segment: self.segment(),
            position: self.position + done as u64,
        });
        Ok(bytes.into())
    }

    /// Whether what cannot be parsed is the beginning of a good batch; the next read begins with it and checks it.
    fn is_cut_off(&self, rest: &[u8], done: usize, expected: u64) -> bool {
        let left = self.bytes - self.position - done as u64;
        match Header::parse(rest) {
            Ok(header) => header.base_offset == expected && header.bytes as u64 <= left,
            Err(_) => rest.len() < HEADER_BYTES && (rest.len() as u64) < left && done > 0,
        }
    }

    /// Moves to the batch that holds the offset.
    fn seek(&mut self, file: &dyn File, offset: u64) -> Result<Header, Bad> {
        let mut expected = None;
        loop {
            let header = header_at(file, self.position, self.bytes)?.ok_or(Bad::Content)?;
            let follows = match (expected, self.first) {
                (Some(expected), _) | (None, First::Base(expected)) => {
                    header.base_offset == expected
                }
                (None, First::Last(last)) => header.last_offset() == last,
            };
            if !follows || header.base_offset > offset {
                return Err(Bad::Content);
            }
            if header.next_offset() > offset {
                return Ok(header);
            }
            self.position += header.bytes as u64;
            let mut next = header.next_offset();
            while let Some((end, position)) = self.beyond_damage(next) {
                (next, self.position) = (end, position);
            }
            expected = Some(next);
        }
    }

    /// The batch at a position, if all of it is right.
    fn checked(&self, file: &dyn File, position: u64, expected: u64) -> io::Result<Option<Header>> {
        let Some(header) = header_at(file, position, self.bytes)? else {
            return Ok(None);
        };
        if header.base_offset != expected || header.next_offset() > self.end {
            return Ok(None);
        }
        let batch = batch_at(file, position, &header)?;
        Ok(batch.map(|_| header))
    }
}
