//! `connect-offsets`: where sources go on, committed together with the records before that point (I1).
//!
//! Keys are Kafka Connect's `["connector",{partition}]`, values `{offset}`; a record without a value forgets.

use crate::{
    broker::{Append, Broker},
    state::map::{Blob, StateMap},
};
use parking_lot::Mutex;
use std::{collections::BTreeMap, collections::HashMap, fmt, sync::Arc};
use tapline_sdk::{Error, Position, Scalar};
use tokio::sync::Mutex as AsyncMutex;

/// The topic.
pub const TOPIC: &str = "connect-offsets";

/// A claim writes what it has not touched for this many commits again, so that the log start can move. At 250
/// commits a second that is every 16 s, and the cost of an entry is some 150 B.
const REWRITE_COMMITS: u64 = 4_096;

/// Below this many records (about 2 MiB) a topic is short enough, and above ten records per live key it is not.
const TRIM_RECORDS_MIN: u64 = 8_192;
const TRIM_RECORDS_PER_KEY: u64 = 10;

/// The stored offsets of all connectors.
pub struct OffsetStore {
    map: StateMap,
    claims: Mutex<Claims>,
    /// Held while a claim is taken, and while offsets are written without one.
    gate: AsyncMutex<()>,
}

#[derive(Default)]
struct Claims {
    taken: u64,
    by_connector: HashMap<Arc<str>, Held>,
}

/// A connector that is not here has nothing in flight.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    /// By the claim of this number.
    Live(u64),
    /// The claim was dropped, its commits may still be undecided (I5): nobody but the next claim, which comes after
    /// the next writer, knows the offsets.
    Unsettled,
}

/// The right of one source task to write its connector's offsets; one at a time per connector.
///
/// Take the broker's writer first, then the claim: only then is everything a predecessor has enqueued decided.
pub struct OffsetClaim {
    store: Arc<OffsetStore>,
    connector: Arc<str>,
    number: u64,
    stored: Vec<(Position, Position)>,
    /// What the log will say once everything appended so far is durable. Writing it again in a later commit of the
    /// same writer is safe: if an earlier commit fails, so does every later one.
    latest: BTreeMap<Blob, Latest>,
    commits: u64,
}

struct Latest {
    value: Blob,
    commit: u64,
}

impl OffsetStore {
    /// Creates the topic if need be and reads it.
    ///
    /// # Errors
    /// TL0520 if the topic cannot be read.
    pub async fn open(broker: Arc<dyn Broker>) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self {
            map: StateMap::open(broker, TOPIC).await?,
            claims: Mutex::default(),
            gate: AsyncMutex::default(),
        }))
    }

    /// Reads the log again and returns this connector's offsets as they are durable.
    ///
    /// # Errors
    /// TL0520 if the log cannot be read.
    pub async fn read(&self, connector: &str) -> Result<Vec<(Position, Position)>, Error> {
        self.map.refresh().await?;
        let entries = self.entries(connector)?;
        Ok(entries
            .into_iter()
            .map(|(_, _, partition, offset)| (partition, offset))
            .collect())
    }

    /// Takes over this connector's offsets, freshly read from the log. An earlier claim is void.
    ///
    /// # Errors
    /// TL0520 if the log cannot be read.
    pub async fn claim(self: &Arc<Self>, connector: &str) -> Result<OffsetClaim, Error> {
        let _gate = self.gate.lock().await;
        self.map.refresh().await?;
        let entries = self.entries(connector)?;
        let connector: Arc<str> = connector.into();
        let number = {
            let mut claims = self.claims.lock();
            claims.taken += 1;
            let number = claims.taken;
            claims
                .by_connector
                .insert(Arc::clone(&connector), Held::Live(number));
            number
        };
        let latest = entries.iter().map(|(key, value, ..)| {
            let (key, value) = (Arc::clone(key), Arc::clone(value));
            (key, Latest { value, commit: 0 })
        });
        Ok(OffsetClaim {
            store: Arc::clone(self),
            connector,
            number,
            latest: latest.collect(),
            stored: entries
                .into_iter()
                .map(|(_, _, partition, offset)| (partition, offset))
                .collect(),
            commits: 0,
        })
    }

    /// Changes offsets from outside (KIP-875), durable on return; `None` forgets a partition. If the connector's
    /// last task was dropped, take its writer anew first, so that what it had enqueued is decided.
    ///
    /// # Errors
    /// TL0522 if a task holds the connector's claim, TL0521 if the log refuses it.
    pub async fn alter(
        &self,
        connector: &str,
        entries: Vec<(Position, Option<Position>)>,
    ) -> Result<(), Error> {
        let _gate = self.gate.lock().await;
        if matches!(
            self.claims.lock().by_connector.get(connector),
            Some(Held::Live(_))
        ) {
            return Err(Error::config(format!(
                "cannot alter the offsets of `{connector}` while it runs"
            ))
            .code("TL0522")
            .remedy("stop the connector first"));
        }
        let entries = entries.iter().map(|(partition, offset)| {
            let offset = offset.as_ref().map(value_of);
            (key_of(connector, partition), offset)
        });
        self.map.put_all(&entries.collect::<Vec<_>>()).await
    }

    /// Keeps the topic short; does nothing while it is. Call it about once a minute.
    ///
    /// # Errors
    /// TL0520 or TL0521; nothing is lost, and the next call tries again.
    pub async fn trim(&self) -> Result<(), Error> {
        let (records, keys) = self.map.size();
        let keys = u64::try_from(keys).unwrap_or(u64::MAX);
        if records <= TRIM_RECORDS_MIN.max(keys.saturating_mul(TRIM_RECORDS_PER_KEY)) {
            return Ok(());
        }
        // I8: only what nobody may have in flight is written here; claims write theirs themselves.
        let _gate = self.gate.lock().await;
        let busy = self
            .claims
            .lock()
            .by_connector
            .keys()
            .cloned()
            .collect::<Vec<_>>();
        let idle = |key: &[u8]| {
            parse_key(key).is_ok_and(|(connector, _)| !busy.iter().any(|busy| **busy == *connector))
        };
        self.map.trim(idle).await
    }

    fn entries(&self, connector: &str) -> Result<Vec<(Blob, Blob, Position, Position)>, Error> {
        let mut found = Vec::new();
        for (key, entry) in self.map.select(|_| true) {
            let (owner, partition) = parse_key(&key).map_err(unreadable)?;
            if owner == connector {
                let offset = parse_object(&entry.value).map_err(unreadable)?;
                found.push((key, entry.value, partition, offset));
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }
}

impl OffsetClaim {
    /// The connector's offsets as they stood in the log when it was claimed.
    #[must_use]
    pub fn stored(&self) -> &[(Position, Position)] {
        &self.stored
    }

    /// The batches that make these offsets durable: put them into the commit of the records they cover (I1), and
    /// enqueue the commits in the order of the calls, with the one writer this claim was taken for. Empty if there is
    /// nothing to store.
    ///
    /// # Errors
    /// The claim is void, because another task has taken over (Fatal), or an offset is too large.
    pub fn append(
        &mut self,
        resume: &[(Position, Option<Position>)],
    ) -> Result<Vec<Append>, Error> {
        // I10: the broker fences the writer; this only says so earlier.
        let held = self
            .store
            .claims
            .lock()
            .by_connector
            .get(&self.connector)
            .copied();
        if held != Some(Held::Live(self.number)) {
            return Err(Error::fatal(format!(
                "another task has taken over the offsets of `{}`",
                self.connector
            )));
        }
        if resume.is_empty() {
            return Ok(Vec::new());
        }
        self.commits += 1;
        let mut entries = Vec::with_capacity(resume.len());
        for (partition, offset) in resume {
            let key = key_of(&self.connector, partition);
            let value = offset.as_ref().map(value_of);
            match &value {
                Some(value) => {
                    let (value, commit) = (Arc::clone(value), self.commits);
                    self.latest
                        .insert(Arc::clone(&key), Latest { value, commit });
                }
                None => drop(self.latest.remove(&key)),
            }
            entries.push((key, value));
        }
        if self.commits.is_multiple_of(REWRITE_COMMITS) {
            for (key, latest) in self
                .latest
                .iter_mut()
                .filter(|(_, latest)| latest.commit < self.commits)
            {
                latest.commit = self.commits;
                entries.push((Arc::clone(key), Some(Arc::clone(&latest.value))));
            }
        }
        self.store.map.appends(&entries)
    }

    /// Gives the claim back when every commit is decided: its offsets may then be moved and altered.
    pub fn release(self) {
        let mut claims = self.store.claims.lock();
        if claims.by_connector.get(&self.connector) == Some(&Held::Live(self.number)) {
            claims.by_connector.remove(&self.connector);
        }
    }
}

impl Drop for OffsetClaim {
    fn drop(&mut self) {
        let mut claims = self.store.claims.lock();
        if let Some(held) = claims.by_connector.get_mut(&self.connector)
            && *held == Held::Live(self.number)
        {
            *held = Held::Unsettled;
        }
    }
}

impl fmt::Debug for OffsetClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OffsetClaim")
            .field("connector", &self.connector)
            .finish_non_exhaustive()
    }
}

fn unreadable(reason: String) -> Error {
    Error::fatal(format!("cannot read the state topic `{TOPIC}`"))
        .code("TL0520")
        .remedy("look at the topic with `tapline consume`, and restore the data directory if it is damaged")
        .because(reason)
}

fn key_of(connector: &str, partition: &Position) -> Blob {
    let key = serde_json::Value::Array(vec![connector.into(), object(partition)]);
    key.to_string().into_bytes().into()
}

fn value_of(offset: &Position) -> Blob {
    object(offset).to_string().into_bytes().into()
}

fn object(position: &Position) -> serde_json::Value {
    let entries = position.iter().map(|(name, value)| {
        let value = match value {
            Scalar::Null => serde_json::Value::Null,
            Scalar::Bool(value) => (*value).into(),
            Scalar::Int(value) => (*value).into(),
            Scalar::Text(text) => (&**text).into(),
        };
        (name.to_string(), value)
    });
    serde_json::Value::Object(entries.collect())
}

fn parse_key(key: &[u8]) -> Result<(String, Position), String> {
    let key =
        serde_json::from_slice(key).map_err(|error| format!("a key that is no JSON: {error}"))?;
    match key {
        serde_json::Value::Array(parts) => match <[serde_json::Value; 2]>::try_from(parts) {
            Ok([serde_json::Value::String(connector), partition]) => {
                Ok((connector, position(partition)?))
            }
            _ => Err("a key that is not [connector, partition]".to_owned()),
        },
        _ => Err("a key that is no list".to_owned()),
    }
}

fn parse_object(value: &[u8]) -> Result<Position, String> {
    position(
        serde_json::from_slice(value)
            .map_err(|error| format!("an offset that is no JSON: {error}"))?,
    )
}

fn position(value: serde_json::Value) -> Result<Position, String> {
    let serde_json::Value::Object(entries) = value else {
        return Err("a partition or offset that is no object".to_owned());
    };
    let entries = entries.into_iter().map(|(name, value)| {
        let value = match value {
            serde_json::Value::Null => Scalar::Null,
            serde_json::Value::Bool(value) => Scalar::Bool(value),
            serde_json::Value::String(text) => Scalar::Text(text.into()),
            serde_json::Value::Number(number) => Scalar::Int(
                number
                    .as_i64()
                    .ok_or_else(|| format!("the number of `{name}` is no 64-bit integer"))?,
            ),
            _ => return Err(format!("the value of `{name}` is neither text nor number")),
        };
        Ok((name.into(), value))
    });
    entries.collect()
}
