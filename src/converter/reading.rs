//! Bytes to one value: by the converter that is told, and, for people and for hints, by what they look like.

use super::{
    Converter, JsonSettings, Plain,
    avro::{Reader, Scratch},
    encoder::{FRAME_BYTES, MAGIC},
    json,
};
use crate::registry::Registry;
use hashbrown::HashMap;
use std::sync::Arc;
use tapline_sdk::{Arena, Cell, RecordError, Schema};

/// Avro schemas kept compiled.
const SCHEMAS_MAX: usize = 20_000;

/// A value with its schema.
type Read = (Option<Arc<Schema>>, Cell);

/// A decoded key or value.
pub(super) struct Part {
    pub(super) schema: Option<Arc<Schema>>,
    pub(super) cell: Cell,
}

/// What reads Avro: the schemas of the registry, compiled.
pub(super) struct AvroReader {
    registry: Arc<Registry>,
    readers: HashMap<i32, Arc<Reader>>,
    scratch: Scratch,
}

/// How keys, values or headers are read.
pub(super) enum Reading {
    Avro,
    Json(json::Reader),
    Plain(Plain, Arc<Schema>),
}

/// What bytes look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Avro,
    JsonWithSchema,
    Json,
    Text,
    Nothing,
}

impl AvroReader {
    pub(super) fn new(registry: Arc<Registry>) -> Self {
        Self {
            registry,
            readers: HashMap::new(),
            scratch: Scratch::default(),
        }
    }

    /// Reads a framed value.
    ///
    /// # Errors
    /// There is no frame, its schema is unknown, or the data is not of it.
    pub(super) fn read(&mut self, bytes: &[u8], arena: &mut Arena) -> Result<Read, RecordError> {
        let (id, body) = frame(bytes)
            .ok_or_else(|| RecordError::new("not Avro: no schema id before the data"))?;
        let reader = self.reader(id)?;
        let cell = reader.decode(body, arena, &mut self.scratch)?;
        Ok((Some(Arc::clone(&reader.schema)), cell))
    }

    fn reader(&mut self, id: i32) -> Result<Arc<Reader>, RecordError> {
        if let Some(reader) = self.readers.get(&id) {
            return Ok(Arc::clone(reader));
        }
        let unknown = || RecordError::new(format!("schema {id} is not in the registry"));
        let text = self.registry.schema(id).ok_or_else(unknown)?;
        let reader = Reader::parse(&text)
            .map_err(|reason| RecordError::new(format!("schema {id}: {reason}")))?;
        if self.readers.len() >= SCHEMAS_MAX {
            self.readers.clear();
        }
        let reader = Arc::new(reader);
        self.readers.insert(id, Arc::clone(&reader));
        Ok(reader)
    }

    fn look(&self, bytes: &[u8]) -> Look {
        if frame(bytes).is_some_and(|(id, _)| self.registry.schema(id).is_some()) {
            return Look::Avro;
        }
        match json::looks(bytes) {
            Some(true) => Look::JsonWithSchema,
            Some(false) => Look::Json,
            None if is_text(bytes) => Look::Text,
            None => Look::Nothing,
        }
    }
}

impl Reading {
    pub(super) fn new(converter: &Converter) -> Self {
        match converter {
            Converter::Avro => Self::Avro,
            Converter::Json(settings) => Self::Json(json::Reader::new(settings.clone())),
            Converter::Plain(plain) => Self::Plain(*plain, plain.schema()),
        }
    }

    /// Reads a value as it was told.
    ///
    /// # Errors
    /// The bytes are something else.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        avro: &mut AvroReader,
        arena: &mut Arena,
    ) -> Result<Read, RecordError> {
        match self {
            Self::Avro => avro.read(bytes, arena),
            Self::Json(reader) => reader.decode(bytes, arena),
            Self::Plain(plain, schema) => {
                let cell = plain.decode(bytes, arena)?;
                Ok((Some(Arc::clone(schema)), cell))
            }
        }
    }

    /// Reads a key or value (`role`); if it does not fit, as what it looks like, or else with an error that says so.
    ///
    /// # Errors
    /// The bytes are something else.
    pub(super) fn part(
        &mut self,
        role: &str,
        bytes: Option<&[u8]>,
        avro: &mut AvroReader,
        detects: bool,
        arena: &mut Arena,
    ) -> Result<Part, RecordError> {
        let Some(bytes) = bytes else {
            return Ok(Part {
                schema: None,
                cell: Cell::Null,
            });
        };
        let (schema, cell) = match self.read(bytes, avro, arena) {
            Ok(read) => read,
            Err(error) => {
                let detected = detects.then(|| detected(bytes, avro, arena)).flatten();
                detected.ok_or_else(|| self.explain(role, error, avro.look(bytes)))?
            }
        };
        Ok(Part { schema, cell })
    }

    /// Adds to the reason what the bytes look like, and what would read them.
    fn explain(&self, role: &str, mut error: RecordError, look: Look) -> RecordError {
        let told = match self {
            Self::Avro => "avro",
            Self::Json(_) => "json",
            Self::Plain(..) => "a plain value",
        };
        let key = format!("{role}.converter");
        let (what, would) = match (look, self) {
            (Look::Avro, Self::Avro) | (Look::Nothing, _) => ("", String::new()),
            (Look::Avro, _) => ("Avro", format!("{key}=avro")),
            (Look::JsonWithSchema, Self::Json(reader)) if reader.has_schemas() => {
                ("", String::new())
            }
            (Look::JsonWithSchema, _) => ("JSON with a schema", format!("{key}=json")),
            (Look::Json, Self::Json(reader)) if !reader.has_schemas() => ("", String::new()),
            (Look::Json, _) => (
                "JSON without a schema",
                format!("{key}=json with {key}.schemas.enable=false"),
            ),
            (Look::Text, _) => ("text", format!("{key}=string")),
        };
        error.reason.insert_str(0, &format!("{role}: "));
        if !what.is_empty() {
            let hint =
                format!("; {key} says {told}, the bytes look like {what}: {would} reads them");
            error.reason.push_str(&hint);
        }
        error
    }
}

/// The value as what it looks like; nothing if it looks like nothing that is known.
fn detected(bytes: &[u8], avro: &mut AvroReader, arena: &mut Arena) -> Option<Read> {
    let json = |schemas: bool| {
        json::Reader::new(JsonSettings {
            schemas,
            ..JsonSettings::default()
        })
    };
    match avro.look(bytes) {
        Look::Avro => avro.read(bytes, arena).ok(),
        Look::JsonWithSchema => {
            let typed = json(true).decode(bytes, arena);
            typed.or_else(|_| json(false).decode(bytes, arena)).ok()
        }
        Look::Json => json(false).decode(bytes, arena).ok(),
        Look::Text => arena
            .utf8(bytes)
            .ok()
            .map(|cell| (Some(Schema::string()), cell)),
        Look::Nothing => None,
    }
}

/// UTF-8 that people can read.
fn is_text(bytes: &[u8]) -> bool {
    let shown = |char: char| !char.is_control() || matches!(char, '\n' | '\r' | '\t');
    std::str::from_utf8(bytes).is_ok_and(|text| !text.is_empty() && text.chars().all(shown))
}

/// The schema id and what follows.
fn frame(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let (frame, body) = bytes.split_first_chunk::<FRAME_BYTES>()?;
    match frame {
        [MAGIC, id @ ..] => Some((i32::from_be_bytes(*id), body)),
        _ => None,
    }
}
