//! The Postgres source: a consistent snapshot by COPY, then every change by logical replication.

mod catalog;
mod clock;
mod config;
pub mod envelope;
pub mod error;
mod feedback;
pub mod lsn;
pub mod offset;
pub mod options;
mod pgoutput;
mod publication;
pub mod schema;
mod server;
mod slot;
mod snapshot;
mod stream;
mod tables;
pub mod types;
pub mod wire;
