//! Lines as records: a bare text as Kafka gives it, or a struct that loses nothing.

use crate::{
    keys::{RecordFormat, SourceSettings},
    text,
};
use std::{fs, sync::Arc};
use tapline_sdk::{Cell, Field, Head, Partition, Rows, Schema, Shape, Type};

/// The name of the struct.
pub(crate) const LINE: &str = "io.tapline.file.Line";
/// The line as text, without its end.
pub(crate) const MESSAGE: &str = "message";
/// The exact bytes, LF excepted, where the message is not the same.
pub(crate) const RAW: &str = "raw";
/// Whether the line goes on in the next record.
pub(crate) const CONTINUED: &str = "continued";

/// Makes batches of records.
pub(crate) struct Records {
    shape: Shape,
    format: RecordFormat,
    path: String,
    host: String,
}

/// What the records of one batch share.
pub(crate) struct Batch<'a> {
    records: &'a Records,
    shared: Option<Shared>,
}

#[derive(Clone, Copy)]
struct Shared {
    shape: u32,
    path: Cell,
    host: Cell,
}

impl Records {
    pub(crate) fn new(settings: &SourceSettings) -> Self {
        let schema = match settings.format {
            RecordFormat::Struct => line_schema(),
            RecordFormat::Text => Schema::string(),
        };
        Self {
            shape: Shape {
                topic: Arc::from(settings.topic.as_str()),
                key: None,
                value: Some(schema),
            },
            format: settings.format,
            path: settings.file.clone(),
            host: host(),
        }
    }

    pub(crate) fn batch(&self) -> Batch<'_> {
        Batch {
            records: self,
            shared: None,
        }
    }
}

impl Batch<'_> {
    /// Whether a record can say that its line goes on.
    pub(crate) fn can_continue(&self) -> bool {
        self.records.format == RecordFormat::Struct
    }

    /// Appends a line that begins at this position of the file.
    pub(crate) fn push(&mut self, rows: &mut Rows, position: u64, line: &[u8], continued: bool) {
        let shared = *self.shared.get_or_insert_with(|| Shared {
            shape: rows.shape(self.records.shape.clone()),
            path: rows.arena_mut().text(&self.records.path),
            host: rows.arena_mut().text(&self.records.host),
        });
        let value = match self.records.format {
            RecordFormat::Text => message(rows, line).0,
            RecordFormat::Struct => structure(rows, shared, position, line, continued),
        };
        rows.push(Head {
            shape: shared.shape,
            partition: Partition::ByKey,
            key: Cell::Null,
            value,
            timestamp_ms: None,
            transaction: None,
        });
    }
}

fn structure(rows: &mut Rows, shared: Shared, position: u64, line: &[u8], continued: bool) -> Cell {
    // The CR of a CRLF is no part of the message; a cut line has none.
    let bare = match line.strip_suffix(b"\r") {
        Some(bare) if !continued => bare,
        _ => line,
    };
    let (message, exact) = message(rows, bare);
    let arena = rows.arena_mut();
    let raw = match exact && bare.len() == line.len() {
        true => Cell::Null,
        false => arena.bytes(line),
    };
    let position = i64::try_from(position).unwrap_or(i64::MAX);
    arena
        .block_of(&[
            message,
            shared.path,
            Cell::Int(position),
            shared.host,
            raw,
            Cell::Bool(continued),
        ])
        .structure()
}

/// The bytes as text, and whether the text has the same bytes.
fn message(rows: &mut Rows, bytes: &[u8]) -> (Cell, bool) {
    let arena = rows.arena_mut();
    match arena.utf8(bytes) {
        Ok(cell) => (cell, true),
        Err(_) => (arena.text(&text::decode(bytes)), false),
    }
}

fn line_schema() -> Arc<Schema> {
    let field = |name: &str, schema: Arc<Schema>| Field {
        name: Arc::from(name),
        schema,
    };
    Schema::structure(vec![
        field(MESSAGE, Schema::string()),
        field("path", Schema::string()),
        field("offset", Schema::of(Type::Int64).build()),
        field("host", Schema::string()),
        field(RAW, Schema::of(Type::Bytes).optional().build()),
        field(CONTINUED, Schema::of(Type::Bool).build()),
    ])
    .name(LINE)
    .build()
}

/// The machine's name, as the kernel has it.
fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "localhost".to_owned(),
        name => name.to_owned(),
    }
}
