//! Tapline's runtime: sources and sinks around an embedded, durable log.
//!
//! Modules stand in the order in which a record meets them; `ARCHITECTURE.md` draws the path.

mod avro;
pub mod broker;
pub mod cli;
pub mod config;
pub mod converter;
pub mod herder;
pub mod logging;
pub mod metrics;
pub mod pipeline;
pub mod plugins;
pub mod policy;
pub mod registry;
pub mod rest;
mod sink;
mod source;
pub mod state;
mod task;
pub mod transform;
pub mod worker;
