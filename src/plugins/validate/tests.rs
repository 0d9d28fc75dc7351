//! Held against what Kafka Connect 4.3.1 with Debezium 3.6 answered to the same configurations: see the fixtures.

use super::*;
use serde_json::{Value, json};
use tapline_sdk::{Files, Issue};

const VALIDATED: &str = include_str!("../../../tests/fixtures/connect-validate.jsonl");
const POSTGRES_FORM: &str =
    include_str!("../../../tests/fixtures/connect-form-debezium-postgres.jsonl");
const JDBC_FORM: &str = include_str!("../../../tests/fixtures/connect-form-debezium-jdbc.jsonl");

/// The original reads the standard input where no file is named, which a service has not.
fn with_file(mut config: Value) -> Value {
    if config["connector.class"] == "FileStreamSource" && config["file"].is_null() {
        config["file"] = json!("/tmp/x");
    }
    config
}

/// Cases of the fixture that are answered otherwise here, and why.
const OTHERWISE: [(&str, &str); 6] = [
    ("topicnull", "a null is no topic"),
    (
        "unknownkey",
        "a key that nobody reads is an error, never ignored",
    ),
    (
        "eosreq",
        "records and offsets are one commit: it is supported",
    ),
    ("t-missing", "no second complaint with a Java exception"),
    (
        "t-predunknown",
        "a predicate that does not exist is an error",
    ),
    ("retry", "a wait of less than nothing is refused"),
];

fn given(config: &Value) -> Given {
    let config = config.as_object().expect("an object");
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let pairs = config.iter();
    pairs
        .map(|(key, value)| (key.clone(), text(value)))
        .collect()
}

fn validated(config: &Value) -> ConfigInfos {
    let plugins = Plugins::builtin();
    plugins
        .validate(&given(config), None, Author::Request)
        .expect("a class")
        .infos
}

/// Key → value and errors, of the keys that have errors.
fn errors(infos: &ConfigInfos) -> Value {
    let wrong = infos.configs.iter().map(|config| &config.value);
    let wrong = wrong.filter(|value| !value.errors.is_empty());
    Value::Object(
        wrong
            .map(|value| (value.name.clone(), json!([value.value, value.errors])))
            .collect(),
    )
}

/// A form without what is ours by nature: versions, and which converter is the default.
fn form(infos: &ConfigInfos) -> Vec<Value> {
    let row = |config: &ConfigInfo| {
        let (d, value) = (&config.definition, &config.value.value);
        json!([
            d.name,
            d.kind,
            d.required,
            d.default_value,
            d.importance,
            d.group,
            d.order_in_group,
            d.width,
            d.display_name,
            value
        ])
    };
    infos.configs.iter().map(row).map(neutral).collect()
}

fn neutral(mut row: Value) -> Value {
    let name = row[0].as_str().unwrap_or_default().to_owned();
    let ours_by_nature = name.ends_with("plugin.version")
        || ["key.converter", "value.converter", "header.converter"].contains(&name.as_str())
        || ["errors.retry.timeout", "errors.retry.delay.max.ms"].contains(&name.as_str())
        || name == "value.converter.replace.null.with.default"
        || name == "file";
    if ours_by_nature {
        row[3] = Value::Null;
        row[9] = Value::Null;
    }
    row
}

/// The original's headings of converters come out of a hash map.
fn sorted(groups: &Value) -> Vec<String> {
    let groups = groups.as_array().cloned().unwrap_or_default();
    let mut groups: Vec<String> = groups.iter().map(Value::to_string).collect();
    groups.sort();
    groups
}

fn lines(text: &str) -> impl Iterator<Item = Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
}

#[test]
fn configurations_are_judged_as_the_original_judges_them() {
    let (mut cases, mut unlike) = (0, Vec::new());
    for case in lines(VALIDATED) {
        let name = case["case"].as_str().expect("a name");
        let infos = validated(&with_file(case["config"].clone()));
        let same = json!(infos.error_count) == case["error_count"]
            && sorted(&json!(infos.groups)) == sorted(&case["groups"])
            && errors(&infos) == case["errors"];
        let meant = OTHERWISE.iter().any(|(other, _)| *other == name);
        if same == meant {
            let ours = errors(&infos);
            unlike.push(format!(
                "{name} ({meant})\n  theirs {}\n  ours   {ours}\n  {:?}",
                case["errors"], infos.groups
            ));
        }
        cases += 1;
    }
    assert!(
        unlike.is_empty(),
        "{} of {cases}:\n{}",
        unlike.len(),
        unlike.join("\n")
    );
    assert_eq!(cases, 62);
}

#[test]
fn forms_have_the_originals_keys_places_and_values() {
    let mut compared = 0;
    for case in lines(VALIDATED) {
        let Some(theirs) = case["form"].as_array() else {
            continue;
        };
        let keys = |rows: &[Value]| {
            rows.iter()
                .map(|row| row[0].to_string())
                .collect::<Vec<_>>()
        };
        let mut theirs: Vec<Value> = theirs.iter().cloned().map(neutral).collect();
        let mut ours = form(&validated(&with_file(case["config"].clone())));
        // The original keeps converters' keys in a hash map, and has one that is not built here.
        theirs.retain(|row| row[0] != "value.converter.schema.content");
        theirs.sort_by_key(|row| row[0].to_string());
        ours.sort_by_key(|row| row[0].to_string());
        assert_eq!(keys(&ours), keys(&theirs), "{}", case["case"]);
        assert_eq!(ours, theirs, "{}", case["case"]);
        compared += ours.len();
    }
    assert!(compared > 100, "{compared} keys");
}

#[test]
fn debeziums_classes_show_debeziums_keys_and_defaults() {
    for (class, fixture) in [
        (
            "io.debezium.connector.postgresql.PostgresConnector",
            POSTGRES_FORM,
        ),
        ("io.debezium.connector.jdbc.JdbcSinkConnector", JDBC_FORM),
    ] {
        let infos = validated(&json!({"connector.class": class, "name": "a"}));
        let ours = |name: &Value| infos.configs.iter().find(|c| *name == c.definition.name);
        let (mut compared, mut missing) = (0, Vec::new());
        for theirs in lines(fixture) {
            let name = theirs[0].as_str().expect("a key");
            let Some(config) = ours(&theirs[0]) else {
                missing.push(name.to_owned());
                continue;
            };
            let d = &config.definition;
            let row = json!([
                d.name,
                d.kind,
                d.default_value,
                d.importance,
                d.group,
                d.order_in_group,
                d.width
            ]);
            let by_nature = name.ends_with("plugin.version")
                || name.ends_with(".converter")
                || [
                    "errors.retry.timeout",
                    "errors.retry.delay.max.ms",
                    "custom.sanitize.pattern",
                ]
                .contains(&name);
            assert!(
                by_nature || row == theirs,
                "{class}: ours {row}, theirs {theirs}"
            );
            assert!(!d.documentation.is_empty(), "{name} says nothing");
            compared += 1;
        }
        assert!(
            missing.iter().all(|name| name.starts_with("internal.")),
            "{missing:?}"
        );
        assert!(compared > 50, "{compared} keys");
    }
}

#[test]
fn every_key_that_an_alias_shows_is_read_ignored_or_refused_by_name() {
    for plugin in Plugins::builtin().all() {
        let info = plugin.info();
        for alias in info.aliases {
            for key in alias.keys {
                let ours = super::super::alias::renamed(Some(alias), key.name);
                let covered = |known: &str| super::super::alias::covers(known, key.name);
                let known = info.keys.iter().chain(&keys::ALL).any(|k| k.name == ours)
                    || info.inert.iter().any(|known| covered(known))
                    || info.refused.iter().any(|(known, _)| covered(known));
                assert!(known, "{}: {} is nobody's", alias.class, key.name);
            }
        }
    }
}

#[test]
fn an_alias_complains_in_its_products_words_and_ours_in_kafkas() {
    let class = "io.debezium.connector.postgresql.PostgresConnector";
    let infos = validated(&json!({
        "connector.class": class, "name": "a", "topic.prefix": "p", "database.hostname": "h",
        "database.user": "u", "database.port": "x", "slot.name": "Bad-Slot"
    }));
    let told = errors(&infos);
    assert_eq!(
        told["database.port"],
        json!([
            null,
            ["The 'database.port' value is invalid: An integer is expected"]
        ])
    );
    assert_eq!(
        told["database.dbname"],
        json!([
            null,
            ["The 'database.dbname' value is invalid: A value is required"]
        ])
    );
    assert_eq!(told["slot.name"][0], Value::Null);
    let infos =
        validated(&json!({"connector.class": "postgres", "name": "a", "database.port": "x"}));
    assert_eq!(
        errors(&infos)["database.port"],
        json!([
            null,
            ["Invalid value x for configuration database.port: Not a number of type INT"]
        ])
    );
    assert_eq!(
        errors(&infos)["database.hostname"],
        json!([
            null,
            ["Missing required configuration \"database.hostname\" which has no default value."]
        ])
    );
}

struct Vault;

impl Placeholders for Vault {
    fn resolve(
        &self,
        settings: &BTreeMap<String, String>,
        _: Author,
    ) -> Result<BTreeMap<String, String>, Vec<Issue>> {
        let fill = |text: &String| text.replace("${env:CANARY}", "canary-7");
        Ok(settings
            .iter()
            .map(|(key, text)| (key.clone(), fill(text)))
            .collect())
    }

    fn files(&self, _: Author) -> Files {
        Files::default()
    }
}

#[test]
fn no_answer_holds_a_secret_or_what_a_placeholder_stands_for() {
    let configs = [
        json!({"connector.class": "sql", "topics": "t", "connection.url": "postgres://u:canary-7@h/d"}),
        json!({"connector.class": "sql", "topics": "t", "connection.password": "canary-7"}),
        json!({"connector.class": "sql", "topics": "t", "connection.url": "${env:CANARY}"}),
        json!({"connector.class": "sql", "topics": "t", "insert.mode": "${env:CANARY}", "tasks.max": "${env:CANARY}"}),
        json!({"connector.class": "sql", "topics": "t", "no.such.key": "canary-7", "some.secret": "canary-7"}),
        json!({"connector.class": "postgres", "slot.name": "${env:CANARY}!", "snapshot.mode": "${env:CANARY}"}),
        json!({"connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "connection.password": "canary-7"}),
    ];
    for config in configs {
        let validated = Plugins::builtin()
            .validate(&given(&config), Some(&Vault), Author::Request)
            .expect("a class");
        let text = serde_json::to_string(&validated.infos).expect("JSON");
        assert!(!text.contains("canary-7"), "{config}: {text}");
        let refusal = validated.infos.refusal().unwrap_or_default();
        assert!(!refusal.contains("canary-7"), "{config}: {refusal}");
    }
    let written =
        json!({"connector.class": "sql", "topics": "t", "connection.url": "${env:CANARY}"});
    let infos = Plugins::builtin()
        .validate(&given(&written), Some(&Vault), Author::Request)
        .expect("a class")
        .infos;
    let url = infos
        .configs
        .iter()
        .find(|config| config.value.name == "connection.url");
    assert_eq!(
        url.expect("shown").value.value.as_deref(),
        Some("${env:CANARY}")
    );
    let missing = Plugins::builtin().validate(
        &given(&json!({"name": "a", "password": "canary-7"})),
        None,
        Author::Request,
    );
    let missing = missing.err().expect("no class").to_string();
    assert!(
        missing.contains("contains no connector type") && !missing.contains("canary"),
        "{missing}"
    );
}

#[test]
fn the_refusal_of_a_create_lists_every_error() {
    let infos =
        validated(&json!({"connector.class": "FileStreamSource", "name": "x", "tasks.max": "abc"}));
    assert_eq!(
        infos.refusal().expect("it is refused"),
        "Connector configuration is invalid and contains the following 3 error(s):\n\
         Invalid value abc for configuration tasks.max: Not a number of type INT\n\
         Invalid value null for configuration tasks.max: Value must be non-null\n\
         Missing required configuration \"topic\" which has no default value.\n\
         You can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`"
    );
    let good = json!({"connector.class": "FileStreamSource", "name": "x", "topic": "t"});
    let good = validated(&with_file(good));
    assert_eq!(good.refusal(), None);
}

#[test]
fn plugins_are_listed_and_found_as_in_connect() {
    let plugins = Plugins::builtin();
    let kinds: Vec<&str> = plugins
        .list(false)
        .iter()
        .map(|plugin| plugin.kind)
        .collect();
    let mut order = kinds.clone();
    order.dedup();
    assert_eq!(
        order,
        [
            "sink",
            "source",
            "transformation",
            "predicate",
            "converter",
            "header_converter"
        ]
    );
    assert!(
        plugins
            .list(true)
            .iter()
            .all(|plugin| ["sink", "source"].contains(&plugin.kind))
    );
    for (name, class) in [
        (
            "PostgresConnector",
            "io.debezium.connector.postgresql.PostgresConnector",
        ),
        (
            "Postgres",
            "io.debezium.connector.postgresql.PostgresConnector",
        ),
        ("FileStreamSink", "FileStreamSink"),
    ] {
        let alias = plugins
            .lookup(name)
            .and_then(|found| found.alias)
            .expect(name);
        assert_eq!(alias.class, class);
    }
    assert!(plugins.lookup("JdbcSink").is_none(), "two products have it");
    assert!(plugins.lookup("file").is_none(), "a source and a sink");
    let keys = |name: &str| {
        plugins
            .definitions(name)
            .map(|keys| keys.into_iter().map(|key| key.name).collect::<Vec<_>>())
    };
    assert_eq!(keys("HasHeaderKey"), Some(vec!["name".to_owned()]));
    assert_eq!(keys("RegexRouter").map(|keys| keys.len()), Some(2));
    let source = keys("FileStreamSource").expect("known");
    assert_eq!(source[..4], ["file", "topic", "batch.size", "name"]);
    assert_eq!(source.len(), 27);
    assert_eq!(keys("Nope"), None);
}

#[test]
fn a_version_that_is_not_the_one_there_is_blames_class_and_version() {
    let infos = validated(&json!({
        "connector.class": "FileStreamSource", "name": "x", "topic": "t", "connector.plugin.version": "1.0"
    }));
    let told = errors(&infos);
    assert_eq!(infos.error_count, 2, "{told}");
    let text = told["connector.class"][1][0].as_str().expect("a text");
    assert!(
        text.contains("not found that matches the version range [1.0,1.0]"),
        "{text}"
    );
}
