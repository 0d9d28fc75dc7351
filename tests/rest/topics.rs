//! Topics made, altered and deleted over REST.

use super::{Connect, arrived};
use crate::{runtime::script::Script, support::wait};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

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
async fn a_topic_that_is_deleted_while_a_source_begins_to_write_it_loses_it_nothing() {
    let connect = Connect::start().await;
    let mut refused = 0;
    for round in 0..20 {
        let name = format!("race{round}");
        let body = json!({"name": name});
        assert_eq!(ask(&connect, Method::POST, "", Some(body)).await.0, 201);
        let script = Script::new(&name);
        name.clone_into(&mut script.topic.lock());
        script.count_to(5);
        let path = format!("/{name}");
        let (created, deleted) = tokio::join!(connect.source(&name, &name), async {
            // The moment is what is tried here: nothing is waited for.
            tokio::time::sleep(Duration::from_micros(100 * round)).await;
            ask(&connect, Method::DELETE, &path, None).await.0
        });
        assert_eq!(created.0, 201, "round {round}");
        assert!([204, 409].contains(&deleted), "round {round}: {deleted}");
        refused += u32::from(deleted == 409);
        wait::until("the rows are stored", async || {
            let (_, topic) = ask(&connect, Method::GET, &path, None).await;
            (topic["partitions"][0]["high_watermark"] == 5).then_some(())
        })
        .await;
        let status = format!("/connectors/{name}/status");
        let (_, status) = connect.ask(Method::GET, &status, None).await;
        assert_eq!(status["tasks"][0]["state"], "RUNNING", "{status}");
    }
    eprintln!("20 races: {refused} deletions refused, the others before the first record");
    connect.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_changes_of_a_topic_at_once_are_both_done() {
    let connect = Connect::start().await;
    let body = json!({"name": "aside"});
    assert_eq!(ask(&connect, Method::POST, "", Some(body)).await.0, 201);
    for round in 1..=20_u32 {
        let change = |key: &str| json!({"config": {key: round}});
        let (one, two) = tokio::join!(
            ask(
                &connect,
                Method::PATCH,
                "/aside",
                Some(change("retention.ms"))
            ),
            ask(
                &connect,
                Method::PATCH,
                "/aside",
                Some(change("segment.ms"))
            ),
        );
        assert_eq!((one.0, two.0), (200, 200));
        let (_, shown) = ask(&connect, Method::GET, "/aside", None).await;
        let both = json!({"retention.ms": round.to_string(), "segment.ms": round.to_string()});
        assert_eq!(shown["config"], both);
    }
    let made = json!({"name": "twice", "partitions": 2});
    let (one, two) = tokio::join!(
        ask(&connect, Method::POST, "", Some(made.clone())),
        ask(&connect, Method::POST, "", Some(made)),
    );
    assert!([one.0, two.0].contains(&201), "{} {}", one.0, two.0);
    let (one, two) = tokio::join!(
        ask(&connect, Method::DELETE, "/twice", None),
        ask(&connect, Method::DELETE, "/twice", None),
    );
    let mut codes = [one.0, two.0];
    codes.sort_unstable();
    assert_eq!(codes, [204, 404]);
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
