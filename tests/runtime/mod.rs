//! The runtime between scripted connectors: what it promises them, under faults.

mod converters;
mod end_to_end;
mod memory;
mod script;
mod tasks;
