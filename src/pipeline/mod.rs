//! Pipeline files: YAML in, ordinary connectors out.
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
mod transforms;

pub use catalogue::{Catalogue, Elsewhere};
pub use compile::{Compiled, FILE_BYTES_MAX, Pipeline, compile, compile_all};
pub use schema::{schema, schema_text};

#[cfg(test)]
mod tests;
