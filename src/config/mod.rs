//! Configuration of the worker itself, and placeholders in anybody's settings.
//!
//! Owns defaults and their documentation. Never a connector's keys: those are declared in the connectors.

pub mod placeholder;
