//! Which tables are captured: include and exclude lists over schemas and `schema.table`.

use regex::{Regex, RegexBuilder};
use tapline_sdk::{ConfigValue, Kind};

/// Schemas that hold the server's own tables.
const BUILT_IN: [&str; 3] = ["pg_catalog", "information_schema", "pg_toast"];

/// A comma-separated list of names and patterns. What has no character with a meaning in patterns but the dot is a
/// name and means itself, letter by letter; anything else is a regular expression over the whole name that ignores
/// case, as in Debezium.
#[derive(Debug, Clone, Default)]
pub struct NameList {
    items: Vec<Item>,
}

#[derive(Debug, Clone)]
enum Item {
    Name(String),
    Pattern(Regex),
}

impl NameList {
    /// Whether nothing was listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether an item means this name.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.items.iter().any(|item| match item {
            Item::Name(listed) => listed == name,
            Item::Pattern(pattern) => pattern.is_match(name),
        })
    }
}

impl ConfigValue for NameList {
    const KIND: Kind = Kind::List;

    fn parse(text: &str) -> Result<Self, String> {
        let items = text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty());
        let items = items.map(|item| {
            if is_name(item) {
                return Ok(Item::Name(item.to_owned()));
            }
            let anchored = format!("^(?:{item})$");
            let pattern = RegexBuilder::new(&anchored).case_insensitive(true).build();
            pattern
                .map(Item::Pattern)
                .map_err(|_| format!("has \"{item}\", which is no regular expression"))
        });
        Ok(Self {
            items: items.collect::<Result<_, _>>()?,
        })
    }
}

fn is_name(item: &str) -> bool {
    !item.contains(['\\', '*', '+', '?', '(', ')', '[', ']', '{', '}', '|', '^'])
}

/// The lists together.
#[derive(Debug, Clone, Default)]
pub struct TableFilter {
    /// `schema.include.list`.
    pub schemas: NameList,
    /// `schema.exclude.list`.
    pub schemas_not: NameList,
    /// `table.include.list`.
    pub tables: NameList,
    /// `table.exclude.list`.
    pub tables_not: NameList,
}

impl TableFilter {
    /// Whether a table is captured.
    #[must_use]
    pub fn keeps(&self, schema: &str, table: &str) -> bool {
        let name = format!("{schema}.{table}");
        let built_in = BUILT_IN.contains(&schema) || schema.starts_with("pg_temp");
        !built_in
            && (self.schemas.is_empty() || self.schemas.matches(schema))
            && !self.schemas_not.matches(schema)
            && (self.tables.is_empty() || self.tables.matches(&name))
            && !self.tables_not.matches(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::{NameList, TableFilter};
    use tapline_sdk::ConfigValue;

    fn tables(list: &str) -> TableFilter {
        TableFilter {
            tables: NameList::parse(list).expect("parses"),
            ..TableFilter::default()
        }
    }

    #[test]
    fn a_name_means_itself() {
        let filter = tables("public.my_table, public.with space,Public.Up");
        assert!(filter.keeps("public", "my_table"));
        assert!(filter.keeps("public", "with space"));
        assert!(filter.keeps("Public", "Up"));
        assert!(!filter.keeps("public", "myXtable"));
        assert!(!filter.keeps("public", "up"));
        assert!(!filter.keeps("x", "public.my_table"));
    }

    #[test]
    fn a_pattern_covers_the_whole_name() {
        let filter = tables(r"public\.ord.*,s[12]\.t");
        assert!(filter.keeps("public", "orders"));
        assert!(filter.keeps("S1", "T"));
        assert!(!filter.keeps("xpublic", "orders"));
        assert!(!filter.keeps("s3", "t"));
        assert!(NameList::parse("a(").is_err());
    }

    #[test]
    fn exclusion_wins_and_the_servers_own_tables_are_never_kept() {
        let mut filter = tables("");
        filter.tables_not = NameList::parse("public.secret").expect("parses");
        assert!(filter.keeps("public", "open"));
        assert!(!filter.keeps("public", "secret"));
        assert!(!filter.keeps("pg_catalog", "pg_class"));
        assert!(!filter.keeps("information_schema", "tables"));
    }
}
