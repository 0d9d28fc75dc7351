//! Records to bytes and back: what travels in the log.
//!
//! Owns the converters (Avro, JSON, text, bytes, numbers), each compiled per schema, record headers, and the JSON in
//! which people see records. It never touches the log: schemas are registered by [`crate::registry`] before a record
//! may use them, and where a record goes is the task's affair.
//!
//! ```text
//! Rows ─▶ Encoder::prepare (registers new schemas, durably) ─▶ Prepared::encode ─▶ Encoded {key, value, headers}
//! Rows ◀─ Decoder::push ◀─ RawRecord {key, value, headers} ◀─ record batch
//! ```
//!
//! Which converter is for keys, values and headers says a connector's [`Converters`]; only Avro has schemas in the
//! registry.
//!
//! | Code | Meaning |
//! |---|---|
//! | TL0601 | a schema cannot be written by its converter |

pub mod avro;
mod charset;
mod decimal;
mod decoder;
mod defaults;
mod encoded;
mod encoder;
mod headers;
mod java;
pub mod json;
mod plain;
mod plan;
mod print;
mod reading;
mod settings;
#[cfg(test)]
mod tests;

pub use avro::{PLACEHOLDER, Placeholder};
pub use charset::Charset;
pub use decoder::{Decoder, Pushed, RawRecord};
pub use defaults::Defaults;
pub use encoded::Encoded;
pub use encoder::{Encoder, Prepared};
pub use headers::{BARRIER, TRANSACTION, UNAVAILABLE, unavailable_fields};
pub use json::JsonSettings;
pub use plain::Plain;
pub use settings::{CLASSES, Class, Converter, Converters, HeaderConverter};
