//! Putting compacted segments in the place of those they were made of.
//!
//! ```text
//! compaction:  write <base>.log.cleaned, sync it and its folder        nothing refers to it yet
//! journal:     «swap segments», synced                                 from here on it is done, whatever happens
//! then:        rename it to <base>.log, change the list of segments    a crash in between is gone on with by recovery
//! checkpoint:  names the new segment; files of the old ones go         until then both lists can be found
//! ```
//!
//! A name is used again only when a checkpoint covers its last swap, so a replayed swap never meets a later file.

use super::{
    journal::Swapped,
    partition::{Partition, Segment},
    stored::{batch_at, header_at},
};
use std::{
    io,
    sync::atomic::Ordering::{self, Relaxed},
};

/// Ends the name of a file that compaction writes, as in Kafka.
pub(super) const CLEANED: &str = ".cleaned";

/// The files of a segment. The log comes last: once it has its name, nothing that can fail is left to do.
const SUFFIXES: [&str; 3] = ["index", "timeindex", "log"];

/// What compaction made of some neighbouring segments.
#[derive(Debug, Clone)]
pub struct Swap {
    pub(super) topic_id: u128,
    pub(super) partition: u32,
    /// Base offset and generation of the segments it is made of.
    pub(super) out: Vec<(u64, u64)>,
    /// Bytes of the one that takes their place.
    pub(super) bytes: u64,
}

impl Swap {
    pub(super) fn operation(&self) -> Swapped {
        let out: Vec<u64> = self.out.iter().map(|(base, _)| *base).collect();
        Swapped {
            topic_id: self.topic_id,
            partition: self.partition,
            put_in: out
                .first()
                .map(|base| (*base, self.bytes))
                .into_iter()
                .collect(),
            out,
        }
    }
}

impl Partition {
    /// Whether its segments are still what a swap was made of, and the new one is there.
    pub(super) fn can_swap(&self, swap: &Swap) -> bool {
        let Some((base, _)) = swap.out.first() else {
            return false;
        };
        {
            let state = self.state.read();
            let from = state
                .segments
                .iter()
                .position(|segment| segment.base == *base);
            let (Some(from), false) = (from, state.deleted) else {
                return false;
            };
            let to = from + swap.out.len();
            let same = |(segment, known): (&Segment, &(u64, u64))| {
                (segment.base, segment.generation) == *known
            };
            // The last segment is appended to.
            let found = state.segments.get(from..to).is_some_and(|found| {
                to < state.segments.len() && found.iter().zip(&swap.out).all(same)
            });
            if !found {
                return false;
            }
        }
        let path = format!("{}{CLEANED}", self.path(*base, "log"));
        let len = self
            .storage
            .open(&path, super::storage::Open::Read)
            .and_then(|file| file.len());
        len.is_ok_and(|len| len == swap.bytes)
    }

    /// Does a swap that is durable; again after a crash, or a full disk, in the middle. Returns files that the next
    /// checkpoint no longer names.
    pub(super) fn swap(&self, swapped: &Swapped) -> io::Result<Vec<String>> {
        // After a crash the folder may be that of a later topic of the same name: this one's is deleted, then.
        let ours = self.owns_folder()?;
        // Readers see the old files under the old list or the new ones under the new list: a rename takes some
        // microseconds, and nothing else happens under the lock.
        let mut state = self.state.write();
        let Some(from) = swapped.out.first().and_then(|base| {
            state
                .segments
                .iter()
                .position(|segment| segment.base == *base)
        }) else {
            return Ok(Vec::new());
        };
        let to = from + swapped.out.len();
        let found = state.segments.get(from..to).unwrap_or_default();
        if found.len() != swapped.out.len()
            || !found.iter().map(|segment| &segment.base).eq(&swapped.out)
        {
            return Ok(Vec::new());
        }
        // Of the timestamps a bound is enough: times are looked up from there on, and retention waits a little longer.
        let max = found
            .iter()
            .map(|segment| segment.max)
            .max_by_key(|max| max.0);
        let generation = found.iter().map(|segment| segment.generation).max();
        let put_in = swapped.put_in.iter().map(|(base, bytes)| {
            let mut segment = Segment::new(*base);
            segment.bytes = *bytes;
            segment.max = max.unwrap_or(segment.max);
            segment.generation = generation.unwrap_or(0) + 1;
            segment.complete_at = self.checkpoints.begun.load(Relaxed);
            segment
        });
        let put_in: Vec<Segment> = put_in.collect();
        if ours {
            for segment in &put_in {
                self.put_in_place(segment.base, segment.bytes)?;
            }
        }
        state.segments.splice(from..to, put_in);
        drop(state);
        self.hints.lock().clear();
        let mut garbage = Vec::new();
        for base in &swapped.out {
            self.files.forget(&self.path(*base, ""));
            if ours && !swapped.put_in.iter().any(|(kept, _)| kept == base) {
                garbage.extend(SUFFIXES.map(|suffix| self.path(*base, suffix)));
            }
        }
        Ok(garbage)
    }

    fn put_in_place(&self, base: u64, bytes: u64) -> io::Result<()> {
        for suffix in SUFFIXES {
            let path = self.path(base, suffix);
            let cleaned = format!("{path}{CLEANED}");
            let there = match self.storage.open(&cleaned, super::storage::Open::Read) {
                Ok(file) => suffix != "log" || file.len()? == bytes,
                // Done before.
                Err(error) if error.kind() == io::ErrorKind::NotFound => false,
                Err(error) => return Err(error),
            };
            if there {
                self.storage.rename(&cleaned, &path)?;
            }
        }
        Ok(())
    }

    /// After damage to the journal: a swap may have been done whose entry is lost. Its file tells, because it holds the
    /// offsets of several segments, or has another length than the one that was there.
    pub(super) fn adopt_swapped(&self) -> io::Result<()> {
        let mut index = 0;
        loop {
            let found = {
                let state = self.state.read();
                let pair = state.segments.get(index).zip(state.segments.get(index + 1));
                pair.map(|(segment, _)| (segment.base, segment.bytes))
            };
            let Some((base, bytes)) = found else {
                return Ok(());
            };
            if let Some((len, end)) = self.other_file(base, bytes)? {
                let mut state = self.state.write();
                let to = state
                    .segments
                    .iter()
                    .position(|segment| segment.base == end);
                if let Some(to) = to.filter(|to| *to > index) {
                    let rest = state
                        .segments
                        .drain(index + 1..to)
                        .map(|segment| segment.max);
                    let max = rest.max_by_key(|max| max.0);
                    if let Some(segment) = state.segments.get_mut(index) {
                        segment.bytes = len;
                        segment.max = max
                            .into_iter()
                            .fold(segment.max, |a, b| if b.0 > a.0 { b } else { a });
                    }
                    tracing::warn!(folder = %self.folder, base, "a compacted segment was found that the journal lost");
                }
            }
            index += 1;
        }
    }

    /// If a segment's file is not the one known, and whole: its bytes, and the offset behind it.
    fn other_file(&self, base: u64, bytes: u64) -> io::Result<Option<(u64, u64)>> {
        let file = match self.files.get(&self.path(base, "log")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let len = file.len()?;
        if len == bytes {
            return Ok(None);
        }
        let (mut position, mut expected) = (0, base);
        while position < len {
            let header = header_at(&*file, position, len)?;
            let Some(header) = header.filter(|header| header.base_offset == expected) else {
                return Ok(None);
            };
            if batch_at(&*file, position, &header)?.is_none() {
                return Ok(None);
            }
            position += header.bytes as u64;
            expected = header.next_offset();
        }
        Ok(Some((len, expected)))
    }

    /// Removes what an interrupted compaction left of a segment.
    pub(super) fn remove_cleaned(&self, base: u64) {
        for suffix in SUFFIXES {
            let path = format!("{}{CLEANED}", self.path(base, suffix));
            match self.storage.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    // The next try writes over it, and the next start removes it.
                    tracing::warn!(error = %error, path = %path, "cannot remove a file of compaction");
                }
                _ => {}
            }
        }
    }

    /// Whether a checkpoint covers a segment's file.
    pub(super) fn is_covered(&self, segment: &Segment) -> bool {
        self.checkpoints.finished.load(Ordering::Acquire) > segment.complete_at
    }
}
