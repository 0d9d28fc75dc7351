//! Commits: checking them, gathering those that wait into one journal entry, putting their batches into segments.

use super::{Log, Op, Reply, Shared, WriterId, answer, is_groups_topic};
use crate::broker::{
    Append, Commit, GroupPosition,
    batch::{Batch, Header},
    error,
    groups::{self, GROUP_NAME_MAX, GROUPS_TOPIC},
    journal::{Failure, Item, Operation},
    partition::{Partition, Placed},
    stats::Stats,
    topics::Topic,
};
use bytes::Bytes;
use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering::Relaxed},
};
use tapline_sdk::{Error, TopicPartition};
use tokio::sync::oneshot;

/// A group takes no further commit when it holds this much: more bytes per sync gain nothing above about 1 MiB, and
/// a writer that waits behind a group should not wait long.
const GROUP_BYTES: usize = 8 << 20;

/// Segments of `__consumer_offsets` at which it is written anew: it holds little that is not superseded.
const GROUPS_SEGMENTS_MAX: usize = 3;

/// A commit whose batches are whole and right, found out by the task that made it, so that tasks check in parallel.
#[derive(Debug)]
pub struct CheckedCommit {
    batches: Vec<(TopicPartition, Header, Bytes)>,
    /// How many of them the answer names: the rest are the log's own.
    answered: usize,
    positions: Vec<GroupPosition>,
    bytes: usize,
    queued: Option<Queued>,
}

/// Counts bytes that wait; its end ends the count, whatever became of the commit.
#[derive(Debug)]
struct Queued {
    stats: Arc<Stats>,
    bytes: u64,
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.stats.queued_bytes.fetch_sub(self.bytes, Relaxed);
    }
}

impl CheckedCommit {
    /// Counts its bytes as waiting until it is taken off the queue.
    pub(in crate::broker) fn count_as_queued(&mut self, stats: &Arc<Stats>) {
        let bytes = self.bytes as u64;
        stats.queued_bytes.fetch_add(bytes, Relaxed);
        self.queued = Some(Queued {
            stats: Arc::clone(stats),
            bytes,
        });
    }

    /// Bytes of its batches.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Checks every batch of a commit, and makes a batch of its group positions.
pub(in crate::broker) fn check(shared: &Shared, commit: Commit) -> Result<CheckedCommit, Error> {
    let mut batches = Vec::with_capacity(commit.appends.len() + 1);
    for append in commit.appends {
        if is_groups_topic(&append.to.topic) {
            return Err(
                error::bad_setting(GROUPS_TOPIC, "only the log itself appends to it")
                    .remedy("store group positions with the commit"),
            );
        }
        batches.push(check_append(append)?);
    }
    let answered = batches.len();
    if !commit.positions.is_empty() {
        let to = TopicPartition {
            topic: GROUPS_TOPIC.into(),
            partition: 0,
        };
        let batch = position_batch(shared, &commit.positions)?;
        batches.push(check_append(Append { to, batch })?);
    }
    Ok(CheckedCommit {
        bytes: batches.iter().map(|(_, header, _)| header.bytes).sum(),
        batches,
        answered,
        positions: commit.positions,
        queued: None,
    })
}

fn check_append(append: Append) -> Result<(TopicPartition, Header, Bytes), Error> {
    let Append { to, batch } = append;
    let bad = |why: &str| error::bad_batch(&to, why);
    let parsed = Batch::parse(&batch, 0).map_err(|error| bad(&error.to_string()))?;
    parsed.verify().map_err(|error| bad(&error.to_string()))?;
    let header = parsed.header;
    if header.bytes != batch.len() {
        return Err(bad("bytes follow the batch"));
    }
    Ok((to, header, batch))
}

fn position_batch(shared: &Shared, positions: &[GroupPosition]) -> Result<Bytes, Error> {
    let topics = shared.topics.read();
    let mut named = Vec::with_capacity(positions.len());
    for position in positions {
        if position.group.len() > GROUP_NAME_MAX {
            let why = format!("a group's name is longer than {GROUP_NAME_MAX} bytes");
            return Err(
                error::bad_setting(GROUPS_TOPIC, &why).remedy("shorten the connector's name")
            );
        }
        let topic = topics
            .by_id(position.topic_id)
            .ok_or_else(|| error::unknown_topic(&format!("{:032x}", position.topic_id)))?;
        named.push((position, Arc::clone(&topic.name)));
    }
    drop(topics);
    groups::encode(&named, shared.storage().now_ms()).map_err(Into::into)
}

/// A commit's answer, kept until it is durable and readable.
#[derive(Debug)]
struct Waiting {
    writer: WriterId,
    reply: Reply<Vec<u64>>,
    bases: Vec<u64>,
    bytes: usize,
}

/// Commits that share one journal entry.
#[derive(Default)]
pub(super) struct Prepared {
    batches: Vec<(Arc<Partition>, Placed)>,
    items: Vec<Item>,
    positions: Vec<GroupPosition>,
    waiting: Vec<Waiting>,
    /// Their predecessors' commits are decided when this group is.
    writers: Vec<(Reply<u64>, u64)>,
}

impl Prepared {
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn fail(&mut self, error: impl Fn() -> Error) {
        for waiting in self.waiting.drain(..) {
            waiting.writer.failed.store(true, Relaxed);
            answer(waiting.reply, Err(error()));
        }
        for (reply, _) in self.writers.drain(..) {
            answer(reply, Err(error()));
        }
    }
}

/// A durable group on its way into the segments.
pub(super) struct Applying {
    /// Per partition the batches that are still to be written, in order.
    rest: Vec<(Arc<Partition>, Vec<Placed>)>,
    prepared: Prepared,
}

impl Applying {
    pub(super) fn into_prepared(self) -> Prepared {
        self.prepared
    }
}

impl Log {
    /// Takes commits off the queue's front. Those that cannot be done are answered at once; the rest get offsets.
    pub(super) fn prepare(&mut self) -> Prepared {
        let mut prepared = Prepared::default();
        let mut bytes = 0;
        while bytes < GROUP_BYTES {
            match self.queue.front() {
                Some(Op::Commit { .. } | Op::Writer { .. }) => {}
                _ => break,
            }
            match self.queue.pop_front() {
                Some(Op::Commit {
                    writer,
                    commit,
                    reply,
                }) => {
                    bytes += commit.bytes;
                    let places = self
                        .check_writer(&writer)
                        .and_then(|()| self.places(&commit));
                    match places {
                        Ok(places) => self.place(&mut prepared, (writer, reply), commit, places),
                        Err(error) => {
                            // What it counted as queued ends before anybody hears of it.
                            drop(commit);
                            writer.failed.store(true, Relaxed);
                            answer(reply, Err(error));
                        }
                    }
                }
                Some(Op::Writer { owner, reply }) => {
                    let generation = self.writers.entry(owner).or_insert(0);
                    *generation += 1;
                    prepared.writers.push((reply, *generation));
                }
                _ => break,
            }
        }
        prepared
    }

    pub(super) fn groups_have_grown(&self) -> bool {
        let topics = self.shared.topics.read();
        topics.get(GROUPS_TOPIC).is_some_and(|topic| {
            let segments = |partition: &Arc<Partition>| partition.state.read().segments.len();
            topic.partitions.first().map_or(0, segments) >= GROUPS_SEGMENTS_MAX
        })
    }

    /// Appends all group positions again and moves the log start of their topic there: until compaction exists, this
    /// keeps it short. Nothing is half applied now, so the map is what the topic says up to here.
    pub(super) fn prepare_trim(&mut self) -> Option<Prepared> {
        let to = TopicPartition {
            topic: GROUPS_TOPIC.into(),
            partition: 0,
        };
        let positions: Vec<GroupPosition> = self.shared.groups.read().all().collect();
        let offset = self.ends(&to)?.log_end;
        let (reply, _) = oneshot::channel();
        let move_start = Op::SetLogStart {
            at: to.clone(),
            offset,
            reply,
        };
        let mut prepared = Prepared::default();
        if !positions.is_empty() {
            let checked = position_batch(&self.shared, &positions).and_then(|batch| {
                check_append(Append {
                    to: to.clone(),
                    batch,
                })
            });
            let (at, header, batch) = match checked {
                Ok(checked) => checked,
                Err(error) => {
                    tracing::error!(error = %error.chain(), "group positions cannot be written anew");
                    return None;
                }
            };
            let partition = Arc::clone(self.shared.topics.read().find(&at).ok()?.1);
            self.put(&mut prepared, partition, header, &batch);
        }
        self.queue.push_front(move_start);
        Some(prepared)
    }

    fn check_writer(&self, writer: &WriterId) -> Result<(), Error> {
        // I10: a task that was given up can do no harm.
        if self.writers.get(&writer.owner) != Some(&writer.generation) {
            return Err(error::fenced(&writer.owner));
        }
        if writer.failed.load(Relaxed) {
            return Err(error::earlier_failed(&writer.owner));
        }
        Ok(())
    }

    /// The partitions of a commit's batches: all of them, or none is touched.
    fn places(&self, commit: &CheckedCommit) -> Result<Vec<Arc<Partition>>, Error> {
        let topics = self.shared.topics.read();
        let place = |(at, header, _): &(TopicPartition, Header, Bytes)| {
            let (topic, partition) = topics.find(at)?;
            check_size(at, header, topic)?;
            Ok(Arc::clone(partition))
        };
        commit.batches.iter().map(place).collect()
    }

    fn place(
        &mut self,
        prepared: &mut Prepared,
        (writer, reply): (WriterId, Reply<Vec<u64>>),
        commit: CheckedCommit,
        places: Vec<Arc<Partition>>,
    ) {
        let mut bases = Vec::with_capacity(commit.batches.len());
        for ((_, header, batch), partition) in commit.batches.into_iter().zip(places) {
            bases.push(self.put(prepared, partition, header, &batch));
        }
        bases.truncate(commit.answered);
        prepared.positions.extend(commit.positions);
        prepared.waiting.push(Waiting {
            writer,
            reply,
            bases,
            bytes: commit.bytes,
        });
    }

    /// Gives a batch the next offset of its partition.
    fn put(
        &mut self,
        prepared: &mut Prepared,
        partition: Arc<Partition>,
        header: Header,
        batch: &Bytes,
    ) -> u64 {
        let next = self
            .assigned
            .entry((partition.topic_id, partition.at.partition))
            .or_insert_with(|| partition.state.read().end);
        let base = *next;
        let placed = Placed::new(header, batch, base);
        *next = placed.header.next_offset();
        prepared.items.push(Item {
            topic_id: partition.topic_id,
            partition: partition.at.partition,
            base_offset: base,
            bytes: u32::try_from(placed.header.bytes).unwrap_or(u32::MAX),
            crc: placed.header.crc,
            offsets: placed.offsets(),
        });
        prepared.batches.push((partition, placed));
        base
    }

    /// One entry, one write, one sync. On a full disk the group stays prepared.
    pub(super) fn write_prepared(&mut self) -> Result<(), Failure> {
        let Some(prepared) = self.prepared.as_mut() else {
            return Ok(());
        };
        if !prepared.is_empty() {
            let operation = Operation::Append(std::mem::take(&mut prepared.items));
            let parts: Vec<&[u8]> = prepared
                .batches
                .iter()
                .flat_map(|(_, placed)| placed.parts())
                .collect();
            // I1: records, source offsets and group positions in one entry.
            let written = self
                .journal
                .write(operation.kind(), &operation.encode(), &parts);
            if let Operation::Append(items) = operation {
                prepared.items = items;
            }
            written?;
        }
        let Some(mut prepared) = self.prepared.take() else {
            return Ok(());
        };
        let rest = by_partition(std::mem::take(&mut prepared.batches));
        self.applying = Some(Applying { rest, prepared });
        Ok(())
    }

    /// Writes a durable group's batches to their segments, then answers. On a full disk the rest stays to be written:
    /// it is durable, and not readable yet (I3).
    pub(super) fn apply(&mut self) -> Result<(), Failure> {
        let Some(applying) = self.applying.as_mut() else {
            return Ok(());
        };
        while let Some((partition, batches)) = applying.rest.last_mut() {
            while !batches.is_empty() && !partition.state.read().deleted {
                let count = partition
                    .append(batches)
                    .map_err(|error| Failure::of("write a segment", &error))?;
                batches.drain(..count);
            }
            let key = (partition.topic_id, partition.at.partition);
            self.assigned.remove(&key);
            self.dirty.insert(key, Arc::clone(partition));
            applying.rest.pop();
        }
        if let Some(applying) = self.applying.take() {
            self.answer_group(applying.prepared);
        }
        Ok(())
    }

    fn answer_group(&self, prepared: Prepared) {
        let stats = &self.shared.means.stats;
        if !prepared.positions.is_empty() {
            let topics = self.shared.topics.read();
            let mut groups = self.shared.groups.write();
            for position in &prepared.positions {
                if topics.by_id(position.topic_id).is_some() {
                    groups.set(position);
                }
            }
        }
        // I2: only now, durable and readable.
        for waiting in prepared.waiting {
            stats.commits.fetch_add(1, Relaxed);
            stats.bytes.fetch_add(waiting.bytes as u64, Relaxed);
            answer(waiting.reply, Ok(waiting.bases));
        }
        for (reply, generation) in prepared.writers {
            answer(reply, Ok(generation));
        }
    }
}

fn check_size(at: &TopicPartition, header: &Header, topic: &Topic) -> Result<(), Error> {
    let limit = topic.rules.batch_bytes_max;
    if header.bytes > limit && !is_groups_topic(&at.topic) {
        return Err(error::too_large(at, header.bytes, limit));
    }
    Ok(())
}

/// Each partition's batches in order. Between partitions there is no order to keep: they are durable together.
fn by_partition(batches: Vec<(Arc<Partition>, Placed)>) -> Vec<(Arc<Partition>, Vec<Placed>)> {
    let mut index: HashMap<(u128, u32), usize> = HashMap::new();
    let mut grouped: Vec<(Arc<Partition>, Vec<Placed>)> = Vec::new();
    for (partition, placed) in batches {
        let key = (partition.topic_id, partition.at.partition);
        let at = *index.entry(key).or_insert(grouped.len());
        match grouped.get_mut(at) {
            Some((_, list)) => list.push(placed),
            None => grouped.push((partition, vec![placed])),
        }
    }
    grouped
}
