//! `make bench`: speed and size of a release build, as ratios to peers in the same run.
//!
//! - stream, from a backlog: our durable log against `pg_recvlogical` to /dev/null and against our own reader with its
//!   output discarded
//! - snapshot: our durable log against `COPY (binary) TO STDOUT`
//! - idle and peak resident size, start to first record
//!
//! Medians of five interleaved runs; `RUNS`, `ROWS` and `SNAPSHOT_ROWS` change the defaults. Prints, never judges.

#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark talks to a terminal and stops at the first surprise"
)]

mod discard;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use support::{
    postgres::{Postgres, connect, execute, text_rows},
    wait,
    worker::Worker,
};
use tempfile::TempDir;

const COMMITTED: &str = "tapline_records_log_total";

/// About 195 bytes a row as text, ten columns.
const TABLE: &str = "create table rows (
    id bigint primary key, customer bigint not null, amount double precision, active boolean not null,
    name text, email text, street varchar(80), city text, note text, details jsonb)";

const VALUES: &str = "g, g * 7, g * 0.25, g % 2 = 0, 'Customer ' || g, 'c' || g || '@shop.example',
    'Some long street name ' || g % 1000, 'City ' || g % 100, md5(g::text),
    jsonb_build_object('a', g, 'b', 'text')";

struct Run {
    recvlogical: f64,
    discarded: f64,
    stream: f64,
    stream_cpu_us: f64,
    copy: f64,
    snapshot: f64,
    snapshot_cpu_us: f64,
    idle_kib: f64,
    peak_kib: f64,
    first_record_ms: f64,
}

#[tokio::main]
async fn main() {
    let number = |name: &str, default: u64| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let (runs, rows) = (number("RUNS", 5), number("ROWS", 500_000));
    let snapshot_rows = number("SNAPSHOT_ROWS", 1_000_000);
    let mut done = Vec::new();
    for run in 1..=runs {
        let server = Postgres::start_with(&["fsync=off", "max_wal_size=8GB"]).await;
        let mut figures = stream(&server, rows).await;
        snapshot(&server, snapshot_rows, &mut figures).await;
        println!(
            "run {run}/{runs}: stream {:.0} rows/s, pg_recvlogical {:.0}, reader alone {:.0}; snapshot {:.0}, COPY {:.0}",
            figures.stream, figures.recvlogical, figures.discarded, figures.snapshot, figures.copy
        );
        done.push(figures);
    }
    report(&done);
}

async fn stream(server: &Postgres, rows: u64) -> Run {
    let url = server.url("postgres");
    execute(&url, TABLE).await;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut worker = worker(server, &folder, "stream");
    worker.start();
    worker.until_healthy().await;
    until_streaming(&worker).await;
    // An idle worker: RSS settles within a moment of the snapshot's end.
    let idle_kib = worker.rss_kib().unwrap_or_default() as f64;
    worker.terminate();
    let mut reader = discard::Reader::prepare(server.port()).await;
    execute(
        &url,
        "select pg_create_logical_replication_slot('peer', 'pgoutput')",
    )
    .await;
    load(&url, rows).await;
    let changes = rows + rows / 2;

    let recvlogical = changes as f64 / recvlogical(&url).await.as_secs_f64();
    let discarded = changes as f64 / reader.read(changes).await.as_secs_f64();
    let began = Instant::now();
    worker.start();
    let first = until_committed(&worker, 1).await.duration_since(began);
    let all = until_committed(&worker, changes)
        .await
        .duration_since(began);
    let cpu = cpu_seconds(worker.pid());
    let peak_kib = worker.peak_rss_kib().unwrap_or_default() as f64;
    worker.terminate();
    for slot in ["peer", "tapline_stream", "tapline_discard"] {
        execute(&url, &format!("select pg_drop_replication_slot('{slot}')")).await;
    }
    Run {
        recvlogical,
        discarded,
        stream: changes as f64 / all.as_secs_f64(),
        stream_cpu_us: cpu * 1e6 / changes as f64,
        copy: 0.0,
        snapshot: 0.0,
        snapshot_cpu_us: 0.0,
        idle_kib,
        peak_kib,
        first_record_ms: first.as_secs_f64() * 1e3,
    }
}

/// Inserts, and an update for every second row, in transactions of a thousand rows.
async fn load(url: &str, rows: u64) {
    let mut connection = connect(url).await;
    let mut from = 0;
    while from < rows {
        let to = (from + 1_000).min(rows);
        let sql = format!(
            "insert into rows select {VALUES} from generate_series({}, {to}) g;
             update rows set amount = amount + 1 where id > {from} and id <= {to} and id % 2 = 0;",
            from + 1
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .expect("the load is written");
        from = to;
    }
}

async fn recvlogical(url: &str) -> Duration {
    let end = text_rows(&mut connect(url).await, "select pg_current_wal_lsn()::text")
        .await
        .concat();
    // Installed beside the server, or the machine's own: it is only a client.
    let beside = support::postgres::programs().join("pg_recvlogical");
    let program = if beside.exists() {
        beside
    } else {
        "pg_recvlogical".into()
    };
    let began = Instant::now();
    let status = Command::new(program)
        .args([
            "-d",
            url,
            "-S",
            "peer",
            "--start",
            "-f",
            "/dev/null",
            "-E",
            &end,
            "--no-loop",
        ])
        .args([
            "-o",
            "proto_version=1",
            "-o",
            "publication_names=tapline_stream",
        ])
        .stdout(Stdio::null())
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "pg_recvlogical failed"
    );
    began.elapsed()
}

async fn snapshot(server: &Postgres, rows: u64, figures: &mut Run) {
    let url = server.url("postgres");
    execute(
        &url,
        "truncate rows; drop publication if exists tapline_stream",
    )
    .await;
    execute(
        &url,
        &format!("insert into rows select {VALUES} from generate_series(1, {rows}) g"),
    )
    .await;
    execute(&url, "vacuum analyze rows").await;
    let began = Instant::now();
    let status = Command::new("psql")
        .args([&url, "-qc", "copy rows to stdout (format binary)"])
        .stdout(Stdio::null())
        .status();
    assert!(status.is_ok_and(|status| status.success()), "psql failed");
    figures.copy = rows as f64 / began.elapsed().as_secs_f64();

    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut worker = worker(server, &folder, "snapshot");
    let began = Instant::now();
    worker.start();
    let all = until_committed(&worker, rows).await.duration_since(began);
    figures.snapshot = rows as f64 / all.as_secs_f64();
    figures.snapshot_cpu_us = cpu_seconds(worker.pid()) * 1e6 / rows as f64;
    figures.peak_kib = figures
        .peak_kib
        .max(worker.peak_rss_kib().unwrap_or_default() as f64);
    worker.terminate();
}

fn worker(server: &Postgres, folder: &TempDir, name: &str) -> Worker {
    let port = server.port();
    let pipeline = format!(
        "version: 1
name: {name}
source:
  connector: postgres
  database: {{hostname: 127.0.0.1, port: {port}, dbname: postgres, user: postgres}}
  table.include.list: public.rows
"
    );
    Worker::new(
        Path::new(env!("CARGO_BIN_EXE_tapline")),
        folder.path(),
        &pipeline,
    )
}

async fn until_streaming(worker: &Worker) {
    wait::until("the worker streams", async || {
        worker
            .get("/health")
            .await?
            .contains("streaming")
            .then_some(())
    })
    .await;
}

async fn until_committed(worker: &Worker, records: u64) -> Instant {
    let found = wait::within(Duration::from_secs(300), async || {
        let now = worker.metric(COMMITTED).await?;
        (now >= records as f64).then(Instant::now)
    });
    found
        .await
        .unwrap_or_else(|| panic!("{records} records did not arrive\n{}", worker.log()))
}

/// User and system time of a process so far.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: f64 = after_name
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum();
    ticks / 100.0
}

fn report(runs: &[Run]) {
    let median = |figure: fn(&Run) -> f64| {
        let mut figures: Vec<f64> = runs.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or_default()
    };
    println!("\nmedians of {} runs", runs.len());
    println!("stream → durable log   {:9.0} rows/s", median(|r| r.stream));
    println!(
        "  against pg_recvlogical  {:6.2} × (budget 1.5)",
        median(|r| r.stream / r.recvlogical)
    );
    println!(
        "  against our reader      {:6.2} × (budget 0.9)",
        median(|r| r.stream / r.discarded)
    );
    println!(
        "  CPU of the worker       {:6.2} µs a row",
        median(|r| r.stream_cpu_us)
    );
    println!(
        "snapshot → durable log {:9.0} rows/s",
        median(|r| r.snapshot)
    );
    println!(
        "  against COPY            {:6.2} × (budget 0.5)",
        median(|r| r.snapshot / r.copy)
    );
    println!(
        "  CPU of the worker       {:6.2} µs a row",
        median(|r| r.snapshot_cpu_us)
    );
    println!(
        "idle RSS {:.0} MiB (budget 30), peak {:.0} MiB (budget 200)",
        median(|r| r.idle_kib) / 1024.0,
        median(|r| r.peak_kib) / 1024.0
    );
    println!(
        "start to first record {:.0} ms (budget 300)",
        median(|r| r.first_record_ms)
    );
}
