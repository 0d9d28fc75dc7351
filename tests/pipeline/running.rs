//! Commands and HTTP against a running worker: first an empty one, then one that replicates.

use super::{Said, tapline};
use crate::support::{
    postgres::Postgres,
    wait,
    worker::{Worker, replica_pipeline},
};
use serde_json::Value;
use std::path::Path;

const BINARY: &str = env!("CARGO_BIN_EXE_tapline");

fn ask(folder: &Path, worker: &Worker, arguments: &[&str]) -> Said {
    let data = worker.data().display().to_string();
    tapline(folder, &[arguments, &["--data-dir", &data]].concat())
}

async fn json(worker: &Worker, path: &str) -> Value {
    let body = worker.get(path).await.expect("the worker answers");
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error} in {body}"))
}

#[tokio::test]
async fn a_worker_without_connectors_runs_answers_and_stops_cleanly() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut worker = Worker::new(
        Path::new(BINARY),
        folder.path(),
        "version: 1\nname: empty\n",
    );
    worker.start();
    worker.until_healthy().await;

    let root = json(&worker, "/").await;
    assert!(
        root["version"]
            .as_str()
            .is_some_and(|version| version.starts_with("4.1.")),
        "{root}"
    );
    assert!(
        root["kafka_cluster_id"]
            .as_str()
            .is_some_and(|id| !id.is_empty()),
        "{root}"
    );
    let health = json(&worker, "/health").await;
    assert_eq!(health["status"], "healthy");
    assert!(
        health["log"]["free_bytes"]
            .as_u64()
            .is_some_and(|free| free > 0),
        "{health}"
    );
    assert_eq!(json(&worker, "/connectors").await, Value::Array(Vec::new()));
    let unknown = json(&worker, "/connectors/no%20one/status").await;
    assert_eq!(unknown["message"], "No status found for connector no one");
    let hidden = json(&worker, "/tapline/v1/topics/connect-configs/records").await;
    assert_eq!(hidden["error_code"], 403);
    let nothing = json(&worker, "/tapline/v1/topics/nothing/records").await;
    assert_eq!(nothing["message"], "there is no topic nothing");

    let said = ask(folder.path(), &worker, &["status"]);
    assert_eq!(
        (said.code, said.out.as_str()),
        (Some(0), ""),
        "{}",
        said.err
    );
    let said = ask(folder.path(), &worker, &["consume", "nothing"]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.err
            .starts_with("error[TL0142]: the worker refused: there is no topic"),
        "{}",
        said.err
    );

    let data = worker.data().display().to_string();
    let said = tapline(
        folder.path(),
        &["run", "pipeline.yaml", "--data-dir", &data],
    );
    assert_eq!(
        said.code,
        Some(1),
        "a second worker took the data directory: {}",
        said.out
    );
    assert!(said.err.starts_with("error["), "{}", said.err);

    assert!(worker.data().join("rest.address").exists());
    assert_eq!(worker.terminate(), Some(0), "{}", worker.log());
    assert!(
        !worker.data().join("rest.address").exists(),
        "the address outlived the worker"
    );
    assert!(
        worker.log().contains("tapline 0.1.0  data "),
        "{}",
        worker.log()
    );
}

#[tokio::test]
async fn a_replicating_worker_answers_every_command() {
    let (source, target) = (Postgres::start().await, Postgres::start().await);
    source
        .execute("create table orders (id int primary key, name text); insert into orders values (1, 'a'), (2, 'b')")
        .await;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let pipeline = replica_pipeline(source.port(), target.port(), "");
    let mut worker = Worker::new(Path::new(BINARY), folder.path(), &pipeline);
    worker.start();
    worker.until_healthy().await;
    wait::until("the snapshot is delivered", async || {
        let delivered = worker
            .metric("tapline_sink_records_delivered_total")
            .await?;
        (delivered >= 2.0).then_some(())
    })
    .await;
    source
        .execute("update orders set name = 'c' where id = 1; delete from orders where id = 2")
        .await;
    wait::until("the changes are in the log", async || {
        let said = ask(folder.path(), &worker, &["consume", "shop.public.orders"]);
        (said.out.lines().count() >= 5).then_some(())
    })
    .await;

    let said = ask(
        folder.path(),
        &worker,
        &["consume", "shop.public.orders", "--from", "2", "--max", "1"],
    );
    assert_eq!(
        (said.code, said.err.as_str()),
        (Some(0), ""),
        "consume prints records only"
    );
    let record: Value = serde_json::from_str(said.out.trim()).expect("one JSON line");
    assert_eq!(record["offset"], 2);
    assert_eq!(record["value"]["op"], "u");
    assert_eq!(record["value"]["after"]["name"], "c");

    let said = ask(folder.path(), &worker, &["status"]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    let lines: Vec<&str> = said.out.lines().collect();
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("shop.source ") && line.contains("RUNNING")),
        "{lines:?}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("shop.replica") && line.contains("1/1")),
        "{lines:?}"
    );
    let said = ask(folder.path(), &worker, &["topics"]);
    assert!(said.out.contains("shop.public.orders"), "{}", said.out);

    let status = json(&worker, "/connectors/shop.source/status").await;
    assert_eq!(status["connector"]["state"], "RUNNING");
    assert_eq!(status["type"], "source");
    assert_eq!(
        json(&worker, "/connectors/").await,
        serde_json::json!(["shop.replica", "shop.source"])
    );
    let said = ask(folder.path(), &worker, &["offsets", "show", "shop.replica"]);
    let offsets: Value = serde_json::from_str(&said.out).expect("JSON");
    let entry = &offsets["offsets"][0];
    assert_eq!(
        entry["partition"]["kafka_topic"], "shop.public.orders",
        "{offsets}"
    );
    assert!(
        entry["offset"]["kafka_offset"]
            .as_u64()
            .is_some_and(|offset| offset >= 2),
        "{offsets}"
    );

    assert_eq!(worker.terminate(), Some(0), "{}", worker.log());
    assert!(!worker.log().contains("ERROR"), "{}", worker.log());
}

#[tokio::test]
async fn a_failed_connector_shows_in_status_health_and_output() {
    let source = Postgres::start_with(&["wal_level=replica"]).await;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let pipeline = replica_pipeline(source.port(), source.port(), "");
    let mut worker = Worker::new(Path::new(BINARY), folder.path(), &pipeline);
    worker.start();
    wait::until("the source has failed", async || {
        let health: Value = serde_json::from_str(&worker.get("/health").await?).ok()?;
        (health["status"] == "unhealthy").then_some(())
    })
    .await;
    let said = ask(folder.path(), &worker, &["status"]);
    assert_eq!(said.code, Some(2), "{}", said.out);
    assert!(said.out.contains("FAILED"), "{}", said.out);
    assert!(said.out.contains("wal_level"), "{}", said.out);
    wait::until("the problem is printed", async || {
        let log = worker.log();
        let place = format!(
            "{}:3  shop.source",
            folder.path().join("pipeline.yaml").display()
        );
        (log.contains("error[") && log.contains(&place) && log.contains("  help: ")).then_some(())
    })
    .await;
    assert_eq!(worker.terminate(), Some(0), "{}", worker.log());
}
