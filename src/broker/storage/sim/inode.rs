//! One simulated file: what a reader sees, what the platter holds, and the changes between the two.

use fastrand::Rng;
use std::collections::{BTreeMap, BTreeSet};

/// Space is given out in blocks of this size.
pub(super) const BLOCK_BYTES: u64 = 4 << 10;

/// A change that no sync has covered.
#[derive(Debug, Clone)]
enum Change {
    Write { at: u64, bytes: Vec<u8> },
    Length(u64),
}

/// A file, named or not.
#[derive(Debug, Clone, Default)]
pub(super) struct Inode {
    /// What reads return: the page cache.
    cached: Vec<u8>,
    /// What a power cut leaves for sure.
    durable: Vec<u8>,
    /// In order, since the last sync.
    changes: Vec<Change>,
    /// The blocks it occupies. Holes occupy none.
    blocks: BTreeSet<u64>,
}

impl Inode {
    pub(super) fn cached(&self) -> &[u8] {
        &self.cached
    }

    pub(super) fn is_dirty(&self) -> bool {
        !self.changes.is_empty()
    }

    pub(super) fn allocated(&self) -> u64 {
        self.blocks.len() as u64 * BLOCK_BYTES
    }

    /// Blocks of the range that it does not occupy yet.
    pub(super) fn missing(&self, at: u64, len: u64) -> Vec<u64> {
        let range = at / BLOCK_BYTES..(at + len).div_ceil(BLOCK_BYTES);
        range.filter(|block| !self.blocks.contains(block)).collect()
    }

    pub(super) fn occupy(&mut self, blocks: impl IntoIterator<Item = u64>) {
        self.blocks.extend(blocks);
    }

    pub(super) fn write(&mut self, at: u64, bytes: &[u8]) {
        put(&mut self.cached, at, bytes);
        let bytes = bytes.to_vec();
        self.changes.push(Change::Write { at, bytes });
    }

    pub(super) fn set_len(&mut self, len: u64) {
        self.cached.resize(size(len), 0);
        self.blocks.retain(|block| block * BLOCK_BYTES < len);
        self.changes.push(Change::Length(len));
    }

    pub(super) fn sync(&mut self) {
        for change in self.changes.drain(..) {
            match change {
                Change::Write { at, bytes } => put(&mut self.durable, at, &bytes),
                Change::Length(len) => self.durable.resize(size(len), 0),
            }
        }
    }

    /// A sync that failed: some sectors reached the platter, the rest never will, though readers still see them and
    /// a later sync reports success. That is what Linux does.
    pub(super) fn fail_sync(&mut self, random: &mut Rng) {
        self.durable = self.survivors(random);
        self.changes.clear();
    }

    /// The power is gone: the cache is lost.
    pub(super) fn cut(&mut self, random: &mut Rng) {
        self.durable = self.survivors(random);
        self.lose_unsynced();
    }

    pub(super) fn lose_unsynced(&mut self) {
        self.changes.clear();
        self.cached.clone_from(&self.durable);
        let len = self.cached.len() as u64;
        self.blocks = (0..len.div_ceil(BLOCK_BYTES)).collect();
    }

    /// What the platter may hold: of each sector any version since the last sync, and any of the lengths.
    fn survivors(&self, random: &mut Rng) -> Vec<u8> {
        let fate = Fate::draw(random);
        let kept_lengths = fate.prefix(self.changes.len(), random);
        let versions = self.versions(&fate, random);
        let mut seen: BTreeMap<u64, usize> = BTreeMap::new();
        let mut data = self.durable.clone();
        let mut len = data.len() as u64;
        for (index, change) in self.changes.iter().enumerate() {
            match change {
                Change::Length(to) if index < kept_lengths => {
                    data.resize(size(*to), 0);
                    len = *to;
                }
                Change::Length(_) => {}
                Change::Write { at, bytes } => {
                    for (sector, from, piece) in pieces(*at, bytes, fate.sector_bytes) {
                        let version = seen.entry(sector).or_default();
                        *version += 1;
                        if *version <= versions.get(&sector).copied().unwrap_or(0) {
                            put(&mut data, from, piece);
                        }
                    }
                    if index < kept_lengths {
                        len = len.max(at + bytes.len() as u64);
                    }
                }
            }
        }
        data.resize(size(len), 0);
        data
    }

    /// For each sector written since the last sync, how many of the writes to it survive.
    fn versions(&self, fate: &Fate, random: &mut Rng) -> BTreeMap<u64, usize> {
        let mut versions: BTreeMap<u64, usize> = BTreeMap::new();
        for change in &self.changes {
            if let Change::Write { at, bytes } = change {
                for (sector, ..) in pieces(*at, bytes, fate.sector_bytes) {
                    *versions.entry(sector).or_default() += 1;
                }
            }
        }
        for count in versions.values_mut() {
            *count = fate.prefix(*count, random);
        }
        versions
    }

    /// Damage, at once in the cache and on the platter.
    pub(super) fn damage(&mut self, change: impl Fn(&mut Vec<u8>)) {
        self.sync();
        change(&mut self.durable);
        self.cached.clone_from(&self.durable);
    }
}

/// How one file fares in one power cut.
struct Fate {
    /// What the disk writes as a whole.
    sector_bytes: u64,
    mood: Mood,
}

enum Mood {
    AllKept,
    AllLost,
    Mixed,
}

impl Fate {
    fn draw(random: &mut Rng) -> Self {
        Self {
            sector_bytes: if random.bool() { 512 } else { 4 << 10 },
            mood: match random.u8(..6) {
                0 => Mood::AllKept,
                1 => Mood::AllLost,
                _ => Mood::Mixed,
            },
        }
    }

    /// How many of `count` changes in order survive.
    fn prefix(&self, count: usize, random: &mut Rng) -> usize {
        match self.mood {
            Mood::AllKept => count,
            Mood::AllLost => 0,
            Mood::Mixed => random.usize(..=count),
        }
    }
}

/// Cuts a write at sector borders: sector, first byte, bytes.
fn pieces(at: u64, bytes: &[u8], sector_bytes: u64) -> Vec<(u64, u64, &[u8])> {
    let mut pieces = Vec::new();
    let (mut from, mut rest) = (at, bytes);
    while !rest.is_empty() {
        let room = size(sector_bytes - from % sector_bytes).min(rest.len());
        let (piece, after) = rest.split_at(room);
        pieces.push((from / sector_bytes, from, piece));
        from += room as u64;
        rest = after;
    }
    pieces
}

fn put(data: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let end = size(at) + bytes.len();
    if data.len() < end {
        data.resize(end, 0);
    }
    data[size(at)..end].copy_from_slice(bytes);
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a simulated file fits in memory")
}
