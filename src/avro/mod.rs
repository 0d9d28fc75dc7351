//! Avro schemas: their names, their model, the parser and the text, for whoever has to do with them.
//!
//! The registry holds, compares and normalizes schemas, the converter makes them of Connect's and compiles them; both
//! work on this model. A table of named types serves both: a reference costs a name, recursion needs no pointer back,
//! and what a name stands for is looked up once, when a plan is compiled, and never per record.
//!
//! Never reads a record, knows no id, no subject and no Connect schema, and decides nothing about compatibility.

mod attributes;
mod model;
mod name;
mod parse;
#[cfg(test)]
mod tests;
mod text;
mod tree;

pub(crate) use model::{AvroSchema, Decimal, Definition, Field, Kind, Node, Props, Shape};
pub(crate) use name::FullName;
pub(crate) use parse::{DEPTH_MAX, Rules};
pub(crate) use tree::Tree;
