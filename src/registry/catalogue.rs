//! What the registry's topic says, indexed: built from its records alone, one at a time, in any order of keys.

use super::{
    level::{Compatibility, Mode},
    record::{
        AVRO, ConfigValue, DeleteSubjectValue, HighestId, Key, ModeValue, Reference, SchemaValue,
    },
};
use crate::state::Blob;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// What has an id: a text with what it refers to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Document {
    /// The schema's text.
    pub text: Arc<str>,
    /// `AVRO`, or what a registry that wrote the topic before knew beside it.
    pub kind: Arc<str>,
    /// Schemas whose types the text uses.
    pub references: Vec<Reference>,
}

/// A schema under a subject.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) id: i32,
    pub(super) document: Arc<Document>,
    /// Hidden from new uses by its own record; its id still decodes.
    deleted: bool,
    /// The record's key, as somebody wrote it: only the same bytes replace it.
    pub(super) key: Blob,
    pub(super) stored: SchemaValue,
}

/// What has an id, and where it is registered.
#[derive(Debug, Clone)]
struct Known {
    document: Arc<Document>,
    uses: BTreeSet<(Arc<str>, i32)>,
}

/// A setting with the bytes of its key.
#[derive(Debug, Clone)]
pub(super) struct Setting<T> {
    pub(super) key: Blob,
    pub(super) value: T,
}

type Settings<T> = BTreeMap<Option<Arc<str>>, Setting<T>>;

/// Which versions are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those in use.
    Live,
    /// Those that were deleted, but not for good.
    Deleted,
    /// Both.
    All,
}

/// Schemas by id, text and subject, with the settings of subjects.
#[derive(Debug, Clone, Default)]
pub(super) struct Catalogue {
    by_id: HashMap<i32, Known>,
    by_document: HashMap<Arc<Document>, i32>,
    subjects: BTreeMap<Arc<str>, BTreeMap<i32, Arc<Version>>>,
    pub(super) configs: Settings<ConfigValue>,
    pub(super) modes: Settings<Mode>,
    /// Subjects that another registry deleted by a record of their own: versions up to this one are deleted.
    pub(super) markers: BTreeMap<Arc<str>, Setting<i32>>,
    /// The highest id that was ever given out.
    pub(super) highest_id: i32,
}

impl Catalogue {
    /// Indexes the topic's last records.
    ///
    /// # Errors
    /// A record that no registry wrote.
    pub(super) fn build(entries: &BTreeMap<Blob, Blob>) -> Result<Self, String> {
        let mut catalogue = Self::default();
        for (key, value) in entries {
            catalogue.apply(key, Some(value))?;
        }
        Ok(catalogue)
    }

    /// Takes one record in.
    ///
    /// # Errors
    /// No registry wrote it.
    pub(super) fn apply(&mut self, key: &Blob, value: Option<&Blob>) -> Result<(), String> {
        let parsed: Key = parse(key, "a key")?;
        // Some registries delete by the text `null`.
        let value = value.filter(|value| ***value != *b"null");
        let subject: Option<Arc<str>> = parsed.subject.map(Into::into);
        match parsed.keytype.as_str() {
            "SCHEMA" => {
                let (Some(subject), Some(number)) = (subject, parsed.version) else {
                    return Err("a schema's key without a subject and a version".to_owned());
                };
                self.forget(&subject, number);
                if let Some(value) = value {
                    self.index(subject, number, key, parse(value, "a schema")?)?;
                }
            }
            "CONFIG" => {
                let value = value.map(|value| parse(value, "settings")).transpose()?;
                set(&mut self.configs, subject, key, value);
            }
            "MODE" => {
                let value: Option<ModeValue> = value.map(|v| parse(v, "a mode")).transpose()?;
                // A mode that we do not know promises nothing that we could keep.
                let mode = value.map(|value| Mode::parse(&value.mode).unwrap_or(Mode::ReadOnly));
                set(&mut self.modes, subject, key, mode);
            }
            "DELETE_SUBJECT" => {
                let value: Option<DeleteSubjectValue> =
                    value.map(|v| parse(v, "a deletion")).transpose()?;
                let value = value.map(|value| value.version);
                let subject = subject.ok_or("a deletion without a subject")?;
                set(&mut self.markers, subject, key, value);
            }
            "NOOP" => {
                // Theirs has no value.
                let highest: Option<HighestId> =
                    value.and_then(|value| serde_json::from_slice(value).ok());
                let id = highest.map_or(0, |highest| highest.id);
                self.highest_id = self.highest_id.max(id);
            }
            // A cleared subject's schemas have lost their records; contexts and associations are not supported.
            "CLEAR_SUBJECT" | "CONTEXT" | "ASSOC" => {}
            other => return Err(format!("a record of type {other}")),
        }
        Ok(())
    }

    fn index(
        &mut self,
        subject: Arc<str>,
        number: i32,
        key: &Blob,
        stored: SchemaValue,
    ) -> Result<(), String> {
        let document = Arc::new(Document {
            text: stored.schema.as_str().into(),
            kind: stored.kind.as_deref().unwrap_or(AVRO).into(),
            references: stored.references.clone(),
        });
        let id = stored.id;
        let known = self.by_id.entry(id).or_insert_with(|| Known {
            document: Arc::clone(&document),
            uses: BTreeSet::new(),
        });
        if known.document != document {
            return Err(format!("two schemas with the id {id}"));
        }
        known.uses.insert((Arc::clone(&subject), number));
        let document = Arc::clone(&known.document);
        self.highest_id = self.highest_id.max(id);
        self.by_document.entry(Arc::clone(&document)).or_insert(id);
        let version = Version {
            id,
            document,
            deleted: stored.deleted,
            key: Arc::clone(key),
            stored,
        };
        let versions = self.subjects.entry(subject).or_default();
        versions.insert(number, Arc::new(version));
        Ok(())
    }

    fn forget(&mut self, subject: &Arc<str>, number: i32) {
        let Some(versions) = self.subjects.get_mut(subject) else {
            return;
        };
        let Some(version) = versions.remove(&number) else {
            return;
        };
        if versions.is_empty() {
            self.subjects.remove(subject);
        }
        let Some(known) = self.by_id.get_mut(&version.id) else {
            return;
        };
        known.uses.remove(&(Arc::clone(subject), number));
        if known.uses.is_empty() {
            self.by_id.remove(&version.id);
            if self.by_document.get(&version.document) == Some(&version.id) {
                self.by_document.remove(&version.document);
            }
        }
    }

    /// Whether a version is hidden, by its own record or by its subject's deletion.
    pub(super) fn is_deleted(&self, subject: &str, number: i32, version: &Version) -> bool {
        let marker = self.markers.get(subject).map(|marker| marker.value);
        version.deleted || marker.is_some_and(|last| number <= last)
    }

    fn meant(&self, which: Which, subject: &str, number: i32, version: &Version) -> bool {
        match which {
            Which::All => true,
            Which::Live => !self.is_deleted(subject, number, version),
            Which::Deleted => self.is_deleted(subject, number, version),
        }
    }

    /// The versions of a subject, oldest first.
    pub(super) fn versions<'c>(
        &'c self,
        subject: &'c str,
        which: Which,
    ) -> impl DoubleEndedIterator<Item = (i32, &'c Arc<Version>)> {
        let versions = self.subjects.get(subject).into_iter().flatten();
        versions
            .map(|(number, version)| (*number, version))
            .filter(move |(number, version)| self.meant(which, subject, *number, version))
    }

    /// A version of a subject.
    pub(super) fn version(
        &self,
        subject: &str,
        number: i32,
        which: Which,
    ) -> Option<&Arc<Version>> {
        let version = self.subjects.get(subject)?.get(&number)?;
        self.meant(which, subject, number, version)
            .then_some(version)
    }

    /// The subjects that have such a version, in order. Deleted ones have no other.
    pub(super) fn subjects(&self, which: Which) -> impl Iterator<Item = &Arc<str>> {
        self.subjects.keys().filter(move |subject| {
            let live = self.versions(subject, Which::Live).next().is_some();
            match which {
                Which::All => true,
                Which::Live => live,
                Which::Deleted => !live,
            }
        })
    }

    /// The id of a schema that has one.
    pub(super) fn id(&self, document: &Document) -> Option<i32> {
        self.by_document.get(document).copied()
    }

    /// The live version of a subject with this id, the newest if there are several.
    pub(super) fn use_of(&self, id: i32, subject: &str) -> Option<i32> {
        let mut live = self.versions(subject, Which::Live).rev();
        live.find(|(_, version)| version.id == id)
            .map(|(number, _)| number)
    }

    /// What has this id.
    pub(super) fn document(&self, id: i32) -> Option<&Arc<Document>> {
        self.by_id.get(&id).map(|known| &known.document)
    }

    /// Where an id is registered, in order.
    pub(super) fn uses(&self, id: i32, which: Which) -> Option<Vec<(Arc<str>, i32)>> {
        let known = self.by_id.get(&id)?;
        let meant =
            |(subject, number): &&(Arc<str>, i32)| self.version(subject, *number, which).is_some();
        Some(known.uses.iter().filter(meant).cloned().collect())
    }

    /// The versions that refer to this one: subject, version and id.
    pub(super) fn referenced_by(
        &self,
        subject: &str,
        number: i32,
        which: Which,
    ) -> Vec<(Arc<str>, i32, i32)> {
        let refers = |version: &Version| {
            let references = &version.document.references;
            references
                .iter()
                .any(|to| to.subject == subject && to.version == number)
        };
        let mut found = Vec::new();
        for at in self.subjects.keys() {
            let users = self
                .versions(at, which)
                .filter(|(_, version)| refers(version));
            found.extend(users.map(|(number, version)| (Arc::clone(at), number, version.id)));
        }
        found
    }

    /// What counts for a subject: its own level, or everybody's, or the default.
    pub(super) fn compatibility(&self, subject: Option<&str>) -> Compatibility {
        self.own_compatibility(subject)
            .or_else(|| self.own_compatibility(None))
            .unwrap_or(super::COMPATIBILITY_DEFAULT)
    }

    /// The level that is set for exactly this subject.
    pub(super) fn own_compatibility(&self, subject: Option<&str>) -> Option<Compatibility> {
        let config = self.config(subject)?;
        Compatibility::parse(config.compatibility.as_deref()?)
    }

    /// The settings of exactly this subject.
    pub(super) fn config(&self, subject: Option<&str>) -> Option<&ConfigValue> {
        self.configs
            .get(&subject.map(Into::into))
            .map(|setting| &setting.value)
    }

    /// Whether texts are normalized before they are stored.
    pub(super) fn normalizes(&self, subject: &str) -> bool {
        let own = self
            .config(Some(subject))
            .and_then(|config| config.normalize);
        let all = || self.config(None).and_then(|config| config.normalize);
        own.or_else(all).unwrap_or(false)
    }

    /// The mode that is set for exactly this subject.
    pub(super) fn own_mode(&self, subject: Option<&str>) -> Option<Mode> {
        self.modes
            .get(&subject.map(Into::into))
            .map(|setting| setting.value)
    }

    /// The mode that counts for a subject.
    pub(super) fn mode(&self, subject: Option<&str>) -> Mode {
        let global = self.own_mode(None);
        if global == Some(Mode::ReadOnlyOverride) {
            return Mode::ReadOnlyOverride;
        }
        self.own_mode(subject).or(global).unwrap_or(Mode::ReadWrite)
    }
}

fn parse<'v, T: serde::Deserialize<'v>>(bytes: &'v [u8], what: &str) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("{what}: {error}"))
}

fn set<K: Ord, T>(settings: &mut BTreeMap<K, Setting<T>>, at: K, key: &Blob, value: Option<T>) {
    match value {
        Some(value) => {
            let key = Arc::clone(key);
            settings.insert(at, Setting { key, value });
        }
        // A tombstone of another spelling of the key is none of the record that counts.
        None if settings.get(&at).is_some_and(|known| known.key == *key) => {
            settings.remove(&at);
        }
        None => {}
    }
}
