//! The group position: where the log believes a sink to be. Lazy, because the target or a harmless replay is the
//! truth; it is what tools see and what retention respects.

use super::{assign::Assigned, group, owner};
use crate::broker::{Broker, Commit, GroupPosition, Writer};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tapline_sdk::{Result, TopicPartition};

/// The least time between two stores: tools need no finer view, and each costs a place in a commit.
const STORE_EVERY: Duration = Duration::from_secs(1);

/// The positions of one session.
pub(super) struct Mirror {
    group: Arc<str>,
    writer: Box<dyn Writer>,
    ids: BTreeMap<TopicPartition, u128>,
    moved: BTreeMap<TopicPartition, u64>,
    stored: Instant,
}

impl Mirror {
    /// Fences the predecessor's writer (I10), and stores where the session begins before anything is applied: what the
    /// sink has not read is kept for it from here on, also while it is paused, or its target takes nothing.
    pub(super) async fn new(
        log: &dyn Broker,
        connector: &str,
        task: u32,
        assigned: &[Assigned],
    ) -> Result<Self> {
        let writer = log.writer(&owner(connector, task)).await?;
        // Read after the predecessor was fenced: it stores nothing more.
        let known = log.positions(&group(connector));
        // A position that is known and lower stays: what the target has beyond may not be durable there yet.
        let holds = |one: &Assigned| {
            let place = (one.topic_id, one.at.partition);
            let mut known = known.iter();
            known.any(|known| (known.topic_id, known.partition) == place && known.next <= one.next)
        };
        let begins = assigned.iter().filter(|one| !holds(one));
        let mut mirror = Self {
            group: group(connector).into(),
            writer,
            ids: assigned
                .iter()
                .map(|one| (one.at.clone(), one.topic_id))
                .collect(),
            moved: begins.map(|one| (one.at.clone(), one.next)).collect(),
            stored: Instant::now(),
        };
        mirror.store().await?;
        Ok(mirror)
    }

    /// These positions have been applied.
    pub(super) fn moved(&mut self, next: &[(TopicPartition, u64)]) {
        for (at, position) in next {
            match self.moved.get_mut(at) {
                Some(known) => *known = *position,
                None => {
                    self.moved.insert(at.clone(), *position);
                }
            }
        }
    }

    /// How long until something is to be stored; `None`: nothing moved.
    pub(super) fn due_in(&self) -> Option<Duration> {
        let left = || STORE_EVERY.saturating_sub(self.stored.elapsed());
        (!self.moved.is_empty()).then(left)
    }

    /// Stores what moved, durable on return.
    pub(super) async fn store(&mut self) -> Result<()> {
        self.stored = Instant::now();
        if self.moved.is_empty() {
            return Ok(());
        }
        // I4: only what was applied is in here.
        let positions = std::mem::take(&mut self.moved)
            .into_iter()
            .filter_map(|(at, next)| {
                Some(GroupPosition {
                    group: Arc::clone(&self.group),
                    topic_id: *self.ids.get(&at)?,
                    partition: at.partition,
                    next,
                })
            })
            .collect();
        let commit = Commit {
            appends: Vec::new(),
            positions,
        };
        self.writer.commit(commit).await.map(drop)
    }
}
