//! `topics`: the topics that a file wants to be there, with their settings.
//!
//! A name is the whole name of a topic, so it does not flatten; what stands below it does. Names and settings are
//! checked by the log's own rules.

use super::placeholders;
use crate::{
    config::document::{
        Diagnostic, Place,
        flatten::{Setting, flatten},
        yaml::{Content, Entry},
    },
    worker::{TopicSpec, topic_issues},
};
use std::collections::BTreeMap;
use tapline_sdk::Issue;

/// The one key of a topic that is no setting of its log.
pub(super) const PARTITIONS: &str = "partitions";

/// More than one machine serves.
const TOPICS_MAX: usize = 10_000;

const FORM: &str =
    "name each topic: `topics: {shop.public.orders: {partitions: 1, retention.ms: 7d}}`";

/// A topic of a pipeline file.
#[derive(Debug, Clone)]
pub struct Topic {
    /// What the worker is asked for.
    pub spec: TopicSpec,
    /// Where in the file it stands: `topics.shop.public.orders`.
    pub path: String,
    /// The line of its name.
    pub place: Place,
    places: BTreeMap<String, Place>,
}

impl Topic {
    /// What is wrong with it, at the line of the key.
    pub(super) fn objection(&self, issue: Issue) -> Diagnostic {
        let Issue {
            key,
            problem,
            remedy,
        } = issue;
        let place = self.places.get(&key).copied().unwrap_or(self.place);
        let (message, path) = match key.as_str() {
            "" => (problem, self.path.clone()),
            key => (format!("{key} {problem}"), format!("{}.{key}", self.path)),
        };
        Diagnostic::new("TL0116", place, message)
            .at(path)
            .help(remedy)
    }
}

/// The topics of a file.
pub(super) fn compile(
    entry: Option<&Entry>,
    pipeline: &str,
    problems: &mut Vec<Diagnostic>,
) -> Vec<Topic> {
    let Some(entry) = entry else {
        return Vec::new();
    };
    let topics = match &entry.value.content {
        Content::Map(topics) => topics,
        Content::Null | Content::Refused => return Vec::new(),
        _ => {
            let message = format!("topics is {}, not a map", entry.value.shape());
            let problem = Diagnostic::new("TL0108", entry.place, message);
            problems.push(problem.at("topics").help(FORM));
            return Vec::new();
        }
    };
    if let Some(beyond) = topics.get(TOPICS_MAX) {
        let message = format!("more than {TOPICS_MAX} topics");
        let problem = Diagnostic::new("TL0108", beyond.place, message);
        let help = "split the file into several pipelines";
        problems.push(problem.at("topics").help(help));
    }
    let some = topics.iter().take(TOPICS_MAX);
    some.filter_map(|topic| one(topic, pipeline, problems))
        .collect()
}

fn one(entry: &Entry, pipeline: &str, problems: &mut Vec<Diagnostic>) -> Option<Topic> {
    let path = format!("topics.{}", entry.key);
    let before = problems.len();
    let mut settings = match &entry.value.content {
        Content::Map(keys) => flatten(keys, &[], &path, problems),
        Content::Null => Vec::new(),
        Content::Refused => return None,
        _ => {
            let message = format!("{path} is {}, not a map", entry.value.shape());
            let problem = Diagnostic::new("TL0108", entry.place, message);
            let help = "give it settings, indented: `partitions: 1`, `cleanup.policy: compact`";
            problems.push(problem.at(&path).help(help));
            return None;
        }
    };
    placeholders::refuse(&path, &settings, problems);
    let places = settings.iter().map(|s| (s.key.clone(), s.place)).collect();
    let at = settings.iter().position(|one| one.key == PARTITIONS);
    let counted = at.map(|at| count(&settings.swap_remove(at)));
    let settings = settings.into_iter().map(|one| (one.key, one.text));
    let topic = Topic {
        spec: TopicSpec {
            name: entry.key.clone(),
            pipeline: pipeline.to_owned(),
            partitions: counted.as_ref().and_then(|count| count.clone().ok()),
            config: settings.collect(),
        },
        path,
        place: entry.place,
        places,
    };
    let uncountable = counted.and_then(Result::err);
    let issues = uncountable
        .into_iter()
        .chain(topic_issues(&topic.spec.as_new()));
    // A value that was refused for its form is not judged a second time.
    let known: Vec<String> = problems
        .iter()
        .skip(before)
        .map(|p| p.path.clone())
        .collect();
    let found = issues.map(|issue| topic.objection(issue));
    problems.extend(found.filter(|problem| !known.contains(&problem.path)));
    Some(topic)
}

fn count(setting: &Setting) -> Result<u32, Issue> {
    let remedy = "write a whole number: `partitions: 1` keeps the order of a table's changes";
    let count = setting.text.trim().parse();
    count.map_err(|_| Issue::new(PARTITIONS, "is no number of partitions", remedy))
}
