//! Tapline's runtime: sources and sinks around an embedded, durable log.
//!
//! Modules stand in the order in which a record meets them; `ARCHITECTURE.md` draws the path.

pub mod broker;
pub mod converter;
pub mod metrics;
pub mod plugins;
pub mod policy;
pub mod registry;

mod sink;
mod source;
pub mod state;
mod task;
pub mod transform;
pub mod worker;
