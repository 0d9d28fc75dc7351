//! What a pipeline file says, read by another YAML reader and flattened once more, from the documentation.

use serde_json::{Map, Number, Value as Json};
use serde_norway::Value as Yaml;
use std::collections::BTreeMap;
use tapline::pipeline::Pipeline;

/// Keys that a compiled connector may have beside those of its file: what follows from its name, `from` and `transforms`.
const MADE: [&str; 6] = [
    "topic.prefix",
    "slot.name",
    "publication.name",
    "topics.of",
    "topics",
    "topics.regex",
];

/// The file as JSON, as an editor sees it.
///
/// # Errors
/// It is no YAML, or has keys that are no texts.
pub fn read(text: &str) -> Result<Json, String> {
    // libyaml takes what follows a mark of byte order for a second document.
    let text = text.trim_start_matches('\u{feff}');
    // Nor does it let a tab stand before a comment.
    let comment = |line: &&str| !(line.starts_with('\t') && line.trim_start().starts_with('#'));
    let lines: Vec<&str> = text.split(['\n', '\r']).filter(comment).collect();
    let yaml = serde_norway::from_str::<Yaml>(text)
        .or_else(|_| serde_norway::from_str(&lines.join("\n")))
        .map_err(|error| error.to_string())?;
    json(yaml)
}

fn json(yaml: Yaml) -> Result<Json, String> {
    Ok(match yaml {
        Yaml::Null => Json::Null,
        Yaml::Bool(value) => Json::Bool(value),
        Yaml::Number(number) => {
            let whole = number
                .as_i64()
                .map(Number::from)
                .or_else(|| number.as_u64().map(Number::from));
            let number = whole.or_else(|| Number::from_f64(number.as_f64()?));
            number.map_or_else(|| Json::String(".nan".to_owned()), Json::Number)
        }
        Yaml::String(text) => Json::String(text),
        Yaml::Sequence(items) => {
            Json::Array(items.into_iter().map(json).collect::<Result<_, _>>()?)
        }
        Yaml::Mapping(entries) => {
            let mut fields = Map::new();
            for (key, value) in entries {
                let key = match key {
                    Yaml::String(key) => key,
                    Yaml::Number(number) => number.to_string(),
                    Yaml::Bool(value) => value.to_string(),
                    other => return Err(format!("a key is {other:?}")),
                };
                fields.insert(key, json(value)?);
            }
            Json::Object(fields)
        }
        Yaml::Tagged(_) => return Err("a tag".to_owned()),
    })
}

/// Whether the compiled connectors and topics are those that the file declares, with its keys and values and no others.
///
/// # Errors
/// The first difference.
pub fn same(file: &Json, pipeline: &Pipeline) -> Result<(), String> {
    let name = plain(&file["name"]);
    if !means(&file["name"], &pipeline.name) {
        return Err(format!("name {name} against {}", pipeline.name));
    }
    let mut parts: BTreeMap<String, &Map<String, Json>> = BTreeMap::new();
    for (one, several) in [("source", "sources"), ("sink", "sinks")] {
        if let Json::Object(part) = &file[one] {
            parts.insert(format!("{}.{one}", pipeline.name), part);
        }
        for (part, body) in file[several].as_object().into_iter().flatten() {
            let body = body
                .as_object()
                .ok_or_else(|| format!("part {part} is no map"))?;
            parts.insert(format!("{}.{part}", pipeline.name), body);
        }
    }
    let compiled: Vec<&str> = pipeline
        .connectors
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    if compiled.len() != parts.len() {
        return Err(format!("{compiled:?} against {:?}", parts.keys()));
    }
    for connector in &pipeline.connectors {
        let Some(part) = parts.get(&connector.name) else {
            return Err(format!("nobody declares {}", connector.name));
        };
        let mut declared = BTreeMap::new();
        for (key, value) in *part {
            if !["connector", "from", "transforms"].contains(&key.as_str()) {
                flatten(key.clone(), value, &mut declared)?;
            }
        }
        for (key, value) in &declared {
            equal(key, value, connector.settings.get(key))?;
        }
        let made = |key: &&String| {
            declared.contains_key(*key)
                || MADE.contains(&key.as_str())
                || key.starts_with("transforms")
        };
        if let Some(key) = connector.settings.keys().find(|key| !made(key)) {
            return Err(format!("nobody declares {key}"));
        }
    }
    same_topics(file, pipeline)
}

fn same_topics(file: &Json, pipeline: &Pipeline) -> Result<(), String> {
    let declared = file["topics"].as_object();
    let count = declared.map_or(0, Map::len);
    if count != pipeline.topics.len() {
        return Err(format!("{count} topics against {:?}", pipeline.topics));
    }
    for topic in &pipeline.topics {
        let spec = &topic.spec;
        // The other reader has numbers where names are texts for us.
        let found = declared.into_iter().flatten();
        let mut found = found.filter(|(name, _)| {
            let ours = read(&spec.name).map(|read| plain(&read));
            **name == spec.name || ours.as_ref() == Ok(*name)
        });
        let Some((_, body)) = found.next() else {
            return Err(format!("nobody declares topic {}", spec.name));
        };
        let mut declared = BTreeMap::new();
        for (key, value) in body.as_object().into_iter().flatten() {
            flatten(key.clone(), value, &mut declared)?;
        }
        let partitions = spec.partitions.map(|count| count.to_string());
        let mut settings = spec.config.clone();
        settings.extend(partitions.map(|count| ("partitions".to_owned(), count)));
        if settings.len() != declared.len() {
            return Err(format!("{declared:?} against {settings:?}"));
        }
        for (key, value) in &declared {
            equal(key, value, settings.get(key))?;
        }
    }
    Ok(())
}

/// Whether a setting is what the file says.
fn equal(key: &str, value: &[Json], found: Option<&String>) -> Result<(), String> {
    let found = found.ok_or_else(|| format!("{key} is lost"))?;
    let unit = key.ends_with(".ms") || key.ends_with(".bytes");
    let number = unit && found.bytes().all(|byte| byte.is_ascii_digit());
    if number || value.iter().any(|value| means(value, found)) || joined(value) == *found {
        return Ok(());
    }
    Err(format!("{key}: {value:?} against {found}"))
}

fn flatten(
    key: String,
    value: &Json,
    into: &mut BTreeMap<String, Vec<Json>>,
) -> Result<(), String> {
    match value {
        Json::Object(fields) => {
            for (word, value) in fields {
                flatten(format!("{key}.{word}"), value, into)?;
            }
            Ok(())
        }
        Json::Array(items) => {
            into.insert(key, items.clone());
            Ok(())
        }
        value => match into.insert(key.clone(), vec![value.clone()]) {
            None => Ok(()),
            Some(_) => Err(format!("{key} is given twice")),
        },
    }
}

fn joined(values: &[Json]) -> String {
    values.iter().map(plain).collect::<Vec<_>>().join(",")
}

fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether a text of ours is the other reader's value: ours keeps numbers as they were written.
fn means(value: &Json, text: &str) -> bool {
    plain(value) == text
        || serde_norway::from_str::<Yaml>(text)
            .ok()
            .and_then(|yaml| json(yaml).ok())
            .as_ref()
            == Some(value)
}
