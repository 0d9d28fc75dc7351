//! Which records of a key are still needed: the last one, and what it builds upon.
//!
//! A record with unavailable fields ([`UNAVAILABLE`]) says nothing about them: its reader takes them from an earlier
//! record of the key. So below such a record stays the newest one that has what it lacks, and so on down to a record
//! that has everything. A change of the key moves a row: where the record that arrives lacks something, the sink takes
//! it from the row under the old key, so all records of that one stay.
//!
//! Keys are known by 128 bits of a hash whose secret is new with every pass, so that nobody can choose two keys that are
//! taken for one. Memory is bounded: a map that is full tells how far it has come, and the next pass goes on there.

use crate::broker::batch::Headers;
use hashbrown::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

/// The header that names a record's unavailable fields: paths, a comma between paths, a dot between names; a comma,
/// dot or backslash in a name is preceded by a backslash. Written by the converter.
const UNAVAILABLE: &str = "__tapline.unavailable";

/// The header on the delete of a key change: the row goes to another key.
const LEAVES: &str = "__debezium.newkey";

/// The header on the record that follows under the new key.
const ARRIVES: &str = "__debezium.oldkey";

/// What an entry of the map takes: key and value, and the room that hash tables leave free.
const ENTRY_BYTES: usize = 48;

/// What a part of a chain takes besides the names of its fields.
const PART_BYTES: usize = 64;

/// What a record says about those that it builds upon.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Marks<'a> {
    /// What it lacks.
    unavailable: Option<&'a [u8]>,
    leaves: bool,
    arrives: bool,
}

/// The records of some offsets that are still needed.
pub(super) struct Latest {
    hashers: [RandomState; 2],
    newest: HashMap<u128, u64>,
    /// Of keys whose newest record lacks something.
    chains: HashMap<u128, Chain>,
    /// The key of the last record whose row goes to another key.
    leaving: Option<u128>,
    /// Keys of which everything is needed.
    pinned: HashSet<u128>,
    part_bytes: usize,
    limit: usize,
}

/// A record that others build upon, or that builds upon others.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    offset: u64,
    /// What it lacks.
    fields: Vec<Box<[u8]>>,
}

/// What of a key is needed, oldest first.
#[derive(Debug, Default)]
struct Chain {
    parts: Vec<Part>,
    /// Whether something is still missing: all of what is older is needed.
    open: bool,
    /// Of an open chain: parts found below the offsets of the map.
    older: Vec<Part>,
    /// The row came from another key: by which record, and from which key.
    arrival: Option<(u64, u128)>,
}

impl<'a> Marks<'a> {
    pub(super) fn of(headers: &Headers<'a>) -> Self {
        Self {
            unavailable: headers.get(UNAVAILABLE).flatten(),
            leaves: headers.get(LEAVES).is_some(),
            arrives: headers.get(ARRIVES).is_some(),
        }
    }
}

impl Latest {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            hashers: [RandomState::new(), RandomState::new()],
            newest: HashMap::new(),
            chains: HashMap::new(),
            leaving: None,
            pinned: HashSet::new(),
            part_bytes: 0,
            limit,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.newest.len() * ENTRY_BYTES + self.part_bytes >= self.limit
    }

    /// The next record of a key.
    pub(super) fn add(&mut self, key: &[u8], offset: u64, marks: Marks<'_>) {
        let key = self.hash(key);
        let before = self.newest.insert(key, offset);
        if marks.leaves {
            self.leaving = Some(key);
        }
        let Some(unavailable) = marks.unavailable else {
            if let Some(chain) = self.chains.remove(&key) {
                self.part_bytes -= bytes_of(&chain.parts);
            }
            return;
        };
        let known = self
            .chains
            .get(&key)
            .map_or(0, |chain| bytes_of(&chain.parts));
        let chain = self.chains.entry(key).or_insert_with(|| Chain {
            // Without a chain, the record before has everything.
            parts: before.into_iter().map(Part::full).collect(),
            ..Chain::default()
        });
        if marks.arrives {
            // What this key had before is another row's.
            chain.parts.clear();
            chain.arrival = self.leaving.take().map(|from| (offset, from));
        }
        chain.parts.push(Part::of(offset, unavailable));
        chain.open = prune(&mut chain.parts) && chain.arrival.is_none();
        self.part_bytes = self.part_bytes + bytes_of(&chain.parts) - known;
    }

    /// All records of the map were added: what arrived and is needed keeps the key that it came from.
    pub(super) fn pin(&mut self) {
        let pinned = self.chains.values().filter_map(|chain| {
            let (offset, from) = chain.arrival?;
            let is_needed = chain.parts.iter().any(|part| part.offset == offset);
            is_needed.then_some(from)
        });
        self.pinned = pinned.collect();
    }

    /// Whether records below those of the map are needed that nobody has looked for yet.
    pub(super) fn is_open(&self) -> bool {
        self.chains.values().any(|chain| chain.open)
    }

    /// A record below those of the map, in their order. Beyond the limit chains stay open, which keeps more than is
    /// needed, and never less.
    pub(super) fn add_older(&mut self, key: &[u8], offset: u64, marks: Marks<'_>) {
        let key = self.hash(key);
        let Some(chain) = self.chains.get_mut(&key).filter(|chain| chain.open) else {
            return;
        };
        let known = bytes_of(&chain.older);
        match marks.unavailable {
            None => chain.older = vec![Part::full(offset)],
            Some(unavailable) => {
                chain.older.push(Part::of(offset, unavailable));
                prune(&mut chain.older);
            }
        }
        self.part_bytes = self.part_bytes + bytes_of(&chain.older) - known;
    }

    /// All records below were looked at, if there was memory for it.
    pub(super) fn close(&mut self) {
        if self.part_bytes > self.limit.saturating_mul(2) {
            return;
        }
        for chain in self.chains.values_mut().filter(|chain| chain.open) {
            let newer = std::mem::replace(&mut chain.parts, std::mem::take(&mut chain.older));
            chain.parts.extend(newer);
            prune(&mut chain.parts);
            chain.open = false;
        }
    }

    /// Whether a record is needed, as far as the map knows.
    pub(super) fn needs(&self, key: &[u8], offset: u64) -> bool {
        let key = self.hash(key);
        let Some(newest) = self.newest.get(&key) else {
            return true;
        };
        if offset >= *newest || self.pinned.contains(&key) {
            return true;
        }
        self.chains.get(&key).is_some_and(|chain| {
            let below = chain
                .parts
                .first()
                .is_none_or(|first| offset < first.offset);
            (chain.open && below) || chain.parts.iter().any(|part| part.offset == offset)
        })
    }

    fn hash(&self, key: &[u8]) -> u128 {
        let [high, low] = self.hashers.each_ref().map(|hasher| hasher.hash_one(key));
        u128::from(high) << 64 | u128::from(low)
    }
}

impl Part {
    fn full(offset: u64) -> Self {
        Self {
            offset,
            fields: Vec::new(),
        }
    }

    fn of(offset: u64, unavailable: &[u8]) -> Self {
        let mut fields = Vec::new();
        let mut field = Vec::new();
        let mut escaped = false;
        for byte in unavailable {
            if *byte == b',' && !escaped {
                fields.push(std::mem::take(&mut field).into_boxed_slice());
                continue;
            }
            escaped = *byte == b'\\' && !escaped;
            field.push(*byte);
        }
        fields.push(field.into_boxed_slice());
        Self { offset, fields }
    }
}

fn bytes_of(parts: &[Part]) -> usize {
    let bytes = |part: &Part| {
        let fields = part.fields.iter().map(|field| field.len() + 16);
        PART_BYTES + fields.sum::<usize>()
    };
    parts.iter().map(bytes).sum()
}

/// Drops parts that give nothing which a newer one lacks; returns whether something is missing then.
fn prune(parts: &mut Vec<Part>) -> bool {
    let Some(newest) = parts.last() else {
        return false;
    };
    let mut missing = newest.fields.clone();
    let mut needed = vec![newest.offset];
    for part in parts.iter().rev().skip(1) {
        if missing.is_empty() {
            break;
        }
        let gives = |field: &[u8]| !part.fields.iter().any(|lacks| is_within(field, lacks));
        if missing.iter().any(|field| gives(field)) {
            needed.push(part.offset);
        }
        missing.retain(|field| {
            let touches = |lacks: &[u8]| is_within(field, lacks) || is_within(lacks, field);
            part.fields.iter().any(|lacks| touches(lacks))
        });
    }
    parts.retain(|part| needed.contains(&part.offset));
    !missing.is_empty()
}

/// Whether a path is another one, or leads on from it.
fn is_within(path: &[u8], above: &[u8]) -> bool {
    path.strip_prefix(above)
        .is_some_and(|rest| rest.first().is_none_or(|next| *next == b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacks(unavailable: Option<&str>) -> Marks<'_> {
        Marks {
            unavailable: unavailable.map(str::as_bytes),
            ..Marks::default()
        }
    }

    fn map(records: &[(&str, u64, Option<&str>)]) -> Latest {
        let mut latest = Latest::new(1 << 20);
        for (key, offset, unavailable) in records {
            latest.add(key.as_bytes(), *offset, lacks(*unavailable));
        }
        latest
    }

    fn needed(latest: &Latest, key: &str, offsets: std::ops::Range<u64>) -> Vec<u64> {
        offsets
            .filter(|offset| latest.needs(key.as_bytes(), *offset))
            .collect()
    }

    #[test]
    fn the_last_record_of_a_key_is_needed_and_what_the_map_does_not_know() {
        let latest = map(&[("a", 3, None), ("b", 4, None), ("a", 5, None)]);
        assert_eq!(needed(&latest, "a", 0..8), [5, 6, 7]);
        assert_eq!(needed(&latest, "b", 0..6), [4, 5]);
        assert_eq!(needed(&latest, "c", 0..3), [0, 1, 2]);
    }

    #[test]
    fn below_a_record_with_unavailable_fields_stays_what_has_them() {
        let body = Some("after.body");
        let latest = map(&[("a", 1, None), ("a", 2, body), ("a", 3, body)]);
        assert_eq!(
            needed(&latest, "a", 0..4),
            [1, 3],
            "2 gives nothing that 3 lacks"
        );
        let latest = map(&[
            ("a", 1, None),
            ("a", 2, Some("after.notes")),
            ("a", 3, Some("after.body")),
            ("a", 4, Some("after.body,after.notes")),
        ]);
        assert_eq!(
            needed(&latest, "a", 0..5),
            [2, 3, 4],
            "3 has the notes, 2 the body"
        );
        let latest = map(&[("a", 1, None), ("a", 2, body), ("a", 3, None)]);
        assert_eq!(needed(&latest, "a", 0..4), [3]);
    }

    #[test]
    fn what_an_open_chain_builds_upon_is_looked_for_below() {
        let mut latest = map(&[("a", 10, Some("x,y")), ("a", 11, Some("x"))]);
        assert!(latest.is_open());
        let all: Vec<u64> = (0..12).collect();
        assert_eq!(needed(&latest, "a", 0..12), all, "until it is known");
        latest.add_older(b"a", 2, lacks(None));
        latest.add_older(b"a", 3, lacks(Some("x")));
        latest.add_older(b"b", 4, lacks(None));
        latest.close();
        assert!(!latest.is_open());
        assert_eq!(needed(&latest, "a", 0..12), [2, 11]);
    }

    #[test]
    fn a_field_within_a_field_is_told_apart() {
        let part = Part::of(0, br"a\,b,c\.d.e");
        assert_eq!(
            part.fields,
            [br"a\,b".as_slice().into(), br"c\.d.e".as_slice().into()]
        );
        assert!(is_within(b"n.m", b"n") && is_within(b"n", b"n"));
        assert!(!is_within(b"nm", b"n") && !is_within(b"n", b"n.m"));
        let latest = map(&[("a", 1, None), ("a", 2, Some("n.m")), ("a", 3, Some("n"))]);
        assert_eq!(needed(&latest, "a", 0..4), [1, 2, 3], "2 has a part of n");
    }

    /// A key change whose row was gone when its large value was asked for: delete, tombstone, create without it.
    #[test]
    fn a_row_that_arrives_without_a_value_keeps_the_key_that_it_left() {
        let leaves = Marks {
            leaves: true,
            ..Marks::default()
        };
        let arrives = Marks {
            arrives: true,
            ..lacks(Some("after.body"))
        };
        let moved = || {
            // An earlier row of the new key is another one.
            let mut latest = map(&[("old", 1, None), ("new", 2, None), ("new", 3, None)]);
            latest.add(b"old", 4, leaves);
            latest.add(b"old", 5, lacks(None));
            latest.add(b"new", 6, arrives);
            latest
        };
        let mut latest = moved();
        latest.pin();
        assert!(!latest.is_open());
        assert_eq!(needed(&latest, "old", 1..6), [1, 2, 3, 4, 5]);
        assert_eq!(needed(&latest, "new", 0..7), [6]);

        let mut latest = moved();
        latest.add(b"new", 7, lacks(Some("after.notes")));
        latest.pin();
        assert_eq!(needed(&latest, "old", 1..6), [1, 2, 3, 4, 5]);
        assert_eq!(needed(&latest, "new", 0..8), [6, 7]);

        let mut latest = moved();
        latest.add(b"new", 7, lacks(None));
        latest.pin();
        assert_eq!(needed(&latest, "old", 1..6), [5]);
        assert_eq!(needed(&latest, "new", 0..8), [7]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut latest = Latest::new(10 * ENTRY_BYTES);
        let mut added = 0_u64;
        while !latest.is_full() {
            latest.add(&added.to_be_bytes(), added, lacks(None));
            added += 1;
        }
        assert_eq!(added, 10);
    }
}
