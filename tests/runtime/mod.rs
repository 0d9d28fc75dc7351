//! The runtime between scripted connectors: what it promises them, under faults.

mod end_to_end;
pub mod memory;
pub mod script;
mod tasks;
