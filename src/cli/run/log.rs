//! Opens and closes the log with the worker's settings.

use crate::{
    broker::{self, Embedded, Flush},
    config::{
        access::Access,
        placeholder,
        worker::{LogSettings, WorkerSettings},
    },
    plugins::Plugins,
    worker::{Author, Placeholders, Settings},
};
use std::{collections::BTreeMap, sync::Arc};
use tapline_sdk::{Error, Files, Issue, Result};

/// The embedded log in the data directory. Recovery reads the disk, so it runs on a thread that may block.
///
/// # Errors
/// The folder is another worker's, of another version, or damaged beyond what recovery can do.
pub(super) async fn open(settings: &WorkerSettings) -> Result<Arc<Embedded>> {
    let (folder, sizes) = (settings.data_dir.clone(), sizes(&settings.log));
    let opened = tokio::task::spawn_blocking(move || Embedded::open(folder, sizes)).await;
    let opened =
        opened.map_err(|error| Error::fatal("the log's recovery did not end").because(error))?;
    opened.map(Arc::new)
}

fn sizes(settings: &LogSettings) -> broker::Settings {
    let defaults = broker::Settings::default();
    broker::Settings {
        journal_file_bytes: settings.journal_file_bytes,
        segment_bytes: settings.segment_bytes,
        checkpoint_bytes: settings.checkpoint_bytes,
        checkpoint_interval: settings.checkpoint_interval,
        batch_bytes_max: usize::try_from(settings.batch_bytes_max)
            .unwrap_or(defaults.batch_bytes_max),
        free_space_min: settings.free_space_min,
        retention_ms: settings.retention_ms,
        log_bytes_max: settings.bytes_max,
        flush: settings
            .flush_interval
            .map_or(Flush::Always, Flush::Interval),
        upkeep_interval: settings.upkeep_interval,
        ..defaults
    }
}

/// What the worker needs to know besides.
pub(super) fn worker_settings(settings: &WorkerSettings) -> Settings {
    // Whatever is allowed, the log and its key are not.
    let never = [settings.data_dir.clone()];
    let secrets = Secrets {
        operator: Access::everything(),
        request: Access::listed(&settings.allowed, &never),
    };
    Settings {
        data_dir: settings.data_dir.clone(),
        placeholders: Some(Arc::new(secrets)),
        plugins: plugins(settings),
    }
}

/// The connectors of this binary, with the worker's converters where they name none.
pub(super) fn plugins(settings: &WorkerSettings) -> Plugins {
    let converters = settings.converters.clone();
    Plugins::builtin().clone().with_converters(converters)
}

/// What each author may read.
struct Secrets {
    operator: Access,
    request: Access,
}

impl Secrets {
    fn of(&self, author: Author) -> &Access {
        match author {
            Author::Operator => &self.operator,
            Author::Request => &self.request,
        }
    }
}

impl Placeholders for Secrets {
    fn resolve(
        &self,
        settings: &BTreeMap<String, String>,
        author: Author,
    ) -> Result<BTreeMap<String, String>, Vec<Issue>> {
        placeholder::resolve_all(settings, self.of(author))
    }

    fn files(&self, author: Author) -> Files {
        self.of(author).connector().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::sizes;
    use crate::{broker, config::worker};

    #[test]
    fn the_files_defaults_are_the_logs_own() {
        let ours = worker::read("none", "").expect("no file is good").log;
        assert_eq!(
            format!("{:?}", sizes(&ours)),
            format!("{:?}", broker::Settings::default())
        );
    }
}
