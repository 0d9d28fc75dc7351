//! Offsets over REST (behavioural tests 1 to 18): shown, altered, reset, and what connectors then do.

use super::{Answer, Connect, arrived};
use crate::{runtime::script::Script, support::wait::until};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

const ALTERED: &str =
    "The Connect framework-managed offsets for this connector have been altered successfully.";
const RESET: &str =
    "The Connect framework-managed offsets for this connector have been reset successfully.";

impl Connect {
    async fn alter(&self, name: &str, body: Value) -> Answer {
        let path = format!("/connectors/{name}/offsets");
        self.ask(Method::PATCH, &path, Some(body)).await
    }

    async fn offsets(&self, name: &str) -> Value {
        let (code, body) = self.get(&format!("/connectors/{name}/offsets")).await;
        assert_eq!(code, 200, "{body}");
        body["offsets"].clone()
    }

    async fn stopped(&self, name: &str) {
        assert_eq!(self.put(&format!("/connectors/{name}/stop")).await, 204);
        self.reaches(name, "STOPPED", &[]).await;
    }
}

fn at(partition: u32, offset: impl Into<Value>) -> Value {
    let offset: Value = offset.into();
    let offset = match offset {
        Value::Null => Value::Null,
        offset => json!({"kafka_offset": offset}),
    };
    json!({"partition": {"kafka_topic": "t", "kafka_partition": partition}, "offset": offset})
}

fn next(position: i64) -> Value {
    json!({"partition": {"server": "test"}, "offset": {"next": position}})
}

fn said(answer: &Answer, code: u16, words: &str) {
    let message = answer.1["message"].as_str().unwrap_or_default();
    assert!(answer.0 == code && message.contains(words), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_stopped_connectors_offsets_change() {
    let script = Script::new("offsets-states");
    let connect = Connect::start().await;
    let one = json!({"offsets": [next(1)]});
    said(
        &connect.alter("u", one.clone()).await,
        404,
        "Connector u not found",
    );
    said(
        &connect.alter("u", json!({})).await,
        400,
        "need to be provided",
    );
    connect.source("in", "offsets-states").await;
    connect.reaches("in", "RUNNING", &["RUNNING"]).await;
    let words = "must be in the STOPPED state before their offsets can be modified";
    let reset = async || {
        connect
            .ask(Method::DELETE, "/connectors/in/offsets", None)
            .await
    };
    said(&connect.alter("in", one.clone()).await, 400, words);
    said(&reset().await, 400, "'/connectors/in/stop'");
    connect.put("/connectors/in/pause").await;
    connect.reaches("in", "PAUSED", &["PAUSED"]).await;
    said(&connect.alter("in", one.clone()).await, 400, words);
    said(&reset().await, 400, words);
    connect.stopped("in").await;
    said(&connect.alter("in", one).await, 200, ALTERED);
    drop(script);
    connect.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sources_offsets_are_altered_and_reset_and_it_goes_on_from_there() {
    let script = Script::new("offsets-source");
    let connect = Connect::start().await;
    connect.source("in", "offsets-source").await;
    script.count_to(10);
    until("10 are committed", async || {
        (connect.offsets("in").await == json!([next(10)])).then_some(())
    })
    .await;
    connect.stopped("in").await;
    for (body, words) in [
        (json!({}), "need to be provided"),
        (json!({"offsets": []}), "need to be provided"),
        (json!({"offsets": {}}), "Cannot deserialize value"),
        (json!([]), "Cannot deserialize value"),
        (json!({"key": []}), "Unrecognized field \"key\""),
        (json!({"offsets": [123]}), "Cannot deserialize value"),
        (
            json!({"offsets": [{"offset": {"next": 1}}]}),
            "cannot be null",
        ),
        (
            json!({"offsets": [{"partition": {"a": 1}, "offset": {"b": [1]}}]}),
            "neither text",
        ),
        (
            json!({"offsets": [{"partition": {"a": 1}, "more": {}}]}),
            "Unrecognized field \"more\"",
        ),
    ] {
        said(&connect.alter("in", body).await, 400, words);
    }
    // To forget the offset of no partition changes nothing, as in the original.
    let nothing = json!({"offsets": [{}, {"partition": null, "offset": null}]});
    said(
        &connect.alter("in", nothing).await,
        200,
        "altered successfully",
    );
    assert_eq!(connect.offsets("in").await, json!([next(10)]));
    said(
        &connect.alter("in", json!({"offsets": [next(7)]})).await,
        200,
        ALTERED,
    );
    assert_eq!(connect.offsets("in").await, json!([next(7)]));
    connect.put("/connectors/in/resume").await;
    until("three are read again", async || {
        (connect.log.end("t") == 13).then_some(())
    })
    .await;
    connect.stopped("in").await;
    for _twice in 0..2 {
        let path = "/connectors/in/offsets";
        said(&connect.ask(Method::DELETE, path, None).await, 200, RESET);
        assert_eq!(connect.offsets("in").await, json!([]));
    }
    connect.put("/connectors/in/resume").await;
    until("all are read again", async || {
        (connect.log.end("t") == 23).then_some(())
    })
    .await;
    assert_eq!(*script.starts.lock(), [0, 7, 0]);
    connect.stop().await;
}

/// A sink's entries that mean nothing, each with words of the answer.
fn malformed() -> Vec<(Value, &'static str)> {
    vec![
        (json!({}), "cannot be null or missing"),
        (
            json!({"partition": {}}),
            "must contain the keys 'kafka_topic' and 'kafka_partition'",
        ),
        (
            at(0, "two"),
            "Failed to parse the following Kafka offset value in the provided offsets: 'two'",
        ),
        (
            at(0, -1),
            "Offset values for sink connectors need to be integers.",
        ),
        (at(9, 1), "Failed to alter consumer group offsets"),
        (
            json!({"partition": {"kafka_topic": "t", "kafka_partition": "x"}}),
            "Partition values for sink connectors need to be integers.",
        ),
        (
            json!({"partition": {"kafka_topic": "t", "kafka_partition": 0}, "offset": {}}),
            "either be null or contain the key 'kafka_offset'",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sinks_offsets_are_what_its_target_gets_next() {
    let (feed, script) = (Script::new("offsets-feed"), Script::new("offsets-sink"));
    let connect = Connect::start().await;
    let partitions = [
        ("script", "offsets-feed"),
        ("topic.creation.default.partitions", "3"),
    ];
    connect.create("in", "count", &partitions, None).await;
    connect.sink("out", "offsets-sink", "t").await;
    let caught_up = async |count: usize| {
        feed.count_to(u64::try_from(count).expect("small"));
        until("the position is the end", async || {
            let offsets = connect.offsets("out").await;
            let next = offsets.as_array()?.iter();
            let next = next.map(|one| one["offset"]["kafka_offset"].as_u64());
            (next.sum::<Option<u64>>()? == count as u64).then_some(())
        })
        .await;
    };
    caught_up(60).await;
    caught_up(120).await;
    let ends: Vec<u64> = connect
        .offsets("out")
        .await
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["offset"]["kafka_offset"].as_u64())
        .collect();
    assert_eq!(ends.len(), 3);
    assert!(ends.iter().all(|end| *end > 5), "{ends:?}");
    connect.stopped("out").await;
    for (entry, words) in malformed() {
        said(
            &connect.alter("out", json!({"offsets": [entry]})).await,
            400,
            words,
        );
    }
    let body = json!({"offsets": [at(0, Value::Null), at(1, 5), at(2, "5")]});
    said(&connect.alter("out", body).await, 200, ALTERED);
    assert_eq!(connect.offsets("out").await, json!([at(1, 5), at(2, 5)]));
    assert_eq!(script.rows().len(), 120);
    connect.put("/connectors/out/resume").await;
    arrived(&script, 120 + 110).await;
    caught_up(120).await;
    connect.stopped("out").await;
    for _twice in 0..2 {
        said(
            &connect
                .ask(Method::DELETE, "/connectors/out/offsets", None)
                .await,
            200,
            RESET,
        );
        assert_eq!(connect.offsets("out").await, json!([]));
    }
    // The reset is durable, and a worker that comes back begins where it says.
    let connect = connect.again().await;
    assert_eq!(connect.offsets("out").await, json!([]));
    connect.put("/connectors/out/resume").await;
    arrived(&script, 120 + 110 + 120).await;
    connect.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_is_created_stopped_begins_at_the_offset_it_is_given() {
    let script = Script::new("offsets-initial");
    let connect = Connect::start().await;
    connect.source("in", "offsets-initial").await;
    script.count_to(10);
    until("10 are in the log", async || {
        (connect.log.end("t") == 10).then_some(())
    })
    .await;
    let settings = [("script", "offsets-initial"), ("topics", "t")];
    connect
        .create("out", "keep", &settings, Some("STOPPED"))
        .await;
    connect.reaches("out", "STOPPED", &[]).await;
    said(
        &connect.alter("out", json!({"offsets": [at(0, 5)]})).await,
        200,
        ALTERED,
    );
    connect.put("/connectors/out/resume").await;
    arrived(&script, 5).await;
    assert_eq!(script.rows(), [5, 6, 7, 8, 9]);
    connect.reaches("out", "RUNNING", &["RUNNING"]).await;
    script.holds.store(true, Ordering::SeqCst);
    connect.stop().await;
}
