//! A transaction of any size passes through bounded memory.

use crate::support::{
    postgres::{Postgres, connect, execute, text_rows},
    process, shop, wait,
    worker::{Worker, replica_pipeline},
};
use std::{path::Path, time::Duration};

/// The budget of the whole process.
const PEAK_RSS_KIB_MAX: u64 = 200 * 1024;

#[tokio::test]
async fn prove_a_large_transaction_passes_in_bounded_memory() {
    let rows = if process::proving() {
        1_000_000
    } else {
        100_000
    };
    let (source, target) = (Postgres::start().await, Postgres::start().await);
    let (from, to) = (source.url("postgres"), target.url("postgres"));
    shop::create(&from, 100).await;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let pipeline = replica_pipeline(source.port(), target.port(), "");
    let mut worker = Worker::new(
        Path::new(env!("CARGO_BIN_EXE_tapline")),
        folder.path(),
        &pipeline,
    );
    worker.start();
    let count = async |table: &str| {
        let sql = format!(
            "select case when to_regclass('{table}') is null then '-1' else \
             (xpath('/row/c/text()', query_to_xml('select count(*) c from {table}', false, true, '')))[1]::text end"
        );
        text_rows(&mut connect(&to).await, &sql)
            .await
            .concat()
            .parse::<i64>()
            .unwrap_or(-1)
    };
    wait::until("the snapshot is in the replica", async || {
        (count("orders").await == 100).then_some(())
    })
    .await;
    let before = worker.rss_kib().expect("a running process has a size");
    execute(&from, &shop::large_transaction(rows, 1_000)).await;
    let expected = i64::try_from(rows).expect("a row count fits") + 100;
    let arrived = wait::within(Duration::from_secs(540), async || {
        assert!(worker.is_running(), "{}", worker.log());
        (count("orders").await == expected).then_some(())
    })
    .await;
    let peak = worker.peak_rss_kib().expect("a running process has a size");
    eprintln!(
        "{rows} rows in one transaction: RSS {} MiB before, {} MiB at its peak",
        before / 1024,
        peak / 1024
    );
    assert!(
        arrived.is_some(),
        "{} of {expected} rows\n{}",
        count("orders").await,
        worker.log()
    );
    assert!(peak < PEAK_RSS_KIB_MAX, "peak RSS {peak} KiB");
    assert_eq!(worker.terminate(), Some(0), "{}", worker.log());
}
