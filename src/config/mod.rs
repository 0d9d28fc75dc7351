//! Configuration: the worker's own settings, placeholders in anybody's settings, and reading files of either.
//!
//! Owns the worker's defaults and their documentation. Never a connector's keys: those are declared in the connectors.

pub mod access;
pub mod document;
pub mod gate;
pub mod placeholder;
pub mod worker;
