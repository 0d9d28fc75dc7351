//! The real binary and its neighbours killed at random moments; what they hold afterwards is checked.

mod fleet;
mod kills;
mod ledger;
mod many;
mod memory;
