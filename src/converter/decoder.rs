//! Key, value and header bytes to records, for a sink task.

use super::{
    avro::{Reader, Scratch},
    encoder::{FRAME_BYTES, MAGIC},
    headers::{self, BARRIER, TRANSACTION, UNAVAILABLE},
};
use crate::registry::Registry;
use hashbrown::HashMap;
use std::{fmt, mem, sync::Arc};
use tapline_sdk::{
    Arena, Cell, Head, Partition, RecordError, Rows, Schema, Shape, Transaction, Type,
};

/// Header names kept; a topic has a handful, and beyond this they are merely allocated again.
const NAMES_MAX: usize = 1_000;

/// Schemas kept compiled, and places of shapes.
const SCHEMAS_MAX: usize = 20_000;

/// Decodes the records of one sink task.
pub struct Decoder {
    registry: Arc<Registry>,
    readers: HashMap<i32, Arc<Reader>>,
    /// Where in the current `Rows` a shape stands. Only a guess, since batches come and go: always checked.
    shapes: HashMap<ShapeKey, u32>,
    names: HashMap<Box<str>, Arc<str>>,
    scratch: Scratch,
    others: Vec<(Arc<str>, HeaderValue)>,
    text: Arc<Schema>,
    bytes: Arc<Schema>,
}

/// A header's schema and value.
type HeaderValue = (Option<Arc<Schema>>, Cell);

/// The topic's address, and the ids of key and value.
type ShapeKey = (usize, Option<i32>, Option<i32>);

/// One record as it stands in the log, without its headers.
#[derive(Debug, Clone, Copy)]
pub struct RawRecord<'a> {
    /// The topic: the same `Arc` for all of its records.
    pub topic: &'a Arc<str>,
    /// The partition it was read from.
    pub partition: u32,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
}

/// What a record was, beside its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// `Some`: a copy of a [`Partition::All`] record; all copies carry the same number.
    pub barrier: Option<u64>,
}

/// A decoded key or value.
struct Part {
    id: Option<i32>,
    schema: Option<Arc<Schema>>,
    cell: Cell,
}

/// What our own headers say.
#[derive(Default)]
struct Own<'h> {
    unavailable: Option<&'h [u8]>,
    transaction: Option<Transaction>,
    barrier: Option<u64>,
}

impl Decoder {
    /// A decoder that finds schemas here.
    #[must_use]
    pub fn new(registry: Arc<Registry>) -> Self {
        Self {
            registry,
            readers: HashMap::new(),
            shapes: HashMap::new(),
            names: HashMap::new(),
            scratch: Scratch::default(),
            others: Vec::new(),
            text: Schema::string(),
            bytes: Schema::of(Type::Bytes).build(),
        }
    }

    /// Appends one record to `rows`. On an error no record was appended.
    ///
    /// # Errors
    /// The bytes are not what their schema says, or the schema is unknown.
    pub fn push<'h>(
        &mut self,
        rows: &mut Rows,
        record: RawRecord<'_>,
        headers: impl IntoIterator<Item = (&'h str, Option<&'h [u8]>)>,
    ) -> Result<Pushed, RecordError> {
        let mut own = Own::default();
        // Kept from record to record; an error merely costs an allocation.
        let mut others = mem::take(&mut self.others);
        others.clear();
        for (name, value) in headers {
            match name {
                UNAVAILABLE => own.unavailable = value,
                TRANSACTION => {
                    own.transaction = value.map(headers::parse_transaction).transpose()?;
                }
                BARRIER => own.barrier = value.map(headers::parse_barrier).transpose()?,
                _ => others.push((self.name(name), self.header(value, rows.arena_mut()))),
            }
        }
        let key = self
            .part(record.key, rows.arena_mut())
            .map_err(|error| of("key", error))?;
        let value = self
            .part(record.value, rows.arena_mut())
            .map_err(|error| of("value", error))?;
        if let (Some(paths), Some(schema)) = (own.unavailable, &value.schema) {
            headers::mark_unavailable(paths, schema, rows.arena_mut(), value.cell)?;
        }
        let partition = match own.barrier {
            Some(_) => Partition::All,
            None => Partition::Number(record.partition),
        };
        let (key_cell, value_cell) = (key.cell, value.cell);
        let shape = self.shape(rows, record.topic, key, value);
        rows.push(Head {
            shape,
            partition,
            key: key_cell,
            value: value_cell,
            timestamp_ms: Some(record.timestamp_ms),
            transaction: own.transaction,
        });
        for (name, (schema, cell)) in others.drain(..) {
            rows.header(name, schema, cell);
        }
        self.others = others;
        Ok(Pushed {
            barrier: own.barrier,
        })
    }

    fn part(&mut self, bytes: Option<&[u8]>, arena: &mut Arena) -> Result<Part, RecordError> {
        let Some(bytes) = bytes else {
            return Ok(Part {
                id: None,
                schema: None,
                cell: Cell::Null,
            });
        };
        let (id, body) = frame(bytes)
            .ok_or_else(|| RecordError::new("not Avro: no schema id before the data"))?;
        let reader = self.reader(id)?;
        let cell = reader.plan.decode(body, arena, &mut self.scratch)?;
        Ok(Part {
            id: Some(id),
            schema: Some(Arc::clone(&reader.schema)),
            cell,
        })
    }

    fn reader(&mut self, id: i32) -> Result<Arc<Reader>, RecordError> {
        if let Some(reader) = self.readers.get(&id) {
            return Ok(Arc::clone(reader));
        }
        let unknown = || RecordError::new(format!("schema {id} is not in the registry"));
        let text = self.registry.schema(id).ok_or_else(unknown)?;
        let reader = Reader::parse(&text)
            .map_err(|reason| RecordError::new(format!("schema {id}: {reason}")))?;
        if self.readers.len() >= SCHEMAS_MAX {
            self.readers.clear();
        }
        let reader = Arc::new(reader);
        self.readers.insert(id, Arc::clone(&reader));
        Ok(reader)
    }

    /// A struct if the value is framed Avro of a schema we know, else text, else bytes.
    fn header(&mut self, value: Option<&[u8]>, arena: &mut Arena) -> HeaderValue {
        let Some(bytes) = value else {
            return (None, Cell::Null);
        };
        if let Some((id, body)) = frame(bytes)
            && let Ok(reader) = self.reader(id)
            && headers::is_avro(&reader.schema)
            && let Ok(cell) = reader.plan.decode(body, arena, &mut self.scratch)
        {
            return (Some(Arc::clone(&reader.schema)), cell);
        }
        match arena.utf8(bytes) {
            Ok(cell) => (Some(Arc::clone(&self.text)), cell),
            Err(_) => (Some(Arc::clone(&self.bytes)), arena.bytes(bytes)),
        }
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(name) = self.names.get(name) {
            return Arc::clone(name);
        }
        if self.names.len() >= NAMES_MAX {
            self.names.clear();
        }
        let shared: Arc<str> = name.into();
        self.names.insert(name.into(), Arc::clone(&shared));
        shared
    }

    fn shape(&mut self, rows: &mut Rows, topic: &Arc<str>, key: Part, value: Part) -> u32 {
        let place = (Arc::as_ptr(topic).addr(), key.id, value.id);
        if let Some(at) = self.shapes.get(&place).copied()
            && let Some(shape) = rows.shapes().get(at as usize)
            && Arc::ptr_eq(&shape.topic, topic)
            && same(&shape.key, &key.schema)
            && same(&shape.value, &value.schema)
        {
            return at;
        }
        if self.shapes.len() >= SCHEMAS_MAX {
            self.shapes.clear();
        }
        let at = rows.shape(Shape {
            topic: Arc::clone(topic),
            key: key.schema,
            value: value.schema,
        });
        self.shapes.insert(place, at);
        at
    }
}

/// The schema id and what follows.
pub(super) fn frame(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let (frame, body) = bytes.split_first_chunk::<FRAME_BYTES>()?;
    match frame {
        [MAGIC, id @ ..] => Some((i32::from_be_bytes(*id), body)),
        _ => None,
    }
}

fn same(a: &Option<Arc<Schema>>, b: &Option<Arc<Schema>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    }
}

fn of(part: &str, mut error: RecordError) -> RecordError {
    error.reason.insert_str(0, &format!("{part}: "));
    error
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("schemas", &self.readers.len())
            .finish_non_exhaustive()
    }
}
