use super::*;
use crate::metrics::Metrics;
use std::time::Duration;

fn task(work: &Arc<Work>, state: &'static str) -> TaskSeen {
    TaskSeen {
        task: 0,
        state,
        running_ratio: 0.75,
        pause_ratio: 0.25,
        retries: 2,
        work: Arc::clone(work),
    }
}

fn connector(
    name: &str,
    kind: &'static str,
    state: &'static str,
    tasks: Vec<TaskSeen>,
) -> ConnectorSeen {
    ConnectorSeen {
        name: name.into(),
        kind,
        class: format!("io.tapline.{kind}"),
        version: "0.1.0",
        state,
        tasks,
    }
}

fn page(look: impl Fn() -> Vec<ConnectorSeen> + Send + Sync + 'static) -> (Metrics, String) {
    let metrics = Metrics::default();
    metrics.watch_connectors(look);
    let page = metrics.render();
    (metrics, page)
}

fn assert_has(page: &str, lines: &[&str]) {
    for line in lines {
        assert!(
            page.lines().any(|found| found == *line),
            "{line} is missing in\n{page}"
        );
    }
}

#[test]
fn a_source_is_told_as_kafka_connect_tells_it() {
    let work = Arc::new(Work::default());
    let attempting = work.attempt();
    work.polled(6);
    work.polled(4);
    work.written(6, 5);
    work.offsets_committed(Duration::from_millis(8), true);
    work.offsets_committed(Duration::from_millis(1), false);
    let seen = Arc::clone(&work);
    let (metrics, page) = page(move || {
        vec![connector(
            "in",
            "source",
            "RUNNING",
            vec![task(&seen, "RUNNING")],
        )]
    });
    let source = "kafka_connect_source_task_metrics_source_record";
    let task = "kafka_connect_connector_task_metrics";
    let of = "{connector=\"in\",task=\"0\"}";
    assert_has(
        &page,
        &[
            &format!("{source}_poll_total{of} 10.0"),
            &format!("{source}_write_total{of} 5.0"),
            &format!("{source}_active_count{of} 4.0"),
            &format!("{source}_active_count_max{of} 10.0"),
            &format!("kafka_connect_source_task_metrics_transaction_size_max{of} 5.0"),
            &format!("{task}_batch_size_max{of} 6.0"),
            &format!("{task}_batch_size_avg{of} 5.0"),
            &format!("{task}_offset_commit_max_time_ms{of} 8.0"),
            &format!("{task}_offset_commit_success_percentage{of} 0.5"),
            &format!("{task}_offset_commit_failure_percentage{of} 0.5"),
            &format!("{task}_running_ratio{of} 0.75"),
            &format!("{task}_pause_ratio{of} 0.25"),
            "kafka_connect_connector_task_metrics_status_info{status=\"running\",connector=\"in\",task=\"0\"} 1",
            "kafka_connect_connector_task_status{connector=\"in\",task=\"0\",status=\"running\"} 1",
            "kafka_connect_connector_metrics_status_info{status=\"running\",connector=\"in\"} 1",
            "kafka_connect_connector_status{connector=\"in\",status=\"running\"} 1",
            "kafka_connect_connector_metrics_connector_type_info{connector_type=\"source\",connector=\"in\"} 1",
            "kafka_connect_connector_connector_class{connector=\"in\",connector_class=\"io.tapline.source\"} 1",
            "kafka_connect_connector_connector_version{connector=\"in\",connector_version=\"0.1.0\"} 1",
            &format!("kafka_connect_task_error_metrics_total_retries{of} 2.0"),
            "# TYPE kafka_connect_source_task_metrics_source_record_poll counter",
            "# TYPE kafka_connect_connector_metrics_status info",
            "# TYPE kafka_connect_connector_status gauge",
        ],
    );
    assert!(
        !page.contains("sink_record_read_total{"),
        "a source is no sink"
    );
    drop(attempting);
    let line = format!("{source}_active_count{of} 0.0");
    assert_has(&metrics.render(), &[&line]);
}

#[test]
fn a_sink_is_told_as_kafka_connect_tells_it() {
    let work = Arc::new(Work::default());
    work.assigned(3);
    work.read(10);
    work.sent(10, 8, Duration::from_millis(20));
    work.read(5);
    work.offsets_committed(Duration::from_millis(2), true);
    work.records_failed(2);
    work.error_logged(1_700_000_000_000);
    work.lags(7);
    let (_, page) = page(move || {
        vec![connector(
            "out",
            "sink",
            "RUNNING",
            vec![task(&work, "FAILED")],
        )]
    });
    let sink = "kafka_connect_sink_task_metrics";
    let of = "{connector=\"out\",task=\"0\"}";
    assert_has(
        &page,
        &[
            &format!("{sink}_sink_record_read_total{of} 15.0"),
            &format!("{sink}_sink_record_send_total{of} 8.0"),
            &format!("{sink}_sink_record_active_count{of} 5.0"),
            &format!("{sink}_sink_record_lag_max{of} 7.0"),
            &format!("{sink}_partition_count{of} 3.0"),
            &format!("{sink}_offset_commit_seq_no{of} 1.0"),
            &format!("{sink}_offset_commit_completion_total{of} 1.0"),
            &format!("{sink}_put_batch_max_time_ms{of} 20.0"),
            &format!("kafka_connect_task_error_metrics_total_record_failures{of} 2.0"),
            &format!("kafka_connect_task_error_total_record_failures{of} 2.0"),
            &format!("kafka_connect_task_error_metrics_total_errors_logged{of} 1.0"),
            "kafka_connect_connect_worker_metrics_connector_failed_task_count{connector=\"out\"} 1.0",
            "kafka_connect_worker_connector_failed_task_count{connector=\"out\"} 1.0",
            "kafka_connect_worker_connector_running_task_count{connector=\"out\"} 0.0",
            "kafka_connect_worker_connector_total_task_count{connector=\"out\"} 1.0",
        ],
    );
    let time = format!("kafka_connect_task_error_metrics_last_error_timestamp{of} ");
    let time = page.lines().find_map(|line| line.strip_prefix(&time));
    assert_eq!(
        time.and_then(|time| time.parse().ok()),
        Some(1.7e12_f64),
        "{page}"
    );
}

#[test]
fn the_worker_counts_connectors_tasks_and_starts() {
    let work = Arc::new(Work::default());
    let (metrics, _) = page(move || {
        vec![
            connector("a", "source", "RUNNING", vec![task(&work, "RUNNING")]),
            connector("b", "sink", "STOPPED", Vec::new()),
        ]
    });
    metrics.startups().connector(true);
    metrics.startups().connector(true);
    metrics.startups().connector(true);
    metrics.startups().connector(false);
    metrics.task("a", 0).startups.task(true);
    assert_has(
        &metrics.render(),
        &[
            "kafka_connect_connect_worker_metrics_connector_count 2.0",
            "kafka_connect_worker_connector_count 2.0",
            "kafka_connect_worker_task_count 1.0",
            "kafka_connect_connect_worker_metrics_connector_startup_attempts_total 4.0",
            "kafka_connect_connect_worker_metrics_connector_startup_success_total 3.0",
            "kafka_connect_connect_worker_metrics_connector_startup_failure_total 1.0",
            "kafka_connect_connect_worker_metrics_connector_startup_success_percentage 0.75",
            "kafka_connect_connect_worker_metrics_task_startup_attempts_total 1.0",
            "kafka_connect_connect_worker_metrics_task_startup_failure_total 0.0",
            "kafka_connect_connector_status{connector=\"b\",status=\"stopped\"} 1",
        ],
    );
}

#[test]
fn a_name_with_every_odd_sign_is_one_label() {
    let (_, page) = page(|| vec![connector("a\"b\\c\n}", "source", "RUNNING", Vec::new())]);
    assert_has(
        &page,
        &[r#"kafka_connect_connector_status{connector="a\"b\\c\n}",status="running"} 1"#],
    );
}

#[test]
fn no_two_families_have_one_name() {
    let (_, page) = page(Vec::new);
    let mut names: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup_by_key(|name| name.split(' ').next());
    assert_eq!(names.len(), all);
    assert!(all > 90, "{all}");
}
