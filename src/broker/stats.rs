//! Counters of the log, read by the metrics endpoint. Plain atomics: the log knows no metrics library.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Upper bounds of the sync time buckets, in microseconds; one more bucket holds what took longer.
pub const SYNC_BUCKETS_US: [u64; 10] = [
    125, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 1_000_000,
];

/// What the log has done since it was opened.
#[derive(Debug, Default)]
pub struct Stats {
    /// Commits that became durable.
    pub commits: AtomicU64,
    /// Journal entries written: commits that waited together share one.
    pub entries: AtomicU64,
    /// Bytes of record batches that became durable.
    pub bytes: AtomicU64,
    /// Syncs of the journal.
    pub syncs: AtomicU64,
    /// Time spent in them, in microseconds.
    pub sync_us_total: AtomicU64,
    /// The longest of them, in microseconds.
    pub sync_us_max: AtomicU64,
    /// Syncs by duration; bounds are [`SYNC_BUCKETS_US`]. Not cumulative.
    pub sync_us_buckets: [AtomicU64; SYNC_BUCKETS_US.len() + 1],
    /// Bytes of journal written since the last checkpoint: what a recovery replays.
    pub journal_bytes: AtomicU64,
    /// Free bytes of the file system when last looked at.
    pub free_bytes: AtomicU64,
    /// 1 while commits wait for disk space.
    pub waiting_for_space: AtomicU64,
    /// Bytes that wait to be committed.
    pub queued_bytes: AtomicU64,
    /// Checkpoints made.
    pub checkpoints: AtomicU64,
    /// Damaged ranges found.
    pub damage: AtomicU64,
    /// Bytes served to readers.
    pub read_bytes: AtomicU64,
    /// Bytes of all segments.
    pub log_bytes: AtomicU64,
    /// Bytes that segments may take, when last looked at; 0 until then.
    pub log_limit: AtomicU64,
    /// Segments that retention removed.
    pub retention_segments: AtomicU64,
    /// Partitions where retention waits for a sink.
    pub retention_held: AtomicU64,
    /// Compactions of a partition that changed something.
    pub compactions: AtomicU64,
    /// Compactions that ended early, because a segment could not be read or written.
    pub compactions_failed: AtomicU64,
    /// Bytes of segments that compaction read to write them anew.
    pub compaction_read_bytes: AtomicU64,
    /// Bytes of segments that compaction wrote in their place.
    pub compaction_written_bytes: AtomicU64,
    /// Records that compaction left out.
    pub compaction_removed_records: AtomicU64,
    /// Time spent in upkeep, pauses included, in microseconds.
    pub upkeep_us_total: AtomicU64,
}

impl Stats {
    pub(super) fn synced(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.syncs.fetch_add(1, Relaxed);
        self.sync_us_total.fetch_add(us, Relaxed);
        self.sync_us_max.fetch_max(us, Relaxed);
        let bucket = SYNC_BUCKETS_US.partition_point(|&bound| bound < us);
        if let Some(count) = self.sync_us_buckets.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
    }
}
