//! Records to bytes and back: what travels in the log.
//!
//! Owns the Avro shapes of Connect schemas, the compiled encoder and decoder, record headers and the JSON in which
//! people see records. It never touches the log: schemas are registered by [`crate::registry`] before a record may
//! use them, and where a record goes is the task's affair.
//!
//! ```text
//! Rows ─▶ Encoder::prepare (registers new schemas, durably) ─▶ Prepared::encode ─▶ Encoded {key, value, headers}
//! Rows ◀─ Decoder::push ◀─ RawRecord {key, value, headers} ◀─ record batch
//! ```
//!
//! | Code | Meaning |
//! |---|---|
//! | TL0601 | a schema cannot be written as Avro |

pub mod avro;
mod decoder;
mod encoder;
mod headers;
pub mod json;
#[cfg(test)]
mod tests;

pub use avro::{PLACEHOLDER, Placeholder};
pub use decoder::{Decoder, Pushed, RawRecord};
pub use encoder::{Encoded, Encoder, Prepared};
pub use headers::{BARRIER, TRANSACTION, UNAVAILABLE, unavailable_fields};
