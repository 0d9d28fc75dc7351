//! The JSON Schema of pipeline files, made from the keys that connectors declare, so that editors complete and check
//! them.
//!
//! Topics take the log's own settings. Every key is known under each of its spellings: `database.hostname`, and `database:` with `hostname:` in it. What a
//! schema cannot say (a key that is required however it is spelt, rules across keys) is left to `tapline validate`.
//! Under another product's class name keys are completed and unknown ones are let through, for that name brings words
//! of its own.

use super::topics;
use crate::{
    broker::TOPIC_SETTINGS,
    plugins::{Plugin, Plugins, keys},
    worker::ConnectorKind,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tapline_sdk::{Definition, Kind, Presence};

/// Names of pipelines and parts.
const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9_-]{0,47}$";

/// Names of topics.
const TOPIC: &str = "^[A-Za-z0-9._-]{1,249}$";

/// Written by Tapline itself, or said by other words of the file.
const NOT_IN_FILES: [&str; 3] = ["name", "connector.class", "tapline.pipeline"];

/// The schema, for the connectors of a worker.
#[must_use]
pub fn schema(plugins: &Plugins) -> Value {
    let mut definitions = Map::new();
    for (word, kind) in [
        ("source", ConnectorKind::Source),
        ("sink", ConnectorKind::Sink),
    ] {
        let of_kind: Vec<Plugin> = plugins.all().filter(|one| one.kind() == kind).collect();
        for plugin in &of_kind {
            Keys::of(plugin).define(&format!("{word}.{}", plugin.info().short), &mut definitions);
        }
        definitions.insert(word.to_owned(), part(word, &of_kind));
    }
    define_topic(&mut definitions);
    definitions.insert("from".to_owned(), from());
    definitions.insert("transforms".to_owned(), transforms());
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Tapline pipeline",
        "description": "What a Tapline worker moves: docs/pipeline.md describes every word.",
        "type": "object",
        "required": ["version", "name"],
        "additionalProperties": false,
        "properties": {
            "version": {"description": "the version of the file's form", "enum": [1, "1"]},
            "name": {
                "description": "the pipeline's name: connectors are called <name>.<part>",
                "type": ["string", "integer"],
                "pattern": NAME,
            },
            "topics": {
                "description": "topics that are there before a connector starts, by name",
                "type": ["object", "null"],
                "propertyNames": {"pattern": TOPIC},
                "additionalProperties": {"anyOf": [reference("topic"), {"type": "null"}]},
            },
            "source": reference("source"),
            "sources": parts("source"),
            "sink": reference("sink"),
            "sinks": parts("sink"),
        },
        "definitions": definitions,
    })
}

/// The schema as it stands in a file.
#[must_use]
pub fn schema_text(plugins: &Plugins) -> String {
    format!("{:#}\n", schema(plugins))
}

fn parts(word: &str) -> Value {
    json!({
        "description": format!("{word}s by name"),
        "type": ["object", "null"],
        "propertyNames": {"pattern": NAME},
        "additionalProperties": reference(word),
    })
}

/// A part: which keys it takes is decided by its connector.
fn part(word: &str, plugins: &[Plugin]) -> Value {
    let mut classes: Vec<&str> = Vec::new();
    let mut rules = Vec::new();
    for info in plugins.iter().map(Plugin::info) {
        let keys = reference(&format!("{word}.{}", info.short));
        let own = [info.short, info.class];
        let aliases: Vec<&str> = info.aliases.iter().map(|alias| alias.class).collect();
        rules.push(json!({
            "if": {"required": ["connector"], "properties": {"connector": {"enum": own}}},
            "then": keys,
        }));
        classes.extend(own);
        classes.extend(aliases);
    }
    // Said here for the classes of other products, too, under which every other key is let through.
    let mut properties: Map<String, Value> = NOT_IN_FILES
        .iter()
        .map(|key| ((*key).to_owned(), json!(false)))
        .collect();
    let connector = json!({"description": "short name or class", "enum": classes});
    properties.insert("connector".to_owned(), connector);
    json!({
        "description": format!("a {word} connector and its keys"),
        "type": "object",
        "required": ["connector"],
        "properties": properties,
        "allOf": rules,
    })
}

/// A topic: the settings of its log, and how many partitions it has.
fn define_topic(into: &mut Map<String, Value>) {
    let settings = TOPIC_SETTINGS.iter().map(|setting| {
        let kind = match setting.name {
            "cleanup.policy" => Kind::List,
            _ if setting.is_number() => Kind::Double,
            _ => Kind::Text,
        };
        Definition {
            documentation: setting.documentation,
            values: setting.values(),
            ..Definition::foreign(setting.name, kind, "")
        }
    });
    let partitions = Definition {
        documentation: "how many partitions it is made with; 1 keeps the order of a table's changes",
        ..Definition::foreign(topics::PARTITIONS, Kind::Int, "")
    };
    let definitions: Vec<Definition> = settings.chain([partitions]).collect();
    let keys = Keys {
        words: &[],
        definitions: definitions.iter().collect(),
        inert: &[],
    };
    let topic = keys.level("topic", "", into);
    into.insert("topic".to_owned(), topic);
}

fn from() -> Value {
    let texts = json!({"type": ["string", "array"], "items": {"type": "string"}});
    json!({
        "description": "which topics the sink reads; without it, all of this file's sources",
        "type": "object",
        "additionalProperties": false,
        "minProperties": 1,
        "properties": {
            "topics": texts,
            "tables": texts,
            "regex": {"description": "matches a topic's whole name", "type": "string"},
        },
    })
}

fn transforms() -> Value {
    json!({
        "description": "transforms in the order in which they apply",
        "type": ["string", "array"],
        "items": {
            "type": ["string", "object"],
            "maxProperties": 1,
            "additionalProperties": {"type": ["object", "null"]},
        },
    })
}

/// A part's keys as a tree of their words.
struct Keys<'d> {
    /// Words that only the file knows, with their definitions.
    words: &'static [&'static str],
    definitions: Vec<&'d Definition>,
    inert: &'static [&'static str],
}

impl Keys<'static> {
    fn of(plugin: &Plugin) -> Self {
        let own = plugin.info().keys.iter();
        let shared = keys::ALL.iter().filter(|definition| {
            let known = |own: &Definition| own.name == definition.name;
            !plugin.info().keys.iter().any(known)
        });
        let in_files = |definition: &&Definition| !NOT_IN_FILES.contains(&definition.name);
        let mut definitions: Vec<&Definition> = own.chain(shared).filter(in_files).collect();
        let words: &[&str] = match plugin.kind() {
            ConnectorKind::Source => {
                let sinks = ["topics", "topics.regex", "topics.of"];
                definitions.retain(|definition| !sinks.contains(&definition.name));
                &["transforms"]
            }
            ConnectorKind::Sink => &["transforms", "from"],
        };
        Self {
            words,
            definitions,
            inert: plugin.info().inert,
        }
    }
}

impl Keys<'_> {
    /// Adds the part's definition, and one for every word that keys begin with.
    fn define(&self, name: &str, into: &mut Map<String, Value>) {
        let mut object = self.level(name, "", into);
        if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
            properties.insert("connector".to_owned(), json!(true));
            for word in self.words {
                properties.insert((*word).to_owned(), reference(word));
            }
        }
        into.insert(name.to_owned(), object);
    }

    /// What may stand below `prefix` (`""`, or `database.`): the rest of every key, whole or up to a dot.
    fn level(&self, name: &str, prefix: &str, into: &mut Map<String, Value>) -> Value {
        let mut properties: BTreeMap<String, Value> = BTreeMap::new();
        let mut patterns = Map::new();
        let inert = self.inert.iter().map(|key| (*key, without_meaning()));
        let own = self.definitions.iter().map(|definition| {
            let leaf = format!("{}={}", name, definition.name);
            let schema = reference(&leaf);
            into.entry(leaf).or_insert_with(|| value(definition));
            (definition.name, schema)
        });
        let all: Vec<(&str, Value)> = inert.chain(own).collect();
        for (key, schema) in all {
            let Some(rest) = key.strip_prefix(prefix) else {
                continue;
            };
            for (at, _) in rest.match_indices('.') {
                let (word, _) = rest.split_at(at);
                self.below(name, prefix, word, into, &mut properties);
            }
            match rest.strip_suffix('*') {
                Some(family) => {
                    let pattern = format!("^{}", family.replace('.', "\\."));
                    let members = json!({"type": "object"});
                    patterns.insert(pattern, either(schema, Some(members)));
                }
                None => {
                    let known = properties.remove(rest);
                    properties.insert(rest.to_owned(), either(schema, known));
                }
            }
        }
        json!({
            "type": "object",
            "additionalProperties": false,
            "properties": properties,
            "patternProperties": patterns,
        })
    }

    /// The word, as a map of what follows it.
    fn below(
        &self,
        name: &str,
        prefix: &str,
        word: &str,
        into: &mut Map<String, Value>,
        properties: &mut BTreeMap<String, Value>,
    ) {
        let below = format!("{name}:{prefix}{word}");
        let reference = reference(&below);
        match properties.get(word) {
            Some(known) if known == &reference => {}
            Some(known) if known.get("anyOf").is_some() => {}
            Some(known) => {
                let both = either(known.clone(), Some(reference));
                properties.insert(word.to_owned(), both);
            }
            None => drop(properties.insert(word.to_owned(), reference)),
        }
        if !into.contains_key(&below) {
            // Taken before its own words are looked at, which is what ends the descent.
            into.insert(below.clone(), Value::Null);
            let level = self.level(name, &format!("{prefix}{word}."), into);
            into.insert(below, level);
        }
    }
}

/// Points at a definition: what is said once is small enough to be read.
fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/definitions/{name}")})
}

/// A key that is itself the first word of others.
fn either(value: Value, map: Option<Value>) -> Value {
    match map {
        Some(map) => json!({"anyOf": [value, map]}),
        None => value,
    }
}

fn without_meaning() -> Value {
    json!({"description": "accepted, and without a meaning here"})
}

/// What a key's value may look like; a placeholder may stand for any, and an empty text for a key that is not given.
fn value(definition: &Definition) -> Value {
    let placeholder = json!({"type": "string", "pattern": "\\$\\{"});
    let scalar = json!(["string", "number", "boolean"]);
    let mut schema = match definition.kind {
        _ if !definition.values.is_empty() => {
            let mut values: Vec<Value> = definition.values.iter().map(|v| json!(v)).collect();
            if definition.kind == Kind::Boolean {
                values.extend([json!(true), json!(false)]);
            }
            json!({"anyOf": [{"enum": values}, placeholder, {"const": ""}]})
        }
        Kind::Int | Kind::Long | Kind::Double => {
            json!({"anyOf": [{"type": "number"}, {"type": "string", "pattern": "^$|[0-9$]"}]})
        }
        Kind::List => json!({
            "type": ["string", "number", "boolean", "array"],
            "items": {"type": scalar},
        }),
        _ => json!({"type": scalar}),
    };
    if let Some(schema) = schema.as_object_mut() {
        let text = definition.documentation;
        schema.insert("description".to_owned(), json!(text));
        if let Presence::Default(default) = definition.presence {
            schema.insert("default".to_owned(), json!(default));
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::{NOT_IN_FILES, schema, schema_text};
    use crate::plugins::Plugins;
    use serde_json::Value;

    /// Follows the words through the schema: each is a property, or matches a family.
    fn knows(root: &Value, name: &str, words: &[&str]) -> bool {
        let definition = root["definitions"].get(name);
        let (Some(definition), Some((word, rest))) = (definition, words.split_first()) else {
            return false;
        };
        let Some(property) = definition["properties"].get(*word) else {
            let patterns = definition["patternProperties"].as_object();
            let family = |pattern: &String| word.starts_with(&pattern[1..].replace('\\', ""));
            return rest.is_empty() && patterns.is_some_and(|p| p.keys().any(family));
        };
        if rest.is_empty() {
            return true;
        }
        let several = property["anyOf"].as_array().cloned();
        let targets = several.unwrap_or_else(|| vec![property.clone()]);
        targets.iter().any(|target| {
            let reference = target["$ref"].as_str().unwrap_or_default();
            let name = reference.strip_prefix("#/definitions/").unwrap_or_default();
            knows(root, name, rest)
        })
    }

    #[test]
    fn every_declared_key_is_known_dotted_and_nested() {
        let root = schema(Plugins::builtin());
        let mut seen = 0;
        for plugin in Plugins::builtin().all() {
            let info = plugin.info();
            let name = format!("{}.{}", plugin.kind().as_str(), info.short);
            for definition in info.keys {
                let key = definition.name.replace('*', "x");
                assert!(knows(&root, &name, &[&key]), "{name}: {key}");
                let words: Vec<&str> = key.split('.').collect();
                let family = definition.name.ends_with('*');
                assert!(family || knows(&root, &name, &words), "{name}: {words:?}");
                if let [first, _, _, ..] = words.as_slice() {
                    let rest = key.split_once('.').expect("it has three words").1;
                    assert!(knows(&root, &name, &[first, rest]), "{name}: {key}");
                }
                seen += 1;
            }
            assert!(!knows(&root, &name, &["no.such.key"]));
            for word in NOT_IN_FILES {
                assert!(!knows(&root, &name, &[word]), "{word} is not for files");
            }
        }
        assert!(seen > 50, "only {seen} keys were seen");
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let text = schema_text(Plugins::builtin());
        let root = schema(Plugins::builtin());
        let mut seen = 0;
        for rest in text.split("\"$ref\": \"#/definitions/").skip(1) {
            let name = rest.split('"').next().unwrap_or_default();
            let target = root["definitions"].get(name);
            assert!(target.is_some_and(Value::is_object), "{name}");
            seen += 1;
        }
        assert!(seen > 10, "only {seen} references were seen");
    }
}
