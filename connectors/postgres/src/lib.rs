//! The Postgres source: a consistent snapshot by COPY, then every change by logical replication.
//!
//! Owns everything between a Postgres server and records: sessions, slots, publications, positions, and the mapping of
//! rows to Debezium's envelope. It stores nothing itself: positions travel with the records and come back from the log.
//!
//! ```text
//!  config ─▶ source (one task) ─▶ start: slot, publication, stored position
//!                              ─▶ snapshot: COPY ─▶ types, envelope ─▶ output
//!                              ─▶ stream: pgoutput ─▶ types, envelope ─▶ output
//!                                 feedback: committed ─▶ standby status
//! ```

mod catalog;
mod clock;
mod config;
pub mod envelope;
pub mod error;
mod feedback;
pub mod lsn;
pub mod offset;
pub mod options;
mod pgoutput;
mod probe;
mod publication;
pub mod schema;
mod server;
mod slot;
mod snapshot;
mod source;
mod stream;
mod tables;
pub mod types;
pub mod wire;

use config::Settings;
use offset::{StreamOffset, TableOffset, table_of};
use source::Task;
use std::{collections::BTreeMap, path::PathBuf};
use tapline_sdk::{Config, Connector, Error, Info, Issue, Position, Result, Source, SourceContext};

/// The source.
pub struct PostgresSource {
    settings: Settings,
}

impl Connector for PostgresSource {
    const INFO: Info = config::INFO;

    fn validate(config: &Config) -> Vec<Issue> {
        config::validate(config)
    }

    fn files(config: &Config) -> Vec<(&'static str, PathBuf)> {
        config::files(config)
    }

    async fn probe(config: &Config) -> Vec<Issue> {
        match Settings::new(config) {
            Ok(settings) => Box::pin(probe::probe(&settings)).await,
            Err(error) => {
                let remedy = error
                    .remedy
                    .clone()
                    .unwrap_or_else(|| "correct the value".to_owned());
                vec![Issue::new("", error.chain(), remedy)]
            }
        }
    }

    /// A slot has one reader, so there is one task whatever `tasks_max` says.
    fn task_configs(config: &Config, _tasks_max: u32) -> Vec<BTreeMap<String, String>> {
        let mut task = config.settings().clone();
        task.entry("task.id".to_owned())
            .or_insert_with(|| "0".to_owned());
        vec![task]
    }

    /// Reaches the server and makes sure that it can be captured from at all.
    async fn connect(config: Config) -> Result<Self> {
        config::warn(&config);
        let settings = Settings::new(&config)?;
        let mut session = wire::Connection::open(&settings.endpoint, wire::Session::Plain).await?;
        server::check(&mut session).await?;
        session.close().await;
        Ok(Self { settings })
    }

    /// Positions live in the log alone, so there is nothing to do on the server; what would not be understood at the
    /// next start is refused now.
    async fn alter_offsets(_config: &Config, to: &[(Position, Option<Position>)]) -> Result<bool> {
        for (partition, offset) in to {
            // Whatever stands there may be forgotten.
            if offset.is_some() && !partition.contains_key("server") {
                return Err(Error::config("source partition has no `server`")
                    .code("TL0316")
                    .remedy("use the partitions that `tapline offsets show` prints"));
            }
            match (table_of(partition), offset) {
                (_, None) => {}
                (Some(_), Some(offset)) => drop(TableOffset::read(offset)?),
                (None, Some(offset)) => drop(StreamOffset::read(offset)?),
            }
        }
        Ok(false)
    }

    async fn purge(config: &Config) -> Result<()> {
        let settings = Settings::new(config)?;
        Box::pin(source::purge(&settings)).await
    }
}

impl Source for PostgresSource {
    async fn run(self, context: SourceContext) -> Result<()> {
        Box::pin(Task::run(self.settings, context)).await
    }
}
