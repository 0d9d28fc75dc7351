//! Avro schemas as a registry sees them: parsed with everything that resolution needs, written in one canonical form,
//! and compared by the resolution rules of Avro's specification.
//!
//! Owns what a schema means; ids and subjects are the catalogue's. It never reads a record: encoder and decoder are
//! [`crate::converter`]'s.

mod budget;
mod defaults;
mod model;
mod name;
mod parse;
mod resolution;
#[cfg(test)]
mod tests;
mod text;

pub(super) use budget::Budget;
pub(super) use model::AvroSchema;
pub(crate) use name::FullName;
pub(super) use resolution::{Incompatibility, differences};
