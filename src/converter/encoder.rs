//! Records to key, value and header bytes, for a source task.

use super::{
    avro::{EncodePlan, Output, Placeholder, schema_text},
    headers::{self, BARRIER, TRANSACTION, UNAVAILABLE},
};
use crate::registry::Registry;
use std::{collections::HashMap, fmt, ops::Range, sync::Arc};
use tapline_sdk::{Cell, Error, HeaderRef, Partition, RecordError, RecordRef, Rows, Schema};

/// Confluent's wire format: a zero byte, the schema's id, Avro.
pub(super) const MAGIC: u8 = 0;
/// The zero byte and the id.
pub(super) const FRAME_BYTES: usize = 5;

/// Schemas kept compiled. A source has a few per table; one that makes new ones without end only compiles again.
const SCHEMAS_MAX: usize = 20_000;

/// What an idle [`Encoded`] keeps: one row of 100 MiB must not hold its memory for ever.
const RETAINED_BYTES_MAX: usize = 4 << 20;

/// Encodes the batches of one source task.
pub struct Encoder {
    registry: Arc<Registry>,
    placeholder: Placeholder,
    /// By the schema's address: it cannot be another's, because the entry holds the schema.
    known: HashMap<usize, Known>,
}

struct Known {
    bound: Arc<Bound>,
    /// Where it is registered: topic and role. Seldom more than one.
    uses: Vec<(Arc<str>, Role)>,
}

/// What a schema is to a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Key,
    Value,
    Header,
}

/// A schema with its plan and id.
struct Bound {
    schema: Arc<Schema>,
    plan: EncodePlan,
    id: i32,
}

/// The plans for one batch's shapes: encodes exactly the [`Rows`] it was prepared for.
pub struct Prepared {
    /// By shape: key and value.
    shapes: Vec<ShapePlan>,
    /// Structs in headers; a handful.
    headers: Vec<Arc<Bound>>,
}

/// The plans of a shape's key and value.
type ShapePlan = (Option<Arc<Bound>>, Option<Arc<Bound>>);

/// One record as bytes; reused from record to record.
#[derive(Debug, Default)]
pub struct Encoded {
    key: Output,
    value: Output,
    key_present: bool,
    value_present: bool,
    headers: Vec<(Name, Option<Range<usize>>)>,
    header_bytes: Output,
}

/// Our own names need no reference count.
#[derive(Debug)]
enum Name {
    Own(&'static str),
    Theirs(Arc<str>),
}

/// A schema that is not registered for this use yet.
struct Missing {
    schema: Arc<Schema>,
    topic: Arc<str>,
    role: Role,
    text: Arc<str>,
}

impl Encoder {
    /// An encoder that registers its schemas here.
    #[must_use]
    pub fn new(registry: Arc<Registry>) -> Self {
        Self {
            registry,
            placeholder: Placeholder::default(),
            known: HashMap::new(),
        }
    }

    /// The same, with another placeholder for values that the source's system did not send.
    #[must_use]
    pub fn with_placeholder(mut self, placeholder: Placeholder) -> Self {
        self.placeholder = placeholder;
        self
    }

    /// Compiles and registers whatever this batch uses for the first time, in one commit that is durable on return,
    /// so that its records may be appended. Without anything new it does no I/O.
    ///
    /// # Errors
    /// A schema cannot be written as Avro (TL0601), or the registry cannot store it.
    pub async fn prepare(&mut self, rows: &Rows) -> Result<Prepared, Error> {
        if self.known.len() > SCHEMAS_MAX {
            self.known.clear();
        }
        let missing = self.missing(rows)?;
        if !missing.is_empty() {
            self.register(missing).await?;
        }
        let bound =
            |schema: &Option<Arc<Schema>>| schema.as_ref().and_then(|schema| self.bound(schema));
        let shapes = rows.shapes().iter();
        let shapes = shapes
            .map(|shape| (bound(&shape.key), bound(&shape.value)))
            .collect();
        let mut headers: Vec<Arc<Bound>> = Vec::new();
        for (_, schema) in header_structs(rows) {
            let bound = self.bound(schema).filter(|_| {
                !headers
                    .iter()
                    .any(|known| Arc::ptr_eq(&known.schema, schema))
            });
            headers.extend(bound);
        }
        Ok(Prepared { shapes, headers })
    }

    fn bound(&self, schema: &Arc<Schema>) -> Option<Arc<Bound>> {
        self.known
            .get(&address(schema))
            .map(|known| Arc::clone(&known.bound))
    }

    fn missing(&self, rows: &Rows) -> Result<Vec<Missing>, Error> {
        let mut missing: Vec<Missing> = Vec::new();
        let mut want = |schema: &Arc<Schema>, topic: &Arc<str>, role: Role| {
            let found = self.known.get(&address(schema));
            let used = |uses: &[(Arc<str>, Role)]| {
                uses.iter().any(|(at, as_)| at == topic && *as_ == role)
            };
            if found.is_some_and(|known| used(&known.uses))
                || missing.iter().any(|other| {
                    Arc::ptr_eq(&other.schema, schema)
                        && other.topic == *topic
                        && other.role == role
                })
            {
                return Ok(());
            }
            let text = schema_text(schema).map_err(|reason| unwritable(topic, &reason))?;
            missing.push(Missing {
                schema: Arc::clone(schema),
                topic: Arc::clone(topic),
                role,
                text: text.into(),
            });
            Ok::<_, Error>(())
        };
        for shape in rows.shapes() {
            for (schema, role) in [(&shape.key, Role::Key), (&shape.value, Role::Value)] {
                if let Some(schema) = schema {
                    want(schema, &shape.topic, role)?;
                }
            }
        }
        for (record, schema) in header_structs(rows) {
            let shape = record.shape();
            // Debezium's old and new keys are of the key's schema, which needs no second subject.
            let is_key = shape.key.as_ref().is_some_and(|key| key == schema);
            want(
                schema,
                &shape.topic,
                if is_key { Role::Key } else { Role::Header },
            )?;
        }
        Ok(missing)
    }

    async fn register(&mut self, missing: Vec<Missing>) -> Result<(), Error> {
        let subject = |missing: &Missing| {
            (
                subject(&missing.topic, missing.role),
                Arc::clone(&missing.text),
            )
        };
        let ids = self
            .registry
            .register_all(missing.iter().map(subject).collect())
            .await?;
        for (missing, id) in missing.into_iter().zip(ids) {
            let Missing {
                schema,
                topic,
                role,
                ..
            } = missing;
            if let Some(known) = self.known.get_mut(&address(&schema)) {
                known.uses.push((topic, role));
                continue;
            }
            let plan = EncodePlan::compile(&schema, &self.placeholder)
                .map_err(|reason| unwritable(&topic, &reason))?;
            let bound = Arc::new(Bound {
                schema: Arc::clone(&schema),
                plan,
                id,
            });
            let uses = vec![(topic, role)];
            self.known.insert(address(&schema), Known { bound, uses });
        }
        Ok(())
    }
}

fn address(schema: &Arc<Schema>) -> usize {
    Arc::as_ptr(schema).addr()
}

/// Confluent's topic name strategy; structs in headers have none there.
fn subject(topic: &str, role: Role) -> Arc<str> {
    let suffix = match role {
        Role::Key => "key",
        Role::Value => "value",
        Role::Header => "header",
    };
    format!("{topic}-{suffix}").into()
}

fn unwritable(topic: &str, reason: &str) -> Error {
    Error::config(format!("cannot write a schema of topic `{topic}` as Avro"))
        .code("TL0601")
        .remedy(
            "exclude the column, or the table, that is nested this deeply or has this many parts",
        )
        .because(reason)
}

fn header_structs(rows: &Rows) -> impl Iterator<Item = (RecordRef<'_>, &Arc<Schema>)> {
    rows.iter().flat_map(|record| {
        let structs = record.headers().filter_map(|header| header.schema);
        structs
            .filter(|schema| headers::is_avro(schema))
            .map(move |schema| (record, schema))
    })
}

impl Prepared {
    /// Encodes one record of the batch, headers included, replacing what `out` held. A record for
    /// [`Partition::All`] is encoded once and its bytes are appended to every partition: the copies know each other
    /// by the id in their header.
    ///
    /// A null key or value becomes Kafka's null, unless its schema allows null.
    ///
    /// # Errors
    /// A value does not fit its schema; names the field.
    pub fn encode(&self, record: RecordRef<'_>, out: &mut Encoded) -> Result<(), RecordError> {
        out.clear();
        let head = record.head();
        let (key, value) = match self.shapes.get(head.shape as usize) {
            Some((key, value)) => (key.as_deref(), value.as_deref()),
            None => {
                return Err(RecordError::new(
                    "a record of a batch that was not prepared",
                ));
            }
        };
        out.key_present = datum(key, record, head.key, &mut out.key)?;
        out.value_present = datum(value, record, head.value, &mut out.value)?;
        if out.key.unavailable {
            return Err(RecordError::new("an unavailable value in the key"));
        }
        for header in record.headers() {
            self.header(record, header, out)?;
        }
        if out.value.unavailable
            && let Some(paths) = headers::unavailable_fields(record)
        {
            out.own(UNAVAILABLE, paths.as_bytes());
        }
        if let Some(transaction) = head.transaction {
            out.own(TRANSACTION, &headers::transaction(transaction));
        }
        if head.partition == Partition::All {
            out.own(BARRIER, &headers::barrier(fastrand::u64(..)));
        }
        Ok(())
    }

    fn header(
        &self,
        record: RecordRef<'_>,
        header: HeaderRef<'_>,
        out: &mut Encoded,
    ) -> Result<(), RecordError> {
        let name = Name::Theirs(Arc::clone(header.name));
        if header.cell == Cell::Null {
            out.headers.push((name, None));
            return Ok(());
        }
        let start = out.header_bytes.bytes.len();
        match header.schema {
            Some(schema) if headers::is_avro(schema) => {
                let bound = self
                    .headers
                    .iter()
                    .find(|bound| Arc::ptr_eq(&bound.schema, schema));
                let present = datum(
                    bound.map(|bound| &**bound),
                    record,
                    header.cell,
                    &mut out.header_bytes,
                )?;
                debug_assert!(present, "a header's struct is not null");
            }
            _ => headers::text(
                record.arena().value(header.cell),
                &mut out.header_bytes.bytes,
            ),
        }
        out.headers
            .push((name, Some(start..out.header_bytes.bytes.len())));
        Ok(())
    }
}

/// Appends a framed value; false: it is Kafka's null.
fn datum(
    bound: Option<&Bound>,
    record: RecordRef<'_>,
    cell: Cell,
    out: &mut Output,
) -> Result<bool, RecordError> {
    let Some(bound) = bound else {
        return match cell {
            Cell::Null => Ok(false),
            _ => Err(RecordError::new("a value without a schema")),
        };
    };
    if cell == Cell::Null && !bound.schema.optional {
        return Ok(false);
    }
    let [a, b, c, d] = bound.id.to_be_bytes();
    out.bytes.extend_from_slice(&[MAGIC, a, b, c, d]);
    bound.plan.encode(record.arena(), cell, out)?;
    Ok(true)
}

impl Encoded {
    /// The key; `None` for keyless records.
    #[must_use]
    pub fn key(&self) -> Option<&[u8]> {
        self.key_present.then_some(&*self.key.bytes)
    }

    /// What chooses the partition: the key without its schema id, which may change while the key does not.
    #[must_use]
    pub fn partition_key(&self) -> Option<&[u8]> {
        self.key().and_then(|key| key.get(FRAME_BYTES..))
    }

    /// The value; `None` for tombstones.
    #[must_use]
    pub fn value(&self) -> Option<&[u8]> {
        self.value_present.then_some(&*self.value.bytes)
    }

    /// The headers in order, our own last.
    pub fn headers(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> + Clone {
        self.headers.iter().map(|(name, range)| {
            let value = range
                .clone()
                .and_then(|range| self.header_bytes.bytes.get(range));
            (name.as_str(), value)
        })
    }

    fn own(&mut self, name: &'static str, value: &[u8]) {
        let start = self.header_bytes.bytes.len();
        self.header_bytes.bytes.extend_from_slice(value);
        let range = start..self.header_bytes.bytes.len();
        self.headers.push((Name::Own(name), Some(range)));
    }

    fn clear(&mut self) {
        self.headers.clear();
        for part in [&mut self.key, &mut self.value, &mut self.header_bytes] {
            part.unavailable = false;
            part.bytes.clear();
            if part.bytes.capacity() > RETAINED_BYTES_MAX {
                part.bytes.shrink_to(RETAINED_BYTES_MAX);
            }
        }
    }
}

impl Name {
    fn as_str(&self) -> &str {
        match self {
            Self::Own(name) => name,
            Self::Theirs(name) => name,
        }
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder")
            .field("schemas", &self.known.len())
            .finish_non_exhaustive()
    }
}
