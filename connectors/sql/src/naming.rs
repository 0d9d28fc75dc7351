//! Names of target tables: the template that makes them, and the rules that they must keep.

use crate::error::bad_name;
use std::{fmt, sync::Arc};
use tapline_sdk::{ConfigValue, Error, Kind};

/// Postgres cuts longer identifiers silently, so that two tables could become one.
pub const IDENTIFIER_BYTES_MAX: usize = 63;

/// The schema of tables whose name has none.
pub const SCHEMA_DEFAULT: &str = "public";

/// A table of the target.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableName {
    /// Its schema.
    pub schema: Arc<str>,
    /// Its name in the schema.
    pub table: Arc<str>,
}

impl TableName {
    /// Checks both parts.
    ///
    /// # Errors
    /// A part is empty, too long, or holds a NUL.
    pub fn new(schema: &str, table: &str) -> Result<Self, Error> {
        Ok(Self {
            schema: checked("schema", schema)?.into(),
            table: checked("table", table)?.into(),
        })
    }

    /// The name as SQL reads it.
    #[must_use]
    pub fn quoted(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.table))
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

/// An identifier as SQL reads it: always quoted, quotes doubled.
#[must_use]
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as a SQL literal that reads the same whatever the server's settings.
#[must_use]
pub fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// The name, if the target would take it as it is.
///
/// # Errors
/// It is empty, too long, or holds a NUL.
pub fn checked<'a>(what: &str, name: &'a str) -> Result<&'a str, Error> {
    if name.is_empty() || name.len() > IDENTIFIER_BYTES_MAX || name.contains('\0') {
        return Err(bad_name(what, name, IDENTIFIER_BYTES_MAX));
    }
    Ok(name)
}

/// Where a record comes from, for the template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// The source's database, if the record tells.
    pub db: &'a str,
    /// The source's schema, if the record tells.
    pub schema: &'a str,
    /// The source's table.
    pub table: &'a str,
}

impl<'a> Origin<'a> {
    /// What a topic named `prefix.schema.table` tells.
    #[must_use]
    pub fn of_topic(topic: &'a str) -> Self {
        let mut parts = topic.rsplit('.');
        let table = parts.next().unwrap_or(topic);
        let schema = parts.next().filter(|_| parts.next().is_some());
        Self {
            topic,
            db: "",
            schema: schema.unwrap_or_default(),
            table,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Topic,
    Db,
    Schema,
    Table,
}

/// `collection.name.format`, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableTemplate {
    schema: Vec<Part>,
    table: Vec<Part>,
}

impl TableTemplate {
    /// The table of a record.
    ///
    /// # Errors
    /// A part is empty, too long, or holds a NUL.
    pub fn resolve(&self, origin: Origin<'_>, fold: bool) -> Result<TableName, Error> {
        let mut schema = fill(&self.schema, origin);
        let mut table = fill(&self.table, origin);
        if schema.is_empty() {
            SCHEMA_DEFAULT.clone_into(&mut schema);
        }
        if fold {
            schema.make_ascii_lowercase();
            table.make_ascii_lowercase();
        }
        TableName::new(&schema, &table)
    }
}

fn fill(parts: &[Part], origin: Origin<'_>) -> String {
    let mut name = String::new();
    for part in parts {
        match part {
            Part::Literal(text) => name.push_str(text),
            Part::Topic => name.push_str(&origin.topic.replace('.', "_")),
            Part::Db => name.push_str(origin.db),
            Part::Schema => name.push_str(origin.schema),
            Part::Table => name.push_str(origin.table),
        }
    }
    name
}

impl ConfigValue for TableTemplate {
    const KIND: Kind = Kind::Template;
    fn parse(text: &str) -> Result<Self, String> {
        let mut names = vec![Vec::new()];
        let mut rest = text.trim();
        while !rest.is_empty() {
            let end = match (rest.find("${"), rest.find('.')) {
                (Some(0), _) => {
                    let end = rest.find('}').ok_or("has ${ without }")?;
                    let field = rest.get(2..end).unwrap_or_default();
                    push(&mut names, placeholder(field)?);
                    end + 1
                }
                (_, Some(0)) => {
                    names.push(Vec::new());
                    1
                }
                (field, dot) => {
                    let end = field.into_iter().chain(dot).min().unwrap_or(rest.len());
                    let part = rest.get(..end).unwrap_or_default();
                    push(&mut names, Part::Literal(part.to_owned()));
                    end
                }
            };
            rest = rest.get(end..).unwrap_or_default();
        }
        let table = names.pop().filter(|parts| !parts.is_empty());
        let table = table.ok_or("names no table")?;
        let schema = names.pop().unwrap_or_default();
        if !names.is_empty() {
            return Err("has more than schema and table".to_owned());
        }
        Ok(Self { schema, table })
    }
}

fn push(names: &mut [Vec<Part>], part: Part) {
    if let Some(last) = names.last_mut() {
        last.push(part);
    }
}

fn placeholder(field: &str) -> Result<Part, String> {
    match field {
        "topic" => Ok(Part::Topic),
        "source.db" => Ok(Part::Db),
        "source.schema" => Ok(Part::Schema),
        "source.table" => Ok(Part::Table),
        _ => Err(format!(
            "has ${{{field}}}, which is not one of ${{topic}}, ${{source.db}}, ${{source.schema}}, ${{source.table}}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::{Origin, TableTemplate, literal, quoted};
    use tapline_sdk::ConfigValue;

    fn resolve(template: &str, topic: &str, schema: &str, table: &str) -> String {
        let origin = Origin {
            topic,
            db: "shop",
            schema,
            table,
        };
        let template = TableTemplate::parse(template).expect("template parses");
        match template.resolve(origin, false) {
            Ok(name) => name.quoted(),
            Err(error) => error.context,
        }
    }

    #[test]
    fn a_dot_of_the_template_separates_and_a_dot_of_a_name_does_not() {
        let own = "${source.schema}.${source.table}";
        assert_eq!(
            resolve(own, "t", "public", "orders"),
            r#""public"."orders""#
        );
        assert_eq!(resolve(own, "t", "a.b", "c.\"d"), r#""a.b"."c.""d""#);
        assert_eq!(
            resolve("${topic}", "shop.public.a", "x", "y"),
            r#""public"."shop_public_a""#
        );
        assert_eq!(
            resolve("r.x_${source.db}_${source.table}", "t", "s", "y"),
            r#""r"."x_shop_y""#
        );
    }

    #[test]
    fn names_that_the_server_would_cut_are_refused() {
        let long = "x".repeat(64);
        assert!(resolve("${source.table}", "t", "s", &long).contains("63 are allowed"));
        assert!(resolve("${source.table}", "t", "s", "").contains("is empty"));
        assert!(resolve("${source.table}", "t", "s", "a\0b").contains("NUL"));
    }

    #[test]
    fn templates_with_mistakes_are_refused() {
        for bad in ["", "a.b.c", "${nope}", "${topic", "a."] {
            assert!(TableTemplate::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_topic_tells_schema_and_table() {
        let origin = Origin::of_topic("shop.public.orders");
        assert_eq!((origin.schema, origin.table), ("public", "orders"));
        let origin = Origin::of_topic("orders");
        assert_eq!((origin.schema, origin.table), ("", "orders"));
    }

    #[test]
    fn hostile_texts_stay_inside_their_quotes() {
        assert_eq!(
            quoted("a\"; DROP TABLE t; --"),
            "\"a\"\"; DROP TABLE t; --\""
        );
        assert_eq!(literal("it's \\'"), r"E'it''s \\'''");
    }
}
