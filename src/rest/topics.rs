//! `/tapline/v1/topics`: the log's topics with their partitions' ends and settings; made, altered and deleted.

use super::{
    App,
    body::{self, Settings},
    failure::Failure,
};
use crate::{
    broker::{Ends, NewTopic, TopicInfo},
    worker::TopicRefused,
};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, sync::Arc};
use uuid::Uuid;

/// What to do about a body of the wrong form.
const FORM: &str = "send {\"name\": …, \"partitions\": 1, \"config\": {\"cleanup.policy\": …}}; name is needed to create";

/// What to do about a topic that is not there.
pub(super) const LIST: &str =
    "`tapline topics`, or GET /tapline/v1/topics, lists those that there are";

pub(super) async fn list(State(app): State<App>) -> Json<Vec<Value>> {
    let mut topics = app.worker.broker().topics();
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    Json(topics.iter().map(shown).collect())
}

pub(super) async fn show(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Failure> {
    let topic = app.worker.broker().topic(&name);
    let topic = topic.ok_or_else(|| failure(TopicRefused::Unknown, &name))?;
    Ok(Json(shown(&topic)))
}

/// `{"name": …, "partitions": 1, "config": {…}}`; all but the name may be left out.
pub(super) async fn create(
    State(app): State<App>,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let mut fields = body::object(&body)?;
    body::only(&fields, &["name", "partitions", "config"])?;
    let Some(Value::String(name)) = fields.remove("name") else {
        return Err(Failure::bad_request("name is no text").remedy(FORM));
    };
    let partitions = match fields.remove("partitions") {
        None | Some(Value::Null) => Some(1),
        Some(value) => value.as_u64().and_then(|count| u32::try_from(count).ok()),
    };
    let partitions = partitions.ok_or_else(|| {
        Failure::bad_request("partitions is no number of partitions").remedy(FORM)
    })?;
    let config = config(&mut fields)?.into_iter();
    let new = NewTopic {
        name: Arc::from(name.as_str()),
        partitions,
        config: config
            .filter_map(|(key, value)| Some((key, value?)))
            .collect(),
    };
    let created = app.worker.create_topic(new).await;
    let created = created.map_err(|refused| failure(refused, &name))?;
    Ok((StatusCode::CREATED, Json(shown(&created))))
}

/// `{"config": {…}}`; a setting that is null is taken back to its default.
pub(super) async fn alter(
    State(app): State<App>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Failure> {
    let mut fields = body::object(&body)?;
    body::only(&fields, &["config"])?;
    let changes = config(&mut fields)?;
    if changes.is_empty() {
        return Err(Failure::bad_request("config is empty").remedy(FORM));
    }
    let altered = app.worker.alter_topic(&name, changes).await;
    Ok(Json(shown(
        &altered.map_err(|refused| failure(refused, &name))?,
    )))
}

pub(super) async fn delete(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<StatusCode, Failure> {
    let deleted = app.worker.delete_topic(&name).await;
    deleted.map_err(|refused| failure(refused, &name))?;
    Ok(StatusCode::NO_CONTENT)
}

fn config(fields: &mut Map<String, Value>) -> Result<Settings, Failure> {
    match fields.remove("config") {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(Value::Object(config)) => body::settings(config),
        Some(_) => Err(Failure::bad_request("config is no object").remedy(FORM)),
    }
}

fn failure(refused: TopicRefused, name: &str) -> Failure {
    match refused {
        TopicRefused::Unknown => {
            Failure::not_found(format!("there is no topic {name}")).remedy(LIST)
        }
        TopicRefused::Exists => {
            let message = format!("there is a topic {name} already");
            let remedy = "choose another name, or PATCH its config";
            Failure::new(StatusCode::CONFLICT, message).remedy(format!("{remedy}: {LIST}"))
        }
        TopicRefused::Kept(error) => {
            let mut failure = Failure::from(error);
            failure.status = StatusCode::CONFLICT;
            failure
        }
        TopicRefused::Failed(error) => error.into(),
    }
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
