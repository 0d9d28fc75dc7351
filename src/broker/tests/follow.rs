//! Targets that follow compacted topics: each applies what it reads, at its own pace, across restarts of the log.
//!
//! A target outlives the log's process and knows where it stands; the log knows an earlier or the same position. What
//! compaction takes away between two reads must not show: whenever a target has read to the end, it holds the rows that
//! everything ever written comes to.

use super::{
    model::{At, Model, PartitionView, Rows, View, apply, is_compacted},
    world::World,
};
use crate::broker::{
    Commit, GroupPosition,
    batch::{BatchReader, Batches},
};
use std::collections::BTreeMap;
use tapline_sdk::TopicPartition;

/// The groups of the targets.
pub(super) const FOLLOWERS: [&str; 2] = ["connect-replica", "connect-cache"];

/// What one step reads at most, unless a batch is larger.
const READ_BYTES: usize = 700;

/// What a target holds of one partition.
#[derive(Debug, Clone, Default)]
struct Target {
    rows: Rows,
    next: u64,
    /// It began behind the log's first record, or met a gap that somebody asked for.
    partial: bool,
}

/// All targets, by group, topic id and partition.
#[derive(Debug, Default)]
pub(super) struct Targets {
    by_place: BTreeMap<(&'static str, u128, u32), Target>,
    /// Steps that applied something.
    pub steps: u64,
    /// Targets that were compared.
    pub compared: u64,
}

impl World {
    /// One target reads a little, and the log may hear of it.
    pub(super) fn follow(&mut self) {
        let mut live = self.model.live();
        live.retain(|(name, ..)| is_compacted(name));
        let Some((topic, id, partitions)) = self.random.choice(live) else {
            return;
        };
        let partition = self.random.u32(..partitions);
        let group = FOLLOWERS[self.random.usize(..FOLLOWERS.len())];
        let at: At = (topic, partition);
        let log = self.log.as_ref().expect("the log is open");
        let place = TopicPartition {
            topic: at.0.as_str().into(),
            partition,
        };
        let Some(ends) = log.ends(&place) else { return };
        let known = log.positions(group);
        let known = known
            .iter()
            .find(|known| known.topic_id == id && known.partition == partition);
        let target = self.targets.by_place.entry((group, id, partition));
        let target = target.or_insert_with(|| Target {
            next: ends.log_start,
            partial: ends.log_start > 0,
            ..Target::default()
        });
        // A sink's first position is stored before it reads: from then on the log keeps for it what it has not read.
        if let Some(known) = known {
            assert!(
                known.next <= target.next,
                "the log believes more than is so"
            );
            if target.next < ends.log_start {
                (target.next, target.partial) = (ends.log_start, true);
            }
            if let Ok(bytes) = log.read(&place, target.next, READ_BYTES) {
                target.apply(&bytes);
                self.targets.steps += 1;
            } else {
                // A fault, or damage; the latter is looked at elsewhere.
            }
        }
        let next = target.next;
        if known.is_none() || self.random.bool() {
            self.store_position(group, id, &at, next);
        }
    }

    fn store_position(&mut self, group: &str, topic_id: u128, at: &At, next: u64) {
        let key = (group.to_owned(), topic_id, at.1);
        let positions = vec![GroupPosition {
            group: group.into(),
            topic_id,
            partition: at.1,
            next,
        }];
        let commit = Commit {
            appends: Vec::new(),
            positions,
        };
        self.enqueue_positions(vec![(key, next)], commit);
    }

    /// Every target, if it read on to the end now, would hold what was written.
    pub(super) fn check_targets(&mut self, view: &View) -> Result<(), String> {
        for ((group, id, partition), target) in &self.targets.by_place {
            let topic = view.topics.iter().find(|(_, topic)| topic.id == *id);
            let Some((name, topic)) = topic else { continue };
            let Some(shown) = topic.partitions.get(*partition as usize) else {
                continue;
            };
            if target.partial || shown.log_start > 0 || !shown.damage.is_empty() {
                continue;
            }
            target
                .check(&self.model, *id, *partition, shown)
                .map_err(|why| format!("{group} of {name}-{partition}: {why}"))?;
            self.targets.compared += 1;
        }
        Ok(())
    }
}

impl Target {
    fn apply(&mut self, bytes: &[u8]) {
        let mut reader = BatchReader::new();
        // One batch is a step: the target often stands within what is compacted together.
        let Some(batch) = Batches::new(bytes).next() else {
            return;
        };
        let batch = batch.expect("whole batches are served");
        let mut records = Vec::new();
        for record in reader.read(&batch).expect("right batches are served") {
            let record = record.expect("right records are served");
            let name = record.value.or(record.headers.get("name").flatten());
            let name = name.and_then(super::model::named);
            if record.offset >= self.next {
                records.push((record.offset, name.expect("every record has a name")));
            }
        }
        apply(&mut self.rows, &records);
        self.next = batch.header.next_offset();
    }

    fn check(
        &self,
        model: &Model,
        id: u128,
        partition: u32,
        shown: &PartitionView,
    ) -> Result<(), String> {
        if self.next > shown.end {
            return Err(format!(
                "it has read up to {}, the log ends at {}",
                self.next, shown.end
            ));
        }
        let rest: Vec<_> = shown.shown();
        let rest = rest.iter().filter(|(offset, _)| *offset >= self.next);
        let mut rows = self.rows.clone();
        apply(&mut rows, rest);
        let wanted = model.rows_written(id, partition);
        if rows == wanted {
            return Ok(());
        }
        Err(format!(
            "from {} on it comes to the rows {rows:?}, not {wanted:?}",
            self.next
        ))
    }
}
