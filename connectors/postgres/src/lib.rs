//! The Postgres source: a consistent snapshot by COPY, then every change by logical replication.

pub mod envelope;
pub mod error;
pub mod lsn;
pub mod options;
pub mod schema;
pub mod types;
pub mod wire;
