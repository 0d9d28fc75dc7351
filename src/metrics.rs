//! Prometheus metrics of the worker: `tapline_*`, whose names are constants of this file and whose series are held
//! handles, the log's own (`log`), and those that Kafka Connect has, too (`connect`).
//!
//! Never touched per record: tasks add a batch's figures at once. A connector's series go with it.

mod classic;
mod connect;
mod log;
mod window;
mod work;

pub(crate) use connect::{ConnectorSeen, Startups, TaskSeen};
pub(crate) use work::Work;

use crate::broker::Stats;
use connect::Connect;
use log::LogFigures;
use parking_lot::Mutex;
use prometheus_client::{
    encoding::text,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

/// What every name begins with.
const PREFIX: &str = "tapline";
/// Counter: records that a source handed over.
const RECORDS_IN: &str = "records_in";
/// Counter: records that are durable in the log.
const RECORDS_LOG: &str = "records_log";
/// Counter: records that a target has taken.
const RECORDS_DELIVERED: &str = "records_delivered";
/// Counter: records that a target refused.
const RECORDS_REJECTED: &str = "records_rejected";
/// Counter: encoded bytes into or out of the log.
const BYTES: &str = "bytes";
/// Counter: commits of a source, puts of a sink.
const BATCHES: &str = "batches";
/// Gauge: records in the log that a sink has not delivered.
const LAG_RECORDS: &str = "lag_records";
/// Gauge: how far behind in time.
const LAG_SECONDS: &str = "lag_seconds";
/// Gauge: WAL that a slot keeps on the source's server.
const WAL_HELD_BYTES: &str = "wal_held_bytes";
/// Histogram: from handing a commit to the log until it is durable.
const COMMIT_SECONDS: &str = "commit_seconds";
/// Histogram: one `put` of a sink.
const PUT_SECONDS: &str = "put_seconds";
/// Counter by class: errors of tasks.
const ERRORS: &str = "errors";
/// Counter: attempts of a task after its first.
const RESTARTS: &str = "restarts";
/// Gauge by state: 1 for the task's state.
const TASK_STATE: &str = "task_state";

/// Labels in a fixed order.
type Labels = Vec<(&'static str, String)>;

/// A gauge of fractions.
type Fraction = Gauge<f64, AtomicU64>;

/// Waits from 0.1 ms, below any sync, to about 100 s, beyond any commit that is not stuck, each bucket twice the last.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 2.0, 21))
}

/// All series of one worker.
pub struct Metrics {
    registry: Mutex<Registry>,
    /// Kafka Connect's families have a prefix of their own.
    theirs: Mutex<Registry>,
    families: Families,
    startups: Arc<Startups>,
    /// Which label sets each connector has, to remove them with it, and what its tasks did.
    tasks: Mutex<BTreeMap<String, BTreeMap<u32, Arc<Work>>>>,
    before_render: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
}

#[derive(Default)]
struct Families {
    records_in: Family<Labels, Counter>,
    records_log: Family<Labels, Counter>,
    records_delivered: Family<Labels, Counter>,
    records_rejected: Family<Labels, Counter>,
    bytes: Family<Labels, Counter>,
    batches: Family<Labels, Counter>,
    lag_records: Family<Labels, Gauge>,
    lag_seconds: Family<Labels, Fraction>,
    wal_held_bytes: Family<Labels, Gauge>,
    commit_seconds: Waits,
    put_seconds: Waits,
    errors: Family<Labels, Counter>,
    restarts: Family<Labels, Counter>,
    task_state: Family<Labels, Gauge>,
}

/// Histograms of seconds.
struct Waits(Family<Labels, Histogram>);

impl Default for Waits {
    fn default() -> Self {
        Self(Family::new_with_constructor(seconds))
    }
}

/// The series of one task, held as long as the task is known. Cheap to clone.
#[derive(Clone)]
pub struct TaskMetrics {
    /// Records that a source handed over.
    pub records_in: Counter,
    /// Records that are durable in the log.
    pub records_log: Counter,
    /// Records that a target has taken.
    pub records_delivered: Counter,
    /// Records that a target refused.
    pub records_rejected: Counter,
    /// Encoded bytes into or out of the log.
    pub bytes: Counter,
    /// Commits of a source, puts of a sink.
    pub batches: Counter,
    /// Records in the log that a sink has not delivered.
    pub lag_records: Gauge,
    /// How far behind in time.
    pub lag_seconds: Gauge<f64, AtomicU64>,
    /// WAL that a slot keeps on the source's server.
    pub wal_held_bytes: Gauge,
    /// From handing a commit to the log until it is durable.
    pub commit_seconds: Histogram,
    /// One `put` of a sink.
    pub put_seconds: Histogram,
    /// Attempts after the first.
    pub restarts: Counter,
    /// What Kafka Connect's metrics tell of the task.
    pub(crate) work: Arc<Work>,
    /// Where the task's start is counted.
    pub(crate) startups: Arc<Startups>,
    errors: Family<Labels, Counter>,
    task_state: Family<Labels, Gauge>,
    labels: Labels,
}

/// The classes of errors, so that a series exists before the first error.
const CLASSES: [&str; 5] = ["disconnected", "retriable", "config", "fatal", "panic"];

/// The states of a task, as Kafka Connect writes them.
const STATES: [&str; 6] = [
    "UNASSIGNED",
    "RUNNING",
    "PAUSED",
    "RESTARTING",
    "FAILED",
    "STOPPED",
];

impl Default for Metrics {
    fn default() -> Self {
        let families = Families::default();
        let mut registry = Registry::with_prefix(PREFIX);
        families.register(&mut registry);
        Self {
            registry: Mutex::new(registry),
            theirs: Mutex::default(),
            families,
            startups: Arc::default(),
            tasks: Mutex::default(),
            before_render: Mutex::default(),
        }
    }
}

impl Families {
    fn register(&self, to: &mut Registry) {
        let f = self;
        to.register(
            RECORDS_IN,
            "Records that a source handed over",
            f.records_in.clone(),
        );
        to.register(
            RECORDS_LOG,
            "Records durable in the log",
            f.records_log.clone(),
        );
        to.register(
            RECORDS_DELIVERED,
            "Records that a target has taken",
            f.records_delivered.clone(),
        );
        to.register(
            RECORDS_REJECTED,
            "Records that a target refused",
            f.records_rejected.clone(),
        );
        to.register(
            BYTES,
            "Encoded bytes into or out of the log",
            f.bytes.clone(),
        );
        to.register(
            BATCHES,
            "Commits of a source, puts of a sink",
            f.batches.clone(),
        );
        to.register(
            LAG_RECORDS,
            "Records in the log that a sink has not delivered",
            f.lag_records.clone(),
        );
        to.register(LAG_SECONDS, "How far behind in time", f.lag_seconds.clone());
        to.register(
            WAL_HELD_BYTES,
            "WAL that the slot keeps on the source's server",
            f.wal_held_bytes.clone(),
        );
        to.register(
            COMMIT_SECONDS,
            "From handing a commit to the log until it is durable",
            f.commit_seconds.0.clone(),
        );
        to.register(PUT_SECONDS, "One put of a sink", f.put_seconds.0.clone());
        to.register(ERRORS, "Errors of tasks by class", f.errors.clone());
        to.register(
            RESTARTS,
            "Attempts of a task after its first",
            f.restarts.clone(),
        );
        to.register(
            TASK_STATE,
            "1 for the state of the task",
            f.task_state.clone(),
        );
    }
}

impl Metrics {
    /// The series in the OpenMetrics text format.
    #[must_use]
    pub fn render(&self) -> String {
        for refresh in self.before_render.lock().iter() {
            refresh();
        }
        let mut text = String::new();
        // Writing to a text cannot fail; were it to, an empty page says so to whoever scrapes.
        if self.encode(&mut text).is_err() {
            text.clear();
        }
        text
    }

    fn encode(&self, to: &mut String) -> fmt::Result {
        text::encode_registry(to, &self.registry.lock())?;
        text::encode_registry(to, &self.theirs.lock())?;
        text::encode_eof(to)
    }

    /// The same in Prometheus' classic text format.
    #[must_use]
    pub fn render_classic(&self) -> String {
        classic::of_open_metrics(&self.render())
    }

    /// Runs `refresh` before every page, for levels that are computed rather than counted.
    pub fn before_render(&self, refresh: impl Fn() + Send + Sync + 'static) {
        self.before_render.lock().push(Box::new(refresh));
    }

    /// Adds the log's own figures to every page.
    pub fn watch_log(&self, stats: Arc<Stats>) {
        self.registry
            .lock()
            .register_collector(Box::new(LogFigures(stats)));
    }

    /// Adds Kafka Connect's metrics of these connectors to every page.
    pub(crate) fn watch_connectors(
        &self,
        look: impl Fn() -> Vec<ConnectorSeen> + Send + Sync + 'static,
    ) {
        let startups = Arc::clone(&self.startups);
        self.theirs
            .lock()
            .register_collector(Box::new(Connect { look, startups }));
    }

    /// Where starts of connectors are counted.
    pub(crate) fn startups(&self) -> &Startups {
        &self.startups
    }

    /// The series of a task, made if need be.
    #[must_use]
    pub fn task(&self, connector: &str, task: u32) -> TaskMetrics {
        let mut tasks = self.tasks.lock();
        let of_connector = tasks.entry(connector.to_owned()).or_default();
        let work = Arc::clone(of_connector.entry(task).or_default());
        drop(tasks);
        let (f, labels) = (&self.families, labels(connector, task));
        for class in CLASSES {
            drop(f.errors.get_or_create(&with(&labels, "class", class)));
        }
        TaskMetrics {
            records_in: f.records_in.get_or_create_owned(&labels),
            records_log: f.records_log.get_or_create_owned(&labels),
            records_delivered: f.records_delivered.get_or_create_owned(&labels),
            records_rejected: f.records_rejected.get_or_create_owned(&labels),
            bytes: f.bytes.get_or_create_owned(&labels),
            batches: f.batches.get_or_create_owned(&labels),
            lag_records: f.lag_records.get_or_create_owned(&labels),
            lag_seconds: f.lag_seconds.get_or_create_owned(&labels),
            wal_held_bytes: f.wal_held_bytes.get_or_create_owned(&labels),
            commit_seconds: f.commit_seconds.0.get_or_create_owned(&labels),
            put_seconds: f.put_seconds.0.get_or_create_owned(&labels),
            restarts: f.restarts.get_or_create_owned(&labels),
            work,
            startups: Arc::clone(&self.startups),
            errors: f.errors.clone(),
            task_state: f.task_state.clone(),
            labels,
        }
    }

    /// Removes a connector's series.
    pub fn forget(&self, connector: &str) {
        let tasks = self.tasks.lock().remove(connector).unwrap_or_default();
        for task in tasks.into_keys() {
            self.families.remove(&labels(connector, task));
        }
    }
}

impl Families {
    fn remove(&self, labels: &Labels) {
        for counters in [
            &self.records_in,
            &self.records_log,
            &self.records_delivered,
            &self.records_rejected,
            &self.bytes,
            &self.batches,
            &self.restarts,
        ] {
            counters.remove(labels);
        }
        self.lag_records.remove(labels);
        self.lag_seconds.remove(labels);
        self.wal_held_bytes.remove(labels);
        self.commit_seconds.0.remove(labels);
        self.put_seconds.0.remove(labels);
        for class in CLASSES {
            self.errors.remove(&with(labels, "class", class));
        }
        for state in STATES {
            self.task_state.remove(&with(labels, "state", state));
        }
    }
}

impl TaskMetrics {
    /// A source handed over a batch.
    pub(crate) fn handed_over(&self, records: u64) {
        self.records_in.inc_by(records);
        self.work.polled(records);
    }

    /// A source's commit of `records` became durable; `written` is what transforms made of them.
    pub(crate) fn committed(&self, (records, written): (u64, u64), bytes: u64, took: Duration) {
        self.commit_seconds.observe(took.as_secs_f64());
        self.records_log.inc_by(records);
        self.bytes.inc_by(bytes);
        self.batches.inc();
        self.work.written(records, written);
        self.work.offsets_committed(took, true);
    }

    /// A target took a batch: `read` records of the log, of which transforms left `sent`.
    pub(crate) fn put(&self, (read, sent): (u64, u64), bytes: u64, took: Duration) {
        self.put_seconds.observe(took.as_secs_f64());
        self.batches.inc();
        self.records_delivered.inc_by(read);
        self.bytes.inc_by(bytes);
        self.work.sent(read, sent, took);
    }

    /// A target refused records.
    pub(crate) fn rejected(&self, records: u64) {
        self.records_rejected.inc_by(records);
        self.work.records_failed(records);
    }

    /// Counts an error of this class.
    pub fn error(&self, class: &'static str) {
        self.errors
            .get_or_create(&with(&self.labels, "class", class))
            .inc();
    }

    /// The task is in this state now, as Kafka Connect writes it.
    pub fn state(&self, state: &'static str) {
        for known in STATES {
            let is = i64::from(known == state);
            self.task_state
                .get_or_create(&with(&self.labels, "state", known))
                .set(is);
        }
    }
}

fn labels(connector: &str, task: u32) -> Labels {
    vec![
        ("connector", connector.to_owned()),
        ("task", task.to_string()),
    ]
}

fn with(labels: &Labels, name: &'static str, value: &str) -> Labels {
    let mut labels = labels.clone();
    labels.push((name, value.to_owned()));
    labels
}

#[cfg(test)]
mod tests;
