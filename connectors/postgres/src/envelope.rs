//! Change events: from raw tuples and what is known of a change to records in Debezium's envelope.

mod batch;
mod error;
mod event;
mod image;
mod marks;
mod plan;
mod source;
#[cfg(test)]
mod tests;

pub use batch::{ChangeBatch, ChangeMeta, Operation, Origin, SnapshotMarker};
pub use error::RowError;
pub use marks::{NEW_KEY_HEADER, OLD_KEY_HEADER, SNAPSHOT_HEADER};
pub use plan::{OldImage, TablePlan};
