//! What one task does, counted as Kafka Connect counts it.
//!
//! Owns the figures behind the task groups of [`connect`](super::connect); told of batches, never of records. They
//! count on over restarts of a task and go with its connector.

use super::window::{Meter, Window, exact};
use parking_lot::Mutex;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// One task's figures. A batch takes the lock once or twice, for less than a microsecond.
#[derive(Debug, Default)]
pub(crate) struct Work(Mutex<Figures>);

#[derive(Debug, Default)]
struct Figures {
    polled: Meter,
    written: Meter,
    transactions: Window,
    read: Meter,
    sent: Meter,
    put_ms: Window,
    batches: Window,
    active: u64,
    actives: Window,
    commit_ms: Window,
    commits: Window,
    completed: Meter,
    sequence: u64,
    failures: u64,
    logged: u64,
    last_error_ms: i64,
    partitions: u64,
    lag_max: u64,
}

/// Every figure at one moment. Times are milliseconds; averages and extremes are `NaN` when there was nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    pub(super) polled: f64,
    pub(super) poll_rate: f64,
    pub(super) written: f64,
    pub(super) write_rate: f64,
    pub(super) transaction_min: f64,
    pub(super) transaction_max: f64,
    pub(super) transaction_avg: f64,
    pub(super) read: f64,
    pub(super) read_rate: f64,
    pub(super) sent: f64,
    pub(super) send_rate: f64,
    pub(super) put_max: f64,
    pub(super) put_avg: f64,
    pub(super) batch_max: f64,
    pub(super) batch_avg: f64,
    pub(super) active: f64,
    pub(super) active_max: f64,
    pub(super) active_avg: f64,
    pub(super) commit_max: f64,
    pub(super) commit_avg: f64,
    pub(super) commit_success: f64,
    pub(super) commit_failure: f64,
    pub(super) completed: f64,
    pub(super) completion_rate: f64,
    pub(super) sequence: f64,
    pub(super) failures: f64,
    pub(super) logged: f64,
    pub(super) last_error_ms: f64,
    pub(super) partitions: f64,
    pub(super) lag_max: f64,
}

/// While it lives, an attempt may have partitions and records under way; afterwards there are none.
pub(crate) struct Attempting(Arc<Work>);

impl Work {
    /// An attempt begins.
    pub(crate) fn attempt(self: &Arc<Self>) -> Attempting {
        Attempting(Arc::clone(self))
    }

    /// A source handed over a batch.
    pub(crate) fn polled(&self, records: u64) {
        let (now, mut figures) = (Instant::now(), self.0.lock());
        figures.polled.add(now, records);
        figures.batches.observe(now, exact(records));
        figures.under_way(now, |active| active.saturating_add(records));
    }

    /// A commit of `polled` records became durable; `written` is what transforms made of them.
    pub(crate) fn written(&self, polled: u64, written: u64) {
        let (now, mut figures) = (Instant::now(), self.0.lock());
        figures.written.add(now, written);
        figures.transactions.observe(now, exact(written));
        figures.under_way(now, |active| active.saturating_sub(polled));
    }

    /// A sink's batch was read from the log and decoded.
    pub(crate) fn read(&self, records: u64) {
        let (now, mut figures) = (Instant::now(), self.0.lock());
        figures.read.add(now, records);
        figures.under_way(now, |active| active.saturating_add(records));
    }

    /// A target took the `sent` records that transforms made of `read`.
    pub(crate) fn sent(&self, read: u64, sent: u64, took: Duration) {
        let (now, mut figures) = (Instant::now(), self.0.lock());
        figures.sent.add(now, sent);
        figures.batches.observe(now, exact(sent));
        figures.put_ms.observe(now, milliseconds(took));
        figures.under_way(now, |active| active.saturating_sub(read));
    }

    /// Offsets were stored, or could not be.
    pub(crate) fn offsets_committed(&self, took: Duration, successful: bool) {
        let (now, mut figures) = (Instant::now(), self.0.lock());
        figures.sequence += 1;
        figures
            .commits
            .observe(now, f64::from(u8::from(successful)));
        if successful {
            figures.commit_ms.observe(now, milliseconds(took));
            figures.completed.add(now, 1);
        }
    }

    /// So many records could not be processed.
    pub(crate) fn records_failed(&self, records: u64) {
        self.0.lock().failures += records;
    }

    /// An error of the task was logged.
    pub(crate) fn error_logged(&self, now_ms: i64) {
        let mut figures = self.0.lock();
        figures.logged += 1;
        figures.last_error_ms = now_ms;
    }

    /// A sink has so many partitions.
    pub(crate) fn assigned(&self, partitions: usize) {
        self.0.lock().partitions = u64::try_from(partitions).unwrap_or(u64::MAX);
    }

    /// The partition that is furthest behind is this many records behind.
    pub(crate) fn lags(&self, records: u64) {
        self.0.lock().lag_max = records;
    }

    /// Every figure now.
    pub(crate) fn reading(&self) -> Reading {
        self.0.lock().reading(Instant::now())
    }
}

impl Drop for Attempting {
    fn drop(&mut self) {
        let mut figures = self.0.0.lock();
        figures.under_way(Instant::now(), |_| 0);
        figures.partitions = 0;
    }
}

impl Figures {
    fn under_way(&mut self, now: Instant, change: impl FnOnce(u64) -> u64) {
        self.active = change(self.active);
        let active = exact(self.active);
        self.actives.observe(now, active);
    }

    fn reading(&self, now: Instant) -> Reading {
        let (commit_success, commit_failure) = self.commits.shares(now);
        Reading {
            polled: self.polled.total(),
            poll_rate: self.polled.rate(now),
            written: self.written.total(),
            write_rate: self.written.rate(now),
            transaction_min: self.transactions.min(now),
            transaction_max: self.transactions.max(now),
            transaction_avg: self.transactions.average(now),
            read: self.read.total(),
            read_rate: self.read.rate(now),
            sent: self.sent.total(),
            send_rate: self.sent.rate(now),
            put_max: self.put_ms.max(now),
            put_avg: self.put_ms.average(now),
            batch_max: self.batches.max(now),
            batch_avg: self.batches.average(now),
            active: exact(self.active),
            active_max: self.actives.max(now),
            active_avg: self.actives.average(now),
            commit_max: self.commit_ms.max(now),
            commit_avg: self.commit_ms.average(now),
            commit_success,
            commit_failure,
            completed: self.completed.total(),
            completion_rate: self.completed.rate(now),
            sequence: exact(self.sequence),
            failures: exact(self.failures),
            logged: exact(self.logged),
            last_error_ms: self.last_error_ms as f64,
            partitions: exact(self.partitions),
            lag_max: exact(self.lag_max),
        }
    }
}

fn milliseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}
