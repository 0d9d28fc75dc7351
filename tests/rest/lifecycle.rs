//! Creation, states and deletion (behavioural tests 20 to 36 and 61), and that nobody waits for a hung neighbour.

use super::{Connect, arrived, sentence};
use crate::{
    runtime::script::Script,
    support::wait::{stays, until},
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use tapline::state::{StateMap, StatusKey, StatusStore};

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_connector_has_no_tasks_and_a_resumed_one_goes_on_where_it_was() {
    let script = Script::new("rest-stop");
    let connect = Connect::start().await;
    let (code, body) = connect.source("in", "rest-stop").await;
    assert_eq!(code, 201);
    let expected = json!({
        "name": "in",
        "config": {"connector.class": "count", "script": "rest-stop", "name": "in"},
        "tasks": [],
        "type": "source",
    });
    assert_eq!(body, expected);
    connect.sink("out", "rest-stop", "t").await;
    script.count_to(10);
    arrived(&script, 10).await;
    for _twice in 0..2 {
        assert_eq!(connect.put("/connectors/in/stop").await, 204);
        connect.reaches("in", "STOPPED", &[]).await;
    }
    assert_eq!(connect.get("/connectors/in").await.1["tasks"], json!([]));
    assert_eq!(connect.get("/connectors/in/tasks").await, (200, json!([])));
    let (code, body) = connect.get("/connectors/in/tasks/0/status").await;
    assert_eq!(
        (code, &sentence(&body)),
        (404, &json!("No status found for task in-0"))
    );
    script.count_to(20);
    for _twice in 0..2 {
        assert_eq!(connect.put("/connectors/in/resume").await, 202);
    }
    connect.reaches("in", "RUNNING", &["RUNNING"]).await;
    arrived(&script, 20).await;
    assert_eq!(script.rows(), (0..20).collect::<Vec<_>>());
    connect.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_connector_keeps_its_tasks_and_moves_nothing() {
    let script = Script::new("rest-pause");
    script.batch.store(1, Ordering::SeqCst);
    let connect = Connect::start().await;
    connect.source("in", "rest-pause").await;
    connect.sink("out", "rest-pause", "t").await;
    script.count_to(5);
    arrived(&script, 5).await;
    for name in ["in", "out"] {
        for _twice in 0..2 {
            assert_eq!(connect.put(&format!("/connectors/{name}/pause")).await, 202);
            connect.reaches(name, "PAUSED", &["PAUSED"]).await;
        }
    }
    script.count_to(10);
    stays("nothing moves", Duration::from_millis(300), async || {
        script.rows().len() == 5
    })
    .await;
    connect.put("/connectors/in/resume").await;
    until("the source has written", async || {
        (connect.log.end("t") == 10).then_some(())
    })
    .await;
    stays(
        "the sink stays paused",
        Duration::from_millis(300),
        async || script.rows().len() == 5,
    )
    .await;
    connect.put("/connectors/out/resume").await;
    connect.reaches("out", "RUNNING", &["RUNNING"]).await;
    arrived(&script, 10).await;
    assert_eq!(script.rows(), (0..10).collect::<Vec<_>>());
    assert_eq!(*script.starts.lock(), [0], "a pause keeps the connection");
    assert_eq!(connect.put("/connectors/in/pause").await, 202);
    assert_eq!(connect.put("/connectors/in/stop").await, 204);
    connect.reaches("in", "STOPPED", &[]).await;
    connect.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_never_ran_is_paused_without_tasks() {
    let script = Script::new("rest-initial");
    let connect = Connect::start().await;
    let settings = [("script", "rest-initial")];
    let (code, _) = connect
        .create("a", "count", &settings, Some("paused"))
        .await;
    assert_eq!(code, 201);
    connect.reaches("a", "PAUSED", &[]).await;
    connect.put("/connectors/a/stop").await;
    connect.reaches("a", "STOPPED", &[]).await;
    connect.put("/connectors/a/pause").await;
    connect.reaches("a", "PAUSED", &[]).await;
    assert!(script.starts.lock().is_empty());
    connect.put("/connectors/a/resume").await;
    connect.reaches("a", "RUNNING", &["RUNNING"]).await;
    let connect = connect.again().await;
    connect.reaches("a", "RUNNING", &["RUNNING"]).await;
    connect
        .create("b", "count", &settings, Some("STOPPED"))
        .await;
    connect
        .create("c", "count", &settings, Some("PAUSED"))
        .await;
    connect.put("/connectors/a/pause").await;
    connect.reaches("a", "PAUSED", &["PAUSED"]).await;
    // A restart of the worker brings each back as it was, paused ones with and without tasks.
    let connect = connect.again().await;
    connect.reaches("a", "PAUSED", &["PAUSED"]).await;
    connect.reaches("b", "STOPPED", &[]).await;
    connect.reaches("c", "PAUSED", &[]).await;
    let (code, body) = connect
        .create("d", "count", &settings, Some("SLEEPING"))
        .await;
    assert_eq!(code, 400, "{body}");
    connect.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_connector_is_gone_at_once_and_its_offsets_stay() {
    let script = Script::new("rest-delete");
    let connect = Connect::start().await;
    connect.source("in", "rest-delete").await;
    connect.sink("out", "rest-delete", "t").await;
    assert_eq!(
        connect.get("/connectors/in/topics").await,
        (200, json!({"in": {"topics": []}}))
    );
    script.count_to(10);
    arrived(&script, 10).await;
    for name in ["in", "out"] {
        until("the topic is used", async || {
            let (_, body) = connect.get(&format!("/connectors/{name}/topics")).await;
            (body == json!({name: {"topics": ["t"]}})).then_some(())
        })
        .await;
    }
    let (code, body) = connect.ask(Method::DELETE, "/connectors/in", None).await;
    assert_eq!((code, body), (204, Value::Null));
    for path in ["", "/status", "/config", "/tasks", "/offsets"] {
        assert_eq!(connect.get(&format!("/connectors/in{path}")).await.0, 404);
    }
    assert_eq!(connect.get("/connectors").await.1, json!(["out"]));
    assert_eq!(
        connect.get("/connectors/in/topics").await.1,
        json!({"in": {"topics": []}})
    );
    assert_eq!(connect.source("in", "rest-delete").await.0, 201);
    script.count_to(20);
    arrived(&script, 20).await;
    assert_eq!(script.rows(), (0..20).collect::<Vec<_>>());
    assert_eq!(connect.put("/connectors/out/topics/reset").await, 202);
    script.count_to(30);
    until("a topic in use comes back", async || {
        let (_, body) = connect.get("/connectors/out/topics").await;
        (body == json!({"out": {"topics": ["t"]}})).then_some(())
    })
    .await;
    connect.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_follow_tasks_max_and_share_the_topics() {
    let target = Script::new("rest-tasks");
    target.tasks.store(u64::MAX, Ordering::SeqCst);
    target.holds.store(true, Ordering::SeqCst);
    let connect = Connect::start().await;
    let mut sources = Vec::new();
    for number in 0..3 {
        let name = format!("rest-tasks-{number}");
        let script = Script::new(&name);
        script.topic.lock().clone_from(&name);
        connect.source(&name, &name).await;
        sources.push(script);
    }
    connect
        .sink(
            "out",
            "rest-tasks",
            "rest-tasks-0,rest-tasks-1,rest-tasks-2",
        )
        .await;
    let mut sent = 0;
    for tasks in [1_usize, 5, 3] {
        let config = json!({
            "connector.class": "keep",
            "script": "rest-tasks",
            "topics": "rest-tasks-0,rest-tasks-1,rest-tasks-2",
            "tasks.max": tasks,
        });
        let put = connect.ask(Method::PUT, "/connectors/out/config", Some(config));
        assert_eq!(put.await.0, 200);
        connect
            .reaches("out", "RUNNING", &vec!["RUNNING"; tasks])
            .await;
        assert_eq!(
            connect.get("/connectors/out").await.1["tasks"]
                .as_array()
                .map(Vec::len),
            Some(tasks)
        );
        assert_eq!(
            connect
                .get("/connectors/out/tasks")
                .await
                .1
                .as_array()
                .map(Vec::len),
            Some(tasks)
        );
        sent += 100;
        sources.iter().for_each(|source| source.count_to(sent));
        arrived(&target, 3 * usize::try_from(sent).expect("small")).await;
    }
    let (rows, topics) = {
        let target = target.target.lock();
        (target.rows.clone(), target.topics.clone())
    };
    let once: BTreeSet<_> = topics.iter().zip(&rows).collect();
    assert_eq!((rows.len(), once.len()), (900, 900), "each record once");
    let generations = target.target.lock().generations.clone();
    assert_eq!(
        generations.len(),
        3,
        "three tasks have had a topic each: {generations:?}"
    );
    connect.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_tasks_than_allowed_fail_the_connector_and_leave_its_tasks_alone() {
    let script = Script::new("rest-many");
    script.tasks.store(2, Ordering::SeqCst);
    let connect = Connect::start().await;
    let (code, _) = connect.sink("out", "rest-many", "t").await;
    assert_eq!(code, 201);
    connect.reaches("out", "FAILED", &[]).await;
    let (_, body) = connect.get("/connectors/out/status").await;
    let trace = body["connector"]["trace"].as_str().unwrap_or_default();
    let words = "The connector out has generated 2 tasks, which is greater than 1";
    assert!(trace.contains(words), "{trace}");
    assert_eq!(connect.put("/connectors/out/stop").await, 204);
    connect.reaches("out", "STOPPED", &[]).await;
    script.tasks.store(1, Ordering::SeqCst);
    connect.put("/connectors/out/resume").await;
    connect.reaches("out", "RUNNING", &["RUNNING"]).await;
    script.tasks.store(2, Ordering::SeqCst);
    let (code, body) = connect.post("/connectors/out/restart").await;
    assert_eq!(
        (code, &sentence(&body)),
        (500, &json!("Failed to start connector: out"))
    );
    connect.reaches("out", "FAILED", &["RUNNING"]).await;
    // 44: one new attempt.
    script.tasks.store(1, Ordering::SeqCst);
    let (code, body) = connect
        .post("/connectors/out/restart?onlyFailed=true")
        .await;
    assert_eq!(
        (code, &body["connector"]["state"]),
        (202, &json!("RESTARTING"))
    );
    connect.reaches("out", "RUNNING", &["RUNNING"]).await;
    assert!(
        connect.get("/connectors/out/status").await.1["connector"]
            .get("trace")
            .is_none()
    );
    connect.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_hangs_holds_up_nobody() {
    let script = Script::new("rest-hang");
    script.deaf.store(true, Ordering::SeqCst);
    Script::new("rest-neighbour");
    let connect = Connect::start().await;
    connect.source("deaf", "rest-hang").await;
    connect.source("neighbour", "rest-neighbour").await;
    connect.reaches("deaf", "RUNNING", &["RUNNING"]).await;
    let began = Instant::now();
    assert_eq!(connect.put("/connectors/deaf/stop").await, 204);
    connect.put("/connectors/neighbour/stop").await;
    connect.reaches("neighbour", "STOPPED", &[]).await;
    connect.put("/connectors/neighbour/resume").await;
    connect.reaches("neighbour", "RUNNING", &["RUNNING"]).await;
    assert_eq!(
        connect
            .ask(Method::DELETE, "/connectors/deaf", None)
            .await
            .0,
        204
    );
    assert_eq!(connect.get("/connectors").await.1, json!(["neighbour"]));
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "somebody waited for the deaf one"
    );
    connect.worker.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_connectors_that_hang_take_a_declaration_no_longer_than_one() {
    let script = Script::new("rest-prune");
    script.deaf.store(true, Ordering::SeqCst);
    let connect = Connect::start().await;
    let names = ["p.a", "p.b", "p.c", "p.d"];
    for name in names {
        let settings = [("script", "rest-prune"), ("tapline.pipeline", "p")];
        connect.create(name, "count", &settings, None).await;
        connect.reaches(name, "RUNNING", &["RUNNING"]).await;
    }
    let body = json!({"pipelines": [{"name": "p", "connectors": []}], "prune": true});
    let declared = connect.ask(Method::POST, "/tapline/v1/pipelines", Some(body));
    // One after the other they would be dropped after 30 s each: the last would still be there when this gives up.
    let gone = until("all are deleted", async || {
        let (_, left) = connect.get("/connectors").await;
        (left == json!([])).then_some(())
    });
    tokio::pin!(declared);
    tokio::select! {
        answer = &mut declared => panic!("it waits for tasks that do not end: {answer:?}"),
        () = gone => {}
    }
    connect.worker.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn states_are_published_in_the_status_topic() {
    let script = Script::new("rest-published");
    let connect = Connect::start().await;
    connect.source("in", "rest-published").await;
    connect.reaches("in", "RUNNING", &["RUNNING"]).await;
    let published = async || {
        let map = StateMap::open(Arc::new(connect.log.clone()), "connect-status").await;
        let mut keys = StatusStore::over(Arc::new(map.expect("the map opens"))).keys();
        keys.sort();
        keys
    };
    let both = [StatusKey::new("in", None), StatusKey::new("in", Some(0))];
    until("both are published", async || {
        (published().await == both).then_some(())
    })
    .await;
    drop(script);
    connect.ask(Method::DELETE, "/connectors/in", None).await;
    until("both are forgotten", async || {
        published().await.is_empty().then_some(())
    })
    .await;
    connect.stop().await;
}
