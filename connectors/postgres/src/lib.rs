//! The postgres connector.
