//! Column types from schemas: the source's own type text where the schema carries it, else what Connect's and
//! Debezium's logical names mean. Pure text; whether a type exists in the target is [`super::ddl`]'s question.

use crate::naming::quoted;
use tapline_sdk::{Schema, Type};

/// The parameter with the source's exact type, as its `format_type` prints it.
const SOURCE_TYPE: &str = "tapline.source.type";
/// The parameter with the type that a domain rests on.
const BASE_TYPE: &str = "tapline.source.base";
/// Debezium's parameters, set by `column.propagate.source.type`.
const DEBEZIUM_TYPE: &str = "__debezium.source.column.type";
const DEBEZIUM_LENGTH: &str = "__debezium.source.column.length";
const DEBEZIUM_SCALE: &str = "__debezium.source.column.scale";

/// A type's text, checked to be nothing but a type: it comes from a schema and goes into DDL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeText {
    /// Schema and name, unquoted, if it is written that way.
    schema: Option<String>,
    name: String,
    /// Name as written, multi-word names included.
    base: String,
    /// `(10,2)`, or nothing.
    modifier: String,
    /// `with time zone` and the like, or nothing.
    suffix: String,
    /// `[]` as often as written.
    dimensions: String,
}

/// Multi-word names that a type modifier may follow.
const WORDS: &[&str] = &["double precision", "character varying", "bit varying"];

/// What may follow `time` and `timestamp`.
const ZONES: &[&str] = &["with time zone", "without time zone"];

/// What may follow `interval`.
const FIELDS: &[&str] = &["year", "month", "day", "hour", "minute", "second", "to"];

impl TypeText {
    /// Reads a type as `format_type` prints it; `None` if it is anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (first, rest) = identifier(text)?;
        let (schema, name, rest) = match rest.strip_prefix('.') {
            Some(rest) => {
                let (name, rest) = identifier(rest)?;
                (Some(first), name, rest)
            }
            None => (None, first, rest),
        };
        let written = text.get(..text.len() - rest.len())?;
        let (base, rest) = match WORDS.iter().find_map(|words| text.strip_prefix(words)) {
            Some(rest) if schema.is_none() => (text.get(..text.len() - rest.len())?, rest),
            _ => (written, rest),
        };
        let (body, dimensions) = split_dimensions(rest);
        let (before, modifier, after) = split_modifier(body)?;
        let suffix = match (before.trim(), after.trim()) {
            ("", suffix) => suffix,
            (fields, "") => fields,
            _ => return None,
        };
        let fields = |text: &str| text.split(' ').all(|word| FIELDS.contains(&word));
        let suits = match base {
            "time" | "timestamp" => suffix.is_empty() || ZONES.contains(&suffix),
            "interval" => suffix.is_empty() || fields(suffix),
            _ => suffix.is_empty(),
        };
        suits.then(|| Self {
            schema,
            name,
            base: base.to_owned(),
            modifier: modifier.to_owned(),
            suffix: suffix.to_owned(),
            dimensions: dimensions.to_owned(),
        })
    }

    /// The same type in schema `public`, for texts that a search path has shortened.
    #[must_use]
    pub fn in_public(&self) -> Option<Self> {
        let shortened = self.schema.is_none() && !WORDS.contains(&self.base.as_str());
        shortened.then(|| Self {
            schema: Some("public".to_owned()),
            base: format!("public.{}", quoted(&self.name)),
            ..self.clone()
        })
    }

    /// The type without length, precision and dimensions, for looking it up.
    #[must_use]
    pub fn unmodified(&self) -> String {
        let zone = if ZONES.contains(&self.suffix.as_str()) {
            &self.suffix
        } else {
            ""
        };
        format!("{} {zone}", self.base).trim_end().to_owned()
    }

    /// As [`TypeText::unmodified`], arrays as such.
    #[must_use]
    pub fn lookup(&self) -> String {
        let array = if self.dimensions.is_empty() { "" } else { "[]" };
        format!("{}{array}", self.unmodified())
    }

    /// Schema and name of a type that somebody made.
    #[must_use]
    pub fn made(&self) -> Option<(&str, &str)> {
        Some((self.schema.as_deref()?, &self.name))
    }

    /// The type as DDL reads it.
    #[must_use]
    pub fn sql(&self) -> String {
        let space = if self.suffix.is_empty() { "" } else { " " };
        // A modifier of an interval's fields stands behind them.
        let (inner, outer) = if self.base == "interval" && !self.suffix.is_empty() {
            ("", self.modifier.as_str())
        } else {
            (self.modifier.as_str(), "")
        };
        format!(
            "{}{inner}{space}{}{outer}{}",
            self.base, self.suffix, self.dimensions
        )
    }
}

/// A leading identifier, unquoted, and the rest.
fn identifier(text: &str) -> Option<(String, &str)> {
    if let Some(inner) = text.strip_prefix('"') {
        let mut name = String::new();
        let mut rest = inner;
        loop {
            let end = rest.find('"')?;
            name.push_str(rest.get(..end)?);
            rest = rest.get(end + 1..)?;
            match rest.strip_prefix('"') {
                Some(more) => {
                    name.push('"');
                    rest = more;
                }
                None if name.is_empty() || name.contains('\0') => return None,
                None => return Some((name, rest)),
            }
        }
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let end = text.find(|c: char| !plain(c)).unwrap_or(text.len());
    let name = text.get(..end)?;
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    starts.then(|| (name.to_owned(), text.get(end..).unwrap_or_default()))
}

fn split_dimensions(text: &str) -> (&str, &str) {
    let body = text.trim_end_matches("[]");
    (body, text.get(body.len()..).unwrap_or_default())
}

/// What stands before a modifier, the modifier with its brackets, and what stands after.
fn split_modifier(text: &str) -> Option<(&str, &str, &str)> {
    let Some(start) = text.find('(') else {
        return Some((text, "", ""));
    };
    let end = text.find(')')?;
    let modifier = text.get(start..=end)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, ',' | '-' | '_' | ' ');
    let inside = modifier.get(1..modifier.len() - 1)?;
    // Two dashes would begin a comment.
    (inside.chars().all(allowed) && !inside.contains("--")).then(|| {
        (
            text.get(..start).unwrap_or_default(),
            modifier,
            text.get(end + 1..).unwrap_or_default(),
        )
    })
}

/// The source's own type, as the schema tells it.
#[must_use]
pub fn source_type(schema: &Schema) -> Option<String> {
    if let Some(text) = schema.parameter(SOURCE_TYPE) {
        return Some(text.to_owned());
    }
    let name = schema.parameter(DEBEZIUM_TYPE)?.to_ascii_lowercase();
    // Debezium says `serial` for an integer with a sequence behind it.
    if name.ends_with("serial") {
        return None;
    }
    let (name, array) = match name.strip_prefix('_') {
        Some(element) => (element, "[]"),
        None => (name.as_str(), ""),
    };
    let number = |key: &str| {
        schema
            .parameter(key)?
            .parse::<u32>()
            .ok()
            .filter(|n| *n > 0)
    };
    // Unbounded columns announce the largest int or more than the type could take.
    let length = number(DEBEZIUM_LENGTH).filter(|length| *length <= 10_485_760);
    let modifier = match (name, length, number(DEBEZIUM_SCALE)) {
        ("numeric", Some(precision @ 1..=1000), scale) => {
            format!("({precision},{})", scale.unwrap_or(0))
        }
        ("varchar" | "bpchar" | "bit" | "varbit", Some(length), _) => format!("({length})"),
        _ => String::new(),
    };
    Some(format!("{name}{modifier}{array}"))
}

/// The type that the source's domain rests on, for targets that lack the domain.
#[must_use]
pub fn base_type(schema: &Schema) -> Option<&str> {
    schema.parameter(BASE_TYPE)
}

/// The labels of an enum, if the schema is of one or of an array of one.
#[must_use]
pub fn labels(schema: &Schema) -> Vec<String> {
    if let Type::Array(item) = &schema.ty
        && schema.parameter("allowed").is_none()
    {
        return labels(item);
    }
    if let Some(escaped) = schema.parameter("tapline.enum.labels") {
        return unescaped(escaped);
    }
    let allowed = schema.parameter("allowed").unwrap_or_default();
    allowed
        .split(',')
        .filter(|label| !label.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Labels between commas; a backslash takes the next character as it is. Written where a label holds a comma.
fn unescaped(list: &str) -> Vec<String> {
    let mut labels = vec![String::new()];
    let mut rest = list.chars();
    while let Some(c) = rest.next() {
        match c {
            ',' => labels.push(String::new()),
            '\\' => labels
                .last_mut()
                .into_iter()
                .for_each(|label| label.extend(rest.next())),
            other => labels
                .last_mut()
                .into_iter()
                .for_each(|label| label.push(other)),
        }
    }
    labels
}

/// The type that a schema's Connect type and logical name mean.
#[must_use]
pub fn logical_type(schema: &Schema) -> String {
    if let Some(sql) = schema.name.as_deref().and_then(|name| named(name, schema)) {
        return sql;
    }
    match &schema.ty {
        Type::Bool => "boolean".to_owned(),
        Type::Int8 | Type::Int16 => "smallint".to_owned(),
        Type::Int32 => "integer".to_owned(),
        Type::Int64 => "bigint".to_owned(),
        Type::Float32 => "real".to_owned(),
        Type::Float64 => "double precision".to_owned(),
        Type::Text => "text".to_owned(),
        Type::Bytes => "bytea".to_owned(),
        Type::Array(item) => match logical_type(item) {
            json if json == "jsonb" => json,
            nested if nested.ends_with("[]") => nested,
            item => format!("{item}[]"),
        },
        Type::Map(..) | Type::Struct(_) => "jsonb".to_owned(),
    }
}

fn named(name: &str, schema: &Schema) -> Option<String> {
    let sql = match name {
        "io.debezium.time.Date"
        | "org.apache.kafka.connect.data.Date"
        | "io.debezium.time.IsoDate" => "date",
        "io.debezium.time.Time" | "org.apache.kafka.connect.data.Time" => {
            "time(3) without time zone"
        }
        "io.debezium.time.MicroTime" | "io.debezium.time.NanoTime" => "time without time zone",
        "io.debezium.time.Timestamp" | "org.apache.kafka.connect.data.Timestamp" => {
            "timestamp(3) without time zone"
        }
        "io.debezium.time.MicroTimestamp"
        | "io.debezium.time.NanoTimestamp"
        | "io.debezium.time.IsoTimestamp" => "timestamp without time zone",
        "io.debezium.time.ZonedTimestamp" => "timestamp with time zone",
        "io.debezium.time.ZonedTime" | "io.debezium.time.IsoTime" => "time with time zone",
        "io.debezium.time.MicroDuration" | "io.debezium.time.Interval" => "interval",
        "io.debezium.data.VariableScaleDecimal" => "numeric",
        "io.debezium.data.Json" => "jsonb",
        "io.debezium.data.Uuid" => "uuid",
        "io.debezium.data.Xml" => "xml",
        "io.debezium.data.Tsvector" => "tsvector",
        "io.debezium.data.geometry.Point" => "point",
        "io.debezium.data.Bits" => return Some(bits(schema)),
        "org.apache.kafka.connect.data.Decimal" => return Some(decimal(schema)),
        _ => return None,
    };
    Some(sql.to_owned())
}

fn bits(schema: &Schema) -> String {
    match schema
        .parameter("length")
        .and_then(|length| length.parse::<u32>().ok())
    {
        Some(length @ 1..=83_886_080) => format!("bit({length})"),
        _ => "bit varying".to_owned(),
    }
}

fn decimal(schema: &Schema) -> String {
    let number = |key: &str| schema.parameter(key)?.parse::<u32>().ok();
    match (number("connect.decimal.precision"), number("scale")) {
        (Some(precision @ 1..=1000), Some(scale)) if scale <= precision => {
            format!("numeric({precision},{scale})")
        }
        _ => "numeric".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::TypeText;

    #[test]
    fn what_format_type_prints_is_read_and_written_back() {
        let texts = [
            "integer",
            "numeric(10,2)",
            "numeric(5,-2)",
            "character varying(20)",
            "text[]",
            "\"char\"",
            "timestamp(3) without time zone",
            "timestamp with time zone",
            "time(0) with time zone",
            "double precision",
            "bit varying(7)",
            "bit(3)[]",
            "public.mood",
            "\"Odd Schema\".\"a\"\"b\"[]",
            "interval day to second(3)",
            "interval year",
            "interval(3)",
            "public.geometry(Point,4326)",
            "timestamp(6) with time zone[]",
            "character(10)",
            "public.vector(3)",
        ];
        for text in texts {
            assert_eq!(
                TypeText::parse(text).map(|parsed| parsed.sql()).as_deref(),
                Some(text)
            );
        }
    }

    #[test]
    fn what_is_more_than_a_type_is_refused() {
        let hostile = [
            "",
            "integer not null",
            "integer primary key",
            "int4; drop table t",
            "integer default 1",
            "numeric(10,2) check (true)",
            "integer --",
            "numeric(1--1)",
            "\"open",
            "a.b.c",
            "1x",
            "integer generated always as identity",
            "text collate \"C\"",
            "text'x'",
            "time zone",
            "integer(1)(2)",
            "bit(')",
            "interval second; x",
        ];
        for text in hostile {
            assert_eq!(TypeText::parse(text), None, "{text}");
        }
    }

    #[test]
    fn lookups_leave_modifiers_out() {
        let probe = |text: &str| TypeText::parse(text).expect("parses").unmodified();
        assert_eq!(
            probe("timestamp(3) without time zone[]"),
            "timestamp without time zone"
        );
        assert_eq!(probe("interval day to second(3)"), "interval");
        assert_eq!(probe("character varying(20)"), "character varying");
        assert_eq!(probe("public.mood[]"), "public.mood");
    }
}
