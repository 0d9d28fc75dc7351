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

/// Keys of the compacted topic that readers and upkeep race on.
const RACE_KEYS: u64 = 16;

/// What each of compaction and retention must have done before the race ends.
const RACE_ROUNDS: u64 = 25;

/// The upkeep's thread has the lowest priority, and a loaded machine little for it.
const RACE_TIME_MAX: Duration = Duration::from_secs(240);

struct Race {
    log: Embedded,
    /// Commits that are acknowledged: number `n` writes version `n` of key `n % RACE_KEYS`, and offset `n` of `visits`.
    acknowledged: std::sync::atomic::AtomicU64,
    over: AtomicBool,
}

impl Race {
    async fn new(dir: &TempDir) -> Self {
        let settings = Settings {
            journal_file_bytes: 64 << 10,
            checkpoint_bytes: 16 << 10,
            upkeep_interval: Duration::from_millis(1),
            ..settings()
        };
        let log = Embedded::open(dir.path(), settings).expect("the log opens");
        let topic = |name: &str, config: &[(&str, &str)]| NewTopic {
            name: name.into(),
            partitions: 1,
            config: config
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        };
        let ledger = [
            ("cleanup.policy", "compact"),
            ("segment.bytes", "2048"),
            ("min.cleanable.dirty.ratio", "0.01"),
        ];
        let visits = [("retention.bytes", "4096"), ("segment.bytes", "1024")];
        let topics = vec![topic("ledger", &ledger), topic("visits", &visits)];
        log.create(topics).await.expect("topics");
        Self {
            log,
            acknowledged: Default::default(),
            over: AtomicBool::new(false),
        }
    }

    async fn write(&self) {
        let mut writer = self.log.writer("source").await.expect("a writer");
        let stats = self.log.stats();
        let began = Instant::now();
        for number in 0_u64.. {
            let key = (number % RACE_KEYS).to_be_bytes();
            let appends = ["ledger", "visits"].map(|topic| {
                let mut builder = BatchBuilder::new();
                let value = format!("{number:020}{}", "v".repeat(100));
                builder
                    .append(Some(&key), Some(value.as_bytes()), 1, [])
                    .expect("a small record");
                Append {
                    to: at(topic),
                    batch: builder.finish(Compression::None).expect("a batch"),
                }
            });
            let commit = Commit {
                appends: appends.into(),
                positions: Vec::new(),
            };
            writer.commit(commit).await.expect("durable");
            self.acknowledged.store(number + 1, Relaxed);
            let done = stats
                .compactions
                .load(Relaxed)
                .min(stats.retention_segments.load(Relaxed));
            if done >= RACE_ROUNDS || began.elapsed() > RACE_TIME_MAX {
                break;
            }
        }
        self.over.store(true, Relaxed);
    }

    async fn fetch(&self, topic: &str, offset: u64) -> Result<Vec<(u64, u64, u64)>, Error> {
        let fetch = Fetch {
            from: vec![(at(topic), offset)],
            max_bytes: 1_500,
            min_bytes: 1,
            max_wait: Duration::from_millis(5),
        };
        let fetched = self.log.fetch(fetch).await?.remove(0);
        let mut reader = crate::broker::batch::BatchReader::new();
        let mut records = Vec::new();
        for batch in crate::broker::batch::Batches::new(&fetched.batches) {
            let batch = batch.expect("whole batches");
            for record in reader.read(&batch).expect("a right batch") {
                let record = record.expect("a right record");
                let key = record.key.expect("a key").try_into().expect("8 bytes");
                let value = std::str::from_utf8(record.value.expect("a value")).expect("text");
                let version = value[..20].parse().expect("a number");
                if record.offset >= offset {
                    records.push((record.offset, u64::from_be_bytes(key), version));
                }
            }
            // A batch of what is gone has no record, and is passed all the same.
            records.push((batch.header.last_offset(), u64::MAX, 0));
        }
        Ok(records)
    }

    /// Reads all of the compacted topic again and again; each time every key is there, not older than acknowledged.
    async fn scan(&self) -> u64 {
        let mut scans = 0;
        while !self.over.load(Relaxed) {
            let acknowledged = self.acknowledged.load(Relaxed);
            if acknowledged == 0 {
                tokio::task::yield_now().await;
                continue;
            }
            let mut seen = [None; RACE_KEYS as usize];
            let mut next = 0;
            while next < acknowledged {
                let records = self.fetch("ledger", next).await.expect("readable");
                assert!(!records.is_empty(), "a hole at {next}");
                for (offset, key, version) in records {
                    assert!(offset + 1 >= next, "{offset} comes after {next}");
                    next = offset + 1;
                    if let Some(known) = seen.get_mut(key as usize) {
                        assert!(*known < Some(version), "key {key} went back to {version}");
                        *known = Some(version);
                    }
                }
            }
            for version in acknowledged.saturating_sub(RACE_KEYS)..acknowledged {
                let found = seen[(version % RACE_KEYS) as usize];
                assert!(found >= Some(version), "{found:?} instead of {version}");
            }
            scans += 1;
        }
        scans
    }

    /// Follows the topic that retention shortens: without a gap but where the log's start is said to be.
    async fn follow(&self, slow: bool) -> u64 {
        let (mut next, mut gaps) = (0, 0);
        while !self.over.load(Relaxed) {
            match self.fetch("visits", next).await {
                Ok(records) => {
                    for (offset, key, version) in records {
                        if key != u64::MAX {
                            assert_eq!((offset, version), (next, next), "a hole");
                            next += 1;
                        }
                    }
                }
                Err(error) => {
                    assert_eq!(error.code, Some("TL0212"), "{}", error.chain());
                    let topic = self.log.topic("visits").expect("the topic");
                    let start = topic.partitions.first().expect("a partition").log_start;
                    assert!(start > next, "{next} is there: {}", error.chain());
                    (next, gaps) = (start, gaps + 1);
                }
            }
            if slow {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        gaps
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_that_race_swaps_and_retention_see_no_error_hole_or_older_value() {
    let dir = TempDir::new().expect("a folder");
    let race = Arc::new(Race::new(&dir).await);
    let tasks: Vec<_> = (0..2)
        .flat_map(|number| {
            let (scans, follows) = (Arc::clone(&race), Arc::clone(&race));
            [
                tokio::spawn(async move { scans.scan().await }),
                tokio::spawn(async move { follows.follow(number == 1).await }),
            ]
        })
        .collect();
    let writes = Arc::clone(&race);
    tokio::spawn(async move { writes.write().await })
        .await
        .expect("everything was acknowledged");
    let mut counts = Vec::new();
    for task in tasks {
        counts.push(task.await.expect("a reader saw nothing wrong"));
    }
    let stats = race.log.stats();
    let done = (
        stats.compactions.load(Relaxed),
        stats.retention_segments.load(Relaxed),
    );
    let commits = race.acknowledged.load(Relaxed);
    crate::broker::tests::report(&format!(
        "{commits} commits, {} compactions, {} segments retained away; full scans and gaps met: {counts:?}",
        done.0, done.1
    ));
    assert!(done.0 >= RACE_ROUNDS && done.1 >= RACE_ROUNDS, "{done:?}");
    assert!(
        counts.iter().step_by(2).all(|scans| *scans > 0),
        "{counts:?}"
    );
}
