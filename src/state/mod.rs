//! State is a log: maps that are rebuilt from compacted topics, in Kafka Connect's own formats.
//!
//! Owns `connect-configs`, `connect-offsets`, `connect-status` and the sealing of secrets in them. It knows no
//! connector and decides nothing about them.
//!
//! | Code | Meaning |
//! |---|---|
//! | TL0520 | a state topic cannot be read |
//! | TL0521 | state cannot be stored |
//! | TL0522 | offsets of a running connector were to be changed |
//! | TL0530 | the key file is missing, unreadable or not a key |
//! | TL0531 | a sealed secret does not open with this key |

mod configs;
mod map;
mod offsets;
mod seal;
mod status;
#[cfg(test)]
pub(crate) mod tests;

pub use configs::{ConfigStore, ConnectorConfig, TargetState};
pub use map::{Blob, StateMap};
pub use offsets::{OffsetClaim, OffsetStore};
pub use seal::Sealer;
pub use status::{Status, StatusKey, StatusStore};
