//! `/connectors`: names and states, as Kafka Connect shows them.

use super::{App, failure::Failure};
use crate::worker::{ConnectorStatus, ErrorReport, TaskStatus};
use axum::{
    Json,
    extract::{Path, State},
};
use serde_json::{Value, json};

pub(super) async fn list(State(app): State<App>) -> Json<Vec<String>> {
    Json(
        app.worker
            .status()
            .into_iter()
            .map(|connector| connector.name)
            .collect(),
    )
}

pub(super) async fn status(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Failure> {
    let found = app
        .worker
        .status()
        .into_iter()
        .find(|connector| connector.name == name);
    let connector =
        found.ok_or_else(|| Failure::not_found(format!("No status found for connector {name}")))?;
    Ok(Json(shown(&connector, &app.address.to_string())))
}

/// Fails with Connect's words if there is no such connector.
pub(super) fn require(app: &App, name: &str) -> Result<ConnectorStatus, Failure> {
    let found = app
        .worker
        .status()
        .into_iter()
        .find(|connector| connector.name == name);
    found.ok_or_else(|| Failure::not_found(format!("Connector {name} not found")))
}

fn shown(connector: &ConnectorStatus, worker_id: &str) -> Value {
    let tasks: Vec<Value> = connector
        .tasks
        .iter()
        .map(|task| shown_task(task, worker_id))
        .collect();
    json!({
        "name": connector.name,
        "connector": {"state": connector.state, "worker_id": worker_id},
        "tasks": tasks,
        "type": connector.kind,
    })
}

fn shown_task(task: &TaskStatus, worker_id: &str) -> Value {
    let mut shown = json!({"id": task.id, "state": task.state, "worker_id": worker_id});
    if let (Some(error), Some(task)) = (&task.error, shown.as_object_mut()) {
        task.insert("trace".to_owned(), Value::String(trace(error)));
    }
    shown
}

/// What stands where Connect has a stack trace.
fn trace(error: &ErrorReport) -> String {
    let ErrorReport {
        code,
        message,
        remedy,
        ..
    } = error;
    let code = code.map(|code| format!("[{code}]")).unwrap_or_default();
    let help = remedy.as_ref().map(|remedy| format!("\nhelp: {remedy}"));
    format!("error{code}: {message}{}", help.unwrap_or_default())
}
