//! The runtime between scripted connectors: what it promises them, under faults.

mod memory;
mod script;
mod tasks;
