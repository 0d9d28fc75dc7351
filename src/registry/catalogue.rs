//! What the registry's topic says, indexed; and the JSON of its records, which is Confluent's.

use crate::state::Blob;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use tapline_sdk::Error;

/// The version of the key's format.
const MAGIC: i32 = 1;

/// Schemas by id, text and subject.
#[derive(Debug, Clone, Default)]
pub(super) struct Catalogue {
    by_id: HashMap<i32, Arc<str>>,
    by_text: HashMap<Arc<str>, i32>,
    subjects: BTreeMap<Arc<str>, Vec<Version>>,
}

#[derive(Debug, Clone)]
struct Version {
    number: i32,
    id: i32,
    /// Hidden from new uses; its id still decodes.
    deleted: bool,
}

/// A version of a subject, as it stands in the topic.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    subject: Arc<str>,
    version: i32,
    id: i32,
    schema: Arc<str>,
}

/// The key of every record; what is not a schema's has other fields beside.
#[derive(Serialize, Deserialize)]
struct Key<'a> {
    keytype: &'a str,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<i32>,
    magic: i32,
}

/// The value of a schema's record.
#[derive(Serialize, Deserialize)]
struct Stored {
    subject: String,
    version: i32,
    id: i32,
    schema: String,
    #[serde(default)]
    deleted: bool,
}

impl Catalogue {
    /// Indexes the topic's last records.
    ///
    /// # Errors
    /// A record that no registry wrote.
    pub(super) fn build(entries: &BTreeMap<Blob, Blob>) -> Result<Self, String> {
        let mut catalogue = Self::default();
        for (key, value) in entries {
            let key: Key<'_> =
                serde_json::from_slice(key).map_err(|error| format!("a key: {error}"))?;
            match key.keytype {
                "SCHEMA" => {
                    let stored: Stored = serde_json::from_slice(value)
                        .map_err(|error| format!("a schema: {error}"))?;
                    catalogue.index(stored)?;
                }
                // Settings of a registry that held the topic before. Our subjects have compatibility NONE.
                "CONFIG" | "MODE" | "NOOP" | "DELETE_SUBJECT" | "CLEAR_SUBJECT" | "CONTEXT" => {}
                other => return Err(format!("a record of type {other}")),
            }
        }
        for versions in catalogue.subjects.values_mut() {
            versions.sort_by_key(|version| version.number);
        }
        Ok(catalogue)
    }

    fn index(&mut self, stored: Stored) -> Result<(), String> {
        let Stored {
            subject,
            version,
            id,
            schema,
            deleted,
        } = stored;
        let schema: Arc<str> = schema.into();
        let known = self.by_id.entry(id).or_insert_with(|| Arc::clone(&schema));
        if *known != schema {
            return Err(format!("two schemas with the id {id}"));
        }
        self.by_text.entry(schema).or_insert(id);
        let versions = self.subjects.entry(subject.into()).or_default();
        versions.push(Version {
            number: version,
            id,
            deleted,
        });
        Ok(())
    }

    /// The ids of all of them, if each is registered under its subject.
    pub(super) fn find_all(&self, schemas: &[(Arc<str>, Arc<str>)]) -> Option<Vec<i32>> {
        schemas
            .iter()
            .map(|(subject, text)| self.find(subject, text))
            .collect()
    }

    fn find(&self, subject: &str, text: &str) -> Option<i32> {
        let id = *self.by_text.get(text)?;
        let versions = self.subjects.get(subject)?;
        versions
            .iter()
            .any(|version| version.id == id && !version.deleted)
            .then_some(id)
    }

    /// Adds what is missing and returns it, to be stored.
    ///
    /// # Errors
    /// There are no ids left.
    pub(super) fn add_all(
        &mut self,
        schemas: &[(Arc<str>, Arc<str>)],
    ) -> Result<Vec<Entry>, Error> {
        let mut fresh = Vec::new();
        for (subject, schema) in schemas {
            if self.find(subject, schema).is_some() {
                continue;
            }
            let id = match self.by_text.get(schema) {
                Some(id) => *id,
                None => self.next_id()?,
            };
            self.by_id.insert(id, Arc::clone(schema));
            self.by_text.insert(Arc::clone(schema), id);
            let versions = self.subjects.entry(Arc::clone(subject)).or_default();
            let version = versions
                .iter()
                .map(|version| version.number)
                .max()
                .unwrap_or(0)
                + 1;
            versions.push(Version {
                number: version,
                id,
                deleted: false,
            });
            let (subject, schema) = (Arc::clone(subject), Arc::clone(schema));
            fresh.push(Entry {
                subject,
                version,
                id,
                schema,
            });
        }
        Ok(fresh)
    }

    fn next_id(&self) -> Result<i32, Error> {
        let last = self.by_id.keys().copied().max().unwrap_or(0);
        last.checked_add(1)
            .ok_or_else(|| Error::fatal("the schema registry has no ids left"))
    }

    pub(super) fn schema(&self, id: i32) -> Option<Arc<str>> {
        self.by_id.get(&id).cloned()
    }

    pub(super) fn subjects(&self) -> Vec<Arc<str>> {
        let alive = |versions: &[Version]| versions.iter().any(|version| !version.deleted);
        self.subjects
            .iter()
            .filter(|(_, versions)| alive(versions))
            .map(|(subject, _)| Arc::clone(subject))
            .collect()
    }

    pub(super) fn versions(&self, subject: &str) -> Vec<(i32, i32)> {
        let versions = self
            .subjects
            .get(subject)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let alive = versions.iter().filter(|version| !version.deleted);
        alive.map(|version| (version.number, version.id)).collect()
    }
}

impl Entry {
    /// `{"keytype":"SCHEMA","subject":…,"version":…,"magic":1}`
    pub(super) fn key(&self) -> Blob {
        blob(&Key {
            keytype: "SCHEMA",
            subject: Some(self.subject.to_string()),
            version: Some(self.version),
            magic: MAGIC,
        })
    }

    /// `{"subject":…,"version":…,"id":…,"schema":…,"deleted":false}`
    pub(super) fn value(&self) -> Blob {
        blob(&Stored {
            subject: self.subject.to_string(),
            version: self.version,
            id: self.id,
            schema: self.schema.to_string(),
            deleted: false,
        })
    }
}

fn blob(value: &impl Serialize) -> Blob {
    serde_json::to_vec(value)
        .expect("invariant: numbers and texts are JSON")
        .into()
}
