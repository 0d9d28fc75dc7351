//! Records to key, value and header bytes, for a source task.

use super::{
    Converter, Converters, HeaderConverter,
    avro::{Output, Placeholder, schema_text},
    encoded::{Encoded, Name},
    headers::{self, BARRIER, HeaderText, TRANSACTION, UNAVAILABLE},
    plan::Bound,
};
use crate::registry::Registry;
use std::{collections::HashMap, fmt, sync::Arc};
use tapline_sdk::{Cell, Error, HeaderRef, Partition, RecordError, RecordRef, Rows, Schema};

/// Confluent's wire format: a zero byte, the schema's id, Avro.
pub(super) const MAGIC: u8 = 0;
/// The zero byte and the id.
pub(super) const FRAME_BYTES: usize = 5;

/// Schemas kept compiled. A source has a few per table; one that makes new ones without end only compiles again.
const SCHEMAS_MAX: usize = 20_000;

/// Encodes the batches of one source task.
pub struct Encoder {
    registry: Arc<Registry>,
    converters: Converters,
    placeholder: Placeholder,
    /// By the schema's address: it cannot be another's, because the entry holds the schema.
    known: HashMap<(usize, Role), Known>,
}

struct Known {
    bound: Arc<Bound>,
    /// The topics for which it is registered, if its converter has a registry. Seldom more than one.
    topics: Vec<Arc<str>>,
}

/// What a schema is to a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Role {
    Key,
    Value,
    Header,
}

/// The plans for one batch's shapes: encodes exactly the [`Rows`] it was prepared for.
pub struct Prepared {
    /// By shape: key and value.
    shapes: Vec<ShapePlan>,
    /// Headers that their converter writes; a handful. All others are texts.
    headers: Vec<Arc<Bound>>,
    /// What writes headers without a schema, if not as texts.
    header_free: Option<Arc<Bound>>,
    header_text: HeaderText,
}

/// The plans of a shape's key and value; `None` where there is no schema and the converter needs one.
type ShapePlan = (Option<Arc<Bound>>, Option<Arc<Bound>>);

/// A schema that is not known for this use yet.
struct Missing {
    schema: Arc<Schema>,
    topic: Arc<str>,
    role: Role,
}

impl Encoder {
    /// An encoder that registers its schemas here. It writes Avro.
    #[must_use]
    pub fn new(registry: Arc<Registry>) -> Self {
        Self {
            registry,
            converters: Converters::default(),
            placeholder: Placeholder::default(),
            known: HashMap::new(),
        }
    }

    /// The same with other converters.
    #[must_use]
    pub fn with_converters(mut self, converters: Converters) -> Self {
        self.converters = converters;
        self
    }

    /// The same, with another placeholder for values that the source's system did not send.
    #[must_use]
    pub fn with_placeholder(mut self, placeholder: Placeholder) -> Self {
        self.placeholder = placeholder;
        self
    }

    /// Compiles whatever this batch uses for the first time, and registers what is Avro, in one commit that is
    /// durable on return, so that its records may be appended. Without anything new it does no I/O.
    ///
    /// # Errors
    /// A schema cannot be written by its converter (TL0601), or the registry cannot store it.
    pub async fn prepare(&mut self, rows: &Rows) -> Result<Prepared, Error> {
        if self.known.len() > SCHEMAS_MAX {
            self.known.clear();
        }
        let missing = self.missing(rows);
        if !missing.is_empty() {
            let (avro, others) = missing
                .into_iter()
                .partition(|one| *self.converter(one.role) == Converter::Avro);
            self.compile(others)?;
            self.register(avro).await?;
        }
        let mut headers: Vec<Arc<Bound>> = Vec::new();
        for (record, schema) in self.header_schemas(rows) {
            let known = |bound: &Arc<Bound>| is_of(bound, schema);
            if !headers.iter().any(known) {
                headers.extend(self.bound(schema, self.header_role(record, schema)));
            }
        }
        let key = self.free(&self.converters.key)?;
        let value = self.free(&self.converters.value)?;
        let shapes = rows.shapes().iter().map(|shape| {
            (
                self.plan(shape.key.as_ref(), Role::Key, key.as_ref()),
                self.plan(shape.value.as_ref(), Role::Value, value.as_ref()),
            )
        });
        Ok(Prepared {
            shapes: shapes.collect(),
            headers,
            header_free: match &self.converters.header {
                HeaderConverter::Other(converter) => self.free(converter)?,
                _ => None,
            },
            header_text: match self.converters.header {
                HeaderConverter::Simple => HeaderText::Simple,
                _ => HeaderText::AsIs,
            },
        })
    }

    fn plan(
        &self,
        schema: Option<&Arc<Schema>>,
        role: Role,
        free: Option<&Arc<Bound>>,
    ) -> Option<Arc<Bound>> {
        match schema {
            Some(schema) => self.bound(schema, role),
            None => free.cloned(),
        }
    }

    fn bound(&self, schema: &Arc<Schema>, role: Role) -> Option<Arc<Bound>> {
        self.known
            .get(&(address(schema), role))
            .map(|known| Arc::clone(&known.bound))
    }

    /// What writes data without a schema; `None` for Avro.
    fn free(&self, converter: &Converter) -> Result<Option<Arc<Bound>>, Error> {
        let free = Bound::unregistered(converter, None, &self.placeholder);
        let free = free.map_err(|reason| unwritable("?", converter, &reason))?;
        Ok(free.map(Arc::new))
    }

    fn converter(&self, role: Role) -> &Converter {
        match (role, &self.converters.header) {
            (Role::Value, _) => &self.converters.value,
            (Role::Header, HeaderConverter::Other(converter)) => converter,
            (Role::Key | Role::Header, _) => &self.converters.key,
        }
    }

    /// The headers that a converter writes, with their schemas. Unless one is named, these are structs alone, and only
    /// where the converter of keys keeps a struct whole: the old and new keys of Debezium's key changes.
    fn header_schemas<'r>(
        &self,
        rows: &'r Rows,
    ) -> impl Iterator<Item = (RecordRef<'r>, &'r Arc<Schema>)> + use<'r> {
        let (all, structs) = match (&self.converters.header, &self.converters.key) {
            (HeaderConverter::Other(_), _) => (true, true),
            (HeaderConverter::Simple, _) => (false, false),
            (HeaderConverter::Plain, Converter::Avro) => (false, true),
            (HeaderConverter::Plain, Converter::Json(settings)) => (false, settings.schemas),
            (HeaderConverter::Plain, Converter::Plain(_)) => (false, false),
        };
        let records = rows.iter().filter(move |_| all || structs);
        records.flat_map(move |record| {
            let schemas = record.headers().filter_map(|header| header.schema);
            schemas
                .filter(move |schema| all || (structs && headers::is_struct(schema)))
                .map(move |schema| (record, schema))
        })
    }

    /// Debezium's old and new keys are of the key's schema, which needs no second subject.
    fn header_role(&self, record: RecordRef<'_>, schema: &Arc<Schema>) -> Role {
        let key = record.shape().key.as_ref();
        let plain = self.converters.header == HeaderConverter::Plain;
        if plain && key.is_some_and(|key| key == schema) {
            Role::Key
        } else {
            Role::Header
        }
    }

    fn missing(&self, rows: &Rows) -> Vec<Missing> {
        let mut missing: Vec<Missing> = Vec::new();
        let mut want = |schema: &Arc<Schema>, topic: &Arc<str>, role: Role| {
            let registered = *self.converter(role) == Converter::Avro;
            let known = self.known.get(&(address(schema), role));
            let same = |other: &Missing| {
                Arc::ptr_eq(&other.schema, schema)
                    && other.role == role
                    && (!registered || other.topic == *topic)
            };
            if known.is_some_and(|known| !registered || known.topics.contains(topic))
                || missing.iter().any(same)
            {
                return;
            }
            missing.push(Missing {
                schema: Arc::clone(schema),
                topic: Arc::clone(topic),
                role,
            });
        };
        for shape in rows.shapes() {
            for (schema, role) in [(&shape.key, Role::Key), (&shape.value, Role::Value)] {
                if let Some(schema) = schema {
                    want(schema, &shape.topic, role);
                }
            }
        }
        for (record, schema) in self.header_schemas(rows) {
            let role = self.header_role(record, schema);
            want(schema, &record.shape().topic, role);
        }
        missing
    }

    /// Compiles what no registry needs to know.
    fn compile(&mut self, missing: Vec<Missing>) -> Result<(), Error> {
        for Missing {
            schema,
            topic,
            role,
        } in missing
        {
            let converter = self.converter(role);
            let bound = Bound::unregistered(converter, Some(&schema), &self.placeholder)
                .map_err(|reason| unwritable(&topic, converter, &reason))?;
            if let Some(bound) = bound {
                let known = Known {
                    bound: Arc::new(bound),
                    topics: Vec::new(),
                };
                self.known.insert((address(&schema), role), known);
            }
        }
        Ok(())
    }

    async fn register(&mut self, missing: Vec<Missing>) -> Result<(), Error> {
        if missing.is_empty() {
            return Ok(());
        }
        let unwritable = |topic: &str, reason: &str| unwritable(topic, &Converter::Avro, reason);
        let mut subjects = Vec::with_capacity(missing.len());
        for Missing {
            schema,
            topic,
            role,
        } in &missing
        {
            let text = schema_text(schema).map_err(|reason| unwritable(topic, &reason))?;
            subjects.push((subject(topic, *role), Arc::from(text)));
        }
        let ids = self.registry.register_all(subjects).await?;
        for (
            Missing {
                schema,
                topic,
                role,
            },
            id,
        ) in missing.into_iter().zip(ids)
        {
            let place = (address(&schema), role);
            if let Some(known) = self.known.get_mut(&place) {
                known.topics.push(topic);
                continue;
            }
            let bound = Bound::avro(&schema, id, &self.placeholder)
                .map_err(|reason| unwritable(&topic, &reason))?;
            let known = Known {
                bound: Arc::new(bound),
                topics: vec![topic],
            };
            self.known.insert(place, known);
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

fn unwritable(topic: &str, converter: &Converter, reason: &str) -> Error {
    let form = match converter {
        Converter::Avro => "Avro",
        Converter::Json(_) => "JSON",
        Converter::Plain(_) => "a plain value",
    };
    Error::config(format!(
        "cannot write a schema of topic `{topic}` as {form}"
    ))
    .code("TL0601")
    .remedy("exclude the column, or the table, that is nested this deeply or has this many parts")
    .because(reason)
}

fn is_of(bound: &Bound, schema: &Arc<Schema>) -> bool {
    bound
        .schema
        .as_ref()
        .is_some_and(|of| Arc::ptr_eq(of, schema))
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
        out.key_frame = key.map_or(0, Bound::frame_bytes);
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
        let bound = match header.schema {
            Some(schema) => self.headers.iter().find(|bound| is_of(bound, schema)),
            None => self.header_free.as_ref(),
        };
        let present = match bound {
            Some(bound) => bound.append(record.arena(), header.cell, &mut out.header_bytes)?,
            None => {
                let schema = header.schema.map(|schema| &**schema);
                let bytes = &mut out.header_bytes.bytes;
                headers::text(self.header_text, schema, record.arena(), header.cell, bytes)?;
                true
            }
        };
        let range = start..out.header_bytes.bytes.len();
        out.headers.push((name, present.then_some(range)));
        Ok(())
    }
}

/// Appends a value; false: it is Kafka's null.
fn datum(
    bound: Option<&Bound>,
    record: RecordRef<'_>,
    cell: Cell,
    out: &mut Output,
) -> Result<bool, RecordError> {
    match (bound, cell) {
        (Some(bound), _) => bound.append(record.arena(), cell, out),
        (None, Cell::Null) => Ok(false),
        (None, _) => Err(RecordError::new(
            "a value without a schema, which Avro needs",
        )),
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder")
            .field("schemas", &self.known.len())
            .finish_non_exhaustive()
    }
}
