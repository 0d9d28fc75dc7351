//! Our own reader with its output discarded: the limit that the durable log is measured against.

use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tapline_postgres::PostgresSource;
use tapline_sdk::{
    BoxFuture, Committed, Config, Connector, Error, Output, Position, Progress, Source,
    SourceBatch, SourceContext,
};
use tokio::sync::{mpsc, oneshot};

type Stored = Arc<Mutex<BTreeMap<Position, Position>>>;

/// A source that was brought to where it streams, and stopped there.
pub struct Reader {
    settings: BTreeMap<String, String>,
    stored: Stored,
}

impl Reader {
    /// Takes the snapshot of an empty table and remembers the offset.
    pub async fn prepare(port: u16) -> Self {
        let port = port.to_string();
        let settings = [
            ("database.hostname", "127.0.0.1"),
            ("database.port", &port),
            ("database.dbname", "postgres"),
            ("database.user", "postgres"),
            ("table.include.list", "public.rows"),
            ("topic.prefix", "discard"),
            ("slot.name", "tapline_discard"),
            ("publication.name", "tapline_discard"),
        ];
        let settings = settings
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let mut reader = Self {
            settings,
            stored: Stored::default(),
        };
        reader.run(|_, phase| phase.contains("streaming")).await;
        reader
    }

    /// Reads from the stored offset until so many records have come.
    pub async fn read(&mut self, records: u64) -> Duration {
        let began = Instant::now();
        self.run(|seen, _| seen >= records).await;
        began.elapsed()
    }

    async fn run(&mut self, enough: impl Fn(u64, &str) -> bool) {
        let (events, mut seen) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let level = Arc::new(tokio::sync::watch::Sender::new(0));
        let watch = Level {
            level: level.subscribe(),
            stored: Arc::clone(&self.stored),
        };
        let context = SourceContext {
            output: Box::new(Discard {
                stored: Arc::clone(&self.stored),
                level,
                events: events.clone(),
            }),
            committed: Box::new(watch),
            stop: Box::pin(async { _ = stopped.await }),
            progress: Arc::new(Phases(events)),
        };
        let config = Config::new(self.settings.clone());
        let source = PostgresSource::connect(config)
            .await
            .expect("the source connects");
        let task = tokio::spawn(source.run(context));
        let (mut records, mut phase) = (0, String::new());
        while let Some(event) = seen.recv().await {
            match event {
                Event::Records(more) => records += more,
                Event::Phase(text) => phase = text,
            }
            if enough(records, &phase) {
                break;
            }
        }
        let _already_gone = stop.send(());
        task.await
            .expect("the source does not panic")
            .expect("the source stops without an error");
    }
}

enum Event {
    Records(u64),
    Phase(String),
}

struct Discard {
    stored: Stored,
    level: Arc<tokio::sync::watch::Sender<u64>>,
    events: mpsc::UnboundedSender<Event>,
}

impl Output for Discard {
    fn send(&mut self, batch: SourceBatch) -> BoxFuture<'_, Result<u64, Error>> {
        let mut stored = self.stored.lock();
        for (partition, offset) in batch.resume {
            match offset {
                Some(offset) => stored.insert(partition, offset),
                None => stored.remove(&partition),
            };
        }
        drop(stored);
        self.level.send_modify(|level| *level += 1);
        let number = *self.level.borrow();
        let _nobody_waits_any_more = self.events.send(Event::Records(batch.rows.len() as u64));
        Box::pin(async move { Ok(number) })
    }
}

struct Level {
    level: tokio::sync::watch::Receiver<u64>,
    stored: Stored,
}

impl Committed for Level {
    fn resume_at(&self, partition: &Position) -> Option<Position> {
        self.stored.lock().get(partition).cloned()
    }

    fn partitions(&self) -> Vec<Position> {
        self.stored.lock().keys().cloned().collect()
    }

    fn upto(&self) -> u64 {
        *self.level.borrow()
    }

    fn changed(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if self.level.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

struct Phases(mpsc::UnboundedSender<Event>);

impl Progress for Phases {
    fn gauge(&self, _name: &'static str, _value: f64) {}

    fn phase(&self, text: &str) {
        let _nobody_waits_any_more = self.0.send(Event::Phase(text.to_owned()));
    }
}
