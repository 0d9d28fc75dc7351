//! `tapline worker`: the binary as a service, told by REST alone what to run, killed and started again.

use crate::support::{
    compare::differences,
    postgres::Postgres,
    service::Service,
    wait::{DEADLINE, within},
};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;

/// One source of three tables, one sink whose three tasks have a topic each.
async fn replicate(service: &Service, from: &Postgres, to: &Postgres) {
    let source = json!({
        "connector.class": "io.tapline.postgres.PostgresSource",
        "database.hostname": "127.0.0.1", "database.port": from.port(), "database.user": "postgres",
        "database.password": "canary-in-clear", "database.dbname": "postgres", "topic.prefix": "shop",
        "slot.name": "shop", "publication.name": "shop", "table.include.list": TABLES.join(","),
    });
    service.create("in", source).await;
    let sink = json!({
        "connector.class": "sql", "connection.url": to.url("postgres"), "topics.of": "in", "tasks.max": 3,
    });
    service.create("out", sink).await;
}

const TABLES: [&str; 3] = ["public.a", "public.b", "public.c"];

async fn equal(from: &Postgres, to: &Postgres, service: &Service) {
    let (source, target) = (from.url("postgres"), to.url("postgres"));
    let mut found = String::new();
    let reached = within(DEADLINE, async || {
        found = differences(&source, &target, &["a", "b", "c"]).await;
        found.is_empty().then_some(())
    });
    let reached = reached.await.is_some();
    let log = service.log();
    assert!(reached, "{found}\n{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_service_comes_back_with_every_connector_in_its_state() {
    let (from, to) = (Postgres::start().await, Postgres::start().await);
    for table in ["a", "b", "c"] {
        from.execute(&format!(
            "create table {table} (id int primary key, name text); insert into {table} select i, 'x' from \
             generate_series(1, 200) i"
        ))
        .await;
    }
    let mut service = Service::new(Path::new(env!("CARGO_BIN_EXE_tapline")));
    service.start().await;
    replicate(&service, &from, &to).await;
    equal(&from, &to, &service).await;
    service
        .reaches("out", &["RUNNING", "RUNNING", "RUNNING", "RUNNING"])
        .await;

    assert_eq!(service.put("/connectors/out/pause").await, Some(202));
    service
        .reaches("out", &["PAUSED", "PAUSED", "PAUSED", "PAUSED"])
        .await;
    from.execute(
        "update a set name = 'y'; delete from b where id < 50; insert into c values (1000, 'z')",
    )
    .await;
    service.kill();
    service.start().await;
    service.reaches("in", &["RUNNING", "RUNNING"]).await;
    service
        .reaches("out", &["PAUSED", "PAUSED", "PAUSED", "PAUSED"])
        .await;
    assert_eq!(service.put("/connectors/out/resume").await, Some(202));
    equal(&from, &to, &service).await;

    assert_eq!(service.put("/connectors/in/stop").await, Some(204));
    service.reaches("in", &["STOPPED"]).await;
    from.execute("update c set name = 'w'").await;
    service.kill();
    service.start().await;
    service.reaches("in", &["STOPPED"]).await;
    let (_, config) = service
        .ask(Method::GET, "/connectors/in/config", None)
        .await
        .expect("answered");
    assert_eq!(config["database.password"], "[hidden]");
    assert_eq!(service.put("/connectors/in/resume").await, Some(202));
    equal(&from, &to, &service).await;
    // The target holds a sink's position: a reset there is a reset.
    assert_eq!(service.put("/connectors/out/stop").await, Some(204));
    service.reaches("out", &["STOPPED"]).await;
    to.execute("truncate a, b, c").await;
    let reset = service
        .ask(Method::DELETE, "/connectors/out/offsets", None)
        .await;
    let message = json!({"message": "The offsets for this connector have been reset successfully"});
    assert_eq!(reset, Some((200, message)));
    let offsets = service
        .ask(Method::GET, "/connectors/out/offsets", None)
        .await;
    assert_eq!(offsets, Some((200, json!({"offsets": []}))));
    assert_eq!(service.put("/connectors/out/resume").await, Some(202));
    equal(&from, &to, &service).await;
    let log = service.log();
    assert!(!log.contains("canary-in-clear"));
    service.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_refuses_a_busy_port() {
    let service = Service::new(Path::new(env!("CARGO_BIN_EXE_tapline")));
    let _taken =
        std::net::TcpListener::bind(("127.0.0.1", service.port())).expect("the port is free");
    let output = service.command().output().expect("the binary starts");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("TL0131"), "{text}");
}

/// The worker's file says text; `json` names a converter itself. What a source wrote is told by sinks that name theirs,
/// because a converter reads nothing but its own form.
#[tokio::test(flavor = "multi_thread")]
async fn a_workers_converters_stand_in_where_a_connector_names_none() {
    let settings = "value.converter: org.apache.kafka.connect.storage.StringConverter\n\
                    key.converter: json\nkey.converter.schemas.enable: false\n";
    let mut service = Service::new(Path::new(env!("CARGO_BIN_EXE_tapline")));
    let folder = service.folder().to_owned();
    std::fs::write(folder.join("worker.yaml"), settings).expect("the settings can be written");
    let path = |name: &str| folder.join(name);
    let file = |name: &str| path(name).display().to_string();
    std::fs::write(path("lines"), "one\ntwo\n").expect("a file");
    service.start().await;

    let source = |topic: &str| json!({"connector.class": "FileStreamSource", "file": file("lines"), "topic": topic});
    let sink = |topic: &str, converter: Value| {
        let mut config = json!({
            "connector.class": "FileStreamSink", "topics": topic, "file": file(&format!("{topic}.{}", converter["name"])),
        });
        for (key, value) in converter["keys"].as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        config
    };
    let mut text = source("text");
    // A key of a converter that it does not name changes nothing, as in Kafka Connect.
    text["value.converter.encoding"] = json!("UTF-16");
    service.create("text", text).await;
    let mut whole = source("json");
    whole["value.converter"] = json!("json");
    service.create("json", whole).await;
    let own = json!({"name": 1, "keys": {"value.converter": "string", "value.converter.encoding": "UTF-8"}});
    service.create("told", sink("text", own)).await;
    service
        .create("default", sink("text", json!({"name": 2})))
        .await;
    let schemas = json!({"name": 3, "keys": {"value.converter": "json", "value.converter.schemas.enable": "false"}});
    service.create("schemas", sink("json", schemas)).await;

    for (name, expected) in [
        ("text.1", "one\ntwo\n"),
        ("text.2", "one\ntwo\n"),
        (
            "json.3",
            "{schema={type=string, optional=false}, payload=one}\n{schema={type=string, optional=false}, payload=two}\n",
        ),
    ] {
        let mut found = String::new();
        let reached = within(DEADLINE, async || {
            found = std::fs::read_to_string(path(name)).unwrap_or_default();
            (found == expected).then_some(())
        });
        let reached = reached.await.is_some();
        let log = service.log();
        assert!(reached, "{name}: {found}\n{log}");
    }
    // A validation shows the worker's converter as the default, and judges the whole.
    let mut config = source("text");
    config["name"] = json!("text");
    let checked = "/connector-plugins/FileStreamSource/config/validate";
    let answer = service.ask(Method::PUT, checked, Some(config)).await;
    let (code, answer) = answer.expect("the worker answers");
    assert_eq!((code, &answer["error_count"]), (200, &json!(0)), "{answer}");
    let shown = answer["configs"].as_array().into_iter().flatten();
    let shown: Vec<&Value> = shown
        .map(|config| &config["value"])
        .filter(|value| value["name"] == "value.converter")
        .collect();
    let class = "org.apache.kafka.connect.storage.StringConverter";
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0]["value"], class);
}
