//! Topics made, altered and deleted over REST.

use super::{Connect, arrived};
use crate::runtime::script::Script;
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
