//! What Kafka Connect's metrics say of tasks that filter, fail and start again.

use crate::{
    runtime::{
        memory::Memory,
        script::{self, Act, Script},
    },
    support::wait::{DEADLINE, within},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tapline::worker::{Author, ConnectorKind, ConnectorSpec, Settings, Worker};
use tempfile::TempDir;

/// Drops every record.
const NOTHING_PASSES: [(&str, &str); 5] = [
    ("transforms", "drop"),
    ("transforms.drop.type", "Filter"),
    ("transforms.drop.predicate", "all"),
    ("predicates", "all"),
    ("predicates.all.type", "TopicNameMatches"),
];

struct Bench {
    worker: Worker,
    _folder: TempDir,
}

impl Bench {
    async fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let settings = Settings {
            data_dir: folder.path().to_owned(),
            placeholders: None,
            plugins: script::plugins(),
        };
        let worker = Worker::open(settings, Arc::new(Memory::new())).await;
        Self {
            worker: worker.expect("the worker opens"),
            _folder: folder,
        }
    }

    fn value(&self, series: &str) -> Option<f64> {
        let page = self.worker.metrics().render();
        let mut found = page.lines().filter_map(|line| line.strip_prefix(series));
        found.next()?.trim().parse().ok()
    }

    async fn reaches(&self, series: &str, expected: f64) {
        let mut found = None;
        let waited = within(DEADLINE, async || {
            found = self.value(series);
            (found == Some(expected)).then_some(())
        });
        let reached = waited.await.is_some();
        assert!(reached, "{series} is {found:?}, not {expected}");
    }

    async fn stop(&self) {
        self.worker.stop(Duration::from_secs(10)).await;
    }
}

fn spec(name: &str, kind: ConnectorKind, more: &[(&str, &str)]) -> ConnectorSpec {
    let settings = more
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    ConnectorSpec {
        name: name.to_owned(),
        kind,
        class: match kind {
            ConnectorKind::Source => "count".to_owned(),
            ConnectorKind::Sink => "keep".to_owned(),
        },
        settings: settings.collect::<BTreeMap<_, _>>(),
        origin: None,
        author: Author::default(),
    }
}

fn of_source(attribute: &str, connector: &str) -> String {
    let group = "kafka_connect_source_task_metrics_source_record";
    format!("{group}_{attribute}{{connector=\"{connector}\",task=\"0\"}}")
}

fn of_sink(attribute: &str, connector: &str) -> String {
    let group = "kafka_connect_sink_task_metrics_sink_record";
    format!("{group}_{attribute}{{connector=\"{connector}\",task=\"0\"}}")
}

fn of_errors(attribute: &str, connector: &str) -> String {
    let group = "kafka_connect_task_error_metrics";
    format!("{group}_{attribute}{{connector=\"{connector}\",task=\"0\"}}")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_transform_drops_is_polled_and_read_but_not_written_or_sent() {
    let (all, none) = (Script::new("figures-all"), Script::new("figures-none"));
    all.batch.store(10, Ordering::SeqCst);
    "kept".clone_into(&mut all.topic.lock());
    "dropped".clone_into(&mut none.topic.lock());
    let nothing = |script: &'static str| {
        let mut settings = NOTHING_PASSES.to_vec();
        settings.extend([("predicates.all.pattern", ".*"), ("script", script)]);
        settings
    };
    let mut filtering = nothing("figures-all");
    filtering.push(("topics.of", "all"));
    let bench = Bench::new().await;
    let specs = vec![
        spec("all", ConnectorKind::Source, &[("script", "figures-all")]),
        spec("none", ConnectorKind::Source, &nothing("figures-none")),
        spec("out", ConnectorKind::Sink, &filtering),
    ];
    bench.worker.apply(specs).await.expect("applied");
    all.count_to(40);
    none.count_to(30);
    for (series, expected) in [
        (of_source("poll_total", "all"), 40.0),
        (of_source("write_total", "all"), 40.0),
        (of_source("poll_total", "none"), 30.0),
        (of_source("active_count", "none"), 0.0),
        (of_source("write_total", "none"), 0.0),
        (of_sink("read_total", "out"), 40.0),
        (of_sink("active_count", "out"), 0.0),
        (of_sink("send_total", "out"), 0.0),
        (of_sink("lag_max", "out"), 0.0),
    ] {
        bench.reaches(&series, expected).await;
    }
    let batch = "kafka_connect_connector_task_metrics_batch_size_max{connector=\"all\",task=\"0\"}";
    bench.reaches(batch, 10.0).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_retries_and_starts_are_counted_and_a_deleted_connector_is_forgotten() {
    let script = Script::new("figures-errors");
    script.batch.store(100, Ordering::SeqCst);
    script
        .acts
        .lock()
        .extend([Act::Retry, Act::Retry, Act::Reject(3)]);
    let bench = Bench::new().await;
    let before = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    let specs = vec![
        spec("in", ConnectorKind::Source, &[("script", "figures-errors")]),
        spec(
            "out",
            ConnectorKind::Sink,
            &[("script", "figures-errors"), ("topics.of", "in")],
        ),
    ];
    bench.worker.apply(specs).await.expect("applied");
    script.count_to(20);
    let failed = "kafka_connect_connector_task_metrics_status_info{status=\"failed\",connector=\"out\",task=\"0\"}";
    bench.reaches(failed, 1.0).await;
    for (series, expected) in [
        (of_errors("total_retries", "out"), 2.0),
        (of_errors("total_errors_logged", "out"), 3.0),
        (of_errors("total_record_failures", "out"), 1.0),
        (of_errors("total_record_errors", "out"), 1.0),
        (of_errors("total_record_failures", "in"), 0.0),
        (of_errors("last_error_timestamp", "in"), 0.0),
        (of_sink("send_total", "out"), 0.0),
        (of_sink("active_count", "out"), 0.0),
        (
            "kafka_connect_worker_connector_failed_task_count{connector=\"out\"}".to_owned(),
            1.0,
        ),
        (
            "kafka_connect_connect_worker_metrics_connector_startup_success_total".to_owned(),
            2.0,
        ),
        (
            "kafka_connect_connect_worker_metrics_task_startup_success_total".to_owned(),
            2.0,
        ),
        (
            "kafka_connect_connect_worker_metrics_task_startup_failure_total".to_owned(),
            0.0,
        ),
    ] {
        bench.reaches(&series, expected).await;
    }
    let at = bench
        .value(&of_errors("last_error_timestamp", "out"))
        .expect("a time");
    assert!(
        at / 1000.0 >= before.as_secs_f64().floor(),
        "{at} in milliseconds"
    );

    bench.worker.delete("out").await.expect("deleted");
    assert!(
        !bench
            .worker
            .metrics()
            .render()
            .contains("connector=\"out\"")
    );
    bench
        .reaches("kafka_connect_connect_worker_metrics_connector_count", 1.0)
        .await;
    bench.stop().await;
}
