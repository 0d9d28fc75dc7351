//! Errors and warnings as people see them, with place and remedy.

use crate::worker::{ConnectorStatus, ErrorReport, State, TaskStatus};
use tapline_sdk::Error;

/// An error of a command.
pub(super) fn of_error(error: &Error) -> String {
    render(
        "error",
        error.code,
        &error.chain(),
        "",
        error.remedy.as_deref(),
    )
}

/// What keeps a connector from having tasks.
pub(super) fn of_connector(connector: &ConnectorStatus) -> Option<String> {
    let ErrorReport {
        code,
        message,
        remedy,
        ..
    } = connector.own.error.as_ref()?;
    let message = format!("{message}: the connector is FAILED");
    let place = place(connector);
    Some(render("error", *code, &message, &place, remedy.as_deref()))
}

/// What keeps a task from running: an error if it stays so, a warning if it is tried again.
pub(super) fn of_task(connector: &ConnectorStatus, task: &TaskStatus) -> Option<String> {
    let ErrorReport {
        code,
        message,
        remedy,
        ..
    } = task.error.as_ref()?;
    let (level, after) = match task.state {
        State::Failed => ("error", ": the connector is FAILED"),
        State::Restarting => ("warning", ": trying again"),
        _ => return None,
    };
    let place = place(connector);
    Some(render(
        level,
        *code,
        &format!("{message}{after}"),
        &place,
        remedy.as_deref(),
    ))
}

/// A warning of a file.
pub(super) fn warning(message: &str, place: &str) -> String {
    render("warning", None, message, place, None)
}

/// File and line where the connector is written, and its name.
pub(super) fn place(connector: &ConnectorStatus) -> String {
    match &connector.origin {
        Some(origin) => format!("{}:{}  {}", origin.file, origin.line, connector.name),
        None => connector.name.clone(),
    }
}

fn render(
    level: &str,
    code: Option<&str>,
    message: &str,
    place: &str,
    help: Option<&str>,
) -> String {
    let code = code.map(|code| format!("[{code}]")).unwrap_or_default();
    let mut text = format!("{level}{code}: {message}");
    if !place.is_empty() {
        text.push_str("  --> ");
        text.push_str(place);
    }
    text.push('\n');
    if let Some(help) = help.filter(|help| !help.is_empty()) {
        text.push_str("  help: ");
        text.push_str(help);
        text.push('\n');
    }
    text
}
