//! Values as Java's `toString()` prints them, which is what Kafka's FileStreamSink writes.
//!
//! Two things are better than there: bytes are written as they are, not as an object's address, and maps keep their
//! order. Logical types print what carries them.

use super::UNAVAILABLE;
use tapline_sdk::{Cells, Schema, Type, Value};

/// Appends the value.
pub(super) fn value(schema: Option<&Schema>, value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Unavailable => out.extend_from_slice(UNAVAILABLE.as_bytes()),
        Value::Bool(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Int(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Float(number) => {
            let narrow = schema.is_some_and(|schema| schema.ty == Type::Float32);
            out.extend_from_slice(float(number, narrow).as_bytes());
        }
        Value::Text(text) => out.extend_from_slice(text.as_bytes()),
        Value::Bytes(bytes) => out.extend_from_slice(bytes),
        Value::Array(cells) => array(schema, cells, out),
        Value::Map(cells) => map(schema, cells, out),
        Value::Struct(cells) => structure(schema, cells, out),
    }
}

fn array(schema: Option<&Schema>, cells: Cells<'_>, out: &mut Vec<u8>) {
    let item = match schema.map(|schema| &schema.ty) {
        Some(Type::Array(item)) => Some(&**item),
        _ => None,
    };
    out.push(b'[');
    for (at, cell) in cells.iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(b", ");
        }
        value(item, cell, out);
    }
    out.push(b']');
}

fn map(schema: Option<&Schema>, cells: Cells<'_>, out: &mut Vec<u8>) {
    let (key, item) = match schema.map(|schema| &schema.ty) {
        Some(Type::Map(key, item)) => (Some(&**key), Some(&**item)),
        _ => (None, None),
    };
    out.push(b'{');
    for at in 0..cells.len() / 2 {
        if at > 0 {
            out.extend_from_slice(b", ");
        }
        value(key, cells.get(2 * at), out);
        out.push(b'=');
        value(item, cells.get(2 * at + 1), out);
    }
    out.push(b'}');
}

/// Connect's Struct leaves null fields out.
fn structure(schema: Option<&Schema>, cells: Cells<'_>, out: &mut Vec<u8>) {
    let fields = schema.map(Schema::fields).unwrap_or_default();
    out.extend_from_slice(b"Struct{");
    let mut first = true;
    for (field, cell) in fields.iter().zip(cells.iter()) {
        if cell == Value::Null {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        out.extend_from_slice(field.name.as_bytes());
        out.push(b'=');
        value(Some(&field.schema), cell, out);
    }
    out.push(b'}');
}

/// `Double.toString` and `Float.toString`: plain from 10⁻³ to below 10⁷, else with an exponent, at least one digit
/// behind the point.
fn float(number: f64, narrow: bool) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned();
    }
    let size = number.abs();
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        return match narrow {
            true => format!("{:?}", number as f32),
            false => format!("{number:?}"),
        };
    }
    let text = match narrow {
        true => format!("{:E}", number as f32),
        false => format!("{number:E}"),
    };
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => text,
    }
}
