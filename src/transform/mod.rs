//! Single message transforms: what stands between a connector and the log, in the order in which it was written.
//!
//! Owns the keys `transforms` and `transforms.*` and the chain that they describe. Knows neither broker nor task; a
//! record that cannot be transformed is returned as an error with its index, and the task says what becomes of it.

mod chain;
mod regex_router;

pub use chain::{Chain, Kept, Step, Unfit};
pub use regex_router::RegexRouter;

use std::collections::BTreeMap;
use tapline_sdk::Issue;

/// Kafka Connect's package of transforms; the class may be written without it.
const PACKAGE: &str = "org.apache.kafka.connect.transforms.";

/// The settings of one transform by their short names, and the prefix to name them with in issues.
pub(crate) struct Keys<'a> {
    prefix: String,
    values: BTreeMap<&'a str, &'a str>,
}

/// Makes one step from its settings.
type Make = fn(&Keys<'_>) -> Result<Step, Vec<Issue>>;

/// Every transform by its short class name.
const TRANSFORMS: [(&str, Make); 1] = [("RegexRouter", regex_router::make)];

/// Reads `transforms` and `transforms.*` of a connector's settings.
///
/// # Errors
/// Every problem with its key.
pub fn parse(settings: &BTreeMap<String, String>) -> Result<Chain, Vec<Issue>> {
    let listed = settings
        .get("transforms")
        .map(String::as_str)
        .unwrap_or_default();
    let names: Vec<&str> = listed
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    let mut issues = strangers(settings, &names);
    let mut steps = Vec::new();
    for (at, name) in names.iter().enumerate() {
        if names.iter().take(at).any(|earlier| earlier == name) {
            issues.push(Issue::new(
                "transforms",
                format!("lists \"{name}\" twice"),
                "give each transform a name of its own",
            ));
            continue;
        }
        match step(settings, name) {
            Ok(step) => steps.push(step),
            Err(found) => issues.extend(found),
        }
    }
    if issues.is_empty() {
        Ok(Chain::new(steps))
    } else {
        Err(issues)
    }
}

/// Keys `transforms.x.…` where `x` is not listed: nobody would read them.
fn strangers(settings: &BTreeMap<String, String>, names: &[&str]) -> Vec<Issue> {
    let stranger = |key: &String| {
        let name = key.strip_prefix("transforms.")?.split('.').next()?;
        (!names.contains(&name)).then(|| {
            Issue::new(
                key,
                format!("belongs to \"{name}\", which `transforms` does not list"),
                format!("add {name} to transforms, or remove the key"),
            )
        })
    };
    settings.keys().filter_map(stranger).collect()
}

fn step(settings: &BTreeMap<String, String>, name: &str) -> Result<Step, Vec<Issue>> {
    let prefix = format!("transforms.{name}.");
    let values: BTreeMap<&str, &str> = settings
        .iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?, value.as_str())))
        .collect();
    let mut keys = Keys { prefix, values };
    for later in ["predicate", "negate"] {
        if keys.values.contains_key(later) {
            return Err(vec![keys.issue(
                later,
                "is not supported yet",
                "remove it: the transform then applies to every record",
            )]);
        }
    }
    let Some(class) = keys.values.remove("type") else {
        return Err(vec![keys.issue(
            "type",
            "is required",
            "set it to the transform's class, such as RegexRouter",
        )]);
    };
    let short = class.strip_prefix(PACKAGE).unwrap_or(class);
    match TRANSFORMS.iter().find(|(known, _)| *known == short) {
        Some((_, make)) => make(&keys),
        None => Err(vec![keys.issue(
            "type",
            format!("\"{class}\" is not a transform that exists here"),
            format!(
                "use one of: {}",
                TRANSFORMS.map(|(known, _)| known).join(", ")
            ),
        )]),
    }
}

impl Keys<'_> {
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
                    "is not a key of this transform",
                    format!("its keys are: type, {}", known.join(", ")),
                )
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
