//! A segment's two sparse indexes, in Kafka's layout. They are caches: what is missing or doubtful costs time only.
//!
//! ```text
//! .index      per entry: u32 offset, u32 position     of the batch there: its last offset, relative to the segment's
//! .timeindex  per entry: i64 timestamp, u32 offset    the largest timestamp so far, and the last offset of its batch
//! ```
//!
//! An entry is due when 4 KiB of log followed the last one. Numbers are big-endian and grow from entry to entry.

use super::{
    batch::Header,
    partition::NO_TIMESTAMP,
    storage::{File, read_full_at, write_all_at},
};
use std::io;

/// Bytes of log between two entries, as in Kafka.
const INTERVAL_BYTES: u64 = 4 << 10;

const OFFSET_ENTRY: u64 = 8;
const TIME_ENTRY: u64 = 12;

/// Entries kept in memory before they are written out, so that 1,000 active segments stay small.
const TAIL_MAX: usize = 512;

/// The indexes of the segment that is written to.
#[derive(Debug, Default)]
pub(super) struct Index {
    offsets_stored: u64,
    times_stored: u64,
    offsets: Vec<(u32, u32)>,
    times: Vec<(i64, u32)>,
    last_time: Option<i64>,
    since_entry: u64,
}

/// Entries that wait to be written to the files.
pub(super) struct News {
    offsets: Vec<u8>,
    offsets_at: u64,
    times: Vec<u8>,
    times_at: u64,
}

impl News {
    pub(super) fn store(&self, offsets: &dyn File, times: &dyn File) -> io::Result<()> {
        write_all_at(offsets, &[&self.offsets], self.offsets_at)?;
        write_all_at(times, &[&self.times], self.times_at)
    }
}

/// Where a reader may begin: the last offset of the batch at a position, relative to the segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lookup {
    pub last_offset: u32,
    pub position: u32,
}

impl Index {
    /// What the files hold of a segment of `bytes`; entries that cannot be right are cut off.
    pub(super) fn load(
        offsets: &dyn File,
        times: &dyn File,
        bytes: u64,
        max_timestamp: i64,
    ) -> io::Result<Self> {
        let mut index = Self::default();
        let mut last: Option<(u32, u32)> = None;
        for entry in entries::<8>(offsets)? {
            let (offset, position) = split_offset(entry);
            let grows = last.is_none_or(|last| offset > last.0 && position > last.1);
            if !grows || u64::from(position) >= bytes {
                break;
            }
            last = Some((offset, position));
            index.offsets_stored += 1;
        }
        let last_offset = last.map(|(offset, _)| offset);
        let mut last_entry: Option<(i64, u32)> = None;
        for entry in entries::<12>(times)? {
            let (timestamp, offset) = split_time(entry);
            let grows = last_entry.is_none_or(|last| timestamp > last.0 && offset > last.1);
            // An entry of a batch behind the last offset entry may be one that a crash cut off.
            if !grows || timestamp > max_timestamp || last_offset.is_none_or(|last| offset > last) {
                break;
            }
            last_entry = Some((timestamp, offset));
            index.times_stored += 1;
        }
        index.last_time = last_entry.map(|(timestamp, _)| timestamp);
        index.since_entry = bytes
            - last
                .map_or(0, |(_, position)| u64::from(position))
                .min(bytes);
        offsets.set_len(index.offsets_stored * OFFSET_ENTRY)?;
        times.set_len(index.times_stored * TIME_ENTRY)?;
        Ok(index)
    }

    /// Takes note of a batch at `position`; `max` is the largest timestamp so far and the last offset of its batch.
    pub(super) fn add(&mut self, base: u64, position: u64, header: &Header, max: (i64, u64)) {
        if self.since_entry > INTERVAL_BYTES {
            let relative = |offset: u64| u32::try_from(offset.saturating_sub(base)).ok();
            if let (Some(offset), Ok(position)) =
                (relative(header.last_offset()), u32::try_from(position))
            {
                self.offsets.push((offset, position));
                self.since_entry = 0;
            }
            self.add_time(max.0, relative(max.1));
        }
        self.since_entry += header.bytes as u64;
    }

    fn add_time(&mut self, timestamp: i64, offset: Option<u32>) {
        // A segment that compaction left without a record has no time, and no entry, as in Kafka.
        if let Some(offset) = offset
            && timestamp > self.last_time.unwrap_or(NO_TIMESTAMP)
        {
            self.times.push((timestamp, offset));
            self.last_time = Some(timestamp);
        }
    }

    /// The segment is closed: the largest timestamp gets an entry of its own, as in Kafka.
    pub(super) fn close(&mut self, base: u64, max: (i64, u64)) {
        self.add_time(max.0, u32::try_from(max.1.saturating_sub(base)).ok());
    }

    pub(super) fn is_due(&self) -> bool {
        self.offsets.len() >= TAIL_MAX
    }

    pub(super) fn has_news(&self) -> bool {
        !self.offsets.is_empty() || !self.times.is_empty()
    }

    /// What the files lack.
    pub(super) fn news(&self) -> News {
        let mut offsets = Vec::with_capacity(self.offsets.len() * 8);
        for (offset, position) in &self.offsets {
            offsets.extend_from_slice(&offset.to_be_bytes());
            offsets.extend_from_slice(&position.to_be_bytes());
        }
        let mut times = Vec::with_capacity(self.times.len() * 12);
        for (timestamp, offset) in &self.times {
            times.extend_from_slice(&timestamp.to_be_bytes());
            times.extend_from_slice(&offset.to_be_bytes());
        }
        News {
            offsets,
            offsets_at: self.offsets_stored * OFFSET_ENTRY,
            times,
            times_at: self.times_stored * TIME_ENTRY,
        }
    }

    /// The news were written; nothing was added in between.
    pub(super) fn stored_news(&mut self) {
        self.offsets_stored += self.offsets.len() as u64;
        self.times_stored += self.times.len() as u64;
        self.offsets.clear();
        self.times.clear();
    }

    /// How many entries the offset index's file holds: a reader looks no further.
    pub(super) fn stored(&self) -> u64 {
        self.offsets_stored
    }

    /// The last entry at or below the offset among those in memory.
    pub(super) fn lookup(&self, relative: u32) -> Option<Lookup> {
        let count = self
            .offsets
            .partition_point(|(offset, _)| *offset <= relative);
        let (last_offset, position) = *self.offsets.get(count.checked_sub(1)?)?;
        Some(Lookup {
            last_offset,
            position,
        })
    }

    /// The batch to begin with when looking for a timestamp: the last entry below it.
    pub(super) fn lookup_time(&self, timestamp: i64) -> Option<u32> {
        let count = self.times.partition_point(|(entry, _)| *entry < timestamp);
        Some(self.times.get(count.checked_sub(1)?)?.1)
    }
}

/// The last entry at or below the offset among the first `count` in the file.
pub(super) fn lookup_stored(
    file: &dyn File,
    count: Option<u64>,
    relative: u32,
) -> io::Result<Option<Lookup>> {
    let found = last_where::<8>(file, count, |entry| split_offset(entry).0 <= relative)?;
    Ok(found
        .map(split_offset)
        .map(|(last_offset, position)| Lookup {
            last_offset,
            position,
        }))
}

/// As [`Index::lookup_time`], in the file.
pub(super) fn lookup_time_stored(file: &dyn File, timestamp: i64) -> io::Result<Option<u32>> {
    let found = last_where::<12>(file, None, |entry| split_time(entry).0 < timestamp)?;
    Ok(found.map(|entry| split_time(entry).1))
}

/// Binary search for the last entry that `holds`, which must hold for a prefix.
fn last_where<const N: usize>(
    file: &dyn File,
    count: Option<u64>,
    holds: impl Fn([u8; N]) -> bool,
) -> io::Result<Option<[u8; N]>> {
    let there = file.len()? / N as u64;
    let (mut low, mut high) = (0, count.unwrap_or(there).min(there));
    let mut found = None;
    while low < high {
        let middle = low + (high - low) / 2;
        let mut entry = [0; N];
        if read_full_at(file, &mut entry, middle * N as u64)? < N {
            return Ok(None);
        }
        if holds(entry) {
            found = Some(entry);
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(found)
}

fn entries<const N: usize>(file: &dyn File) -> io::Result<Vec<[u8; N]>> {
    let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(0)];
    let read = read_full_at(file, &mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes.as_chunks::<N>().0.to_vec())
}

fn split_offset(entry: [u8; 8]) -> (u32, u32) {
    let [a, b, c, d, rest @ ..] = entry;
    (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes(rest))
}

fn split_time(entry: [u8; 12]) -> (i64, u32) {
    let [a, b, c, d, e, f, g, h, rest @ ..] = entry;
    (
        i64::from_be_bytes([a, b, c, d, e, f, g, h]),
        u32::from_be_bytes(rest),
    )
}
