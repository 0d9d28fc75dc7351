//! The registry of connectors: the only file that names connector crates.
//!
//! Owns which connectors exist and finds them by class, alias or short name; [`resolve`] turns settings as people
//! write them into settings that a connector reads. Starts nothing.

mod alias;
mod erased;
pub mod keys;
mod resolve;

pub use erased::{DynSink, DynSource, SinkPlugin, SourcePlugin};
pub use resolve::Resolved;

use crate::worker::ConnectorKind;
use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};
use tapline_postgres::PostgresSource;
use tapline_sdk::{Alias, BoxFuture, Config, Info, Issue, Sink, Source, nearest};
use tapline_sql::SqlSink;

/// The connectors that a worker can run. Cheap to clone.
#[derive(Clone, Default)]
pub struct Plugins {
    sources: Vec<Arc<dyn SourcePlugin>>,
    sinks: Vec<Arc<dyn SinkPlugin>>,
}

/// Source or sink, erased.
#[derive(Clone)]
pub enum Plugin {
    /// A source connector.
    Source(Arc<dyn SourcePlugin>),
    /// A sink connector.
    Sink(Arc<dyn SinkPlugin>),
}

/// A connector under the name that was asked for.
pub(crate) struct Found {
    pub(crate) plugin: Plugin,
    /// Set if the name was another product's class.
    pub(crate) alias: Option<&'static Alias>,
}

/// Checks settings against the connectors of this binary: see [`Plugins::resolve`].
///
/// # Errors
/// Every problem at once, each with its key and a remedy. Secrets are not repeated.
pub fn resolve(
    kind: ConnectorKind,
    class: &str,
    settings: &BTreeMap<String, String>,
) -> Result<Resolved, Vec<Issue>> {
    Plugins::builtin().resolve(kind, class, settings)
}

impl Plugins {
    /// The connectors of this binary.
    #[must_use]
    pub fn builtin() -> &'static Self {
        static BUILTIN: LazyLock<Plugins> = LazyLock::new(|| {
            Plugins::default()
                .with_source::<PostgresSource>()
                .with_sink::<SqlSink>()
        });
        &BUILTIN
    }

    /// Adds a source connector.
    #[must_use]
    pub fn with_source<S: Source>(mut self) -> Self {
        self.sources.push(erased::source::<S>());
        self
    }

    /// Adds a sink connector.
    #[must_use]
    pub fn with_sink<S: Sink>(mut self) -> Self {
        self.sinks.push(erased::sink::<S>());
        self
    }

    /// Every connector.
    pub fn all(&self) -> impl Iterator<Item = Plugin> {
        let sources = self.sources.iter().cloned().map(Plugin::Source);
        sources.chain(self.sinks.iter().cloned().map(Plugin::Sink))
    }

    /// Checks settings without I/O: the runtime's keys, the connector's keys and its rules across keys.
    ///
    /// `class` is a class name, an alias' class name or a short name; placeholders in `settings` are resolved
    /// already.
    ///
    /// # Errors
    /// Every problem at once, each with its key and a remedy. Secrets are not repeated.
    pub fn resolve(
        &self,
        kind: ConnectorKind,
        class: &str,
        settings: &BTreeMap<String, String>,
    ) -> Result<Resolved, Vec<Issue>> {
        resolve::resolve(self.find(kind, class)?, class, settings)
    }

    pub(crate) fn find(&self, kind: ConnectorKind, class: &str) -> Result<Found, Vec<Issue>> {
        let of_kind = |plugin: &Plugin| plugin.kind() == kind;
        for plugin in self.all().filter(of_kind) {
            let info = plugin.info();
            let alias = info.aliases.iter().find(|alias| alias.class == class);
            if alias.is_some() || info.class == class || info.short == class {
                return Ok(Found { plugin, alias });
            }
        }
        Err(vec![self.unknown(kind, class)])
    }

    fn unknown(&self, kind: ConnectorKind, class: &str) -> Issue {
        let (kind, other) = match kind {
            ConnectorKind::Source => ("source", "sink"),
            ConnectorKind::Sink => ("sink", "source"),
        };
        let infos = || self.all().map(|plugin| plugin.info());
        let answers = |info: &Info| {
            info.class == class
                || info.short == class
                || info.aliases.iter().any(|alias| alias.class == class)
        };
        if infos().any(answers) {
            return Issue::new(
                "connector.class",
                format!("\"{class}\" is a {other} connector, not a {kind} connector"),
                format!("use it as a {other}"),
            );
        }
        let known: Vec<&str> = infos().flat_map(|info| [info.short, info.class]).collect();
        let remedy = match nearest(class, known.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("use one of: {}", known.join(", ")),
        };
        Issue::new(
            "connector.class",
            format!("\"{class}\" is not a {kind} connector that exists here"),
            remedy,
        )
    }
}

impl Plugin {
    /// Class, keys and aliases.
    #[must_use]
    pub fn info(&self) -> &'static Info {
        match self {
            Self::Source(source) => source.info(),
            Self::Sink(sink) => sink.info(),
        }
    }

    /// Is the other side reachable, privileged and set up? See [`tapline_sdk::Connector::probe`].
    pub fn probe<'a>(&'a self, config: &'a Config) -> BoxFuture<'a, Vec<Issue>> {
        match self {
            Self::Source(source) => source.probe(config),
            Self::Sink(sink) => sink.probe(config),
        }
    }

    /// Source or sink.
    #[must_use]
    pub fn kind(&self) -> ConnectorKind {
        match self {
            Self::Source(_) => ConnectorKind::Source,
            Self::Sink(_) => ConnectorKind::Sink,
        }
    }
}

#[cfg(test)]
mod tests;
