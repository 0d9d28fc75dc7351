//! Connect data as JSON: the bytes of Kafka's converter, with schemas and without, and records as people see them.
//!
//! Owns the JSON of schemas and values. It never touches the registry: a schema travels with each value, or not at
//! all.

mod decode;
mod encode;
mod free;
mod schema;
mod schema_text;
mod show;
mod write;

pub(super) use encode::EncodePlan;
pub use show::{record, value};
pub use write::text;

use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use tapline_sdk::{Arena, Cell, RecordError, Schema};

/// Kafka's default of `schemas.cache.size`.
const SCHEMAS_MAX: usize = 1000;

/// What the sub-keys of a JSON converter say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonSettings {
    /// `schemas.enable`: whether `{"schema":…,"payload":…}` stands around a value.
    pub schemas: bool,
    /// `schemas.cache.size`: schemas that a reader keeps.
    pub schemas_max: usize,
    /// `decimal.format=NUMERIC`: decimals are numbers rather than base64.
    pub numeric_decimals: bool,
    /// `replace.null.with.default`: a field that is null gets its default. It cannot be told from a value then.
    pub replace_null: bool,
}

/// What our own short name brings: schemas, and nothing that is lost.
impl Default for JsonSettings {
    fn default() -> Self {
        Self {
            schemas: true,
            schemas_max: SCHEMAS_MAX,
            numeric_decimals: false,
            replace_null: false,
        }
    }
}

/// Reads JSON; keeps schemas from record to record.
#[derive(Debug)]
pub(super) struct Reader {
    settings: JsonSettings,
    schemas: schema::Schemas,
}

/// What stands around a value. Another member is an error, as in the original.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow)]
    schema: &'a RawValue,
    #[serde(borrow)]
    payload: &'a RawValue,
}

impl Reader {
    pub(super) fn new(settings: JsonSettings) -> Self {
        Self {
            settings,
            schemas: schema::Schemas::default(),
        }
    }

    /// Whether each value is to carry its schema.
    pub(super) fn has_schemas(&self) -> bool {
        self.settings.schemas
    }

    /// Reads one key, value or header.
    ///
    /// # Errors
    /// It is no JSON, or not of the form that the settings tell; names the field.
    pub(super) fn decode(
        &mut self,
        bytes: &[u8],
        arena: &mut Arena,
    ) -> Result<(Option<Arc<Schema>>, Cell), RecordError> {
        if !self.settings.schemas {
            return decode::value(bytes, None, &self.settings, arena).map(|cell| (None, cell));
        }
        let envelope = envelope(bytes).ok_or_else(|| {
            RecordError::new("not a JSON object of exactly \"schema\" and \"payload\"")
        })?;
        let schema = self.schemas.get(envelope.schema.get(), &self.settings);
        let schema =
            schema.map_err(|reason| RecordError::new(format!("its JSON schema: {reason}")))?;
        let payload = envelope.payload.get().as_bytes();
        let cell = decode::value(payload, schema.as_deref(), &self.settings, arena)?;
        Ok((schema, cell))
    }
}

fn envelope(bytes: &[u8]) -> Option<Envelope<'_>> {
    serde_json::from_slice(bytes).ok()
}

/// What bytes look like, for hints: `Some(true)` is JSON with a schema, `Some(false)` other JSON.
pub(super) fn looks(bytes: &[u8]) -> Option<bool> {
    if envelope(bytes).is_some() {
        return Some(true);
    }
    serde_json::from_slice::<serde::de::IgnoredAny>(bytes)
        .ok()
        .map(|_| false)
}
