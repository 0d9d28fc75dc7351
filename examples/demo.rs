//! `make demo`: one Postgres replicated into another under load, the worker killed three times on the way, every row
//! compared at the end. Exits 1 if a row differs.

#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a demo talks to a terminal and stops at the first surprise"
)]

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};
use support::{
    compare,
    postgres::{Postgres, connect, execute, text_rows},
    shop, wait,
    worker::{Worker, replica_pipeline},
};

/// Writers beside each other, so that transactions interleave.
const WRITERS: u64 = 3;
/// What the load is to reach, counted by Postgres' own decoder.
const CHANGES_MIN: u64 = 100_000;
const CUSTOMERS: u64 = 5_000;
const LARGE_TRANSACTION_ROWS: u64 = 50_000;
const KILLS: u64 = 3;
/// Without a row delivered for so long, the replica will not become equal any more.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> ExitCode {
    let binary = std::env::args()
        .nth(1)
        .map_or_else(|| PathBuf::from("target/release/tapline"), PathBuf::from);
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(1);
    assert!(
        binary.exists(),
        "{} is missing: run `make demo`",
        binary.display()
    );
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    run(&binary, folder.path(), seed).await
}

async fn run(binary: &Path, folder: &Path, seed: u64) -> ExitCode {
    let began = Instant::now();
    say(began, "starting two Postgres servers");
    let (source, target) = (Postgres::start().await, Postgres::start().await);
    let (from, to) = (source.url("postgres"), target.url("postgres"));
    shop::create(&from, CUSTOMERS).await;
    // Another decoder's count of what happens from here on.
    execute(
        &from,
        "select pg_create_logical_replication_slot('count', 'test_decoding')",
    )
    .await;
    say(
        began,
        &format!(
            "shop loaded: {} rows; the worker starts with a snapshot (seed {seed})",
            rows(&from).await
        ),
    );

    let mut worker = Worker::new(
        binary,
        folder,
        &replica_pipeline(source.port(), target.port(), ""),
    );
    worker.start();
    let transactions = under_load(&from, &mut worker, seed, began).await;
    let changes = changes(&from).await;
    say(
        began,
        &format!("load stopped after {transactions} transactions, {changes} changes"),
    );
    verdict(&from, &to, &worker, began).await
}

/// Writes until there are enough changes, and kills the worker on the way. Returns how many transactions it took.
async fn under_load(from: &str, worker: &mut Worker, seed: u64, began: Instant) -> u64 {
    let load = shop::Load::start(from, WRITERS, seed, Duration::from_millis(2));
    let more = async |transactions| {
        let goal = load.transactions() + transactions;
        wait::until("the load goes on", async || {
            (load.transactions() > goal).then_some(())
        })
        .await;
    };
    for kill in 1..=KILLS {
        more(1_000).await;
        event(from, kill, began).await;
        let written = load.transactions();
        say(
            began,
            &format!("{written} transactions written, {}", progress(worker).await),
        );
        worker.kill();
        say(
            began,
            &format!("worker killed with SIGKILL ({kill}/{KILLS}), started again"),
        );
        worker.start();
    }
    while changes(from).await < CHANGES_MIN {
        more(500).await;
        let written = load.transactions();
        say(
            began,
            &format!("{written} transactions written, {}", progress(worker).await),
        );
    }
    load.stop().await
}

/// What a replica often gets wrong, one on the way to each kill.
async fn event(from: &str, kill: u64, began: Instant) {
    match kill {
        1 => {
            execute(
                from,
                &shop::large_transaction(LARGE_TRANSACTION_ROWS, 10_000_000),
            )
            .await;
            say(
                began,
                &format!("one transaction of {LARGE_TRANSACTION_ROWS} rows committed"),
            );
        }
        2 => {
            execute(
                from,
                "alter table customers add column city text;
                 update customers set city = 'Here ' || id where id % 3 = 0",
            )
            .await;
            say(began, "column customers.city added and filled");
        }
        _ => {
            execute(
                from,
                "truncate carts; insert into carts values (gen_random_uuid(), '[1]', '3 days');
                 update products set sku = 'moved-' || sku where sku like 'sku-7%'",
            )
            .await;
            say(began, "carts truncated, keys of products changed");
        }
    }
}

async fn verdict(from: &str, to: &str, worker: &Worker, began: Instant) -> ExitCode {
    let mut since = Instant::now();
    let mut delivered = 0.0;
    loop {
        let differences = compare::differences(from, to, &shop::TABLES).await;
        if differences.is_empty() {
            say(
                began,
                &format!(
                    "{} changes, {KILLS} kills: every row of {} tables is equal",
                    changes(from).await,
                    shop::TABLES.len()
                ),
            );
            println!("EQUAL");
            return ExitCode::SUCCESS;
        }
        let now = worker
            .metric("tapline_records_delivered_total")
            .await
            .unwrap_or_default();
        if now > delivered {
            (delivered, since) = (now, Instant::now());
            say(began, &progress(worker).await);
        } else if since.elapsed() > PATIENCE {
            println!("{differences}\n{}\nDIFFERENT", worker.log());
            return ExitCode::FAILURE;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn progress(worker: &Worker) -> String {
    let figure = async |name| worker.metric(name).await.unwrap_or_default();
    format!(
        "log {:.0} records, delivered {:.0}, lag {:.0}",
        figure("tapline_records_log_total").await,
        figure("tapline_records_delivered_total").await,
        figure("tapline_lag_records").await,
    )
}

async fn changes(from: &str) -> u64 {
    let sql = "select count(*)::text from pg_logical_slot_peek_changes('count', null, null) \
               where data like 'table %'";
    text_rows(&mut connect(from).await, sql)
        .await
        .concat()
        .parse()
        .expect("a count is a number")
}

async fn rows(from: &str) -> u64 {
    let counts: Vec<String> = shop::TABLES
        .iter()
        .map(|table| format!("(select count(*) from {table})"))
        .collect();
    let sql = format!("select ({})::text", counts.join(" + "));
    text_rows(&mut connect(from).await, &sql)
        .await
        .concat()
        .parse()
        .expect("a count is a number")
}

fn say(began: Instant, text: &str) {
    println!("{:6.1} s  {text}", began.elapsed().as_secs_f64());
}
