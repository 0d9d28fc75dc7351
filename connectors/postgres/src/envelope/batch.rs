//! A batch that is being filled, with what its records share: shapes, constant texts, header values.

use crate::types::Sink;
use hashbrown::HashMap;
use std::sync::Arc;
use tapline_sdk::{Cell, RecordError, Rows, Transaction};

/// A row operation of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// INSERT.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
}

/// Where a record stands in a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotMarker {
    /// `true`.
    Row,
    /// `first`.
    First,
    /// `first_in_data_collection`.
    FirstInTable,
    /// `last_in_data_collection`.
    LastInTable,
    /// `last`.
    Last,
    /// `false`: a streamed change.
    Streamed,
    /// `incremental`.
    Incremental,
}

impl SnapshotMarker {
    /// The text in the source block.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Row => "true",
            Self::First => "first",
            Self::FirstInTable => "first_in_data_collection",
            Self::LastInTable => "last_in_data_collection",
            Self::Last => "last",
            Self::Streamed => "false",
            Self::Incremental => "incremental",
        }
    }
}

/// The replication origin of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its name.
    pub name: Arc<str>,
    /// The origin's own position.
    pub lsn: u64,
}

/// What is known of a change beside its row.
#[derive(Debug, Clone)]
pub struct ChangeMeta {
    /// Streamed, or which place in a snapshot.
    pub snapshot: SnapshotMarker,
    /// The row's position: of its message in the stream, of the snapshot's consistent point in a snapshot.
    pub lsn: Option<u64>,
    /// The previous transaction's commit position; `None` until one was streamed.
    pub last_commit_lsn: Option<u64>,
    /// Microseconds since 1970: the commit's in the stream, the snapshot's in a snapshot.
    pub commit_time_us: i64,
    /// Microseconds since 1970: now, by the connector's clock.
    pub now_us: i64,
    /// The transaction's id, as `source.txId`.
    pub xid: Option<u32>,
    /// `source.xmin`.
    pub xmin: Option<i64>,
    /// Where the transaction came from.
    pub origin: Option<Origin>,
    /// Set on every record of the change.
    pub transaction: Option<Transaction>,
}

/// Records of one batch under construction. Cells and shapes that records share are made once per batch.
#[derive(Debug, Default)]
pub struct ChangeBatch {
    rows: Rows,
    /// What the records of a table share, by the plan's number; the last one used stands apart.
    tables: HashMap<u64, TableCells>,
    last: Option<(u64, TableCells)>,
    run: Option<RunCells>,
    sequence: Option<(Sequence, Cell)>,
    /// Memory for a row's cells and for values on their way, kept from row to row.
    pub(super) cells: Vec<Cell>,
    pub(super) scratch: Vec<u8>,
}

/// What a sequence text is made of: previous commit, position.
pub(super) type Sequence = (Option<u64>, u64);

/// Shapes and texts of one table in one batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct TableCells {
    /// Key and envelope.
    pub(super) change: u32,
    /// Key alone.
    pub(super) tombstone: u32,
    /// Envelope alone.
    pub(super) barrier: u32,
    pub(super) schema: Cell,
    pub(super) table: Cell,
}

/// Texts that every record of a run has.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunCells {
    pub(super) version: Cell,
    pub(super) connector: Cell,
    pub(super) name: Cell,
    pub(super) database: Cell,
    /// `c`, `u`, `d`, `r`, `t`.
    pub(super) operations: [Cell; 5],
    pub(super) snapshot: (SnapshotMarker, Cell),
    /// Values of the context headers, in the plan's order.
    pub(super) headers: [Cell; 4],
}

impl ChangeBatch {
    /// An empty batch with room for about this many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            rows: Rows::with_capacity(bytes),
            ..Self::default()
        }
    }

    /// The records so far.
    #[must_use]
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Marks the record pushed last as its transaction's last one.
    pub fn end_transaction(&mut self) {
        self.rows.end_transaction();
    }

    /// Takes the records, leaving an empty batch with room for about this many bytes.
    pub fn take(&mut self, bytes: usize) -> Rows {
        // Cells mean something only in their own arena: whatever was shared is made anew in the next one.
        self.tables.clear();
        self.last = None;
        self.run = None;
        self.sequence = None;
        std::mem::replace(&mut self.rows, Rows::with_capacity(bytes))
    }

    pub(super) fn rows_mut(&mut self) -> &mut Rows {
        &mut self.rows
    }

    /// Where values are made, with the memory that a row's cells are gathered in.
    pub(super) fn sink(&mut self) -> (Sink<'_>, &mut Vec<Cell>) {
        let sink = Sink {
            arena: self.rows.arena_mut(),
            scratch: &mut self.scratch,
        };
        (sink, &mut self.cells)
    }

    /// What the records of a table share, made by `make` when the batch meets the table.
    #[inline]
    pub(super) fn table(
        &mut self,
        plan: u64,
        make: impl FnOnce(&mut Rows) -> TableCells,
    ) -> TableCells {
        if let Some((last, cells)) = self.last
            && last == plan
        {
            return cells;
        }
        let rows = &mut self.rows;
        let cells = *self.tables.entry(plan).or_insert_with(|| make(rows));
        self.last = Some((plan, cells));
        cells
    }

    /// What all records share, made by `make` when the batch gets its first; the snapshot marker changes seldom.
    #[inline]
    pub(super) fn run(
        &mut self,
        marker: SnapshotMarker,
        make: impl FnOnce(&mut Rows) -> RunCells,
    ) -> RunCells {
        let rows = &mut self.rows;
        let run = self.run.get_or_insert_with(|| make(rows));
        if run.snapshot.0 != marker {
            run.snapshot = (marker, rows.arena_mut().text(marker.text()));
        }
        *run
    }

    /// The text of `source.sequence`; rows of a snapshot or a COPY share one.
    #[inline]
    pub(super) fn sequence(&mut self, sequence: Sequence) -> Result<Cell, RecordError> {
        if let Some((last, cell)) = self.sequence
            && last == sequence
        {
            return Ok(cell);
        }
        let cell = self.rows.arena_mut().text_with::<RecordError>(|out| {
            write_sequence(out, sequence);
            Ok(())
        })?;
        self.sequence = Some((sequence, cell));
        Ok(cell)
    }
}

/// `["24023119","24023128"]`, or `[null,"23547008"]`.
fn write_sequence(out: &mut Vec<u8>, (commit, lsn): Sequence) {
    let mut digits = itoa::Buffer::new();
    match commit {
        Some(commit) => {
            out.extend_from_slice(b"[\"");
            out.extend_from_slice(digits.format(commit).as_bytes());
            out.extend_from_slice(b"\",\"");
        }
        None => out.extend_from_slice(b"[null,\""),
    }
    out.extend_from_slice(digits.format(lsn).as_bytes());
    out.extend_from_slice(b"\"]");
}
