//! What the simulated disk keeps, loses and repeats.

use super::{Fault, Restart, SimDisk};
use crate::broker::storage::{Open, Storage, read_file, replace_file, write_all_at};
use std::{collections::BTreeSet, io, sync::Arc};

fn write(storage: &Arc<dyn Storage>, path: &str, at: u64, bytes: &[u8]) {
    let file = storage.open(path, Open::Create).unwrap();
    write_all_at(&*file, &[bytes], at).unwrap();
}

fn sync(storage: &Arc<dyn Storage>, path: &str) {
    storage
        .open(path, Open::Write)
        .unwrap()
        .sync_data()
        .unwrap();
}

#[test]
fn a_kill_keeps_everything_and_a_power_cut_what_was_synced() {
    for seed in 0..200 {
        let disk = SimDisk::new(seed);
        let storage = disk.boot();
        storage.create_dir("folder").unwrap();
        storage.sync_dir("").unwrap();
        write(&storage, "folder/a", 0, b"synced");
        sync(&storage, "folder/a");
        storage.sync_dir("folder").unwrap();
        write(&storage, "folder/a", 6, b" and not");
        write(&storage, "folder/b", 0, b"name not synced");
        sync(&storage, "folder/b");
        disk.restart(Restart::Process);
        assert_eq!(disk.files().len(), 2);
        assert_eq!(disk.files()[0].1, b"synced and not");
        disk.restart(Restart::Power);
        let files = disk.files();
        assert_eq!(files[0].0, "folder/a");
        assert!(files[0].1.starts_with(b"synced"), "seed {seed}: {files:?}");
    }
}

#[test]
fn a_power_cut_loses_tears_and_reorders() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..300 {
        let disk = SimDisk::new(seed);
        let storage = disk.boot();
        write(&storage, "a", 0, &[0; 1_536]);
        sync(&storage, "a");
        storage.sync_dir("").unwrap();
        for value in 1..=3_u8 {
            write(&storage, "a", u64::from(value - 1) * 512, &[value; 512]);
        }
        write(&storage, "a", 0, &[9; 512]);
        disk.restart(Restart::Power);
        let bytes = disk.files().remove(0).1;
        assert_eq!(bytes.len(), 1_536);
        let sectors: Vec<u8> = bytes.chunks(512).map(|sector| sector[0]).collect();
        assert!(
            bytes
                .chunks(512)
                .all(|sector| sector.iter().all(|byte| *byte == sector[0]))
        );
        outcomes.insert(sectors);
    }
    for outcome in [
        [0, 0, 0],
        [9, 2, 3],
        [1, 2, 3],
        [0, 0, 3],
        [9, 0, 0],
        [1, 0, 3],
    ] {
        assert!(outcomes.contains(&outcome[..]), "{outcome:?} never came");
    }
}

#[test]
fn unsynced_names_may_be_lost_and_a_replaced_file_is_old_or_new() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..300 {
        let disk = SimDisk::new(seed);
        let storage = disk.boot();
        replace_file(&*storage, "meta", b"old").unwrap();
        write(&storage, "meta.tmp", 0, b"new");
        sync(&storage, "meta.tmp");
        storage.rename("meta.tmp", "meta").unwrap();
        write(&storage, "other", 0, b"x");
        disk.restart(Restart::Power);
        let storage = disk.boot();
        let meta = read_file(&*storage, "meta").unwrap();
        assert!(meta == b"old" || meta == b"new", "seed {seed}: {meta:?}");
        outcomes.insert((meta, storage.open("other", Open::Read).is_ok()));
    }
    assert_eq!(outcomes.len(), 4);
}

/// A folder that is moved and has a successor under its old name: after a power cut each is whole where it is, or gone.
#[test]
fn a_folder_that_comes_back_is_never_mixed_with_its_namesake() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..400 {
        let disk = SimDisk::new(seed);
        let storage = disk.boot();
        storage.create_dir("logs/a").unwrap();
        write(&storage, "logs/a/old", 0, b"old");
        storage.sync_all().unwrap();
        storage.rename("logs/a", "logs/gone").unwrap();
        storage.create_dir("logs/a").unwrap();
        write(&storage, "logs/a/new", 0, b"new");
        storage.sync_dir("logs/a").unwrap();
        disk.restart(Restart::Power);
        let files = disk.files().into_iter();
        outcomes.insert(files.map(|(path, _)| path).collect::<Vec<_>>());
    }
    let lawful: [&[&str]; 4] = [
        &["logs/a/old"],
        &["logs/gone/old"],
        &["logs/a/new", "logs/gone/old"],
        // The name was given anew, and the folder that had it did not get the other.
        &["logs/a/new"],
    ];
    for outcome in &outcomes {
        assert!(
            lawful.contains(&&*outcome.iter().map(String::as_str).collect::<Vec<_>>()),
            "{outcome:?}"
        );
    }
    for expected in &lawful[..3] {
        assert!(
            outcomes.iter().any(|outcome| outcome == expected),
            "{expected:?} never came"
        );
    }
}

#[test]
fn every_fault_strikes_once_at_its_operation() {
    let run = |fault, nth| {
        let disk = SimDisk::new(1);
        let storage = disk.boot();
        disk.fail(fault, nth);
        let outcome = replace_file(&*storage, "meta", b"0123456789");
        (disk, outcome)
    };
    for (fault, most) in [
        (Fault::Io, 5),
        (Fault::NoSpace, 2),
        (Fault::FailedSync, 2),
        (Fault::Crash, 6),
    ] {
        for nth in 1..=most {
            let (disk, outcome) = run(fault, nth);
            assert!(
                outcome.is_err() && disk.struck().is_some(),
                "{fault:?} {nth}"
            );
            assert_eq!(disk.is_dead(), fault == Fault::Crash);
        }
        assert!(run(fault, most + 1).1.is_ok(), "{fault:?}");
    }
    let (disk, outcome) = run(Fault::ShortWrite, 1);
    assert!(outcome.is_ok() && disk.struck().is_some());
    assert_eq!(disk.files()[0].1, b"0123456789");
    let (disk, _) = run(Fault::NoSpace, 1);
    let error = disk.boot().open("meta.tmp", Open::Read).err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[test]
fn what_a_failed_sync_lost_no_later_sync_brings_back() {
    let mut lost = 0;
    for seed in 0..50 {
        let disk = SimDisk::new(seed);
        let storage = disk.boot();
        write(&storage, "a", 0, b"before");
        sync(&storage, "a");
        storage.sync_dir("").unwrap();
        write(&storage, "a", 0, b"after!");
        disk.fail(Fault::FailedSync, 1);
        let file = storage.open("a", Open::Write).unwrap();
        assert!(file.sync_data().is_err());
        file.sync_data().unwrap();
        assert_eq!(read_file(&*storage, "a").unwrap(), b"after!");
        disk.restart(Restart::Power);
        lost += u32::from(disk.files()[0].1 == b"before");
    }
    assert!((5..45).contains(&lost), "{lost} of 50");
}

#[test]
fn a_dead_process_reaches_nothing_even_after_a_restart() {
    let disk = SimDisk::new(1);
    let old = disk.boot();
    let file = old.open("a", Open::Create).unwrap();
    let lock = old.lock("lock").unwrap();
    disk.kill();
    assert!(write_all_at(&*file, &[b"x"], 0).is_err());
    disk.restart(Restart::Process);
    assert!(write_all_at(&*file, &[b"x"], 0).is_err() && old.remove("a").is_err());
    let new = disk.boot();
    let held = new.lock("lock").unwrap();
    drop(lock);
    assert_eq!(
        new.lock("lock").err().unwrap().kind(),
        io::ErrorKind::WouldBlock
    );
    drop(held);
    new.lock("lock").unwrap();
}

#[test]
fn a_full_disk_takes_what_fits_and_gives_space_back() {
    let disk = SimDisk::new(1);
    disk.set_capacity(16 << 10);
    let storage = disk.boot();
    write(&storage, "a", 0, &[1; 8 << 10]);
    let file = storage.open("b", Open::Create).unwrap();
    let error = write_all_at(&*file, &[&[2; 12 << 10]], 0).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(file.len().unwrap(), 8 << 10);
    assert_eq!(storage.space().unwrap().free, 0);
    // Overwriting takes no space.
    write(&storage, "a", 0, &[3; 8 << 10]);
    assert!(
        storage
            .open("c", Open::Create)
            .unwrap()
            .allocate(0, 1)
            .is_err()
    );
    storage.remove("a").unwrap();
    assert_eq!(storage.space().unwrap().free, 8 << 10);
    file.allocate(0, 16 << 10).unwrap();
    assert_eq!(disk.used(), 16 << 10);
}

#[test]
fn the_same_seed_gives_the_same_trace_and_bytes() {
    let run = |seed| {
        let disk = SimDisk::new(seed);
        for round in 0..5 {
            let storage = disk.boot();
            let name = format!("file-{}", storage.random() % 3);
            write(
                &storage,
                &name,
                storage.now_ns().cast_unsigned() % 700,
                &[round; 900],
            );
            disk.fail(Fault::Crash, 2);
            let _ = replace_file(&*storage, "meta", &[round; 600]);
            disk.restart(Restart::Power);
        }
        (disk.trace(), disk.files(), disk.operations())
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3).0, run(4).0);
}
