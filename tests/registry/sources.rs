//! Our own sources: nothing stops them until somebody sets a level, and then they say what broke it.

use super::Running;
use crate::support::{postgres::Postgres, wait, worker::replica_pipeline};
use serde_json::{Value, json};

const SUBJECT: &str = "shop.public.orders-value";

async fn versions(running: &Running, count: usize) {
    wait::until("the schema is registered", async || {
        let (_, versions) = running.get(&format!("/subjects/{SUBJECT}/versions")).await;
        (versions.as_array().is_some_and(|list| list.len() == count)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_source_evolves_freely_until_somebody_sets_a_level() {
    let (source, target) = (Postgres::start().await, Postgres::start().await);
    source
        .execute("create table orders (id int primary key); insert into orders values (1)")
        .await;
    let running = Running::start(&replica_pipeline(source.port(), target.port(), "")).await;
    versions(&running, 1).await;
    let config = running.get(&format!("/config/{SUBJECT}")).await;
    assert_eq!(config, (200, json!({"compatibilityLevel": "NONE"})));
    let check = format!("/compatibility/subjects/{SUBJECT}/versions");
    let same = running
        .get(&format!("/subjects/{SUBJECT}/versions/1"))
        .await
        .1;
    let found = running
        .post(
            &format!("/subjects/{SUBJECT}"),
            json!({"schema": same["schema"]}),
        )
        .await;
    assert_eq!(
        found,
        (200, same.clone()),
        "our own text is its own canonical text"
    );
    assert_eq!(
        running.post(&check, json!({"schema": "\"int\""})).await.1["is_compatible"],
        true
    );

    // A key that is typed anew: no reader gets along with both.
    source
        .execute(
            "alter table orders add n int not null default 1; insert into orders values (2, 2)",
        )
        .await;
    versions(&running, 2).await;

    running
        .put(
            &format!("/config/{SUBJECT}"),
            json!({"compatibility": "FULL"}),
        )
        .await;
    source
        .execute("alter table orders alter n type text; insert into orders values (3, 'x')")
        .await;
    let trace = wait::until("the source has failed", async || {
        let status = running.worker.get("/connectors/shop.source/status").await?;
        let status: Value = serde_json::from_str(&status).ok()?;
        let task = &status["tasks"][0];
        (task["state"] == "FAILED").then(|| task["trace"].to_string())
    })
    .await;
    for part in ["TL0611", SUBJECT, "FULL", ".n'", "PUT /config/"] {
        assert!(trace.contains(part), "{part} is missing in {trace}");
    }
    versions(&running, 2).await;
}
