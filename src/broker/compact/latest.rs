//! Which records of a key are still needed: the last one, and what it builds upon.
//!
//! A record with unavailable fields ([`UNAVAILABLE`]) says nothing about them: its reader takes them from an earlier
//! record of the key. So below such a record stays the newest one that has what it lacks, and so on down to a record
//! that has everything. A change of the key moves a row: where the record that arrives lacks something, the sink takes
//! it from the row under the old key, so all records of that one stay, in every pass for as long as it is needed. Of
//! a leave at the map's end nobody knows yet whether that is so, and its key is kept for the next pass to decide.
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

/// What a move takes.
const MOVE_BYTES: usize = 48;

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
    /// The same, while nothing but records of that key followed: the arrival may stand behind the map.
    halfway: Option<u128>,
    /// What it was below the map.
    halfway_below: Option<u128>,
    /// In the order of their offsets.
    moves: Vec<Move>,
    /// How many of them arrive below the map.
    moves_below: usize,
    /// There was no memory for all moves: everything is needed.
    blind: bool,
    /// Keys of which everything is needed.
    pinned: HashSet<u128>,
    /// Keys below the map of which earlier passes needed everything, and nobody does any more.
    released: HashSet<u128>,
    part_bytes: usize,
    limit: usize,
}

/// A record that others build upon, or that builds upon others.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    offset: u64,
    /// What it lacks.
    fields: Vec<Box<[u8]>>,
    /// The row came from another key and has the rest from there; what this key had before is another row's.
    arrives: bool,
}

/// A row that came from another key without something that it has.
#[derive(Debug, Clone, Copy)]
struct Move {
    /// Of the record that arrives.
    offset: u64,
    to: u128,
    from: u128,
}

/// What of a key is needed, oldest first.
#[derive(Debug, Default)]
struct Chain {
    parts: Vec<Part>,
    /// Whether something is still missing: all of what is older is needed.
    open: bool,
    /// Of an open chain: parts found below the offsets of the map.
    older: Vec<Part>,
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
            halfway: None,
            halfway_below: None,
            moves: Vec::new(),
            moves_below: 0,
            blind: false,
            pinned: HashSet::new(),
            released: HashSet::new(),
            part_bytes: 0,
            limit,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        let moves = (self.moves.len() - self.moves_below) * MOVE_BYTES;
        self.newest.len() * ENTRY_BYTES + self.part_bytes + moves >= self.limit
    }

    /// A record below those of the map, in their order and before them: which rows have moved.
    pub(super) fn add_below(&mut self, key: &[u8], offset: u64, marks: Marks<'_>) {
        let key = self.hash(key);
        self.follow(key, offset, marks);
        (self.moves_below, self.halfway_below) = (self.moves.len(), self.halfway);
        if self.moves_below * MOVE_BYTES > self.limit {
            self.moves.clear();
            (self.moves_below, self.blind) = (0, true);
        }
    }

    /// Takes note of a row that goes to another key.
    fn follow(&mut self, key: u128, offset: u64, marks: Marks<'_>) {
        if marks.leaves {
            (self.leaving, self.halfway) = (Some(key), Some(key));
        } else if self.halfway != Some(key) {
            self.halfway = None;
        }
        let Some(from) = self.leaving.take_if(|_| marks.arrives) else {
            return;
        };
        if marks.unavailable.is_some() {
            self.moves.push(Move {
                offset,
                to: key,
                from,
            });
        }
    }

    /// The next record of a key.
    pub(super) fn add(&mut self, key: &[u8], offset: u64, marks: Marks<'_>) {
        let key = self.hash(key);
        self.follow(key, offset, marks);
        self.put(key, offset, marks);
    }

    /// A record below those of the map, in their order, after [`Latest::pin`]: if its key is released, it is known
    /// from here on.
    pub(super) fn add_released(&mut self, key: &[u8], offset: u64, marks: Marks<'_>) {
        let key = self.hash(key);
        if self.released.contains(&key) {
            self.put(key, offset, marks);
        }
    }

    fn put(&mut self, key: u128, offset: u64, marks: Marks<'_>) {
        let before = self.newest.insert(key, offset);
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
        chain
            .parts
            .push(Part::of(offset, unavailable, marks.arrives));
        chain.open = prune(&mut chain.parts);
        self.part_bytes = self.part_bytes + bytes_of(&chain.parts) - known;
    }

    /// All records were added: what arrived and is needed keeps the key that it came from. Returns whether the next
    /// pass must know of moves below its map.
    pub(super) fn pin(&mut self) -> bool {
        self.pinned.extend(self.halfway);
        let moves = std::mem::take(&mut self.moves);
        // From the last one on: what arrived may have gone on from there.
        for moved in moves.iter().rev() {
            if self.needs_of(moved.to, moved.offset) {
                self.pinned.insert(moved.from);
            }
        }
        let left = moves.iter().map(|moved| moved.from);
        let over = |key: &u128| !self.pinned.contains(key) && !self.newest.contains_key(key);
        self.released = left.chain(self.halfway_below).filter(over).collect();
        self.blind || !self.pinned.is_empty()
    }

    /// Whether records below those of the map are superseded that no later pass would look for.
    pub(super) fn has_released(&self) -> bool {
        !self.released.is_empty()
    }

    /// Whether everything of a key is needed, its end included.
    pub(super) fn is_pinned(&self, key: &[u8]) -> bool {
        self.blind || self.pinned.contains(&self.hash(key))
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
                let part = Part::of(offset, unavailable, marks.arrives);
                chain.older.push(part);
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
        self.blind || self.needs_of(self.hash(key), offset)
    }

    fn needs_of(&self, key: u128, offset: u64) -> bool {
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

    /// Whether the key's last record stands right behind this one.
    pub(super) fn ends_behind(&self, key: &[u8], offset: u64) -> bool {
        let newest = self.newest.get(&self.hash(key));
        newest.is_some_and(|newest| *newest == offset + 1)
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
            arrives: false,
        }
    }

    fn of(offset: u64, unavailable: &[u8], arrives: bool) -> Self {
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
        Self {
            offset,
            fields,
            arrives,
        }
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
    let mut needed = Vec::new();
    let mut missing: Vec<Box<[u8]>> = Vec::new();
    for (index, part) in parts.iter().rev().enumerate() {
        let gives = |field: &[u8]| !part.fields.iter().any(|lacks| is_within(field, lacks));
        if index == 0 {
            missing.clone_from(&part.fields);
            needed.push(part.offset);
        } else if part.arrives || missing.iter().any(|field| gives(field)) {
            needed.push(part.offset);
        }
        missing.retain(|field| {
            let touches = |lacks: &[u8]| is_within(field, lacks) || is_within(lacks, field);
            !part.arrives && part.fields.iter().any(|lacks| touches(lacks))
        });
        if missing.is_empty() {
            break;
        }
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
    fn the_record_right_before_a_keys_last_one_is_known() {
        let latest = map(&[("a", 3, None), ("a", 4, None), ("b", 6, None)]);
        let behind = |key: &str, offset| latest.ends_behind(key.as_bytes(), offset);
        assert!(behind("a", 3) && behind("b", 5));
        assert!(!behind("a", 4) && !behind("a", 2) && !behind("c", 3));
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
        let part = Part::of(0, br"a\,b,c\.d.e", false);
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

    /// The row of `old` goes to `new` without its body: delete and tombstone at 2 and 3, then the record that arrives.
    fn leave(latest: &mut Latest) {
        let leaves = Marks {
            leaves: true,
            ..Marks::default()
        };
        latest.add(b"old", 2, leaves);
        latest.add(b"old", 3, lacks(None));
    }

    const ARRIVAL: Marks<'static> = Marks {
        unavailable: Some(b"after.body"),
        leaves: false,
        arrives: true,
    };

    const LEAVE: Marks<'static> = Marks {
        unavailable: None,
        leaves: true,
        arrives: false,
    };

    #[test]
    fn a_key_is_kept_whose_row_leaves_at_the_maps_end_and_arrives_behind_it() {
        let mut latest = map(&[("old", 1, None)]);
        leave(&mut latest);
        assert!(latest.pin());
        assert_eq!(needed(&latest, "old", 0..4), [0, 1, 2, 3]);
        assert!(latest.is_pinned(b"old"));

        // The next pass.
        let mut latest = Latest::new(1 << 20);
        latest.add_below(b"old", 1, lacks(None));
        latest.add_below(b"old", 2, LEAVE);
        latest.add_below(b"old", 3, lacks(None));
        latest.add(b"new", 4, ARRIVAL);
        latest.add(b"old", 5, lacks(None));
        assert!(!latest.is_open() && latest.pin() && !latest.has_released());
        assert_eq!(needed(&latest, "old", 0..6), [0, 1, 2, 3, 4, 5]);

        let mut latest = map(&[("old", 1, None)]);
        leave(&mut latest);
        latest.add(b"other", 4, lacks(None));
        assert!(!latest.pin(), "no record follows that arrives");
        assert_eq!(needed(&latest, "old", 0..4), [3]);
    }

    #[test]
    fn a_move_below_the_map_keeps_its_key_until_what_arrived_is_superseded() {
        let next = |newer: Marks<'_>| {
            let mut latest = Latest::new(1 << 20);
            let below = [
                ("old", lacks(None)),
                ("old", LEAVE),
                ("old", lacks(None)),
                ("new", ARRIVAL),
            ];
            for (offset, (key, marks)) in (1..).zip(below) {
                latest.add_below(key.as_bytes(), offset, marks);
            }
            latest.add(b"new", 5, newer);
            for (offset, (key, marks)) in (1..).zip(below) {
                latest.add_older(key.as_bytes(), offset, marks);
            }
            latest.close();
            let moves = latest.pin();
            for (offset, (key, marks)) in (1..).zip(below) {
                latest.add_released(key.as_bytes(), offset, marks);
            }
            (latest, moves)
        };
        let (latest, moves) = next(lacks(Some("after.body")));
        assert!(moves);
        assert_eq!(needed(&latest, "old", 1..4), [1, 2, 3]);
        assert_eq!(needed(&latest, "new", 4..6), [4, 5]);

        let (latest, moves) = next(lacks(None));
        assert!(!moves && latest.has_released());
        assert_eq!(
            needed(&latest, "old", 1..4),
            [3],
            "the tombstone is noted, and the rest goes"
        );
        assert_eq!(needed(&latest, "new", 4..6), [5]);
    }

    #[test]
    fn a_row_that_arrived_without_a_value_and_changed_without_it_keeps_the_key_that_it_left() {
        let mut latest = map(&[("old", 1, None)]);
        leave(&mut latest);
        latest.add(b"new", 4, ARRIVAL);
        latest.add(b"new", 5, lacks(Some("after.body")));
        assert!(!latest.is_open() && latest.pin());
        assert_eq!(needed(&latest, "old", 1..4), [1, 2, 3]);
        assert_eq!(needed(&latest, "new", 4..6), [4, 5]);
    }

    #[test]
    fn a_row_that_goes_on_to_a_third_key_keeps_both_that_it_had() {
        let mut latest = map(&[("old", 1, None)]);
        leave(&mut latest);
        latest.add(b"mid", 4, ARRIVAL);
        latest.add(b"mid", 5, LEAVE);
        latest.add(b"mid", 6, lacks(None));
        latest.add(b"new", 7, ARRIVAL);
        assert!(latest.pin());
        assert_eq!(needed(&latest, "old", 1..4), [1, 2, 3]);
        assert_eq!(needed(&latest, "mid", 4..7), [4, 5, 6]);
    }

    #[test]
    fn moves_that_memory_does_not_hold_keep_everything() {
        let mut latest = Latest::new(MOVE_BYTES);
        for offset in 0..2 {
            latest.add_below(b"old", 2 * offset, LEAVE);
            latest.add_below(b"new", 2 * offset + 1, ARRIVAL);
        }
        latest.add(b"old", 9, lacks(None));
        assert!(latest.pin());
        assert!(latest.needs(b"old", 0) && latest.is_pinned(b"old"));
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
