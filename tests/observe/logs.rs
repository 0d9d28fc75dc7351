//! Log lines: whose they are, in JSON and in text, at levels that change while the worker runs.

use crate::support::{
    postgres::{Postgres, connect},
    wait::until,
    worker::Worker,
};
use serde_json::{Map, Value};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// Stands in a password; no line may hold it.
const SECRET: &str = "canary-of-a-secret";

/// Stands in a row; no line may hold it.
const VALUE: &str = "canary-of-a-value";

/// Two pipelines with four connectors of three crates: Postgres to Postgres, and a file to a file.
struct Scene {
    server: Postgres,
    folder: TempDir,
    worker: Worker,
}

impl Scene {
    async fn new() -> Self {
        let server = Postgres::start().await;
        server.execute("create database replica").await;
        server
            .execute(&format!(
                "create table items (id bigint primary key, name text);
                 insert into items select i, '{VALUE}' from generate_series(1, 300) i"
            ))
            .await;
        let port = server.port();
        let folder = TempDir::new().expect("a folder");
        let shop = format!(
            "version: 1
name: shop
source:
  connector: postgres
  database: {{hostname: 127.0.0.1, port: {port}, dbname: postgres, user: postgres, password: {SECRET}}}
  table.include.list: [public.items]
sinks:
  replica:
    connector: sql
    connection.url: \"postgres://postgres@127.0.0.1:{port}/replica\"
    connection.password: {SECRET}
"
        );
        let at = |name: &str| folder.path().join(name).display().to_string();
        let copy = format!(
            "version: 1\nname: copy\nsource: {{connector: file, file: {}, topic: lines}}\nsink: {{connector: file, file: {}}}\n",
            at("lines"),
            at("copy")
        );
        fs::write(at("lines"), format!("{VALUE}\n")).expect("lines");
        fs::write(at("copy.yaml"), copy).expect("a pipeline");
        let worker = Worker::new(
            Path::new(env!("CARGO_BIN_EXE_tapline")),
            folder.path(),
            &shop,
        );
        Self {
            server,
            folder,
            worker,
        }
    }

    fn start(&mut self, format: &str) {
        let copy = self.folder.path().join("copy.yaml");
        let lines = File::create(self.log_path()).expect("a log");
        self.worker.start_with(|command| {
            command
                .arg(copy)
                .args(["--log-format", format])
                .stderr(lines);
        });
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("stderr.log")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Every line so far, each a JSON object.
    fn lines(&self) -> Vec<Map<String, Value>> {
        self.lines_with("")
    }

    /// Those in which this text stands.
    fn lines_with(&self, part: &str) -> Vec<Map<String, Value>> {
        let text = self.log();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let parse = |line| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in the line {line}"))
        };
        whole
            .lines()
            .filter(|line| line.contains(part))
            .map(parse)
            .collect()
    }

    async fn until_copied(&self, rows: i64) {
        until("everything has arrived", async || {
            let mut replica = connect(&self.server.url("replica")).await;
            let count: Result<i64, _> = sqlx::query_scalar("select count(*) from items")
                .fetch_one(&mut replica)
                .await;
            let copied = fs::read_to_string(self.folder.path().join("copy")).unwrap_or_default();
            (count.ok()? == rows && !copied.is_empty()).then_some(())
        })
        .await;
    }

    /// Waits for a line with this message from this connector.
    async fn until_said(&self, connector: &str, message: &str) -> Map<String, Value> {
        until(&format!("{connector}: {message}"), async || {
            let mut lines = self.lines_with(message).into_iter().rev();
            lines.find(|line| {
                line["message"] == message
                    && line.get("connector").is_some_and(|name| name == connector)
            })
        })
        .await
    }

    async fn set_level(&self, logger: &str, level: &str) {
        let body = format!("{{\"level\": \"{level}\"}}");
        let path = format!("/admin/loggers/{logger}");
        let status = self.worker.send("PUT", &path, &body).await;
        assert_eq!(status, 200, "{logger} to {level}");
    }
}

/// Whether lines of this target come from a connector's code, or run for a task.
fn of_a_task(target: &str) -> bool {
    let heads = [
        "tapline_",
        "tapline::task",
        "tapline::source",
        "tapline::sink",
    ];
    heads.iter().any(|head| target.starts_with(head))
}

fn check(line: &Map<String, Value>) {
    for field in ["timestamp", "level", "target", "message"] {
        assert!(
            line.get(field).is_some_and(Value::is_string),
            "no {field}: {line:?}"
        );
    }
    if !of_a_task(line["target"].as_str().unwrap_or_default()) {
        return;
    }
    let names = ["shop.source", "shop.replica", "copy.source", "copy.sink"];
    let named = line.get("connector").and_then(Value::as_str);
    assert!(
        named.is_some_and(|name| names.contains(&name)),
        "whose is {line:?}?"
    );
    // Settings are read before there is a task.
    let settings = line["target"]
        .as_str()
        .is_some_and(|target| target.contains("config"));
    assert!(
        settings || line.get("task") == Some(&Value::from(0)),
        "no task: {line:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_a_connector_says_whose_it_is_at_every_level() {
    let mut scene = Scene::new().await;
    scene.start("json");
    scene.until_copied(300).await;
    for (connector, message) in [
        ("shop.source", "streaming begins"),
        ("shop.replica", "table created"),
        ("copy.source", "file opened"),
        ("copy.sink", "task is running"),
    ] {
        scene.until_said(connector, message).await;
    }

    // A task that begins while nothing is logged still says whose its lines are once something is.
    scene.set_level("root", "OFF").await;
    let before = scene.lines().len();
    for name in ["shop.source", "copy.source"] {
        let path = format!("/connectors/{name}/restart?includeTasks=true");
        assert_eq!(scene.worker.send("POST", &path, "").await, 202);
        until("the task runs again", async || {
            let status = scene
                .worker
                .get(&format!("/connectors/{name}/status"))
                .await?;
            let status: Value = serde_json::from_str(&status).ok()?;
            (status["tasks"][0]["state"] == "RUNNING").then_some(())
        })
        .await;
    }
    assert_eq!(
        scene.lines().len(),
        before,
        "OFF is silence\n{}",
        scene.log()
    );

    // Every module of every crate says all that it has to say.
    scene.set_level("root", "TRACE").await;
    let more = "insert into items select i, 'canary-of-a-value' from generate_series(301, 310) i; \
                update items set name = 'canary-of-a-value 2' where id = 5";
    scene.server.execute(more).await;
    scene.until_copied(310).await;
    for name in ["shop.source", "copy.source"] {
        assert_eq!(
            scene
                .worker
                .send("PUT", &format!("/connectors/{name}/stop"), "")
                .await,
            204
        );
        scene.until_said(name, "task stopped").await;
    }
    assert_eq!(scene.worker.terminate(), Some(0), "{}", scene.log());

    let lines = scene.lines();
    lines.iter().for_each(check);
    let targets: BTreeSet<&str> = lines
        .iter()
        .filter_map(|line| line["target"].as_str()?.split("::").next())
        .collect();
    for expected in ["tapline", "tapline_postgres", "tapline_sql", "tapline_file"] {
        assert!(targets.contains(expected), "{targets:?}");
    }
    let text = scene.log();
    assert!(!text.contains(SECRET), "a secret was logged:\n{text}");
    assert!(!text.contains(VALUE), "a row's value was logged:\n{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn text_lines_name_connector_and_task_once() {
    let mut scene = Scene::new().await;
    scene.start("text");
    scene.until_copied(300).await;
    let line = until("a task's line", async || {
        let text = scene.log();
        let found = text.lines().find(|line| line.contains("table created"));
        found.map(str::to_owned)
    })
    .await;
    assert!(
        line.contains("task{connector=\"shop.replica\" task=0}"),
        "{line}"
    );
    assert_eq!(line.matches("connector=").count(), 1, "{line}");
    assert!(!scene.log().contains('\u{1b}'), "no colours in a file");
}
