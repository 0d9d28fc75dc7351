//! Change events: from raw tuples and what is known of a change to records in Debezium's envelope.

mod batch;
mod plan;

pub use batch::{ChangeBatch, ChangeMeta, Operation, Origin, SnapshotMarker};
pub use plan::{OldImage, RowError, TablePlan};
