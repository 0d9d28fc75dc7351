//! What a user relies on, through the real binary and real servers.

mod every_type;
mod postgres_source;
mod postgres_types;
mod sql_sink;
