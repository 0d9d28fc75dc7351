//! One record that somebody keeps or changes: what transforms and tests work on. The bulk path uses
//! [`Rows`](crate::Rows).

use crate::{Arena, Cell, Schema, Value};
use std::sync::Arc;

/// A value with its schema and its own memory. `schema` is `None` for schemaless data and for a null without schema
/// (a tombstone).
#[derive(Debug, Clone, Default)]
pub struct Datum {
    schema: Option<Arc<Schema>>,
    arena: Arc<Arena>,
    cell: Option<Cell>,
}

impl Datum {
    /// Null without a schema.
    #[must_use]
    pub fn null() -> Self {
        Self::default()
    }

    /// A value built in `arena`, which becomes this datum's own.
    #[must_use]
    pub fn new(schema: Option<Arc<Schema>>, arena: Arena, cell: Cell) -> Self {
        Self {
            schema,
            arena: Arc::new(arena),
            cell: Some(cell),
        }
    }

    /// A text value.
    #[must_use]
    pub fn text(text: &str) -> Self {
        let mut arena = Arena::default();
        let cell = arena.text(text);
        Self::new(Some(Schema::string()), arena, cell)
    }

    /// The schema, if there is one.
    #[must_use]
    pub fn schema(&self) -> Option<&Arc<Schema>> {
        self.schema.as_ref()
    }

    /// The view of the value.
    #[must_use]
    pub fn value(&self) -> Value<'_> {
        self.arena.value(self.cell())
    }

    /// The value as a cell of [`Datum::arena`].
    #[must_use]
    pub fn cell(&self) -> Cell {
        self.cell.unwrap_or(Cell::Null)
    }

    /// The memory of the value.
    #[must_use]
    pub fn arena(&self) -> &Arena {
        &self.arena
    }
}

/// A record header: several may share a name.
#[derive(Debug, Clone)]
pub struct Header {
    /// The header's key.
    pub name: Arc<str>,
    /// Its value; may be null.
    pub value: Datum,
}

/// Where in a topic a record goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partition {
    /// By the key's encoded bytes without the schema id: murmur2, as Kafka's default partitioner does. A null key
    /// goes to partition 0.
    ByKey,
    /// This partition.
    Number(u32),
    /// A barrier, such as a truncate: one copy in every partition of the topic, in one commit.
    All,
}

/// The place of a record in its source's transaction, so that a sink can apply transactions whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transaction {
    /// Rises with the source's commit order (for Postgres: the commit LSN).
    pub id: u64,
    /// Counts the transaction's changes from 1, before any filter.
    pub ordinal: u32,
    /// Whether this is the last record of its transaction.
    pub last: bool,
}

/// One record, owned.
#[derive(Debug, Clone)]
pub struct Record {
    /// The topic it goes to, or came from.
    pub topic: Arc<str>,
    /// Where in the topic.
    pub partition: Partition,
    /// The key; [`Datum::null`] for keyless data.
    pub key: Datum,
    /// The value; [`Datum::null`] is a tombstone.
    pub value: Datum,
    /// Milliseconds since 1970; `None`: the runtime stamps it when it is appended.
    pub timestamp_ms: Option<i64>,
    /// Headers in order.
    pub headers: Vec<Header>,
    /// Set by sources that have transactions.
    pub transaction: Option<Transaction>,
}
