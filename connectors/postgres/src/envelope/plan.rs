//! A table's plan: topic, schemas and codecs, compiled once per relation version.

use super::{
    batch::{ChangeBatch, ChangeMeta, Operation},
    error::RowError,
    image::{self, Image},
    marks::{NEW_KEY_HEADER, OLD_KEY_HEADER, Op, SNAPSHOT_HEADER},
    source,
};
use crate::{
    options::{ContextHeaders, MappingOptions, SkippedOperations},
    schema::{Columns, TableMeta, schema_name, topic},
    types::{Tuple, TypeCatalog},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
use tapline_sdk::{Cell, Error, RecordError, Schema};

/// What the server sent of the row before the change.
#[derive(Debug, Clone, Copy)]
pub enum OldImage<'a> {
    /// `K`: only the columns of the replica identity.
    Key(Tuple<'a>),
    /// `O`: the whole row.
    Full(Tuple<'a>),
}

impl<'a> OldImage<'a> {
    fn image(self) -> Image<'a> {
        match self {
            Self::Key(tuple) => Image {
                key_only: true,
                ..Image::whole(tuple)
            },
            Self::Full(tuple) => Image::whole(tuple),
        }
    }
}

/// A table's plan.
#[derive(Debug)]
pub struct TablePlan {
    /// Tells plans apart in a batch.
    pub(super) number: u64,
    pub(super) topic: Arc<str>,
    pub(super) columns: Columns,
    pub(super) envelope: Arc<Schema>,
    pub(super) schema: Arc<str>,
    pub(super) table: Arc<str>,
    /// Which columns have been warned about.
    warned: Box<[AtomicBool]>,
    pub(super) run: Run,
}

/// What is the same for all tables of a run.
#[derive(Debug, Clone)]
pub(super) struct Run {
    lossless: bool,
    pub(super) name: Arc<str>,
    pub(super) database: Arc<str>,
    tombstones: bool,
    skipped: SkippedOperations,
    pub(super) headers: Option<ContextHeaders>,
}

/// Numbers plans, so that a batch can tell them apart.
static PLANS: AtomicU64 = AtomicU64::new(0);

impl TablePlan {
    /// Compiles a plan. Every type that `meta` names must be in `types`.
    ///
    /// # Errors
    /// [`tapline_sdk::ErrorKind::Config`] if the options cannot be met by this table (a key column that does not
    /// exist, a topic name that is too long).
    pub fn new(
        options: &MappingOptions,
        meta: &TableMeta,
        types: &TypeCatalog,
    ) -> Result<Self, Error> {
        let unknown = types.missing(meta.type_oids());
        if !unknown.is_empty() {
            let context = format!("types {unknown:?} of {} are not known", meta.full_name());
            return Err(Error::retriable(context).code("TL0350"));
        }
        let (schema, table) = (&meta.relation.schema, &meta.relation.table);
        let topic = topic(options, schema, table)?;
        let columns = Columns::new(options, meta, types, &topic)?;
        let name = schema_name(options.schema_names, &format!("{topic}.Envelope"));
        Ok(Self {
            number: PLANS.fetch_add(1, Ordering::Relaxed),
            topic: topic.into(),
            envelope: source::envelope(&name, &columns.value_schema),
            schema: Arc::clone(schema),
            table: Arc::clone(table),
            warned: columns
                .value
                .iter()
                .map(|_| AtomicBool::new(false))
                .collect(),
            columns,
            run: Run {
                lossless: options.is_lossless(),
                name: Arc::clone(&options.topic_prefix),
                database: Arc::clone(&options.database),
                tombstones: options.tombstones,
                skipped: options.skipped,
                headers: options.context_headers.clone(),
            },
        })
    }

    /// The topic of the table's records.
    #[must_use]
    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// The key's schema; `None` for a table without key.
    #[must_use]
    pub fn key_schema(&self) -> Option<&Arc<Schema>> {
        self.columns.key_schema.as_ref()
    }

    /// The envelope's schema.
    #[must_use]
    pub fn value_schema(&self) -> &Arc<Schema> {
        &self.envelope
    }

    /// The select list of `COPY (SELECT … FROM …) TO STDOUT (FORMAT binary)`, one item per column of the relation;
    /// empty for a table without columns.
    #[must_use]
    pub fn copy_columns(&self) -> &str {
        &self.columns.select_list
    }

    /// Pushes a row of a snapshot, as `copy_columns` selects it: one record (`r`).
    ///
    /// # Errors
    /// See [`RowError`].
    pub fn snapshot_row(
        &self,
        batch: &mut ChangeBatch,
        meta: &ChangeMeta,
        row: Tuple<'_>,
    ) -> Result<usize, RowError> {
        let image = Image::whole(row);
        let key = self.key(batch, image)?;
        let after = self.row(batch, image)?;
        let value = self.event(batch, meta, Op::Read, Cell::Null, after)?;
        self.push(batch, meta, key, value);
        Ok(1)
    }

    /// Pushes a streamed change and returns the number of records: one for an insert or update, one or two for a
    /// delete, three for a change of the key, none if the operation is skipped.
    ///
    /// # Errors
    /// See [`RowError`].
    pub fn change(
        &self,
        batch: &mut ChangeBatch,
        meta: &ChangeMeta,
        operation: Operation,
        old: Option<OldImage<'_>>,
        new: Option<Tuple<'_>>,
    ) -> Result<usize, RowError> {
        let skipped = self.run.skipped;
        match (operation, old.map(OldImage::image), new) {
            (Operation::Insert, _, _) if skipped.create => Ok(0),
            (Operation::Update, _, _) if skipped.update => Ok(0),
            (Operation::Delete, _, _) if skipped.delete => Ok(0),
            (Operation::Insert, _, Some(new)) => self.insert(batch, meta, Image::whole(new)),
            (Operation::Update, None, Some(new)) => {
                self.update(batch, meta, None, Image::whole(new))
            }
            (Operation::Update, Some(old), Some(new)) => {
                let new = Image {
                    before: Some((old.tuple, old.key_only)),
                    ..Image::whole(new)
                };
                if image::key_differs(&self.columns.key, old, new) {
                    self.move_key(batch, meta, old, new)
                } else {
                    self.update(batch, meta, Some(old), new)
                }
            }
            (Operation::Delete, Some(old), _) => self.delete(batch, meta, old),
            _ => Err(RecordError::new("change lacks the row that it is about").into()),
        }
    }

    /// Pushes a truncate: one record for every partition, or none if truncates are skipped.
    ///
    /// # Errors
    /// See [`RowError`].
    pub fn truncate(&self, batch: &mut ChangeBatch, meta: &ChangeMeta) -> Result<usize, RowError> {
        if self.run.skipped.truncate {
            return Ok(0);
        }
        self.push_barrier(batch, meta)
    }

    /// Pushes the marker that a repeated snapshot of this table begins: a truncate with the header
    /// [`SNAPSHOT_HEADER`] = `begin`, a barrier that empties the target's table. No option skips it.
    ///
    /// # Errors
    /// See [`RowError`].
    pub fn snapshot_begin(
        &self,
        batch: &mut ChangeBatch,
        meta: &ChangeMeta,
    ) -> Result<usize, RowError> {
        let pushed = self.push_barrier(batch, meta)?;
        let rows = batch.rows_mut();
        let begin = rows.arena_mut().text("begin");
        rows.header(SNAPSHOT_HEADER.into(), Some(Schema::string()), begin);
        Ok(pushed)
    }

    fn insert(
        &self,
        batch: &mut ChangeBatch,
        meta: &ChangeMeta,
        new: Image<'_>,
    ) -> Result<usize, RowError> {
        let key = self.key(batch, new)?;
        let after = self.row(batch, new)?;
        let value = self.event(batch, meta, Op::Create, Cell::Null, after)?;
        self.push(batch, meta, key, value);
        Ok(1)
    }

    fn update(
        &self,
        batch: &mut ChangeBatch,
        meta: &ChangeMeta,
        old: Option<Image<'_>>,
        new: Image<'_>,
    ) -> Result<usize, RowError> {
        let key = self.key(batch, new)?;
        let before = match old {
            Some(old) => self.row(batch, old)?,
            None => Cell::Null,
        };
        let after = self.row(batch, new)?;
        let value = self.event(batch, meta, Op::Update, before, after)?;
        self.push(batch, meta, key, value);
        Ok(1)
    }

    fn delete(
        &self,
        batch: &mut ChangeBatch,
        meta: &ChangeMeta,
        old: Image<'_>,
    ) -> Result<usize, RowError> {
        let key = self.key(batch, old)?;
        let before = self.row(batch, old)?;
        let value = self.event(batch, meta, Op::Delete, before, Cell::Null)?;
        self.push(batch, meta, key, value);
        if !self.run.tombstones || self.keyless_tombstone() {
            return Ok(1);
        }
        self.push_tombstone(batch, meta, key);
        Ok(2)
    }

    /// A row with another key: delete, tombstone, create. They are pushed together, after everything that can fail.
    fn move_key(
        &self,
        batch: &mut ChangeBatch,
        meta: &ChangeMeta,
        old: Image<'_>,
        new: Image<'_>,
    ) -> Result<usize, RowError> {
        let old_key = self.key(batch, old)?;
        let new_key = self.key(batch, new)?;
        let before = self.row(batch, old)?;
        let after = self.row(batch, new)?;
        let deleted = self.event(batch, meta, Op::Delete, before, Cell::Null)?;
        let created = self.event(batch, meta, Op::Create, Cell::Null, after)?;
        self.push(batch, meta, old_key, deleted);
        self.key_header(batch, NEW_KEY_HEADER, new_key);
        let mut pushed = 2;
        if self.run.tombstones {
            self.push_tombstone(batch, meta, old_key);
            self.key_header(batch, NEW_KEY_HEADER, new_key);
            pushed += 1;
        }
        self.push(batch, meta, new_key, created);
        self.key_header(batch, OLD_KEY_HEADER, old_key);
        Ok(pushed)
    }

    /// A tombstone without key says nothing; Debezium writes it all the same.
    fn keyless_tombstone(&self) -> bool {
        self.run.lossless && self.columns.key.is_empty()
    }

    fn key(&self, batch: &mut ChangeBatch, image: Image<'_>) -> Result<Cell, RowError> {
        if self.columns.key.is_empty() {
            return Ok(Cell::Null);
        }
        image::key(batch, &self.columns.key, image, !self.run.lossless)
    }

    fn row(&self, batch: &mut ChangeBatch, image: Image<'_>) -> Result<Cell, RowError> {
        image::row(batch, &self.columns.value, &self.warned, image)
    }
}
