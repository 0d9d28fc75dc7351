//! How the embedded log is set up. Defaults are for one machine with a few GiB of disk; tests use small values.

use std::time::Duration;

/// Sizes and limits of the embedded log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of one journal file, at least 4 KiB. Default 64 MiB.
    pub journal_file_bytes: u64,
    /// A segment is closed before it grows over this, unless the topic's `segment.bytes` says otherwise. Default
    /// 128 MiB.
    pub segment_bytes: u64,
    /// A checkpoint is due when the journal has grown by this. Default 128 MiB.
    pub checkpoint_bytes: u64,
    /// A checkpoint is due when the last one is this old and something changed. Default 30 s.
    pub checkpoint_interval: Duration,
    /// The largest record batch, unless the topic's `max.message.bytes` says otherwise. Default 16 MiB.
    pub batch_bytes_max: usize,
    /// Commits wait while the file system has less free than this; `None` is 5 % of it, at least 512 MiB.
    pub free_space_min: Option<u64>,
    /// How old records of topics become that are not compacted and have no `retention.ms`, in milliseconds; `None`
    /// keeps them for ever. Default 7 days, as in Kafka.
    pub retention_ms: Option<i64>,
    /// Bytes that all segments together may take; `None` is what they take and what is free beside them. See
    /// [`SINK_LIMIT_PERCENT`] and [`SOURCE_LIMIT_PERCENT`].
    pub log_bytes_max: Option<u64>,
    /// How often the log looks for what retention and compaction can remove. Default 30 s.
    pub upkeep_interval: Duration,
    /// Memory for the keys of one compaction; a log with more keys takes several passes. Default 32 MiB.
    pub compaction_map_bytes: usize,
    /// When a commit is synced.
    pub flush: Flush,
}

/// When what was committed is synced. It is acknowledged and readable after that only (I2, I3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flush {
    /// As soon as the disk has time for it.
    #[default]
    Always,
    /// Not sooner than this after the last sync: fewer syncs for a later answer.
    Interval(Duration),
}

/// The part of the log's limit above which retention no longer waits for sinks: the slowest one loses records, and
/// fails.
pub const SINK_LIMIT_PERCENT: u64 = 70;

/// The part of [`Settings::log_bytes_max`] above which commits wait; without one, `Settings::free_space_min` says when.
pub const SOURCE_LIMIT_PERCENT: u64 = 90;

impl Default for Settings {
    fn default() -> Self {
        Self {
            journal_file_bytes: 64 << 20,
            segment_bytes: 128 << 20,
            checkpoint_bytes: 128 << 20,
            checkpoint_interval: Duration::from_secs(30),
            batch_bytes_max: 16 << 20,
            free_space_min: None,
            retention_ms: Some(7 * 24 * 60 * 60 * 1_000),
            log_bytes_max: None,
            upkeep_interval: Duration::from_secs(30),
            compaction_map_bytes: 32 << 20,
            flush: Flush::Always,
        }
    }
}

impl Settings {
    /// Journal files are this large at least, and a multiple of the frames' alignment.
    pub(super) fn journal_file_bytes(&self) -> u64 {
        (self.journal_file_bytes.max(4 << 10) / 64) * 64
    }

    /// The free space below which commits wait, for a file system of this size.
    pub(super) fn free_space_min(&self, total: u64) -> u64 {
        self.free_space_min
            .unwrap_or_else(|| (total / 20).max(512 << 20))
    }
}
