//! What the log does by itself: retention and compaction, in rounds, on a thread of their own at the lowest priority.
//!
//! Reads and writes come in bursts of [`BURST_BYTES`] with a pause as long as the burst took behind each, so that at
//! most half of the disk's time goes into it. Changes of the log go through the journal's queue like everybody's.

use super::{
    compact::{Host, Outcome, compact},
    groups::GROUPS_TOPIC,
    log::{Op, Shared},
    partition::Partition,
    retention::{self, usage_percent},
    rules::Rules,
    settings::SINK_LIMIT_PERCENT,
    swap::Swap,
};
use parking_lot::{Condvar, Mutex};
use std::{
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// After so much reading and writing comes a pause.
const BURST_BYTES: u64 = 4 << 20;

/// The longest pause: a stalled disk should not make the next burst wait for minutes.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The nearer the log is to its limit, the sooner the next round.
const INTERVAL_NEAR_LIMIT: Duration = Duration::from_secs(5);

/// The lowest priority there is: whatever else wants the CPU gets it.
const NICE: i32 = 19;

/// Puts an operation into the journal's queue; `false`: the log is gone.
pub(super) type Enqueue = Box<dyn Fn(Op) -> bool + Send>;

/// The thread.
pub(super) struct Upkeep {
    stop: Arc<Stop>,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// `true`: it is time to end.
    fn wait(&self, time: Duration) -> bool {
        let mut stopped = self.stopped.lock();
        if !*stopped {
            self.changed.wait_for(&mut stopped, time);
        }
        *stopped
    }
}

impl Upkeep {
    pub(super) fn start(shared: Arc<Shared>, enqueue: Enqueue) -> io::Result<Self> {
        let stop = Arc::new(Stop::default());
        let runner = Runner {
            shared,
            enqueue,
            stop: Arc::clone(&stop),
            burst: (0, Instant::now()),
        };
        let thread = thread::Builder::new()
            .name("upkeep".into())
            .spawn(move || runner.run())?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }

    /// Asks it to end soon; what it has begun is done again after the next start.
    pub(super) fn stop(&self) {
        *self.stop.stopped.lock() = true;
        self.stop.changed.notify_all();
    }

    /// Waits for its end. The journal's thread must have ended, or be at work: it answers it.
    pub(super) fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed when it happened.
            drop(thread.join());
        }
    }
}

struct Runner {
    shared: Arc<Shared>,
    enqueue: Enqueue,
    stop: Arc<Stop>,
    /// Bytes of this burst, and its begin.
    burst: (u64, Instant),
}

impl Runner {
    fn run(mut self) {
        // On Linux a thread has a priority of its own.
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::debug!(error = %error, "the upkeep's thread keeps its priority");
        }
        loop {
            let near_limit = usage_percent(&self.shared.means.stats) >= SINK_LIMIT_PERCENT;
            let interval = self.shared.settings.upkeep_interval;
            let interval = if near_limit {
                interval.min(INTERVAL_NEAR_LIMIT)
            } else {
                interval
            };
            if self.stop.wait(interval) || self.shared.stopped.read().is_some() {
                return;
            }
            let began = Instant::now();
            let went_on = self.round();
            let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            let total = &self.shared.means.stats.upkeep_us_total;
            total.fetch_add(took, Relaxed);
            if !went_on {
                return;
            }
        }
    }

    fn round(&mut self) -> bool {
        for op in retention::due(&self.shared) {
            if !(self.enqueue)(op) {
                return false;
            }
        }
        let shared = Arc::clone(&self.shared);
        for (partition, rules) in compactable(&shared) {
            if let Err(why) = compact(&shared, &partition, &rules, self) {
                // I7: nobody knows what a failed sync has lost.
                return (self.enqueue)(Op::Stop { why });
            }
            if *self.stop.stopped.lock() {
                return false;
            }
        }
        true
    }
}

impl Host for Runner {
    fn pace(&mut self, bytes: u64) -> bool {
        let (done, since) = &mut self.burst;
        *done += bytes;
        if *done < BURST_BYTES {
            return !*self.stop.stopped.lock();
        }
        let pause = since.elapsed().min(PAUSE_MAX);
        let stopped = self.stop.wait(pause);
        self.burst = (0, Instant::now());
        !stopped
    }

    fn swap(&mut self, swap: Swap) -> Outcome {
        let (reply, answer) = oneshot::channel();
        if !(self.enqueue)(Op::Swap { swap, reply }) {
            return Outcome::Unknown;
        }
        match answer.blocking_recv() {
            Ok(Ok(true)) => Outcome::Done,
            Ok(Ok(false)) => Outcome::Refused,
            Ok(Err(_)) | Err(_) => Outcome::Unknown,
        }
    }
}

/// Partitions of compacted topics. Group positions are kept short by the log itself, which knows all of them.
pub(super) fn compactable(shared: &Shared) -> Vec<(Arc<Partition>, Rules)> {
    let topics = shared.topics.read();
    let compacted = topics
        .iter()
        .filter(|topic| topic.rules.compact && &*topic.name != GROUPS_TOPIC);
    compacted
        .flat_map(|topic| {
            let partitions = topic.partitions.iter();
            partitions.map(|partition| (Arc::clone(partition), topic.rules))
        })
        .collect()
}
