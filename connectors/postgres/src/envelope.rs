//! Change events: from raw tuples and what is known of a change to records in Debezium's envelope.

mod batch;
mod event;
mod image;
mod plan;
mod source;

pub use batch::{ChangeBatch, ChangeMeta, Operation, Origin, SnapshotMarker};
pub use event::{NEW_KEY_HEADER, OLD_KEY_HEADER, SNAPSHOT_HEADER};
pub use plan::{OldImage, RowError, TablePlan};
