//! Postgres types: what the catalogue knows of them, raw tuples, and the codecs from raw values to cells.
//!
//! Owns everything that depends on a value's type. It runs no SQL: it says which query to run and reads the answer.

mod array;
mod bits;
mod calendar;
mod catalog;
mod clock;
mod codec;
mod debezium;
mod decimal;
mod geometry;
mod hstore;
mod interval;
mod mapping;
mod name;
mod number;
mod oids;
mod semantic;
mod tuple;
mod value;
mod vector;

#[cfg(test)]
mod tests;

pub use catalog::{TypeCatalog, TypeInfo, TypeKind};
pub(crate) use codec::Codec;
pub(crate) use mapping::{Declared, map};
pub(crate) use name::{length_and_scale, parameter_name, sql_name};
pub(crate) use semantic::{ColumnType, CopyForm};
pub use tuple::{Tuple, TupleData, TupleSpans};
pub(crate) use value::{Fault, Raw, Sink};

/// What every session that feeds this mapping must set at its start, so that a value's text is the same from the
/// snapshot and from the stream. `lc_monetary` is left alone: it decides what a money value is worth.
pub const SESSION_SETTINGS: &[(&str, &str)] = &[
    ("DateStyle", "ISO, MDY"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
    ("client_encoding", "UTF8"),
    ("xmlbinary", "base64"),
    // With no path, every type, class and procedure that is not Postgres' own prints with its schema.
    ("search_path", ""),
];
