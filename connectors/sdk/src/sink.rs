//! The contract of a sink: it only reacts. Loop, batching, retry and commit belong to the runtime.

use crate::{Config, Connector, Error, RecordError, RecordRef, Rows};
use std::{future::Future, sync::Arc};

/// A partition of a topic of our log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// Counts from 0.
    pub partition: u32,
}

/// What identifies a position that a target holds: another cluster's, connector's or topic's is never taken for ours.
#[derive(Debug, Clone)]
pub struct SinkContext {
    /// The cluster id of the log.
    pub cluster_id: Arc<str>,
    /// The connector's name.
    pub connector: Arc<str>,
    /// The task's number.
    pub task: u32,
}

/// A partition that a sink task is to apply.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// The partition.
    pub at: TopicPartition,
    /// The topic's UUID: a topic that is created again is another one.
    pub topic_id: u128,
    /// The first offset in the log.
    pub log_start: u64,
    /// The first offset that cannot be read yet.
    pub high_watermark: u64,
}

/// Where in the log a record stands.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Index into [`Batch::next`].
    pub partition: u32,
    /// The record's offset.
    pub offset: u64,
    /// Grows in log order, also across a re-created topic (I6).
    pub version: i64,
}

/// Records to apply as one unit.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// The records, in log order within each partition.
    pub rows: &'a Rows,
    /// Where each record stands; as long as `rows`.
    pub places: &'a [Place],
    /// Where each partition stands after this batch, filtered records included.
    pub next: &'a [(TopicPartition, u64)],
}

impl<'a> Batch<'a> {
    /// The records with their places, in order.
    pub fn iter(&self) -> impl Iterator<Item = (RecordRef<'a>, Place)> + use<'a> {
        self.rows.iter().zip(self.places.iter().copied())
    }
}

/// A record that the target does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its index in [`Batch::rows`].
    pub index: usize,
    /// Why.
    pub error: RecordError,
}

/// A connector that writes into another system.
pub trait Sink: Connector {
    /// The positions that the target holds, read without fencing anyone: for REST and status.
    fn positions(
        config: &Config,
        context: &SinkContext,
    ) -> impl Future<Output = Result<Vec<(TopicPartition, u64)>, Error>> + Send;

    /// Takes the partitions over and fences a predecessor (I10). `Some`: the target holds the position, and it is the
    /// truth (I4); `None`: the runtime's group position counts. In the order of `assigned`. `stored` is the group
    /// position of each, if there is one: a target that held positions before and has none now has lost data.
    fn open(
        &mut self,
        context: &SinkContext,
        assigned: &[Assignment],
        stored: &[Option<u64>],
    ) -> impl Future<Output = Result<Vec<Option<u64>>, Error>> + Send;

    /// `Ok` and nothing rejected: every record and `next` are applied, atomically where the target holds the
    /// position. Something rejected: such a target has applied nothing; the runtime makes the dead letters durable
    /// and puts the rest again (I4). Another target has applied the rest.
    fn put(
        &mut self,
        batch: Batch<'_>,
    ) -> impl Future<Output = Result<Vec<Rejected>, Error>> + Send;

    /// Up to where what was applied would survive the target's own crash: the floor of retention.
    fn durable(&self) -> Vec<(TopicPartition, u64)>;

    /// Says goodbye to the target; called once after the last `put`.
    fn close(self) -> impl Future<Output = Result<(), Error>> + Send;
}
