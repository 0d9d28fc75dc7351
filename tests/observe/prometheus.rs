//! A real Prometheus over a real worker: what it scrapes is what the pipeline did.

use super::dashboard;
use crate::support::{
    postgres::Postgres,
    process::{Process, free_port},
    wait::until,
    worker::Worker,
};
use reqwest::header::ACCEPT;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// Prometheus' own header.
const ACCEPTED: &str = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                        text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

/// Rows of the snapshot, and rows inserted while the worker streams.
const ROWS: (u64, u64) = (500, 200);

/// A program of Debian's package, as scripts/setup unpacks it.
fn program(name: &str) -> PathBuf {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/prometheus/usr/bin");
    let path = unpacked.join(name);
    assert!(path.exists(), "{name} is missing: run scripts/setup");
    path
}

fn config(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("config")
        .join(file)
}

/// Runs `promtool`, with this text on its standard input; what it says, and whether it is content.
fn promtool(arguments: &[&str], input: &str) -> (String, bool) {
    let mut child = Command::new(program("promtool"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).expect("promtool reads");
    drop(stdin);
    let output = child.wait_with_output().expect("promtool ends");
    let said = [output.stdout, output.stderr].concat();
    (
        String::from_utf8_lossy(&said).into_owned(),
        output.status.success(),
    )
}

/// A private server that scrapes one worker every second, with the rules of config/prometheus.
pub struct Prometheus {
    _process: Process,
    folder: TempDir,
    port: u16,
}

impl Prometheus {
    fn start(worker_port: u16) -> Self {
        let folder = TempDir::new().expect("a folder");
        let rules = config("prometheus/alerts.yml");
        let text = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{}]\nscrape_configs:\n  \
             - job_name: tapline\n    static_configs: [{{targets: ['127.0.0.1:{worker_port}']}}]\n",
            rules.display()
        );
        let file = folder.path().join("prometheus.yml");
        fs::write(&file, text).expect("a configuration");
        let log = File::create(folder.path().join("log")).expect("a log");
        let port = free_port();
        let mut command = Command::new(program("prometheus"));
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(log.try_clone().expect("the log clones"))
            .stderr(log);
        Self {
            _process: Process::spawn(&mut command),
            folder,
            port,
        }
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let text = reqwest::get(url).await.ok()?.text().await.ok()?;
        serde_json::from_str(&text).ok()
    }

    /// The series of a query now: label sets with values.
    ///
    /// # Panics
    /// Prometheus refuses the query.
    pub async fn query(&self, query: &str) -> Vec<Value> {
        let path = format!("/api/v1/query?query={}", encoded(query));
        let answer = self.get(&path).await.unwrap_or_default();
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        let series = answer["data"]["result"].as_array();
        series.cloned().unwrap_or_default()
    }

    /// The only value of a query; `None` while there is no series.
    async fn value(&self, query: &str) -> Option<f64> {
        let series = self.query(query).await;
        assert!(series.len() <= 1, "{query}: {series:?}");
        value_of(series.first()?)
    }

    async fn until_equal(&self, query: &str, expected: f64) {
        let mut found = None;
        let waited = crate::support::wait::within(crate::support::wait::DEADLINE, async || {
            found = self.value(query).await;
            (found == Some(expected)).then_some(())
        });
        let reached = waited.await.is_some();
        assert!(
            reached,
            "{query} is {found:?}, not {expected}\n{}",
            self.log()
        );
    }

    async fn until_gone(&self, query: &str) {
        until(&format!("no series: {query}"), async || {
            self.query(query).await.is_empty().then_some(())
        })
        .await;
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// The value of one series of an answer.
pub fn value_of(series: &Value) -> Option<f64> {
    series["value"][1].as_str()?.parse().ok()
}

/// As it stands in a URL.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn pipeline(server: &Postgres) -> String {
    let port = server.port();
    format!(
        "version: 1
name: shop
source:
  connector: postgres
  database: {{hostname: 127.0.0.1, port: {port}, dbname: postgres, user: postgres}}
  table.include.list: [public.items]
sinks:
  replica: {{connector: sql, connection.url: \"postgres://postgres@127.0.0.1:{port}/replica\"}}
"
    )
}

async fn replicated(server: &Postgres, rows: u64) {
    until("the rows are in the replica", async || {
        let mut replica = server.connect_to("replica").await;
        let count: Result<i64, _> = sqlx::query_scalar("select count(*) from items")
            .fetch_one(&mut replica)
            .await;
        (count.ok()? == i64::try_from(rows).ok()?).then_some(())
    })
    .await;
}

async fn insert(server: &Postgres, from: u64, count: u64) {
    let upto = from + count - 1;
    server
        .execute(&format!(
            "insert into items select i, 'item ' || i from generate_series({from}, {upto}) i"
        ))
        .await;
}

/// What Prometheus must find after the pipeline has moved every row.
fn expected() -> Vec<(String, f64)> {
    #[expect(clippy::cast_precision_loss, reason = "a few hundred rows")]
    let rows = (ROWS.0 + ROWS.1) as f64;
    let source = "{connector=\"shop.source\",task=\"0\"}";
    let sink = "{connector=\"shop.replica\",task=\"0\"}";
    let group = "kafka_connect_source_task_metrics_source_record";
    vec![
        (format!("{group}_poll_total{source}"), rows),
        (format!("{group}_write_total{source}"), rows),
        (format!("{group}_active_count{source}"), 0.0),
        (
            format!("kafka_connect_sink_task_metrics_sink_record_read_total{sink}"),
            rows,
        ),
        (
            format!("kafka_connect_sink_task_metrics_sink_record_send_total{sink}"),
            rows,
        ),
        (
            format!("kafka_connect_sink_task_metrics_sink_record_active_count{sink}"),
            0.0,
        ),
        (
            format!("kafka_connect_sink_task_metrics_sink_record_lag_max{sink}"),
            0.0,
        ),
        (
            format!("kafka_connect_sink_task_metrics_partition_count{sink}"),
            1.0,
        ),
        (format!("tapline_records_log_total{source}"), rows),
        (format!("tapline_records_delivered_total{sink}"), rows),
        (format!("tapline_lag_records{sink}"), 0.0),
        (
            "kafka_connect_connect_worker_metrics_connector_count".to_owned(),
            2.0,
        ),
        ("kafka_connect_worker_task_count".to_owned(), 2.0),
        (
            "sum(kafka_connect_worker_connector_running_task_count)".to_owned(),
            2.0,
        ),
        (
            "sum(kafka_connect_worker_connector_failed_task_count)".to_owned(),
            0.0,
        ),
        (
            "kafka_connect_connect_worker_metrics_task_startup_success_total".to_owned(),
            2.0,
        ),
        (
            "kafka_connect_connect_worker_metrics_connector_startup_attempts_total".to_owned(),
            2.0,
        ),
        (
            format!(
                "kafka_connect_connector_task_metrics_offset_commit_success_percentage{source}"
            ),
            1.0,
        ),
        (
            "sum(kafka_connect_task_error_metrics_total_record_failures)".to_owned(),
            0.0,
        ),
    ]
}

/// What Prometheus knows is what the pipeline did.
async fn figures_agree(prometheus: &Prometheus) {
    for (query, expected) in expected() {
        prometheus.until_equal(&query, expected).await;
    }
    let source = "{connector=\"shop.source\",task=\"0\"}";
    let sink = "{connector=\"shop.replica\",task=\"0\"}";
    let group = "kafka_connect_source_task_metrics_source_record";
    for positive in [
        format!("{group}_write_rate{source} > 0"),
        format!("kafka_connect_connector_task_metrics_batch_size_max{source} >= 100"),
        format!("kafka_connect_connector_task_metrics_running_ratio{sink} > 0"),
        format!("kafka_connect_sink_task_metrics_put_batch_max_time_ms{sink} > 0"),
    ] {
        let found = prometheus.query(&positive).await;
        assert_eq!(found.len(), 1, "{positive}");
    }
}

/// A pause, a stop and a deletion show as in Kafka Connect; what is gone has no series.
async fn states_follow(prometheus: &Prometheus, worker: &Worker) {
    let (sink, source) = ("connector=\"shop.replica\"", "connector=\"shop.source\"");
    worker
        .send("PUT", "/connectors/shop.replica/pause", "")
        .await;
    for query in [
        format!("kafka_connect_connector_status{{{sink},status=\"paused\"}}"),
        format!("kafka_connect_connector_task_metrics_status_info{{{sink},status=\"paused\"}}"),
        format!("kafka_connect_worker_connector_paused_task_count{{{sink}}}"),
    ] {
        prometheus.until_equal(&query, 1.0).await;
    }
    let running = format!("kafka_connect_connector_status{{{sink},status=\"running\"}}");
    prometheus.until_gone(&running).await;
    worker
        .send("PUT", "/connectors/shop.replica/resume", "")
        .await;
    prometheus.until_equal(&running, 1.0).await;

    worker.send("PUT", "/connectors/shop.source/stop", "").await;
    let stopped =
        format!("kafka_connect_connector_metrics_status_info{{{source},status=\"stopped\"}}");
    prometheus.until_equal(&stopped, 1.0).await;
    let tasks = format!("kafka_connect_source_task_metrics_source_record_poll_total{{{source}}}");
    prometheus.until_gone(&tasks).await;
    worker.send("DELETE", "/connectors/shop.source", "").await;
    prometheus
        // What rules recorded stays for as long as they look back.
        .until_gone(&format!(
            "{{{source},__name__=~\"(tapline|kafka_connect)_.*\"}}"
        ))
        .await;
    prometheus
        .until_equal("kafka_connect_worker_connector_count", 1.0)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_agrees_with_the_pipeline_and_every_panel_has_data() {
    let server = Postgres::start().await;
    server.execute("create database replica").await;
    server
        .execute("create table items (id bigint primary key, name text)")
        .await;
    insert(&server, 1, ROWS.0).await;
    let folder = TempDir::new().expect("a folder");
    let binary = Path::new(env!("CARGO_BIN_EXE_tapline"));
    let mut worker = Worker::new(binary, folder.path(), &pipeline(&server));
    worker.start();
    replicated(&server, ROWS.0).await;

    let prometheus = Prometheus::start(worker.port());
    until("Prometheus answers", async || {
        prometheus.get("/api/v1/status/runtimeinfo").await
    })
    .await;
    prometheus.until_equal("up{job=\"tapline\"}", 1.0).await;
    insert(&server, ROWS.0 + 1, ROWS.1).await;
    replicated(&server, ROWS.0 + ROWS.1).await;
    figures_agree(&prometheus).await;

    let page = worker.get("/metrics").await.expect("a page");
    names_are_good(&page);
    dashboard::shows(&prometheus, &page).await;
    rules_are_evaluated(&prometheus).await;
    states_follow(&prometheus, &worker).await;
    assert_eq!(worker.terminate(), Some(0), "{}", worker.log());
}

/// `promtool` finds nothing to say but about names that Kafka Connect gave.
fn names_are_good(page: &str) {
    let (said, _) = promtool(&["check", "metrics"], page);
    let ours: Vec<&str> = said
        .lines()
        .filter(|line| !line.starts_with("kafka_connect_"))
        .collect();
    assert_eq!(ours, Vec::<&str>::new());
    let allowed = [
        "should not have",
        "suffix",
        "use base unit",
        "metric names should not contain abbreviated units",
    ];
    for line in said.lines() {
        assert!(allowed.iter().any(|text| line.contains(text)), "{line}");
    }
}

/// Every metric of a page stands in docs/metrics.md, and no other does.
fn names_are_documented(page: &str) {
    let document = include_str!("../../docs/metrics.md");
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let documented: BTreeSet<&str> = document
        .split(|c| !word(c))
        .filter(|word| is_metric(word) && !word.ends_with('_'))
        .collect();
    let families = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let exported: BTreeSet<&str> = families.filter_map(|line| line.split(' ').next()).collect();
    let of = |left: &BTreeSet<&str>, right: &BTreeSet<&str>| -> Vec<String> {
        left.difference(right)
            .map(|name| (*name).to_owned())
            .collect()
    };
    let none = Vec::<String>::new();
    assert_eq!(of(&exported, &documented), none, "not in docs/metrics.md");
    assert_eq!(of(&documented, &exported), none, "only in docs/metrics.md");
}

fn is_metric(word: &str) -> bool {
    word.starts_with("tapline_") || word.starts_with("kafka_connect_")
}

/// The rules are loaded, give values, and no alert fires over a pipeline that is well.
async fn rules_are_evaluated(prometheus: &Prometheus) {
    until("recording rules have values", async || {
        let found =
            prometheus.query("connector:tapline_records_log:rate5m{connector=\"shop.source\"}");
        (found.await.len() == 1).then_some(())
    })
    .await;
    let rules = prometheus.get("/api/v1/rules").await.expect("rules");
    let rules = rules["data"]["groups"][0]["rules"].as_array().cloned();
    let rules = rules.unwrap_or_default();
    assert!(rules.len() >= 10, "{rules:?}");
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    assert_eq!(prometheus.query("ALERTS").await, Vec::<Value>::new());
}

#[test]
fn the_rules_and_the_example_are_valid_and_every_alert_is_tested() {
    let rules = config("prometheus/alerts.yml");
    let (said, good) = promtool(&["check", "rules", &rules.display().to_string()], "");
    assert!(good, "{said}");
    let example = config("prometheus/prometheus.yml");
    let (said, good) = promtool(&["check", "config", &example.display().to_string()], "");
    assert!(good, "{said}");
    let tests = config("prometheus/alerts.test.yml");
    let (said, good) = promtool(&["test", "rules", &tests.display().to_string()], "");
    assert!(good, "{said}");
    let (rules, tests) = (
        fs::read_to_string(rules).expect("rules"),
        fs::read_to_string(tests).expect("tests"),
    );
    let alerts = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let untested: Vec<&str> = alerts
        .filter(|alert| !tests.contains(&format!("alertname: {alert}\n")))
        .collect();
    assert_eq!(untested, Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn both_text_formats_are_served_to_whoever_asks() {
    let folder = TempDir::new().expect("a folder");
    let (from, to) = (folder.path().join("lines"), folder.path().join("copy"));
    fs::write(&from, "one\ntwo\n").expect("lines");
    let text = format!(
        "version: 1\nname: copy\nsource: {{connector: file, file: {}, topic: lines}}\nsink: {{connector: file, file: {}}}\n",
        from.display(),
        to.display()
    );
    let mut worker = Worker::new(
        Path::new(env!("CARGO_BIN_EXE_tapline")),
        folder.path(),
        &text,
    );
    worker.start();
    until("the copy is whole", async || {
        (fs::read_to_string(&to).ok()? == "one\ntwo\n").then_some(())
    })
    .await;
    let url = format!("http://127.0.0.1:{}/metrics", worker.port());
    let ask = async |accept: &str| {
        let request = reqwest::Client::new().get(&url).header(ACCEPT, accept);
        let answer = request.send().await.expect("an answer");
        let kind = answer.headers()["content-type"]
            .to_str()
            .expect("text")
            .to_owned();
        (kind, answer.text().await.expect("a page"))
    };
    let (kind, open) = ask(ACCEPTED).await;
    assert_eq!(
        kind,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert!(open.ends_with("# EOF\n"), "{open}");
    let (kind, classic) = ask("*/*").await;
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    assert!(
        classic.contains("\n# TYPE tapline_records_in_total counter\n"),
        "{classic}"
    );
    assert!(!classic.contains("# EOF"), "{classic}");
    names_are_good(&classic);
    names_are_documented(&classic);
    let series = |page: &str| page.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(series(&open), series(&classic));
}
