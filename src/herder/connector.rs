//! One connector: what it is to be, what it is, and how far the supervisor has come between the two.

use crate::{
    state::TargetState,
    task::{ErrorReport, State, now_ms},
    worker::{ConnectorSpec, ConnectorStatus, OwnStatus, Running},
};
use parking_lot::Mutex;
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::watch;

/// A connector that exists, is coming, or is going. The same name created again before its predecessor has ended
/// takes over this entry, so that two never run at once.
pub(crate) struct Connector {
    pub(crate) name: Arc<str>,
    /// Held while what is stored changes, so that log and memory keep one order. Never held while tasks are waited
    /// for.
    pub(crate) storing: Arc<tokio::sync::Mutex<()>>,
    /// Held while tasks are started or ended, and while the offsets of a stopped connector change.
    pub(crate) gate: tokio::sync::Mutex<()>,
    wanted: Mutex<Wanted>,
    actual: Mutex<Actual>,
    /// Counts changes of what is wanted.
    revision: watch::Sender<u64>,
    /// The revision that the supervisor has dealt with.
    settled: watch::Sender<u64>,
    supervised: AtomicBool,
}

/// A connector as it is stored.
#[derive(Clone)]
pub(crate) struct Stored {
    /// Its settings hold `name` and `connector.class`, as everywhere in Kafka Connect.
    pub(crate) spec: ConnectorSpec,
    pub(crate) target: TargetState,
    pub(crate) tasks: u32,
}

#[derive(Default)]
struct Wanted {
    /// `None`: not created yet, or deleted.
    stored: Option<Stored>,
    /// It was deleted and created again: whatever runs is its predecessor's.
    anew: bool,
    restart: Restart,
    /// Taken off the list: whoever still holds this entry looks the name up again.
    gone: bool,
}

/// What is to be restarted; requests add up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Restart {
    pub(crate) connector: bool,
    pub(crate) tasks: BTreeSet<u32>,
}

/// What a supervisor has to bring about.
pub(crate) struct Order {
    pub(crate) stored: Option<Stored>,
    pub(crate) anew: bool,
    pub(crate) restart: Restart,
}

struct Actual {
    running: Option<Arc<Running>>,
    own: OwnStatus,
}

impl Connector {
    pub(crate) fn new(name: &str) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            storing: Arc::default(),
            gate: tokio::sync::Mutex::default(),
            wanted: Mutex::default(),
            actual: Mutex::new(Actual {
                running: None,
                own: OwnStatus {
                    state: State::Unassigned,
                    since_ms: now_ms(),
                    error: None,
                },
            }),
            revision: watch::Sender::new(0),
            settled: watch::Sender::new(0),
            supervised: AtomicBool::new(false),
        })
    }

    /// What is stored; `None` while it does not exist.
    pub(crate) fn stored(&self) -> Option<Stored> {
        self.wanted.lock().stored.clone()
    }

    /// Changes what is wanted, after it is durable; returns the revision that settles it.
    pub(crate) fn want(&self, stored: Option<Stored>) -> u64 {
        let mut wanted = self.wanted.lock();
        if stored.is_none() {
            wanted.anew = true;
            wanted.restart = Restart::default();
        }
        wanted.stored = stored;
        self.rise()
    }

    /// The number of tasks, for the next start; changes nothing that runs.
    pub(crate) fn remember_tasks(&self, tasks: u32) {
        if let Some(stored) = &mut self.wanted.lock().stored {
            stored.tasks = tasks;
        }
    }

    /// Adds to what is to be restarted.
    pub(crate) fn want_restart(&self, more: Restart) -> u64 {
        let mut wanted = self.wanted.lock();
        wanted.restart.connector |= more.connector;
        wanted.restart.tasks.extend(more.tasks);
        self.rise()
    }

    /// Has the supervisor look again.
    pub(crate) fn nudge(&self) -> u64 {
        let _order = self.wanted.lock();
        self.rise()
    }

    fn rise(&self) -> u64 {
        self.revision.send_modify(|revision| *revision += 1);
        *self.revision.borrow()
    }

    pub(crate) fn revisions(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// What is to be done now; restarts are handed out once.
    pub(crate) fn order(&self) -> (u64, Order) {
        let mut wanted = self.wanted.lock();
        let order = Order {
            stored: wanted.stored.clone(),
            anew: std::mem::take(&mut wanted.anew),
            restart: std::mem::take(&mut wanted.restart),
        };
        (*self.revision.borrow(), order)
    }

    pub(crate) fn settle(&self, revision: u64) {
        self.settled.send_replace(revision);
    }

    /// Resolves once the supervisor has dealt with this revision.
    pub(crate) async fn settled(&self, revision: u64) {
        // The sender lives in here, so that waiting cannot fail.
        let mut settled = self.settled.subscribe();
        drop(settled.wait_for(|settled| *settled >= revision).await);
    }

    /// True for whoever asks first: the supervisor is theirs to start.
    pub(crate) fn claim_supervision(&self) -> bool {
        !self.supervised.swap(true, Ordering::SeqCst)
    }

    /// Marks it as taken off the list, if nobody has created it again meanwhile.
    pub(crate) fn leave(&self) -> bool {
        // Whoever creates it again holds this.
        let Ok(_storing) = self.storing.try_lock() else {
            return false;
        };
        let mut wanted = self.wanted.lock();
        wanted.gone = wanted.stored.is_none();
        wanted.gone
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.wanted.lock().gone
    }

    pub(crate) fn running(&self) -> Option<Arc<Running>> {
        self.actual.lock().running.clone()
    }

    /// Sets what runs, if `make` gives something.
    pub(crate) fn run<E>(
        &self,
        make: impl FnOnce() -> Result<Option<Running>, E>,
    ) -> Result<(), E> {
        // Under the lock, so that a worker that stops sees every task that was started before.
        let mut actual = self.actual.lock();
        if let Some(running) = make()? {
            actual.running = Some(Arc::new(running));
        }
        Ok(())
    }

    pub(crate) fn ended(&self) {
        self.actual.lock().running = None;
    }

    /// The connector itself is this now.
    pub(crate) fn enter(&self, state: State, error: Option<ErrorReport>) {
        let own = &mut self.actual.lock().own;
        if own.state != state {
            own.since_ms = now_ms();
        }
        own.state = state;
        own.error = error;
    }

    pub(crate) fn state(&self) -> State {
        self.actual.lock().own.state
    }

    /// As it stands; `None` while it does not exist.
    pub(crate) fn status(&self) -> Option<ConnectorStatus> {
        let spec = self.stored()?.spec;
        let actual = self.actual.lock();
        let running = actual.running.as_ref();
        let monitors = running.map(|running| running.monitors());
        let tasks = monitors.iter().flatten().map(|task| task.status());
        let class = running.map_or(&*spec.class, |running| running.plan.resolved.class);
        Some(ConnectorStatus::of(
            (&spec.name, spec.kind, class),
            actual.own.clone(),
            tasks.collect(),
            spec.origin,
        ))
    }
}
