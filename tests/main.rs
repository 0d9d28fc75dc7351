//! The one test binary: real servers, started here, on private ports and folders.

#![expect(
    clippy::panic,
    reason = "a test that panics has failed, which is what it is for"
)]

mod broker;
mod kafka;
mod support;
mod tidy;
