//! Defaults of schemas as JSON: bytes as text of Latin-1, numbers that JSON lacks as text.

use super::from_connect::is_text_key;
use crate::avro::Tree;
use std::sync::Arc;
use tapline_sdk::{Arena, Cell, Datum, Schema, Type, Value};

/// A default as Connect's property tells it.
pub(super) fn to_tree(schema: &Schema, value: Value<'_>) -> Tree {
    match (&schema.ty, value) {
        (_, Value::Null | Value::Unavailable) => Tree::Null,
        (_, Value::Bool(value)) => Tree::Bool(value),
        (_, Value::Int(value)) => Tree::Int(value),
        (_, Value::Float(value)) if value.is_finite() => Tree::Float(value),
        (_, Value::Float(value)) => Tree::text(special(value)),
        (_, Value::Text(text)) => Tree::text(text),
        (_, Value::Bytes(bytes)) => Tree::Text(bytes.iter().copied().map(char::from).collect()),
        (Type::Array(item), Value::Array(items)) => {
            Tree::List(items.iter().map(|value| to_tree(item, value)).collect())
        }
        (Type::Map(key, value), Value::Map(cells)) => {
            let entries = (0..cells.len() / 2).map(|at| (cells.get(2 * at), cells.get(2 * at + 1)));
            if is_text_key(key) {
                let name = |key: Value<'_>| match key {
                    Value::Text(text) => text.to_owned(),
                    _ => String::new(),
                };
                Tree::Object(entries.map(|(k, v)| (name(k), to_tree(value, v))).collect())
            } else {
                let pair = |(k, v)| {
                    Tree::Object(vec![
                        ("key".to_owned(), to_tree(key, k)),
                        ("value".to_owned(), to_tree(value, v)),
                    ])
                };
                Tree::List(entries.map(pair).collect())
            }
        }
        (Type::Struct(fields), Value::Struct(cells)) => {
            let entries = fields.iter().zip(cells.iter());
            let entries = entries
                .map(|(field, value)| (field.name.to_string(), to_tree(&field.schema, value)));
            Tree::Object(entries.collect())
        }
        // A value of another type than its schema's is a defect of whoever made it; it has no default then.
        _ => Tree::Null,
    }
}

/// A default as Avro allows it on a field: scalars, and lists and maps of them, since a nested optional value would
/// have to be of its union's first branch. Connect's property has all of them.
pub(super) fn for_avro(schema: &Schema, value: Value<'_>) -> Option<Tree> {
    is_plain(schema, value).then(|| to_tree(schema, value))
}

fn is_plain(schema: &Schema, value: Value<'_>) -> bool {
    match (&schema.ty, value) {
        (_, Value::Float(number)) => number.is_finite(),
        (_, Value::Bool(_) | Value::Int(_) | Value::Text(_) | Value::Bytes(_)) => true,
        (Type::Array(item), Value::Array(items)) => {
            !item.optional && items.iter().all(|value| is_plain(item, value))
        }
        (Type::Map(key, item), Value::Map(cells)) if is_text_key(key) => {
            !item.optional
                && cells
                    .iter()
                    .skip(1)
                    .step_by(2)
                    .all(|value| is_plain(item, value))
        }
        _ => false,
    }
}

/// The default that a property tells; `None` if it does not fit the schema.
pub(super) fn from_tree(schema: &Arc<Schema>, tree: &Tree) -> Option<Datum> {
    let mut arena = Arena::default();
    let cell = cell(schema, tree, &mut arena)?;
    (cell != Cell::Null).then(|| Datum::new(Some(Arc::clone(schema)), arena, cell))
}

fn cell(schema: &Schema, tree: &Tree, arena: &mut Arena) -> Option<Cell> {
    Some(match (&schema.ty, tree) {
        (_, Tree::Null) => Cell::Null,
        (Type::Bool, Tree::Bool(value)) => Cell::Bool(*value),
        (Type::Int8 | Type::Int16 | Type::Int32 | Type::Int64, Tree::Int(value)) => {
            Cell::Int(*value)
        }
        (Type::Float32 | Type::Float64, Tree::Float(value)) => Cell::Float(*value),
        (Type::Float32 | Type::Float64, Tree::Int(value)) => {
            Cell::Float(value.to_string().parse().ok()?)
        }
        (Type::Float32 | Type::Float64, Tree::Text(text)) => Cell::Float(text.parse().ok()?),
        (Type::Text, Tree::Text(text)) => arena.text(text),
        (Type::Bytes, Tree::Text(text)) => {
            let bytes = text.chars().map(|c| u8::try_from(u32::from(c)).ok());
            arena.bytes(&bytes.collect::<Option<Vec<_>>>()?)
        }
        (Type::Array(item), Tree::List(items)) => {
            let cells = items.iter().map(|tree| cell(item, tree, arena));
            let cells = cells.collect::<Option<Vec<_>>>()?;
            arena.block_of(&cells).array()
        }
        (Type::Map(_, value), Tree::Object(entries)) => {
            let mut cells = Vec::with_capacity(entries.len() * 2);
            for (key, tree) in entries {
                cells.push(arena.text(key));
                cells.push(cell(value, tree, arena)?);
            }
            arena.block_of(&cells).map()
        }
        (Type::Map(key, value), Tree::List(entries)) => {
            let mut cells = Vec::with_capacity(entries.len() * 2);
            for entry in entries {
                cells.push(cell(key, entry.get("key")?, arena)?);
                cells.push(cell(value, entry.get("value")?, arena)?);
            }
            arena.block_of(&cells).map()
        }
        (Type::Struct(fields), Tree::Object(_)) => {
            let cells = fields
                .iter()
                .map(|field| cell(&field.schema, tree.get(&field.name)?, arena));
            let cells = cells.collect::<Option<Vec<_>>>()?;
            arena.block_of(&cells).structure()
        }
        _ => return None,
    })
}

fn special(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}
