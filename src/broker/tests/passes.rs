//! Single passes of upkeep over chosen records, with a clock that the test moves: what each setting of a topic and each
//! limit of the log makes of them.

use super::world::take_answer;
use crate::broker::{
    Append, Commit, GroupPosition, NewTopic, Readers, SINK_LIMIT_PERCENT, SOURCE_LIMIT_PERCENT,
    batch::{BatchBuilder, BatchReader, Batches, Compression},
    compact::{self, Host, Outcome},
    log::{Log, Op, Reply, Step, WriterId},
    retention,
    settings::Settings,
    storage::sim::SimDisk,
    swap::Swap,
    upkeep::compactable,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tapline_sdk::{Error, TopicPartition};
use tokio::sync::oneshot;

const TOPIC: &str = "orders";

/// Key, value, unavailable fields; a record without a key is a barrier, one without a value a tombstone.
type Chosen<'a> = (Option<&'a str>, Option<&'a str>, Option<&'a str>);

fn row<'a>(key: &'a str, value: &'a str) -> Chosen<'a> {
    (Some(key), Some(value), None)
}

fn tombstone(key: &str) -> Chosen<'_> {
    (Some(key), None, None)
}

const BARRIER: Chosen<'_> = (None, Some("truncate"), None);

/// A log with one topic, on a simulated disk.
struct Desk {
    disk: SimDisk,
    log: Log,
    writer: WriterId,
    topic_id: u128,
}

impl Desk {
    fn new(topic: &[(&str, &str)]) -> Self {
        Self::with(&Settings::default(), topic)
    }

    fn with(settings: &Settings, topic: &[(&str, &str)]) -> Self {
        let disk = SimDisk::new(1);
        let settings = Settings {
            journal_file_bytes: 64 << 10,
            free_space_min: Some(0),
            ..settings.clone()
        };
        let mut log = Log::open(disk.boot(), settings).expect("the log opens");
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let topics = vec![NewTopic {
            name: TOPIC.into(),
            partitions: 1,
            config: topic.iter().map(own).collect(),
        }];
        let made = ask(&mut log, |reply| Op::Create { topics, reply }).expect("a topic");
        let generation = ask(&mut log, |reply| Op::Writer {
            owner: "source".into(),
            reply,
        });
        Self {
            disk,
            log,
            writer: WriterId {
                owner: "source".into(),
                generation: generation.expect("a writer"),
                failed: Arc::default(),
            },
            topic_id: made.first().expect("the topic").id,
        }
    }

    /// Lets so many milliseconds pass.
    fn wait(&self, ms: u64) {
        self.disk.advance(Duration::from_millis(ms));
    }

    fn enqueue(&mut self, commit: Commit) -> oneshot::Receiver<Result<Vec<u64>, Error>> {
        let commit = self.log.check(commit).expect("a commit that is right");
        let (reply, answer) = oneshot::channel();
        let writer = self.writer.clone();
        self.log.enqueue(Op::Commit {
            writer,
            commit,
            reply,
        });
        answer
    }

    fn append(&self, records: &[Chosen<'_>]) -> Commit {
        self.append_with(None, records)
    }

    /// All records have this header, too.
    fn append_with(&self, mark: Option<&str>, records: &[Chosen<'_>]) -> Commit {
        let mut builder = BatchBuilder::new();
        let now_ms = self.disk.boot().now_ms();
        for (key, value, lacks) in records {
            let header = lacks.map(|lacks| ("__tapline.unavailable", Some(lacks.as_bytes())));
            let mark = mark.map(|mark| (mark, Some(&b"1"[..])));
            let (key, value) = (key.map(str::as_bytes), value.map(str::as_bytes));
            builder
                .append(key, value, now_ms, header.into_iter().chain(mark))
                .expect("a small record");
        }
        let batch = builder.finish(Compression::None).expect("a batch");
        Commit {
            appends: vec![Append { to: at(), batch }],
            positions: Vec::new(),
        }
    }

    /// One batch.
    fn put(&mut self, records: &[Chosen<'_>]) {
        let mut answer = self.enqueue(self.append(records));
        assert_eq!(run(&mut self.log), Step::Idle);
        take_answer(&mut answer).expect("durable");
    }

    /// A batch of one record with a header.
    fn put_with(&mut self, mark: &str, record: &Chosen<'_>) {
        let commit = self.append_with(Some(mark), &[*record]);
        let mut answer = self.enqueue(commit);
        assert_eq!(run(&mut self.log), Step::Idle);
        take_answer(&mut answer).expect("durable");
    }

    /// A row of a key of its own that closes the segment: the last one is never compacted.
    fn close_segment(&mut self) {
        let large = "x".repeat(1_000);
        self.put(&[row("large", &large)]);
        self.put(&[row("large", &large)]);
    }

    fn store(&mut self, group: &str, next: u64) {
        let positions = vec![GroupPosition {
            group: group.into(),
            topic_id: self.topic_id,
            partition: 0,
            next,
        }];
        let mut answer = self.enqueue(Commit {
            appends: Vec::new(),
            positions,
        });
        run(&mut self.log);
        take_answer(&mut answer).expect("durable");
    }

    /// These groups read these topics, and nobody else does.
    fn read_by(&self, readers: &[(&str, &[&str])]) {
        let topics = |topics: &[&str]| topics.iter().map(|topic| Arc::from(*topic)).collect();
        let readers: Readers = readers
            .iter()
            .map(|(group, of)| (Arc::from(*group), topics(of)))
            .collect();
        *self.log.shared().kept_for.write() = Some(Arc::new(move || readers.clone()));
    }

    /// A round of upkeep, behind a checkpoint.
    fn keep(&mut self) {
        self.log.checkpoint().expect("no fault");
        let shared = Arc::clone(self.log.shared());
        for op in retention::due(&shared) {
            self.log.enqueue(op);
        }
        run(&mut self.log);
        for (partition, rules) in compactable(&shared) {
            compact::compact(&shared, &partition, &rules, self).expect("no fault");
        }
    }

    /// Everything there is: offset, key, value.
    fn all(&self) -> Vec<(u64, String, Option<String>)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut reader = BatchReader::new();
        let mut all = Vec::new();
        let ends = self.log.ends(&at()).expect("the topic");
        let mut next = ends.log_start;
        while next < ends.log_end {
            let bytes = self.log.read(&at(), next, 1 << 20).expect("readable");
            for batch in Batches::new(&bytes) {
                let batch = batch.expect("whole batches");
                for record in reader.read(&batch).expect("a right batch") {
                    let record = record.expect("a right record");
                    let key = record.key.map(text).unwrap_or_default();
                    all.push((record.offset, key, record.value.map(text)));
                }
                next = batch.header.next_offset();
            }
        }
        all
    }

    /// The offsets of records, but for those that close segments.
    fn offsets(&self) -> Vec<u64> {
        let all = self.all().into_iter();
        let chosen = all.filter(|(_, key, _)| key != "large");
        chosen.map(|(offset, ..)| offset).collect()
    }

    fn segments(&self) -> usize {
        let topics = self.log.shared().topics.read();
        let partition = topics.find(&at()).expect("the topic").1;
        partition.state.read().segments.len()
    }

    fn log_start(&self) -> u64 {
        self.log.ends(&at()).expect("the topic").log_start
    }
}

impl Host for Desk {
    fn pace(&mut self, _bytes: u64) -> bool {
        true
    }

    fn swap(&mut self, swap: Swap) -> Outcome {
        match ask(&mut self.log, |reply| Op::Swap { swap, reply }) {
            Ok(true) => Outcome::Done,
            Ok(false) => Outcome::Refused,
            Err(_) => Outcome::Unknown,
        }
    }
}

fn at() -> TopicPartition {
    TopicPartition {
        topic: TOPIC.into(),
        partition: 0,
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
    take_answer(&mut answer)
}

/// A topic that is compacted as soon as anything is superseded, and whose tombstones may go after a second.
const EAGER: [(&str, &str); 4] = [
    ("cleanup.policy", "compact"),
    ("segment.bytes", "1024"),
    ("min.cleanable.dirty.ratio", "0"),
    ("delete.retention.ms", "1000"),
];

fn eager_with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    EAGER.into_iter().chain(more.iter().copied()).collect()
}

#[test]
fn a_segment_closes_when_a_record_is_younger_than_its_first_by_segment_ms() {
    let mut desk = Desk::new(&[("segment.ms", "500")]);
    desk.put(&[row("a", "1")]);
    desk.wait(490);
    desk.put(&[row("a", "2")]);
    assert_eq!(desk.segments(), 1);
    desk.wait(20);
    desk.put(&[row("a", "3")]);
    assert_eq!(desk.segments(), 2);
    // The age counts from the first record of the segment, not from the last.
    desk.wait(400);
    desk.put(&[row("a", "4")]);
    assert_eq!(desk.segments(), 2);
    desk.wait(120);
    desk.put(&[row("a", "5")]);
    assert_eq!(desk.segments(), 3);
    // What is altered counts from the next append on, for the segment at hand too.
    let changes = BTreeMap::from([("segment.ms".to_owned(), Some("10".to_owned()))]);
    let topic = TOPIC.to_owned();
    ask(&mut desk.log, |reply| Op::Alter {
        topic,
        changes,
        reply,
    })
    .expect("altered");
    desk.wait(20);
    desk.put(&[row("a", "6")]);
    assert_eq!(desk.segments(), 4);
}

#[test]
fn nothing_younger_than_min_compaction_lag_is_compacted() {
    let mut desk = Desk::new(&eager_with(&[("min.compaction.lag.ms", "5000")]));
    desk.put(&[row("a", "1")]);
    desk.put(&[row("a", "2")]);
    desk.close_segment();
    desk.keep();
    assert_eq!(desk.offsets(), [0, 1], "too young");
    desk.wait(4_900);
    desk.keep();
    assert_eq!(desk.offsets(), [0, 1], "still too young");
    desk.wait(200);
    desk.keep();
    assert_eq!(desk.offsets(), [1]);
}

#[test]
fn what_waits_longer_than_max_compaction_lag_is_compacted_whatever_the_ratio() {
    let topic = |lag: &'static str| {
        let mut settings = vec![
            ("cleanup.policy", "compact"),
            ("segment.bytes", "1024"),
            ("min.cleanable.dirty.ratio", "1"),
            ("delete.retention.ms", "1000"),
        ];
        settings.push(("max.compaction.lag.ms", lag));
        settings
    };
    let mut desk = Desk::new(&topic("5000"));
    // The first pass finds a log that is all dirty, which is a ratio of 1; from then on a part of it is clean.
    desk.put(&[row("b", "1")]);
    desk.close_segment();
    desk.keep();
    desk.put(&[row("a", "1")]);
    desk.put(&[row("a", "2")]);
    desk.close_segment();
    let before = desk.offsets();
    desk.wait(4_000);
    desk.keep();
    assert_eq!(desk.offsets(), before, "below the ratio, and not late");
    desk.wait(2_000);
    desk.keep();
    assert_eq!(desk.offsets().len(), before.len() - 1, "late");
    // The lag also closes the segment that is written, else its records would wait for ever.
    let mut desk = Desk::new(&topic("700"));
    desk.put(&[row("a", "1")]);
    desk.wait(800);
    desk.put(&[row("a", "2")]);
    assert_eq!(desk.segments(), 2);
}

/// A batch with tombstones says in the place of its time when they may go, which is no reason to wait for the rest.
#[test]
fn a_segment_that_a_pass_ended_within_is_late_by_its_records() {
    let settings = Settings {
        // Room for one key.
        compaction_map_bytes: 48,
        ..Settings::default()
    };
    let topic = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "50000"),
        ("min.cleanable.dirty.ratio", "1"),
        ("max.compaction.lag.ms", "5000"),
        ("delete.retention.ms", "1000000"),
    ];
    let mut desk = Desk::with(&settings, &topic);
    let (half, most) = ("y".repeat(20_000), "y".repeat(40_000));
    desk.put(&[row("a", &most)]);
    desk.put(&[tombstone("a")]);
    desk.put(&[row("b", &half)]);
    desk.put(&[row("b", &half)]);
    desk.put(&[row("large", &most)]);
    desk.keep();
    desk.wait(6_000);
    desk.keep();
    assert_eq!(desk.offsets(), [1, 2, 3], "the map had room for `a`");
    for _ in 0..2 {
        desk.keep();
    }
    assert_eq!(desk.offsets(), [1, 3]);
}

#[test]
fn a_tombstone_stays_until_every_sink_has_passed_and_its_time_is_over() {
    let mut desk = Desk::new(&EAGER);
    desk.store("connect-slow", 0);
    desk.store("connect-fast", 0);
    desk.put(&[row("a", "1")]);
    desk.put(&[tombstone("a")]);
    desk.close_segment();
    desk.keep();
    assert_eq!(desk.offsets(), [0, 1], "what was right before tells of it");
    desk.store("connect-fast", 4);
    desk.wait(2_000);
    desk.close_segment();
    desk.keep();
    assert_eq!(
        desk.offsets(),
        [0, 1],
        "its time is over, one sink has not passed"
    );
    desk.store("connect-slow", 1);
    desk.close_segment();
    desk.keep();
    assert_eq!(desk.offsets(), [1], "it is the next that the sink reads");
    desk.store("connect-slow", 2);
    desk.close_segment();
    desk.keep();
    assert_eq!(desk.offsets(), [] as [u64; 0]);
}

#[test]
fn a_tombstone_that_every_sink_has_passed_stays_until_its_time_is_over() {
    let mut desk = Desk::new(&EAGER);
    desk.put(&[row("a", "1")]);
    desk.put(&[tombstone("a")]);
    desk.close_segment();
    // Its time begins when it is compacted for the first time, not when it was written.
    desk.wait(5_000);
    desk.keep();
    assert_eq!(desk.offsets(), [1]);
    desk.wait(900);
    desk.close_segment();
    desk.keep();
    assert_eq!(desk.offsets(), [1], "100 ms too early");
    desk.wait(200);
    desk.close_segment();
    desk.keep();
    assert_eq!(desk.offsets(), [] as [u64; 0]);
}

/// Batches large enough to be copied as they are, so that a full map ends a pass between them.
#[test]
fn a_tombstone_behind_a_full_map_stays_with_what_it_deletes() {
    let settings = Settings {
        // Room for one key.
        compaction_map_bytes: 48,
        ..Settings::default()
    };
    let mut topic = EAGER;
    topic[1] = ("segment.bytes", "100000");
    let mut desk = Desk::with(&settings, &topic);
    let large = "y".repeat(20_000);
    desk.put(&[row("a", &large)]);
    desk.put(&[row("b", &large)]);
    desk.put(&[row("c", &large)]);
    desk.put(&[row("b", "2"), tombstone("a"), row("d", &large)]);
    for _ in 0..3 {
        desk.put(&[row("large", &large)]);
    }
    for round in 0..6 {
        // The time of every tombstone that was noted is over before each pass.
        desk.wait(2_000);
        desk.keep();
        let all = desk.all();
        let has = |offset: u64| all.iter().any(|(at, ..)| *at == offset);
        assert!(
            has(4) || !has(0),
            "pass {round}: the tombstone of a row that stands went"
        );
    }
    let offsets = desk.offsets();
    assert!(
        !offsets.contains(&0) && !offsets.contains(&1),
        "{offsets:?}"
    );
}

/// A pass of one batch each: the delete that leaves, its tombstone and the arrival stand in different ones.
#[test]
fn a_key_change_that_full_maps_cut_apart_keeps_the_row_that_it_builds_upon() {
    let settings = Settings {
        // Room for one key.
        compaction_map_bytes: 48,
        ..Settings::default()
    };
    let mut topic = EAGER;
    topic[1] = ("segment.bytes", "100000");
    let mut desk = Desk::with(&settings, &topic);
    // Large enough to be copied as they are.
    let large = "y".repeat(20_000);
    desk.put(&[row("old", &large)]);
    desk.put(&[row("other", &large)]);
    desk.put_with("__debezium.newkey", &row("old", &large));
    desk.put(&[tombstone("old")]);
    let arrival = (Some("new"), Some(large.as_str()), Some("after.body"));
    desk.put_with("__debezium.oldkey", &arrival);
    for _ in 0..6 {
        desk.put(&[row("large", &large)]);
    }
    for round in 0..8 {
        desk.wait(2_000);
        desk.keep();
        assert_eq!(desk.offsets(), [0, 1, 2, 3, 4], "pass {round}");
    }
    // The row that left is needed by nobody any more once the other has everything.
    desk.put(&[row("new", &large)]);
    for _ in 0..8 {
        desk.put(&[row("large", &large)]);
        desk.wait(2_000);
        desk.keep();
    }
    let all = desk.all();
    let stands = |key: &str| {
        all.iter()
            .any(|(_, at, value)| at == key && value.is_some())
    };
    assert!(!stands("old"), "{:?}", desk.offsets());
    assert!(stands("new") && stands("other"));
}

#[test]
fn a_barrier_stays_until_every_sink_has_passed_and_no_row_below_is_left() {
    let mut desk = Desk::new(&EAGER);
    desk.store("connect-slow", 0);
    desk.put(&[row("a", "1")]);
    desk.put(&[BARRIER]);
    desk.put(&[row("a", "2")]);
    desk.close_segment();
    desk.keep();
    assert_eq!(
        desk.offsets(),
        [1, 2],
        "the sink has yet to empty its target"
    );
    desk.store("connect-slow", 2);
    desk.close_segment();
    desk.keep();
    assert_eq!(desk.offsets(), [2]);

    let mut desk = Desk::new(&EAGER);
    desk.put(&[row("kept", "1")]);
    desk.put(&[BARRIER]);
    desk.close_segment();
    desk.keep();
    desk.close_segment();
    desk.keep();
    assert_eq!(
        desk.offsets(),
        [0, 1],
        "a row below that nothing else deletes"
    );
}

#[test]
fn retention_by_time_takes_whole_old_segments_that_every_sink_has_read() {
    let topic = [("retention.ms", "1000"), ("segment.ms", "100")];
    let mut desk = Desk::new(&topic);
    desk.store("connect-sink", 0);
    for _ in 0..5 {
        desk.put(&[row("a", "1")]);
        desk.wait(200);
    }
    desk.keep();
    assert_eq!(desk.log_start(), 0, "nothing is old enough");
    desk.wait(500);
    desk.keep();
    assert_eq!(desk.log_start(), 0, "the sink has read nothing");
    desk.store("connect-sink", 2);
    desk.keep();
    assert_eq!(desk.log_start(), 2, "up to where the sink is");
    desk.store("connect-sink", 5);
    desk.keep();
    assert_eq!(desk.log_start(), 3, "up to what is young");
    desk.wait(2_000);
    desk.keep();
    assert_eq!(
        desk.log_start(),
        5,
        "all of it is old, the last segment too"
    );
    desk.put(&[row("a", "after")]);
    assert_eq!(desk.offsets(), [5], "offsets go on");
}

#[test]
fn retention_by_size_keeps_at_least_what_the_setting_says() {
    let topic = [("retention.bytes", "3000"), ("segment.bytes", "1024")];
    let mut desk = Desk::new(&topic);
    let kilo = "z".repeat(900);
    for _ in 0..10 {
        desk.put(&[row("a", &kilo)]);
    }
    desk.store("connect-sink", 4);
    desk.keep();
    assert_eq!(desk.log_start(), 4, "up to where the sink is");
    desk.store("connect-sink", 10);
    desk.keep();
    assert_eq!(
        desk.log_start(),
        6,
        "four segments of 970 bytes are the least above 3000"
    );
    desk.keep();
    assert_eq!(desk.log_start(), 6);
}

/// A log that may take 40,000 bytes, in segments of 1 KiB that are old at once.
fn limited() -> Desk {
    let settings = Settings {
        log_bytes_max: Some(40_000),
        ..Settings::default()
    };
    let topic = [("retention.ms", "10"), ("segment.bytes", "1024")];
    let mut desk = Desk::with(&settings, &topic);
    desk.store("connect-slow", 2);
    desk
}

/// Fills up to so many percent of the limit.
fn fill(desk: &mut Desk, percent: u64) {
    let kilo = "z".repeat(900);
    while retention::usage_percent(&desk.log.shared().means.stats) < percent {
        desk.put(&[row("a", &kilo)]);
        retention::measure(desk.log.shared());
    }
}

#[test]
fn near_the_limit_retention_waits_for_no_sink_and_the_slowest_gets_a_remedy() {
    let mut desk = limited();
    fill(&mut desk, SINK_LIMIT_PERCENT - 5);
    desk.wait(50);
    desk.keep();
    assert_eq!(
        desk.log_start(),
        2,
        "below the limit the sink is waited for"
    );
    fill(&mut desk, SINK_LIMIT_PERCENT);
    desk.wait(50);
    desk.keep();
    let ends = desk.log.ends(&at()).expect("the topic");
    assert_eq!(ends.log_start, ends.log_end, "all of it was due");
    let error = desk.log.read(&at(), 2, 1 << 20).expect_err("gone");
    assert_eq!(error.code, Some("TL0212"));
    let remedy = error.remedy.unwrap_or_default();
    assert!(remedy.contains("tapline offsets set"), "{remedy}");
    // The log has room again, and the floor holds again.
    desk.store("connect-slow", ends.log_end);
    desk.put(&[row("a", "1")]);
    desk.wait(50);
    desk.keep();
    assert_eq!(desk.log_start(), ends.log_end);
}

#[test]
fn at_the_limit_commits_wait_and_go_on_when_space_is_free() {
    let settings = Settings {
        log_bytes_max: Some(40_000),
        ..Settings::default()
    };
    // Nothing is ever due.
    let topic = [("retention.ms", "-1"), ("segment.bytes", "1024")];
    let mut desk = Desk::with(&settings, &topic);
    fill(&mut desk, SOURCE_LIMIT_PERCENT);
    let before = desk.offsets();
    let mut waiting = desk.enqueue(desk.append(&[row("a", "waits")]));
    for _ in 0..3 {
        assert_eq!(run(&mut desk.log), Step::Full);
        desk.keep();
    }
    assert!(waiting.try_recv().is_err(), "it waits, and is not refused");
    assert_eq!(desk.offsets(), before, "readers read on");
    // An operator gives old records up.
    let (reply, _) = oneshot::channel();
    let op = Op::SetLogStart {
        at: at(),
        offset: 30,
        reply,
    };
    desk.log.enqueue(op);
    assert_eq!(
        run(&mut desk.log),
        Step::Full,
        "what waits has not been measured anew"
    );
    desk.keep();
    assert_eq!(run(&mut desk.log), Step::Idle);
    let bases = take_answer(&mut waiting).expect("it went on by itself");
    assert_eq!(bases, [before.len() as u64]);
}

#[test]
fn only_groups_that_exist_hold_records_back() {
    let mut desk = Desk::new(&[("retention.ms", "10"), ("segment.bytes", "1024")]);
    desk.store("connect-deleted", 0);
    desk.store("connect-sink", 1);
    let kilo = "z".repeat(900);
    for _ in 0..4 {
        desk.put(&[row("a", &kilo)]);
    }
    desk.wait(50);
    desk.keep();
    assert_eq!(desk.log_start(), 0);
    desk.read_by(&[("connect-sink", &[TOPIC])]);
    desk.keep();
    assert_eq!(desk.log_start(), 1);
}

#[test]
fn a_sink_that_has_stored_no_position_holds_retention_at_the_logs_start() {
    let mut desk = Desk::new(&[("retention.ms", "10"), ("segment.bytes", "1024")]);
    desk.store("connect-sink", 3);
    let kilo = "z".repeat(900);
    for _ in 0..5 {
        desk.put(&[row("a", &kilo)]);
    }
    desk.wait(50);
    desk.read_by(&[("connect-sink", &[TOPIC]), ("connect-new", &[TOPIC])]);
    desk.keep();
    assert_eq!(desk.log_start(), 0, "the new sink begins here");
    desk.store("connect-new", 1);
    desk.keep();
    assert_eq!(desk.log_start(), 1);
    // Its offsets are reset: it begins anew, at what is there.
    desk.store("connect-new", GroupPosition::UNSET);
    desk.keep();
    assert_eq!(desk.log_start(), 1);
    desk.read_by(&[("connect-sink", &[TOPIC]), ("connect-new", &["others"])]);
    desk.keep();
    assert_eq!(desk.log_start(), 3, "it reads another topic");
    desk.read_by(&[("connect-sink", &[]), ("connect-source", &[])]);
    desk.keep();
    assert_eq!(
        desk.log_start(),
        3,
        "a stored position counts without a topic"
    );
}

#[test]
fn near_the_limit_retention_waits_for_no_sink_that_has_stored_no_position() {
    let mut desk = limited();
    desk.read_by(&[("connect-new", &[TOPIC])]);
    fill(&mut desk, SINK_LIMIT_PERCENT - 5);
    desk.wait(50);
    desk.keep();
    assert_eq!(desk.log_start(), 0);
    fill(&mut desk, SINK_LIMIT_PERCENT);
    desk.wait(50);
    desk.keep();
    let ends = desk.log.ends(&at()).expect("the topic");
    assert_eq!(ends.log_start, ends.log_end);
}

#[test]
fn a_tombstone_stays_for_a_sink_that_has_stored_no_position() {
    let mut desk = Desk::new(&EAGER);
    desk.read_by(&[("connect-new", &[TOPIC])]);
    desk.put(&[row("a", "1"), tombstone("a")]);
    for _ in 0..3 {
        desk.close_segment();
        desk.wait(2_000);
        desk.keep();
        assert_eq!(desk.offsets(), [0, 1]);
    }
    desk.store("connect-new", 2);
    for _ in 0..2 {
        desk.close_segment();
        desk.wait(2_000);
        desk.keep();
    }
    assert_eq!(desk.offsets(), [] as [u64; 0]);
}
