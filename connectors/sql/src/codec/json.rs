//! Nested values as JSON, for columns that hold what SQL has no type for.

use super::{Codec, TargetType, float64, integer, literal, mismatch};
use std::sync::Arc;
use tapline_sdk::{Arena, RecordError, Schema, Type, Value};

/// Nesting beyond this is damage: Connect schemas are trees written by people.
const DEPTH_MAX: usize = 64;

/// Writes a value as JSON.
pub fn write(schema: &Arc<Schema>, value: Value<'_>, out: &mut Vec<u8>) -> Result<(), RecordError> {
    at_depth(schema, value, 0, out)
}

fn at_depth(
    schema: &Arc<Schema>,
    value: Value<'_>,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), RecordError> {
    if depth > DEPTH_MAX {
        return Err(RecordError::new("value is nested too deeply"));
    }
    match (&schema.ty, value) {
        (_, Value::Null) => out.extend_from_slice(b"null"),
        (Type::Array(item), Value::Array(cells)) => {
            out.push(b'[');
            for (at, value) in cells.iter().enumerate() {
                separate(at, out);
                at_depth(item, value, depth + 1, out)?;
            }
            out.push(b']');
        }
        (Type::Map(_, item), Value::Map(cells)) => {
            out.push(b'{');
            for at in (0..cells.len()).step_by(2) {
                separate(at, out);
                key(cells.get(at), out)?;
                out.push(b':');
                at_depth(item, cells.get(at + 1), depth + 1, out)?;
            }
            out.push(b'}');
        }
        (Type::Struct(fields), Value::Struct(cells)) if !is_decimal(schema) => {
            out.push(b'{');
            for (at, (field, value)) in fields.iter().zip(cells.iter()).enumerate() {
                separate(at, out);
                string(&field.name, out)?;
                out.push(b':');
                at_depth(&field.schema, value, depth + 1, out)?;
            }
            out.push(b'}');
        }
        _ => scalar(schema, value, out)?,
    }
    Ok(())
}

fn is_decimal(schema: &Schema) -> bool {
    schema.is_named("io.debezium.data.VariableScaleDecimal")
}

fn separate(at: usize, out: &mut Vec<u8>) {
    if at > 0 {
        out.push(b',');
    }
}

fn key(value: Value<'_>, out: &mut Vec<u8>) -> Result<(), RecordError> {
    match value {
        Value::Text(text) => string(text, out),
        Value::Int(number) => {
            out.push(b'"');
            integer(number, out);
            out.push(b'"');
            Ok(())
        }
        other => Err(mismatch(other)),
    }
}

fn scalar(schema: &Arc<Schema>, value: Value<'_>, out: &mut Vec<u8>) -> Result<(), RecordError> {
    match value {
        Value::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        Value::Int(number) if schema.name.is_none() => integer(number, out),
        Value::Float(number) if number.is_finite() => float64(number, out),
        Value::Text(text) => string(text, out)?,
        Value::Bytes(bytes) if schema.name.is_none() => {
            out.push(b'"');
            literal::hex(bytes, out);
            out.push(b'"');
        }
        other => return logical(schema, other, out),
    }
    Ok(())
}

/// A logical value: its SQL text as a JSON string.
fn logical(schema: &Arc<Schema>, value: Value<'_>, out: &mut Vec<u8>) -> Result<(), RecordError> {
    let mut arena = Arena::default();
    let cell = match value {
        Value::Int(number) => tapline_sdk::Cell::Int(number),
        Value::Float(number) => tapline_sdk::Cell::Float(number),
        Value::Bytes(bytes) => arena.bytes(bytes),
        Value::Struct(cells) => {
            let children: Vec<_> = cells
                .cells()
                .iter()
                .map(|cell| arena.import(cells.arena(), *cell))
                .collect();
            arena.block_of(&children).structure()
        }
        other => return Err(mismatch(other)),
    };
    let mut plain = Vec::new();
    Codec::compile(schema, &TargetType::default()).write(&arena, cell, &mut plain)?;
    string(&String::from_utf8_lossy(&plain), out)
}

fn string(text: &str, out: &mut Vec<u8>) -> Result<(), RecordError> {
    if text.as_bytes().contains(&0) {
        return Err(RecordError::new(
            "text holds a NUL character, which the target cannot store",
        ));
    }
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
    Ok(())
}
