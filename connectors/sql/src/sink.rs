//! The sink itself: its connection, its plans, and one transaction per batch.

use crate::{
    change::{self, Changes, TableShape},
    dialect::postgres::{
        Failed,
        apply::Applier,
        ddl,
        plan::{self, Plan},
        positions::{self, Positions},
        probe,
        session::{Session, VERSION_MIN},
    },
    error::out_of_order,
    keys::INFO,
    naming::TableName,
    settings::Settings,
};
use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::Arc,
};
use tapline_sdk::{
    Assignment, Batch, Config, Connector, Error, ErrorKind, Info, Issue, Position, Rejected,
    Scalar, Schema, Sink, SinkContext, TopicPartition,
};

/// Plans are small; a sink that sees more shapes than this at once forgets them all and plans again.
const PLANS_MAX: usize = 10_000;

/// A plan is made again after this: somebody may have changed the target, or two attempts may have crossed.
const ATTEMPTS_MAX: u32 = 2;

/// Moves records into tables of a SQL database, positions with them.
pub struct SqlSink {
    settings: Settings,
    session: Session,
    positions: Option<Positions>,
    plans: Vec<Known>,
    flat: HashMap<Arc<str>, bool>,
    copy_pauses: HashMap<TableName, u32>,
}

/// A plan and what it is for.
struct Known {
    table: TableName,
    key: Option<Arc<Schema>>,
    row: Option<Arc<Schema>>,
    writes: bool,
    plan: Arc<Plan>,
}

impl Connector for SqlSink {
    const INFO: Info = INFO;

    fn validate(config: &Config) -> Vec<Issue> {
        Settings::issues(config)
    }

    fn files(config: &Config) -> Vec<(&'static str, PathBuf)> {
        let settings = Settings::parse(config);
        let address = settings.map(|settings| settings.address);
        let files = address.map(|address| address.files());
        let named = |file| (crate::keys::URL.name(), file);
        files.unwrap_or_default().into_iter().map(named).collect()
    }

    async fn probe(config: &Config) -> Vec<Issue> {
        match Settings::parse(config) {
            Ok(settings) => probe::probe(&settings).await,
            Err(_) => Settings::issues(config),
        }
    }

    fn task_configs(config: &Config, tasks_max: u32) -> Vec<BTreeMap<String, String>> {
        // Tasks differ by their partitions alone, which the runtime assigns.
        (0..tasks_max.max(1))
            .map(|_| config.settings().clone())
            .collect()
    }

    async fn connect(config: Config) -> Result<Self, Error> {
        let settings = Settings::parse(&config)?;
        let mut session = Session::connect(&settings.address).await?;
        let version = session.version().await?;
        if version < VERSION_MIN {
            return Err(
                Error::config(format!("the target is Postgres {}", version / 10_000))
                    .code("TL0416")
                    .remedy(format!("use Postgres {} or newer", VERSION_MIN / 10_000)),
            );
        }
        session.be_replica().await?;
        Ok(Self {
            settings,
            session,
            positions: None,
            plans: Vec::new(),
            flat: HashMap::new(),
            copy_pauses: HashMap::new(),
        })
    }

    async fn alter_offsets(
        config: &Config,
        to: &[(Position, Option<Position>)],
    ) -> Result<bool, Error> {
        if to.is_empty() {
            return Ok(false);
        }
        let settings = Settings::parse(config)?;
        let to: Vec<_> = to.iter().map(requested).collect::<Result<_, _>>()?;
        let mut session = Session::connect(&settings.address).await?;
        positions::alter(&mut session, &settings.positions, name(config)?, &to).await?;
        session.close().await?;
        Ok(true)
    }

    async fn purge(config: &Config) -> Result<(), Error> {
        let settings = Settings::parse(config)?;
        let mut session = Session::connect(&settings.address).await?;
        positions::purge(&mut session, &settings.positions, name(config)?).await?;
        session.close().await
    }
}

impl Sink for SqlSink {
    async fn positions(
        config: &Config,
        context: &SinkContext,
    ) -> Result<Vec<(TopicPartition, u64)>, Error> {
        let settings = Settings::parse(config)?;
        let mut session = Session::connect(&settings.address).await?;
        let positions = positions::read(&mut session, &settings.positions, context).await?;
        session.close().await?;
        Ok(positions)
    }

    async fn open(
        &mut self,
        context: &SinkContext,
        assigned: &[Assignment],
        stored: &[Option<u64>],
    ) -> Result<Vec<Option<u64>>, Error> {
        let table = &self.settings.positions;
        let opened = Positions::open(&mut self.session, table, context, assigned, stored).await?;
        let positions = opened
            .all()
            .into_iter()
            .map(|(_, position)| position)
            .collect();
        self.positions = Some(opened);
        Ok(positions)
    }

    async fn put(&mut self, batch: Batch<'_>) -> Result<Vec<Rejected>, Error> {
        self.check_order(batch)?;
        let positions = self.positions.as_ref().ok_or_else(not_open)?;
        let is_partitioned = |topic: &str| positions.is_partitioned(topic);
        let changes = change::read(batch, &self.settings, &mut self.flat, is_partitioned)?;
        if !changes.rejected.is_empty() {
            return Ok(changes.rejected);
        }
        for _ in 1..ATTEMPTS_MAX {
            let cached = !self.plans.is_empty();
            match Box::pin(self.attempt(batch, &changes)).await {
                Err(error) if cached && is_stale(&error) => self.plans.clear(),
                outcome => return outcome,
            }
        }
        Box::pin(self.attempt(batch, &changes)).await
    }

    fn durable(&self) -> Vec<(TopicPartition, u64)> {
        // The server's own durability is on: what is committed survives its crash.
        let all = self.positions.iter().flat_map(Positions::all);
        all.filter_map(|(at, position)| Some((at, position?)))
            .collect()
    }

    async fn close(self) -> Result<(), Error> {
        self.session.close().await
    }
}

impl SqlSink {
    /// A batch goes on where the target stands, or further: never back (I6, I8).
    fn check_order(&self, batch: Batch<'_>) -> Result<(), Error> {
        let positions = self.held()?;
        for (number, (at, next)) in batch.next.iter().enumerate() {
            let Some(stands) = positions.position(at)? else {
                continue;
            };
            let mine = batch
                .places
                .iter()
                .filter(|place| place.partition as usize == number);
            let first = mine.map(|place| place.offset).min().unwrap_or(*next);
            if first < stands || *next < stands {
                return Err(out_of_order(
                    &at.topic,
                    at.partition,
                    stands,
                    first.min(*next),
                ));
            }
        }
        Ok(())
    }

    /// All at once; if a row is to blame, once more piece by piece.
    async fn attempt(
        &mut self,
        batch: Batch<'_>,
        changes: &Changes,
    ) -> Result<Vec<Rejected>, Error> {
        self.extend_enums(changes).await?;
        match self.transaction(batch, changes, false).await {
            Ok(rejected) => Ok(rejected),
            Err(Failed::Task(error)) => Err(error),
            Err(_) => {
                let isolated = self.transaction(batch, changes, true).await;
                isolated.map_err(crate::dialect::postgres::session::task)
            }
        }
    }

    async fn transaction(
        &mut self,
        batch: Batch<'_>,
        changes: &Changes,
        isolating: bool,
    ) -> Result<Vec<Rejected>, Failed> {
        self.session.begin().await?;
        let mut made = Vec::new();
        let outcome = self.apply(batch, changes, isolating, &mut made).await;
        let committed = match outcome {
            Ok(rejected) if rejected.is_empty() => self.session.commit().await.map(|()| rejected),
            // Something was rejected: nothing is applied, the runtime puts the rest again.
            outcome => {
                self.session.rollback().await;
                return outcome;
            }
        };
        match committed {
            Ok(none) => {
                if self.plans.len() + made.len() > PLANS_MAX {
                    self.plans.clear();
                }
                self.plans.append(&mut made);
                if let Some(positions) = &mut self.positions {
                    positions.committed(batch.next);
                }
                Ok(none)
            }
            Err(failed) => {
                self.session.rollback().await;
                Err(failed)
            }
        }
    }

    /// Applies a batch inside the transaction, position last. Plans made on the way count once it is committed.
    async fn apply(
        &mut self,
        batch: Batch<'_>,
        changes: &Changes,
        isolating: bool,
        made: &mut Vec<Known>,
    ) -> Result<Vec<Rejected>, Failed> {
        let plans = self.plan_all(changes, made).await?;
        let mut applier = Applier {
            session: &mut self.session,
            settings: &self.settings,
            arena: batch.rows.arena(),
            changes,
            plans: &plans,
            copy_pauses: &mut self.copy_pauses,
            key: Vec::new(),
        };
        if isolating {
            let rejected = applier.isolate().await?;
            if !rejected.is_empty() {
                return Ok(rejected);
            }
        } else {
            applier.apply_all().await?;
        }
        let positions = self.positions.as_ref().ok_or_else(not_open)?;
        positions.advance(&mut self.session, batch.next).await?;
        Ok(Vec::new())
    }

    /// Tables that are written to come first: a truncate between two inserts finds the table that they made.
    async fn plan_all(
        &mut self,
        changes: &Changes,
        made: &mut Vec<Known>,
    ) -> Result<Vec<Arc<Plan>>, Failed> {
        let written = changes.written();
        let mut plans: Vec<Option<Arc<Plan>>> = vec![None; changes.tables.len()];
        for pass in [true, false] {
            for (at, shape) in changes.tables.iter().enumerate() {
                if written.get(at) == Some(&pass)
                    && let Some(slot) = plans.get_mut(at)
                {
                    *slot = Some(self.plan(shape, pass, made).await?);
                }
            }
        }
        Ok(plans.into_iter().flatten().collect())
    }

    async fn plan(
        &mut self,
        shape: &TableShape,
        written: bool,
        made: &mut Vec<Known>,
    ) -> Result<Arc<Plan>, Failed> {
        let writes = written && shape.row.is_some();
        let same = |known: &&Known| {
            known.table == shape.name
                && known.writes == writes
                && same(&known.key, &shape.key)
                && same(&known.row, &shape.row)
        };
        if let Some(known) = self.plans.iter().chain(made.iter()).find(same) {
            return Ok(Arc::clone(&known.plan));
        }
        let plan = Plan::make(&mut self.session, &self.settings, shape, writes).await?;
        let plan = Arc::new(plan);
        // A table that is not there yet may come with the next record.
        if plan.exists {
            made.push(Known {
                table: shape.name.clone(),
                key: shape.key.clone(),
                row: shape.row.clone(),
                writes,
                plan: Arc::clone(&plan),
            });
        }
        Ok(plan)
    }

    /// New labels must be committed before a row may use them.
    async fn extend_enums(&mut self, changes: &Changes) -> Result<(), Error> {
        if !self.settings.changes_columns {
            return Ok(());
        }
        for shape in &changes.tables {
            let known = |known: &Known| {
                known.table == shape.name
                    && same(&known.key, &shape.key)
                    && same(&known.row, &shape.row)
            };
            if !self.plans.iter().any(known) {
                let wanted = plan::wanted(&self.settings, shape);
                ddl::extend_enums(&mut self.session, &wanted)
                    .await
                    .map_err(crate::dialect::postgres::session::task)?;
            }
        }
        Ok(())
    }

    fn held(&self) -> Result<&Positions, Error> {
        self.positions.as_ref().ok_or_else(not_open)
    }
}

fn not_open() -> Error {
    Error::fatal("put was called before open")
        .code("TL0417")
        .remedy("report this as a defect")
}

fn same(a: &Option<Arc<Schema>>, b: &Option<Arc<Schema>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a == b,
        (None, None) => true,
        _ => false,
    }
}

/// Whether the plans may be older than the target's tables.
fn is_stale(error: &Error) -> bool {
    error.kind == ErrorKind::Config && error.code == Some("TL0416")
}

fn name(config: &Config) -> Result<&str, Error> {
    config
        .text("name")
        .filter(|name| !name.is_empty())
        .ok_or_else(|| {
            Error::config("the connector's name is not given")
                .code("TL0401")
                .remedy("set name")
        })
}

/// KIP-875's maps for sinks: topic and partition, and an offset.
fn requested(
    (at, to): &(Position, Option<Position>),
) -> Result<(TopicPartition, Option<u64>), Error> {
    let wrong = |what: &str| {
        Error::config(format!("cannot alter offsets: {what}"))
            .code("TL0401")
            .remedy("give kafka_topic and kafka_partition, and kafka_offset or null")
    };
    let number = |value: Option<&Scalar>| match value {
        Some(Scalar::Int(number)) => u64::try_from(*number).ok(),
        Some(Scalar::Text(text)) => text.parse().ok(),
        _ => None,
    };
    let Some(Scalar::Text(topic)) = at.get("kafka_topic") else {
        return Err(wrong("kafka_topic is missing"));
    };
    let partition = number(at.get("kafka_partition")).and_then(|n| u32::try_from(n).ok());
    let partition = partition.ok_or_else(|| wrong("kafka_partition is no partition"))?;
    let offset = match to {
        None => None,
        Some(to) => {
            let offset = number(to.get("kafka_offset"));
            Some(offset.ok_or_else(|| wrong("kafka_offset is no offset"))?)
        }
    };
    Ok((
        TopicPartition {
            topic: Arc::clone(topic),
            partition,
        },
        offset,
    ))
}
