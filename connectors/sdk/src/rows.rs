//! Many records in one arena: how sources hand records to the runtime and the runtime hands them to sinks.
//!
//! Topic and schemas are the same for long runs of records, so they are interned as [`Shape`]s: a record is then
//! three words and its cells, and making one touches no reference count.

use crate::{Arena, Cell, Datum, Header, Partition, Record, Schema, Transaction, Value};
use std::sync::Arc;

/// Topic and schemas that many records share.
#[derive(Debug, Clone)]
pub struct Shape {
    /// The topic.
    pub topic: Arc<str>,
    /// The key's schema; `None` for keyless records.
    pub key: Option<Arc<Schema>>,
    /// The value's schema; `None` for tombstones.
    pub value: Option<Arc<Schema>>,
}

/// One record of a [`Rows`]; its cells are of that batch's arena.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// What [`Rows::shape`] returned.
    pub shape: u32,
    /// Where in the topic.
    pub partition: Partition,
    /// The key.
    pub key: Cell,
    /// The value.
    pub value: Cell,
    /// Milliseconds since 1970; `None`: the runtime stamps it.
    pub timestamp_ms: Option<i64>,
    /// Set by sources that have transactions.
    pub transaction: Option<Transaction>,
}

/// A batch of records that share one arena.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    arena: Arena,
    shapes: Vec<Shape>,
    heads: Vec<Stored>,
    headers: Vec<StoredHeader>,
}

#[derive(Debug, Clone, Copy)]
struct Stored {
    head: Head,
    headers_start: u32,
    headers_len: u32,
}

#[derive(Debug, Clone)]
struct StoredHeader {
    name: Arc<str>,
    schema: Option<Arc<Schema>>,
    cell: Cell,
}

/// One record of a batch, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct RecordRef<'a> {
    rows: &'a Rows,
    stored: &'a Stored,
    shape: &'a Shape,
}

/// One header of a record, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct HeaderRef<'a> {
    /// The header's key.
    pub name: &'a Arc<str>,
    /// The value's schema.
    pub schema: Option<&'a Arc<Schema>>,
    /// The value, a cell of the batch's arena.
    pub cell: Cell,
}

impl Rows {
    /// An empty batch with room for about this many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            arena: Arena::with_capacity(bytes, bytes / size_of::<Cell>()),
            ..Self::default()
        }
    }

    /// The memory that cells are made in.
    pub fn arena_mut(&mut self) -> &mut Arena {
        &mut self.arena
    }

    /// The memory that cells live in.
    #[must_use]
    pub fn arena(&self) -> &Arena {
        &self.arena
    }

    /// Interns topic and schemas: call it once per topic and batch, and keep the number.
    pub fn shape(&mut self, shape: Shape) -> u32 {
        self.shapes.push(shape);
        u32::try_from(self.shapes.len() - 1)
            .expect("invariant: a batch has fewer shapes than records")
    }

    /// All shapes, in the order of their numbers.
    #[must_use]
    pub fn shapes(&self) -> &[Shape] {
        &self.shapes
    }

    /// All shapes, to be renamed or given other schemas of the same form: every record of a shape changes with it.
    pub fn shapes_mut(&mut self) -> &mut [Shape] {
        &mut self.shapes
    }

    /// Appends a record; follow with [`Rows::header`] for its headers.
    ///
    /// # Panics
    /// If `head.shape` is not a number that [`Rows::shape`] returned: a defect of the caller.
    pub fn push(&mut self, head: Head) {
        assert!(
            (head.shape as usize) < self.shapes.len(),
            "invariant: a record's shape is interned first"
        );
        let headers_start =
            u32::try_from(self.headers.len()).expect("invariant: headers fit a batch");
        self.heads.push(Stored {
            head,
            headers_start,
            headers_len: 0,
        });
    }

    /// Adds a header to the record pushed last; without a record it is ignored.
    pub fn header(&mut self, name: Arc<str>, schema: Option<Arc<Schema>>, cell: Cell) {
        if let Some(last) = self.heads.last_mut() {
            last.headers_len += 1;
            self.headers.push(StoredHeader { name, schema, cell });
        }
    }

    /// Marks the record pushed last as its transaction's last one.
    pub fn end_transaction(&mut self) {
        if let Some(Transaction { last, .. }) = self
            .heads
            .last_mut()
            .and_then(|stored| stored.head.transaction.as_mut())
        {
            *last = true;
        }
    }

    /// Appends a copy of an owned record.
    pub fn push_record(&mut self, record: &Record) {
        let (key, value) = (record.key.schema().cloned(), record.value.schema().cloned());
        let same = |shape: &Shape| {
            shape.topic == record.topic
                && same_schema(&shape.key, &key)
                && same_schema(&shape.value, &value)
        };
        let shape = match self.shapes.iter().rposition(same) {
            Some(at) => {
                u32::try_from(at).expect("invariant: a batch has fewer shapes than records")
            }
            None => self.shape(Shape {
                topic: Arc::clone(&record.topic),
                key,
                value,
            }),
        };
        let key = self.arena.import(record.key.arena(), record.key.cell());
        let value = self.arena.import(record.value.arena(), record.value.cell());
        let Record {
            partition,
            timestamp_ms,
            transaction,
            ..
        } = *record;
        self.push(Head {
            shape,
            partition,
            key,
            value,
            timestamp_ms,
            transaction,
        });
        for header in &record.headers {
            let cell = self.arena.import(header.value.arena(), header.value.cell());
            self.header(
                Arc::clone(&header.name),
                header.value.schema().cloned(),
                cell,
            );
        }
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Memory in use, for budgets.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.arena.size_bytes() + self.heads.len() * size_of::<Stored>()
    }

    /// The record at this index.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<RecordRef<'_>> {
        self.heads.get(at).and_then(|stored| self.view(stored))
    }

    /// The records in order.
    pub fn iter(&self) -> impl Iterator<Item = RecordRef<'_>> {
        self.heads.iter().filter_map(|stored| self.view(stored))
    }

    fn view<'a>(&'a self, stored: &'a Stored) -> Option<RecordRef<'a>> {
        let shape = self.shapes.get(stored.head.shape as usize)?;
        Some(RecordRef {
            rows: self,
            stored,
            shape,
        })
    }
}

fn same_schema(a: &Option<Arc<Schema>>, b: &Option<Arc<Schema>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    }
}

impl<'a> RecordRef<'a> {
    /// The record's fixed part.
    #[must_use]
    pub fn head(self) -> &'a Head {
        &self.stored.head
    }

    /// Topic and schemas.
    #[must_use]
    pub fn shape(self) -> &'a Shape {
        self.shape
    }

    /// The memory its cells live in.
    #[must_use]
    pub fn arena(self) -> &'a Arena {
        &self.rows.arena
    }

    /// The view of the key.
    #[must_use]
    pub fn key(self) -> Value<'a> {
        self.rows.arena.value(self.stored.head.key)
    }

    /// The view of the value.
    #[must_use]
    pub fn value(self) -> Value<'a> {
        self.rows.arena.value(self.stored.head.value)
    }

    /// The headers in order.
    pub fn headers(self) -> impl Iterator<Item = HeaderRef<'a>> {
        let start = self.stored.headers_start as usize;
        let headers = self
            .rows
            .headers
            .get(start..start + self.stored.headers_len as usize);
        headers.unwrap_or_default().iter().map(|header| HeaderRef {
            name: &header.name,
            schema: header.schema.as_ref(),
            cell: header.cell,
        })
    }

    /// An owned copy, for transforms.
    #[must_use]
    pub fn to_record(self) -> Record {
        let datum = |schema: Option<&Arc<Schema>>, cell: Cell| {
            let mut arena = Arena::default();
            let cell = arena.import(&self.rows.arena, cell);
            Datum::new(schema.cloned(), arena, cell)
        };
        let Head {
            partition,
            key,
            value,
            timestamp_ms,
            transaction,
            ..
        } = self.stored.head;
        let header = |header: HeaderRef<'_>| Header {
            name: Arc::clone(header.name),
            value: datum(header.schema, header.cell),
        };
        Record {
            topic: Arc::clone(&self.shape.topic),
            partition,
            key: datum(self.shape.key.as_ref(), key),
            value: datum(self.shape.value.as_ref(), value),
            timestamp_ms,
            headers: self.headers().map(header).collect(),
            transaction,
        }
    }
}
