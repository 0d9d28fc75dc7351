//! The central proof: SIGKILL at random moments, under load, while the log compacts as often as it can. The log holds every change once, in commit order, or of them what is lawfully left; the replica is equal, and
//! so is one that begins with what is left.

use super::ledger::{self, Kept};
use crate::support::{
    postgres::Postgres,
    process, replica, shop, wait,
    worker::{Worker, replica_pipeline},
};
use fastrand::Rng;
use serde_json::json;
use std::{path::Path, time::Duration};
use tapline::broker::{Broker, Embedded, NewTopic, Settings};

/// The shop's keys, as `test_decoding` and our records name them; `events` has none.
const KEYS: [(&str, &[&str]); 6] = [
    ("customers", &["id"]),
    ("products", &["sku"]),
    ("orders", &["id"]),
    ("order_lines", &["order_id", "line"]),
    ("events", &[]),
    ("carts", &["id"]),
];

/// The topic that is compacted without delay: rows with large values that most changes leave out.
const COMPACTED: &str = "customers";

/// Upkeep that never rests, with files so small that it always has something to do.
const WORKER: &str = "\
log: {upkeep.interval.ms: 200ms, checkpoint.interval.ms: 500ms, segment.bytes: 256KiB, journal.file.bytes: 1MiB}
";

/// What compacts soon.
const COMPACT: [(&str, &str); 5] = [
    ("cleanup.policy", "compact"),
    ("segment.bytes", "32768"),
    ("min.cleanable.dirty.ratio", "0.01"),
    ("min.compaction.lag.ms", "0"),
    ("delete.retention.ms", "1000"),
];

/// The state of the worker itself, compacted as soon as the rest.
const STATE: [&str; 4] = [
    "connect-configs",
    "connect-offsets",
    "connect-status",
    "_schemas",
];

/// Kills that fall into the snapshot, before anything else.
const SNAPSHOT_KILLS: u32 = 3;
const CUSTOMERS: u64 = 8_000;

struct Scene {
    source: Postgres,
    target: Postgres,
    worker: Worker,
    random: Rng,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    worker: u32,
    in_snapshot: u32,
    target_down: u32,
    target: u32,
}

#[tokio::test]
async fn prove_nothing_is_lost_or_doubled_under_kills() {
    let kills = if process::proving() { 200 } else { 12 };
    let seed = process::seed("kills");
    let (source, target) = (Postgres::start().await, Postgres::start().await);
    let from = source.url("postgres");
    shop::create(&from, CUSTOMERS).await;
    ledger::open(&from).await;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let pipeline = replica_pipeline(source.port(), target.port(), "");
    let worker = Worker::new(
        Path::new(env!("CARGO_BIN_EXE_tapline")),
        folder.path(),
        &pipeline,
    );
    keep_little(&worker.data()).await;
    std::fs::write(folder.path().join("worker.yaml"), WORKER).expect("the settings can be written");
    let mut scene = Scene {
        source,
        target,
        worker,
        random: Rng::with_seed(seed),
        counts: Counts::default(),
    };
    let load = shop::Load::start(&from, 3, seed, Duration::from_millis(4));
    scene.kill_in_the_snapshot().await;
    while scene.counts.all() < kills {
        scene.kill_something().await;
    }
    let transactions = load.stop().await;
    scene.check(transactions, seed).await;
}

/// Makes topics before the worker does, which keeps their settings: short files, compacted at once.
async fn keep_little(data: &Path) {
    let log = Embedded::open(data, Settings::default()).expect("the log opens");
    let topic = |name: String, settings: &[(&str, &str)]| NewTopic {
        name: name.into(),
        partitions: 1,
        config: settings
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
    };
    let mut topics = vec![topic(format!("shop.public.{COMPACTED}"), &COMPACT)];
    topics.extend(STATE.map(|name| topic(name.to_owned(), &COMPACT)));
    log.create(topics).await.expect("the topics are made");
    log.close().await.expect("the log closes");
}

fn kept(table: &str) -> Kept {
    match table {
        COMPACTED => Kept::Compacted,
        _ => Kept::Whole,
    }
}

impl Counts {
    fn all(&self) -> u32 {
        self.worker + self.in_snapshot + self.target_down + self.target
    }
}

impl Scene {
    fn start(&mut self) {
        let settings = self.worker.data().with_file_name("worker.yaml");
        self.worker.start_with(|command| {
            command.arg("--config").arg(settings);
        });
    }

    /// Kills while the snapshot runs, then lets it finish.
    async fn kill_in_the_snapshot(&mut self) {
        self.start();
        for _ in 0..SNAPSHOT_KILLS {
            self.pause(100..700).await;
            self.worker.kill();
            self.counts.in_snapshot += 1;
            self.start();
        }
        wait::until("the worker streams", async || {
            let health = self.worker.get("/health").await?;
            health.contains("streaming").then_some(())
        })
        .await;
    }

    async fn kill_something(&mut self) {
        self.pause(50..1500).await;
        match self.random.u8(0..10) {
            0..=6 => {
                self.worker.kill();
                self.counts.worker += 1;
                self.start();
            }
            7 => {
                self.target.kill();
                self.counts.target += 1;
                self.pause(50..1000).await;
                self.target.restart().await;
            }
            _ => {
                self.target.kill();
                self.pause(50..500).await;
                self.worker.kill();
                self.counts.target_down += 1;
                self.start();
                self.pause(50..500).await;
                self.target.restart().await;
            }
        }
    }

    /// The schedule of faults: not a wait for something, but when the next thing breaks.
    async fn pause(&mut self, milliseconds: std::ops::Range<u64>) {
        let pause = Duration::from_millis(self.random.u64(milliseconds));
        tokio::time::sleep(pause).await;
    }

    /// However long the replica needs, as long as something arrives in it.
    async fn replica_becomes_equal(&self, seed: u64) {
        let (from, to) = (self.source.url("postgres"), self.target.url("postgres"));
        let equal = replica::becomes_equal(&self.worker, &from, &to, &shop::TABLES).await;
        if let Err(last) = equal {
            panic!("seed {seed}:\n{last}\n{}", self.worker.log());
        }
    }

    /// A sink that comes when the topic was compacted many times still gets every row, whole.
    async fn a_late_replica_becomes_equal(&self, seed: u64) {
        let (from, to) = (self.source.url("postgres"), self.target.url("postgres"));
        self.target.execute("create schema late").await;
        let config = json!({
            "connector.class": "sql", "connection.url": to, "topics": format!("shop.public.{COMPACTED}"),
            "collection.name.format": "late.${source.table}", "positions.table": "late.positions",
        });
        let body = json!({"name": "late", "config": config});
        let (code, answer) = self.worker.post("/connectors", &body).await;
        assert_eq!(code, 201, "{answer}");
        let late = format!("{to}?options[search_path]=late");
        let equal = replica::becomes_equal(&self.worker, &from, &late, &[COMPACTED]).await;
        if let Err(last) = equal {
            panic!(
                "seed {seed}, the late replica:\n{last}\n{}",
                self.worker.log()
            );
        }
    }

    async fn check(mut self, transactions: u64, seed: u64) {
        let from = self.source.url("postgres");
        self.replica_becomes_equal(seed).await;
        let committed = ledger::committed(&from, &KEYS).await;
        let logged = KEYS.map(|(table, keys)| {
            let topic = format!("shop.public.{table}");
            ledger::logged(&self.worker, &topic, keys, kept(table))
        });
        let points = ledger::consistent_points(&self.worker);
        let mut wrong = String::new();
        let (mut changes, mut left_out) = (0, 0);
        for ((table, _), logged) in KEYS.iter().zip(&logged) {
            let committed = committed.get(*table).map_or(&[][..], Vec::as_slice);
            let consistent = *points.get(*table).expect("every table was read");
            changes += logged.changes.len();
            left_out += logged.holes;
            wrong += &ledger::compare(table, committed, &logged.changes, consistent, kept(table));
        }
        assert!(left_out > 0, "seed {seed}: nothing was compacted");
        assert!(
            wrong.is_empty(),
            "seed {seed}:\n{wrong}\n{}",
            self.worker.log()
        );
        self.a_late_replica_becomes_equal(seed).await;
        assert_eq!(self.worker.terminate(), Some(0), "{}", self.worker.log());
        eprintln!(
            "seed {seed}: {:?}, {} kills; {transactions} transactions, {changes} changes in the log, each once and in \
             commit order, {left_out} records compacted away; the replica is equal, and so is one from what is left",
            self.counts,
            self.counts.all()
        );
    }
}
