//! Many changes of one table reduced to the last one per key.
//!
//! A run never spans a truncate, a key change or another set of columns: those are barriers that its owner puts between
//! runs. An update that leaves columns out takes them from the key's change before, if the run has one.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

/// What is to become of a key's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Every column is known. `fresh`: the row did not exist before the run, as far as the source knows.
    Whole {
        /// Whether the row is new.
        fresh: bool,
    },
    /// Columns are left out: the row must exist.
    Partial,
    /// The row goes.
    Gone,
}

/// The last word on one key.
#[derive(Debug)]
pub struct Slot {
    /// The last change, an index into the batch's changes.
    pub change: usize,
    /// What is to happen.
    pub fate: Fate,
    /// Which change each column comes from, where it is not the last.
    pub sources: Option<Box<[usize]>>,
    key_start: usize,
    key_end: usize,
}

impl Slot {
    /// A change by itself, whatever its key.
    #[must_use]
    pub fn appended(change: usize) -> Self {
        Self {
            change,
            fate: Fate::Whole { fresh: true },
            sources: None,
            key_start: 0,
            key_end: 0,
        }
    }

    /// The change that a column's value comes from.
    #[must_use]
    pub fn source(&self, column: usize) -> usize {
        let source = self
            .sources
            .as_ref()
            .and_then(|sources| sources.get(column));
        source.copied().unwrap_or(self.change)
    }
}

/// A run of changes with keys.
#[derive(Debug, Default)]
pub struct Run {
    /// One per key, in the order of first appearance.
    pub slots: Vec<Slot>,
    index: HashTable<usize>,
    keys: Vec<u8>,
    hasher: DefaultHashBuilder,
}

/// Whether a change found its place.
#[derive(Debug, PartialEq, Eq)]
pub enum Added {
    /// It did.
    Yes,
    /// What came before must be applied first.
    AfterFlush,
}

impl Run {
    /// Adds a change. `missing` tells of which columns an incomplete change has no value.
    pub fn add(&mut self, key: &[u8], change: usize, fate: Fate, missing: &[bool]) -> Added {
        let hash = self.hasher.hash_one(key);
        let (slots, keys) = (&self.slots, &self.keys);
        let same = |at: &usize| {
            slots
                .get(*at)
                .and_then(|slot| keys.get(slot.key_start..slot.key_end))
                == Some(key)
        };
        if let Some(&at) = self.index.find(hash, same) {
            return match self.slots.get_mut(at) {
                Some(slot) => slot.overlay(change, fate, missing),
                None => Added::AfterFlush,
            };
        }
        let key_start = self.keys.len();
        self.keys.extend_from_slice(key);
        let slot = Slot {
            change,
            fate,
            sources: None,
            key_start,
            key_end: self.keys.len(),
        };
        self.slots.push(slot);
        let (slots, keys, hasher) = (&self.slots, &self.keys, &self.hasher);
        self.index.insert_unique(hash, slots.len() - 1, |at| {
            let slot = slots.get(*at);
            hasher.hash_one(
                slot.and_then(|s| keys.get(s.key_start..s.key_end))
                    .unwrap_or_default(),
            )
        });
        Added::Yes
    }
}

impl Slot {
    fn overlay(&mut self, change: usize, fate: Fate, missing: &[bool]) -> Added {
        match (self.fate, fate) {
            // The row that this update changes is gone: only the target can say that it is missing.
            (Fate::Gone, Fate::Partial) => return Added::AfterFlush,
            (Fate::Whole { fresh }, Fate::Whole { .. }) => {
                self.fate = Fate::Whole { fresh };
                self.sources = None;
            }
            (_, Fate::Partial) => {
                let columns = missing.iter().enumerate();
                let merged = columns
                    .map(|(column, left_out)| {
                        if *left_out {
                            self.source(column)
                        } else {
                            change
                        }
                    })
                    .collect();
                self.sources = Some(merged);
            }
            (_, Fate::Whole { .. }) => {
                self.fate = Fate::Whole { fresh: false };
                self.sources = None;
            }
            (_, Fate::Gone) => {
                self.fate = Fate::Gone;
                self.sources = None;
            }
        }
        self.change = change;
        Added::Yes
    }
}

#[cfg(test)]
mod tests {
    use super::{Added, Fate, Run};

    const WHOLE: Fate = Fate::Whole { fresh: false };
    const FRESH: Fate = Fate::Whole { fresh: true };

    #[test]
    fn the_last_change_of_a_key_counts() {
        let mut run = Run::default();
        run.add(b"a", 0, FRESH, &[]);
        run.add(b"b", 1, FRESH, &[]);
        run.add(b"a", 2, WHOLE, &[]);
        run.add(b"b", 3, Fate::Gone, &[]);
        let fates: Vec<_> = run
            .slots
            .iter()
            .map(|slot| (slot.change, slot.fate))
            .collect();
        assert_eq!(fates, [(2, FRESH), (3, Fate::Gone)]);
    }

    #[test]
    fn a_row_written_after_its_delete_is_not_fresh() {
        let mut run = Run::default();
        run.add(b"a", 0, Fate::Gone, &[]);
        run.add(b"a", 1, FRESH, &[]);
        assert_eq!(run.slots[0].fate, WHOLE);
    }

    #[test]
    fn columns_left_out_come_from_the_change_before() {
        let mut run = Run::default();
        run.add(b"a", 0, FRESH, &[]);
        run.add(b"a", 1, Fate::Partial, &[false, true]);
        run.add(b"a", 2, Fate::Partial, &[true, true]);
        assert_eq!(run.slots[0].fate, FRESH);
        assert_eq!((run.slots[0].source(0), run.slots[0].source(1)), (1, 0));
    }

    #[test]
    fn an_incomplete_update_of_a_deleted_row_waits() {
        let mut run = Run::default();
        run.add(b"a", 0, Fate::Gone, &[]);
        assert_eq!(run.add(b"a", 1, Fate::Partial, &[true]), Added::AfterFlush);
    }
}
