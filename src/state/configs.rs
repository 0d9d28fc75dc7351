//! `connect-configs`: connectors and their target states, secrets sealed.
//!
//! Keys and values are Kafka Connect's: `connector-NAME` → `{"properties":{…}}`, with `"tapline.author":"operator"`
//! beside it where a file of the command line says so, `target-state-NAME` →
//! `{"state":…,"state.v2":…}`, `commit-NAME` → `{"tasks":N}`. Task configs are not stored: tasks are made from the
//! connector's at every start; their number is, because a paused connector may have none.

use crate::{
    broker::Broker,
    state::{
        Sealer,
        map::{Blob, StateMap},
    },
};
use parking_lot::RwLock;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt, sync::Arc};
use tapline_sdk::Error;

/// The topic.
pub const TOPIC: &str = "connect-configs";

const CONNECTOR: &str = "connector-";
const TARGET_STATE: &str = "target-state-";
const COMMIT: &str = "commit-";

/// Beside `properties`, where Kafka Connect does not look: settings may not say it of themselves.
const AUTHOR: &str = "tapline.author";
const OPERATOR: &str = "operator";

/// What an operator wants a connector to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TargetState {
    /// Running.
    #[default]
    Started,
    /// Tasks exist and wait.
    Paused,
    /// No tasks.
    Stopped,
}

/// A connector as stored.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ConnectorConfig {
    /// Its settings, secrets in clear: never log or show them.
    pub properties: BTreeMap<String, String>,
    /// What it is to be.
    pub target: TargetState,
    /// How many tasks it had when it last ran; none once it is stopped.
    pub tasks: u32,
    /// Whether the operator wrote its settings, rather than a request.
    pub by_operator: bool,
}

/// The stored connectors.
pub struct ConfigStore {
    map: StateMap,
    sealer: Sealer,
    connectors: RwLock<BTreeMap<String, ConnectorConfig>>,
}

impl ConfigStore {
    /// Creates the topic if need be and reads it.
    ///
    /// # Errors
    /// TL0520 if the topic cannot be read, TL0531 if a secret does not open.
    pub async fn open(broker: Arc<dyn Broker>, sealer: Sealer) -> Result<Self, Error> {
        let store = Self {
            map: StateMap::open(broker, TOPIC).await?,
            sealer,
            connectors: RwLock::default(),
        };
        store.reload()?;
        Ok(store)
    }

    /// All connectors by name.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, ConnectorConfig> {
        self.connectors.read().clone()
    }

    /// One connector.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<ConnectorConfig> {
        self.connectors.read().get(name).cloned()
    }

    /// Stores a connector with its target state in one commit, durable on return. Values of `secret` keys are sealed.
    ///
    /// # Errors
    /// TL0521 if the log refuses it.
    pub async fn put(
        &self,
        name: &str,
        config: ConnectorConfig,
        secret: &[&str],
    ) -> Result<(), Error> {
        let mut properties = serde_json::Map::new();
        for (key, value) in config.properties {
            // What only looks sealed is sealed, too, so that it comes back as it was.
            let value = if secret.contains(&key.as_str()) || Sealer::is_sealed(&value) {
                self.sealer.seal(&place(name, &key), &value)?
            } else {
                value
            };
            properties.insert(key, Value::String(value));
        }
        let mut stored = json!({ "properties": properties });
        if config.by_operator {
            stored[AUTHOR] = json!(OPERATOR);
        }
        let entries = [
            (key(CONNECTOR, name), Some(blob(&stored))),
            (key(TARGET_STATE, name), Some(target_value(config.target))),
            (key(COMMIT, name), Some(tasks_value(config.tasks))),
        ];
        self.map.put_all(&entries).await?;
        self.reload()
    }

    /// Stores what a connector is to be, durable on return. A stopped one has no tasks, in the same commit.
    ///
    /// # Errors
    /// TL0521 if the log refuses it.
    pub async fn set_target(&self, name: &str, target: TargetState) -> Result<(), Error> {
        let mut entries = vec![(key(TARGET_STATE, name), Some(target_value(target)))];
        if target == TargetState::Stopped {
            entries.push((key(COMMIT, name), Some(tasks_value(0))));
        }
        self.map.put_all(&entries).await?;
        self.reload()
    }

    /// Stores how many tasks a connector has, durable on return.
    ///
    /// # Errors
    /// TL0521 if the log refuses it.
    pub async fn set_tasks(&self, name: &str, tasks: u32) -> Result<(), Error> {
        self.map.put(key(COMMIT, name), tasks_value(tasks)).await?;
        self.reload()
    }

    /// Forgets a connector, durable on return; its offsets stay, as in Kafka Connect.
    ///
    /// # Errors
    /// TL0521 if the log refuses it.
    pub async fn remove(&self, name: &str) -> Result<(), Error> {
        let entries = [
            (key(CONNECTOR, name), None),
            (key(TARGET_STATE, name), None),
            (key(COMMIT, name), None),
        ];
        self.map.put_all(&entries).await?;
        self.reload()
    }

    /// Parses the map anew: it holds a few connectors, and what the log says is the truth.
    fn reload(&self) -> Result<(), Error> {
        let all = self.map.all();
        let mut connectors = BTreeMap::new();
        for (key, value) in &all {
            let text = std::str::from_utf8(key).map_err(|error| unreadable("a key", error))?;
            let Some(name) = text.strip_prefix(CONNECTOR) else {
                continue;
            };
            let (properties, by_operator) = self.properties(name, value)?;
            let target = all.get(self::key(TARGET_STATE, name).as_ref());
            let target = target.map(|value| parse_target(name, value)).transpose()?;
            let commit = all.get(self::key(COMMIT, name).as_ref());
            let tasks = commit.map(|value| parse_tasks(name, value)).transpose()?;
            let config = ConnectorConfig {
                properties,
                target: target.unwrap_or_default(),
                tasks: tasks.unwrap_or_default(),
                by_operator,
            };
            connectors.insert(name.to_owned(), config);
        }
        *self.connectors.write() = connectors;
        Ok(())
    }

    /// Settings, and whether they are the operator's.
    fn properties(
        &self,
        name: &str,
        value: &[u8],
    ) -> Result<(BTreeMap<String, String>, bool), Error> {
        let value: Value =
            serde_json::from_slice(value).map_err(|error| unreadable(name, error))?;
        let Some(Value::Object(properties)) = value.get("properties") else {
            return Err(unreadable(name, "no properties"));
        };
        let mut opened = BTreeMap::new();
        for (key, value) in properties {
            let text = match value {
                Value::String(text) if Sealer::is_sealed(text) => {
                    self.sealer.unseal(&place(name, key), text)?
                }
                Value::String(text) => text.clone(),
                _ => return Err(unreadable(name, format!("the value of `{key}` is no text"))),
            };
            opened.insert(key.clone(), text);
        }
        let by_operator = value.get(AUTHOR).is_some_and(|author| author == OPERATOR);
        Ok((opened, by_operator))
    }
}

/// What a sealed text is bound to.
fn place(connector: &str, key: &str) -> String {
    format!("{connector}/{key}")
}

fn key(prefix: &str, name: &str) -> Blob {
    format!("{prefix}{name}").into_bytes().into()
}

fn blob(value: &Value) -> Blob {
    value.to_string().into_bytes().into()
}

/// Kafka Connect before 3.5 knows no STOPPED and takes it for PAUSED; newer ones read `state.v2`.
fn target_value(target: TargetState) -> Blob {
    let (state, state_v2) = match target {
        TargetState::Started => ("STARTED", "STARTED"),
        TargetState::Paused => ("PAUSED", "PAUSED"),
        TargetState::Stopped => ("PAUSED", "STOPPED"),
    };
    blob(&json!({ "state": state, "state.v2": state_v2 }))
}

fn tasks_value(tasks: u32) -> Blob {
    blob(&json!({ "tasks": tasks }))
}

fn parse_tasks(name: &str, value: &[u8]) -> Result<u32, Error> {
    let value: Value = serde_json::from_slice(value).map_err(|error| unreadable(name, error))?;
    let tasks = value.get("tasks").and_then(Value::as_u64);
    tasks
        .and_then(|tasks| u32::try_from(tasks).ok())
        .ok_or_else(|| unreadable(name, "a number of tasks that is none"))
}

fn parse_target(name: &str, value: &[u8]) -> Result<TargetState, Error> {
    let value: Value = serde_json::from_slice(value).map_err(|error| unreadable(name, error))?;
    let state = value.get("state.v2").or_else(|| value.get("state"));
    match state.and_then(Value::as_str) {
        Some("STARTED") => Ok(TargetState::Started),
        Some("PAUSED") => Ok(TargetState::Paused),
        Some("STOPPED") => Ok(TargetState::Stopped),
        _ => Err(unreadable(name, "an unknown target state")),
    }
}

fn unreadable(name: &str, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::fatal(format!("cannot read `{name}` in the state topic `{TOPIC}`"))
        .code("TL0520")
        .remedy("restore the data directory, or apply the connector's pipeline again")
        .because(cause)
}

impl fmt::Debug for ConnectorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // I9: values may be secrets, keys are not.
        f.debug_struct("ConnectorConfig")
            .field("keys", &self.properties.keys())
            .field("target", &self.target)
            .field("tasks", &self.tasks)
            .field("by_operator", &self.by_operator)
            .finish_non_exhaustive()
    }
}
