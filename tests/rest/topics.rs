//! Topics made, altered and deleted over REST.

use super::{Connect, arrived};
use crate::{runtime::script::Script, support::wait};
use reqwest::Method;
use serde_json::{Value, json};

async fn ask(connect: &Connect, method: Method, rest: &str, body: Option<Value>) -> (u16, Value) {
    connect
        .ask(method, &format!("/tapline/v1/topics{rest}"), body)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_made_altered_and_deleted() {
    let connect = Connect::start().await;
    let body = json!({"name": "aside", "partitions": 3, "config": {"cleanup.policy": "compact"}});
    let (status, made) = ask(&connect, Method::POST, "", Some(body.clone())).await;
    assert_eq!((status, &made["name"]), (201, &json!("aside")), "{made}");
    assert_eq!(made["partitions"].as_array().map(Vec::len), Some(3));
    assert_eq!(made["config"]["cleanup.policy"], "compact");
    assert_eq!(ask(&connect, Method::POST, "", Some(body)).await.0, 409);

    let change = json!({"config": {"retention.ms": 5000, "cleanup.policy": null}});
    let (status, altered) = ask(&connect, Method::PATCH, "/aside", Some(change)).await;
    assert_eq!(status, 200, "{altered}");
    let (_, shown) = ask(&connect, Method::GET, "/aside", None).await;
    assert_eq!(shown["config"], altered["config"]);
    assert_eq!(shown["config"]["retention.ms"], "5000");
    assert_eq!(shown["config"].get("cleanup.policy"), None);

    assert_eq!(ask(&connect, Method::DELETE, "/aside", None).await.0, 204);
    assert_eq!(ask(&connect, Method::DELETE, "/aside", None).await.0, 404);
    assert_eq!(ask(&connect, Method::GET, "/aside", None).await.0, 404);
    connect.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_a_connector_uses_is_not_deleted() {
    let script = Script::new("rest-topics");
    script.count_to(5);
    let connect = Connect::start().await;
    connect.source("in", "rest-topics").await;
    connect.sink("out", "rest-topics", "t").await;
    arrived(&script, 5).await;
    let (status, refused) = ask(&connect, Method::DELETE, "/t", None).await;
    let message = refused["message"].as_str().unwrap_or_default();
    assert_eq!(status, 409, "{refused}");
    assert!(
        message.contains("in, out") && message.contains("TL0516"),
        "{message}"
    );

    for name in ["in", "out"] {
        let path = format!("/connectors/{name}");
        assert_eq!(connect.ask(Method::DELETE, &path, None).await.0, 204);
    }
    assert_eq!(ask(&connect, Method::DELETE, "/t", None).await.0, 204);
    connect.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_says_what_an_empty_topic_of_somebody_else_does_not() {
    let connect = Connect::start().await;
    for (script, config, then) in [
        (
            "unsaid",
            json!({"retention.ms": "1"}),
            json!({"cleanup.policy": "compact", "min.compaction.lag.ms": "604800000", "retention.ms": "1"}),
        ),
        (
            "unsaid-lag",
            json!({"max.compaction.lag.ms": "5"}),
            json!({"cleanup.policy": "compact", "max.compaction.lag.ms": "5"}),
        ),
        (
            "said",
            json!({"cleanup.policy": "delete"}),
            json!({"cleanup.policy": "delete"}),
        ),
    ] {
        let body = json!({"name": script, "partitions": 3, "config": config});
        assert_eq!(ask(&connect, Method::POST, "", Some(body)).await.0, 201);
        let counting = Script::new(script);
        script.clone_into(&mut counting.topic.lock());
        counting.count_to(5);
        connect.source(script, script).await;
        wait::until("the rows are stored", async || {
            let (_, topic) = ask(&connect, Method::GET, &format!("/{script}"), None).await;
            let ends = topic["partitions"].as_array()?.iter();
            let stored: u64 = ends.filter_map(|one| one["high_watermark"].as_u64()).sum();
            (stored >= 5).then_some(())
        })
        .await;
        let (_, topic) = ask(&connect, Method::GET, &format!("/{script}"), None).await;
        assert_eq!(topic["config"], then, "{script}");
        assert_eq!(topic["partitions"].as_array().map(Vec::len), Some(3));

        // What somebody takes back later is theirs: the topic is not empty any more.
        let change = json!({"config": {"cleanup.policy": null}});
        let path = format!("/{script}");
        assert_eq!(
            ask(&connect, Method::PATCH, &path, Some(change)).await.0,
            200
        );
        let restart = format!("/connectors/{script}/restart?includeTasks=true");
        connect.ask(Method::POST, &restart, None).await;
        counting.count_to(10);
        wait::until("more rows are stored", async || {
            let (_, topic) = ask(&connect, Method::GET, &path, None).await;
            let ends = topic["partitions"].as_array()?.iter();
            let stored: u64 = ends.filter_map(|one| one["high_watermark"].as_u64()).sum();
            (stored >= 10).then_some(())
        })
        .await;
        let (_, topic) = ask(&connect, Method::GET, &path, None).await;
        assert_eq!(topic["config"].get("cleanup.policy"), None, "{script}");
    }
    connect.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_workers_own_topics_are_left_alone() {
    let connect = Connect::start().await;
    for topic in [
        "connect-configs",
        "connect-offsets",
        "connect-status",
        "_schemas",
    ] {
        let path = format!("/{topic}");
        let (status, refused) = ask(&connect, Method::DELETE, &path, None).await;
        assert_eq!(status, 409, "{refused}");
        assert!(refused.to_string().contains("TL0517"), "{refused}");
        let change = json!({"config": {"retention.ms": "1"}});
        let altered = ask(&connect, Method::PATCH, &path, Some(change)).await;
        assert_eq!(altered.0, 409);
    }
    connect.stop().await;
}
