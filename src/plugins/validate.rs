//! Is a configuration valid? Answered key by key, as Kafka Connect's worker does, and before anything is stored.
//!
//! What Connect checks is said in Connect's words; what only this runtime refuses (unknown keys, options that are not
//! built, rules of a connector) comes from [`super::resolve`] and is added where Connect has said nothing of the key.
//! Connects to nothing: that is the probe's. No answer holds a secret or what a placeholder stands for (I9).

use super::{
    Found, Plugins, Resolved, across,
    form::{self, Of, Row},
    info::{ConfigInfo, ConfigInfos, ConfigKeyInfo, ConfigValueInfo},
    keys,
    parts::{self, Role},
    resolve,
    rules::{self, Text, Words},
};
use crate::{
    config::document::secrets,
    worker::{Author, ConnectorKind, Placeholders},
};
use std::collections::BTreeMap;
use tapline_sdk::{Error, Issue, Kind, Presence, Result};

/// What stands for a secret.
const HIDDEN: &str = "[hidden]";

/// What Connect says of a null.
const NULL: &str = "Null value can not be supplied as the configuration value.";

/// A configuration as a client sends it; `None` is JSON's null.
pub type Given = BTreeMap<String, Option<String>>;

/// A configuration that was looked at.
pub struct Validated {
    /// What is told of each key.
    pub infos: ConfigInfos,
    /// What a task reads; `None` if there is an error.
    pub resolved: Option<Resolved>,
}

impl Plugins {
    /// Looks at a configuration without I/O but for what placeholders read.
    ///
    /// # Errors
    /// The configuration names no class, or none that exists; the message is Connect's.
    pub fn validate(
        &self,
        given: &Given,
        placeholders: Option<&dyn Placeholders>,
        author: Author,
    ) -> Result<Validated> {
        let Some(Some(class)) = given.get(keys::CLASS.name()) else {
            return Err(no_class(given));
        };
        let found = self.lookup(class).or_else(|| self.shared(class, given));
        let found = found.ok_or_else(|| self.no_such(class))?;
        let mut check = Check::new(given, placeholders, author);
        let mut rows = form::all(&found, &check.written);
        for row in &mut rows {
            if let Some(class) = self.converters.class(&row.info.name) {
                row.info.default_value = Some(class.class.to_owned());
            }
        }
        let mut configs: Vec<ConfigInfo> = rows.into_iter().map(|row| check.judge(row)).collect();
        check.nulls_of_nobody(&mut configs);
        across::judge(&check, found.plugin.kind(), &mut configs);
        // As in Connect, a connector is asked about the whole only once each key by itself holds.
        let whole = count(&configs) == 0 && check.issues.is_empty();
        let resolved = resolve::resolve(found, class, &check.settings, &self.converters, whole);
        let resolved = match (resolved, placeholders) {
            (Ok(resolved), Some(placeholders)) => resolved.confined(placeholders.files(author)),
            (resolved, _) => resolved,
        };
        let (resolved, issues) = match resolved {
            Ok(resolved) => (Some(resolved), Vec::new()),
            Err(issues) => (None, issues),
        };
        let issues = std::mem::take(&mut check.issues).into_iter().chain(issues);
        check.add(issues.collect(), &mut configs);
        let infos = infos(class, configs);
        let valid = infos.error_count == 0;
        Ok(Validated {
            infos,
            resolved: resolved.filter(|_| valid),
        })
    }

    /// A short name that a source and a sink share means the sink where topics to read are named.
    fn shared(&self, class: &str, given: &Given) -> Option<Found> {
        let reads = [
            keys::TOPICS_LIST.name(),
            keys::TOPICS_REGEX.name(),
            keys::TOPICS_OF.name(),
        ];
        let kind = match reads.iter().any(|key| given.contains_key(*key)) {
            true => ConnectorKind::Sink,
            false => ConnectorKind::Source,
        };
        self.find(kind, class).ok()
    }

    fn no_such(&self, class: &str) -> Error {
        let known: Vec<&str> = self.list(true).iter().map(|plugin| plugin.class).collect();
        Error::config(format!(
            "Failed to find any class that implements Connector and which name matches {class}, \
             available connectors are: {}",
            known.join(", ")
        ))
        .remedy(
            "let connector.class name one of them, or an alias that GET /connector-plugins lists",
        )
    }
}

/// What Connect says of a configuration without a class. It prints all values; without the class nobody knows which of
/// them are secrets (I9).
pub fn no_class(given: &Given) -> Error {
    let named = |(key, value): (&String, &Option<String>)| match value {
        Some(name) if key == keys::NAME.name() => format!("{key}={name}"),
        _ => format!("{key}={HIDDEN}"),
    };
    let names: Vec<String> = given.iter().map(named).collect();
    let names = names.join(", ");
    let problem = format!("Connector config {{{names}}} contains no connector type");
    let remedy = "add connector.class; GET /connector-plugins lists what it may name";
    Error::config(problem).remedy(remedy)
}

impl ConfigInfos {
    /// Adds what a probe found, to the keys that it blames.
    pub fn add(
        &mut self,
        issues: Vec<Issue>,
        given: &Given,
        placeholders: Option<&dyn Placeholders>,
    ) {
        Check::new(given, placeholders, Author::Request).add(issues, &mut self.configs);
        self.error_count = count(&self.configs);
    }

    /// Adds an error to a key's own, without the secrets that it may repeat (I9).
    pub(super) fn blame(
        &mut self,
        key: &str,
        error: &str,
        given: &Given,
        (placeholders, author): (Option<&dyn Placeholders>, Author),
    ) {
        let error = Check::new(given, placeholders, author).scrubbed(error);
        let mut configs = self.configs.iter_mut();
        match configs.find(|config| config.value.name == key) {
            Some(config) => config.value.errors.push(error),
            None => self.configs.push(unknown(key, error)),
        }
        self.error_count = count(&self.configs);
    }
}

/// A configuration on its way through the checks.
pub(super) struct Check<'a> {
    pub(super) given: &'a Given,
    /// As written, nulls left out.
    pub(super) written: BTreeMap<String, String>,
    /// Placeholders filled in.
    pub(super) settings: BTreeMap<String, String>,
    issues: Vec<Issue>,
}

impl<'a> Check<'a> {
    fn new(given: &'a Given, placeholders: Option<&dyn Placeholders>, author: Author) -> Self {
        let written: BTreeMap<String, String> = given
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), value.clone()?)))
            .collect();
        let resolved = placeholders.map_or_else(
            || Ok(written.clone()),
            |placeholders| placeholders.resolve(&written, author),
        );
        let (settings, issues) = match resolved {
            Ok(settings) => (settings, Vec::new()),
            // What cannot be filled in is blamed already; the other keys are still worth a look.
            Err(issues) => (written.clone(), issues),
        };
        Self {
            given,
            written,
            settings,
            issues,
        }
    }

    /// One key by itself.
    fn judge(&self, row: Row) -> ConfigInfo {
        let (value, errors) = match self.given.get(&row.info.name) {
            None => self.missing(&row),
            Some(None) => null(&row),
            Some(Some(written)) => {
                let actual = self.settings.get(&row.info.name).unwrap_or(written);
                let shown = self.shown(&row.info.name, row.definition.kind, written);
                let text = Text {
                    shown: &shown,
                    actual,
                };
                let (value, errors) = of_value(&row, text);
                // A placeholder is shown as written, whatever the value became.
                let as_written = actual != written || shown != *written;
                (
                    value.map(|value| if as_written { shown.clone() } else { value }),
                    errors,
                )
            }
        };
        ConfigInfo {
            value: ConfigValueInfo {
                name: row.info.name.clone(),
                value,
                recommended_values: row.recommended,
                errors,
                visible: true,
            },
            definition: row.info,
        }
    }

    /// A null of a key that no form has: Connect refuses it as it refuses those of its own keys, and says so first.
    fn nulls_of_nobody(&self, configs: &mut Vec<ConfigInfo>) {
        let shown = |key: &String| configs.iter().any(|config| config.value.name == *key);
        let nulls = self.given.iter().filter(|(_, value)| value.is_none());
        let nobodys = nulls.filter(|(key, _)| !shown(key));
        let rows: Vec<_> = nobodys
            .map(|(key, _)| unknown(key, NULL.to_owned()))
            .collect();
        configs.splice(..0, rows);
    }

    fn missing(&self, row: &Row) -> (Option<String>, Vec<String>) {
        let value = row.filled.clone().or(row.info.default_value.clone());
        let missing = row.definition.presence == Presence::Required && value.is_none();
        let name = &row.info.name;
        let errors = missing.then(|| row.words.missing(name));
        (value, errors.into_iter().collect())
    }

    /// A value as it may be shown. What a placeholder stands for never is (I9).
    fn shown(&self, name: &str, kind: Kind, written: &str) -> String {
        let placeholder = self
            .settings
            .get(name)
            .is_some_and(|actual| actual != written);
        let secret = kind == Kind::Password
            || secrets::is_secret_key(name)
            || secrets::holds_password(written);
        if secret && !placeholder && !written.is_empty() {
            HIDDEN.to_owned()
        } else {
            written.to_owned()
        }
    }

    /// What the runtime refuses and Connect has said nothing of.
    fn add(&self, issues: Vec<Issue>, configs: &mut Vec<ConfigInfo>) {
        for issue in issues {
            let key = match issue.key.as_str() {
                "" => keys::CLASS.name(),
                key => key,
            };
            let at = configs.iter().position(|config| config.value.name == key);
            let said = at.and_then(|at| configs.get(at));
            if said.is_some_and(|config| !config.value.errors.is_empty())
                || across::told(key, configs)
            {
                continue;
            }
            let error = match issue.problem.as_str() {
                "is required" => Words::Kafka.missing(key),
                problem => self.scrubbed(&format!("{key} {problem}: {}", issue.remedy)),
            };
            match at.and_then(|at| configs.get_mut(at)) {
                Some(config) => config.value.errors.push(error),
                None => configs.push(unknown(key, error)),
            }
        }
    }

    /// A text of a connector's without secrets, should one repeat a value (I9).
    fn scrubbed(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (key, actual) in &self.settings {
            let written = self.written.get(key).unwrap_or(actual);
            let shown = self.shown(key, Kind::Text, written);
            if shown != *actual && !actual.is_empty() {
                text = text.replace(actual.as_str(), &shown);
            }
        }
        text
    }
}

/// A null: Connect refuses it for its own keys and takes it for a connector's, where ours counts as not given.
fn null(row: &Row) -> (Option<String>, Vec<String>) {
    let name = &row.info.name;
    let mut errors = Vec::new();
    match row.of {
        Of::Connector if row.definition.presence == Presence::Required => {
            errors.push(row.words.missing(name));
        }
        Of::Connector | Of::Part => {}
        // The name in the URL, or beside the configuration, takes its place.
        Of::Framework if name == keys::NAME.name() => {}
        Of::Framework | Of::Class(_) | Of::Version => {
            if name == keys::TASKS_MAX.name() {
                errors.push(rules::invalid(name, "null", "Value must be non-null"));
            }
            errors.push(NULL.to_owned());
        }
    }
    (None, errors)
}

/// A value that was given: what it is in Connect's form, and what is wrong with it.
fn of_value(row: &Row, text: Text<'_>) -> (Option<String>, Vec<String>) {
    if let Of::Class(role) = row.of {
        return of_class(role, row, text);
    }
    let said = &row.said;
    let value = match rules::typed(said, row.definition.kind, text, row.words) {
        Ok(value) => value,
        Err(error) => {
            let mut errors = vec![error];
            if said == keys::TASKS_MAX.name() {
                errors.push(rules::invalid(said, "null", "Value must be non-null"));
            }
            return (None, errors);
        }
    };
    let error = match row.of {
        Of::Framework => rules::framework(&row.info.name, text),
        Of::Version => None,
        _ => rules::declared(said, &row.definition, row.listed, text, row.words),
    };
    // Debezium shows no value that it refuses.
    let value = Some(value).filter(|_| error.is_none() || row.words == Words::Kafka);
    (value, error.into_iter().collect())
}

fn of_class(role: Role, row: &Row, text: Text<'_>) -> (Option<String>, Vec<String>) {
    let name = text.actual.trim();
    match parts::find(role, name) {
        Some(part) if part.role == role => (Some(part.class.to_owned()), Vec::new()),
        Some(part) => {
            let error = format!(
                "Class class {} does not implement the {} interface",
                part.class,
                role.interface()
            );
            (Some(part.class.to_owned()), vec![error])
        }
        None => {
            let why = format!("Class {} could not be found.", text.shown.trim());
            (None, vec![rules::invalid(&row.said, text.shown, &why)])
        }
    }
}

fn unknown(key: &str, error: String) -> ConfigInfo {
    ConfigInfo {
        definition: ConfigKeyInfo::unknown(key),
        // Nobody knows whether it is a secret, so it is not shown (I9).
        value: ConfigValueInfo {
            name: key.to_owned(),
            value: None,
            recommended_values: Vec::new(),
            errors: vec![error],
            visible: true,
        },
    }
}

fn infos(class: &str, configs: Vec<ConfigInfo>) -> ConfigInfos {
    let mut groups: Vec<String> = Vec::new();
    for group in configs
        .iter()
        .filter_map(|config| config.definition.group.as_ref())
    {
        if !groups.contains(group) {
            groups.push(group.clone());
        }
    }
    ConfigInfos {
        name: class.to_owned(),
        error_count: count(&configs),
        groups,
        configs,
    }
}

fn count(configs: &[ConfigInfo]) -> usize {
    configs.iter().map(|config| config.value.errors.len()).sum()
}

#[cfg(test)]
mod tests;
