//! Puts chunks into the target, in order, each until it is taken.

use super::{Ended, SinkTask, assign::Assigned, chunk::Chunk, group::Mirror};
use crate::{
    converter::json,
    plugins::DynSink,
    policy::{Action, Backoff, Failure, Phase},
    source::Active,
    task::{Monitor, State, exhausted},
};
use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};
use tapline_sdk::{Error, RecordRef, Rejected};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// When nothing is due: any long time.
const NOTHING_DUE: Duration = Duration::from_secs(3600);

/// The delivering half of a session.
pub(super) struct Deliver<'a> {
    sink: &'a mut dyn DynSink,
    monitor: Arc<Monitor>,
    mirror: Mirror,
    stop: CancellationToken,
    backoff: Backoff,
    active: Arc<Active>,
    /// Topics that are known to be used, as of this many resets.
    used: (u64, HashSet<Arc<str>>),
}

impl<'a> Deliver<'a> {
    pub(super) async fn new(
        task: &SinkTask,
        sink: &'a mut dyn DynSink,
        assigned: Vec<Assigned>,
    ) -> Result<Self, Failure> {
        let monitor = Arc::clone(&task.monitor);
        let mirror = Mirror::new(
            &*task.shared.log,
            &monitor.connector,
            monitor.task,
            &assigned,
        )
        .await
        .map_err(|error| Failure::new(Phase::Commit, error))?;
        Ok(Self {
            sink,
            monitor,
            mirror,
            stop: task.stop.clone(),
            active: Arc::clone(&task.shared.active),
            used: (task.shared.active.resets(), HashSet::new()),
            backoff: Backoff::of(&task.resolved.framework)
                .map_err(|error| Failure::new(Phase::Connect, error))?,
        })
    }

    /// Delivers until the stop, `done`, or the end of chunks. Positions are stored on the way out.
    pub(super) async fn run(
        mut self,
        mut chunks: mpsc::Receiver<Chunk>,
        done: &CancellationToken,
    ) -> Result<Ended, Failure> {
        let mut pauses = self.monitor.pauses();
        let ended = loop {
            let due_in = self.mirror.due_in();
            let paused = *pauses.borrow_and_update();
            tokio::select! {
                biased;
                // 1. The batch at hand is finished; what was read ahead is read again.
                () = self.stop.cancelled() => break Ended::Stop,
                () = done.cancelled() => break Ended::TopicsChanged,
                // 2. Positions, lazily.
                () = tokio::time::sleep(due_in.unwrap_or(NOTHING_DUE)), if due_in.is_some() => {
                    self.store().await?;
                }
                // 3. Somebody holds the task, or lets it go on. The sender lives in the monitor.
                _changed = pauses.changed() => {}
                // 4. The next batch.
                chunk = chunks.recv(), if !paused => match chunk {
                    Some(chunk) => if !self.put(&chunk).await? { break Ended::Stop },
                    // The reader failed and says why.
                    None => break Ended::TopicsChanged,
                },
            }
        };
        self.store().await?;
        Ok(ended)
    }

    async fn store(&mut self) -> Result<(), Failure> {
        if self.mirror.due_in().is_none() {
            return Ok(());
        }
        let since = Instant::now();
        let stored = self.mirror.store().await;
        let work = &self.monitor.metrics.work;
        work.offsets_committed(since.elapsed(), stored.is_ok());
        stored.map_err(|error| Failure::new(Phase::Commit, error))
    }

    /// Puts one chunk, again and again while the table says so. False: stopped before it was taken.
    async fn put(&mut self, chunk: &Chunk) -> Result<bool, Failure> {
        // Before it is put, as in Kafka Connect: whoever sees records in the target sees the topic they came from.
        self.uses(chunk).await?;
        loop {
            let since = Instant::now();
            match self.sink.put(chunk.batch()).await {
                Ok(rejected) if rejected.is_empty() => {
                    self.taken(chunk, since);
                    return Ok(true);
                }
                Ok(rejected) => {
                    let count = u64::try_from(rejected.len()).unwrap_or(u64::MAX);
                    self.monitor.metrics.rejected(count);
                    return Err(Failure::new(Phase::Put, refusal(chunk, &rejected)));
                }
                Err(error) => {
                    if !self.again(Failure::new(Phase::Put, error)).await? {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Waits before the same batch goes again; false: stopped meanwhile.
    async fn again(&mut self, failure: Failure) -> Result<bool, Failure> {
        if failure.action() != Action::SameBatch {
            return Err(failure);
        }
        let Some(delay) = self.backoff.next(fastrand::f64()) else {
            return Err(Failure::new(
                Phase::Connect,
                fatal(exhausted(failure.error)),
            ));
        };
        self.monitor.restarting(
            &failure.error,
            i64::try_from(delay.as_millis()).unwrap_or(i64::MAX),
        );
        Ok(tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            () = async {
                tokio::time::sleep(delay).await;
                self.monitor.unpaused().await;
            } => true,
        })
    }

    /// Remembers which topics the sink has had records of, for REST.
    async fn uses(&mut self, chunk: &Chunk) -> Result<(), Failure> {
        let resets = self.active.resets();
        if self.used.0 != resets {
            self.used = (resets, HashSet::new());
        }
        let topics = chunk.next.iter().map(|(at, _)| &at.topic);
        let new: Vec<Arc<str>> = topics
            .filter(|topic| !self.used.1.contains(*topic))
            .cloned()
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        self.used.1.extend(new.iter().cloned());
        let used = self.active.used(&self.monitor.connector, new).await;
        used.map_err(|error| Failure::new(Phase::Commit, error))
    }

    fn taken(&mut self, chunk: &Chunk, since: Instant) {
        let sent = u64::try_from(chunk.rows.len()).unwrap_or(u64::MAX);
        let records = (chunk.records, sent);
        let metrics = &self.monitor.metrics;
        metrics.put(records, chunk.bytes, since.elapsed());
        // I4: after `put` succeeded, nothing rejected. What a crash of the target would take back is not passed:
        // retention goes by this position.
        let durable = self.sink.durable();
        let next: Vec<_> = chunk
            .next
            .iter()
            .map(|(at, next)| {
                let held = durable.iter().find(|(known, _)| known == at);
                (at.clone(), held.map_or(*next, |(_, held)| *held.min(next)))
            })
            .collect();
        self.mirror.moved(&next);
        self.monitor.delivered(&chunk.next, chunk.last_timestamp_ms);
        self.monitor.progress();
        self.backoff.progress();
        if self.monitor.state() == State::Restarting {
            self.monitor.running();
        }
    }
}

/// Out of patience is for an operator, whatever the error was.
fn fatal(mut error: Error) -> Error {
    error.kind = tapline_sdk::ErrorKind::Fatal;
    error
}

/// A record's key as JSON; a key is what an operator finds the row by.
fn key_of(record: RecordRef<'_>) -> String {
    let mut text = Vec::new();
    json::value(record.shape().key.as_deref(), record.key(), &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// The first rejected record by its place in the log, its key, column and reason. Until dead letters exist, the task
/// fails: nothing is skipped.
fn refusal(chunk: &Chunk, rejected: &[Rejected]) -> Error {
    let Some(first) = rejected.first() else {
        return Error::fatal("the target rejected a batch without naming a record");
    };
    let at = chunk
        .batch()
        .iter()
        .nth(first.index)
        .map(|(record, place)| {
            let partition = chunk.next.get(place.partition as usize);
            let at = partition.map_or_else(
                || record.shape().topic.to_string(),
                |(at, _)| format!("{}/{}", at.topic, at.partition),
            );
            format!("{at}@{} with key {}", place.offset, key_of(record))
        });
    let at = at.unwrap_or_else(|| format!("number {} of a batch", first.index));
    let more = match rejected.len() {
        1 => String::new(),
        several => format!(" (and {} more of its batch)", several - 1),
    };
    Error::fatal(format!("the target does not take record {at}{more}"))
        .code("TL0502")
        .remedy(
            "correct the row at the source or the target's table, then restart the connector; `tapline offsets set` \
             to the next offset skips it",
        )
        .because(first.error.clone())
}
