//! What the registry does with Avro schemas beyond reading and writing them: a limit to the work that they cause,
//! checked defaults, and comparison by the resolution rules of Avro's specification.
//!
//! The schemas themselves are [`crate::avro`]'s; ids and subjects are the catalogue's.

mod budget;
mod defaults;
mod resolution;
#[cfg(test)]
mod tests;

pub(super) use budget::Budget;
pub(super) use resolution::{Incompatibility, differences};

use crate::avro::{AvroSchema, Rules};

/// Parses a schema that somebody hands in.
///
/// # Errors
/// Says which rule it breaks and where, or that it needs more work than a request may cause.
pub(super) fn parse_new(
    text: &str,
    references: &[AvroSchema],
    budget: &mut Budget,
) -> Result<AvroSchema, String> {
    let schema = parse(text, references, Rules::New, budget)?;
    defaults::validate(&schema, budget)?;
    Ok(schema)
}

/// Parses a schema that was registered, here or by the registry that the topic was taken over from, which may have
/// let more through.
///
/// # Errors
/// It has no meaning, or needs more work than a request may cause.
pub(super) fn parse_stored(
    text: &str,
    references: &[AvroSchema],
    budget: &mut Budget,
) -> Result<AvroSchema, String> {
    parse(text, references, Rules::Stored, budget)
}

fn parse(
    text: &str,
    references: &[AvroSchema],
    rules: Rules,
    budget: &mut Budget,
) -> Result<AvroSchema, String> {
    budget.spend(u64::try_from(text.len()).unwrap_or(u64::MAX))?;
    AvroSchema::parse(text, references, rules)
}
