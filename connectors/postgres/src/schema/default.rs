//! A column's default as a value of its schema.

use crate::types::{ColumnType, Raw, Sink};
use std::sync::Arc;
use tapline_sdk::{Arena, Cell, Datum, Schema, Type};

/// What a default expression says.
#[derive(Debug, PartialEq, Eq)]
enum Expression {
    /// A constant's text, its casts removed.
    Literal(String),
    Null,
    /// Something that the server computes.
    Computed,
}

/// The schema's default of a column with this default expression. A computed one is the type's zero value in
/// Debezium's profile, and none in ours.
pub(crate) fn default_value(
    column: &ColumnType,
    expression: &str,
    zero_if_computed: bool,
) -> Option<Datum> {
    let schema = column.schema().build();
    // Debezium gives structs and arrays no default.
    if matches!(schema.ty, Type::Struct(_) | Type::Array(_) | Type::Map(..)) {
        return None;
    }
    let (mut arena, mut scratch) = (Arena::default(), Vec::new());
    let cell = match parse(expression) {
        Expression::Null => return None,
        Expression::Literal(text) => {
            let sink = &mut Sink {
                arena: &mut arena,
                scratch: &mut scratch,
            };
            let text = boolean(&schema, text);
            column.codec.decode(sink, Raw::Text(text.as_bytes())).ok()?
        }
        Expression::Computed if !zero_if_computed => return None,
        Expression::Computed if expression == "CURRENT_USER" => arena.text("CURRENT_USER"),
        Expression::Computed => zero(&schema, &mut arena),
    };
    Some(Datum::new(Some(schema), arena, cell))
}

/// `true` is how SQL spells the constant that a row's text has as `t`.
fn boolean(schema: &Arc<Schema>, text: String) -> String {
    match (&schema.ty, text.as_str()) {
        (Type::Bool, "true") => "t".to_owned(),
        (Type::Bool, "false") => "f".to_owned(),
        _ => text,
    }
}

/// The value that stands for a missing one in a field that must have one: 0, empty, 1970.
pub(crate) fn zero(schema: &Schema, arena: &mut Arena) -> Cell {
    match (&schema.ty, schema.name.as_deref()) {
        (Type::Bool, _) => Cell::Bool(false),
        (Type::Int8 | Type::Int16 | Type::Int32 | Type::Int64, _) => Cell::Int(0),
        (Type::Float32 | Type::Float64, _) => Cell::Float(0.0),
        (Type::Text, Some("io.debezium.time.ZonedTimestamp")) => arena.text("1970-01-01T00:00:00Z"),
        (Type::Text, Some("io.debezium.time.ZonedTime")) => arena.text("00:00:00Z"),
        (Type::Text, Some("io.debezium.time.Interval")) => arena.text("P0Y0M0DT0H0M0S"),
        (Type::Text, _) => arena.text(""),
        (Type::Bytes, Some("org.apache.kafka.connect.data.Decimal")) => arena.bytes(&[0]),
        (Type::Bytes, _) => arena.bytes(&[]),
        (Type::Array(_), _) => arena.block(0).array(),
        (Type::Map(..), _) => arena.block(0).map(),
        (Type::Struct(fields), _) => {
            let cells: Vec<Cell> = fields
                .iter()
                .map(|field| match field.schema.optional {
                    true => Cell::Null,
                    false => zero(&field.schema, arena),
                })
                .collect();
            arena.block_of(&cells).structure()
        }
    }
}

fn parse(expression: &str) -> Expression {
    let text = expression.trim();
    if let Some(rest) = text.strip_prefix('\'') {
        return match quoted(rest) {
            Some((literal, casts)) if only_casts(casts) => Expression::Literal(literal),
            _ => Expression::Computed,
        };
    }
    // A negative constant that is cast stands in parentheses: (-1)::integer.
    let (body, casts) = match text.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
        Some((inner, casts)) => (inner, casts),
        None => match text.find("::") {
            Some(at) => text.split_at(at),
            None => (text, ""),
        },
    };
    let number = !body.is_empty()
        && body
            .strip_prefix('-')
            .unwrap_or(body)
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
    match body {
        _ if !only_casts(casts) => Expression::Computed,
        "NULL" => Expression::Null,
        "true" | "false" => Expression::Literal(body.to_owned()),
        _ if number => Expression::Literal(body.to_owned()),
        _ => Expression::Computed,
    }
}

/// The text up to the closing quote, doubled quotes being one, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut literal = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('\'')?;
        literal.push_str(part);
        match after.strip_prefix('\'') {
            Some(after) => {
                literal.push('\'');
                rest = after;
            }
            None => return Some((literal, after)),
        }
    }
}

/// `::type` any number of times: operators and calls make an expression more than a constant.
fn only_casts(text: &str) -> bool {
    let mut quoted = false;
    let plain = text.chars().all(|c| {
        quoted ^= c == '"';
        quoted
            || c.is_alphanumeric()
            || matches!(c, ':' | ' ' | '(' | ')' | ',' | '[' | ']' | '_' | '.' | '"')
    });
    text.is_empty() || (text.starts_with("::") && plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_told_from_expressions() {
        let literal = |text: &str| Expression::Literal(text.to_owned());
        assert_eq!(parse("5"), literal("5"));
        assert_eq!(parse("'-5'::integer"), literal("-5"));
        assert_eq!(parse("(-1.5)::numeric(5,2)"), literal("-1.5"));
        assert_eq!(parse("'it''s'::character varying(20)"), literal("it's"));
        assert_eq!(parse("'{}'::\"My Type\"[]"), literal("{}"));
        assert_eq!(parse("true"), literal("true"));
        assert_eq!(parse("NULL::text"), Expression::Null);
        for text in [
            "now()",
            "nextval('s'::regclass)",
            "'a'::text || 'b'",
            "(1 + 2)",
            "x",
            "-",
        ] {
            assert_ne!(parse(text), literal(text), "{text}");
        }
        assert_eq!(parse("now()"), Expression::Computed);
        assert_eq!(parse("('now'::text)::date"), Expression::Computed);
    }
}
