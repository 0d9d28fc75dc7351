//! The worker: owns the log, the state maps and every running task, and answers for them.
//!
//! Owns which connectors exist, when their tasks start, restart and stop, and what is told about them. Moves no
//! record itself: that is the affair of [`crate::source`] and [`crate::sink`].

mod spec;
mod status;

pub use spec::{ApplyError, ConnectorKind, ConnectorSpec, Origin, Placeholders, Refusal, Settings};
pub use status::{ConnectorStatus, ErrorReport, Gauges, State, TaskStatus};

use crate::{broker::Broker, metrics::Metrics};
use std::{sync::Arc, time::Duration};
use tapline_sdk::{Position, Result};

/// A running worker. Cheap to clone.
#[derive(Clone)]
pub struct Worker {
    broker: Arc<dyn Broker>,
    metrics: Arc<Metrics>,
}

/// A source partition or topic partition with the stored offset, as KIP-875 shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetEntry {
    /// `{"server": "shop"}`, or `{"kafka_topic": …, "kafka_partition": …}` for a sink.
    pub partition: Position,
    /// The offset; for a sink `{"kafka_offset": …}`. `None` in a change: forget it.
    pub offset: Option<Position>,
}

/// What to read of one partition.
#[derive(Debug, Clone)]
pub struct Read {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// The first offset wanted; below the log's start: the log's start.
    pub from: u64,
    /// At most this many records.
    pub records_max: usize,
    /// How long to wait if there is none yet.
    pub wait: Duration,
}

/// Records of one partition, decoded.
#[derive(Debug, Clone)]
pub struct Page {
    /// One JSON object a record: offset, timestamp, key, value, headers; it says so where bytes cannot be decoded.
    pub lines: Vec<String>,
    /// Where to read on.
    pub next: u64,
    /// The first offset that cannot be read yet.
    pub high_watermark: u64,
}

/// How a stop ended.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    pub async fn open(settings: Settings, broker: Arc<dyn Broker>) -> Result<Self> {
        let _ = settings;
        Ok(Self {
            broker,
            metrics: Arc::default(),
        })
    }

    /// The log.
    #[must_use]
    pub fn broker(&self) -> &Arc<dyn Broker> {
        &self.broker
    }

    /// The metrics.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Checks all specs, stores them in `connect-configs` and starts them. A connector of the same name with other
    /// settings is restarted with the new ones; one with the same settings goes on. Nothing is started if any is
    /// refused.
    ///
    /// # Errors
    /// Every refused key, or why the configs cannot be stored.
    pub async fn apply(&self, specs: Vec<ConnectorSpec>) -> Result<(), ApplyError> {
        let _ = specs;
        Ok(())
    }

    /// All connectors as they stand, by name.
    #[must_use]
    pub fn status(&self) -> Vec<ConnectorStatus> {
        Vec::new()
    }

    /// Restarts the tasks of a connector, FAILED ones included.
    ///
    /// # Errors
    /// There is no such connector.
    pub async fn restart(&self, connector: &str) -> Result<()> {
        let _ = connector;
        Ok(())
    }

    /// The stored offsets of a connector: of a sink, what its target holds.
    ///
    /// # Errors
    /// There is no such connector, or its target cannot be asked.
    pub async fn offsets(&self, connector: &str) -> Result<Vec<OffsetEntry>> {
        let _ = connector;
        Ok(Vec::new())
    }

    /// Sets or forgets the listed offsets, the target's own first. The connector's tasks are stopped around the
    /// change.
    ///
    /// # Errors
    /// There is no such connector, an entry has the wrong form, or the connector refuses it: nothing is changed then.
    pub async fn set_offsets(&self, connector: &str, entries: Vec<OffsetEntry>) -> Result<()> {
        let _ = (connector, entries);
        Ok(())
    }

    /// Makes a source read these tables again (all of its tables if empty), keeping its place in the stream.
    ///
    /// # Errors
    /// There is no such connector, or it cannot do that.
    pub async fn resnapshot(&self, connector: &str, tables: &[String]) -> Result<()> {
        let _ = (connector, tables);
        Ok(())
    }

    /// Records as JSON lines.
    ///
    /// # Errors
    /// There is no such topic or partition, or the log cannot be read there.
    pub async fn read(&self, read: Read) -> Result<Page> {
        Ok(Page {
            lines: Vec::new(),
            next: read.from,
            high_watermark: 0,
        })
    }

    /// Sources stop reading and their commits become durable; sinks finish their batch and store positions. What is
    /// not done by the deadline is dropped and named.
    pub async fn stop(&self, deadline: Duration) -> Stopped {
        let _ = deadline;
        Stopped {
            abandoned: Vec::new(),
        }
    }
}
