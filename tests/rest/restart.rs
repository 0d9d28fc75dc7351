//! Restarts (behavioural tests 39 to 44).

use super::{Connect, arrived, sentence};
use crate::{
    runtime::script::{Act, Script, Trouble},
    support::wait::until,
};
use serde_json::json;
use tapline_sdk::ErrorKind;

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_connector_is_not_restarted() {
    let connect = Connect::start().await;
    for flags in [
        "",
        "?includeTasks=true",
        "?onlyFailed=true",
        "?includeTasks=true&onlyFailed=true",
    ] {
        let (code, body) = connect.post(&format!("/connectors/x/restart{flags}")).await;
        assert_eq!(
            (code, &sentence(&body)),
            (404, &json!("Unknown connector: x"))
        );
    }
    let (code, body) = connect.post("/connectors/x/tasks/0/restart").await;
    assert_eq!(
        (code, &sentence(&body)),
        (404, &json!("Unknown connector: x"))
    );
    connect.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_connector_is_restarted_as_far_as_the_flags_say() {
    let script = Script::new("restart-flags");
    let connect = Connect::start().await;
    connect.source("in", "restart-flags").await;
    connect.reaches("in", "RUNNING", &["RUNNING"]).await;
    let runs = || script.starts.lock().len();
    until("the source runs", async || (runs() == 1).then_some(())).await;

    assert_eq!(
        connect.post("/connectors/in/restart").await,
        (204, json!(null))
    );
    assert_eq!(runs(), 1, "tasks go on");
    for flags in ["onlyFailed=true", "onlyFailed=true&includeTasks=true"] {
        let (code, body) = connect
            .post(&format!("/connectors/in/restart?{flags}"))
            .await;
        assert_eq!(code, 202);
        assert_eq!(body["connector"]["state"], "RUNNING");
        assert_eq!(body["tasks"][0]["state"], "RUNNING");
    }
    assert_eq!(runs(), 1, "nothing had failed");
    let (code, body) = connect
        .post("/connectors/in/restart?includeTasks=TRUE&includeTasks=false")
        .await;
    assert_eq!(code, 202);
    assert_eq!(body["connector"]["state"], "RESTARTING");
    assert_eq!(body["tasks"][0]["state"], "RESTARTING");
    until("the task runs again", async || (runs() == 2).then_some(())).await;
    connect.reaches("in", "RUNNING", &["RUNNING"]).await;
    assert_eq!(runs(), 2, "once");

    assert_eq!(connect.post("/connectors/in/tasks/0/restart").await.0, 204);
    until("the task runs again", async || (runs() == 3).then_some(())).await;
    for (task, message) in [
        ("5", "Unknown task: in-5"),
        ("-1", "Unknown task: in--1"),
        ("x", "HTTP 404 Not Found"),
    ] {
        let (code, body) = connect
            .post(&format!("/connectors/in/tasks/{task}/restart"))
            .await;
        assert_eq!((code, &sentence(&body)), (404, &json!(message)));
    }
    connect.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_task_says_why_and_only_it_is_restarted() {
    let script = Script::new("restart-failed");
    *script.trouble.lock() = Some((3, Trouble::Fail(ErrorKind::Fatal)));
    let connect = Connect::start().await;
    connect.source("in", "restart-failed").await;
    connect.sink("out", "restart-failed", "t").await;
    script.count_to(10);
    connect.reaches("in", "RUNNING", &["FAILED"]).await;
    let (_, task) = connect.get("/connectors/in/tasks/0/status").await;
    let trace = task["trace"].as_str().unwrap_or_default();
    assert!(trace.contains("told to fail before 3"), "{task}");
    assert_eq!(connect.put("/connectors/in/pause").await, 202);
    connect.reaches("in", "PAUSED", &["FAILED"]).await;
    connect.put("/connectors/in/resume").await;
    connect.reaches("in", "RUNNING", &["FAILED"]).await;
    let (code, body) = connect
        .post("/connectors/in/restart?includeTasks=true&onlyFailed=true")
        .await;
    assert_eq!(code, 202);
    assert_eq!(body["connector"]["state"], "RUNNING");
    assert_eq!(body["tasks"][0]["state"], "RESTARTING");
    connect.reaches("in", "RUNNING", &["RUNNING"]).await;
    arrived(&script, 10).await;
    assert_eq!(script.rows(), (0..10).collect::<Vec<_>>());
    assert!(
        connect
            .get("/connectors/in/tasks/0/status")
            .await
            .1
            .get("trace")
            .is_none()
    );

    script.acts.lock().push_back(Act::Reject(10));
    script.count_to(11);
    connect.reaches("out", "RUNNING", &["FAILED"]).await;
    assert_eq!(connect.post("/connectors/out/tasks/0/restart").await.0, 204);
    arrived(&script, 11).await;
    connect.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_a_paused_or_stopped_connector_as_it_is() {
    Script::new("restart-paused");
    let connect = Connect::start().await;
    connect.source("in", "restart-paused").await;
    connect.reaches("in", "RUNNING", &["RUNNING"]).await;
    connect.put("/connectors/in/pause").await;
    connect.reaches("in", "PAUSED", &["PAUSED"]).await;
    assert_eq!(connect.post("/connectors/in/restart").await.0, 204);
    assert_eq!(
        connect
            .post("/connectors/in/restart?includeTasks=true")
            .await
            .0,
        202
    );
    connect.reaches("in", "PAUSED", &["PAUSED"]).await;
    connect.put("/connectors/in/stop").await;
    connect.reaches("in", "STOPPED", &[]).await;
    assert_eq!(connect.post("/connectors/in/restart").await.0, 204);
    let (code, body) = connect
        .post("/connectors/in/restart?includeTasks=true")
        .await;
    assert_eq!(
        (code, &body["connector"]["state"]),
        (202, &json!("RESTARTING"))
    );
    connect.reaches("in", "STOPPED", &[]).await;
    connect.stop().await;
}
