//! Envelopes and record heads: what stands around a row's cells.

use super::{
    batch::{ChangeBatch, ChangeMeta, RunCells, TableCells},
    error::RowError,
    marks::Op,
    plan::TablePlan,
    source::{ENVELOPE_FIELDS, SOURCE_FIELDS},
};
use std::sync::{Arc, LazyLock};
use tapline_sdk::{Cell, Head, Partition, Rows, Schema, Shape};

/// Names of the context headers, shared by all records.
static CONTEXT_HEADERS: LazyLock<[Arc<str>; 4]> = LazyLock::new(|| {
    [
        "__debezium.context.connectorLogicalName".into(),
        "__debezium.context.taskId".into(),
        "__debezium.context.connectorName".into(),
        "__debezium.context.runId".into(),
    ]
});
/// The schema of their values.
static TEXT: LazyLock<Arc<Schema>> = LazyLock::new(Schema::string);

impl TablePlan {
    /// The envelope of a change as one block of cells.
    pub(super) fn event(
        &self,
        batch: &mut ChangeBatch,
        meta: &ChangeMeta,
        op: Op,
        before: Cell,
        after: Cell,
    ) -> Result<Cell, RowError> {
        let run = batch.run(meta.snapshot, |rows| self.run_cells(rows, meta));
        let source = self.source(batch, meta, run)?;
        let [create, update, delete, read, truncate] = run.operations;
        let op = match op {
            Op::Create => create,
            Op::Update => update,
            Op::Delete => delete,
            Op::Read => read,
            Op::Truncate => truncate,
        };
        let [ms, us, ns] = times(meta.now_us);
        let cells: [Cell; ENVELOPE_FIELDS] = [before, after, source, Cell::Null, op, ms, us, ns];
        Ok(batch.rows_mut().arena_mut().block_of(&cells).structure())
    }

    fn source(
        &self,
        batch: &mut ChangeBatch,
        meta: &ChangeMeta,
        run: RunCells,
    ) -> Result<Cell, RowError> {
        let table = batch.table(self.number, |rows| self.table_cells(rows));
        let sequence = match meta.lsn {
            Some(lsn) => batch.sequence((meta.last_commit_lsn, lsn))?,
            None => Cell::Null,
        };
        let arena = batch.rows_mut().arena_mut();
        let (origin, origin_lsn) = match &meta.origin {
            Some(origin) => (arena.text(&origin.name), position(Some(origin.lsn))),
            None => (Cell::Null, Cell::Null),
        };
        let [ms, us, ns] = times(meta.commit_time_us);
        let cells: [Cell; SOURCE_FIELDS] = [
            run.version,
            run.connector,
            run.name,
            ms,
            run.snapshot.1,
            run.database,
            sequence,
            us,
            ns,
            table.schema,
            table.table,
            meta.xid.map_or(Cell::Null, |xid| Cell::Int(i64::from(xid))),
            position(meta.lsn),
            meta.xmin.map_or(Cell::Null, Cell::Int),
            origin,
            origin_lsn,
        ];
        Ok(arena.block_of(&cells).structure())
    }

    /// Pushes a keyed record.
    pub(super) fn push(&self, batch: &mut ChangeBatch, meta: &ChangeMeta, key: Cell, value: Cell) {
        let shape = batch
            .table(self.number, |rows| self.table_cells(rows))
            .change;
        self.push_head(batch, meta, shape, key, value, Partition::ByKey);
    }

    /// Pushes a key without value.
    pub(super) fn push_tombstone(&self, batch: &mut ChangeBatch, meta: &ChangeMeta, key: Cell) {
        let shape = batch
            .table(self.number, |rows| self.table_cells(rows))
            .tombstone;
        self.push_head(batch, meta, shape, key, Cell::Null, Partition::ByKey);
    }

    /// Pushes a truncate to every partition.
    pub(super) fn push_barrier(
        &self,
        batch: &mut ChangeBatch,
        meta: &ChangeMeta,
    ) -> Result<usize, RowError> {
        let value = self.event(batch, meta, Op::Truncate, Cell::Null, Cell::Null)?;
        let shape = batch
            .table(self.number, |rows| self.table_cells(rows))
            .barrier;
        self.push_head(batch, meta, shape, Cell::Null, value, Partition::All);
        Ok(1)
    }

    /// Adds a header that holds a key to the record pushed last.
    pub(super) fn key_header(&self, batch: &mut ChangeBatch, name: &'static str, key: Cell) {
        let schema = self.key_schema().cloned();
        batch.rows_mut().header(name.into(), schema, key);
    }

    fn push_head(
        &self,
        batch: &mut ChangeBatch,
        meta: &ChangeMeta,
        shape: u32,
        key: Cell,
        value: Cell,
        partition: Partition,
    ) {
        let headers = self.run.headers.as_ref().map(|_| {
            let run = batch.run(meta.snapshot, |rows| self.run_cells(rows, meta));
            run.headers
        });
        let rows = batch.rows_mut();
        rows.push(Head {
            shape,
            partition,
            key,
            value,
            timestamp_ms: None,
            transaction: meta.transaction,
        });
        for (name, value) in CONTEXT_HEADERS.iter().zip(headers.into_iter().flatten()) {
            rows.header(Arc::clone(name), Some(Arc::clone(&TEXT)), value);
        }
    }

    #[cold]
    fn table_cells(&self, rows: &mut Rows) -> TableCells {
        let shape = |key: Option<&Arc<Schema>>, value: Option<&Arc<Schema>>| Shape {
            topic: Arc::clone(&self.topic),
            key: key.cloned(),
            value: value.cloned(),
        };
        let (key, envelope) = (self.key_schema(), Some(&self.envelope));
        TableCells {
            change: rows.shape(shape(key, envelope)),
            tombstone: rows.shape(shape(key, None)),
            barrier: rows.shape(shape(None, envelope)),
            schema: rows.arena_mut().text(&self.schema),
            table: rows.arena_mut().text(&self.table),
        }
    }

    #[cold]
    fn run_cells(&self, rows: &mut Rows, meta: &ChangeMeta) -> RunCells {
        let arena = rows.arena_mut();
        let headers = match &self.run.headers {
            Some(headers) => [
                arena.text(&headers.logical_name),
                arena.text(&headers.task_id),
                arena.text(&headers.connector_name),
                arena.text(&headers.run_id),
            ],
            None => [Cell::Null; 4],
        };
        RunCells {
            version: arena.text(env!("CARGO_PKG_VERSION")),
            connector: arena.text("postgresql"),
            name: arena.text(&self.run.name),
            database: arena.text(&self.run.database),
            operations: ["c", "u", "d", "r", "t"].map(|op| arena.text(op)),
            snapshot: (meta.snapshot, arena.text(meta.snapshot.text())),
            headers,
        }
    }
}

/// Milliseconds, microseconds, nanoseconds; the last wrap in the year 2262, as a Java long does.
fn times(us: i64) -> [Cell; 3] {
    [us.div_euclid(1000), us, us.wrapping_mul(1000)].map(Cell::Int)
}

/// A position as Java has it: a long that is negative past 2^63.
fn position(lsn: Option<u64>) -> Cell {
    lsn.map_or(Cell::Null, |lsn| Cell::Int(lsn.cast_signed()))
}
