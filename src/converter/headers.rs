//! Record headers in the log: the names of our own, their layouts, and text as Connect's simple converter writes it.

use tapline_sdk::Transaction;

/// Names the fields that are [`tapline_sdk::Cell::Unavailable`]: paths, comma between paths, dot between names
/// (`after.body,after.notes`). A comma, dot or backslash in a name is preceded by a backslash.
pub const UNAVAILABLE: &str = "__tapline.unavailable";

/// The record's [`Transaction`], 14 bytes: version u8 = 1, flags u8 (bit 0: last), id u64, ordinal u32, big endian.
pub const TRANSACTION: &str = "__tapline.transaction";

/// Marks a copy of a [`tapline_sdk::Partition::All`] record, 9 bytes: version u8 = 1, id u64 big endian. All copies
/// of one barrier carry the same id.
pub const BARRIER: &str = "__tapline.barrier";

/// The version of both fixed layouts.
const VERSION: u8 = 1;

/// The value of [`TRANSACTION`].
pub(super) fn transaction(of: Transaction) -> [u8; 14] {
    let mut bytes = [0; 14];
    bytes[0] = VERSION;
    bytes[1] = u8::from(of.last);
    bytes[2..10].copy_from_slice(&of.id.to_be_bytes());
    bytes[10..14].copy_from_slice(&of.ordinal.to_be_bytes());
    bytes
}
