//! `plan` and `apply` against a running worker: what is told, what is done, what is left alone, and what a kill, a race
//! or a bad file ends in. The connectors' targets are closed ports: what runs is of no interest here.

use super::Bench;
use crate::support::{process::seed, worker::Worker};
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

/// What `tapline run` brings along, owned by another pipeline.
const OWN: &str = "version: 1
name: own
sinks:
  kept: {connector: sql, from: {topics: [t]}, connection.url: \"postgres://u@127.0.0.1:1/d\"}
";

/// A worker with one connector of its own.
impl Bench {
    async fn start_own() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let binary = Path::new(env!("CARGO_BIN_EXE_tapline"));
        let mut worker = Worker::new(binary, folder.path(), OWN);
        let settings = folder.path().join("worker.yaml");
        let allowed = "config.providers.env.param.allowlist.pattern: KNOWN_TO_.*\n";
        fs::write(&settings, allowed).expect("settings are written");
        worker.start_with(|command| {
            command.env("KNOWN_TO_THE_WORKER", "hunter2");
            command.arg("--config").arg(settings);
        });
        let bench = Self { folder, worker };
        bench.up().await;
        bench
    }

    /// Waits until the worker knows its own connector.
    async fn up(&self) {
        crate::support::wait::until("the worker has its connectors", async || {
            let names = self.names_if_up().await?;
            names.contains(&"own.kept".to_owned()).then_some(())
        })
        .await;
    }

    async fn names_if_up(&self) -> Option<Vec<String>> {
        serde_json::from_str(&self.worker.get("/connectors").await?).ok()
    }

    async fn names(&self) -> Vec<String> {
        self.names_if_up().await.expect("the worker answers")
    }

    fn declare(&self, file: &str, sinks: &str) {
        self.write(file, &format!("version: 1\nname: shop\nsinks:\n{sinks}"));
    }

    /// A PUT below `/connectors`, which has to succeed.
    async fn put(&self, path: &str, body: &Value) {
        let address = fs::read_to_string(self.worker.data().join("rest.address"));
        let address = address.expect("the worker tells its address");
        let url = format!("http://{}/connectors/{path}", address.trim());
        let answer = reqwest::Client::new().put(url).json(body).send().await;
        let status = answer.expect("the worker answers").status();
        assert!(status.is_success(), "{path}: {status}");
    }

    fn starts(&self) -> usize {
        self.worker.log().matches("connector started").count()
    }
}

fn sink(name: &str, more: &str) -> String {
    let to = "connection.url: \"postgres://u@127.0.0.1:1/d\"";
    format!("  {name}: {{connector: sql, from: {{topics: [t]}}, {to}{more}}}\n")
}

#[tokio::test]
async fn a_plan_tells_what_apply_then_does_and_twice_is_once() {
    let mut bench = Bench::start_own().await;
    bench.declare("shop.yaml", &(sink("a", "") + &sink("b", "")));
    let planned = bench.expect(2, &["plan", "shop.yaml"]);
    assert_eq!(
        planned,
        "+ shop.a  create (sql sink)\n+ shop.b  create (sql sink)\n2 to create\n"
    );
    assert_eq!(
        planned,
        bench.expect(2, &["apply", "shop.yaml", "--dry-run"])
    );
    assert_eq!(bench.names().await, ["own.kept"], "a plan changes nothing");

    let done = bench.expect(0, &["apply", "shop.yaml"]);
    assert!(done.ends_with("\n2 created\n"), "{done}");
    assert_eq!(bench.names().await, ["own.kept", "shop.a", "shop.b"]);
    assert_eq!(bench.expect(0, &["plan", "shop.yaml"]), "2 unchanged\n");

    // A comment moves every line, and is no reason to disturb anybody.
    let before = bench.starts();
    bench.declare(
        "shop.yaml",
        &("  # moved\n".to_owned() + &sink("a", "") + &sink("b", "")),
    );
    assert_eq!(bench.expect(0, &["apply", "shop.yaml"]), "2 unchanged\n");
    assert_eq!(bench.starts(), before, "{}", bench.worker.log());

    bench.declare(
        "shop.yaml",
        &(sink("a", ", errors.retry.delay.max.ms: 2s") + &sink("b", "")),
    );
    let planned = bench.expect(2, &["plan", "shop.yaml"]);
    assert_eq!(
        planned,
        "~ shop.a  change\n    errors.retry.delay.max.ms: 2000 (new)\n1 to change, 1 unchanged\n"
    );
    bench.expect(0, &["apply", "shop.yaml"]);
    assert_eq!(bench.starts(), before + 1, "only what changed starts anew");
    assert_eq!(bench.expect(0, &["plan", "shop.yaml"]), "2 unchanged\n");
    assert_eq!(bench.worker.terminate(), Some(0));
}

#[tokio::test]
async fn prune_deletes_what_the_files_own_and_a_renamed_part_is_told() {
    let bench = Bench::start_own().await;
    bench.declare("shop.yaml", &(sink("a", "") + &sink("b", "")));
    bench.expect(0, &["apply", "shop.yaml"]);
    bench.declare("shop.yaml", &(sink("a", "") + &sink("c", "")));
    let planned = bench.expect(2, &["plan", "shop.yaml", "--prune"]);
    assert_eq!(
        planned,
        "+ shop.c  create (sql sink)
    shop.b under a new name? offsets do not move: it starts without any
- shop.b  delete; its offsets stay
1 to create, 1 to delete, 1 unchanged\n"
    );
    let left = bench.expect(0, &["apply", "shop.yaml"]);
    assert!(
        left.contains("  shop.b  left as it is: no file holds it any more, --prune deletes it"),
        "{left}"
    );
    assert_eq!(
        bench.names().await,
        ["own.kept", "shop.a", "shop.b", "shop.c"]
    );
    // What is only left is nothing to do.
    bench.expect(0, &["plan", "shop.yaml"]);
    bench.expect(0, &["apply", "shop.yaml", "--prune"]);
    assert_eq!(bench.names().await, ["own.kept", "shop.a", "shop.c"]);

    let answer = bench.expect(0, &["plan", "shop.yaml", "--prune", "--output", "json"]);
    let answer: Value = serde_json::from_str(&answer).expect("a plan is JSON");
    assert_eq!(answer["summary"]["unchanged"], 2, "{answer}");
    assert_eq!(answer["applied"], false);
    fs::write(
        bench.folder.path().join("shop.yaml"),
        "version: 1\nname: shop\n",
    )
    .expect("it can be written");
    bench.expect(0, &["apply", "shop.yaml", "--prune"]);
    assert_eq!(
        bench.names().await,
        ["own.kept"],
        "another pipeline's stays"
    );
}

#[tokio::test]
async fn secrets_are_compared_and_never_shown() {
    let bench = Bench::start_own().await;
    let with = |password: &str| sink("a", &format!(", connection.password: \"{password}\""));
    bench.declare("shop.yaml", &with("canary-one"));
    let mut said = bench.expect(2, &["plan", "shop.yaml"]);
    said += &bench.expect(0, &["apply", "shop.yaml"]);
    assert_eq!(bench.expect(0, &["plan", "shop.yaml"]), "1 unchanged\n");
    bench.declare("shop.yaml", &with("canary-two"));
    let changed = bench.expect(2, &["plan", "shop.yaml"]);
    assert!(
        changed.contains("    connection.password: another secret\n"),
        "{changed}"
    );
    said += &changed;
    said += &bench.expect(2, &["plan", "shop.yaml", "--output", "json"]);
    said += &bench.expect(0, &["apply", "shop.yaml"]);
    // This process does not know the variable; the worker does, and is the one that needs it.
    bench.declare("shop.yaml", &with("${env:KNOWN_TO_THE_WORKER}"));
    let changed = bench.expect(0, &["apply", "shop.yaml"]);
    assert!(
        changed.contains(" → ${env:KNOWN_TO_THE_WORKER}\n"),
        "{changed}"
    );
    said += &changed;
    said += &bench.worker.log();
    for secret in ["canary-one", "canary-two", "hunter2"] {
        assert!(!said.contains(secret), "{said}");
    }
}

#[tokio::test]
async fn what_the_worker_refuses_is_told_at_its_line_and_nothing_is_done() {
    let bench = Bench::start_own().await;
    let bad = sink(
        "b",
        ", connection.password: \"${env:KNOWN_TO_NOBODY_AT_ALL}\"",
    );
    bench.declare("shop.yaml", &(sink("a", "") + &bad));
    for command in ["plan", "apply"] {
        let said = bench.expect(1, &[command, "shop.yaml"]);
        assert!(
            said.starts_with("error[TL0110]: connection.password"),
            "{said}"
        );
        let place = "  --> shop.yaml:5:";
        assert!(said.contains(place), "{said}");
        assert!(said.contains("  sinks.b.connection.password\n"), "{said}");
        assert!(said.contains("  help: "), "{said}");
    }
    assert_eq!(bench.names().await, ["own.kept"]);
}

#[tokio::test]
async fn racing_applies_take_turns_and_end_as_one_of_them() {
    let bench = Bench::start_own().await;
    let file = |delay: &str| {
        let more = format!(", errors.retry.delay.max.ms: {delay}");
        ["a", "b", "c", "d"].map(|name| sink(name, &more)).concat()
    };
    bench.declare("one.yaml", &file("1s"));
    bench.declare("two.yaml", &file("2s"));
    let data = bench.worker.data();
    let racers: Vec<_> = ["one.yaml", "two.yaml", "one.yaml", "two.yaml"]
        .iter()
        .map(|file| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_tapline"));
            command.args(["apply", file, "--data-dir"]).arg(&data);
            command.current_dir(bench.folder.path());
            command.stdin(Stdio::null()).stdout(Stdio::null());
            command.spawn().expect("the binary starts")
        })
        .collect();
    for mut racer in racers {
        let status = racer.wait().expect("it ends");
        assert!(status.success(), "{status}");
    }
    let codes = ["one.yaml", "two.yaml"].map(|file| bench.ask(&["plan", file]).code);
    assert!(
        codes == [Some(0), Some(2)] || codes == [Some(2), Some(0)],
        "a mixture of both: {codes:?}"
    );
}

#[tokio::test]
async fn a_worker_killed_on_the_way_ends_as_declared_after_the_next_apply() {
    let mut random = fastrand::Rng::with_seed(seed("killed_on_the_way"));
    let mut bench = Bench::start_own().await;
    for round in 0..3 {
        let more = format!(", errors.retry.delay.max.ms: {}s", round + 1);
        let names: Vec<String> = (0..8).map(|part| format!("r{round}p{part}")).collect();
        let sinks: String = names.iter().map(|name| sink(name, &more)).collect();
        bench.declare("shop.yaml", &sinks);
        let mut apply = Command::new(env!("CARGO_BIN_EXE_tapline"));
        apply.args(["apply", "shop.yaml", "--prune", "--data-dir"]);
        apply
            .arg(bench.worker.data())
            .current_dir(bench.folder.path());
        apply.stdout(Stdio::null()).stderr(Stdio::null());
        let mut apply = apply.spawn().expect("the binary starts");
        // The moment of the kill is what is random here: nothing is waited for.
        tokio::time::sleep(Duration::from_millis(random.u64(5..150))).await;
        bench.worker.kill();
        let cut = apply.wait().expect("it ends").code();
        bench.worker.start();
        bench.up().await;
        bench.expect(0, &["apply", "shop.yaml", "--prune"]);
        bench.expect(0, &["plan", "shop.yaml", "--prune"]);
        let wanted: Vec<String> = names.iter().map(|name| format!("shop.{name}")).collect();
        let have = bench.names().await;
        assert_eq!(
            have.get(1..),
            Some(wanted.as_slice()),
            "round {round}, cut {cut:?}"
        );
    }
}

#[tokio::test]
async fn states_stay_and_what_rest_made_is_taken_over_or_given_up() {
    let bench = Bench::start_own().await;
    let mut config = serde_json::json!({
        "connector.class": "sql",
        "topics": "t",
        "connection.url": "postgres://u@127.0.0.1:1/d",
    });
    bench.put("shop.a/config", &config).await;
    bench.put("shop.b/config", &config).await;
    bench.declare("shop.yaml", &sink("a", ""));
    // Nobody's connectors are never deleted, whatever they are called.
    let planned = bench.expect(2, &["plan", "shop.yaml", "--prune"]);
    assert_eq!(
        planned,
        "~ shop.a  change\n    tapline.pipeline: shop (new)\n1 to change\n"
    );
    bench.expect(0, &["apply", "shop.yaml"]);
    bench.put("shop.a/pause", &Value::Null).await;
    bench.declare("shop.yaml", &sink("a", ", errors.retry.delay.max.ms: 2s"));
    bench.expect(0, &["apply", "shop.yaml"]);
    crate::support::wait::until("the changed connector is still paused", async || {
        let status = bench.worker.get("/connectors/shop.a/status").await?;
        let status: Value = serde_json::from_str(&status).ok()?;
        (status["connector"]["state"] == "PAUSED").then_some(())
    })
    .await;
    config["tasks.max"] = "1".into();
    bench.put("shop.a/config", &config).await;
    bench.declare("shop.yaml", "");
    bench.expect(0, &["apply", "shop.yaml", "--prune"]);
    assert_eq!(bench.names().await, ["own.kept", "shop.a", "shop.b"]);
}
