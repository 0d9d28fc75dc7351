//! Pipeline files: YAML in, ordinary connectors and topics out.
//!
//! Owns a file's words, the list form of transforms, `from`, defaults that follow from the pipeline's name, and mapping
//! what the connectors object to back to line and key. Starts nothing, connects to
//! nothing, and adds no vocabulary: every key but a few reserved words is the connector's own.

mod catalogue;
mod compile;
mod from;
mod outline;
mod part;
mod placeholders;
mod schema;
mod topics;
mod transforms;

pub use catalogue::{Catalogue, Elsewhere};
pub use compile::{Compiled, FILE_BYTES_MAX, Pipeline, compile, compile_all};
pub use schema::{schema, schema_text};
pub use topics::Topic;

#[cfg(test)]
mod tests;
