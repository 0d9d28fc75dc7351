//! What a user relies on, through the real binary and real servers.

mod error_catalogue;
mod every_type;
mod file;
mod postgres_source;
mod postgres_types;
mod private_server;
mod sql_sink;
