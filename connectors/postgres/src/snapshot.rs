//! The snapshot: tables as they are at the slot's consistent point, by binary COPY over several connections.
//!
//! Owns the order of what is sent. Every connection imports the same exported snapshot before the first row is read;
//! workers read ranges of blocks and decode; one place sends, so that a table's state is stored with or after its
//! rows. A table that is read again begins with a barrier that empties the target's table (I6).
//!
//! ```text
//!  jobs ─▶ worker 1 (COPY, decode) ─┐
//!       ─▶ worker 2 (COPY, decode) ─┴─▶ sender: begun │ rows … │ done ─▶ output
//! ```

mod sender;
mod worker;

use crate::{
    catalog::Catalog,
    config::Settings,
    lsn::Lsn,
    publication::Narrowed,
    tables::Table,
    wire::{Connection, Session, quote_literal},
};
use sender::Sender;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tapline_sdk::{Error, Output, Progress, Result};
use tokio::{sync::mpsc, task::JoinSet};
use tracing::Instrument;
use worker::{Part, Worker};

/// A range of this many blocks (64 MiB) is worth a connection of its own, and is read in a second or so.
const RANGE_BLOCKS: u32 = 8192;

/// A table to read.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Which.
    pub table: Table,
    /// It was read before, wholly or in part: the target's table is emptied first.
    pub again: bool,
    /// What the publication leaves out.
    pub narrowed: Narrowed,
}

/// A snapshot to read.
pub struct Snapshot<'a> {
    /// The connector's settings.
    pub settings: &'a Settings,
    /// The exported snapshot's name.
    pub name: &'a str,
    /// Transactions that committed before this are in it, and no others.
    pub consistent: Lsn,
    /// What to read, in order.
    pub readings: Vec<Reading>,
    /// Where batches go.
    pub output: &'a mut dyn Output,
    /// Figures.
    pub progress: &'a Arc<dyn Progress>,
}

/// What workers share.
struct Shared {
    consistent: Lsn,
    readings: Vec<Reading>,
    jobs: Mutex<VecDeque<Job>>,
    first_given: AtomicBool,
}

impl Shared {
    fn next_job(&self) -> Option<Job> {
        self.jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }

    /// Whether this is the first row of all; true once.
    fn take_first(&self) -> bool {
        !self.first_given.swap(true, Ordering::Relaxed)
    }
}

/// A range of one table.
#[derive(Debug, Clone, Copy)]
struct Job {
    reading: usize,
    from_block: u32,
    to_block: Option<u32>,
}

impl Job {
    /// Whether it is the table's first range.
    fn is_first(self) -> bool {
        self.from_block == 0
    }

    /// Whether it is the table's last range, which is open-ended: the table may have grown since it was measured.
    fn is_last(self) -> bool {
        self.to_block.is_none()
    }
}

impl Snapshot<'_> {
    /// Opens the connections and imports the snapshot on each; it then no longer needs the session that exported it.
    ///
    /// # Errors
    /// If a connection fails.
    pub async fn import(&mut self) -> Result<Vec<Connection>> {
        let count = self
            .settings
            .snapshot_threads
            .min(jobs(&self.readings, self.settings.snapshot_threads).len());
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count.max(1) {
            let mut connection = Connection::open(&self.settings.endpoint, Session::Plain).await?;
            let begin = "begin isolation level repeatable read read only";
            connection
                .execute("cannot begin the snapshot", begin)
                .await?;
            let import = format!("set transaction snapshot {}", quote_literal(self.name));
            connection
                .execute("cannot import the exported snapshot", &import)
                .await?;
            let limit = format!(
                "set local lock_timeout = {}",
                self.settings.snapshot_lock_timeout.as_millis()
            );
            connection
                .execute("cannot begin the snapshot", &limit)
                .await?;
            connections.push(connection);
        }
        Ok(connections)
    }

    /// Reads every table over these connections, and returns the catalogue session.
    ///
    /// # Errors
    /// If anything fails; what was sent stays sent, with its state.
    pub async fn read(self, connections: Vec<Connection>, catalog: Catalog) -> Result<Catalog> {
        let queue = jobs(&self.readings, self.settings.snapshot_threads);
        let mut sender = Sender::new(&self, &queue);
        let shared = Arc::new(Shared {
            consistent: self.consistent,
            readings: self.readings,
            jobs: Mutex::new(queue.into()),
            first_given: AtomicBool::new(false),
        });
        let catalog = Arc::new(tokio::sync::Mutex::new(catalog));
        // One part per worker waits while another is being filled: reading overlaps with sending, memory stays small.
        let (parts_in, mut parts) = mpsc::channel::<Part>(connections.len());
        let mut workers = JoinSet::new();
        for connection in connections {
            let worker = Worker::new(
                Arc::clone(&shared),
                Arc::clone(&catalog),
                connection,
                parts_in.clone(),
            );
            workers.spawn(worker.run().in_current_span());
        }
        drop(parts_in);
        while let Some(part) = parts.recv().await {
            sender.part(self.output, part).await?;
        }
        while let Some(ended) = workers.join_next().await {
            ended.map_err(|error| {
                Error::disconnected("a snapshot worker ended")
                    .code("TL0301")
                    .because(error)
            })??;
        }
        sender.finish(self.output).await?;
        drop(shared);
        Arc::into_inner(catalog)
            .map(tokio::sync::Mutex::into_inner)
            .ok_or_else(|| {
                Error::disconnected("a snapshot worker kept the catalogue").code("TL0301")
            })
    }
}

/// Ranges in the order of tables. With one connection a table is one range.
fn jobs(readings: &[Reading], threads: usize) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (reading, of) in readings.iter().enumerate() {
        let mut from_block = 0;
        if threads > 1 && !of.table.partitioned {
            while of.table.blocks.saturating_sub(from_block) > RANGE_BLOCKS {
                let to_block = from_block + RANGE_BLOCKS;
                jobs.push(Job {
                    reading,
                    from_block,
                    to_block: Some(to_block),
                });
                from_block = to_block;
            }
        }
        jobs.push(Job {
            reading,
            from_block,
            to_block: None,
        });
    }
    jobs
}

#[cfg(test)]
mod tests {
    use super::{RANGE_BLOCKS, Reading, jobs};
    use crate::{publication::Narrowed, tables::Table};

    fn reading(blocks: u32, partitioned: bool) -> Reading {
        let (schema, name) = ("public".into(), "t".into());
        let table = Table {
            relid: 1,
            schema,
            name,
            partitioned,
            parent: None,
            blocks,
            rows: 0,
        };
        Reading {
            table,
            again: false,
            narrowed: Narrowed::default(),
        }
    }

    #[test]
    fn ranges_cover_a_table_without_gap_or_overlap_and_the_last_is_open() {
        for blocks in [0, 1, RANGE_BLOCKS, RANGE_BLOCKS + 1, 5 * RANGE_BLOCKS + 3] {
            let ranges = jobs(&[reading(blocks, false)], 4);
            assert_eq!(ranges[0].from_block, 0);
            for pair in ranges.windows(2) {
                assert_eq!(pair[0].to_block, Some(pair[1].from_block));
            }
            assert_eq!(ranges.last().map(|job| job.to_block), Some(None));
        }
        assert_eq!(jobs(&[reading(5 * RANGE_BLOCKS, false)], 1).len(), 1);
        assert_eq!(jobs(&[reading(5 * RANGE_BLOCKS, true)], 4).len(), 1);
    }
}
