//! The decisions of a start: which slot, from where, and which tables are read first.

use super::{
    Exported,
    choice::{self, Rules},
    no_position,
    stored::{Stored, check_identity},
    until_durable,
};
use crate::{
    catalog::Catalog,
    config::{Autocreate, Settings, SnapshotMode},
    lsn::Lsn,
    offset::{Stage, StreamOffset, TableOffset, TableStage, table_partition},
    publication::{self, Narrowed},
    server::{Identity, identify},
    slot::{self, Slot},
    snapshot::Reading,
    stream::TableName,
    tables::{self, Captured, Table},
    wire::{Connection, Session},
};
use hashbrown::{HashMap, HashSet};
use std::sync::Arc;
use tapline_sdk::{Committed, Error, Output, Progress, Result, Rows, SourceBatch};
use tokio::time::sleep;

/// What a start needs.
pub(super) struct Starter<'a> {
    pub settings: &'a Settings,
    pub output: &'a mut dyn Output,
    pub committed: &'a mut dyn Committed,
    pub progress: &'a Arc<dyn Progress>,
    pub catalog: Catalog,
    /// A replication session; a slot that is made on it exports its snapshot there.
    pub replication: Option<Connection>,
    /// Whether it is the run's first round.
    pub first: bool,
}

/// What it found.
pub(super) struct Plan {
    /// Where the stream goes on.
    pub offset: StreamOffset,
    /// Tables to read.
    pub readings: Vec<Reading>,
    /// The snapshot to read them in, if there are any.
    pub exported: Option<Exported>,
    /// Captured tables, each with the end of what was, or will be, read.
    pub tables: HashMap<TableName, Lsn>,
    /// Whether a captured table that appears in the stream is read first.
    pub read_new: bool,
    /// The session beside the stream.
    pub catalog: Catalog,
}

/// Where the stream begins.
struct Origin {
    offset: StreamOffset,
    /// The slot was made just now, and this is its snapshot.
    created: Option<slot::Created>,
    /// The stored positions were given up: every table is read again.
    reset: bool,
}

impl Starter<'_> {
    /// Decides, and makes what is missing on the server.
    pub(super) async fn plan(mut self) -> Result<Plan> {
        let mut stored = Stored::read(self.settings, self.committed)?;
        let identity = self.identify(&mut stored).await?;
        let resumed = stored
            .stream
            .as_ref()
            .is_some_and(|stream| stream.stage == Stage::Ready);
        let captured = self.captured(&mut stored).await?;
        let origin = self.origin(&stored, &identity).await?;
        let mut readings = self.readings(&captured, &stored, resumed, origin.reset);
        let session = self.catalog.session().await?;
        let mut narrowed = publication::narrowed(session, &self.settings.publication).await?;
        for reading in &mut readings {
            reading.narrowed = narrowed.remove(&reading.table.relid).unwrap_or_default();
        }
        let read: HashSet<u32> = readings.iter().map(|reading| reading.table.relid).collect();
        let exported = if readings.is_empty() {
            None
        } else {
            Some(self.export(origin.created).await?)
        };
        let read_to = exported
            .as_ref()
            .map_or(Lsn::NONE, |exported| exported.created.consistent);
        let mut offset = origin.offset;
        if self.settings.snapshot == SnapshotMode::InitialOnly && !resumed {
            offset.consistent = read_to;
            offset.end = read_to;
        }
        let states = |table: &Table, before| {
            let is_read = read.contains(&table.relid);
            choice::state(table, before, is_read.then_some(read_to))
        };
        let tables = self.store(&offset, &captured, &stored, states).await?;
        let read_new =
            self.settings.mapping.is_lossless() && self.settings.snapshot != SnapshotMode::NoData;
        Ok(Plan {
            offset,
            readings,
            exported,
            tables,
            read_new,
            catalog: self.catalog,
        })
    }

    /// Stores what was decided before anything follows from it: a table that is to be read is known as such, one that
    /// is no longer captured is forgotten, since it misses changes from now on.
    async fn store(
        &mut self,
        offset: &StreamOffset,
        captured: &Captured,
        stored: &Stored,
        state: impl Fn(&Table, Option<TableOffset>) -> (Option<TableOffset>, Lsn),
    ) -> Result<HashMap<TableName, Lsn>> {
        let settings = self.settings;
        let mut tables = HashMap::new();
        let mut resume = vec![(settings.partition(), Some(offset.position()))];
        for table in &captured.tables {
            let name: TableName = (Arc::clone(&table.schema), Arc::clone(&table.name));
            let (state, lsn) = state(table, stored.tables.get(&name).copied());
            tables.insert(name, lsn);
            if let Some(state) = state {
                let partition = table_partition(&settings.prefix, &table.schema, &table.name);
                resume.push((partition, Some(state.position())));
            }
        }
        for (schema, name) in stored
            .tables
            .keys()
            .filter(|name| !tables.contains_key(*name))
        {
            resume.push((table_partition(&settings.prefix, schema, name), None));
        }
        let number = self
            .output
            .send(SourceBatch {
                rows: Rows::default(),
                resume,
            })
            .await?;
        until_durable(self.committed, number).await;
        Ok(tables)
    }

    /// A snapshot to read in: the new slot's own, or that of a temporary one.
    async fn export(&mut self, created: Option<slot::Created>) -> Result<Exported> {
        let settings = self.settings;
        if !settings.snapshot_delay.is_zero() {
            sleep(settings.snapshot_delay).await;
        }
        if let (Some(created), Some(session)) = (created, self.replication.take()) {
            return Ok(Exported { created, session });
        }
        self.progress.phase("waiting for a snapshot");
        let mut session = Connection::open(&settings.endpoint, Session::Replication).await?;
        // Slots are the cluster's, so the name must be of this session alone.
        let name = format!("tapline_snapshot_{}", session.process_id());
        let beside = self.catalog.session().await?;
        let created =
            slot::create_patiently(&mut session, beside, &**self.progress, &name, true).await?;
        Ok(Exported { created, session })
    }

    /// What is captured, with the publication made to fit. A table that comes into it has missed changes: that it is
    /// to be read again is stored before.
    async fn captured(&mut self, stored: &mut Stored) -> Result<Captured> {
        let settings = self.settings;
        let session = self.catalog.session().await?;
        let all = tables::list(session).await?;
        let captured = tables::capture(&all, &settings.filter, settings.via_root);
        if captured.members.is_empty() && settings.autocreate == Autocreate::Filtered {
            return Err(no_table(&settings.endpoint.database));
        }
        let found = publication::find(session, &settings.publication).await?;
        if settings.autocreate == Autocreate::Filtered {
            let lacking = publication::lacking(found.as_ref(), &captured.members);
            self.mark_again(&captured, &all, &lacking, stored).await?;
            let session = self.catalog.session().await?;
            publication::ensure(session, settings, found, &captured, &all).await?;
            return Ok(captured);
        }
        let publication = publication::ensure(session, settings, found, &captured, &all).await?;
        let mut captured = tables::capture(&all, &settings.filter, publication.via_root);
        if !publication.all_tables {
            let published = publication::published(session, &settings.publication).await?;
            let is_published = |table: &Table| {
                published.contains(&(table.schema.to_string(), table.name.to_string()))
            };
            for table in captured.tables.iter().filter(|table| !is_published(table)) {
                let table = table.quoted();
                tracing::warn!(
                    publication = settings.publication,
                    table,
                    "table is not published, so not captured"
                );
            }
            captured.tables.retain(is_published);
        }
        Ok(captured)
    }

    async fn mark_again(
        &mut self,
        captured: &Captured,
        all: &[Table],
        lacking: &HashSet<u32>,
        stored: &mut Stored,
    ) -> Result<()> {
        let mut resume = Vec::new();
        for table in captured
            .tables
            .iter()
            .filter(|table| tables::is_under(table, all, lacking))
        {
            let name: TableName = (Arc::clone(&table.schema), Arc::clone(&table.name));
            if let Some(offset) = stored
                .tables
                .get_mut(&name)
                .filter(|offset| offset.stage == TableStage::Done)
            {
                offset.stage = TableStage::Again;
                let partition = table_partition(&self.settings.prefix, &table.schema, &table.name);
                resume.push((partition, Some(offset.position())));
            }
        }
        if resume.is_empty() {
            return Ok(());
        }
        let number = self
            .output
            .send(SourceBatch {
                rows: Rows::default(),
                resume,
            })
            .await?;
        until_durable(self.committed, number).await;
        Ok(())
    }

    fn readings(
        &self,
        captured: &Captured,
        stored: &Stored,
        resumed: bool,
        reset: bool,
    ) -> Vec<Reading> {
        let mode = self.settings.snapshot;
        let rules = Rules {
            // Debezium reads no table that is added to a connector that has streamed.
            read_unknown: mode != SnapshotMode::NoData
                && (!resumed || self.settings.mapping.is_lossless()),
            keep_skipped: mode == SnapshotMode::NoData,
            always: mode == SnapshotMode::Always && self.first,
            reset,
        };
        let reading = |table: &Table| {
            let name = (Arc::clone(&table.schema), Arc::clone(&table.name));
            let again = choice::read(rules, table, stored.tables.get(&name).copied())?;
            Some(Reading {
                table: table.clone(),
                again,
                narrowed: Narrowed::default(),
            })
        };
        captured.tables.iter().filter_map(reading).collect()
    }

    /// Who the server is, and whether what is stored means anything there.
    async fn identify(&mut self, stored: &mut Stored) -> Result<Identity> {
        let replication = self.replication.as_mut().ok_or_else(no_session)?;
        let identity = identify(replication).await?;
        if self.settings.snapshot != SnapshotMode::InitialOnly
            && let Some(stream) = &mut stored.stream
        {
            check_identity(stream, &identity, replication, self.settings).await?;
        }
        Ok(identity)
    }

    /// Where the stream begins; makes the slot if that is right.
    async fn origin(&mut self, stored: &Stored, identity: &Identity) -> Result<Origin> {
        let settings = self.settings;
        if settings.snapshot == SnapshotMode::InitialOnly {
            let fresh = || self.offset(identity, Stage::Ready, Lsn::NONE);
            let offset = stored.stream.clone().unwrap_or_else(fresh);
            return Ok(Origin {
                offset,
                created: None,
                reset: false,
            });
        }
        let found = slot::find(self.catalog.session().await?, &settings.slot).await?;
        match (&stored.stream, found) {
            (None, Some(slot)) => self.adopt(&slot, identity),
            (None, None) => self.create(stored, identity).await,
            (Some(stream), found) if stream.stage == Stage::Intent => {
                if let Some(slot) = found {
                    // Nothing was read from it: our own start ended between making it and storing that.
                    tracing::info!(
                        slot = settings.slot,
                        "dropping the slot that an unfinished start left behind"
                    );
                    self.drop_orphan(&slot).await?;
                }
                self.create(stored, identity).await
            }
            (Some(stream), found) => {
                let (name, database) = (&settings.slot, &settings.endpoint.database);
                let checked = slot::check_position(found.as_ref(), name, database, stream.end);
                match checked {
                    Ok(()) => Ok(Origin {
                        offset: stream.clone(),
                        created: None,
                        reset: false,
                    }),
                    Err(error)
                        if settings.snapshot == SnapshotMode::WhenNeeded && is_gone(&error) =>
                    {
                        tracing::warn!(error = %error, "the stored position is given up: every table is read again");
                        if let Some(slot) = found {
                            self.drop_orphan(&slot).await?;
                        }
                        self.create(stored, identity).await
                    }
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// A slot that is not of our making: it may have been made in advance, or the offset was forgotten.
    fn adopt(&self, slot: &Slot, identity: &Identity) -> Result<Origin> {
        let settings = self.settings;
        slot::check_usable(slot, &settings.slot, &settings.endpoint.database)?;
        let from = slot.confirmed.ok_or_else(|| no_position(&settings.slot))?;
        tracing::info!(slot = settings.slot, from = %from, "slot exists without a stored position: streaming begins there");
        Ok(Origin {
            offset: self.offset(identity, Stage::Ready, from),
            created: None,
            reset: false,
        })
    }

    /// A new slot: whatever was read before has missed changes since, and is read again.
    async fn create(&mut self, stored: &Stored, identity: &Identity) -> Result<Origin> {
        let reset = !stored.tables.is_empty();
        let intent = self.offset(identity, Stage::Intent, Lsn::NONE);
        let resume = vec![(self.settings.partition(), Some(intent.position()))];
        let number = self
            .output
            .send(SourceBatch {
                rows: Rows::default(),
                resume,
            })
            .await?;
        // The intent must be found by whoever finds the slot.
        until_durable(self.committed, number).await;
        self.progress
            .phase(&format!("creating slot \"{}\"", self.settings.slot));
        let replication = self.replication.as_mut().ok_or_else(no_session)?;
        let beside = self.catalog.session().await?;
        let slot = &self.settings.slot;
        let created =
            slot::create_patiently(replication, beside, &**self.progress, slot, false).await?;
        tracing::info!(slot = self.settings.slot, consistent = %created.consistent, "slot created");
        let offset = self.offset(identity, Stage::Ready, created.consistent);
        Ok(Origin {
            offset,
            created: Some(created),
            reset,
        })
    }

    async fn drop_orphan(&mut self, slot: &Slot) -> Result<()> {
        if slot.active_pid.is_some() {
            return Err(slot::in_use(&self.settings.slot, slot.active_pid));
        }
        slot::drop_slot(self.catalog.session().await?, &self.settings.slot).await
    }

    fn offset(&self, identity: &Identity, stage: Stage, at: Lsn) -> StreamOffset {
        StreamOffset {
            system: Arc::clone(&identity.system),
            timeline: identity.timeline,
            slot: self.settings.slot.as_str().into(),
            stage,
            consistent: at,
            end: at,
            inside: None,
        }
    }
}

fn no_session() -> Error {
    Error::disconnected("no replication session is open").code("TL0301")
}

fn is_gone(error: &Error) -> bool {
    matches!(error.code, Some("TL0303" | "TL0304" | "TL0305"))
}

fn no_table(database: &str) -> Error {
    Error::config(format!("no table of database `{database}` is captured")).code("TL0311").remedy(
        "check table.include.list and schema.include.list: they hold names or patterns of tables that exist, as \
         schema.table",
    )
}
