//! A log in memory whose commits a test can hold back or fail: faults that the real log cannot be made to show.

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Instant,
};
use tapline::broker::{
    Broker, Commit, Ends, Fetch, Fetched, GroupPosition, NewTopic, TopicInfo, Writer,
    batch::{Batch, set_base_offset},
};
use tapline_sdk::{BoxFuture, Error, ErrorKind, Result, TopicPartition};
use tokio::sync::{oneshot, watch};

/// A log in memory.
#[derive(Clone)]
pub struct Memory {
    state: Arc<Mutex<State>>,
    grown: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    topics: BTreeMap<Arc<str>, Topic>,
    groups: Vec<GroupPosition>,
    generations: BTreeMap<String, u64>,
    /// Commits of owners that begin so are kept back.
    held: Option<String>,
    pending: VecDeque<Pending>,
    /// The next commit of an owner that begins so fails.
    fail: Option<(String, ErrorKind)>,
}

struct Topic {
    id: u128,
    config: BTreeMap<String, String>,
    partitions: Vec<Partition>,
}

#[derive(Default)]
struct Partition {
    batches: Vec<(u64, Bytes)>,
    end: u64,
}

struct Pending {
    owner: String,
    generation: u64,
    commit: Commit,
    answer: oneshot::Sender<Result<Vec<u64>>>,
}

struct MemoryWriter {
    log: Memory,
    owner: String,
    generation: u64,
    failed: bool,
}

impl Memory {
    pub fn new() -> Self {
        Self {
            state: Arc::default(),
            grown: watch::Sender::new(0),
        }
    }

    /// Commits of owners that begin with `owner` are neither durable nor seen until [`Memory::release`].
    pub fn hold(&self, owner: &str) {
        self.state.lock().held = Some(owner.to_owned());
    }

    /// Decides every commit that was held back, and holds no more.
    pub fn release(&self) {
        let mut state = self.state.lock();
        state.held = None;
        state.decide();
        drop(state);
        self.grown.send_modify(|times| *times += 1);
    }

    /// The next commit of an owner that begins with `owner` fails.
    pub fn fail_next(&self, owner: &str, kind: ErrorKind) {
        self.state.lock().fail = Some((owner.to_owned(), kind));
    }

    pub fn end(&self, topic: &str) -> u64 {
        let state = self.state.lock();
        let topic = state.topics.get(topic);
        topic.map_or(0, |topic| topic.partitions.iter().map(|one| one.end).sum())
    }
}

impl State {
    fn decide(&mut self) {
        while let Some(one) = self.pending.pop_front() {
            let outcome = self.commit(&one.owner, one.generation, one.commit);
            // Nobody may be waiting: that decides nothing.
            drop(one.answer.send(outcome));
        }
    }

    fn commit(&mut self, owner: &str, generation: u64, commit: Commit) -> Result<Vec<u64>> {
        if self.generations.get(owner) != Some(&generation) {
            return Err(Error::fatal(format!("writer {owner} is fenced")));
        }
        let mut bases = Vec::new();
        for append in commit.appends {
            let topic = self
                .topics
                .get_mut(&append.to.topic)
                .ok_or_else(|| Error::fatal(format!("no topic {}", append.to.topic)))?;
            let partition = &mut topic.partitions[append.to.partition as usize];
            let mut bytes = BytesMut::from(&append.batch[..]);
            set_base_offset(&mut bytes, partition.end);
            let base = partition.end;
            partition.end = Batch::parse(&bytes, 0)?.header.next_offset();
            partition.batches.push((partition.end, bytes.freeze()));
            bases.push(base);
        }
        for position in commit.positions {
            self.groups.retain(|known| {
                (&known.group, known.topic_id, known.partition)
                    != (&position.group, position.topic_id, position.partition)
            });
            if position.next != GroupPosition::UNSET {
                self.groups.push(position);
            }
        }
        Ok(bases)
    }

    fn fetch(&self, fetch: &Fetch) -> Vec<Fetched> {
        let mut fetched = Vec::new();
        let mut room = fetch.max_bytes;
        for (at, from) in &fetch.from {
            let Some(topic) = self.topics.get(&at.topic) else {
                continue;
            };
            let partition = &topic.partitions[at.partition as usize];
            let mut batches = BytesMut::new();
            for (next, batch) in &partition.batches {
                let fits = batch.len() <= room || (fetched.is_empty() && batches.is_empty());
                if next > from && fits {
                    room = room.saturating_sub(batch.len());
                    batches.extend_from_slice(batch);
                }
            }
            if !batches.is_empty() {
                fetched.push(Fetched {
                    at: at.clone(),
                    batches: batches.freeze(),
                    high_watermark: partition.end,
                    log_start: 0,
                });
            }
        }
        fetched
    }
}

impl Topic {
    fn info(&self, name: &Arc<str>) -> TopicInfo {
        let ends = |partition: &Partition| Ends {
            log_start: 0,
            log_end: partition.end,
            high_watermark: partition.end,
        };
        TopicInfo {
            name: Arc::clone(name),
            id: self.id,
            created_ns: 1,
            config: self.config.clone(),
            partitions: self.partitions.iter().map(ends).collect(),
        }
    }
}

impl Broker for Memory {
    fn cluster_id(&self) -> Arc<str> {
        "memory".into()
    }

    fn writer(&self, owner: &str) -> BoxFuture<'_, Result<Box<dyn Writer>>> {
        let mut state = self.state.lock();
        state.decide();
        let generation = state.generations.entry(owner.to_owned()).or_default();
        *generation += 1;
        let writer = MemoryWriter {
            log: self.clone(),
            owner: owner.to_owned(),
            generation: *generation,
            failed: false,
        };
        Box::pin(async move { Ok(Box::new(writer) as Box<dyn Writer>) })
    }

    fn create(&self, topics: Vec<NewTopic>) -> BoxFuture<'_, Result<Vec<TopicInfo>>> {
        let mut state = self.state.lock();
        let mut made = Vec::new();
        for new in topics {
            let id = u128::from(fastrand::u64(..));
            let topic = state.topics.entry(Arc::clone(&new.name)).or_insert(Topic {
                id,
                config: new.config,
                partitions: (0..new.partitions).map(|_| Partition::default()).collect(),
            });
            made.push(topic.info(&new.name));
        }
        Box::pin(async move { Ok(made) })
    }

    fn alter<'a>(
        &'a self,
        topic: &'a str,
        changes: BTreeMap<String, Option<String>>,
    ) -> BoxFuture<'a, Result<TopicInfo>> {
        if let Some(topic) = self.state.lock().topics.get_mut(topic) {
            for (key, value) in changes {
                match value {
                    Some(value) => drop(topic.config.insert(key, value)),
                    None => drop(topic.config.remove(&key)),
                }
            }
        }
        let info = self
            .topic(topic)
            .ok_or_else(|| Error::config("unknown topic"));
        Box::pin(async { info })
    }

    fn delete<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<bool>> {
        let found = self.state.lock().topics.remove(topic).is_some();
        Box::pin(async move { Ok(found) })
    }

    fn set_log_start<'a>(&'a self, _: &'a TopicPartition, _: u64) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn topics(&self) -> Vec<TopicInfo> {
        let state = self.state.lock();
        state
            .topics
            .iter()
            .map(|(name, topic)| topic.info(name))
            .collect()
    }

    fn topic(&self, name: &str) -> Option<TopicInfo> {
        let state = self.state.lock();
        let (name, topic) = state.topics.get_key_value(name)?;
        Some(topic.info(name))
    }

    fn fetch(&self, fetch: Fetch) -> BoxFuture<'_, Result<Vec<Fetched>>> {
        Box::pin(async move {
            let end = Instant::now() + fetch.max_wait;
            let mut grown = self.grown.subscribe();
            loop {
                let fetched = self.state.lock().fetch(&fetch);
                let left = end.saturating_duration_since(Instant::now());
                if !fetched.is_empty() || left.is_zero() {
                    return Ok(fetched);
                }
                // Either way the next look decides.
                drop(tokio::time::timeout(left, grown.changed()).await);
            }
        })
    }

    fn positions(&self, group: &str) -> Vec<GroupPosition> {
        let state = self.state.lock();
        let of_group = state.groups.iter().filter(|one| &*one.group == group);
        of_group.cloned().collect()
    }

    fn offset_for_time<'a>(
        &'a self,
        _: &'a TopicPartition,
        _: i64,
    ) -> BoxFuture<'a, Result<Option<u64>>> {
        Box::pin(async { Ok(None) })
    }

    fn stopped(&self) -> Option<String> {
        None
    }
}

impl Writer for MemoryWriter {
    fn commit(&mut self, commit: Commit) -> BoxFuture<'static, Result<Vec<u64>>> {
        let mut state = self.log.state.lock();
        let mine = |prefix: &String| self.owner.starts_with(prefix.as_str());
        if let Some((_, kind)) = state.fail.take_if(|(prefix, _)| mine(prefix)) {
            self.failed = true;
            return Box::pin(async move { Err(Error::new(kind, "the log was told to fail")) });
        }
        if self.failed {
            return Box::pin(async { Err(Error::fatal("an earlier commit failed")) });
        }
        let (answer, outcome) = oneshot::channel();
        state.pending.push_back(Pending {
            owner: self.owner.clone(),
            generation: self.generation,
            commit,
            answer,
        });
        if !state.held.as_ref().is_some_and(mine) {
            state.decide();
        }
        drop(state);
        self.log.grown.send_modify(|times| *times += 1);
        Box::pin(async move {
            match outcome.await {
                Ok(outcome) => outcome,
                Err(_) => Err(Error::fatal("the log is gone")),
            }
        })
    }
}
