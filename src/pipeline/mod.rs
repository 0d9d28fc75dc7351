//! Pipeline files: YAML in, ordinary connectors out.
//!
//! Owns reading ([`yaml`]), flattening, units, the list form of transforms, `from`, defaults that follow from the
//! pipeline's name, and mapping what the connectors object to back to line and key. Starts nothing, connects to
//! nothing, and adds no vocabulary: every key but a few reserved words is the connector's own.

mod compile;
mod diagnostic;
mod flatten;
mod from;
mod part;
mod place;
mod secrets;
mod transforms;
mod units;
mod yaml;

pub use compile::{Catalogue, Compiled, FILE_BYTES_MAX, Pipeline, compile, compile_all};
pub use diagnostic::{Diagnostic, Report};
pub use place::Place;

#[cfg(test)]
mod tests;
