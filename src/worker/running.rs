//! A connector's tasks: started together, stopped together, restarted one by one.

use super::{ApplyError, ConnectorKind, ConnectorSpec, Refusal, Shared, Subject};
use crate::{
    logging::scope,
    plugins::{Plugin, Resolved, keys},
    policy::Backoff,
    sink::{Selection, SinkTask},
    source::SourceTask,
    task::{Monitor, State, keep_trying},
};
use parking_lot::RwLock;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tapline_sdk::{Config, Error, Issue, Result};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// A task that was dropped ends at its next wait; one that never waits is left to itself after this.
const DROP_WAIT: Duration = Duration::from_secs(1);

/// The tasks of a connector, with the settings that they were started with.
pub(crate) struct Running {
    pub(crate) spec: ConnectorSpec,
    pub(crate) plan: Plan,
    tasks: RwLock<Vec<Arc<Task>>>,
}

/// A connector's settings, checked and parted into tasks. May hold secrets: hence no `Debug`.
pub(crate) struct Plan {
    pub(crate) resolved: Resolved,
    /// The settings of each task.
    pub(crate) configs: Vec<BTreeMap<String, String>>,
}

/// One task and how to end it.
struct Task {
    monitor: Arc<Monitor>,
    stop: CancellationToken,
    running: tokio::sync::Mutex<JoinSet<()>>,
}

impl Plan {
    /// Checks settings, placeholders filled in, and parts them into tasks, never more than `tasks.max` unless
    /// `tasks.max.enforce` is off.
    pub(crate) fn of(shared: &Shared, spec: &ConnectorSpec) -> Result<Self> {
        let resolved = check(shared, spec).map_err(|refusals| {
            let remedy = match refusals.as_slice() {
                [one] => one.issue.remedy.clone(),
                _ => "correct its settings and apply them again".to_owned(),
            };
            let text = ApplyError::Refused(refusals).to_string();
            Error::config(format!("cannot start connector {}: {text}", spec.name))
                .code("TL0110")
                .remedy(remedy)
        })?;
        let tasks_max = resolved.framework.get(&keys::TASKS_MAX)?;
        let configs = match &resolved.plugin {
            Plugin::Source(source) => source.task_configs(&resolved.config, tasks_max),
            Plugin::Sink(sink) => sink.task_configs(&resolved.config, tasks_max),
        };
        let count = configs.len();
        if u32::try_from(count).is_ok_and(|count| count <= tasks_max) {
            return Ok(Self { resolved, configs });
        }
        let name = &spec.name;
        if !resolved.framework.get(&keys::TASKS_MAX_ENFORCE)? {
            tracing::warn!(
                connector = name,
                tasks = count,
                tasks_max,
                "connector has more tasks than tasks.max, which it is told not to enforce"
            );
            return Ok(Self { resolved, configs });
        }
        Err(Error::config(format!(
            "The connector {name} has generated {count} tasks, which is greater than {tasks_max}"
        ))
        .code("TL0110")
        .remedy("raise tasks.max, or set tasks.max.enforce to false"))
    }

    /// Whether tasks of either would do the same.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        self.resolved.class == other.resolved.class
            && self.resolved.config == other.resolved.config
            && self.resolved.framework == other.resolved.framework
            && self.configs == other.configs
    }

    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.configs.len()).unwrap_or(u32::MAX)
    }
}

impl Running {
    /// Starts every task.
    pub(crate) fn start(
        shared: &Shared,
        spec: ConnectorSpec,
        plan: Plan,
        paused: bool,
    ) -> Result<Self> {
        let tasks = (0..plan.count())
            .map(|task| Task::start(shared, &spec.name, &plan, task, paused))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            spec,
            plan,
            tasks: RwLock::new(tasks),
        })
    }

    /// Ends one task and starts it again; one that does not exist is passed over.
    pub(crate) async fn restart(
        &self,
        shared: &Shared,
        task: u32,
        paused: bool,
        by: Instant,
    ) -> Result<()> {
        let at = usize::try_from(task).unwrap_or(usize::MAX);
        let Some(old) = self.tasks.read().get(at).cloned() else {
            return Ok(());
        };
        old.stop.cancel();
        old.end(by).await;
        let new = Task::start(shared, &self.spec.name, &self.plan, task, paused)?;
        if let Some(slot) = self.tasks.write().get_mut(at) {
            *slot = new;
        }
        Ok(())
    }

    /// Asks every task to stop.
    pub(crate) fn stop(&self) {
        self.tasks.read().iter().for_each(|task| task.stop.cancel());
    }

    /// Waits for the tasks after [`Running::stop`], drops those that are not done by then, and names them.
    pub(crate) async fn end(&self, by: Instant) -> Vec<String> {
        let tasks: Vec<Arc<Task>> = self.tasks.read().clone();
        let mut dropped = Vec::new();
        for task in tasks {
            dropped.extend(task.end(by).await);
        }
        dropped
    }

    /// Every task's outside, in the order of their numbers.
    pub(crate) fn monitors(&self) -> Vec<Arc<Monitor>> {
        let tasks = self.tasks.read();
        tasks.iter().map(|task| Arc::clone(&task.monitor)).collect()
    }
}

impl Resolved {
    /// The connector's settings with its name and the log's id.
    pub(crate) fn identified(&self, name: &str, cluster_id: &str) -> Config {
        let mut settings = self.config.settings().clone();
        settings.insert(keys::NAME.name().to_owned(), name.to_owned());
        settings.insert(keys::CLUSTER_ID.to_owned(), cluster_id.to_owned());
        Config::new(settings).confined(self.config.files().clone())
    }
}

impl Task {
    fn start(
        shared: &Shared,
        name: &str,
        plan: &Plan,
        task: u32,
        paused: bool,
    ) -> Result<Arc<Self>> {
        let at = usize::try_from(task).unwrap_or(usize::MAX);
        let config = Config::new(plan.configs.get(at).cloned().unwrap_or_default());
        let config = config.confined(plan.resolved.config.files().clone());
        let metrics = shared.metrics.task(name, task);
        let monitor = Monitor::new(name.into(), task, metrics, paused);
        let stop = CancellationToken::new();
        let mut running = JoinSet::new();
        launch(
            shared,
            &plan.resolved,
            (config, plan.count()),
            (Arc::clone(&monitor), stop.clone()),
            &mut running,
        )?;
        Ok(Arc::new(Self {
            monitor,
            stop,
            running: tokio::sync::Mutex::new(running),
        }))
    }

    /// Waits until the task has ended, or drops it then and names it.
    async fn end(&self, by: Instant) -> Option<String> {
        let mut running = self.running.lock().await;
        while let Ok(Some(_)) = tokio::time::timeout_at(by, running.join_next()).await {}
        if running.is_empty() {
            return None;
        }
        // I5: dropping it is no success, and I10: its writers are fenced by whoever comes next.
        if tokio::time::timeout(DROP_WAIT, running.shutdown())
            .await
            .is_err()
        {
            running.detach_all();
        }
        if matches!(self.monitor.state(), State::Stopped | State::Failed) {
            return None;
        }
        self.monitor.scope().in_scope(|| {
            tracing::warn!(
                "task did not stop in time and was dropped: what it had not committed is read again"
            );
        });
        let Monitor {
            connector, task, ..
        } = &*self.monitor;
        Some(format!("{connector}-{task}"))
    }
}

fn launch(
    shared: &Shared,
    resolved: &Resolved,
    (config, tasks): (Config, u32),
    (monitor, stop): (Arc<Monitor>, CancellationToken),
    running: &mut JoinSet<()>,
) -> Result<()> {
    let backoff = Backoff::of(&resolved.framework)?;
    let scope = monitor.scope();
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
            let trying = keep_trying(monitor, backoff, stop, move || Arc::clone(&task).attempt());
            running.spawn(trying.instrument(scope));
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
            let trying = keep_trying(monitor, backoff, stop, move || Arc::clone(&task).attempt());
            running.spawn(trying.instrument(scope));
        }
    }
    Ok(())
}

/// Checks a connector's settings, placeholders filled in.
pub(crate) fn check(shared: &Shared, spec: &ConnectorSpec) -> Result<Resolved, Vec<Refusal>> {
    let refuse = |issues: Vec<Issue>| -> Vec<Refusal> {
        let refusal = |issue| Refusal {
            subject: Subject::Connector(spec.name.clone()),
            issue,
        };
        issues.into_iter().map(refusal).collect()
    };
    let settings = match &shared.settings.placeholders {
        Some(placeholders) => placeholders
            .resolve(&spec.settings, spec.author)
            .map_err(refuse)?,
        None => spec.settings.clone(),
    };
    let plugins = &shared.settings.plugins;
    // What a connector has to say about its settings is the connector's.
    let scope = scope::of_connector(&spec.name);
    let resolved = scope
        .in_scope(|| plugins.resolve(spec.kind, &spec.class, &settings))
        .map_err(refuse)?;
    match &shared.settings.placeholders {
        Some(placeholders) => resolved
            .confined(placeholders.files(spec.author))
            .map_err(refuse),
        None => Ok(resolved),
    }
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
