//! `GET /tapline/v1/topics`: the log's topics with their partitions' ends and settings.

use super::App;
use crate::broker::{Ends, TopicInfo};
use axum::{Json, extract::State};
use serde_json::{Value, json};
use uuid::Uuid;

pub(super) async fn list(State(app): State<App>) -> Json<Vec<Value>> {
    let mut topics = app.worker.broker().topics();
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    Json(topics.iter().map(shown).collect())
}

fn shown(topic: &TopicInfo) -> Value {
    let partition = |(number, ends): (usize, &Ends)| {
        json!({
            "partition": number,
            "log_start": ends.log_start,
            "high_watermark": ends.high_watermark,
            "log_end": ends.log_end,
        })
    };
    json!({
        "name": &*topic.name,
        "id": Uuid::from_u128(topic.id),
        "config": topic.config,
        "partitions": topic.partitions.iter().enumerate().map(partition).collect::<Vec<_>>(),
    })
}
