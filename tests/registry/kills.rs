//! SIGKILL while schemas are registered and deleted: what was answered is true for ever.

use super::{NOTHING, Running};
use crate::support::process::{proving, seed};
use fastrand::Rng;
use reqwest::Method;
use serde_json::{Value, json};
use std::{collections::HashMap, time::Duration};

/// Requests under way when the worker dies.
const AT_ONCE: usize = 8;

/// Registers schemas of its own until the worker dies; what was answered: schema and id.
async fn register(running: &Running, round: usize, lane: usize) -> Vec<(String, i64)> {
    let mut answered = Vec::new();
    for at in 0.. {
        let schema =
            json!({"type": "record", "name": format!("R{round}_{lane}_{at}"), "fields": []});
        let path = format!("/subjects/s{lane}-{at}/versions");
        let body = Some(json!({"schema": schema.to_string()}));
        let Some((status, answer)) = running.try_call(Method::POST, &path, body).await else {
            break;
        };
        assert_eq!(status, 200, "{answer}");
        let id = answer["id"].as_i64().expect("an id");
        answered.push((schema["name"].to_string(), id));
        // Its highest id must not come back either.
        if at % 5 == 4 {
            let path = format!("/subjects/s{lane}-{at}");
            running.try_call(Method::DELETE, &path, None).await;
            let path = format!("{path}?permanent=true");
            running.try_call(Method::DELETE, &path, None).await;
        }
    }
    answered
}

#[tokio::test]
async fn prove_an_id_means_one_schema_for_ever_under_kills() {
    let kills = if proving() { 100 } else { 6 };
    let mut random = Rng::with_seed(seed("registry kills"));
    let mut running = Running::start(NOTHING).await;
    let none = json!({"compatibility": "NONE"});
    running.put("/config", none).await;
    let mut names: HashMap<i64, String> = HashMap::new();
    for round in 0..kills {
        let pid = running.worker.pid().to_string();
        let pause = Duration::from_millis(random.u64(50..600));
        let kill = async {
            tokio::time::sleep(pause).await;
            let killed = tokio::process::Command::new("kill")
                .args(["-KILL", &pid])
                .status();
            assert!(killed.await.is_ok_and(|status| status.success()));
        };
        let lanes = futures_util::future::join_all(
            (0..AT_ONCE).map(|lane| register(&running, round, lane)),
        );
        let (answered, ()) = tokio::join!(lanes, kill);
        for (name, id) in answered.into_iter().flatten() {
            let before = names.insert(id, name.clone());
            assert_eq!(before, None, "the id {id} came back for {name}");
        }
        running.worker.kill();
        running.restart().await;
    }
    let mut found = 0;
    for (id, name) in &names {
        let (status, answer) = running.get(&format!("/schemas/ids/{id}")).await;
        if status == 404 {
            // Deleted for good, which every fifth was.
            continue;
        }
        let schema: Value =
            serde_json::from_str(answer["schema"].as_str().unwrap_or_default()).unwrap_or_default();
        assert_eq!(schema["name"].to_string(), *name, "the id {id}");
        found += 1;
    }
    assert!(
        found * 10 >= names.len() * 7,
        "{found} of {} were found",
        names.len()
    );
    eprintln!(
        "registry kills: {kills} kills, {} ids given out, {found} still there",
        names.len()
    );
}
