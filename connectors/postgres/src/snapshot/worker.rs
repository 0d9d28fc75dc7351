//! One connection of the snapshot: takes ranges, copies rows, decodes them into parts.

use super::{Job, Shared};
use crate::{
    catalog::Catalog,
    clock::now_us,
    envelope::{ChangeBatch, ChangeMeta, SnapshotMarker, TablePlan},
    server::cell,
    stream::BATCH_BYTES,
    types::TupleSpans,
    wire::Connection,
};
use std::sync::Arc;
use tapline_sdk::{Error, RecordError, Result, Rows};
use tokio::sync::{Mutex, mpsc};

/// What a worker hands to the sender.
pub(super) struct Part {
    /// The range.
    pub job: Job,
    /// The table's plan and what its rows' source block says.
    pub plan: Arc<TablePlan>,
    /// See `plan`.
    pub meta: ChangeMeta,
    /// Rows, in order.
    pub rows: Rows,
    /// Whether the range is done; then also its last row, still raw, if the range is the table's last.
    pub end: Option<Option<Vec<u8>>>,
}

/// One worker.
pub(super) struct Worker {
    shared: Arc<Shared>,
    catalog: Arc<Mutex<Catalog>>,
    connection: Connection,
    parts: mpsc::Sender<Part>,
    spans: TupleSpans,
}

impl Worker {
    pub(super) fn new(
        shared: Arc<Shared>,
        catalog: Arc<Mutex<Catalog>>,
        connection: Connection,
        parts: mpsc::Sender<Part>,
    ) -> Self {
        Self {
            shared,
            catalog,
            connection,
            parts,
            spans: TupleSpans::default(),
        }
    }

    /// Works until no range is left. The table locks last until then, so that no range sees another definition.
    pub(super) async fn run(mut self) -> Result<()> {
        let mut last: Option<(usize, Arc<TablePlan>)> = None;
        while let Some(job) = self.shared.next_job() {
            let plan = match &last {
                Some((reading, plan)) if *reading == job.reading => Arc::clone(plan),
                _ => self.prepare(job).await?,
            };
            last = Some((job.reading, Arc::clone(&plan)));
            self.copy(job, plan).await?;
        }
        self.connection
            .execute("cannot end the snapshot", "commit")
            .await?;
        self.connection.close().await;
        Ok(())
    }

    /// Locks the table against changes of its definition, makes sure that the snapshot can see its rows, and compiles
    /// its plan from the catalogue as it is now, which the lock keeps.
    async fn prepare(&mut self, job: Job) -> Result<Arc<TablePlan>> {
        let Some(reading) = self.shared.readings.get(job.reading) else {
            return Err(Error::fatal("a range belongs to no table").code("TL0315"));
        };
        let name = reading.table.quoted();
        let only = if reading.table.partitioned {
            ""
        } else {
            "only "
        };
        let doing = format!("cannot lock {name} for its snapshot");
        self.connection
            .execute(
                &doing,
                &format!("lock table {only}{name} in access share mode"),
            )
            .await?;
        // A rewrite (ALTER … TYPE, TRUNCATE, CLUSTER) after the snapshot leaves a table that looks empty to it. The
        // query sees the catalogue of the snapshot, the function that of now.
        let sql = format!(
            "select relfilenode = coalesce(pg_relation_filenode(oid), 0) from pg_class where oid = {}",
            reading.table.relid
        );
        let reply = self.connection.query(&doing, &sql).await?;
        if cell(&reply, 0, 0) != Some("t") {
            return Err(Error::disconnected(format!(
                "{name} was rewritten while its snapshot began"
            ))
            .code("TL0315")
            .remedy("nothing: the task starts over with a new snapshot"));
        }
        let mut catalog = self.catalog.lock().await;
        let found = catalog.table(reading.table.relid).await?.ok_or_else(|| {
            Error::disconnected(format!("{name} was dropped while its snapshot began"))
                .code("TL0315")
        })?;
        let columns: Option<Vec<&str>> = reading
            .narrowed
            .columns
            .as_ref()
            .map(|names| names.iter().map(String::as_str).collect());
        let relation = found.relation(columns.as_deref());
        catalog.plan(relation, Some(found)).await.map(Arc::new)
    }

    async fn copy(&mut self, job: Job, plan: Arc<TablePlan>) -> Result<()> {
        let Some(reading) = self.shared.readings.get(job.reading) else {
            return Ok(());
        };
        let doing = format!("cannot read {}", reading.table.quoted());
        let sql = copy_statement(reading, job, &plan);
        let mut meta = self.meta();
        let mut batch = ChangeBatch::with_capacity(BATCH_BYTES);
        let mut held = None;
        let mut first = job.is_first();
        let spans = &mut self.spans;
        let shared = &self.shared;
        let mut copy = self.connection.copy_out(&doing, &sql).await?;
        loop {
            meta.now_us = now_us();
            let more = copy
                .rows(&doing, |row, last| {
                    if last && job.is_last() {
                        held = Some(row.to_vec());
                        return Ok(true);
                    }
                    meta.snapshot = marker(&mut first, shared);
                    push(&plan, &mut batch, &meta, spans, row)
                        .map_err(|error| undecodable(&reading.table.quoted(), error))?;
                    Ok(batch.rows().size_bytes() < BATCH_BYTES)
                })
                .await?;
            let end = (!more).then(|| held.take());
            let part = Part {
                job,
                plan: Arc::clone(&plan),
                meta: meta.clone(),
                rows: batch.take(BATCH_BYTES),
                end,
            };
            if self.parts.send(part).await.is_err() {
                // The sender failed and says why.
                return Ok(());
            }
            if !more {
                return Ok(());
            }
        }
    }

    fn meta(&self) -> ChangeMeta {
        let now_us = now_us();
        ChangeMeta {
            snapshot: SnapshotMarker::Row,
            lsn: Some(self.shared.consistent.0),
            last_commit_lsn: None,
            commit_time_us: now_us,
            now_us,
            xid: None,
            xmin: None,
            origin: None,
            transaction: None,
        }
    }
}

fn marker(first: &mut bool, shared: &Shared) -> SnapshotMarker {
    if !std::mem::take(first) {
        SnapshotMarker::Row
    } else if shared.take_first() {
        SnapshotMarker::First
    } else {
        SnapshotMarker::FirstInTable
    }
}

/// Decodes one row of a COPY.
pub(super) fn push(
    plan: &TablePlan,
    batch: &mut ChangeBatch,
    meta: &ChangeMeta,
    spans: &mut TupleSpans,
    row: &[u8],
) -> Result<usize, String> {
    spans
        .read_copy_row(row)
        .map_err(|error: RecordError| error.to_string())?;
    plan.snapshot_row(batch, meta, spans.view(row))
        .map_err(|error| error.to_string())
}

/// A type may have got a label since the plan was made, so another try may succeed.
pub(super) fn undecodable(table: &str, error: String) -> Error {
    Error::disconnected(format!("cannot decode a row of {table} in its snapshot"))
        .code("TL0314")
        .remedy("if it happens again, exclude the column with column.exclude.list and report it")
        .because(error)
}

fn copy_statement(reading: &super::Reading, job: Job, plan: &TablePlan) -> String {
    let only = if reading.table.partitioned {
        ""
    } else {
        "only "
    };
    let mut conditions = Vec::new();
    if job.from_block > 0 {
        conditions.push(format!("ctid >= '({},0)'::tid", job.from_block));
    }
    if let Some(to_block) = job.to_block {
        conditions.push(format!("ctid < '({to_block},0)'::tid"));
    }
    if let Some(filter) = &reading.narrowed.filter {
        conditions.push(format!("({filter})"));
    }
    let filter = if conditions.is_empty() {
        String::new()
    } else {
        format!(" where {}", conditions.join(" and "))
    };
    let (columns, table) = (plan.copy_columns(), reading.table.quoted());
    format!("copy (select {columns} from {only}{table}{filter}) to stdout (format binary)")
}
