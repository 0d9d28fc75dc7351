//! Connectors of pipeline files: check all, store all, then start. And what a worker begins with.

use super::{Connector, Refused, Stored, declare, oversee};
use crate::{
    plugins::{Resolved, keys},
    state::TargetState,
    worker::{
        ApplyError, Author, ConnectorSpec, Refusal, Shared, Subject, TopicSpec, Worker, check,
    },
};
use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
};
use tapline_sdk::Issue;

impl Worker {
    /// Checks all specs, stores them in `connect-configs` and starts them, and with them every stored connector that
    /// is not among them. A connector of the same name with other settings is restarted with the new ones; one with
    /// the same settings goes on; the state that each was left in stays. Nothing is stored or started if any is
    /// refused.
    ///
    /// # Errors
    /// Every refused key, or why the configs cannot be stored.
    pub async fn apply(&self, specs: Vec<ConnectorSpec>) -> Result<(), ApplyError> {
        self.apply_with(Vec::new(), specs).await
    }

    /// As [`Worker::apply`], with topics that are there before a connector starts.
    ///
    /// # Errors
    /// Every refused key, or why the topics or configs cannot be stored.
    pub async fn apply_with(
        &self,
        topics: Vec<TopicSpec>,
        specs: Vec<ConnectorSpec>,
    ) -> Result<(), ApplyError> {
        self.open_for_changes()?;
        let specs = specs.into_iter().map(complete).collect();
        let mut refusals = declare::refused(&*self.shared.log, &topics);
        let checked = check_all(&self.shared, specs).unwrap_or_else(|found| {
            refusals.extend(found);
            Vec::new()
        });
        if !refusals.is_empty() {
            return Err(ApplyError::Refused(refusals));
        }
        self.set_up(&topics).await?;
        let names: BTreeSet<&str> = checked.iter().map(|(spec, _)| spec.name.as_str()).collect();
        for name in self.names() {
            if !names.contains(name.as_str()) {
                tracing::warn!(
                    connector = name,
                    "connector is stored but was not asked for: it goes on as it is stored"
                );
            }
        }
        let mut changed = Vec::new();
        for (spec, _) in checked {
            changed.push(self.put(spec).await?);
        }
        self.begin();
        for (connector, revision) in changed {
            self.shared.settled(&connector, revision).await?;
            // A connector that cannot be started says why by itself, and holds up nobody else.
        }
        Ok(())
    }

    /// Starts the stored connectors, each in its stored state.
    pub fn begin(&self) {
        for connector in self.shared.connectors() {
            connector.nudge();
            oversee(&self.shared, &connector);
        }
        self.shared.begun.store(true, Ordering::Release);
    }

    pub(super) async fn put(
        &self,
        spec: ConnectorSpec,
    ) -> Result<(Arc<Connector>, u64), ApplyError> {
        let shared = &self.shared;
        let name = spec.name.clone();
        let stored = shared.with_entry(&name, async |connector| {
            let before = connector.stored();
            let same = before
                .as_ref()
                .is_some_and(|before| same(&before.spec, &spec));
            let (target, tasks) =
                before.map_or((TargetState::Started, 0), |one| (one.target, one.tasks));
            let stored = Stored {
                spec: spec.clone(),
                target,
                tasks,
            };
            let _beginning = shared.sources.active.beginning().await;
            if !same {
                shared.write(&stored).await?;
            }
            Ok((Arc::clone(connector), connector.want(Some(stored))))
        });
        stored.await.map_err(|refused| match refused {
            Refused::Failed(error) => ApplyError::Failed(error),
            // `with_entry` refuses nothing else here.
            _ => ApplyError::Refused(Vec::new()),
        })
    }
}

impl Shared {
    /// What the log holds becomes the list of connectors; none of them starts.
    pub(crate) fn load(&self) {
        let mut connectors = self.connectors.lock();
        for (name, config) in self.configs.all() {
            let connector = Connector::new(&name);
            let author = match config.by_operator {
                true => Author::Operator,
                false => Author::Request,
            };
            connector.want(Some(Stored {
                spec: self.stored_spec(&name, config.properties, author),
                target: config.target,
                tasks: config.tasks,
            }));
            connectors.insert(name, connector);
        }
    }
}

fn same(before: &ConnectorSpec, after: &ConnectorSpec) -> bool {
    let what = |spec: &ConnectorSpec| (spec.kind, spec.author);
    what(before) == what(after) && before.class == after.class && before.settings == after.settings
}

/// Settings of a file say name and class beside the keys; everywhere else they are keys.
pub(super) fn complete(mut spec: ConnectorSpec) -> ConnectorSpec {
    for (key, value) in [
        (keys::NAME.name(), &spec.name),
        (keys::CLASS.name(), &spec.class),
    ] {
        spec.settings.insert(key.to_owned(), value.clone());
    }
    spec
}

fn check_all(
    shared: &Shared,
    specs: Vec<ConnectorSpec>,
) -> Result<Vec<(ConnectorSpec, Resolved)>, Vec<Refusal>> {
    let mut checked: Vec<(ConnectorSpec, Resolved)> = Vec::new();
    let mut refusals = Vec::new();
    for spec in specs {
        if checked.iter().any(|(earlier, _)| earlier.name == spec.name) {
            refusals.push(Refusal {
                issue: Issue::new("name", "is given twice", "give each connector its own name"),
                subject: Subject::Connector(spec.name),
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
        Err(refusals)
    }
}
