//! The topics that files declare: made where they are missing, altered where a setting differs, never deleted.
//!
//! A file says which settings a topic has, not all of them: what it does not name was perhaps set by the source that
//! writes the topic, and stays. Doing it twice changes nothing.

use super::{Action, KeyChange};
use crate::{
    broker::{Broker, NewTopic, TopicInfo},
    worker::{ApplyError, Refusal, Subject, TopicSpec, Worker, topic_issues},
};
use serde::Serialize;
use std::collections::BTreeMap;
use tapline_sdk::Issue;

/// One topic's part of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TopicChange {
    /// The topic's name.
    pub topic: String,
    /// The pipeline that declares it.
    pub pipeline: String,
    /// [`Action::Create`], [`Action::Change`] or [`Action::Unchanged`].
    pub action: Action,
    /// How many partitions it has then.
    pub partitions: u32,
    /// The settings that differ; for [`Action::Create`], those that it is made with.
    pub keys: Vec<KeyChange>,
}

impl Worker {
    /// Makes the topics and alters them, durable on return. They were checked with [`refused`].
    pub(in crate::herder) async fn set_up(&self, topics: &[TopicSpec]) -> Result<(), ApplyError> {
        let log = &self.shared.log;
        let missing = topics.iter().filter(|spec| log.topic(&spec.name).is_none());
        let missing: Vec<NewTopic> = missing.map(TopicSpec::as_new).collect();
        let names: Vec<_> = missing.iter().map(|new| new.name.clone()).collect();
        if !missing.is_empty() {
            log.create(missing).await?;
        }
        for name in &names {
            tracing::info!(topic = &**name, "topic created");
        }
        for spec in topics {
            // Also what has just been made: somebody else may have been quicker, with other settings.
            let standing = log.topic(&spec.name);
            let changes = different(spec, standing.as_ref()).into_iter();
            let changes: BTreeMap<_, _> = changes.map(|key| (key.key, key.new)).collect();
            if !changes.is_empty() {
                log.alter(&spec.name, changes).await?;
                tracing::info!(topic = &*spec.name, "topic altered");
            }
        }
        Ok(())
    }
}

/// Every key that cannot be: alone, beside the settings that the topic has, or for the topic as it was made.
pub(in crate::herder) fn refused(log: &dyn Broker, topics: &[TopicSpec]) -> Vec<Refusal> {
    let of = |spec: &TopicSpec| {
        let subject = Subject::Topic(spec.name.clone());
        let issues = issues(spec, log.topic(&spec.name).as_ref()).into_iter();
        issues.map(move |issue| Refusal {
            subject: subject.clone(),
            issue,
        })
    };
    topics.iter().flat_map(of).collect()
}

fn issues(spec: &TopicSpec, standing: Option<&TopicInfo>) -> Vec<Issue> {
    let Some(standing) = standing else {
        return topic_issues(&spec.as_new());
    };
    let mut then = spec.as_new();
    for (key, value) in &standing.config {
        let entry = then.config.entry(key.clone());
        entry.or_insert_with(|| value.clone());
    }
    let mut found = topic_issues(&then);
    let count = partitions(standing);
    if let Some(wanted) = spec.partitions.filter(|wanted| *wanted != count) {
        found.retain(|issue| issue.key != "partitions");
        found.push(Issue::new(
            "partitions",
            format!("is {wanted}, and the topic exists with {count}"),
            format!(
                "write `partitions: {count}` or leave it out; another number takes a new topic: `tapline topics \
                 delete {}` deletes this one with its records",
                spec.name
            ),
        ));
    }
    found
}

/// What would become of each.
pub(super) fn plan(log: &dyn Broker, topics: &[TopicSpec]) -> Vec<TopicChange> {
    let of = |spec: &TopicSpec| {
        let standing = log.topic(&spec.name);
        let keys = different(spec, standing.as_ref());
        TopicChange {
            topic: spec.name.clone(),
            pipeline: spec.pipeline.clone(),
            action: match &standing {
                None => Action::Create,
                Some(_) if keys.is_empty() => Action::Unchanged,
                Some(_) => Action::Change,
            },
            partitions: standing
                .as_ref()
                .map_or(spec.as_new().partitions, partitions),
            keys,
        }
    };
    topics.iter().map(of).collect()
}

/// The settings that the topic does not have as declared.
fn different(spec: &TopicSpec, standing: Option<&TopicInfo>) -> Vec<KeyChange> {
    let has = |key: &String| standing.and_then(|topic| topic.config.get(key));
    let differ = spec
        .config
        .iter()
        .filter(|(key, value)| has(key) != Some(value));
    let keys = differ.map(|(key, value)| KeyChange {
        key: key.clone(),
        old: has(key).cloned(),
        new: Some(value.clone()),
    });
    keys.collect()
}

fn partitions(topic: &TopicInfo) -> u32 {
    u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX)
}
