//! `/connector-plugins` and `/admin/loggers` of a running `tapline worker`.

use super::sentence;
use crate::support::{
    process::{Process, free_port},
    wait,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    process::Command,
};
use tempfile::TempDir;

const POSTGRES: &str = "io.debezium.connector.postgresql.PostgresConnector";

/// A secret that must not be found anywhere.
const CANARY: &str = "canary-41f7";

struct Worker {
    _process: Process,
    folder: TempDir,
    address: String,
}

impl Worker {
    /// Starts it with this filter of log lines.
    async fn start(filter: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = format!("127.0.0.1:{}", free_port());
        let log = File::create(folder.path().join("log")).expect("a log opens");
        let settings = folder.path().join("worker.yaml");
        let allowed = "config.providers.env.param.allowlist.pattern: TAPLINE_.*\n";
        fs::write(&settings, allowed).expect("settings are written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_tapline"));
        command
            .args(["worker", "--allow-files", "/", "--config"])
            .arg(settings)
            .args(["--rest", &address, "--data-dir"])
            .arg(folder.path().join("data"))
            .env("RUST_LOG", filter)
            .env("TAPLINE_CANARY", CANARY)
            .stdout(log.try_clone().expect("a log clones"))
            .stderr(log);
        let worker = Self {
            _process: Process::spawn(&mut command),
            folder,
            address,
        };
        wait::until("the worker answers", async || {
            let health = reqwest::get(format!("http://{}/health", worker.address));
            health.await.ok()?.status().is_success().then_some(())
        })
        .await;
        worker
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let url = format!("http://{}{path}", self.address);
        let mut request = reqwest::Client::new().request(method, url);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        assert!(!text.contains(CANARY), "{path}: {text}");
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        (status, body)
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.ask(Method::GET, path, None).await
    }

    async fn put(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.ask(Method::PUT, path, Some(body)).await
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// The errors of one key.
fn errors(infos: &Value, key: &str) -> Value {
    let configs = infos["configs"].as_array().expect("configs");
    let config = configs.iter().find(|config| config["value"]["name"] == key);
    config.map_or(Value::Null, |config| config["value"]["errors"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_are_listed_described_and_validated_over_http() {
    let worker = Worker::start("warn").await;
    let (status, list) = worker.get("/connector-plugins/?connectorsOnly=FALSE").await;
    assert_eq!(status, StatusCode::OK);
    let has = |class: &str, kind: &str| {
        let mut plugins = list.as_array().into_iter().flatten();
        plugins.any(|plugin| plugin["class"] == class && plugin["type"] == kind)
    };
    assert!(
        has(POSTGRES, "source") && has("io.tapline.sql.SqlSink", "sink"),
        "{list}"
    );
    assert!(
        has(
            "org.apache.kafka.connect.transforms.RegexRouter",
            "transformation"
        ),
        "{list}"
    );

    let (status, keys) = worker.get("/connector-plugins/RegexRouter/config/").await;
    assert_eq!(
        (status, &keys[0]["name"]),
        (StatusCode::OK, &json!("regex"))
    );
    let told = worker.get("/connector-plugins/Nope/config").await;
    assert_eq!(told.0, StatusCode::NOT_FOUND);
    assert_eq!(sentence(&told.1), "Unknown plugin Nope.");
    let (status, _) = worker
        .get("/connector-plugins/FileStreamSource/config?version=0")
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);

    let validate = "/connector-plugins/FileStreamSource/config/validate";
    let source = json!({"connector.class": "FileStreamSource", "name": "a", "topic": "t", "file": "f", "tasks.max": 1});
    let (status, infos) = worker.put(validate, source).await;
    assert_eq!(
        (status, &infos["error_count"]),
        (StatusCode::OK, &json!(0)),
        "{infos}"
    );
    let other = json!({"connector.class": "FileStreamSink", "name": "a"});
    let (status, told) = worker.put(validate, other).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(
        sentence(&told),
        "Included connector type FileStreamSink does not match request type FileStreamSource"
    );
    for bad in [
        json!({}),
        json!([]),
        json!({"connector.class": null}),
        json!({"topic": {}}),
    ] {
        let (status, told) = worker.put(validate, bad.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}: {told}");
        assert!(told["message"].is_string(), "{bad}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_validate_refuses_is_not_created() {
    let worker = Worker::start("warn").await;
    let bad =
        json!({"name": "x", "config": {"connector.class": "FileStreamSource", "tasks.max": "abc"}});
    let (status, told) = worker.ask(Method::POST, "/connectors", Some(bad)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let text = told["message"].as_str().expect("a text");
    assert!(
        text.starts_with("Connector configuration is invalid and contains the following 3 error(s):\nInvalid value abc"),
        "{text}"
    );
    let (status, _) = worker.get("/connectors/x").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

/// Settings of a Postgres source whose server is not there.
fn unreachable(class: &str) -> Value {
    json!({
        "connector.class": class, "name": "a", "topic.prefix": "p", "plugin.name": "pgoutput",
        "database.hostname": "127.0.0.1", "database.port": free_port(), "database.user": "u",
        "database.password": CANARY, "database.dbname": "${env:TAPLINE_CANARY}"
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_connects_and_our_class_waits_for_its_server() {
    let worker = Worker::start("warn").await;
    let path = "/connector-plugins/postgres/config/validate";
    let (_, infos) = worker.put(path, unreachable("postgres")).await;
    assert_eq!(infos["error_count"], 0, "{infos}");
    let probed = format!("{path}?probe=true");
    let (status, infos) = worker.put(&probed, unreachable("postgres")).await;
    assert_eq!(status, StatusCode::OK);
    assert_ne!(infos["error_count"], 0, "nobody listens there: {infos}");
    let created = worker.put("/connectors/a/config", unreachable("postgres"));
    assert_eq!(created.await.0, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn debeziums_class_is_refused_where_its_server_cannot_be_reached() {
    let worker = Worker::start("warn").await;
    let path = format!("/connector-plugins/{POSTGRES}/config/validate");
    let (_, infos) = worker.put(&path, unreachable(POSTGRES)).await;
    assert_eq!(infos["error_count"], 1, "{infos}");
    let words = "Error while validating connector config: cannot reach 127.0.0.1:";
    let told = errors(&infos, "database.hostname");
    assert!(
        told[0].as_str().is_some_and(|text| text.starts_with(words)),
        "{told}"
    );
    let (status, told) = worker
        .put("/connectors/a/config", unreachable(POSTGRES))
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        told["message"]
            .as_str()
            .is_some_and(|text| text.contains(words)),
        "{told}"
    );
    let mut incomplete = unreachable(POSTGRES);
    incomplete["topic.prefix"] = Value::Null;
    incomplete["decimal.handling.mode"] = json!("exact");
    let (_, infos) = worker.put(&path, incomplete).await;
    assert_eq!(
        (
            errors(&infos, "topic.prefix"),
            errors(&infos, "decimal.handling.mode")
        ),
        (
            json!(["The 'topic.prefix' value is invalid: A value is required"]),
            json!([
                "The 'decimal.handling.mode' value is invalid: Value must be one of string, double, precise"
            ])
        )
    );
    assert_eq!(
        infos["error_count"], 2,
        "it is asked about a whole that holds only: {infos}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_names_its_topics_in_one_way() {
    let worker = Worker::start("warn").await;
    let validate = "/connector-plugins/FileStreamSink/config/validate";
    let none = json!({"connector.class": "FileStreamSink", "name": "a"});
    let (_, infos) = worker.put(validate, none).await;
    assert_eq!(infos["error_count"], 2);
    for key in ["topics", "topics.regex"] {
        assert_eq!(
            errors(&infos, key),
            json!(["Must configure one of topics or topics.regex"])
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_set_over_http_makes_lines_appear() {
    let worker = Worker::start("error").await;
    let (_, root) = worker.get("/admin/loggers/root").await;
    assert_eq!(root, json!({"level": "ERROR", "last_modified": null}));
    let topic =
        json!({"connector.class": "FileStreamSource", "topic": "t", "file": "/nonexistent/file"});
    let (status, told) = worker.put("/connectors/quiet/config", topic.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{told}");
    assert!(
        !worker.log().contains("connector stored"),
        "{}",
        worker.log()
    );

    let (status, affected) = worker
        .put("/admin/loggers/tapline", json!({"level": "info"}))
        .await;
    assert_eq!(status, StatusCode::OK);
    let affected: Vec<&str> = affected
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    assert!(
        affected.contains(&"tapline") && affected.contains(&"tapline::herder"),
        "{affected:?}"
    );
    let (_, again) = worker
        .put(
            "/admin/loggers/tapline?scope=worker",
            json!({"level": "INFO"}),
        )
        .await;
    assert_eq!(again, json!([]));
    let (_, logger) = worker.get("/admin/loggers/tapline").await;
    assert!(logger["last_modified"].is_i64(), "{logger}");
    let (status, _) = worker.put("/connectors/loud/config", topic).await;
    assert_eq!(status, StatusCode::CREATED);
    wait::until("the line appears", async || {
        let log = worker.log();
        (log.contains("connector stored") && log.contains("loud")).then_some(())
    })
    .await;
    assert!(!worker.log().contains("quiet"), "{}", worker.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn loggers_answer_as_in_connect() {
    let worker = Worker::start("warn").await;
    let path = "/admin/loggers/org.apache.kafka.connect.runtime";
    let (status, body) = worker
        .put(&format!("{path}?scope=cluster"), json!({"level": "DEBUG"}))
        .await;
    assert_eq!((status, body), (StatusCode::NO_CONTENT, Value::Null));
    let (_, logger) = worker.get("/admin/loggers/tapline::worker").await;
    assert_eq!(logger["level"], "DEBUG");
    for (body, status, message) in [
        (
            json!({}),
            400,
            "Desired 'level' parameter was not specified in request.",
        ),
        (
            json!({"level": null}),
            400,
            "Desired 'level' parameter was not specified in request.",
        ),
        (
            json!({"level": ""}),
            400,
            "Illegal null or empty Level name.",
        ),
        (json!({"level": "LOUD"}), 404, "invalid log level 'LOUD'."),
    ] {
        let told = worker.put(path, body).await;
        assert_eq!(
            (told.0.as_u16(), sentence(&told.1)),
            (status, json!(message))
        );
        assert_eq!(told.1["error_code"], status);
    }
    let told = worker.get("/admin/loggers/nope").await;
    assert_eq!(told.0, StatusCode::NOT_FOUND);
    assert_eq!(sentence(&told.1), "Logger nope not found.");
    let (status, _) = worker
        .ask(Method::DELETE, "/admin/loggers/root", None)
        .await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}
