//! What the server is told: which part of its log it may forget.
//!
//! A task of its own, with a timer of its own, so that the server hears from us while the reader waits for room
//! downstream or decodes a long transaction. It owns the committed level of the run; the reader tells it which batch
//! covers which position, and only what is durable is confirmed.
//!
//! ```text
//!  reader ── sent(number, end) ──▶ ledger ──┐
//!  runtime ── committed.upto() ─────────────┴▶ durable end ──▶ standby status
//! ```

use crate::{lsn::Lsn, wire::StatusWriter};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tapline_sdk::{Committed, Error, Result};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::Instrument;

/// How often the durable position is looked at: the server frees its log a second later than it could, and hears one
/// message a second instead of one per commit.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a stopping task waits for what it sent to become durable; what is not, is streamed again.
const DRAIN_WAIT: Duration = Duration::from_secs(10);

/// The reader's side.
pub struct Feedback {
    shared: Arc<Shared>,
    upto: watch::Receiver<u64>,
    task: AbortOnDropHandle<Result<Box<dyn Committed>>>,
}

#[derive(Default)]
struct Shared {
    /// Batches sent and not known to be durable: number, and the end that may be confirmed with it. Bounded by the
    /// batches that the output's byte budget lets be in flight.
    ledger: Mutex<VecDeque<(u64, Lsn)>>,
    received: AtomicU64,
    durable: AtomicU64,
    /// The server wants to hear from us.
    asked: AtomicBool,
    /// We want to hear from the server.
    asking: AtomicBool,
    wake: Notify,
    finish: CancellationToken,
}

impl Feedback {
    /// Starts the task. `durable` is the stored position, which may be confirmed at once.
    #[must_use]
    pub fn start(
        status: StatusWriter,
        committed: Box<dyn Committed>,
        durable: Lsn,
        every: Duration,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        shared.received.store(durable.0, Ordering::Relaxed);
        shared.durable.store(durable.0, Ordering::Relaxed);
        let (upto_sender, upto) = watch::channel(committed.upto());
        let teller = Teller {
            shared: Arc::clone(&shared),
            status,
            committed,
            upto: upto_sender,
            every,
        };
        let task = AbortOnDropHandle::new(tokio::spawn(teller.run().in_current_span()));
        Self { shared, upto, task }
    }

    /// A batch was handed over; once it is durable, so is everything before `end`.
    pub fn sent(&self, number: u64, end: Lsn) {
        self.shared
            .ledger
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back((number, end));
    }

    /// The server's log was read up to here.
    pub fn received(&self, end: Lsn) {
        self.shared.received.fetch_max(end.0, Ordering::Relaxed);
    }

    /// The server wants an answer now.
    pub fn reply(&self) {
        self.shared.asked.store(true, Ordering::Relaxed);
        self.shared.wake.notify_one();
    }

    /// Makes the server answer.
    pub fn ask(&self) {
        self.shared.asking.store(true, Ordering::Relaxed);
        self.reply();
    }

    /// What may be forgotten by the server.
    #[must_use]
    pub fn durable(&self) -> Lsn {
        Lsn(self.shared.durable.load(Ordering::Relaxed))
    }

    /// Every batch up to this number is durable.
    #[must_use]
    pub fn upto(&self) -> u64 {
        *self.upto.borrow()
    }

    /// Resolves with the error that ended the task; or, if `progress` is asked for, with `None` when more is durable.
    pub async fn event(&mut self, progress: bool) -> Option<Error> {
        tokio::select! {
            biased;
            ended = &mut self.task => Some(match ended {
                Ok(Err(error)) => error,
                Ok(Ok(_)) => Error::disconnected("replication ended").code("TL0301"),
                Err(error) => Error::disconnected("the status task ended").code("TL0301").because(error),
            }),
            // It closes only when the task ends, which the next call sees.
            _ = self.upto.changed(), if progress => None,
        }
    }

    /// Waits a while for what was sent to become durable, confirms it, says goodbye, and gives the level back.
    ///
    /// # Errors
    /// If the connection had failed.
    pub async fn finish(self) -> Result<Box<dyn Committed>> {
        self.shared.finish.cancel();
        self.task.await.map_err(|error| {
            Error::disconnected("the status task ended")
                .code("TL0301")
                .because(error)
        })?
    }
}

struct Teller {
    shared: Arc<Shared>,
    status: StatusWriter,
    committed: Box<dyn Committed>,
    upto: watch::Sender<u64>,
    every: Duration,
}

impl Teller {
    async fn run(mut self) -> Result<Box<dyn Committed>> {
        let mut look = interval(LOOK_EVERY.min(self.every));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = self.advance();
        let mut told_at = Instant::now();
        // The server asked and has not heard of everything yet: a server that shuts down waits for that.
        let mut owing = false;
        loop {
            let mut looked = false;
            tokio::select! {
                biased;
                // 1. The reader is done.
                () = self.shared.finish.cancelled() => break,
                // 2. The server asked.
                () = self.shared.wake.notified() => {}
                // 3. More is durable: the reader may be waiting for that.
                () = self.committed.changed() => {}
                // 4. Time to tell.
                _ = look.tick() => looked = true,
            }
            let durable = self.advance();
            let asked = self.shared.asked.swap(false, Ordering::Relaxed);
            let due =
                looked && (durable > told || told_at.elapsed() + LOOK_EVERY / 2 >= self.every);
            owing |= asked;
            if asked || due || (owing && durable > told) {
                self.tell(durable).await?;
                told = durable;
                told_at = Instant::now();
                owing &= durable.0 < self.shared.received.load(Ordering::Relaxed);
            }
        }
        self.drain().await;
        let durable = self.advance();
        self.tell(durable).await?;
        self.status.close().await;
        Ok(self.committed)
    }

    /// I2: only what the log holds is confirmed.
    fn advance(&self) -> Lsn {
        let upto = self.committed.upto();
        let mut durable = None;
        {
            let mut ledger = self
                .shared
                .ledger
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            while let Some((_, end)) = ledger.pop_front_if(|(number, _)| *number <= upto) {
                durable = Some(end);
            }
        }
        if let Some(end) = durable {
            self.shared.durable.fetch_max(end.0, Ordering::Relaxed);
        }
        self.upto
            .send_if_modified(|known| std::mem::replace(known, upto) != upto);
        Lsn(self.shared.durable.load(Ordering::Relaxed))
    }

    async fn tell(&mut self, durable: Lsn) -> Result<()> {
        let received = Lsn(self.shared.received.load(Ordering::Relaxed)).max(durable);
        let answer = self.shared.asking.swap(false, Ordering::Relaxed);
        self.status.send(received, durable, answer).await
    }

    async fn drain(&mut self) {
        let all = async {
            loop {
                self.advance();
                if self
                    .shared
                    .ledger
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .is_empty()
                {
                    return;
                }
                self.committed.changed().await;
            }
        };
        if timeout(DRAIN_WAIT, all).await.is_err() {
            tracing::warn!("stopped before everything sent was durable; it will be streamed again");
        }
    }
}
