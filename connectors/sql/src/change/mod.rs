//! From records to changes of tables: envelopes and flattened rows, tombstones, key changes as one move.
//!
//! Pure: no I/O, no SQL. It borrows nothing from the batch but copies cells, which are numbers and spans.

mod shape;

use crate::{
    keys::KeyMode,
    naming::{Origin, TableName},
    settings::Settings,
};
use shape::{Envelope, Form};
use std::{collections::HashMap, sync::Arc};
use tapline_sdk::{Batch, Cell, Error, Place, RecordError, RecordRef, Rejected, Schema, Value};

/// The header on the delete of a key change; its create follows in the same batch.
const HEADER_NEW_KEY: &str = "__debezium.newkey";
/// The header on the create of a key change.
const HEADER_OLD_KEY: &str = "__debezium.oldkey";
/// The header on a barrier that stands for a snapshot's begin.
const HEADER_SNAPSHOT: &str = "__tapline.snapshot";

/// What a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A row that the source inserted or read in a snapshot.
    Insert,
    /// A row that exists, as far as the source knows.
    Update,
    /// A row goes.
    Delete,
    /// Every row goes.
    Truncate,
    /// A row gets another key.
    Move,
}

/// One change of one table. Cells are of the batch's arena.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    /// The record, as an index into the batch.
    pub index: u32,
    /// Index into [`Changes::tables`].
    pub table: u32,
    /// What it does.
    pub action: Action,
    /// The record's key.
    pub key: Cell,
    /// For a move: the key until then.
    pub old_key: Cell,
    /// The row's struct: after the change, or before a delete.
    pub row: Cell,
    /// The row before an update, if the source tells.
    pub before: Cell,
}

/// A target table under one pair of schemas.
#[derive(Debug, Clone)]
pub struct TableShape {
    /// The table.
    pub name: TableName,
    /// The key's schema.
    pub key: Option<Arc<Schema>>,
    /// The row's struct schema; `None` for tombstones.
    pub row: Option<Arc<Schema>>,
}

/// A batch, understood.
#[derive(Debug, Default)]
pub struct Changes {
    /// In the order to apply.
    pub list: Vec<Change>,
    /// What the changes refer to.
    pub tables: Vec<TableShape>,
    /// Records that are no change of a table.
    pub rejected: Vec<Rejected>,
}

impl Changes {
    /// For each table: whether rows are written to it, rather than only removed. Then it must exist.
    #[must_use]
    pub fn written(&self) -> Vec<bool> {
        let mut written = vec![false; self.tables.len()];
        for change in &self.list {
            if !matches!(change.action, Action::Truncate | Action::Delete)
                && let Some(flag) = written.get_mut(change.table as usize)
            {
                *flag = true;
            }
        }
        written
    }
}

/// A key change's delete that waits for its create. Where a batch ends between them, the delete is left to the create,
/// which names the old key in its header; in a partitioned topic they may stand apart, so each is applied by itself.
#[derive(Clone, Copy)]
struct Pending {
    partition: u32,
    delete: Change,
    /// The offset of the last record seen of it.
    offset: u64,
}

/// Reads a batch. `flat` remembers over batches which topics carry flattened rows, because a tombstone deletes there
/// and only follows a delete elsewhere.
///
/// # Errors
/// A table's name cannot be used in the target.
pub fn read(
    batch: Batch<'_>,
    settings: &Settings,
    flat: &mut HashMap<Arc<str>, bool>,
    is_partitioned: impl Fn(&str) -> bool,
) -> Result<Changes, Error> {
    let mut reader = Reader {
        settings,
        is_partitioned: &is_partitioned,
        flat,
        forms: vec![None; batch.rows.shapes().len()],
        known: vec![Vec::new(); batch.rows.shapes().len()],
        pending: Vec::new(),
        changes: Changes::default(),
    };
    for (index, (record, place)) in batch.iter().enumerate() {
        reader.record(index, record, place)?;
    }
    reader.end(batch);
    Ok(reader.changes)
}

/// Source schema and table of a shape seen before, and the table they lead to.
type Known = (Box<str>, Box<str>, u32);

struct Reader<'a> {
    settings: &'a Settings,
    is_partitioned: &'a dyn Fn(&str) -> bool,
    flat: &'a mut HashMap<Arc<str>, bool>,
    forms: Vec<Option<Form>>,
    known: Vec<Vec<Known>>,
    pending: Vec<Pending>,
    changes: Changes,
}

impl Reader<'_> {
    fn record(&mut self, index: usize, record: RecordRef<'_>, place: Place) -> Result<(), Error> {
        let shape = record.head().shape as usize;
        let form = match self.forms.get(shape) {
            Some(Some(form)) => form.clone(),
            _ => {
                let form = Form::of(record.shape());
                if let Some(slot) = self.forms.get_mut(shape) {
                    *slot = Some(form.clone());
                }
                form
            }
        };
        let number = u32::try_from(index).expect("invariant: a batch has fewer than 2^32 records");
        let is_null = record.head().value == Cell::Null;
        let result = match form {
            _ if is_null => self.tombstone(number, record, place),
            Form::Envelope(envelope) => self.envelope(number, record, place, &envelope),
            Form::Flat { row, deleted } => self.flat(number, record, place, &row, deleted),
            Form::Unusable(why) => Ok(Err(RecordError::new(why))),
        };
        if let Err(error) = result? {
            self.changes.rejected.push(Rejected { index, error });
        }
        Ok(())
    }

    fn envelope(
        &mut self,
        index: u32,
        record: RecordRef<'_>,
        place: Place,
        envelope: &Envelope,
    ) -> Result<Result<(), RecordError>, Error> {
        let cells = record.arena().children(record.head().value);
        let cell = |at: usize| cells.get(at).copied().unwrap_or(Cell::Null);
        let Value::Text(op) = record.arena().value(cell(envelope.op)) else {
            return Ok(Err(RecordError::new("envelope has no op")));
        };
        let (after, before) = (cell(envelope.after), cell(envelope.before));
        let (action, row) = match op {
            "c" | "r" => (Action::Insert, after),
            "u" => (Action::Update, after),
            "d" => (Action::Delete, before),
            "t" => (Action::Truncate, Cell::Null),
            // A logical message changes no table.
            "m" => return Ok(Ok(())),
            _ => {
                return Ok(Err(RecordError::new(format!(
                    "envelope has the unknown op `{op}`"
                ))));
            }
        };
        if matches!(action, Action::Insert | Action::Update) && !matches!(row, Cell::Struct(_)) {
            return Ok(Err(RecordError::new(
                "envelope has no row after the change",
            )));
        }
        self.flat.insert(Arc::clone(&record.shape().topic), false);
        let origin = envelope.origin(record, cell(envelope.source));
        let table = self.table(record, origin, Some(&envelope.row))?;
        let change = Change {
            index,
            table,
            action,
            key: record.head().key,
            old_key: Cell::Null,
            row,
            before,
        };
        self.place(change, record, place);
        Ok(Ok(()))
    }

    /// Puts an envelope's change where it belongs: a key change becomes one move.
    fn place(&mut self, change: Change, record: RecordRef<'_>, place: Place) {
        let partition = place.partition;
        let waiting = self.take_pending(partition);
        match (change.action, waiting) {
            (Action::Insert, Some(waiting))
                if waiting.delete.table == change.table && has_header(record, HEADER_OLD_KEY) =>
            {
                self.changes.list.push(Change {
                    action: Action::Move,
                    old_key: waiting.delete.key,
                    ..change
                });
                return;
            }
            (Action::Insert, None) => {
                if let Some(old_key) = self.left_to(record) {
                    let action = Action::Move;
                    self.changes.list.push(Change {
                        action,
                        old_key,
                        ..change
                    });
                    return;
                }
            }
            (_, Some(waiting)) => self.plain_delete(waiting),
            (_, None) => {}
        }
        match change.action {
            Action::Delete if has_header(record, HEADER_NEW_KEY) => {
                self.pending.push(Pending {
                    partition,
                    delete: change,
                    offset: place.offset,
                });
            }
            Action::Delete if !self.settings.deletes => {}
            Action::Truncate if !self.settings.truncates => {
                tracing::debug!(
                    snapshot = has_header(record, HEADER_SNAPSHOT),
                    "truncate left out, truncate.enabled is false"
                );
            }
            _ => self.changes.list.push(change),
        }
    }

    fn flat(
        &mut self,
        index: u32,
        record: RecordRef<'_>,
        place: Place,
        row: &Arc<Schema>,
        deleted: Option<usize>,
    ) -> Result<Result<(), RecordError>, Error> {
        self.flush(place.partition);
        self.flat.insert(Arc::clone(&record.shape().topic), true);
        let cell = record.head().value;
        if !matches!(cell, Cell::Struct(_)) {
            return Ok(Err(RecordError::new("value is no struct")));
        }
        let children = record.arena().children(cell);
        let gone = deleted.and_then(|at| children.get(at)).is_some_and(|cell| {
            matches!(
                record.arena().value(*cell),
                Value::Text("true") | Value::Bool(true)
            )
        });
        let origin = shape::flat_origin(record, row);
        let table = self.table(record, origin, Some(row))?;
        // Without a key there is no row to find: whatever it was, it is appended.
        let keyless = self.settings.key_mode == KeyMode::RecordKey && record.shape().key.is_none();
        let action = match (gone, keyless) {
            (true, _) => Action::Delete,
            (false, true) => Action::Insert,
            (false, false) => Action::Update,
        };
        if action == Action::Delete && !self.settings.deletes {
            return Ok(Ok(()));
        }
        self.changes.list.push(Change {
            index,
            table,
            action,
            key: record.head().key,
            old_key: Cell::Null,
            row: cell,
            before: Cell::Null,
        });
        Ok(Ok(()))
    }

    /// A delete where rows are flattened; elsewhere it only follows the delete that came before.
    fn tombstone(
        &mut self,
        index: u32,
        record: RecordRef<'_>,
        place: Place,
    ) -> Result<Result<(), RecordError>, Error> {
        let topic = &record.shape().topic;
        let is_flat = self.flat.get(topic).copied().unwrap_or(false);
        let waiting = self
            .pending
            .iter_mut()
            .find(|pending| pending.partition == place.partition);
        if let Some(waiting) = waiting {
            waiting.offset = place.offset;
            return Ok(Ok(()));
        }
        if !is_flat || !self.settings.deletes || record.head().key == Cell::Null {
            return Ok(Ok(()));
        }
        let table = self.table(record, Origin::of_topic(topic), None)?;
        self.changes.list.push(Change {
            index,
            table,
            action: Action::Delete,
            key: record.head().key,
            old_key: Cell::Null,
            row: Cell::Null,
            before: Cell::Null,
        });
        Ok(Ok(()))
    }

    fn table(
        &mut self,
        record: RecordRef<'_>,
        origin: Origin<'_>,
        row: Option<&Arc<Schema>>,
    ) -> Result<u32, Error> {
        let shape = record.head().shape as usize;
        let same = |known: &&Known| &*known.0 == origin.schema && &*known.1 == origin.table;
        if let Some(known) = self
            .known
            .get(shape)
            .and_then(|known| known.iter().find(same))
        {
            return Ok(known.2);
        }
        let name = self
            .settings
            .template
            .resolve(origin, self.settings.folds_case)?;
        let number = self.number(TableShape {
            name,
            key: record.shape().key.clone(),
            row: row.cloned(),
        });
        if let Some(known) = self.known.get_mut(shape) {
            known.push((origin.schema.into(), origin.table.into(), number));
        }
        Ok(number)
    }

    /// The number of a table under a pair of schemas: several shapes of records may mean the same.
    fn number(&mut self, shape: TableShape) -> u32 {
        let pointers = |shape: &TableShape| {
            [shape.key.as_ref(), shape.row.as_ref()].map(|schema| schema.map(Arc::as_ptr))
        };
        let same =
            |known: &TableShape| known.name == shape.name && pointers(known) == pointers(&shape);
        let known = self.changes.tables.iter().position(same);
        let number = known.unwrap_or(self.changes.tables.len());
        if known.is_none() {
            self.changes.tables.push(shape);
        }
        u32::try_from(number).expect("invariant: a batch has fewer tables than records")
    }

    fn take_pending(&mut self, partition: u32) -> Option<Pending> {
        let at = self
            .pending
            .iter()
            .position(|pending| pending.partition == partition)?;
        Some(self.pending.swap_remove(at))
    }

    fn flush(&mut self, partition: u32) {
        if let Some(waiting) = self.take_pending(partition) {
            self.plain_delete(waiting);
        }
    }

    /// The old key of a create whose delete ended the batch before.
    fn left_to(&self, record: RecordRef<'_>) -> Option<Cell> {
        let header = record
            .headers()
            .find(|header| &**header.name == HEADER_OLD_KEY)?;
        let is_key = matches!(header.cell, Cell::Struct(_));
        (is_key && !(self.is_partitioned)(&record.shape().topic)).then_some(header.cell)
    }

    /// What still waits: if the log goes on right behind it, its create comes next; otherwise that was left out.
    fn end(&mut self, batch: Batch<'_>) {
        for waiting in std::mem::take(&mut self.pending) {
            let next = batch.next.get(waiting.partition as usize);
            let goes_on = next.is_some_and(|(at, next)| {
                *next == waiting.offset + 1 && !(self.is_partitioned)(&at.topic)
            });
            if !goes_on {
                self.plain_delete(waiting);
            }
        }
    }

    /// A key change whose create is not here: only the old row goes.
    fn plain_delete(&mut self, waiting: Pending) {
        if self.settings.deletes {
            self.changes.list.push(waiting.delete);
        }
    }
}

fn has_header(record: RecordRef<'_>, name: &str) -> bool {
    record.headers().any(|header| &**header.name == name)
}
