//! The worker: owns the log, the state maps and every running task, and answers for them.
//!
//! Owns which connectors exist, when their tasks start, restart and stop, and what is told about them. Moves no
//! record itself: that is the affair of the source and sink tasks.

mod apply;
mod offsets;
mod read;
mod running;
mod spec;
mod status;

pub use crate::task::{ErrorReport, Gauges, State, TaskStatus};
pub use offsets::OffsetEntry;
pub use read::{Page, Read};
pub use spec::{ApplyError, ConnectorKind, ConnectorSpec, Origin, Placeholders, Refusal, Settings};
pub use status::ConnectorStatus;

use crate::{
    broker::Broker,
    metrics::Metrics,
    registry::Registry,
    sink,
    source::{self, Active},
    state::{ConfigStore, OffsetStore, Sealer},
};
use parking_lot::Mutex;
use running::Running;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tapline_sdk::{Error, Result};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The key file for sealed secrets, in the data directory.
const KEY_FILE: &str = "secret.key";

/// How often `connect-offsets` is looked at: it grows by a record per commit, so some 10,000 records may gather.
const TRIM_EVERY: Duration = Duration::from_secs(60);

/// A running worker. Cheap to clone.
#[derive(Clone)]
pub struct Worker {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    log: Arc<dyn Broker>,
    metrics: Arc<Metrics>,
    configs: ConfigStore,
    sources: Arc<source::Shared>,
    sinks: Arc<sink::Shared>,
    connectors: Mutex<BTreeMap<String, Arc<Running>>>,
    /// Held while connectors are started or stopped: one change at a time.
    changing: tokio::sync::Mutex<()>,
    closing: CancellationToken,
}

/// How a stop ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stopped {
    /// Tasks that were dropped because the deadline passed (`shop.source-0`): what they had not committed is read
    /// again at the next start (I5).
    pub abandoned: Vec<String>,
}

impl Worker {
    /// Rebuilds the state maps from the log. Starts no connector: see [`Worker::apply`].
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
                sources: Arc::new(source::Shared {
                    log: Arc::clone(&log),
                    registry: Arc::clone(&registry),
                    offsets,
                    active: Arc::clone(&active),
                }),
                sinks: Arc::new(sink::Shared {
                    log: Arc::clone(&log),
                    registry,
                    active,
                }),
                log,
                connectors: Mutex::default(),
                changing: tokio::sync::Mutex::default(),
                closing: CancellationToken::new(),
            }),
        };
        worker.keep_house();
        Ok(worker)
    }

    /// What happens by itself: levels before each metrics page, offsets kept short.
    fn keep_house(&self) {
        let shared = Arc::downgrade(&self.shared);
        self.shared.metrics.before_render(move || {
            if let Some(shared) = shared.upgrade() {
                shared.refresh();
            }
        });
        let closing = self.shared.closing.clone();
        let offsets = Arc::clone(&self.shared.sources.offsets);
        tokio::spawn(async move {
            let mut every = tokio::time::interval_at(Instant::now() + TRIM_EVERY, TRIM_EVERY);
            loop {
                tokio::select! {
                    biased;
                    () = closing.cancelled() => return,
                    _ = every.tick() => {}
                }
                if let Err(error) = offsets.trim().await {
                    tracing::warn!(error = %error.chain(), "offsets could not be trimmed");
                }
            }
        });
    }

    /// The groups of all connectors there are, running or not: what they have not read is kept.
    #[must_use]
    pub fn groups(&self) -> BTreeSet<Arc<str>> {
        let configs = self.shared.configs.all();
        configs
            .keys()
            .map(|name| sink::group(name).into())
            .collect()
    }

    /// The log.
    #[must_use]
    pub fn broker(&self) -> &Arc<dyn Broker> {
        &self.shared.log
    }

    /// The metrics.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.shared.metrics
    }

    /// All connectors as they stand, by name.
    #[must_use]
    pub fn status(&self) -> Vec<ConnectorStatus> {
        self.shared.refresh();
        let connectors = self.shared.connectors.lock();
        connectors.values().map(|one| one.status()).collect()
    }

    /// Topics that a source connector has written, or that a sink's settings name.
    #[must_use]
    pub fn topics_of(&self, connector: &str) -> Vec<Arc<str>> {
        let topics = self.shared.sources.active.of(connector);
        topics.into_iter().collect()
    }

    /// Sources stop reading and their commits become durable; then sinks finish their batch and store positions. What
    /// is not done by the deadline is dropped and named. The log itself stays open: close it afterwards.
    pub async fn stop(&self, deadline: Duration) -> Stopped {
        let end = Instant::now() + deadline;
        self.shared.closing.cancel();
        let _changing = tokio::time::timeout_at(end, self.shared.changing.lock()).await;
        let connectors: Vec<Arc<Running>> =
            self.shared.connectors.lock().values().cloned().collect();
        let mut abandoned = Vec::new();
        for kind in [ConnectorKind::Source, ConnectorKind::Sink] {
            let of_kind = || connectors.iter().filter(|one| one.spec.kind == kind);
            of_kind().for_each(|one| one.stop.cancel());
            for one in of_kind() {
                abandoned.extend(one.end(end).await);
            }
        }
        for task in &abandoned {
            tracing::warn!(
                task,
                "task did not stop in time and was dropped: what it had not committed is read again"
            );
        }
        Stopped { abandoned }
    }

    fn connector(&self, name: &str) -> Result<Arc<Running>> {
        let connectors = self.shared.connectors.lock();
        connectors.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = connectors.keys().map(String::as_str).collect();
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
    fn refresh(&self) {
        let connectors: Vec<Arc<Running>> = self.connectors.lock().values().cloned().collect();
        for connector in connectors {
            for task in &connector.tasks {
                task.refresh(&*self.log);
            }
        }
    }
}
