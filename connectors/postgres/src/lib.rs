//! The Postgres source: a consistent snapshot by COPY, then every change by logical replication.

mod config;
pub mod envelope;
pub mod error;
pub mod lsn;
pub mod offset;
pub mod options;
mod pgoutput;
pub mod schema;
mod server;
mod tables;
pub mod types;
pub mod wire;
