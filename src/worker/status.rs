//! What is told about connectors.

use super::{ConnectorKind, Origin};
use crate::task::{State, TaskStatus};
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
    /// The connector's state: FAILED and RESTARTING if any task is.
    pub state: State,
    /// Since when, in milliseconds since 1970.
    pub since_ms: i64,
    /// Its tasks, in the order of their numbers.
    pub tasks: Vec<TaskStatus>,
    /// Where it was written, if in a file.
    pub origin: Option<Origin>,
}
