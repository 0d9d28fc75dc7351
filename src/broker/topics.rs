//! Topics: their names and settings, checked as Kafka checks them, and the partitions behind them.

use super::{
    Ends, NewTopic, TopicInfo, error,
    partition::Partition,
    rules::{self, Rules},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use tapline_sdk::{Error, Issue, TopicPartition};

/// As in Kafka: names become folder names.
const NAME_MAX: usize = 249;

/// More partitions than one machine serves; keeps a slip of the keyboard from making a million folders.
const PARTITIONS_MAX: u32 = 10_000;

/// A topic that exists.
pub(super) struct Topic {
    pub id: u128,
    pub name: Arc<str>,
    pub created_ns: i64,
    pub config: BTreeMap<String, String>,
    pub partitions: Vec<Arc<Partition>>,
    /// What its settings mean.
    pub rules: Rules,
}

impl Topic {
    pub(super) fn info(&self) -> TopicInfo {
        TopicInfo {
            name: Arc::clone(&self.name),
            id: self.id,
            created_ns: self.created_ns,
            config: self.config.clone(),
            partitions: self
                .partitions
                .iter()
                .map(|partition| partition.ends())
                .collect(),
        }
    }

    pub(super) fn partition(&self, at: &TopicPartition) -> Result<&Arc<Partition>, Error> {
        usize::try_from(at.partition)
            .ok()
            .and_then(|index| self.partitions.get(index))
            .ok_or_else(|| error::unknown_partition(at, self.partitions.len()))
    }
}

impl Partition {
    pub(super) fn ends(&self) -> Ends {
        let state = self.state.read();
        Ends {
            log_start: state.log_start,
            log_end: state.end,
            high_watermark: state.end,
        }
    }
}

/// All topics, by name and by id.
#[derive(Default)]
pub(super) struct Topics {
    by_name: BTreeMap<Arc<str>, Arc<Topic>>,
    by_id: HashMap<u128, Arc<Topic>>,
}

impl Topics {
    pub(super) fn get(&self, name: &str) -> Option<&Arc<Topic>> {
        self.by_name.get(name)
    }

    pub(super) fn by_id(&self, id: u128) -> Option<&Arc<Topic>> {
        self.by_id.get(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.by_name.values()
    }

    pub(super) fn insert(&mut self, topic: Arc<Topic>) {
        self.by_id.insert(topic.id, Arc::clone(&topic));
        self.by_name.insert(Arc::clone(&topic.name), topic);
    }

    pub(super) fn remove(&mut self, id: u128) -> Option<Arc<Topic>> {
        let topic = self.by_id.remove(&id)?;
        self.by_name.remove(&topic.name);
        Some(topic)
    }

    /// The partition of a batch that is to be appended.
    pub(super) fn find(
        &self,
        at: &TopicPartition,
    ) -> Result<(&Arc<Topic>, &Arc<Partition>), Error> {
        let topic = self
            .get(&at.topic)
            .ok_or_else(|| error::unknown_topic(&at.topic))?;
        Ok((topic, topic.partition(at)?))
    }
}

/// Checks what is asked for; nothing is made yet.
pub(super) fn check(new: &NewTopic) -> Result<(), Error> {
    if let Some(why) = wrong_name(&new.name) {
        return Err(error::bad_name(&new.name, &why));
    }
    if let Some(issue) = wrong_count(new.partitions) {
        let why = format!("{} {}", issue.key, issue.problem);
        return Err(error::bad_setting(&new.name, &why).remedy(issue.remedy));
    }
    rules::check(&new.name, &new.config)
}

/// Everything that would be refused of this topic, by key; the key is empty where its name is to blame.
#[must_use]
pub fn topic_problems(new: &NewTopic) -> Vec<Issue> {
    let name = wrong_name(&new.name).map(|why| {
        let error = error::bad_name(&new.name, &why);
        Issue::new("", error.context, error.remedy.unwrap_or_default())
    });
    let mut found: Vec<Issue> = name.into_iter().collect();
    found.extend(wrong_count(new.partitions));
    found.append(&mut rules::problems(&new.config));
    found
}

fn wrong_count(partitions: u32) -> Option<Issue> {
    let problem = format!("is {partitions}, not a number of 1 to {PARTITIONS_MAX}");
    let remedy = "name another number of partitions";
    (!(1..=PARTITIONS_MAX).contains(&partitions)).then(|| Issue::new("partitions", problem, remedy))
}

fn wrong_name(name: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.is_empty() {
        Some("it is empty".to_owned())
    } else if name == "." || name == ".." {
        Some("it names a folder".to_owned())
    } else if name.len() > NAME_MAX {
        Some(format!("{} bytes are more than {NAME_MAX}", name.len()))
    } else {
        let bad = |c: &char| !u8::try_from(*c).is_ok_and(allowed);
        let bad = name.chars().find(bad)?;
        Some(format!("`{}` is not allowed", bad.escape_default()))
    }
}
