//! Which converters a connector uses: their names, the keys of each, and what the keys say.
//!
//! Kafka Connect's keys: `key.converter` names a converter, `key.converter.*` are its own keys. An unknown one is
//! refused, as everywhere. Reads settings only; a converter itself is made by the encoder and the decoder.

use super::{Charset, JsonSettings, Plain};
use std::collections::BTreeMap;
use tapline_sdk::{Config, ConfigValue, Definition, Importance, Issue, Key, Width, nearest};

/// The headings of these keys, as Kafka Connect's forms have them.
const SCHEMA_KEYS: &str = "Schemas";
const SERIALIZATION: &str = "Serialization";

/// `schemas.enable`.
const SCHEMAS: Key<bool> = Key::required(
    "schemas.enable",
    SCHEMA_KEYS,
    "whether each value carries its schema: {\"schema\":…,\"payload\":…}",
)
.or("true")
.shown(Importance::High, Width::Medium)
.display("Enable Schemas")
.order(0);
/// `schemas.cache.size`.
const CACHE: Key<u32> = Key::required(
    "schemas.cache.size",
    SCHEMA_KEYS,
    "how many schemas a reader keeps",
)
.or("1000")
.shown(Importance::High, Width::Medium)
.display("Schema Cache Size");
/// `decimal.format`.
const DECIMAL: Key<DecimalFormat> = Key::required(
    "decimal.format",
    SERIALIZATION,
    "how decimals are written: BASE64 or NUMERIC",
)
.or("BASE64")
.shown(Importance::Low, Width::Medium)
.display("Decimal Format")
.order(0);
/// `replace.null.with.default`.
const REPLACE_NULL: Key<bool> = Key::required(
    "replace.null.with.default",
    SERIALIZATION,
    "whether a field that is null gets its schema's default; a reader cannot tell it from a value then. Default: true \
     under Kafka's class name, false under ours",
)
.optional()
.shown(Importance::Low, Width::Medium)
.display("Replace null with default");
/// `encoding`, as people write it.
const ENCODING: Key<Charset> = Key::required("encoding", "", "the encoding of texts")
    .or("UTF-8")
    .shown(Importance::High, Width::Medium)
    .display("Encoding");
/// `converter.encoding`, as Kafka has it.
const CONVERTER_ENCODING: Key<Charset> =
    Key::required("converter.encoding", "", "the encoding of texts")
        .optional()
        .shown(Importance::High, Width::Medium)
        .display("Encoding");

/// The keys that name a converter.
pub(super) const ROLES: [&str; 3] = ["key.converter", "value.converter", "header.converter"];

/// Every converter in Kafka Connect takes it, and sets it itself.
const ROLE: &str = "converter.type";

/// Confluent's keys that mean nothing where the registry is built in.
const AVRO_INERT: &[&str] = &[
    "auto.register.schemas",
    "basic.auth.credentials.source",
    "basic.auth.user.info",
    "bearer.auth.credentials.source",
    "bearer.auth.token",
    "connect.meta.data",
    "discard.type.doc.default",
    "enhanced.avro.schema.support",
    "id.compatibility.strict",
    "key.subject.name.strategy",
    "latest.compatibility.strict",
    "max.schemas.per.subject",
    "normalize.schemas",
    "replace.null.with.default",
    "schema.reflection",
    "schema.registry.basic.auth.user.info",
    "schema.registry.ssl.truststore.location",
    "schema.registry.ssl.truststore.password",
    "schema.registry.url",
    "schemas.cache.config",
    "schemas.cache.size",
    "scrub.invalid.names",
    "use.latest.version",
    "value.subject.name.strategy",
];

/// A converter that exists here.
#[derive(Debug, Clone, Copy)]
pub struct Class {
    /// Our name for it.
    pub short: &'static str,
    /// The full name of the class that people have in their settings.
    pub class: &'static str,
    /// Its own keys, without the `key.converter.` before them.
    pub keys: &'static [Definition],
    /// Keys that are accepted and mean nothing here.
    pub inert: &'static [&'static str],
    /// Whether `header.converter` may name it.
    pub headers: bool,
}

const fn plain(short: &'static str, class: &'static str) -> Class {
    Class {
        short,
        class,
        keys: &[],
        inert: &[ROLE],
        headers: true,
    }
}

/// Every converter, in the order in which Kafka Connect lists its own.
pub const CLASSES: [Class; 11] = [
    Class {
        inert: AVRO_INERT,
        headers: false,
        ..plain("avro", "io.confluent.connect.avro.AvroConverter")
    },
    plain(
        "boolean",
        "org.apache.kafka.connect.converters.BooleanConverter",
    ),
    plain(
        "bytes",
        "org.apache.kafka.connect.converters.ByteArrayConverter",
    ),
    plain(
        "double",
        "org.apache.kafka.connect.converters.DoubleConverter",
    ),
    plain(
        "float",
        "org.apache.kafka.connect.converters.FloatConverter",
    ),
    plain(
        "integer",
        "org.apache.kafka.connect.converters.IntegerConverter",
    ),
    plain("long", "org.apache.kafka.connect.converters.LongConverter"),
    plain(
        "short",
        "org.apache.kafka.connect.converters.ShortConverter",
    ),
    Class {
        keys: &[
            SCHEMAS.definition,
            CACHE.definition,
            DECIMAL.definition,
            REPLACE_NULL.definition,
        ],
        ..plain("json", "org.apache.kafka.connect.json.JsonConverter")
    },
    Class {
        keys: &[ENCODING.definition, CONVERTER_ENCODING.definition],
        ..plain("string", "org.apache.kafka.connect.storage.StringConverter")
    },
    plain(
        "simple",
        "org.apache.kafka.connect.storage.SimpleHeaderConverter",
    ),
];

/// The one that is for headers alone.
const SIMPLE: &str = "simple";

/// `decimal.format`, in any case, as the original reads it.
struct DecimalFormat {
    numeric: bool,
}

impl ConfigValue for DecimalFormat {
    const KIND: tapline_sdk::Kind = tapline_sdk::Kind::Text;
    const VALUES: &'static [&'static str] = &["BASE64", "NUMERIC"];
    fn parse(text: &str) -> Result<Self, String> {
        let is = |name: &str| text.trim().eq_ignore_ascii_case(name);
        match (is("NUMERIC"), is("BASE64")) {
            (false, false) => Err("is neither BASE64 nor NUMERIC".to_owned()),
            (numeric, _) => Ok(Self { numeric }),
        }
    }
}

/// How keys or values are written and read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Converter {
    /// Avro in Confluent's wire format, schemas in the registry.
    #[default]
    Avro,
    /// JSON.
    Json(JsonSettings),
    /// One plain value.
    Plain(Plain),
}

/// How headers are written and read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum HeaderConverter {
    /// Text as it is; structs, which Debezium's key changes need, in the form of keys if that keeps them whole.
    #[default]
    Plain,
    /// Kafka Connect's simple header converter by name: texts, booleans and whole numbers are told apart on reading.
    Simple,
    /// As keys and values.
    Other(Converter),
}

/// The converters of one connector.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Converters {
    /// `key.converter`.
    pub key: Converter,
    /// `value.converter`.
    pub value: Converter,
    /// `header.converter`.
    pub header: HeaderConverter,
}

impl Class {
    /// The converter of this name: ours, the class, or the class without its package or its last word.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        CLASSES.iter().find(|class| {
            let simple = class.class.rsplit('.').next().unwrap_or_default();
            let bare = simple.strip_suffix("Converter").unwrap_or(simple);
            [class.short, class.class, simple, bare].contains(&name)
        })
    }
}

impl Converters {
    /// Reads `key.converter`, `value.converter`, `header.converter` and the keys below them; other keys are left
    /// alone. With it comes one sentence per key that means nothing here.
    ///
    /// # Errors
    /// Every problem at once, each with a remedy.
    pub fn parse(settings: &BTreeMap<String, String>) -> Result<(Self, Vec<String>), Vec<Issue>> {
        let (mut issues, mut warnings) = (Vec::new(), Vec::new());
        let mut role = |role: &'static str| {
            let name = settings.get(role).map(|name| name.trim());
            let name = name.filter(|name| !name.is_empty());
            let (class, name) = match name.map(|name| (Class::find(name), name)) {
                None if role == "header.converter" => (None, None),
                None => (Class::find("avro"), Some("avro")),
                Some((Some(class), name)) if usable(class, role) => (Some(class), Some(name)),
                Some((_, name)) => {
                    issues.push(unknown(role, name));
                    return None;
                }
            };
            let found = sub_keys(settings, role);
            let Some(class) = class else {
                issues.extend(found.into_keys().map(|key| {
                    let remedy = "name the header converter too, or remove it";
                    Issue::new(
                        format!("{role}.{key}"),
                        "is given without a header.converter",
                        remedy,
                    )
                }));
                return None;
            };
            let (inert, own): (BTreeMap<_, _>, BTreeMap<_, _>) = found
                .into_iter()
                .partition(|(key, _)| class.inert.contains(&key.as_str()));
            let meant = inert.into_keys().filter(|key| key != ROLE);
            warnings
                .extend(meant.map(|key| {
                    format!("{role}.{key} is ignored: the schema registry is built in")
                }));
            let config = Config::new(own);
            let problems = config.problems(class.keys);
            let wrong = !problems.is_empty();
            issues.extend(problems.into_iter().map(|issue| named(issue, role, class)));
            let ours = name == Some(class.short);
            (!wrong).then(|| (class.short, converter(class, &config, ours)))
        };
        let (key, value) = (role("key.converter"), role("value.converter"));
        let header = role("header.converter");
        if !issues.is_empty() {
            return Err(issues);
        }
        let header = match header {
            None => HeaderConverter::Plain,
            Some((SIMPLE, _)) => HeaderConverter::Simple,
            Some((_, converter)) => HeaderConverter::Other(converter),
        };
        let of = |role: Option<(&str, Converter)>| role.map(|(_, one)| one).unwrap_or_default();
        Ok((
            Self {
                key: of(key),
                value: of(value),
                header,
            },
            warnings,
        ))
    }
}

/// Whether this role may have this converter.
fn usable(class: &Class, role: &str) -> bool {
    match role {
        "header.converter" => class.headers,
        _ => class.short != SIMPLE,
    }
}

fn sub_keys(settings: &BTreeMap<String, String>, role: &str) -> BTreeMap<String, String> {
    let prefix = format!("{role}.");
    let part = |(key, value): (&String, &String)| {
        Some((key.strip_prefix(&prefix)?.to_owned(), value.clone()))
    };
    settings.iter().filter_map(part).collect()
}

fn unknown(role: &str, name: &str) -> Issue {
    let usable = CLASSES.iter().filter(|class| usable(class, role));
    let known: Vec<&str> = usable.clone().map(|class| class.short).collect();
    let names = usable.flat_map(|class| [class.short, class.class]);
    let remedy = match nearest(name, names) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("use one of: {}", known.join(", ")),
    };
    let problem = match Class::find(name) {
        Some(_) if role == "header.converter" => format!("\"{name}\" is no header converter"),
        Some(_) => format!("\"{name}\" is a converter of headers alone"),
        None => format!("\"{name}\" is no converter that exists here"),
    };
    Issue::new(role, problem, remedy)
}

/// An issue of a sub-key under its whole name.
fn named(issue: Issue, role: &str, class: &Class) -> Issue {
    let Issue {
        key,
        problem,
        remedy,
    } = issue;
    let known = class.keys.iter().any(|definition| definition.name == key);
    let (problem, remedy) = match known {
        true => (problem, remedy.replacen(&key, &format!("{role}.{key}"), 1)),
        false => {
            let names = class.keys.iter().map(|definition| definition.name);
            let near = nearest(&key, names.chain(class.inert.iter().copied()));
            let remedy = match near {
                Some(near) => format!("did you mean {role}.{near}?"),
                None => "remove it".to_owned(),
            };
            (
                format!("is not a key of the {} converter", class.short),
                remedy,
            )
        }
    };
    Issue::new(format!("{role}.{key}"), problem, remedy)
}

/// Every value was checked; a default stands for what is missing.
fn converter(class: &Class, config: &Config, ours: bool) -> Converter {
    let charset = config.find(&CONVERTER_ENCODING).ok().flatten();
    let charset = charset
        .or_else(|| config.get(&ENCODING).ok())
        .unwrap_or_default();
    Converter::Plain(match class.short {
        "avro" => return Converter::Avro,
        "json" => return Converter::Json(json(config, ours)),
        "boolean" => Plain::Boolean,
        "bytes" => Plain::Bytes,
        "double" => Plain::Double,
        "float" => Plain::Float,
        "integer" => Plain::Integer,
        "long" => Plain::Long,
        "short" => Plain::Short,
        _ => Plain::Text(charset),
    })
}

fn json(config: &Config, ours: bool) -> JsonSettings {
    let default = JsonSettings::default();
    let cached = config
        .get(&CACHE)
        .ok()
        .and_then(|size| usize::try_from(size).ok());
    JsonSettings {
        schemas: config.get(&SCHEMAS).unwrap_or(default.schemas),
        schemas_max: cached.unwrap_or(default.schemas_max),
        numeric_decimals: config.get(&DECIMAL).is_ok_and(|format| format.numeric),
        replace_null: config.find(&REPLACE_NULL).ok().flatten().unwrap_or(!ours),
    }
}
