//! `GET /`: versions, as a Kafka Connect worker says them.

use super::App;
use axum::{Json, extract::State};
use serde::Serialize;

/// Clients read the first two numbers as Kafka Connect's and choose features by them; ours follow.
const VERSION: &str = concat!("4.1.0-tapline-", env!("CARGO_PKG_VERSION"));

/// Fields in Kafka Connect's order.
#[derive(Debug, Serialize)]
pub(super) struct Root {
    version: &'static str,
    commit: &'static str,
    kafka_cluster_id: String,
}

pub(super) async fn show(State(app): State<App>) -> Json<Root> {
    Json(Root {
        version: VERSION,
        commit: option_env!("TAPLINE_COMMIT").unwrap_or("unknown"),
        kafka_cluster_id: app.worker.broker().cluster_id().to_string(),
    })
}
