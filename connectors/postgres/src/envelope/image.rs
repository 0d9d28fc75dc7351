//! From one image of a row to the cells of its struct or its key.

use super::{batch::ChangeBatch, error::RowError};
use crate::{
    schema::{Column, zero},
    types::{Fault, Raw, Sink, Tuple, TupleData},
};
use std::sync::atomic::{AtomicBool, Ordering};
use tapline_sdk::{Cell, RecordError};

/// Which columns of a row were sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Image<'a> {
    pub(super) tuple: Tuple<'a>,
    /// Only the columns of the replica identity count.
    pub(super) key_only: bool,
    /// Where the values of unchanged columns are, if the old row has them.
    pub(super) before: Option<(Tuple<'a>, bool)>,
}

impl<'a> Image<'a> {
    /// A row that was sent whole.
    pub(super) fn whole(tuple: Tuple<'a>) -> Self {
        Self {
            tuple,
            key_only: false,
            before: None,
        }
    }

    #[inline]
    fn value(&self, column: &Column) -> TupleData<'a> {
        if self.key_only && !column.in_identity {
            return TupleData::Null;
        }
        match (self.tuple.get(column.at), self.before) {
            (TupleData::Unchanged, Some((before, key_only))) if !key_only || column.in_identity => {
                before.get(column.at)
            }
            (data, _) => data,
        }
    }
}

/// The struct of a row: one cell per column, in one block.
pub(super) fn row(
    batch: &mut ChangeBatch,
    columns: &[Column],
    warned: &[AtomicBool],
    image: Image<'_>,
) -> Result<Cell, RowError> {
    let (mut sink, cells) = batch.sink();
    cells.clear();
    cells.reserve(columns.len());
    for (at, column) in columns.iter().enumerate() {
        let cell = match image.value(column) {
            TupleData::Null => null(&mut sink, column),
            TupleData::Unchanged => Cell::Unavailable,
            TupleData::Text(text) => decoded(&mut sink, column, Raw::Text(text), warned.get(at))?,
            TupleData::Binary(bytes) if column.text_copied => {
                decoded(&mut sink, column, Raw::Text(bytes), warned.get(at))?
            }
            TupleData::Binary(bytes) => {
                decoded(&mut sink, column, Raw::Binary(bytes), warned.get(at))?
            }
        };
        cells.push(cell);
    }
    Ok(sink.arena.block_of(cells).structure())
}

/// The struct of a key. A key must be whole: half of one would name another row.
pub(super) fn key(
    batch: &mut ChangeBatch,
    columns: &[Column],
    image: Image<'_>,
    lenient: bool,
) -> Result<Cell, RowError> {
    for column in columns {
        let missing = image.key_only && !column.in_identity && !lenient;
        if missing || image.value(column) == TupleData::Unchanged {
            let reason = "value of a key column was not sent with the old row: \
                          set REPLICA IDENTITY FULL, or make the key of the table's own key columns";
            return Err(RecordError::new(reason).in_field(&column.name).into());
        }
    }
    row(batch, columns, &[], image)
}

/// Whether two images of a row have different keys, by the bytes that they were sent with: that is what decides
/// whether the records' keys differ.
pub(super) fn key_differs(columns: &[Column], old: Image<'_>, new: Image<'_>) -> bool {
    columns.iter().any(|column| {
        let known = !old.key_only || column.in_identity;
        known && old.value(column) != new.value(column)
    })
}

/// SQL's null, or what stands for it where the schema allows none: Debezium's rule for old images that have only the
/// key.
#[inline]
fn null(sink: &mut Sink<'_>, column: &Column) -> Cell {
    if column.schema.optional {
        Cell::Null
    } else {
        zero(&column.schema, sink.arena)
    }
}

#[inline]
fn decoded(
    sink: &mut Sink<'_>,
    column: &Column,
    raw: Raw<'_>,
    warned: Option<&AtomicBool>,
) -> Result<Cell, RowError> {
    match column.codec.decode(sink, raw) {
        Ok(cell) => Ok(cell),
        Err(fault) => not_decoded(column, fault, warned),
    }
}

#[cold]
fn not_decoded(
    column: &Column,
    fault: Fault,
    warned: Option<&AtomicBool>,
) -> Result<Cell, RowError> {
    match fault {
        Fault::UnknownLabel(type_oid, label) => Err(RowError::UnknownLabel { type_oid, label }),
        Fault::Unrepresentable(reason) if column.schema.optional => {
            // Once per column and plan: the row count of a table must not become that of a log.
            if !warned.is_some_and(|warned| warned.swap(true, Ordering::Relaxed)) {
                tracing::warn!(column = %column.name, reason, "value becomes null");
            }
            Ok(Cell::Null)
        }
        fault => Err(RecordError::from(fault).in_field(&column.name).into()),
    }
}
