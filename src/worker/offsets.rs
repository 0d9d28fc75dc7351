//! Offsets from outside, with KIP-875's forms and rules.

use super::{ConnectorKind, ConnectorSpec, Plan, Worker};
use crate::{
    broker::{Commit, GroupPosition},
    herder::{Connector, Refused, Stored, halt},
    plugins::Plugin,
    sink, source,
    state::TargetState,
};
use std::{collections::BTreeMap, sync::Arc};
use tapline_sdk::{Error, Position, Result, Scalar, SinkContext, TopicPartition};

/// Names of KIP-875's maps for sinks.
const TOPIC: &str = "kafka_topic";
const PARTITION: &str = "kafka_partition";
const OFFSET: &str = "kafka_offset";

/// A source partition or topic partition with the stored offset, as KIP-875 shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetEntry {
    /// `{"server": "shop"}`, or `{"kafka_topic": …, "kafka_partition": …}` for a sink.
    pub partition: Position,
    /// The offset; for a sink `{"kafka_offset": …}`. `None` in a change: forget it.
    pub offset: Option<Position>,
}

impl Worker {
    /// The stored offsets of a connector: of a sink, what its target holds, or else the group's.
    ///
    /// # Errors
    /// There is no such connector, or its target cannot be asked.
    pub async fn offsets(&self, connector: &str) -> Result<Vec<OffsetEntry>> {
        let entry = self.connector(connector)?;
        let Some(stored) = entry.stored() else {
            return Ok(Vec::new());
        };
        if stored.spec.kind == ConnectorKind::Source {
            let stored = self.shared.sources.offsets.read(connector).await?;
            let entry = |(partition, offset)| OffsetEntry {
                partition,
                offset: Some(offset),
            };
            return Ok(stored.into_iter().map(entry).collect());
        }
        let mut positions = self.group_positions(connector);
        positions.extend(self.held(&stored.spec).await?);
        Ok(positions
            .into_iter()
            .map(|(at, next)| OffsetEntry {
                partition: sink_partition(&at),
                offset: Some(Position::from([(OFFSET.into(), scalar(next))])),
            })
            .collect())
    }

    /// Sets or forgets the listed offsets, the target's own first. A connector that runs is stopped around the change
    /// and started again.
    ///
    /// # Errors
    /// There is no such connector, an entry has the wrong form, or the connector refuses it: nothing is changed then.
    pub async fn set_offsets(&self, connector: &str, entries: Vec<OffsetEntry>) -> Result<()> {
        if entries.is_empty() {
            return Err(malformed(
                "Partitions / offsets need to be provided for an alter offsets request",
            ));
        }
        self.open_for_changes()?;
        let entry = self.connector(connector)?;
        self.between(&entry, async |spec| self.alter(spec, entries).await)
            .await
            .map(drop)
    }

    /// As Kafka Connect changes offsets (KIP-875): only of a STOPPED connector whose tasks have ended. `None`: all that
    /// are known are forgotten. True if the connector itself has changed them where it keeps them.
    ///
    /// # Errors
    /// There is no such connector, it is not STOPPED, an entry has the wrong form, or the connector refuses it: nothing
    /// is changed then.
    pub async fn alter_offsets(
        &self,
        connector: &str,
        entries: Option<Vec<OffsetEntry>>,
    ) -> Result<bool, Refused> {
        self.open_for_changes()?;
        let entry = self.shared.find(connector).ok_or(Refused::Unknown)?;
        let is_stopped = |stored: &Stored| stored.target == TargetState::Stopped;
        if !entry.stored().as_ref().is_some_and(is_stopped) {
            return Err(Refused::NotStopped);
        }
        // Its tasks may still be ending.
        let revision = entry.nudge();
        self.shared.settled(&entry, revision).await?;
        let _gate = entry.gate.lock().await;
        let stored = entry.stored().ok_or(Refused::Unknown)?;
        if !is_stopped(&stored) || entry.running().is_some() {
            return Err(Refused::NotStopped);
        }
        let entries = match entries {
            Some(entries) => entries,
            None => self.forgotten(connector).await?,
        };
        Ok(self.alter(&stored.spec, entries).await?)
    }

    /// Every known offset, to be forgotten.
    async fn forgotten(&self, connector: &str) -> Result<Vec<OffsetEntry>> {
        let known = self.offsets(connector).await?;
        let forget = |entry: OffsetEntry| OffsetEntry {
            offset: None,
            ..entry
        };
        Ok(known.into_iter().map(forget).collect())
    }

    /// Ends a connector's tasks, does `work`, and has them started again whatever it came to.
    async fn between<T>(
        &self,
        connector: &Connector,
        work: impl AsyncFnOnce(&ConnectorSpec) -> Result<T>,
    ) -> Result<T> {
        let gate = connector.gate.lock().await;
        halt(connector).await;
        let outcome = match connector.stored() {
            Some(stored) => work(&stored.spec).await,
            None => Err(
                Error::config(format!("connector {} is gone", connector.name))
                    .code("TL0506")
                    .remedy("create it again"),
            ),
        };
        drop(gate);
        let revision = connector.nudge();
        self.shared.settled(connector, revision).await?;
        outcome
    }

    /// Makes a source read these tables again, keeping its place in the stream. Without tables it reads all again and
    /// gives up its place: what the stream brings twice then, the fresh tables already hold, and the source skips it.
    ///
    /// # Errors
    /// There is no such connector, or it has not read such a table.
    pub async fn resnapshot(&self, connector: &str, tables: &[String]) -> Result<()> {
        self.open_for_changes()?;
        let entry = self.connector(connector)?;
        let kind = entry.stored().map(|stored| stored.spec.kind);
        if kind != Some(ConnectorKind::Source) {
            return Err(
                Error::config(format!("{connector} is a sink and reads no tables"))
                    .code("TL0514")
                    .remedy("name the source connector"),
            );
        }
        let stored = self.shared.sources.offsets.read(connector).await?;
        // Everything anew: the place in the stream is given up, too, so that this also mends a slot that is ahead or gone.
        let mut entries: Vec<(Position, Option<Position>)> = Vec::new();
        let mut known: BTreeMap<String, Position> = BTreeMap::new();
        for (partition, _) in stored {
            match table_of(&partition) {
                Some(table) => _ = known.insert(table, partition),
                None if tables.is_empty() => entries.push((partition, None)),
                None => {}
            }
        }
        if let Some(unknown) = tables.iter().find(|table| !known.contains_key(*table)) {
            let known: Vec<&str> = known.keys().map(String::as_str).collect();
            return Err(
                Error::config(format!("{connector} has not read a table {unknown}"))
                    .code("TL0514")
                    .remedy(format!("it has read: {}", known.join(", "))),
            );
        }
        let wanted = known
            .into_iter()
            .filter(|(table, _)| tables.is_empty() || tables.contains(table));
        entries.extend(wanted.map(|(_, partition)| (partition, Some(again()))));
        self.between(&entry, async |_| {
            self.alter_stored(connector, entries).await
        })
        .await
    }

    /// Changes the offsets of a connector whose tasks have ended.
    async fn alter(&self, spec: &ConnectorSpec, entries: Vec<OffsetEntry>) -> Result<bool> {
        let moves = match spec.kind {
            ConnectorKind::Source => Vec::new(),
            ConnectorKind::Sink => entries
                .iter()
                .map(|entry| self.group_move(entry))
                .collect::<Result<Vec<_>>>()?,
        };
        let pairs: Vec<(Position, Option<Position>)> = entries
            .into_iter()
            .map(|entry| (entry.partition, entry.offset))
            .collect();
        let plan = Plan::of(&self.shared, spec)?;
        let resolved = &plan.resolved;
        match &resolved.plugin {
            Plugin::Source(plugin) => {
                let theirs = plugin.alter_offsets(&resolved.config, &pairs).await?;
                self.alter_stored(&spec.name, pairs).await?;
                Ok(theirs)
            }
            // The target first: were the group's position changed alone, the target's would still be the truth (I4).
            Plugin::Sink(plugin) => {
                let config = resolved.identified(&spec.name, &self.shared.log.cluster_id());
                let theirs = match pairs.as_slice() {
                    [] => false,
                    pairs => plugin.alter_offsets(&config, pairs).await?,
                };
                self.move_group(&spec.name, plan.count(), moves).await?;
                Ok(theirs)
            }
        }
    }

    /// Changes a stopped source's offsets.
    async fn alter_stored(
        &self,
        connector: &str,
        pairs: Vec<(Position, Option<Position>)>,
    ) -> Result<()> {
        // I10: what a dropped task has enqueued is decided first, and its claim is void.
        let offsets = &self.shared.sources.offsets;
        let owner = source::owner(connector, 0);
        let _writer = self.shared.log.writer(&owner).await?;
        drop(offsets.claim(connector).await?);
        offsets.alter(connector, pairs).await
    }

    /// A sink's entry as a position of its group, which is without one yet.
    fn group_move(&self, entry: &OffsetEntry) -> Result<GroupPosition> {
        let (at, next) = sink_entry(entry)?;
        let topic = self.shared.log.topic(&at.topic);
        let partitions = topic.as_ref().map_or(0, |topic| topic.partitions.len());
        let exists = usize::try_from(at.partition).is_ok_and(|partition| partition < partitions);
        let topic = topic.filter(|_| exists).ok_or_else(|| {
            Error::config(format!(
                "Failed to alter consumer group offsets: there is no partition {}/{}",
                at.topic, at.partition
            ))
            .code("TL0511")
            .remedy("`tapline topics` lists what exists")
        })?;
        Ok(GroupPosition {
            group: "".into(),
            topic_id: topic.id,
            partition: at.partition,
            next: next.unwrap_or(GroupPosition::UNSET),
        })
    }

    async fn move_group(
        &self,
        connector: &str,
        tasks: u32,
        mut positions: Vec<GroupPosition>,
    ) -> Result<()> {
        let group: Arc<str> = sink::group(connector).into();
        for position in &mut positions {
            position.group = Arc::clone(&group);
        }
        // I10: what dropped tasks have enqueued is decided first. A connector that had more tasks than now has ended
        // them when it was given less.
        for task in 1..tasks {
            let _fenced = self
                .shared
                .log
                .writer(&sink::owner(connector, task))
                .await?;
        }
        let mut writer = self.shared.log.writer(&sink::owner(connector, 0)).await?;
        if positions.is_empty() {
            return Ok(());
        }
        let commit = Commit {
            appends: Vec::new(),
            positions,
        };
        writer.commit(commit).await.map(drop)
    }

    fn group_positions(&self, connector: &str) -> BTreeMap<TopicPartition, u64> {
        let topics = self.shared.log.topics();
        self.shared
            .log
            .positions(&sink::group(connector))
            .into_iter()
            .filter_map(|position| {
                let topic = topics.iter().find(|topic| topic.id == position.topic_id)?;
                let at = TopicPartition {
                    topic: Arc::clone(&topic.name),
                    partition: position.partition,
                };
                Some((at, position.next))
            })
            .collect()
    }

    async fn held(&self, spec: &ConnectorSpec) -> Result<Vec<(TopicPartition, u64)>> {
        let plan = Plan::of(&self.shared, spec)?;
        let Plugin::Sink(plugin) = &plan.resolved.plugin else {
            return Ok(Vec::new());
        };
        let context = SinkContext {
            cluster_id: self.shared.log.cluster_id(),
            connector: spec.name.as_str().into(),
            task: 0,
        };
        plugin.positions(&plan.resolved.config, &context).await
    }
}

/// `schema.table` of a source partition that is a table's.
fn table_of(partition: &Position) -> Option<String> {
    let text = |name: &str| match partition.get(name) {
        Some(Scalar::Text(text)) => Some(text),
        _ => None,
    };
    let table = text("table")?;
    Some(match text("schema") {
        Some(schema) => format!("{schema}.{table}"),
        None => table.to_string(),
    })
}

/// What a source of tables understands as «read this one again».
fn again() -> Position {
    Position::from([
        ("snapshot".into(), Scalar::Text("again".into())),
        ("v".into(), Scalar::Int(1)),
    ])
}

fn sink_partition(at: &TopicPartition) -> Position {
    Position::from([
        (TOPIC.into(), Scalar::Text(Arc::clone(&at.topic))),
        (PARTITION.into(), Scalar::Int(at.partition.into())),
    ])
}

fn scalar(offset: u64) -> Scalar {
    Scalar::Int(i64::try_from(offset).unwrap_or(i64::MAX))
}

/// Reads a sink's entry; the texts are Kafka Connect's.
fn sink_entry(entry: &OffsetEntry) -> Result<(TopicPartition, Option<u64>)> {
    let (Some(topic), Some(partition)) =
        (entry.partition.get(TOPIC), entry.partition.get(PARTITION))
    else {
        return Err(malformed(
            "The partition for a sink connector offset must contain the keys 'kafka_topic' and 'kafka_partition'",
        ));
    };
    let Scalar::Text(topic) = topic else {
        return Err(malformed("Topic names must be texts"));
    };
    let partition = whole(partition)
        .and_then(|partition| u32::try_from(partition).ok())
        .ok_or_else(|| malformed("Partition values for sink connectors need to be integers."))?;
    let offset = match &entry.offset {
        None => None,
        Some(offset) => {
            let offset = offset.get(OFFSET).ok_or_else(|| {
                malformed(
                    "The offset for a sink connector should either be null or contain the key 'kafka_offset'",
                )
            })?;
            Some(whole(offset).ok_or_else(|| {
                malformed("Offset values for sink connectors need to be integers.")
            })?)
        }
    };
    let at = TopicPartition {
        topic: Arc::clone(topic),
        partition,
    };
    Ok((at, offset))
}

/// A number, or a text that is one, as Kafka Connect accepts.
fn whole(scalar: &Scalar) -> Option<u64> {
    match scalar {
        Scalar::Int(number) => u64::try_from(*number).ok(),
        Scalar::Text(text) => text.parse().ok(),
        Scalar::Null | Scalar::Bool(_) => None,
    }
}

fn malformed(problem: &str) -> Error {
    Error::config(problem)
        .code("TL0511")
        .remedy("`tapline offsets show` prints the form")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(pairs: &[(&str, Scalar)], offset: Option<Scalar>) -> OffsetEntry {
        let partition = pairs
            .iter()
            .map(|(key, value)| (Arc::from(*key), value.clone()))
            .collect();
        OffsetEntry {
            partition,
            offset: offset.map(|offset| Position::from([(OFFSET.into(), offset)])),
        }
    }

    #[test]
    fn a_sinks_entry_is_read_as_kafka_connect_reads_it() {
        let topic = (TOPIC, Scalar::Text("t".into()));
        let number = (PARTITION, Scalar::Text("3".into()));
        let (at, offset) = sink_entry(&entry(
            &[topic.clone(), number.clone()],
            Some(Scalar::Int(17)),
        ))
        .expect("valid");
        assert_eq!((&*at.topic, at.partition, offset), ("t", 3, Some(17)));
        let reset = sink_entry(&entry(&[topic.clone(), number.clone()], None)).expect("valid");
        assert_eq!(reset.1, None);
        let wrong = [
            entry(std::slice::from_ref(&topic), None),
            entry(&[topic.clone(), (PARTITION, Scalar::Bool(true))], None),
            entry(&[topic, number], Some(Scalar::Int(-1))),
        ];
        for entry in wrong {
            assert_eq!(
                sink_entry(&entry).expect_err("refused").code,
                Some("TL0511")
            );
        }
    }

    #[test]
    fn a_tables_partition_is_known_by_schema_and_table() {
        let text = |text: &str| Scalar::Text(text.into());
        let partition = Position::from([
            ("server".into(), text("shop")),
            ("schema".into(), text("public")),
            ("table".into(), text("orders")),
        ]);
        assert_eq!(table_of(&partition).as_deref(), Some("public.orders"));
        assert_eq!(
            table_of(&Position::from([("server".into(), text("shop"))])),
            None
        );
    }
}
