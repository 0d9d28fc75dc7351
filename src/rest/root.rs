//! `GET /`: versions, as a Kafka Connect worker says them.

use super::App;
use axum::{Json, extract::State};
use serde_json::{Value, json};

/// Clients read the first two numbers as Kafka Connect's and choose features by them; ours follow.
const VERSION: &str = concat!("4.1.0-tapline-", env!("CARGO_PKG_VERSION"));

pub(super) async fn show(State(app): State<App>) -> Json<Value> {
    Json(json!({
        "version": VERSION,
        "commit": option_env!("TAPLINE_COMMIT").unwrap_or("unknown"),
        "kafka_cluster_id": &*app.worker.broker().cluster_id(),
    }))
}
