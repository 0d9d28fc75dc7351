//! Turns: a topic is one task's of a connector at a time.
//!
//! Owns who of a connector's tasks may open a topic. When topics appear, some go from one task to another; without a turn
//! the successor would fence its neighbour in the middle of a batch, which then looks like a foreign worker's doing. Never
//! a guarantee: what a task that hangs still holds is taken from it by the fences of log and target (I10).

use super::assign::Assigned;
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    sync::OwnedMutexGuard,
    time::{Instant, timeout_at},
};

/// How long all neighbours together may take over their batch at hand; as long as a task may take to stop.
const TURN_TIME_MAX: Duration = Duration::from_secs(30);

/// Connector and topic id.
type Place = (Arc<str>, u128);

/// Who has which topic. A place without a holder is forgotten at the next turn.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    places: Mutex<BTreeMap<Place, Arc<tokio::sync::Mutex<()>>>>,
}

/// Topics that are a task's until this is dropped.
#[derive(Debug, Default)]
pub(super) struct Turn {
    #[cfg_attr(not(test), expect(dead_code, reason = "held, not read"))]
    held: Vec<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits until no other task has these topics. Who waits holds only topics before the one waited for in their one
    /// order, so two never wait for each other.
    pub(super) async fn take(&self, connector: &Arc<str>, topics: &[Assigned]) -> Turn {
        self.take_within(TURN_TIME_MAX, connector, topics).await
    }

    async fn take_within(
        &self,
        longest: Duration,
        connector: &Arc<str>,
        topics: &[Assigned],
    ) -> Turn {
        // One bound for all of them: a task that hangs may hold many.
        let end = Instant::now() + longest;
        let names: BTreeMap<u128, &Arc<str>> = topics
            .iter()
            .map(|one| (one.topic_id, &one.at.topic))
            .collect();
        let mut held = Vec::with_capacity(names.len());
        for (id, topic) in names {
            let place = self.place(connector, id);
            match timeout_at(end, place.lock_owned()).await {
                Ok(guard) => held.push(guard),
                Err(_late) => tracing::warn!(
                    topic = %topic,
                    waited_ms = longest.as_millis(),
                    "another task of this connector has not let go of a topic: it is taken over, and that task is fenced"
                ),
            }
        }
        Turn { held }
    }

    fn place(&self, connector: &Arc<str>, topic_id: u128) -> Arc<tokio::sync::Mutex<()>> {
        let mut places = self.places.lock();
        places.retain(|_, place| Arc::strong_count(place) > 1);
        let place = places.entry((Arc::clone(connector), topic_id));
        Arc::clone(place.or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use tapline_sdk::TopicPartition;

    fn topic(topic_id: u128) -> Assigned {
        Assigned {
            at: TopicPartition {
                topic: format!("t{topic_id}").into(),
                partition: 0,
            },
            topic_id,
            version_base: 0,
            log_start: 0,
            high_watermark: 0,
            compacted: false,
            partitions: 1,
            next: 0,
        }
    }

    #[tokio::test]
    async fn a_topic_is_one_tasks_until_it_lets_go_or_hangs() {
        let turns = Turns::default();
        let (one, other): (Arc<str>, Arc<str>) = ("one".into(), "other".into());
        let first = turns.take(&one, &[topic(1), topic(2)]).await;
        assert!(turns.take(&other, &[topic(1)]).now_or_never().is_some());
        assert!(turns.take(&one, &[topic(3)]).now_or_never().is_some());
        let wanted = [topic(2)];
        let mut second = std::pin::pin!(turns.take(&one, &wanted));
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        let _hangs = second.await;
        let soon = Duration::from_millis(10);
        let taken = turns.take_within(soon, &one, &[topic(2), topic(4)]).await;
        assert_eq!(taken.held.len(), 1, "what hangs is left to the fences");
    }
}
