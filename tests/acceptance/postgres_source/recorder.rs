//! A log in memory that stands in for the runtime: it takes batches, makes them durable when it likes, and forgets what
//! was not durable when a run is given up.

use crate::support::{postgres::Postgres, wait};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tapline_postgres::PostgresSource;
use tapline_sdk::{
    BoxFuture, Cells, Committed, Config, Connector, Error, Output, Position, Progress, Scalar,
    Schema, Source, SourceBatch, SourceContext, Type, Value,
};
use tokio::{
    sync::{Notify, oneshot},
    task::JoinHandle,
};

/// What is kept of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub topic: String,
    /// `c`, `u`, `d`, `r`, `t`; `tombstone` for a null value.
    pub op: String,
    pub key: String,
    pub before: String,
    pub after: String,
    pub snapshot: String,
    pub xid: Option<i64>,
    pub transaction: Option<(u64, u32, bool)>,
    pub headers: Vec<String>,
}

type Resume = Vec<(Position, Option<Position>)>;

#[derive(Default)]
struct State {
    durable: Vec<Entry>,
    offsets: BTreeMap<Position, Position>,
    /// Sent and not durable, with its number in this run.
    waiting: Vec<(u64, Vec<Entry>, Resume)>,
    sent: u64,
    upto: u64,
    /// A run that was given up can do no harm.
    generation: u64,
    held: bool,
    phases: Vec<String>,
    gauges: BTreeMap<&'static str, f64>,
    batches: usize,
}

/// The log.
#[derive(Clone, Default)]
pub struct Log {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

/// A run of the source.
pub struct Run {
    log: Log,
    task: JoinHandle<Result<(), Error>>,
    stop: Option<oneshot::Sender<()>>,
}

impl Log {
    /// Durable records so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.state.lock().durable.clone()
    }

    /// Durable records of a topic, as `op key after`.
    pub fn lines(&self, topic: &str) -> Vec<String> {
        let entries = self.entries().into_iter();
        let entries = entries.filter(|entry| entry.topic == topic);
        entries
            .map(|e| format!("{} {} {}", e.op, e.key, e.after).trim().to_owned())
            .collect()
    }

    pub fn batches(&self) -> usize {
        self.state.lock().batches
    }

    pub fn gauge(&self, name: &str) -> Option<f64> {
        self.state.lock().gauges.get(name).copied()
    }

    pub fn phases(&self) -> Vec<String> {
        self.state.lock().phases.clone()
    }

    /// The stored offset of the stream, by name.
    pub fn offset(&self, name: &str) -> Option<String> {
        let state = self.state.lock();
        let (_, offset) = state
            .offsets
            .iter()
            .find(|(partition, _)| partition.len() == 1)?;
        match offset.get(name)? {
            Scalar::Text(text) => Some(text.to_string()),
            Scalar::Int(number) => Some(number.to_string()),
            other => Some(format!("{other:?}")),
        }
    }

    /// Changes the stored offsets, as an operator does.
    pub fn alter(&self, change: impl FnOnce(&mut BTreeMap<Position, Position>)) {
        change(&mut self.state.lock().offsets);
    }

    /// Holds commits back until [`Log::release`].
    pub fn hold(&self) {
        self.state.lock().held = true;
    }

    pub fn release(&self) {
        self.state.lock().held = false;
        self.commit();
    }

    /// Makes everything that waits durable.
    fn commit(&self) {
        let mut state = self.state.lock();
        if state.held {
            return;
        }
        for (number, entries, resume) in std::mem::take(&mut state.waiting) {
            state.durable.extend(entries);
            for (partition, offset) in resume {
                match offset {
                    Some(offset) => state.offsets.insert(partition, offset),
                    None => state.offsets.remove(&partition),
                };
            }
            state.upto = number;
            state.batches += 1;
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Waits until the durable records satisfy `done`.
    pub async fn until(&self, what: &str, done: impl Fn(&[Entry]) -> bool) {
        wait::until(what, async || {
            done(&self.state.lock().durable).then_some(())
        })
        .await;
    }

    /// Starts a run, as the runtime does.
    pub fn start(&self, settings: &BTreeMap<String, String>) -> Run {
        let (stop, stopped) = oneshot::channel::<()>();
        let generation = {
            let mut state = self.state.lock();
            state.waiting.clear();
            state.sent = 0;
            state.upto = 0;
            state.generation += 1;
            state.generation
        };
        let context = SourceContext {
            output: Box::new(Out(self.clone(), generation)),
            committed: Box::new(Level {
                log: self.clone(),
                seen: 0,
            }),
            stop: Box::pin(async move {
                if stopped.await.is_err() {
                    std::future::pending::<()>().await;
                }
            }),
            progress: Arc::new(self.clone()),
        };
        let config = Config::new(settings.clone());
        let task = tokio::spawn(async move {
            let source = PostgresSource::connect(config).await?;
            source.run(context).await
        });
        Run {
            log: self.clone(),
            task,
            stop: Some(stop),
        }
    }
}

impl Run {
    /// Stops in order and returns how it ended.
    pub async fn stop(mut self) -> Result<(), Error> {
        if let Some(stop) = self.stop.take() {
            let _already_over = stop.send(());
        }
        self.end().await
    }

    /// Waits for its end.
    pub async fn end(self) -> Result<(), Error> {
        tokio::time::timeout(wait::DEADLINE, self.task)
            .await
            .expect("the run ends in time")
            .expect("the run does not panic")
    }

    /// Gives it up where it stands; what is not durable is gone.
    pub async fn kill(self) {
        {
            let mut state = self.log.state.lock();
            state.generation += 1;
            state.waiting.clear();
        }
        self.task.abort();
        let _cancelled = self.task.await;
    }

    pub fn is_over(&self) -> bool {
        self.task.is_finished()
    }
}

struct Out(Log, u64);

/// A commit takes this long, so that several batches are in flight.
const COMMIT_TAKES: Duration = Duration::from_millis(2);

impl Output for Out {
    fn send(&mut self, batch: SourceBatch) -> BoxFuture<'_, Result<u64, Error>> {
        let entries: Vec<Entry> = batch.rows.iter().map(entry).collect();
        let number = {
            let mut state = self.0.state.lock();
            if state.generation != self.1 {
                return Box::pin(async { Err(Error::fatal("fenced")) });
            }
            state.sent += 1;
            let number = state.sent;
            state.waiting.push((number, entries, batch.resume));
            number
        };
        let log = self.0.clone();
        tokio::spawn(async move {
            tokio::time::sleep(COMMIT_TAKES).await;
            log.commit();
        });
        Box::pin(async move { Ok(number) })
    }
}

struct Level {
    log: Log,
    seen: u64,
}

impl Committed for Level {
    fn resume_at(&self, partition: &Position) -> Option<Position> {
        self.log.state.lock().offsets.get(partition).cloned()
    }

    fn partitions(&self) -> Vec<Position> {
        self.log.state.lock().offsets.keys().cloned().collect()
    }

    fn upto(&self) -> u64 {
        self.log.state.lock().upto
    }

    fn changed(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            loop {
                let changed = self.log.changed.notified();
                let upto = self.upto();
                if upto != self.seen {
                    self.seen = upto;
                    return;
                }
                changed.await;
            }
        })
    }
}

impl Progress for Log {
    fn gauge(&self, name: &'static str, value: f64) {
        self.state.lock().gauges.insert(name, value);
    }

    fn phase(&self, text: &str) {
        self.state.lock().phases.push(text.to_owned());
    }
}

fn entry(record: tapline_sdk::RecordRef<'_>) -> Entry {
    let shape = record.shape();
    let value = record.value();
    let part = |name: &str| field(value, shape.value.as_deref(), name);
    let text = |name: &str| {
        part(name)
            .map(|(value, schema)| show(value, schema))
            .unwrap_or_default()
    };
    let source = part("source");
    let of_source = |name: &str| {
        let (value, schema) = source?;
        field(value, Some(schema), name)
    };
    Entry {
        topic: shape.topic.to_string(),
        op: if value == Value::Null {
            "tombstone".to_owned()
        } else {
            text("op")
        },
        key: shape
            .key
            .as_deref()
            .map(|schema| show(record.key(), schema))
            .unwrap_or_default(),
        before: text("before"),
        after: text("after"),
        snapshot: of_source("snapshot")
            .map(|(v, s)| show(v, s))
            .unwrap_or_default(),
        xid: match of_source("txId") {
            Some((Value::Int(xid), _)) => Some(xid),
            _ => None,
        },
        transaction: record.head().transaction.map(|t| (t.id, t.ordinal, t.last)),
        headers: record
            .headers()
            .map(|h| format!("{}={:?}", h.name, record.arena().value(h.cell)))
            .collect(),
    }
}

fn field<'a, 's>(
    value: Value<'a>,
    schema: Option<&'s Schema>,
    name: &str,
) -> Option<(Value<'a>, &'s Schema)> {
    let Value::Struct(cells) = value else {
        return None;
    };
    let schema = schema?;
    let at = schema.index_of(name)?;
    Some((cells.get(at), &schema.fields()[at].schema))
}

/// A value in a few characters: structs as their values joined by commas.
fn show(value: Value<'_>, schema: &Schema) -> String {
    let join = |cells: Cells<'_>, of: &dyn Fn(usize) -> Arc<Schema>| {
        let shown = cells
            .iter()
            .enumerate()
            .map(|(at, cell)| show(cell, &of(at)));
        shown.collect::<Vec<_>>().join(",")
    };
    match (value, &schema.ty) {
        (Value::Null, _) => "∅".to_owned(),
        (Value::Unavailable, _) => "…".to_owned(),
        (Value::Text(text), _) => text.to_owned(),
        (Value::Int(number), _) => number.to_string(),
        (Value::Bool(flag), _) => flag.to_string(),
        (Value::Float(number), _) => number.to_string(),
        (Value::Struct(cells), Type::Struct(fields)) => {
            join(cells, &|at| Arc::clone(&fields[at].schema))
        }
        (Value::Array(cells), Type::Array(item)) => join(cells, &|_| Arc::clone(item)),
        (other, _) => format!("{other:?}"),
    }
}

/// Settings for a connector of `server`, its name `shop`.
pub fn settings(server: &Postgres, more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let port = server.port().to_string();
    let base = [
        ("name", "shop.source"),
        ("database.hostname", "127.0.0.1"),
        ("database.port", port.as_str()),
        ("database.user", "postgres"),
        ("database.dbname", "postgres"),
        ("slot.retry.delay.ms", "100"),
    ];
    let pairs = base.iter().chain(more);
    pairs
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}
