//! Bad requests to Kafka Connect's API and to ours: a good one, and one thing that is broken in it.

mod resources;
mod settings;
mod writes;

use super::{
    case::{Case, Expect, Request, Server::Connect, encoded},
    world::World,
};
use fastrand::Rng;
use resources::{damaged, offsets, ours, pipelines, topics};
use serde_json::{Value, json};
use settings::{class, name, nested, state, unknown_key, value};
use writes::{accept, content_type, host, shape, syntax, too_large, unknown_field};

/// Makes one case.
type Make = fn(&mut Rng, &World) -> Case;

/// Every way to break a request, each as likely as the others.
const WAYS: [Make; 34] = [
    good,
    path,
    method,
    connector,
    connector_text,
    task,
    plugin,
    plugin_version,
    logger,
    level,
    topic,
    partition,
    query,
    content_type,
    accept,
    host,
    syntax,
    shape,
    too_large,
    unknown_field,
    state,
    value,
    unknown_key,
    nested,
    class,
    name,
    offsets,
    pipelines,
    damaged,
    damaged,
    damaged,
    damaged,
    ours,
    topics,
];

/// The next case.
pub fn next(random: &mut Rng, world: &World) -> Case {
    let make = pick(random, &WAYS);
    make(random, world)
}

pub fn pick<T: Copy>(random: &mut Rng, of: &[T]) -> T {
    of.get(random.usize(0..of.len()))
        .copied()
        .expect("there is one")
}

/// Names that no connector has; some are hard to carry in an address.
const STRANGERS: [&str; 16] = [
    "nobody",
    "IN",
    "in ",
    "in/out",
    "..",
    "%",
    "%zz",
    "größe",
    "\u{202e}ni",
    "a\tb",
    "'; drop table x",
    "<b>",
    "in\u{0}",
    "{name}",
    "${env:HOME}",
    "🦀",
];

fn stranger(random: &mut Rng) -> String {
    match random.u8(0..8) {
        0 => "x".repeat(random.usize(250..4_000)),
        1 => (0..random.usize(1..20))
            .map(|_| random.char('\u{1}'..='\u{d7ff}'))
            .collect(),
        _ => pick(random, &STRANGERS).to_owned(),
    }
}

/// Reads that are there.
const READS: [&str; 23] = [
    "/connector-plugins?connectorsOnly=%FF&&&==&%zz",
    "/",
    "/health",
    "/metrics",
    "/connectors",
    "/connectors/",
    "/connectors?expand=status&expand=info",
    "/connectors?expand=nothing",
    "/connectors/in",
    "/connectors/in/config",
    "/connectors/in/status",
    "/connectors/in/tasks",
    "/connectors/in/tasks/0/status",
    "/connectors/in/topics",
    "/connectors/in/offsets",
    "/connectors/nobody/topics",
    "/connector-plugins",
    "/connector-plugins?connectorsOnly=false",
    "/connector-plugins/FileStreamSource/config",
    "/admin/loggers",
    "/tapline/v1/status",
    "/tapline/v1/topics",
    "/tapline/v1/topics/lines/records?offset=0&max=3&wait_ms=0",
];

/// Resources with the methods that they have.
const RESOURCES: [(&str, &[&str]); 18] = [
    ("/", &["GET"]),
    ("/health", &["GET"]),
    ("/metrics", &["GET"]),
    ("/connectors", &["GET", "POST"]),
    ("/connectors/in", &["GET", "DELETE"]),
    ("/connectors/in/config", &["GET", "PUT", "PATCH"]),
    ("/connectors/in/status", &["GET"]),
    ("/connectors/in/pause", &["PUT"]),
    ("/connectors/in/restart", &["POST"]),
    ("/connectors/in/tasks", &["GET"]),
    ("/connectors/in/tasks/0/status", &["GET"]),
    ("/connectors/in/tasks/0/restart", &["POST"]),
    ("/connectors/in/topics/reset", &["PUT"]),
    ("/connectors/in/offsets", &["GET", "PATCH", "DELETE"]),
    ("/connector-plugins/file/config/validate", &["PUT"]),
    ("/admin/loggers/root", &["GET", "PUT"]),
    ("/tapline/v1/pipelines", &["POST"]),
    ("/tapline/v1/topics/lines/records", &["GET"]),
];

fn good(random: &mut Rng, world: &World) -> Case {
    let request = match random.u8(0..8) {
        0 => Request::json(
            Connect,
            "POST",
            "/connectors",
            creation(random, world).to_string(),
        ),
        1 => Request::json(
            Connect,
            "PUT",
            "/connectors/halted/config",
            world.config("halted").to_string(),
        ),
        2 => Request::json(
            Connect,
            "PATCH",
            "/connectors/halted/offsets",
            entries(world).to_string(),
        ),
        3 => {
            let body = json!({"level": pick(random, &["INFO", "debug", "WARN"])});
            Request::json(
                Connect,
                "PUT",
                "/admin/loggers/hostile.test",
                body.to_string(),
            )
        }
        4 => {
            let body = json!({"pipelines": [pipeline(world)], "dry_run": true});
            Request::json(Connect, "POST", "/tapline/v1/pipelines", body.to_string())
        }
        5 => {
            let target = "/connector-plugins/FileStreamSource/config/validate";
            Request::json(Connect, "PUT", target, world.config("halted").to_string())
        }
        6 => Request::bare(
            Connect,
            "PUT",
            pick(random, &["/connectors/in/resume", "/connectors/still/stop"]),
        ),
        _ => Request::bare(
            Connect,
            pick(random, &["GET", "HEAD"]),
            pick(random, &READS),
        ),
    };
    request.expecting("nothing broken", Expect::Taken)
}

fn path(random: &mut Rng, _: &World) -> Case {
    let target = pick(random, &READS);
    let path = target
        .split('?')
        .next()
        .unwrap_or_default()
        .trim_end_matches('/');
    let path = match random.u8(0..4) {
        0 => format!(
            "{path}/{}",
            pick(random, &["x", "0", "status/status", "%00", ".", "*"])
        ),
        1 => format!(
            "/{}{path}",
            pick(random, &["api", "v2", "%2e%2e", "kafka", ";a=b"])
        ),
        2 => format!("/{path}/x"),
        _ => format!(
            "{}x{}",
            path.get(..3).unwrap_or("/co"),
            path.get(3..).unwrap_or_default()
        ),
    };
    // What may be anything takes one segment more, or a name that is wrong in its place.
    let words = [
        path.as_str(),
        "not found",
        "Unknown plugin",
        "No status",
        "there is no topic",
    ];
    if [
        "/connectors/x",
        "/connectors/0",
        "/connectors/.",
        "/connectors/*",
        "/connectors/%00",
    ]
    .contains(&&*path)
    {
        return Request::bare(Connect, "GET", &path).refused("path", &["Connector"]);
    }
    Request::bare(Connect, "GET", &path).refused("path", &words)
}

fn method(random: &mut Rng, _: &World) -> Case {
    let (path, has) = pick(random, &RESOURCES);
    let all = [
        "GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "get",
    ];
    let wrong: Vec<&str> = all
        .into_iter()
        .filter(|method| !has.contains(method))
        .collect();
    let method = pick(random, &wrong);
    let request = match random.bool() {
        true => Request::json(Connect, method, path, "{}"),
        false => Request::bare(Connect, method, path),
    };
    request.refused("method", &[&format!("{path} does not take {method}")])
}

/// What can be asked of one connector.
const OF_A_CONNECTOR: [(&str, &str); 14] = [
    ("GET", ""),
    ("DELETE", ""),
    ("GET", "/config"),
    ("PATCH", "/config"),
    ("GET", "/status"),
    ("PUT", "/pause"),
    ("PUT", "/resume"),
    ("PUT", "/stop"),
    ("POST", "/restart"),
    ("POST", "/restart?includeTasks=true"),
    ("GET", "/tasks"),
    ("GET", "/tasks/0/status"),
    ("GET", "/offsets"),
    ("DELETE", "/offsets"),
];

fn connector(random: &mut Rng, _: &World) -> Case {
    let name = stranger(random);
    let (method, rest) = pick(random, &OF_A_CONNECTOR);
    let target = format!("/connectors/{}{rest}", encoded(&name));
    let request = match method {
        "PATCH" => Request::json(Connect, method, &target, "{\"a\": \"b\"}"),
        _ => Request::bare(Connect, method, &target),
    };
    request.refused("connector", &[&name])
}

/// A name that is no text.
fn connector_text(random: &mut Rng, _: &World) -> Case {
    let (method, rest) = pick(random, &OF_A_CONNECTOR);
    let segment = pick(random, &["%FF", "a%C3%28", "%ED%A0%80", "%F8%88%80%80%80"]);
    let target = format!("/connectors/{segment}{rest}");
    let request = match method {
        "PATCH" => Request::json(Connect, method, &target, "{\"a\": \"b\"}"),
        _ => Request::bare(Connect, method, &target),
    };
    request.refused("name that is no text", &[segment])
}

fn task(random: &mut Rng, _: &World) -> Case {
    let task = pick(
        random,
        &[
            "1",
            "7",
            "-1",
            "x",
            "0x0",
            "99999999999",
            "1.5",
            "%20",
            "00000000001",
            "٣",
        ],
    );
    let (method, rest) = pick(random, &[("GET", "status"), ("POST", "restart")]);
    let target = format!(
        "/connectors/in/tasks/{}/{rest}",
        if task == "%20" {
            task.to_owned()
        } else {
            encoded(task)
        }
    );
    let shown = if task == "%20" {
        " "
    } else {
        task.trim_start_matches('0')
    };
    Request::bare(Connect, method, &target).refused("task", &[shown])
}

fn plugin(random: &mut Rng, _: &World) -> Case {
    let name = stranger(random);
    let target = format!("/connector-plugins/{}/config", encoded(&name));
    let request = match random.bool() {
        true => Request::bare(Connect, "GET", &target),
        false => Request::json(
            Connect,
            "PUT",
            &format!("{target}/validate"),
            "{\"connector.class\": \"file\"}",
        ),
    };
    request.refused("plugin", &[&name])
}

fn plugin_version(random: &mut Rng, _: &World) -> Case {
    let version = pick(random, &["9.9.9", "x", "0.1.0.0", "[1,2]"]);
    let target = format!(
        "/connector-plugins/FileStreamSource/config?version={}",
        encoded(version)
    );
    Request::bare(Connect, "GET", &target).refused("plugin's version", &[version])
}

fn logger(random: &mut Rng, _: &World) -> Case {
    let name = stranger(random);
    let target = format!("/admin/loggers/{}", encoded(&name));
    Request::bare(Connect, "GET", &target).refused("logger", &[&name])
}

fn level(random: &mut Rng, _: &World) -> Case {
    let bodies = [
        "{}",
        "{\"level\": null}",
        "{\"level\": \"\"}",
        "{\"level\": \"LOUD\"}",
        "{\"level\": 5}",
        "{\"level\": [\"INFO\"]}",
        "{\"level\": {\"level\": \"INFO\"}}",
        "{\"levle\": \"INFO\"}",
        "[]",
        "\"INFO\"",
    ];
    let body = pick(random, &bodies);
    Request::json(Connect, "PUT", "/admin/loggers/root", body)
        .refused("level", &["level", "Level", "body"])
}

fn topic(random: &mut Rng, _: &World) -> Case {
    let name = stranger(random);
    let target = format!("/tapline/v1/topics/{}/records", encoded(&name));
    Request::bare(Connect, "GET", &target).refused("topic", &[&name])
}

fn partition(random: &mut Rng, _: &World) -> Case {
    let partition = pick(random, &["1", "2147483647", "4294967295"]);
    let target = format!("/tapline/v1/topics/lines/records?partition={partition}");
    Request::bare(Connect, "GET", &target).refused("partition", &[partition])
}

fn query(random: &mut Rng, _: &World) -> Case {
    let name = pick(random, &["partition", "offset", "max", "wait_ms"]);
    let values = [
        "",
        "-1",
        "x",
        "1.5",
        "1e9",
        "99999999999999999999999",
        "%FF",
        "%00",
        "null",
        "[1]",
        "0x1",
        "1;2",
    ];
    let value = pick(random, &values);
    let (query, word) = match random.u8(0..4) {
        0 => (format!("{name}x={value}"), format!("{name}x")),
        1 => (format!("{name}=1&{name}=2"), name.to_owned()),
        _ => (format!("{name}={value}"), name.to_owned()),
    };
    let target = format!("/tapline/v1/topics/lines/records?{query}");
    Request::bare(Connect, "GET", &target).refused("query", &[&word])
}

/// What creates a connector.
fn creation(random: &mut Rng, world: &World) -> Value {
    let mut config = world.config("halted");
    for (key, value) in [
        ("batch.size", "50"),
        ("tasks.max", "1"),
        ("record.format", "struct"),
        ("file.shrunk", "wait"),
    ] {
        if random.bool() {
            config[key] = json!(value);
        }
    }
    let mut body = json!({"name": format!("made-{}", random.u8(..)), "config": config});
    if random.bool() {
        body["initial_state"] = json!(pick(random, &["STOPPED", "paused", "RUNNING"]));
    }
    body
}

fn entries(world: &World) -> Value {
    let file = world.config("halted")["file"].clone();
    json!({"offsets": [{"partition": {"filename": file}, "offset": {"position": 0}}]})
}

fn pipeline(world: &World) -> Value {
    let connector =
        json!({"name": "p.source", "type": "source", "line": 3, "config": world.config("halted")});
    json!({"name": "p", "file": "p.yaml", "connectors": [connector]})
}
