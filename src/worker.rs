//! The worker: owns the log, the state maps and every running task, and answers for them.
//!
//! Owns how tasks are made from a connector's settings and ended, their offsets, and reads of the log; which of them
//! run is the [`herder`](crate::herder)'s affair. Moves no record itself: that is the affair of the source and sink
//! tasks.

mod offsets;
mod read;
mod running;
mod seen;
mod spec;
mod status;
mod topics;

pub use crate::task::{ErrorReport, Gauges, State, TaskStatus};
pub use offsets::OffsetEntry;
pub use read::{Page, Read};
pub use spec::{
    ApplyError, Author, ConnectorKind, ConnectorSpec, Origin, Placeholders, Refusal, Settings,
    Subject, TopicSpec,
};
pub use status::{ConnectorStatus, OwnStatus};
pub use topics::TopicRefused;

pub(crate) use running::{Plan, Running, check};
pub(crate) use topics::topic_issues;

use crate::{
    broker::Broker,
    config::gate::ConnectorLimits,
    herder::Connector,
    metrics::Metrics,
    registry::Registry,
    sink,
    source::{self, Active},
    state::{ConfigStore, OffsetStore, Sealer},
};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tapline_sdk::{Error, Result};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The key file for sealed secrets, in the data directory.
const KEY_FILE: &str = "secret.key";

/// A running worker. Cheap to clone.
#[derive(Clone)]
pub struct Worker {
    pub(crate) shared: Arc<Shared>,
}

/// What every part of a worker shares.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) log: Arc<dyn Broker>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) configs: ConfigStore,
    pub(crate) sources: Arc<source::Shared>,
    pub(crate) sinks: Arc<sink::Shared>,
    /// By name, those included that are being created or deleted.
    pub(crate) connectors: Mutex<BTreeMap<String, Arc<Connector>>>,
    pub(crate) closing: CancellationToken,
    /// Set once, before anybody asks; else the defaults.
    pub(crate) limits: OnceLock<ConnectorLimits>,
    tracking: Mutex<TopicTracking>,
    /// Set once the connectors that are stored or asked for have been given to their supervisors.
    pub(crate) begun: AtomicBool,
}

/// What clients may know and change of the topics that connectors have used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicTracking {
    /// Whether they are told.
    pub shown: bool,
    /// Whether they may be reset.
    pub reset: bool,
}

impl Default for TopicTracking {
    fn default() -> Self {
        Self {
            shown: true,
            reset: true,
        }
    }
}

/// How a stop ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stopped {
    /// Tasks that were dropped because the deadline passed (`shop.source-0`): what they had not committed is read
    /// again at the next start (I5).
    pub abandoned: Vec<String>,
}

impl Worker {
    /// Rebuilds the state maps from the log. Starts no connector: see [`Worker::begin`] and [`Worker::apply`].
    ///
    /// # Errors
    /// The log cannot be read, or the key file does not open what is sealed in it.
    pub async fn open(settings: Settings, log: Arc<dyn Broker>) -> Result<Self> {
        let registry = Registry::open(Arc::clone(&log)).await?;
        let offsets = OffsetStore::open(Arc::clone(&log)).await?;
        let active = Active::open(Arc::clone(&log)).await?;
        let sealer = Sealer::open(&settings.data_dir.join(KEY_FILE))?;
        let configs = ConfigStore::open(Arc::clone(&log), sealer).await?;
        let worker = Self {
            shared: Arc::new(Shared {
                settings,
                metrics: Arc::default(),
                configs,
                sources: Arc::new(source::Shared::new(
                    Arc::clone(&log),
                    Arc::clone(&registry),
                    offsets,
                    Arc::clone(&active),
                )),
                sinks: Arc::new(sink::Shared::new(Arc::clone(&log), registry, active)),
                log,
                connectors: Mutex::default(),
                closing: CancellationToken::new(),
                limits: OnceLock::new(),
                tracking: Mutex::default(),
                begun: AtomicBool::new(false),
            }),
        };
        worker.shared.load();
        worker.keep_house();
        Ok(worker)
    }

    /// What happens by itself: levels before each metrics page.
    fn keep_house(&self) {
        let shared = Arc::downgrade(&self.shared);
        self.shared.metrics.before_render(move || {
            if let Some(shared) = shared.upgrade() {
                shared.refresh();
            }
        });
        let shared = Arc::downgrade(&self.shared);
        self.shared.metrics.watch_connectors(move || {
            let shared = shared.upgrade();
            shared.map(|shared| shared.seen()).unwrap_or_default()
        });
    }

    /// Bounds how many connectors there may be and how long their names. Counts once; before that the defaults hold.
    pub fn limit(&self, limits: ConnectorLimits) {
        self.shared.limits.get_or_init(|| limits);
    }

    /// Says what clients may know of connectors' topics; at first, everything.
    pub fn track_topics(&self, tracking: TopicTracking) {
        *self.shared.tracking.lock() = tracking;
    }

    /// What clients may know of connectors' topics.
    #[must_use]
    pub fn topic_tracking(&self) -> TopicTracking {
        *self.shared.tracking.lock()
    }

    /// Whether its connectors have been given to their supervisors; before that it is still starting.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.shared.begun.load(Ordering::Acquire)
    }

    /// What it was told about itself.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// The log.
    #[must_use]
    pub fn broker(&self) -> &Arc<dyn Broker> {
        &self.shared.log
    }

    /// The schema registry.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.shared.sources.registry
    }

    /// The metrics.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.shared.metrics
    }

    /// Sources stop reading and their commits become durable; then sinks finish their batch and store positions. What
    /// is not done by the deadline is dropped and named. The log itself stays open: close it afterwards.
    pub async fn stop(&self, deadline: Duration) -> Stopped {
        let end = Instant::now() + deadline;
        self.shared.closing.cancel();
        let connectors = self.shared.connectors();
        let mut abandoned = Vec::new();
        for kind in [ConnectorKind::Source, ConnectorKind::Sink] {
            let running = connectors.iter().filter_map(|one| one.running());
            let of_kind: Vec<Arc<Running>> = running.filter(|one| one.spec.kind == kind).collect();
            of_kind.iter().for_each(|one| one.stop());
            for one in &of_kind {
                abandoned.extend(one.end(end).await);
            }
        }
        Stopped { abandoned }
    }

    pub(crate) fn connector(&self, name: &str) -> Result<Arc<Connector>> {
        self.shared.find(name).ok_or_else(|| {
            let names = self.names();
            let known: Vec<&str> = names.iter().map(String::as_str).collect();
            Error::config(format!("connector {name} not found"))
                .code("TL0506")
                .remedy(match tapline_sdk::nearest(name, known.iter().copied()) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("these exist: {}", known.join(", ")),
                })
        })
    }
}

impl Shared {
    /// Brings the levels that depend on the log up to date.
    pub(crate) fn refresh(&self) {
        for connector in self.connectors() {
            let running = connector.running();
            for task in running.iter().flat_map(|running| running.monitors()) {
                task.refresh(&*self.log);
            }
        }
    }
}
