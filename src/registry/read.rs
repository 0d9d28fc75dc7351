//! What the registry answers without changing anything.

use super::{
    Registry,
    avro::Budget,
    catalogue::{Document, Version, Which},
    change::check_subject,
    judge::{self, Candidate},
    level::{Compatibility, Mode},
    record::{AVRO, ConfigValue},
    refusal::Refusal,
};
use std::sync::Arc;

/// A version of a subject with its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The subject.
    pub subject: Arc<str>,
    /// The version's number.
    pub version: i32,
    /// The schema's id.
    pub id: i32,
    /// The schema.
    pub document: Arc<Document>,
}

/// What a candidate is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// What a registration would compare it with.
    Subject,
    /// This version; the newest if none is named.
    Version(Option<i32>),
}

impl Registry {
    /// The schema of this id, with the types of its references written out.
    #[must_use]
    pub fn schema(&self, id: i32) -> Option<Arc<str>> {
        let catalogue = self.catalogue.read();
        let document = catalogue.document(id)?;
        if document.references.is_empty() || *document.kind != *AVRO {
            return Some(Arc::clone(&document.text));
        }
        let schema = judge::parsed(&catalogue, document, &mut Budget::default());
        let text = schema.and_then(|schema| schema.to_standalone_text());
        // Without them the text still says which type is missing.
        Some(text.map_or_else(|_| Arc::clone(&document.text), Into::into))
    }

    /// The schema of this id, as it was registered.
    #[must_use]
    pub fn document(&self, id: i32) -> Option<Arc<Document>> {
        self.catalogue.read().document(id).map(Arc::clone)
    }

    /// The highest id that was ever given out; 0 if none was.
    #[must_use]
    pub fn highest_id(&self) -> i32 {
        self.catalogue.read().highest_id
    }

    /// Where this id is registered: subjects and versions, in order.
    #[must_use]
    pub fn uses(&self, id: i32, which: Which) -> Option<Vec<(Arc<str>, i32)>> {
        self.catalogue.read().uses(id, which)
    }

    /// The subjects that have a version in use, in order.
    #[must_use]
    pub fn subjects(&self) -> Vec<Arc<str>> {
        self.subjects_with(Which::Live)
    }

    /// The subjects with such versions, in order; [`Which::Deleted`]: with no others.
    #[must_use]
    pub fn subjects_with(&self, which: Which) -> Vec<Arc<str>> {
        self.catalogue.read().subjects(which).cloned().collect()
    }

    /// The versions of a subject that are in use, with their ids, oldest first.
    #[must_use]
    pub fn versions(&self, subject: &str) -> Vec<(i32, i32)> {
        let versions = self.registered(subject, Which::Live).into_iter();
        versions.map(|one| (one.version, one.id)).collect()
    }

    /// Such versions of a subject with their schemas, oldest first.
    #[must_use]
    pub fn registered(&self, subject: &str, which: Which) -> Vec<Registered> {
        let catalogue = self.catalogue.read();
        let versions = catalogue.versions(subject, which);
        versions
            .map(|(number, version)| registered(subject, number, version))
            .collect()
    }

    /// One version of a subject; the newest if none is named.
    ///
    /// # Errors
    /// There is no such subject or version.
    pub fn version(
        &self,
        subject: &str,
        number: Option<i32>,
        which: Which,
    ) -> Result<Registered, Refusal> {
        let catalogue = self.catalogue.read();
        let mut versions = catalogue.versions(subject, which);
        let found = match number {
            Some(number) => versions.find(|(at, _)| *at == number),
            None => versions.next_back(),
        };
        if let Some((number, version)) = found {
            return Ok(registered(subject, number, version));
        }
        match catalogue.versions(subject, which).next() {
            Some(_) => Err(Refusal::VersionNotFound(number.unwrap_or(-1))),
            None => Err(Refusal::SubjectNotFound(subject.to_owned())),
        }
    }

    /// The newest version of a subject with this schema.
    ///
    /// # Errors
    /// There is none, or what was handed in is no schema.
    pub fn look_up(
        &self,
        subject: &str,
        candidate: &Candidate,
        normalize: bool,
        which: Which,
    ) -> Result<Registered, Refusal> {
        let catalogue = self.catalogue.read();
        let normalize = normalize || catalogue.normalizes(subject);
        let mut budget = Budget::default();
        let judged = judge::judge(&catalogue, candidate, normalize, &mut budget)?;
        let same = |version: &Version| *version.document == judged.document;
        let mut versions = catalogue.versions(subject, which).rev();
        if let Some((number, version)) = versions.find(|(_, version)| same(version)) {
            return Ok(registered(subject, number, version));
        }
        match catalogue.versions(subject, which).next() {
            Some(_) => Err(Refusal::SchemaNotFound(None)),
            None => Err(Refusal::SubjectNotFound(subject.to_owned())),
        }
    }

    /// Why a schema would not be taken, none if it would.
    ///
    /// # Errors
    /// There is no such version, or what was handed in is no schema.
    pub fn check(
        &self,
        subject: &str,
        candidate: &Candidate,
        normalize: bool,
        against: Against,
    ) -> Result<Vec<String>, Refusal> {
        check_subject(subject)?;
        let catalogue = self.catalogue.read();
        let mut budget = Budget::default();
        let judged = judge::judge(&catalogue, candidate, normalize, &mut budget)?;
        let mut earlier: Vec<_> = catalogue.versions(subject, Which::Live).collect();
        match against {
            Against::Subject => {}
            // A subject without versions takes everything.
            Against::Version(None) => earlier = earlier.pop().into_iter().collect(),
            Against::Version(Some(number)) => {
                earlier.retain(|(at, _)| *at == number);
                if earlier.is_empty() {
                    return Err(Refusal::VersionNotFound(number));
                }
            }
        }
        let level = catalogue.compatibility(Some(subject));
        let clash = judge::clash(&catalogue, level, &judged.schema, &earlier, &mut budget)?;
        Ok(clash.map_or_else(Vec::new, |clash| clash.messages))
    }

    /// The ids of the schemas that refer to this version.
    #[must_use]
    pub fn referenced_by(&self, subject: &str, number: i32, which: Which) -> Vec<i32> {
        let catalogue = self.catalogue.read();
        let users = catalogue.referenced_by(subject, number, which).into_iter();
        users.map(|(_, _, id)| id).collect()
    }

    /// The settings of exactly this subject, or everybody's.
    #[must_use]
    pub fn config(&self, subject: Option<&str>) -> Option<ConfigValue> {
        let catalogue = self.catalogue.read();
        let config = catalogue.config(subject).cloned();
        config.or_else(|| subject.is_none().then(ConfigValue::everybodys_default))
    }

    /// The level that counts for a subject.
    #[must_use]
    pub fn compatibility(&self, subject: Option<&str>) -> Compatibility {
        self.catalogue.read().compatibility(subject)
    }

    /// The mode of exactly this subject, or everybody's.
    #[must_use]
    pub fn own_mode(&self, subject: Option<&str>) -> Option<Mode> {
        let mode = self.catalogue.read().own_mode(subject);
        mode.or_else(|| subject.is_none().then_some(Mode::ReadWrite))
    }

    /// The mode that counts for a subject.
    #[must_use]
    pub fn mode(&self, subject: Option<&str>) -> Mode {
        self.catalogue.read().mode(subject)
    }
}

fn registered(subject: &str, number: i32, version: &Version) -> Registered {
    Registered {
        subject: subject.into(),
        version: number,
        id: version.id,
        document: Arc::clone(&version.document),
    }
}
