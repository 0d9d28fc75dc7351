//! What the API changes: registration, deletion, settings and modes, each planned on a draft and then made durable as
//! one commit.

use super::{
    avro::Budget,
    catalogue::{Catalogue, Which},
    draft::Draft,
    judge::{self, Candidate, Judged},
    level::{Compatibility, Mode},
    record::ConfigValue,
    refusal::Refusal,
};
use crate::avro::AvroSchema;
use std::sync::Arc;

/// The longest subject: a topic's name with a suffix, or a record's full name.
const SUBJECT_BYTES_MAX: usize = 1_024;

/// What is set of a subject's settings; what is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigChange {
    /// Which readers must get along with which writers.
    pub compatibility: Option<Compatibility>,
    /// Whether texts are normalized before they are stored.
    pub normalize: Option<bool>,
}

/// # Errors
/// No subject may have this name.
pub(super) fn check_subject(subject: &str) -> Result<(), Refusal> {
    let reason = if subject.trim().is_empty() {
        "it is empty"
    } else if subject.len() > SUBJECT_BYTES_MAX {
        "it is longer than 1024 bytes"
    } else if subject.chars().any(char::is_control) {
        "it has control characters"
    } else if subject.starts_with(":.") {
        "contexts are not supported, so it may not begin with `:.`"
    } else if ["__GLOBAL", "__EMPTY"].contains(&subject) {
        "the name is reserved"
    } else {
        return Ok(());
    };
    Err(Refusal::InvalidSubject(reason.to_owned()))
}

/// Registers a schema; the id, which it may have had before.
pub(super) fn register(
    draft: &mut Draft,
    subject: &str,
    candidate: &Candidate,
    normalize: bool,
) -> Result<i32, Refusal> {
    check_subject(subject)?;
    check_mode(&draft.catalogue, subject, candidate.id.is_some())?;
    let mut budget = Budget::default();
    let normalize = normalize || draft.catalogue.normalizes(subject);
    let Judged { schema, document } =
        judge::judge(&draft.catalogue, candidate, normalize, &mut budget)?;
    let known = draft.catalogue.id(&document);
    if let Some(id) = known.filter(|id| candidate.id.is_none_or(|asked| asked == *id))
        && candidate.version.is_none()
        && draft.catalogue.use_of(id, subject).is_some()
    {
        return Ok(id);
    }
    let importing = draft.catalogue.mode(Some(subject)) == Mode::Import;
    if !importing {
        check_compatible(&draft.catalogue, subject, &schema, &mut budget)?;
    }
    let next = draft.next_version(subject)?;
    let version = match candidate.version {
        Some(version) if importing || version == next => version,
        Some(_) => {
            let reason = format!("the next version of subject '{subject}' is {next}");
            return Err(Refusal::InvalidSchema(reason));
        }
        None => next,
    };
    let id = match candidate.id {
        Some(id) => imported_id(&draft.catalogue, id, subject, version, &document)?,
        None => known.map_or_else(|| draft.new_id(), Ok)?,
    };
    draft.add(subject, version, id, &document)?;
    Ok(id)
}

/// An id of another registry, if it means the same here or nothing yet.
fn imported_id(
    catalogue: &Catalogue,
    id: i32,
    subject: &str,
    version: i32,
    document: &super::Document,
) -> Result<i32, Refusal> {
    let other = catalogue.document(id).filter(|known| ***known != *document);
    let taken = catalogue.version(subject, version, Which::All);
    if other.is_some() || id < 1 {
        let reason = format!("the id {id} belongs to another schema, or is none (give another id)");
        return Err(Refusal::NotPermitted(reason));
    }
    if taken.is_some_and(|taken| taken.id != id) {
        let reason = format!(
            "version {version} of subject '{subject}' is another schema (give another version)"
        );
        return Err(Refusal::NotPermitted(reason));
    }
    Ok(id)
}

fn check_mode(catalogue: &Catalogue, subject: &str, with_id: bool) -> Result<(), Refusal> {
    let problem = match (catalogue.mode(Some(subject)), with_id) {
        (Mode::ReadWrite, false) | (Mode::Import, true) => return Ok(()),
        (Mode::ReadOnly | Mode::ReadOnlyOverride, _) => "is in read-only mode",
        (Mode::ReadWrite, true) => "is not in import mode, so a schema may not bring an id",
        (Mode::Import, false) => "is in import mode, so a schema must bring its id",
    };
    Err(Refusal::NotPermitted(format!(
        "Subject {subject} {problem} (PUT /mode/{subject} sets another mode)"
    )))
}

fn check_writable(catalogue: &Catalogue, subject: Option<&str>) -> Result<(), Refusal> {
    match catalogue.mode(subject).is_read_only() {
        true => {
            let name = subject.unwrap_or("of all kinds");
            let reason = format!(
                "Subject {name} is in read-only mode (PUT /mode sets another, of one subject or of all)"
            );
            Err(Refusal::NotPermitted(reason))
        }
        false => Ok(()),
    }
}

fn check_compatible(
    catalogue: &Catalogue,
    subject: &str,
    schema: &AvroSchema,
    budget: &mut Budget,
) -> Result<(), Refusal> {
    let level = catalogue.compatibility(Some(subject));
    let earlier: Vec<_> = catalogue.versions(subject, Which::Live).collect();
    match judge::clash(catalogue, level, schema, &earlier, budget)? {
        Some(clash) => Err(Refusal::Incompatible(subject.to_owned(), clash.messages)),
        None => Ok(()),
    }
}

/// Deletes a version; `number` of `None` is the newest. Returns its number.
pub(super) fn delete_version(
    draft: &mut Draft,
    subject: &str,
    number: Option<i32>,
    permanent: bool,
) -> Result<i32, Refusal> {
    let catalogue = &draft.catalogue;
    if catalogue.versions(subject, Which::All).next().is_none() {
        return Err(Refusal::SubjectNotFound(subject.to_owned()));
    }
    let newest = || {
        let which = if permanent { Which::All } else { Which::Live };
        let newest = catalogue.versions(subject, which).next_back();
        newest.map(|(number, _)| number)
    };
    let number = number.or_else(newest).ok_or(Refusal::VersionNotFound(-1))?;
    if catalogue.version(subject, number, Which::All).is_none() {
        return Err(Refusal::VersionNotFound(number));
    }
    let live = catalogue.version(subject, number, Which::Live).is_some();
    match (permanent, live) {
        (false, false) => return Err(Refusal::VersionDeleted(subject.to_owned(), number)),
        (true, true) => return Err(Refusal::VersionNotDeleted(subject.to_owned(), number)),
        _ => {}
    }
    check_writable(catalogue, Some(subject))?;
    check_unreferenced(catalogue, subject, number, permanent, None)?;
    match permanent {
        true => draft.erase(subject, &[number])?,
        false => draft.hide(subject, &[number])?,
    }
    Ok(number)
}

/// Deletes all versions of a subject; their numbers.
pub(super) fn delete_subject(
    draft: &mut Draft,
    subject: &str,
    permanent: bool,
) -> Result<Vec<i32>, Refusal> {
    let catalogue = &draft.catalogue;
    let numbers = |which| -> Vec<i32> {
        let versions = catalogue.versions(subject, which);
        versions.map(|(number, _)| number).collect()
    };
    let (all, live) = (numbers(Which::All), numbers(Which::Live));
    check_writable(catalogue, Some(subject))?;
    let gone = match (all.is_empty(), permanent, live.is_empty()) {
        (true, ..) => return Err(Refusal::SubjectNotFound(subject.to_owned())),
        (_, false, true) => return Err(Refusal::SubjectDeleted(subject.to_owned())),
        (_, true, false) => return Err(Refusal::SubjectNotDeleted(subject.to_owned())),
        (_, false, false) => live,
        (_, true, true) => all,
    };
    for number in &gone {
        check_unreferenced(catalogue, subject, *number, permanent, Some(subject))?;
    }
    match permanent {
        true => draft.erase(subject, &gone)?,
        false => draft.hide(subject, &gone)?,
    }
    Ok(gone)
}

/// `but`: references from there do not count, because they go as well.
fn check_unreferenced(
    catalogue: &Catalogue,
    subject: &str,
    number: i32,
    permanent: bool,
    but: Option<&str>,
) -> Result<(), Refusal> {
    let which = if permanent { Which::All } else { Which::Live };
    let users = catalogue.referenced_by(subject, number, which);
    match users.iter().find(|(user, ..)| Some(&**user) != but) {
        Some((user, at, _)) => Err(Refusal::Referenced(
            subject.to_owned(),
            number,
            format!("version {at} of subject '{user}'"),
        )),
        None => Ok(()),
    }
}

/// Changes the settings of exactly this subject; what they are then.
pub(super) fn set_config(
    draft: &mut Draft,
    subject: Option<&str>,
    change: &ConfigChange,
) -> Result<ConfigValue, Refusal> {
    subject.map_or(Ok(()), check_subject)?;
    check_writable(&draft.catalogue, subject)?;
    let mut value = draft.catalogue.config(subject).cloned().unwrap_or_default();
    value.subject = subject.map(str::to_owned);
    if let Some(level) = change.compatibility {
        value.compatibility = Some(level.as_str().to_owned());
    }
    value.normalize = change.normalize.or(value.normalize);
    draft.set_config(subject, Some(&value))?;
    Ok(value)
}

/// Removes the settings of exactly this subject; what they were.
pub(super) fn delete_config(
    draft: &mut Draft,
    subject: Option<&str>,
) -> Result<ConfigValue, Refusal> {
    check_writable(&draft.catalogue, subject)?;
    let value = match (draft.catalogue.config(subject), subject) {
        (Some(value), _) => value.clone(),
        (None, Some(subject)) => return Err(Refusal::SubjectNotFound(subject.to_owned())),
        (None, None) => ConfigValue::everybodys_default(),
    };
    draft.set_config(subject, None)?;
    Ok(value)
}

/// Sets the mode of exactly this subject.
pub(super) fn set_mode(
    draft: &mut Draft,
    subject: Option<&str>,
    mode: Mode,
    force: bool,
) -> Result<(), Refusal> {
    subject.map_or(Ok(()), check_subject)?;
    if mode == Mode::ReadOnlyOverride && subject.is_some() {
        let reason = "READONLY_OVERRIDE is for all subjects: set it as the global mode";
        return Err(Refusal::InvalidMode(reason.to_owned()));
    }
    let starts = mode == Mode::Import && draft.catalogue.mode(subject) != Mode::Import;
    if starts && !force {
        clear_for_import(draft, subject)?;
    }
    draft.set_mode(subject, Some(mode))
}

/// Import brings versions and ids of its own, so nothing may be there: deleted versions go for good, live ones are in
/// the way.
fn clear_for_import(draft: &mut Draft, subject: Option<&str>) -> Result<(), Refusal> {
    let all = draft.catalogue.subjects(Which::All).map(Arc::clone);
    let all: Vec<Arc<str>> = all
        .filter(|name| subject.is_none_or(|subject| **name == *subject))
        .collect();
    for name in &all {
        if draft.catalogue.versions(name, Which::Live).next().is_some() {
            let reason = format!(
                "cannot import while subject '{name}' has versions in use (remove them, or use force=true)"
            );
            return Err(Refusal::NotPermitted(reason));
        }
        let deleted = draft.catalogue.versions(name, Which::All);
        let deleted: Vec<i32> = deleted.map(|(number, _)| number).collect();
        for number in &deleted {
            check_unreferenced(&draft.catalogue, name, *number, true, Some(name))?;
        }
        draft.erase(name, &deleted)?;
    }
    Ok(())
}

/// Removes the mode of exactly this subject; what it was.
pub(super) fn delete_mode(draft: &mut Draft, subject: Option<&str>) -> Result<Mode, Refusal> {
    let mode = match (draft.catalogue.own_mode(subject), subject) {
        (Some(mode), _) => mode,
        (None, Some(subject)) => return Err(Refusal::SubjectNotFound(subject.to_owned())),
        (None, None) => Mode::ReadWrite,
    };
    draft.set_mode(subject, None)?;
    Ok(mode)
}
