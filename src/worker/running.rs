//! One connector with its tasks.

use super::{ConnectorKind, ConnectorSpec, ConnectorStatus, Refusal, Shared};
use crate::{
    plugins::{Plugin, Resolved, keys},
    policy::Backoff,
    sink::{Selection, SinkTask},
    source::SourceTask,
    task::{Monitor, State, keep_trying},
};
use std::{collections::BTreeMap, sync::Arc};
use tapline_sdk::{Config, Error, Issue, Result};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

/// A connector and its tasks, which go on until `stop`.
pub(super) struct Running {
    pub(super) spec: ConnectorSpec,
    pub(super) resolved: Resolved,
    pub(super) tasks: Vec<Arc<Monitor>>,
    pub(super) stop: CancellationToken,
    running: tokio::sync::Mutex<JoinSet<()>>,
}

impl Running {
    /// Starts the tasks of a connector that was checked.
    pub(super) fn start(shared: &Shared, spec: ConnectorSpec, resolved: Resolved) -> Result<Self> {
        let stop = CancellationToken::new();
        let mut running = JoinSet::new();
        let mut tasks = Vec::new();
        let tasks_max = resolved.framework.get(&keys::TASKS_MAX)?;
        let configs = task_configs(&resolved, tasks_max)?;
        let count = u32::try_from(configs.len()).unwrap_or(u32::MAX);
        let name: Arc<str> = spec.name.as_str().into();
        for (task, config) in (0..count).zip(configs) {
            let metrics = shared.metrics.task(&spec.name, task);
            let monitor = Monitor::new(Arc::clone(&name), task, metrics);
            tasks.push(Arc::clone(&monitor));
            let config = Config::new(config);
            spawn(
                shared,
                &resolved,
                (config, count),
                (monitor, stop.clone()),
                &mut running,
            )?;
        }
        Ok(Self {
            spec,
            resolved,
            tasks,
            stop,
            running: tokio::sync::Mutex::new(running),
        })
    }

    /// Waits for the tasks after `stop`, drops those that are not done by then, and names them.
    pub(super) async fn end(&self, by: Instant) -> Vec<String> {
        let mut running = self.running.lock().await;
        while let Ok(Some(_)) = tokio::time::timeout_at(by, running.join_next()).await {}
        if running.is_empty() {
            return Vec::new();
        }
        // I5: dropping them is no success, and I10: their writers are fenced by whoever comes next.
        running.shutdown().await;
        let unfinished =
            |task: &&Arc<Monitor>| !matches!(task.state(), State::Stopped | State::Failed);
        let dropped = self.tasks.iter().filter(unfinished);
        dropped
            .map(|task| format!("{}-{}", task.connector, task.task))
            .collect()
    }

    /// The connector's settings with what identifies it: positions that a target holds are kept under both.
    pub(super) fn identified(&self, cluster_id: &str) -> Config {
        let mut settings = self.resolved.config.settings().clone();
        settings.insert(keys::NAME.name().to_owned(), self.spec.name.clone());
        settings.insert(keys::CLUSTER_ID.to_owned(), cluster_id.to_owned());
        Config::new(settings)
    }

    /// The connector as it stands: as bad as its worst task.
    pub(super) fn status(&self) -> ConnectorStatus {
        let tasks: Vec<_> = self.tasks.iter().map(|task| task.status()).collect();
        let worst = tasks.iter().max_by_key(|task| severity(task.state));
        ConnectorStatus {
            name: self.spec.name.clone(),
            kind: self.spec.kind,
            class: self.resolved.class.to_owned(),
            state: worst.map_or(State::Running, |task| task.state),
            since_ms: worst.map_or(0, |task| task.since_ms),
            tasks,
            origin: self.spec.origin.clone(),
        }
    }
}

fn severity(state: State) -> u8 {
    match state {
        State::Running => 0,
        State::Paused => 1,
        State::Unassigned => 2,
        State::Stopped => 3,
        State::Restarting => 4,
        State::Failed => 5,
    }
}

/// The settings of each task, never more than `tasks.max`.
fn task_configs(resolved: &Resolved, tasks_max: u32) -> Result<Vec<BTreeMap<String, String>>> {
    let configs = match &resolved.plugin {
        Plugin::Source(source) => source.task_configs(&resolved.config, tasks_max),
        Plugin::Sink(sink) => sink.task_configs(&resolved.config, tasks_max),
    };
    let count = configs.len();
    if u32::try_from(count).is_ok_and(|count| count <= tasks_max) {
        return Ok(configs);
    }
    Err(Error::config(format!(
        "the connector has generated {count} tasks, which is greater than {tasks_max}"
    ))
    .code("TL0110")
    .remedy("raise tasks.max"))
}

fn spawn(
    shared: &Shared,
    resolved: &Resolved,
    (config, tasks): (Config, u32),
    (monitor, stop): (Arc<Monitor>, CancellationToken),
    running: &mut JoinSet<()>,
) -> Result<()> {
    let backoff = Backoff::of(&resolved.framework)?;
    match &resolved.plugin {
        Plugin::Source(plugin) => {
            let task = Arc::new(SourceTask {
                shared: Arc::clone(&shared.sources),
                plugin: Arc::clone(plugin),
                config,
                resolved: resolved.clone(),
                monitor: Arc::clone(&monitor),
                stop: stop.clone(),
            });
            running.spawn(keep_trying(monitor, backoff, stop, move || {
                Arc::clone(&task).attempt()
            }));
        }
        Plugin::Sink(plugin) => {
            let task = Arc::new(SinkTask {
                shared: Arc::clone(&shared.sinks),
                plugin: Arc::clone(plugin),
                config,
                selection: Selection::of(&resolved.framework)?,
                resolved: resolved.clone(),
                tasks,
                monitor: Arc::clone(&monitor),
                stop: stop.clone(),
            });
            running.spawn(keep_trying(monitor, backoff, stop, move || {
                Arc::clone(&task).attempt()
            }));
        }
    }
    Ok(())
}

/// Checks a connector's settings, placeholders filled in.
pub(super) fn check(shared: &Shared, spec: &ConnectorSpec) -> Result<Resolved, Vec<Refusal>> {
    let refuse = |issues: Vec<Issue>| -> Vec<Refusal> {
        let refusal = |issue| Refusal {
            connector: spec.name.clone(),
            issue,
        };
        issues.into_iter().map(refusal).collect()
    };
    let settings = match &shared.settings.placeholders {
        Some(placeholders) => placeholders.resolve(&spec.settings).map_err(refuse)?,
        None => spec.settings.clone(),
    };
    shared
        .settings
        .plugins
        .resolve(spec.kind, &spec.class, &settings)
        .map_err(refuse)
}

impl ConnectorKind {
    /// How Kafka Connect writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Sink => "sink",
        }
    }
}
