//! `connect-status`: what connectors and tasks were last seen to be, for whoever reads the topic.
//!
//! Keys and values are Kafka Connect's: `status-connector-NAME` and `status-task-NAME-N` →
//! `{"state":…,"trace":…,"worker_id":…,"generation":…}`. Nothing is decided by it: the worker knows its tasks.

use crate::state::map::{Blob, StateMap};
use serde_json::{Value, json};
use std::sync::Arc;
use tapline_sdk::Error;

const CONNECTOR: &str = "status-connector-";
const TASK: &str = "status-task-";

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

/// Whose status it is: a connector's, or one of its tasks'.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatusKey(String);

impl StatusKey {
    /// The connector, or a task of it.
    #[must_use]
    pub fn new(connector: &str, task: Option<u32>) -> Self {
        Self(match task {
            None => format!("{CONNECTOR}{connector}"),
            Some(task) => format!("{TASK}{connector}-{task}"),
        })
    }
}

/// Writes statuses.
#[derive(Debug)]
pub struct StatusStore {
    map: Arc<StateMap>,
}

impl StatusStore {
    /// Over the topic's map, which active topics share: two writers of one topic would fence each other.
    #[must_use]
    pub fn over(map: Arc<StateMap>) -> Self {
        Self { map }
    }

    /// Every status that is stored, by key.
    #[must_use]
    pub fn keys(&self) -> Vec<StatusKey> {
        let all = self.map.all();
        let texts = all.keys().filter_map(|key| std::str::from_utf8(key).ok());
        texts
            .filter(|key| key.starts_with(CONNECTOR) || key.starts_with(TASK))
            .map(|key| StatusKey(key.to_owned()))
            .collect()
    }

    /// The highest generation that is stored, 0 if there is none.
    #[must_use]
    pub fn generation(&self) -> i32 {
        let all = self.map.all();
        let generation = |value: &Blob| {
            let value: Value = serde_json::from_slice(value).ok()?;
            i32::try_from(value.get("generation")?.as_i64()?).ok()
        };
        all.values().filter_map(generation).max().unwrap_or(0)
    }

    /// Stores statuses in one commit, durable on return; `None` forgets one.
    ///
    /// # Errors
    /// TL0521 if the log refuses it.
    pub async fn put(&self, statuses: &[(StatusKey, Option<Status>)]) -> Result<(), Error> {
        let entry = |(key, status): &(StatusKey, Option<Status>)| {
            let key: Blob = key.0.as_bytes().into();
            (key, status.as_ref().map(value))
        };
        let entries: Vec<_> = statuses.iter().map(entry).collect();
        self.map.put_all(&entries).await
    }
}

fn value(status: &Status) -> Blob {
    let value = json!({
        "state": status.state,
        "trace": status.trace,
        "worker_id": status.worker_id,
        "generation": status.generation,
    });
    value.to_string().into_bytes().into()
}
