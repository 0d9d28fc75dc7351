//! Which partitions a sink task reads, and where it begins.

use super::group;
use crate::{
    broker::{Broker, TopicInfo},
    plugins::{DynSink, keys},
    policy::{Failure, Phase},
    source::Active,
};
use regex::Regex;
use std::sync::Arc;
use tapline_sdk::{Assignment, Config, Error, Result, SinkContext, TopicPartition};

/// How a sink's settings choose topics.
pub(crate) enum Selection {
    /// `topics`.
    Listed(Vec<String>),
    /// `topics.regex`: matches the whole name.
    Matching(Regex),
    /// `topics.of`: whatever these sources write.
    Of(Vec<String>),
}

/// A partition with where to begin.
#[derive(Debug, Clone)]
pub(super) struct Assigned {
    pub(super) at: TopicPartition,
    pub(super) topic_id: u128,
    /// Versions of this topic's records begin here (I6).
    pub(super) version_base: i64,
    pub(super) log_start: u64,
    pub(super) high_watermark: u64,
    /// Whether records below the log's start may be missed: compaction keeps each key's last one.
    pub(super) compacted: bool,
    /// How many partitions the topic has.
    pub(super) partitions: u32,
    /// The next offset to apply; the log's start until the target has been asked.
    pub(super) next: u64,
}

impl Selection {
    pub(crate) fn of(framework: &Config) -> Result<Self> {
        let list = |key| framework.find(key).map(Option::unwrap_or_default);
        let (listed, of) = (list(&keys::TOPICS_LIST)?, list(&keys::TOPICS_OF)?);
        match framework.find(&keys::TOPICS_REGEX)? {
            Some(regex) => Regex::new(&format!(r"\A(?:{regex})\z"))
                .map(Self::Matching)
                .map_err(|error| Error::config("topics.regex is not valid").because(error)),
            None if !listed.is_empty() => Ok(Self::Listed(listed)),
            None => Ok(Self::Of(of)),
        }
    }

    /// Whether a topic of this name is one of those.
    pub(crate) fn names(&self, topic: &str, active: &Active) -> bool {
        match self {
            Self::Listed(names) => names.iter().any(|name| name == topic),
            Self::Matching(regex) => regex.is_match(topic) && !is_internal(topic),
            Self::Of(connectors) => connectors
                .iter()
                .any(|connector| active.of(connector).iter().any(|name| &**name == topic)),
        }
    }

    /// The partitions of this task, in a stable order. Whole topics go to one task: a barrier concerns all
    /// partitions of its topic at once.
    pub(super) fn assigned(
        &self,
        log: &dyn Broker,
        active: &Active,
        task: u32,
        tasks: u32,
    ) -> Vec<Assigned> {
        let mut topics: Vec<TopicInfo> = match self {
            Self::Listed(names) => names.iter().filter_map(|name| log.topic(name)).collect(),
            Self::Matching(regex) => {
                let mut topics = log.topics();
                topics.retain(|topic| regex.is_match(&topic.name) && !is_internal(&topic.name));
                topics
            }
            Self::Of(connectors) => connectors
                .iter()
                .flat_map(|connector| active.of(connector))
                .filter_map(|name| log.topic(&name))
                .collect(),
        };
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        topics.dedup_by(|a, b| a.name == b.name);
        (0..tasks.max(1))
            .cycle()
            .zip(&topics)
            .filter(|(owner, _)| *owner == task)
            .flat_map(|(_, topic)| partitions(topic))
            .collect()
    }
}

/// The topics that hold our own state: an expression never means them.
pub(crate) fn is_internal(topic: &str) -> bool {
    matches!(
        topic,
        "connect-configs"
            | "connect-offsets"
            | "connect-status"
            | "_schemas"
            | "__consumer_offsets"
    )
}

fn partitions(topic: &TopicInfo) -> impl Iterator<Item = Assigned> {
    let compacted = topic
        .config
        .get("cleanup.policy")
        .is_some_and(|policy| policy.contains("compact"));
    let count = u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX);
    (0..count)
        .zip(&topic.partitions)
        .map(move |(partition, ends)| Assigned {
            at: TopicPartition {
                topic: Arc::clone(&topic.name),
                partition,
            },
            topic_id: topic.id,
            version_base: topic.created_ns,
            log_start: ends.log_start,
            high_watermark: ends.high_watermark,
            compacted,
            partitions: count,
            next: ends.log_start,
        })
}

/// Whether two assignments are of the same partitions of the same topics.
pub(super) fn same(a: &[Assigned], b: &[Assigned]) -> bool {
    let identity = |one: &Assigned| (one.at.clone(), one.topic_id);
    a.len() == b.len() && a.iter().map(identity).eq(b.iter().map(identity))
}

/// Takes the partitions over and finds where to begin: the target's position is the truth (I4), then the group's, then
/// the log's start.
pub(super) async fn open(
    log: &dyn Broker,
    sink: &mut dyn DynSink,
    context: &SinkContext,
    topics: &[Assigned],
) -> Result<Vec<Assigned>, Failure> {
    let positions = log.positions(&group(&context.connector));
    let stored: Vec<Option<u64>> = topics
        .iter()
        .map(|one| {
            positions
                .iter()
                .find(|p| p.topic_id == one.topic_id && p.partition == one.at.partition)
                .map(|p| p.next)
        })
        .collect();
    let assignments: Vec<Assignment> = topics.iter().map(assignment).collect();
    let held = sink
        .open(context, &assignments, &stored)
        .await
        .map_err(|error| Failure::new(Phase::Connect, error))?;
    let mut opened = topics.to_vec();
    for (at, one) in opened.iter_mut().enumerate() {
        let held = held.get(at).copied().flatten();
        let stored = stored.get(at).copied().flatten();
        one.next =
            begin(one, held.or(stored)).map_err(|error| Failure::new(Phase::Connect, error))?;
    }
    Ok(opened)
}

fn assignment(one: &Assigned) -> Assignment {
    Assignment {
        at: one.at.clone(),
        topic_id: one.topic_id,
        log_start: one.log_start,
        high_watermark: one.high_watermark,
    }
}

/// The offset to begin at. Nothing is reset by itself: the first start is the only implicit «earliest».
fn begin(one: &Assigned, position: Option<u64>) -> Result<u64> {
    let (topic, partition) = (&one.at.topic, one.at.partition);
    let (start, end) = (one.log_start, one.high_watermark);
    match position {
        Some(next) if (start..=end).contains(&next) => Ok(next),
        // Compaction keeps every key's last record, so nothing of what the target lacks is gone.
        Some(next) if next < start && one.compacted => Ok(start),
        Some(next) => Err(Error::config(format!(
            "the position {next} of {topic}/{partition} is outside the log, which holds {start} to {end}"
        ))
        .code("TL0507")
        .remedy(
            "the target was fed by another log, or records it needs are gone: empty the target and set the offset to \
             null with `tapline offsets set`, or set it inside the range to accept the gap",
        )),
        None if start > 0 && !one.compacted => Err(Error::config(format!(
            "a new sink would begin at offset {start} of {topic}/{partition}: earlier records are gone"
        ))
        .code("TL0508")
        .remedy(format!(
            "`tapline offsets set` with kafka_offset {start} accepts that, or fill the topic again"
        ))),
        None => Ok(start),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(log_start: u64, compacted: bool) -> Assigned {
        Assigned {
            at: TopicPartition {
                topic: "orders".into(),
                partition: 0,
            },
            topic_id: 1,
            version_base: 0,
            log_start,
            high_watermark: 100,
            compacted,
            partitions: 1,
            next: 0,
        }
    }

    #[test]
    fn a_sink_begins_at_its_position_and_only_a_first_start_at_the_beginning() {
        assert_eq!(begin(&assigned(0, false), None).expect("earliest"), 0);
        assert_eq!(begin(&assigned(0, false), Some(100)).expect("the end"), 100);
        assert_eq!(begin(&assigned(10, true), None).expect("compacted"), 10);
        let codes = [
            begin(&assigned(0, false), Some(101)),
            begin(&assigned(10, false), Some(9)),
            begin(&assigned(10, false), None),
        ]
        .map(|outcome| outcome.expect_err("refused").code);
        assert_eq!(codes, [Some("TL0507"), Some("TL0507"), Some("TL0508")]);
    }
}
