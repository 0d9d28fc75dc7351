//! The Postgres source: a consistent snapshot by COPY, then every change by logical replication.

pub mod error;
pub mod lsn;
pub mod wire;
