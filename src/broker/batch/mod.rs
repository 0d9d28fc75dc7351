//! Kafka's record batch v2: what a task hands to the log, what stands in a segment, what a fetch returns.
//!
//! Owns the bytes of a batch: building ([`BatchBuilder`]), checking and reading ([`Batches`], [`BatchReader`]), the
//! codecs inside. It never does I/O and never assigns an offset: the log calls [`set_base_offset`], which leaves the
//! checksum alone because that covers only what comes after it.
//!
//! | Byte | Field | Type | |
//! |---|---|---|---|
//! | 0 | base offset | i64 | of the first record; 0 until the log assigns it |
//! | 8 | length | i32 | of what follows this field |
//! | 12 | partition leader epoch | i32 | 0 here |
//! | 16 | magic | i8 | 2 |
//! | 17 | checksum | u32 | CRC-32C of everything from byte 21 |
//! | 21 | attributes | i16 | bits 0–2 codec, 3 log append time, 4 transactional, 5 control, 6 delete horizon |
//! | 23 | last offset delta | i32 | last offset − base offset |
//! | 27 | base timestamp | i64 | what the records' timestamps count from |
//! | 35 | max timestamp | i64 | |
//! | 43 | producer id | i64 | −1: none |
//! | 51 | producer epoch | i16 | −1 |
//! | 53 | base sequence | i32 | −1 |
//! | 57 | count | i32 | of records |
//! | 61 | records | | as below, compressed as a whole |
//!
//! A record: `length` varint, attributes i8 (0), timestamp delta varlong, offset delta varint, key length varint (−1
//! is null), key, value length varint (−1 is null), value, header count varint, headers of name length, name, value
//! length (−1 is null), value. Varints are zigzag. Numbers are big-endian.

mod builder;
mod codec;
mod cursor;
mod error;
mod header;
mod lz4;
mod reader;
mod sparse;
#[cfg(test)]
mod tests;
mod xxh32;

pub use builder::BatchBuilder;
pub use codec::Compression;
pub use error::{BatchError, Problem};
pub use header::{Batch, Batches, Header, crc, set_base_offset};
pub use reader::{BatchReader, Headers, Record, Records};
pub(super) use sparse::SparseBatch;

/// Bytes of a batch before its records.
pub const HEADER_BYTES: usize = 61;

/// Bytes of a batch that its length field does not count: base offset and length.
pub const PREFIX_BYTES: usize = 12;

/// Records of one batch, uncompressed: what a builder takes and a reader unpacks. Postgres holds at most 1 GiB in a
/// field; what a pipeline lets through is its row limit, far below. The bound keeps every length inside an `i32`.
pub const RECORDS_BYTES_MAX: usize = 1 << 30;
