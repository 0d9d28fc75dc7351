//! The journal: one log of operations for all partitions, where a commit becomes durable.
//!
//! Owns the files `journal/<generation>.journal`: making them full of zeros (a sync of a file that was written before
//! changes no metadata and is twice as fast), filling them with entries, and giving them a new generation once a
//! checkpoint covers them. Knows batches only as bytes; [`scan`] reads the files back after a crash.

mod entry;
mod frame;
mod harden;
mod scan;

pub(super) use entry::{Created, Item, Operation, Swapped};
pub(super) use harden::harden;
pub(super) use scan::{Entry, Found, Scanner};

use super::{
    error,
    layout::{crc, crc_parts},
    stats::Stats,
    storage::{File, Open, Storage, write_all_at},
};
use frame::{FRAME_BYTES, FRAME_ROOM_MIN, Frame, align};
use std::{
    collections::VecDeque,
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
};

pub(super) const FOLDER: &str = "journal";
const SUFFIX: &str = ".journal";
const NEW_FILE: &str = "journal/new.tmp";

/// Empty files kept at hand: one to go on with while a checkpoint runs, and one more for a burst.
const SPARES_MAX: usize = 2;

/// Zeros are written in pieces of this size.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Why an entry was not written.
#[derive(Debug)]
pub(super) enum Failure {
    /// The disk is full; the same again later.
    Full,
    /// Nothing is known about what is durable: the log must stop (I7).
    Broken(String),
}

impl Failure {
    pub(super) fn of(what: &str, error: &io::Error) -> Self {
        if error::is_full(error) {
            Self::Full
        } else {
            Self::Broken(format!("cannot {what}: {error}"))
        }
    }
}

/// Where the next frame goes, and what leads to it: the place from which a recovery reads on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub generation: u64,
    pub offset: u64,
    pub link: u32,
    /// The last entry's sequence.
    pub sequence: u64,
}

struct Slot {
    generation: u64,
    file: Option<Arc<dyn File>>,
    bytes: u64,
    /// The newest entry with a frame in this file.
    sequence: u64,
}

/// A place to write to: index into the files, offset, link.
#[derive(Clone, Copy)]
struct Cursor {
    index: usize,
    offset: u64,
    link: u32,
}

/// The writing side.
pub(super) struct Journal {
    storage: Arc<dyn Storage>,
    stats: Arc<Stats>,
    cluster: u128,
    file_bytes: u64,
    /// By generation: files that no checkpoint covers yet, the current one, empty ones.
    files: VecDeque<Slot>,
    /// `None` until the first entry: a log that only serves makes no journal file.
    cursor: Option<Cursor>,
    sequence: u64,
    /// The generation that the first entry goes to.
    first_generation: u64,
    next_generation: u64,
}

/// What a recovery found out, to go on from.
pub(super) struct Resume {
    /// The last entry's sequence, damaged ones included.
    pub sequence: u64,
    /// Above that of every file there ever was.
    pub next_generation: u64,
    /// Generation and length of the files there are; covered once a checkpoint is made.
    pub old: Vec<(u64, u64)>,
}

impl Journal {
    /// Goes on behind a recovery: under a new generation, so that nothing a crash left behind can match.
    pub(super) fn resume(
        storage: Arc<dyn Storage>,
        stats: Arc<Stats>,
        cluster: u128,
        file_bytes: u64,
        at: Resume,
    ) -> Self {
        let files = at.old.into_iter().map(|(generation, bytes)| Slot {
            generation,
            file: None,
            bytes,
            sequence: at.sequence,
        });
        Self {
            storage,
            stats,
            cluster,
            file_bytes,
            files: files.collect(),
            cursor: None,
            sequence: at.sequence,
            first_generation: at.next_generation,
            next_generation: at.next_generation,
        }
    }

    /// Where a recovery would read on if everything so far were covered.
    pub(super) fn position(&self) -> Position {
        let current = self.cursor.and_then(|cursor| {
            let slot = self.files.get(cursor.index)?;
            Some((slot.generation, cursor.offset, cursor.link))
        });
        let (generation, offset, link) = current.unwrap_or((self.first_generation, 0, 0));
        Position {
            generation,
            offset,
            link,
            sequence: self.sequence,
        }
    }

    pub(super) fn next_generation(&self) -> u64 {
        self.next_generation
    }

    /// Makes an entry durable and returns its sequence. After [`Failure::Full`] nothing has changed.
    pub(super) fn write(
        &mut self,
        kind: u8,
        list: &[u8],
        bodies: &[&[u8]],
    ) -> Result<u64, Failure> {
        let mut cursor = match self.cursor {
            Some(cursor) => cursor,
            None => self.first_cursor()?,
        };
        let sequence = self.sequence + 1;
        let mut payload = Payload::new(list, bodies);
        let mut touched: Vec<(usize, Arc<dyn File>)> = Vec::new();
        let mut number = 0;
        let started = (cursor.index, cursor.offset);
        loop {
            cursor = self.with_room(cursor)?;
            let (generation, bytes, file) = self.open(cursor.index)?;
            let room = bytes - cursor.offset - FRAME_BYTES as u64;
            let (parts, len) = payload.take(usize::try_from(room).unwrap_or(usize::MAX));
            let frame = Frame {
                kind,
                first: number == 0,
                last: payload.is_done(),
                payload_len: u32::try_from(len).unwrap_or(u32::MAX),
                generation,
                sequence,
                durable: self.sequence,
                list_len: if number == 0 { len_u32(list.len()) } else { 0 },
                list_crc: if number == 0 { crc(list) } else { 0 },
                payload_crc: crc_parts(parts.iter().copied()),
                link: cursor.link,
                number,
            };
            let (header, link) = frame.encode(self.cluster);
            let mut all = Vec::with_capacity(parts.len() + 1);
            all.push(&header[..]);
            all.extend_from_slice(&parts);
            write_all_at(&*file, &all, cursor.offset)
                .map_err(|error| Failure::of("write the journal", &error))?;
            if touched
                .last()
                .is_none_or(|(index, _)| *index != cursor.index)
            {
                touched.push((cursor.index, file));
            }
            cursor.link = link;
            cursor.offset = align(cursor.offset + (FRAME_BYTES + len) as u64);
            number += 1;
            if frame.last {
                break;
            }
        }
        self.sync(&touched)?;
        self.commit(sequence, cursor, started, &touched);
        Ok(sequence)
    }

    fn sync(&self, touched: &[(usize, Arc<dyn File>)]) -> Result<(), Failure> {
        for (_, file) in touched {
            let before = self.storage.monotonic();
            // I7: any failed sync, also for a full disk, leaves unknown what is durable. It is never tried again.
            file.sync_data()
                .map_err(|error| broken_sync("the journal", &error))?;
            self.stats
                .synced(self.storage.monotonic().saturating_sub(before));
        }
        Ok(())
    }

    fn commit(
        &mut self,
        sequence: u64,
        cursor: Cursor,
        started: (usize, u64),
        touched: &[(usize, Arc<dyn File>)],
    ) {
        for (index, _) in touched {
            if let Some(slot) = self.files.get_mut(*index) {
                slot.sequence = sequence;
                if *index < cursor.index {
                    slot.file = None;
                }
            }
        }
        let (index, offset) = started;
        let whole_files = (cursor.index - index) as u64 * self.file_bytes;
        let bytes = (whole_files + cursor.offset).saturating_sub(offset);
        self.stats.journal_bytes.fetch_add(bytes, Relaxed);
        self.stats.entries.fetch_add(1, Relaxed);
        self.sequence = sequence;
        self.cursor = Some(cursor);
    }

    fn first_cursor(&mut self) -> Result<Cursor, Failure> {
        let empty = self.empty_from();
        let index = if empty < self.files.len() {
            empty
        } else {
            self.add_file()?
        };
        Ok(Cursor {
            index,
            offset: 0,
            link: 0,
        })
    }

    /// Before the first entry: how many files stand before those that are ours to write.
    fn empty_from(&self) -> usize {
        self.files
            .iter()
            .take_while(|slot| slot.generation < self.first_generation)
            .count()
    }

    /// Moves to the next file where too little is left of this one.
    fn with_room(&mut self, cursor: Cursor) -> Result<Cursor, Failure> {
        let bytes = self.files.get(cursor.index).map_or(0, |slot| slot.bytes);
        if bytes.saturating_sub(cursor.offset) >= FRAME_ROOM_MIN {
            return Ok(cursor);
        }
        let index = cursor.index + 1;
        if index >= self.files.len() {
            self.add_file()?;
        }
        Ok(Cursor {
            index,
            offset: 0,
            link: cursor.link,
        })
    }

    fn open(&mut self, index: usize) -> Result<(u64, u64, Arc<dyn File>), Failure> {
        let slot = self
            .files
            .get_mut(index)
            .ok_or_else(|| Failure::Broken("a journal file is missing".into()))?;
        let file = match &slot.file {
            Some(file) => Arc::clone(file),
            None => {
                let file = self
                    .storage
                    .open(&path(slot.generation), Open::Write)
                    .map_err(|error| Failure::of("open a journal file", &error))?;
                slot.file = Some(Arc::clone(&file));
                file
            }
        };
        Ok((slot.generation, slot.bytes, file))
    }

    /// Makes one more empty file, in place only when it is whole.
    fn add_file(&mut self) -> Result<usize, Failure> {
        let file = self.make_file(self.next_generation).inspect_err(|_| {
            // What was written so far would keep a full disk full. If it cannot be removed now, the next try writes
            // over it.
            drop(self.storage.remove(NEW_FILE));
        })?;
        self.files.push_back(Slot {
            generation: self.next_generation,
            file: Some(file),
            bytes: self.file_bytes,
            sequence: 0,
        });
        self.next_generation += 1;
        Ok(self.files.len() - 1)
    }

    fn make_file(&self, generation: u64) -> Result<Arc<dyn File>, Failure> {
        let failed = |error: io::Error| Failure::of("make a journal file", &error);
        let file = self.storage.open(NEW_FILE, Open::Create).map_err(failed)?;
        file.set_len(0).map_err(failed)?;
        file.allocate(0, self.file_bytes).map_err(failed)?;
        // The very first file is only reserved: a new worker is to take its first record at once, and the file is
        // zeroed by being used.
        let mut offset = if generation == FIRST_GENERATION {
            self.file_bytes
        } else {
            0
        };
        while offset < self.file_bytes {
            let len = (self.file_bytes - offset).min(ZEROS.len() as u64);
            let zeros = usize::try_from(len).ok().and_then(|len| ZEROS.get(..len));
            write_all_at(&*file, &[zeros.unwrap_or_default()], offset).map_err(failed)?;
            offset += len;
        }
        file.sync_data()
            .map_err(|error| broken_sync("a new journal file", &error))?;
        self.storage
            .rename(NEW_FILE, &path(generation))
            .map_err(failed)?;
        self.sync_folder()?;
        Ok(file)
    }

    fn sync_folder(&self) -> Result<(), Failure> {
        self.storage
            .sync_dir(FOLDER)
            .map_err(|error| broken_sync("the journal's folder", &error))
    }

    /// Gives files whose entries are all covered a new generation, so that they are written again, or removes them.
    pub(super) fn recycle(&mut self, covered: Position) -> Result<(), Failure> {
        let mut old = self
            .cursor
            .map_or_else(|| self.empty_from(), |cursor| cursor.index);
        let mut changed = false;
        while old > 0
            && let Some(slot) = self.files.front()
            && slot.sequence <= covered.sequence
            && slot.generation < covered.generation
        {
            match self.recycle_first(old) {
                Ok(()) => {}
                // The next checkpoint tries again.
                Err(Failure::Full) => break,
                Err(failure) => return Err(failure),
            }
            old -= 1;
            changed = true;
        }
        if changed { self.sync_folder() } else { Ok(()) }
    }

    fn recycle_first(&mut self, old: usize) -> Result<(), Failure> {
        let Some(slot) = self.files.front() else {
            return Ok(());
        };
        let spares = self.files.len() - old - usize::from(self.cursor.is_some());
        let name = path(slot.generation);
        if spares < SPARES_MAX && slot.bytes == self.file_bytes {
            self.storage
                .rename(&name, &path(self.next_generation))
                .map_err(|error| Failure::of("recycle a journal file", &error))?;
            self.files.push_back(Slot {
                generation: self.next_generation,
                file: None,
                bytes: self.file_bytes,
                sequence: 0,
            });
            self.next_generation += 1;
        } else {
            self.storage
                .remove(&name)
                .map_err(|error| Failure::of("remove a journal file", &error))?;
        }
        self.files.pop_front();
        if let Some(cursor) = &mut self.cursor {
            cursor.index -= 1;
        }
        Ok(())
    }
}

/// The parts of an entry, handed out in pieces as files have room.
struct Payload<'a> {
    parts: Vec<&'a [u8]>,
    next: usize,
}

impl<'a> Payload<'a> {
    fn new(list: &'a [u8], bodies: &[&'a [u8]]) -> Self {
        let parts = std::iter::once(list).chain(bodies.iter().copied());
        Self {
            parts: parts.filter(|part| !part.is_empty()).collect(),
            next: 0,
        }
    }

    fn is_done(&self) -> bool {
        self.next >= self.parts.len()
    }

    /// The next bytes, `room` at most, and how many.
    fn take(&mut self, room: usize) -> (Vec<&'a [u8]>, usize) {
        let mut taken = Vec::new();
        let mut len = 0;
        while len < room
            && let Some(part) = self.parts.get_mut(self.next)
        {
            let (head, tail) = part.split_at(part.len().min(room - len));
            taken.push(head);
            len += head.len();
            *part = tail;
            if tail.is_empty() {
                self.next += 1;
            }
        }
        (taken, len)
    }
}

/// The generation of the first file of a new log.
const FIRST_GENERATION: u64 = 1;

fn broken_sync(what: &str, error: &io::Error) -> Failure {
    Failure::Broken(format!("sync of {what} failed: {error}"))
}

fn path(generation: u64) -> String {
    format!("{FOLDER}/{generation:020}{SUFFIX}")
}

/// Generation and length of the journal files there are, by generation.
pub(super) fn files(storage: &dyn Storage) -> io::Result<Vec<(u64, u64)>> {
    let mut files = Vec::new();
    for entry in storage.list(FOLDER)? {
        let generation = entry
            .name
            .strip_suffix(SUFFIX)
            .and_then(|name| name.parse().ok());
        if let Some(generation) = generation {
            let bytes = storage.open(&path(generation), Open::Read)?.len()?;
            files.push((generation, bytes));
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn len_u32(len: usize) -> u32 {
    u32::try_from(len).expect("invariant: a commit group is bounded")
}
