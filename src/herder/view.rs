//! What is told about connectors: settings without their secrets, states, topics.

use super::{Connector, Stored, secrets};
use crate::{
    plugins::{Plugin, Plugins, keys},
    state::TargetState,
    worker::{ConnectorKind, ConnectorStatus, Shared, Worker},
};
use std::{collections::BTreeMap, sync::Arc};
use tapline_sdk::{Definition, Info};

/// A connector as Kafka Connect shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorInfo {
    /// Its name.
    pub name: String,
    /// Its settings as they were submitted, placeholders unresolved, literal secrets masked.
    pub config: BTreeMap<String, String>,
    /// How many tasks it has, running or paused.
    pub tasks: u32,
    /// Source or sink.
    pub kind: ConnectorKind,
}

impl Worker {
    /// All connectors as they stand, by name.
    #[must_use]
    pub fn status(&self) -> Vec<ConnectorStatus> {
        self.shared.refresh();
        let connectors = self.shared.connectors();
        connectors
            .iter()
            .filter_map(|connector| connector.status())
            .collect()
    }

    /// One connector as it stands.
    #[must_use]
    pub fn status_of(&self, name: &str) -> Option<ConnectorStatus> {
        self.shared.find(name)?.status()
    }

    /// Every connector's name, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let connectors = self.shared.connectors();
        let existing = connectors.iter().filter(|one| one.stored().is_some());
        existing.map(|one| one.name.to_string()).collect()
    }

    /// The version of a connector's class, by any of its names.
    #[must_use]
    pub fn version_of(&self, class: &str) -> Option<&'static str> {
        self.shared.version_of(class)
    }

    /// Source or sink, by settings that nobody has checked; `None` if no connector has their class.
    #[must_use]
    pub fn kind_of(&self, settings: &BTreeMap<String, String>) -> Option<ConnectorKind> {
        let class = settings.get(keys::CLASS.name())?;
        self.shared.kind_of(class, settings)
    }

    /// One connector's settings and number of tasks.
    #[must_use]
    pub fn info(&self, name: &str) -> Option<ConnectorInfo> {
        let connector = self.shared.find(name)?;
        let stored = connector.stored()?;
        Some(self.shared.info(&connector, &stored))
    }

    /// The settings of each task: its connector's as they were submitted, which is what Connect's connectors hand on.
    /// What a task of ours is told beyond them (defaults, its share of the topics) is no setting that anybody made.
    #[must_use]
    pub fn task_configs(&self, name: &str) -> Option<Vec<BTreeMap<String, String>>> {
        let connector = self.shared.find(name)?;
        let stored = connector.stored()?;
        let info = self.shared.info(&connector, &stored);
        let tasks = usize::try_from(info.tasks).unwrap_or_default();
        Some(vec![info.config; tasks])
    }

    /// Topics that a connector has used since its last reset, whether or not it exists.
    #[must_use]
    pub fn topics_of(&self, connector: &str) -> Vec<Arc<str>> {
        let topics = self.shared.sources.active.shown(connector);
        topics.into_iter().collect()
    }

    /// Shows none of a connector's topics until it uses them again, durable on return.
    ///
    /// # Errors
    /// The log refuses.
    pub async fn reset_topics(&self, connector: &str) -> tapline_sdk::Result<()> {
        self.shared.sources.active.reset(connector).await
    }
}

impl Shared {
    pub(crate) fn connectors(&self) -> Vec<Arc<Connector>> {
        self.connectors.lock().values().cloned().collect()
    }

    /// A connector that exists.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Connector>> {
        let found = self.connectors.lock().get(name).cloned();
        found.filter(|connector| connector.stored().is_some())
    }

    /// The version of a connector's class, by any of its names.
    pub(crate) fn version_of(&self, class: &str) -> Option<&'static str> {
        let mut plugins = named(&self.settings.plugins, class);
        plugins.next().map(|plugin| plugin.info().version)
    }

    pub(super) fn info(&self, connector: &Connector, stored: &Stored) -> ConnectorInfo {
        let definitions = self.definitions(&stored.spec.class);
        let running = connector.running().map(|running| running.plan.count());
        ConnectorInfo {
            name: stored.spec.name.clone(),
            config: secrets::masked(&definitions, &stored.spec.settings),
            tasks: match stored.target {
                TargetState::Stopped => 0,
                _ => running.unwrap_or(stored.tasks),
            },
            kind: stored.spec.kind,
        }
    }

    /// Every key that a class knows, with the names that its alias gives them.
    pub(super) fn definitions(&self, class: &str) -> Vec<Definition> {
        let mut definitions = keys::ALL.to_vec();
        for plugin in named(&self.settings.plugins, class) {
            let info = plugin.info();
            definitions.extend_from_slice(info.keys);
            let alias = info.aliases.iter().find(|alias| alias.class == class);
            for (theirs, ours) in alias.map(|alias| alias.renames).unwrap_or_default() {
                let ours = info.keys.iter().find(|definition| definition.name == *ours);
                definitions.extend(ours.map(|ours| Definition {
                    name: theirs,
                    ..*ours
                }));
            }
        }
        definitions
    }

    /// Source or sink, by its class; where a short name means both, by its settings. `None`: there is no such class.
    pub(super) fn kind_of(
        &self,
        class: &str,
        settings: &BTreeMap<String, String>,
    ) -> Option<ConnectorKind> {
        let mut kinds = named(&self.settings.plugins, class).map(|plugin| plugin.kind());
        let first = kinds.next()?;
        if kinds.all(|kind| kind == first) {
            return Some(first);
        }
        Some(likely_kind(settings))
    }
}

/// What settings look like: a sink says which topics it reads.
pub(super) fn likely_kind(settings: &BTreeMap<String, String>) -> ConnectorKind {
    let reads = [&keys::TOPICS_REGEX].map(tapline_sdk::Key::name);
    let lists = [&keys::TOPICS_LIST, &keys::TOPICS_OF].map(tapline_sdk::Key::name);
    if reads
        .iter()
        .chain(&lists)
        .any(|key| settings.contains_key(*key))
    {
        ConnectorKind::Sink
    } else {
        ConnectorKind::Source
    }
}

/// The connectors that a class name, an alias or a short name means.
fn named<'a>(plugins: &'a Plugins, class: &'a str) -> impl Iterator<Item = Plugin> + 'a {
    let answers = move |info: &Info| {
        info.class == class
            || info.short == class
            || info.aliases.iter().any(|alias| alias.class == class)
    };
    plugins.all().filter(move |plugin| answers(plugin.info()))
}
