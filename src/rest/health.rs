//! `GET /health`: is the worker well, and if not, who and why. 200 if everything runs, 503 if somebody has to act or it
//! has not begun yet.

use super::App;
use crate::worker::{ConnectorStatus, State as Status};
use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
pub(super) struct Health {
    /// `healthy`, `degraded` (something is being retried), `starting` or `unhealthy`.
    status: &'static str,
    message: String,
    log: Log,
    connectors: Vec<ConnectorStatus>,
}

#[derive(Serialize)]
struct Log {
    /// Why the log has stopped for good, if it has (I7).
    stopped: Option<String>,
    /// Room on the disk of the data directory; `None` if the system does not say.
    free_bytes: Option<u64>,
}

pub(super) async fn show(State(app): State<App>) -> (StatusCode, Json<Health>) {
    let health = judge(
        app.worker.has_begun(),
        app.worker.broker().stopped(),
        free_bytes(&app.data_dir),
        app.worker.status(),
    );
    let status = match health.status {
        "unhealthy" | "starting" => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    };
    (status, Json(health))
}

/// `GET /tapline/v1/status`: every connector with tasks, errors and figures.
pub(super) async fn connectors(State(app): State<App>) -> Json<Vec<ConnectorStatus>> {
    Json(app.worker.status())
}

fn judge(
    begun: bool,
    stopped: Option<String>,
    free_bytes: Option<u64>,
    connectors: Vec<ConnectorStatus>,
) -> Health {
    let named = |state: Status| {
        let names = connectors
            .iter()
            .filter(|connector| connector.state == state);
        names
            .map(|connector| connector.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let (failed, retried) = (named(Status::Failed), named(Status::Restarting));
    let (status, message) = if let Some(why) = &stopped {
        ("unhealthy", format!("The log has stopped: {why}"))
    } else if !begun {
        let message = "Worker is still starting up. Its connectors have not been started yet.";
        ("starting", message.to_owned())
    } else if !failed.is_empty() {
        (
            "unhealthy",
            format!("FAILED: {failed}. Each says why under its tasks."),
        )
    } else if !retried.is_empty() {
        (
            "degraded",
            format!("RESTARTING: {retried}. Each says why under its tasks."),
        )
    } else {
        let message = "Worker has completed startup and is ready to handle requests.";
        ("healthy", message.to_owned())
    };
    Health {
        status,
        message,
        log: Log {
            stopped,
            free_bytes,
        },
        connectors,
    }
}

/// What a user without privileges may still write there.
fn free_bytes(folder: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    stat.f_bavail.checked_mul(stat.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::worker::{ConnectorKind, ConnectorStatus, OwnStatus, State};

    fn connector(name: &str, state: State) -> ConnectorStatus {
        ConnectorStatus {
            name: name.to_owned(),
            kind: ConnectorKind::Sink,
            class: "test".to_owned(),
            state,
            since_ms: 0,
            own: OwnStatus {
                state,
                since_ms: 0,
                error: None,
            },
            tasks: Vec::new(),
            origin: None,
        }
    }

    #[test]
    fn a_failed_connector_or_log_makes_a_worker_unhealthy() {
        let states = [State::Running, State::Restarting, State::Failed];
        let status = |count: usize, stopped: Option<&str>| {
            let connectors = states
                .iter()
                .take(count)
                .map(|state| connector("c", *state));
            judge(true, stopped.map(str::to_owned), None, connectors.collect()).status
        };
        assert_eq!(status(0, None), "healthy");
        assert_eq!(status(1, None), "healthy");
        assert_eq!(status(2, None), "degraded");
        assert_eq!(status(3, None), "unhealthy");
        assert_eq!(status(0, Some("a sync failed")), "unhealthy");
        assert_eq!(judge(false, None, None, Vec::new()).status, "starting");
    }
}
