//! The one test binary: real servers, started here, on private ports and folders.

mod support;
mod tidy;
