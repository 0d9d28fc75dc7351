//! Connectors that do what a test's script says: a source that counts, a sink that keeps rows and positions.

use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tapline::plugins::Plugins;
use tapline_sdk::{
    Assignment, Batch, Cell, Committed, Config, Connector, Error, ErrorKind, Head, Info, Issue,
    Key, Partition, Position, RecordError, Rejected, Result, Rows, Scalar, Schema, Shape, Sink,
    SinkContext, Source, SourceBatch, SourceContext, TopicPartition, Type, Value,
};
use tokio::sync::Notify;

const SCRIPT: Key<String> = Key::required("script", "Test", "the script's name");

/// What a source or a sink is to do, and what it has seen.
#[derive(Default)]
pub struct Script {
    /// The source counts up to here.
    pub limit: AtomicU64,
    /// Told when the limit rises.
    pub more: Notify,
    /// The source's topic; `t` if empty.
    pub topic: Mutex<String>,
    /// Rows of one batch; 10 if 0.
    pub batch: AtomicU64,
    /// Before the row of this number the source does this, once.
    pub trouble: Mutex<Option<(u64, Trouble)>>,
    /// Numbers after which a barrier goes to all partitions.
    pub barriers: Mutex<Vec<u64>>,
    /// How many task configs a sink makes: 0 is one, the maximum as many as `tasks.max` allows.
    pub tasks: AtomicU64,
    /// The source sees the stop and stays.
    pub deaf: AtomicBool,
    /// Committed levels that the source has seen.
    pub levels: Mutex<Vec<u64>>,
    /// The offset of each run's start.
    pub starts: Mutex<Vec<i64>>,
    /// What the sink does to its next batches.
    pub acts: Mutex<VecDeque<Act>>,
    /// Whether the target keeps positions.
    pub holds: AtomicBool,
    /// What the target holds.
    pub target: Mutex<Target>,
    /// Whether the sink fails when it is to say goodbye.
    pub rude: AtomicBool,
    /// Resolves a held put.
    pub go: Notify,
}

/// What a source may do instead of counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    Panic,
    Fail(ErrorKind),
}

/// What a sink may do to a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Applies it and says that it did not.
    FailAfterWrite,
    /// Applies nothing.
    Retry,
    /// Waits for [`Script::go`] first.
    Hold,
    /// Rejects the row of this number, and applies nothing.
    Reject(i64),
}

/// A target's rows and positions.
#[derive(Default)]
pub struct Target {
    /// How often it was opened, by task: each fences its predecessor of the same number.
    pub generations: BTreeMap<u32, u64>,
    /// The task that opened a partition last: it fences the others.
    pub owners: BTreeMap<TopicPartition, u32>,
    /// Numbers in the order of arrival, −1 for a barrier.
    pub rows: Vec<i64>,
    pub topics: Vec<String>,
    pub positions: BTreeMap<TopicPartition, u64>,
    /// The batches that `put` was called with, as numbers.
    pub puts: Vec<Vec<i64>>,
}

static SCRIPTS: LazyLock<Mutex<BTreeMap<String, Arc<Script>>>> = LazyLock::new(Mutex::default);

impl Script {
    /// A script under a name of its own.
    pub fn new(name: &str) -> Arc<Self> {
        let script = Arc::new(Self::default());
        SCRIPTS.lock().insert(name.to_owned(), Arc::clone(&script));
        script
    }

    pub fn count_to(&self, limit: u64) {
        self.limit.store(limit, Ordering::SeqCst);
        self.more.notify_waiters();
    }

    pub fn rows(&self) -> Vec<i64> {
        self.target.lock().rows.clone()
    }
}

fn script(config: &Config) -> Result<Arc<Script>> {
    let name = config.get(&SCRIPT)?;
    let found = SCRIPTS.lock().get(&name).cloned();
    found.ok_or_else(|| Error::config(format!("no script {name}")))
}

/// The scripted connectors.
pub fn plugins() -> Plugins {
    Plugins::default()
        .with_source::<Count>()
        .with_sink::<Keep>()
}

/// Counts.
pub struct Count(Arc<Script>);

/// Keeps rows.
pub struct Keep {
    script: Arc<Script>,
    task: u32,
    generation: u64,
}

macro_rules! connector {
    ($type:ty, $short:literal, $make:expr) => {
        impl Connector for $type {
            const INFO: Info = Info {
                class: concat!("io.tapline.test.", $short),
                short: $short,
                version: "1",
                keys: &[SCRIPT.definition],
                aliases: &[],
                inert: &[],
                refused: &[],
            };
            fn validate(_: &Config) -> Vec<Issue> {
                Vec::new()
            }
            async fn probe(_: &Config) -> Vec<Issue> {
                Vec::new()
            }
            fn task_configs(config: &Config, tasks_max: u32) -> Vec<BTreeMap<String, String>> {
                let wanted = script(config).map_or(0, |script| script.tasks.load(Ordering::SeqCst));
                let count = match wanted {
                    u64::MAX => tasks_max as usize,
                    wanted => wanted.max(1) as usize,
                };
                vec![config.settings().clone(); count]
            }
            async fn connect(config: Config) -> Result<Self> {
                script(&config).map($make)
            }
            async fn alter_offsets(_: &Config, _: &[(Position, Option<Position>)]) -> Result<bool> {
                Ok(false)
            }
            async fn purge(_: &Config) -> Result<()> {
                Ok(())
            }
        }
    };
}
connector!(Count, "count", Count);
connector!(Keep, "keep", |script| Keep {
    script,
    task: 0,
    generation: 0
});

fn server() -> Position {
    Position::from([("server".into(), Scalar::Text("test".into()))])
}

fn position(number: u64) -> Position {
    Position::from([("next".into(), Scalar::Int(number.cast_signed()))])
}

fn next_of(committed: &dyn Committed) -> u64 {
    match committed
        .resume_at(&server())
        .as_ref()
        .and_then(|p| p.get("next"))
    {
        Some(Scalar::Int(next)) => next.cast_unsigned(),
        _ => 0,
    }
}

impl Source for Count {
    async fn run(self, mut context: SourceContext) -> Result<()> {
        let script = self.0;
        let mut next = next_of(&*context.committed);
        script.starts.lock().push(next.cast_signed());
        context.progress.phase("counting");
        loop {
            let more = script.more.notified();
            let limit = script.limit.load(Ordering::SeqCst);
            if next < limit {
                let size = script.batch.load(Ordering::SeqCst).max(1);
                let upto = limit.min(next + size);
                trouble(&script, next..upto)?;
                let batch = SourceBatch {
                    rows: rows(&script, next..upto),
                    resume: vec![(server(), Some(position(upto)))],
                };
                context.output.send(batch).await?;
                next = upto;
                continue;
            }
            tokio::select! {
                () = more => {}
                () = context.committed.changed() => {
                    script.levels.lock().push(context.committed.upto());
                }
                () = &mut context.stop => {
                    if script.deaf.load(Ordering::SeqCst) {
                        std::future::pending::<()>().await;
                    }
                    return Ok(());
                }
            }
        }
    }
}

fn trouble(script: &Script, range: std::ops::Range<u64>) -> Result<()> {
    let due = script.trouble.lock().take_if(|(at, _)| range.contains(at));
    match due {
        Some((at, Trouble::Panic)) => panic!("told to panic before {at}"),
        Some((at, Trouble::Fail(kind))) => {
            Err(Error::new(kind, format!("told to fail before {at}")))
        }
        None => Ok(()),
    }
}

fn rows(script: &Script, range: std::ops::Range<u64>) -> Rows {
    let topic = script.topic.lock().clone();
    let topic: Arc<str> = if topic.is_empty() {
        "t".into()
    } else {
        topic.into()
    };
    let mut rows = Rows::default();
    let shape = rows.shape(Shape {
        topic: Arc::clone(&topic),
        key: Some(Schema::of(Type::Int64).build()),
        value: Some(Schema::string()),
    });
    let barrier = rows.shape(Shape {
        topic,
        key: None,
        value: Some(Schema::string()),
    });
    for number in range {
        let value = rows.arena_mut().text(&format!("row {number}"));
        let head = Head {
            shape,
            partition: Partition::ByKey,
            key: Cell::Int(number.cast_signed()),
            value,
            timestamp_ms: Some(1_700_000_000_000),
            transaction: None,
        };
        rows.push(head);
        if script.barriers.lock().contains(&number) {
            let value = rows.arena_mut().text("barrier");
            rows.push(Head {
                shape: barrier,
                partition: Partition::All,
                key: Cell::Null,
                value,
                ..head
            });
        }
    }
    rows
}

impl Sink for Keep {
    async fn positions(config: &Config, _: &SinkContext) -> Result<Vec<(TopicPartition, u64)>> {
        let script = script(config)?;
        if !script.holds.load(Ordering::SeqCst) {
            return Ok(Vec::new());
        }
        let target = script.target.lock();
        Ok(target.positions.clone().into_iter().collect())
    }

    async fn open(
        &mut self,
        context: &SinkContext,
        assigned: &[Assignment],
        _: &[Option<u64>],
    ) -> Result<Vec<Option<u64>>> {
        let mut target = self.script.target.lock();
        let generation = target.generations.entry(context.task).or_default();
        *generation += 1;
        self.task = context.task;
        self.generation = *generation;
        let owned = assigned.iter().map(|one| (one.at.clone(), context.task));
        target.owners.extend(owned);
        if !self.script.holds.load(Ordering::SeqCst) {
            return Ok(vec![None; assigned.len()]);
        }
        let held = |one: &Assignment| target.positions.get(&one.at).copied();
        Ok(assigned.iter().map(held).collect())
    }

    async fn put(&mut self, batch: Batch<'_>) -> Result<Vec<Rejected>> {
        let numbers: Vec<i64> = batch
            .iter()
            .map(|(record, _)| match record.key() {
                Value::Int(number) => number,
                _ => -1,
            })
            .collect();
        self.script.target.lock().puts.push(numbers.clone());
        let act = self.script.acts.lock().pop_front();
        match act {
            Some(Act::Hold) => self.script.go.notified().await,
            Some(Act::Retry) => return Err(Error::retriable("told to be busy")),
            Some(Act::Reject(number)) => {
                let at = numbers.iter().position(|one| *one == number);
                let error = RecordError::new("value too long").in_field(&"email".into());
                return Ok(at
                    .map(|index| Rejected { index, error })
                    .into_iter()
                    .collect());
            }
            Some(Act::FailAfterWrite) | None => {}
        }
        let mut target = self.script.target.lock();
        if target.generations.get(&self.task) != Some(&self.generation) {
            return Err(Error::fatal("fenced by a successor"));
        }
        let mine = |(at, _): &(TopicPartition, u64)| target.owners.get(at) == Some(&self.task);
        if !batch.next.iter().all(mine) {
            return Err(Error::fatal("fenced by a neighbour"));
        }
        target.rows.extend(numbers);
        let topics = batch
            .iter()
            .map(|(record, _)| record.shape().topic.to_string());
        target.topics.extend(topics);
        target.positions.extend(batch.next.iter().cloned());
        drop(target);
        match act {
            Some(Act::FailAfterWrite) => Err(Error::disconnected("told to hang up")),
            _ => Ok(Vec::new()),
        }
    }

    fn durable(&self) -> Vec<(TopicPartition, u64)> {
        self.script
            .target
            .lock()
            .positions
            .clone()
            .into_iter()
            .collect()
    }

    async fn close(self) -> Result<()> {
        if self.script.rude.load(Ordering::SeqCst) {
            return Err(Error::fatal("told to fail at its end"));
        }
        Ok(())
    }
}
