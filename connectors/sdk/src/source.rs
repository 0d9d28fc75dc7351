//! The contract of a source: it owns its loop, gets a byte-bounded output, a committed level and a stop signal.

use crate::{BoxFuture, Connector, Error, Position, Rows};
use std::{future::Future, sync::Arc};

/// A connector that reads another system.
pub trait Source: Connector {
    /// Runs until `context.stop` or an error. Owns its loop: a reader that must answer keep-alives cannot wait to be
    /// polled. `Ok` before `stop` means that there is nothing left to read, ever.
    fn run(self, context: SourceContext) -> impl Future<Output = Result<(), Error>> + Send;
}

/// What the runtime gives a source task.
pub struct SourceContext {
    /// Takes batches in order.
    pub output: Box<dyn Output>,
    /// Tells what is durable.
    pub committed: Box<dyn Committed>,
    /// Resolves when the task is to stop; what was sent until then is still committed.
    pub stop: BoxFuture<'static, ()>,
    /// Where the source says how far it is.
    pub progress: Arc<dyn Progress>,
}

/// Records that are committed as one unit with the offsets that cover them (I1).
#[derive(Debug, Default)]
pub struct SourceBatch {
    /// The records; may be empty for an offset-only commit.
    pub rows: Rows,
    /// Source partition → where a restart goes on after this batch; empty if it is not a safe point. `None` forgets
    /// the partition's offset.
    pub resume: Vec<(Position, Option<Position>)>,
}

/// Takes batches from a source.
pub trait Output: Send {
    /// Hands a batch over, waiting on a byte budget. Returns its number, counted from 1 per run. A batch that was
    /// sent is not yet durable: see [`Committed`].
    fn send(&mut self, batch: SourceBatch) -> BoxFuture<'_, Result<u64, Error>>;
}

/// A level, not an event: it can be late, never lost (I2).
pub trait Committed: Send {
    /// Where to go on, as stored in the log when this run began, or since.
    fn resume_at(&self, partition: &Position) -> Option<Position>;

    /// Every stored source partition of this connector.
    fn partitions(&self) -> Vec<Position>;

    /// Every batch up to this number is durable; 0: none of this run yet.
    fn upto(&self) -> u64;

    /// Resolves when [`Committed::upto`] has changed since the last call. If the runtime gives the task up, it never
    /// resolves again.
    fn changed(&mut self) -> BoxFuture<'_, ()>;
}

/// What a source tells of itself; shown in the progress line, `/health` and metrics. Cheap enough to call per batch.
pub trait Progress: Send + Sync {
    /// A figure by name: `wal_held_bytes`, `source_lag_ms`, `snapshot_tables_done`, `snapshot_tables_total`,
    /// `snapshot_rows_done`, `snapshot_rows_estimate`.
    fn gauge(&self, name: &'static str, value: f64);

    /// What the source is doing, in a few words: `snapshot`, `streaming`, `waiting for slot "shop"`.
    fn phase(&self, text: &str);
}
