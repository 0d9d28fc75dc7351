//! Is a configuration valid? Answered key by key, as Kafka Connect's worker does, and before anything is stored.
//!
//! What Connect checks is said in Connect's words; what only this runtime refuses (unknown keys, options that are not
//! built, rules of a connector) comes from [`super::resolve`] and is added where Connect has said nothing of the key.
//! Connects to nothing: that is the probe's. No answer holds a secret or what a placeholder stands for (I9).

use super::{
    Found, Plugins, Resolved,
    form::{self, Of, Row},
    info::{ConfigInfo, ConfigInfos, ConfigKeyInfo, ConfigValueInfo, PluginInfo},
    keys,
    parts::{self, Role},
    resolve,
    rules::{self, Text, Words},
};
use crate::{
    config::document::secrets,
    worker::{ConnectorKind, Placeholders},
};
use std::collections::BTreeMap;
use tapline_sdk::{Error, Issue, Kind, Presence, Result};

/// What stands for a secret.
const HIDDEN: &str = "[hidden]";

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
    ) -> Result<Validated> {
        let Some(Some(class)) = given.get(keys::CLASS.name()) else {
            // Connect prints all values; without the class nobody knows which of them are secrets (I9).
            let named = |(key, value): (&String, &Option<String>)| match value {
                Some(name) if key == keys::NAME.name() => format!("{key}={name}"),
                _ => format!("{key}={HIDDEN}"),
            };
            let names: Vec<String> = given.iter().map(named).collect();
            let names = names.join(", ");
            let problem = format!("Connector config {{{names}}} contains no connector type");
            return Err(Error::config(problem));
        };
        let found = self.lookup(class).or_else(|| self.shared(class, given));
        let found = found.ok_or_else(|| self.no_such(class))?;
        let mut check = Check::new(given, placeholders);
        let mut configs: Vec<ConfigInfo> = form::all(&found, &check.written)
            .into_iter()
            .map(|row| check.judge(row))
            .collect();
        check.across(found.plugin.kind(), &mut configs);
        // As in Connect, a connector is asked about the whole only once each key by itself holds.
        let whole = count(&configs) == 0 && check.issues.is_empty();
        let resolved = resolve::resolve(found, class, &check.settings, whole);
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

    /// The keys of a plugin of any kind, the connector's own first; `None` if there is none of that name.
    #[must_use]
    pub fn definitions(&self, plugin: &str) -> Option<Vec<ConfigKeyInfo>> {
        let rows = match self.lookup(plugin) {
            Some(found) => {
                let mut rows = form::own(&found);
                let named = |row: &Row| rows.iter().any(|own| own.info.name == row.info.name);
                let rest: Vec<Row> = form::framework(&found)
                    .into_iter()
                    .filter(|row| !named(row))
                    .collect();
                rows.extend(rest);
                rows
            }
            None => form::part(&parts::named(plugin)?),
        };
        Some(rows.into_iter().map(|row| row.info).collect())
    }

    /// The version of a plugin of any kind.
    #[must_use]
    pub fn version(&self, plugin: &str) -> Option<&'static str> {
        let connector = self.lookup(plugin).map(|found| found.plugin.info().version);
        connector.or_else(|| parts::named(plugin).map(|_| form::VERSION))
    }

    /// Every class that settings can name, in Connect's order: sinks, sources, and the parts unless only connectors
    /// are asked for. A connector stands there under its own class and under each of its aliases'.
    #[must_use]
    pub fn list(&self, connectors_only: bool) -> Vec<PluginInfo> {
        let of = |kind: ConnectorKind| {
            let mut found: Vec<PluginInfo> = Vec::new();
            for plugin in self.all().filter(|plugin| plugin.kind() == kind) {
                let info = plugin.info();
                // Last words of classes are names, too, but no classes.
                let aliases = info.aliases.iter().map(|alias| alias.class);
                let aliases = aliases.filter(|class| class.contains('.'));
                found.extend(aliases.chain([info.class]).map(|class| PluginInfo {
                    class,
                    kind: kind.as_str(),
                    version: info.version,
                }));
            }
            found.sort_by_key(|plugin| plugin.class);
            found
        };
        let mut list = of(ConnectorKind::Sink);
        list.extend(of(ConnectorKind::Source));
        if !connectors_only {
            list.extend(parts::all().into_iter().map(|part| PluginInfo {
                class: part.class,
                kind: part.role.word(),
                version: form::VERSION,
            }));
        }
        list
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
    }
}

impl ConfigInfos {
    /// Adds what a probe found, to the keys that it blames.
    pub fn add(
        &mut self,
        issues: Vec<Issue>,
        given: &Given,
        placeholders: Option<&dyn Placeholders>,
    ) {
        Check::new(given, placeholders).add(issues, &mut self.configs);
        self.error_count = count(&self.configs);
    }
}

/// A configuration on its way through the checks.
struct Check<'a> {
    given: &'a Given,
    /// As written, nulls left out.
    written: BTreeMap<String, String>,
    /// Placeholders filled in.
    settings: BTreeMap<String, String>,
    issues: Vec<Issue>,
}

impl<'a> Check<'a> {
    fn new(given: &'a Given, placeholders: Option<&dyn Placeholders>) -> Self {
        let written: BTreeMap<String, String> = given
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), value.clone()?)))
            .collect();
        let resolved = placeholders.map_or_else(|| Ok(written.clone()), |p| p.resolve(&written));
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

    /// Rules across keys that Connect has.
    fn across(&self, kind: ConnectorKind, configs: &mut [ConfigInfo]) {
        if kind == ConnectorKind::Sink {
            self.topics(configs);
        }
        self.versions(configs);
        for config in configs.iter_mut() {
            let transform = config.value.name.strip_prefix("transforms.");
            let Some(name) = transform.and_then(|rest| rest.strip_suffix(".type")) else {
                continue;
            };
            let prefix = format!("transforms.{name}");
            if self.has(&format!("{prefix}.negate")) && !self.has(&format!("{prefix}.predicate")) {
                config.value.errors.push(format!(
                    "Config '{prefix}.negate' was provided but there is no config '{prefix}.predicate' \
                     defining a predicate to be negated."
                ));
            }
        }
    }

    /// There is one version of each plugin; another is blamed on the class, too.
    fn versions(&self, configs: &mut [ConfigInfo]) {
        let names = self.written.iter().filter_map(|(key, version)| {
            Some((key, version, key.strip_suffix(".plugin.version")?))
        });
        for (key, version, of) in names {
            let class = match of {
                "connector" => keys::CLASS.name().to_owned(),
                converter if converter.ends_with(".converter") => converter.to_owned(),
                part => format!("{part}.type"),
            };
            let default = |name: &str, configs: &[ConfigInfo]| {
                let row = configs.iter().find(|config| config.value.name == name)?;
                row.definition
                    .default_value
                    .clone()
                    .or(row.value.value.clone())
            };
            let plugin = default(&class, configs).unwrap_or_default();
            let Some(known) = default(key, configs).filter(|known| known != version) else {
                continue;
            };
            let error = format!(
                "Plugin {plugin} not found that matches the version range [{version},{version}], \
                 available versions: [{known}]"
            );
            blame(configs, &class, error.clone());
            blame(configs, key, error);
        }
    }

    /// Sinks name their topics in one way, and do not read their own dead letters.
    fn topics(&self, configs: &mut [ConfigInfo]) {
        const TOPICS: &str = "topics";
        const REGEX: &str = "topics.regex";
        let text = |name| self.settings.get(name).map_or("", |text| text.trim());
        let both = match (text(TOPICS), text(REGEX)) {
            ("", "") if text(keys::TOPICS_OF.name()).is_empty() => {
                "Must configure one of topics or topics.regex"
            }
            ("", _) | (_, "") => "",
            _ => "topics and topics.regex are mutually exclusive options, but both are set.",
        };
        if !both.is_empty() {
            for name in [TOPICS, REGEX] {
                blame(configs, name, both.to_owned());
            }
        }
        let dead = text("errors.deadletterqueue.topic.name");
        let topics = rules::items(text(TOPICS));
        if dead.is_empty() {
        } else if topics.contains(&dead) {
            let topics = topics.join(", ");
            blame(
                configs,
                TOPICS,
                format!(
                    "The DLQ topic '{dead}' may not be included in the list of topics ('topics=[{topics}]') \
                 consumed by the connector"
                ),
            );
        } else if regex::Regex::new(&format!(r"\A(?:{})\z", text(REGEX)))
            .is_ok_and(|r| r.is_match(dead))
        {
            blame(
                configs,
                REGEX,
                format!(
                    "The DLQ topic '{dead}' may not be matched by the regex for the topics ('topics.regex={}') \
                 consumed by the connector",
                    text(REGEX)
                ),
            );
        }
    }

    fn has(&self, name: &str) -> bool {
        self.given.contains_key(name)
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
            if said.is_some_and(|config| !config.value.errors.is_empty()) || told(key, configs) {
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

/// Whether what the runtime has to say of this key was said of another already.
fn told(key: &str, configs: &[ConfigInfo]) -> bool {
    let blamed = |name: &str, word: &str| {
        let mut of_name = configs.iter().filter(|config| config.value.name == name);
        of_name.any(|config| config.value.errors.iter().any(|error| error.contains(word)))
    };
    if key == "errors.deadletterqueue.topic.name" {
        return blamed("topics", "DLQ") || blamed("topics.regex", "DLQ");
    }
    let transform = key
        .strip_prefix("transforms.")
        .and_then(|rest| rest.strip_suffix(".negate"));
    transform.is_some_and(|name| blamed(&format!("transforms.{name}.type"), ".negate'"))
}

fn blame(configs: &mut [ConfigInfo], name: &str, error: String) {
    if let Some(config) = configs.iter_mut().find(|config| config.value.name == name) {
        config.value.errors.push(error);
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
            errors.push("Null value can not be supplied as the configuration value.".to_owned());
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
        _ => rules::declared(said, &row.definition, text, row.words),
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
