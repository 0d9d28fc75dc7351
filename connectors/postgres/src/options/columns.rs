//! Which columns a rule means: lists of anchored regexes over `schema.table.column`.

use regex::Regex;
use tapline_sdk::{ConfigValue, Kind};

/// A comma-separated list of regexes, each anchored to the whole name. A list item that is the name itself always
/// matches it, whatever its characters mean in a regex.
#[derive(Debug, Clone, Default)]
pub struct ColumnMatch {
    rules: Vec<(String, Regex)>,
}

impl ColumnMatch {
    /// Whether there is no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a rule matches the whole name.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.rules
            .iter()
            .any(|(literal, regex)| literal == name || regex.is_match(name))
    }
}

impl ConfigValue for ColumnMatch {
    const KIND: Kind = Kind::List;
    fn parse(text: &str) -> Result<Self, String> {
        let rules = split_list(text)
            .into_iter()
            .map(|item| Ok((item.to_owned(), anchored(item)?)))
            .collect::<Result<_, String>>()?;
        Ok(Self { rules })
    }
}

/// `column.include.list` and `column.exclude.list`.
#[derive(Debug, Clone, Default)]
pub struct ColumnRules {
    /// If not empty, only these.
    pub include: ColumnMatch,
    /// Not these.
    pub exclude: ColumnMatch,
}

impl ColumnRules {
    /// Whether the column belongs into values.
    #[must_use]
    pub fn keeps(&self, schema: &str, table: &str, column: &str) -> bool {
        let name = format!("{schema}.{table}.{column}");
        (self.include.is_empty() || self.include.matches(&name)) && !self.exclude.matches(&name)
    }
}

/// `message.key.columns`: `schema.table:column,column;…`, the table being a regex.
#[derive(Debug, Clone, Default)]
pub struct KeyColumns {
    tables: Vec<(String, Regex, Vec<String>)>,
}

impl KeyColumns {
    /// The key columns that the first matching rule names for a table.
    #[must_use]
    pub fn of(&self, schema: &str, table: &str) -> Option<&[String]> {
        let name = format!("{schema}.{table}");
        self.tables
            .iter()
            .find(|(literal, regex, _)| *literal == name || regex.is_match(&name))
            .map(|(_, _, columns)| columns.as_slice())
    }
}

impl ConfigValue for KeyColumns {
    const KIND: Kind = Kind::List;
    fn parse(text: &str) -> Result<Self, String> {
        let mut tables = Vec::new();
        for rule in text
            .split(';')
            .map(str::trim)
            .filter(|rule| !rule.is_empty())
        {
            let Some((table, columns)) = rule.rsplit_once(':') else {
                return Err(format!(
                    "has \"{rule}\" without `:` between table and columns"
                ));
            };
            let columns: Vec<String> = split_list(columns).into_iter().map(str::to_owned).collect();
            if columns.is_empty() {
                return Err(format!("names no column for \"{table}\""));
            }
            tables.push((table.trim().to_owned(), anchored(table.trim())?, columns));
        }
        Ok(Self { tables })
    }
}

fn split_list(text: &str) -> Vec<&str> {
    let items = text.split(',').map(str::trim);
    items.filter(|item| !item.is_empty()).collect()
}

fn anchored(pattern: &str) -> Result<Regex, String> {
    // Debezium compiles its lists case-insensitively.
    Regex::new(&format!("^(?i:{pattern})$"))
        .map_err(|_| format!("has \"{pattern}\", which is no regular expression"))
}
