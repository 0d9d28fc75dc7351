//! The order in which a snapshot is sent: a table's state never before its rows, the last row of all marked as such.

use super::{
    Job, Reading, Snapshot,
    worker::{Part, push, undecodable},
};
use crate::{
    envelope::{ChangeBatch, ChangeMeta, SnapshotMarker, TablePlan},
    lsn::Lsn,
    offset::{TableOffset, TableStage, table_partition},
    types::TupleSpans,
};
use std::sync::Arc;
use tapline_sdk::{Output, Position, Progress, Result, Rows, SourceBatch};

/// The last row of a table, sent when it is known whether it is the last of all.
struct Held {
    reading: usize,
    plan: Arc<TablePlan>,
    meta: ChangeMeta,
    row: Vec<u8>,
}

/// The state of sending.
pub(super) struct Sender {
    prefix: Arc<str>,
    consistent: Lsn,
    readings: Vec<Reading>,
    /// Ranges of each table that are not done.
    left: Vec<usize>,
    begun: Vec<bool>,
    held: Option<Held>,
    resume: Vec<(Position, Option<Position>)>,
    progress: Arc<dyn Progress>,
    rows_done: usize,
    tables_done: usize,
}

impl Sender {
    pub(super) fn new(snapshot: &Snapshot<'_>, jobs: &[Job]) -> Self {
        let mut left = vec![0; snapshot.readings.len()];
        for job in jobs {
            if let Some(ranges) = left.get_mut(job.reading) {
                *ranges += 1;
            }
        }
        let estimate: u64 = snapshot
            .readings
            .iter()
            .map(|reading| reading.table.rows)
            .sum();
        snapshot
            .progress
            .gauge("snapshot_tables_total", figure(snapshot.readings.len()));
        snapshot.progress.gauge("snapshot_tables_done", 0.0);
        snapshot.progress.gauge(
            "snapshot_rows_estimate",
            figure(usize::try_from(estimate).unwrap_or(usize::MAX)),
        );
        Self {
            prefix: Arc::clone(&snapshot.settings.prefix),
            consistent: snapshot.consistent,
            begun: vec![false; snapshot.readings.len()],
            readings: snapshot.readings.clone(),
            left,
            held: None,
            resume: Vec::new(),
            progress: Arc::clone(snapshot.progress),
            rows_done: 0,
            tables_done: 0,
        }
    }

    /// Sends a part.
    pub(super) async fn part(&mut self, output: &mut dyn Output, part: Part) -> Result<()> {
        let reading = part.job.reading;
        self.begin(output, &part).await?;
        if !part.rows.is_empty() || matches!(part.end, Some(Some(_))) {
            // Rows follow, so the one that is held back is the last of its table and not of all.
            self.release(output, SnapshotMarker::LastInTable).await?;
        }
        if !part.rows.is_empty() {
            self.send(output, part.rows).await?;
        }
        if let Some(last) = part.end {
            if let Some(row) = last {
                self.held = Some(Held {
                    reading,
                    plan: part.plan,
                    meta: part.meta,
                    row,
                });
            }
            if let Some(left) = self.left.get_mut(reading) {
                *left = left.saturating_sub(1);
            }
            self.note_done(reading);
        }
        Ok(())
    }

    /// Sends what is left, the last row marked as the last of all.
    pub(super) async fn finish(mut self, output: &mut dyn Output) -> Result<()> {
        self.release(output, SnapshotMarker::Last).await?;
        if !self.resume.is_empty() {
            self.send(output, Rows::default()).await?;
        }
        Ok(())
    }

    /// The first part of a table: from now on a restart repeats it whole, and empties the target's table before.
    async fn begin(&mut self, output: &mut dyn Output, part: &Part) -> Result<()> {
        let at = part.job.reading;
        let (Some(begun), Some(reading)) = (self.begun.get_mut(at), self.readings.get(at)) else {
            return Ok(());
        };
        if std::mem::replace(begun, true) {
            return Ok(());
        }
        let reading = reading.clone();
        self.store(at, TableStage::Begun);
        if reading.again {
            let mut batch = ChangeBatch::default();
            part.plan
                .snapshot_begin(&mut batch, &part.meta)
                .map_err(|error| undecodable(&reading.table.quoted(), error.to_string()))?;
            self.release(output, SnapshotMarker::LastInTable).await?;
            self.send(output, batch.take(0)).await?;
        }
        Ok(())
    }

    async fn release(&mut self, output: &mut dyn Output, marker: SnapshotMarker) -> Result<()> {
        let Some(Held {
            reading,
            plan,
            mut meta,
            row,
        }) = self.held.take()
        else {
            return Ok(());
        };
        // A single row is both; the end says more to whoever waits for it, and Debezium says so too.
        meta.snapshot = marker;
        let mut batch = ChangeBatch::default();
        let name = || {
            self.readings
                .get(reading)
                .map(|reading| reading.table.quoted())
                .unwrap_or_default()
        };
        push(&plan, &mut batch, &meta, &mut TupleSpans::default(), &row)
            .map_err(|error| undecodable(&name(), error))?;
        self.note_done(reading);
        self.send(output, batch.take(0)).await
    }

    /// A table is done when all its ranges are and no row of it is held back; its state goes with the next batch.
    fn note_done(&mut self, reading: usize) {
        let held = self
            .held
            .as_ref()
            .is_some_and(|held| held.reading == reading);
        if self.left.get(reading) == Some(&0) && !held {
            self.store(reading, TableStage::Done);
            self.tables_done += 1;
            self.progress
                .gauge("snapshot_tables_done", figure(self.tables_done));
        }
    }

    fn store(&mut self, reading: usize, stage: TableStage) {
        let Some(Reading { table, .. }) = self.readings.get(reading) else {
            return;
        };
        let partition = table_partition(&self.prefix, &table.schema, &table.name);
        let offset = TableOffset {
            stage,
            relid: table.relid,
            lsn: self.consistent,
        };
        // Of two states in one batch the later counts.
        self.resume.retain(|(other, _)| *other != partition);
        self.resume.push((partition, Some(offset.position())));
    }

    async fn send(&mut self, output: &mut dyn Output, rows: Rows) -> Result<()> {
        self.rows_done += rows.len();
        self.progress
            .gauge("snapshot_rows_done", figure(self.rows_done));
        // I1: rows and the states of their tables are one unit.
        let resume = std::mem::take(&mut self.resume);
        output.send(SourceBatch { rows, resume }).await.map(drop)
    }
}

fn figure(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
