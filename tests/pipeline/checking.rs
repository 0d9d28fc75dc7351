//! `check` against real servers and closed ports; the outputs for programs; schema and completions.

use super::tapline;
use crate::support::{postgres::Postgres, process::free_port, worker::replica_pipeline};
use serde_json::Value;
use std::{fs, path::Path};

#[tokio::test]
async fn check_asks_every_source_and_target_and_names_the_line_of_what_is_not_ready() {
    let server = Postgres::start().await;
    server
        .execute("create table orders (id int primary key)")
        .await;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("shop.yaml");
    let good = replica_pipeline(server.port(), server.port(), "");
    fs::write(&file, &good).expect("the file can be written");
    let said = tapline(folder.path(), &["check", "shop.yaml"]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert_eq!(
        said.out,
        "shop.yaml: shop.source: fine\nshop.yaml: shop.replica: fine\n"
    );

    fs::write(&file, replica_pipeline(server.port(), free_port(), "")).expect("it can be written");
    let said = tapline(folder.path(), &["check", "shop.yaml"]);
    assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
    assert!(said.err.starts_with("error[TL0115]: "), "{}", said.err);
    assert!(said.err.contains("  --> shop.yaml:"), "{}", said.err);
    assert!(said.err.contains("  sinks.replica"), "{}", said.err);
    assert!(said.err.contains("  help: "), "{}", said.err);

    let said = tapline(folder.path(), &["check", "shop.yaml", "--output", "json"]);
    assert_eq!((said.code, said.err.as_str()), (Some(1), ""));
    let found: Value = serde_json::from_str(&said.out).expect("findings are JSON");
    let first = &found["findings"][0];
    assert_eq!(
        (&first["code"], &first["file"]),
        (&"TL0115".into(), &"shop.yaml".into())
    );
    assert!(
        first["line"].as_u64().is_some_and(|line| line > 6),
        "{found}"
    );
    assert_ne!(first["remedy"].as_str().unwrap_or_default(), "", "{found}");

    // The source's own doubts: a role that cannot replicate.
    server.execute("create role plain login").await;
    fs::write(&file, good.replace("user: postgres}", "user: plain}")).expect("it can be written");
    let said = tapline(folder.path(), &["check", "shop.yaml"]);
    assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
    assert!(said.err.contains("source"), "{}", said.err);
}

#[test]
fn validate_answers_programs() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let text = "version: 1\nname: shop\nsource: {connector: postgrs}\n";
    fs::write(folder.path().join("shop.yaml"), text).expect("the file can be written");
    let files = ["validate", "shop.yaml", "nowhere.yaml", "--output", "json"];
    let said = tapline(folder.path(), &files);
    assert_eq!((said.code, said.err.as_str()), (Some(1), ""));
    let found: Value = serde_json::from_str(&said.out).expect("findings are JSON");
    let codes: Vec<_> = found["findings"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| one["code"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(codes, ["TL0101", "TL0109"], "{found}");
    assert_eq!(found["findings"][1]["line"], 3);
    assert_eq!(found["findings"][1]["key"], "source.connector");
}

#[test]
fn the_schema_in_config_is_the_one_that_the_binary_prints() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let said = tapline(folder.path(), &["schema"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let stored = fs::read_to_string(root.join("config/pipeline.schema.json"));
    assert!(
        stored.is_ok_and(|stored| stored == said.out),
        "a key has changed: write it anew with `cargo run -- schema > config/pipeline.schema.json`"
    );
}

#[test]
fn completions_know_every_command() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for shell in ["bash", "zsh", "fish"] {
        let said = tapline(folder.path(), &["completions", shell]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        for word in ["apply", "resnapshot", "prune", "dry-run"] {
            assert!(said.out.contains(word), "{shell} does not know {word}");
        }
    }
    let said = tapline(folder.path(), &["completions", "cmd"]);
    assert_eq!(said.code, Some(2));
}
