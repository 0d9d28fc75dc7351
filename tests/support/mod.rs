//! What tests share: private servers, waiting on a condition.
//!
//! Never a mock of what users run, never a bare sleep.

pub mod postgres;
pub mod process;
pub mod wait;
