//! Changes of topics: create, alter, delete, move the log start, swap segments. Each is a journal entry of its own, and
//! what it does to memory and folders can be done again, because recovery does it again.

use super::{Log, Op, Shared, answer, is_groups_topic};
use crate::broker::{
    NewTopic, TopicInfo, error,
    folder::DELETED,
    journal::{Created, Failure, Operation, Swapped},
    partition::{Partition, Segment, State},
    rules::{self, Rules},
    storage::Storage,
    topics::{self, Topic},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};
use tapline_sdk::{Error, TopicPartition};

impl Log {
    /// Does the change at this place of the queue; it stays there while the disk is full.
    pub(super) fn change_next(&mut self, index: usize) -> Result<(), Failure> {
        let Some(op) = self.queue.remove(index) else {
            return Ok(());
        };
        if let Op::Stop { why } = op {
            return Err(Failure::Broken(why));
        }
        let operation = match self.operation(&op) {
            Ok(operation) => operation,
            Err(error) => {
                op.fail(error);
                return Ok(());
            }
        };
        if let Some(operation) = &operation
            && let Err(failure) = self
                .journal
                .write(operation.kind(), &operation.encode(), &[])
        {
            self.queue.insert(index, op);
            return Err(failure);
        }
        let changed = operation.is_some();
        if let Some(operation) = operation {
            self.changed = true;
            if let Operation::Swap(swapped) = operation {
                let reply = match op {
                    Op::Swap { reply, .. } => Some(reply),
                    _ => None,
                };
                self.swapping = Some((swapped, reply));
                return self.apply_swap();
            }
            let garbage = apply(&self.shared, operation);
            self.garbage.extend(garbage);
        }
        self.answer_change(op, changed);
        Ok(())
    }

    /// The journal's operation; `None` if there is nothing to change.
    fn operation(&self, op: &Op) -> Result<Option<Operation>, Error> {
        match op {
            Op::Create { topics, .. } => self.create(topics),
            Op::Delete { topic, .. } => {
                check_not_ours(topic)?;
                let topic_id = self.topic_id(topic);
                Ok(topic_id.map(|topic_id| Operation::Delete { topic_id }))
            }
            Op::SetLogStart { at, offset, .. } => self.log_start(at, *offset),
            Op::Alter { topic, changes, .. } => self.alter(topic, changes),
            Op::Swap { swap, .. } => {
                let possible = self.partition(swap.topic_id, swap.partition);
                let possible = possible.filter(|partition| partition.can_swap(swap));
                Ok(possible.map(|_| Operation::Swap(swap.operation())))
            }
            Op::Retain {
                topic_id,
                partition,
                offset,
            } => match self.partition(*topic_id, *partition) {
                Some(partition) => self.log_start(&partition.at, *offset),
                None => Ok(None),
            },
            Op::Commit { .. } | Op::Writer { .. } | Op::Stop { .. } => Ok(None),
        }
    }

    fn topic_id(&self, name: &str) -> Option<u128> {
        self.shared.topics.read().get(name).map(|topic| topic.id)
    }

    fn create(&self, wanted: &[NewTopic]) -> Result<Option<Operation>, Error> {
        let existing = self.shared.topics.read();
        let mut created: Vec<Created> = Vec::new();
        let mut names = BTreeSet::new();
        for new in wanted {
            topics::check(new)?;
            match existing.get(&new.name) {
                Some(topic) if topic.partitions.len() as u64 == u64::from(new.partitions) => {}
                Some(topic) => {
                    let count = topic.partitions.len();
                    let why = format!("it exists with {count} partitions, not {}", new.partitions);
                    return Err(error::bad_setting(&new.name, &why).remedy(format!(
                        "ask for {count} partitions, or delete the topic first"
                    )));
                }
                None if !names.insert(Arc::clone(&new.name)) => {}
                None => created.push(self.new_topic(new)),
            }
        }
        Ok((!created.is_empty()).then_some(Operation::Create(created)))
    }

    fn partition(&self, topic_id: u128, partition: u32) -> Option<Arc<Partition>> {
        let topics = self.shared.topics.read();
        let index = usize::try_from(partition).ok()?;
        topics.by_id(topic_id)?.partitions.get(index).cloned()
    }

    fn alter(
        &self,
        name: &str,
        changes: &BTreeMap<String, Option<String>>,
    ) -> Result<Option<Operation>, Error> {
        check_not_ours(name)?;
        let topics = self.shared.topics.read();
        let topic = topics.get(name).ok_or_else(|| error::unknown_topic(name))?;
        let mut config = topic.config.clone();
        for (key, value) in changes {
            match value {
                Some(value) => config.insert(key.clone(), value.clone()),
                None => config.remove(key),
            };
        }
        rules::check(name, &config)?;
        Ok((config != topic.config).then_some(Operation::Alter {
            topic_id: topic.id,
            config,
        }))
    }

    /// Puts compacted segments in place: their entry is durable. On a full disk it is tried again.
    pub(super) fn apply_swap(&mut self) -> Result<(), Failure> {
        let Some((swapped, _)) = &self.swapping else {
            return Ok(());
        };
        if let Some(partition) = self.partition(swapped.topic_id, swapped.partition) {
            let garbage = partition
                .swap(swapped)
                .map_err(|error| Failure::of("put a compacted segment in place", &error))?;
            self.garbage.extend(garbage);
        }
        if let Some((_, Some(reply))) = self.swapping.take() {
            answer(reply, Ok(true));
        }
        Ok(())
    }

    fn new_topic(&self, new: &NewTopic) -> Created {
        let storage = self.shared.storage();
        Created {
            id: storage.random(),
            created_ns: storage.now_ns(),
            partitions: new.partitions,
            name: Arc::clone(&new.name),
            config: new.config.clone(),
        }
    }

    fn log_start(&self, at: &TopicPartition, offset: u64) -> Result<Option<Operation>, Error> {
        let topics = self.shared.topics.read();
        let (topic, partition) = topics.find(at)?;
        let state = partition.state.read();
        if offset > state.end {
            return Err(error::out_of_range(at, offset, state.log_start, state.end));
        }
        Ok((offset > state.log_start).then_some(Operation::LogStart {
            topic_id: topic.id,
            partition: at.partition,
            offset,
        }))
    }

    fn answer_change(&self, op: Op, changed: bool) {
        match op {
            Op::Create {
                topics: wanted,
                reply,
            } => {
                let topics = self.shared.topics.read();
                let info = |new: &NewTopic| topics.get(&new.name).map(|topic| topic.info());
                let infos: Vec<TopicInfo> = wanted.iter().filter_map(info).collect();
                answer(reply, Ok(infos));
            }
            Op::Delete { reply, .. } => answer(reply, Ok(changed)),
            Op::SetLogStart { reply, .. } => answer(reply, Ok(())),
            Op::Alter { topic, reply, .. } => {
                let info = self
                    .shared
                    .topics
                    .read()
                    .get(&topic)
                    .map(|topic| topic.info());
                answer(reply, info.ok_or_else(|| error::unknown_topic(&topic)));
            }
            Op::Swap { reply, .. } => answer(reply, Ok(false)),
            Op::Retain { .. } | Op::Stop { .. } | Op::Commit { .. } | Op::Writer { .. } => {}
        }
    }
}

/// The log's own topic stays as it is: without it no position could be stored.
fn check_not_ours(topic: &str) -> Result<(), Error> {
    if !is_groups_topic(topic) {
        return Ok(());
    }
    let error = error::bad_setting(
        topic,
        "the log keeps group positions in it, and alone changes it",
    );
    Err(error.remedy("name another topic; `tapline offsets` changes positions"))
}

/// Does an operation that is durable; returns what the next checkpoint makes garbage.
pub(super) fn apply(shared: &Shared, operation: Operation) -> Vec<String> {
    match operation {
        Operation::Append(_) => Vec::new(),
        Operation::Create(created) => {
            let mut topics = shared.topics.write();
            for created in created {
                let partitions = (0..created.partitions).map(|_| State::empty()).collect();
                topics.insert(Arc::new(topic(shared, created, partitions)));
            }
            Vec::new()
        }
        Operation::Delete { topic_id } => delete(shared, topic_id),
        Operation::Alter { topic_id, config } => {
            alter(shared, topic_id, config);
            Vec::new()
        }
        // Only recovery comes here: [`Log::apply_swap`] waits for a full disk.
        Operation::Swap(swapped) => swap(shared, &swapped),
        Operation::LogStart {
            topic_id,
            partition,
            offset,
        } => {
            let topics = shared.topics.read();
            let found = topics
                .by_id(topic_id)
                .and_then(|topic| topic.partitions.get(usize::try_from(partition).ok()?));
            found
                .map(|partition| partition.set_log_start(offset))
                .unwrap_or_default()
        }
    }
}

fn alter(shared: &Shared, topic_id: u128, config: BTreeMap<String, String>) {
    let mut topics = shared.topics.write();
    let Some(topic) = topics.by_id(topic_id).cloned() else {
        return;
    };
    let rules = Rules::of(&config, &shared.settings);
    for partition in &topic.partitions {
        partition.alter(&rules);
    }
    topics.insert(Arc::new(Topic {
        id: topic.id,
        name: Arc::clone(&topic.name),
        created_ns: topic.created_ns,
        partitions: topic.partitions.clone(),
        config,
        rules,
    }));
}

fn swap(shared: &Shared, swapped: &Swapped) -> Vec<String> {
    let topics = shared.topics.read();
    let found = topics.by_id(swapped.topic_id).and_then(|topic| {
        topic
            .partitions
            .get(usize::try_from(swapped.partition).ok()?)
    });
    let Some(partition) = found else {
        return Vec::new();
    };
    partition.swap(swapped).unwrap_or_else(|error| {
        // What is missing then is found by whoever reads it.
        tracing::error!(
            error = %error,
            folder = %partition.folder,
            "a compacted segment cannot be put in place"
        );
        Vec::new()
    })
}

fn delete(shared: &Shared, topic_id: u128) -> Vec<String> {
    let Some(topic) = shared.topics.write().remove(topic_id) else {
        return Vec::new();
    };
    shared.groups.write().forget(topic_id);
    let mut garbage = Vec::new();
    for partition in &topic.partitions {
        partition.delete();
        match partition.move_away() {
            Ok(path) => garbage.extend(path),
            // A topic of the same name moves it away when it needs the place; else the next start removes it.
            Err(error) => tracing::warn!(
                error = %error,
                folder = %partition.folder,
                "cannot move the folder of a deleted topic away"
            ),
        }
    }
    garbage
}

/// A topic with its partitions as they were saved.
pub(super) fn topic(shared: &Shared, created: Created, partitions: Vec<State>) -> Topic {
    let rules = Rules::of(&created.config, &shared.settings);
    let make = |(index, state): (usize, State)| {
        let at = TopicPartition {
            topic: Arc::clone(&created.name),
            partition: u32::try_from(index).unwrap_or(u32::MAX),
        };
        Arc::new(Partition::new(&shared.means, at, created.id, &rules, state))
    };
    Topic {
        partitions: partitions.into_iter().enumerate().map(make).collect(),
        rules,
        id: created.id,
        name: created.name,
        created_ns: created.created_ns,
        config: created.config,
    }
}

/// A topic as checkpoint and journal store it.
pub(super) fn created(topic: &Topic) -> Created {
    Created {
        id: topic.id,
        created_ns: topic.created_ns,
        partitions: u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX),
        name: Arc::clone(&topic.name),
        config: topic.config.clone(),
    }
}

/// Removes a file, or a folder with its files; no error if it is not there.
pub(super) fn remove_path(storage: &dyn Storage, path: &str) -> io::Result<()> {
    let missing_is_fine = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    if !path.ends_with(DELETED) {
        return missing_is_fine(storage.remove(path));
    }
    let entries = match storage.list(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        storage.remove(&format!("{path}/{}", entry.name))?;
    }
    missing_is_fine(storage.remove_dir(path))
}

impl State {
    pub(super) fn empty() -> Self {
        Self::saved(0, 0, Vec::new())
    }

    pub(super) fn saved(log_start: u64, end: u64, segments: Vec<Segment>) -> Self {
        Self {
            log_start,
            end,
            segments,
            damage: Vec::new(),
            deleted: false,
            clean_to: 0,
            clean_moves: false,
        }
    }
}
