//! Bad requests to the schema registry's API.

use super::{
    bodies,
    case::{Case, Expect, JSON, Place, Request, Server::Registry, encoded},
    connect::pick,
    world::{SUBJECT, World},
};
use fastrand::Rng;
use serde_json::{Value, json};

/// Makes one case.
type Make = fn(&mut Rng) -> Case;

const WAYS: [Make; 13] = [
    good,
    path,
    method,
    subject,
    version,
    id,
    schema,
    body_key,
    syntax,
    level,
    mode,
    content_type,
    name,
];

/// The next case.
pub fn next(random: &mut Rng, _: &World) -> Case {
    let make = pick(random, &WAYS);
    make(random)
}

const GOOD_SCHEMA: &str =
    r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":0}]}"#;

fn good(random: &mut Rng) -> Case {
    let schema = json!({ "schema": GOOD_SCHEMA }).to_string();
    let reads = [
        "/",
        "/subjects",
        "/subjects?deleted=true&limit=1",
        "/schemas?offset=x",
        "/schemas/types",
        "/schemas/ids/1",
        "/subjects/known-value/versions",
        "/subjects/known-value/versions/latest",
        "/subjects/known-value/versions/-1",
        "/subjects/known-value/versions/1/schema",
        "/config",
        "/mode",
        "/config/nobody?defaultToGlobal=true",
        "/contexts",
        "/v1/metadata/version",
        "/schemas/ids/1/subjects?subject=nobody",
    ];
    let request = match random.u8(0..5) {
        0 => Request::json(Registry, "POST", &format!("/subjects/{SUBJECT}"), schema),
        1 => Request::json(
            Registry,
            "POST",
            &format!("/subjects/{SUBJECT}/versions?normalize=maybe"),
            schema,
        ),
        2 => {
            let target = format!("/compatibility/subjects/{SUBJECT}/versions/latest");
            Request::json(Registry, "POST", &target, schema)
        }
        3 => {
            let level =
                json!({"compatibility": pick(random, &["NONE", "backward", "FULL_TRANSITIVE"])});
            Request::json(Registry, "PUT", "/config/aside", level.to_string())
        }
        _ => Request::bare(Registry, "GET", pick(random, &reads)),
    };
    request.expecting("registry: nothing broken", Expect::Taken)
}

fn path(random: &mut Rng) -> Case {
    let paths = [
        "/subject",
        "/subjects/a/versions/1/schema/x",
        "/schemas/ids",
        "/schemas/ids/1/x",
        "/compatibility",
        "/api",
        "//subjects",
        "/subjects//versions",
        "/mode/a/b",
        "/config/a/b/c",
        "/compatibility/subjects/a",
    ];
    let path = pick(random, &paths);
    Request::bare(Registry, "GET", path).refused("registry: path", &[path, "Subject ''"])
}

fn method(random: &mut Rng) -> Case {
    let wrong = [
        ("PUT", "/subjects"),
        ("DELETE", "/schemas/ids/1"),
        ("PATCH", "/config"),
        ("POST", "/mode"),
        ("GET", "/compatibility/subjects/a/versions"),
        ("PUT", "/subjects/a/versions"),
        ("TRACE", "/"),
        ("BREW", "/subjects"),
        ("OPTIONS", "/schemas/types"),
    ];
    let (method, path) = pick(random, &wrong);
    let request = Request::json(Registry, method, path, "{}");
    request.refused(
        "registry: method",
        &[&format!("{path} does not take {method}")],
    )
}

const STRANGERS: [&str; 9] = [
    "nobody",
    "known",
    "KNOWN-VALUE",
    "a/b",
    "größe",
    "%",
    "..",
    "a b",
    "🦀",
];

fn subject(random: &mut Rng) -> Case {
    let name = pick(random, &STRANGERS);
    let segment = encoded(name);
    let (method, target) = match random.u8(0..6) {
        0 => ("GET", format!("/subjects/{segment}/versions")),
        1 => ("GET", format!("/subjects/{segment}/versions/1")),
        2 => ("DELETE", format!("/subjects/{segment}")),
        3 => ("GET", format!("/config/{segment}")),
        4 => ("GET", format!("/mode/{segment}")),
        _ => ("DELETE", format!("/subjects/{segment}/versions/latest")),
    };
    Request::bare(Registry, method, &target).refused("registry: subject", &[name])
}

fn version(random: &mut Rng) -> Case {
    let version = pick(
        random,
        &[
            "0",
            "-2",
            "99",
            "x",
            "1.5",
            "2147483648",
            "LATEST1",
            "%20",
            "0x1",
        ],
    );
    let target = format!("/subjects/{SUBJECT}/versions/{version}");
    let shown = if version == "%20" {
        "no version"
    } else {
        version
    };
    Request::bare(Registry, pick(random, &["GET", "DELETE"]), &target)
        .refused("registry: version", &[shown])
}

fn id(random: &mut Rng) -> Case {
    let id = pick(
        random,
        &["0", "-1", "999999", "x", "2147483648", "1e1", "%FF"],
    );
    let rest = pick(random, &["", "/schema", "/subjects", "/versions"]);
    let target = format!("/schemas/ids/{id}{rest}");
    Request::bare(Registry, "GET", &target).refused("registry: id", &[id, "Schema not found"])
}

/// Where a schema is sent to.
fn target(random: &mut Rng) -> String {
    let targets = [
        "/subjects/aside",
        "/subjects/aside/versions",
        "/compatibility/subjects/aside/versions",
    ];
    pick(random, &targets).to_owned()
}

fn schema(random: &mut Rng) -> Case {
    let schemas = [
        json!(""),
        json!("{"),
        json!("\u{0}"),
        json!("\"strin\""),
        json!("{}"),
        json!("[]]"),
        json!("null "),
        json!(r#"{"type":"record"}"#),
        json!(r#"{"type":"record","name":"R"}"#),
        json!(r#"{"type":"record","name":"R","fields":[{"name":"a"}]}"#),
        json!(
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}"#
        ),
        json!(r#"{"type":"record","name":"1R","fields":[]}"#),
        json!(r#"{"type":"record","name":"R","fields":[{"name":"a","type":"other.Thing"}]}"#),
        json!(r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":"x"}]}"#),
        json!(r#"{"type":"enum","name":"E","symbols":["a","a"]}"#),
        json!(r#"{"type":"fixed","name":"F","size":-1}"#),
        json!(r#"{"type":"array"}"#),
        json!("[\"int\",\"int\"]"),
        json!("[".repeat(100_000)),
        json!(format!("{{\"type\":{}\"int\"", "[".repeat(5_000))),
    ];
    let schema = pick(random, &schemas.each_ref()).clone();
    // `null ` is Avro's null with a blank behind it.
    let good = schema == json!("null ");
    let body = json!({ "schema": schema }).to_string();
    let request = Request::json(Registry, "POST", &target(random), body);
    match good {
        true => request.expecting(
            "registry: schema",
            Expect::Either(vec![Place::Word("chema".to_owned())]),
        ),
        false => request.refused("registry: schema", &["Invalid schema"]),
    }
}

fn body_key(random: &mut Rng) -> Case {
    let bodies: [(Value, &[&str]); 13] = [
        (json!({"schema": 1}), &["line 1 column"]),
        (json!({"schema": ["int"]}), &["line 1 column"]),
        (json!({"schem": "\"int\""}), &["schem"]),
        (
            json!({"schema": "\"int\"", "schemaType": "PROTOBUF"}),
            &["PROTOBUF"],
        ),
        (
            json!({"schema": "\"int\"", "schemaType": 7}),
            &["line 1 column"],
        ),
        (
            json!({"schema": "\"int\"", "references": {}}),
            &["line 1 column"],
        ),
        (
            json!({"schema": "\"int\"", "references": [{"name": "a"}]}),
            &["subject"],
        ),
        (
            json!({"schema": "\"int\"", "references": [{"name": "a", "subject": "none", "version": 1}]}),
            &["none"],
        ),
        (json!({"schema": "\"int\"", "id": "x"}), &["line 1 column"]),
        (
            json!({"schema": "\"int\"", "version": 1e99}),
            &["line 1 column"],
        ),
        (
            json!({"schema": "\"int\"", "metadata": {"tags": {"a": ["b"]}}}),
            &["metadata"],
        ),
        (
            json!({"schema": "\"int\"", "ruleSet": {"domainRules": [1]}}),
            &["ruleSet"],
        ),
        (json!([]), &["line 1 column", "empty"]),
    ];
    let (body, words) = pick(random, &bodies.each_ref());
    Request::json(Registry, "POST", &target(random), body.to_string())
        .refused("registry: key", words)
}

fn syntax(random: &mut Rng) -> Case {
    let body = bodies::broken(
        &json!({"schema": GOOD_SCHEMA, "schemaType": "AVRO"}),
        random,
    );
    let places = match body.is_empty() {
        true => vec![Place::Word("body".to_owned())],
        false => vec![Place::LineAndColumn],
    };
    let request = Request::json(Registry, "POST", &target(random), body);
    request.expecting("registry: no JSON", Expect::Refused(places))
}

fn level(random: &mut Rng) -> Case {
    let bodies: [(Value, &[&str]); 6] = [
        (json!({"compatibility": "SIDEWAYS"}), &["SIDEWAYS"]),
        (json!({"compatibility": ""}), &["compatibility"]),
        (
            json!({"compatibility": 1}),
            &["line 1 column", "compatibility"],
        ),
        (
            json!({"compatibility": "NONE", "overrideMetadata": {"a": 1}}),
            &["overrideMetadata"],
        ),
        (json!({"normalize": "yes"}), &["line 1 column", "normalize"]),
        (json!(["NONE"]), &["line 1 column", "body"]),
    ];
    let (body, words) = pick(random, &bodies.each_ref());
    let target = pick(random, &["/config", "/config/aside"]);
    Request::json(Registry, "PUT", target, body.to_string()).refused("registry: level", words)
}

fn mode(random: &mut Rng) -> Case {
    let bodies: [(Value, &[&str]); 6] = [
        (json!({"mode": "OFF"}), &["OFF"]),
        (json!({"mode": ""}), &["mode"]),
        (json!({"mode": null}), &["line 1 column"]),
        (json!({}), &["mode"]),
        (json!({"mode": "READWRITE", "force": true}), &["force"]),
        (json!({"mode": "IMPORT"}), &["known-value"]),
    ];
    let (body, words) = pick(random, &bodies.each_ref());
    let target = pick(random, &["/mode", "/mode/known-value"]);
    Request::json(Registry, "PUT", target, body.to_string()).refused("registry: mode", words)
}

fn content_type(random: &mut Rng) -> Case {
    let kinds = [
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "json",
    ];
    let kind = pick(random, &kinds);
    let mut request = Request::bare(Registry, "POST", &target(random));
    request.body = Some(b"{}".to_vec());
    match random.u8(0..3) {
        0 => request.refused("registry: content type", &["Content-Type"]),
        1 => request
            .with(JSON.0, kind)
            .refused("registry: content type", &[kind]),
        _ => {
            let request = Request::bare(Registry, "GET", "/subjects").with("Accept", "text/html");
            request.refused("registry: accept", &["Accept"])
        }
    }
}

/// Names that no subject may have.
fn name(random: &mut Rng) -> Case {
    let long = "x".repeat(1_025);
    let name = pick(
        random,
        &[long.as_str(), "a\u{0}b", "\n", ":.x:a", "__GLOBAL", "  "],
    );
    let target = format!("/subjects/{}/versions", encoded(name));
    let body = json!({ "schema": GOOD_SCHEMA }).to_string();
    Request::json(Registry, "POST", &target, body).refused("registry: name", &["subject"])
}
