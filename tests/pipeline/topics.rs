//! Topics that files declare, and those that `tapline topics` makes, alters and deletes: through the real binary against
//! a running worker.

use super::{Bench, tapline};
use crate::support::{wait, worker::Worker};
use serde_json::{Value, json};
use std::{fs, path::Path};

/// A worker that runs a file of its own.
impl Bench {
    async fn start(pipeline: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let binary = Path::new(env!("CARGO_BIN_EXE_tapline"));
        let mut worker = Worker::new(binary, folder.path(), pipeline);
        worker.start();
        worker.until_healthy().await;
        Self { folder, worker }
    }

    /// The topic as `tapline topics --output json` shows it; null if there is none.
    fn topic(&self, name: &str) -> Value {
        let listed = self.expect(0, &["topics", "--output", "json"]);
        let listed: Value = serde_json::from_str(&listed).expect("a list is JSON");
        let mut topics = listed.as_array().into_iter().flatten();
        topics
            .find(|topic| topic["name"] == name)
            .cloned()
            .unwrap_or_default()
    }

    fn partitions(&self, name: &str) -> Option<usize> {
        self.topic(name)["partitions"].as_array().map(Vec::len)
    }
}

const EMPTY: &str = "version: 1\nname: own\n";

fn shop(topics: &str) -> String {
    format!("version: 1\nname: shop\ntopics:\n{topics}")
}

#[tokio::test]
async fn a_files_topics_are_planned_made_and_altered_and_twice_is_once() {
    let mut bench = Bench::start(EMPTY).await;
    bench.write(
        "shop.yaml",
        &shop("  orders: {partitions: 3, cleanup.policy: compact}\n  audit:\n"),
    );
    let planned = bench.expect(2, &["plan", "shop.yaml"]);
    assert_eq!(
        planned,
        "+ topic orders  create (3 partitions)\n    cleanup.policy: compact (new)\n\
         + topic audit  create (1 partition)\ntopics: 2 to create\n"
    );
    assert_eq!(bench.topic("orders"), Value::Null, "a plan changes nothing");
    let done = bench.expect(0, &["apply", "shop.yaml"]);
    assert!(done.ends_with("\ntopics: 2 created\n"), "{done}");
    let made = bench.topic("orders");
    assert_eq!(made["config"], json!({"cleanup.policy": "compact"}));
    assert_eq!(bench.partitions("orders"), Some(3));
    assert_eq!(bench.partitions("audit"), Some(1));
    for command in ["plan", "apply"] {
        let again = bench.expect(0, &[command, "shop.yaml"]);
        assert_eq!(again, "topics: 2 unchanged\n", "{command}");
    }

    // What the file does not name stays: here the policy, and the number of partitions.
    bench.write("shop.yaml", &shop("  orders: {retention: {ms: 3d}}\n"));
    let planned = bench.expect(2, &["plan", "shop.yaml", "--output", "json"]);
    let planned: Value = serde_json::from_str(&planned).expect("a plan is JSON");
    assert_eq!(
        planned["topics"],
        json!([{
            "topic": "orders",
            "pipeline": "shop",
            "action": "change",
            "partitions": 3,
            "keys": [{"key": "retention.ms", "old": null, "new": "259200000"}],
        }])
    );
    assert_eq!(
        planned["summary"]["topics"],
        json!({"create": 0, "change": 1, "unchanged": 0})
    );
    bench.expect(0, &["apply", "shop.yaml"]);
    let altered = bench.topic("orders");
    assert_eq!(
        altered["config"],
        json!({"cleanup.policy": "compact", "retention.ms": "259200000"})
    );
    assert_eq!(altered["id"], made["id"], "the topic is the same");

    // A topic that left the file holds records: nothing deletes it.
    bench.write("shop.yaml", "version: 1\nname: shop\n");
    bench.expect(0, &["apply", "shop.yaml", "--prune"]);
    assert_eq!(bench.topic("orders"), altered);

    bench.worker.kill();
    bench.worker.start();
    bench.worker.until_healthy().await;
    assert_eq!(bench.topic("orders")["config"], altered["config"]);
    assert_eq!(bench.worker.terminate(), Some(0));
}

#[tokio::test]
async fn what_a_topic_refuses_is_told_at_its_line_and_nothing_is_done() {
    let bench = Bench::start(EMPTY).await;
    let lag = "max.compaction.lag.ms=1000";
    bench.expect(0, &["topics", "create", "orders", "--config", lag]);
    bench.write(
        "shop.yaml",
        &(shop("  new:\n  orders:\n    partitions: 4\n    min.compaction.lag.ms: 1h\n")
            + "sinks:\n  a: {connector: sql, from: {topics: [new]}, connection.url: \"postgres://u@127.0.0.1:1/d\"}\n"),
    );
    for command in ["plan", "apply"] {
        let said = bench.expect(1, &[command, "shop.yaml"]);
        for told in [
            "error[TL0116]: partitions is 4, and the topic exists with 1  --> shop.yaml:6:5  topics.orders.partitions\n",
            "  help: write `partitions: 1` or leave it out; ",
            "error[TL0116]: min.compaction.lag.ms is 3600000, above max.compaction.lag.ms, 1000  --> shop.yaml:7:5",
        ] {
            assert!(said.contains(told), "{told} is not in {said}");
        }
    }
    assert_eq!(bench.topic("new"), Value::Null);
    let connectors = bench.expect(0, &["connectors"]);
    assert!(!connectors.contains("shop.a"), "{connectors}");

    // Without a worker: what the file alone shows.
    bench.write("bad.yaml", &shop("  orders: {retention.ms: soon}\n"));
    for command in ["validate", "check", "plan", "apply", "run"] {
        let said = bench.ask(&[command, "bad.yaml"]);
        let said = match command {
            "validate" | "check" => tapline(bench.folder.path(), &[command, "bad.yaml"]),
            _ => said,
        };
        assert_eq!(said.code, Some(1), "{command}: {}", said.out);
        let told = "error[TL0116]: retention.ms is `soon`, not a whole number of -1 or more  --> bad.yaml:4:12";
        assert!(said.err.starts_with(told), "{command}: {}", said.err);
    }
    bench.write("good.yaml", &shop("  orders: {retention.ms: 1h}\n"));
    for (command, answer) in [
        (
            "validate",
            "good.yaml: fine (no connectors; topics orders)\n",
        ),
        ("check", ""),
    ] {
        let said = tapline(bench.folder.path(), &[command, "good.yaml"]);
        assert_eq!((said.code, &*said.out), (Some(0), answer), "{}", said.err);
    }
}

#[tokio::test]
async fn run_makes_a_files_topics_before_its_connectors_start() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let lines = folder.path().join("lines.txt");
    fs::write(&lines, "one\ntwo\n").expect("the file can be written");
    let file = format!(
        "version: 1\nname: own\ntopics:\n  lines: {{partitions: 4, retention.ms: 1h}}\nsource:\n  \
         connector: file\n  file: {}\n  topic: lines\n",
        lines.display()
    );
    let mut bench = Bench::start(&file).await;
    wait::until("the lines are stored", async || {
        let topic = bench.topic("lines");
        let ends = topic["partitions"].as_array()?.iter();
        let stored: u64 = ends.filter_map(|one| one["high_watermark"].as_u64()).sum();
        (stored == 2).then_some(())
    })
    .await;
    assert_eq!(bench.partitions("lines"), Some(4));
    assert_eq!(
        bench.topic("lines")["config"],
        json!({"retention.ms": "3600000"})
    );
    assert_eq!(bench.worker.terminate(), Some(0));

    // Started with another number of partitions, it does not start at all.
    bench.write(
        "other.yaml",
        &file.replace("partitions: 4", "partitions: 5"),
    );
    let said = bench.expect(1, &["run", "other.yaml"]);
    let told = "error[TL0116]: partitions is 5, and the topic exists with 4  --> other.yaml:4:11";
    assert!(said.contains(told), "{said}");
}

#[tokio::test]
async fn topics_are_made_altered_listed_and_deleted_by_commands() {
    let bench = Bench::start(EMPTY).await;
    let said = bench.ask(&[
        "topics",
        "create",
        "orders",
        "--partitions",
        "3",
        "--config",
        "cleanup.policy=compact",
        "--config",
        "retention.ms=5000",
    ]);
    assert_eq!(
        (said.code, &*said.out, &*said.err),
        (Some(0), "topic orders created\n", "")
    );
    let again = bench.expect(1, &["topics", "create", "orders"]);
    assert!(
        again.starts_with("error[TL0142]: the worker refused: there is a topic orders already"),
        "{again}"
    );
    assert!(again.contains("(choose another name"), "{again}");

    let said = bench.ask(&[
        "topics",
        "alter",
        "orders",
        "--config",
        "segment.bytes=4096",
        "--unset",
        "retention.ms",
    ]);
    assert_eq!(
        (said.code, &*said.out, &*said.err),
        (Some(0), "topic orders altered\n", "")
    );
    let shown = bench.topic("orders");
    assert_eq!(
        shown["config"],
        json!({"cleanup.policy": "compact", "segment.bytes": "4096"})
    );
    assert_eq!(shown["partitions"].as_array().map(Vec::len), Some(3));
    let listed = bench.expect(0, &["topics"]);
    let line = |line: &str| {
        line.split_whitespace()
            .eq("orders 3 partitions 0 offsets".split(' '))
    };
    assert!(listed.lines().any(line), "{listed}");

    let said = bench.ask(&["topics", "delete", "orders"]);
    assert_eq!(
        (said.code, &*said.out, &*said.err),
        (Some(0), "topic orders deleted with its records\n", "")
    );
    assert_eq!(bench.topic("orders"), Value::Null);
}

#[tokio::test]
async fn programs_are_told_what_a_topic_is_now() {
    let bench = Bench::start(EMPTY).await;
    let told = |arguments: &[&str]| -> Value {
        let said = bench.expect(0, &[arguments, &["--output", "json"]].concat());
        serde_json::from_str(&said).expect(&said)
    };
    let created = told(&["topics", "create", "orders"]);
    assert_eq!(created, bench.topic("orders"));
    let lag = "min.compaction.lag.ms=1000";
    let altered = told(&["topics", "alter", "orders", "--config", lag]);
    assert_eq!(altered, bench.topic("orders"));
    assert_eq!(altered["config"], json!({"min.compaction.lag.ms": "1000"}));
    let deleted = told(&["topics", "delete", "orders"]);
    assert_eq!(deleted, json!({"deleted": "orders"}));
    let said = bench.expect(1, &["consume", "orders"]);
    assert!(said.contains("(`tapline topics`, or GET"), "{said}");
}

#[tokio::test]
async fn commands_about_topics_that_cannot_be_done_say_why_and_what_to_do() {
    let mut bench = Bench::start(EMPTY).await;
    bench.expect(0, &["topics", "create", "orders"]);
    for (arguments, told) in [
        (
            vec!["create", "a b"],
            "invalid topic name `a b`: ` ` is not allowed",
        ),
        (
            vec!["create", "a", "--partitions", "0"],
            "topic `a`: partitions is 0, not a number of 1 to 10000",
        ),
        (
            vec!["create", "a", "--config", "retention=1"],
            "topic `a`: `retention` is no setting of a topic",
        ),
        (
            vec!["alter", "orders", "--config", "retention.ms=soon"],
            "topic `orders`: `retention.ms` is `soon`, not a whole number of -1 or more",
        ),
        (vec!["alter", "orders"], "config is empty"),
        (
            vec!["alter", "nothing", "--unset", "segment.ms"],
            "there is no topic nothing",
        ),
        (vec!["delete", "nothing"], "there is no topic nothing"),
        (
            vec!["delete", "connect-configs"],
            "topic connect-configs holds the worker's own state",
        ),
    ] {
        let said = bench.ask(&[&["topics"], &*arguments].concat());
        assert_eq!((said.code, &*said.out), (Some(1), ""), "{arguments:?}");
        let start = "error[TL0142]: the worker refused: ";
        assert!(said.err.starts_with(start), "{arguments:?}: {}", said.err);
        assert!(said.err.contains(told), "{arguments:?}: {}", said.err);
        // The remedy, as HTTP has it.
        assert!(
            said.err.trim_end().ends_with(')'),
            "{arguments:?}: {}",
            said.err
        );
    }
    for arguments in [
        &["create", "a", "--config", "retention.ms"][..],
        &["create", "a", "--partitions", "some"],
        &["create"],
        &["rename", "orders"],
    ] {
        let said = bench.ask(&[&["topics"], arguments].concat());
        assert_eq!(said.code, Some(2), "{arguments:?}: {}", said.err);
        assert!(said.err.starts_with("error: "), "{}", said.err);
    }
    assert_eq!(bench.topic("orders")["config"], json!({}));
    assert_eq!(bench.worker.terminate(), Some(0));
    let said = bench.expect(1, &["topics", "delete", "orders"]);
    assert!(said.starts_with("error[TL0140]: "), "{said}");
}
