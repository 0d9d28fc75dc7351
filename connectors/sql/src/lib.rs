//! The SQL sink: tables that equal their source, with the positions of the log stored in the transaction of the data.
//!
//! It owns how records become rows: reading envelopes and flattened rows, naming and evolving tables, reducing a batch
//! per key, applying it and its position as one transaction, and finding the rows that the target does not take. It never
//! retries, batches or moves a position by itself: that is the runtime's.
//!
//! ```text
//!  Batch ─▶ change (what happens to which table) ─▶ dialect::postgres (plan, apply, positions) ─▶ COMMIT
//!                                                        └─ codec (values to exact text)
//! ```

mod address;
mod change;
mod codec;
mod debezium;
mod dialect;
mod error;
mod keys;
mod naming;
mod settings;
mod sink;

pub use sink::SqlSink;
