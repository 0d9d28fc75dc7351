//! The sql connector.
