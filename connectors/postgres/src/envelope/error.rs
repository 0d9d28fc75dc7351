//! Why a row yields no record.

use std::fmt;
use tapline_sdk::RecordError;

/// Why a row yields no record. Nothing of it is in the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowError {
    /// The row has an enum label that the catalogue did not have when the plan was made. Ask for the type again
    /// ([`crate::types::TypeCatalog::forget`]), make the plan anew and repeat the row; if the label is still unknown, it was renamed
    /// since: [`crate::types::TypeCatalog::learn_label`].
    UnknownLabel {
        /// The enum's oid.
        type_oid: u32,
        /// The label.
        label: String,
    },
    /// The row cannot be a record; names the column.
    Record(RecordError),
}

impl From<RecordError> for RowError {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownLabel { type_oid, .. } => {
                write!(
                    f,
                    "enum with oid {type_oid} has got a label since it was read"
                )
            }
            Self::Record(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RowError {}
