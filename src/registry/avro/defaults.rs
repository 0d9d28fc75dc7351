//! Whether a default is a value of its field's type: a reader finds out otherwise, long after.

use super::budget::Budget;
use crate::avro::{AvroSchema, Kind, Node, Shape, Tree};

/// # Errors
/// Names the field whose default is none of its type.
pub(super) fn validate(schema: &AvroSchema, budget: &mut Budget) -> Result<(), String> {
    // What references define is stored already: whoever refers to it cannot mend it.
    let own = schema.types.iter();
    for (name, definition) in own.filter(|(name, _)| !schema.foreign.contains(name)) {
        let Shape::Record { fields, .. } = &definition.shape else {
            continue;
        };
        for field in fields {
            if let Some(default) = &field.default
                && !fits(schema, &field.node, default, budget)?
            {
                let field = &field.name;
                return Err(format!(
                    "{name}: field \"{field}\": the default is no value of its type"
                ));
            }
        }
    }
    Ok(())
}

fn fits(
    schema: &AvroSchema,
    node: &Node,
    value: &Tree,
    budget: &mut Budget,
) -> Result<bool, String> {
    budget.spend(1)?;
    Ok(match (&node.kind, value) {
        (Kind::Null, Tree::Null)
        | (Kind::Boolean, Tree::Bool(_))
        | (Kind::Long, Tree::Int(_))
        | (Kind::Float | Kind::Double, Tree::Int(_) | Tree::Float(_))
        | (Kind::String, Tree::Text(_)) => true,
        (Kind::Int, Tree::Int(int)) => i32::try_from(*int).is_ok(),
        // A character is a byte.
        (Kind::Bytes, Tree::Text(text)) => text.chars().all(|c| u8::try_from(c).is_ok()),
        (Kind::Array(items), Tree::List(values)) => all(schema, items, values.iter(), budget)?,
        (Kind::Map(values), Tree::Object(entries)) => all(
            schema,
            values,
            entries.iter().map(|(_, value)| value),
            budget,
        )?,
        (Kind::Union(branches), value) => {
            for branch in branches {
                if fits(schema, branch, value, budget)? {
                    return Ok(true);
                }
            }
            false
        }
        (Kind::Named(name), value) => match schema.definition(name) {
            Some(definition) => named_fits(schema, &definition.shape, value, budget)?,
            None => false,
        },
        _ => false,
    })
}

fn named_fits(
    schema: &AvroSchema,
    shape: &Shape,
    value: &Tree,
    budget: &mut Budget,
) -> Result<bool, String> {
    match (shape, value) {
        (Shape::Enum { symbols, .. }, Tree::Text(text)) => Ok(symbols.contains(text)),
        (Shape::Fixed { size }, Tree::Text(text)) => {
            let bytes = text.chars().filter(|c| u8::try_from(*c).is_ok()).count();
            Ok(u64::try_from(bytes) == Ok(*size) && bytes == text.chars().count())
        }
        (Shape::Record { fields, .. }, Tree::Object(_)) => {
            for field in fields {
                let fine = match value.get(&field.name) {
                    Some(value) => fits(schema, &field.node, value, budget)?,
                    None => field.default.is_some(),
                };
                if !fine {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn all<'t>(
    schema: &AvroSchema,
    node: &Node,
    values: impl Iterator<Item = &'t Tree>,
    budget: &mut Budget,
) -> Result<bool, String> {
    for value in values {
        if !fits(schema, node, value, budget)? {
            return Ok(false);
        }
    }
    Ok(true)
}
