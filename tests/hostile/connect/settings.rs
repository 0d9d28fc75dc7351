//! A connector's name, class, state, keys and values.

use super::{creation, good, pick};
use crate::hostile::{
    case::{Case, Request, Server::Connect},
    world::{CONNECTORS, World},
};
use fastrand::Rng;
use serde_json::{Value, json};

pub(super) fn state(random: &mut Rng, world: &World) -> Case {
    let mut body = creation(random, world);
    let states = [
        json!("ON"),
        json!(""),
        json!(1),
        json!(true),
        json!([]),
        json!({"a": 1}),
        json!("STOPPED "),
    ];
    body["initial_state"] = pick(random, &states.each_ref()).clone();
    let request = Request::json(Connect, "POST", "/connectors", body.to_string());
    request.refused("initial state", &["InitialState", "initial_state"])
}

/// Values that no key of that name has.
const VALUES: [(&str, &[&str]); 9] = [
    (
        "tasks.max",
        &[
            "many",
            "0",
            "-1",
            "1.5",
            "99999999999999999999",
            "1e3",
            "0x1",
            "1_000",
        ],
    ),
    ("batch.size", &["x", "1.5", "9999999999", "NaN"]),
    ("record.format", &["csv", "STRUCT2", "struct,string"]),
    ("line.max.bytes", &["15", "2000000000", "-5", "1MiB", "x"]),
    ("file.shrunk", &["ignore", "restart wait"]),
    ("compression.type", &["gzip", "9"]),
    ("errors.retry.timeout", &["soon", "1.5"]),
    ("errors.tolerance", &["some", "all"]),
    (
        "value.converter",
        &["xml", "org.apache.kafka.connect.json.YamlConverter"],
    ),
];

pub(super) fn value(random: &mut Rng, world: &World) -> Case {
    let (key, values) = pick(random, &VALUES);
    let value = json!(pick(random, values));
    with_config(random, world, "value", key, value)
}

/// A value that is no scalar.
pub(super) fn nested(random: &mut Rng, world: &World) -> Case {
    let key = pick(
        random,
        &[
            "file",
            "topic",
            "tasks.max",
            "batch.size",
            "connector.class",
        ],
    );
    let values = [
        json!([]),
        json!({}),
        json!(["a", 1]),
        json!({"a": {"b": null}}),
    ];
    let value = pick(random, &values.each_ref()).clone();
    with_config(random, world, "nested value", key, value)
}

pub(super) fn unknown_key(random: &mut Rng, world: &World) -> Case {
    let keys = [
        "topik",
        "batch_size",
        "file.",
        ".file",
        "connector.clas",
        "topics",
        "tasks.max ",
        "größe",
        "a.b.c.d",
        "producer.override.acks",
        "errors.deadletterqueue.topic.name",
        "transforms.a.type.x.y",
        "${env:HOME}",
    ];
    let key = pick(random, &keys);
    if key.starts_with("transforms.") {
        // Below a transform that is not named nothing is looked at, here and there.
        return good(random, world);
    }
    with_config(random, world, "unknown key", key, json!("1"))
}

/// Another key or value in a config, in one of the three ways to give one.
pub(super) fn with_config(
    random: &mut Rng,
    world: &World,
    family: &'static str,
    key: &str,
    value: Value,
) -> Case {
    let mut config = world.config("halted");
    config[key] = value;
    let request = match random.u8(0..3) {
        0 => {
            let body = json!({"name": "made", "config": config});
            Request::json(Connect, "POST", "/connectors", body.to_string())
        }
        1 => Request::json(
            Connect,
            "PUT",
            "/connectors/halted/config",
            config.to_string(),
        ),
        _ => {
            let body = json!({ key: config[key] });
            Request::json(
                Connect,
                "PATCH",
                "/connectors/halted/config",
                body.to_string(),
            )
        }
    };
    request.refused(family, &[key.trim()])
}

pub(super) fn class(random: &mut Rng, world: &World) -> Case {
    let mut config = world.config("halted");
    let classes = [
        "",
        "Nothing",
        "FileStream",
        "java.lang.Runtime",
        "file;",
        "postgres\u{0}",
        "../file",
    ];
    let class = pick(random, &classes);
    config["connector.class"] = json!(class);
    let words: &[&str] = if class.is_empty() {
        &["connector", "class"]
    } else {
        &[class]
    };
    let request = match random.bool() {
        true => {
            let body = json!({"name": "made", "config": config});
            Request::json(Connect, "POST", "/connectors", body.to_string())
        }
        false => Request::json(
            Connect,
            "PUT",
            "/connectors/halted/config",
            config.to_string(),
        ),
    };
    request.refused("class", words)
}

pub(super) fn name(random: &mut Rng, world: &World) -> Case {
    let mut body = creation(random, world);
    let names = [
        json!(""),
        json!("  "),
        json!("."),
        json!(".."),
        json!("a\u{0}b"),
        json!("x".repeat(250)),
        json!(null),
    ];
    match random.u8(0..4) {
        0 => body["name"] = json!(pick(random, &CONNECTORS).0),
        1 => body["name"] = json!(["a"]),
        2 => body["config"]["name"] = json!("another"),
        _ => body["name"] = pick(random, &names.each_ref()).clone(),
    }
    let request = Request::json(Connect, "POST", "/connectors", body.to_string());
    request.refused("name", &["name", "already exists"])
}
