//! A task is tried until it ends, fails for good or is stopped; the policy table decides which.
//!
//! Each attempt runs as a tokio task of its own, so that a connector that panics takes nobody with it.

use super::{Monitor, status::PANIC};
use crate::policy::{Action, Backoff, Failure, Phase};
use std::{any::Any, future::Future, sync::Arc};
use tapline_sdk::Error;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// What an attempt comes to.
pub(crate) type Attempt = Result<(), Failure>;

/// Tries until `attempt` ends in order, the table says FAILED, or `stop`. Dropping this future drops the attempt.
pub(crate) async fn keep_trying<F>(
    monitor: Arc<Monitor>,
    mut backoff: Backoff,
    stop: CancellationToken,
    mut attempt: impl FnMut() -> F,
) where
    F: Future<Output = Attempt> + Send + 'static,
{
    loop {
        let mut running = JoinSet::new();
        running.spawn(attempt().in_current_span());
        let outcome = match running.join_next().await {
            Some(joined) => ended(joined),
            None => Ok(()),
        };
        if monitor.take_progress() {
            backoff.progress();
        }
        let Err(failure) = outcome else {
            return monitor.stopped();
        };
        if !wait(&monitor, &mut backoff, &stop, failure).await {
            return;
        }
    }
}

/// Waits for the next attempt; false if there is to be none.
async fn wait(
    monitor: &Monitor,
    backoff: &mut Backoff,
    stop: &CancellationToken,
    failure: Failure,
) -> bool {
    if failure.action() == Action::Fail {
        monitor.failed(&failure.error);
        return false;
    }
    let Some(delay) = backoff.next(fastrand::f64()) else {
        monitor.failed(&exhausted(failure.error));
        return false;
    };
    monitor.restarting(
        &failure.error,
        i64::try_from(delay.as_millis()).unwrap_or(i64::MAX),
    );
    let due = async {
        tokio::time::sleep(delay).await;
        monitor.unpaused().await;
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {
            monitor.stopped();
            false
        }
        () = due => true,
    }
}

/// The error of a task that ran out of patience, under its own code.
pub(crate) fn exhausted(error: Error) -> Error {
    let remedy = error.remedy.clone().unwrap_or_default();
    Error::new(error.kind, "tried again in vain for errors.retry.timeout")
        .code("TL0510")
        .remedy(format!(
            "raise errors.retry.timeout (-1: for ever), or: {remedy}"
        ))
        .because(error)
}

/// What a spawned part came to; a panic is an error of that part.
pub(crate) fn ended(joined: Result<Attempt, JoinError>) -> Attempt {
    match joined {
        Ok(outcome) => outcome,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => Err(Failure::new(Phase::Run, panicked(&*panic))),
            // Aborted: only by whoever drops the whole task, who does not ask.
            Err(_) => Ok(()),
        },
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message");
    Error::fatal(format!("the connector panicked: {text}"))
        .code(PANIC)
        .remedy("this is a defect: report it with the message, then restart the connector")
}
