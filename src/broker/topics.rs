//! Topics: their names and settings, checked as Kafka checks them, and the partitions behind them.

use super::{Ends, NewTopic, TopicInfo, error, partition::Partition, settings::Settings};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use tapline_sdk::{Error, TopicPartition};

/// As in Kafka: names become folder names.
const NAME_MAX: usize = 249;

/// A name is stored with a length of 16 bits, and so are settings; a setting is never that long.
const SETTING_MAX: usize = 4_096;

/// More partitions than one machine serves; keeps a slip of the keyboard from making a million folders.
const PARTITIONS_MAX: u32 = 10_000;

/// The settings that topics take. Retention and compaction act on some of them when they come; all are kept.
const SETTINGS: [&str; 12] = [
    "cleanup.policy",
    "compression.type",
    "delete.retention.ms",
    "max.compaction.lag.ms",
    "max.message.bytes",
    "message.timestamp.type",
    "min.cleanable.dirty.ratio",
    "min.compaction.lag.ms",
    "retention.bytes",
    "retention.ms",
    "segment.bytes",
    "segment.ms",
];

/// A topic that exists.
pub(super) struct Topic {
    pub id: u128,
    pub name: Arc<str>,
    pub created_ns: i64,
    pub config: BTreeMap<String, String>,
    pub partitions: Vec<Arc<Partition>>,
    /// The largest batch it takes.
    pub batch_bytes_max: usize,
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
    for (key, value) in &new.config {
        check_setting(&new.name, key, value)?;
    }
    Ok(())
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

fn check_setting(topic: &str, key: &str, value: &str) -> Result<(), Error> {
    if !SETTINGS.contains(&key) {
        let near = nearest(key);
        return Err(
            error::bad_setting(topic, &format!("unknown setting `{key}`"))
                .remedy(format!("did you mean `{near}`?")),
        );
    }
    let wrong = |why: &str, remedy: &str| {
        Err(error::bad_setting(topic, &format!("`{key}` is `{value}`, {why}")).remedy(remedy))
    };
    if value.len() > SETTING_MAX {
        return wrong("too long", "shorten it");
    }
    match key {
        "cleanup.policy" => {
            let known = |part: &str| matches!(part.trim(), "compact" | "delete");
            if !value.split(',').all(known) {
                return wrong(
                    "no known policy",
                    "use `compact`, `delete` or `compact,delete`",
                );
            }
        }
        "segment.bytes" | "max.message.bytes" => {
            let fits = |bytes: u64| (1_024..=1 << 30).contains(&bytes);
            if !value.parse().is_ok_and(fits) {
                return wrong(
                    "not a number of 1024 to 1073741824",
                    "give bytes as a plain number",
                );
            }
        }
        _ if (key.ends_with(".ms") || key.ends_with(".bytes")) && value.parse::<i64>().is_err() => {
            return wrong("not a number", "give a plain number; -1 is no limit");
        }
        _ => {}
    }
    Ok(())
}

/// The setting that differs in the fewest letters.
fn nearest(key: &str) -> &'static str {
    SETTINGS
        .into_iter()
        .min_by_key(|known| distance(key, known))
        .unwrap_or("cleanup.policy")
}

fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let above = *cell;
            let cost = (above + 1)
                .min(left + 1)
                .min(diagonal + usize::from(x != y));
            diagonal = above;
            left = cost;
            *cell = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

/// A topic's own segment size, or the log's.
pub(super) fn segment_bytes(config: &BTreeMap<String, String>, settings: &Settings) -> u64 {
    number(config, "segment.bytes").unwrap_or(settings.segment_bytes)
}

/// A topic's own batch limit, or the log's.
pub(super) fn batch_bytes_max(config: &BTreeMap<String, String>, settings: &Settings) -> usize {
    number(config, "max.message.bytes")
        .and_then(|bytes| usize::try_from(bytes).ok())
        .unwrap_or(settings.batch_bytes_max)
}

fn number(config: &BTreeMap<String, String>, key: &str) -> Option<u64> {
    config.get(key)?.parse().ok()
}
