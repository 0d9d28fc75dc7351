//! A sink task: from the log to a target, one batch at a time.
//!
//! Owns the choice of topics, fetching and decoding ahead while the target works, the repetition of a batch, and the
//! group position. A target that holds positions is believed (I4); the group position only mirrors it.
//!
//! ```text
//! log ──fetch──▶ Reader: decode, barriers, transforms ──one chunk ahead──▶ put ──▶ positions (target, then group)
//! ```
//!
//! A session is the time between two assignments: when topics appear, the session ends after its last batch, and the
//! sink takes over the new set, once its neighbours have let go of it. An attempt is a connection with its sessions.

mod assign;
mod barrier;
mod budget;
mod chunk;
mod deliver;
mod group;
mod reader;
mod turns;

pub(crate) use assign::{Selection, is_internal};
pub(crate) use budget::Budget;
pub(crate) use turns::Turns;

use crate::{
    broker::{Broker, batch::BatchReader},
    plugins::{DynSink, Resolved, SinkPlugin},
    policy::{Failure, Phase},
    registry::Registry,
    source::Active,
    task::{Attempt, Idle, Monitor, ended},
};
use assign::Assigned;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tapline_sdk::{Config, Progress, SinkContext};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// How often topics are looked for that nobody told of (created by hand): a person's patience.
const TOPICS_LOOK_EVERY: Duration = Duration::from_secs(1);

/// Decoded chunks that wait for the target: one, so that it never waits for decoding, and memory holds three (one
/// being made, one waiting, one being put).
const CHUNKS_AHEAD: usize = 1;

/// Idle buffers for unpacking that a worker keeps, of 1 MiB mostly.
const UNPACKERS_IDLE_MAX: usize = 4;

/// What sink tasks of one worker share.
pub(crate) struct Shared {
    pub(crate) log: Arc<dyn Broker>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) active: Arc<Active>,
    pub(crate) turns: Turns,
    pub(crate) budget: Arc<Budget>,
    /// Unpacking waits for nothing, so as many are in use as there are cores.
    pub(crate) unpackers: Idle<BatchReader>,
}

/// One sink task; every attempt begins anew from it.
pub(crate) struct SinkTask {
    pub(crate) shared: Arc<Shared>,
    pub(crate) plugin: Arc<dyn SinkPlugin>,
    pub(crate) config: Config,
    pub(crate) resolved: Resolved,
    pub(crate) selection: Selection,
    /// How many tasks share the topics.
    pub(crate) tasks: u32,
    pub(crate) monitor: Arc<Monitor>,
    pub(crate) stop: CancellationToken,
}

/// Why a session ended in order.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Stop,
    TopicsChanged,
}

impl Shared {
    pub(crate) fn new(log: Arc<dyn Broker>, registry: Arc<Registry>, active: Arc<Active>) -> Self {
        Self {
            log,
            registry,
            active,
            turns: Turns::default(),
            budget: Arc::default(),
            unpackers: Idle::new(UNPACKERS_IDLE_MAX),
        }
    }
}

/// The group of a sink, as in Kafka Connect.
pub(crate) fn group(connector: &str) -> String {
    format!("connect-{connector}")
}

/// The owner whose successor fences a task (I10).
pub(crate) fn owner(connector: &str, task: u32) -> String {
    format!("sink-{connector}-{task}")
}

impl SinkTask {
    /// Connects, applies until the stop, and says goodbye.
    pub(crate) async fn attempt(self: Arc<Self>) -> Attempt {
        let sink = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(()),
            sink = self.plugin.connect(self.config.clone()) => sink,
        };
        let mut sink = sink.map_err(|error| Failure::new(Phase::Connect, error))?;
        self.monitor.running();
        let context = SinkContext {
            cluster_id: self.shared.log.cluster_id(),
            connector: Arc::clone(&self.monitor.connector),
            task: self.monitor.task,
        };
        while self.session(&mut *sink, &context).await? == Ended::TopicsChanged {}
        let closed = sink.close().await;
        closed.map_err(|error| Failure::new(Phase::Put, error))
    }

    async fn session(
        &self,
        sink: &mut dyn DynSink,
        context: &SinkContext,
    ) -> Result<Ended, Failure> {
        let mut changes = self.shared.active.changes();
        let topics = self.topics();
        if topics.is_empty() {
            self.monitor.assigned(BTreeMap::new());
            self.monitor.phase("waiting for topics");
            return Ok(self.topics_change(&mut changes, &topics).await);
        }
        self.monitor
            .phase("waiting for another task to let go of topics");
        let _turn = tokio::select! {
            biased;
            by = self.topics_change(&mut changes, &topics) => return Ok(by),
            turn = self.shared.turns.take(&self.monitor.connector, &topics) => turn,
        };
        // Who had them may have had them for so long because others came.
        if !assign::same(&topics, &self.topics()) {
            return Ok(Ended::TopicsChanged);
        }
        let assigned = assign::open(&*self.shared.log, sink, context, &topics).await?;
        self.monitor.assigned(
            assigned
                .iter()
                .map(|one| (one.at.clone(), one.next))
                .collect(),
        );
        self.monitor.phase("applying");
        let _attempting = self.monitor.metrics.work.attempt();
        let (send, chunks) = mpsc::channel(CHUNKS_AHEAD);
        let reader = reader::Reader::new(self, &assigned)?;
        let done = CancellationToken::new();
        let mut reading = JoinSet::new();
        reading.spawn(reader.run(send, done.clone()).in_current_span());
        let deliver = deliver::Deliver::new(self, sink, assigned).await?;
        let session = deliver.run(chunks, &done);
        tokio::pin!(session);
        let ended_by = tokio::select! {
            biased;
            by = &mut session => by,
            by = self.topics_change(&mut changes, &topics) => {
                // The batch at hand is finished, then the session ends.
                done.cancel();
                session.await.map(|_| by)
            }
        };
        done.cancel();
        // The reader's error is the cause where the other side only saw the chunks end.
        if let Some(joined) = reading.join_next().await {
            ended(joined)?;
        }
        ended_by
    }

    fn topics(&self) -> Vec<Assigned> {
        self.selection.assigned(
            &*self.shared.log,
            &self.shared.active,
            self.monitor.task,
            self.tasks,
        )
    }

    /// Resolves when the task is to stop, or other topics are its own now.
    async fn topics_change(
        &self,
        changes: &mut tokio::sync::watch::Receiver<u64>,
        before: &[Assigned],
    ) -> Ended {
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ended::Stop,
                changed = changes.changed() => {
                    if changed.is_err() {
                        tokio::time::sleep(TOPICS_LOOK_EVERY).await;
                    }
                }
                () = tokio::time::sleep(TOPICS_LOOK_EVERY) => {}
            }
            if !assign::same(before, &self.topics()) {
                return Ended::TopicsChanged;
            }
        }
    }
}
