//! The log through its public face: stored formats of every version, and the speed of its writing path.

#![expect(
    clippy::print_stdout,
    reason = "the figures are what a measurement is for"
)]

use bytes::Bytes;
use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};
use tapline::broker::{
    Append, Broker, Commit, Dump, Embedded, Fetch, GroupPosition, NewTopic, Settings,
    batch::{BatchBuilder, BatchReader, Batches, Compression},
    dump,
};
use tapline_sdk::TopicPartition;
use tempfile::TempDir;

fn at(topic: &str) -> TopicPartition {
    TopicPartition {
        topic: topic.into(),
        partition: 0,
    }
}

fn batch(values: &[String], compression: Compression) -> Bytes {
    let mut builder = BatchBuilder::new();
    for (value, timestamp) in values.iter().zip(1_000..) {
        builder
            .append(
                Some(b"key"),
                Some(value.as_bytes()),
                timestamp,
                [("h", None)],
            )
            .expect("a small record");
    }
    builder.finish(compression).expect("a batch")
}

fn new(name: &str, settings: &[(&str, &str)]) -> NewTopic {
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    NewTopic {
        name: name.into(),
        partitions: 1,
        config: settings.iter().map(pair).collect(),
    }
}

fn small() -> Settings {
    Settings {
        journal_file_bytes: 8 << 10,
        free_space_min: Some(0),
        ..Settings::default()
    }
}

/// What the stored directories hold: one batch behind a checkpoint, one in the journal only, a group's position.
async fn write_fixture(dir: &Path) {
    let log = Embedded::open(dir, small()).expect("the log opens");
    let settings = [("cleanup.policy", "compact"), ("segment.bytes", "1048576")];
    let topics = log
        .create(vec![new("orders", &settings)])
        .await
        .expect("a topic");
    let mut writer = log.writer("fixture").await.expect("a writer");
    let first = batch(&["one".to_owned(), "two".to_owned()], Compression::None);
    let append = |batch| Append {
        to: at("orders"),
        batch,
    };
    let commit = Commit {
        appends: vec![append(first)],
        positions: Vec::new(),
    };
    writer.commit(commit).await.expect("durable");
    log.close().await.expect("closed");
    drop((writer, log));

    let log = Embedded::open(dir, small()).expect("the log opens");
    let mut writer = log.writer("fixture").await.expect("a writer");
    let second = batch(&vec!["three".to_owned(); 900], Compression::Lz4);
    let positions = vec![GroupPosition {
        group: "connect-sink".into(),
        topic_id: topics.first().expect("the topic").id,
        partition: 0,
        next: 2,
    }];
    let commit = Commit {
        appends: vec![append(second)],
        positions,
    };
    writer.commit(commit).await.expect("durable");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

async fn values(log: &Embedded, mut offset: u64) -> Vec<String> {
    let mut values = Vec::new();
    let mut reader = BatchReader::new();
    loop {
        let fetch = Fetch {
            from: vec![(at("orders"), offset)],
            max_bytes: 1 << 20,
            min_bytes: 1,
            max_wait: Duration::ZERO,
        };
        let fetched = log.fetch(fetch).await.expect("readable").remove(0);
        if fetched.batches.is_empty() {
            return values;
        }
        for batch in Batches::new(&fetched.batches) {
            let batch = batch.expect("whole batches");
            for record in reader.read(&batch).expect("a right batch") {
                let value = record
                    .expect("a right record")
                    .value
                    .unwrap_or_default()
                    .to_vec();
                values.push(String::from_utf8(value).expect("text"));
            }
            offset = batch.header.next_offset();
        }
    }
}

/// Format 1, as the first version wrote it. `TAPLINE_WRITE_FIXTURE=1` makes the folder if it is missing; a fixture
/// that exists is never written again, because its bytes are the promise.
#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_of_format_1_opens() {
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/log-v1");
    if env::var_os("TAPLINE_WRITE_FIXTURE").is_some() && !stored.exists() {
        write_fixture(&stored).await;
    }
    let dir = TempDir::new().expect("a folder");
    copy(&stored, dir.path());
    // Git keeps no empty folders, and the journal alone must be enough for what the checkpoint does not cover.
    fs::create_dir_all(dir.path().join("logs")).expect("a folder");
    let log = Embedded::open(dir.path(), small()).expect("format 1 opens");
    let found = values(&log, 0).await;
    assert_eq!(found.len(), 902);
    assert_eq!(
        found.get(..3),
        Some(&["one".to_owned(), "two".to_owned(), "three".to_owned()][..])
    );
    let topic = log.topic("orders").expect("the topic");
    let expected = BTreeMap::from([
        ("cleanup.policy".to_owned(), "compact".to_owned()),
        ("segment.bytes".to_owned(), "1048576".to_owned()),
    ]);
    assert_eq!(topic.config, expected);
    let positions = log.positions("connect-sink");
    let position = positions.first().expect("a position");
    assert_eq!((position.topic_id, position.next), (topic.id, 2));
    assert_eq!(log.stats().damage.load(Relaxed), 0);

    let mut out = Vec::new();
    let segment = dir.path().join("logs/orders-0/00000000000000000000.log");
    let dumped = dump(&segment, Dump::Records, &mut out).expect("readable");
    assert_eq!(
        (dumped.batches, dumped.records, dumped.damaged),
        (2, 902, 0)
    );
}

/// A log with many batches, several segments and indexes, closed: for Kafka's tools. Returns its segment files.
pub async fn write_segments(dir: &Path) -> Vec<PathBuf> {
    let log = Embedded::open(dir, small()).expect("the log opens");
    let topics = vec![new("orders", &[("segment.bytes", "65536")])];
    log.create(topics).await.expect("a topic");
    let mut writer = log.writer("o").await.expect("a writer");
    for number in 0..200 {
        let compression = if number % 2 == 0 {
            Compression::Lz4
        } else {
            Compression::None
        };
        let values = vec![format!("value {number} {}", "x".repeat(number * 3)); 10];
        let batch = batch(&values, compression);
        let appends = vec![Append {
            to: at("orders"),
            batch,
        }];
        writer
            .commit(Commit {
                appends,
                positions: Vec::new(),
            })
            .await
            .expect("durable");
    }
    log.close().await.expect("closed");
    segment_files(&dir.join("logs/orders-0"))
}

/// A compacted log with tombstones, sparse offsets and ranges without a record, and a topic that retention shortened:
/// for Kafka's tools. Returns the segment files of both, and how many records each holds.
pub async fn write_kept(dir: &Path) -> [(Vec<PathBuf>, usize); 2] {
    let settings = Settings {
        checkpoint_interval: Duration::from_millis(5),
        upkeep_interval: Duration::from_millis(5),
        ..small()
    };
    let log = Embedded::open(dir, settings).expect("the log opens");
    let compacted = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "4096"),
        ("min.cleanable.dirty.ratio", "0.01"),
    ];
    let retained = [("retention.bytes", "20000"), ("segment.bytes", "4096")];
    let topics = vec![new("compacted", &compacted), new("retained", &retained)];
    log.create(topics).await.expect("topics");
    let mut writer = log.writer("o").await.expect("a writer");
    let stats = log.stats();
    let until = Instant::now() + Duration::from_secs(120);
    let enough = || {
        let done = (&stats.compactions, &stats.retention_segments);
        done.0.load(Relaxed) >= 5 && done.1.load(Relaxed) >= 5
    };
    for number in 0_u64.. {
        if number >= 400 && enough() {
            break;
        }
        assert!(Instant::now() < until, "upkeep does nothing");
        let appends = ["compacted", "retained"].map(|topic| {
            let mut builder = BatchBuilder::new();
            for record in 0..3 {
                let number = number * 3 + record;
                // A few keys that come again and again, some that come once, of which some are deletions.
                let key = match number {
                    50..60 => 1_000 + number,
                    _ => number % 7,
                };
                let value = format!("value {number} {}", "x".repeat(40)).into_bytes();
                let value = (number % 11 != 0 && !(55..60).contains(&number)).then_some(&value[..]);
                let headers = [("h", Some(&b"v"[..]))];
                builder
                    .append(Some(&key.to_be_bytes()), value, 1_700_000_000_000, headers)
                    .expect("a small record");
            }
            let codec = [Compression::None, Compression::Lz4][number as usize % 2];
            Append {
                to: at(topic),
                batch: builder.finish(codec).expect("a batch"),
            }
        });
        let commit = Commit {
            appends: appends.into(),
            positions: Vec::new(),
        };
        writer.commit(commit).await.expect("durable");
    }
    log.close().await.expect("closed");
    ["compacted", "retained"].map(|topic| {
        let files = segment_files(&dir.join(format!("logs/{topic}-0")));
        let logs = files
            .iter()
            .filter(|file| file.extension() == Some("log".as_ref()));
        let records = logs.map(|file| {
            let dumped = dump(file, Dump::Records, &mut std::io::sink()).expect("readable");
            assert_eq!(dumped.damaged, 0);
            usize::try_from(dumped.records).expect("few")
        });
        let records = records.sum();
        (files, records)
    })
}

/// Logs and indexes of a partition's folder.
fn segment_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension != "metadata")
        })
        .collect();
    files.sort();
    files
}

/// Prints figures; asserts only that everything arrived, because a test must not depend on the machine's speed.
#[tokio::test(flavor = "multi_thread")]
async fn large_batches_stream_into_the_log() {
    let total: usize = if env::var_os("TAPLINE_PROVE").is_some() {
        1 << 30
    } else {
        32 << 20
    };
    let dir = TempDir::new().expect("a folder");
    let log = Embedded::open(
        dir.path(),
        Settings {
            free_space_min: Some(0),
            ..Settings::default()
        },
    )
    .expect("the log opens");
    log.create(vec![new("orders", &[])]).await.expect("a topic");
    for size in [256 << 10, 1 << 20] {
        let mut writer = log.writer("o").await.expect("a writer");
        let batch = batch(&["x".repeat(size)], Compression::None);
        let count = total / size;
        let before = log.stats().syncs.load(Relaxed);
        let started = Instant::now();
        let mut waiting = std::collections::VecDeque::new();
        for _ in 0..count {
            let appends = vec![Append {
                to: at("orders"),
                batch: batch.clone(),
            }];
            waiting.push_back(writer.commit(Commit {
                appends,
                positions: Vec::new(),
            }));
            if waiting.len() >= 8 {
                waiting
                    .pop_front()
                    .expect("eight wait")
                    .await
                    .expect("durable");
            }
        }
        for commit in waiting {
            commit.await.expect("durable");
        }
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "batches of {} KiB: {:.0} MB/s, {} syncs",
            size >> 10,
            (count * size) as f64 / 1e6 / seconds,
            log.stats().syncs.load(Relaxed) - before
        );
    }
    let ends = log.topic("orders").expect("the topic").partitions;
    let expected = total / (256 << 10) + total / (1 << 20);
    assert_eq!(
        ends.first().expect("a partition").high_watermark,
        expected as u64
    );
}

/// The same stream of keyed rows twice, with a log that compacts beside it and with one that does not. Prints the
/// ratio; asserts only that everything arrived and that the one compacted what the other did not.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_beside_compaction() {
    let (commits, runs) = match env::var_os("TAPLINE_PROVE").is_some() {
        true => (2_000_u64, 5),
        false => (160, 1),
    };
    let mut ratios = Vec::new();
    for run in 0..runs {
        let alone = stream(commits, Duration::from_secs(3_600)).await;
        let beside = stream(commits, Duration::from_millis(10)).await;
        assert_eq!(alone.compacted_bytes, 0);
        assert!(beside.compacted_bytes > 0, "nothing was compacted");
        let ratio = alone.seconds / beside.seconds;
        println!(
            "run {run}: {:.0} MiB/s alone, {:.0} MiB/s while {} MiB were read and {} MiB written anew: {ratio:.2}",
            alone.bytes / alone.seconds / 1_048_576.0,
            beside.bytes / beside.seconds / 1_048_576.0,
            beside.compacted_bytes >> 20,
            beside.written_bytes >> 20,
        );
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "a stream beside compaction runs at {:.2} of its speed alone (median of {runs})",
        ratios.get(runs / 2).copied().unwrap_or_default()
    );
}

struct Streamed {
    seconds: f64,
    bytes: f64,
    compacted_bytes: u64,
    written_bytes: u64,
}

async fn stream(commits: u64, upkeep_interval: Duration) -> Streamed {
    let dir = TempDir::new().expect("a folder");
    let settings = Settings {
        checkpoint_bytes: 8 << 20,
        upkeep_interval,
        free_space_min: Some(0),
        ..Settings::default()
    };
    let log = Embedded::open(dir.path(), settings).expect("the log opens");
    let topic = [("cleanup.policy", "compact"), ("segment.bytes", "2097152")];
    log.create(vec![new("orders", &topic)])
        .await
        .expect("a topic");
    let batches: Vec<Bytes> = (0..8_u64)
        .map(|part| {
            let mut builder = BatchBuilder::new();
            for row in 0..1_000_u64 {
                let key = (part * 500 + row).to_be_bytes();
                let value = format!("row {row} of {part} {}", "x".repeat(180));
                builder
                    .append(Some(&key), Some(value.as_bytes()), 1, [])
                    .expect("a small record");
            }
            builder.finish(Compression::None).expect("a batch")
        })
        .collect();
    let mut writer = log.writer("o").await.expect("a writer");
    let began = Instant::now();
    let mut waiting = std::collections::VecDeque::new();
    let mut bytes = 0;
    for (_, batch) in (0..commits).zip(batches.iter().cycle()) {
        bytes += batch.len();
        let appends = vec![Append {
            to: at("orders"),
            batch: batch.clone(),
        }];
        waiting.push_back(writer.commit(Commit {
            appends,
            positions: Vec::new(),
        }));
        // As a source does: a few are in flight.
        if waiting.len() > 8
            && let Some(oldest) = waiting.pop_front()
        {
            oldest.await.expect("durable");
        }
    }
    for rest in waiting {
        rest.await.expect("durable");
    }
    let seconds = began.elapsed().as_secs_f64();
    let stats = log.stats();
    // A short stream on a busy machine may be over before the first round.
    let until = Instant::now() + Duration::from_secs(120);
    while upkeep_interval < Duration::from_secs(1)
        && stats.compactions.load(Relaxed) == 0
        && Instant::now() < until
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Streamed {
        seconds,
        bytes: bytes as f64,
        compacted_bytes: stats.compaction_read_bytes.load(Relaxed),
        written_bytes: stats.compaction_written_bytes.load(Relaxed),
    }
}
