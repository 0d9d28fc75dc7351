//! Barriers: one copy stands in every partition of a topic, and all of what stands before any copy comes first.
//!
//! A partition that reaches its copy waits until every other partition of the topic has reached its own; then the
//! record is delivered once and all go on. A partition whose position lies behind its copy already (an operator moved
//! it) never reaches it: once everybody else waits and it has nothing left to read, it is not waited for.

use hashbrown::HashMap;
use std::{collections::BTreeMap, sync::Arc};

/// Who waits at which barrier, by topic, each with its copy of the record.
pub(super) struct Barriers<R> {
    waiting: HashMap<Arc<str>, BTreeMap<u32, Waiting<R>>>,
}

/// What copies of one barrier share: time stamp and id. Grows with time.
pub(super) type Number = (i64, u64);

/// One partition at its copy.
struct Waiting<R> {
    barrier: Number,
    offset: u64,
    record: R,
}

/// A barrier that every partition has reached.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Released<R> {
    /// Partitions with the offset of their copy, in order; never empty.
    pub(super) copies: Vec<(u32, u64)>,
    /// The last one's copy.
    pub(super) record: R,
}

impl<R> Default for Barriers<R> {
    fn default() -> Self {
        Self {
            waiting: HashMap::new(),
        }
    }
}

impl<R> Barriers<R> {
    /// Whether nothing of this partition may be read at the moment.
    pub(super) fn holds(&self, topic: &str, partition: u32) -> bool {
        self.waiting
            .get(topic)
            .is_some_and(|waiting| waiting.contains_key(&partition))
    }

    /// The partition stands before its copy of `barrier`, at `offset`.
    pub(super) fn arrive(
        &mut self,
        topic: &Arc<str>,
        partition: u32,
        (barrier, offset): (Number, u64),
        record: R,
    ) {
        let waiting = Waiting {
            barrier,
            offset,
            record,
        };
        self.waiting
            .entry(Arc::clone(topic))
            .or_default()
            .insert(partition, waiting);
    }

    /// The topics where anybody waits.
    pub(super) fn topics(&self) -> Vec<Arc<str>> {
        self.waiting.keys().cloned().collect()
    }

    /// If all `partitions` of the topic wait, or have nothing left to read (`idle`): the earliest barrier. Those that
    /// stood before it no longer wait then.
    pub(super) fn release(
        &mut self,
        topic: &Arc<str>,
        partitions: u32,
        idle: impl Fn(u32) -> bool,
    ) -> Option<Released<R>> {
        let waiting = self.waiting.get_mut(topic)?;
        let settled = |partition: u32| waiting.contains_key(&partition) || idle(partition);
        if !(0..partitions).all(settled) {
            return None;
        }
        let earliest = waiting.values().map(|one| one.barrier).min()?;
        let passing: Vec<u32> = waiting
            .iter()
            .filter(|(_, one)| one.barrier == earliest)
            .map(|(partition, _)| *partition)
            .collect();
        let mut copies = Vec::with_capacity(passing.len());
        let mut record = None;
        for partition in passing {
            if let Some(one) = waiting.remove(&partition) {
                copies.push((partition, one.offset));
                record = Some(one.record);
            }
        }
        if waiting.is_empty() {
            self.waiting.remove(topic);
        }
        Some(Released {
            copies,
            record: record?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_barrier_is_passed_once_when_every_partition_has_reached_it() {
        let topic: Arc<str> = "t".into();
        let mut barriers = Barriers::default();
        barriers.arrive(&topic, 0, ((1, 7), 100), "a");
        assert!(barriers.holds("t", 0) && !barriers.holds("t", 1));
        assert_eq!(barriers.release(&topic, 2, |_| false), None);
        barriers.arrive(&topic, 1, ((1, 7), 40), "b");
        let released = barriers.release(&topic, 2, |_| false);
        let expected = Released {
            copies: vec![(0, 100), (1, 40)],
            record: "b",
        };
        assert_eq!(released, Some(expected));
        assert!(!barriers.holds("t", 0));
        assert_eq!(barriers.release(&topic, 2, |_| true), None);
    }

    #[test]
    fn a_partition_moved_past_its_copy_is_not_waited_for() {
        let topic: Arc<str> = "t".into();
        let mut barriers = Barriers::default();
        barriers.arrive(&topic, 0, ((1, 7), 100), "a");
        barriers.arrive(&topic, 1, ((2, 3), 60), "b");
        let released = barriers.release(&topic, 3, |partition| partition == 2);
        let copies = released.map(|released| released.copies);
        assert_eq!(copies, Some(vec![(0, 100)]), "the earlier one goes first");
        assert!(barriers.holds("t", 1));
    }
}
