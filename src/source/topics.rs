//! The topics that a source writes: created when first met, remembered as active.
//!
//! Owns their number of partitions and settings at creation, what an empty topic of somebody else does not say, and
//! the list of active topics per connector (`connect-status`, as Kafka Connect keeps it), which sinks follow by
//! `topics.of`.

use crate::{
    broker::{Broker, NewTopic, TopicInfo},
    state::StateMap,
    task::now_ms,
};
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tapline_sdk::{Partition, Result, Rows, Shape};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, watch};

/// The setting that says what becomes of old records.
const POLICY: &str = "cleanup.policy";

/// Seven days: a sink that was away for less still finds every change of a key, not only its last.
const COMPACTION_LAG_MS: &str = "604800000";

/// How long topics without keys keep their records: nothing else would ever shorten them.
const RETENTION_MS: &str = "604800000";

/// A topic as the encoder needs it.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    /// Counts the topics of this run.
    pub(super) number: usize,
    pub(super) topic: Arc<str>,
    pub(super) partitions: u32,
}

/// What the first batch of a topic tells about its keys. Barriers have none and tell nothing.
#[derive(Debug, Clone, Copy, Default)]
struct Keys {
    keyed: bool,
    keyless: bool,
}

/// The topics of one run of a source.
pub(super) struct Topics {
    log: Arc<dyn Broker>,
    active: Arc<Active>,
    connector: Arc<str>,
    partitions: u32,
    known: HashMap<Arc<str>, Slot>,
    /// How many resets of the active topics this run has seen.
    resets: u64,
}

impl Topics {
    pub(super) fn new(
        log: Arc<dyn Broker>,
        active: Arc<Active>,
        connector: Arc<str>,
        partitions: u32,
    ) -> Self {
        Self {
            log,
            resets: active.resets(),
            active,
            connector,
            partitions,
            known: HashMap::new(),
        }
    }

    /// One slot per shape of the batch. Topics met for the first time are created and active on return.
    pub(super) async fn slots(&mut self, rows: &Rows) -> Result<Vec<Slot>> {
        let mut unknown: BTreeMap<&Arc<str>, Keys> = BTreeMap::new();
        for shape in rows.shapes() {
            if !self.known.contains_key(&shape.topic) {
                unknown.entry(&shape.topic).or_default().keyed |= shape.key.is_some();
            }
        }
        if !unknown.is_empty() {
            for record in rows.iter() {
                if record.shape().key.is_none()
                    && record.head().partition != Partition::All
                    && let Some(keys) = unknown.get_mut(&record.shape().topic)
                {
                    keys.keyless = true;
                }
            }
            let new = unknown
                .into_iter()
                .map(|(topic, keys)| self.describe(topic, keys))
                .collect();
            self.meet(new).await?;
        }
        let resets = self.active.resets();
        if resets != self.resets {
            self.resets = resets;
            let names: Vec<_> = rows.shapes().iter().map(|s| Arc::clone(&s.topic)).collect();
            self.active.used(&self.connector, names).await?;
        }
        let slot = |shape: &Shape| self.known.get(&shape.topic).cloned();
        Ok(rows.shapes().iter().filter_map(slot).collect())
    }

    fn describe(&self, topic: &Arc<str>, keys: Keys) -> NewTopic {
        let policy = if keys.keyed || !keys.keyless {
            [
                (POLICY, "compact"),
                ("min.compaction.lag.ms", COMPACTION_LAG_MS),
            ]
        } else {
            [(POLICY, "delete"), ("retention.ms", RETENTION_MS)]
        };
        let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        NewTopic {
            name: Arc::clone(topic),
            partitions: self.partitions,
            config: policy.into_iter().map(own).collect(),
        }
    }

    async fn meet(&mut self, topics: Vec<NewTopic>) -> Result<()> {
        let active = Arc::clone(&self.active);
        let _beginning = active.beginning().await;
        let names: Vec<Arc<str>> = topics.iter().map(|topic| Arc::clone(&topic.name)).collect();
        let mut missing: Vec<NewTopic> = Vec::new();
        for topic in topics {
            match self.log.topic(&topic.name) {
                None => missing.push(topic),
                Some(made) => {
                    let unsaid = unsaid(&made, topic.config);
                    if !unsaid.is_empty() {
                        self.log.alter(&topic.name, unsaid).await?;
                    }
                }
            }
        }
        if !missing.is_empty() {
            self.log.create(missing).await?;
        }
        for name in &names {
            // A topic that somebody made before keeps its own partitions.
            let partitions = self
                .log
                .topic(name)
                .map_or(1, |topic| topic.partitions.len());
            let slot = Slot {
                number: self.known.len(),
                topic: Arc::clone(name),
                partitions: u32::try_from(partitions).unwrap_or(u32::MAX),
            };
            self.known.insert(Arc::clone(name), slot);
        }
        self.active.add(&self.connector, names).await
    }
}

/// What a topic that somebody made before its first record does not say of what becomes of old records. Who only wanted
/// another number of partitions would otherwise lose the rows of a table that nobody changes for a week.
fn unsaid(made: &TopicInfo, ours: BTreeMap<String, String>) -> BTreeMap<String, Option<String>> {
    let empty = made.partitions.iter().all(|ends| ends.log_end == 0);
    let compacted = ours.get(POLICY).is_some_and(|policy| policy == "compact");
    if !empty || !compacted || made.config.contains_key(POLICY) {
        return BTreeMap::new();
    }
    // A largest lag below ours would refuse it.
    let lag_is_said = made
        .config
        .keys()
        .any(|key| key.ends_with(".compaction.lag.ms"));
    let ours = ours.into_iter();
    ours.filter(|(key, _)| key == POLICY || !lag_is_said)
        .map(|(key, value)| (key, Some(value)))
        .collect()
}

/// Where Kafka Connect keeps which topics a connector has used.
const STATUS_TOPIC: &str = "connect-status";

/// Which topics each source writes, kept in `connect-status` in Kafka Connect's form. Cheap to ask.
pub(crate) struct Active {
    stored: Arc<StateMap>,
    topics: Mutex<Known>,
    changed: watch::Sender<u64>,
    resets: AtomicU64,
    /// Shared by those who begin to use a topic, taken alone to delete one.
    uses: RwLock<()>,
}

#[derive(Default)]
struct Known {
    /// What a source has ever written: sinks that follow it read on, also when it is deleted or reset.
    written: BTreeMap<String, BTreeSet<Arc<str>>>,
    /// What a connector has used since its last reset: what REST shows.
    shown: BTreeMap<String, BTreeSet<Arc<str>>>,
}

impl Active {
    pub(crate) async fn open(log: Arc<dyn Broker>) -> Result<Arc<Self>> {
        let stored = Arc::new(StateMap::open(log, STATUS_TOPIC).await?);
        let mut known = Known::default();
        for (key, value) in &stored.all() {
            if let Some((topic, connector)) = parse(key) {
                let topic: Arc<str> = Arc::from(topic);
                if !is_reset(value) {
                    let shown = known.shown.entry(connector.to_owned()).or_default();
                    shown.insert(Arc::clone(&topic));
                }
                let written = known.written.entry(connector.to_owned()).or_default();
                written.insert(topic);
            }
        }
        Ok(Arc::new(Self {
            stored,
            topics: Mutex::new(known),
            changed: watch::Sender::new(0),
            resets: AtomicU64::new(0),
            uses: RwLock::new(()),
        }))
    }

    /// While it is held no topic is deleted: from before somebody looks for a topic until it is known who uses it.
    pub(crate) async fn beginning(&self) -> RwLockReadGuard<'_, ()> {
        self.uses.read().await
    }

    /// While it is held nobody begins to use a topic: from before its users are asked for until it is deleted.
    pub(crate) async fn deleting(&self) -> RwLockWriteGuard<'_, ()> {
        self.uses.write().await
    }

    /// The topic's map, for whoever else writes it.
    pub(crate) fn stored(&self) -> &Arc<StateMap> {
        &self.stored
    }

    /// The topics that a connector has ever used.
    pub(crate) fn of(&self, connector: &str) -> BTreeSet<Arc<str>> {
        let topics = self.topics.lock();
        topics.written.get(connector).cloned().unwrap_or_default()
    }

    /// The topics that a connector has used since its last reset.
    pub(crate) fn shown(&self, connector: &str) -> BTreeSet<Arc<str>> {
        let topics = self.topics.lock();
        topics.shown.get(connector).cloned().unwrap_or_default()
    }

    /// Rises with every reset: whoever still uses a topic says so again.
    pub(crate) fn resets(&self) -> u64 {
        self.resets.load(Ordering::Relaxed)
    }

    /// Shows none of a connector's topics until it uses them again, durable on return. Sinks that follow it keep them.
    pub(crate) async fn reset(&self, connector: &str) -> Result<()> {
        let Some(shown) = self.topics.lock().shown.remove(connector) else {
            return Ok(());
        };
        self.resets.fetch_add(1, Ordering::Relaxed);
        let entries: Vec<_> = shown
            .iter()
            .map(|topic| (key(topic, connector), Some(value(topic, connector, true))))
            .collect();
        self.stored.put_all(&entries).await
    }

    /// Rises whenever a topic appears.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Durable on return: a sink that follows the connector finds the topic after a restart, too.
    async fn add(&self, connector: &str, topics: Vec<Arc<str>>) -> Result<()> {
        self.used(connector, topics).await?;
        // Also for topics that were known and have just been created again.
        self.changed.send_modify(|changes| *changes += 1);
        Ok(())
    }

    /// A connector uses these topics, durable on return.
    pub(crate) async fn used(&self, connector: &str, topics: Vec<Arc<str>>) -> Result<()> {
        let known = self.shown(connector);
        let new: Vec<Arc<str>> = topics
            .into_iter()
            .filter(|topic| !known.contains(topic))
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let entries: Vec<_> = new
            .iter()
            .map(|topic| (key(topic, connector), Some(value(topic, connector, false))))
            .collect();
        self.stored.put_all(&entries).await?;
        let mut topics = self.topics.lock();
        let Known { written, shown } = &mut *topics;
        for map in [written, shown] {
            let known = map.entry(connector.to_owned()).or_default();
            known.extend(new.iter().cloned());
        }
        Ok(())
    }
}

fn key(topic: &str, connector: &str) -> Arc<[u8]> {
    Arc::from(format!("status-topic-{topic}:connector-{connector}").into_bytes())
}

/// Topic names hold no colon, so the first one ends the topic.
fn parse(key: &[u8]) -> Option<(&str, &str)> {
    let rest = std::str::from_utf8(key)
        .ok()?
        .strip_prefix("status-topic-")?;
    rest.split_once(":connector-")
}

/// What says that REST does not show a topic any more.
const RESET: &str = "tapline.reset";

fn is_reset(value: &[u8]) -> bool {
    let value = serde_json::from_slice::<serde_json::Value>(value).unwrap_or_default();
    value.get(RESET).and_then(serde_json::Value::as_bool) == Some(true)
}

fn value(topic: &str, connector: &str, reset: bool) -> Arc<[u8]> {
    let mut value = serde_json::json!({
        "topic": {
            "name": topic,
            "connector": connector,
            "task": 0,
            "discoverTimestamp": now_ms(),
        }
    });
    if let Some(fields) = value.as_object_mut().filter(|_| reset) {
        fields.insert(RESET.to_owned(), true.into());
    }
    Arc::from(value.to_string().into_bytes())
}
