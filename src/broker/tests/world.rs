//! A log on a simulated disk, driven by random operations and compared with the model after every restart.

use super::{
    follow::{FOLLOWERS, Targets},
    model::{
        At, COMPACTED, COMPACTED_AGED, Kind, Model, PartitionView, Position, TopicView, View,
        is_compacted, kind, value,
    },
};
use crate::broker::{
    Append, Commit, GroupPosition, NewTopic, SINK_LIMIT_PERCENT, TopicInfo,
    batch::{BatchBuilder, BatchReader, Batches, Compression},
    compact::{self, Host, Outcome},
    groups::GROUPS_TOPIC,
    log::{Log, Op, Step, WriterId},
    retention,
    settings::Settings,
    storage::sim::{Restart, SimDisk},
    swap::Swap,
    upkeep::compactable,
};
use fastrand::Rng;
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};
use tapline_sdk::{Error, TopicPartition};
use tokio::sync::oneshot::{self, Receiver, error::TryRecvError};

/// Names are few, so that topics are deleted and made again.
const TOPICS: [&str; 7] = [
    "orders",
    "customers",
    RETAINED,
    AGED,
    "connect-offsets",
    COMPACTED,
    COMPACTED_AGED,
];

/// A topic of which retention keeps little, and how much.
const RETAINED: &str = "items";
const RETAINED_BYTES: u64 = 4_096;

/// A topic of which retention keeps what is young, and how long; also of the compacted one with retention.
const AGED: &str = "visits";
const AGED_MS: u64 = 300;

/// The longest time in which nothing happens: after some of them tombstones may go, and what is old.
const IDLE_MS_MAX: u64 = 40;

/// What operations on topics change.
const SETTING: &str = "segment.bytes";

const OWNERS: [&str; 3] = ["shop.source", "logs.source", "shop.replica"];

/// Attempts to step past a full disk before something has to give.
const FULL_STEPS_MAX: usize = 3;

/// An answer that is still to come.
enum Pending {
    Commit(usize, Receiver<Result<Vec<u64>, Error>>),
    /// Of a fenced writer: must be refused.
    Stale(Receiver<Result<Vec<u64>, Error>>),
    Writer(Arc<str>, Receiver<Result<u64, Error>>),
    Create(Vec<String>, Receiver<Result<Vec<TopicInfo>, Error>>),
    Delete(String, Receiver<Result<bool, Error>>),
    LogStart(At, u64, Receiver<Result<(), Error>>),
    Alter(String, Option<String>, Receiver<Result<TopicInfo, Error>>),
    Swap(Receiver<Result<bool, Error>>),
}

/// How driving the log ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Driven {
    /// Everything is answered.
    Idle,
    /// The disk is full and something waits.
    Waiting,
    /// The log has stopped, or its process died.
    Stopped,
}

/// Disk, log, model and the dice.
pub(super) struct World {
    pub disk: SimDisk,
    pub model: Model,
    pub random: Rng,
    pub settings: Settings,
    pub log: Option<Log>,
    writers: BTreeMap<Arc<str>, WriterId>,
    stale: Vec<WriterId>,
    pending: Vec<Pending>,
    /// Stale commits that were refused.
    pub fenced: u64,
    /// Swaps of compacted segments that were done.
    pub swaps: u64,
    /// Log starts that retention moved.
    pub retained: u64,
    /// Targets of compacted topics.
    pub targets: Targets,
    /// Stored positions are beyond all records, and hold nothing back.
    pub far: bool,
    /// Records go to this topic alone.
    pub only: Option<&'static str>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed ^ 0x5EED);
        let settings = Settings {
            journal_file_bytes: 4 << random.u32(10..15),
            segment_bytes: 1 << random.u32(10..16),
            free_space_min: Some(0),
            retention_ms: None,
            // A few keys, so that a log needs several passes, or all of them.
            compaction_map_bytes: if random.bool() { 3 * 48 } else { 1 << 20 },
            ..Settings::default()
        };
        Self {
            disk: SimDisk::new(seed),
            model: Model::default(),
            random,
            settings,
            log: None,
            writers: BTreeMap::new(),
            stale: Vec::new(),
            pending: Vec::new(),
            fenced: 0,
            swaps: 0,
            retained: 0,
            targets: Targets::default(),
            far: false,
            only: None,
        }
    }

    /// Starts a process. `false`: it failed, which a fault must explain.
    pub(super) fn open(&mut self) -> bool {
        let opened = self.try_open();
        if let Err(error) = &opened {
            let struck = self.disk.struck();
            assert!(
                struck.is_some(),
                "no fault, and the log does not open: {}",
                error.chain()
            );
        }
        // It may have died while it tidied up, which it does not look back at.
        opened.is_ok() && !self.disk.is_dead()
    }

    /// Starts a process, on a disk that may not let it.
    pub(super) fn try_open(&mut self) -> Result<(), Error> {
        self.writers.clear();
        self.stale.clear();
        self.log = Some(Log::open(self.disk.boot(), self.settings.clone())?);
        Ok(())
    }

    /// What a process would see that starts on another disk; `None` if it refuses.
    pub(super) fn view_of(&self, disk: &SimDisk) -> Option<View> {
        let log = Log::open(disk.boot(), self.settings.clone()).ok()?;
        Some(view(&log))
    }

    /// Ends the process; what was in flight is unknown from here.
    pub(super) fn end(&mut self, how: Restart) {
        self.log = None;
        self.settle_pending();
        self.disk.restart(how);
    }

    /// Starts until it succeeds, then compares everything.
    pub(super) fn reopen(&mut self) {
        while !self.open() {
            self.disk.restart(Restart::Process);
        }
        self.check();
    }

    /// Compares the log with the model.
    pub(super) fn check(&mut self) {
        let view = self.view();
        let checked = self.model.check(&view);
        if let Err(wrong) = checked.and_then(|()| self.check_targets(&view)) {
            panic!("{wrong}\nlast operations:\n{}", self.disk.recent());
        }
    }

    /// Compares a log that has stopped, or waits for space: what is durable and not acknowledged may be seen in part,
    /// and then stays.
    pub(super) fn check_undecided(&mut self) {
        let view = self.view();
        if let Err(wrong) = self.model.check_undecided(&view) {
            panic!(
                "undecided: {wrong}\nlast operations:\n{}",
                self.disk.recent()
            );
        }
    }

    /// What the log shows.
    pub(super) fn view(&self) -> View {
        let told = Recent(&self.disk);
        let view = view(self.log.as_ref().expect("the log is open"));
        std::mem::forget(told);
        view
    }

    /// Creates topics and waits.
    pub(super) fn create(&mut self, topics: &[(&str, u32)]) {
        let topics = topics
            .iter()
            .map(|(name, partitions)| ((*name).to_owned(), *partitions));
        self.enqueue_new(topics.collect());
        assert_eq!(self.drive(), Driven::Idle);
    }

    /// Enqueues a commit of two small appends.
    pub(super) fn commit_small(&mut self) {
        while self.writers.is_empty() {
            self.enqueue_takeover();
            self.drive();
        }
        let writer = self
            .writers
            .values()
            .next()
            .cloned()
            .expect("one was taken");
        let (attempt, commit) = self.commit(2, 4).expect("there are topics");
        let (reply, answer) = oneshot::channel();
        self.enqueue_checked(writer, commit, reply, Pending::Commit(attempt, answer));
    }

    /// Does something at random.
    pub(super) fn act(&mut self) -> Driven {
        let idle = Duration::from_millis(self.random.u64(..IDLE_MS_MAX));
        self.disk.advance(idle);
        for _ in 0..self.random.usize(1..4) {
            self.enqueue_random();
        }
        for _ in 0..self.random.usize(..3) {
            self.follow();
        }
        let driven = self.drive();
        if driven == Driven::Idle && self.random.u8(..8) == 0 {
            let log = self.log.as_mut().expect("the log is open");
            if log.checkpoint().is_err() {
                return Driven::Stopped;
            }
        }
        if driven == Driven::Idle && self.random.u8(..4) == 0 {
            return self.upkeep();
        }
        driven
    }

    /// A round of what the log does by itself, as its thread does it.
    pub(super) fn upkeep(&mut self) -> Driven {
        let shared = Arc::clone(self.log.as_ref().expect("the log is open").shared());
        for op in retention::due(&shared) {
            self.retain(op);
        }
        let driven = self.drive();
        if driven != Driven::Idle {
            return driven;
        }
        for (partition, rules) in compactable(&shared) {
            if let Err(why) = compact::compact(&shared, &partition, &rules, self) {
                let log = self.log.as_mut().expect("the log is open");
                log.enqueue(Op::Stop { why });
            }
            let driven = self.drive();
            if driven != Driven::Idle {
                return driven;
            }
        }
        Driven::Idle
    }

    /// A log start that retention moves, which nobody waits for.
    fn retain(&mut self, op: Op) {
        let Op::Retain {
            topic_id,
            partition,
            offset,
        } = op
        else {
            panic!("retention does something else");
        };
        let live = self.model.live();
        let topic = live.iter().find(|(_, id, _)| *id == topic_id);
        let at = (topic.expect("the topic is there").0.clone(), partition);
        self.check_overdue(&at, offset);
        let log = self.log.as_ref().expect("the log is open");
        let usage = retention::usage_percent(&log.shared().means.stats);
        // Near the limit nobody is waited for.
        let groups = OWNERS.into_iter().chain(FOLLOWERS);
        for group in groups.filter(|_| usage < SINK_LIMIT_PERCENT) {
            for position in log.positions(group) {
                let here = position.topic_id == topic_id && position.partition == partition;
                assert!(
                    !here || position.next >= offset,
                    "{group} has not read {at:?}"
                );
            }
        }
        self.model.moving_start(&at, offset);
        self.log.as_mut().expect("the log is open").enqueue(op);
        if self.drive() == Driven::Idle {
            self.model.moved_start(&at, offset);
            self.retained += 1;
        }
    }

    /// What retention takes must be old, or more than is to be kept; looked at apart from how the log finds out.
    fn check_overdue(&self, (topic, partition): &At, offset: u64) {
        let log = self.log.as_ref().expect("the log is open");
        let at = TopicPartition {
            topic: topic.as_str().into(),
            partition: *partition,
        };
        let ends = log.ends(&at).expect("the partition is there");
        let (mut next, mut youngest_ms, mut kept) = (ends.log_start, i64::MIN, 0);
        while next < ends.log_end {
            // What a fault strikes, or what is damaged, cannot be judged.
            let Ok(bytes) = log.read(&at, next, 1 << 20) else {
                return;
            };
            for batch in Batches::new(&bytes) {
                let header = batch.expect("whole batches are served").header;
                next = header.next_offset();
                if next <= offset && header.count > 0 {
                    youngest_ms = youngest_ms.max(header.max_timestamp_ms);
                } else if next > offset {
                    kept += header.bytes as u64;
                }
            }
        }
        let oldest_kept = self.disk.boot().now_ms() - AGED_MS as i64;
        match topic.as_str() {
            RETAINED => assert!(kept >= RETAINED_BYTES, "{kept} bytes are left of {at:?}"),
            AGED | COMPACTED_AGED => assert!(
                youngest_ms < oldest_kept,
                "{at:?} up to {offset} is too young to go"
            ),
            other => panic!("retention takes from {other}"),
        }
    }

    fn enqueue_alter(&mut self) {
        let Some((topic, ..)) = self.pick_live() else {
            return;
        };
        if self.is_in_flight(&topic) {
            return;
        }
        let value = self
            .random
            .bool()
            .then(|| (1_u32 << self.random.u32(10..14)).to_string());
        self.model.altering(&topic, &value);
        let (reply, answer) = oneshot::channel();
        let changes = BTreeMap::from([(SETTING.to_owned(), value.clone())]);
        let op = Op::Alter {
            topic: topic.clone(),
            changes,
            reply,
        };
        self.enqueue(op, Pending::Alter(topic, value, answer));
    }

    fn enqueue_random(&mut self) {
        match self.random.u8(..20) {
            0 | 1 => self.enqueue_create(),
            2 => self.enqueue_delete(),
            3 => self.enqueue_log_start(),
            4 => self.enqueue_takeover(),
            5 => self.enqueue_alter(),
            _ => self.enqueue_commit(),
        }
    }

    pub(super) fn enqueue_create(&mut self) {
        let mut names: Vec<&str> = TOPICS.into_iter().filter(|_| self.random.bool()).collect();
        names.retain(|name| !self.is_in_flight(name));
        if names.is_empty() {
            return;
        }
        let live = self.model.live();
        let new = names.iter().map(|name| {
            let partitions = live.iter().find(|(known, ..)| known == name);
            (
                (*name).to_owned(),
                partitions.map_or_else(|| self.random.u32(1..4), |(.., count)| *count),
            )
        });
        let new = new.collect();
        self.enqueue_new(new);
    }

    fn enqueue_new(&mut self, new: Vec<(String, u32)>) {
        self.model.creating(&new);
        let names = new.iter().map(|(name, _)| name.clone()).collect();
        let topics = new.into_iter().map(|(name, partitions)| NewTopic {
            config: config(&name),
            name: name.into(),
            partitions,
        });
        let (reply, answer) = oneshot::channel();
        let topics = topics.collect();
        self.enqueue(Op::Create { topics, reply }, Pending::Create(names, answer));
    }

    pub(super) fn enqueue_delete(&mut self) {
        let Some((name, ..)) = self.pick_live() else {
            return;
        };
        // A full disk may do a deletion before what was asked for earlier.
        if self.is_in_flight(&name) {
            return;
        }
        self.model.deleting(&name);
        let (reply, answer) = oneshot::channel();
        let topic = name.clone();
        self.enqueue(Op::Delete { topic, reply }, Pending::Delete(name, answer));
    }

    fn enqueue_log_start(&mut self) {
        let Some((name, _, partitions)) = self.pick_live() else {
            return;
        };
        let partition = self.random.u32(..partitions);
        let at = TopicPartition {
            topic: name.as_str().into(),
            partition,
        };
        let log = self.log.as_ref().expect("the log is open");
        let Some(ends) = log.ends(&at).filter(|_| !self.is_in_flight(&name)) else {
            return;
        };
        let offset = self.random.u64(ends.log_start..=ends.log_end);
        self.model.moving_start(&(name.clone(), partition), offset);
        let (reply, answer) = oneshot::channel();
        let op = Op::SetLogStart { at, offset, reply };
        self.enqueue(op, Pending::LogStart((name, partition), offset, answer));
    }

    /// A successor, and then a commit of the one it fenced.
    fn enqueue_takeover(&mut self) {
        let owner: Arc<str> = self.pick_owner().into();
        let (reply, answer) = oneshot::channel();
        let op = Op::Writer {
            owner: Arc::clone(&owner),
            reply,
        };
        let fenced = self.writers.remove(&owner);
        self.enqueue(op, Pending::Writer(owner, answer));
        self.stale.extend(fenced);
        let Some(stale) = self.stale.last().cloned() else {
            return;
        };
        let Some((attempt, commit)) = self.commit(1, 120) else {
            return;
        };
        // It may never be seen, whatever happens.
        self.model.refused(attempt);
        let (reply, answer) = oneshot::channel();
        self.enqueue_checked(stale, commit, reply, Pending::Stale(answer));
    }

    pub(super) fn enqueue_commit(&mut self) {
        let owner: Arc<str> = self.pick_owner().into();
        let Some(writer) = self.writers.get(&owner).cloned() else {
            let waits =
                |pending: &Pending| matches!(pending, Pending::Writer(by, _) if *by == owner);
            if !self.pending.iter().any(waits) {
                let (reply, answer) = oneshot::channel();
                let op = Op::Writer {
                    owner: Arc::clone(&owner),
                    reply,
                };
                self.enqueue(op, Pending::Writer(owner, answer));
            }
            return;
        };
        let appends = self.random.usize(..5);
        let Some((attempt, commit)) = self.commit(appends, 120) else {
            return;
        };
        let (reply, answer) = oneshot::channel();
        self.enqueue_checked(writer, commit, reply, Pending::Commit(attempt, answer));
    }

    fn enqueue_checked(
        &mut self,
        writer: WriterId,
        commit: Commit,
        reply: oneshot::Sender<Result<Vec<u64>, Error>>,
        pending: Pending,
    ) {
        let log = self.log.as_ref().expect("the log is open");
        let commit = log.check(commit).expect("the commit is well formed");
        let op = Op::Commit {
            writer,
            commit,
            reply,
        };
        self.enqueue(op, pending);
    }

    fn enqueue(&mut self, op: Op, pending: Pending) {
        self.pending.push(pending);
        self.log.as_mut().expect("the log is open").enqueue(op);
    }

    /// A commit of so many appends, noted in the model; `None` if there is no topic to append to.
    fn commit(&mut self, appends: usize, records_max: u32) -> Option<(usize, Commit)> {
        let mut places = Vec::new();
        for _ in 0..appends {
            let (name, id, partitions) = self.pick_live()?;
            let records = match self.random.u8(..16) {
                0 => self.random.u32(records_max / 4..=records_max).max(1),
                _ => self.random.u32(1..=records_max.min(5)),
            };
            places.push(((name, self.random.u32(..partitions)), id, records));
        }
        let mut positions = Vec::new();
        if appends == 0 || self.random.u8(..3) == 0 {
            let (_, id, partitions) = self.pick_live()?;
            let key = (
                self.pick_owner().to_owned(),
                id,
                self.random.u32(..partitions),
            );
            let next = match self.far || self.random.bool() {
                true => self.random.u64(1 << 39..1 << 40),
                // Somewhere in what is there.
                false => self.random.u64(..400),
            };
            positions.push((key, next));
        }
        let attempt = self.model.trying(places.clone(), positions.clone());
        let now_ms = self.disk.boot().now_ms();
        let mut builder = BatchBuilder::new();
        let appends =
            places
                .iter()
                .enumerate()
                .map(|(append, ((topic, partition), _, records))| {
                    let to = TopicPartition {
                        topic: topic.as_str().into(),
                        partition: *partition,
                    };
                    let compression = self.random.choice([Compression::None, Compression::Lz4]);
                    for record in 0..*records {
                        let place = (attempt, append, record);
                        append_record(&mut builder, is_compacted(topic), place, now_ms);
                    }
                    let batch = builder
                        .finish(compression.unwrap_or_default())
                        .expect("a batch");
                    Append { to, batch }
                });
        let appends = appends.collect();
        let positions = positions
            .into_iter()
            .map(|((group, topic_id, partition), next)| GroupPosition {
                group: group.into(),
                topic_id,
                partition,
                next,
            });
        let positions = positions.collect();
        Some((attempt, Commit { appends, positions }))
    }

    /// Enqueues a commit of positions alone, if there is a writer for it.
    pub(super) fn enqueue_positions(&mut self, positions: Vec<(Position, u64)>, commit: Commit) {
        let Some(writer) = self.writers.values().next().cloned() else {
            return;
        };
        let attempt = self.model.trying(Vec::new(), positions);
        let (reply, answer) = oneshot::channel();
        self.enqueue_checked(writer, commit, reply, Pending::Commit(attempt, answer));
    }

    fn pick_live(&mut self) -> Option<(String, u128, u32)> {
        let mut live = self.model.live();
        live.retain(|(name, ..)| self.only.is_none_or(|only| only == name));
        self.random.choice(live)
    }

    fn pick_owner(&mut self) -> &'static str {
        OWNERS[self.random.usize(..OWNERS.len())]
    }

    /// Whether an operation on the topic is not answered yet.
    fn is_in_flight(&self, name: &str) -> bool {
        self.pending.iter().any(|pending| match pending {
            Pending::Create(names, _) => names.iter().any(|known| known == name),
            Pending::Delete(known, _)
            | Pending::Alter(known, ..)
            | Pending::LogStart((known, _), ..) => known == name,
            _ => false,
        })
    }

    /// Steps until nothing is left to do, or nothing more can be done.
    pub(super) fn drive(&mut self) -> Driven {
        let mut full = 0;
        loop {
            let step = self.log.as_mut().expect("the log is open").step();
            self.harvest();
            match step {
                Step::Done => {}
                Step::Idle => {
                    assert!(
                        self.pending.is_empty(),
                        "the log is idle and something is unanswered"
                    );
                    return Driven::Idle;
                }
                Step::Full if full < FULL_STEPS_MAX => full += 1,
                Step::Full => return Driven::Waiting,
                Step::Stopped => return Driven::Stopped,
            }
        }
    }

    /// Takes the answers that are there.
    fn harvest(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            let open = self.harvest_one(pending);
            self.pending.extend(open);
        }
    }

    /// Gives back what is not answered yet.
    fn harvest_one(&mut self, pending: Pending) -> Option<Pending> {
        match pending {
            Pending::Commit(attempt, mut answer) => match take(&mut answer) {
                Answer::None => return Some(Pending::Commit(attempt, answer)),
                Answer::Done(bases) => self.model.acknowledged(attempt, bases),
                Answer::Refused(error) => {
                    // Of the errors that are certain these can come here.
                    let codes = ["TL0205", "TL0206", "TL0207"];
                    assert!(
                        codes.contains(&error.code.unwrap_or_default()),
                        "{}",
                        error.chain()
                    );
                    self.model.refused(attempt);
                }
                Answer::Unknown => {}
            },
            Pending::Stale(mut answer) => match take(&mut answer) {
                Answer::None => return Some(Pending::Stale(answer)),
                Answer::Done(_) => panic!("a stale writer's commit was accepted"),
                Answer::Refused(error) => {
                    assert_eq!(error.code, Some("TL0205"), "{}", error.chain());
                    self.fenced += 1;
                }
                Answer::Unknown => {}
            },
            Pending::Writer(owner, mut answer) => match take(&mut answer) {
                Answer::None => return Some(Pending::Writer(owner, answer)),
                Answer::Done(generation) => {
                    let writer = WriterId {
                        owner: Arc::clone(&owner),
                        generation,
                        failed: Arc::new(AtomicBool::new(false)),
                    };
                    self.writers.insert(owner, writer);
                }
                Answer::Refused(error) => panic!("no writer: {}", error.chain()),
                Answer::Unknown => {}
            },
            Pending::Create(names, mut answer) => match take(&mut answer) {
                Answer::None => return Some(Pending::Create(names, answer)),
                Answer::Done(topics) => {
                    for topic in topics {
                        self.model.created(&topic.name, topic.id);
                    }
                }
                Answer::Refused(error) => panic!("not created: {}", error.chain()),
                Answer::Unknown => {}
            },
            Pending::Delete(name, mut answer) => match take(&mut answer) {
                Answer::None => return Some(Pending::Delete(name, answer)),
                Answer::Done(_) => self.model.deleted(&name),
                Answer::Refused(error) => panic!("not deleted: {}", error.chain()),
                Answer::Unknown => {}
            },
            Pending::Alter(name, value, answer) => return self.harvest_alter(name, value, answer),
            Pending::Swap(answer) => return self.harvest_swap(answer),
            Pending::LogStart(at, offset, mut answer) => match take(&mut answer) {
                Answer::None => return Some(Pending::LogStart(at, offset, answer)),
                Answer::Done(()) => self.model.moved_start(&at, offset),
                Answer::Refused(error) => {
                    // The topic was deleted before.
                    assert_eq!(error.code, Some("TL0207"), "{}", error.chain());
                    self.model.kept_start(&at);
                }
                Answer::Unknown => {}
            },
        }
        None
    }

    fn harvest_alter(
        &mut self,
        name: String,
        value: Option<String>,
        mut answer: Receiver<Result<TopicInfo, Error>>,
    ) -> Option<Pending> {
        match take(&mut answer) {
            Answer::None => return Some(Pending::Alter(name, value, answer)),
            Answer::Done(info) => {
                assert_eq!(info.config.get(SETTING), value.as_ref());
                self.model.altered(&name, &value);
            }
            Answer::Refused(error) => panic!("not altered: {}", error.chain()),
            Answer::Unknown => {}
        }
        None
    }

    fn harvest_swap(&mut self, mut answer: Receiver<Result<bool, Error>>) -> Option<Pending> {
        match take(&mut answer) {
            Answer::None => return Some(Pending::Swap(answer)),
            Answer::Done(done) => self.swaps += u64::from(done),
            Answer::Refused(error) => panic!("not swapped: {}", error.chain()),
            Answer::Unknown => {}
        }
        None
    }

    /// The process is gone: what it did not answer stays unknown until the log is looked at.
    fn settle_pending(&mut self) {
        self.harvest();
        self.pending.clear();
    }

    /// Whether something waits for an answer.
    pub(super) fn is_waiting(&self) -> bool {
        !self.pending.is_empty()
    }
}

impl Host for World {
    fn pace(&mut self, _bytes: u64) -> bool {
        true
    }

    fn swap(&mut self, swap: Swap) -> Outcome {
        let (reply, answer) = oneshot::channel();
        let before = self.swaps;
        self.enqueue(Op::Swap { swap, reply }, Pending::Swap(answer));
        match self.drive() {
            Driven::Idle if self.swaps > before => Outcome::Done,
            Driven::Idle => Outcome::Refused,
            Driven::Waiting | Driven::Stopped => Outcome::Unknown,
        }
    }
}

/// Settings of the topics that keep themselves.
fn config(topic: &str) -> BTreeMap<String, String> {
    let aged = AGED_MS.to_string();
    let retained = RETAINED_BYTES.to_string();
    let mut pairs = match topic {
        COMPACTED | COMPACTED_AGED => vec![
            ("cleanup.policy", "compact"),
            ("delete.retention.ms", "30"),
            ("min.cleanable.dirty.ratio", "0.01"),
            (SETTING, "1024"),
        ],
        RETAINED => vec![("retention.bytes", &*retained), (SETTING, "1024")],
        AGED => vec![("retention.ms", &*aged), (SETTING, "1024")],
        _ => Vec::new(),
    };
    if topic == COMPACTED_AGED {
        pairs.extend([
            ("cleanup.policy", "compact,delete"),
            ("retention.ms", &*aged),
        ]);
    }
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(own).collect()
}

/// The records of a compacted topic have keys; where there is no value, a header names the record.
fn append_record(
    builder: &mut BatchBuilder,
    compacted: bool,
    (attempt, append, record): (usize, usize, u32),
    now: i64,
) {
    let value = value(attempt, append, record);
    let appended = if !compacted {
        builder.append(None, Some(&value), now, [])
    } else {
        match kind(attempt, append, record) {
            Kind::Barrier => builder.append(None, Some(&value), now, []),
            Kind::Tombstone(key) => {
                builder.append(Some(&[key]), None, now, [("name", Some(&value[..]))])
            }
            Kind::Row(key, lacks) if lacks.is_empty() => {
                builder.append(Some(&[key]), Some(&value), now, [])
            }
            Kind::Row(key, lacks) => {
                let lacks = lacks.join(",").into_bytes();
                let header = ("__tapline.unavailable", Some(&lacks[..]));
                builder.append(Some(&[key]), Some(&value), now, [header])
            }
        }
    };
    appended.expect("a small batch");
}

enum Answer<T> {
    None,
    Done(T),
    /// Surely not done.
    Refused(Error),
    /// The log stopped: done or not.
    Unknown,
}

/// An answer that must be there.
pub(super) fn take_answer<T>(answer: &mut Receiver<Result<T, Error>>) -> Result<T, Error> {
    answer.try_recv().expect("an answer")
}

fn take<T>(answer: &mut Receiver<Result<T, Error>>) -> Answer<T> {
    match answer.try_recv() {
        Ok(Ok(done)) => Answer::Done(done),
        Ok(Err(error)) if error.code == Some("TL0204") => Answer::Unknown,
        Ok(Err(error)) => Answer::Refused(error),
        Err(TryRecvError::Empty) => Answer::None,
        Err(TryRecvError::Closed) => Answer::Unknown,
    }
}

/// Prints what the disk did last while a panic unwinds.
struct Recent<'a>(&'a SimDisk);

impl Drop for Recent<'_> {
    fn drop(&mut self) {
        super::report(&format!("last operations:\n{}", self.0.recent()));
    }
}

/// What a log shows. A read that a fault struck is repeated.
fn view(log: &Log) -> View {
    let mut view = View::default();
    for topic in log.topics() {
        if &*topic.name == GROUPS_TOPIC {
            continue;
        }
        let partitions = (0_u32..).zip(&topic.partitions).map(|(partition, _)| {
            let topic = Arc::clone(&topic.name);
            view_partition(log, &TopicPartition { topic, partition })
        });
        let topic_view = TopicView {
            id: topic.id,
            setting: topic.config.get(SETTING).cloned(),
            partitions: partitions.collect(),
        };
        view.topics.insert(topic.name.to_string(), topic_view);
    }
    for owner in OWNERS.into_iter().chain(FOLLOWERS) {
        for position in log.positions(owner) {
            let key = (owner.to_owned(), position.topic_id, position.partition);
            assert_eq!(view.positions.insert(key, position.next), None);
        }
    }
    view
}

fn view_partition(log: &Log, at: &TopicPartition) -> PartitionView {
    let ends = log.ends(at).expect("the partition is there");
    let mut view = PartitionView {
        log_start: ends.log_start,
        end: ends.high_watermark,
        ..PartitionView::default()
    };
    let mut reader = BatchReader::new();
    let mut next = view.log_start;
    let mut failures = 0;
    while next < view.end {
        match log.read(at, next, 3_000) {
            Ok(batches) => {
                assert!(
                    !batches.is_empty(),
                    "nothing at {next} of {at:?}, below {}",
                    view.end
                );
                for batch in Batches::new(&batches) {
                    let batch = batch.expect("whole batches are served");
                    for record in reader.read(&batch).expect("right batches are served") {
                        let record = record.expect("right records are served");
                        if record.offset >= next {
                            let name = record.value.or(record.headers.get("name").flatten());
                            let name = name.expect("every record has a name").to_vec();
                            view.records.push((record.offset, name));
                        }
                    }
                    next = batch.header.next_offset();
                }
            }
            Err(error) if error.code == Some("TL0213") => {
                let damage = log.damage(at);
                let range = damage.iter().find(|range| range.contains(&next));
                let state = || {
                    let topics = log.shared().topics.read();
                    let found = topics.find(at).map(|found| Arc::clone(found.1));
                    found.map(|partition| format!("{:?}", partition.state.read()))
                };
                let range = range.unwrap_or_else(|| panic!("{}: {:?}", error.chain(), state()));
                next = range.end;
            }
            // A fault may strike one read.
            Err(_) if failures == 0 => failures += 1,
            Err(error) => {
                view.unreadable = Some(format!("cannot read at {next}: {}", error.chain()));
                return view;
            }
        }
    }
    view.damage = log.damage(at);
    view
}
