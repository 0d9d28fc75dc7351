//! The reading half of a session: fetches, decodes and transforms ahead of the target.

use super::{
    Shared, SinkTask,
    assign::Assigned,
    barrier::{Barriers, Released},
    budget::Purse,
    chunk::Chunk,
};
use crate::{
    broker::{
        Fetch, Fetched,
        batch::{Batch, BatchError, BatchReader, Batches, Record},
    },
    converter::{BARRIER, Decoder, RawRecord},
    metrics::Work,
    policy::{Failure, Phase},
    task::Attempt,
    transform::{Chain, Kept},
};
use hashbrown::HashMap;
use std::{sync::Arc, time::Duration};
use tapline_sdk::{Error, Place};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Encoded bytes of one fetch: compressed several times, it makes about one full chunk.
const FETCH_BYTES: usize = 1 << 20;

/// The same where chunks have room for a part of a batch only: one batch comes, however large it is.
const FETCH_BYTES_CUT: usize = 64 << 10;

/// How long a fetch waits for the first byte; it is woken at once when one arrives, so this only bounds how long a
/// barrier's idle partitions go unnoticed.
const FETCH_WAIT: Duration = Duration::from_millis(500);

/// Reads one session's partitions.
pub(super) struct Reader {
    shared: Arc<Shared>,
    decoder: Decoder,
    purse: Purse,
    chain: Chain,
    cursors: Vec<Assigned>,
    by_name: HashMap<(Arc<str>, u32), usize>,
    barriers: Barriers<Copied>,
    /// Which cursor a fetch begins with, so that a busy partition starves no other.
    turn: usize,
    /// Whether the last batch read did not go into its chunk as a whole.
    cut: bool,
    work: Arc<Work>,
}

/// What one batch of records came to.
enum Read {
    /// All of it was decoded.
    Whole,
    /// The partition stands before a barrier.
    Held,
    /// The chunk may not grow: the rest is fetched again.
    Cut,
}

impl Reader {
    pub(super) fn new(task: &SinkTask, assigned: &[Assigned]) -> Result<Self, Failure> {
        let chain = task.resolved.chain().map_err(|issues| {
            let problems: Vec<String> = issues.into_iter().map(|issue| issue.problem).collect();
            let problems = problems.join("; ");
            let error = Error::config(format!("cannot make the transforms: {problems}"));
            Failure::new(Phase::Connect, error)
        })?;
        let name =
            |(at, one): (usize, &Assigned)| ((Arc::clone(&one.at.topic), one.at.partition), at);
        Ok(Self {
            shared: Arc::clone(&task.shared),
            decoder: Decoder::with_converters(
                Arc::clone(&task.shared.registry),
                &task.resolved.converters,
            ),
            purse: Purse::new(&task.shared.budget),
            chain,
            by_name: assigned.iter().enumerate().map(name).collect(),
            cursors: assigned.to_vec(),
            barriers: Barriers::default(),
            turn: 0,
            cut: false,
            work: Arc::clone(&task.monitor.metrics.work),
        })
    }

    /// Reads until `done` or nobody takes chunks. A chunk goes as soon as the target has room for it; until then it
    /// grows.
    pub(super) async fn run(
        mut self,
        chunks: mpsc::Sender<Chunk>,
        done: CancellationToken,
    ) -> Attempt {
        let mut chunk = Chunk::new(&self.purse);
        loop {
            let full = chunk.is_full();
            if full && chunk.waits() {
                tokio::select! {
                    biased;
                    () = done.cancelled() => return Ok(()),
                    () = chunk.grown() => {}
                }
                // What it lacks is there: it goes once it has grown, not as the little that it is.
                let fetched = self.fetch(Duration::ZERO).await;
                let fetched = fetched.map_err(|error| Failure::new(Phase::Fetch, error))?;
                self.read(&mut chunk, &fetched)?;
                continue;
            }
            if full {
                let taken = tokio::select! {
                    biased;
                    () = done.cancelled() => return Ok(()),
                    room = chunks.reserve() => room,
                };
                let Ok(room) = taken else { return Ok(()) };
                let next = Chunk::new(&self.purse);
                room.send(self.finish(std::mem::replace(&mut chunk, next))?);
            }
            let fetched = tokio::select! {
                biased;
                () = done.cancelled() => return Ok(()),
                room = chunks.reserve(), if !chunk.is_empty() => {
                    let Ok(room) = room else { return Ok(()) };
                    let next = Chunk::new(&self.purse);
                    room.send(self.finish(std::mem::replace(&mut chunk, next))?);
                    continue;
                }
                fetched = self.fetch(FETCH_WAIT) => fetched,
            };
            let fetched = fetched.map_err(|error| Failure::new(Phase::Fetch, error))?;
            self.read(&mut chunk, &fetched)?;
        }
    }

    async fn fetch(&mut self, max_wait: Duration) -> Result<Vec<Fetched>, Error> {
        let mut from: Vec<_> = self
            .cursors
            .iter()
            .filter(|one| !self.barriers.holds(&one.at.topic, one.at.partition))
            .map(|one| (one.at.clone(), one.next))
            .collect();
        if from.is_empty() {
            return Ok(Vec::new());
        }
        let turn = self.turn % from.len();
        from.rotate_left(turn);
        self.turn = self.turn.wrapping_add(1);
        let fetch = Fetch {
            from,
            max_bytes: match self.cut {
                true => FETCH_BYTES_CUT,
                false => FETCH_BYTES,
            },
            min_bytes: 1,
            max_wait,
        };
        self.shared.log.fetch(fetch).await
    }

    fn read(&mut self, chunk: &mut Chunk, fetched: &[Fetched]) -> Result<(), Failure> {
        self.cut = false;
        for one in fetched {
            let Some(cursor) = self.cursor_of(one) else {
                continue;
            };
            for batch in Batches::new(&one.batches) {
                if chunk.is_full() {
                    // The rest is fetched again, once there is room.
                    break;
                }
                let batch = batch.map_err(|error| self.damaged(cursor, error))?;
                // Several tasks unpack by turns what one buffer holds.
                let mut unpack = self.shared.unpackers.take();
                let read = self.decode(chunk, cursor, &batch, &mut unpack)?;
                unpack.rest();
                self.shared.unpackers.give(unpack);
                self.cut = matches!(read, Read::Cut);
                if self.cut {
                    break;
                }
                // A batch that goes into several chunks counts for the last of them.
                chunk.bytes += u64::try_from(batch.bytes().len()).unwrap_or(u64::MAX);
                if matches!(read, Read::Held) {
                    break;
                }
            }
        }
        self.pass_barriers(chunk)
    }

    fn cursor_of(&self, fetched: &Fetched) -> Option<usize> {
        let name = (Arc::clone(&fetched.at.topic), fetched.at.partition);
        self.by_name.get(&name).copied()
    }

    /// Decodes a batch's records from the cursor on.
    fn decode(
        &mut self,
        chunk: &mut Chunk,
        cursor: usize,
        batch: &Batch<'_>,
        unpack: &mut BatchReader,
    ) -> Result<Read, Failure> {
        let Some(one) = self.cursors.get_mut(cursor) else {
            return Ok(Read::Whole);
        };
        let damaged = |one: &Assigned, error: BatchError| unreadable(one, one.next, error);
        let records = unpack.read(batch).map_err(|error| damaged(one, error))?;
        for record in records {
            let record = record.map_err(|error| damaged(one, error))?;
            if record.offset < one.next {
                continue;
            }
            if !chunk.grows() {
                chunk.advance(&one.at, one.next);
                return Ok(Read::Cut);
            }
            if one.partitions > 1
                && let Some(barrier) = barrier_of(&record)
            {
                let at = ((record.timestamp_ms, barrier), record.offset);
                let copy = Copied::of(&record);
                self.barriers
                    .arrive(&one.at.topic, one.at.partition, at, copy);
                one.next = record.offset;
                chunk.advance(&one.at, one.next);
                return Ok(Read::Held);
            }
            let raw = raw(one, record.timestamp_ms, record.key, record.value);
            push(
                &mut self.decoder,
                chunk,
                one,
                record.offset,
                raw,
                record.headers,
            )?;
            one.next = record.offset + 1;
        }
        // Offsets may have gaps at a batch's end.
        one.next = one.next.max(batch.header.next_offset());
        chunk.advance(&one.at, one.next);
        Ok(Read::Whole)
    }

    /// Delivers, once each, the barriers that every partition of their topic has reached.
    fn pass_barriers(&mut self, chunk: &mut Chunk) -> Result<(), Failure> {
        for topic in self.barriers.topics() {
            let Some(info) = self.shared.log.topic(&topic) else {
                continue;
            };
            let partitions = u32::try_from(info.partitions.len()).unwrap_or(u32::MAX);
            let cursors = &self.cursors;
            let idle = |partition: u32| {
                let end = info
                    .partitions
                    .get(partition as usize)
                    .map_or(0, |ends| ends.high_watermark);
                cursors
                    .iter()
                    .find(|one| one.at.topic == topic && one.at.partition == partition)
                    .is_none_or(|one| one.next >= end)
            };
            let Some(released) = self.barriers.release(&topic, partitions, idle) else {
                continue;
            };
            self.pass(chunk, &topic, &released)?;
        }
        Ok(())
    }

    /// Moves the released partitions past their copies and delivers one of them, all in one chunk.
    fn pass(
        &mut self,
        chunk: &mut Chunk,
        topic: &Arc<str>,
        released: &Released<Copied>,
    ) -> Result<(), Failure> {
        let Released { copies, record } = released;
        for (at, (partition, offset)) in copies.iter().enumerate() {
            let name = (Arc::clone(topic), *partition);
            let cursor = self.by_name.get(&name).copied();
            let Some(one) = cursor.and_then(|cursor| self.cursors.get_mut(cursor)) else {
                continue;
            };
            if at + 1 == copies.len() {
                let (key, value) = (record.key.as_deref(), record.value.as_deref());
                let raw = raw(one, record.timestamp_ms, key, value);
                push(
                    &mut self.decoder,
                    chunk,
                    one,
                    *offset,
                    raw,
                    record.headers(),
                )?;
            }
            one.next = offset + 1;
            chunk.advance(&one.at, one.next);
        }
        Ok(())
    }

    fn damaged(&self, cursor: usize, error: BatchError) -> Failure {
        match self.cursors.get(cursor) {
            Some(one) => unreadable(one, one.next, error),
            None => Failure::new(Phase::Fetch, Error::from(error)),
        }
    }

    /// A chunk as it is handed over: transformed, and counted as read.
    fn finish(&mut self, mut chunk: Chunk) -> Result<Chunk, Failure> {
        self.work.read(chunk.records);
        if self.chain.is_empty() {
            return Ok(chunk);
        }
        let rows = std::mem::take(&mut chunk.rows);
        match self.chain.apply(rows) {
            Ok((rows, kept)) => {
                chunk.rows = rows;
                if let Kept::Only(kept) = kept {
                    let place = |at: usize| chunk.places.get(at).copied();
                    chunk.places = kept.into_iter().filter_map(place).collect();
                }
                Ok(chunk)
            }
            Err(unfit) => {
                let at = chunk.places.get(unfit.index).map_or_else(
                    || "?".to_owned(),
                    |place| {
                        let topic = chunk.next.get(place.partition as usize);
                        let topic = topic.map_or_else(String::new, |(at, _)| {
                            format!("{}/{}", at.topic, at.partition)
                        });
                        format!("{topic}@{}", place.offset)
                    },
                );
                let error = Error::fatal(format!("record {at} cannot be transformed"))
                    .code("TL0503")
                    .remedy("correct the transform, then restart the connector")
                    .because(unfit.error);
                Err(Failure::new(Phase::Convert, error))
            }
        }
    }
}

fn place(one: &Assigned, partition: u32, offset: u64) -> Place {
    Place {
        partition,
        offset,
        // I6: a topic that is created again begins above its predecessor.
        version: one
            .version_base
            .saturating_add(i64::try_from(offset).unwrap_or(i64::MAX)),
    }
}

/// The number of the barrier that this record is a copy of.
fn barrier_of(record: &Record<'_>) -> Option<u64> {
    let bytes = record.headers.get(BARRIER)??;
    let (_version, number) = bytes.split_first()?;
    Some(u64::from_be_bytes(number.try_into().ok()?))
}

/// An owned copy of a barrier, kept while its partition waits: barriers are rare.
struct Copied {
    timestamp_ms: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Copied {
    fn of(record: &Record<'_>) -> Self {
        let own = |bytes: &[u8]| bytes.to_vec();
        Self {
            timestamp_ms: record.timestamp_ms,
            key: record.key.map(own),
            value: record.value.map(own),
            headers: record
                .headers
                .map(|(name, value)| (name.to_owned(), value.map(own)))
                .collect(),
        }
    }

    fn headers(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        self.headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()))
    }
}

fn raw<'a>(
    one: &'a Assigned,
    timestamp_ms: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
) -> RawRecord<'a> {
    RawRecord {
        topic: &one.at.topic,
        partition: one.at.partition,
        timestamp_ms,
        key,
        value,
    }
}

/// Decodes one record into the chunk.
fn push<'h>(
    decoder: &mut Decoder,
    chunk: &mut Chunk,
    one: &Assigned,
    offset: u64,
    raw: RawRecord<'_>,
    headers: impl IntoIterator<Item = (&'h str, Option<&'h [u8]>)>,
) -> Result<(), Failure> {
    let partition = chunk.partition(&one.at, one.next);
    decoder
        .push(&mut chunk.rows, raw, headers)
        .map_err(|error| unreadable(one, offset, error))?;
    chunk.places.push(place(one, partition, offset));
    chunk.records += 1;
    chunk.last_timestamp_ms = Some(raw.timestamp_ms);
    Ok(())
}

/// Names the record that cannot be read.
fn unreadable(
    one: &Assigned,
    offset: u64,
    cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Failure {
    let (topic, partition) = (&one.at.topic, one.at.partition);
    let error = Error::fatal(format!("record {topic}/{partition}@{offset} cannot be decoded"))
        .code("TL0505")
        .remedy(
            "`tapline consume` shows it; if it was written by another converter, set key.converter and value.converter \
             to that; if it is damaged, `tapline offsets set` to the next offset skips it",
        )
        .because(cause);
    Failure::new(Phase::Convert, error)
}
