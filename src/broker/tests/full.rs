//! A disk that is full for a while: writers wait, readers read, nothing is lost, and work goes on by itself.

use super::{
    report,
    sweep::Guard,
    world::{Driven, World},
};
use crate::broker::storage::sim::Restart;

/// Actions until the log is surely larger than the disk.
const ACTIONS_MAX: usize = 2_000;

/// Fills the disk until writers wait; `false` if that never came.
fn fill(world: &mut World) -> bool {
    (0..ACTIONS_MAX).any(|_| world.act() == Driven::Waiting)
}

#[test]
fn writers_wait_on_a_full_disk_and_go_on_when_space_is_free() {
    let (mut waits, mut cuts) = (0, 0);
    for seed in 0..30 {
        let guard = Guard(format!("seed {seed}"));
        let mut world = World::new(seed);
        assert!(world.open());
        world.enqueue_create();
        world.drive();
        for round in 1..4_u64 {
            world.disk.set_capacity(world.disk.used() + (round << 15));
            if !fill(&mut world) {
                continue;
            }
            waits += 1;
            // Readers read on, and what they see of what waits stays.
            world.check_undecided();
            for _ in 0..3 {
                assert_eq!(world.drive(), Driven::Waiting, "nothing has changed");
            }
            if world.random.bool() {
                // The power is cut while the disk is full; the log must open all the same once there is space.
                world.end(Restart::Power);
                world.disk.set_capacity(u64::MAX);
                world.reopen();
                cuts += 1;
            }
            world.disk.set_capacity(u64::MAX);
            assert_eq!(world.drive(), Driven::Idle, "work goes on by itself");
            world.check();
        }
        world.end(Restart::Power);
        world.reopen();
        std::mem::forget(guard);
    }
    report(&format!(
        "writers waited {waits} times for space, {cuts} of them with a power cut"
    ));
    assert!(waits > 20 && cuts > 5, "{waits} waits, {cuts} cuts");
}

#[test]
fn commits_wait_below_the_free_space_limit_while_reads_go_on() {
    let mut world = World::new(1);
    world.settings.free_space_min = Some(64 << 10);
    assert!(world.open());
    world.enqueue_create();
    world.drive();
    let capacity = world.disk.used() + (160 << 10);
    world.disk.set_capacity(capacity);
    assert!(fill(&mut world), "the limit was never reached");
    let free = capacity - world.disk.used();
    assert!((1..64 << 10).contains(&free), "{free} bytes are free");
    world.check_undecided();
    world.disk.set_capacity(64 << 20);
    assert_eq!(world.drive(), Driven::Idle);
    world.check();
}

#[test]
fn a_recovery_on_a_full_disk_fails_cleanly_and_succeeds_later() {
    let mut refused = 0;
    for seed in 0..20 {
        let guard = Guard(format!("seed {seed}"));
        let mut world = World::new(seed);
        assert!(world.open());
        world.enqueue_create();
        for _ in 0..30 {
            world.act();
        }
        world.end(Restart::Power);
        // Nothing is left for what recovery wants to write.
        world.disk.set_capacity(world.disk.used());
        match world.try_open() {
            Ok(()) => world.check(),
            Err(error) => {
                assert_eq!(error.code, Some("TL0214"), "{}", error.chain());
                refused += 1;
            }
        }
        world.end(Restart::Power);
        world.disk.set_capacity(u64::MAX);
        world.reopen();
        std::mem::forget(guard);
    }
    report(&format!(
        "of 20 recoveries on a full disk {refused} had to wait for space"
    ));
}
