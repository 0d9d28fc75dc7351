//! The one test binary: real servers, started here, on private ports and folders.

#![expect(
    clippy::panic,
    reason = "a test that panics has failed, which is what it is for"
)]
#![expect(
    clippy::print_stderr,
    reason = "seeds and counts are shown with --nocapture"
)]

mod acceptance;
mod broker;
mod compare;
mod crash;
mod hostile;
mod kafka;
mod observe;
mod pipeline;
mod registry;
mod rest;
mod runtime;
mod support;
mod tidy;
