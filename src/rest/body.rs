//! Bodies as Kafka Connect binds them: scalars become texts, anything else is refused with its words.
//!
//! Where the original answers 500 with a stack's text, these are 400 with the part that says what is wrong.

use super::failure::Failure;
use crate::state::TargetState;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Far more than any connector has, so that a body of a million empty keys costs nobody anything.
const KEYS_MAX: usize = 4_096;

/// What to do about a body that cannot be read; the message has line and column.
pub(super) const NOT_JSON: &str = "send JSON, as UTF-8, that is whole and correct at that place";

/// A map of settings; `None` where JSON has null.
pub(super) type Settings = BTreeMap<String, Option<String>>;

/// `POST /connectors`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Create {
    pub(super) name: String,
    pub(super) config: Settings,
    pub(super) target: TargetState,
    /// Where it is to begin, as it was sent (KIP-995).
    pub(super) offsets: Vec<Value>,
}

/// A body that is a JSON object.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, Failure> {
    if body.is_empty() {
        let failure = Failure::bad_request("the request has no body");
        return Err(failure.remedy("send a JSON object"));
    }
    let body = serde_json::from_slice(body)
        .map_err(|error| misshapen("the body is not JSON", &error).remedy(NOT_JSON))?;
    match body {
        Value::Object(fields) => Ok(fields),
        other => Err(mismatch("an object", &other, "the body")),
    }
}

/// What is wrong with a body, without the values that it holds: one of them may be a secret (I9).
pub(super) fn misshapen(what: &str, error: &serde_json::Error) -> Failure {
    let text = error.to_string();
    // Names of fields are no values; everything else that is not as expected is told by what was.
    let why = match text.rsplit_once(", expected ") {
        Some((found, expected)) if !found.starts_with("unknown field") => {
            format!("expected {expected}")
        }
        _ => text,
    };
    Failure::bad_request(format!("{what}: {why}"))
}

/// The fields that a body may have, and no others.
pub(super) fn only(fields: &Map<String, Value>, known: &[&str]) -> Result<(), Failure> {
    match fields.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(unknown) => Err(Failure::bad_request(format!(
            "Unrecognized field \"{unknown}\", not marked as ignorable (known properties: \"{}\")",
            known.join("\", \"")
        ))
        .remedy("remove it")),
    }
}

/// A flat map of settings.
pub(super) fn settings(fields: Map<String, Value>) -> Result<Settings, Failure> {
    if fields.len() > KEYS_MAX {
        let message = format!("a connector has at most {KEYS_MAX} settings");
        return Err(Failure::bad_request(message).remedy("send fewer"));
    }
    let text = |(key, value): (String, Value)| {
        let value = scalar(&value, &key)?;
        Ok((key, value))
    };
    fields.into_iter().map(text).collect()
}

/// What creates a connector.
pub(super) fn create(body: &[u8]) -> Result<Create, Failure> {
    let mut fields = object(body)?;
    only(
        &fields,
        &["config", "name", "initial_state", "initial_offsets"],
    )?;
    let name = fields.get("name").map(|name| scalar(name, "name"));
    let name = name.transpose()?.flatten().unwrap_or_default();
    let config = match fields.remove("config") {
        Some(Value::Object(config)) => settings(config)?,
        None | Some(Value::Null) => {
            let failure = Failure::bad_request("the request has no config");
            return Err(failure.remedy("send {\"name\": …, \"config\": {…}}"));
        }
        Some(other) => return Err(mismatch("an object", &other, "config")),
    };
    let target = match fields.get("initial_state") {
        None | Some(Value::Null) => TargetState::Started,
        Some(state) => initial_state(&scalar(state, "initial_state")?.unwrap_or_default())?,
    };
    let offsets = match fields.remove("initial_offsets") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(listed)) => listed,
        Some(other) => return Err(mismatch("a list", &other, "initial_offsets")),
    };
    Ok(Create {
        name: trimmed(&name).to_owned(),
        config,
        target,
        offsets,
    })
}

/// Names lose blanks and control characters at either end, as there.
pub(super) fn trimmed(name: &str) -> &str {
    name.trim_matches(|letter: char| letter <= ' ')
}

fn initial_state(state: &str) -> Result<TargetState, Failure> {
    match state.to_ascii_uppercase().as_str() {
        "RUNNING" => Ok(TargetState::Started),
        "PAUSED" => Ok(TargetState::Paused),
        "STOPPED" => Ok(TargetState::Stopped),
        _ => Err(Failure::bad_request(format!(
            "Cannot construct instance of InitialState: \"{state}\" is none of RUNNING, PAUSED, STOPPED"
        ))
        .remedy("let initial_state be one of them, or leave it out")),
    }
}

/// A scalar as text.
fn scalar(value: &Value, place: &str) -> Result<Option<String>, Failure> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Bool(value) => Ok(Some(value.to_string())),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Array(_) | Value::Object(_) => Err(mismatch("a text", value, place)),
    }
}

/// Names kinds only: the value itself may be a secret.
fn mismatch(wanted: &str, found: &Value, place: &str) -> Failure {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "Boolean value",
        Value::Number(_) => "Number value",
        Value::String(_) => "String value",
        Value::Array(_) => "Array value",
        Value::Object(_) => "Object value",
    };
    Failure::bad_request(format!(
        "Cannot deserialize value of {place}: {found} is not {wanted}"
    ))
    .remedy(format!("let {place} be {wanted}"))
}
