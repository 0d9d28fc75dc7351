//! How starts of connectors and tasks ended.

use super::super::window::{Meter, Window};
use parking_lot::Mutex;
use std::time::Instant;

/// Every start of this worker that has succeeded or failed.
#[derive(Debug, Default)]
pub(crate) struct Startups {
    connectors: Mutex<Starts>,
    tasks: Mutex<Starts>,
}

#[derive(Debug, Default)]
struct Starts {
    succeeded: Meter,
    failed: Meter,
    recent: Window,
}

/// Starts of one kind so far, and the shares of the last minute.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ended {
    pub(super) attempts: f64,
    pub(super) succeeded: f64,
    pub(super) failed: f64,
    pub(super) success_share: f64,
    pub(super) failure_share: f64,
}

/// Both kinds at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reading {
    pub(super) connectors: Ended,
    pub(super) tasks: Ended,
}

impl Startups {
    /// A connector's tasks were made, or could not be.
    pub(crate) fn connector(&self, started: bool) {
        self.connectors.lock().ended(started);
    }

    /// A task reached its other system for the first time, or gave up before.
    pub(crate) fn task(&self, started: bool) {
        self.tasks.lock().ended(started);
    }

    pub(super) fn reading(&self) -> Reading {
        Reading {
            connectors: self.connectors.lock().reading(),
            tasks: self.tasks.lock().reading(),
        }
    }
}

impl Starts {
    fn ended(&mut self, started: bool) {
        let now = Instant::now();
        let count = match started {
            true => &mut self.succeeded,
            false => &mut self.failed,
        };
        count.add(now, 1);
        self.recent.observe(now, f64::from(u8::from(started)));
    }

    fn reading(&self) -> Ended {
        let (success_share, failure_share) = self.recent.shares(Instant::now());
        let (succeeded, failed) = (self.succeeded.total(), self.failed.total());
        Ended {
            attempts: succeeded + failed,
            succeeded,
            failed,
            success_share,
            failure_share,
        }
    }
}
