//! A simulated machine for tests: disk, clock and randomness from one seed.
//!
//! The disk keeps apart what readers see and what a power cut leaves, per file and per name in a folder. It can make
//! the N-th operation of a kind fail, crash the process there, cut the power, and run out of space. The same seed and
//! the same calls give the same bytes, times and faults; [`SimDisk::trace`] proves it.

mod inode;
mod machine;
mod names;
mod process;
mod tests;

use super::Storage;
use machine::Machine;
use names::Node;
use parking_lot::Mutex;
use process::Process;
use std::{sync::Arc, time::Duration};

/// What goes wrong at the chosen operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Any operation but a sync fails; a write has written a part.
    Io,
    /// An operation that takes space finds none, once.
    NoSpace,
    /// A write takes only a part.
    ShortWrite,
    /// A sync fails: what it should have covered is lost in part.
    FailedSync,
    /// The process dies within the operation; every later one fails until [`SimDisk::restart`].
    Crash,
}

/// What is left of the machine's memory after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restart {
    /// The process was killed: the page cache is still there.
    Process,
    /// The power was cut: only what was synced is sure to be there.
    Power,
}

/// The simulated machine. Clones share it; [`SimDisk::fork`] does not.
#[derive(Debug, Clone)]
pub(crate) struct SimDisk {
    machine: Arc<Mutex<Machine>>,
}

/// Controls.
impl SimDisk {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            machine: Arc::new(Mutex::new(Machine::new(seed))),
        }
    }

    /// What a process that starts now has of the machine, until it is killed or the machine restarted.
    pub(crate) fn boot(&self) -> Arc<dyn Storage> {
        Arc::new(Process::new(&self.machine))
    }

    /// The same disk, going its own way from here, as after the restart of a process.
    pub(crate) fn fork(&self) -> Self {
        let mut machine = self.machine.lock().clone();
        machine.begin_life();
        Self {
            machine: Arc::new(Mutex::new(machine)),
        }
    }

    /// Strikes the `nth` operation from here, counting from 1, that the fault can strike. Replaces an earlier plan.
    pub(crate) fn fail(&self, fault: Fault, nth: u64) {
        let mut machine = self.machine.lock();
        machine.plan = Some((fault, nth));
        machine.struck = None;
    }

    /// Takes back a fault that has not struck.
    pub(crate) fn clear_fault(&self) {
        self.machine.lock().plan = None;
    }

    /// The operation that the planned fault struck.
    pub(crate) fn struck(&self) -> Option<String> {
        self.machine.lock().struck.clone()
    }

    /// Whether the process is dead.
    pub(crate) fn is_dead(&self) -> bool {
        self.machine.lock().dead
    }

    /// Kills the process between two operations.
    pub(crate) fn kill(&self) {
        self.machine.lock().dead = true;
    }

    /// A new process on what is left. Everything opened before fails from here on.
    pub(crate) fn restart(&self, how: Restart) {
        let mut machine = self.machine.lock();
        if how == Restart::Power {
            machine.cut_power();
        }
        machine.note(&format!("restart {how:?}"));
        machine.begin_life();
    }

    /// As a power cut that keeps nothing but what was synced, without a restart.
    pub(crate) fn lose_unsynced(&self) {
        self.machine.lock().lose_unsynced();
    }

    /// The bytes that files may occupy together.
    pub(crate) fn set_capacity(&self, bytes: u64) {
        self.machine.lock().capacity = bytes;
    }

    /// What files occupy.
    pub(crate) fn used(&self) -> u64 {
        self.machine.lock().used()
    }

    /// All files with their bytes, as readers see them.
    pub(crate) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let machine = self.machine.lock();
        let bytes = |id: usize| machine.inodes[id].cached().to_vec();
        let files = machine.names.files().into_iter();
        files.map(|(path, id)| (path, bytes(id))).collect()
    }

    /// Changes a file behind everyone's back, in cache and on the platter.
    pub(crate) fn damage(&self, path: &str, change: impl Fn(&mut Vec<u8>)) {
        let mut machine = self.machine.lock();
        match machine.names.get(path) {
            Some(Node::File(id)) => machine.inodes[id].damage(change),
            other => panic!("{path} is {other:?}"),
        }
    }

    /// Lets time pass in which nothing happens.
    pub(crate) fn advance(&self, time: Duration) {
        self.machine.lock().clock += time;
    }

    /// A digest of all operations so far with their outcome.
    pub(crate) fn trace(&self) -> u64 {
        self.machine.lock().trace
    }

    /// Operations so far.
    pub(crate) fn operations(&self) -> u64 {
        self.machine.lock().operations
    }

    /// The last operations, for a failure report.
    pub(crate) fn recent(&self) -> String {
        let machine = self.machine.lock();
        let lines: Vec<&str> = machine.recent.iter().map(String::as_str).collect();
        lines.join("\n")
    }
}
