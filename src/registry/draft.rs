//! A change of the registry before it is durable: a catalogue as it would be, and the records that make it so.

use super::{
    catalogue::{Catalogue, Document, Setting, Which},
    level::Mode,
    record::{AVRO, ConfigValue, HighestId, Key, ModeValue, SchemaValue, blob},
    refusal::Refusal,
};
use crate::state::Blob;
use std::{collections::BTreeMap, sync::Arc};
use tapline_sdk::Error;

/// A record to be written; no value deletes the key.
pub(super) type Edit = (Blob, Option<Blob>);

/// What is to become of the catalogue.
pub(super) struct Draft {
    pub(super) catalogue: Catalogue,
    pub(super) edits: Vec<Edit>,
}

impl Draft {
    pub(super) fn of(catalogue: &Catalogue) -> Self {
        Self {
            catalogue: catalogue.clone(),
            edits: Vec::new(),
        }
    }

    /// The catalogue learns of a change as it will at the next start: from the record.
    fn write(&mut self, key: Blob, value: Option<Blob>) -> Result<(), Refusal> {
        let applied = self.catalogue.apply(&key, value.as_ref());
        applied.map_err(|reason| {
            Error::fatal("invariant: a record of ours can be read").because(reason)
        })?;
        self.edits.push((key, value));
        Ok(())
    }

    /// Adds a version. Older deleted ones of the same id go, as in Confluent's registry, unless somebody refers to
    /// them.
    pub(super) fn add(
        &mut self,
        subject: &str,
        number: i32,
        id: i32,
        document: &Document,
    ) -> Result<(), Refusal> {
        self.settle_marker(subject)?;
        let older = self.catalogue.versions(subject, Which::Deleted);
        let older = older.filter(|(at, version)| *at < number && version.id == id);
        let older: Vec<(i32, Blob)> = older
            .map(|(at, version)| (at, Arc::clone(&version.key)))
            .collect();
        let value = SchemaValue {
            subject: subject.to_owned(),
            version: number,
            id,
            kind: (*document.kind != *AVRO).then(|| document.kind.to_string()),
            references: document.references.clone(),
            schema: document.text.to_string(),
            deleted: false,
            rest: serde_json::Map::new(),
        };
        self.write(blob(&Key::schema(subject, number)), Some(blob(&value)))?;
        for (at, key) in older {
            if self
                .catalogue
                .referenced_by(subject, at, Which::All)
                .is_empty()
            {
                self.write(key, None)?;
            }
        }
        Ok(())
    }

    /// Hides versions from new uses.
    pub(super) fn hide(&mut self, subject: &str, numbers: &[i32]) -> Result<(), Refusal> {
        self.settle_marker(subject)?;
        self.hide_by_records(subject, numbers)
    }

    fn hide_by_records(&mut self, subject: &str, numbers: &[i32]) -> Result<(), Refusal> {
        for number in numbers {
            let version = self.catalogue.version(subject, *number, Which::All);
            let Some(version) = version.map(Arc::clone) else {
                continue;
            };
            let mut value = version.stored.clone();
            value.deleted = true;
            self.write(Arc::clone(&version.key), Some(blob(&value)))?;
        }
        Ok(())
    }

    /// Replaces a deletion of the whole subject by deletions of its versions: it would also hide one that comes back.
    fn settle_marker(&mut self, subject: &str) -> Result<(), Refusal> {
        let Some(marker) = self.catalogue.markers.get(subject).cloned() else {
            return Ok(());
        };
        let hidden = self.catalogue.versions(subject, Which::Deleted);
        let hidden: Vec<i32> = hidden.map(|(number, _)| number).collect();
        self.hide_by_records(subject, &hidden)?;
        self.write(marker.key, None)
    }

    /// Deletes versions for good. Their ids stay taken.
    pub(super) fn erase(&mut self, subject: &str, numbers: &[i32]) -> Result<(), Refusal> {
        let highest = HighestId {
            id: self.catalogue.highest_id,
        };
        self.write(blob(&Key::of("NOOP", None)), Some(blob(&highest)))?;
        for number in numbers {
            let version = self.catalogue.version(subject, *number, Which::All);
            let Some(key) = version.map(|version| Arc::clone(&version.key)) else {
                continue;
            };
            self.write(key, None)?;
        }
        if self
            .catalogue
            .versions(subject, Which::All)
            .next()
            .is_none()
        {
            if let Some(marker) = self.catalogue.markers.get(subject).cloned() {
                self.write(marker.key, None)?;
            }
            self.set_config(Some(subject), None)?;
            self.set_mode(Some(subject), None)?;
        }
        Ok(())
    }

    /// Sets or removes the settings of exactly this subject.
    pub(super) fn set_config(
        &mut self,
        subject: Option<&str>,
        value: Option<&ConfigValue>,
    ) -> Result<(), Refusal> {
        let known = key_of(&self.catalogue.configs, subject);
        self.set(known, "CONFIG", subject, value.map(blob))
    }

    /// Sets or removes the mode of exactly this subject.
    pub(super) fn set_mode(
        &mut self,
        subject: Option<&str>,
        mode: Option<Mode>,
    ) -> Result<(), Refusal> {
        let known = key_of(&self.catalogue.modes, subject);
        let value = mode.map(|mode| ModeValue {
            subject: subject.map(str::to_owned),
            mode: mode.as_str().to_owned(),
        });
        self.set(known, "MODE", subject, value.map(|value| blob(&value)))
    }

    /// Under the key that is there already, however it was spelt.
    fn set(
        &mut self,
        known: Option<Blob>,
        keytype: &str,
        subject: Option<&str>,
        value: Option<Blob>,
    ) -> Result<(), Refusal> {
        if known.is_none() && value.is_none() {
            return Ok(());
        }
        let key = known.unwrap_or_else(|| blob(&Key::of(keytype, subject)));
        self.write(key, value)
    }

    /// An id that nothing ever had.
    pub(super) fn new_id(&self) -> Result<i32, Refusal> {
        let next = self.catalogue.highest_id.checked_add(1);
        next.ok_or_else(|| Error::fatal("the schema registry has no ids left").into())
    }

    /// The number after the subject's last version, deleted ones included.
    pub(super) fn next_version(&self, subject: &str) -> Result<i32, Refusal> {
        let last = self.catalogue.versions(subject, Which::All).next_back();
        let next = last.map_or(0, |(number, _)| number).checked_add(1);
        next.ok_or_else(|| Error::fatal("the subject has no version numbers left").into())
    }
}

fn key_of<T>(
    settings: &BTreeMap<Option<Arc<str>>, Setting<T>>,
    subject: Option<&str>,
) -> Option<Blob> {
    let setting = settings.get(&subject.map(Into::into))?;
    Some(Arc::clone(&setting.key))
}
