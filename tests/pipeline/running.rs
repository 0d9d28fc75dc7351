//! Commands and HTTP against a running worker: an empty one, one that replicates, one that has failed.

use super::{Said, tapline};
use crate::support::{
    postgres::Postgres,
    process::Process,
    wait,
    worker::{Worker, replica_pipeline},
};
use serde_json::{Value, json};
use std::{path::Path, process::Stdio};
use tempfile::TempDir;

/// A running binary, and commands beside it.
struct Running {
    folder: TempDir,
    worker: Worker,
}

impl Running {
    fn start(pipeline: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let binary = Path::new(env!("CARGO_BIN_EXE_tapline"));
        let mut worker = Worker::new(binary, folder.path(), pipeline);
        worker.start();
        Self { folder, worker }
    }

    /// A command that finds the worker by its data directory.
    fn ask(&self, arguments: &[&str]) -> Said {
        let data = self.worker.data().display().to_string();
        tapline(
            self.folder.path(),
            &[arguments, &["--data-dir", &data]].concat(),
        )
    }

    async fn get(&self, path: &str) -> Value {
        let body = self.worker.get(path).await.expect("the worker answers");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error} in {body}"))
    }

    fn stop(&mut self) {
        assert_eq!(self.worker.terminate(), Some(0), "{}", self.worker.log());
        let address = self.worker.data().join("rest.address");
        assert!(!address.exists(), "the address outlived the worker");
    }
}

#[tokio::test]
async fn a_worker_without_connectors_answers_and_stops_cleanly() {
    let mut running = Running::start("version: 1\nname: empty\n");
    running.worker.until_healthy().await;

    let root = running.get("/").await;
    let version = root["version"].as_str().unwrap_or_default();
    assert!(version.starts_with("4.1."), "{root}");
    assert_ne!(root["kafka_cluster_id"].as_str().unwrap_or_default(), "");
    let health = running.get("/health").await;
    assert_eq!(health["status"], "healthy");
    assert_ne!(health["log"]["free_bytes"].as_u64().unwrap_or_default(), 0);
    assert_eq!(running.get("/connectors").await, json!([]));
    let unknown = running.get("/connectors/no%20one/status").await;
    let message = unknown["message"].as_str().unwrap_or_default();
    let expected = "No status found for connector no one (";
    assert!(message.starts_with(expected), "{message}");
    let hidden = running
        .get("/tapline/v1/topics/connect-configs/records")
        .await;
    assert_eq!(hidden["error_code"], 403);
    let nothing = running.get("/tapline/v1/topics/nothing/records").await;
    let message = nothing["message"].as_str().unwrap_or_default();
    assert!(
        message.starts_with("there is no topic nothing"),
        "{message}"
    );

    running.stop();
    let log = running.worker.log();
    assert!(log.contains("tapline 0.1.0  data "), "{log}");
}

#[tokio::test]
async fn commands_find_the_worker_and_a_second_one_is_refused() {
    let mut running = Running::start("version: 1\nname: empty\n");
    running.worker.until_healthy().await;

    let said = running.ask(&["status"]);
    assert_eq!(
        (said.code, said.out.as_str()),
        (Some(0), ""),
        "{}",
        said.err
    );
    let said = running.ask(&["consume", "nothing"]);
    assert_eq!(said.code, Some(1));
    let refused = "error[TL0142]: the worker refused: there is no topic nothing";
    assert!(said.err.starts_with(refused), "{}", said.err);

    let said = running.ask(&["run", "pipeline.yaml"]);
    assert_eq!(
        said.code,
        Some(1),
        "two workers share a data directory: {}",
        said.out
    );
    assert!(said.err.contains("error["), "{}", said.err);
    assert!(
        running.ask(&["status"]).code == Some(0),
        "the first worker's address is gone"
    );
    running.stop();
}

#[tokio::test]
async fn a_replicating_worker_answers_every_command() {
    let (source, target) = (Postgres::start().await, Postgres::start().await);
    let table = "create table orders (id int primary key, name text)";
    source
        .execute(&format!(
            "{table}; insert into orders values (1, 'a'), (2, 'b')"
        ))
        .await;
    let mut running = Running::start(&replica_pipeline(source.port(), target.port(), ""));
    running.worker.until_healthy().await;
    wait::until("the snapshot is delivered", async || {
        let delivered = running
            .worker
            .metric("tapline_records_delivered_total")
            .await?;
        (delivered >= 2.0).then_some(())
    })
    .await;
    source
        .execute("update orders set name = 'c' where id = 1; delete from orders where id = 2")
        .await;
    consumes(&running).await;
    shows_states(&running).await;
    running.stop();
    let segment = "logs/shop.public.orders-0/00000000000000000000.log";
    let segment = running.worker.data().join(segment).display().to_string();
    let said = tapline(running.folder.path(), &["dump", &segment]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert!(said.out.contains(" 0 damaged ranges"), "{}", said.out);
    let log = running.worker.log();
    assert!(!log.contains("ERROR") && !log.contains("error["), "{log}");
}

async fn consumes(running: &Running) {
    let topic = "shop.public.orders";
    // Two rows, an update, a delete and its tombstone; a snapshot may add markers of its own.
    let update = wait::until("the changes are in the log", async || {
        let said = running.ask(&["consume", topic]);
        assert_eq!(said.err, "", "consume prints records only");
        let lines: Vec<Value> = said
            .out
            .lines()
            .filter_map(|l| serde_json::from_str(l).ok())
            .collect();
        lines
            .iter()
            .any(|record| record["value"]["op"] == "d")
            .then_some(())?;
        lines
            .into_iter()
            .find(|record| record["value"]["op"] == "u")
    })
    .await;
    assert_eq!(update["value"]["after"]["name"], "c");
    let from = update["offset"].to_string();
    let said = running.ask(&["consume", topic, "--from", &from, "--max", "1"]);
    let again: Value = serde_json::from_str(said.out.trim()).expect("one JSON line");
    assert_eq!(again, update);
}

async fn shows_states(running: &Running) {
    let said = running.ask(&["status"]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    for name in ["shop.source", "shop.replica"] {
        let line = said.out.lines().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("{name} is not in {}", said.out));
        assert!(line.contains("RUNNING") && line.contains("1/1"), "{line}");
    }
    assert!(running.ask(&["topics"]).out.contains("shop.public.orders"));
    let status = running.get("/connectors/shop.source/status").await;
    assert_eq!(status["connector"]["state"], "RUNNING");
    assert_eq!(status["type"], "source");
    assert_eq!(
        running.get("/connectors/").await,
        json!(["shop.replica", "shop.source"])
    );
    let said = running.ask(&["offsets", "show", "shop.replica"]);
    let offsets: Value = serde_json::from_str(&said.out).expect("JSON");
    let entry = &offsets["offsets"][0];
    assert_eq!(
        entry["partition"]["kafka_topic"], "shop.public.orders",
        "{offsets}"
    );
    let next = entry["offset"]["kafka_offset"].as_u64().unwrap_or_default();
    assert!(next >= 2, "{offsets}");
}

#[tokio::test]
async fn a_failed_connector_shows_in_status_health_and_output() {
    let source = Postgres::start_with(&["wal_level=replica"]).await;
    let mut running = Running::start(&replica_pipeline(source.port(), source.port(), ""));
    wait::until("the source has failed", async || {
        let health: Value = serde_json::from_str(&running.worker.get("/health").await?).ok()?;
        (health["status"] == "unhealthy").then_some(())
    })
    .await;
    let said = running.ask(&["status"]);
    assert_eq!(said.code, Some(2), "{}", said.out);
    assert!(
        said.out.contains("FAILED") && said.out.contains("wal_level"),
        "{}",
        said.out
    );
    let file = running.folder.path().join("pipeline.yaml");
    let place = format!("{}:3  shop.source", file.display());
    wait::until("the problem is printed with place and remedy", async || {
        let log = running.worker.log();
        let shown = ["error[", &place, "  help: "]
            .iter()
            .all(|part| log.contains(part));
        shown.then_some(())
    })
    .await;
    running.stop();
}

/// What no page, no log line and no file may hold: a password that somebody wrote into a pipeline file.
const CANARY: &str = "canary4711";

#[tokio::test]
async fn a_password_in_a_file_leaves_no_trace_elsewhere() {
    let (source, target) = (Postgres::start().await, Postgres::start().await);
    source
        .execute("create table orders (id int primary key); insert into orders values (1)")
        .await;
    let password = format!("  database.password: {CANARY}\n");
    let pipeline = replica_pipeline(source.port(), target.port(), &password)
        .replace("postgres@", &format!("postgres:{CANARY}@"));
    assert_eq!(pipeline.matches(CANARY).count(), 2, "{pipeline}");
    let mut running = Running::start(&pipeline);
    wait::until("a row is delivered", async || {
        let delivered = running
            .worker
            .metric("tapline_records_delivered_total")
            .await?;
        (delivered >= 1.0).then_some(())
    })
    .await;
    for path in [
        "/health",
        "/metrics",
        "/tapline/v1/status",
        "/connectors/shop.source/status",
    ] {
        let body = running.worker.get(path).await.expect("the worker answers");
        assert!(!body.contains(CANARY), "{path} shows a password: {body}");
    }
    for part in ["shop.source", "shop.replica"] {
        assert!(
            !running.ask(&["offsets", "show", part]).out.contains(CANARY),
            "{part}"
        );
    }
    running.stop();
    assert!(
        !running.worker.log().contains(CANARY),
        "the output shows a password"
    );
    let mut folders = vec![running.worker.data()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)
            .expect("the data directory can be read")
            .flatten()
        {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).expect("a file can be read");
            let found = String::from_utf8_lossy(&bytes).contains(CANARY);
            assert!(!found, "{} holds a password in clear", path.display());
            files += 1;
        }
    }
    assert!(files > 10, "the data directory was not searched");
}

#[test]
fn a_busy_default_port_moves_to_a_free_one() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    std::fs::write(folder.path().join("p.yaml"), "version: 1\nname: p\n")
        .expect("it can be written");
    let start = |data: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tapline"));
        command
            .args(["run", "p.yaml", "--data-dir", data])
            .current_dir(folder.path());
        let process = Process::spawn(command.stdout(Stdio::null()).stderr(Stdio::null()));
        let file = folder.path().join(data).join("rest.address");
        let address = wait::blocking("the worker tells its address", || {
            std::fs::read_to_string(&file)
                .ok()
                .filter(|text| text.ends_with('\n'))
        });
        (process, address)
    };
    let (_first, one) = start("one");
    let (_second, other) = start("other");
    assert!(
        one.starts_with("127.0.0.1:") && other.starts_with("127.0.0.1:"),
        "{one} {other}"
    );
    assert_ne!(one, other);
    let said = tapline(folder.path(), &["topics", "--data-dir", "other"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
}
