//! Single message transforms: what stands between a connector and the log, in the order in which it was written.
//!
//! Owns the keys `transforms`, `predicates` and those under them, and the chain that they describe. Knows neither broker nor task; a
//! record that cannot be transformed is returned as an error with its index, and the task says what becomes of it.

mod chain;
mod filter;
mod predicate;
mod regex_router;

pub use chain::{Chain, Kept, Step, Unfit};
pub(crate) use predicate::PREDICATES;
pub use predicate::{Condition, Test};
pub use regex_router::{Pattern, RegexRouter};

use predicate::Tests;

use std::collections::BTreeMap;
use tapline_sdk::{ConfigValue, Definition, Issue, Key};

/// Kafka Connect's package of transforms; the class may be written without it.
const PACKAGE: &str = "org.apache.kafka.connect.transforms.";

/// The settings of one transform or predicate by their short names, and the prefix to name them with in issues.
pub(crate) struct Keys<'a> {
    prefix: String,
    values: BTreeMap<&'a str, &'a str>,
}

/// Makes one step from its settings.
pub(crate) type MakeStep = fn(&Keys<'_>) -> Result<Step, Vec<Issue>>;

/// A class that settings can name.
pub(crate) struct Class<M> {
    /// The class in full.
    pub(crate) name: &'static str,
    /// Its keys.
    pub(crate) keys: &'static [Definition],
    make: M,
}

/// Every transform.
pub(crate) const TRANSFORMS: [Class<MakeStep>; 2] = [
    Class {
        name: "org.apache.kafka.connect.transforms.Filter",
        keys: &[],
        make: filter::make,
    },
    Class {
        name: "org.apache.kafka.connect.transforms.RegexRouter",
        keys: &regex_router::KEYS,
        make: regex_router::make,
    },
];

/// Reads `transforms`, `predicates` and the keys under them of a connector's settings.
///
/// # Errors
/// Every problem with its key.
pub fn parse(settings: &BTreeMap<String, String>) -> Result<Chain, Vec<Issue>> {
    let mut issues = Vec::new();
    let tests = Tests::parse(settings, &mut issues);
    let listed = settings.get("predicates").map_or("", String::as_str);
    let mut steps = Vec::new();
    for name in list(settings, "transforms", &mut issues) {
        let made = Keys::of(settings, "transforms", name).and_then(|mut keys| {
            let make = pick(&TRANSFORMS, "transform", &mut keys)?;
            let condition = tests.condition(listed, &mut keys)?;
            Ok((condition, make(&keys)?))
        });
        match made {
            Ok(step) => steps.push(step),
            Err(found) => issues.extend(found),
        }
    }
    if issues.is_empty() {
        Ok(Chain::conditional(steps))
    } else {
        Err(issues)
    }
}

/// The names that a key lists, each once. Names listed twice and settings of names that are not listed are issues.
fn list<'a>(
    settings: &'a BTreeMap<String, String>,
    key: &str,
    issues: &mut Vec<Issue>,
) -> Vec<&'a str> {
    let text = settings.get(key).map_or("", String::as_str);
    let mut names: Vec<&str> = Vec::new();
    for name in text
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        if names.contains(&name) {
            let problem = format!("lists \"{name}\" twice");
            let remedy = format!("give each of the {key} a name of its own");
            issues.push(Issue::new(key, problem, remedy));
        } else {
            names.push(name);
        }
    }
    issues.extend(strangers(settings, key, &names));
    names
}

/// Keys `transforms.x.…` where `x` is not listed: nobody would read them.
fn strangers(settings: &BTreeMap<String, String>, list: &str, names: &[&str]) -> Vec<Issue> {
    let stranger = |key: &String| {
        let name = key
            .strip_prefix(list)?
            .strip_prefix('.')?
            .split('.')
            .next()?;
        (!names.contains(&name)).then(|| {
            Issue::new(
                key,
                format!("belongs to \"{name}\", which `{list}` does not list"),
                format!("add {name} to {list}, or remove the key"),
            )
        })
    };
    settings.keys().filter_map(stranger).collect()
}

/// Takes `type` out of the keys and finds what makes it.
fn pick<M: Copy>(classes: &[Class<M>], what: &str, keys: &mut Keys<'_>) -> Result<M, Vec<Issue>> {
    // There is one version of each; Kafka Connect's forms send it along.
    keys.values.remove("plugin.version");
    let simple = |class: &'static str| class.rsplit('.').next().unwrap_or(class);
    let Some(named) = keys.values.remove("type") else {
        let some = classes.first().map_or("", |class| simple(class.name));
        let remedy = format!("set it to the {what}'s class, such as {some}");
        return Err(vec![keys.issue("type", "is required", remedy)]);
    };
    let mut found = classes.iter();
    match found.find(|class| class.name == named || simple(class.name) == named) {
        Some(class) => Ok(class.make),
        None => {
            let known: Vec<&str> = classes.iter().map(|class| simple(class.name)).collect();
            Err(vec![keys.issue(
                "type",
                format!("\"{named}\" is not a {what} that exists here"),
                format!("use one of: {}", known.join(", ")),
            )])
        }
    }
}

impl<'a> Keys<'a> {
    /// The settings of one of the names that `list` holds.
    fn of(
        settings: &'a BTreeMap<String, String>,
        list: &str,
        name: &str,
    ) -> Result<Self, Vec<Issue>> {
        let prefix = format!("{list}.{name}.");
        let values = settings.iter();
        let values = values
            .filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?, value.as_str())))
            .collect();
        Ok(Self { prefix, values })
    }

    /// The value of the one key that must be given, where `others` are the keys that may be.
    pub(crate) fn only<T: ConfigValue>(
        &self,
        key: &Key<T>,
        others: &[&str],
    ) -> Result<T, Vec<Issue>> {
        let known = [others, &[key.name()]].concat();
        let mut issues = self.unknown(&known);
        let text = self.required(key.name(), &mut issues);
        match text.map(T::parse) {
            Some(Ok(value)) if issues.is_empty() => Ok(value),
            Some(Err(why)) => {
                issues.push(self.issue(key.name(), why, "correct it"));
                Err(issues)
            }
            _ => Err(issues),
        }
    }

    /// A problem of one of this transform's keys.
    pub(crate) fn issue(
        &self,
        key: &str,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Issue {
        Issue::new(format!("{}{key}", self.prefix), problem, remedy)
    }

    /// A key that must be given; missing, it is added to `issues`.
    pub(crate) fn required(&self, key: &str, issues: &mut Vec<Issue>) -> Option<&str> {
        let value = self.values.get(key).copied();
        if value.is_none() {
            issues.push(self.issue(key, "is required", format!("set {}{key}", self.prefix)));
        }
        value
    }

    /// Keys that this transform does not read.
    pub(crate) fn unknown(&self, known: &[&str]) -> Vec<Issue> {
        self.values
            .keys()
            .filter(|key| !known.contains(key))
            .map(|key| {
                self.issue(
                    key,
                    "is not a key of it",
                    format!("use its keys: {}", [&["type"], known].concat().join(", ")),
                )
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
