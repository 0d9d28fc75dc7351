//! What the connector can be told: keys, modes, and the settings that a task works with.
//!
//! Owns parsing and the rules across keys. What a mapping option means is [`crate::options`]'.

mod debezium;
mod filter;
mod info;
mod keys;
mod modes;
mod settings;

pub use filter::TableFilter;
pub use info::INFO;
pub use modes::{Autocreate, SnapshotMode};
pub(crate) use settings::warn;
pub use settings::{Settings, files, validate};
