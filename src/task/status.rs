//! What is told about tasks: states as in Kafka Connect, the error in an operator's words, and figures.

use serde::Serialize;
use std::collections::BTreeMap;
use tapline_sdk::{Error, ErrorKind};

/// A state of Kafka Connect's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// Not started yet.
    Unassigned,
    /// Moves records, or waits for some.
    Running,
    /// Keeps its connections and moves nothing.
    Paused,
    /// Waits before it tries again; the task's error says why.
    Restarting,
    /// Stays so until somebody acts; the task's error says what to do.
    Failed,
    /// Ended in order.
    Stopped,
}

/// One task as it stands.
#[derive(Debug, Clone, Serialize)]
pub struct TaskStatus {
    /// Counts from 0.
    pub id: u32,
    /// Its state.
    pub state: State,
    /// Since when, in milliseconds since 1970.
    pub since_ms: i64,
    /// How often it was started again since the worker started.
    pub restarts: u64,
    /// What it is doing: `snapshot`, `streaming`.
    pub phase: String,
    /// Why it is RESTARTING or FAILED.
    pub error: Option<ErrorReport>,
    /// While RESTARTING: when it tries again, in milliseconds since 1970.
    pub retry_at_ms: Option<i64>,
    /// Its figures.
    pub gauges: Gauges,
}

/// An error in an operator's words. Holds no secret and no row value but the key of a rejected row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorReport {
    /// A stable code, such as `TL0304`.
    pub code: Option<&'static str>,
    /// `disconnected`, `retriable`, `config`, `fatal` or `panic`.
    pub class: &'static str,
    /// The error with all its causes on one line.
    pub message: String,
    /// What to do.
    pub remedy: Option<String>,
}

/// Figures since the worker started, but for those that are levels.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Gauges {
    /// Records that a source handed over.
    pub records_in: u64,
    /// Records that are durable in the log.
    pub records_log: u64,
    /// Records that a sink's target has taken.
    pub records_delivered: u64,
    /// Records that a sink's target refused.
    pub records_rejected: u64,
    /// Encoded bytes that went into the log or came out of it.
    pub bytes: u64,
    /// Records in the log that a sink has not delivered yet; a level.
    pub lag_records: u64,
    /// How far behind in time, in seconds; a level.
    pub lag_seconds: f64,
    /// WAL that the slot keeps on the source's server; a level, `None` where there is no slot.
    pub wal_held_bytes: Option<u64>,
    /// Other levels that the connector tells by name: `snapshot_tables_done`.
    pub levels: BTreeMap<&'static str, f64>,
}

/// The code of a panic, whose class is its own.
pub(crate) const PANIC: &str = "TL0501";

impl State {
    /// The state as Kafka Connect writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unassigned => "UNASSIGNED",
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Restarting => "RESTARTING",
            Self::Failed => "FAILED",
            Self::Stopped => "STOPPED",
        }
    }
}

impl ErrorReport {
    /// The report of an error.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        Self {
            code: error.code,
            class: match error.kind {
                _ if error.code == Some(PANIC) => "panic",
                ErrorKind::Disconnected => "disconnected",
                ErrorKind::Retriable => "retriable",
                ErrorKind::Config => "config",
                ErrorKind::Fatal => "fatal",
            },
            message: error.chain(),
            remedy: error.remedy.clone(),
        }
    }

    /// What stands where Kafka Connect has a stack trace: the cause first, then what to do. Never empty.
    #[must_use]
    pub fn trace(&self) -> String {
        let code = self.code.map(|code| format!("[{code}]"));
        let help = self.remedy.as_ref();
        let help = help.map(|remedy| format!("\nhelp: {remedy}"));
        format!(
            "error{}: {}{}",
            code.unwrap_or_default(),
            self.message,
            help.unwrap_or_default()
        )
    }
}
