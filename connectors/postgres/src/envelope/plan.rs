//! A table's plan: topic, schemas and codecs, compiled once per relation version.

use super::batch::{ChangeBatch, ChangeMeta, Operation};
use crate::{
    options::MappingOptions,
    schema::TableMeta,
    types::{Tuple, TypeCatalog},
};
use std::{fmt, sync::Arc};
use tapline_sdk::{Error, RecordError, Schema};

/// What the server sent of the row before the change.
#[derive(Debug, Clone, Copy)]
pub enum OldImage<'a> {
    /// `K`: only the columns of the replica identity.
    Key(Tuple<'a>),
    /// `O`: the whole row.
    Full(Tuple<'a>),
}

/// Why a row yields no record. Nothing of it is in the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowError {
    /// The row has an enum label that the catalogue did not have when the plan was made. Ask for the type again
    /// ([`TypeCatalog::forget`]), make the plan anew and repeat the row; if the label is still unknown, it was renamed
    /// since: [`TypeCatalog::learn_label`].
    UnknownLabel {
        /// The enum's oid.
        type_oid: u32,
        /// The label.
        label: String,
    },
    /// The row cannot be a record; names the column.
    Record(RecordError),
}

impl From<RecordError> for RowError {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownLabel { type_oid, .. } => {
                write!(
                    f,
                    "enum with oid {type_oid} has got a label since it was read"
                )
            }
            Self::Record(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RowError {}

/// A table's plan.
#[derive(Debug)]
pub struct TablePlan {
    topic: Arc<str>,
    key_schema: Option<Arc<Schema>>,
    value_schema: Arc<Schema>,
    copy_columns: String,
}

impl TablePlan {
    /// Compiles a plan. Every type that `meta` names must be in `types`.
    ///
    /// # Errors
    /// [`tapline_sdk::ErrorKind::Config`] if the options cannot be met by this table (a key column that does not
    /// exist, a topic name that is too long).
    pub fn new(
        _options: &MappingOptions,
        meta: &TableMeta,
        _types: &TypeCatalog,
    ) -> Result<Self, Error> {
        Err(Error::fatal(format!("no plan for {}", meta.full_name())))
    }

    /// The topic of the table's records.
    #[must_use]
    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// The key's schema; `None` for a table without key.
    #[must_use]
    pub fn key_schema(&self) -> Option<&Arc<Schema>> {
        self.key_schema.as_ref()
    }

    /// The envelope's schema.
    #[must_use]
    pub fn value_schema(&self) -> &Arc<Schema> {
        &self.value_schema
    }

    /// The select list of `COPY (SELECT … FROM …) TO STDOUT (FORMAT binary)`, one item per column of the relation;
    /// empty for a table without columns. The table must not be aliased.
    #[must_use]
    pub fn copy_columns(&self) -> &str {
        &self.copy_columns
    }

    /// Pushes a row of a snapshot, as `copy_columns` selects it: one record (`r`).
    ///
    /// # Errors
    /// See [`RowError`].
    pub fn snapshot_row(
        &self,
        _batch: &mut ChangeBatch,
        _meta: &ChangeMeta,
        _row: Tuple<'_>,
    ) -> Result<usize, RowError> {
        Err(RecordError::new("not built").into())
    }

    /// Pushes a streamed change and returns the number of records: one for an insert or update, one or two for a
    /// delete, three for a change of the key, none if the operation is skipped.
    ///
    /// # Errors
    /// See [`RowError`].
    pub fn change(
        &self,
        _batch: &mut ChangeBatch,
        _meta: &ChangeMeta,
        _operation: Operation,
        _old: Option<OldImage<'_>>,
        _new: Option<Tuple<'_>>,
    ) -> Result<usize, RowError> {
        Err(RecordError::new("not built").into())
    }

    /// Pushes a truncate: one record for every partition, or none if truncates are skipped.
    pub fn truncate(&self, _batch: &mut ChangeBatch, _meta: &ChangeMeta) -> usize {
        0
    }

    /// Pushes the marker that a repeated snapshot of this table begins: a barrier that empties the target's table.
    pub fn snapshot_begin(&self, _batch: &mut ChangeBatch, _meta: &ChangeMeta) -> usize {
        0
    }
}
