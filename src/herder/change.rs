//! Changes of connectors: checked, stored durably, then left to the supervisor.

use super::{Connector, ConnectorInfo, Stored, oversee, secrets, stage::during, view::likely_kind};
use crate::{
    config::gate::ConnectorLimits,
    plugins::{self, Given, Resolved, Validated, keys},
    state::{ConnectorConfig, TargetState},
    worker::{Author, ConnectorSpec, Shared, Worker},
};
use std::{collections::BTreeMap, sync::Arc};
use tapline_sdk::{Error, Issue, Result};

/// Why a change was not made.
#[derive(Debug)]
pub enum Refused {
    /// There is no such connector.
    Unknown,
    /// There is one already.
    Exists,
    /// No connector has this class; what has.
    UnknownClass(String, Vec<String>),
    /// What is wrong with its settings.
    Invalid(Vec<Issue>),
    /// The same, key by key, as a client is told.
    NotValid(String),
    /// Its offsets can be changed only while it is STOPPED.
    NotStopped,
    /// It was to be started and could not be.
    NotStarted,
    /// Anything else.
    Failed(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A change of one connector: who makes it holds the connector's `storing`.
pub(super) struct Change<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) connector: &'a Arc<Connector>,
}

impl Worker {
    /// Gives a connector these settings, or creates it; true if it did. A value that is the mask of a stored secret
    /// keeps the secret.
    ///
    /// # Errors
    /// The settings do not hold, or cannot be stored.
    pub async fn configure(
        &self,
        name: &str,
        config: BTreeMap<String, String>,
    ) -> Result<(ConnectorInfo, bool), Refused> {
        self.open_for_changes()?;
        self.shared.check_name(name)?;
        let shared = &self.shared;
        shared
            .with_entry(name, async |connector| {
                let before = connector.stored();
                let config = named(name, config.clone());
                let info = Change { shared, connector }
                    .replace(before.as_ref(), config)
                    .await?;
                Ok((info, before.is_none()))
            })
            .await
    }

    /// Changes some settings of a connector; `None` removes one.
    ///
    /// # Errors
    /// There is no such connector, the settings do not hold then, or cannot be stored.
    pub async fn patch(
        &self,
        name: &str,
        changes: BTreeMap<String, Option<String>>,
    ) -> Result<ConnectorInfo, Refused> {
        self.open_for_changes()?;
        let shared = &self.shared;
        let connector = shared.find(name).ok_or(Refused::Unknown)?;
        let _storing = connector.storing.lock().await;
        let before = connector.stored().ok_or(Refused::Unknown)?;
        let mut config = before.spec.settings.clone();
        for (key, value) in changes {
            match value {
                Some(value) => _ = config.insert(key, value),
                None => _ = config.remove(&key),
            }
        }
        let connector = &connector;
        let change = Change { shared, connector };
        change.replace(Some(&before), named(name, config)).await
    }

    /// Stores what a connector is to be; its supervisor brings it about.
    ///
    /// # Errors
    /// There is no such connector, or the state cannot be stored.
    pub async fn set_target(&self, name: &str, target: TargetState) -> Result<(), Refused> {
        self.open_for_changes()?;
        let connector = self.shared.find(name).ok_or(Refused::Unknown)?;
        let _storing = connector.storing.lock().await;
        let mut stored = connector.stored().ok_or(Refused::Unknown)?;
        let written = self.shared.configs.set_target(name, target);
        during(
            "writing the connector's target state to connect-configs",
            written,
        )
        .await?;
        stored.target = target;
        if target == TargetState::Stopped {
            stored.tasks = 0;
        }
        connector.want(Some(stored));
        tracing::info!(
            connector = name,
            ?target,
            "connector's target state changed"
        );
        Ok(())
    }

    /// Forgets a connector: its tasks, settings and states. Its offsets stay, as in Kafka Connect: the same name goes
    /// on where it was. Its tasks end afterwards.
    ///
    /// # Errors
    /// There is no such connector, or the log refuses.
    pub async fn remove(&self, name: &str) -> Result<(), Refused> {
        self.removing(name).await.map(drop)
    }

    /// As [`Worker::remove`], and waits until its tasks have ended.
    ///
    /// # Errors
    /// There is no such connector, or the log refuses.
    pub async fn delete(&self, connector: &str) -> Result<()> {
        match self.removing(connector).await {
            Ok((entry, revision)) => self.shared.settled(&entry, revision).await,
            Err(Refused::Failed(error)) => Err(error),
            Err(_unknown) => self.connector(connector).map(drop),
        }
    }

    pub(super) async fn removing(&self, name: &str) -> Result<(Arc<Connector>, u64), Refused> {
        self.open_for_changes()?;
        let connector = self.shared.find(name).ok_or(Refused::Unknown)?;
        let storing = connector.storing.lock().await;
        if connector.stored().is_none() {
            return Err(Refused::Unknown);
        }
        let written = self.shared.configs.remove(name);
        during(
            "removing the connector's settings from connect-configs",
            written,
        )
        .await?;
        let revision = connector.want(None);
        drop(storing);
        // It leaves the list, which it could not while it was held.
        connector.nudge();
        oversee(&self.shared, &connector);
        self.shared.sources.active.reset(name).await?;
        tracing::info!(connector = name, "connector deleted");
        Ok((connector, revision))
    }

    pub(crate) fn open_for_changes(&self) -> Result<()> {
        if !self.shared.closing.is_cancelled() {
            return Ok(());
        }
        Err(stopping())
    }
}

fn stopping() -> Error {
    Error::config("the worker stops")
        .code("TL0513")
        .remedy("start it again")
}

impl Shared {
    /// Waits until a connector's supervisor has dealt with a change.
    pub(crate) async fn settled(&self, connector: &Connector, revision: u64) -> Result<()> {
        tokio::select! {
            biased;
            () = connector.settled(revision) => Ok(()),
            () = self.closing.cancelled() => Err(stopping()),
        }
    }

    /// Does something with a name's entry, made if there is none, while nobody else changes it.
    pub(super) async fn with_entry<T>(
        self: &Arc<Self>,
        name: &str,
        work: impl AsyncFnOnce(&Arc<Connector>) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let (connector, storing) = loop {
            let connector = self.entry(name)?;
            let storing = Arc::clone(&connector.storing).lock_owned().await;
            if !connector.is_gone() {
                break (connector, storing);
            }
        };
        let outcome = work(&connector).await;
        drop(storing);
        if connector.stored().is_none() {
            // An entry that came to nothing leaves the list, which it could not while it was held.
            connector.nudge();
        }
        oversee(self, &connector);
        outcome
    }

    fn entry(&self, name: &str) -> Result<Arc<Connector>> {
        let mut connectors = self.connectors.lock();
        if let Some(connector) = connectors.get(name).filter(|one| !one.is_gone()) {
            return Ok(Arc::clone(connector));
        }
        let most = self.limits().count;
        if connectors.len() >= most {
            return Err(Error::config(format!("there are {most} connectors"))
                .code("TL0515")
                .remedy(
                    "delete those that are not needed, or raise connectors.max of the worker",
                ));
        }
        let connector = Connector::new(name);
        connectors.insert(name.to_owned(), Arc::clone(&connector));
        Ok(connector)
    }

    /// The connector that settings describe, checked; connects where the product whose class it names does. Everything
    /// that REST stores comes through here.
    pub(super) async fn checked(
        &self,
        name: &str,
        settings: BTreeMap<String, String>,
        author: Author,
    ) -> Result<(ConnectorSpec, Resolved), Refused> {
        let given = settings.iter();
        let given = given.map(|(key, value)| (key.clone(), Some(value.clone())));
        let given: Given = given.collect();
        let Some(class) = settings.get(keys::CLASS.name()).cloned() else {
            return Err(plugins::no_class(&given).into());
        };
        let Some(kind) = self.kind_of(&class, &settings) else {
            let known = self.settings.plugins.all().map(|plugin| plugin.info());
            return Err(Refused::UnknownClass(
                class,
                known.map(|info| info.class.to_owned()).collect(),
            ));
        };
        let spec = ConnectorSpec {
            name: name.to_owned(),
            kind,
            class,
            settings,
            origin: None,
            author,
        };
        let placeholders = self.settings.placeholders.as_deref();
        let plugins = &self.settings.plugins;
        let Validated { infos, resolved } = plugins.examine(&given, placeholders, author).await?;
        let resolved =
            resolved.ok_or_else(|| Refused::NotValid(infos.refusal().unwrap_or_default()))?;
        Ok((spec, resolved))
    }

    /// A connector as it stands in the log.
    pub(super) fn stored_spec(
        &self,
        name: &str,
        settings: BTreeMap<String, String>,
        author: Author,
    ) -> ConnectorSpec {
        let class = settings.get(keys::CLASS.name()).cloned();
        let class = class.unwrap_or_default();
        ConnectorSpec {
            name: name.to_owned(),
            // A class that this binary does not know: its check will fail and say so.
            kind: self
                .kind_of(&class, &settings)
                .unwrap_or_else(|| likely_kind(&settings)),
            class,
            settings,
            origin: None,
            author,
        }
    }
}

impl Change<'_> {
    /// New settings for a connector that may exist; its state stays.
    async fn replace(
        &self,
        before: Option<&Stored>,
        config: BTreeMap<String, String>,
    ) -> Result<ConnectorInfo, Refused> {
        let class = config.get(keys::CLASS.name()).cloned().unwrap_or_default();
        let definitions = self.shared.definitions(&class);
        let config = match before {
            Some(before) => secrets::unmasked(&definitions, config, &before.spec.settings),
            None => config,
        };
        known_secrets(&config, before.map(|before| &before.spec.settings))?;
        // Who changes an operator's settings becomes their author: a password that only the operator may read must not
        // follow a new address. What stays as it is stays the operator's.
        let author = match before {
            Some(before) if before.spec.settings == config => before.spec.author,
            _ => Author::Request,
        };
        let name = &self.connector.name;
        let (spec, resolved) = self.shared.checked(name, config, author).await?;
        let (target, tasks) =
            before.map_or((TargetState::Started, 0), |one| (one.target, one.tasks));
        self.store(spec, &resolved, target, tasks).await
    }

    /// Makes it durable, then wanted.
    pub(super) async fn store(
        &self,
        spec: ConnectorSpec,
        resolved: &Resolved,
        target: TargetState,
        tasks: u32,
    ) -> Result<ConnectorInfo, Refused> {
        let Self { shared, connector } = self;
        let stored = Stored {
            spec,
            target,
            tasks,
        };
        let _beginning = shared.sources.active.beginning().await;
        shared.write(&stored).await?;
        tracing::info!(connector = %connector.name, class = resolved.class, "connector stored");
        let info = shared.info(connector, &stored);
        connector.want(Some(stored));
        Ok(info)
    }
}

impl Shared {
    /// Stores a connector, secrets sealed (I9), durable on return.
    pub(super) async fn write(&self, stored: &Stored) -> Result<()> {
        let Stored {
            spec,
            target,
            tasks,
        } = stored;
        let definitions = self.definitions(&spec.class);
        let sealed = secrets::sealed(&definitions, &spec.settings);
        let config = ConnectorConfig {
            properties: spec.settings.clone(),
            target: *target,
            tasks: *tasks,
            by_operator: spec.author == Author::Operator,
        };
        let written = self.configs.put(&spec.name, config, &sealed);
        during(
            "writing the connector's settings to connect-configs",
            written,
        )
        .await
    }
}

/// Settings with the name that they are stored under.
pub(super) fn named(name: &str, mut config: BTreeMap<String, String>) -> BTreeMap<String, String> {
    config.insert(keys::NAME.name().to_owned(), name.to_owned());
    config
}

pub(super) fn known_secrets(
    config: &BTreeMap<String, String>,
    stored: Option<&BTreeMap<String, String>>,
) -> Result<(), Refused> {
    let left = secrets::left_masked(config, stored);
    if left.is_empty() {
        return Ok(());
    }
    Err(Refused::Invalid(left))
}

impl Shared {
    pub(super) fn limits(&self) -> ConnectorLimits {
        self.limits.get().copied().unwrap_or_default()
    }

    pub(super) fn check_name(&self, name: &str) -> Result<(), Refused> {
        let longest = self.limits().name_chars;
        let problem = if name.trim().is_empty() {
            "may not be empty".to_owned()
        } else if name.chars().any(char::is_control) {
            "may not contain control characters".to_owned()
        } else if name.chars().count() > longest {
            format!("is longer than {longest} characters")
        } else if name == "." || name == ".." {
            "cannot stand in an address".to_owned()
        } else {
            return Ok(());
        };
        let remedy = "choose another name";
        Err(Refused::Invalid(vec![Issue::new("name", problem, remedy)]))
    }
}
