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
use tapline_sdk::{Error, TopicPartition};

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
    check_name(&new.name)?;
    if new.partitions == 0 || new.partitions > PARTITIONS_MAX {
        let why = format!(
            "{} partitions asked for, 1 to {PARTITIONS_MAX} are possible",
            new.partitions
        );
        return Err(error::bad_setting(&new.name, &why).remedy("name another number of partitions"));
    }
    rules::check(&new.name, &new.config)
}

fn check_name(name: &str) -> Result<(), Error> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.is_empty() {
        Err(error::bad_name(name, "it is empty"))
    } else if name == "." || name == ".." {
        Err(error::bad_name(name, "it names a folder"))
    } else if name.len() > NAME_MAX {
        let why = format!("{} bytes are more than {NAME_MAX}", name.len());
        Err(error::bad_name(name, &why))
    } else if let Some(bad) = name.chars().find(|c| !u8::try_from(*c).is_ok_and(allowed)) {
        Err(error::bad_name(
            name,
            &format!("`{}` is not allowed", bad.escape_default()),
        ))
    } else {
        Ok(())
    }
}
