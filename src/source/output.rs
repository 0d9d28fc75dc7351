//! Where a source hands its batches over: in order, and within a budget of bytes.

use crate::task::Monitor;
use std::sync::Arc;
use tapline_sdk::{BoxFuture, Error, Output, SourceBatch};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

/// Bytes of batches between a source and their commit: some 16 batches of the usual 1 MiB, which keeps three stages
/// and several syncs busy, and bounds a task's memory whatever the size of a transaction.
const BUDGET_BYTES: usize = 16 << 20;

/// The budget is counted in these, because a semaphore counts in 32 bits.
const UNIT_BYTES: usize = 1024;

/// Batches that wait for the encoder: small ones are merged into one commit there, so many may wait; the budget
/// bounds their bytes.
const BATCHES_WAITING_MAX: usize = 256;

/// A batch on its way, holding its part of the budget until it is durable.
pub(super) struct Sent {
    pub(super) number: u64,
    pub(super) batch: SourceBatch,
    pub(super) permit: OwnedSemaphorePermit,
}

/// The source's end of the way into the log.
pub(super) struct Sender {
    budget: Arc<Semaphore>,
    batches: mpsc::Sender<Sent>,
    sent: u64,
    monitor: Arc<Monitor>,
    stop: CancellationToken,
}

pub(super) fn channel(
    monitor: Arc<Monitor>,
    stop: CancellationToken,
) -> (Sender, mpsc::Receiver<Sent>) {
    let (batches, receiver) = mpsc::channel(BATCHES_WAITING_MAX);
    let sender = Sender {
        budget: Arc::new(Semaphore::new(BUDGET_BYTES / UNIT_BYTES)),
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
            let permit = Arc::clone(&self.budget)
                .acquire_many_owned(units)
                .await
                .map_err(|_| given_up())?;
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

/// A later stage has failed and says why; this one only ends the source.
fn given_up() -> Error {
    Error::disconnected("the runtime takes no more batches in this run")
}
