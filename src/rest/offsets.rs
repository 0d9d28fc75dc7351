//! `/connectors/{name}/offsets`: stored offsets in the shape of KIP-875.
//!
//! Checks the shape; whether an offset makes sense is the worker's and the connector's to say.

use super::{App, body, connectors, failure::Failure};
use crate::worker::{ConnectorKind, OffsetEntry};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use tapline_sdk::{Position, Scalar};

/// A connector reads some thousand partitions at most, and each entry costs a lookup.
const ENTRIES_MAX: usize = 10_000;

/// What to do about offsets of the wrong form.
const ENTRIES: &str = "send {\"offsets\": [{\"partition\": {…}, \"offset\": {…} or null}]} with entries as GET shows them";

/// `GET /connectors/{name}/offsets`, fields in Kafka Connect's order.
#[derive(Debug, Serialize)]
pub(super) struct Offsets {
    offsets: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Entry {
    partition: Value,
    offset: Option<Value>,
}

pub(super) async fn show(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<Offsets>, Failure> {
    connectors::require(&app, &name)?;
    let entries = app.worker.offsets(&name).await?;
    let shown = entries.iter().map(|entry| Entry {
        partition: position_to_json(&entry.partition),
        offset: entry.offset.as_ref().map(position_to_json),
    });
    Ok(Json(Offsets {
        offsets: shown.collect(),
    }))
}

/// `PATCH /connectors/{name}/offsets`: of a STOPPED connector only.
pub(super) async fn alter(
    State(app): State<App>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Failure> {
    let entries = listed(&app, &name, &body)?;
    let altered = app.worker.alter_offsets(&name, Some(entries)).await;
    let theirs = altered.map_err(|refused| connectors::failure(refused, &name))?;
    Ok(Json(json!({"message": done(theirs, "altered")})))
}

/// `DELETE /connectors/{name}/offsets`: of a STOPPED connector only.
pub(super) async fn reset(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Failure> {
    let reset = app.worker.alter_offsets(&name, None).await;
    let theirs = reset.map_err(|refused| connectors::failure(refused, &name))?;
    Ok(Json(json!({"message": done(theirs, "reset")})))
}

/// `PATCH /tapline/v1/connectors/{name}/offsets`: of any connector, which is stopped around the change.
pub(super) async fn set(
    State(app): State<App>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Failure> {
    let entries = listed(&app, &name, &body)?;
    app.worker.set_offsets(&name, entries).await?;
    Ok(Json(json!({"message": done(true, "altered")})))
}

fn listed(app: &App, name: &str, body: &[u8]) -> Result<Vec<OffsetEntry>, Failure> {
    let fields = body::object(body)?;
    body::only(&fields, &["offsets"])?;
    let listed = match fields.get("offsets") {
        Some(Value::Array(listed)) if !listed.is_empty() => listed,
        None | Some(Value::Null | Value::Array(_)) => {
            let message = "Partitions / offsets need to be provided for an alter offsets request";
            return Err(Failure::bad_request(message).remedy(ENTRIES));
        }
        Some(_) => {
            let message = "Cannot deserialize value of offsets: it is not a list";
            return Err(Failure::bad_request(message).remedy(ENTRIES));
        }
    };
    bounded(listed)?;
    let connector = connectors::require(app, name)?;
    entries_from_json(listed, connector.kind)
        .map_err(|problem| Failure::bad_request(problem).remedy(ENTRIES))
}

/// The offsets that a new connector is given.
pub(super) fn initial(
    listed: &[Value],
    kind: Option<ConnectorKind>,
) -> Result<Vec<OffsetEntry>, Failure> {
    bounded(listed)?;
    match kind {
        // Its class is not known, which is told by whoever creates it.
        None => Ok(Vec::new()),
        Some(kind) => entries_from_json(listed, kind)
            .map_err(|problem| Failure::bad_request(problem).remedy(ENTRIES)),
    }
}

fn bounded(listed: &[Value]) -> Result<(), Failure> {
    if listed.len() <= ENTRIES_MAX {
        return Ok(());
    }
    let message = format!("at most {ENTRIES_MAX} offsets are changed at once");
    Err(Failure::bad_request(message).remedy("send several requests"))
}

/// Connect's two ways of saying that it is done: the connector has seen to its own system, or has none of it.
pub(super) fn done(theirs: bool, what: &str) -> String {
    if theirs {
        return format!("The offsets for this connector have been {what} successfully");
    }
    format!(
        "The Connect framework-managed offsets for this connector have been {what} successfully. However, if this \
         connector manages offsets externally, they will need to be manually {what} in the system that the connector \
         uses."
    )
}

/// A position as a JSON object.
#[must_use]
pub fn position_to_json(position: &Position) -> Value {
    let fields = position.iter().map(|(key, scalar)| {
        let value = match scalar {
            Scalar::Null => Value::Null,
            Scalar::Bool(value) => Value::Bool(*value),
            Scalar::Int(value) => Value::from(*value),
            Scalar::Text(text) => Value::String(text.to_string()),
        };
        (key.to_string(), value)
    });
    Value::Object(fields.collect())
}

/// The entries of a KIP-875 list.
///
/// # Errors
/// What is wrong with the first malformed entry, in Kafka Connect's words where it has some.
pub fn entries_from_json(
    listed: &[Value],
    kind: ConnectorKind,
) -> Result<Vec<OffsetEntry>, String> {
    let entries = listed
        .iter()
        .filter_map(|entry| entry_from_json(entry, kind).transpose());
    entries.collect()
}

/// `None`: a source's entry that asks to forget the offset of no partition, which is done already.
fn entry_from_json(entry: &Value, kind: ConnectorKind) -> Result<Option<OffsetEntry>, String> {
    let entry = entry
        .as_object()
        .ok_or("Cannot deserialize value: an entry is not an object")?;
    if let Some(unknown) = entry
        .keys()
        .find(|key| !["partition", "offset"].contains(&&***key))
    {
        return Err(format!("Unrecognized field \"{unknown}\" in an entry"));
    }
    let object = |key: &str| match entry.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(fields)) => Ok(Some(fields)),
        Some(_) => Err(format!("Cannot deserialize value: {key} is not an object")),
    };
    let (partition, offset) = (object("partition")?, object("offset")?);
    if kind == ConnectorKind::Source && partition.is_none() && offset.is_none() {
        return Ok(None);
    }
    let (partition, offset) = match kind {
        ConnectorKind::Source => (
            position(
                partition.ok_or("The partition for a source connector offset cannot be null")?,
            )?,
            offset.map(position).transpose()?,
        ),
        ConnectorKind::Sink => (
            sink_partition(partition)?,
            offset.map(sink_offset).transpose()?,
        ),
    };
    Ok(Some(OffsetEntry { partition, offset }))
}

fn position(fields: &Map<String, Value>) -> Result<Position, String> {
    let scalar = |(key, value): (&String, &Value)| {
        let scalar = match value {
            Value::Null => Scalar::Null,
            Value::Bool(value) => Scalar::Bool(*value),
            Value::String(text) => Scalar::Text(Arc::from(text.as_str())),
            Value::Number(number) => number
                .as_i64()
                .map(Scalar::Int)
                .ok_or_else(|| format!("{key} is not a 64-bit integer"))?,
            Value::Array(_) | Value::Object(_) => {
                return Err(format!("{key} is neither text, number, boolean nor null"));
            }
        };
        Ok((Arc::from(key.as_str()), scalar))
    };
    fields.iter().map(scalar).collect()
}

fn sink_partition(fields: Option<&Map<String, Value>>) -> Result<Position, String> {
    let fields =
        fields.ok_or("The partition for a sink connector offset cannot be null or missing")?;
    let (Some(topic), Some(partition)) = (fields.get("kafka_topic"), fields.get("kafka_partition"))
    else {
        let message = "The partition for a sink connector offset must contain the keys 'kafka_topic' and \
                       'kafka_partition'";
        return Err(message.to_owned());
    };
    let topic = topic
        .as_str()
        .ok_or("Kafka topic names must be valid strings and may not be null")?;
    if partition.is_null() {
        return Err("Kafka partitions must be valid numbers and may not be null".to_owned());
    }
    let partition = integer(partition)
        .filter(|partition| u32::try_from(*partition).is_ok())
        .ok_or_else(|| {
            format!(
                "Failed to parse the following Kafka partition value in the provided offsets: '{}'. Partition values \
                 for sink connectors need to be integers.",
                plain(partition)
            )
        })?;
    Ok(Position::from([
        (Arc::from("kafka_topic"), Scalar::Text(Arc::from(topic))),
        (Arc::from("kafka_partition"), Scalar::Int(partition)),
    ]))
}

fn sink_offset(fields: &Map<String, Value>) -> Result<Position, String> {
    let message =
        "The offset for a sink connector should either be null or contain the key 'kafka_offset'";
    let offset = fields.get("kafka_offset").ok_or(message)?;
    let offset = integer(offset)
        .filter(|offset| *offset >= 0)
        .ok_or_else(|| {
            format!(
                "Failed to parse the following Kafka offset value in the provided offsets: '{}'. Offset values for sink \
                 connectors need to be integers.",
                plain(offset)
            )
        })?;
    Ok(Position::from([(
        Arc::from("kafka_offset"),
        Scalar::Int(offset),
    )]))
}

/// A value as people wrote it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Connect takes numeric strings too.
fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.parse().ok(),
        _ => value.as_i64(),
    }
}
