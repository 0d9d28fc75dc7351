//! What is written for a value that Postgres did not send: Debezium's placeholder where its type has one, else null,
//! else the type's zero. The header [`crate::converter::UNAVAILABLE`] tells them from real values.

use super::from_connect::DECIMAL;
use md5::{Digest, Md5};
use tapline_sdk::{Arena, Cell, ConfigValue, Kind, Schema, Type};

/// Debezium's default of `unavailable.value.placeholder`.
pub const TEXT: &str = "__debezium_unavailable_value";

const BITS: &str = "io.debezium.data.Bits";

/// The value of `unavailable.value.placeholder` in its forms: text, or after `hex:` the bytes themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placeholder {
    bytes: Vec<u8>,
    text: String,
    /// The name-based UUID (version 3) of the bytes: what stands in a uuid array.
    uuid: String,
}

impl Default for Placeholder {
    fn default() -> Self {
        Self::of(TEXT.as_bytes().to_vec())
    }
}

impl ConfigValue for Placeholder {
    const KIND: Kind = Kind::Text;
    fn parse(text: &str) -> Result<Self, String> {
        let bytes = match text.strip_prefix("hex:") {
            Some(digits) => hex::decode(digits)
                .map_err(|error| format!("has no hexadecimal bytes after `hex:`: {error}"))?,
            None => text.as_bytes().to_vec(),
        };
        Ok(Self::of(bytes))
    }
}

impl Placeholder {
    fn of(bytes: Vec<u8>) -> Self {
        let uuid = uuid::Builder::from_md5_bytes(Md5::digest(&bytes).into()).into_uuid();
        Self {
            text: String::from_utf8_lossy(&bytes).into_owned(),
            uuid: uuid.to_string(),
            bytes,
        }
    }

    /// The placeholder as a text.
    pub(in crate::converter) fn text(&self) -> &str {
        &self.text
    }

    /// What is written for a value of this schema.
    pub(in crate::converter) fn cell(&self, schema: &Schema, arena: &mut Arena) -> Cell {
        match self.telling(schema, arena) {
            Some(cell) => cell,
            None if schema.optional => Cell::Null,
            None => zero(schema, arena),
        }
    }

    /// What is not mistaken for a value.
    fn telling(&self, schema: &Schema, arena: &mut Arena) -> Option<Cell> {
        match &schema.ty {
            Type::Text => Some(arena.text(&self.text)),
            Type::Bytes if !schema.is_named(DECIMAL) && !schema.is_named(BITS) => {
                Some(arena.bytes(&self.bytes))
            }
            Type::Array(item) => self.array(item, arena),
            Type::Map(key, value) if key.ty == Type::Text && value.ty == Type::Text => {
                let text = arena.text(&self.text);
                Some(arena.block_of(&[text, text]).map())
            }
            _ => None,
        }
    }

    /// Debezium has one for arrays of text, json and uuid, and for integers and dates its bytes as numbers.
    fn array(&self, item: &Schema, arena: &mut Arena) -> Option<Cell> {
        let cells = match (&item.ty, item.name.as_deref()) {
            (Type::Text, Some("io.debezium.data.Uuid")) => vec![arena.text(&self.uuid)],
            (
                Type::Text,
                None
                | Some("io.debezium.data.Json" | "io.debezium.data.Xml" | "io.debezium.data.Ltree"),
            ) => vec![arena.text(&self.text)],
            (
                Type::Int32,
                None | Some("io.debezium.time.Date" | "org.apache.kafka.connect.data.Date"),
            )
            | (Type::Int64, None) => self
                .bytes
                .iter()
                .map(|byte| Cell::Int(i64::from(*byte as i8)))
                .collect(),
            _ => return None,
        };
        Some(arena.block_of(&cells).array())
    }
}

fn zero(schema: &Schema, arena: &mut Arena) -> Cell {
    match &schema.ty {
        Type::Bool => Cell::Bool(false),
        Type::Int8 | Type::Int16 | Type::Int32 | Type::Int64 => Cell::Int(0),
        Type::Float32 | Type::Float64 => Cell::Float(0.0),
        Type::Text => arena.text(""),
        // A decimal of no bytes is none that Java's BigInteger reads.
        Type::Bytes if schema.is_named(DECIMAL) => arena.bytes(&[0]),
        Type::Bytes => arena.bytes(&[]),
        Type::Array(_) => arena.block(0).array(),
        Type::Map(..) => arena.block(0).map(),
        Type::Struct(fields) => {
            let cells = fields
                .iter()
                .map(|field| cell_of_field(&field.schema, arena));
            let cells = cells.collect::<Vec<_>>();
            arena.block_of(&cells).structure()
        }
    }
}

/// Inside of a struct nothing is told apart, so nothing but null and zero is written.
fn cell_of_field(schema: &Schema, arena: &mut Arena) -> Cell {
    if schema.optional {
        Cell::Null
    } else {
        zero(schema, arena)
    }
}
