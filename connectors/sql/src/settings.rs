//! What the keys mean together: the parsed configuration of one sink, and the rules across keys.

use crate::{
    address::Address,
    keys::{self, Evolution, InsertMode, KeyMode},
    naming::{SCHEMA_DEFAULT, TableName, TableTemplate},
};
use tapline_sdk::{Config, Error, Issue};

/// A sink's configuration, parsed.
#[derive(Clone)]
pub struct Settings {
    /// Where the target is and who we are.
    pub address: Address,
    /// How rows are written.
    pub insert_mode: InsertMode,
    /// Whether deletes are applied.
    pub deletes: bool,
    /// Whether truncates and snapshot beginnings are applied.
    pub truncates: bool,
    /// Where keys come from.
    pub key_mode: KeyMode,
    /// The fields of the key; empty: all of the record's key.
    pub key_fields: Vec<String>,
    /// Whether missing tables are created.
    pub creates_tables: bool,
    /// Whether columns are added and retyped.
    pub changes_columns: bool,
    /// Makes table names.
    pub template: TableTemplate,
    /// Whether names are folded to lower case.
    pub folds_case: bool,
    /// The table of positions.
    pub positions: TableName,
}

impl Settings {
    /// Parses the settings.
    ///
    /// # Errors
    /// A key is missing, malformed, or contradicts another.
    pub fn parse(config: &Config) -> Result<Self, Error> {
        let address = Address::parse(
            &config.get(&keys::URL)?,
            config.find(&keys::USERNAME)?,
            config.find(&keys::PASSWORD)?,
        )?;
        let basic = config.get(&keys::EVOLUTION)? == Evolution::Basic;
        let settings = Self {
            address,
            insert_mode: config.get(&keys::INSERT_MODE)?,
            deletes: config.get(&keys::DELETE)?,
            truncates: config.get(&keys::TRUNCATE)?,
            key_mode: config.get(&keys::KEY_MODE)?,
            key_fields: config.find(&keys::KEY_FIELDS)?.unwrap_or_default(),
            creates_tables: config.find(&keys::AUTO_CREATE)?.unwrap_or(basic),
            changes_columns: config.find(&keys::AUTO_EVOLVE)?.unwrap_or(basic),
            template: config.get(&keys::TABLE_NAME)?,
            folds_case: !config.get(&keys::QUOTE)?,
            positions: positions(&config.get(&keys::POSITIONS)?)?,
        };
        match settings.contradictions().into_iter().next() {
            Some(issue) => Err(Error::config(format!("{} {}", issue.key, issue.problem))
                .code("TL0401")
                .remedy(issue.remedy)),
            None => Ok(settings),
        }
    }

    /// Every problem of the settings, for `validate`.
    #[must_use]
    pub fn issues(config: &Config) -> Vec<Issue> {
        match Self::parse(config) {
            Ok(settings) => settings.contradictions(),
            Err(error) => {
                let named = |word: &str| keys::INFO.keys.iter().any(|key| key.name == word);
                let key = error
                    .context
                    .split(' ')
                    .find(|word| named(word))
                    .unwrap_or_default();
                vec![Issue::new(
                    key,
                    error.chain(),
                    error
                        .remedy
                        .unwrap_or_else(|| "correct the value".to_owned()),
                )]
            }
        }
    }

    fn contradictions(&self) -> Vec<Issue> {
        let mut issues = Vec::new();
        let keyless = self.key_mode == KeyMode::None;
        if keyless && self.insert_mode != InsertMode::Insert {
            issues.push(Issue::new(
                "primary.key.mode",
                "is none, but insert.mode finds rows by their key",
                "set primary.key.mode to record_key, or insert.mode to insert",
            ));
        }
        if self.key_mode == KeyMode::RecordValue && self.key_fields.is_empty() {
            issues.push(Issue::new(
                "primary.key.fields",
                "is required when primary.key.mode is record_value",
                "name the fields that make the key",
            ));
        }
        issues
    }

    /// A name as this target spells it.
    #[must_use]
    pub fn spelled(&self, name: &str) -> String {
        if self.folds_case {
            name.to_ascii_lowercase()
        } else {
            name.to_owned()
        }
    }
}

fn positions(name: &str) -> Result<TableName, Error> {
    match name.split_once('.') {
        Some((schema, table)) => TableName::new(schema, table),
        None => TableName::new(SCHEMA_DEFAULT, name),
    }
}
