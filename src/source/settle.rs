//! The last stage of a source: waits for commits in their order and raises the committed level (I2).

use super::{
    committed::Level,
    output::{Permit, Sent},
};
use crate::{
    policy::{Failure, Phase},
    task::{Attempt, Monitor},
};
use std::{sync::Arc, time::Instant};
use tapline_sdk::{BoxFuture, Position, Result};
use tokio::sync::mpsc;

/// Commits that may wait for their sync at once: two would keep encoding and syncing busy, more let the log group
/// small ones; their bytes are bounded by the source's budget.
const COMMITS_IN_FLIGHT_MAX: usize = 16;

/// A commit that the log has taken and not yet answered.
pub(super) struct InFlight {
    pub(super) durable: BoxFuture<'static, Result<Vec<u64>>>,
    pub(super) covers: Covers,
    pub(super) since: Instant,
}

/// What a commit covers once it is durable.
#[derive(Default)]
pub(super) struct Covers {
    /// The last batch in it.
    pub(super) upto: u64,
    pub(super) resume: Vec<(Position, Option<Position>)>,
    /// Records handed over, in batches of the source.
    pub(super) records: u64,
    /// Records that transforms made of them.
    pub(super) written: u64,
    /// Encoded bytes.
    pub(super) bytes: u64,
    permits: Vec<Permit>,
}

impl Covers {
    /// One more batch of the source is in this commit. Returns its rows.
    pub(super) fn add(&mut self, sent: Sent) -> tapline_sdk::Rows {
        let Sent {
            number,
            batch,
            permit,
        } = sent;
        self.upto = number;
        // The later offset of a partition covers the earlier one.
        self.resume
            .retain(|(earlier, _)| !batch.resume.iter().any(|(later, _)| later == earlier));
        self.resume.extend(batch.resume);
        self.records += u64::try_from(batch.rows.len()).unwrap_or(u64::MAX);
        self.permits.push(permit);
        batch.rows
    }
}

pub(super) fn channel() -> (mpsc::Sender<InFlight>, mpsc::Receiver<InFlight>) {
    mpsc::channel(COMMITS_IN_FLIGHT_MAX)
}

/// Settles commits until the encoder has no more.
pub(super) async fn run(
    mut in_flight: mpsc::Receiver<InFlight>,
    level: Level,
    monitor: Arc<Monitor>,
) -> Attempt {
    while let Some(commit) = in_flight.recv().await {
        let InFlight {
            durable,
            covers,
            since,
        } = commit;
        let metrics = &monitor.metrics;
        durable.await.map_err(|error| {
            metrics.work.offsets_committed(since.elapsed(), false);
            Failure::new(Phase::Commit, error)
        })?;
        let records = (covers.records, covers.written);
        metrics.committed(records, covers.bytes, since.elapsed());
        monitor.progress();
        // I2: only now, after the commit is durable.
        level.raise(covers.upto, covers.resume);
    }
    Ok(())
}
