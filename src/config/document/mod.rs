//! YAML files of settings: text with places in, flat settings or problems with file, line, key and remedy out.
//!
//! Serves pipeline files and the worker's own. Knows neither's words.

pub(crate) mod diagnostic;
pub(crate) mod flatten;
mod place;
pub(crate) mod secrets;
pub(crate) mod units;
pub(crate) mod yaml;

pub use diagnostic::{Diagnostic, Report};
pub use place::Place;
