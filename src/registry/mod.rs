//! The store of the schema registry: ids and subjects, rebuilt from the compacted topic `_schemas`.
//!
//! Owns the numbering of schemas and its durability; it never judges what a schema means. Keys and values are those
//! of Confluent's registry, so that it can take the topic over. Subjects of our own sources have compatibility NONE:
//! a NOT NULL column must not stop change data capture.
//!
//! | Code | Meaning |
//! |---|---|
//! | TL0610 | `_schemas` holds what is no registry's |

mod catalogue;
#[cfg(test)]
mod tests;

use crate::{broker::Broker, state::StateMap};
use catalogue::Catalogue;
use parking_lot::RwLock;
use std::{fmt, sync::Arc};
use tapline_sdk::Error;
use tokio::sync::Mutex;

/// The topic that holds the registry.
pub const TOPIC: &str = "_schemas";

/// Schemas by id and subject.
pub struct Registry {
    map: StateMap,
    catalogue: RwLock<Catalogue>,
    /// Held while ids are given out, so that no two schemas get one.
    gate: Mutex<()>,
}

impl Registry {
    /// Creates the topic if need be and reads it.
    ///
    /// # Errors
    /// TL0520 if the topic cannot be read, TL0610 if it holds what is no registry's.
    pub async fn open(broker: Arc<dyn Broker>) -> Result<Arc<Self>, Error> {
        let map = StateMap::open(broker, TOPIC).await?;
        let catalogue = Catalogue::build(&map.all()).map_err(foreign)?;
        Ok(Arc::new(Self {
            map,
            catalogue: RwLock::new(catalogue),
            gate: Mutex::default(),
        }))
    }

    /// The id of this schema under this subject, durable on return. The same text has the same id everywhere.
    ///
    /// # Errors
    /// TL0521 if the log refuses it.
    pub async fn register(&self, subject: &str, schema: &str) -> Result<i32, Error> {
        let ids = self
            .register_all(vec![(subject.into(), schema.into())])
            .await?;
        ids.into_iter()
            .next()
            .ok_or_else(|| Error::fatal("invariant: one schema has one id"))
    }

    /// Many at once, in one commit of their own, durable on return; ids in the same order. What is registered already
    /// costs nothing.
    ///
    /// # Errors
    /// TL0521 if the log refuses it; then the log alone knows whether they are registered, and the call can be
    /// repeated.
    pub async fn register_all(
        &self,
        schemas: Vec<(Arc<str>, Arc<str>)>,
    ) -> Result<Vec<i32>, Error> {
        if let Some(ids) = self.catalogue.read().find_all(&schemas) {
            return Ok(ids);
        }
        let _gate = self.gate.lock().await;
        // Ids that a failed commit may have given out are in the log or nowhere.
        self.map.refresh().await?;
        let mut next = Catalogue::build(&self.map.all()).map_err(foreign)?;
        let fresh = next.add_all(&schemas)?;
        let entries = fresh
            .iter()
            .map(|entry| (entry.key(), Some(entry.value())))
            .collect::<Vec<_>>();
        self.map.put_all(&entries).await?;
        let ids = next.find_all(&schemas);
        *self.catalogue.write() = next;
        ids.ok_or_else(|| Error::fatal("invariant: a schema that was added is found"))
    }

    /// The schema of this id.
    #[must_use]
    pub fn schema(&self, id: i32) -> Option<Arc<str>> {
        self.catalogue.read().schema(id)
    }

    /// The subjects that have a version, in order.
    #[must_use]
    pub fn subjects(&self) -> Vec<Arc<str>> {
        self.catalogue.read().subjects()
    }

    /// The versions of a subject with their ids, oldest first.
    #[must_use]
    pub fn versions(&self, subject: &str) -> Vec<(i32, i32)> {
        self.catalogue.read().versions(subject)
    }
}

fn foreign(reason: String) -> Error {
    Error::fatal(format!("cannot read the schema registry in `{TOPIC}`"))
        .code("TL0610")
        .remedy("restore the data directory: records cannot be decoded without their schemas")
        .because(reason)
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}
