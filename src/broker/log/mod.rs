//! The embedded log as a state machine without threads: operations go into a queue, [`Log::step`] does the next one.
//!
//! One thread owns it. [`Embedded`](super::Embedded) puts a queue, timers and futures around it; fault simulations
//! drive it directly, so that a run is the same every time. The order of a commit:
//!
//! ```text
//! queue ──▶ group: check writer, topic, size; assign offsets
//!             └─▶ one journal entry, one sync ──▶ segments ──▶ high watermark ──▶ replies
//!                 (durable, I1, I2)               (readable, I3)
//! ```
//!
//! A full disk stops it between these steps without undoing any; the next step goes on there. A failed sync or write
//! ends it for good (I7).

mod change;
mod commit;
mod cover;
mod recover;
mod settle;

pub use commit::CheckedCommit;
pub(super) use commit::check;
pub use cover::{CheckpointDone, CheckpointWork};

use super::{
    Ends, GroupPosition, NewTopic, TopicInfo, error,
    files::Files,
    groups::{GROUPS_TOPIC, Groups, Readers},
    journal::{Failure, Journal, Position, Swapped},
    meta,
    partition::{Means, Partition},
    retention,
    settings::Settings,
    stats::Stats,
    storage::{Lock, Storage},
    swap::Swap,
    threads::ReadThreads,
    topics::Topics,
};
use commit::{Applying, Prepared};
use parking_lot::RwLock;
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};
use tapline_sdk::{Error, TopicPartition};
use tokio::sync::oneshot;

/// Where the answer to an operation goes. That nobody waits for it changes nothing (I5).
pub type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// What can be asked of the log, in order.
#[derive(Debug)]
pub enum Op {
    /// Append batches and store positions as one unit.
    Commit {
        /// Whose it is.
        writer: WriterId,
        /// What was checked before.
        commit: CheckedCommit,
        /// The base offsets.
        reply: Reply<Vec<u64>>,
    },
    /// Fence the owner's writer.
    Writer {
        /// The owner.
        owner: Arc<str>,
        /// The new generation.
        reply: Reply<u64>,
    },
    /// Create topics.
    Create {
        /// Which.
        topics: Vec<NewTopic>,
        /// As they stand.
        reply: Reply<Vec<TopicInfo>>,
    },
    /// Delete a topic.
    Delete {
        /// Its name.
        topic: String,
        /// Whether there was one.
        reply: Reply<bool>,
    },
    /// Change settings of a topic.
    Alter {
        /// Its name.
        topic: String,
        /// What to set, and with `None` what to take back.
        changes: BTreeMap<String, Option<String>>,
        /// As it stands then.
        reply: Reply<TopicInfo>,
    },
    /// Put a compacted segment in place of those it was made of.
    Swap {
        /// Which.
        swap: Swap,
        /// Whether it was done: not if something else happened to them meanwhile.
        reply: Reply<bool>,
    },
    /// What retention does: as `SetLogStart`, for one topic and none that comes to have its name; nobody waits.
    Retain {
        /// The topic.
        topic_id: u128,
        /// The partition.
        partition: u32,
        /// To where the log start moves.
        offset: u64,
    },
    /// End for good: a sync failed beside the log (I7).
    Stop {
        /// Which, and how.
        why: String,
    },
    /// Move the log start of a partition up.
    SetLogStart {
        /// Which.
        at: TopicPartition,
        /// To where.
        offset: u64,
        /// Done.
        reply: Reply<()>,
    },
}

/// One writer of one owner.
#[derive(Debug, Clone)]
pub struct WriterId {
    /// The owner.
    pub owner: Arc<str>,
    /// Which of its writers; a newer one fences it (I10).
    pub generation: u64,
    /// Whether a commit of it failed: none may land after that.
    pub failed: Arc<AtomicBool>,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There was nothing to do.
    Idle,
    /// Something was done; there may be more.
    Done,
    /// The disk is full: try again later.
    Full,
    /// The log has stopped for good.
    Stopped,
}

/// What readers see of the log.
pub(super) struct Shared {
    pub cluster: u128,
    pub cluster_id: Arc<str>,
    pub settings: Settings,
    pub means: Means,
    pub topics: RwLock<Topics>,
    pub groups: RwLock<Groups>,
    pub stopped: RwLock<Option<String>>,
    /// Counts fetches.
    pub turn: AtomicUsize,
    pub readers: ReadThreads,
    /// Who reads the log, and so bounds retention; until somebody says it, every stored position does.
    pub kept_for: RwLock<Option<KeptFor>>,
}

/// Says who reads the log.
pub(super) type KeptFor = Arc<dyn Fn() -> Readers + Send + Sync>;

impl Shared {
    pub(super) fn storage(&self) -> &dyn Storage {
        &*self.means.storage
    }

    pub(super) fn check_running(&self) -> Result<(), Error> {
        match &*self.stopped.read() {
            Some(why) => Err(error::stopped(why)),
            None => Ok(()),
        }
    }
}

/// The log.
pub struct Log {
    shared: Arc<Shared>,
    journal: Journal,
    queue: VecDeque<Op>,
    prepared: Option<Prepared>,
    applying: Option<Applying>,
    /// A swap that is durable, and waits for a full disk before it is seen.
    swapping: Option<(Swapped, Option<Reply<bool>>)>,
    writers: HashMap<Arc<str>, u64>,
    /// The next offset of partitions with batches that are not applied yet.
    assigned: HashMap<(u128, u32), u64>,
    /// Partitions whose index files may lack entries.
    dirty: BTreeMap<(u128, u32), Arc<Partition>>,
    /// Files and folders that the next checkpoint no longer names.
    garbage: Vec<String>,
    /// What the last checkpoint covers.
    covered: Position,
    /// Whether something besides the journal changed: log starts, damage.
    changed: bool,
    /// Whether `__consumer_offsets` has grown enough to be written anew.
    trim_groups: bool,
    _lock: Box<dyn Lock>,
}

impl Log {
    /// Opens a data directory or makes one, and recovers what a crash left.
    pub fn open(storage: Arc<dyn Storage>, settings: Settings) -> Result<Self, Error> {
        let lock = meta::lock(&*storage)?;
        let cluster = match meta::read(&*storage)? {
            Some(cluster) => cluster,
            None => recover::make(&*storage)?,
        };
        let stats = Arc::new(Stats::default());
        let means = Means {
            files: Arc::new(Files::new(Arc::clone(&storage))),
            storage,
            stats,
            checkpoints: Arc::default(),
        };
        let shared = Arc::new(Shared {
            cluster,
            cluster_id: meta::cluster_id(cluster).into(),
            settings,
            means,
            topics: RwLock::default(),
            groups: RwLock::default(),
            stopped: RwLock::default(),
            turn: AtomicUsize::default(),
            readers: ReadThreads::default(),
            kept_for: RwLock::default(),
        });
        let recovered = recover::recover(&shared)?;
        let journal = recovered.journal;
        let covered = journal.position();
        let mut log = Self {
            shared,
            journal,
            queue: VecDeque::new(),
            prepared: None,
            applying: None,
            swapping: None,
            writers: HashMap::new(),
            assigned: HashMap::new(),
            dirty: BTreeMap::new(),
            garbage: recovered.garbage,
            covered,
            changed: true,
            trim_groups: false,
            _lock: lock,
        };
        // What recovery put into segments must be durable before anybody reads it (I3), and before the journal files
        // that it came from are used again.
        if let Some(mut work) = log.begin_checkpoint() {
            work.synced = recovered.clean;
            log.finish_checkpoint(work.run());
        }
        log.shared.check_running()?;
        if log.wants_checkpoint() {
            return Err(error::io(
                "cannot open the log",
                io::ErrorKind::StorageFull.into(),
            ));
        }
        Ok(log)
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Puts an operation at the end of the queue.
    pub fn enqueue(&mut self, op: Op) {
        self.queue.push_back(op);
    }

    /// Whether an operation waits in the queue.
    pub(super) fn has_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Does the next thing: finishes what a full disk interrupted, else the next group of commits or the next change.
    pub fn step(&mut self) -> Step {
        if self.shared.stopped.read().is_some() {
            self.fail_all();
            return Step::Stopped;
        }
        match self.try_step() {
            Ok(done) => {
                self.shared.means.stats.waiting_for_space.store(0, Relaxed);
                if done { Step::Done } else { Step::Idle }
            }
            Err(Failure::Full) => {
                if self.shared.means.stats.waiting_for_space.swap(1, Relaxed) == 0 {
                    tracing::warn!("the disk is full, commits wait until space is free");
                }
                Step::Full
            }
            Err(Failure::Broken(why)) => {
                self.stop(why);
                Step::Stopped
            }
        }
    }

    fn try_step(&mut self) -> Result<bool, Failure> {
        self.apply_swap()?;
        if self.applying.is_some() {
            self.apply()?;
            return Ok(true);
        }
        if self.prepared.is_none() && std::mem::take(&mut self.trim_groups) {
            self.prepared = self.prepare_trim();
        }
        if self.prepared.is_none() {
            match self.queue.front() {
                None => return Ok(false),
                Some(Op::Commit { .. } | Op::Writer { .. }) => self.prepared = Some(self.prepare()),
                Some(_) => return self.change_next(0).map(|()| true),
            }
        }
        match self.check_space().and_then(|()| self.write_prepared()) {
            Err(Failure::Full) => self.free_space()?,
            other => other?,
        }
        self.apply()?;
        Ok(true)
    }

    /// Commits wait for space, but what may free some is done at once.
    fn free_space(&mut self) -> Result<(), Failure> {
        let frees = |op: &Op| {
            matches!(
                op,
                Op::Delete { .. } | Op::SetLogStart { .. } | Op::Retain { .. } | Op::Swap { .. }
            )
        };
        let Some(index) = self.queue.iter().position(frees) else {
            return Err(Failure::Full);
        };
        self.change_next(index)
    }

    /// The free-space guard: reads go on below it, commits wait.
    fn check_space(&self) -> Result<(), Failure> {
        let space = match self.shared.storage().space() {
            Ok(space) => space,
            Err(error) => {
                // The guard is a precaution; a disk that is really full says so when it is written to.
                tracing::warn!(error = %error, "cannot tell how much disk space is free");
                return Ok(());
            }
        };
        self.shared
            .means
            .stats
            .free_bytes
            .store(space.free, Relaxed);
        if self.prepared.as_ref().is_none_or(Prepared::is_empty) {
            return Ok(());
        }
        if space.free < self.shared.settings.free_space_min(space.total)
            || retention::is_at_limit(&self.shared)
        {
            Err(Failure::Full)
        } else {
            Ok(())
        }
    }

    /// I7: nothing is tried again and nothing more is acknowledged; the next start reads the disk.
    fn stop(&mut self, why: String) {
        tracing::error!(reason = %why, "the log has stopped");
        self.shared.stopped.write().get_or_insert(why);
        self.fail_all();
    }

    fn fail_all(&mut self) {
        let why = self.shared.stopped.read().clone().unwrap_or_default();
        let failed = || error::stopped(&why);
        for mut prepared in self
            .prepared
            .take()
            .into_iter()
            .chain(self.applying.take().map(Applying::into_prepared))
        {
            prepared.fail(failed);
        }
        if let Some(reply) = self.swapping.take().and_then(|(_, reply)| reply) {
            answer(reply, Err(failed()));
        }
        for op in self.queue.drain(..) {
            op.fail(failed());
        }
    }

    /// The ends of a partition.
    pub fn ends(&self, at: &TopicPartition) -> Option<Ends> {
        let topics = self.shared.topics.read();
        Some(topics.find(at).ok()?.1.ends())
    }

    /// All topics as they stand.
    pub fn topics(&self) -> Vec<TopicInfo> {
        self.shared
            .topics
            .read()
            .iter()
            .map(|topic| topic.info())
            .collect()
    }

    /// The stored positions of a group.
    pub fn positions(&self, group: &str) -> Vec<GroupPosition> {
        self.shared.groups.read().of(group)
    }

    /// Whole batches from `offset`, at most `bytes_max` but one at least; nothing at the end.
    pub fn read(
        &self,
        at: &TopicPartition,
        offset: u64,
        bytes_max: usize,
    ) -> Result<bytes::Bytes, Error> {
        let partition = Arc::clone(self.shared.topics.read().find(at)?.1);
        Ok(partition.read(offset, bytes_max)?.batches)
    }

    /// Why the log has stopped, if it has.
    pub fn stopped(&self) -> Option<String> {
        self.shared.stopped.read().clone()
    }

    /// Damaged offsets of a partition.
    pub fn damage(&self, at: &TopicPartition) -> Vec<std::ops::Range<u64>> {
        let topics = self.shared.topics.read();
        let found = topics.find(at).map(|(_, partition)| {
            let state = partition.state.read();
            state
                .damage
                .iter()
                .map(|damage| damage.offsets.clone())
                .collect()
        });
        found.unwrap_or_default()
    }

    /// Checks a commit as `check` does, against this log.
    pub fn check(&self, commit: super::Commit) -> Result<CheckedCommit, Error> {
        check(&self.shared, commit)
    }
}

impl Op {
    fn fail(self, error: Error) {
        match self {
            Self::Commit { writer, reply, .. } => {
                writer.failed.store(true, Relaxed);
                answer(reply, Err(error));
            }
            Self::Writer { reply, .. } => answer(reply, Err(error)),
            Self::Create { reply, .. } => answer(reply, Err(error)),
            Self::Delete { reply, .. } => answer(reply, Err(error)),
            Self::SetLogStart { reply, .. } => answer(reply, Err(error)),
            Self::Alter { reply, .. } => answer(reply, Err(error)),
            Self::Swap { reply, .. } => answer(reply, Err(error)),
            // The next round of upkeep asks again.
            Self::Retain { .. } | Self::Stop { .. } => {}
        }
    }
}

/// Answers; that nobody waits any more is no error (I5).
fn answer<T>(reply: Reply<T>, result: Result<T, Error>) {
    drop(reply.send(result));
}

/// Whether the topic is the log's own.
fn is_groups_topic(name: &str) -> bool {
    name == GROUPS_TOPIC
}

#[cfg(test)]
mod tests;
