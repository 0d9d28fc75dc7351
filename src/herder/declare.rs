//! What files declare against what is stored: which connectors would be created, changed and deleted, and doing it; and
//! the topics that they want to be there.
//!
//! A file owns a connector through the key `tapline.pipeline` in the connector's own settings: ownership is stored in
//! the same commit as what is owned, and is given up when somebody replaces the settings by hand. Nothing is deleted
//! that no file owns, and no topic at all: it holds records. Every connector is either as it was or as it was declared, whenever this is cut off: declaring
//! the same again finishes the rest.

use super::{Refused, apply::complete, secrets, view::likely_kind};
use crate::{
    plugins::keys,
    worker::{ApplyError, ConnectorKind, ConnectorSpec, Refusal, TopicSpec, Worker, check},
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use tapline_sdk::Definition;

mod topics;

pub use topics::TopicChange;
pub(super) use topics::refused;

/// Connectors as stored: name → settings, `name` and `connector.class` among them.
type Stored = BTreeMap<String, BTreeMap<String, String>>;

/// What some files declare.
pub struct Declaration {
    /// The pipelines of the files: only their connectors are touched.
    pub pipelines: BTreeSet<String>,
    /// Topics that are there, with these settings, before a connector starts.
    pub topics: Vec<TopicSpec>,
    /// Every connector of theirs, each with its pipeline under `tapline.pipeline`.
    pub connectors: Vec<ConnectorSpec>,
    /// Delete connectors that these pipelines own and the files no longer hold.
    pub prune: bool,
}

/// What is to be done, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The topics, as declared.
    pub topics: Vec<TopicChange>,
    /// The connectors, as declared, then those that no file holds any more.
    pub connectors: Vec<Change>,
}

/// What becomes of a connector or a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It does not exist yet.
    Create,
    /// Its settings differ.
    Change,
    /// A file owned it and holds it no longer.
    Delete,
    /// As [`Action::Delete`], but nobody asked for deletion: it stays as it is.
    Left,
    /// It is as declared.
    Unchanged,
}

/// One connector's part of a plan. Secrets are masked: it is shown to people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The connector's name.
    pub connector: String,
    /// Its pipeline.
    pub pipeline: String,
    /// Source or sink.
    pub kind: ConnectorKind,
    /// Its class as written.
    pub class: String,
    /// What becomes of it.
    pub action: Action,
    /// The keys that differ; empty but for [`Action::Change`].
    pub keys: Vec<KeyChange>,
    /// For [`Action::Create`]: the connector that it most likely was under another name. Offsets do not move.
    pub renamed_from: Option<String>,
}

/// A key whose value differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyChange {
    /// The key.
    pub key: String,
    /// What is stored; `None` if it is not there.
    pub old: Option<String>,
    /// What is declared; `None` if it is not there.
    pub new: Option<String>,
}

impl Worker {
    /// Compares a declaration with what is stored.
    ///
    /// # Errors
    /// Every key that a connector or topic of the declaration refuses.
    pub fn plan(&self, declared: &Declaration) -> Result<Changes, ApplyError> {
        let mut refusals: Vec<Refusal> = refused(&*self.shared.log, &declared.topics);
        for spec in &declared.connectors {
            let spec = self.by_their_author(spec.clone());
            refusals.extend(check(&self.shared, &spec).err().unwrap_or_default());
        }
        if !refusals.is_empty() {
            return Err(ApplyError::Refused(refusals));
        }
        let stored = self.shared.configs.all().into_iter();
        let stored: Stored = stored.map(|(name, one)| (name, one.properties)).collect();
        Ok(Changes {
            topics: topics::plan(&*self.shared.log, &declared.topics),
            connectors: plan(&stored, declared, &|class| self.shared.definitions(class)),
        })
    }

    /// What a request declares as the operator has it stays the operator's.
    fn by_their_author(&self, spec: ConnectorSpec) -> ConnectorSpec {
        let stored = self.shared.find(&spec.name);
        let stored = stored.and_then(|connector| connector.stored());
        let author = match stored {
            Some(stored) if stored.spec.settings == complete(spec.clone()).settings => {
                stored.spec.author
            }
            _ => spec.author,
        };
        ConnectorSpec { author, ..spec }
    }

    /// Makes it so, and returns what was done. All of it is checked before the first is touched. Topics come first, so
    /// that no source makes one with other settings; then deletions, for a part under a new name must not meet its old
    /// self in the target.
    ///
    /// # Errors
    /// Every refused key, with nothing done; or why the log or a connector could not follow, with the rest undone.
    pub async fn declare(&self, declared: Declaration) -> Result<Changes, ApplyError> {
        let changes = self.plan(&declared)?;
        self.set_up(&declared.topics).await?;
        let connectors = changes.connectors.iter();
        let of = |action: Action| {
            let all = connectors.clone();
            all.filter(move |change| change.action == action)
        };
        // All are told to end before the first is waited for: one that hangs takes its deadline, and several take no more.
        let mut ending = Vec::new();
        for change in of(Action::Delete) {
            match self.removing(&change.connector).await {
                Ok(one) => ending.push(one),
                Err(Refused::Failed(error)) => return Err(error.into()),
                // Somebody else has deleted it.
                Err(_gone) => {}
            }
        }
        for (connector, revision) in ending {
            self.shared.settled(&connector, revision).await?;
        }
        // What is as declared goes on undisturbed.
        let unchanged: BTreeSet<&str> = of(Action::Unchanged)
            .map(|change| change.connector.as_str())
            .collect();
        let mut stored = Vec::new();
        for spec in declared.connectors {
            if !unchanged.contains(spec.name.as_str()) {
                stored.push(self.put(complete(spec)).await?);
            }
        }
        for (connector, revision) in stored {
            self.shared.settled(&connector, revision).await?;
        }
        Ok(changes)
    }
}

/// The keys that a class declares, for masking.
type Definitions<'a> = &'a dyn Fn(&str) -> Vec<Definition>;

fn plan(stored: &Stored, declared: &Declaration, definitions: Definitions<'_>) -> Vec<Change> {
    let wanted: BTreeSet<&str> = declared.connectors.iter().map(|s| &*s.name).collect();
    let mut gone: Vec<Change> = Vec::new();
    for (name, settings) in stored {
        let owner = settings.get(keys::PIPELINE.name());
        let owner = owner.filter(|owner| declared.pipelines.contains(*owner));
        if let Some(owner) = owner.filter(|_| !wanted.contains(name.as_str())) {
            gone.push(vanished(name, owner, settings, declared.prune));
        }
    }
    let mut changes: Vec<Change> = declared
        .connectors
        .iter()
        .map(|spec| compare(spec, stored.get(&spec.name), definitions))
        .collect();
    pair(&mut changes, &gone);
    changes.append(&mut gone);
    changes
}

fn compare(
    spec: &ConnectorSpec,
    stored: Option<&BTreeMap<String, String>>,
    definitions: Definitions<'_>,
) -> Change {
    let mut keys = Vec::new();
    if let Some(stored) = stored {
        let definitions = definitions(&spec.class);
        let mut new = spec.settings.clone();
        new.insert(keys::CLASS.name().to_owned(), spec.class.clone());
        new.insert(keys::NAME.name().to_owned(), spec.name.clone());
        // I9: only masked values leave this function.
        let (old_shown, new_shown) = (
            secrets::masked(&definitions, stored),
            secrets::masked(&definitions, &new),
        );
        let names: BTreeSet<&String> = stored.keys().chain(new.keys()).collect();
        for key in names {
            if stored.get(key) == new.get(key) {
                continue;
            }
            keys.push(KeyChange {
                key: key.clone(),
                old: old_shown.get(key).cloned(),
                new: new_shown.get(key).cloned(),
            });
        }
    }
    let owner = spec.settings.get(keys::PIPELINE.name());
    Change {
        connector: spec.name.clone(),
        pipeline: owner.cloned().unwrap_or_default(),
        kind: spec.kind,
        class: spec.class.clone(),
        action: match stored {
            None => Action::Create,
            Some(_) if keys.is_empty() => Action::Unchanged,
            Some(_) => Action::Change,
        },
        keys,
        renamed_from: None,
    }
}

fn vanished(name: &str, owner: &str, settings: &BTreeMap<String, String>, prune: bool) -> Change {
    Change {
        connector: name.to_owned(),
        pipeline: owner.to_owned(),
        kind: likely_kind(settings),
        class: settings
            .get(keys::CLASS.name())
            .cloned()
            .unwrap_or_default(),
        action: if prune { Action::Delete } else { Action::Left },
        keys: Vec::new(),
        renamed_from: None,
    }
}

/// A part that comes while one of the same pipeline, kind and class goes was most likely renamed.
fn pair(changes: &mut [Change], gone: &[Change]) {
    let mut free: Vec<&Change> = gone.iter().collect();
    for change in changes.iter_mut().filter(|c| c.action == Action::Create) {
        let same = |old: &&Change| {
            (&old.pipeline, old.kind, &old.class) == (&change.pipeline, change.kind, &change.class)
        };
        if let Some(at) = free.iter().position(same) {
            change.renamed_from = Some(free.swap_remove(at).connector.clone());
        }
    }
}

#[cfg(test)]
mod tests;
