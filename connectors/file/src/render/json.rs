//! Values as JSON on one line.

use super::UNAVAILABLE;
use base64::{Engine, prelude::BASE64_STANDARD};
use std::io::Write;
use tapline_sdk::{Cells, Schema, Type, Value};

/// Appends the value. Bytes are Base64, as in Connect's JSON; fields without a schema have their number for a name.
pub(super) fn value(schema: Option<&Schema>, value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Unavailable => text(UNAVAILABLE, out),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Float(number) => float(schema, number, out),
        Value::Text(value) => text(value, out),
        Value::Bytes(bytes) => text(&BASE64_STANDARD.encode(bytes), out),
        Value::Array(cells) => {
            let item = match schema.map(|schema| &schema.ty) {
                Some(Type::Array(item)) => Some(&**item),
                _ => None,
            };
            list(b"[]", cells.iter(), out, |cell, out| {
                self::value(item, cell, out);
            });
        }
        Value::Map(cells) => map(schema, cells, out),
        Value::Struct(cells) => structure(schema, cells, out),
    }
}

/// JSON has no NaN and no infinity: Connect writes null for them, and so do we.
fn float(schema: Option<&Schema>, number: f64, out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _infallible = match schema.map(|schema| &schema.ty) {
        Some(Type::Float32) => serde_json::to_writer(out, &(number as f32)),
        _ => serde_json::to_writer(out, &number),
    };
}

fn text(value: &str, out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _infallible = serde_json::to_writer(out.by_ref(), value);
}

fn list<T>(
    brackets: &[u8; 2],
    items: impl Iterator<Item = T>,
    out: &mut Vec<u8>,
    mut each: impl FnMut(T, &mut Vec<u8>),
) {
    let [open, close] = *brackets;
    out.push(open);
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        each(item, out);
    }
    out.push(close);
}

fn structure(schema: Option<&Schema>, cells: Cells<'_>, out: &mut Vec<u8>) {
    let fields = schema.map(Schema::fields).unwrap_or_default();
    list(b"{}", cells.iter().enumerate(), out, |(at, cell), out| {
        let field = fields.get(at);
        match field {
            Some(field) => text(&field.name, out),
            None => text(&at.to_string(), out),
        }
        out.push(b':');
        value(field.map(|field| &*field.schema), cell, out);
    });
}

/// Maps whose keys are texts are objects, others are lists of pairs, as in Connect's JSON.
fn map(schema: Option<&Schema>, cells: Cells<'_>, out: &mut Vec<u8>) {
    let (key, item) = match schema.map(|schema| &schema.ty) {
        Some(Type::Map(key, item)) => (Some(&**key), Some(&**item)),
        _ => (None, None),
    };
    let pairs = (0..cells.len() / 2).map(|at| (cells.get(2 * at), cells.get(2 * at + 1)));
    let texts = pairs.clone().all(|(key, _)| matches!(key, Value::Text(_)));
    let brackets = if texts { b"{}" } else { b"[]" };
    list(brackets, pairs, out, |(name, cell), out| {
        if texts {
            value(key, name, out);
            out.push(b':');
            value(item, cell, out);
        } else {
            out.push(b'[');
            value(key, name, out);
            out.push(b',');
            value(item, cell, out);
            out.push(b']');
        }
    });
}
