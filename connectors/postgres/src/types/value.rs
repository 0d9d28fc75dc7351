//! What every codec takes and gives: a raw value, where its cell is made, and why there is none.

use tapline_sdk::{Arena, RecordError};

/// A raw value that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Raw<'a> {
    /// The type's text form.
    Text(&'a [u8]),
    /// The type's binary form.
    Binary(&'a [u8]),
}

/// Why a value yields no cell.
#[derive(Debug, PartialEq)]
pub(crate) enum Fault {
    /// The mapping that was asked for cannot hold the value (NaN in a decimal): null with a warning, as in Debezium.
    Unrepresentable(&'static str),
    /// An enum label that is not in the catalogue.
    UnknownLabel(u32, String),
    /// The value is malformed.
    Record(RecordError),
}

impl From<RecordError> for Fault {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}

impl From<Fault> for RecordError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Record(error) => error,
            Fault::Unrepresentable(reason) => Self::new(reason),
            Fault::UnknownLabel(..) => Self::new("value is an unknown enum label"),
        }
    }
}

/// Where cells are made, with memory for values on their way.
pub(crate) struct Sink<'a> {
    pub(crate) arena: &'a mut Arena,
    pub(crate) scratch: &'a mut Vec<u8>,
}

/// The value as it came, for types whose text is their mapping.
pub(crate) fn bytes_of(raw: Raw<'_>) -> &[u8] {
    match raw {
        Raw::Text(bytes) | Raw::Binary(bytes) => bytes,
    }
}
