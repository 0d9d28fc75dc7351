//! Opens the log with the worker's settings.

use super::Log;
use crate::{
    config::{placeholder, worker::WorkerSettings},
    worker::{Placeholders, Settings},
};
use std::{collections::BTreeMap, sync::Arc};
use tapline_sdk::{Error, Issue, Result};

/// The embedded log in the data directory.
///
/// # Errors
/// The folder is another worker's, of another version, or damaged beyond what recovery can do.
pub(super) async fn open(settings: &WorkerSettings) -> Result<Log> {
    Err(Error::fatal(format!(
        "cannot open {}",
        settings.data_dir.display()
    )))
}

/// What the worker needs to know besides.
pub(super) fn worker_settings(settings: &WorkerSettings) -> Settings {
    Settings {
        data_dir: settings.data_dir.clone(),
        placeholders: Some(Arc::new(Secrets)),
    }
}

/// Files named on the command line are trusted: the whole environment and every path may be asked for.
struct Secrets;

impl Placeholders for Secrets {
    fn resolve(
        &self,
        settings: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, Vec<Issue>> {
        placeholder::resolve_all(settings)
    }
}
