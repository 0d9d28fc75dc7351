//! States in Kafka Connect's JSON, fields in its order. Kept to its own words: clients know no others.

use crate::worker::{ConnectorKind, ConnectorStatus, State, TaskStatus, Worker};
use serde::Serialize;

/// `GET /connectors/{name}/status`.
#[derive(Debug, Serialize)]
pub(super) struct ConnectorState {
    name: String,
    connector: OwnState,
    pub(super) tasks: Vec<TaskState>,
    #[serde(rename = "type")]
    kind: ConnectorKind,
}

#[derive(Debug, Serialize)]
struct OwnState {
    state: &'static str,
    worker_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
}

/// `GET /connectors/{name}/tasks/{n}/status`, and an entry of the list above.
#[derive(Debug, Serialize)]
pub(super) struct TaskState {
    pub(super) id: u32,
    state: &'static str,
    worker_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
}

/// A connector's status as a worker of this address tells it.
pub(super) fn shown(worker: &Worker, status: &ConnectorStatus, worker_id: &str) -> ConnectorState {
    let version = worker.version_of(&status.class);
    let stopped = status.own.state == State::Stopped;
    let tasks = status.tasks.iter().filter(|_| !stopped);
    ConnectorState {
        name: status.name.clone(),
        connector: OwnState {
            state: status.own.state.as_str(),
            worker_id: worker_id.to_owned(),
            version,
            trace: status
                .own
                .error
                .as_ref()
                .map(crate::worker::ErrorReport::trace),
        },
        tasks: tasks
            .map(|task| task_state(task, version, worker_id))
            .collect(),
        kind: status.kind,
    }
}

fn task_state(task: &TaskStatus, version: Option<&'static str>, worker_id: &str) -> TaskState {
    // A task that is ending has no word of its own there; STOPPED is said of connectors only.
    let state = match task.state {
        State::Stopped => State::Unassigned,
        state => state,
    };
    TaskState {
        id: task.id,
        state: state.as_str(),
        worker_id: worker_id.to_owned(),
        version,
        trace: task.error.as_ref().map(crate::worker::ErrorReport::trace),
    }
}
