//! Records as JSON, in the shapes of Connect's JSON converter without schemas: for people who look into a topic.
//!
//! Writes straight into a buffer; it never builds a tree and never fails.

use super::write::{base64, double, float, int, text};
use crate::converter::{Decoder, PLACEHOLDER, RawRecord, headers::unavailable_fields};
use tapline_sdk::{Arena, Cell, RecordRef, Rows, Schema, Type, Value};

/// Appends a value. The schema decides how a map is written; without one a map with text keys is an object.
///
/// Bytes and decimals are base64, numbers that JSON lacks are text, and a value that Postgres did not send is
/// Debezium's placeholder: whoever must tell it from a real one looks at the record's headers.
pub fn value(schema: Option<&Schema>, value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Unavailable => text(PLACEHOLDER, out),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(value) => int(value, out),
        Value::Float(value) if schema.is_some_and(|schema| schema.ty == Type::Float32) => {
            float(value as f32, out);
        }
        Value::Float(value) => double(value, out),
        Value::Text(value) => text(value, out),
        Value::Bytes(bytes) => base64(bytes, out),
        Value::Array(items) => {
            let item = match schema.map(|schema| &schema.ty) {
                Some(Type::Array(item)) => Some(&**item),
                _ => None,
            };
            cells(items.arena(), items.cells(), |_| item, out);
        }
        Value::Map(entries) => map(schema, entries.arena(), entries.cells(), out),
        Value::Struct(children) => match schema {
            Some(schema) => structure(schema, children.arena(), children.cells(), out),
            None => cells(children.arena(), children.cells(), |_| None, out),
        },
    }
}

fn structure(schema: &Schema, arena: &Arena, children: &[Cell], out: &mut Vec<u8>) {
    out.push(b'{');
    for (at, (field, child)) in schema.fields().iter().zip(children).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        text(&field.name, out);
        out.push(b':');
        value(Some(&field.schema), arena.value(*child), out);
    }
    out.push(b'}');
}

/// An object if the keys are text, else a list of pairs.
fn map(schema: Option<&Schema>, arena: &Arena, entries: &[Cell], out: &mut Vec<u8>) {
    let types = match schema.map(|schema| &schema.ty) {
        Some(Type::Map(key, value)) => Some((&**key, &**value)),
        _ => None,
    };
    let textual = match types {
        Some((key, _)) => key.ty == Type::Text,
        None => entries
            .iter()
            .step_by(2)
            .all(|key| matches!(key, Cell::Text(_))),
    };
    let (open, close) = if textual { (b'{', b'}') } else { (b'[', b']') };
    out.push(open);
    for (at, pair) in entries.chunks_exact(2).enumerate() {
        let [key, item] = pair else { continue };
        if at > 0 {
            out.push(b',');
        }
        if !textual {
            out.push(b'[');
        }
        value(types.map(|(key, _)| key), arena.value(*key), out);
        out.push(if textual { b':' } else { b',' });
        value(types.map(|(_, value)| value), arena.value(*item), out);
        if !textual {
            out.push(b']');
        }
    }
    out.push(close);
}

fn cells<'s>(
    arena: &Arena,
    items: &[Cell],
    schema: impl Fn(usize) -> Option<&'s Schema>,
    out: &mut Vec<u8>,
) {
    out.push(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        value(schema(at), arena.value(*item), out);
    }
    out.push(b']');
}

/// Appends one record of the log as a JSON object: topic, partition, offset, timestamp, key, value, headers, and
/// what makes up our own headers by name. What cannot be decoded is shown as base64 beside the reason.
pub fn record<'h>(
    decoder: &mut Decoder,
    raw: RawRecord<'_>,
    offset: u64,
    headers: impl IntoIterator<Item = (&'h str, Option<&'h [u8]>)>,
    out: &mut Vec<u8>,
) {
    let mut rows = Rows::default();
    let headers = headers.into_iter().collect::<Vec<_>>();
    let decoded = decoder.push(&mut rows, raw, headers.iter().copied());
    out.extend_from_slice(b"{\"topic\":");
    text(raw.topic, out);
    number("partition", i64::from(raw.partition), out);
    number("offset", i64::try_from(offset).unwrap_or(i64::MAX), out);
    number("timestamp", raw.timestamp_ms, out);
    match (decoded, rows.get(0)) {
        (Ok(pushed), Some(record)) => decoded_parts(record, pushed.barrier.is_some(), out),
        (decoded, _) => {
            undecoded("key", raw.key, out);
            undecoded("value", raw.value, out);
            let reason = decoded.err().map(|error| error.to_string());
            member("error", out);
            text(reason.as_deref().unwrap_or("no record"), out);
            raw_headers(&headers, out);
        }
    }
    out.push(b'}');
}

fn decoded_parts(record: RecordRef<'_>, barrier: bool, out: &mut Vec<u8>) {
    let shape = record.shape();
    member("key", out);
    value(shape.key.as_deref(), record.key(), out);
    member("value", out);
    value(shape.value.as_deref(), record.value(), out);
    member("headers", out);
    out.push(b'[');
    for (at, header) in record.headers().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"key\":");
        text(header.name, out);
        member("value", out);
        value(
            header.schema.map(|schema| &**schema),
            record.arena().value(header.cell),
            out,
        );
        out.push(b'}');
    }
    out.push(b']');
    if let Some(paths) = unavailable_fields(record) {
        member("unavailable", out);
        text(&paths, out);
    }
    if let Some(transaction) = record.head().transaction {
        member("transaction", out);
        out.extend_from_slice(b"{\"id\":");
        out.extend_from_slice(itoa::Buffer::new().format(transaction.id).as_bytes());
        number("ordinal", transaction.ordinal.into(), out);
        member("last", out);
        value(None, Value::Bool(transaction.last), out);
        out.push(b'}');
    }
    if barrier {
        member("barrier", out);
        out.extend_from_slice(b"true");
    }
}

fn raw_headers(headers: &[(&str, Option<&[u8]>)], out: &mut Vec<u8>) {
    member("headers", out);
    out.push(b'[');
    for (at, (name, bytes)) in headers.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"key\":");
        text(name, out);
        match bytes.map(std::str::from_utf8) {
            Some(Ok(plain)) => {
                member("value", out);
                text(plain, out);
            }
            _ => undecoded("value", *bytes, out),
        }
        out.push(b'}');
    }
    out.push(b']');
}

/// `"name":null`, or `"name_base64":"…"`: nobody takes it for the decoded value.
fn undecoded(name: &str, bytes: Option<&[u8]>, out: &mut Vec<u8>) {
    match bytes {
        Some(bytes) => {
            member(&format!("{name}_base64"), out);
            base64(bytes, out);
        }
        None => {
            member(name, out);
            out.extend_from_slice(b"null");
        }
    }
}

fn number(name: &str, number: i64, out: &mut Vec<u8>) {
    member(name, out);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn member(name: &str, out: &mut Vec<u8>) {
    out.push(b',');
    text(name, out);
    out.push(b':');
}
