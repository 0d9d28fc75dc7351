//! The contract of a transform: one record in, one or none out.

use crate::{Record, RecordError};

/// A single message transform, made once per task and called in log order.
pub trait Transform: Send {
    /// Changes a record; `None` drops it.
    ///
    /// # Errors
    /// The record cannot be transformed; the policy of the connector decides what becomes of it.
    fn apply(&mut self, record: Record) -> Result<Option<Record>, RecordError>;
}
