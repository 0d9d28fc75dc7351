//! One compacted topic as a map: what the last record of each key says.
//!
//! The log is the truth (I5): the map is changed only by reading the log, never by what was meant to be written.

use crate::broker::{
    Append, Broker, Commit, Fetch, NewTopic, Writer,
    batch::{BatchBuilder, BatchReader, Batches, Compression},
};
use bytes::Bytes;
use parking_lot::RwLock;
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tapline_sdk::{Error, TopicPartition};
use tokio::sync::Mutex;

/// What one fetch brings: a state topic is a few MiB, so a handful of reads.
const FETCH_BYTES: usize = 1 << 20;

/// Segments of state topics: small, because the one that is written is never compacted, and a start reads it all.
const SEGMENT_BYTES: &str = "4194304";

/// Where a batch ends: far below what a log refuses, so that a map of any size can be written.
const BATCH_BYTES: usize = 256 << 10;

/// A key's bytes, or a value's.
pub type Blob = Arc<[u8]>;

/// A compacted topic of one partition, held in memory.
pub struct StateMap {
    broker: Arc<dyn Broker>,
    at: TopicPartition,
    entries: RwLock<HashMap<Blob, Blob>>,
    /// Whoever reads or writes the log holds it, so that records are applied once and in order.
    tail: Mutex<Tail>,
}

struct Tail {
    /// The next offset to read.
    next: u64,
    /// Opened when first needed, dropped after a failure.
    writer: Option<Box<dyn Writer>>,
    reader: BatchReader,
}

impl StateMap {
    /// Creates the topic if need be and reads all of it.
    ///
    /// # Errors
    /// TL0520 if it cannot be created or read.
    pub async fn open(broker: Arc<dyn Broker>, topic: &str) -> Result<Self, Error> {
        let config = [
            ("cleanup.policy", "compact"),
            ("segment.bytes", SEGMENT_BYTES),
        ];
        let topic = NewTopic {
            name: topic.into(),
            partitions: 1,
            config: config
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
        };
        let at = TopicPartition {
            topic: Arc::clone(&topic.name),
            partition: 0,
        };
        // An existing topic is left as it is, also one that was made with other settings.
        if broker.topic(&at.topic).is_none() {
            broker.create(vec![topic]).await?;
        }
        let map = Self {
            broker,
            at,
            entries: RwLock::default(),
            tail: Mutex::new(Tail {
                next: 0,
                writer: None,
                reader: BatchReader::new(),
            }),
        };
        map.refresh().await?;
        Ok(map)
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &Arc<str> {
        &self.at.topic
    }

    /// The value of a key, as far as the log was read.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Blob> {
        self.entries.read().get(key).cloned()
    }

    /// All entries in the order of their keys, as far as the log was read.
    #[must_use]
    pub fn all(&self) -> BTreeMap<Blob, Blob> {
        let entries = self.entries.read();
        entries
            .iter()
            .map(|(key, value)| (Arc::clone(key), Arc::clone(value)))
            .collect()
    }

    /// Reads what was committed since.
    ///
    /// # Errors
    /// TL0520 if the topic cannot be read.
    pub async fn refresh(&self) -> Result<(), Error> {
        let mut tail = self.tail.lock().await;
        self.catch_up(&mut tail).await
    }

    /// Stores entries in one commit, durable on return; `None` forgets a key.
    ///
    /// # Errors
    /// TL0521 if the log refuses them: whether they are stored is then told by [`StateMap::refresh`] alone.
    pub async fn put_all(&self, entries: &[(Blob, Option<Blob>)]) -> Result<(), Error> {
        if entries.is_empty() {
            return Ok(());
        }
        let appends = self.appends(entries)?;
        let mut tail = self.tail.lock().await;
        self.commit(&mut tail, appends).await?;
        self.catch_up(&mut tail).await
    }

    /// Stores one entry; see [`StateMap::put_all`].
    ///
    /// # Errors
    /// TL0521 if the log refuses it.
    pub async fn put(&self, key: Blob, value: Blob) -> Result<(), Error> {
        self.put_all(&[(key, Some(value))]).await
    }

    /// Forgets a key; see [`StateMap::put_all`].
    ///
    /// # Errors
    /// TL0521 if the log refuses it.
    pub async fn remove(&self, key: Blob) -> Result<(), Error> {
        self.put_all(&[(key, None)]).await
    }

    /// Entries as batches for somebody else's commit: so an offset becomes durable with the records it covers (I1).
    ///
    /// # Errors
    /// TL0521 if an entry is too large for a batch.
    pub fn appends(&self, entries: &[(Blob, Option<Blob>)]) -> Result<Vec<Append>, Error> {
        let batches = batches(entries).map_err(|error| self.unwritable().because(error))?;
        let append = |batch| Append {
            to: self.at.clone(),
            batch,
        };
        Ok(batches.into_iter().map(append).collect())
    }

    async fn commit(&self, tail: &mut Tail, appends: Vec<Append>) -> Result<(), Error> {
        let writer = match &mut tail.writer {
            Some(writer) => writer,
            none => none.insert(
                self.broker
                    .writer(&format!("state:{}", self.at.topic))
                    .await?,
            ),
        };
        let commit = Commit {
            appends,
            positions: Vec::new(),
        };
        let done = writer.commit(commit).await;
        if done.is_err() {
            // A writer that failed once fails for ever; the next call takes a new one.
            tail.writer = None;
        }
        done.map(drop).map_err(|error| {
            // Whether to try again is for the log to say.
            let mut wrapped = self.unwritable();
            wrapped.kind = error.kind;
            wrapped.remedy.clone_from(&error.remedy);
            wrapped.because(error)
        })
    }

    /// Reads up to what was durable when it began.
    async fn catch_up(&self, tail: &mut Tail) -> Result<(), Error> {
        let topic = self.broker.topic(&self.at.topic);
        let ends = topic.as_ref().and_then(|topic| topic.partitions.first());
        let ends = *ends.ok_or_else(|| self.unreadable("the topic is gone"))?;
        tail.next = tail.next.max(ends.log_start);
        while tail.next < ends.high_watermark {
            let fetch = Fetch {
                from: vec![(self.at.clone(), tail.next)],
                max_bytes: FETCH_BYTES,
                min_bytes: 1,
                max_wait: Duration::ZERO,
            };
            let before = tail.next;
            for fetched in self.broker.fetch(fetch).await? {
                self.apply(tail, &fetched.batches)?;
            }
            if tail.next == before {
                return Err(self.unreadable(format!("nothing can be read at offset {before}")));
            }
        }
        Ok(())
    }

    fn apply(&self, tail: &mut Tail, bytes: &Bytes) -> Result<(), Error> {
        let mut entries = self.entries.write();
        for batch in Batches::new(bytes) {
            let batch = batch.map_err(|error| self.unreadable(error))?;
            for record in tail
                .reader
                .read(&batch)
                .map_err(|error| self.unreadable(error))?
            {
                let record = record.map_err(|error| self.unreadable(error))?;
                let Some(key) = record.key.filter(|_| record.offset >= tail.next) else {
                    continue;
                };
                match record.value {
                    Some(value) => drop(entries.insert(key.into(), value.into())),
                    None => drop(entries.remove(key)),
                }
            }
            tail.next = tail.next.max(batch.header.next_offset());
        }
        Ok(())
    }

    fn unwritable(&self) -> Error {
        Error::fatal(format!("cannot store state in `{}`", self.at.topic)).code("TL0521")
    }

    fn unreadable(&self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::fatal(format!("cannot read the state topic `{}`", self.at.topic))
            .code("TL0520")
            .remedy("look at the segments with `tapline dump`, and restore the data directory if they are damaged")
            .because(cause)
    }
}

impl fmt::Debug for StateMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may hold secrets.
        f.debug_struct("StateMap")
            .field("topic", &self.at.topic)
            .finish_non_exhaustive()
    }
}

fn batches(
    entries: &[(Blob, Option<Blob>)],
) -> Result<Vec<Bytes>, Box<dyn std::error::Error + Send + Sync>> {
    let mut builder = BatchBuilder::new();
    let mut done = Vec::new();
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let now_ms = i64::try_from(now.as_millis())?;
    for (key, value) in entries {
        builder.append(Some(key), value.as_deref(), now_ms, [])?;
        if builder.bytes() > BATCH_BYTES {
            done.push(builder.finish(Compression::Lz4)?);
        }
    }
    if !builder.is_empty() {
        done.push(builder.finish(Compression::Lz4)?);
    }
    Ok(done)
}
