//! What tells records apart: headers, and the operation of an envelope.

/// On a delete and tombstone of a changed key: the key that the row has now.
pub const NEW_KEY_HEADER: &str = "__debezium.newkey";
/// On a create of a changed key: the key that the row had.
pub const OLD_KEY_HEADER: &str = "__debezium.oldkey";
/// On the barrier before a repeated snapshot of a table; its value is `begin`.
pub const SNAPSHOT_HEADER: &str = "__tapline.snapshot";

/// `op` of an envelope; its number is its place in [`super::batch::RunCells::operations`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Create,
    Update,
    Delete,
    Read,
    Truncate,
}
