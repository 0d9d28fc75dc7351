//! The postgres connector.

pub mod envelope;
pub mod options;
pub mod schema;
pub mod types;
