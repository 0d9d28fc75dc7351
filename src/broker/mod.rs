//! The log: topics of partitions of record batches, durable before they are seen.
//!
//! Owns the trait that sources, sinks and state maps write against ([`Broker`], [`Writer`]) and its embedded
//! implementation. Knows bytes only: no connector, no schema, no record's meaning. The trait is used as `dyn`,
//! because real Kafka will stand beside the embedded log.

pub mod batch;
mod checkpoint;
mod compact;
mod dump;
mod embedded;
mod error;
mod fetch;
mod files;
mod folder;
mod groups;
mod index;
mod journal;
mod layout;
pub mod log;
mod meta;
mod partition;
pub mod partitioner;
mod reader;
mod retention;
mod rules;
mod settings;
mod stats;
pub mod storage;
mod stored;
mod swap;
#[cfg(test)]
mod tests;
mod threads;
mod topics;
mod upkeep;

pub use dump::{Dump, Dumped, dump};
pub use embedded::Embedded;
pub use groups::{GROUPS_TOPIC, Readers};
pub use rules::{TOPIC_SETTINGS, TopicSetting};
pub use settings::{Flush, SINK_LIMIT_PERCENT, SOURCE_LIMIT_PERCENT, Settings};
pub use stats::{SYNC_BUCKETS_US, Stats};
pub use topics::topic_problems;

use bytes::Bytes;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tapline_sdk::{BoxFuture, Error, TopicPartition};

/// A record batch v2 as Kafka stores it, its base offset still 0, compressed by the task that made it.
#[derive(Debug, Clone)]
pub struct Append {
    /// Where it goes.
    pub to: TopicPartition,
    /// The batch, header included.
    pub batch: Bytes,
}

/// Where a group goes on in one partition. A topic that is created again inherits none, hence the id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupPosition {
    /// The group: for sinks `connect-<connector>`, as in Kafka Connect.
    pub group: Arc<str>,
    /// The topic's UUID.
    pub topic_id: u128,
    /// The partition.
    pub partition: u32,
    /// The next offset to read, or [`GroupPosition::UNSET`].
    pub next: u64,
}

impl GroupPosition {
    /// Stored in place of an offset, it forgets the position: the group begins anew. On disk it is Kafka's -1.
    pub const UNSET: u64 = u64::MAX;
}

/// What becomes durable as one unit (I1).
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// Batches, applied in this order.
    pub appends: Vec<Append>,
    /// Group positions; apart from the appends, because on Kafka they are `TxnOffsetCommit`.
    pub positions: Vec<GroupPosition>,
}

/// A read of several partitions that waits until `min_bytes` are readable or `max_wait` is over.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// Partitions with the first offset wanted of each.
    pub from: Vec<(TopicPartition, u64)>,
    /// Stop after this many bytes, but return at least one batch if one is readable.
    pub max_bytes: usize,
    /// What is enough to return.
    pub min_bytes: usize,
    /// How long to wait for it.
    pub max_wait: Duration,
}

/// Whole batches of one partition, offsets assigned, back to back. The first may begin below the offset asked for:
/// skip its records up to there.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The partition.
    pub at: TopicPartition,
    /// Record batches, back to back.
    pub batches: Bytes,
    /// The first offset that cannot be read yet.
    pub high_watermark: u64,
    /// The first offset that can still be read.
    pub log_start: u64,
}

/// One partition's ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// The first offset that can be read.
    pub log_start: u64,
    /// The next offset to be assigned.
    pub log_end: u64,
    /// The first offset that cannot be read yet: last synced offset + 1 (I3).
    pub high_watermark: u64,
}

/// A topic as it stands.
#[derive(Debug, Clone)]
pub struct TopicInfo {
    /// Its name.
    pub name: Arc<str>,
    /// Its UUID, new with every creation.
    pub id: u128,
    /// When it was created, nanoseconds since 1970: the base of external versions (I6).
    pub created_ns: i64,
    /// Its settings, by Kafka's names (`cleanup.policy`).
    pub config: BTreeMap<String, String>,
    /// Each partition's ends.
    pub partitions: Vec<Ends>,
}

/// What to create; creating a topic that exists with the same partitions is no error and changes nothing.
#[derive(Debug, Clone)]
pub struct NewTopic {
    /// `[a-zA-Z0-9._-]`, at most 249 characters, as in Kafka.
    pub name: Arc<str>,
    /// At least 1.
    pub partitions: u32,
    /// Settings by Kafka's names.
    pub config: BTreeMap<String, String>,
}

/// The log. Cheap to share.
pub trait Broker: Send + Sync {
    /// The id of this log: made with the data directory, never changed.
    fn cluster_id(&self) -> Arc<str>;

    /// Fences the owner's predecessor: a late commit of a task that was given up cannot land after this (I10).
    /// Everything the predecessor has enqueued before is decided when this returns.
    fn writer(&self, owner: &str) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>>;

    /// Creates topics, durable on return, and returns them as they stand.
    fn create(&self, topics: Vec<NewTopic>) -> BoxFuture<'_, Result<Vec<TopicInfo>, Error>>;

    /// Changes settings of a topic, durable on return; `None` takes a setting back to its default. Readers and writers
    /// go on meanwhile. All changes are done or none: one that is wrong is TL0209, an unknown topic TL0207.
    fn alter<'a>(
        &'a self,
        topic: &'a str,
        changes: BTreeMap<String, Option<String>>,
    ) -> BoxFuture<'a, Result<TopicInfo, Error>>;

    /// Deletes a topic with its records and every group's positions in it, durable on return; `Ok(false)` if there is
    /// none. Its readers get TL0207 from then on; a topic of the same name that is created later has another id, and
    /// inherits nothing. Whether somebody still needs it is for the caller to say; only [`GROUPS_TOPIC`] is refused.
    fn delete<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<bool, Error>>;

    /// Moves the log start of a partition up, durable on return: records below are gone.
    fn set_log_start<'a>(
        &'a self,
        at: &'a TopicPartition,
        offset: u64,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// All topics as they stand.
    fn topics(&self) -> Vec<TopicInfo>;

    /// One topic as it stands.
    fn topic(&self, name: &str) -> Option<TopicInfo>;

    /// Reads durable records (I3). An offset out of range is an error that names both ends; an offset in a damaged
    /// range is an error that names the range.
    fn fetch(&self, fetch: Fetch) -> BoxFuture<'_, Result<Vec<Fetched>, Error>>;

    /// The stored positions of a group.
    fn positions(&self, group: &str) -> Vec<GroupPosition>;

    /// The first offset whose record's timestamp is at or after this, or `None`.
    fn offset_for_time<'a>(
        &'a self,
        at: &'a TopicPartition,
        timestamp_ms: i64,
    ) -> BoxFuture<'a, Result<Option<u64>, Error>>;

    /// `Some` once the log has stopped for good (I7): why, for `/health`.
    fn stopped(&self) -> Option<String>;
}

/// The right of one owner to append.
pub trait Writer: Send {
    /// Enqueues a commit, when called and in call order; several may be in flight. The future says that it is
    /// durable, with the base offsets in the order of `appends`, or why it is not. Dropping the future decides
    /// nothing (I5): the owner's next writer finds out from the log. After one commit failed, every later one of
    /// this writer fails, so that order is kept. A full disk is waited for, not an error.
    fn commit(&mut self, commit: Commit) -> BoxFuture<'static, Result<Vec<u64>, Error>>;
}
