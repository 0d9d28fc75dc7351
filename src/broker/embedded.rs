//! The embedded log behind the [`Broker`] trait: a thread that owns [`Log`], a queue to it, futures from it.
//!
//! The thread takes everything that waits, lets the log commit it as groups, and begins checkpoints by size and time;
//! the checkpoints' syncs run on a thread of their own, so that no commit waits for them. Nothing here knows a format.

use super::{
    Broker, Commit, Fetch, Fetched, GroupPosition, NewTopic, Readers, TopicInfo, Writer, error,
    fetch::fetch,
    log::{self, CheckpointDone, Log, Op, Reply, Shared, Step, WriterId},
    settings::{Flush, Settings},
    stats::Stats,
    storage::{Disk, Storage},
    upkeep::Upkeep,
};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};
use tapline_sdk::{BoxFuture, Error, TopicPartition};
use tokio::sync::oneshot;

/// What may wait to be committed. Tasks bound what they have in flight, far below; this bounds all of them together.
const QUEUE_BYTES_MAX: usize = 256 << 20;

/// How soon a full disk is tried again.
const FULL_RETRY: Duration = Duration::from_millis(200);

/// Journal that may pile up behind a slow checkpoint, in multiples of what makes one due; then commits wait for it.
const CHECKPOINT_LAG_MAX: u64 = 4;

/// So much that waits is synced before its time: more at once gains nothing.
const FLUSH_BYTES: u64 = 8 << 20;

enum Message {
    Op(Op),
    Checkpointed(CheckpointDone),
    Close(Reply<()>),
    /// The last handle is gone.
    Abandon,
}

/// The embedded log. Dropping it ends the log as a crash would, which loses nothing that was acknowledged;
/// [`Embedded::close`] ends it in order.
pub struct Embedded {
    shared: Arc<Shared>,
    sender: mpsc::Sender<Message>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
    upkeep: Mutex<Upkeep>,
}

impl Embedded {
    /// Opens a data directory or makes one; recovers what a crash left. Blocks.
    pub fn open(dir: impl AsRef<Path>, settings: Settings) -> Result<Self, Error> {
        let dir = dir.as_ref();
        let disk = Disk::open(dir).map_err(|error| {
            error::io(
                format!("cannot open data directory `{}`", dir.display()),
                error,
            )
        })?;
        Self::open_on(Arc::new(disk), settings).map_err(|mut error| {
            error.context = format!("data directory `{}`: {}", dir.display(), error.context);
            error
        })
    }

    /// As [`Embedded::open`], on a storage of the caller's.
    pub fn open_on(storage: Arc<dyn Storage>, settings: Settings) -> Result<Self, Error> {
        let log = Log::open(storage, settings)?;
        let shared = Arc::clone(log.shared());
        let (sender, receiver) = mpsc::channel();
        let worker = Worker {
            last_checkpoint: shared.storage().monotonic(),
            log,
            shared: Arc::clone(&shared),
            receiver,
            sender: sender.clone(),
            checkpointing: None,
            closing: None,
            full: false,
            last_flush: Duration::ZERO,
            flush_waits: false,
        };
        let thread = thread::Builder::new()
            .name("journal".into())
            .spawn(move || worker.run())
            .map_err(|error| error::io("cannot start the journal's thread", error))?;
        let queue = sender.clone();
        let enqueue = Box::new(move |op| queue.send(Message::Op(op)).is_ok());
        let upkeep = Upkeep::start(Arc::clone(&shared), enqueue)
            .map_err(|error| error::io("cannot start the upkeep's thread", error))?;
        Ok(Self {
            shared,
            sender,
            thread: Mutex::new(Some(thread)),
            upkeep: Mutex::new(upkeep),
        })
    }

    /// Says who reads the log: retention and compaction keep for them what they have not read. Until then every
    /// stored position counts, also one of a group that nobody uses any more.
    pub fn keep_for(&self, readers: impl Fn() -> Readers + Send + Sync + 'static) {
        *self.shared.kept_for.write() = Some(Arc::new(readers));
    }

    /// Counters for the metrics endpoint.
    #[must_use]
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.shared.means.stats)
    }

    /// Decides what is enqueued, takes a checkpoint and marks the shutdown as clean. Later commits fail. On a full
    /// disk what waits is given up, and the error says so.
    pub async fn close(&self) -> Result<(), Error> {
        self.upkeep.lock().stop();
        let closed = self.ask(Message::Close).await;
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // A panic of the thread shows in `closed`: nobody answered.
            drop(tokio::task::spawn_blocking(move || thread.join()).await);
        }
        closed
    }

    async fn ask<T>(&self, message: impl FnOnce(Reply<T>) -> Message) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.sender
            .send(message(reply))
            .map_err(|_| gone(&self.shared))?;
        answer.await.unwrap_or_else(|_| Err(gone(&self.shared)))
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.upkeep.get_mut().stop();
        let thread = self.thread.get_mut().take();
        // If the thread has ended, nobody listens; if it panicked, that was printed when it did.
        drop(self.sender.send(Message::Abandon));
        if let Some(thread) = thread {
            drop(thread.join());
        }
        self.upkeep.get_mut().join();
    }
}

/// Why nobody answers.
fn gone(shared: &Shared) -> Error {
    shared.check_running().err().unwrap_or_else(error::closed)
}

/// The thread's side.
struct Worker {
    log: Log,
    shared: Arc<Shared>,
    receiver: mpsc::Receiver<Message>,
    /// For the threads of checkpoints.
    sender: mpsc::Sender<Message>,
    checkpointing: Option<thread::JoinHandle<()>>,
    last_checkpoint: Duration,
    closing: Option<Reply<()>>,
    full: bool,
    /// When the last group was synced, and whether the next one waits for its time ([`Flush::Interval`]).
    last_flush: Duration,
    flush_waits: bool,
}

impl Worker {
    fn run(mut self) {
        loop {
            let Some(message) = self.wait() else {
                break;
            };
            if let Some(message) = message
                && !self.handle(message)
            {
                break;
            }
            if !self.work() || self.try_close() {
                break;
            }
        }
        if let Some(thread) = self.checkpointing.take() {
            drop(thread.join());
        }
    }

    /// The next message, or nothing when something else is due; `None` at the end.
    fn wait(&self) -> Option<Option<Message>> {
        let timeout = if self.full {
            FULL_RETRY
        } else if self.flush_waits {
            self.until_flush()
        } else if self.checkpointing.is_none() && self.log.wants_checkpoint() {
            let due = self.last_checkpoint + self.shared.settings.checkpoint_interval;
            due.saturating_sub(self.shared.storage().monotonic())
        } else {
            return self.receiver.recv().ok().map(Some);
        };
        match self.receiver.recv_timeout(timeout) {
            Ok(message) => Some(Some(message)),
            Err(mpsc::RecvTimeoutError::Timeout) => Some(None),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
        }
    }

    /// How long what waits must wait for the next sync: nothing is written, acknowledged or seen before (I2, I3).
    fn until_flush(&self) -> Duration {
        let Flush::Interval(interval) = self.shared.settings.flush else {
            return Duration::ZERO;
        };
        let queued = self.shared.means.stats.queued_bytes.load(Relaxed);
        if self.closing.is_some() || queued >= FLUSH_BYTES || !self.log.has_queued() {
            return Duration::ZERO;
        }
        (self.last_flush + interval).saturating_sub(self.shared.storage().monotonic())
    }

    /// Whether to go on.
    fn handle(&mut self, message: Message) -> bool {
        match message {
            Message::Op(op) => self.log.enqueue(op),
            Message::Checkpointed(done) => {
                self.log.finish_checkpoint(done);
                if let Some(thread) = self.checkpointing.take() {
                    drop(thread.join());
                }
            }
            Message::Close(reply) => self.closing = Some(reply),
            Message::Abandon => return false,
        }
        true
    }

    /// Does all there is to do. What arrives while one group is synced becomes the next.
    fn work(&mut self) -> bool {
        loop {
            while let Ok(message) = self.receiver.try_recv() {
                if !self.handle(message) {
                    return false;
                }
            }
            self.begin_checkpoint_if_due();
            if self.lags() {
                return true;
            }
            self.flush_waits = !self.until_flush().is_zero();
            if self.flush_waits {
                return true;
            }
            match self.log.step() {
                Step::Done => {
                    self.full = false;
                    self.last_flush = self.shared.storage().monotonic();
                }
                Step::Full => {
                    self.full = true;
                    return true;
                }
                Step::Idle | Step::Stopped => {
                    self.full = false;
                    return true;
                }
            }
        }
    }

    /// Whether commits must wait for a checkpoint, so that the journal stays bounded.
    fn lags(&self) -> bool {
        let limit = self
            .shared
            .settings
            .checkpoint_bytes
            .saturating_mul(CHECKPOINT_LAG_MAX);
        self.checkpointing.is_some() && self.log.journal_bytes() > limit
    }

    fn begin_checkpoint_if_due(&mut self) {
        if self.checkpointing.is_some() || !self.log.wants_checkpoint() {
            return;
        }
        let settings = &self.shared.settings;
        let age = self
            .shared
            .storage()
            .monotonic()
            .saturating_sub(self.last_checkpoint);
        // On a full disk a checkpoint is what frees space.
        let by_size = self.log.journal_bytes() >= settings.checkpoint_bytes;
        if !by_size && !self.full && age < settings.checkpoint_interval {
            return;
        }
        self.last_checkpoint = self.shared.storage().monotonic();
        let Some(work) = self.log.begin_checkpoint() else {
            return;
        };
        let sender = self.sender.clone();
        let spawned = thread::Builder::new()
            .name("checkpoint".into())
            .spawn(move || {
                // The log may have been dropped meanwhile; the checkpoint is in place all the same.
                drop(sender.send(Message::Checkpointed(work.run())));
            });
        match spawned {
            Ok(thread) => self.checkpointing = Some(thread),
            // Nothing is lost: the journal covers what this checkpoint would have.
            Err(error) => tracing::error!(error = %error, "cannot start a checkpoint's thread"),
        }
    }

    /// Whether the log is closed.
    fn try_close(&mut self) -> bool {
        if self.closing.is_none() || self.checkpointing.is_some() {
            return false;
        }
        let Some(reply) = self.closing.take() else {
            return false;
        };
        let result = if self.full {
            Err(error::io(
                "the disk is full, some commits were given up",
                io::ErrorKind::StorageFull.into(),
            ))
        } else {
            self.log.close()
        };
        // Nobody waits for it any more if the deadline of the shutdown is over.
        drop(reply.send(result));
        true
    }
}

/// One owner's writer.
struct EmbeddedWriter {
    shared: Arc<Shared>,
    sender: mpsc::Sender<Message>,
    id: WriterId,
}

impl EmbeddedWriter {
    fn enqueue(&self, commit: Commit) -> Result<oneshot::Receiver<Result<Vec<u64>, Error>>, Error> {
        if self.id.failed.load(Relaxed) {
            return Err(error::earlier_failed(&self.id.owner));
        }
        let mut commit = log::check(&self.shared, commit)?;
        let stats = &self.shared.means.stats;
        let bytes = commit.bytes() as u64;
        if stats.queued_bytes.load(Relaxed) + bytes > QUEUE_BYTES_MAX.max(commit.bytes()) as u64 {
            return Err(error::queue_full(QUEUE_BYTES_MAX));
        }
        commit.count_as_queued(stats);
        let (reply, answer) = oneshot::channel();
        let writer = self.id.clone();
        self.sender
            .send(Message::Op(Op::Commit {
                writer,
                commit,
                reply,
            }))
            .map_err(|_| gone(&self.shared))?;
        Ok(answer)
    }
}

impl Writer for EmbeddedWriter {
    fn commit(&mut self, commit: Commit) -> BoxFuture<'static, Result<Vec<u64>, Error>> {
        // Enqueued here and not in the future: call order is log order, also of futures that are never polled (I5).
        let enqueued = self.enqueue(commit).inspect_err(|_| {
            self.id.failed.store(true, Relaxed);
        });
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { enqueued?.await.unwrap_or_else(|_| Err(gone(&shared))) })
    }
}

impl Broker for Embedded {
    fn cluster_id(&self) -> Arc<str> {
        Arc::clone(&self.shared.cluster_id)
    }

    fn writer(&self, owner: &str) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        let owner: Arc<str> = owner.into();
        Box::pin(async move {
            let asked = Arc::clone(&owner);
            let generation = self
                .ask(|reply| {
                    Message::Op(Op::Writer {
                        owner: asked,
                        reply,
                    })
                })
                .await?;
            let failed = Arc::new(AtomicBool::new(false));
            let writer: Box<dyn Writer> = Box::new(EmbeddedWriter {
                shared: Arc::clone(&self.shared),
                sender: self.sender.clone(),
                id: WriterId {
                    owner,
                    generation,
                    failed,
                },
            });
            Ok(writer)
        })
    }

    fn create(&self, topics: Vec<NewTopic>) -> BoxFuture<'_, Result<Vec<TopicInfo>, Error>> {
        Box::pin(self.ask(move |reply| Message::Op(Op::Create { topics, reply })))
    }

    fn delete<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<bool, Error>> {
        let topic = topic.to_owned();
        Box::pin(self.ask(move |reply| Message::Op(Op::Delete { topic, reply })))
    }

    fn alter<'a>(
        &'a self,
        topic: &'a str,
        changes: BTreeMap<String, Option<String>>,
    ) -> BoxFuture<'a, Result<TopicInfo, Error>> {
        let topic = topic.to_owned();
        Box::pin(self.ask(move |reply| {
            Message::Op(Op::Alter {
                topic,
                changes,
                reply,
            })
        }))
    }

    fn set_log_start<'a>(
        &'a self,
        at: &'a TopicPartition,
        offset: u64,
    ) -> BoxFuture<'a, Result<(), Error>> {
        let at = at.clone();
        Box::pin(self.ask(move |reply| Message::Op(Op::SetLogStart { at, offset, reply })))
    }

    fn topics(&self) -> Vec<TopicInfo> {
        self.shared
            .topics
            .read()
            .iter()
            .map(|topic| topic.info())
            .collect()
    }

    fn topic(&self, name: &str) -> Option<TopicInfo> {
        self.shared
            .topics
            .read()
            .get(name)
            .map(|topic| topic.info())
    }

    fn fetch(&self, wanted: Fetch) -> BoxFuture<'_, Result<Vec<Fetched>, Error>> {
        Box::pin(fetch(Arc::clone(&self.shared), wanted))
    }

    fn positions(&self, group: &str) -> Vec<GroupPosition> {
        self.shared.groups.read().of(group)
    }

    fn offset_for_time<'a>(
        &'a self,
        at: &'a TopicPartition,
        timestamp_ms: i64,
    ) -> BoxFuture<'a, Result<Option<u64>, Error>> {
        Box::pin(async move {
            let partition = Arc::clone(self.shared.topics.read().find(at)?.1);
            tokio::task::spawn_blocking(move || partition.offset_for_time(timestamp_ms))
                .await
                .unwrap_or_else(|error| {
                    Err(error::io(
                        "a time lookup did not end",
                        io::Error::other(error),
                    ))
                })
        })
    }

    fn stopped(&self) -> Option<String> {
        self.shared.stopped.read().clone()
    }
}

#[cfg(test)]
mod tests;
