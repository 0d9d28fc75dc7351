//! Checkpoints: what is in the segments is made durable there, so that the journal before it is no longer needed.
//!
//! Three steps, of which only the middle one waits for the disk, and that one needs no log: [`Log::begin_checkpoint`]
//! takes a picture, [`CheckpointWork::run`] syncs and puts it in place, [`Log::finish_checkpoint`] gives journal files
//! free. A crash between any two leaves the old checkpoint with the journal behind it, or the new one.

use super::{Log, change};
use crate::broker::{
    GroupPosition, checkpoint,
    folder::LOGS,
    journal::{Failure, Position},
    meta,
    storage::Storage,
};
use std::sync::{Arc, atomic::Ordering::Relaxed};
use tapline_sdk::Error;

/// A checkpoint on its way: made without the log, which goes on meanwhile.
pub struct CheckpointWork {
    storage: Arc<dyn Storage>,
    bytes: Vec<u8>,
    position: Position,
    garbage: Vec<String>,
    journal_bytes: u64,
    /// Which one of this process.
    number: u64,
    /// Whether the segments hold nothing that is not durable.
    pub(super) synced: bool,
}

/// How a checkpoint ended.
pub struct CheckpointDone {
    work: CheckpointWork,
    result: Result<(), Failure>,
}

impl CheckpointWork {
    /// Syncs everything and puts the checkpoint in place.
    #[must_use]
    pub fn run(self) -> CheckpointDone {
        let sync = if self.synced {
            Ok(())
        } else {
            self.storage.sync_all()
        };
        // I7: also a full disk, if a sync reports it, leaves unknown what is durable.
        let result = sync
            .map_err(|error| Failure::Broken(format!("sync of the segments failed: {error}")))
            .and_then(|()| checkpoint::replace(&*self.storage, &self.bytes));
        CheckpointDone { work: self, result }
    }
}

impl Log {
    /// Whether a checkpoint would cover anything new.
    pub fn wants_checkpoint(&self) -> bool {
        self.changed || self.journal.position() != self.covered
    }

    /// Bytes of journal that a recovery would replay now.
    pub fn journal_bytes(&self) -> u64 {
        self.shared.means.stats.journal_bytes.load(Relaxed)
    }

    /// Begins a checkpoint of what is applied; `None` while a full disk holds something half applied, or once stopped.
    pub fn begin_checkpoint(&mut self) -> Option<CheckpointWork> {
        let unsettled = self.applying.is_some() || self.swapping.is_some();
        if unsettled || self.shared.stopped.read().is_some() {
            return None;
        }
        for partition in std::mem::take(&mut self.dirty).into_values() {
            if let Err(error) = partition.store_index() {
                // An index is a cache: without these entries a read begins a little earlier.
                tracing::warn!(error = %error, folder = %partition.folder, "cannot write an index");
            }
        }
        self.changed = false;
        Some(CheckpointWork {
            storage: Arc::clone(&self.shared.means.storage),
            bytes: self.encode_checkpoint(),
            position: self.journal.position(),
            garbage: std::mem::take(&mut self.garbage),
            journal_bytes: self.journal_bytes(),
            number: self.shared.means.checkpoints.begun.fetch_add(1, Relaxed) + 1,
            synced: false,
        })
    }

    fn encode_checkpoint(&self) -> Vec<u8> {
        let topics = self.shared.topics.read();
        let mut bytes = checkpoint::begin(
            self.shared.cluster,
            self.journal.position(),
            self.journal.next_generation(),
            topics.iter().count(),
        );
        for topic in topics.iter() {
            change::created(topic).encode(&mut bytes);
            for partition in &topic.partitions {
                let state = partition.state.read();
                let ends = (state.log_start, state.end);
                checkpoint::put_partition(&mut bytes, ends, &state.damage, &state.segments);
            }
        }
        let groups: Vec<GroupPosition> = self.shared.groups.read().all().collect();
        checkpoint::finish(bytes, &groups)
    }

    /// Ends a checkpoint: journal files that it covers are used again, what it no longer names is removed.
    pub fn finish_checkpoint(&mut self, done: CheckpointDone) {
        let CheckpointDone { work, result } = done;
        match result.and_then(|()| self.journal.recycle(work.position)) {
            Ok(()) => {
                self.covered = work.position;
                let finished = &self.shared.means.checkpoints.finished;
                finished.store(work.number, Relaxed);
                self.trim_groups = self.groups_have_grown();
                self.shared.means.stats.checkpoints.fetch_add(1, Relaxed);
                self.shared
                    .means
                    .stats
                    .journal_bytes
                    .fetch_sub(work.journal_bytes, Relaxed);
                self.remove(work.garbage);
            }
            Err(Failure::Full) => {
                tracing::warn!("the disk is full, the checkpoint is tried again");
                self.changed = true;
                self.garbage.extend(work.garbage);
            }
            Err(Failure::Broken(why)) => self.stop(why),
        }
    }

    /// A checkpoint in one go.
    pub fn checkpoint(&mut self) -> Result<(), Error> {
        if let Some(work) = self.begin_checkpoint() {
            self.finish_checkpoint(work.run());
        }
        self.shared.check_running()
    }

    /// An orderly end: everything is in the checkpoint, and a marker says so.
    pub fn close(&mut self) -> Result<(), Error> {
        if self.wants_checkpoint() {
            self.checkpoint()?;
        }
        if self.wants_checkpoint() {
            return Ok(());
        }
        meta::put_clean(self.shared.storage(), self.journal.position().sequence)
    }

    /// Removes files and folders; what cannot be removed now is found and removed by the next start.
    fn remove(&mut self, garbage: Vec<String>) {
        for path in garbage {
            if self.is_in_use(&path) {
                continue;
            }
            self.shared.means.files.forget(&path);
            if let Err(error) = change::remove_path(self.shared.storage(), &path) {
                tracing::warn!(error = %error, path = %path, "cannot remove a file of the log");
            }
        }
    }

    /// Whether a segment has this file: a topic that was created again has the folder of its namesake, whose old
    /// files went away with it.
    fn is_in_use(&self, path: &str) -> bool {
        let topics = self.shared.topics.read();
        let named = path.rsplit_once('/').and_then(|(folder, file)| {
            let base = file.split_once('.')?.0.parse::<u64>().ok()?;
            let (name, partition) = folder.rsplit_once('-')?;
            let name = name.strip_prefix(LOGS)?.strip_prefix('/')?;
            let partition: usize = partition.parse().ok()?;
            Some((topics.get(name)?.partitions.get(partition)?, base))
        });
        named.is_some_and(|(partition, base)| {
            let state = partition.state.read();
            state.segments.iter().any(|segment| segment.base == base)
        })
    }
}
