//! The schema registry: schemas with ids and subjects, rebuilt from the compacted topic `_schemas`, and the rules by
//! which a subject's schemas may change.
//!
//! Owns the numbering of schemas, its durability, and what «compatible» means; HTTP is [`crate::rest`]'s. Keys and values
//! of the topic are those of Confluent's registry, so that it can take the topic over. A change is planned on a draft of
//! the catalogue, made durable as one commit, and only then seen by anybody.
//!
//! | Code | Meaning |
//! |---|---|
//! | TL0610 | `_schemas` holds what is no registry's |
//! | TL0611 | a source's new schema breaks the compatibility that somebody set for its subject |
//! | TL0612 | a source's new schema meets a subject that takes none, by its mode |

mod avro;
mod catalogue;
mod change;
mod draft;
mod judge;
mod level;
mod own;
mod read;
mod record;
mod refusal;
#[cfg(test)]
mod tests;

pub use catalogue::{Document, Which};
pub use change::ConfigChange;
pub use judge::{Candidate, SCHEMA_BYTES_MAX};
pub use level::{Compatibility, Mode};
pub use read::{Against, Registered};
pub use record::{ConfigValue, Reference};
pub use refusal::Refusal;

use crate::{broker::Broker, state::StateMap};
use catalogue::Catalogue;
use draft::Draft;
use parking_lot::RwLock;
use std::{fmt, sync::Arc};
use tapline_sdk::Error;
use tokio::sync::Mutex;

/// The topic that holds the registry.
pub const TOPIC: &str = "_schemas";

/// What a subject demands while nobody has set anything, as in Confluent's registry. Subjects of our own sources have
/// NONE set.
pub const COMPATIBILITY_DEFAULT: Compatibility = Compatibility::Backward;

/// Schemas by id and subject.
pub struct Registry {
    map: StateMap,
    catalogue: RwLock<Catalogue>,
    /// Held while something changes, so that no two schemas get one id.
    gate: Mutex<Gate>,
}

/// Whether the catalogue is what the log says.
#[derive(Debug, Default)]
struct Gate {
    /// A commit was begun and its end is not known: what it wrote is in the log or nowhere (I5).
    stale: bool,
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

    /// The id of this schema of a source of ours under this subject, durable on return. The same text has the same id
    /// everywhere.
    ///
    /// # Errors
    /// As [`Self::register_all`].
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
    /// repeated. TL0611 and TL0612 if a subject does not take its schema: then none is registered.
    pub async fn register_all(
        &self,
        schemas: Vec<(Arc<str>, Arc<str>)>,
    ) -> Result<Vec<i32>, Error> {
        if let Some(ids) = own::find_all(&self.catalogue.read(), &schemas) {
            return Ok(ids);
        }
        self.change(|draft| {
            own::add_all(draft, &schemas)?;
            own::find_all(&draft.catalogue, &schemas)
                .ok_or_else(|| Error::fatal("invariant: a schema that was added is found"))
        })
        .await
    }

    /// Registers a schema; its id, durable on return.
    ///
    /// # Errors
    /// It is no schema, is incompatible with earlier ones, or the subject takes none.
    pub async fn register_candidate(
        &self,
        subject: &str,
        candidate: &Candidate,
        normalize: bool,
    ) -> Result<i32, Refusal> {
        self.change(|draft| change::register(draft, subject, candidate, normalize))
            .await
    }

    /// Deletes a version, the newest if none is named, first so that new uses do not see it, then for good. Its id
    /// never comes back.
    ///
    /// # Errors
    /// There is none, it is in the wrong state, somebody refers to it, or the subject is read-only.
    pub async fn delete_version(
        &self,
        subject: &str,
        version: Option<i32>,
        permanent: bool,
    ) -> Result<i32, Refusal> {
        self.change(|draft| change::delete_version(draft, subject, version, permanent))
            .await
    }

    /// Deletes all versions of a subject; which ones those were.
    ///
    /// # Errors
    /// As [`Self::delete_version`].
    pub async fn delete_subject(
        &self,
        subject: &str,
        permanent: bool,
    ) -> Result<Vec<i32>, Refusal> {
        self.change(|draft| change::delete_subject(draft, subject, permanent))
            .await
    }

    /// Changes the settings of a subject, or everybody's; what they are then.
    ///
    /// # Errors
    /// The subject is read-only, or no subject may have the name.
    pub async fn set_config(
        &self,
        subject: Option<&str>,
        change: &ConfigChange,
    ) -> Result<ConfigValue, Refusal> {
        self.change(|draft| change::set_config(draft, subject, change))
            .await
    }

    /// Removes the settings of a subject, or everybody's; what they were.
    ///
    /// # Errors
    /// There are none, or the subject is read-only.
    pub async fn delete_config(&self, subject: Option<&str>) -> Result<ConfigValue, Refusal> {
        self.change(|draft| change::delete_config(draft, subject))
            .await
    }

    /// Sets the mode of a subject, or everybody's. IMPORT wants no versions in use, unless `force`.
    ///
    /// # Errors
    /// Versions are in the way, or the mode is not for a subject.
    pub async fn set_mode(
        &self,
        subject: Option<&str>,
        mode: Mode,
        force: bool,
    ) -> Result<(), Refusal> {
        self.change(|draft| change::set_mode(draft, subject, mode, force))
            .await
    }

    /// Removes the mode of a subject, or everybody's; what it was.
    ///
    /// # Errors
    /// There is none.
    pub async fn delete_mode(&self, subject: Option<&str>) -> Result<Mode, Refusal> {
        self.change(|draft| change::delete_mode(draft, subject))
            .await
    }

    /// Plans a change, makes it durable, and lets it be seen. A plan without a record writes nothing.
    async fn change<T, E: From<Error>>(
        &self,
        plan: impl FnOnce(&mut Draft) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut gate = self.gate.lock().await;
        if gate.stale {
            self.map.refresh().await?;
            *self.catalogue.write() = Catalogue::build(&self.map.all()).map_err(foreign)?;
            gate.stale = false;
        }
        let mut draft = Draft::of(&self.catalogue.read());
        let answer = plan(&mut draft)?;
        if !draft.edits.is_empty() {
            // Until the answer is known, also if nobody waits for it any more.
            gate.stale = true;
            self.map.put_all(&draft.edits).await?;
            *self.catalogue.write() = draft.catalogue;
            gate.stale = false;
        }
        Ok(answer)
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
