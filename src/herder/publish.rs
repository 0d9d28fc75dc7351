//! Keeps `connect-status` up to date, for whoever reads the topic.

use crate::{
    state::{Status, StatusKey, StatusStore},
    task::{ErrorReport, State},
    worker::{ConnectorStatus, Worker},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tapline_sdk::Result;
use tokio::time::MissedTickBehavior;

/// States come and go in bursts; a second's are one commit.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);

impl Worker {
    /// Writes every change of a state to `connect-status`, under this worker's address, until the worker stops.
    pub fn publish(&self, worker_id: &str) {
        let store = StatusStore::over(Arc::clone(self.shared.sources.active.stored()));
        let publisher = Publisher {
            generation: store.generation().saturating_add(1),
            known: store.keys().into_iter().map(|key| (key, None)).collect(),
            store,
            worker_id: worker_id.to_owned(),
        };
        // The worker is not kept alive by this.
        let shared = Arc::downgrade(&self.shared);
        let closing = self.shared.closing.clone();
        tokio::spawn(async move {
            let mut publisher = publisher;
            let mut every = tokio::time::interval(PUBLISH_EVERY);
            every.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    biased;
                    () = closing.cancelled() => return,
                    _ = every.tick() => {}
                }
                let Some(shared) = shared.upgrade() else {
                    return;
                };
                let connectors = shared.connectors();
                drop(shared);
                let statuses = connectors.iter().filter_map(|one| one.status());
                if let Err(error) = publisher.write(statuses).await {
                    tracing::warn!(error = %error.chain(), "statuses could not be stored");
                }
            }
        });
    }
}

/// What was written last; `None` is of an earlier start and not looked at yet.
struct Publisher {
    store: StatusStore,
    generation: i32,
    worker_id: String,
    known: BTreeMap<StatusKey, Option<Status>>,
}

impl Publisher {
    async fn write(&mut self, connectors: impl Iterator<Item = ConnectorStatus>) -> Result<()> {
        let mut now = BTreeMap::new();
        for connector in connectors {
            let own = self.status(connector.own.state, connector.own.error.as_ref());
            now.insert(StatusKey::new(&connector.name, None), own);
            for task in &connector.tasks {
                let status = self.status(task.state, task.error.as_ref());
                now.insert(StatusKey::new(&connector.name, Some(task.id)), status);
            }
        }
        let changed = now
            .iter()
            .filter(|(key, status)| {
                let known = self.known.get(*key).and_then(Option::as_ref);
                known != Some(*status)
            })
            .map(|(key, status)| (key.clone(), Some(status.clone())));
        let gone = self.known.keys().filter(|key| !now.contains_key(key));
        let changes: Vec<_> = changed.chain(gone.map(|key| (key.clone(), None))).collect();
        self.store.put(&changes).await?;
        self.known = now.into_iter().map(|(key, one)| (key, Some(one))).collect();
        Ok(())
    }

    fn status(&self, state: State, error: Option<&ErrorReport>) -> Status {
        Status {
            state: state.as_str(),
            trace: error.map(ErrorReport::trace),
            worker_id: self.worker_id.clone(),
            generation: self.generation,
        }
    }
}
