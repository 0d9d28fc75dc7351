//! Behaviour that clients rely on, by the numbers of the specification's list: what no other file here shows.

use super::{Connect, arrived};
use crate::{
    runtime::script::{Act, Script},
    support::wait::{stays, until},
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{sync::atomic::Ordering, time::Duration};
use tapline::worker::TopicTracking;

/// Long enough that what must not happen would have.
const LONG_ENOUGH: Duration = Duration::from_millis(300);

fn source_at(next: i64) -> Value {
    json!([{"partition": {"server": "test"}, "offset": {"next": next}}])
}

fn sink_at(topic: &str, next: u64) -> Value {
    json!({"partition": {"kafka_topic": topic, "kafka_partition": 0}, "offset": {"kafka_offset": next}})
}

impl Connect {
    async fn offsets_of(&self, name: &str) -> Value {
        let (_, body) = self.get(&format!("/connectors/{name}/offsets")).await;
        body["offsets"].clone()
    }
}

/// 6, 34: there is no client to configure, and a setting that nobody reads is not taken silently.
#[tokio::test(flavor = "multi_thread")]
async fn overrides_of_clients_are_refused_by_name() {
    Script::new("behave-override");
    let connect = Connect::start().await;
    for key in [
        "consumer.override.group.id",
        "producer.override.bootstrap.servers",
        "admin.override.bootstrap.servers",
    ] {
        let settings = [("script", "behave-override"), (key, "x")];
        let (code, body) = connect.create("in", "count", &settings, None).await;
        let message = body["message"].as_str().unwrap_or_default();
        assert!(code == 400 && message.contains(key), "{code} {message}");
    }
    assert_eq!(connect.get("/connectors").await, (200, json!([])));
    connect.stop().await;
}

/// 16, where we do better: the change waits for a task that is slow to stop, and that cannot undo it.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_offsets_waits_for_a_task_that_is_slow_to_stop() {
    let script = Script::new("behave-slow");
    let connect = Connect::start().await;
    connect.source("in", "behave-slow").await;
    script.count_to(10);
    until("10 are in the log", async || {
        (connect.log.end("t") == 10).then_some(())
    })
    .await;
    script.acts.lock().push_back(Act::Hold);
    connect.sink("out", "behave-slow", "t").await;
    until("a batch is held", async || {
        (!script.target.lock().puts.is_empty()).then_some(())
    })
    .await;
    assert_eq!(connect.put("/connectors/out/stop").await, 204);
    let body = json!({"offsets": [sink_at("t", 7)]});
    let path = "/connectors/out/offsets";
    {
        let altered = connect.ask(Method::PATCH, path, Some(body));
        tokio::pin!(altered);
        tokio::select! {
            answer = &mut altered => panic!("it did not wait: {answer:?}"),
            () = stays("nothing was applied", LONG_ENOUGH, async || script.rows().is_empty()) => {}
        }
        script.go.notify_one();
        assert_eq!(altered.await.0, 200);
    }
    assert_eq!(connect.offsets_of("out").await, json!([sink_at("t", 7)]));
    script.target.lock().rows.clear();
    connect.put("/connectors/out/resume").await;
    arrived(&script, 3).await;
    assert_eq!(script.rows(), [7, 8, 9]);
    connect.stop().await;
}

/// 25.
#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_fails_at_its_stop_is_stopped_all_the_same() {
    let script = Script::new("behave-rude");
    script.rude.store(true, Ordering::SeqCst);
    let connect = Connect::start().await;
    connect.source("in", "behave-rude").await;
    connect.sink("out", "behave-rude", "t").await;
    script.count_to(5);
    arrived(&script, 5).await;
    assert_eq!(connect.put("/connectors/out/stop").await, 204);
    connect.reaches("out", "STOPPED", &[]).await;
    connect.put("/connectors/out/resume").await;
    connect.reaches("out", "RUNNING", &["RUNNING"]).await;
    script.count_to(8);
    arrived(&script, 8).await;
    assert_eq!(script.rows(), (0..8).collect::<Vec<_>>());
    connect.stop().await;
}

/// 32: the second half.
#[tokio::test(flavor = "multi_thread")]
async fn tasks_above_tasks_max_run_if_it_is_not_enforced() {
    let script = Script::new("behave-enforce");
    script.tasks.store(2, Ordering::SeqCst);
    let connect = Connect::start().await;
    let settings = [("script", "behave-enforce"), ("topics", "t")];
    let (code, _) = connect.create("out", "keep", &settings, None).await;
    assert_eq!(code, 201);
    connect.reaches("out", "FAILED", &[]).await;
    let patch = |value: &str| {
        let body = json!({"tasks.max.enforce": value});
        connect.ask(Method::PATCH, "/connectors/out/config", Some(body))
    };
    assert_eq!(patch("false").await.0, 200);
    connect
        .reaches("out", "RUNNING", &["RUNNING", "RUNNING"])
        .await;
    assert_eq!(patch("maybe").await.0, 400);
    connect.stop().await;
}

/// 35.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_converter_fails_the_task_and_the_right_one_reads_on_from_the_same_record() {
    let script = Script::new("behave-converter");
    let connect = Connect::start().await;
    let text = [
        ("script", "behave-converter"),
        ("value.converter", "string"),
    ];
    assert_eq!(connect.create("in", "count", &text, None).await.0, 201);
    script.count_to(1);
    let json = [
        ("script", "behave-converter"),
        ("topics", "t"),
        (
            "value.converter",
            "org.apache.kafka.connect.json.JsonConverter",
        ),
    ];
    assert_eq!(connect.create("out", "keep", &json, None).await.0, 201);
    connect.reaches("out", "RUNNING", &["FAILED"]).await;
    let moved = connect.offsets_of("out").await;
    assert!(
        moved == json!([]) || moved == json!([sink_at("t", 0)]),
        "{moved}"
    );
    let string = json!({"value.converter": "org.apache.kafka.connect.storage.StringConverter"});
    let patched = connect.ask(Method::PATCH, "/connectors/out/config", Some(string));
    assert_eq!(patched.await.0, 200);
    connect.reaches("out", "RUNNING", &["RUNNING"]).await;
    arrived(&script, 1).await;
    until("its offset is stored", async || {
        (connect.offsets_of("out").await == json!([sink_at("t", 1)])).then_some(())
    })
    .await;
    connect.stop().await;
}

/// 38: a connector, its converters, a transform and a predicate by their short names.
#[tokio::test(flavor = "multi_thread")]
async fn classes_answer_to_their_aliases() {
    Script::new("behave-alias");
    let connect = Connect::start().await;
    let settings = [
        ("script", "behave-alias"),
        ("key.converter", "StringConverter"),
        ("value.converter", "JsonConverter"),
        ("transforms", "route"),
        ("transforms.route.type", "RegexRouter"),
        ("transforms.route.regex", "(.*)"),
        ("transforms.route.replacement", "$1-routed"),
        ("transforms.route.predicate", "mine"),
        ("predicates", "mine"),
        ("predicates.mine.type", "TopicNameMatches"),
        ("predicates.mine.pattern", "t"),
    ];
    let (code, body) = connect.create("in", "count", &settings, None).await;
    assert_eq!(code, 201, "{body}");
    connect.reaches("in", "RUNNING", &["RUNNING"]).await;
    connect.stop().await;
}

/// 50.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_has_not_begun_says_that_it_is_starting() {
    let connect = Connect::not_begun().await;
    let health = async || {
        let answer = reqwest::get(format!("{}/health", connect.url)).await;
        let answer = answer.expect("the worker answers");
        let code = answer.status().as_u16();
        let body: Value = answer.json().await.expect("JSON");
        (code, body)
    };
    let (code, body) = health().await;
    assert_eq!((code, &body["status"]), (503, &json!("starting")));
    let message = body["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("Worker is still starting up."));
    connect.worker.begin();
    let (code, body) = health().await;
    assert_eq!((code, &body["status"]), (200, &json!("healthy")));
    connect.stop().await;
}

/// 60.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_predicate_filters_is_not_delivered_and_its_offsets_are_committed() {
    let script = Script::new("behave-filter");
    let dropped = Script::new("behave-dropped");
    "dropped".clone_into(&mut dropped.topic.lock());
    let connect = Connect::start().await;
    connect.source("in", "behave-filter").await;
    connect.source("other", "behave-dropped").await;
    let settings = [
        ("script", "behave-filter"),
        ("topics", "t,dropped"),
        ("transforms", "drop"),
        ("transforms.drop.type", "Filter"),
        ("transforms.drop.predicate", "other"),
        ("predicates", "other"),
        ("predicates.other.type", "TopicNameMatches"),
        ("predicates.other.pattern", "drop.*"),
    ];
    let (code, body) = connect.create("out", "keep", &settings, None).await;
    assert_eq!(code, 201, "{body}");
    script.count_to(5);
    dropped.count_to(20);
    let ends = [sink_at("dropped", 20), sink_at("t", 5)];
    until("both topics are read to their ends", async || {
        (connect.offsets_of("out").await == json!(ends)).then_some(())
    })
    .await;
    assert_eq!(script.rows(), (0..5).collect::<Vec<_>>());
    connect.stop().await;
}

/// 62.
#[tokio::test(flavor = "multi_thread")]
async fn topics_are_told_and_reset_only_as_far_as_it_is_allowed() {
    let script = Script::new("behave-topics");
    let connect = Connect::start().await;
    connect.source("in", "behave-topics").await;
    script.count_to(1);
    let path = "/connectors/in/topics";
    let reset = "/connectors/in/topics/reset";
    let used = json!({"in": {"topics": ["t"]}});
    until("the topic is used", async || {
        (connect.get(path).await == (200, used.clone())).then_some(())
    })
    .await;
    let forbidden = |why: &str| (403, json!({"error_code": 403, "message": why}));
    connect.worker.track_topics(TopicTracking {
        shown: true,
        reset: false,
    });
    assert_eq!(
        connect.ask(Method::PUT, reset, None).await,
        forbidden("Topic tracking reset is disabled.")
    );
    assert_eq!(connect.get(path).await, (200, used));
    connect.worker.track_topics(TopicTracking {
        shown: false,
        reset: true,
    });
    let disabled = forbidden("Topic tracking is disabled.");
    assert_eq!(connect.get(path).await, disabled);
    assert_eq!(connect.ask(Method::PUT, reset, None).await, disabled);
    connect.stop().await;
}

/// KIP-995.
#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_is_created_with_offsets_begins_there() {
    let script = Script::new("behave-initial");
    let connect = Connect::start().await;
    script.count_to(10);
    let create = async |offsets: Value| {
        let config = json!({"connector.class": "count", "script": "behave-initial"});
        let body = json!({"name": "in", "config": config, "initial_offsets": offsets});
        connect.ask(Method::POST, "/connectors", Some(body)).await
    };
    for (offsets, words) in [
        (json!({}), "Cannot deserialize value of initial_offsets"),
        (
            json!([{"partition": null, "offset": {"at": 1}}]),
            "cannot be null",
        ),
        (json!([7]), "Cannot deserialize value"),
    ] {
        let (code, body) = create(offsets).await;
        let message = body["message"].as_str().unwrap_or_default();
        assert!(code == 400 && message.contains(words), "{code} {message}");
    }
    assert_eq!(connect.get("/connectors").await, (200, json!([])));
    let (code, body) = create(source_at(6)).await;
    assert_eq!(code, 201, "{body}");
    let status = body["offsets_status"].as_str().unwrap_or_default();
    let words = "offsets for this connector have been altered successfully";
    assert!(status.contains(words), "{body}");
    connect.sink("out", "behave-initial", "t").await;
    arrived(&script, 4).await;
    assert_eq!(*script.starts.lock(), [6]);
    assert_eq!(script.rows(), [6, 7, 8, 9]);
    assert_eq!(create(source_at(1)).await.0, 409);
    let info = connect.get("/connectors/in").await.1;
    assert!(info.get("offsets_status").is_none());

    // Deleted and created anew at once, it does not begin where its predecessor ended.
    let deleted = connect.ask(Method::DELETE, "/connectors/in", None).await;
    assert_eq!(deleted.0, 204);
    let (code, body) = create(source_at(8)).await;
    assert_eq!(code, 201, "{body}");
    arrived(&script, 6).await;
    assert_eq!(*script.starts.lock(), [6, 8]);

    let config = json!({"connector.class": "keep", "script": "behave-initial", "topics": "t"});
    let body = json!({"name": "late", "config": config, "initial_offsets": [sink_at("t", 5)]});
    let (code, body) = connect.ask(Method::POST, "/connectors", Some(body)).await;
    assert_eq!(code, 201, "{body}");
    arrived(&script, 7).await;
    assert_eq!(script.rows(), [6, 7, 8, 9, 8, 9, 9]);
    connect.stop().await;
}
