//! The central proof: SIGKILL at random moments, under load. The log holds every change once, in commit order;
//! the replica is equal.

use super::ledger;
use crate::support::{
    postgres::Postgres,
    process, replica, shop, wait,
    worker::{Worker, replica_pipeline},
};
use fastrand::Rng;
use std::{path::Path, time::Duration};

/// The shop's keys, as `test_decoding` and our records name them; `events` has none.
const KEYS: [(&str, &[&str]); 6] = [
    ("customers", &["id"]),
    ("products", &["sku"]),
    ("orders", &["id"]),
    ("order_lines", &["order_id", "line"]),
    ("events", &[]),
    ("carts", &["id"]),
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

impl Counts {
    fn all(&self) -> u32 {
        self.worker + self.in_snapshot + self.target_down + self.target
    }
}

impl Scene {
    /// Kills while the snapshot runs, then lets it finish.
    async fn kill_in_the_snapshot(&mut self) {
        self.worker.start();
        for _ in 0..SNAPSHOT_KILLS {
            self.pause(100..700).await;
            self.worker.kill();
            self.counts.in_snapshot += 1;
            self.worker.start();
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
                self.worker.start();
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
                self.worker.start();
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

    async fn check(mut self, transactions: u64, seed: u64) {
        let from = self.source.url("postgres");
        self.replica_becomes_equal(seed).await;
        let committed = ledger::committed(&from, &KEYS).await;
        let logged = KEYS.map(|(table, keys)| {
            ledger::logged(&self.worker, &format!("shop.public.{table}"), keys)
        });
        let points = ledger::consistent_points(&self.worker);
        let mut wrong = String::new();
        let mut changes = 0;
        for ((table, _), logged) in KEYS.iter().zip(&logged) {
            let committed = committed.get(*table).map_or(&[][..], Vec::as_slice);
            let consistent = *points.get(*table).expect("every table was read");
            changes += logged.len();
            wrong += &ledger::compare(table, committed, logged, consistent);
        }
        assert!(
            wrong.is_empty(),
            "seed {seed}:\n{wrong}\n{}",
            self.worker.log()
        );
        assert_eq!(self.worker.terminate(), Some(0), "{}", self.worker.log());
        eprintln!(
            "seed {seed}: {:?}, {} kills; {transactions} transactions, {changes} changes in the log, each once and in \
             commit order; the replica is equal",
            self.counts,
            self.counts.all()
        );
    }
}
