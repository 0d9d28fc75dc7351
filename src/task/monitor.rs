//! How a task is seen from outside: its state, its error, its figures.

use super::{ErrorReport, Gauges, State, TaskStatus, now_ms, spent::Spent};
use crate::{
    broker::Broker,
    logging::scope,
    metrics::{TaskMetrics, TaskSeen},
};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Instant,
};
use tapline_sdk::{Error, Progress, TopicPartition};
use tokio::sync::watch;
use tracing::Span;

/// Slot figures are whole bytes, told as a fraction.
const WAL_HELD_BYTES: &str = "wal_held_bytes";
/// How far a source is behind, in milliseconds.
const SOURCE_LAG_MS: &str = "source_lag_ms";

/// Errors of one record, told when the task fails with it: not transformed, encoded or decoded. Refused ones are counted
/// where they are refused.
const OF_ONE_RECORD: [&str; 3] = ["TL0503", "TL0504", "TL0505"];

/// One task's outside, shared by the task and whoever asks.
pub(crate) struct Monitor {
    pub(crate) connector: Arc<str>,
    pub(crate) task: u32,
    pub(crate) metrics: TaskMetrics,
    /// Says whose a line is; whatever runs for the task is in it.
    scope: Span,
    life: Mutex<Life>,
    /// Whether it is to move nothing for now. Changed under the lock of `life` only.
    paused: watch::Sender<bool>,
    levels: Mutex<BTreeMap<&'static str, f64>>,
    /// Where a sink stands after its last put.
    positions: Mutex<BTreeMap<TopicPartition, u64>>,
    /// The time stamp of the record delivered last.
    delivered_ms: AtomicI64,
    /// Something became durable since somebody last asked.
    progressed: AtomicBool,
    /// Whether its start has succeeded or failed.
    started: AtomicBool,
}

struct Life {
    state: State,
    since_ms: i64,
    restarts: u64,
    phase: String,
    error: Option<ErrorReport>,
    retry_at_ms: Option<i64>,
    spent: Spent,
}

impl Monitor {
    pub(crate) fn new(
        connector: Arc<str>,
        task: u32,
        metrics: TaskMetrics,
        paused: bool,
    ) -> Arc<Self> {
        metrics.state(State::Unassigned.as_str());
        Arc::new(Self {
            scope: scope::of_task(&connector, task),
            connector,
            task,
            metrics,
            life: Mutex::new(Life {
                state: State::Unassigned,
                since_ms: now_ms(),
                restarts: 0,
                phase: String::new(),
                error: None,
                retry_at_ms: None,
                spent: Spent::default(),
            }),
            paused: watch::Sender::new(paused),
            levels: Mutex::default(),
            positions: Mutex::default(),
            delivered_ms: AtomicI64::new(0),
            progressed: AtomicBool::new(false),
            started: AtomicBool::new(false),
        })
    }

    fn enter(&self, state: State, error: Option<ErrorReport>, retry_at_ms: Option<i64>) {
        self.change(&mut self.life.lock(), state, error, retry_at_ms);
    }

    fn change(
        &self,
        life: &mut Life,
        state: State,
        error: Option<ErrorReport>,
        retry_at_ms: Option<i64>,
    ) {
        // A paused task that lost its connection is paused: nobody waits for it.
        let state = match state {
            State::Running | State::Restarting if self.is_paused() => State::Paused,
            _ => state,
        };
        if life.state != state {
            life.since_ms = now_ms();
        }
        life.spent.change(Instant::now(), state);
        life.state = state;
        life.error = error;
        life.retry_at_ms = retry_at_ms;
        self.metrics.state(state.as_str());
    }

    /// Connected: whatever was wrong is over.
    pub(crate) fn running(&self) {
        self.enter(State::Running, None, None);
        if !self.started.swap(true, Ordering::Relaxed) {
            self.metrics.startups.task(true);
        }
        self.scope.in_scope(|| tracing::info!("task is running"));
    }

    /// Holds the task, or lets it go on. A task that has failed or ended stays as it is.
    pub(crate) fn set_paused(&self, paused: bool) {
        let mut life = self.life.lock();
        if self.paused.send_replace(paused) == paused {
            return;
        }
        let active = matches!(
            life.state,
            State::Running | State::Restarting | State::Paused
        );
        if active {
            self.change(&mut life, State::Running, None, None);
        }
    }

    pub(crate) fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    /// Tells of every change of [`Monitor::is_paused`].
    pub(crate) fn pauses(&self) -> watch::Receiver<bool> {
        self.paused.subscribe()
    }

    /// Resolves when the task may move records.
    pub(crate) async fn unpaused(&self) {
        // The sender lives as long as this monitor, so that waiting cannot fail.
        let mut paused = self.paused.subscribe();
        drop(paused.wait_for(|paused| !paused).await);
    }

    /// Waits before it tries again.
    pub(crate) fn restarting(&self, error: &Error, retry_in_ms: i64) {
        let report = ErrorReport::of(error);
        self.metrics.error(report.class);
        self.metrics.work.error_logged(now_ms());
        self.metrics.restarts.inc();
        self.life.lock().restarts += 1;
        self.scope.in_scope(|| {
            tracing::warn!(
                error = %error.chain(),
                code = error.code,
                retry_in_ms,
                "task will be tried again"
            );
        });
        self.enter(
            State::Restarting,
            Some(report),
            Some(now_ms() + retry_in_ms),
        );
    }

    /// Stays so until somebody acts.
    pub(crate) fn failed(&self, error: &Error) {
        let report = ErrorReport::of(error);
        self.metrics.error(report.class);
        self.metrics.work.error_logged(now_ms());
        if error.code.is_some_and(|code| OF_ONE_RECORD.contains(&code)) {
            self.metrics.work.records_failed(1);
        }
        if !self.started.swap(true, Ordering::Relaxed) {
            self.metrics.startups.task(false);
        }
        self.scope.in_scope(|| {
            tracing::error!(
                error = %error.chain(),
                code = error.code,
                remedy = error.remedy,
                "task failed"
            );
        });
        self.enter(State::Failed, Some(report), None);
    }

    /// Ended in order.
    pub(crate) fn stopped(&self) {
        self.enter(State::Stopped, None, None);
        self.scope.in_scope(|| tracing::info!("task stopped"));
    }

    /// The span of everything that is done for the task.
    pub(crate) fn scope(&self) -> Span {
        self.scope.clone()
    }

    pub(crate) fn state(&self) -> State {
        self.life.lock().state
    }

    /// Something became durable: the next trouble is a new one.
    pub(crate) fn progress(&self) {
        self.progressed.store(true, Ordering::Relaxed);
    }

    /// Whether something became durable since the last call.
    pub(crate) fn take_progress(&self) -> bool {
        self.progressed.swap(false, Ordering::Relaxed)
    }

    /// A put has succeeded up to these positions.
    pub(crate) fn delivered(&self, next: &[(TopicPartition, u64)], last_timestamp_ms: Option<i64>) {
        let mut positions = self.positions.lock();
        for (at, position) in next {
            match positions.get_mut(at) {
                Some(known) => *known = *position,
                None => {
                    positions.insert(at.clone(), *position);
                }
            }
        }
        if let Some(timestamp_ms) = last_timestamp_ms {
            self.delivered_ms.store(timestamp_ms, Ordering::Relaxed);
        }
    }

    /// A sink begins at these positions; others are no longer its own.
    pub(crate) fn assigned(&self, positions: BTreeMap<TopicPartition, u64>) {
        self.metrics.work.assigned(positions.len());
        *self.positions.lock() = positions;
    }

    /// Brings the levels that depend on the log up to date.
    pub(crate) fn refresh(&self, log: &dyn Broker) {
        let positions = self.positions.lock().clone();
        if positions.is_empty() {
            let lag_ms = self.levels.lock().get(SOURCE_LAG_MS).copied();
            self.metrics
                .lag_seconds
                .set(lag_ms.unwrap_or_default() / 1000.0);
            return;
        }
        let lags = positions.iter().filter_map(|(at, next)| {
            let topic = log.topic(&at.topic)?;
            let ends = topic.partitions.get(usize::try_from(at.partition).ok()?)?;
            Some(ends.high_watermark.saturating_sub(*next))
        });
        let (lag, lag_max) = lags.fold((0_u64, 0), |(sum, max), lag| {
            (sum.saturating_add(lag), lag.max(max))
        });
        self.metrics.work.lags(lag_max);
        let delivered_ms = self.delivered_ms.load(Ordering::Relaxed);
        let behind_ms = match (lag, delivered_ms) {
            (0, _) | (_, 0) => 0,
            (_, delivered_ms) => now_ms().saturating_sub(delivered_ms).max(0),
        };
        self.metrics
            .lag_records
            .set(i64::try_from(lag).unwrap_or(i64::MAX));
        self.metrics.lag_seconds.set(seconds(behind_ms));
    }

    /// The task as Kafka Connect's metrics show it.
    pub(crate) fn seen(&self) -> TaskSeen {
        let life = self.life.lock();
        let (running_ratio, pause_ratio) = life.spent.shares(Instant::now());
        TaskSeen {
            task: self.task,
            state: life.state.as_str(),
            running_ratio,
            pause_ratio,
            retries: self.metrics.restarts.get(),
            work: Arc::clone(&self.metrics.work),
        }
    }

    /// The task as it stands. Levels are as of the last [`Monitor::refresh`].
    pub(crate) fn status(&self) -> TaskStatus {
        let life = self.life.lock();
        TaskStatus {
            id: self.task,
            state: life.state,
            since_ms: life.since_ms,
            restarts: life.restarts,
            phase: life.phase.clone(),
            error: life.error.clone(),
            retry_at_ms: life.retry_at_ms,
            gauges: self.gauges(),
        }
    }

    fn gauges(&self) -> Gauges {
        let metrics = &self.metrics;
        let levels = self.levels.lock().clone();
        Gauges {
            records_in: metrics.records_in.get(),
            records_log: metrics.records_log.get(),
            records_delivered: metrics.records_delivered.get(),
            records_rejected: metrics.records_rejected.get(),
            bytes: metrics.bytes.get(),
            lag_records: u64::try_from(metrics.lag_records.get()).unwrap_or_default(),
            lag_seconds: metrics.lag_seconds.get(),
            wal_held_bytes: levels
                .contains_key(WAL_HELD_BYTES)
                .then(|| u64::try_from(metrics.wal_held_bytes.get()).unwrap_or_default()),
            levels,
        }
    }
}

impl Progress for Monitor {
    fn gauge(&self, name: &'static str, value: f64) {
        if name == WAL_HELD_BYTES {
            self.metrics.wal_held_bytes.set(whole(value));
        }
        self.levels.lock().insert(name, value);
    }

    fn phase(&self, text: &str) {
        let mut life = self.life.lock();
        if life.phase != text {
            text.clone_into(&mut life.phase);
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a lag in milliseconds is exact up to 285,000 years"
)]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a cast from a float saturates, and a figure for people may"
)]
fn whole(value: f64) -> i64 {
    value as i64
}
