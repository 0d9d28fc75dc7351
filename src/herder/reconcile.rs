//! The supervisor of one connector: looks at what is wanted, brings it about, looks again.

use super::connector::{Connector, Order, Restart, Stored};
use crate::{
    logging::scope,
    state::TargetState,
    task::{ErrorReport, State},
    worker::{Plan, Running, Shared},
};
use std::{sync::Arc, time::Duration};
use tapline_sdk::Result;
use tokio::time::Instant;
use tracing::Instrument;

/// How long tasks have to end when their connector is changed: as long as a stop of the worker, because what is in
/// flight is the same.
const CHANGE_DEADLINE: Duration = Duration::from_secs(30);

/// Starts a connector's supervisor, once.
pub(crate) fn oversee(shared: &Arc<Shared>, connector: &Arc<Connector>) {
    if connector.claim_supervision() {
        let supervision = supervise(Arc::clone(shared), Arc::clone(connector));
        tokio::spawn(supervision.instrument(scope::of_connector(&connector.name)));
    }
}

async fn supervise(shared: Arc<Shared>, connector: Arc<Connector>) {
    let mut revisions = connector.revisions();
    let closing = shared.closing.clone();
    loop {
        revisions.mark_unchanged();
        let dealt_with = tokio::select! {
            biased;
            () = closing.cancelled() => return,
            revision = reconcile(&shared, &connector) => revision,
        };
        connector.settle(dealt_with);
        if leave(&shared, &connector) {
            return;
        }
        tokio::select! {
            biased;
            () = closing.cancelled() => return,
            _changed = revisions.changed() => {}
        }
    }
}

/// Takes a deleted connector off the list.
fn leave(shared: &Shared, connector: &Connector) -> bool {
    let mut connectors = shared.connectors.lock();
    let left = connector.stored().is_none() && connector.leave();
    if left {
        connectors.remove(&*connector.name);
    }
    left
}

/// Brings about what is wanted, and returns the revision of it.
async fn reconcile(shared: &Shared, connector: &Connector) -> u64 {
    let _gate = connector.gate.lock().await;
    let (revision, order) = connector.order();
    if order.anew {
        halt(connector).await;
        shared.metrics.forget(&connector.name);
        connector.enter(State::Unassigned, None);
    }
    let Order {
        stored: Some(stored),
        restart,
        ..
    } = order
    else {
        return revision;
    };
    let paused = stored.target == TargetState::Paused;
    let never_ran = stored.tasks == 0 && connector.running().is_none();
    if stored.target == TargetState::Stopped {
        halt(connector).await;
        connector.enter(State::Stopped, None);
    } else if paused && never_ran {
        connector.enter(State::Paused, None);
    } else {
        let outcome = bring_up(shared, connector, stored, restart, paused).await;
        judge(shared, connector, outcome, paused);
    }
    revision
}

fn judge(shared: &Shared, connector: &Connector, outcome: Result<()>, paused: bool) {
    match outcome {
        Ok(()) if paused => connector.enter(State::Paused, None),
        Ok(()) => connector.enter(State::Running, None),
        Err(error) => {
            tracing::error!(
                error = %error.chain(),
                code = error.code,
                remedy = error.remedy,
                "connector failed"
            );
            shared.metrics.startups().connector(false);
            connector.enter(State::Failed, Some(ErrorReport::of(&error)));
        }
    }
}

/// Starts what does not run, restarts what differs or is asked for, pauses or lets go on.
async fn bring_up(
    shared: &Shared,
    connector: &Connector,
    stored: Stored,
    restart: Restart,
    paused: bool,
) -> Result<()> {
    let current = connector.running();
    let as_stored = |running: &Arc<Running>| {
        let (now, then) = (&running.spec, &stored.spec);
        now.settings == then.settings && now.author == then.author
    };
    let asked = restart.connector || !restart.tasks.is_empty();
    if let Some(running) = &current {
        running
            .monitors()
            .iter()
            .for_each(|task| task.set_paused(paused));
        if !asked && as_stored(running) && connector.state() != State::Failed {
            return Ok(());
        }
    }
    // Placeholders are filled in anew: a secret may have changed. Tasks that run stay if this fails.
    let plan = Plan::of(shared, &stored.spec)?;
    for warning in &plan.resolved.warnings {
        tracing::warn!(warning, "setting is ignored");
    }
    let tasks = plan.count();
    match current.filter(|running| running.plan.equals(&plan)) {
        Some(running) => {
            for task in restart.tasks {
                let by = Instant::now() + CHANGE_DEADLINE;
                running.restart(shared, task, paused, by).await?;
            }
        }
        None => {
            let before = connector.running().map(|running| running.plan.count());
            halt(connector).await;
            if before.is_some_and(|before| before > tasks) {
                shared.metrics.forget(&connector.name);
            }
            start(shared, connector, stored.spec, plan, paused)?;
        }
    }
    if tasks != stored.tasks {
        remember_tasks(shared, connector, tasks).await?;
    }
    Ok(())
}

fn start(
    shared: &Shared,
    connector: &Connector,
    spec: crate::worker::ConnectorSpec,
    plan: Plan,
    paused: bool,
) -> Result<()> {
    let (class, tasks) = (plan.resolved.class, plan.count());
    connector.run(|| {
        if shared.closing.is_cancelled() {
            return Ok(None);
        }
        Running::start(shared, spec, plan, paused).map(Some)
    })?;
    shared.metrics.startups().connector(true);
    tracing::info!(class, tasks, "connector started");
    Ok(())
}

/// A connector that is paused at the next start of the worker has as many tasks as now.
async fn remember_tasks(shared: &Shared, connector: &Connector, tasks: u32) -> Result<()> {
    let _storing = connector.storing.lock().await;
    let stopped = |stored: Stored| stored.target == TargetState::Stopped;
    if connector.stored().is_none_or(stopped) {
        return Ok(());
    }
    shared.configs.set_tasks(&connector.name, tasks).await?;
    connector.remember_tasks(tasks);
    Ok(())
}

/// Ends a connector's tasks, whatever it takes. The gate is the caller's.
pub(crate) async fn halt(connector: &Connector) {
    let Some(running) = connector.running() else {
        return;
    };
    running.stop();
    // Those that had to be dropped say so themselves.
    let _dropped = running.end(Instant::now() + CHANGE_DEADLINE).await;
    connector.ended();
}
