//! What is told about connectors.

use super::{ConnectorKind, Origin};
use crate::task::{ErrorReport, State, TaskStatus};
use serde::Serialize;

/// One connector as it stands.
#[derive(Debug, Clone, Serialize)]
pub struct ConnectorStatus {
    /// Its name.
    pub name: String,
    /// Source or sink.
    pub kind: ConnectorKind,
    /// Its own class.
    pub class: String,
    /// As bad as the worse of the connector itself and its worst task: FAILED and RESTARTING if any task is.
    pub state: State,
    /// Since when, in milliseconds since 1970.
    pub since_ms: i64,
    /// The connector without its tasks.
    pub own: OwnStatus,
    /// Its tasks, in the order of their numbers.
    pub tasks: Vec<TaskStatus>,
    /// Where it was written, if in a file.
    pub origin: Option<Origin>,
}

/// A connector without its tasks: whether they could be made.
#[derive(Debug, Clone, Serialize)]
pub struct OwnStatus {
    /// Its state.
    pub state: State,
    /// Since when, in milliseconds since 1970.
    pub since_ms: i64,
    /// Why it is FAILED.
    pub error: Option<ErrorReport>,
}

impl ConnectorStatus {
    /// A connector's status from its own and its tasks'.
    pub(crate) fn of(
        (name, kind, class): (&str, ConnectorKind, &str),
        own: OwnStatus,
        tasks: Vec<TaskStatus>,
        origin: Option<Origin>,
    ) -> Self {
        let worst = tasks.iter().max_by_key(|task| severity(task.state));
        let worst = worst.filter(|task| severity(task.state) > severity(own.state));
        Self {
            name: name.to_owned(),
            kind,
            class: class.to_owned(),
            state: worst.map_or(own.state, |task| task.state),
            since_ms: worst.map_or(own.since_ms, |task| task.since_ms),
            own,
            tasks,
            origin,
        }
    }
}

fn severity(state: State) -> u8 {
    match state {
        State::Running => 0,
        State::Paused => 1,
        State::Unassigned => 2,
        State::Stopped => 3,
        State::Restarting => 4,
        State::Failed => 5,
    }
}
