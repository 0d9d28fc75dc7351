//! Requests with a body: its type, its form, its size, and who asks.

use super::{creation, entries, pick, pipeline};
use crate::hostile::{
    bodies,
    case::{Case, Expect, JSON, Place, Request, Server::Connect},
    world::World,
};
use fastrand::Rng;
use serde_json::{Value, json};

/// Writes with a body, and a good body for each.
pub(super) fn write(random: &mut Rng, world: &World) -> (&'static str, &'static str, Value) {
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

pub(super) fn content_type(random: &mut Rng, world: &World) -> Case {
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

pub(super) fn accept(random: &mut Rng, _: &World) -> Case {
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

pub(super) fn host(random: &mut Rng, _: &World) -> Case {
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

pub(super) fn syntax(random: &mut Rng, world: &World) -> Case {
    let (method, target, body) = write(random, world);
    let body = bodies::broken(&body, random);
    if body.is_empty() {
        return Request::json(Connect, method, target, body).refused("no JSON", &["body"]);
    }
    let request = Request::json(Connect, method, target, body);
    request.expecting("no JSON", Expect::Refused(vec![Place::LineAndColumn]))
}

/// JSON of another shape than an object.
pub(super) fn shape(random: &mut Rng, world: &World) -> Case {
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

pub(super) fn too_large(random: &mut Rng, world: &World) -> Case {
    let (method, target, body) = write(random, world);
    let mut body = body.to_string().into_bytes();
    body.resize((1 << 20) + random.usize(1..100_000), b' ');
    Request::json(Connect, method, target, body).refused("too large", &["1048576 bytes"])
}

pub(super) fn unknown_field(random: &mut Rng, world: &World) -> Case {
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
