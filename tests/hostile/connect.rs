//! Bad requests to Kafka Connect's API and to ours: a good one, and one thing that is broken in it.

use super::{
    bodies,
    case::{Case, Expect, JSON, Place, Request, Server::Connect, encoded},
    oracle,
    world::{CONNECTORS, World},
};
use fastrand::Rng;
use serde_json::{Value, json};

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

/// Writes with a body, and a good body for each.
fn write(random: &mut Rng, world: &World) -> (&'static str, &'static str, Value) {
    match random.u8(0..7) {
        0 => ("POST", "/connectors", creation(random, world)),
        1 => ("PUT", "/connectors/halted/config", world.config("halted")),
        2 => (
            "PATCH",
            "/connectors/halted/config",
            json!({"batch.size": "10"}),
        ),
        3 => ("PATCH", "/connectors/halted/offsets", entries(world)),
        4 => (
            "PUT",
            "/admin/loggers/hostile.test",
            json!({"level": "INFO"}),
        ),
        5 => (
            "POST",
            "/tapline/v1/pipelines",
            json!({"pipelines": [pipeline(world)], "dry_run": true}),
        ),
        _ => (
            "PUT",
            "/connector-plugins/FileStreamSource/config/validate",
            world.config("halted"),
        ),
    }
}

fn content_type(random: &mut Rng, world: &World) -> Case {
    let (method, target, body) = write(random, world);
    let mut request = Request::bare(Connect, method, target);
    request.body = Some(body.to_string().into_bytes());
    let kinds = [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/xml",
        "",
        "json",
        "application/json2",
        "multipart/form-data; boundary=x",
        "application/ json",
        "text/json",
        "application/json\u{e9}",
    ];
    if random.u8(0..8) > 0 {
        request = request.with(JSON.0, pick(random, &kinds));
    }
    request.refused("content type", &["Content-Type"])
}

fn accept(random: &mut Rng, _: &World) -> Case {
    let kind = pick(
        random,
        &[
            "text/html",
            "application/xml",
            "",
            "image/*",
            "application/jsonx",
            "text/*;q=1",
        ],
    );
    let target = pick(
        random,
        &[
            "/connectors",
            "/connectors/in/status",
            "/",
            "/connector-plugins",
        ],
    );
    let request = Request::bare(Connect, "GET", target).with("Accept", kind);
    request.refused("accept", &["Accept"])
}

fn host(random: &mut Rng, _: &World) -> Case {
    let names = [
        "evil.example",
        "10.0.0.1:8083",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "[::2]:8083",
        "0.0.0.0",
        "evil.example:80:90",
        "a b",
        "",
    ];
    let name = pick(random, &names);
    let target = pick(random, &["/connectors", "/health", "/tapline/v1/topics"]);
    let request = Request::bare(Connect, "GET", target);
    match random.bool() {
        true => request.with("Host", name).refused("host", &["Host"]),
        false => {
            let origin = pick(
                random,
                &[
                    "null",
                    "http://evil.example",
                    "https://10.0.0.1",
                    "file://",
                    "127.0.0.1",
                ],
            );
            request.with("Origin", origin).refused("host", &["Origin"])
        }
    }
}

fn syntax(random: &mut Rng, world: &World) -> Case {
    let (method, target, body) = write(random, world);
    let body = bodies::broken(&body, random);
    if body.is_empty() {
        return Request::json(Connect, method, target, body).refused("no JSON", &["body"]);
    }
    let request = Request::json(Connect, method, target, body);
    request.expecting("no JSON", Expect::Refused(vec![Place::LineAndColumn]))
}

/// JSON of another shape than an object.
fn shape(random: &mut Rng, world: &World) -> Case {
    let (method, target, body) = write(random, world);
    let other = match random.u8(0..6) {
        0 => json!([body]),
        1 => json!(body.to_string()),
        2 => json!(null),
        3 => json!(random.f64()),
        4 => json!(true),
        _ => json!([]),
    };
    // A declaration's own reader takes a list of fields for a struct, and names what it misses.
    let words = ["body", "pipelines", "line 1 column"];
    Request::json(Connect, method, target, other.to_string()).refused("shape", &words)
}

fn too_large(random: &mut Rng, world: &World) -> Case {
    let (method, target, body) = write(random, world);
    let mut body = body.to_string().into_bytes();
    body.resize((1 << 20) + random.usize(1..100_000), b' ');
    Request::json(Connect, method, target, body).refused("too large", &["1048576 bytes"])
}

fn unknown_field(random: &mut Rng, world: &World) -> Case {
    let (method, target, mut body) = match random.u8(0..3) {
        0 => ("POST", "/connectors", creation(random, world)),
        1 => ("PATCH", "/connectors/halted/offsets", entries(world)),
        _ => (
            "POST",
            "/tapline/v1/pipelines",
            json!({"pipelines": [pipeline(world)], "dry_run": true}),
        ),
    };
    let field = pick(
        random,
        &[
            "nmae",
            "configs",
            "",
            "tasks",
            "Name",
            "\u{0}",
            "initialState",
            "größe",
        ],
    );
    body[field] = pick(random, &[json!(1), json!(null), json!({})].each_ref()).clone();
    let shown = if field.is_empty() { "\"\"" } else { field };
    Request::json(Connect, method, target, body.to_string())
        .refused("unknown field", &[shown, "``"])
}

fn state(random: &mut Rng, world: &World) -> Case {
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

fn value(random: &mut Rng, world: &World) -> Case {
    let (key, values) = pick(random, &VALUES);
    let value = json!(pick(random, values));
    with_config(random, world, "value", key, value)
}

/// A value that is no scalar.
fn nested(random: &mut Rng, world: &World) -> Case {
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

fn unknown_key(random: &mut Rng, world: &World) -> Case {
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
fn with_config(
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

fn class(random: &mut Rng, world: &World) -> Case {
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

fn name(random: &mut Rng, world: &World) -> Case {
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

fn offsets(random: &mut Rng, world: &World) -> Case {
    let bodies: [(&str, Value, &[&str]); 12] = [
        ("halted", json!({}), &["offsets"]),
        ("halted", json!({"offsets": []}), &["offsets"]),
        ("halted", json!({"offsets": {}}), &["offsets"]),
        ("halted", json!({"offsets": [1]}), &["entry"]),
        (
            "halted",
            json!({"offsets": [{"offset": {"position": 1}}]}),
            &["partition"],
        ),
        (
            "halted",
            json!({"offsets": [{"partition": {"filename": []}, "offset": null}]}),
            &["filename"],
        ),
        (
            "halted",
            json!({"offsets": [{"partition": {"filename": "f"}, "offset": {"position": -1}}]}),
            &["position"],
        ),
        (
            "halted",
            json!({"offsets": [{"partition": {"filename": "f"}, "offset": {"position": "7"}}]}),
            &["position"],
        ),
        (
            "still",
            json!({"offsets": [{"partition": {"kafka_topic": "lines"}}]}),
            &["kafka_partition"],
        ),
        (
            "still",
            json!({"offsets": [{"partition": {"kafka_topic": "none", "kafka_partition": 0}}]}),
            &["none"],
        ),
        (
            "still",
            json!({"offsets": [{"partition": {"kafka_topic": "lines", "kafka_partition": 0}, "offset": {"kafka_offset": "x"}}]}),
            &["x", "offset"],
        ),
        ("in", entries(world), &["/connectors/in/stop"]),
    ];
    let (name, body, words) = pick(random, &bodies.each_ref());
    let target = format!("/connectors/{name}/offsets");
    Request::json(Connect, "PATCH", &target, body.to_string()).refused("offsets", words)
}

fn pipelines(random: &mut Rng, world: &World) -> Case {
    let mut one = pipeline(world);
    let bodies: [(Value, &[&str]); 9] = [
        (json!({}), &["pipelines"]),
        (json!({"pipelines": {}}), &["line 1 column"]),
        (json!({"pipelines": [{"name": "p"}]}), &["connectors"]),
        (
            json!({"pipelines": [{"name": "", "connectors": []}]}),
            &["pipeline name"],
        ),
        (json!({"pipelines": [one, one]}), &["p.source"]),
        (
            json!({"pipelines": [{"name": "q", "connectors": one["connectors"]}]}),
            &["p.source"],
        ),
        (
            json!({"pipelines": [one], "prune": "yes"}),
            &["line 1 column"],
        ),
        (json!({"pipelines": [one], "dryrun": true}), &["dryrun"]),
        (
            {
                one["connectors"][0]["config"]["topik"] = json!("t");
                json!({"pipelines": [one], "dry_run": true})
            },
            &["topik"],
        ),
    ];
    let (body, words) = pick(random, &bodies.each_ref());
    let target = "/tapline/v1/pipelines";
    Request::json(Connect, "POST", target, body.to_string()).refused("pipelines", words)
}

/// What Kafka Connect does not have.
fn ours(random: &mut Rng, world: &World) -> Case {
    let known = json!({"offsets": [{"partition": {}}]});
    let cases: [(&str, &str, Value, &[&str]); 8] = [
        ("POST", "out/resnapshot", json!({}), &["out"]),
        ("POST", "nobody/resnapshot", json!({}), &["nobody"]),
        (
            "POST",
            "in/resnapshot",
            json!({"tables": "a"}),
            &["line 1 column"],
        ),
        (
            "POST",
            "in/resnapshot",
            json!({"tables": [1]}),
            &["line 1 column"],
        ),
        ("POST", "in/resnapshot", json!({"tabels": []}), &["tabels"]),
        (
            "POST",
            "in/resnapshot",
            json!({"tables": ["public.none"]}),
            &["public.none"],
        ),
        ("PATCH", "nobody/offsets", entries(world), &["nobody"]),
        ("PATCH", "out/offsets", known, &["kafka_topic"]),
    ];
    let (method, rest, body, words) = pick(random, &cases.each_ref());
    let target = format!("/tapline/v1/connectors/{rest}");
    Request::json(Connect, method, &target, body.to_string()).refused("ours", words)
}

/// Topics that are made, altered and deleted.
fn topics(random: &mut Rng, _: &World) -> Case {
    let cases: [(&str, &str, Value, &[&str]); 15] = [
        ("POST", "", json!({}), &["name"]),
        ("POST", "", json!({"name": 1}), &["name"]),
        ("POST", "", json!({"name": "a b"}), &["a b"]),
        ("POST", "", json!({"name": ".."}), &[".."]),
        ("POST", "", json!({"name": "x".repeat(250)}), &["249"]),
        ("POST", "", json!({"name": "lines"}), &["lines"]),
        (
            "POST",
            "",
            json!({"name": "connect-configs"}),
            &["connect-configs"],
        ),
        (
            "POST",
            "",
            json!({"name": "new", "partitions": 0}),
            &["partitions"],
        ),
        (
            "POST",
            "",
            json!({"name": "new", "partitions": "many"}),
            &["partitions"],
        ),
        (
            "POST",
            "",
            json!({"name": "new", "partitions": 4_000_000_000_u32}),
            &["partitions"],
        ),
        (
            "POST",
            "",
            json!({"name": "new", "config": {"cleanup.policy": "keep"}}),
            &["cleanup.policy"],
        ),
        (
            "POST",
            "",
            json!({"name": "new", "config": {"retention.msx": 1}}),
            &["retention.msx"],
        ),
        (
            "PATCH",
            "/lines",
            json!({"config": {"retention.ms": "soon"}}),
            &["retention.ms"],
        ),
        ("PATCH", "/lines", json!({"config": []}), &["config"]),
        (
            "PATCH",
            "/nothing",
            json!({"config": {"retention.ms": "1"}}),
            &["nothing"],
        ),
    ];
    let (method, rest, body, words) = pick(random, &cases.each_ref());
    if random.u8(0..6) == 0 {
        let target = "/tapline/v1/topics/lines";
        return Request::bare(Connect, "DELETE", target).refused("topics", &["in, out"]);
    }
    let target = format!("/tapline/v1/topics{rest}");
    Request::json(Connect, method, &target, body.to_string()).refused("topics", words)
}

/// Some bytes of a good body are others: whether it is still good, the oracle says.
fn damaged(random: &mut Rng, world: &World) -> Case {
    match random.u8(0..3) {
        0 => {
            let body = bodies::damaged(&creation(random, world), random);
            let expect = oracle::create(&body);
            Request::json(Connect, "POST", "/connectors", body).expecting("damaged bytes", expect)
        }
        1 => {
            let body = bodies::damaged(&world.config("halted"), random);
            let expect = oracle::configure(&body, "halted");
            Request::json(Connect, "PUT", "/connectors/halted/config", body)
                .expecting("damaged bytes", expect)
        }
        _ => {
            let body = bodies::damaged(&entries(world), random);
            let expect = oracle::offsets(&body);
            Request::json(Connect, "PATCH", "/connectors/halted/offsets", body)
                .expecting("damaged bytes", expect)
        }
    }
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
