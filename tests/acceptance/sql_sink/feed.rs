//! Records as the Postgres source writes them, built by hand, and a sink that they are put into.

use crate::support::postgres::Postgres;
use std::{collections::BTreeMap, sync::Arc};
use tapline_sdk::{
    Arena, Assignment, Batch, Cell, Config, Connector, Error, Field, Head, Partition, Place,
    Rejected, Rows, Schema, Shape, Sink, SinkContext, TopicPartition, Type,
};
use tapline_sql::SqlSink;

/// A value by its Connect type.
#[derive(Debug, Clone, PartialEq)]
pub enum V {
    Null,
    /// An unchanged TOAST value.
    Left,
    Int(i64),
    Text(String),
    Bool(bool),
    Float(f64),
    Bytes(Vec<u8>),
    Array(Vec<V>),
}

/// A text value.
pub fn t(text: &str) -> V {
    V::Text(text.to_owned())
}

impl V {
    fn cell(&self, arena: &mut Arena) -> Cell {
        match self {
            Self::Null => Cell::Null,
            Self::Left => Cell::Unavailable,
            Self::Int(value) => Cell::Int(*value),
            Self::Text(value) => arena.text(value),
            Self::Bool(value) => Cell::Bool(*value),
            Self::Float(value) => Cell::Float(*value),
            Self::Bytes(value) => arena.bytes(value),
            Self::Array(items) => {
                let cells: Vec<Cell> = items.iter().map(|item| item.cell(arena)).collect();
                arena.block_of(&cells).array()
            }
        }
    }
}

/// A required or optional schema of the source type, carried as text or a Connect type.
pub fn typed(ty: Type, source: &str) -> Arc<Schema> {
    Schema::of(ty)
        .optional()
        .parameter("tapline.source.type", source)
        .build()
}

/// A source table's schemas.
#[derive(Clone)]
pub struct Table {
    pub schema: String,
    pub table: String,
    pub key: Vec<usize>,
    topic: Arc<str>,
    key_schema: Option<Arc<Schema>>,
    envelope: Arc<Schema>,
}

impl Table {
    pub fn new(name: &str, columns: &[(&str, Arc<Schema>)], key: &[usize]) -> Self {
        Self::within("public", name, columns, key)
    }

    pub fn within(
        schema: &str,
        name: &str,
        columns: &[(&str, Arc<Schema>)],
        key: &[usize],
    ) -> Self {
        let field = |(name, schema): &(&str, Arc<Schema>)| Field {
            name: (*name).into(),
            schema: Arc::clone(schema),
        };
        let row = Schema::structure(columns.iter().map(field).collect())
            .optional()
            .build();
        let text = || Schema::of(Type::Text).optional().build();
        let named = |name: &str, schema: Arc<Schema>| Field {
            name: name.into(),
            schema,
        };
        let source = ["db", "schema", "table"]
            .map(|name| named(name, text()))
            .to_vec();
        let envelope = Schema::structure(vec![
            named("before", Arc::clone(&row)),
            named("after", row),
            named("source", Schema::structure(source).build()),
            named("op", Schema::string()),
        ]);
        let key_fields: Vec<Field> = key.iter().map(|at| field(&columns[*at])).collect();
        Self {
            schema: schema.to_owned(),
            table: name.to_owned(),
            key: key.to_vec(),
            topic: TOPIC.into(),
            key_schema: (!key.is_empty()).then(|| Schema::structure(key_fields).build()),
            envelope: envelope.name("shop.Envelope").build(),
        }
    }
}

/// The one topic of these tests: the sink reads tables' names from the records.
pub const TOPIC: &str = "shop.all";

/// A batch in the making.
#[derive(Default)]
pub struct Feed {
    pub rows: Rows,
    shapes: Vec<(Arc<Schema>, bool, u32)>,
}

impl Feed {
    pub fn insert(&mut self, table: &Table, row: &[V]) -> &mut Self {
        self.write(table, "c", None, row);
        self
    }

    pub fn update(&mut self, table: &Table, row: &[V]) -> &mut Self {
        self.write(table, "u", None, row);
        self
    }

    pub fn replace(&mut self, table: &Table, before: &[V], row: &[V]) -> &mut Self {
        self.write(table, "u", Some(before), row);
        self
    }

    pub fn delete(&mut self, table: &Table, row: &[V]) -> &mut Self {
        self.remove(table, row, false);
        self.tombstone(table, row);
        self
    }

    /// A key change as the source writes it: delete, tombstone, create.
    pub fn change_key(&mut self, table: &Table, old: &[V], row: &[V]) -> &mut Self {
        self.change_key_begins(table, old);
        self.tombstone(table, old);
        self.change_key_ends(table, old, row)
    }

    /// The delete of a key change.
    pub fn change_key_begins(&mut self, table: &Table, old: &[V]) -> &mut Self {
        self.remove(table, old, true);
        self
    }

    /// The create of a key change.
    pub fn change_key_ends(&mut self, table: &Table, old: &[V], row: &[V]) -> &mut Self {
        self.write(table, "c", None, row);
        let old = self.key(table, old);
        self.rows
            .header("__debezium.oldkey".into(), table.key_schema.clone(), old);
        self
    }

    pub fn truncate(&mut self, table: &Table) -> &mut Self {
        let keyless = Table {
            key_schema: None,
            ..table.clone()
        };
        self.push(
            &keyless,
            "t",
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Partition::All,
        );
        self
    }

    pub fn snapshot_begins(&mut self, table: &Table) -> &mut Self {
        self.truncate(table);
        let begin = self.rows.arena_mut().text("begin");
        self.rows.header("__tapline.snapshot".into(), None, begin);
        self
    }

    /// A row as a transform leaves it that takes it out of its envelope, in a topic of its own.
    pub fn flat(&mut self, topic: &str, table: &Table, row: &[V]) -> &mut Self {
        let after = table.envelope.field("after").expect("an envelope has it");
        let shape = self.rows.shape(Shape {
            topic: topic.into(),
            key: table.key_schema.clone(),
            value: Some(Arc::clone(&after.schema)),
        });
        let (key, value) = (self.key(table, row), self.structure(row));
        self.head(shape, key, value, Partition::ByKey);
        self
    }

    /// A value that is no struct.
    pub fn scalar(&mut self, topic: &str) -> &mut Self {
        let shape = self.rows.shape(Shape {
            topic: topic.into(),
            key: None,
            value: Some(Schema::string()),
        });
        let value = self.rows.arena_mut().text("just text");
        self.head(shape, Cell::Null, value, Partition::ByKey);
        self
    }

    /// A tombstone in a topic of its own.
    pub fn flat_tombstone(&mut self, topic: &str, table: &Table, row: &[V]) -> &mut Self {
        let shape = self.rows.shape(Shape {
            topic: topic.into(),
            key: table.key_schema.clone(),
            value: None,
        });
        let key = self.key(table, row);
        self.head(shape, key, Cell::Null, Partition::ByKey);
        self
    }

    fn write(&mut self, table: &Table, op: &str, before: Option<&[V]>, row: &[V]) {
        let key = self.key(table, row);
        let before = before.map_or(Cell::Null, |before| self.structure(before));
        let after = self.structure(row);
        self.push(table, op, key, before, after, Partition::ByKey);
    }

    fn remove(&mut self, table: &Table, row: &[V], moves: bool) {
        let key = self.key(table, row);
        let before = self.structure(row);
        self.push(table, "d", key, before, Cell::Null, Partition::ByKey);
        if moves {
            self.rows
                .header("__debezium.newkey".into(), None, Cell::Null);
        }
    }

    pub fn tombstone(&mut self, table: &Table, row: &[V]) {
        let key = self.key(table, row);
        let shape = self.rows.shape(Shape {
            topic: Arc::clone(&table.topic),
            key: table.key_schema.clone(),
            value: None,
        });
        self.head(shape, key, Cell::Null, Partition::ByKey);
    }

    fn key(&mut self, table: &Table, row: &[V]) -> Cell {
        if table.key_schema.is_none() {
            return Cell::Null;
        }
        let key: Vec<V> = table.key.iter().map(|at| row[*at].clone()).collect();
        self.structure(&key)
    }

    fn structure(&mut self, row: &[V]) -> Cell {
        let arena = self.rows.arena_mut();
        let cells: Vec<Cell> = row.iter().map(|value| value.cell(arena)).collect();
        arena.block_of(&cells).structure()
    }

    fn push(
        &mut self,
        table: &Table,
        op: &str,
        key: Cell,
        before: Cell,
        after: Cell,
        to: Partition,
    ) {
        let keyed = table.key_schema.is_some();
        let same = |known: &&(Arc<Schema>, bool, u32)| {
            Arc::ptr_eq(&known.0, &table.envelope) && known.1 == keyed
        };
        let shape = match self.shapes.iter().find(same) {
            Some((.., shape)) => *shape,
            None => {
                let shape = self.rows.shape(Shape {
                    topic: Arc::clone(&table.topic),
                    key: table.key_schema.clone(),
                    value: Some(Arc::clone(&table.envelope)),
                });
                self.shapes
                    .push((Arc::clone(&table.envelope), keyed, shape));
                shape
            }
        };
        let arena = self.rows.arena_mut();
        let source = [
            Cell::Null,
            arena.text(&table.schema),
            arena.text(&table.table),
        ];
        let source = arena.block_of(&source).structure();
        let op = arena.text(op);
        let value = arena.block_of(&[before, after, source, op]).structure();
        self.head(shape, key, value, to);
    }

    fn head(&mut self, shape: u32, key: Cell, value: Cell, partition: Partition) {
        self.rows.push(Head {
            shape,
            partition,
            key,
            value,
            timestamp_ms: None,
            transaction: None,
        });
    }
}

/// A sink with its place in the log.
pub struct Fed {
    pub sink: SqlSink,
    pub next: u64,
    /// Records after the next batch that were left out of it.
    pub skip: u64,
}

/// The sink's identity in these tests.
pub fn context(cluster: &str) -> SinkContext {
    SinkContext {
        cluster_id: cluster.into(),
        connector: "shop.replica".into(),
        task: 0,
    }
}

/// The one partition, with a log of this many records.
pub fn assignment(topic_id: u128, high_watermark: u64) -> Assignment {
    Assignment {
        at: TopicPartition {
            topic: TOPIC.into(),
            partition: 0,
        },
        topic_id,
        log_start: 0,
        high_watermark,
    }
}

/// A configuration for this server.
pub fn config(server: &Postgres, more: &[(&str, &str)]) -> Config {
    let mut settings = BTreeMap::from([
        ("name".to_owned(), "shop.replica".to_owned()),
        ("connection.url".to_owned(), server.url("postgres")),
    ]);
    settings.extend(
        more.iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned())),
    );
    Config::new(settings)
}

/// Far beyond what any test writes.
pub const LOG_END: u64 = 1 << 40;

impl Fed {
    pub async fn start(server: &Postgres) -> Self {
        Self::with(server, &[]).await
    }

    pub async fn with(server: &Postgres, more: &[(&str, &str)]) -> Self {
        Self::try_with(server, more)
            .await
            .unwrap_or_else(|error| panic!("{}", error.chain()))
    }

    pub async fn try_with(server: &Postgres, more: &[(&str, &str)]) -> Result<Self, Error> {
        let mut sink = SqlSink::connect(config(server, more)).await?;
        let opened = sink
            .open(&context("cluster"), &[assignment(7, LOG_END)], &[None])
            .await?;
        Ok(Self {
            sink,
            next: opened[0].unwrap_or(0),
            skip: 0,
        })
    }

    /// Puts a batch; the position moves if it was applied.
    pub async fn try_put(&mut self, feed: &Feed) -> Result<Vec<Rejected>, Error> {
        let count = feed.rows.len() as u64;
        let places: Vec<Place> = (0..count)
            .map(|at| Place {
                partition: 0,
                offset: self.next + at,
                version: 0,
            })
            .collect();
        let next = [(
            TopicPartition {
                topic: TOPIC.into(),
                partition: 0,
            },
            self.next + count + self.skip,
        )];
        let batch = Batch {
            rows: &feed.rows,
            places: &places,
            next: &next,
        };
        let rejected = self.sink.put(batch).await?;
        if rejected.is_empty() {
            self.next += count + std::mem::take(&mut self.skip);
        }
        Ok(rejected)
    }

    /// Puts a batch that must be taken whole.
    pub async fn put(&mut self, fill: impl FnOnce(&mut Feed)) {
        let mut feed = Feed::default();
        fill(&mut feed);
        match self.try_put(&feed).await {
            Ok(rejected) => assert_eq!(rejected, [], "nothing is rejected"),
            Err(error) => panic!("{} ({:?})", error.chain(), error.remedy),
        }
    }

    /// Puts a batch of which something must be rejected: index, field and reason of each.
    pub async fn rejected(&mut self, fill: impl FnOnce(&mut Feed)) -> Vec<(usize, String, String)> {
        let mut feed = Feed::default();
        fill(&mut feed);
        let rejected = self
            .try_put(&feed)
            .await
            .unwrap_or_else(|error| panic!("{}", error.chain()));
        let text =
            |field: Option<Arc<str>>| field.map(|field| field.to_string()).unwrap_or_default();
        rejected
            .into_iter()
            .map(|rejected| {
                (
                    rejected.index,
                    text(rejected.error.field),
                    rejected.error.reason,
                )
            })
            .collect()
    }

    /// Puts a batch that must fail.
    pub async fn error(&mut self, fill: impl FnOnce(&mut Feed)) -> Error {
        let mut feed = Feed::default();
        fill(&mut feed);
        match self.try_put(&feed).await {
            Ok(rejected) => panic!("put succeeded, {} rejected", rejected.len()),
            Err(error) => error,
        }
    }
}
