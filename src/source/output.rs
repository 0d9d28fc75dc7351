//! Where a source hands its batches over: in order, and within a budget of bytes.

use crate::task::Monitor;
use std::sync::Arc;
use tapline_sdk::{BoxFuture, Error, Output, SourceBatch};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

/// Bytes of batches between a source and their commit: some 16 batches of the usual 1 MiB, which keeps three stages
/// and several syncs busy, and bounds a task's memory whatever the size of a transaction.
const BUDGET_BYTES: usize = 16 << 20;

/// The same for all source tasks of a worker: two that are as fast as they can be, as many as two cores encode. They
/// take turns in the order in which they ask; nothing but the log has to move for a batch to become durable, so none
/// waits for what another's peer is up to.
const BUDGET_OF_ALL_BYTES: usize = 32 << 20;

/// The budget is counted in these, because a semaphore counts in 32 bits.
const UNIT_BYTES: usize = 1024;

/// Batches that wait for the encoder: small ones are merged into one commit there, so many may wait; the budget
/// bounds their bytes.
const BATCHES_WAITING_MAX: usize = 256;

/// A batch on its way, holding its part of the budget until it is durable.
pub(super) struct Sent {
    pub(super) number: u64,
    pub(super) batch: SourceBatch,
    pub(super) permit: Permit,
}

/// The part of both budgets.
pub(super) struct Permit {
    _own: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

/// The source's end of the way into the log.
pub(super) struct Sender {
    budget: Arc<Semaphore>,
    budget_of_all: Arc<Semaphore>,
    batches: mpsc::Sender<Sent>,
    sent: u64,
    monitor: Arc<Monitor>,
    stop: CancellationToken,
}

/// The budget that all tasks of a worker share.
pub(super) fn budget_of_all() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(BUDGET_OF_ALL_BYTES / UNIT_BYTES))
}

pub(super) fn channel(
    monitor: Arc<Monitor>,
    stop: CancellationToken,
    budget_of_all: &Arc<Semaphore>,
) -> (Sender, mpsc::Receiver<Sent>) {
    let (batches, receiver) = mpsc::channel(BATCHES_WAITING_MAX);
    let sender = Sender {
        budget: Arc::new(Semaphore::new(BUDGET_BYTES / UNIT_BYTES)),
        budget_of_all: Arc::clone(budget_of_all),
        batches,
        sent: 0,
        monitor,
        stop,
    };
    (sender, receiver)
}

impl Output for Sender {
    fn send(&mut self, batch: SourceBatch) -> BoxFuture<'_, Result<u64, Error>> {
        Box::pin(async move {
            // Paused: what was read waits here, connection and place are kept. On a stop it goes its way: it becomes
            // durable with its offset, or is read again.
            tokio::select! {
                biased;
                () = self.monitor.unpaused() => {}
                () = self.stop.cancelled() => {}
            }
            // A batch above the whole budget waits until it is alone.
            let units = (batch.rows.size_bytes() / UNIT_BYTES).clamp(1, BUDGET_BYTES / UNIT_BYTES);
            let units = u32::try_from(units).expect("invariant: the budget fits 32 bits");
            // Its own first: who waits for the other holds nothing that a third task needs.
            let permit = Permit {
                _own: take(&self.budget, units).await?,
                _of_all: take(&self.budget_of_all, units).await?,
            };
            let records = batch.rows.len();
            let number = self.sent + 1;
            let sent = Sent {
                number,
                batch,
                permit,
            };
            self.batches.send(sent).await.map_err(|_| given_up())?;
            self.sent = number;
            let records = u64::try_from(records).unwrap_or(u64::MAX);
            self.monitor.metrics.handed_over(records);
            Ok(number)
        })
    }
}

async fn take(budget: &Arc<Semaphore>, units: u32) -> Result<OwnedSemaphorePermit, Error> {
    let taken = Arc::clone(budget).acquire_many_owned(units).await;
    taken.map_err(|_| given_up())
}

/// A later stage has failed and says why; this one only ends the source.
fn given_up() -> Error {
    Error::disconnected("the runtime takes no more batches in this run")
}
