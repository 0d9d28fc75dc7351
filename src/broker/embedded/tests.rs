//! The log behind its trait: futures, threads, long polls.

use super::*;
use crate::broker::{
    Append,
    batch::{BatchBuilder, Compression},
};
use bytes::Bytes;
use std::{collections::BTreeMap, time::Instant};
use tempfile::TempDir;

fn batch(text: &str) -> Bytes {
    let mut builder = BatchBuilder::new();
    builder
        .append(None, Some(text.as_bytes()), 1, [])
        .expect("a small record");
    builder.finish(Compression::None).expect("a batch")
}

fn at(topic: &str) -> TopicPartition {
    TopicPartition {
        topic: topic.into(),
        partition: 0,
    }
}

fn one(topic: &str, batch: Bytes) -> Commit {
    Commit {
        appends: vec![Append {
            to: at(topic),
            batch,
        }],
        positions: Vec::new(),
    }
}

fn settings() -> Settings {
    Settings {
        journal_file_bytes: 1 << 20,
        free_space_min: Some(0),
        ..Settings::default()
    }
}

async fn with_topic(dir: &TempDir) -> Embedded {
    let log = Embedded::open(dir.path(), settings()).expect("the log opens");
    let topics = vec![NewTopic {
        name: "orders".into(),
        partitions: 1,
        config: BTreeMap::new(),
    }];
    log.create(topics).await.expect("a topic");
    log
}

fn wanted(offset: u64, min_bytes: usize, max_wait: Duration) -> Fetch {
    Fetch {
        from: vec![(at("orders"), offset)],
        max_bytes: 1 << 20,
        min_bytes,
        max_wait,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_wakes_when_records_become_durable() {
    let dir = TempDir::new().expect("a folder");
    let log = Arc::new(with_topic(&dir).await);
    let reader = Arc::clone(&log);
    let started = Instant::now();
    let poll =
        tokio::spawn(async move { reader.fetch(wanted(0, 1, Duration::from_secs(60))).await });
    let mut writer = log.writer("o").await.expect("a writer");
    assert_eq!(
        writer
            .commit(one("orders", batch("v")))
            .await
            .expect("durable"),
        [0]
    );
    let fetched = poll.await.expect("no panic").expect("readable").remove(0);
    assert_eq!(fetched.high_watermark, 1);
    assert_eq!(fetched.batches.len(), batch("v").len());
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "it was woken, not timed out"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_ends_when_its_time_is_over_or_its_topic_goes() {
    let dir = TempDir::new().expect("a folder");
    let log = Arc::new(with_topic(&dir).await);
    let fetched = log
        .fetch(wanted(0, 1, Duration::from_millis(20)))
        .await
        .expect("nothing");
    assert!(fetched[0].batches.is_empty());
    let reader = Arc::clone(&log);
    let poll =
        tokio::spawn(async move { reader.fetch(wanted(0, 1, Duration::from_secs(60))).await });
    assert!(log.delete("orders").await.expect("deleted"));
    let error = poll.await.expect("no panic").expect_err("no such topic");
    assert_eq!(error.code, Some("TL0207"));
    assert!(!log.delete("orders").await.expect("nothing to delete"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_batch_is_returned_however_small_the_limit() {
    let dir = TempDir::new().expect("a folder");
    let log = with_topic(&dir).await;
    let mut writer = log.writer("o").await.expect("a writer");
    for text in ["a", "b", "c"] {
        writer
            .commit(one("orders", batch(text)))
            .await
            .expect("durable");
    }
    let mut wanted = wanted(1, 1, Duration::ZERO);
    wanted.max_bytes = 1;
    let fetched = log.fetch(wanted).await.expect("readable").remove(0);
    assert_eq!(fetched.batches.len(), batch("b").len());
    assert_eq!((fetched.log_start, fetched.high_watermark), (0, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_in_flight_keep_their_order_and_dropped_futures_decide_nothing() {
    let dir = TempDir::new().expect("a folder");
    let log = with_topic(&dir).await;
    let mut writer = log.writer("o").await.expect("a writer");
    let mut futures = Vec::new();
    for number in 0..100_u64 {
        let future = writer.commit(one("orders", batch(&number.to_string())));
        if number % 2 == 0 {
            futures.push((number, future));
        }
    }
    for (number, future) in futures {
        assert_eq!(future.await.expect("durable"), [number]);
    }
    // The next writer finds everything decided.
    log.writer("o").await.expect("a writer");
    assert_eq!(
        log.topic("orders").expect("the topic").partitions[0].high_watermark,
        100
    );
    let error = writer
        .commit(one("orders", batch("late")))
        .await
        .expect_err("fenced");
    assert_eq!(error.code, Some("TL0205"));
    let stats = log.stats();
    assert_eq!(stats.commits.load(Relaxed), 100);
    assert!(
        stats.entries.load(Relaxed) < 100,
        "commits that waited were grouped"
    );
    assert_eq!(stats.queued_bytes.load(Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_and_large_batches_are_refused_by_name() {
    let dir = TempDir::new().expect("a folder");
    let log = Embedded::open(dir.path(), settings()).expect("the log opens");
    let topics = vec![NewTopic {
        name: "orders".into(),
        partitions: 1,
        config: BTreeMap::from([("max.message.bytes".to_owned(), "2000".to_owned())]),
    }];
    log.create(topics).await.expect("a topic");
    let mut writer = log.writer("o").await.expect("a writer");
    let error = writer
        .commit(one("orders", batch(&"x".repeat(3_000))))
        .await
        .expect_err("too large");
    assert_eq!(error.code, Some("TL0211"));
    let text = format!("{} {}", error.context, error.remedy.expect("a remedy"));
    assert!(
        text.contains("orders") && text.contains("max.message.bytes"),
        "{text}"
    );
    let mut writer = log.writer("o").await.expect("a writer");
    let mut bad = batch("v").to_vec();
    *bad.last_mut().expect("bytes") ^= 1;
    let error = writer
        .commit(one("orders", bad.into()))
        .await
        .expect_err("a wrong checksum");
    assert_eq!(error.code, Some("TL0210"));
    let error = writer
        .commit(one("orders", batch("v")))
        .await
        .expect_err("order is kept");
    assert_eq!(error.code, Some("TL0206"));
    let mut writer = log.writer("o").await.expect("a writer");
    let error = writer
        .commit(one(crate::broker::GROUPS_TOPIC, batch("v")))
        .await
        .expect_err("the log's own");
    assert_eq!(error.code, Some("TL0209"));
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_decides_what_waits_and_later_commits_fail() {
    let dir = TempDir::new().expect("a folder");
    let log = with_topic(&dir).await;
    let mut writer = log.writer("o").await.expect("a writer");
    let waiting = writer.commit(one("orders", batch("v")));
    log.close().await.expect("closed");
    assert_eq!(waiting.await.expect("durable"), [0]);
    let error = writer
        .commit(one("orders", batch("w")))
        .await
        .expect_err("closed");
    assert_eq!(error.code, Some("TL0217"));
    assert!(dir.path().join("clean").exists());
    drop(log);
    let log = Embedded::open(dir.path(), settings()).expect("the lock is free again");
    assert_eq!(
        log.topic("orders").expect("the topic").partitions[0].log_end,
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_go_on_beside_commits() {
    let dir = TempDir::new().expect("a folder");
    let small = Settings {
        checkpoint_bytes: 1 << 20,
        segment_bytes: 1 << 20,
        ..settings()
    };
    let log = Embedded::open(dir.path(), small.clone()).expect("the log opens");
    let topics = vec![NewTopic {
        name: "orders".into(),
        partitions: 1,
        config: BTreeMap::new(),
    }];
    log.create(topics).await.expect("a topic");
    let mut writer = log.writer("o").await.expect("a writer");
    let large = batch(&"x".repeat(100_000));
    for number in 0..100_u64 {
        assert_eq!(
            writer
                .commit(one("orders", large.clone()))
                .await
                .expect("durable"),
            [number]
        );
    }
    let stats = log.stats();
    assert!(stats.checkpoints.load(Relaxed) > 2);
    assert!(stats.journal_bytes.load(Relaxed) < 6 << 20);
    drop((writer, log));
    let log = Embedded::open(dir.path(), small).expect("the log opens");
    let mut fetch = wanted(0, 1, Duration::ZERO);
    fetch.max_bytes = 64 << 20;
    let mut offset = 0;
    while offset < 100 {
        fetch.from = vec![(at("orders"), offset)];
        let fetched = log.fetch(fetch.clone()).await.expect("readable").remove(0);
        offset += (fetched.batches.len() / large.len()) as u64;
    }
    assert_eq!(
        log.topic("orders").expect("the topic").partitions[0].log_end,
        100
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interval_gathers_commits_and_acknowledges_none_before_its_sync() {
    let dir = TempDir::new().expect("a folder");
    let interval = Duration::from_millis(300);
    let settings = Settings {
        flush: Flush::Interval(interval),
        ..settings()
    };
    let log = Embedded::open(dir.path(), settings).expect("the log opens");
    let began = Instant::now();
    let topics = vec![NewTopic {
        name: "orders".into(),
        partitions: 1,
        config: BTreeMap::new(),
    }];
    log.create(topics).await.expect("created");
    let mut writer = log.writer("shop.source").await.expect("a writer");
    let stats = log.stats();
    let syncs = stats.syncs.load(Relaxed);
    let mut commits: Vec<_> = (0..200)
        .map(|_| writer.commit(one("orders", batch("row"))))
        .collect();
    let ends = |log: &Embedded| log.topic("orders").expect("there").partitions[0];
    while let Some(next) = commits.first_mut() {
        // I3: nothing is seen before the answer is on its way.
        let seen_before = ends(&log).high_watermark;
        let early = began.elapsed() < interval;
        assert!(
            !early || seen_before == 0,
            "{seen_before} were served before the sync"
        );
        next.await.expect("durable");
        drop(commits.remove(0));
    }
    assert!(
        began.elapsed() >= interval,
        "acknowledged before the interval was over"
    );
    assert_eq!(ends(&log).high_watermark, 200);
    let took = began.elapsed();
    let syncs = stats.syncs.load(Relaxed) - syncs;
    crate::broker::tests::report(&format!(
        "200 commits: {syncs} syncs in {took:?} at an interval of {interval:?}"
    ));
    let possible = took.as_millis() / interval.as_millis() + 2;
    assert!(u128::from(syncs) <= possible, "{syncs} syncs in {took:?}");
    log.close().await.expect("closed");
}
