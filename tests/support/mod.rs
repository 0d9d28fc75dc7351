//! What tests share: private servers, a write load, comparing databases, waiting on a condition.
//!
//! Never a mock of what users run, never a bare sleep.

pub mod compare;
pub mod postgres;
pub mod process;
pub mod replica;
pub mod service;
pub mod shop;
pub mod wait;
pub mod worker;
