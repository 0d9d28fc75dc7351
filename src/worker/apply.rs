//! Connectors come and change: check all, store all, then start.

use super::{
    ApplyError, ConnectorSpec, Refusal, Shared, Worker,
    running::{Running, check},
};
use crate::{
    plugins::{Resolved, keys},
    state::{ConnectorConfig, TargetState},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tapline_sdk::{Error, Issue, Kind, Result};
use tokio::time::Instant;

/// How long tasks have to end when their connector is changed: as long as a stop of the worker, because what is in
/// flight is the same.
pub(super) const CHANGE_DEADLINE: Duration = Duration::from_secs(30);

/// Keys are secret by their type; these are where a connector's type does not say so.
const SECRET_WORDS: [&str; 3] = ["password", "secret", "token"];

impl Worker {
    /// Checks all specs, stores them in `connect-configs` and starts them. A connector of the same name with other
    /// settings is restarted with the new ones; one with the same settings goes on. Nothing is stored or started if
    /// any is refused.
    ///
    /// # Errors
    /// Every refused key, or why the configs cannot be stored.
    pub async fn apply(&self, specs: Vec<ConnectorSpec>) -> Result<(), ApplyError> {
        let _changing = self.shared.changing.lock().await;
        self.open_for_changes()?;
        let checked = check_all(&self.shared, specs)?;
        let names: BTreeSet<&str> = checked.iter().map(|(spec, _)| spec.name.as_str()).collect();
        for name in self.shared.configs.all().keys() {
            if !names.contains(name.as_str()) && self.connector(name).is_err() {
                tracing::warn!(
                    connector = name,
                    "connector is stored but was not asked for: it is kept and not started"
                );
            }
        }
        for (spec, resolved) in checked {
            self.put(spec, resolved).await?;
        }
        Ok(())
    }

    /// Restarts the tasks of a connector, FAILED ones included; secrets are read anew.
    ///
    /// # Errors
    /// There is no such connector, or its settings do not hold any more.
    pub async fn restart(&self, connector: &str) -> Result<()> {
        let _changing = self.shared.changing.lock().await;
        self.open_for_changes()?;
        let running = self.connector(connector)?;
        self.start_again(running, async || Ok(())).await
    }

    /// Forgets a connector: its tasks, settings and series. Its offsets stay, as in Kafka Connect: the same name goes
    /// on where it was.
    ///
    /// # Errors
    /// There is no such connector, or the log refuses.
    pub async fn delete(&self, connector: &str) -> Result<()> {
        let _changing = self.shared.changing.lock().await;
        self.open_for_changes()?;
        let running = self.connector(connector)?;
        self.halt(&running).await;
        self.shared.configs.remove(connector).await?;
        self.shared.connectors.lock().remove(connector);
        self.shared.metrics.forget(connector);
        tracing::info!(connector, "connector deleted");
        Ok(())
    }

    /// Stops a connector's tasks, does `between`, and starts them again whatever it came to.
    pub(super) async fn start_again(
        &self,
        running: Arc<Running>,
        between: impl AsyncFnOnce() -> Result<()>,
    ) -> Result<()> {
        self.halt(&running).await;
        let outcome = between().await;
        let spec = running.spec.clone();
        let resolved = check(&self.shared, &spec).map_err(|refusals| {
            let text = ApplyError::Refused(refusals).to_string();
            Error::config(format!("cannot start connector {}: {text}", spec.name))
                .code("TL0110")
                .remedy("correct its settings and apply them again")
        })?;
        self.start(spec, resolved)?;
        outcome
    }

    /// Ends a connector's tasks, whatever it takes.
    pub(super) async fn halt(&self, running: &Running) {
        running.stop.cancel();
        let dropped = running.end(Instant::now() + CHANGE_DEADLINE).await;
        for task in dropped {
            tracing::warn!(task, "task did not stop in time and was dropped");
        }
    }

    pub(super) fn open_for_changes(&self) -> Result<()> {
        if !self.shared.closing.is_cancelled() {
            return Ok(());
        }
        Err(Error::config("the worker stops")
            .code("TL0513")
            .remedy("start it again"))
    }

    async fn put(&self, spec: ConnectorSpec, resolved: Resolved) -> Result<()> {
        for warning in &resolved.warnings {
            tracing::warn!(connector = spec.name, warning, "setting is ignored");
        }
        let current = self.shared.connectors.lock().get(&spec.name).cloned();
        if current.as_ref().is_some_and(|one| one.spec == spec) {
            return Ok(());
        }
        self.store(&spec, &resolved).await?;
        if let Some(current) = current {
            self.halt(&current).await;
        }
        self.start(spec, resolved)
    }

    fn start(&self, spec: ConnectorSpec, resolved: Resolved) -> Result<()> {
        let name = spec.name.clone();
        let running = Running::start(&self.shared, spec, resolved)?;
        tracing::info!(
            connector = name,
            class = running.resolved.class,
            "connector started"
        );
        self.shared
            .connectors
            .lock()
            .insert(name, Arc::new(running));
        Ok(())
    }

    async fn store(&self, spec: &ConnectorSpec, resolved: &Resolved) -> Result<()> {
        let mut properties = spec.settings.clone();
        properties.insert(keys::NAME.name().to_owned(), spec.name.clone());
        properties.insert(keys::CLASS.name().to_owned(), spec.class.clone());
        let stored = self.shared.configs.all();
        let target = stored
            .get(&spec.name)
            .map_or(TargetState::Started, |one| one.target);
        let config = ConnectorConfig { properties, target };
        if stored.get(&spec.name) == Some(&config) {
            return Ok(());
        }
        let secret = secrets(&config.properties, resolved);
        self.shared
            .configs
            .put(&spec.name, config.clone(), &secret)
            .await
    }
}

/// Keys whose values are sealed (I9): passwords by type, by name, and URLs, which may hold a password.
fn secrets<'a>(properties: &'a BTreeMap<String, String>, resolved: &Resolved) -> Vec<&'a str> {
    let info = resolved.plugin.info();
    let is_secret = |key: &str, value: &str| {
        let typed = info
            .keys
            .iter()
            .any(|definition| definition.covers(key) && definition.kind == Kind::Password);
        typed
            || SECRET_WORDS.iter().any(|word| key.contains(word))
            || (value.contains("://") && value.contains('@'))
    };
    properties
        .iter()
        .filter(|(key, value)| is_secret(key, value))
        .map(|(key, _)| key.as_str())
        .collect()
}

fn check_all(
    shared: &Shared,
    specs: Vec<ConnectorSpec>,
) -> Result<Vec<(ConnectorSpec, Resolved)>, ApplyError> {
    let mut checked: Vec<(ConnectorSpec, Resolved)> = Vec::new();
    let mut refusals = Vec::new();
    for spec in specs {
        if checked.iter().any(|(earlier, _)| earlier.name == spec.name) {
            refusals.push(Refusal {
                issue: Issue::new("name", "is given twice", "give each connector its own name"),
                connector: spec.name,
            });
            continue;
        }
        match check(shared, &spec) {
            Ok(resolved) => checked.push((spec, resolved)),
            Err(found) => refusals.extend(found),
        }
    }
    if refusals.is_empty() {
        Ok(checked)
    } else {
        Err(ApplyError::Refused(refusals))
    }
}
