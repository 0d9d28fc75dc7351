//! Creation of a connector, from its beginning or from offsets that it is given (KIP-995).

use super::{
    ConnectorInfo, Refused,
    change::{Change, known_secrets, named},
    stage::during,
};
use crate::{
    state::TargetState,
    worker::{Author, OffsetEntry, Worker},
};
use std::collections::BTreeMap;
use tapline_sdk::Result;

impl Worker {
    /// Creates a connector from its settings, `name` and `connector.class` among them, in this state.
    ///
    /// # Errors
    /// It exists, its settings do not hold, or it cannot be stored.
    pub async fn create(
        &self,
        name: &str,
        config: BTreeMap<String, String>,
        target: TargetState,
    ) -> Result<ConnectorInfo, Refused> {
        let created = self.create_at(name, config, target, Vec::new()).await;
        created.map(|(info, _)| info)
    }

    /// As [`Worker::create`], beginning at these offsets, which are stored before the connector is: none of its tasks
    /// starts elsewhere. True if the connector itself has changed them where it keeps them.
    ///
    /// # Errors
    /// It exists, its settings or offsets do not hold, or it cannot be stored.
    pub async fn create_at(
        &self,
        name: &str,
        config: BTreeMap<String, String>,
        target: TargetState,
        offsets: Vec<OffsetEntry>,
    ) -> Result<(ConnectorInfo, bool), Refused> {
        self.open_for_changes()?;
        let config = named(name, config);
        known_secrets(&config, None)?;
        let (spec, resolved) = self.shared.checked(name, config, Author::Request).await?;
        self.shared.check_name(name)?;
        if !offsets.is_empty() {
            self.predecessor_ends(name).await?;
        }
        let shared = &self.shared;
        shared
            .with_entry(name, async |connector| {
                if connector.stored().is_some() {
                    return Err(Refused::Exists);
                }
                let mut theirs = false;
                if !offsets.is_empty() {
                    let altered = self.alter(&spec, offsets);
                    theirs = during("altering the connector's offsets", altered).await?;
                }
                let change = Change { shared, connector };
                let info = change.store(spec.clone(), &resolved, target, 0).await?;
                Ok((info, theirs))
            })
            .await
    }

    /// Waits until the tasks of a deleted connector of this name have ended: they still store offsets.
    async fn predecessor_ends(&self, name: &str) -> Result<()> {
        let predecessor = self.shared.connectors.lock().get(name).cloned();
        let Some(predecessor) = predecessor.filter(|one| one.stored().is_none()) else {
            return Ok(());
        };
        let revision = predecessor.nudge();
        let ended = self.shared.settled(&predecessor, revision);
        during("stopping the connector's tasks", ended).await
    }
}
