//! Whether a body that was damaged at random is still good: what the documentation says, written down once more.
//!
//! Knows the file pair's keys and the forms of bodies, and nothing of the code that is tested.

use super::{
    case::{Expect, Place},
    world::CONNECTORS,
};
use serde_json::{Map, Value};

/// Whether a text is a value of a key.
type Holds = fn(&str) -> bool;

/// Keys of both file connectors.
const SHARED: [(&str, Holds); 7] = [
    ("tasks.max", |text| number(text, 1, i64::from(i32::MAX))),
    ("compression.type", |text| {
        ["lz4", "zstd", "none"].contains(&text)
    }),
    ("errors.retry.timeout", |text| {
        number(text, i64::MIN, i64::MAX)
    }),
    ("errors.retry.delay.max.ms", |text| {
        number(text, 0, i64::MAX)
    }),
    ("errors.tolerance", |text| text == "none"),
    ("tasks.max.enforce", |_| true),
    ("file", |text| !text.trim().is_empty()),
];

const SOURCE: [(&str, Holds); 5] = [
    ("topic", |text| !text.trim().is_empty()),
    ("batch.size", |text| number(text, 1, i64::from(i32::MAX))),
    ("record.format", |text| ["struct", "string"].contains(&text)),
    ("line.max.bytes", |text| number(text, 16, 1 << 30)),
    ("file.shrunk", |text| ["restart", "wait"].contains(&text)),
];

const SINK: [(&str, Holds); 2] = [
    ("topics", |text| !text.trim().is_empty()),
    ("line.format", |text| ["plain", "java"].contains(&text)),
];

const SOURCES: [&str; 3] = [
    "io.tapline.file.FileSource",
    "FileStreamSource",
    "FileStreamSourceConnector",
];
const SINKS: [&str; 3] = [
    "io.tapline.file.FileSink",
    "FileStreamSink",
    "FileStreamSinkConnector",
];

fn number(text: &str, least: i64, most: i64) -> bool {
    let number = text.trim().parse::<i64>();
    number.is_ok_and(|number| (least..=most).contains(&number))
}

fn refused(word: &str) -> Expect {
    Expect::Refused(vec![Place::Word(word.to_owned())])
}

/// A body as JSON; of a key that stands twice the last counts, as for Kafka Connect's parser.
fn read(body: &[u8]) -> Result<Value, Expect> {
    serde_json::from_slice(body).map_err(|_| Expect::Refused(vec![Place::LineAndColumn]))
}

fn object(value: Value, place: &str) -> Result<Map<String, Value>, Expect> {
    match value {
        Value::Object(fields) => Ok(fields),
        _ => Err(refused(place)),
    }
}

/// `POST /connectors`.
pub fn create(body: &[u8]) -> Expect {
    let checked = || {
        let mut fields = object(read(body)?, "body")?;
        let known = ["name", "config", "initial_state"];
        if let Some(field) = fields.keys().find(|field| !known.contains(&&***field)) {
            return Err(refused(field));
        }
        let name = match fields.get("name") {
            Some(Value::String(name)) => name.trim().to_owned(),
            Some(Value::Array(_) | Value::Object(_)) => return Err(refused("name")),
            Some(Value::Null) | None => String::new(),
            Some(scalar) => scalar.to_string(),
        };
        let state = fields.get("initial_state").cloned().unwrap_or_default();
        let states = ["RUNNING", "PAUSED", "STOPPED"];
        let known = match &state {
            Value::Null => true,
            Value::String(state) => states.contains(&state.to_ascii_uppercase().as_str()),
            _ => false,
        };
        if !known {
            return Err(Expect::Refused(
                ["InitialState", "initial_state"]
                    .map(|word| Place::Word(word.to_owned()))
                    .to_vec(),
            ));
        }
        let config = object(fields.remove("config").unwrap_or_default(), "config")?;
        settings(&config, &name)?;
        if CONNECTORS.iter().any(|(known, ..)| *known == name) {
            return Err(refused(&name));
        }
        named(&name)
    };
    checked().err().unwrap_or(Expect::Taken)
}

/// `PUT /connectors/{name}/config`.
pub fn configure(body: &[u8], name: &str) -> Expect {
    let checked = || settings(&object(read(body)?, "body")?, name);
    checked().err().unwrap_or(Expect::Taken)
}

fn named(name: &str) -> Result<(), Expect> {
    let plain = !name.is_empty()
        && name.chars().count() <= 249
        && !name.chars().any(char::is_control)
        && ![".", ".."].contains(&name);
    plain.then_some(()).ok_or_else(|| refused("name"))
}

/// Every fault that a refusal may name: all are listed, and one is enough.
fn settings(config: &Map<String, Value>, name: &str) -> Result<(), Expect> {
    let class = match config.get("connector.class") {
        Some(Value::String(class)) => class.trim().to_owned(),
        _ => return Err(refused("connector")),
    };
    let own: &[(&str, Holds)] = if SOURCES.contains(&&*class) {
        &SOURCE
    } else if SINKS.contains(&&*class) {
        &SINK
    } else if class.is_empty() {
        return Err(refused("connector"));
    } else {
        return Err(refused(&class));
    };
    let is_source = SOURCES.contains(&&*class);
    let needed: &[&str] = if is_source {
        &["topic", "file"]
    } else {
        &["topics"]
    };
    let mut wrong: Vec<String> = Vec::new();
    for (key, value) in config {
        let text = match value {
            Value::Array(_) | Value::Object(_) | Value::Null => {
                wrong.push(key.clone());
                continue;
            }
            Value::String(text) => text.clone(),
            scalar => scalar.to_string(),
        };
        let rule = SHARED.iter().chain(own).find(|(known, _)| known == key);
        let holds = match (key.as_str(), rule) {
            ("connector.class", _) => true,
            ("name", _) => text == name,
            // An empty text is a key that is not given.
            (_, Some((_, holds))) => holds(&text) || (text.is_empty() && !needed.contains(&&**key)),
            (_, None) => false,
        };
        if !holds {
            wrong.push(key.clone());
        }
    }
    let missing = needed.iter().filter(|key| !config.contains_key(**key));
    wrong.extend(missing.map(|key| (*key).to_owned()));
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(Expect::Refused(
            wrong.into_iter().map(Place::Word).collect(),
        )),
    }
}

/// `PATCH /connectors/halted/offsets`: a STOPPED source of a file.
pub fn offsets(body: &[u8]) -> Expect {
    let words = ["offset", "partition", "Partitions / offsets", "entry"];
    let wrong = || Expect::Refused(words.map(|word| Place::Word(word.to_owned())).to_vec());
    let checked = || {
        let mut fields = object(read(body)?, "body")?;
        if let Some(field) = fields.keys().find(|field| *field != "offsets") {
            return Err(refused(field));
        }
        let Some(Value::Array(entries)) = fields.remove("offsets") else {
            return Err(wrong());
        };
        if entries.is_empty() {
            return Err(wrong());
        }
        for entry in entries {
            let mut entry = object(entry, "entry")?;
            if let Some(field) = entry
                .keys()
                .find(|key| !["partition", "offset"].contains(&&***key))
            {
                return Err(refused(field));
            }
            let partition = object(entry.remove("partition").unwrap_or_default(), "partition")?;
            let file = partition.get("filename").is_some_and(Value::is_string);
            let offset = match entry.remove("offset").unwrap_or_default() {
                Value::Null => None,
                offset => Some(object(offset, "offset")?),
            };
            if partition.len() != 1 || !file {
                // Nobody says whether what no source of ours has written may be forgotten or set.
                let words = words.iter().map(|word| (*word).to_owned());
                let words = words.chain(partition.keys().cloned()).map(Place::Word);
                return Err(Expect::Either(words.collect()));
            }
            let position = offset
                .as_ref()
                .map(|offset| offset.get("position").and_then(Value::as_u64));
            match (position, offset) {
                (None, _) => {}
                (Some(Some(_)), Some(offset)) if offset.len() == 1 => {}
                (_, offset) => {
                    let keys = offset.into_iter().flatten();
                    let mut places: Vec<_> = keys.map(|(key, _)| Place::Word(key)).collect();
                    places.push(Place::Word("position".to_owned()));
                    places.push(Place::Word("ffset".to_owned()));
                    return Err(Expect::Either(places));
                }
            }
        }
        Ok(())
    };
    checked().err().unwrap_or(Expect::Taken)
}

#[test]
fn what_the_documentation_shows_is_good_and_its_opposites_are_not() {
    let good =
        r#"{"name":"a","config":{"connector.class":"FileStreamSource","file":"/f","topic":"t"}}"#;
    assert!(matches!(create(good.as_bytes()), Expect::Taken));
    for (from, to) in [
        ("topic", "topik"),
        ("FileStreamSource", "FileStreamSours"),
        ("\"/f\"", "[\"/f\"]"),
        ("\"a\"", "\"in\""),
        ("\"config\"", "\"konfig\""),
        ("}}", "}"),
    ] {
        let bad = good.replace(from, to);
        assert!(
            matches!(create(bad.as_bytes()), Expect::Refused(_)),
            "{bad}"
        );
    }
    let offset = r#"{"offsets":[{"partition":{"filename":"/f"},"offset":{"position":7}}]}"#;
    assert!(matches!(offsets(offset.as_bytes()), Expect::Taken));
    let negative = offset.replace('7', "[]");
    assert!(!matches!(offsets(negative.as_bytes()), Expect::Taken));
}
