//! The log driven step by step on a real disk: recovery, damage, space, fencing.

use super::*;
use crate::broker::{
    Append, Commit,
    batch::{BatchBuilder, BatchReader, Batches, Compression},
    storage::Disk,
};
use bytes::Bytes;
use std::{fs, path::Path, time::Duration};
use tempfile::TempDir;

pub(super) const KIB: u64 = 1 << 10;

fn small() -> Settings {
    Settings {
        journal_file_bytes: 4 * KIB,
        segment_bytes: 16 * KIB,
        checkpoint_bytes: 1 << 20,
        checkpoint_interval: Duration::from_secs(3_600),
        batch_bytes_max: 1 << 20,
        free_space_min: Some(0),
        ..Settings::default()
    }
}

fn open(dir: &Path) -> Log {
    try_open(dir, small()).expect("the log opens")
}

fn try_open(dir: &Path, settings: Settings) -> Result<Log, Error> {
    Log::open(
        Arc::new(Disk::open(dir).expect("a data directory")),
        settings,
    )
}

fn at(topic: &str) -> TopicPartition {
    TopicPartition {
        topic: topic.into(),
        partition: 0,
    }
}

/// A batch of `count` records whose values are `text` with their number.
fn batch(text: &str, count: u32, timestamp_ms: i64) -> Bytes {
    let mut builder = BatchBuilder::new();
    for number in 0..count {
        let value = format!("{text}{number}");
        let at = timestamp_ms + i64::from(number);
        builder
            .append(None, Some(value.as_bytes()), at, [])
            .expect("a small record");
    }
    builder.finish(Compression::None).expect("a batch")
}

fn append(topic: &str, batch: Bytes) -> Append {
    Append {
        to: at(topic),
        batch,
    }
}

fn one(topic: &str, text: &str) -> Commit {
    Commit {
        appends: vec![append(topic, batch(text, 1, 1_000))],
        positions: Vec::new(),
    }
}

fn run(log: &mut Log) -> Step {
    loop {
        match log.step() {
            Step::Done => {}
            other => return other,
        }
    }
}

fn ask<T>(log: &mut Log, op: impl FnOnce(Reply<T>) -> Op) -> Result<T, Error> {
    let (reply, mut answer) = oneshot::channel();
    log.enqueue(op(reply));
    run(log);
    answer.try_recv().expect("an answer")
}

fn create(log: &mut Log, topic: &str) -> TopicInfo {
    let topics = vec![NewTopic {
        name: topic.into(),
        partitions: 1,
        config: BTreeMap::new(),
    }];
    ask(log, |reply| Op::Create { topics, reply })
        .expect("a topic")
        .remove(0)
}

fn writer(log: &mut Log, owner: &str) -> WriterId {
    let owner: Arc<str> = owner.into();
    let asked = Arc::clone(&owner);
    let generation = ask(log, |reply| Op::Writer {
        owner: asked,
        reply,
    })
    .expect("a writer");
    WriterId {
        owner,
        generation,
        failed: Arc::default(),
    }
}

fn enqueue(
    log: &mut Log,
    writer: &WriterId,
    commit: Commit,
) -> oneshot::Receiver<Result<Vec<u64>, Error>> {
    let commit = log.check(commit).expect("a commit that is right");
    let (reply, answer) = oneshot::channel();
    log.enqueue(Op::Commit {
        writer: writer.clone(),
        commit,
        reply,
    });
    answer
}

fn commit(log: &mut Log, writer: &WriterId, commit: Commit) -> Result<Vec<u64>, Error> {
    let mut answer = enqueue(log, writer, commit);
    run(log);
    answer.try_recv().expect("an answer")
}

/// Every record from `offset` on, one fetch after the other.
fn values(log: &Log, topic: &str, mut offset: u64) -> Result<Vec<(u64, String)>, Error> {
    let mut values = Vec::new();
    let mut reader = BatchReader::new();
    loop {
        let bytes = log.read(&at(topic), offset, 4_096)?;
        if bytes.is_empty() {
            return Ok(values);
        }
        for batch in Batches::new(&bytes) {
            let batch = batch.expect("whole batches");
            for record in reader.read(&batch).expect("a right batch") {
                let record = record.expect("a right record");
                if record.offset >= offset {
                    let value = String::from_utf8_lossy(record.value.unwrap_or_default());
                    values.push((record.offset, value.into_owned()));
                }
            }
            offset = batch.header.next_offset();
        }
    }
}

fn journal_files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir.join("journal"))
        .expect("a journal")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}

fn segment(dir: &Path, topic: &str) -> std::path::PathBuf {
    dir.join(format!("logs/{topic}-0/{:020}.log", 0))
}

/// Bytes that are certain to stand in exactly one place of a file: where.
fn find(bytes: &[u8], text: &str) -> usize {
    let mut places = bytes
        .windows(text.len())
        .enumerate()
        .filter(|(_, window)| *window == text.as_bytes());
    let place = places.next().expect("the text").0;
    assert!(places.next().is_none(), "{text} stands there twice");
    place
}

#[test]
fn a_new_directory_gets_a_cluster_id_that_stays() {
    let dir = TempDir::new().expect("a folder");
    let first = open(dir.path()).shared.cluster_id.to_string();
    assert_eq!(first.len(), 22);
    assert_eq!(*open(dir.path()).shared.cluster_id, *first);
}

#[test]
fn a_second_process_is_refused() {
    let dir = TempDir::new().expect("a folder");
    let _log = open(dir.path());
    let error = try_open(dir.path(), small()).err().expect("refused");
    assert_eq!(error.code, Some("TL0201"));
}

#[test]
fn other_directories_are_refused_and_left_alone() {
    let dir = TempDir::new().expect("a folder");
    fs::write(dir.path().join("photo.jpg"), "x").expect("a file");
    let error = try_open(dir.path(), small()).err().expect("refused");
    assert_eq!(error.code, Some("TL0203"));

    let dir = TempDir::new().expect("a folder");
    drop(open(dir.path()));
    let meta = dir.path().join("meta");
    let good = fs::read(&meta).expect("meta");
    for index in 0..good.len() {
        let mut bad = good.clone();
        bad[index] ^= 1;
        fs::write(&meta, &bad).expect("written");
        let error = try_open(dir.path(), small()).err().expect("refused");
        assert!(matches!(error.code, Some("TL0202" | "TL0203")), "{error:?}");
    }
    let text = String::from_utf8(good.clone())
        .expect("text")
        .replace("format=1", "format=2");
    let body = &text[..text.rfind("crc32c=").expect("a checksum")];
    let newer = format!(
        "{body}crc32c={:08x}\n",
        crate::broker::layout::crc(body.as_bytes())
    );
    fs::write(&meta, newer).expect("written");
    let error = try_open(dir.path(), small()).err().expect("refused");
    assert_eq!(error.code, Some("TL0202"));
    fs::remove_file(&meta).expect("removed");
    let log = dir.path().join("logs/orders-0");
    fs::create_dir_all(log).expect("a folder");
    let error = try_open(dir.path(), small())
        .err()
        .expect("a lost meta is no new directory");
    assert_eq!(error.code, Some("TL0203"));
}

#[test]
fn commits_that_wait_share_one_sync() {
    let dir = TempDir::new().expect("a folder");
    let mut log = open(dir.path());
    for topic in 0..50 {
        create(&mut log, &format!("t{topic}"));
    }
    let id = writer(&mut log, "o");
    let before = log.shared.means.stats.syncs.load(Relaxed);
    let entries = log.shared.means.stats.entries.load(Relaxed);
    let mut answers: Vec<_> = (0..50)
        .map(|topic| enqueue(&mut log, &id, one(&format!("t{topic}"), "v")))
        .collect();
    run(&mut log);
    for answer in &mut answers {
        assert_eq!(answer.try_recv().expect("an answer").expect("durable"), [0]);
    }
    assert_eq!(log.shared.means.stats.entries.load(Relaxed) - entries, 1);
    // The entry spans a few of the 4 KiB files, each synced once.
    let syncs = log.shared.means.stats.syncs.load(Relaxed) - before;
    assert!(syncs <= 4, "{syncs} syncs");
}

#[test]
fn what_was_acknowledged_is_there_after_a_crash() {
    let dir = TempDir::new().expect("a folder");
    let mut log = open(dir.path());
    let info = create(&mut log, "orders");
    let id = writer(&mut log, "o");
    let mut expected = Vec::new();
    for number in 0..200 {
        let bases = commit(&mut log, &id, one("orders", &format!("v{number}-"))).expect("durable");
        assert_eq!(bases, [number]);
        expected.push((number, format!("v{number}-0")));
        if number == 77 {
            log.checkpoint().expect("a checkpoint");
        }
    }
    assert_eq!(values(&log, "orders", 0).expect("readable"), expected);
    drop(log);
    for _ in 0..3 {
        let log = open(dir.path());
        assert_eq!(
            log.topics()
                .iter()
                .find(|topic| &*topic.name == "orders")
                .expect("the topic")
                .id,
            info.id
        );
        assert_eq!(values(&log, "orders", 0).expect("readable"), expected);
        assert_eq!(
            values(&log, "orders", 150).expect("readable"),
            expected[150..]
        );
        assert!(log.damage(&at("orders")).is_empty());
    }
}

#[test]
fn an_entry_larger_than_a_journal_file_spans_several() {
    let dir = TempDir::new().expect("a folder");
    let mut log = open(dir.path());
    create(&mut log, "orders");
    let id = writer(&mut log, "o");
    let large = "x".repeat(100_000);
    commit(&mut log, &id, one("orders", &large)).expect("durable");
    commit(&mut log, &id, one("orders", "small")).expect("durable");
    assert!(journal_files(dir.path()).len() > 20);
    drop(log);
    // Only the journal has it: recovery must put it together again.
    fs::remove_dir_all(dir.path().join("logs/orders-0")).expect("removed");
    let log = open(dir.path());
    let expected = [(0, format!("{large}0")), (1, "small0".to_owned())];
    assert_eq!(values(&log, "orders", 0).expect("readable"), expected);
    assert!(
        journal_files(dir.path()).len() <= 4,
        "files are given free by the checkpoint"
    );
}

#[test]
fn recycled_journal_files_never_replay() {
    let dir = TempDir::new().expect("a folder");
    let mut log = open(dir.path());
    create(&mut log, "orders");
    let id = writer(&mut log, "o");
    for number in 0..100 {
        commit(&mut log, &id, one("orders", &format!("v{number}-"))).expect("durable");
        if number % 7 == 0 {
            log.checkpoint().expect("a checkpoint");
        }
    }
    let files = journal_files(dir.path()).len();
    assert!(files <= 5, "{files} journal files");
    drop(log);
    let mut log = open(dir.path());
    assert_eq!(values(&log, "orders", 0).expect("readable").len(), 100);
    assert_eq!(log.shared.means.stats.damage.load(Relaxed), 0);
    let id = writer(&mut log, "o");
    assert_eq!(
        commit(&mut log, &id, one("orders", "w")).expect("durable"),
        [100]
    );
    drop(log);
    assert_eq!(
        values(&open(dir.path()), "orders", 0)
            .expect("readable")
            .len(),
        101
    );
}

#[test]
fn a_torn_last_entry_is_cut_at_every_point() {
    let dir = TempDir::new().expect("a folder");
    let mut log = open(dir.path());
    create(&mut log, "orders");
    let id = writer(&mut log, "o");
    commit(&mut log, &id, one("orders", "first")).expect("durable");
    let before: Vec<Vec<u8>> = journal_files(dir.path())
        .iter()
        .map(|file| fs::read(file).expect("read"))
        .collect();
    commit(&mut log, &id, one("orders", "second")).expect("durable");
    let files = journal_files(dir.path());
    let after: Vec<Vec<u8>> = files
        .iter()
        .map(|file| fs::read(file).expect("read"))
        .collect();
    drop(log);
    let changed = (0..files.len())
        .find(|index| before.get(*index) != after.get(*index))
        .expect("a change");
    let first = after[changed]
        .iter()
        .zip(&before[changed])
        .position(|(a, b)| a != b)
        .expect("a change");
    let last = after[changed]
        .iter()
        .zip(&before[changed])
        .rposition(|(a, b)| a != b)
        .expect("a change");
    let copy = |to: &Path| copy_folder(dir.path(), to);
    for cut in first..=last {
        let dir = TempDir::new().expect("a folder");
        copy(dir.path());
        // As after a power cut: the journal's last write is torn, and the segments were never written.
        let mut torn = after[changed].clone();
        torn[cut..=last].copy_from_slice(&before[changed][cut..=last]);
        fs::write(
            dir.path()
                .join("journal")
                .join(files[changed].file_name().expect("a name")),
            torn,
        )
        .expect("written");
        fs::remove_dir_all(dir.path().join("logs/orders-0")).expect("removed");
        let mut log = open(dir.path());
        assert_eq!(
            values(&log, "orders", 0).expect("readable"),
            [(0, "first0".to_owned())],
            "cut at {cut}"
        );
        assert!(
            log.damage(&at("orders")).is_empty(),
            "a torn tail is no damage"
        );
        let id = writer(&mut log, "o");
        assert_eq!(
            commit(&mut log, &id, one("orders", "third")).expect("durable"),
            [1]
        );
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

#[test]
fn a_bad_entry_that_a_later_one_calls_durable_is_damage() {
    let dir = TempDir::new().expect("a folder");
    let mut log = try_open(
        dir.path(),
        Settings {
            journal_file_bytes: 64 * KIB,
            ..small()
        },
    )
    .expect("opens");
    create(&mut log, "orders");
    create(&mut log, "other");
    let id = writer(&mut log, "o");
    for text in ["alpha", "bravo", "charlie"] {
        commit(&mut log, &id, one("orders", text)).expect("durable");
    }
    commit(&mut log, &id, one("other", "delta")).expect("durable");
    drop(log);
    let file = journal_files(dir.path()).pop().expect("a file");
    let mut bytes = fs::read(&file).expect("read");
    let place = find(&bytes, "bravo0");
    bytes[place] ^= 1;
    fs::write(&file, bytes).expect("written");

    // The segments have it: nothing is lost.
    let copy = TempDir::new().expect("a folder");
    copy_folder(dir.path(), copy.path());
    let log = try_open(copy.path(), small()).expect("opens");
    assert_eq!(values(&log, "orders", 0).expect("readable").len(), 3);
    assert!(log.damage(&at("orders")).is_empty());
    drop(log);

    // The segments lost it in a power cut: that offset is damage, everything else is served.
    fs::remove_dir_all(dir.path().join("logs")).expect("removed");
    fs::create_dir(dir.path().join("logs")).expect("a folder");
    for _ in 0..2 {
        let log = try_open(dir.path(), small()).expect("opens");
        assert_eq!(log.damage(&at("orders")), vec![1..2]);
        let error = values(&log, "orders", 0).expect_err("offset 1 is not served");
        assert_eq!(error.code, Some("TL0213"));
        assert_eq!(
            values(&log, "orders", 2).expect("readable"),
            [(2, "charlie0".to_owned())]
        );
        assert_eq!(
            log.read(&at("orders"), 0, 1 << 20).expect("readable").len(),
            batch("alpha", 1, 0).len()
        );
        assert_eq!(
            values(&log, "other", 0).expect("readable"),
            [(0, "delta0".to_owned())]
        );
    }
}

#[test]
fn a_lost_list_leaves_a_gap_that_no_later_record_fills() {
    let dir = TempDir::new().expect("a folder");
    let mut log = try_open(
        dir.path(),
        Settings {
            journal_file_bytes: 64 * KIB,
            ..small()
        },
    )
    .expect("opens");
    create(&mut log, "orders");
    let other = create(&mut log, "other");
    let id = writer(&mut log, "o");
    commit(&mut log, &id, one("orders", "alpha")).expect("durable");
    let file = journal_files(dir.path()).pop().expect("a file");
    let before = fs::read(&file).expect("read");
    commit(&mut log, &id, one("orders", "bravo")).expect("durable");
    let after = fs::read(&file).expect("read");
    commit(&mut log, &id, one("other", "delta")).expect("durable");
    drop(log);
    let header = after
        .iter()
        .zip(&before)
        .position(|(a, b)| a != b)
        .expect("a change");
    let mut bytes = fs::read(&file).expect("read");
    bytes[header + 20] ^= 1;
    fs::write(&file, bytes).expect("written");

    let copy = TempDir::new().expect("a folder");
    copy_folder(dir.path(), copy.path());
    let log = try_open(copy.path(), small()).expect("opens");
    assert_eq!(
        values(&log, "orders", 0).expect("readable").len(),
        2,
        "the segments have it"
    );
    assert!(log.damage(&at("orders")).is_empty() && log.damage(&at("other")).is_empty());
    drop(log);

    fs::remove_dir_all(dir.path().join("logs")).expect("removed");
    fs::create_dir(dir.path().join("logs")).expect("a folder");
    let mut log = try_open(dir.path(), small()).expect("opens");
    assert_eq!(log.damage(&at("orders")).first().expect("a gap").start, 1);
    assert!(
        log.damage(&at("other")).is_empty(),
        "a later entry says where {} stands",
        other.name
    );
    let id = writer(&mut log, "o");
    let base = commit(&mut log, &id, one("orders", "echo")).expect("durable")[0];
    assert!(base > 1, "an offset that was served is never given again");
    assert_eq!(
        values(&log, "orders", base).expect("readable"),
        [(base, "echo0".to_owned())]
    );
}

#[test]
fn a_flipped_bit_in_any_byte_of_a_segment_is_found_and_the_rest_is_served() {
    let dir = TempDir::new().expect("a folder");
    let mut log = open(dir.path());
    create(&mut log, "orders");
    let id = writer(&mut log, "o");
    for text in ["alpha", "bravo", "charlie", "delta"] {
        commit(&mut log, &id, one("orders", text)).expect("durable");
    }
    let good = values(&log, "orders", 0).expect("readable");
    log.close().expect("closed");
    drop(log);
    let file = segment(dir.path(), "orders");
    let bytes = fs::read(&file).expect("read");
    // Every bit is the fault sweep's business; here each byte gets one, always another.
    for bit in (0..bytes.len()).map(|byte| byte * 8 + byte % 8) {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        fs::write(&file, &bad).expect("written");
        let log = open(dir.path());
        let mut served = Vec::new();
        let mut offset = 0;
        let mut damaged = 0;
        while offset < 4 {
            match log.read(&at("orders"), offset, 1) {
                Ok(_) => {
                    let value = values_one(&log, offset);
                    served.push((offset, value));
                    offset += 1;
                }
                Err(error) => {
                    assert_eq!(error.code, Some("TL0213"), "bit {bit}: {error:?}");
                    damaged += 1;
                    offset += 1;
                }
            }
        }
        assert_eq!(damaged, 1, "bit {bit} of {}", bytes.len() * 8);
        for (offset, value) in served {
            assert_eq!(
                good[usize::try_from(offset).expect("small")],
                (offset, value)
            );
        }
    }
}

fn values_one(log: &Log, offset: u64) -> String {
    let bytes = log.read(&at("orders"), offset, 1).expect("readable");
    let batch = Batches::new(&bytes)
        .next()
        .expect("a batch")
        .expect("whole");
    assert_eq!(batch.bytes().len(), bytes.len(), "one batch");
    let mut reader = BatchReader::new();
    let record = reader
        .read(&batch)
        .expect("right")
        .next()
        .expect("a record")
        .expect("right");
    assert_eq!(record.offset, offset);
    String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned()
}

#[test]
fn a_fenced_writer_and_one_whose_commit_failed_commit_nothing_more() {
    let dir = TempDir::new().expect("a folder");
    let mut log = open(dir.path());
    create(&mut log, "orders");
    let old = writer(&mut log, "task");
    let mut before = enqueue(&mut log, &old, one("orders", "before"));
    let (reply, mut generation) = oneshot::channel();
    log.enqueue(Op::Writer {
        owner: "task".into(),
        reply,
    });
    let mut late = enqueue(&mut log, &old, one("orders", "late"));
    run(&mut log);
    assert_eq!(before.try_recv().expect("an answer").expect("durable"), [0]);
    assert_eq!(
        generation
            .try_recv()
            .expect("an answer")
            .expect("a generation"),
        old.generation + 1
    );
    let error = late.try_recv().expect("an answer").expect_err("fenced");
    assert_eq!(
        (error.code, error.kind),
        (Some("TL0205"), tapline_sdk::ErrorKind::Fatal)
    );
    let other = writer(&mut log, "other");
    let error = commit(&mut log, &other, one("nowhere", "x")).expect_err("no such topic");
    assert_eq!(error.code, Some("TL0207"));
    let error = commit(&mut log, &other, one("orders", "x")).expect_err("order is kept");
    assert_eq!(error.code, Some("TL0206"));
    assert_eq!(values(&log, "orders", 0).expect("readable").len(), 1);
}

#[test]
fn group_positions_survive_and_a_new_topic_inherits_none() {
    let dir = TempDir::new().expect("a folder");
    let mut log = open(dir.path());
    let info = create(&mut log, "orders");
    let id = writer(&mut log, "sink");
    let position = |next| GroupPosition {
        group: "connect-sink".into(),
        topic_id: info.id,
        partition: 0,
        next,
    };
    for next in 1..=20 {
        let mut with = one("orders", "v");
        with.positions = vec![position(next)];
        assert_eq!(commit(&mut log, &id, with).expect("durable").len(), 1);
        if next == 10 {
            log.checkpoint().expect("a checkpoint");
        }
    }
    drop(log);
    let mut log = open(dir.path());
    assert_eq!(log.positions("connect-sink"), [position(20)]);
    let deleted = ask(&mut log, |reply| Op::Delete {
        topic: "orders".into(),
        reply,
    });
    assert!(deleted.expect("deleted"));
    assert!(log.positions("connect-sink").is_empty());
    assert_ne!(create(&mut log, "orders").id, info.id);
    let id = writer(&mut log, "sink");
    commit(&mut log, &id, one("orders", "new")).expect("durable");
    drop(log);
    let log = open(dir.path());
    assert!(log.positions("connect-sink").is_empty());
    assert_eq!(
        values(&log, "orders", 0).expect("readable"),
        [(0, "new0".to_owned())]
    );
    assert!(
        !fs::read_dir(dir.path().join("logs"))
            .expect("a folder")
            .any(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .ends_with("-delete")
            })
    );
}

#[test]
fn group_positions_are_written_anew_when_their_topic_has_grown() {
    let dir = TempDir::new().expect("a folder");
    let mut log = open(dir.path());
    let info = create(&mut log, "orders");
    let id = writer(&mut log, "sink");
    let position = |group: &str, next| GroupPosition {
        group: group.into(),
        topic_id: info.id,
        partition: 0,
        next,
    };
    // The idle group's record stands in the first segment only.
    let long = "g".repeat(1_000);
    let of = |positions| Commit {
        appends: Vec::new(),
        positions,
    };
    commit(&mut log, &id, of(vec![position("idle", 7)])).expect("durable");
    let groups = TopicPartition {
        topic: GROUPS_TOPIC.into(),
        partition: 0,
    };
    for round in 0..10_u64 {
        let positions = (0..1_000).map(|_| position(&long, round)).collect();
        commit(&mut log, &id, of(positions)).expect("durable");
    }
    assert_eq!(log.ends(&groups).expect("the topic").log_start, 0);
    log.checkpoint().expect("a checkpoint");
    run(&mut log);
    let ends = log.ends(&groups).expect("the topic");
    assert_eq!(
        (ends.log_start, ends.log_end),
        (10_001, 10_003),
        "one record per position"
    );
    for _ in 0..2 {
        assert_eq!(log.positions("idle"), [position("idle", 7)]);
        assert_eq!(log.positions(&long), [position(&long, 9)]);
        let bytes = log.read(&groups, 10_001, 1 << 20).expect("readable");
        assert_eq!(
            crate::broker::groups::decode(&bytes)
                .expect("positions")
                .len(),
            2
        );
        drop(log);
        log = open(dir.path());
    }
}

#[test]
fn the_log_start_moves_and_segments_below_go() {
    let dir = TempDir::new().expect("a folder");
    let mut log = open(dir.path());
    create(&mut log, "orders");
    let id = writer(&mut log, "o");
    for number in 0..100 {
        commit(
            &mut log,
            &id,
            one("orders", &format!("{number}{}", "y".repeat(1_000))),
        )
        .expect("durable");
    }
    let files = || {
        fs::read_dir(dir.path().join("logs/orders-0"))
            .expect("a folder")
            .count()
    };
    let before = files();
    ask(&mut log, |reply| Op::SetLogStart {
        at: at("orders"),
        offset: 60,
        reply,
    })
    .expect("moved");
    log.checkpoint().expect("a checkpoint");
    assert!(files() < before);
    assert_eq!(
        values(&log, "orders", 59).expect_err("gone").code,
        Some("TL0212")
    );
    assert_eq!(values(&log, "orders", 60).expect("readable").len(), 40);
    drop(log);
    let mut log = open(dir.path());
    assert_eq!(
        log.ends(&at("orders")),
        Some(Ends {
            log_start: 60,
            log_end: 100,
            high_watermark: 100
        })
    );
    assert_eq!(values(&log, "orders", 60).expect("readable").len(), 40);
    let error = ask(&mut log, |reply| Op::SetLogStart {
        at: at("orders"),
        offset: 101,
        reply,
    });
    assert_eq!(error.expect_err("beyond the end").code, Some("TL0212"));
}

#[test]
fn commits_wait_below_the_free_space_limit_and_reads_go_on() {
    let dir = TempDir::new().expect("a folder");
    let mut log = open(dir.path());
    create(&mut log, "orders");
    let id = writer(&mut log, "o");
    commit(&mut log, &id, one("orders", "v")).expect("durable");
    drop(log);
    let mut log = try_open(
        dir.path(),
        Settings {
            free_space_min: Some(u64::MAX),
            ..small()
        },
    )
    .expect("opens");
    let id = writer(&mut log, "o");
    let mut answer = enqueue(&mut log, &id, one("orders", "w"));
    assert_eq!(run(&mut log), Step::Full);
    assert!(answer.try_recv().is_err(), "it waits");
    assert_eq!(values(&log, "orders", 0).expect("readable").len(), 1);
    // What frees space is done all the same.
    let deleted = ask(&mut log, |reply| Op::Delete {
        topic: "orders".into(),
        reply,
    });
    assert!(deleted.expect("done"));
}

#[test]
fn topics_are_checked_as_kafka_checks_them() {
    let dir = TempDir::new().expect("a folder");
    let mut log = open(dir.path());
    let mut refused = |name: &str, partitions, setting: Option<(&str, &str)>| {
        let topics = vec![NewTopic {
            name: name.into(),
            partitions,
            config: setting
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into_iter()
                .collect(),
        }];
        ask(&mut log, |reply| Op::Create { topics, reply })
            .err()
            .map(|error| (error.code, error.remedy.unwrap_or_default()))
    };
    for name in ["", ".", "..", "a b", "ä", &"x".repeat(250), "a/b"] {
        assert_eq!(
            refused(name, 1, None).expect("refused").0,
            Some("TL0208"),
            "{name}"
        );
    }
    assert_eq!(refused("a", 0, None).expect("refused").0, Some("TL0209"));
    let (code, remedy) = refused("a", 1, Some(("cleanup.polcy", "compact"))).expect("refused");
    assert_eq!(
        (code, &*remedy),
        (Some("TL0209"), "did you mean `cleanup.policy`?")
    );
    assert!(refused("a", 1, Some(("cleanup.policy", "shred"))).is_some());
    assert!(refused("a", 1, Some(("segment.bytes", "16MiB"))).is_some());
    assert!(
        refused(
            &"x".repeat(249),
            2,
            Some(("cleanup.policy", "compact,delete"))
        )
        .is_none()
    );
    assert!(
        refused(&"x".repeat(249), 2, None).is_none(),
        "the same again is fine"
    );
    assert_eq!(
        refused(&"x".repeat(249), 3, None).expect("refused").0,
        Some("TL0209")
    );
}

#[test]
fn a_topic_is_altered_as_a_whole_or_not_and_the_logs_own_not_at_all() {
    let dir = TempDir::new().expect("a folder");
    let mut log = open(dir.path());
    create(&mut log, "orders");
    let alter = |log: &mut Log, topic: &str, changes: &[(&str, Option<&str>)]| {
        let own =
            |(key, value): &(&str, Option<&str>)| ((*key).to_owned(), value.map(str::to_owned));
        let (topic, changes) = (topic.to_owned(), changes.iter().map(own).collect());
        ask(log, |reply| Op::Alter {
            topic,
            changes,
            reply,
        })
    };
    let good = ("retention.ms", Some("60000"));
    let wrong = alter(&mut log, "orders", &[good, ("segment.bytes", Some("1GiB"))]);
    assert_eq!(wrong.expect_err("refused").code, Some("TL0209"));
    assert!(
        log.topics()
            .iter()
            .all(|topic| !topic.config.contains_key("retention.ms"))
    );
    let crossed = [
        ("min.compaction.lag.ms", Some("9")),
        ("max.compaction.lag.ms", Some("8")),
    ];
    let crossed = alter(&mut log, "orders", &crossed).expect_err("no lag is both");
    assert_eq!(crossed.code, Some("TL0209"));
    let unknown = alter(&mut log, "order", &[good]).expect_err("there is none");
    assert_eq!(unknown.code, Some("TL0207"));
    let info = alter(&mut log, "orders", &[good]).expect("altered");
    assert_eq!(info.config["retention.ms"], "60000");
    let info = alter(&mut log, "orders", &[("retention.ms", None)]).expect("taken back");
    assert!(info.config.is_empty());

    let own = alter(&mut log, GROUPS_TOPIC, &[good]).expect_err("refused");
    assert_eq!(own.code, Some("TL0209"));
    let mut delete = |topic: &str| {
        let topic = topic.to_owned();
        ask(&mut log, |reply| Op::Delete { topic, reply })
    };
    let own = delete(GROUPS_TOPIC).expect_err("refused");
    assert!(
        own.remedy
            .is_some_and(|remedy| remedy.contains("tapline offsets"))
    );
    assert!(!delete("order").expect("there is none"));
    assert!(delete("orders").expect("deleted"));
    assert!(!delete("orders").expect("it is gone"));
}

#[test]
fn a_thousand_topics_commit_as_one_and_come_back() {
    let dir = TempDir::new().expect("a folder");
    let mut log = try_open(
        dir.path(),
        Settings {
            journal_file_bytes: 1 << 20,
            ..small()
        },
    )
    .expect("opens");
    let topics = (0..1_000)
        .map(|number| NewTopic {
            name: format!("t{number}").into(),
            partitions: 1,
            config: BTreeMap::new(),
        })
        .collect();
    assert_eq!(
        ask(&mut log, |reply| Op::Create { topics, reply })
            .expect("made")
            .len(),
        1_000
    );
    let id = writer(&mut log, "o");
    for round in 0..2 {
        let appends = (0..1_000)
            .map(|number| append(&format!("t{number}"), batch("v", 1, round)))
            .collect();
        let syncs = log.shared.means.stats.syncs.load(Relaxed);
        let bases = commit(
            &mut log,
            &id,
            Commit {
                appends,
                positions: Vec::new(),
            },
        )
        .expect("durable");
        assert_eq!(bases, vec![u64::try_from(round).expect("small"); 1_000]);
        assert_eq!(log.shared.means.stats.syncs.load(Relaxed) - syncs, 1);
    }
    drop(log);
    let log = open(dir.path());
    assert_eq!(values(&log, "t999", 0).expect("readable").len(), 2);
    assert_eq!(log.topics().len(), 1_001);
}

#[test]
fn a_time_finds_the_record_inside_its_batch() {
    let dir = TempDir::new().expect("a folder");
    let mut log = open(dir.path());
    create(&mut log, "orders");
    let id = writer(&mut log, "o");
    for number in 0..200_i64 {
        let text = "z".repeat(300);
        let appends = vec![append("orders", batch(&text, 5, 1_000 * number))];
        commit(
            &mut log,
            &id,
            Commit {
                appends,
                positions: Vec::new(),
            },
        )
        .expect("durable");
    }
    let find = |log: &Log, time| {
        let topics = log.shared.topics.read();
        topics
            .find(&at("orders"))
            .expect("the topic")
            .1
            .offset_for_time(time)
            .expect("readable")
    };
    let check = |log: &Log| {
        assert_eq!(find(log, -5), Some(0));
        assert_eq!(find(log, 3), Some(3));
        assert_eq!(find(log, 5), Some(5));
        for number in [1, 50, 117, 199] {
            let first = u64::try_from(number * 5).expect("positive");
            assert_eq!(find(log, 1_000 * number), Some(first));
            assert_eq!(find(log, 1_000 * number + 4), Some(first + 4));
        }
        assert_eq!(find(log, 199_005), None);
    };
    check(&log);
    log.checkpoint().expect("a checkpoint");
    drop(log);
    check(&open(dir.path()));
}

#[test]
fn a_clean_shutdown_replays_nothing() {
    let dir = TempDir::new().expect("a folder");
    let mut log = open(dir.path());
    create(&mut log, "orders");
    let id = writer(&mut log, "o");
    commit(&mut log, &id, one("orders", "v")).expect("durable");
    log.close().expect("closed");
    assert!(dir.path().join("clean").exists());
    drop(log);
    let log = open(dir.path());
    assert!(!dir.path().join("clean").exists());
    assert_eq!(values(&log, "orders", 0).expect("readable").len(), 1);
}

#[test]
fn indexes_are_only_caches() {
    let dir = TempDir::new().expect("a folder");
    let mut log = open(dir.path());
    create(&mut log, "orders");
    let id = writer(&mut log, "o");
    for number in 0..100 {
        commit(
            &mut log,
            &id,
            one("orders", &format!("{number}{}", "y".repeat(1_000))),
        )
        .expect("durable");
    }
    let all = values(&log, "orders", 0).expect("readable");
    log.close().expect("closed");
    drop(log);
    let names: Vec<_> = fs::read_dir(dir.path().join("logs/orders-0"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "index" || extension == "timeindex")
        })
        .collect();
    assert!(names.len() >= 12, "{} index files", names.len());
    assert!(
        names
            .iter()
            .any(|name| fs::metadata(name).expect("a file").len() >= 16)
    );
    for damage in ["garbage", "removed", "empty"] {
        for name in &names {
            match damage {
                "garbage" => fs::write(name, [0xa7; 36]).expect("written"),
                "removed" => fs::remove_file(name).expect("removed"),
                _ => fs::write(name, []).expect("written"),
            }
        }
        let log = open(dir.path());
        for offset in [0, 15, 50, 99] {
            let found = values(&log, "orders", offset).expect("readable");
            assert_eq!(
                found,
                all[usize::try_from(offset).expect("small")..],
                "{damage}"
            );
        }
        assert_eq!(log.shared.means.stats.damage.load(Relaxed), 0, "{damage}");
    }
}
