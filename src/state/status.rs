//! `connect-status`: what connectors and tasks were last seen to be, for whoever reads the topic.
//!
//! Keys and values are Kafka Connect's: `status-connector-NAME` and `status-task-NAME-N` →
//! `{"state":…,"trace":…,"worker_id":…,"generation":…}`. Nothing is decided by it: the worker knows its tasks.

use crate::{
    broker::Broker,
    state::map::{Blob, StateMap},
};
use serde_json::json;
use std::sync::Arc;
use tapline_sdk::Error;

/// The topic.
pub const TOPIC: &str = "connect-status";

/// What a connector or task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// RUNNING, PAUSED, STOPPED, FAILED, RESTARTING, UNASSIGNED.
    pub state: &'static str,
    /// The error, for FAILED: without secrets.
    pub trace: Option<String>,
    /// The worker's address.
    pub worker_id: String,
    /// Counts the worker's starts.
    pub generation: i32,
}

/// Writes statuses.
#[derive(Debug)]
pub struct StatusStore {
    map: StateMap,
}

impl StatusStore {
    /// Creates the topic if need be and reads it.
    ///
    /// # Errors
    /// TL0520 if the topic cannot be read.
    pub async fn open(broker: Arc<dyn Broker>) -> Result<Self, Error> {
        let map = StateMap::open(broker, TOPIC).await?;
        Ok(Self { map })
    }

    /// Stores the status of a connector, or of one of its tasks.
    ///
    /// # Errors
    /// TL0521 if the log refuses it.
    pub async fn put(
        &self,
        connector: &str,
        task: Option<u32>,
        status: &Status,
    ) -> Result<(), Error> {
        let value = json!({
            "state": status.state,
            "trace": status.trace,
            "worker_id": status.worker_id,
            "generation": status.generation,
        });
        let value: Blob = value.to_string().into_bytes().into();
        self.map.put(key(connector, task), value).await
    }

    /// Forgets a connector and this many tasks of it.
    ///
    /// # Errors
    /// TL0521 if the log refuses it.
    pub async fn remove(&self, connector: &str, tasks: u32) -> Result<(), Error> {
        let tasks = (0..tasks).map(Some);
        let entries = std::iter::once(None)
            .chain(tasks)
            .map(|task| (key(connector, task), None));
        self.map.put_all(&entries.collect::<Vec<_>>()).await
    }
}

fn key(connector: &str, task: Option<u32>) -> Blob {
    let key = match task {
        None => format!("status-connector-{connector}"),
        Some(task) => format!("status-task-{connector}-{task}"),
    };
    key.into_bytes().into()
}
