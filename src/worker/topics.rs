//! Topics that people make, change and delete; those that connectors make are the affair of `source`.
//!
//! Keeps what belongs to somebody: the topics of the worker's own state, and, from deletion, those that a connector uses.

use super::{ConnectorKind, ConnectorSpec, Plan, Shared, Worker};
use crate::{
    broker::{NewTopic, Readers, TopicInfo, topic_problems},
    herder::{Stored, during},
    plugins::keys,
    sink::{self, Selection, is_internal},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tapline_sdk::{Config, Error, Issue, Result};

/// Why nothing was done with a topic.
#[derive(Debug)]
pub enum TopicRefused {
    /// There is none of that name.
    Unknown,
    /// There is one of that name.
    Exists,
    /// The topic is changed only while no connector uses it, or never.
    Kept(Error),
    /// The log refuses.
    Failed(Error),
}

impl From<Error> for TopicRefused {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Worker {
    /// The groups of all connectors there are, running or not, and the topics that sinks are to read: what they have
    /// not read is kept.
    #[must_use]
    pub fn readers(&self) -> Readers {
        let names = self.shared.configs.all().into_keys();
        let mut readers: Readers = names
            .map(|name| (sink::group(&name).into(), BTreeSet::new()))
            .collect();
        let topics: Vec<Arc<str>> = self
            .broker()
            .topics()
            .into_iter()
            .map(|one| one.name)
            .collect();
        let connectors = self.shared.connectors();
        for Stored { spec, .. } in connectors.iter().filter_map(|one| one.stored()) {
            if spec.kind != ConnectorKind::Sink {
                continue;
            }
            // Of settings that do not hold any more only stored positions count.
            if let Some(selection) = self.shared.selection(&spec) {
                let names = |topic: &&Arc<str>| selection.names(topic, &self.shared.sources.active);
                let of = readers.entry(sink::group(&spec.name).into()).or_default();
                of.extend(topics.iter().filter(names).cloned());
            }
        }
        readers
    }

    /// Makes a topic, durable on return.
    ///
    /// # Errors
    /// There is one of that name, or its name, settings or number of partitions are not possible.
    pub async fn create_topic(&self, new: NewTopic) -> Result<TopicInfo, TopicRefused> {
        self.open_for_changes()?;
        not_ours(&new.name)?;
        if self.broker().topic(&new.name).is_some() {
            return Err(TopicRefused::Exists);
        }
        let name = new.name.clone();
        let created = self.broker().create(vec![new]).await?;
        tracing::info!(topic = &*name, "topic created");
        created.into_iter().next().ok_or(TopicRefused::Unknown)
    }

    /// Changes settings of a topic, durable on return; `None` takes one back to its default.
    ///
    /// # Errors
    /// There is no such topic, or a setting is not possible.
    pub async fn alter_topic(
        &self,
        name: &str,
        changes: BTreeMap<String, Option<String>>,
    ) -> Result<TopicInfo, TopicRefused> {
        self.open_for_changes()?;
        not_ours(name)?;
        if self.broker().topic(name).is_none() {
            return Err(TopicRefused::Unknown);
        }
        let altered = self.broker().alter(name, changes).await?;
        tracing::info!(topic = name, "topic altered");
        Ok(altered)
    }

    /// Deletes a topic that no connector uses, durable on return.
    ///
    /// # Errors
    /// There is no such topic, or a connector uses it.
    pub async fn delete_topic(&self, name: &str) -> Result<(), TopicRefused> {
        self.open_for_changes()?;
        not_ours(name)?;
        // Who begins to use it meanwhile waits, and finds it gone; who has begun is found.
        let active = &self.shared.sources.active;
        let waiting = "waiting for connectors that begin to use topics";
        let _deleting = during(waiting, active.deleting()).await;
        if self.broker().topic(name).is_none() {
            return Err(TopicRefused::Unknown);
        }
        let users = self.shared.users_of(name);
        if !users.is_empty() {
            let users = users.join(", ");
            let error = Error::config(format!("topic {name} is used by {users}"))
                .code("TL0516")
                .remedy(
                    "delete the connector, or take the topic out of its settings and PUT \
                     /connectors/{connector}/topics/reset",
                );
            return Err(TopicRefused::Kept(error));
        }
        match self.broker().delete(name).await? {
            true => {
                tracing::info!(topic = name, "topic deleted");
                Ok(())
            }
            false => Err(TopicRefused::Unknown),
        }
    }
}

/// Everything that would be refused of this topic, by key; the key is empty where its name is to blame.
#[must_use]
pub(crate) fn topic_issues(new: &NewTopic) -> Vec<Issue> {
    match not_ours(&new.name) {
        Err(TopicRefused::Kept(error)) => {
            vec![Issue::new(
                "",
                error.context,
                error.remedy.unwrap_or_default(),
            )]
        }
        _ => topic_problems(new),
    }
}

/// What the worker remembers stands there.
fn not_ours(topic: &str) -> Result<(), TopicRefused> {
    if !is_internal(topic) {
        return Ok(());
    }
    let error = Error::config(format!("topic {topic} holds the worker's own state"))
        .code("TL0517")
        .remedy("leave it alone: the worker keeps it by itself");
    Err(TopicRefused::Kept(error))
}

impl Shared {
    /// How a sink's settings choose topics, read without the rest of them: this is asked with every round of upkeep.
    fn selection(&self, spec: &ConnectorSpec) -> Option<Selection> {
        let keys = [
            keys::TOPICS_LIST.name(),
            keys::TOPICS_REGEX.name(),
            keys::TOPICS_OF.name(),
        ];
        let settings = spec.settings.iter();
        let settings = settings.filter(|(key, _)| keys.contains(&key.as_str()));
        let settings = settings
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let settings = match &self.settings.placeholders {
            Some(placeholders) => placeholders.resolve(&settings, spec.author).ok()?,
            None => settings,
        };
        Selection::of(&Config::new(settings)).ok()
    }

    /// The connectors that have used a topic since their last reset, and the sinks that are to read it.
    fn users_of(&self, topic: &str) -> Vec<String> {
        let uses = |name: &str| {
            let shown = self.sources.active.shown(name);
            shown.iter().any(|used| &**used == topic)
        };
        let connectors = self.connectors();
        let stored = connectors.iter().filter_map(|one| one.stored());
        let users = stored.filter(|stored| {
            let spec = &stored.spec;
            let reads = || {
                // Settings that do not hold any more read nothing.
                let plan = Plan::of(self, spec).ok();
                let selection = plan.and_then(|plan| Selection::of(&plan.resolved.framework).ok());
                selection.is_some_and(|selection| selection.names(topic, &self.sources.active))
            };
            uses(&spec.name) || (spec.kind == ConnectorKind::Sink && reads())
        });
        users.map(|stored| stored.spec.name.clone()).collect()
    }
}
