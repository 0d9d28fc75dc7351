//! The registry of connectors: the only file that names connector crates.
//!
//! Owns classes, short names and alias profiles, and turns settings as people write them into settings that a
//! connector reads. Starts nothing.

use crate::worker::ConnectorKind;
use std::collections::BTreeMap;
use tapline_sdk::{Config, Issue};

/// Settings that passed every check that needs no I/O.
pub struct Resolved {
    /// Source or sink.
    pub kind: ConnectorKind,
    /// The connector's own class, whatever alias was written.
    pub class: &'static str,
    /// The connector's keys by their own names, an alias' defaults filled in, the runtime's keys taken out.
    pub config: Config,
    /// One sentence per key that was accepted and means nothing here.
    pub warnings: Vec<String>,
}

/// Checks settings without I/O: the runtime's keys, the connector's keys and its rules across keys.
///
/// `class` is a class name, an alias' class name or a short name; placeholders in `settings` are resolved already.
///
/// # Errors
/// Every problem at once, each with its key and a remedy. Secrets are not repeated.
pub fn resolve(
    kind: ConnectorKind,
    class: &str,
    settings: &BTreeMap<String, String>,
) -> Result<Resolved, Vec<Issue>> {
    let _ = (kind, settings);
    Err(vec![Issue::new(
        "connector.class",
        format!("\"{class}\" is not a connector"),
        "use one of: postgres, sql",
    )])
}
