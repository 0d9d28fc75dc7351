//! What a schema is worth: whether it is one, what it refers to, and whether it gets along with a subject's earlier ones.

use super::{
    avro::{self, Budget, Incompatibility, differences},
    catalogue::{Catalogue, Document, Version, Which},
    level::Compatibility,
    record::{AVRO, Reference},
    refusal::Refusal,
};
use crate::avro::AvroSchema;
use std::sync::Arc;

/// The largest schema: what Confluent's registry takes by default, and hundreds of times that of a wide table.
pub const SCHEMA_BYTES_MAX: usize = 1 << 20;

/// References of one schema, and how far they lead: beyond any model that people keep in their heads.
const REFERENCES_MAX: usize = 100;
const REFERENCES_DEPTH_MAX: usize = 16;

/// A schema as somebody hands it in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Candidate {
    /// The text.
    pub schema: String,
    /// `AVRO` if it is not named.
    pub kind: Option<String>,
    /// Schemas whose types the text uses.
    pub references: Vec<Reference>,
    /// Only in mode IMPORT: the id that it has elsewhere.
    pub id: Option<i32>,
    /// The version that it is to become.
    pub version: Option<i32>,
}

/// A schema that is one.
pub(super) struct Judged {
    pub(super) schema: AvroSchema,
    /// What is stored, and what ids are given to.
    pub(super) document: Document,
}

/// Why a schema does not get along with an earlier one.
pub(super) struct Clash {
    pub(super) version: i32,
    /// In Confluent's form.
    pub(super) messages: Vec<String>,
    /// The first reason, for people.
    pub(super) sentence: String,
}

/// Parses a candidate and gives it its canonical text.
///
/// # Errors
/// It is no Avro schema, or refers to what is not there.
pub(super) fn judge(
    catalogue: &Catalogue,
    candidate: &Candidate,
    normalize: bool,
    budget: &mut Budget,
) -> Result<Judged, Refusal> {
    let kind = candidate.kind.as_deref().unwrap_or(AVRO);
    if !kind.eq_ignore_ascii_case(AVRO) {
        let reason = format!("schemas of type {kind} are not supported, only AVRO");
        return Err(Refusal::InvalidSchema(reason));
    }
    if candidate.schema.len() > SCHEMA_BYTES_MAX {
        let reason = format!("it is longer than {SCHEMA_BYTES_MAX} bytes");
        return Err(Refusal::InvalidSchema(reason));
    }
    if candidate.schema.trim().is_empty() {
        return Err(Refusal::InvalidSchema("it is empty".to_owned()));
    }
    let references = found(catalogue, &candidate.references).map_err(Refusal::InvalidSchema)?;
    let others = resolve(catalogue, &references, 0, budget).map_err(Refusal::InvalidSchema)?;
    let schema = avro::parse_new(&candidate.schema, &others, budget);
    let schema = schema.map_err(Refusal::InvalidSchema)?;
    if !references.is_empty() {
        // A sink reads it with its references written out.
        let standalone = schema.to_standalone_text();
        standalone.map(drop).map_err(Refusal::InvalidSchema)?;
    }
    let text = match normalize {
        true => schema.to_normalized_text(),
        false => schema.to_text(),
    };
    let document = Document {
        text: text.into(),
        kind: AVRO.into(),
        references,
    };
    Ok(Judged { schema, document })
}

/// References with the newest version in place of -1, each to a version in use.
fn found(catalogue: &Catalogue, references: &[Reference]) -> Result<Vec<Reference>, String> {
    if references.len() > REFERENCES_MAX {
        return Err(format!("it has more than {REFERENCES_MAX} references"));
    }
    let found = references.iter().map(|reference| {
        let Reference {
            name,
            subject,
            version,
        } = reference;
        let version = match version {
            -1 => catalogue
                .versions(subject, Which::Live)
                .next_back()
                .map(|(number, _)| number),
            number => catalogue
                .version(subject, *number, Which::Live)
                .map(|_| *number),
        };
        let version = version.ok_or_else(|| {
            format!(
                "the reference \"{name}\" leads nowhere: subject \"{subject}\" has no version {}",
                reference.version
            )
        })?;
        Ok(Reference {
            name: name.clone(),
            subject: subject.clone(),
            version,
        })
    });
    found.collect()
}

fn resolve(
    catalogue: &Catalogue,
    references: &[Reference],
    depth: usize,
    budget: &mut Budget,
) -> Result<Vec<AvroSchema>, String> {
    if depth > REFERENCES_DEPTH_MAX {
        return Err(format!(
            "references lead further than {REFERENCES_DEPTH_MAX} schemas"
        ));
    }
    let schemas = references.iter().map(|reference| {
        let Reference {
            subject, version, ..
        } = reference;
        let found = catalogue.version(subject, *version, Which::All);
        let found = found.ok_or_else(|| {
            format!("a reference leads nowhere: subject \"{subject}\" has no version {version}")
        })?;
        parsed_at(catalogue, &found.document, depth + 1, budget)
    });
    schemas.collect()
}

/// Parses what was registered before.
///
/// # Errors
/// It is not Avro, or its references are gone.
pub(super) fn parsed(
    catalogue: &Catalogue,
    document: &Document,
    budget: &mut Budget,
) -> Result<AvroSchema, String> {
    parsed_at(catalogue, document, 0, budget)
}

fn parsed_at(
    catalogue: &Catalogue,
    document: &Document,
    depth: usize,
    budget: &mut Budget,
) -> Result<AvroSchema, String> {
    if *document.kind != *AVRO {
        return Err(format!(
            "a schema of type {} is not supported",
            document.kind
        ));
    }
    let others = resolve(catalogue, &document.references, depth, budget)?;
    avro::parse_stored(&document.text, &others, budget)
}

/// The first earlier schema that the new one does not get along with; `earlier` is oldest first.
///
/// # Errors
/// The comparison would take more work than a request may cause.
pub(super) fn clash(
    catalogue: &Catalogue,
    level: Compatibility,
    new: &AvroSchema,
    earlier: &[(i32, &Arc<Version>)],
    budget: &mut Budget,
) -> Result<Option<Clash>, Refusal> {
    if level == Compatibility::None {
        return Ok(None);
    }
    let compared = match level.transitive() {
        true => earlier.len(),
        false => 1,
    };
    for (number, version) in earlier.iter().rev().take(compared) {
        let clash = match parsed(catalogue, &version.document, budget) {
            Ok(old) => compare(level, new, &old, budget)?,
            Err(reason) => Some((
                vec![format!("the earlier schema cannot be compared: {reason}")],
                reason,
            )),
        };
        if let Some((mut messages, sentence)) = clash {
            messages.push(format!("{{oldSchemaVersion: {number}}}"));
            messages.push(format!("{{oldSchema: '{}'}}", version.document.text));
            messages.push(format!("{{compatibility: '{level}'}}"));
            return Ok(Some(Clash {
                version: *number,
                messages,
                sentence,
            }));
        }
    }
    Ok(None)
}

/// All messages, and the first as a sentence.
fn compare(
    level: Compatibility,
    new: &AvroSchema,
    old: &AvroSchema,
    budget: &mut Budget,
) -> Result<Option<(Vec<String>, String)>, Refusal> {
    let mut messages = Vec::new();
    let mut sentence = None;
    let directions = [
        (level.backward(), new, old, "new", "old"),
        (level.forward(), old, new, "old", "new"),
    ];
    for (asked, reader, writer, r, w) in directions {
        if !asked {
            continue;
        }
        let found = differences(reader, writer, budget)
            .map_err(|exhausted| Refusal::InvalidSchema(exhausted.into()))?;
        let say = |difference: &Incompatibility| difference.message(r, w);
        messages.extend(found.iter().map(say));
        sentence = sentence.or_else(|| found.first().map(|first| first.sentence(r, w)));
    }
    Ok(sentence.map(|sentence| (messages, sentence)))
}
