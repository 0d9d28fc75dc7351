//! Opening the log: trust the checkpoint, replay the journal behind it, tell a torn tail from damage.
//!
//! Segments are written only after the journal's sync, so a batch that stands in a segment behind the checkpoint was
//! durable, whatever the journal says now. That decides what the journal alone cannot:
//! - A batch that the journal lost is taken from the segment if it stands there; if not, its offsets are damaged.
//! - The journal's last entry, if it is not whole, was never acknowledged unless its batches stand in segments.
//! - An entry that was durable and whose list is lost may have held offsets of any partition. If every other batch
//!   behind the checkpoint stands in its segment, so do those of that entry. If not, the machine lost power, and each
//!   partition that no later entry speaks of gets a gap that is as large as the entry can have been: an offset that was
//!   once served must never be given to another record.

use super::{Shared, change};
use crate::broker::{
    batch::Batch,
    checkpoint::{self, Checkpoint},
    error,
    folder::{DELETED, LOGS},
    groups,
    groups::GROUPS_TOPIC,
    journal::{self, Created, Entry, Failure, Found, Item, Journal, Operation, Resume, Scanner},
    meta,
    partition::{Damage, Partition, Placed, State},
    storage::Storage,
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, HashSet},
    io,
    sync::Arc,
};
use tapline_sdk::Error;

/// A lost byte of journal can have held this many records, compressed: the gap errs on the large side, offsets are
/// plenty.
const OFFSETS_PER_LOST_BYTE: u64 = 256;

/// Makes a data directory: `meta` comes last, so that an interrupted start begins anew.
pub(super) fn make(storage: &dyn Storage) -> Result<u128, Error> {
    let failed = |error| error::io("cannot make the data directory", error);
    storage.create_dir(journal::FOLDER).map_err(failed)?;
    storage.create_dir(LOGS).map_err(failed)?;
    for entry in storage.list(journal::FOLDER).map_err(failed)? {
        storage
            .remove(&format!("{}/{}", journal::FOLDER, entry.name))
            .map_err(failed)?;
    }
    let cluster = storage.random();
    match checkpoint::replace(storage, &Checkpoint::empty().encode(cluster)) {
        Ok(()) => {}
        Err(Failure::Full) => return Err(failed(io::ErrorKind::StorageFull.into())),
        Err(Failure::Broken(why)) => return Err(error::stopped(&why)),
    }
    meta::write(storage, cluster)?;
    Ok(cluster)
}

/// What recovery hands to the log.
pub(super) struct Recovered {
    pub journal: Journal,
    /// Removed once a checkpoint no longer names it.
    pub garbage: Vec<String>,
    /// Nothing was replayed or repaired after a clean shutdown: the segments need no sync.
    pub clean: bool,
}

/// Brings topics, partitions and positions to where the last durable entry left them.
pub(super) fn recover(shared: &Shared) -> Result<Recovered, Error> {
    let storage = shared.storage();
    let saved = Checkpoint::read(storage, shared.cluster)?;
    let clean = meta::take_clean(storage, saved.position.sequence)?;
    let files =
        journal::files(storage).map_err(|error| error::io("cannot list the journal", error))?;
    let position = saved.position;
    let highest = files.last().map_or(0, |(generation, _)| generation + 1);
    let next_generation = saved.next_generation.max(highest);
    // A killed process leaves an entry that was written and not synced. Replaying it puts its batches into segments,
    // and a batch in a segment is proof that its entry was durable; a folder that it moves away is not there when the
    // entry is lost. So it must be durable before the first of its effects.
    if !clean {
        journal::harden(&shared.means.storage, shared.cluster, &files, position)
            .map_err(|error| error::io("cannot sync the journal", error))?;
    }
    let foreign = load(shared, saved)?;
    let scanner = Scanner::new(
        Arc::clone(&shared.means.storage),
        shared.cluster,
        &files,
        position,
    );
    let mut replay = Replay {
        shared,
        scanner,
        foreign,
        garbage: Vec::new(),
        suspects: BTreeMap::new(),
        stood: true,
        doubtful: false,
        entries: 0,
    };
    let sequence = replay.run()?;
    replay
        .settle()
        .map_err(|error| error::io("cannot put the segments in order", error))?;
    let untouched = replay.entries == 0 && sequence == position.sequence;
    // A log that never had an entry had nothing to recover.
    if sequence > 0 && (!clean || !untouched) {
        tracing::info!(
            entries = replay.entries,
            sequence,
            "the log was recovered from its journal"
        );
    }
    let garbage = replay.garbage;
    let journal = Journal::resume(
        Arc::clone(&shared.means.storage),
        Arc::clone(&shared.means.stats),
        shared.cluster,
        shared.settings.journal_file_bytes(),
        Resume {
            sequence,
            next_generation,
            old: files,
        },
    );
    Ok(Recovered {
        journal,
        garbage,
        clean: clean && untouched,
    })
}

/// Takes over what the checkpoint holds. Returns the partitions whose folder belongs to a later topic of the same
/// name: the journal will say that theirs was deleted.
fn load(shared: &Shared, saved: Checkpoint) -> Result<HashSet<(u128, u32)>, Error> {
    let mut foreign = HashSet::new();
    let mut topics = shared.topics.write();
    for (created, partitions) in saved.topics {
        let states = partitions.into_iter().map(|partition| {
            let mut state = State::saved(partition.log_start, partition.end, partition.segments);
            state.damage = partition.damage;
            state
        });
        let topic = change::topic(shared, created, states.collect());
        for partition in &topic.partitions {
            let owned = partition
                .owns_folder()
                .map_err(|error| error::io(format!("cannot read `{}`", partition.folder), error))?;
            if !owned && !partition.state.read().segments.is_empty() {
                foreign.insert((topic.id, partition.at.partition));
            }
        }
        topics.insert(Arc::new(topic));
    }
    if topics.get(GROUPS_TOPIC).is_none() {
        let created = Created {
            id: shared.storage().random(),
            created_ns: shared.storage().now_ns(),
            partitions: 1,
            name: GROUPS_TOPIC.into(),
            config: BTreeMap::from([
                ("cleanup.policy".to_owned(), "compact".to_owned()),
                ("segment.bytes".to_owned(), GROUPS_SEGMENT_BYTES.to_string()),
            ]),
        };
        topics.insert(Arc::new(change::topic(
            shared,
            created,
            vec![State::empty()],
        )));
    }
    drop(topics);
    let mut groups = shared.groups.write();
    for position in &saved.groups {
        groups.set(position);
    }
    Ok(foreign)
}

/// State topics roll early, so that what is superseded can go.
const GROUPS_SEGMENT_BYTES: u64 = 4 << 20;

struct Replay<'a> {
    shared: &'a Shared,
    scanner: Scanner,
    foreign: HashSet<(u128, u32)>,
    garbage: Vec<String>,
    /// Partitions that may have lost offsets in an entry whose list is lost, with the bytes it took.
    suspects: BTreeMap<(u128, u32), u64>,
    /// Whether every batch that was replayed stood in its segment already.
    stood: bool,
    /// Whether entries were lost, swaps of segments perhaps.
    doubtful: bool,
    entries: u64,
}

impl Replay<'_> {
    /// Replays to the journal's end; returns the last sequence.
    fn run(&mut self) -> Result<u64, Error> {
        let failed = |error| error::io("cannot replay the journal", error);
        loop {
            match self.scanner.next().map_err(failed)? {
                Some(Found::Entry { entry, intact }) => {
                    if !intact {
                        tracing::error!(sequence = entry.sequence, "a journal entry is damaged");
                    }
                    self.entry(&entry)?;
                }
                Some(Found::Lost {
                    from,
                    to,
                    bytes,
                    known,
                }) => self.lost(from, to, bytes, known)?,
                Some(Found::Tail { remains, torn }) => return self.tail(remains, torn),
                None => return Ok(self.scanner.sequence()),
            }
        }
    }

    fn lost(&mut self, from: u64, to: u64, bytes: u64, known: Option<Entry>) -> Result<(), Error> {
        tracing::error!(
            from,
            to = to - 1,
            bytes,
            "durable journal entries cannot be read"
        );
        self.entries += 1;
        self.doubtful = true;
        if let Some(entry) = known {
            self.entry(&entry)?;
            return Ok(());
        }
        for partition in self.partitions() {
            self.take_standing(&partition).map_err(replay_failed)?;
            let key = (partition.topic_id, partition.at.partition);
            *self.suspects.entry(key).or_insert(0) += bytes;
        }
        Ok(())
    }

    /// The journal's end. What is not whole there was durable only if it stands in segments.
    fn tail(&mut self, remains: Option<Entry>, torn: bool) -> Result<u64, Error> {
        let sequence = self.scanner.sequence();
        self.doubtful |= torn;
        let mut durable = false;
        if let Some(entry) = remains {
            durable = self.stands(&entry)?;
            if durable {
                self.entry(&entry)?;
            }
        }
        for partition in self.partitions() {
            durable |= self.take_standing(&partition).map_err(replay_failed)? > 0;
        }
        if durable {
            tracing::error!(
                sequence = sequence + 1,
                "the last journal entry is damaged, its batches were taken from the segments"
            );
        } else if torn {
            tracing::info!(
                sequence = sequence + 1,
                "an entry that was never acknowledged was cut off the journal"
            );
        }
        Ok(sequence + u64::from(durable))
    }

    /// Whether a batch of the entry stands in its segment.
    fn stands(&self, entry: &Entry) -> Result<bool, Error> {
        let Some(Operation::Append(items)) = Operation::decode(entry.kind, &entry.list) else {
            return Ok(false);
        };
        for item in &items {
            if let Some(partition) = self.partition(item)
                && partition.state.read().end == item.base_offset
                && partition
                    .standing()
                    .map_err(replay_failed)?
                    .is_some_and(|batch| is_item(&batch, item))
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), Error> {
        self.entries += 1;
        match Operation::decode(entry.kind, &entry.list) {
            Some(Operation::Append(items)) => self.append(entry, &items),
            Some(operation) => {
                self.garbage.extend(change::apply(self.shared, operation));
                Ok(())
            }
            None => Err(error::unknown_operation(entry.kind, entry.sequence)),
        }
    }

    fn append(&mut self, entry: &Entry, items: &[Item]) -> Result<(), Error> {
        let mut at = 0;
        for item in items {
            let len = usize::try_from(item.bytes).unwrap_or(usize::MAX);
            if let Some(partition) = self.partition(item) {
                let bytes = self.scanner.body(entry, at, len).map_err(replay_failed)?;
                let bytes = bytes.map(Bytes::from).filter(|bytes| is_item(bytes, item));
                self.item(&partition, item, bytes).map_err(replay_failed)?;
            }
            at += u64::from(item.bytes);
        }
        Ok(())
    }

    /// One batch, if the journal still has it.
    fn item(&mut self, partition: &Partition, item: &Item, batch: Option<Bytes>) -> io::Result<()> {
        self.suspects.remove(&(item.topic_id, item.partition));
        if partition.state.read().end < item.base_offset {
            self.take_standing_below(partition, item.base_offset)?;
        }
        let end = partition.state.read().end;
        if end > item.base_offset {
            return Ok(());
        }
        partition.damaged(Damage {
            offsets: end..item.base_offset,
            resume: None,
        });
        let standing = partition.standing()?.filter(|batch| is_item(batch, item));
        self.stood &= standing.is_some();
        match batch.or(standing) {
            Some(batch) => self.put(partition, &batch),
            None => {
                partition.damaged(Damage {
                    offsets: item.base_offset..item.base_offset + u64::from(item.offsets),
                    resume: None,
                });
                Ok(())
            }
        }
    }

    fn put(&self, partition: &Partition, batch: &Bytes) -> io::Result<()> {
        let Ok(parsed) = Batch::parse(batch, 0) else {
            return Ok(());
        };
        let placed = [Placed::new(parsed.header, batch, parsed.header.base_offset)];
        partition.append(&placed)?;
        if &*partition.at.topic == GROUPS_TOPIC {
            match groups::decode(batch) {
                Ok(positions) => {
                    let mut groups = self.shared.groups.write();
                    positions.iter().for_each(|position| groups.set(position));
                }
                Err(error) => tracing::error!(error = %error, "group positions cannot be read"),
            }
        }
        Ok(())
    }

    /// Takes batches that stand in the segments behind the partition's end; returns how many.
    fn take_standing(&self, partition: &Partition) -> io::Result<u64> {
        self.take_standing_below(partition, u64::MAX)
    }

    fn take_standing_below(&self, partition: &Partition, offset: u64) -> io::Result<u64> {
        let mut count = 0;
        if self
            .foreign
            .contains(&(partition.topic_id, partition.at.partition))
        {
            return Ok(0);
        }
        while partition.state.read().end < offset
            && let Some(batch) = partition.standing()?
        {
            self.put(partition, &batch)?;
            count += 1;
        }
        Ok(count)
    }

    fn partitions(&self) -> Vec<Arc<Partition>> {
        let topics = self.shared.topics.read();
        topics
            .iter()
            .flat_map(|topic| topic.partitions.clone())
            .collect()
    }

    /// The partition that an item goes to; `None` if its topic is deleted, by now or later in the journal.
    fn partition(&self, item: &Item) -> Option<Arc<Partition>> {
        if self.foreign.contains(&(item.topic_id, item.partition)) {
            return None;
        }
        let topics = self.shared.topics.read();
        let topic = topics.by_id(item.topic_id)?;
        topic
            .partitions
            .get(usize::try_from(item.partition).ok()?)
            .cloned()
    }

    /// Brings the folders in line with what was replayed.
    fn settle(&mut self) -> io::Result<()> {
        if !self.stood {
            for (key, bytes) in std::mem::take(&mut self.suspects) {
                let topics = self.shared.topics.read();
                let index = usize::try_from(key.1).unwrap_or(usize::MAX);
                if let Some(partition) = topics
                    .by_id(key.0)
                    .and_then(|topic| topic.partitions.get(index))
                {
                    let end = partition.state.read().end;
                    let gap = bytes.saturating_mul(OFFSETS_PER_LOST_BYTE);
                    partition.damaged(Damage {
                        offsets: end..end.saturating_add(gap),
                        resume: None,
                    });
                }
            }
        }
        let mut folders = HashSet::new();
        for partition in self.partitions() {
            folders.insert(partition.folder.clone());
            if self.doubtful {
                partition.adopt_swapped()?;
            }
            self.garbage.extend(partition.settle()?);
        }
        for entry in self.shared.storage().list(LOGS)? {
            let path = format!("{LOGS}/{}", entry.name);
            if entry.name.ends_with(DELETED) {
                self.garbage.push(path);
            } else if !folders.contains(&path) {
                tracing::warn!(path = %path, "this folder belongs to no topic and is left alone");
            }
        }
        Ok(())
    }
}

fn replay_failed(error: io::Error) -> Error {
    error::io("cannot replay the journal", error)
}

/// Whether these bytes are the batch that a list names. The CRC does not cover a batch's first fields, the list does.
fn is_item(bytes: &[u8], item: &Item) -> bool {
    Batch::parse(bytes, 0).is_ok_and(|batch| {
        let header = batch.header;
        header.base_offset == item.base_offset
            && header.bytes as u64 == u64::from(item.bytes)
            && header.crc == item.crc
            && header.leader_epoch == 0
            && batch.verify().is_ok()
    })
}
