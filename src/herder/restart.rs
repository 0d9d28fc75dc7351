//! Restarts that somebody asks for (KIP-745).

use super::{Connector, Refused, connector::Restart, stage::during};
use crate::{
    state::TargetState,
    task::State,
    worker::{ConnectorStatus, Worker},
};
use std::sync::Arc;
use tapline_sdk::Result;

impl Worker {
    /// Restarts all tasks of a connector, FAILED ones included; secrets are read anew. Done on return.
    ///
    /// # Errors
    /// There is no such connector, or its settings do not hold any more.
    pub async fn restart(&self, connector: &str) -> Result<()> {
        self.open_for_changes()?;
        let entry = self.connector(connector)?;
        let revision = entry.want_restart(Restart {
            connector: true,
            tasks: numbers(&entry),
        });
        self.shared.settled(&entry, revision).await
    }

    /// Restarts the connector without its tasks: its settings are read and parted anew, and tasks follow only if that
    /// comes to something else. Done on return. A connector that is not to run stays as it is.
    ///
    /// # Errors
    /// There is no such connector, or it cannot be started.
    pub async fn restart_connector(&self, name: &str) -> Result<(), Refused> {
        self.open_for_changes()?;
        let connector = self.shared.find(name).ok_or(Refused::Unknown)?;
        let stored = connector.stored().ok_or(Refused::Unknown)?;
        if stored.target != TargetState::Started {
            return Ok(());
        }
        let revision = connector.want_restart(Restart {
            connector: true,
            ..Restart::default()
        });
        let started = self.shared.settled(&connector, revision);
        during("starting the connector", started).await?;
        match connector.state() {
            State::Failed => Err(Refused::NotStarted),
            _ => Ok(()),
        }
    }

    /// Asks for a restart of what is selected, and returns the status in which that is RESTARTING, still with the error
    /// for which it is.
    ///
    /// # Errors
    /// There is no such connector.
    pub fn restart_selected(
        &self,
        name: &str,
        include_tasks: bool,
        only_failed: bool,
    ) -> Result<ConnectorStatus, Refused> {
        self.open_for_changes()?;
        let connector = self.shared.find(name).ok_or(Refused::Unknown)?;
        let mut status = connector.status().ok_or(Refused::Unknown)?;
        let selected = |state: State| !only_failed || state == State::Failed;
        let mut restart = Restart::default();
        if selected(status.own.state) {
            restart.connector = true;
            status.own.state = State::Restarting;
        }
        for task in status.tasks.iter_mut().filter(|_| include_tasks) {
            if selected(task.state) {
                restart.tasks.insert(task.id);
                task.state = State::Restarting;
            }
        }
        if restart != Restart::default() {
            connector.want_restart(restart);
        }
        Ok(status)
    }

    /// Restarts one task; false if there is none of this number. Done on return.
    ///
    /// # Errors
    /// There is no such connector, or its settings do not hold any more.
    pub async fn restart_task(&self, name: &str, task: u32) -> Result<bool, Refused> {
        self.open_for_changes()?;
        let connector = self.shared.find(name).ok_or(Refused::Unknown)?;
        if !numbers(&connector).contains(&task) {
            return Ok(false);
        }
        let revision = connector.want_restart(Restart {
            connector: false,
            tasks: [task].into(),
        });
        let started = self.shared.settled(&connector, revision);
        during("restarting a task of the connector", started).await?;
        Ok(true)
    }
}

/// The numbers of the tasks that run.
fn numbers(connector: &Arc<Connector>) -> std::collections::BTreeSet<u32> {
    let running = connector.running();
    let monitors = running.iter().flat_map(|running| running.monitors());
    monitors.map(|task| task.task).collect()
}
