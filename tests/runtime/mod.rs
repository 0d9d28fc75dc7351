//! The runtime between scripted connectors: what it promises them, under faults.

mod converters;
mod end_to_end;
pub mod memory;
mod retention;
pub mod script;
mod tasks;
