//! Bodies. A key that is unknown, or known and not supported, is refused: a rule that is silently dropped would be
//! believed in.

use super::failure::Failure;
use crate::registry::{Candidate, Compatibility, ConfigChange, Reference, Refusal};
use crate::rest::body::NOT_JSON;
use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, error::Category};

/// A body as JSON.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let bytes = Bytes::from_request(request, state).await.map_err(|error| {
            let status = error.status().as_u16();
            let remedy = "send it whole, and not more than there is room for";
            Failure::plain(
                status,
                format!("the body: {} ({remedy})", error.body_text()),
            )
        })?;
        let read = serde_json::from_slice(&bytes);
        read.map(Self).map_err(|error| match error.classify() {
            Category::Data => {
                Failure::plain(422, format!("the body: {error} (correct the key there)"))
            }
            Category::Io | Category::Syntax | Category::Eof => {
                Failure::plain(400, format!("the body is no JSON: {error} ({NOT_JSON})"))
            }
        })
    }
}

/// A schema that is registered, looked up or checked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct SchemaRequest {
    #[serde(default)]
    schema: Option<String>,
    #[serde(default)]
    schema_type: Option<String>,
    #[serde(default)]
    references: Option<Vec<Reference>>,
    #[serde(default)]
    id: Option<i32>,
    #[serde(default)]
    version: Option<i32>,
    #[serde(default)]
    metadata: Option<Value>,
    #[serde(default)]
    rule_set: Option<Value>,
    #[serde(default)]
    schema_tags_to_add: Option<Value>,
    #[serde(default)]
    schema_tags_to_remove: Option<Value>,
    /// Tags are not supported, so there are none to take along.
    #[serde(default, rename = "propagateSchemaTags")]
    _propagate_schema_tags: Option<bool>,
    /// What clients send beside it when they give a version back that they got: the path says the subject.
    #[serde(default, rename = "subject")]
    _subject: Option<String>,
    #[serde(default, rename = "guid")]
    _guid: Option<String>,
}

impl SchemaRequest {
    /// # Errors
    /// It carries what is not supported.
    pub(super) fn candidate(self) -> Result<Candidate, Refusal> {
        for (name, value) in [
            ("metadata", &self.metadata),
            ("ruleSet", &self.rule_set),
            ("schemaTagsToAdd", &self.schema_tags_to_add),
            ("schemaTagsToRemove", &self.schema_tags_to_remove),
        ] {
            if value.as_ref().is_some_and(|value| !is_empty(value)) {
                return Err(unsupported(name));
            }
        }
        Ok(Candidate {
            schema: self.schema.unwrap_or_default(),
            kind: self.schema_type.filter(|kind| !kind.is_empty()),
            references: self.references.unwrap_or_default(),
            id: self.id.filter(|id| *id >= 0),
            version: self.version.filter(|version| *version > 0),
        })
    }
}

/// Settings of a subject, or everybody's.
#[derive(Debug, Deserialize)]
pub(super) struct ConfigRequest {
    #[serde(default)]
    compatibility: Option<String>,
    /// The name of the same in answers, which some clients send back.
    #[serde(default, rename = "compatibilityLevel")]
    compatibility_level: Option<String>,
    #[serde(default)]
    normalize: Option<bool>,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

impl ConfigRequest {
    /// # Errors
    /// It carries what is not supported, or names no level.
    pub(super) fn change(&self) -> Result<ConfigChange, Refusal> {
        if let Some((name, _)) = self.rest.iter().find(|(_, value)| !is_empty(value)) {
            return Err(unsupported(name));
        }
        let level = self.compatibility.as_deref();
        let level = level.or(self.compatibility_level.as_deref()).map(|name| {
            Compatibility::parse(name).ok_or_else(|| Refusal::InvalidCompatibility(name.to_owned()))
        });
        Ok(ConfigChange {
            compatibility: level.transpose()?,
            normalize: self.normalize,
        })
    }
}

/// A mode.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModeRequest {
    pub(super) mode: String,
}

fn unsupported(name: &str) -> Refusal {
    Refusal::Unsupported(format!("`{name}` is not supported"))
}

/// Clients write keys that they do not use as null, false or empty.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.values().all(is_empty),
        Value::Bool(true) | Value::Number(_) | Value::String(_) => false,
    }
}
