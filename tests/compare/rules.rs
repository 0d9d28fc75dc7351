//! The named rules that take from an answer what differs between two runs of the same worker.
//!
//! A rule replaces a value by a name in angle brackets, or sorts what has no order; none leaves out a body. What the
//! original writes in prose (documentation, stack traces) counts as present, not word by word.

use super::{client::Reply, json::Json};
use indexmap::IndexMap;
use regex::Regex;
use std::sync::LazyLock;

/// An answer after the rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Content-Type, Location, Allow and WWW-Authenticate, as far as they came.
    pub headers: IndexMap<String, String>,
    /// JSON as such, anything else as a text.
    pub body: Json,
}

/// Rule «headers»: those that a client reads; what a server says of itself is its own.
const HEADERS: [&str; 4] = ["content-type", "location", "allow", "www-authenticate"];

/// Rule «unlike in every run»: fields whose value is a name, as long as it is a text that is not empty.
const NAMES: [(&str, &str); 6] = [
    ("version", "<version>"),
    ("commit", "<commit>"),
    ("kafka_cluster_id", "<cluster>"),
    ("trace", "<trace>"),
    ("documentation", "<text>"),
    ("ts_usec", "<position>"),
];

/// Rule «unlike in every run»: fields whose number is a place in a Postgres log, or a time.
const NUMBERS: [(&str, &str); 7] = [
    ("last_modified", "<time>"),
    ("lsn", "<position>"),
    ("lsn_proc", "<position>"),
    ("lsn_commit", "<position>"),
    ("txId", "<position>"),
    ("ts_usec", "<position>"),
    ("xmin", "<position>"),
];

/// Rule «no order»: objects below these fields are maps whose order in the original is that of a hash, and so are the
/// values that a form recommends.
const MAPS: [&str; 1] = ["config"];

/// What is the same in every run but for its place.
#[derive(Clone, Debug)]
pub struct Places {
    /// `127.0.0.1:PORT` of the worker.
    pub worker: String,
    /// The scene's folder.
    pub dir: String,
    /// The port of the scene's Postgres.
    pub pg: String,
}

impl Places {
    /// Puts the places where a scene has their names.
    pub fn put(&self, text: &str) -> String {
        text.replace("<dir>", &self.dir)
            .replace("<pg>", &self.pg)
            .replace("<worker>", &self.worker)
    }

    /// Rule «places»: names stand for what differs by machine.
    fn named(&self, text: &str) -> String {
        text.replace(&self.worker, "<worker>")
            .replace(&self.dir, "<dir>")
            .replace(&self.pg, "<pg>")
    }
}

/// Applies every rule to what a worker answered to a request for `target`.
pub fn answer(reply: &Reply, target: &str, places: &Places) -> Answer {
    let mut headers = IndexMap::new();
    for name in HEADERS {
        let value = reply.headers.iter().find(|(found, _)| found == name);
        if let Some((_, value)) = value {
            headers.insert(name.to_owned(), header(name, &places.named(value)));
        }
    }
    let body = places.named(&reply.body);
    let html = headers
        .get("content-type")
        .is_some_and(|kind| kind.starts_with("text/html"));
    let body = match Json::read(&body) {
        Some(mut json) => {
            walk(&mut json, "", false);
            by_target(json, target)
        }
        None if html => Json::Text(page(&body)),
        None if body.contains("\n{") => said(&body, target),
        None => Json::Text(prose(&body)),
    };
    Answer {
        status: reply.status,
        headers,
        body,
    }
}

/// Rule «header forms»: methods of Allow are sorted, a charset is written in lower case without spaces.
fn header(name: &str, value: &str) -> String {
    if name == "allow" {
        let mut methods: Vec<_> = value.split(',').map(str::trim).collect();
        methods.sort_unstable();
        return methods.join(",");
    }
    if name == "content-type" {
        return value.to_ascii_lowercase().replace("; ", ";");
    }
    value.to_owned()
}

/// Rule «page»: of a web server's HTML page its title.
fn page(body: &str) -> String {
    let title = body
        .split_once("<title>")
        .and_then(|(_, rest)| rest.split_once("</title>"));
    format!("<page: {}>", title.map_or("", |(title, _)| title))
}

/// Rule «a client's own line»: what a client says before the JSON that it prints is judged beside it.
fn said(body: &str, target: &str) -> Json {
    let (line, rest) = body.split_once('\n').unwrap_or((body, ""));
    let Some(mut json) = Json::read(rest) else {
        return Json::Text(prose(body));
    };
    walk(&mut json, "", false);
    Json::List(vec![Json::Text(line.to_owned()), by_target(json, target)])
}

fn walk(value: &mut Json, field: &str, in_map: bool) {
    match value {
        Json::Object(fields) => {
            if MAPS.contains(&field) {
                fields.sort_unstable_keys();
            }
            let in_map = in_map || MAPS.contains(&field);
            for (name, value) in fields {
                walk(value, name, in_map);
            }
        }
        Json::List(items) if field == "recommended_values" && items.iter().any(is_class) => {
            *items = vec![Json::Text("<classes>".to_owned())];
        }
        Json::List(items) => {
            items.iter_mut().for_each(|item| walk(item, field, in_map));
            if field == "recommended_values" {
                items.sort_by_key(Json::plain);
            }
        }
        Json::Text(text) => {
            let name = NAMES
                .iter()
                .find(|(name, _)| !in_map && *name == field && !text.is_empty());
            *text = name.map_or_else(|| prose(text), |(_, name)| (*name).to_owned());
        }
        Json::Number(_) => {
            if let Some((_, name)) = NUMBERS.iter().find(|(name, _)| *name == field) {
                *value = Json::Text((*name).to_owned());
            }
        }
        // Rule «no version for a moment»: while it restarts something the original knows none.
        Json::Null if field == "version" && !in_map => *value = Json::Text("<version>".to_owned()),
        Json::Null | Json::Bool(_) => {}
    }
}

/// Rule «classes»: which classes a form recommends is a matter of which are there, and `/connector-plugins` says that.
fn is_class(item: &Json) -> bool {
    matches!(item, Json::Text(text) if text.starts_with("org.apache.") || text.starts_with("io."))
}

/// Rules «list of plugins», «second look-up», «object identity», «moment» and «duration»: what a text names of its run.
fn prose(text: &str) -> String {
    static RULES: LazyLock<[(Regex, &str); 5]> = LazyLock::new(|| {
        [
            // From its second look-up of an unknown class on, the original names its exception first.
            (
                r"^(org\.apache\.kafka\.connect\.errors\.ConnectException: )+(Failed to find any class)",
                "$2",
            ),
            (r"(?s)(available connectors are: ).*", "$1<list>"),
            (r"@[0-9a-f]{5,8}\b", "@<id>"),
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<moment>"),
            (r"\b\d+ ms\b", "<n> ms"),
        ]
        .map(|(pattern, name)| {
            (
                Regex::new(pattern).expect("a rule's pattern is valid"),
                name,
            )
        })
    });
    let mut text = text.to_owned();
    for (pattern, name) in &*RULES {
        text = pattern.replace_all(&text, *name).into_owned();
    }
    text
}

/// Rules for one resource: «no order» for lists of names, «by name» for lists of definitions, «live loggers».
fn by_target(json: Json, target: &str) -> Json {
    let (path, _) = target.split_once('?').unwrap_or((target, ""));
    match (path.trim_end_matches('/'), json) {
        ("/connectors", Json::List(mut names)) => {
            names.sort_by_key(Json::plain);
            Json::List(names)
        }
        ("/connectors", Json::Object(mut fields)) if !fields.contains_key("name") => {
            fields.sort_unstable_keys();
            Json::Object(fields)
        }
        ("/connector-plugins", Json::List(plugins)) => by_name(plugins, &["/class"]),
        ("/admin/loggers", Json::Object(mut loggers)) => {
            // Which classes have a logger depends on what ran so far; whose level was set does not.
            loggers.retain(|name, logger| {
                name == "root" || logger.at("/last_modified") != Some(&Json::Null)
            });
            Json::Object(loggers)
        }
        (path, Json::Object(mut config))
            if path.ends_with("/config") && !config.contains_key("tasks") =>
        {
            config.sort_unstable_keys();
            Json::Object(config)
        }
        (path, Json::List(definitions)) if path.ends_with("/config") => {
            by_name(definitions, &["/name"])
        }
        (path, Json::Object(mut fields)) if path.ends_with("/validate") => {
            if let Some(Json::List(configs)) = fields.get_mut("configs") {
                let configs = std::mem::take(configs);
                fields["configs"] = by_name(configs, &["/value/name", "/definition/name"]);
            }
            Json::Object(fields)
        }
        (path, Json::Object(mut fields)) if path.ends_with("/topics") => {
            for (_, of) in &mut fields {
                if let Json::Object(of) = of
                    && let Some(Json::List(topics)) = of.get_mut("topics")
                {
                    topics.sort_by_key(Json::plain);
                }
            }
            Json::Object(fields)
        }
        (path, Json::Object(mut fields)) if path.ends_with("/offsets") => {
            if let Some(Json::List(offsets)) = fields.get_mut("offsets") {
                offsets.sort_by_key(Json::plain);
            }
            Json::Object(fields)
        }
        (_, json) => json,
    }
}

/// Rule «by name»: entries stand under their names, in the list's order, so that one missing entry is one difference.
fn by_name(entries: Vec<Json>, pointers: &[&str]) -> Json {
    let mut named = IndexMap::new();
    for entry in entries {
        let name = pointers.iter().find_map(|pointer| match entry.at(pointer) {
            Some(Json::Text(name)) => Some(name.clone()),
            _ => None,
        });
        let name = name.unwrap_or_else(|| "(none)".to_owned());
        let twice = named.contains_key(&name);
        named.insert(
            if twice {
                format!("{name} (again)")
            } else {
                name
            },
            entry,
        );
    }
    Json::Object(named)
}

#[test]
fn what_differs_by_run_gets_a_name_and_what_has_no_order_is_sorted() {
    let places = Places {
        worker: "127.0.0.1:81".to_owned(),
        dir: "/tmp/x".to_owned(),
        pg: "5999".to_owned(),
    };
    let of = |target: &str, body: &str| {
        let reply = Reply {
            status: 200,
            headers: Vec::new(),
            body: body.to_owned(),
        };
        answer(&reply, target, &places).body.to_string()
    };
    let info =
        r#"{"config":{"b":"/tmp/x/f","a":"5999","version":"9"},"version":"4.3.1","trace":""}"#;
    let named = r#"{"config": {"a": "<pg>", "b": "<dir>/f", "version": "9"}, "version": "<version>", "trace": ""}"#;
    assert_eq!(of("/connectors/a", info), named);
    assert_eq!(of("/connectors/", r#"["b","a"]"#), r#"["a", "b"]"#);
    assert_eq!(
        of(
            "/x",
            r#"{"message":"at 127.0.0.1:81 since 2026-01-02T03:04:05.678Z"}"#
        ),
        r#"{"message": "at <worker> since <moment>"}"#
    );
    let loggers =
        r#"{"a":{"last_modified":null},"b":{"last_modified":5},"root":{"last_modified":null}}"#;
    assert_eq!(
        of("/admin/loggers", loggers),
        r#"{"b": {"last_modified": "<time>"}, "root": {"last_modified": null}}"#
    );
}
