//! Key, value and header bytes to records, for a sink task.

use super::{
    Converter, Converters, HeaderConverter, JsonSettings,
    headers::{self, BARRIER, TRANSACTION, UNAVAILABLE},
    json,
    reading::{AvroReader, Part, Reading},
};
use crate::registry::Registry;
use hashbrown::HashMap;
use std::{fmt, mem, sync::Arc};
use tapline_sdk::{
    Arena, Cell, Head, Partition, RecordError, Rows, Schema, Shape, Transaction, Type,
};

/// Header names kept; a topic has a handful, and beyond this they are merely allocated again.
const NAMES_MAX: usize = 1_000;

/// Places of shapes that are kept.
const SCHEMAS_MAX: usize = 20_000;

/// How a struct with its schema begins in JSON, as our own sources write it.
const STRUCT_IN_JSON: &[u8] = br#"{"schema":{"type":"struct","#;

/// Decodes the records of one sink task.
pub struct Decoder {
    avro: AvroReader,
    key: Reading,
    value: Reading,
    header: HeaderReading,
    /// Structs that a key converter of JSON has put into headers.
    header_structs: json::Reader,
    /// Whether bytes that do not fit are tried in every other form.
    detects: bool,
    /// Where in the current `Rows` a shape stands. Only a guess, since batches come and go: always checked.
    shapes: HashMap<ShapeKey, u32>,
    names: HashMap<Box<str>, Arc<str>>,
    others: Vec<(Arc<str>, HeaderValue)>,
    text: Arc<Schema>,
    bytes: Arc<Schema>,
}

/// A header's schema and value.
type HeaderValue = (Option<Arc<Schema>>, Cell);

/// The addresses of the topic and of the schemas of key and value.
type ShapeKey = (usize, Option<usize>, Option<usize>);

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

/// How headers are read.
enum HeaderReading {
    /// Structs in the forms in which our own sources write them, all else as it is.
    Plain,
    Simple,
    Other(Reading),
}

/// What our own headers say.
#[derive(Default)]
struct Own<'h> {
    unavailable: Option<&'h [u8]>,
    transaction: Option<Transaction>,
    barrier: Option<u64>,
}

impl Decoder {
    /// A decoder of Avro that finds schemas here.
    #[must_use]
    pub fn new(registry: Arc<Registry>) -> Self {
        Self::with_converters(registry, &Converters::default())
    }

    /// A decoder of what these converters write.
    #[must_use]
    pub fn with_converters(registry: Arc<Registry>, converters: &Converters) -> Self {
        let structs = match &converters.key {
            Converter::Json(settings) if settings.schemas => settings.clone(),
            _ => JsonSettings::default(),
        };
        Self {
            avro: AvroReader::new(registry),
            key: Reading::new(&converters.key),
            value: Reading::new(&converters.value),
            header: match &converters.header {
                HeaderConverter::Plain => HeaderReading::Plain,
                HeaderConverter::Simple => HeaderReading::Simple,
                HeaderConverter::Other(converter) => HeaderReading::Other(Reading::new(converter)),
            },
            header_structs: json::Reader::new(structs),
            detects: false,
            shapes: HashMap::new(),
            names: HashMap::new(),
            others: Vec::new(),
            text: Schema::string(),
            bytes: Schema::of(Type::Bytes).build(),
        }
    }

    /// The same, for people who look into a topic: what does not fit is shown as whatever else it is.
    #[must_use]
    pub fn detecting(mut self) -> Self {
        self.detects = true;
        self
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
                _ => {
                    let value = self.header(value, rows.arena_mut());
                    let value = value.map_err(|error| of(&format!("header {name}"), error))?;
                    others.push((self.name(name), value));
                }
            }
        }
        let (avro, arena) = (&mut self.avro, rows.arena_mut());
        let key = self
            .key
            .part("key", record.key, avro, self.detects, arena)?;
        let value = self
            .value
            .part("value", record.value, avro, self.detects, arena)?;
        if let Some(paths) = own.unavailable {
            if headers::has_fields(value.schema.as_deref(), value.cell) {
                headers::mark_unavailable(paths, value.schema.as_deref(), arena, value.cell)?;
            } else if record.value.is_some() {
                // Read as one text or as bytes, the value has no fields: whoever takes it apart needs the names.
                let paths = (Some(Arc::clone(&self.bytes)), arena.bytes(paths));
                others.push((self.name(UNAVAILABLE), paths));
            }
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

    fn header(
        &mut self,
        value: Option<&[u8]>,
        arena: &mut Arena,
    ) -> Result<HeaderValue, RecordError> {
        let Some(bytes) = value else {
            return Ok((None, Cell::Null));
        };
        let read = match &mut self.header {
            HeaderReading::Other(reading) => reading.read(bytes, &mut self.avro, arena),
            HeaderReading::Simple => Ok(self.simple(bytes, arena)),
            HeaderReading::Plain => Ok(self.plain(bytes, arena)),
        };
        match read {
            Err(_) if self.detects => Ok(self.plain(bytes, arena)),
            read => read,
        }
    }

    /// A struct if the value is one of a schema we know, else text, else bytes.
    fn plain(&mut self, bytes: &[u8], arena: &mut Arena) -> HeaderValue {
        let avro = self.avro.read(bytes, arena).ok();
        let json = || {
            let reader = bytes
                .starts_with(STRUCT_IN_JSON)
                .then_some(&mut self.header_structs);
            reader.and_then(|reader| reader.decode(bytes, arena).ok())
        };
        match avro.or_else(json) {
            Some((Some(schema), cell)) if headers::is_struct(&schema) => (Some(schema), cell),
            _ => self.text_or_bytes(bytes, arena),
        }
    }

    fn simple(&self, bytes: &[u8], arena: &mut Arena) -> HeaderValue {
        let text = std::str::from_utf8(bytes).ok();
        match text.and_then(headers::told_apart) {
            Some((schema, cell)) => (Some(schema), cell),
            None => self.text_or_bytes(bytes, arena),
        }
    }

    fn text_or_bytes(&self, bytes: &[u8], arena: &mut Arena) -> HeaderValue {
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
        let address = |schema: &Option<Arc<Schema>>| {
            let schema = schema.as_ref()?;
            Some(Arc::as_ptr(schema).addr())
        };
        let topic_address = Arc::as_ptr(topic).addr();
        let place = (topic_address, address(&key.schema), address(&value.schema));
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
            .field("shapes", &self.shapes.len())
            .finish_non_exhaustive()
    }
}
