//! Schemas of our own sources: many in one commit, as the converters wrote them.
//!
//! Their subjects have compatibility NONE, because a NOT NULL column must not stop change data capture. The first
//! registration says so in a record of its own, which everybody sees and may change. Once somebody has, a source whose
//! new schema breaks the promise fails.

use super::{
    avro::{self, Budget},
    catalogue::{Catalogue, Document, Which},
    draft::Draft,
    judge::{self, Clash},
    level::{Compatibility, Mode},
    record::{AVRO, ConfigValue},
    refusal::Refusal,
};
use std::sync::Arc;
use tapline_sdk::Error;

/// A subject with the text of a schema.
pub(super) type Own = (Arc<str>, Arc<str>);

/// The ids of all of them, if each is registered under its subject.
pub(super) fn find_all(catalogue: &Catalogue, schemas: &[Own]) -> Option<Vec<i32>> {
    let find = |(subject, text): &Own| {
        let id = catalogue.id(&document(text))?;
        catalogue.use_of(id, subject).map(|_| id)
    };
    schemas.iter().map(find).collect()
}

/// Adds what is missing.
pub(super) fn add_all(draft: &mut Draft, schemas: &[Own]) -> Result<(), Error> {
    for (subject, text) in schemas {
        if find_all(&draft.catalogue, &[(Arc::clone(subject), Arc::clone(text))]).is_none() {
            add(draft, subject, text).map_err(|refusal| failure(subject, refusal))?;
        }
    }
    Ok(())
}

fn add(draft: &mut Draft, subject: &str, text: &Arc<str>) -> Result<(), Refusal> {
    let document = document(text);
    let mode = draft.catalogue.mode(Some(subject));
    if mode != Mode::ReadWrite {
        return Err(Refusal::NotPermitted(mode.as_str().to_owned()));
    }
    match draft.catalogue.own_compatibility(Some(subject)) {
        Some(level) => check(&draft.catalogue, subject, level, text)?,
        None => {
            let mut value = draft.catalogue.config(Some(subject)).cloned();
            let value = value.get_or_insert_with(ConfigValue::default);
            value.subject = Some(subject.to_owned());
            value.compatibility = Some(Compatibility::None.as_str().to_owned());
            draft.set_config(Some(subject), Some(value))?;
        }
    }
    let known = draft.catalogue.id(&document);
    let id = known.map_or_else(|| draft.new_id(), Ok)?;
    let version = draft.next_version(subject)?;
    draft.add(subject, version, id, &document)
}

fn check(
    catalogue: &Catalogue,
    subject: &str,
    level: Compatibility,
    text: &str,
) -> Result<(), Refusal> {
    if level == Compatibility::None {
        return Ok(());
    }
    let mut budget = Budget::default();
    let schema = avro::parse_new(text, &[], &mut budget).map_err(Refusal::InvalidSchema)?;
    let earlier: Vec<_> = catalogue.versions(subject, Which::Live).collect();
    match judge::clash(catalogue, level, &schema, &earlier, &mut budget)? {
        Some(Clash {
            version, sentence, ..
        }) => {
            let reason = format!("version {version}, compatibility {level}: {sentence}");
            Err(Refusal::Incompatible(subject.to_owned(), vec![reason]))
        }
        None => Ok(()),
    }
}

fn failure(subject: &str, refusal: Refusal) -> Error {
    let context = format!("cannot register the new schema of subject `{subject}`");
    match refusal {
        Refusal::Store(error) => error,
        Refusal::Incompatible(_, reasons) => Error::config(context)
            .code("TL0611")
            .remedy(format!(
                "undo the change of the source's table, or let the subject evolve: PUT /config/{subject} with \
                 {{\"compatibility\":\"NONE\"}} at the registry's address; then restart the connector"
            ))
            .because(format!("it is incompatible with {}", reasons.join(", "))),
        Refusal::NotPermitted(mode) => Error::config(context)
            .code("TL0612")
            .remedy(format!(
                "set the mode back: PUT /mode/{subject} with {{\"mode\":\"READWRITE\"}}, or PUT /mode if the mode is \
                 everybody's, at the registry's address; then restart the connector"
            ))
            .because(format!("its mode is {mode}")),
        other => Error::config(context)
            .code("TL0611")
            .remedy(format!(
                "let the subject evolve: PUT /config/{subject} with {{\"compatibility\":\"NONE\"}} at the registry's \
                 address; then restart the connector"
            ))
            .because(other.to_string()),
    }
}

fn document(text: &Arc<str>) -> Document {
    Document {
        text: Arc::clone(text),
        kind: AVRO.into(),
        references: Vec::new(),
    }
}
