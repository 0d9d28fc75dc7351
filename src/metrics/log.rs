//! The log's series: its counters, read when a page is made.

use crate::broker::{SYNC_BUCKETS_US, Stats};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// Counter: commits that became durable.
const LOG_COMMITS: &str = "log_commits";
/// Counter: bytes of record batches that became durable.
const LOG_BYTES: &str = "log_bytes";
/// Counter: bytes served to readers.
const LOG_READ_BYTES: &str = "log_read_bytes";
/// Counter: checkpoints made.
const LOG_CHECKPOINTS: &str = "log_checkpoints";
/// Counter: damaged ranges found.
const LOG_DAMAGE: &str = "log_damage";
/// Counter: segments that retention removed.
const LOG_RETENTION_SEGMENTS: &str = "log_retention_segments";
/// Counter: compactions that changed a partition.
const LOG_COMPACTIONS: &str = "log_compactions";
/// Counter: compactions that ended early.
const LOG_COMPACTIONS_FAILED: &str = "log_compactions_failed";
/// Counter: bytes that compaction read.
const LOG_COMPACTION_READ: &str = "log_compaction_read_bytes";
/// Counter: bytes that compaction wrote.
const LOG_COMPACTION_WRITTEN: &str = "log_compaction_written_bytes";
/// Counter: records that compaction left out.
const LOG_COMPACTION_REMOVED: &str = "log_compaction_removed_records";
/// Gauge: bytes of all segments.
const LOG_SEGMENT_BYTES: &str = "log_segment_bytes";
/// Gauge: what they may take.
const LOG_LIMIT_BYTES: &str = "log_limit_bytes";
/// Gauge: partitions where retention waits.
const LOG_RETENTION_HELD: &str = "log_retention_held_partitions";
/// Gauge: journal that a recovery would replay.
const LOG_JOURNAL_BYTES: &str = "log_journal_bytes";
/// Gauge: free bytes of the file system.
const LOG_FREE_BYTES: &str = "log_free_bytes";
/// Gauge: 1 while commits wait for disk space.
const LOG_WAITING: &str = "log_waiting_for_space";
/// Gauge: bytes that wait to be committed.
const LOG_QUEUED_BYTES: &str = "log_queued_bytes";
/// Histogram: one sync of the journal.
const LOG_SYNC_SECONDS: &str = "log_sync_seconds";

/// The log's counters, read when a page is made.
#[derive(Debug)]
pub(super) struct LogFigures(pub(super) Arc<Stats>);

impl Collector for LogFigures {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let stats = &*self.0;
        for (name, help, value) in counters(stats) {
            let counter = ConstCounter::new(value.load(Relaxed));
            let metric = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            counter.encode(metric)?;
        }
        for (name, help, value) in gauges(stats) {
            let level = i64::try_from(value.load(Relaxed)).unwrap_or(i64::MAX);
            let gauge = ConstGauge::new(level);
            let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(metric)?;
        }
        let help = "One sync of the journal";
        let mut metric =
            encoder.encode_descriptor(LOG_SYNC_SECONDS, help, None, MetricType::Histogram)?;
        let bounds = SYNC_BUCKETS_US.iter().map(|us| fraction(*us));
        let counts = stats
            .sync_us_buckets
            .iter()
            .map(|count| count.load(Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.chain([f64::MAX]).zip(counts).collect();
        let total = buckets.iter().map(|(_, count)| count).sum();
        let sum = fraction(stats.sync_us_total.load(Relaxed));
        metric.encode_histogram::<NoLabelSet>(sum, total, &buckets, None)
    }
}

/// A counter or gauge of the log: name, help, value.
type Figure<'a> = (&'static str, &'static str, &'a AtomicU64);

fn counters(stats: &Stats) -> [Figure<'_>; 11] {
    [
        (LOG_COMMITS, "Commits that became durable", &stats.commits),
        (
            LOG_BYTES,
            "Bytes of record batches that became durable",
            &stats.bytes,
        ),
        (LOG_READ_BYTES, "Bytes served to readers", &stats.read_bytes),
        (LOG_CHECKPOINTS, "Checkpoints made", &stats.checkpoints),
        (LOG_DAMAGE, "Damaged ranges found", &stats.damage),
        (
            LOG_RETENTION_SEGMENTS,
            "Segments that retention removed",
            &stats.retention_segments,
        ),
        (
            LOG_COMPACTIONS,
            "Compactions that changed a partition",
            &stats.compactions,
        ),
        (
            LOG_COMPACTIONS_FAILED,
            "Compactions that ended early",
            &stats.compactions_failed,
        ),
        (
            LOG_COMPACTION_READ,
            "Bytes of segments that compaction replaced",
            &stats.compaction_read_bytes,
        ),
        (
            LOG_COMPACTION_WRITTEN,
            "Bytes of segments that compaction wrote",
            &stats.compaction_written_bytes,
        ),
        (
            LOG_COMPACTION_REMOVED,
            "Records that compaction left out",
            &stats.compaction_removed_records,
        ),
    ]
}

fn gauges(stats: &Stats) -> [Figure<'_>; 7] {
    [
        (
            LOG_JOURNAL_BYTES,
            "Journal that a recovery would replay",
            &stats.journal_bytes,
        ),
        (
            LOG_FREE_BYTES,
            "Free bytes of the file system",
            &stats.free_bytes,
        ),
        (
            LOG_WAITING,
            "1 while commits wait for disk space",
            &stats.waiting_for_space,
        ),
        (
            LOG_QUEUED_BYTES,
            "Bytes that wait to be committed",
            &stats.queued_bytes,
        ),
        (LOG_SEGMENT_BYTES, "Bytes of all segments", &stats.log_bytes),
        (
            LOG_LIMIT_BYTES,
            "Bytes that segments may take",
            &stats.log_limit,
        ),
        (
            LOG_RETENTION_HELD,
            "Partitions where retention waits for a sink",
            &stats.retention_held,
        ),
    ]
}

/// Microseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "exact up to 285 years")]
fn fraction(us: u64) -> f64 {
    us as f64 / 1e6
}
