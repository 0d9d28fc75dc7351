//! What Kafka Connect's worker says of values: of any type, and of its own keys.
//!
//! Owns the texts, which clients show and tests compare. They repeat a value as it may be shown: see
//! [`super::validate`].

use super::info::type_name;
use regex::Regex;
use tapline_sdk::{Definition, Kind, Presence};

/// A value as people wrote it and as it is.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    /// What may be shown: placeholders as written, secrets hidden.
    pub(super) shown: &'a str,
    /// What is checked.
    pub(super) actual: &'a str,
}

/// In whose words a connector's keys are judged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    Kafka,
    Debezium,
}

impl Words {
    pub(super) fn missing(self, name: &str) -> String {
        match self {
            Self::Kafka => {
                format!("Missing required configuration \"{name}\" which has no default value.")
            }
            Self::Debezium => format!("The '{name}' value is invalid: A value is required"),
        }
    }

    fn invalid(self, name: &str, text: Text<'_>, why: &str) -> String {
        match self {
            Self::Kafka => invalid(name, text.shown, why),
            Self::Debezium => format!("The '{name}' value is invalid: {why}"),
        }
    }

    fn not_a_boolean(self) -> &'static str {
        match self {
            Self::Kafka => "Expected value to be either true or false",
            Self::Debezium => "Either 'true' or 'false' is expected",
        }
    }

    fn not_a_number(self, kind: Kind) -> String {
        match self {
            Self::Kafka => format!("Not a number of type {}", type_name(kind)),
            Self::Debezium if kind == Kind::Double => "A double value is expected".to_owned(),
            Self::Debezium if kind == Kind::Long => "A long value is expected".to_owned(),
            Self::Debezium => "An integer is expected".to_owned(),
        }
    }
}

/// Kafka's form of a complaint.
pub(super) fn invalid(name: &str, shown: &str, why: &str) -> String {
    format!("Invalid value {shown} for configuration {name}: {why}")
}

/// The value in Kafka's form, or why it is none of its type.
pub(super) fn typed(
    name: &str,
    kind: Kind,
    text: Text<'_>,
    words: Words,
) -> Result<String, String> {
    let actual = text.actual.trim();
    let number = |number: Option<String>| {
        number.ok_or_else(|| words.invalid(name, text, &words.not_a_number(kind)))
    };
    match kind {
        Kind::Boolean if actual.eq_ignore_ascii_case("true") => Ok("true".to_owned()),
        Kind::Boolean if actual.eq_ignore_ascii_case("false") => Ok("false".to_owned()),
        Kind::Boolean => Err(words.invalid(name, text, words.not_a_boolean())),
        Kind::Short => number(actual.parse().ok().map(|n: i16| n.to_string())),
        Kind::Int => number(actual.parse().ok().map(|n: i32| n.to_string())),
        Kind::Long => number(actual.parse().ok().map(|n: i64| n.to_string())),
        Kind::Double => number(actual.parse().ok().map(|n: f64| n.to_string())),
        Kind::List => Ok(items(text.actual).join(",")),
        Kind::Class => Ok(actual.to_owned()),
        Kind::Text | Kind::Template | Kind::Password => Ok(text.actual.to_owned()),
    }
}

/// What the declaration of a connector's key says of a value that has the type. `listed`: its values are those that are
/// listed, and no others.
pub(super) fn declared(
    name: &str,
    definition: &Definition,
    listed: bool,
    text: Text<'_>,
    words: Words,
) -> Option<String> {
    if text.actual.is_empty() {
        return (definition.presence == Presence::Required).then(|| match words {
            Words::Kafka => invalid(name, text.shown, "String must be non-empty"),
            Words::Debezium => words.missing(name),
        });
    }
    let among = |values: &[&str]| {
        let mut values = values.iter();
        values.any(|value| value.eq_ignore_ascii_case(text.actual.trim()))
    };
    let why = match (definition.check)(text.actual) {
        Ok(()) if !listed || among(definition.values) => return None,
        checked => checked.err().unwrap_or_default(),
    };
    let why = match (definition.values, words) {
        ([], _) => why,
        (values, Words::Kafka) => format!("String must be one of: {}", values.join(", ")),
        (values, Words::Debezium) => format!("Value must be one of {}", values.join(", ")),
    };
    Some(words.invalid(name, text, &why))
}

/// What Connect says of a value of one of its own keys that has the type.
pub(super) fn framework(name: &str, text: Text<'_>) -> Option<String> {
    let value = text.actual;
    let why = match name {
        "name" if value.is_empty() => "String may not be empty".to_owned(),
        "name" => control_characters(value)?,
        "tasks.max" => match value.trim().parse::<i64>() {
            Ok(tasks) if tasks < 1 => {
                let shown = text.shown.trim();
                return Some(invalid(name, shown, "Value must be at least 1"));
            }
            _ => return None,
        },
        "config.action.reload" => one_of(value, &["none", "restart"])?,
        "errors.tolerance" => one_of(value, &["none", "all"])?,
        "exactly.once.support" => any_case(value, &["REQUIRED", "REQUESTED"])?,
        "transaction.boundary" => any_case(value, &["INTERVAL", "POLL", "CONNECTOR"])?,
        "offsets.storage.topic" if value.trim().is_empty() => "String must be non-empty".to_owned(),
        "transforms" | "predicates" | "topic.creation.groups" => {
            let items = items(value);
            let shown = format!("[{}]", items.join(", "));
            return duplicate(&items).then(|| invalid(name, &shown, "Duplicate alias provided."));
        }
        "topics" => return topic_list(&items(value)),
        "topics.regex" => regex(value)?,
        _ => return None,
    };
    Some(invalid(name, text.shown, &why))
}

/// The items of a list: commas part them, spaces around commas do not count.
pub(super) fn items(text: &str) -> Vec<&str> {
    match text.trim() {
        "" => Vec::new(),
        text => text.split(',').map(str::trim).collect(),
    }
}

fn topic_list(topics: &[&str]) -> Option<String> {
    let why = match topics {
        topics if topics.iter().any(|topic| topic.is_empty()) => "empty",
        topics if duplicate(topics) => "duplicated",
        _ => return None,
    };
    Some(format!("Configuration 'topics' values must not be {why}."))
}

fn duplicate(items: &[&str]) -> bool {
    let earlier = |at: usize| items.iter().take(at);
    (items.iter().enumerate()).any(|(at, item)| earlier(at).any(|other| other == item))
}

fn control_characters(name: &str) -> Option<String> {
    let found: Vec<String> = name
        .chars()
        .filter(|c| c.is_control())
        .map(|c| u32::from(c).to_string())
        .collect();
    (!found.is_empty()).then(|| {
        format!(
            "String may not contain control sequences but had the following ASCII chars: {}",
            found.join(", ")
        )
    })
}

fn one_of(value: &str, allowed: &[&str]) -> Option<String> {
    (!allowed.contains(&value)).then(|| format!("String must be one of: {}", allowed.join(", ")))
}

fn any_case(value: &str, allowed: &[&str]) -> Option<String> {
    let known = allowed.iter().any(|word| word.eq_ignore_ascii_case(value));
    (!known).then(|| {
        format!(
            "String must be one of (case insensitive): {}",
            allowed.join(", ")
        )
    })
}

fn regex(value: &str) -> Option<String> {
    let error = Regex::new(value).err()?.to_string();
    let why = error.lines().last().unwrap_or_default().trim();
    Some(format!(
        "Invalid regex: {}",
        why.trim_start_matches("error: ")
    ))
}
