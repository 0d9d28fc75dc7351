//! `connect-offsets`: where sources go on, committed together with the records before that point (I1).
//!
//! Keys are Kafka Connect's `["connector",{partition}]`, values `{offset}`; a record without a value forgets.

use crate::{
    broker::{Append, Broker},
    state::map::{Blob, StateMap},
};
use parking_lot::Mutex;
use std::{collections::HashMap, fmt, sync::Arc};
use tapline_sdk::{Error, Position, Scalar};
use tokio::sync::Mutex as AsyncMutex;

/// The topic.
pub const TOPIC: &str = "connect-offsets";

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
    /// The number of the claim that holds a connector's offsets.
    by_connector: HashMap<Arc<str>, u64>,
}

/// The right of one source task to write its connector's offsets; one at a time per connector.
///
/// Take the broker's writer first, then the claim: only then is everything a predecessor has enqueued decided.
pub struct OffsetClaim {
    store: Arc<OffsetStore>,
    connector: Arc<str>,
    number: u64,
    stored: Vec<(Position, Position)>,
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
        self.entries(connector)
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
            claims.by_connector.insert(Arc::clone(&connector), number);
            number
        };
        Ok(OffsetClaim {
            store: Arc::clone(self),
            connector,
            number,
            stored: entries,
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
        if self.claims.lock().by_connector.contains_key(connector) {
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

    fn entries(&self, connector: &str) -> Result<Vec<(Position, Position)>, Error> {
        let mut found = Vec::new();
        // In the order of the keys.
        for (key, value) in self.map.all() {
            let (owner, partition) = parse_key(&key).map_err(unreadable)?;
            if owner == connector {
                found.push((partition, parse_object(&value).map_err(unreadable)?));
            }
        }
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
        if held != Some(self.number) {
            return Err(Error::fatal(format!(
                "another task has taken over the offsets of `{}`",
                self.connector
            )));
        }
        if resume.is_empty() {
            return Ok(Vec::new());
        }
        let entries = resume.iter().map(|(partition, offset)| {
            let offset = offset.as_ref().map(value_of);
            (key_of(&self.connector, partition), offset)
        });
        let entries: Vec<_> = entries.collect();
        self.store.map.appends(&entries)
    }
}

impl Drop for OffsetClaim {
    /// Gives the offsets back. Its commits may still be undecided (I5): they are once the connector's next writer is
    /// taken, which comes before the next claim and before a change from outside.
    fn drop(&mut self) {
        let mut claims = self.store.claims.lock();
        if claims.by_connector.get(&self.connector) == Some(&self.number) {
            claims.by_connector.remove(&self.connector);
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
