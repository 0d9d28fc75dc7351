//! A source task: from a connector's batches to durable records in the log.
//!
//! Owns the stages between [`Output::send`](tapline_sdk::Output::send) and the committed level, each a task of its
//! own, so that reading, encoding and syncing overlap:
//!
//! ```text
//! Source::run ──budget──▶ encode: transform, topics, schemas, batches ──▶ Writer::commit ──▶ settle: in order
//!      ▲                                                                                        │
//!      └─────────────────────────── Committed (a watched level) ◀───────────────────────────────┘
//! ```
//!
//! It never decides what an error means and never resumes from memory: every attempt takes a new writer, which fences
//! the last one (I10), and reads its offsets from the log again (I5).

mod committed;
mod encode;
mod output;
mod settle;
mod topics;

pub(crate) use topics::Active;

use crate::{
    broker::{
        Broker,
        batch::{BatchBuilder, Compression},
    },
    plugins::{Resolved, SourcePlugin, keys},
    policy::{Failure, Phase},
    registry::Registry,
    state::OffsetStore,
    task::{Attempt, Idle, Monitor, ended},
};
use std::sync::Arc;
use tapline_sdk::{Config, Error, Progress, SourceContext};
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// Idle builders that keep their buffers: as many as one merged commit usually touches. More would hold memory that
/// grows with the number of tables or tasks.
const BUILDERS_IDLE_MAX: usize = 8;

/// What source tasks of one worker share.
pub(crate) struct Shared {
    pub(crate) log: Arc<dyn Broker>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) offsets: Arc<OffsetStore>,
    pub(crate) active: Arc<Active>,
    builders: Arc<Idle<BatchBuilder>>,
    budget: Arc<Semaphore>,
}

impl Shared {
    pub(crate) fn new(
        log: Arc<dyn Broker>,
        registry: Arc<Registry>,
        offsets: Arc<OffsetStore>,
        active: Arc<Active>,
    ) -> Self {
        Self {
            log,
            registry,
            offsets,
            active,
            builders: Arc::new(Idle::new(BUILDERS_IDLE_MAX)),
            budget: output::budget_of_all(),
        }
    }
}

/// One source task; every attempt begins anew from it.
pub(crate) struct SourceTask {
    pub(crate) shared: Arc<Shared>,
    pub(crate) plugin: Arc<dyn SourcePlugin>,
    pub(crate) config: Config,
    pub(crate) resolved: Resolved,
    pub(crate) monitor: Arc<Monitor>,
    pub(crate) stop: CancellationToken,
}

/// The owner whose successor fences a task (I10).
pub(crate) fn owner(connector: &str, task: u32) -> String {
    format!("source-{connector}-{task}")
}

impl SourceTask {
    /// Connects, runs and drains once.
    pub(crate) async fn attempt(self: Arc<Self>) -> Attempt {
        let _attempting = self.monitor.metrics.work.attempt();
        let commit_failed = |error| Failure::new(Phase::Commit, error);
        let (connector, task) = (&self.monitor.connector, self.monitor.task);
        // I10: everything a predecessor has enqueued is decided before its offsets are read again.
        let writer = self
            .shared
            .log
            .writer(&owner(connector, task))
            .await
            .map_err(commit_failed)?;
        let claim = self
            .shared
            .offsets
            .claim(connector)
            .await
            .map_err(commit_failed)?;
        let source = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(()),
            source = self.plugin.connect(self.config.clone()) => source,
        };
        let source = source.map_err(|error| Failure::new(Phase::Connect, error))?;
        self.monitor.running();

        let (output, batches) = output::channel(
            Arc::clone(&self.monitor),
            self.stop.clone(),
            &self.shared.budget,
        );
        let (level, committed) = committed::level(claim.stored());
        let (commits, in_flight) = settle::channel();
        let encoder = encode::Stage::new(&self, writer, claim)?;
        let context = SourceContext {
            output: Box::new(output),
            committed: Box::new(committed),
            stop: Box::pin(self.stop.clone().cancelled_owned()),
            progress: Arc::clone(&self.monitor) as Arc<dyn Progress>,
        };
        let mut stages = JoinSet::new();
        let run = async move {
            let ran = source.run(context).await;
            ran.map_err(|error| Failure::new(Phase::Run, error))
        };
        let run = stages.spawn(run.in_current_span());
        stages.spawn(encoder.run(batches, commits).in_current_span());
        let settling = settle::run(in_flight, level, Arc::clone(&self.monitor));
        stages.spawn(settling.in_current_span());
        drain(stages, run.id()).await?;
        if !self.stop.is_cancelled() {
            // The source has nothing left to read, ever: it stays RUNNING, as in Kafka Connect.
            self.monitor.phase("nothing left to read");
            self.stop.cancelled().await;
        }
        Ok(())
    }

    /// The settings of the encode stage.
    fn encoding(&self) -> Result<encode::Settings, Failure> {
        let refused = |error: Error| Failure::new(Phase::Connect, error);
        let framework = &self.resolved.framework;
        let compression = framework.get(&keys::COMPRESSION).map_err(refused)?;
        Ok(encode::Settings {
            chain: self.resolved.chain().map_err(|issues| {
                let text = issues.into_iter().map(|issue| issue.problem);
                let text = text.collect::<Vec<_>>().join("; ");
                refused(Error::config(format!("cannot make the transforms: {text}")))
            })?,
            compression: match compression.as_str() {
                "none" => Compression::None,
                "zstd" => Compression::Zstd,
                _ => Compression::Lz4,
            },
            partitions: framework.get(&keys::PARTITIONS).map_err(refused)?,
            placeholder: framework.get(&keys::PLACEHOLDER).map_err(refused)?,
            converters: self.resolved.converters.clone(),
        })
    }
}

/// Waits for all stages. The source's own end lets the others drain what it sent: what is durable is not read again.
/// The error of a later stage is the cause where there are two: the source only noticed that nobody listened.
async fn drain(mut stages: JoinSet<Attempt>, run: tokio::task::Id) -> Attempt {
    let mut outcome = Ok(());
    while let Some(joined) = stages.join_next_with_id().await {
        let (id, joined) = match joined {
            Ok((id, attempt)) => (id, Ok(attempt)),
            Err(error) => (error.id(), Err(error)),
        };
        match ended(joined) {
            Ok(()) => {}
            Err(failure) if id == run => outcome = Err(failure),
            // Dropping the set drops the source and whatever is in flight; the log knows what became of it (I5).
            Err(failure) => return Err(failure),
        }
    }
    outcome
}
