//! Reads the journal back after a crash, and tells a torn tail from damage.
//!
//! A frame that is not what must come next is searched past. If a later entry is found, everything before it was
//! durable, because each header names the highest sequence that was: what is missing is damage ([`Found::Lost`]). If
//! none is found, the entry may never have been synced ([`Found::Tail`]); only the segments can tell then.

use super::{
    Position,
    frame::{ALIGNMENT, FRAME_BYTES, FRAME_ROOM_MIN, Frame, align},
    path,
};
use crate::broker::{
    layout::crc,
    storage::{File, Open, Storage, read_full_at},
};
use std::{collections::BTreeMap, io, sync::Arc};

/// The search reads pieces of this size.
const SEARCH_BYTES: usize = 1 << 20;

/// An entry, its batches still on disk.
#[derive(Debug, Clone)]
pub(in crate::broker) struct Entry {
    pub sequence: u64,
    pub kind: u8,
    pub list: Vec<u8>,
    /// Where the payload stands, list included.
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    generation: u64,
    offset: u64,
    len: u64,
}

impl Entry {
    /// Where its frames stand: generation, offset and length of each, header included.
    pub(super) fn frames(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        let header = FRAME_BYTES as u64;
        let pieces = self.pieces.iter();
        pieces.map(move |piece| (piece.generation, piece.offset - header, piece.len + header))
    }
}

/// What stands next in the journal.
#[derive(Debug)]
pub(in crate::broker) enum Found {
    /// A whole entry. Not intact: it was durable, its list is right, and some of its batches are not.
    Entry { entry: Entry, intact: bool },
    /// Entries `from..to` were durable and cannot be read; they took `bytes` of the journal.
    Lost {
        from: u64,
        to: u64,
        bytes: u64,
        known: Option<Entry>,
    },
    /// The end: perhaps behind the remains of an entry whose list can be read. Torn: an entry was begun there, as far
    /// as its header tells.
    Tail { remains: Option<Entry>, torn: bool },
}

/// Walks over the entries that a checkpoint does not cover.
pub(in crate::broker) struct Scanner {
    storage: Arc<dyn Storage>,
    cluster: u128,
    files: BTreeMap<u64, u64>,
    open: Option<(u64, Arc<dyn File>)>,
    generation: u64,
    offset: u64,
    /// `None` behind damage, where nothing is known of the frame before.
    link: Option<u32>,
    sequence: u64,
    done: bool,
}

/// An entry while its frames are gathered.
struct Partial {
    entry: Entry,
    list_len: usize,
    list_crc: u32,
    intact: bool,
}

impl Partial {
    fn list_is_right(&self) -> bool {
        self.entry.list.len() == self.list_len && crc(&self.entry.list) == self.list_crc
    }
}

impl Scanner {
    pub(in crate::broker) fn new(
        storage: Arc<dyn Storage>,
        cluster: u128,
        files: &[(u64, u64)],
        from: Position,
    ) -> Self {
        let mut scanner = Self {
            storage,
            cluster,
            files: files.iter().copied().collect(),
            open: None,
            generation: from.generation,
            offset: from.offset,
            link: Some(from.link),
            sequence: from.sequence,
            done: false,
        };
        scanner.skip_file_end();
        scanner
    }

    /// The last sequence seen, lost ones included.
    pub(in crate::broker) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// What stands next; `None` behind the tail.
    pub(in crate::broker) fn next(&mut self) -> io::Result<Option<Found>> {
        if self.done {
            return Ok(None);
        }
        let mut partial: Option<Partial> = None;
        let mut number = 0;
        loop {
            let start = (self.generation, self.offset);
            let Some((frame, link)) = self.frame_here(number, partial.as_ref())? else {
                return self.search_on(partial).map(Some);
            };
            let payload = self.payload(&frame)?;
            let building = partial.get_or_insert_with(|| Partial::begin(&frame));
            building.add(&frame, start, &payload);
            self.link = Some(link);
            self.offset = align(self.offset + FRAME_BYTES as u64 + u64::from(frame.payload_len));
            self.skip_file_end();
            number += 1;
            if frame.last {
                break;
            }
        }
        partial.map(|partial| self.finish(partial)).transpose()
    }

    fn finish(&mut self, partial: Partial) -> io::Result<Found> {
        let list_is_right = partial.list_is_right();
        let sequence = partial.entry.sequence;
        if partial.intact && list_is_right {
            self.sequence = sequence;
            let entry = partial.entry;
            return Ok(Found::Entry {
                entry,
                intact: true,
            });
        }
        let place = (self.generation, self.offset, self.link);
        self.sequence = sequence;
        let follows = self.frame_here(0, None)?.is_some() || self.search(sequence)?.is_some();
        (self.generation, self.offset, self.link) = place;
        if !follows {
            self.done = true;
            self.sequence = sequence - 1;
            let remains = list_is_right.then_some(partial.entry);
            return Ok(Found::Tail {
                remains,
                torn: true,
            });
        }
        let bytes = partial.entry.pieces.iter().map(|piece| piece.len).sum();
        Ok(if list_is_right {
            Found::Entry {
                entry: partial.entry,
                intact: false,
            }
        } else {
            Found::Lost {
                from: sequence,
                to: sequence + 1,
                bytes,
                known: None,
            }
        })
    }

    /// The frame at this place is not what must come next: looks for the next entry that is.
    fn search_on(&mut self, partial: Option<Partial>) -> io::Result<Found> {
        let wanted = self.sequence + 1;
        let known = partial
            .filter(Partial::list_is_right)
            .map(|partial| partial.entry);
        let start = (self.generation, self.offset);
        let Some((generation, offset, sequence)) = self.search(wanted)? else {
            self.done = true;
            let torn = known.is_some() || self.is_begun(start)?;
            return Ok(Found::Tail {
                remains: known,
                torn,
            });
        };
        let files = self.files.range(start.0..generation).map(|(_, len)| *len);
        let bytes = (files.sum::<u64>() + offset).saturating_sub(start.1);
        (self.generation, self.offset, self.link) = (generation, offset, None);
        self.sequence = sequence - 1;
        Ok(Found::Lost {
            from: wanted,
            to: sequence,
            bytes,
            known: known.filter(|_| sequence == wanted + 1),
        })
    }

    /// Whether an entry was begun here. Anything else that is not zero is what a recycled file held before: pieces of
    /// old entries, which need not begin at a header.
    fn is_begun(&mut self, (generation, offset): (u64, u64)) -> io::Result<bool> {
        let mut header = [0; FRAME_BYTES];
        let Some(file) = self.file(generation)? else {
            return Ok(false);
        };
        let read = read_full_at(&*file, &mut header, offset)?;
        let frame = Frame::decode(&header, self.cluster).filter(|_| read == FRAME_BYTES);
        Ok(frame.is_some_and(|(frame, _)| frame.generation == generation))
    }

    /// The frame here, if it is the one that must come next.
    fn frame_here(
        &mut self,
        number: u32,
        partial: Option<&Partial>,
    ) -> io::Result<Option<(Frame, u32)>> {
        let mut header = [0; FRAME_BYTES];
        let (generation, offset) = (self.generation, self.offset);
        let Some(file) = self.file(generation)? else {
            return Ok(None);
        };
        let len = self.files.get(&generation).copied().unwrap_or(0);
        if read_full_at(&*file, &mut header, offset)? < FRAME_BYTES {
            return Ok(None);
        }
        let wanted = |(frame, _): &(Frame, u32)| {
            frame.generation == generation
                && frame.sequence == self.sequence + 1
                && frame.number == number
                && frame.first == (number == 0)
                && self.link.is_none_or(|link| link == frame.link)
                && partial.is_none_or(|partial| partial.entry.kind == frame.kind)
                && offset + FRAME_BYTES as u64 + u64::from(frame.payload_len) <= len
        };
        Ok(Frame::decode(&header, self.cluster).filter(wanted))
    }

    fn payload(&mut self, frame: &Frame) -> io::Result<Payload> {
        let offset = self.offset + FRAME_BYTES as u64;
        let Some(file) = self.file(frame.generation)? else {
            return Ok(Payload {
                bytes: Vec::new(),
                intact: false,
            });
        };
        let mut bytes = vec![0; usize::try_from(frame.payload_len).unwrap_or(0)];
        let read = read_full_at(&*file, &mut bytes, offset)?;
        let intact = read == bytes.len() && crc(&bytes) == frame.payload_crc;
        Ok(Payload { bytes, intact })
    }

    /// The next place, from here on, that holds the first frame of an entry after `sequence`.
    fn search(&mut self, sequence: u64) -> io::Result<Option<(u64, u64, u64)>> {
        let files: Vec<(u64, u64)> = self
            .files
            .range(self.generation..)
            .map(|(generation, len)| (*generation, *len))
            .collect();
        let mut offset = self.offset;
        for (generation, len) in files {
            if let Some((at, found)) = self.search_file(generation, offset, len, sequence)? {
                return Ok(Some((generation, at, found)));
            }
            offset = 0;
        }
        Ok(None)
    }

    fn search_file(
        &mut self,
        generation: u64,
        from: u64,
        len: u64,
        sequence: u64,
    ) -> io::Result<Option<(u64, u64)>> {
        let Some(file) = self.file(generation)? else {
            return Ok(None);
        };
        let mut buffer = vec![0; SEARCH_BYTES];
        let mut offset = from;
        while offset < len {
            let read = read_full_at(&*file, &mut buffer, offset)?;
            let whole = buffer.get(..read).unwrap_or_default();
            for (index, header) in whole.chunks_exact(FRAME_BYTES).enumerate() {
                let frame = Frame::decode(header, self.cluster).map(|(frame, _)| frame);
                let later = |frame: &Frame| {
                    frame.generation == generation && frame.first && frame.durable >= sequence
                };
                if let Some(frame) = frame.filter(later) {
                    return Ok(Some((offset + index as u64 * ALIGNMENT, frame.sequence)));
                }
            }
            if read < SEARCH_BYTES {
                break;
            }
            offset += read as u64;
        }
        Ok(None)
    }

    /// Where too little is left of a file for a frame, the writer went on in the next one.
    fn skip_file_end(&mut self) {
        let len = self
            .files
            .get(&self.generation)
            .copied()
            .unwrap_or(u64::MAX);
        if len.saturating_sub(self.offset) < FRAME_ROOM_MIN {
            self.generation += 1;
            self.offset = 0;
        }
    }

    fn file(&mut self, generation: u64) -> io::Result<Option<Arc<dyn File>>> {
        if let Some((open, file)) = &self.open
            && *open == generation
        {
            return Ok(Some(Arc::clone(file)));
        }
        if !self.files.contains_key(&generation) {
            return Ok(None);
        }
        let file = self.storage.open(&path(generation), Open::Read)?;
        self.open = Some((generation, Arc::clone(&file)));
        Ok(Some(file))
    }

    /// Reads `len` bytes behind the list, `at` bytes into the batches; `None` if they were not all there.
    pub(in crate::broker) fn body(
        &mut self,
        entry: &Entry,
        at: u64,
        len: usize,
    ) -> io::Result<Option<Vec<u8>>> {
        let mut skip = entry.list.len() as u64 + at;
        let mut bytes = vec![0; len];
        let mut done = 0;
        for piece in &entry.pieces {
            if skip >= piece.len {
                skip -= piece.len;
                continue;
            }
            let Some(file) = self.file(piece.generation)? else {
                return Ok(None);
            };
            let rest = bytes.get_mut(done..).unwrap_or_default();
            let here = usize::try_from(piece.len - skip)
                .unwrap_or(usize::MAX)
                .min(rest.len());
            let target = rest.get_mut(..here).unwrap_or_default();
            if read_full_at(&*file, target, piece.offset + skip)? < here {
                return Ok(None);
            }
            done += here;
            skip = 0;
            if done == len {
                break;
            }
        }
        Ok((done == len).then_some(bytes))
    }
}

/// One frame's payload.
struct Payload {
    bytes: Vec<u8>,
    intact: bool,
}

impl Partial {
    fn begin(frame: &Frame) -> Self {
        Self {
            entry: Entry {
                sequence: frame.sequence,
                kind: frame.kind,
                list: Vec::new(),
                pieces: Vec::new(),
            },
            list_len: usize::try_from(frame.list_len).unwrap_or(usize::MAX),
            list_crc: frame.list_crc,
            intact: true,
        }
    }

    fn add(&mut self, frame: &Frame, (generation, offset): (u64, u64), payload: &Payload) {
        let missing = self.list_len.saturating_sub(self.entry.list.len());
        let list = payload.bytes.get(..missing.min(payload.bytes.len()));
        self.entry.list.extend_from_slice(list.unwrap_or_default());
        self.intact &= payload.intact;
        self.entry.pieces.push(Piece {
            generation,
            offset: offset + FRAME_BYTES as u64,
            len: frame.payload_len.into(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{Found, Position, Scanner};
    use crate::broker::{
        journal::{
            frame::{FRAME_BYTES, Frame},
            path,
        },
        storage::{Disk, Open, Storage, write_all_at},
    };
    use std::sync::Arc;

    const CLUSTER: u128 = 7;
    const GENERATION: u64 = 3;

    /// What a scan finds at the beginning of a journal file with these bytes.
    fn found(bytes: &[u8]) -> Found {
        let folder = tempfile::tempdir().expect("a folder");
        let storage: Arc<dyn Storage> = Arc::new(Disk::open(folder.path()).expect("opens"));
        storage.create_dir("journal").expect("made");
        let file = storage
            .open(&path(GENERATION), Open::Create)
            .expect("created");
        write_all_at(&*file, &[bytes], 0).expect("written");
        let from = Position {
            generation: GENERATION,
            offset: 0,
            link: 0,
            sequence: 41,
        };
        let files = [(GENERATION, bytes.len() as u64)];
        let mut scanner = Scanner::new(storage, CLUSTER, &files, from);
        scanner.next().expect("readable").expect("an end")
    }

    fn header(generation: u64) -> Vec<u8> {
        let frame = Frame {
            kind: 1,
            first: true,
            last: true,
            payload_len: 1_000,
            generation,
            sequence: 42,
            durable: 41,
            list_len: 100,
            list_crc: 1,
            payload_crc: 1,
            link: 0,
            number: 0,
        };
        frame.encode(CLUSTER).0
    }

    #[test]
    fn what_a_recycled_file_held_before_is_no_torn_entry() {
        let torn = |bytes: &[u8]| match found(bytes) {
            Found::Tail {
                remains: None,
                torn,
            } => torn,
            other => panic!("{other:?}"),
        };
        let mut old = header(GENERATION - 1);
        old.resize(4_096, b'x');
        assert!(!torn(&[0; 4_096]), "never written");
        assert!(!torn(&old), "an old entry");
        assert!(!torn(&old[FRAME_BYTES..]), "the midst of an old entry");
        let mut begun = header(GENERATION);
        begun.resize(4_096, 0);
        assert!(torn(&begun), "an entry without its payload");
    }
}
