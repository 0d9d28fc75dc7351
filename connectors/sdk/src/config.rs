//! Configuration keys, declared once: parsing, validation, REST, documentation and the pipeline schema read the same
//! constants. Owns checking of single values; rules across keys are a connector's own ([`crate::Connector::validate`]).

mod definition;

pub use definition::{ConfigValue, Definition, Importance, Key, Kind, Presence, Width};

use crate::{Error, Files, Result};
use std::{collections::BTreeMap, fmt, time::Duration};

/// One problem of a configuration, in an operator's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// The key; empty if no single key is to blame.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl Issue {
    /// A problem of this key.
    pub fn new(
        key: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            key: key.into(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}

/// A connector's settings with placeholders resolved, so they may hold secrets: hence no `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Config {
    settings: BTreeMap<String, String>,
    files: Files,
}

impl Config {
    /// These settings, unchecked: check them with [`Config::problems`].
    #[must_use]
    pub fn new(settings: BTreeMap<String, String>) -> Self {
        Self {
            settings,
            files: Files::default(),
        }
    }

    /// The same settings for a connector that may use only these files.
    #[must_use]
    pub fn confined(self, files: Files) -> Self {
        Self { files, ..self }
    }

    /// The files that the settings may name: a connector opens them through this.
    #[must_use]
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// The settings as given.
    #[must_use]
    pub fn settings(&self) -> &BTreeMap<String, String> {
        &self.settings
    }

    /// The text of a key as given, defaults apart.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    /// A key that has a default or is required.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] if the key is missing or its text does not parse.
    pub fn get<T: ConfigValue>(&self, key: &Key<T>) -> Result<T> {
        let name = key.definition.name;
        self.find(key)?.ok_or_else(|| {
            Error::config(format!("{name} has no value")).remedy(format!("set {name}"))
        })
    }

    /// A key that may be missing. Empty text counts as missing, as in Kafka Connect's tools.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] if its text does not parse.
    pub fn find<T: ConfigValue>(&self, key: &Key<T>) -> Result<Option<T>> {
        let Definition { name, presence, .. } = key.definition;
        let text = match (
            self.settings.get(name).filter(|text| !text.is_empty()),
            presence,
        ) {
            (Some(text), _) => text.as_str(),
            (None, Presence::Default(text)) => text,
            (None, Presence::Optional | Presence::Required) => return Ok(None),
        };
        T::parse(text)
            .map(Some)
            .map_err(|why| Error::config(format!("{name} {why}")))
    }

    /// Every key that is unknown, missing or malformed, each with a remedy. An unknown key names the nearest known
    /// one. Secrets are not repeated.
    #[must_use]
    pub fn problems(&self, definitions: &[Definition]) -> Vec<Issue> {
        let mut issues = Vec::new();
        for (name, text) in &self.settings {
            let Some(definition) = definitions.iter().find(|d| d.covers(name)) else {
                issues.push(unknown(name, definitions));
                continue;
            };
            if !text.is_empty()
                && let Err(why) = (definition.check)(text)
            {
                issues.push(Issue::new(name, why, remedy(definition)));
            }
        }
        for definition in definitions {
            let missing = self
                .settings
                .get(definition.name)
                .is_none_or(String::is_empty);
            if definition.presence == Presence::Required && missing {
                issues.push(Issue::new(
                    definition.name,
                    "is required",
                    remedy(definition),
                ));
            }
        }
        issues
    }
}

fn remedy(definition: &Definition) -> String {
    if definition.values.is_empty() {
        format!("set {}: {}", definition.name, definition.documentation)
    } else {
        format!(
            "set {} to one of: {}",
            definition.name,
            definition.values.join(", ")
        )
    }
}

fn unknown(name: &str, definitions: &[Definition]) -> Issue {
    let near = nearest(name, definitions.iter().map(|definition| definition.name));
    let remedy = match near {
        Some(known) => format!("did you mean {known}?"),
        None => "remove it, or see the connector's page for its keys".to_owned(),
    };
    Issue::new(name, "is not a key of this connector", remedy)
}

/// The known word that a mistyped one most likely means, if one is near enough.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|known| (edit_distance(word, known), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len().max(word.len()) / 3)
        .map(|(_, known)| known)
}

/// Levenshtein's distance, for suggestions.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

/// A secret: shown as asterisks, read with [`Secret::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself, for the one call that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("********")
    }
}

impl ConfigValue for Secret {
    const KIND: Kind = Kind::Password;
    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self::new(text))
    }
}

impl ConfigValue for String {
    const KIND: Kind = Kind::Text;
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl ConfigValue for Vec<String> {
    const KIND: Kind = Kind::List;
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect())
    }
}

impl ConfigValue for bool {
    const KIND: Kind = Kind::Boolean;
    const VALUES: &'static [&'static str] = &["true", "false"];
    fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            t if t.eq_ignore_ascii_case("true") => Ok(true),
            t if t.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err("is not true or false".to_owned()),
        }
    }
}

macro_rules! numbers {
    ($($number:ty: $kind:expr),*) => {$(
        impl ConfigValue for $number {
            const KIND: Kind = $kind;
            fn parse(text: &str) -> Result<Self, String> {
                text.trim().parse().map_err(|_| {
                    format!("is not a number from {} to {}", <$number>::MIN, <$number>::MAX)
                })
            }
        }
    )*};
}
numbers!(i16: Kind::Short, u16: Kind::Int, i32: Kind::Int, u32: Kind::Int, i64: Kind::Long, u64: Kind::Long);

impl ConfigValue for f64 {
    const KIND: Kind = Kind::Double;
    fn parse(text: &str) -> Result<Self, String> {
        text.trim()
            .parse()
            .map_err(|_| "is not a number".to_owned())
    }
}

/// Milliseconds, as in every Kafka key that ends in `.ms`.
impl ConfigValue for Duration {
    const KIND: Kind = Kind::Long;
    fn parse(text: &str) -> Result<Self, String> {
        u64::parse(text)
            .map(Self::from_millis)
            .map_err(|_| "is not a number of milliseconds".to_owned())
    }
}
