//! Reads a database and throws the records away: what reading and decoding cost by themselves.
//!
//! `discard HOST:PORT TABLE[,TABLE…] ROWS [KEY=VALUE…]` reads until ROWS records came, and prints records and CPU time
//! per second for snapshot and stream apart.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tapline_postgres::PostgresSource;
use tapline_sdk::{
    BoxFuture, Committed, Config, Connector, Error, Output, Position, Progress, Source,
    SourceBatch, SourceContext,
};
use tokio::sync::watch;

struct Discard(Arc<AtomicU64>, watch::Sender<u64>);

impl Output for Discard {
    fn send(&mut self, batch: SourceBatch) -> BoxFuture<'_, Result<u64, Error>> {
        let rows = u64::try_from(batch.rows.len()).unwrap_or_default();
        self.0.fetch_add(rows, Ordering::Relaxed);
        drop(batch);
        let mut number = 0;
        self.1.send_modify(|sent| {
            *sent += 1;
            number = *sent;
        });
        Box::pin(async move { Ok(number) })
    }
}

struct Level(watch::Receiver<u64>);

impl Committed for Level {
    fn resume_at(&self, _partition: &Position) -> Option<Position> {
        None
    }

    fn partitions(&self) -> Vec<Position> {
        Vec::new()
    }

    fn upto(&self) -> u64 {
        *self.0.borrow()
    }

    fn changed(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if self.0.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

struct Quiet;

impl Progress for Quiet {
    fn gauge(&self, _name: &'static str, _value: f64) {}
    fn phase(&self, _text: &str) {}
}

/// User and system time of this process in seconds.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |at: usize| {
        fields
            .split_whitespace()
            .nth(at)
            .and_then(|text| text.parse::<f64>().ok())
    };
    (ticks(11).unwrap_or_default() + ticks(12).unwrap_or_default()) / 100.0
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the figures are the output")]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().unwrap_or_default();
    let (address, tables, rows) = (next(), next(), next());
    let (host, port) = address.split_once(':').unwrap_or(("127.0.0.1", "5432"));
    let wanted: u64 = rows.parse().unwrap_or(1);
    let mut settings: BTreeMap<String, String> = [
        ("name", "discard"),
        ("database.hostname", host),
        ("database.port", port),
        ("database.user", "postgres"),
        ("database.dbname", "postgres"),
        ("table.include.list", tables.as_str()),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    for pair in std::env::args().skip(4) {
        if let Some((key, value)) = pair.split_once('=') {
            settings.insert(key.to_owned(), value.to_owned());
        }
    }
    let count = Arc::new(AtomicU64::new(0));
    let (sent, level) = watch::channel(0);
    let context = SourceContext {
        output: Box::new(Discard(Arc::clone(&count), sent)),
        committed: Box::new(Level(level)),
        stop: Box::pin(std::future::pending()),
        progress: Arc::new(Quiet),
    };
    let source = PostgresSource::connect(Config::new(settings)).await?;
    let task = tokio::spawn(source.run(context));
    while count.load(Ordering::Relaxed) == 0 && !task.is_finished() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    while count.load(Ordering::Relaxed) < wanted && !task.is_finished() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (took, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let rows = count.load(Ordering::Relaxed);
    let count = f64::from(u32::try_from(rows).unwrap_or(u32::MAX));
    println!(
        "{rows} records in {took:.3} s: {:.0} rows/s, {:.0} ns CPU a row",
        count / took,
        cpu * 1e9 / count
    );
    if task.is_finished() {
        task.await
            .map_err(|error| Error::fatal("the task ended").because(error))??;
    }
    Ok(())
}
