//! Settings over REST: created, replaced, patched, listed, and never shown with their secrets.

use super::{Connect, arrived, sentence};
use crate::{runtime::script::Script, support::wait::until};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_created_connector_is_shown_as_it_was_submitted() {
    Script::new("config-shown");
    let connect = Connect::start().await;
    let config = json!({"connector.class": "count", "script": "config-shown", "tasks.max": 1});
    let body = json!({"name": " a->b/c \u{7}", "config": config});
    let client = reqwest::Client::new();
    let created = client
        .post(format!("{}/connectors/", connect.url))
        .json(&body);
    let created = created.send().await.expect("answered");
    assert_eq!(created.status().as_u16(), 201);
    let location = created.headers().get("location").cloned();
    let location = location
        .as_ref()
        .and_then(|location| location.to_str().ok());
    assert_eq!(
        location,
        Some(&*format!("{}/connectors/a-%3Eb%2Fc", connect.url))
    );
    let text = created.text().await.expect("a body");
    let wanted = "{\"name\":\"a->b/c\",\"config\":{\"connector.class\":\"count\",\"name\":\"a->b/c\",\"script\":\
                  \"config-shown\",\"tasks.max\":\"1\"},\"tasks\":[],\"type\":\"source\"}";
    assert_eq!(text, wanted, "field order is the original's");
    let path = "/connectors/a-%3Eb%2Fc";
    connect.reaches("a-%3Eb%2Fc", "RUNNING", &["RUNNING"]).await;
    let (code, info) = connect.get(&format!("{path}/")).await;
    assert_eq!(
        (code, &info["tasks"]),
        (200, &json!([{"connector": "a->b/c", "task": 0}]))
    );
    let (_, config) = connect.get(&format!("{path}/config")).await;
    assert_eq!(config, info["config"]);
    let (_, tasks) = connect.get(&format!("{path}/tasks")).await;
    assert_eq!(tasks[0]["id"], json!({"connector": "a->b/c", "task": 0}));
    let (_, expanded) = connect
        .get("/connectors?expand=status&expand=info&expand=x")
        .await;
    assert_eq!(expanded["a->b/c"]["info"], info);
    assert_eq!(
        expanded["a->b/c"]["status"]["connector"]["state"],
        "RUNNING"
    );
    assert_eq!(
        connect.get("/connectors?expand=INFO").await.1,
        json!({"a->b/c": {}})
    );
    connect.stop().await;
}

/// Bodies of the wrong shape, each with words of the answer.
fn malformed(good: &Value) -> Vec<(Value, &'static str)> {
    vec![
        (json!([]), "Cannot deserialize value"),
        (json!({"name": "x"}), "no config"),
        (
            json!({"name": "x", "config": []}),
            "Cannot deserialize value",
        ),
        (json!({"name": "x", "config": {"a": [1]}}), "Array value"),
        (
            json!({"name": "x", "config": good, "owner": 1}),
            "Unrecognized field \"owner\"",
        ),
        (
            json!({"name": "x", "config": good, "initial_state": 1}),
            "Cannot construct instance",
        ),
    ]
}

/// Settings that do not hold, each with words of the answer.
fn invalid(good: &Value) -> Vec<(Value, &'static str)> {
    let of = |config: Value| json!({"name": "x", "config": config});
    let differs = "Connector name configuration (y) doesn't match connector name in the URL (x)";
    let unknown = "Failed to find any class that implements Connector and which name matches none";
    let null = "Null value can not be supplied as the configuration value.";
    vec![
        (of(json!({})), "contains no connector type"),
        (json!({"config": good}), "String may not be empty"),
        (
            json!({"name": "n".repeat(300), "config": good}),
            "longer than 249",
        ),
        (
            json!({"name": "a\nb", "config": good}),
            "String may not contain control sequences",
        ),
        (
            of(json!({"connector.class": "count", "script": "s", "name": "y"})),
            differs,
        ),
        (of(json!({"connector.class": "none"})), unknown),
        (
            of(json!({"connector.class": "count", "scirpt": "s"})),
            "contains the following 2 error(s):",
        ),
        (
            of(json!({"connector.class": "count", "script": null})),
            "Missing required configuration \"script\" which has no default value.",
        ),
        (
            of(json!({"connector.class": "count", "script": "s", "tasks.max": null})),
            null,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_name_what_is_wrong_and_change_nothing() {
    Script::new("config-bad");
    let connect = Connect::start().await;
    let good = json!({"connector.class": "count", "script": "config-bad"});
    let post = async |body: Value| connect.ask(Method::POST, "/connectors", Some(body)).await;
    for (body, words) in malformed(&good).into_iter().chain(invalid(&good)) {
        let (code, answer) = post(body.clone()).await;
        let message = answer["message"].as_str().unwrap_or_default();
        assert!(
            code == 400 && message.contains(words),
            "{body}: {code} {message}"
        );
    }
    assert_eq!(connect.get("/connectors").await, (200, json!([])));
    assert_eq!(connect.source("x", "config-bad").await.0, 201);
    let (code, body) = connect.source("x", "config-bad").await;
    assert_eq!(
        (code, &sentence(&body)),
        (409, &json!("Connector x already exists"))
    );
    // Taken and invalid is invalid.
    assert_eq!(
        post(json!({"name": "x", "config": {"connector.class": "count"}}))
            .await
            .0,
        400
    );
    connect.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_connector_is_told_in_the_originals_words() {
    let connect = Connect::start().await;
    let not_found = "Connector u not found";
    for (method, path, code, message) in [
        (Method::GET, "/connectors/u", 404, not_found),
        (Method::GET, "/connectors/u/config", 404, not_found),
        (
            Method::GET,
            "/connectors/u/status",
            404,
            "No status found for connector u",
        ),
        (
            Method::GET,
            "/connectors/u/tasks/0/status",
            404,
            "No status found for task u-0",
        ),
        (Method::GET, "/connectors/u/offsets", 404, not_found),
        (Method::DELETE, "/connectors/u/offsets", 404, not_found),
        (Method::DELETE, "/connectors/u", 404, not_found),
        (
            Method::PUT,
            "/connectors/u/pause",
            404,
            "Unknown connector u",
        ),
        (
            Method::PUT,
            "/connectors/u/resume/",
            404,
            "Unknown connector u",
        ),
        (
            Method::PUT,
            "/connectors/u/stop",
            404,
            "Unknown connector u",
        ),
        (
            Method::POST,
            "/connectors/u/pause",
            405,
            "HTTP 405 Method Not Allowed",
        ),
    ] {
        let (found, body) = connect.ask(method, path, None).await;
        assert_eq!((found, &sentence(&body)), (code, &json!(message)), "{path}");
    }
    assert_eq!(connect.put("/connectors/u/topics/reset").await, 202);
    connect.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_merges_and_a_changed_config_restarts_its_tasks_only() {
    let script = Script::new("config-patch");
    Script::new("config-other");
    let connect = Connect::start().await;
    connect.source("in", "config-patch").await;
    connect.source("other", "config-other").await;
    connect.sink("out", "config-patch", "t").await;
    script.count_to(10);
    arrived(&script, 10).await;
    let patch = async |body: Value| {
        connect
            .ask(Method::PATCH, "/connectors/in/config", Some(body))
            .await
    };
    let (code, body) = patch(json!({"compression.type": "zstd", "errors.retry.timeout": 5})).await;
    assert_eq!(code, 200);
    assert_eq!(body["config"]["errors.retry.timeout"], "5");
    assert_eq!(body["tasks"], json!([{"connector": "in", "task": 0}]));
    until("the task was restarted", async || {
        (*script.starts.lock() == [0, 10]).then_some(())
    })
    .await;
    let (code, body) = patch(json!({"compression.type": null, "errors.retry.timeout": null})).await;
    assert_eq!(code, 200);
    let config = json!({"connector.class": "count", "name": "in", "script": "config-patch"});
    assert_eq!(body["config"], config);
    until("the task was restarted", async || {
        (*script.starts.lock() == [0, 10, 10]).then_some(())
    })
    .await;
    assert_eq!(patch(json!({})).await.0, 200);
    assert_eq!(patch(json!({"name": "b"})).await.0, 400);
    assert_eq!(patch(json!({"tasks.max": "none"})).await.0, 400);
    assert_eq!(connect.get("/connectors/in/config").await.1, config);
    let unknown = connect
        .ask(Method::PATCH, "/connectors/u/config", Some(json!({})))
        .await;
    assert_eq!(
        (unknown.0, &sentence(&unknown.1)),
        (404, &json!("Connector u not found"))
    );
    // The same settings again, and a stopped connector's new ones, start nothing.
    let put = async |config: &Value| {
        connect
            .ask(Method::PUT, "/connectors/in/config", Some(config.clone()))
            .await
    };
    assert_eq!(put(&config).await.0, 200);
    connect.put("/connectors/in/stop").await;
    connect.reaches("in", "STOPPED", &[]).await;
    assert_eq!(patch(json!({"compression.type": "none"})).await.0, 200);
    connect.reaches("in", "STOPPED", &[]).await;
    assert_eq!(*script.starts.lock(), [0, 10, 10]);
    let put = connect.ask(
        Method::PUT,
        "/connectors/new/config",
        Some(json!({
            "connector.class": "io.tapline.test.count", "script": "config-other", "tasks.max": 1,
        })),
    );
    assert_eq!(put.await.0, 201);
    connect.reaches("new", "RUNNING", &["RUNNING"]).await;
    connect.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_never_shown_and_a_mask_put_back_keeps_it() {
    Script::new("config-secret");
    let connect = Connect::start().await;
    let secrets = [
        ("script", "config-secret"),
        ("transforms", "a"),
        ("transforms.a.type", "RegexRouter"),
        ("transforms.a.regex", "jdbc://u:canary@h"),
        ("transforms.a.replacement", "x"),
    ];
    let (code, body) = connect.create("s", "count", &secrets, None).await;
    assert_eq!(code, 201, "{body}");
    let shown = body["config"]["transforms.a.regex"].clone();
    assert_eq!(shown, "jdbc://u:[hidden]@h");
    for path in [
        "/connectors/s",
        "/connectors/s/config",
        "/connectors/s/tasks",
        "/connectors?expand=info",
    ] {
        let (_, body) = connect.get(path).await;
        assert!(!body.to_string().contains("canary"), "{path}: {body}");
    }
    let (_, config) = connect.get("/connectors/s/config").await;
    let put = connect
        .ask(Method::PUT, "/connectors/s/config", Some(config.clone()))
        .await;
    assert_eq!(put.0, 200);
    let stored = connect.worker_config("s").await;
    assert_eq!(stored["transforms.a.regex"], "jdbc://u:canary@h");
    let mut moved = config;
    moved["transforms.a.regex"] = json!("jdbc://u:[hidden]@elsewhere");
    let refused = connect
        .ask(Method::PUT, "/connectors/s/config", Some(moved))
        .await;
    assert_eq!(refused.0, 400, "{}", refused.1);
    connect.stop().await;
}

impl Connect {
    /// The settings as they are stored, secrets in clear: from a copy of the state map.
    async fn worker_config(&self, name: &str) -> std::collections::BTreeMap<String, String> {
        use std::sync::Arc;
        use tapline::state::{ConfigStore, Sealer};
        let sealer = Sealer::open(&self.folder.path().join("secret.key")).expect("the key");
        let store = ConfigStore::open(Arc::new(self.log.clone()), sealer).await;
        let store = store.expect("the map opens");
        store.get(name).expect("it is stored").properties
    }
}
