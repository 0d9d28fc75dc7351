//! Allow-lists: what comes over HTTP may name only what the worker's settings list; the operator's files everything.

use crate::rest::daemon::{Daemon, said, written};
use crate::support::wait::until;
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::symlink,
};

const PATTERN: &str = "config.providers.env.param.allowlist.pattern";
const FILE_PATHS: &str = "config.providers.file.param.allowed.paths";
const DIRECTORY_PATHS: &str = "config.providers.directory.param.allowed.paths";
const CONNECTOR_PATHS: &str = "connector.files.allowed.paths";

/// A sink that nothing has to answer to: what its password names is the question.
fn sink(password: &str) -> Value {
    json!({
        "connector.class": "sql", "topics": "t", "connection.url": "postgres://u@127.0.0.1:1/d",
        "connection.password": password,
    })
}

/// Every way in which settings come over HTTP, and what each answers.
async fn everywhere(daemon: &Daemon, config: &Value) -> Vec<(u16, Value)> {
    let class = config["connector.class"].as_str().unwrap_or_default();
    let mut typed = config.clone();
    typed["connector.class"] = json!(class);
    let declared = json!({"name": "p.a", "type": if config["topics"].is_null() { "source" } else { "sink" },
        "config": typed});
    let declaration =
        |dry: bool| json!({"pipelines": [{"name": "p", "connectors": [declared]}], "dry_run": dry});
    let validate = format!("/connector-plugins/{class}/config/validate");
    let mut answers = Vec::new();
    for (method, path, body) in [
        (
            Method::POST,
            "/connectors",
            json!({"name": "a", "config": config}),
        ),
        (Method::PUT, "/connectors/a/config", config.clone()),
        (Method::PUT, validate.as_str(), config.clone()),
        (Method::POST, "/tapline/v1/pipelines", declaration(true)),
        (Method::POST, "/tapline/v1/pipelines", declaration(false)),
    ] {
        answers.push(daemon.ask(method, path, Some(body)).await);
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_machine_is_read_over_http_unless_it_is_listed() {
    let mut daemon = Daemon::new("");
    let secret = written(&daemon.path("secrets"), "k=canary-in-file\n");
    let folder = daemon.path("").display().to_string();
    daemon.spawn(&["worker"], |command| {
        command.env("CANARY_VARIABLE", "canary-in-variable");
    });
    daemon.listens().await;
    let file =
        |name: &str| json!({"connector.class": "FileStreamSource", "topic": "t", "file": name});
    let mut out = file("/tmp/x");
    out["connector.class"] = json!("FileStreamSink");
    out["topics"] = json!("t");
    let mut certificate = sink("of-nobody");
    certificate["connection.url"] = json!("postgres://u@127.0.0.1:1/d?sslrootcert=/etc/hostname");
    let mut socket = sink("of-nobody");
    socket["connection.url"] = json!("postgres://u@%2Fvar%2Frun%2Fpostgresql/d");
    for (config, key, setting) in [
        (
            sink("${env:CANARY_VARIABLE}"),
            "connection.password",
            PATTERN,
        ),
        (
            sink("x${env:NO_SUCH_VARIABLE}"),
            "connection.password",
            PATTERN,
        ),
        (
            sink(&format!("${{file:{secret}:k}}")),
            "connection.password",
            FILE_PATHS,
        ),
        (
            sink("${file:/no/such/file:k}"),
            "connection.password",
            FILE_PATHS,
        ),
        (
            sink(&format!("${{directory:{folder}:secrets}}")),
            "connection.password",
            DIRECTORY_PATHS,
        ),
        (file(&secret), "file", CONNECTOR_PATHS),
        (file("/proc/self/environ"), "file", CONNECTOR_PATHS),
        (file("/no/such/file"), "file", CONNECTOR_PATHS),
        (certificate, "connection.url", CONNECTOR_PATHS),
        (socket, "connection.url", CONNECTOR_PATHS),
    ] {
        for (status, answer) in everywhere(&daemon, &config).await {
            let text = answer.to_string();
            let refused = status == 400 || (status == 200 && answer["error_count"] != 0);
            assert!(refused, "{config}: {status} {text}");
            assert!(
                text.contains(key) && text.contains(setting),
                "{config}: {text}"
            );
            assert!(!text.contains("canary-in"), "{config}: {text}");
        }
    }
    assert_eq!(daemon.get("/connectors").await, (200, json!([])));
    assert!(!daemon.log().contains("canary-in"), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_listed_is_read_and_a_link_or_dots_lead_nowhere_else() {
    let mut daemon = Daemon::new(
        "config.providers.env.param.allowlist.pattern: ALLOWED_.*\n\
         config.providers.file.param.allowed.paths: FOLDER/allowed\n\
         config.providers.directory.param.allowed.paths: [FOLDER/allowed, /no/such/folder]\n\
         connector.files.allowed.paths: [FOLDER/allowed, FOLDER/data]\n",
    );
    fs::create_dir(daemon.path("allowed")).expect("a folder");
    written(&daemon.path("allowed/in.txt"), "one\ntwo\n");
    written(&daemon.path("allowed/p"), "k=v\n");
    written(&daemon.path("outside.txt"), "canary\n");
    symlink(daemon.path("outside.txt"), daemon.path("allowed/link")).expect("a link");
    daemon.spawn(&["worker"], |command| {
        command.env("ALLOWED_ONE", "x");
    });
    daemon.listens().await;
    let at = |name: &str| daemon.path(name).display().to_string();
    for (name, password) in [
        ("env", "${env:ALLOWED_ONE}".to_owned()),
        ("file", format!("${{file:{}:k}}", at("allowed/p"))),
        ("folder", format!("${{directory:{}:p}}", at("allowed"))),
    ] {
        let body = json!({"name": name, "config": sink(&password)});
        let answer = daemon.ask(Method::POST, "/connectors", Some(body)).await;
        assert_eq!(answer.0, 201, "{answer:?}");
    }
    let source =
        |file: &str| json!({"connector.class": "FileStreamSource", "topic": "t", "file": file});
    for file in [
        at("allowed/link"),
        at("allowed/../outside.txt"),
        at("data/secret.key"),
        at("outside.txt"),
    ] {
        let body = json!({"name": "no", "config": source(&file)});
        let (status, answer) = daemon.ask(Method::POST, "/connectors", Some(body)).await;
        assert_eq!(status, 400, "{file}: {answer}");
    }
    let config = source(&at("allowed/in.txt"));
    let body = json!({"name": "in", "config": config});
    let answer = daemon.ask(Method::POST, "/connectors", Some(body)).await;
    assert_eq!(answer.0, 201, "{answer:?}");
    let records = "/tapline/v1/topics/t/records?offset=0&max=10";
    until("both lines are in the log", async || {
        daemon.text(records).await.contains("two").then_some(())
    })
    .await;
    // A link that takes the file's place later is found when the file is opened.
    daemon.ask(Method::PUT, "/connectors/in/stop", None).await;
    daemon.reaches("in", "STOPPED").await;
    fs::remove_file(daemon.path("allowed/in.txt")).expect("it goes");
    symlink(daemon.path("outside.txt"), daemon.path("allowed/in.txt")).expect("a link");
    daemon.ask(Method::PUT, "/connectors/in/resume", None).await;
    until("the source is refused", async || {
        let (_, status) = daemon.get("/connectors/in/status").await;
        status.to_string().contains(CONNECTOR_PATHS).then_some(())
    })
    .await;
    let records = daemon.text(records).await;
    assert!(
        records.contains("two") && !records.contains("canary"),
        "{records}"
    );
}

fn append(daemon: &Daemon, line: &str) {
    let file = File::options().append(true).open(daemon.path("in.txt"));
    file.and_then(|mut file| file.write_all(line.as_bytes()))
        .expect("a line is written");
}

const PIPELINE: &str = "version: 1
name: shop
source: {connector: file, file: \"FOLDER/in.txt\", topic: lines}
sinks:
  db: {connector: sql, from: {topics: [lines]}, connection.url: \"postgres://u@127.0.0.1:1/d\", connection.password: \"${env:CANARY_VARIABLE}\"}
  out: {connector: file, from: {topics: [lines]}, file: \"FOLDER/out.txt\"}
";

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_files_name_everything_after_a_restart_too_until_a_request_changes_them() {
    let mut daemon = Daemon::new("");
    let folder = daemon.path("").display().to_string();
    written(
        &daemon.path("shop.yaml"),
        &PIPELINE.replace("FOLDER/", &folder),
    );
    written(&daemon.path("in.txt"), "one\n");
    let known = |command: &mut std::process::Command| {
        command.env("CANARY_VARIABLE", "canary-in-variable");
    };
    daemon.spawn(&["run", "shop.yaml"], known);
    daemon.listens().await;
    let copied = async |daemon: &Daemon, lines: &str| {
        let out = daemon.path("out.txt");
        until(&format!("{lines:?} is copied"), async || {
            (fs::read_to_string(&out).ok()? == lines).then_some(())
        })
        .await;
    };
    copied(&daemon, "one\n").await;

    // As a service, without the file: what was stored is still the operator's.
    daemon.kill();
    daemon.spawn(&["worker"], known);
    daemon.listens().await;
    append(&daemon, "two\n");
    copied(&daemon, "one\ntwo\n").await;
    let restart = "/connectors/shop.out/restart?includeTasks=true";
    assert_eq!(daemon.ask(Method::POST, restart, None).await.0, 202);
    daemon.reaches("shop.out", "RUNNING").await;

    // The same again changes nothing, and so is no change of whose they are.
    let (_, config) = daemon.get("/connectors/shop.db/config").await;
    let path = "/connectors/shop.db/config";
    let (status, answer) = daemon.ask(Method::PUT, path, Some(config.clone())).await;
    assert_eq!(status, 200, "{answer}");
    let (status, said_by_apply) = said(&{
        let mut apply = daemon.command(&["apply", "shop.yaml"]);
        known(&mut apply);
        apply
            .arg("--data-dir")
            .arg(daemon.data())
            .output()
            .expect("it starts")
    });
    assert_eq!(status, Some(0), "{said_by_apply}");
    assert!(said_by_apply.contains("3 unchanged"), "{said_by_apply}");

    // A password that only the operator may read does not follow a new address.
    let stolen = json!({"connection.url": "postgres://u@127.0.0.1:2/d"});
    let (status, answer) = daemon.ask(Method::PATCH, path, Some(stolen.clone())).await;
    assert_eq!(status, 400, "{answer}");
    assert!(answer.to_string().contains(PATTERN), "{answer}");
    let mut all = config.clone();
    all["connection.url"] = stolen["connection.url"].clone();
    let (status, answer) = daemon.ask(Method::PUT, path, Some(all)).await;
    assert_eq!(status, 400, "{answer}");
    assert_eq!(daemon.get(path).await.1, config);
    let elsewhere = json!({"file": "/tmp/elsewhere"});
    let path = "/connectors/shop.out/config";
    let (status, answer) = daemon.ask(Method::PATCH, path, Some(elsewhere)).await;
    assert_eq!(status, 400, "{answer}");
    daemon.reaches("shop.out", "RUNNING").await;
    append(&daemon, "three\n");
    copied(&daemon, "one\ntwo\nthree\n").await;
    assert!(!daemon.log().contains("canary-in"), "{}", daemon.log());
}
