//! What is written for a value that Postgres did not send: Debezium's placeholder where its type has one, else null,
//! else the type's zero. The header [`crate::converter::UNAVAILABLE`] tells them from real values.

use super::from_connect::DECIMAL;
use tapline_sdk::{Arena, Cell, Schema, Type};

/// Debezium's `unavailable.value.placeholder`.
pub const TEXT: &str = "__debezium_unavailable_value";

/// The name-based UUID (version 3) of [`TEXT`]: Debezium's placeholder in a uuid array.
const UUID: &str = "b68a35a7-17ad-35b3-af2a-ae46edb4545a";

const BITS: &str = "io.debezium.data.Bits";

/// The placeholder of this schema.
pub(super) fn cell(schema: &Schema, arena: &mut Arena) -> Cell {
    match telling(schema, arena) {
        Some(cell) => cell,
        None if schema.optional => Cell::Null,
        None => zero(schema, arena),
    }
}

/// A placeholder that is not mistaken for a value.
fn telling(schema: &Schema, arena: &mut Arena) -> Option<Cell> {
    match &schema.ty {
        Type::Text => Some(arena.text(TEXT)),
        Type::Bytes if !schema.is_named(DECIMAL) && !schema.is_named(BITS) => {
            Some(arena.bytes(TEXT.as_bytes()))
        }
        Type::Array(item) => array(item, arena),
        Type::Map(key, value) if key.ty == Type::Text && value.ty == Type::Text => {
            let text = arena.text(TEXT);
            Some(arena.block_of(&[text, text]).map())
        }
        _ => None,
    }
}

/// Debezium has one for arrays of text, json and uuid, and for integers and dates its bytes as numbers.
fn array(item: &Schema, arena: &mut Arena) -> Option<Cell> {
    let cells = match (&item.ty, item.name.as_deref()) {
        (Type::Text, Some("io.debezium.data.Uuid")) => vec![arena.text(UUID)],
        (
            Type::Text,
            None
            | Some("io.debezium.data.Json" | "io.debezium.data.Xml" | "io.debezium.data.Ltree"),
        ) => {
            vec![arena.text(TEXT)]
        }
        (
            Type::Int32,
            None | Some("io.debezium.time.Date" | "org.apache.kafka.connect.data.Date"),
        )
        | (Type::Int64, None) => TEXT.bytes().map(|byte| Cell::Int(byte.into())).collect(),
        _ => return None,
    };
    Some(arena.block_of(&cells).array())
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
