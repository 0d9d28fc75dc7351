//! Records as lines: what the sink appends for a value.
//!
//! Owns the two ways, plain and Java's. It never fails: every value has a line.

mod java;
mod json;

use crate::{
    keys::LineFormat,
    record::{CONTINUED, LINE, MESSAGE, RAW},
};
use std::sync::Arc;
use tapline_sdk::{Cell, RecordRef, Rows, Schema, Value};

/// What stands for a value that the source did not send, as in Debezium.
const UNAVAILABLE: &str = "__debezium_unavailable_value";

/// Where the parts of a line struct stand.
#[derive(Clone, Copy)]
struct Parts {
    message: usize,
    raw: Option<usize>,
    continued: Option<usize>,
}

/// The lines of all records, in order, each with its LF.
pub(crate) fn lines(rows: &Rows, format: LineFormat) -> Vec<u8> {
    let mut out = Vec::with_capacity(rows.arena().size_bytes());
    let parts: Vec<Option<Parts>> = rows
        .shapes()
        .iter()
        .map(|shape| shape.value.as_deref().and_then(parts))
        .collect();
    for record in rows.iter() {
        let parts = parts.get(record.head().shape as usize).copied().flatten();
        match (format, parts) {
            (LineFormat::Java, _) => java::value(record_schema(record), record.value(), &mut out),
            (LineFormat::Plain, Some(parts)) => {
                if line(record.value(), parts, &mut out) {
                    continue;
                }
            }
            (LineFormat::Plain, None) => plain(record_schema(record), record.value(), &mut out),
        }
        out.push(b'\n');
    }
    out
}

fn record_schema(record: RecordRef<'_>) -> Option<&Schema> {
    record.shape().value.as_ref().map(Arc::as_ref)
}

/// The file source's struct is written as the line it was.
fn parts(schema: &Schema) -> Option<Parts> {
    schema.is_named(LINE).then_some(())?;
    Some(Parts {
        message: schema.index_of(MESSAGE)?,
        raw: schema.index_of(RAW),
        continued: schema.index_of(CONTINUED),
    })
}

/// Writes the line; true if it goes on in the next record.
fn line(value: Value<'_>, parts: Parts, out: &mut Vec<u8>) -> bool {
    let Value::Struct(cells) = value else {
        plain(None, value, out);
        return false;
    };
    let cell = |at: usize| cells.cells().get(at).copied().unwrap_or(Cell::Null);
    match (parts.raw.map(cell), cell(parts.message)) {
        // Text was checked when it was read: its bytes are taken as they are.
        (Some(bytes @ Cell::Bytes(_)), _) | (_, bytes @ Cell::Text(_)) => {
            out.extend_from_slice(cells.arena().raw(bytes));
        }
        _ => plain(None, cells.get(parts.message), out),
    }
    parts.continued.map(cell) == Some(Cell::Bool(true))
}

fn plain(schema: Option<&Schema>, value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => out.extend_from_slice(text.as_bytes()),
        Value::Bytes(bytes) => out.extend_from_slice(bytes),
        other => json::value(schema, other, out),
    }
}

#[cfg(test)]
mod tests;
