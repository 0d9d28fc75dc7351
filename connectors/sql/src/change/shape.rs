//! What a shape of records is: an envelope, a flattened row, or neither.

use crate::naming::Origin;
use std::sync::Arc;
use tapline_sdk::{Cell, RecordRef, Schema, Shape, Type, Value};

/// Where an envelope keeps its parts.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// Index of `before`.
    pub before: usize,
    /// Index of `after`.
    pub after: usize,
    /// Index of `source`.
    pub source: usize,
    /// Index of `op`.
    pub op: usize,
    /// The row's schema.
    pub row: Arc<Schema>,
    db: Option<usize>,
    schema: Option<usize>,
    table: Option<usize>,
}

/// What records of a shape are.
#[derive(Debug, Clone)]
pub enum Form {
    /// Debezium's envelope.
    Envelope(Arc<Envelope>),
    /// A row, as transforms that take it out of its envelope leave it.
    Flat {
        /// The row's schema.
        row: Arc<Schema>,
        /// Index of `__deleted`.
        deleted: Option<usize>,
    },
    /// Not a row.
    Unusable(&'static str),
}

impl Form {
    /// Reads a shape.
    pub fn of(shape: &Shape) -> Self {
        let Some(value) = &shape.value else {
            return Self::Unusable("value has no schema: a table needs columns and types");
        };
        if !matches!(value.ty, Type::Struct(_)) {
            return Self::Unusable("value is no struct: a table needs columns");
        }
        let named = value
            .name
            .as_deref()
            .is_some_and(|name| name.ends_with(".Envelope"));
        match envelope(value) {
            Some(envelope) => Self::Envelope(Arc::new(envelope)),
            None if named => Self::Unusable("envelope lacks before, after, source or op"),
            None => Self::Flat {
                row: Arc::clone(value),
                deleted: value.index_of("__deleted"),
            },
        }
    }
}

fn envelope(value: &Schema) -> Option<Envelope> {
    let at = |name: &str| value.index_of(name);
    let (before, after, source, op) = (at("before")?, at("after")?, at("source")?, at("op")?);
    let row = Arc::clone(&value.fields().get(after)?.schema);
    let origin = &value.fields().get(source)?.schema;
    matches!((&row.ty, &origin.ty), (Type::Struct(_), Type::Struct(_))).then(|| Envelope {
        before,
        after,
        source,
        op,
        row,
        db: origin.index_of("db"),
        schema: origin.index_of("schema"),
        table: origin.index_of("table"),
    })
}

impl Envelope {
    /// Where a record says that it comes from.
    pub fn origin<'a>(&self, record: RecordRef<'a>, source: Cell) -> Origin<'a> {
        let cells = record.arena().children(source);
        let text = |at: Option<usize>| {
            let cell = at.and_then(|at| cells.get(at))?;
            match record.arena().value(*cell) {
                Value::Text(text) if !text.is_empty() => Some(text),
                _ => None,
            }
        };
        let fallback = Origin::of_topic(&record.shape().topic);
        Origin {
            topic: fallback.topic,
            db: text(self.db).unwrap_or_default(),
            schema: text(self.schema).unwrap_or(fallback.schema),
            table: text(self.table).unwrap_or(fallback.table),
        }
    }
}

/// Where a flattened row says that it comes from: fields that the flattening transform adds, or else its topic.
pub fn flat_origin<'a>(record: RecordRef<'a>, row: &Schema) -> Origin<'a> {
    let cells = record.arena().children(record.head().value);
    let text = |names: [&str; 2]| {
        let at = names.into_iter().find_map(|name| row.index_of(name))?;
        match record.arena().value(*cells.get(at)?) {
            Value::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    };
    let fallback = Origin::of_topic(&record.shape().topic);
    Origin {
        topic: fallback.topic,
        db: text(["__source_db", "__db"]).unwrap_or_default(),
        schema: text(["__source_schema", "__schema"]).unwrap_or(fallback.schema),
        table: text(["__source_table", "__table"]).unwrap_or(fallback.table),
    }
}
