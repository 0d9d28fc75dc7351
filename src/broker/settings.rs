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
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            journal_file_bytes: 64 << 20,
            segment_bytes: 128 << 20,
            checkpoint_bytes: 128 << 20,
            checkpoint_interval: Duration::from_secs(30),
            batch_bytes_max: 16 << 20,
            free_space_min: None,
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
