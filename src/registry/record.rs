//! The records of `_schemas`: the JSON of their keys and values is Confluent's, so that its registry can take the topic
//! over and ours can take over one of its own.
//!
//! One record has a value that theirs has not: `NOOP`, which they skip, carries the highest id that was ever given out,
//! because an id must not come back after its schema was deleted for good.

use crate::state::Blob;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The schema type that is meant where none is named.
pub(super) const AVRO: &str = "AVRO";

/// The version of a schema's key; other keys have 0.
const SCHEMA_MAGIC: i32 = 1;

/// A record's key.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Key {
    pub(super) keytype: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<i32>,
    #[serde(default)]
    magic: i32,
}

/// A version of a subject.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SchemaValue {
    pub(super) subject: String,
    pub(super) version: i32,
    pub(super) id: i32,
    #[serde(
        rename = "schemaType",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) kind: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) references: Vec<Reference>,
    pub(super) schema: String,
    #[serde(default)]
    pub(super) deleted: bool,
    /// What another registry wrote and we do not use: kept when the record is written again.
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}

/// A schema of another subject whose named types are used.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// The name of the type, as documentation.
    pub name: String,
    /// Where it is registered.
    pub subject: String,
    /// Its version there.
    pub version: i32,
}

/// A subject's settings, or everybody's.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ConfigValue {
    /// Whose they are; `None`: everybody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Whether texts are normalized before they are stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalize: Option<bool>,
    /// The name of the [compatibility](super::Compatibility).
    #[serde(
        rename = "compatibilityLevel",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub compatibility: Option<String>,
    /// What another registry wrote and we do not use: kept when the record is written again.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl ConfigValue {
    /// What counts while nobody has set anything.
    pub(super) fn everybodys_default() -> Self {
        Self {
            compatibility: Some(super::COMPATIBILITY_DEFAULT.as_str().to_owned()),
            ..Self::default()
        }
    }
}

/// A subject's mode, or everybody's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ModeValue {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
    pub(super) mode: String,
}

/// Versions up to this one are deleted.
#[derive(Debug, Deserialize)]
pub(super) struct DeleteSubjectValue {
    pub(super) version: i32,
}

/// Ids up to this one were given out.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HighestId {
    #[serde(rename = "maxId")]
    pub(super) id: i32,
}

impl Key {
    /// `{"keytype":"SCHEMA","subject":…,"version":…,"magic":1}`
    pub(super) fn schema(subject: &str, version: i32) -> Self {
        Self {
            keytype: "SCHEMA".to_owned(),
            subject: Some(subject.to_owned()),
            version: Some(version),
            magic: SCHEMA_MAGIC,
        }
    }

    /// `{"keytype":"CONFIG","subject":…,"magic":0}`, and the same of other types; without a subject it is everybody's.
    pub(super) fn of(keytype: &str, subject: Option<&str>) -> Self {
        Self {
            keytype: keytype.to_owned(),
            subject: subject.map(str::to_owned),
            version: None,
            magic: 0,
        }
    }
}

/// The bytes of a key or value.
pub(super) fn blob(value: &impl Serialize) -> Blob {
    serde_json::to_vec(value)
        .expect("invariant: texts, numbers and JSON values are JSON")
        .into()
}
