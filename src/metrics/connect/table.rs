//! Every family: its names, what it tells, where its value comes from.
//!
//! Counters are named without `_total`, which the format adds. Where the original calls a count otherwise
//! (`total-record-failures`), its name decides and it is told as a gauge, as everywhere.

use super::{super::window::exact, Read, Told, Whole};

/// A family of numbers.
pub(super) struct Family<T> {
    pub(super) name: &'static str,
    /// What the dashboards over the JMX exporter call it.
    pub(super) short: Option<&'static str>,
    pub(super) help: &'static str,
    pub(super) counter: bool,
    pub(super) value: fn(&T) -> f64,
}

/// A family of texts.
pub(super) struct Text<T> {
    pub(super) name: &'static str,
    pub(super) short: &'static str,
    pub(super) help: &'static str,
    pub(super) label: &'static str,
    pub(super) value: fn(&T) -> String,
}

const fn gauge<T>(name: &'static str, help: &'static str, value: fn(&T) -> f64) -> Family<T> {
    Family {
        name,
        short: None,
        help,
        counter: false,
        value,
    }
}

const fn counter<T>(name: &'static str, help: &'static str, value: fn(&T) -> f64) -> Family<T> {
    Family {
        counter: true,
        ..gauge(name, help, value)
    }
}

/// The same family under one more name.
const fn also<T>(short: &'static str, family: &Family<T>) -> Family<T> {
    Family {
        name: family.name,
        short: Some(short),
        help: family.help,
        counter: family.counter,
        value: family.value,
    }
}

/// `connector-metrics`: what a connector is.
pub(super) const ABOUT_CONNECTORS: &[Text<Told>] = &[
    Text {
        name: "kafka_connect_connector_metrics_status",
        short: "kafka_connect_connector_status",
        help: "The connector's own state",
        label: "status",
        value: |told| told.state.to_lowercase(),
    },
    Text {
        name: "kafka_connect_connector_metrics_connector_type",
        short: "kafka_connect_connector_connector_type",
        help: "Whether the connector is a source or a sink",
        label: "connector_type",
        value: |told| told.kind.to_owned(),
    },
    Text {
        name: "kafka_connect_connector_metrics_connector_class",
        short: "kafka_connect_connector_connector_class",
        help: "The connector's class",
        label: "connector_class",
        value: |told| told.class.clone(),
    },
    Text {
        name: "kafka_connect_connector_metrics_connector_version",
        short: "kafka_connect_connector_connector_version",
        help: "The version of the connector's class",
        label: "connector_version",
        value: |told| told.version.to_owned(),
    },
];

/// The state of a task, of `connector-task-metrics`.
pub(super) const TASK_STATUS: Text<Read> = Text {
    name: "kafka_connect_connector_task_metrics_status",
    short: "kafka_connect_connector_task_status",
    help: "The task's state",
    label: "status",
    value: |read| read.task.state.to_lowercase(),
};

/// `connect-worker-metrics` and `connect-coordinator-metrics`: the worker as a whole.
pub(super) const WORKER: &[Family<Whole>] = &[
    also(
        "kafka_connect_worker_connector_count",
        &gauge(
            "kafka_connect_connect_worker_metrics_connector_count",
            "Connectors of this worker",
            |w| count(w.connectors),
        ),
    ),
    also(
        "kafka_connect_worker_task_count",
        &gauge(
            "kafka_connect_connect_worker_metrics_task_count",
            "Tasks of this worker",
            |w| count(w.tasks),
        ),
    ),
    also(
        "kafka_connect_coordinator_assigned_connectors",
        &gauge(
            "kafka_connect_connect_coordinator_metrics_assigned_connectors",
            "Connectors that are this worker's to run",
            |w| count(w.connectors),
        ),
    ),
    also(
        "kafka_connect_coordinator_assigned_tasks",
        &gauge(
            "kafka_connect_connect_coordinator_metrics_assigned_tasks",
            "Tasks that are this worker's to run",
            |w| count(w.tasks),
        ),
    ),
    counter(
        "kafka_connect_connect_worker_metrics_connector_startup_attempts",
        "Starts of connectors that have succeeded or failed",
        |w| w.startups.connectors.attempts,
    ),
    counter(
        "kafka_connect_connect_worker_metrics_connector_startup_success",
        "Starts of connectors that succeeded",
        |w| w.startups.connectors.succeeded,
    ),
    gauge(
        "kafka_connect_connect_worker_metrics_connector_startup_success_percentage",
        "The share, from 0 to 1, of the last minute's starts of connectors that succeeded",
        |w| w.startups.connectors.success_share,
    ),
    counter(
        "kafka_connect_connect_worker_metrics_connector_startup_failure",
        "Starts of connectors that failed",
        |w| w.startups.connectors.failed,
    ),
    gauge(
        "kafka_connect_connect_worker_metrics_connector_startup_failure_percentage",
        "The share, from 0 to 1, of the last minute's starts of connectors that failed",
        |w| w.startups.connectors.failure_share,
    ),
    counter(
        "kafka_connect_connect_worker_metrics_task_startup_attempts",
        "Starts of tasks that have succeeded or failed",
        |w| w.startups.tasks.attempts,
    ),
    counter(
        "kafka_connect_connect_worker_metrics_task_startup_success",
        "Starts of tasks that succeeded",
        |w| w.startups.tasks.succeeded,
    ),
    gauge(
        "kafka_connect_connect_worker_metrics_task_startup_success_percentage",
        "The share, from 0 to 1, of the last minute's starts of tasks that succeeded",
        |w| w.startups.tasks.success_share,
    ),
    counter(
        "kafka_connect_connect_worker_metrics_task_startup_failure",
        "Starts of tasks that failed",
        |w| w.startups.tasks.failed,
    ),
    gauge(
        "kafka_connect_connect_worker_metrics_task_startup_failure_percentage",
        "The share, from 0 to 1, of the last minute's starts of tasks that failed",
        |w| w.startups.tasks.failure_share,
    ),
];

/// `connect-worker-metrics` with a connector: its tasks by state.
pub(super) const CONNECTORS: &[Family<Told>] = &[
    also(
        "kafka_connect_worker_connector_total_task_count",
        &gauge(
            "kafka_connect_connect_worker_metrics_connector_total_task_count",
            "Tasks of the connector",
            |c| count(c.tasks.len()),
        ),
    ),
    also(
        "kafka_connect_worker_connector_running_task_count",
        &gauge(
            "kafka_connect_connect_worker_metrics_connector_running_task_count",
            "Running tasks of the connector",
            |c| in_state(c, "RUNNING"),
        ),
    ),
    also(
        "kafka_connect_worker_connector_paused_task_count",
        &gauge(
            "kafka_connect_connect_worker_metrics_connector_paused_task_count",
            "Paused tasks of the connector",
            |c| in_state(c, "PAUSED"),
        ),
    ),
    also(
        "kafka_connect_worker_connector_failed_task_count",
        &gauge(
            "kafka_connect_connect_worker_metrics_connector_failed_task_count",
            "Failed tasks of the connector",
            |c| in_state(c, "FAILED"),
        ),
    ),
    also(
        "kafka_connect_worker_connector_unassigned_task_count",
        &gauge(
            "kafka_connect_connect_worker_metrics_connector_unassigned_task_count",
            "Tasks that have not reached their other system yet of the connector",
            |c| in_state(c, "UNASSIGNED"),
        ),
    ),
    also(
        "kafka_connect_worker_connector_restarting_task_count",
        &gauge(
            "kafka_connect_connect_worker_metrics_connector_restarting_task_count",
            "Tasks that wait before they try again of the connector",
            |c| in_state(c, "RESTARTING"),
        ),
    ),
    also(
        "kafka_connect_worker_connector_destroyed_task_count",
        &gauge(
            "kafka_connect_connect_worker_metrics_connector_destroyed_task_count",
            "Tasks of the connector that have ended in order",
            |c| in_state(c, "STOPPED"),
        ),
    ),
];

/// `connector-task-metrics`: what source and sink tasks have in common.
pub(super) const TASKS: &[Family<Read>] = &[
    gauge(
        "kafka_connect_connector_task_metrics_running_ratio",
        "The share of the task's life that it was running",
        |t| t.task.running_ratio,
    ),
    gauge(
        "kafka_connect_connector_task_metrics_pause_ratio",
        "The share of the task's life that it was paused",
        |t| t.task.pause_ratio,
    ),
    gauge(
        "kafka_connect_connector_task_metrics_offset_commit_max_time_ms",
        "The longest successful commit of offsets",
        |t| t.reading.commit_max,
    ),
    gauge(
        "kafka_connect_connector_task_metrics_offset_commit_avg_time_ms",
        "The average successful commit of offsets",
        |t| t.reading.commit_avg,
    ),
    gauge(
        "kafka_connect_connector_task_metrics_offset_commit_success_percentage",
        "The share, from 0 to 1, of commits of offsets that succeeded",
        |t| t.reading.commit_success,
    ),
    gauge(
        "kafka_connect_connector_task_metrics_offset_commit_failure_percentage",
        "The share, from 0 to 1, of commits of offsets that failed",
        |t| t.reading.commit_failure,
    ),
    gauge(
        "kafka_connect_connector_task_metrics_batch_size_max",
        "Records of the largest batch",
        |t| t.reading.batch_max,
    ),
    gauge(
        "kafka_connect_connector_task_metrics_batch_size_avg",
        "Records of the average batch",
        |t| t.reading.batch_avg,
    ),
];

/// `task-error-metrics`.
pub(super) const ERRORS: &[Family<Read>] = &[
    also(
        "kafka_connect_task_error_total_record_failures",
        &gauge(
            "kafka_connect_task_error_metrics_total_record_failures",
            "Records that could not be processed",
            |t| t.reading.failures,
        ),
    ),
    also(
        "kafka_connect_task_error_total_record_errors",
        &gauge(
            "kafka_connect_task_error_metrics_total_record_errors",
            "Records that could not be processed and failed the task",
            |t| t.reading.failures,
        ),
    ),
    also(
        "kafka_connect_task_error_total_retries",
        &gauge(
            "kafka_connect_task_error_metrics_total_retries",
            "Attempts after the first, repeated puts included",
            |t| exact(t.task.retries),
        ),
    ),
    also(
        "kafka_connect_task_error_total_errors_logged",
        &gauge(
            "kafka_connect_task_error_metrics_total_errors_logged",
            "Errors of the task that were logged",
            |t| t.reading.logged,
        ),
    ),
    also(
        "kafka_connect_task_error_last_error_timestamp",
        &gauge(
            "kafka_connect_task_error_metrics_last_error_timestamp",
            "When the last error was logged, in milliseconds since 1970; 0 before the first",
            |t| t.reading.last_error_ms,
        ),
    ),
];

/// `source-task-metrics`.
pub(super) const SOURCES: &[Family<Read>] = &[
    counter(
        "kafka_connect_source_task_metrics_source_record_poll",
        "Records that the source handed over, before transforms",
        |t| t.reading.polled,
    ),
    also(
        "kafka_connect_source_task_source_record_poll_rate",
        &gauge(
            "kafka_connect_source_task_metrics_source_record_poll_rate",
            "Records by second that the source handed over",
            |t| t.reading.poll_rate,
        ),
    ),
    counter(
        "kafka_connect_source_task_metrics_source_record_write",
        "Records that transforms left and that are durable in the log",
        |t| t.reading.written,
    ),
    also(
        "kafka_connect_source_task_source_record_write_rate",
        &gauge(
            "kafka_connect_source_task_metrics_source_record_write_rate",
            "Records by second that became durable in the log",
            |t| t.reading.write_rate,
        ),
    ),
    also(
        "kafka_connect_source_task_source_record_active_count",
        &gauge(
            "kafka_connect_source_task_metrics_source_record_active_count",
            "Records handed over and not durable yet",
            |t| t.reading.active,
        ),
    ),
    gauge(
        "kafka_connect_source_task_metrics_source_record_active_count_max",
        "The most records handed over and not durable yet",
        |t| t.reading.active_max,
    ),
    gauge(
        "kafka_connect_source_task_metrics_source_record_active_count_avg",
        "The average of records handed over and not durable yet",
        |t| t.reading.active_avg,
    ),
    gauge(
        "kafka_connect_source_task_metrics_transaction_size_min",
        "Records of the smallest commit",
        |t| t.reading.transaction_min,
    ),
    gauge(
        "kafka_connect_source_task_metrics_transaction_size_max",
        "Records of the largest commit",
        |t| t.reading.transaction_max,
    ),
    gauge(
        "kafka_connect_source_task_metrics_transaction_size_avg",
        "Records of the average commit",
        |t| t.reading.transaction_avg,
    ),
];

/// `sink-task-metrics`.
pub(super) const SINKS: &[Family<Read>] = &[
    counter(
        "kafka_connect_sink_task_metrics_sink_record_read",
        "Records read from the log, before transforms",
        |t| t.reading.read,
    ),
    also(
        "kafka_connect_sink_task_sink_record_read_rate",
        &gauge(
            "kafka_connect_sink_task_metrics_sink_record_read_rate",
            "Records by second read from the log",
            |t| t.reading.read_rate,
        ),
    ),
    counter(
        "kafka_connect_sink_task_metrics_sink_record_send",
        "Records that transforms left and that the target has taken",
        |t| t.reading.sent,
    ),
    also(
        "kafka_connect_sink_task_sink_record_send_rate",
        &gauge(
            "kafka_connect_sink_task_metrics_sink_record_send_rate",
            "Records by second that the target has taken",
            |t| t.reading.send_rate,
        ),
    ),
    also(
        "kafka_connect_sink_task_sink_record_active_count",
        &gauge(
            "kafka_connect_sink_task_metrics_sink_record_active_count",
            "Records read and not taken by the target yet",
            |t| t.reading.active,
        ),
    ),
    gauge(
        "kafka_connect_sink_task_metrics_sink_record_active_count_max",
        "The most records read and not taken by the target yet",
        |t| t.reading.active_max,
    ),
    gauge(
        "kafka_connect_sink_task_metrics_sink_record_active_count_avg",
        "The average of records read and not taken by the target yet",
        |t| t.reading.active_avg,
    ),
    also(
        "kafka_connect_sink_task_sink_record_lag_max",
        &gauge(
            "kafka_connect_sink_task_metrics_sink_record_lag_max",
            "Records that the partition furthest behind has in the log beyond what the target took",
            |t| t.reading.lag_max,
        ),
    ),
    also(
        "kafka_connect_sink_task_partition_count",
        &gauge(
            "kafka_connect_sink_task_metrics_partition_count",
            "Partitions that the task reads",
            |t| t.reading.partitions,
        ),
    ),
    gauge(
        "kafka_connect_sink_task_metrics_offset_commit_seq_no",
        "Commits of positions so far, failed ones included",
        |t| t.reading.sequence,
    ),
    counter(
        "kafka_connect_sink_task_metrics_offset_commit_completion",
        "Commits of positions that succeeded",
        |t| t.reading.completed,
    ),
    gauge(
        "kafka_connect_sink_task_metrics_offset_commit_completion_rate",
        "Commits of positions by second that succeeded",
        |t| t.reading.completion_rate,
    ),
    also(
        "kafka_connect_sink_task_put_batch_max_time_ms",
        &gauge(
            "kafka_connect_sink_task_metrics_put_batch_max_time_ms",
            "The longest put that the target took",
            |t| t.reading.put_max,
        ),
    ),
    also(
        "kafka_connect_sink_task_put_batch_avg_time_ms",
        &gauge(
            "kafka_connect_sink_task_metrics_put_batch_avg_time_ms",
            "The average put that the target took",
            |t| t.reading.put_avg,
        ),
    ),
];

fn in_state(told: &Told, state: &str) -> f64 {
    count(told.tasks.iter().filter(|task| **task == state).count())
}

fn count(of: usize) -> f64 {
    exact(u64::try_from(of).unwrap_or(u64::MAX))
}
