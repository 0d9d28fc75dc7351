//! `GET /metrics`: Prometheus' text format.

use super::App;
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};

/// What `prometheus-client` writes.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn show(State(app): State<App>) -> Response {
    (
        [(header::CONTENT_TYPE, OPEN_METRICS)],
        app.worker.metrics().render(),
    )
        .into_response()
}
