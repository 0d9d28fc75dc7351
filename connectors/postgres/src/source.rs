//! One task: from what is stored to a running stream, again and again until it is stopped.
//!
//! Owns the order of steps and nothing of how each is done:
//!
//! ```text
//!  stored offset ─▶ [start] which slot, from where, which tables to read ─▶ snapshot ─▶ stream
//!        ▲                                                                                │
//!        └───────────────── a captured table appears that was never read ◀────────────────┘
//! ```

mod choice;
mod start;
mod stored;

use crate::{
    catalog::Catalog,
    config::{Settings, SnapshotMode},
    error::protocol,
    feedback::Feedback,
    lsn::Lsn,
    offset::StreamOffset,
    server, slot,
    snapshot::Snapshot,
    stream::{Ended, Relations, Stream, TableName},
    wire::{Connection, Replication, Session, quote_identifier, quote_literal},
};
use futures_util::{FutureExt, future::Shared};
use start::{Plan, Starter};
use std::{sync::Arc, time::Duration};
use tapline_sdk::{BoxFuture, Committed, Error, Output, Progress, Result, SourceContext};
use tokio::time::{Instant, sleep};

/// The server ends a session after `wal_sender_timeout` of silence: three messages in that time survive two losses.
const STATUS_PER_TIMEOUT: u32 = 3;

/// The first pause before a slot is tried again; each is twice the one before, up to `slot.retry.delay.ms`.
const SLOT_PAUSE: Duration = Duration::from_millis(50);

/// A task of the source.
pub(crate) struct Task {
    settings: Settings,
    output: Box<dyn Output>,
    progress: Arc<dyn Progress>,
    stop: Shared<BoxFuture<'static, ()>>,
    /// Tables that appeared in the stream and for which a round was begun anew; one that has vanished meanwhile is
    /// streamed without being read.
    appeared: Vec<TableName>,
}

/// How a round ended.
enum Round {
    /// Nothing is left to do.
    Over,
    /// From the stored position once more.
    Again(Box<dyn Committed>),
}

impl Task {
    /// Runs until it is stopped, or there is nothing left to read.
    pub(crate) async fn run(settings: Settings, context: SourceContext) -> Result<()> {
        let mut committed = context.committed;
        let mut task = Self {
            settings,
            output: context.output,
            progress: context.progress,
            stop: context.stop.shared(),
            appeared: Vec::new(),
        };
        let mut first = true;
        loop {
            match Box::pin(task.round(committed, first)).await? {
                Round::Over => return Ok(()),
                Round::Again(level) => committed = level,
            }
            first = false;
        }
    }

    async fn round(&mut self, mut committed: Box<dyn Committed>, first: bool) -> Result<Round> {
        let stop = self.stop.clone();
        let begin = Box::pin(self.begin(&mut *committed, first));
        let begun = tokio::select! {
            biased;
            () = stop => None,
            begun = begin => Some(begun?),
        };
        // What was sent before a stop is stored with its state: nothing is to be finished.
        let Some(begun) = begun else {
            return Ok(Round::Over);
        };
        let Some((offset, relations)) = begun else {
            self.progress.phase("snapshot is complete");
            return Ok(Round::Over);
        };
        self.stream(committed, offset, relations).await
    }

    /// Everything before the stream; `None` if there is to be none.
    async fn begin(
        &mut self,
        committed: &mut dyn Committed,
        first: bool,
    ) -> Result<Option<(StreamOffset, Relations)>> {
        self.progress.phase("connecting");
        let endpoint = &self.settings.endpoint;
        let mut session = Connection::open(endpoint, Session::Plain).await?;
        server::check(&mut session).await?;
        let replication = Connection::open(endpoint, Session::Replication).await?;
        let catalog = Catalog::new(
            endpoint.clone(),
            session,
            Arc::clone(&self.settings.mapping),
        );
        let starter = Starter {
            settings: &self.settings,
            output: &mut *self.output,
            committed,
            progress: &self.progress,
            catalog,
            replication: Some(replication),
            first,
        };
        let Plan {
            offset,
            readings,
            exported,
            mut tables,
            read_new,
            mut catalog,
        } = Box::pin(starter.plan()).await?;
        if let Some(exported) = exported {
            self.progress.phase("snapshot");
            let mut snapshot = Snapshot {
                settings: &self.settings,
                name: &exported.created.snapshot,
                consistent: exported.created.consistent,
                readings,
                output: &mut *self.output,
                progress: &self.progress,
            };
            let connections = snapshot.import().await?;
            // A temporary slot has done its duty and would only keep log.
            exported.session.close().await;
            catalog = Box::pin(snapshot.read(connections, catalog)).await?;
        }
        if self.settings.snapshot == SnapshotMode::InitialOnly {
            return Ok(None);
        }
        for name in &self.appeared {
            tables.entry(name.clone()).or_insert(Lsn::NONE);
        }
        let relations = Relations::new(catalog, self.settings.filter.clone(), tables, read_new);
        Ok(Some((offset, relations)))
    }

    async fn stream(
        &mut self,
        committed: Box<dyn Committed>,
        offset: StreamOffset,
        mut relations: Relations,
    ) -> Result<Round> {
        let stop = self.stop.clone();
        let start = Box::pin(self.start_replication(&offset, relations.catalog()));
        let (replication, timeout) = tokio::select! {
            biased;
            () = stop.clone() => return Ok(Round::Over),
            started = start => started?,
        };
        self.progress.phase("streaming");
        tracing::info!(slot = self.settings.slot, from = %offset.end, "streaming begins");
        let slowest = timeout.map_or(Duration::MAX, |timeout| timeout / STATUS_PER_TIMEOUT);
        let every = self.settings.status_interval.min(slowest);
        let stream = Stream {
            frames: replication.frames,
            feedback: Feedback::start(replication.status, committed, offset.end, every),
            output: &mut *self.output,
            progress: &self.progress,
            partition: self.settings.partition(),
            relations,
        };
        let options = stream_options(&self.settings);
        let (ended, committed) = Box::pin(stream.run(offset, options, stop)).await?;
        tracing::info!(slot = self.settings.slot, "streaming ends");
        match ended {
            Ended::NewTable(name) => {
                self.appeared.push(name);
                Ok(Round::Again(committed))
            }
            Ended::Stopped => {
                if self.settings.slot_drop_on_stop {
                    drop_left_slot(&self.settings).await?;
                }
                Ok(Round::Over)
            }
        }
    }

    /// Starts the stream where `offset` ends; waits for another reader of the slot to let go.
    async fn start_replication(
        &mut self,
        offset: &StreamOffset,
        catalog: &mut Catalog,
    ) -> Result<(Replication, Option<Duration>)> {
        let settings = &self.settings;
        let timeout = server::sender_timeout(catalog.session().await?).await?;
        let patience = settings.slot_retry_delay * settings.slot_retries;
        let waiting_since = Instant::now();
        // Our own session that just died holds the slot for a moment only.
        let mut pause = SLOT_PAUSE.min(settings.slot_retry_delay);
        loop {
            let session = Connection::open(&settings.endpoint, Session::Replication).await?;
            let doing = format!("cannot stream from slot `{}`", settings.slot);
            let error = match session
                .start_replication(&doing, &statement(settings, offset.end))
                .await
            {
                Ok(replication) => {
                    // Only now can nobody else move the slot. What was sent since is not confirmed.
                    let found = slot::find(catalog.session().await?, &settings.slot).await?;
                    let (name, database) = (&settings.slot, &settings.endpoint.database);
                    slot::check_position(found.as_ref(), name, database, offset.end)?;
                    return Ok((replication, timeout));
                }
                Err(error) => explain(error, settings),
            };
            if error.code != Some("TL0306") {
                return Err(error);
            }
            let found = slot::find(catalog.session().await?, &settings.slot).await?;
            let pid = found.and_then(|slot| slot.active_pid);
            if waiting_since.elapsed() >= patience {
                return Err(slot::in_use(&settings.slot, pid));
            }
            let by = pid.map_or_else(String::new, |pid| format!(", in use by process {pid}"));
            self.progress
                .phase(&format!("waiting for slot \"{}\"{by}", settings.slot));
            tracing::warn!(slot = settings.slot, pid, "slot is in use, waiting");
            sleep(pause).await;
            pause = (pause * 2).min(settings.slot_retry_delay);
        }
    }
}

/// What decides which changes the server sends; a place inside a transaction counts only under the same.
fn stream_options(settings: &Settings) -> Arc<str> {
    format!(
        "pgoutput 1 {} root={}",
        settings.publication, settings.via_root
    )
    .into()
}

fn statement(settings: &Settings, from: Lsn) -> String {
    format!(
        "START_REPLICATION SLOT {} LOGICAL {from} (proto_version '1', publication_names {})",
        quote_identifier(&settings.slot),
        quote_literal(&quote_identifier(&settings.publication)).trim_start(),
    )
}

fn explain(error: Error, settings: &Settings) -> Error {
    let chain = error.chain();
    if chain.contains("can no longer get changes from replication slot")
        || chain.contains("SQLSTATE 58P01")
    {
        return Error::fatal(format!(
            "slot `{}` is lost; nothing was skipped",
            settings.slot
        ))
        .code("TL0305")
        .remedy("drop the slot and run `tapline resnapshot` for this connector, which reads all tables anew")
        .because(error);
    }
    error
}

/// Drops the slot when a task stops that was told to; the server lets go of it a moment after the session ended.
async fn drop_left_slot(settings: &Settings) -> Result<()> {
    let mut session = Connection::open(&settings.endpoint, Session::Plain).await?;
    for _ in 0..DROP_TRIES {
        match slot::drop_slot(&mut session, &settings.slot).await {
            Err(error) if error.code == Some("TL0306") => sleep(DROP_PAUSE).await,
            dropped => return dropped,
        }
    }
    slot::drop_slot(&mut session, &settings.slot).await
}

/// The server needs a moment to end a session: 3 s are plenty.
const DROP_TRIES: u32 = 30;

/// See [`DROP_TRIES`].
const DROP_PAUSE: Duration = Duration::from_millis(100);

/// Drops what a connector left on the server: its slot, and the publication if it made it.
pub(crate) async fn purge(settings: &Settings) -> Result<()> {
    use crate::config::Autocreate;
    drop_left_slot(settings).await?;
    let mut session = Connection::open(&settings.endpoint, Session::Plain).await?;
    if matches!(settings.autocreate, Autocreate::Filtered) {
        let sql = format!(
            "drop publication if exists {}",
            quote_identifier(&settings.publication)
        );
        session
            .execute(
                &format!("cannot drop publication `{}`", settings.publication),
                &sql,
            )
            .await?;
    }
    session.close().await;
    Ok(())
}

/// Waits until this batch is durable.
async fn until_durable(committed: &mut dyn Committed, number: u64) {
    while committed.upto() < number {
        committed.changed().await;
    }
}

/// A session that holds an exported snapshot.
struct Exported {
    created: slot::Created,
    session: Connection,
}

/// A position that the server must have but does not tell.
fn no_position(slot: &str) -> Error {
    protocol(format!(
        "slot `{slot}` has no position: it is still being made"
    ))
    .code("TL0306")
    .remedy("wait for transactions that are older than the slot to end, or drop it")
}
