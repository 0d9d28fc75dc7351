//! Fail-the-Nth: every operation on the disk fails once, in every way it can, and then the log is looked at.

use super::{
    prove, report,
    world::{Driven, World},
};
use crate::broker::storage::sim::{Fault, Restart};

/// Random actions of one run: enough for every kind of operation, journal files recycled, segments rolled.
const ACTIONS: usize = 24;

/// The same in the quick profile: a third of the operations, each of which is a run.
const ACTIONS_QUICK: usize = 10;

/// Runs of one sweep at most; a run has far fewer operations.
const OPERATIONS_MAX: u64 = 20_000;

/// How one run ended.
enum Ended {
    /// The fault struck at this operation.
    Struck(String),
    /// The run has fewer operations.
    Unharmed,
}

/// One run with a fault at the `nth` operation it can strike, from the very first start of the log.
fn run(seed: u64, fault: Fault, nth: u64, restart: Restart) -> Ended {
    let mut world = World::new(seed);
    world.disk.fail(fault, nth);
    let mut struck = None;
    let mut open = world.open();
    let actions = if prove() { ACTIONS } else { ACTIONS_QUICK };
    for action in 0..actions {
        let stopped = !open || {
            if action == 0 {
                world.enqueue_create();
            }
            world.act() == Driven::Stopped || world.disk.is_dead()
        };
        if let Some(what) = world.disk.struck() {
            if struck.replace(what).is_none() {
                check_consequence(&world, fault, open);
            }
        } else {
            assert!(!stopped, "the log stopped without a fault");
        }
        if stopped {
            if open && !world.disk.is_dead() {
                world.check_undecided();
            }
            world.end(restart);
            world.reopen();
            open = true;
        }
    }
    finish(&mut world, restart);
    struck.map_or(Ended::Unharmed, Ended::Struck)
}

/// What a fault must and must not do to a running log.
fn check_consequence(world: &World, fault: Fault, opened: bool) {
    let stopped = world
        .log
        .as_ref()
        .and_then(crate::broker::log::Log::stopped);
    match fault {
        // A full disk is waited for, and a short write is gone on with.
        Fault::NoSpace | Fault::ShortWrite => {
            assert_eq!(stopped, None, "{fault:?} must not stop the log");
        }
        // I7.
        Fault::FailedSync => {
            assert!(
                !opened || stopped.is_some(),
                "a failed sync must stop the log"
            );
        }
        Fault::Io | Fault::Crash => {}
    }
}

/// All is answered; the log survives an orderly end and a power cut, and is as it was.
fn finish(world: &mut World, restart: Restart) {
    world.disk.clear_fault();
    assert!(
        !world.is_waiting() || world.drive() != Driven::Waiting,
        "something waits without a fault"
    );
    world.check();
    if restart == Restart::Process {
        let closed = world.log.as_mut().map(crate::broker::log::Log::close);
        assert!(
            closed.is_some_and(|closed| closed.is_ok()),
            "an orderly end"
        );
    }
    world.end(Restart::Power);
    world.reopen();
}

fn sweep(fault: Fault) {
    let seeds = if prove() { 0..6 } else { 0..1_u64 };
    let (mut runs, mut last) = (0, String::new());
    for seed in seeds {
        for restart in [Restart::Process, Restart::Power] {
            for nth in 1..OPERATIONS_MAX {
                match on_failure(seed, fault, nth, || run(seed, fault, nth, restart)) {
                    Ended::Struck(what) => last = what,
                    Ended::Unharmed => break,
                }
                runs += 1;
            }
        }
    }
    assert!(runs > 20, "{fault:?} struck {runs} times only");
    report(&format!(
        "{fault:?}: {runs} operations failed, one by one; the last: {last}"
    ));
}

/// Says which run it was before the panic goes on.
fn on_failure<T>(seed: u64, fault: Fault, nth: u64, run: impl FnOnce() -> T) -> T {
    let guard = Guard(format!("seed {seed}, {fault:?} at operation {nth}"));
    let done = run();
    std::mem::forget(guard);
    done
}

/// Prints while a panic unwinds.
pub(super) struct Guard(pub(super) String);

impl Drop for Guard {
    fn drop(&mut self) {
        report(&format!("FAILED: {}", self.0));
    }
}

#[test]
fn every_failed_operation_leaves_the_log_whole() {
    sweep(Fault::Io);
}

#[test]
fn every_failed_allocation_is_waited_out() {
    sweep(Fault::NoSpace);
}

#[test]
fn every_short_write_is_gone_on_with() {
    sweep(Fault::ShortWrite);
}

#[test]
fn every_failed_sync_stops_the_log_and_loses_nothing() {
    sweep(Fault::FailedSync);
}

#[test]
fn a_crash_in_any_operation_loses_nothing() {
    sweep(Fault::Crash);
}
