//! The registry of connectors: the only file that names connector crates.
//!
//! Owns which connectors exist and finds them by class, alias or short name; [`resolve`] turns settings as people
//! write them into settings that a connector reads, [`Plugins::validate`] tells clients of every key. Starts nothing.

mod across;
mod alias;
mod erased;
mod form;
mod framework;
mod info;
pub mod keys;
mod listing;
mod parts;
mod probe;
mod resolve;
mod rules;
mod validate;

pub use erased::{DynSink, DynSource, SinkPlugin, SourcePlugin};
pub use info::{ConfigInfo, ConfigInfos, ConfigKeyInfo, ConfigValueInfo, PluginInfo};
pub use resolve::Resolved;
pub use validate::{Given, Validated, no_class};

use crate::{converter::Defaults, worker::ConnectorKind};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, LazyLock},
};
use tapline_file::{FileSink, FileSource};
use tapline_postgres::PostgresSource;
use tapline_sdk::{Alias, BoxFuture, Config, Info, Issue, Sink, Source, nearest};
use tapline_sql::SqlSink;

/// The connectors that a worker can run. Cheap to clone.
#[derive(Clone, Default)]
pub struct Plugins {
    sources: Vec<Arc<dyn SourcePlugin>>,
    sinks: Vec<Arc<dyn SinkPlugin>>,
    /// The converters of connectors that name none.
    converters: Arc<Defaults>,
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
                .with_source::<FileSource>()
                .with_sink::<SqlSink>()
                .with_sink::<FileSink>()
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

    /// The converters of connectors that name none: the worker's.
    #[must_use]
    pub fn with_converters(mut self, defaults: Defaults) -> Self {
        self.converters = Arc::new(defaults);
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
        resolve::resolve(
            self.find(kind, class)?,
            class,
            settings,
            &self.converters,
            true,
        )
    }

    pub(crate) fn find(&self, kind: ConnectorKind, class: &str) -> Result<Found, Vec<Issue>> {
        match self.lookup(class) {
            Some(found) if found.plugin.kind() == kind => Ok(found),
            // A short name may be a source's and a sink's.
            _ => self
                .named(|plugin, name| plugin.kind() == kind && name == class)
                .ok_or_else(|| vec![self.unknown(kind, class)]),
        }
    }

    /// The connector of this name, of whichever kind: its class, an alias' class, its short name, or, as in Kafka
    /// Connect, the last word of a class, with or without «Connector», where only one class has it.
    pub(crate) fn lookup(&self, class: &str) -> Option<Found> {
        let mut exact = self.names().filter(|(_, name, _)| *name == class);
        let mut by_word = self.names().filter(|(_, name, _)| {
            let simple = name.rsplit('.').next().unwrap_or(name);
            simple == class || simple.strip_suffix("Connector") == Some(class)
        });
        let (plugin, _, alias) = match (exact.next(), exact.next()) {
            (Some(found), None) => found,
            // A short name that a source and a sink share says too little.
            (Some(_), Some(_)) => return None,
            (None, _) => match (by_word.next(), by_word.next()) {
                (Some(found), None) => found,
                _ => return None,
            },
        };
        Some(Found { plugin, alias })
    }

    /// Every name of every connector; the alias if it is another product's.
    fn names(&self) -> impl Iterator<Item = (Plugin, &'static str, Option<&'static Alias>)> {
        self.all().flat_map(|plugin| {
            let info = plugin.info();
            let ours = [info.class, info.short]
                .into_iter()
                .map(|name| (name, None));
            let theirs = info.aliases.iter().map(|alias| (alias.class, Some(alias)));
            let names: Vec<_> = ours.chain(theirs).collect();
            names
                .into_iter()
                .map(move |(name, alias)| (plugin.clone(), name, alias))
        })
    }

    fn named(&self, is: impl Fn(&Plugin, &str) -> bool) -> Option<Found> {
        let mut names = self.names();
        let found = names.find(|(plugin, name, _)| is(plugin, name));
        found.map(|(plugin, _, alias)| Found { plugin, alias })
    }

    fn unknown(&self, kind: ConnectorKind, class: &str) -> Issue {
        let (kind, other) = match kind {
            ConnectorKind::Source => ("source", "sink"),
            ConnectorKind::Sink => ("sink", "source"),
        };
        let infos = || self.all().map(|plugin| plugin.info());
        if self.lookup(class).is_some() {
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

    /// The files that settings name. See [`tapline_sdk::Connector::files`].
    #[must_use]
    pub fn files(&self, config: &Config) -> Vec<(&'static str, PathBuf)> {
        match self {
            Self::Source(source) => source.files(config),
            Self::Sink(sink) => sink.files(config),
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
