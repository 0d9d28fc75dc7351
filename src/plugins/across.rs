//! Rules across keys that Kafka Connect's worker has: topics of sinks, predicates of transforms, versions.
//!
//! Owns their texts. A connector's own rules are its `validate`.

use super::{info::ConfigInfo, keys, rules, validate::Check};
use crate::worker::ConnectorKind;
use regex::Regex;

/// Adds what these rules complain of to the keys that they blame.
pub(super) fn judge(check: &Check<'_>, kind: ConnectorKind, configs: &mut [ConfigInfo]) {
    Rules(check).all(kind, configs);
}

struct Rules<'a>(&'a Check<'a>);

impl Rules<'_> {
    /// Rules across keys that Connect has.
    fn all(&self, kind: ConnectorKind, configs: &mut [ConfigInfo]) {
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
        let names = self.0.written.iter().filter_map(|(key, version)| {
            Some((key, version, key.strip_suffix(".plugin.version")?))
        });
        for (key, version, of) in names {
            let class = match of {
                "connector" => keys::CLASS.name().to_owned(),
                converter if converter.ends_with(".converter") => converter.to_owned(),
                part => format!("{part}.type"),
            };
            let row = |name: &str| configs.iter().find(|config| config.value.name == name);
            let plugin = row(&class).and_then(|row| row.value.value.clone());
            let known = row(key).and_then(|row| row.definition.default_value.clone());
            let Some(known) = known.filter(|known| known != version) else {
                continue;
            };
            let plugin = plugin.unwrap_or_default();
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
        let text = |name| self.0.settings.get(name).map_or("", |text| text.trim());
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
            return;
        }
        let whole = format!(r"\A(?:{})\z", text(REGEX));
        if topics.contains(&dead) {
            let listed = topics.join(", ");
            let error = format!(
                "The DLQ topic '{dead}' may not be included in the list of topics ('topics=[{listed}]') \
                 consumed by the connector"
            );
            blame(configs, TOPICS, error);
        } else if Regex::new(&whole).is_ok_and(|regex| regex.is_match(dead)) {
            let regex = text(REGEX);
            let error = format!(
                "The DLQ topic '{dead}' may not be matched by the regex for the topics ('topics.regex={regex}') \
                 consumed by the connector"
            );
            blame(configs, REGEX, error);
        }
    }

    fn has(&self, name: &str) -> bool {
        self.0.given.contains_key(name)
    }
}

/// Whether what the runtime has to say of this key was said of another already.
pub(super) fn told(key: &str, configs: &[ConfigInfo]) -> bool {
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
