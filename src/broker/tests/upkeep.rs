//! What the log does by itself, on the simulated disk: compaction and retention under commits, takeovers, faults and
//! damage.

use super::{
    model::COMPACTED,
    prove, report,
    sweep::Guard,
    world::{Driven, World},
};
use crate::broker::storage::sim::Restart;

/// A log with one compacted topic, compacted since the last checkpoint: the swaps stand in the journal.
fn compacted(seed: u64) -> World {
    let mut world = World::new(seed);
    world.settings.journal_file_bytes = 4 << 10;
    world.settings.compaction_map_bytes = 1 << 20;
    assert!(world.open());
    world.create(&[(COMPACTED, 1), ("orders", 1)]);
    world.only = Some(COMPACTED);
    for _ in 0..40 {
        world.commit_small();
        assert_eq!(world.drive(), Driven::Idle);
    }
    let log = world.log.as_mut().expect("open");
    log.checkpoint().expect("no fault");
    world.check();
    assert_eq!(world.upkeep(), Driven::Idle);
    assert!(world.swaps > 0, "nothing was compacted");
    world.check();
    world
}

#[test]
fn compaction_keeps_the_rows_and_little_else() {
    let mut world = World::new(3);
    world.settings.compaction_map_bytes = 1 << 20;
    world.far = true;
    assert!(world.open());
    world.create(&[(COMPACTED, 1)]);
    for _ in 0..2_000 {
        world.commit_small();
        assert_eq!(world.drive(), Driven::Idle);
    }
    let before = world.view().topics[COMPACTED].partitions[0].records.len();
    for _ in 0..3 {
        let log = world.log.as_mut().expect("open");
        log.checkpoint().expect("no fault");
        assert_eq!(world.upkeep(), Driven::Idle);
        world.check();
    }
    let view = world.view();
    let partition = &view.topics[COMPACTED].partitions[0];
    let left = partition.records.len();
    report(&format!("compaction left {left} of {before} records"));
    // The last segment is not compacted.
    assert!(left < before / 20, "{left} of {before}");
    world.end(Restart::Power);
    world.reopen();
}

#[test]
fn no_flipped_bit_of_a_swap_loses_a_row() {
    let mut looks = 0;
    let mut damaged = 0;
    for seed in 0..if prove() { 3 } else { 1 } {
        let mut world = compacted(seed);
        // What follows the swaps makes them durable for sure.
        world.only = Some("orders");
        for _ in 0..2 {
            world.commit_small();
            assert_eq!(world.drive(), Driven::Idle);
        }
        for disk in [world.disk.fork(), lost(&world)] {
            let files = disk.files();
            let journals = files
                .iter()
                .filter(|(path, _)| path.starts_with("journal/"));
            for (path, bytes) in journals {
                let used = bytes
                    .iter()
                    .rposition(|byte| *byte != 0)
                    .map_or(0, |last| last + 1);
                // Of the quick profile's a part, in all places.
                let step = if prove() { 1 } else { 211 };
                for bit in (0..used * 8).step_by(step) {
                    let disk = disk.fork();
                    disk.damage(path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
                    let guard = Guard(format!("seed {seed}, bit {bit} of {path}"));
                    looks += 1;
                    let view = world
                        .view_of(&disk)
                        .expect("a damaged journal is gone on with");
                    damaged += u64::from(
                        view.topics[COMPACTED]
                            .partitions
                            .iter()
                            .any(|partition| !partition.damage.is_empty()),
                    );
                    if let Err(wrong) = world.model.check_rows(&view) {
                        panic!("{wrong}");
                    }
                    std::mem::forget(guard);
                }
            }
        }
    }
    report(&format!(
        "{looks} bits of journals with swaps flipped: {damaged} times records were reported as damaged"
    ));
}

/// The same after a power cut that kept nothing but what was synced.
fn lost(world: &World) -> crate::broker::storage::sim::SimDisk {
    let disk = world.disk.fork();
    disk.lose_unsynced();
    disk
}

#[test]
fn retention_keeps_what_a_group_has_not_read() {
    let mut retained = 0;
    for seed in 0..20 {
        let guard = Guard(format!("seed {seed}"));
        let mut world = World::new(seed);
        assert!(world.open());
        world.create(&[("items", 2), ("orders", 1)]);
        for _ in 0..150 {
            world.act();
        }
        world.check();
        retained += world.retained;
        std::mem::forget(guard);
    }
    report(&format!("retention moved {retained} log starts"));
    assert!(retained > 20, "{retained}");
}
