//! Damage in every place: each bit of a journal, a segment, its indexes, the checkpoint and `meta` flipped, and the
//! last entry cut at every byte. What is served must be right, and what lies outside the damage must be served.

use super::{
    model::{Attempt, Fate, View},
    report,
    world::{Driven, World},
};
use crate::broker::storage::sim::{Restart, SimDisk};
use std::{collections::BTreeSet, ops::Range};

/// Which bytes of which file belong to which attempt.
type Extent = (String, Range<usize>, usize);

/// A small log of a few commits, with the journal bytes of each.
struct Small {
    world: World,
    extents: Vec<Extent>,
}

impl Small {
    fn new(seed: u64, commits: usize) -> Self {
        let mut world = World::new(seed);
        world.settings.journal_file_bytes = 4 << 10;
        world.settings.segment_bytes = 64 << 10;
        assert!(world.open());
        world.create(&[("orders", 2), ("items", 1)]);
        world
            .log
            .as_mut()
            .expect("open")
            .checkpoint()
            .expect("no fault");
        let mut extents = Vec::new();
        for _ in 0..commits {
            let before = world.disk.files();
            world.commit_small();
            assert_eq!(world.drive(), Driven::Idle);
            let attempt = world.model.attempts.len() - 1;
            for (path, after) in world.disk.files() {
                let old = before.iter().find(|(known, _)| *known == path);
                let range = changed(old.map_or(&[][..], |(_, bytes)| bytes), &after);
                if !range.is_empty() {
                    extents.push((path, range, attempt));
                }
            }
        }
        Self { world, extents }
    }

    /// The attempts whose bytes hold this place.
    fn owners(&self, path: &str, place: usize) -> BTreeSet<usize> {
        let here = self.extents.iter();
        here.filter(|(known, range, _)| known == path && range.contains(&place))
            .map(|(.., attempt)| *attempt)
            .collect()
    }

    fn paths(&self, wanted: impl Fn(&str) -> bool) -> Vec<(String, usize)> {
        let files = self.world.disk.files().into_iter();
        files
            .filter(|(path, _)| wanted(path))
            .map(|(path, bytes)| (path, bytes.len()))
            .collect()
    }
}

/// What was written: what was appended, or from the first to the last byte that differs, rounded up to a frame.
fn changed(before: &[u8], after: &[u8]) -> Range<usize> {
    if after.len() != before.len() {
        return before.len().min(after.len())..after.len();
    }
    let differs = |place: &usize| before[*place] != after[*place];
    let first = (0..after.len()).find(differs);
    let last = (0..after.len()).rev().find(differs);
    // Frames begin at multiples of 64, and a batch may end with zeros.
    first.unwrap_or(0)..last.map_or(0, |last| (last + 1).next_multiple_of(64))
}

/// What a look at a damaged log found.
#[derive(Default, Debug)]
struct Found {
    looks: u64,
    reported: u64,
    cut: u64,
    untouched: u64,
    refused: u64,
}

impl Found {
    /// Opens a copy with the damage done and compares. `touched`: attempts that may suffer. `last`: those that may
    /// vanish without a report, because their end is the log's end.
    fn look(
        &mut self,
        world: &World,
        disk: &SimDisk,
        touched: &BTreeSet<usize>,
        last: Option<usize>,
        what: &str,
    ) {
        self.looks += 1;
        let Some(view) = world.view_of(disk) else {
            self.refused += 1;
            return;
        };
        let missing =
            missing(&world.model.attempts, &view).unwrap_or_else(|wrong| panic!("{what}: {wrong}"));
        if missing.is_empty() {
            self.untouched += 1;
            return;
        }
        for (attempt, reported) in &missing {
            assert!(
                touched.contains(attempt),
                "{what}: attempt {attempt} is lost; in the damage: {touched:?}"
            );
            assert!(
                *reported || last == Some(*attempt),
                "{what}: attempt {attempt} is lost without a word"
            );
        }
        if missing.iter().all(|(_, reported)| *reported) {
            self.reported += 1;
        } else {
            self.cut += 1;
        }
    }
}

/// Attempts that are not served whole where they were acknowledged, and whether the log says so.
fn missing(attempts: &[Attempt], view: &View) -> Result<Vec<(usize, bool)>, String> {
    let mut missing = Vec::new();
    let mut served = 0;
    for (number, attempt) in attempts.iter().enumerate() {
        let Fate::Durable(bases) = &attempt.fate else {
            return Err(format!("attempt {number} was not acknowledged"));
        };
        let (mut whole, mut reported) = (true, true);
        for (append, ((at, id, count), base)) in attempt.appends.iter().zip(bases).enumerate() {
            let topic = view.topics.get(&at.0).filter(|topic| topic.id == *id);
            let topic = topic.ok_or_else(|| format!("topic {} is gone", at.0))?;
            let partition = &topic.partitions[at.1 as usize];
            for record in 0..*count {
                let offset = base + u64::from(record);
                let value = super::model::value(number, append, record);
                let there = partition.records.iter().find(|(known, _)| *known == offset);
                match there {
                    Some((_, bytes)) if *bytes == value => served += 1,
                    Some(_) => return Err(format!("{at:?} serves something else at {offset}")),
                    None => {
                        whole = false;
                        reported &= partition.damage.iter().any(|range| range.contains(&offset));
                    }
                }
            }
        }
        if !whole {
            missing.push((number, reported));
        }
    }
    let all: usize = view
        .topics
        .values()
        .flat_map(|topic| &topic.partitions)
        .map(|partition| partition.records.len())
        .sum();
    if all != served {
        return Err(format!(
            "{all} records are served, {served} of them were written"
        ));
    }
    Ok(missing)
}

/// Every bit of some files, in a copy each.
fn flip_all(small: &Small, base: &SimDisk, wanted: impl Fn(&str) -> bool, ends_log: bool) -> Found {
    let mut found = Found::default();
    let last = ends_log.then(|| small.world.model.attempts.len() - 1);
    for (path, len) in small.paths(wanted) {
        for bit in 0..len * 8 {
            let disk = base.fork();
            disk.damage(&path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
            let touched = small.owners(&path, bit / 8);
            let what = format!("bit {} of byte {} of {path}", bit % 8, bit / 8);
            found.look(&small.world, &disk, &touched, last, &what);
        }
    }
    assert!(found.looks > 500, "{found:?}");
    found
}

fn is_journal(path: &str) -> bool {
    path.starts_with("journal/")
}

#[test]
fn no_flipped_bit_of_a_journal_is_served_or_loses_more_than_its_entry() {
    let small = Small::new(11, 5);
    // The process was killed: the segments hold everything, too.
    let killed = flip_all(&small, &small.world.disk, is_journal, true);
    assert_eq!(killed.refused, 0, "{killed:?}");
    report(&format!("journal bits flipped after a kill: {killed:?}"));
    // The power was cut: only the journal holds it.
    let disk = small.world.disk.fork();
    disk.lose_unsynced();
    let cut = flip_all(&small, &disk, is_journal, true);
    assert_eq!(cut.refused, 0, "{cut:?}");
    assert!(cut.reported > 100 && cut.cut > 100, "{cut:?}");
    report(&format!("journal bits flipped after a power cut: {cut:?}"));
}

#[test]
fn no_flipped_bit_of_a_segment_is_served_or_loses_more_than_its_batch() {
    let mut small = Small::new(12, 8);
    small
        .world
        .log
        .as_mut()
        .expect("open")
        .checkpoint()
        .expect("no fault");
    let found = flip_all(
        &small,
        &small.world.disk,
        |path| path.ends_with(".log"),
        false,
    );
    assert!(found.reported > 100 && found.refused == 0, "{found:?}");
    report(&format!("segment bits flipped: {found:?}"));
}

#[test]
fn a_flipped_bit_of_an_index_changes_nothing() {
    let mut small = Small::new(13, 40);
    small
        .world
        .log
        .as_mut()
        .expect("open")
        .checkpoint()
        .expect("no fault");
    let mut found = Found::default();
    for (path, len) in small.paths(|path| path.ends_with("index")) {
        for bit in 0..len * 8 {
            let disk = small.world.disk.fork();
            disk.damage(&path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
            found.look(
                &small.world,
                &disk,
                &BTreeSet::new(),
                None,
                &format!("bit {bit} of {path}"),
            );
        }
    }
    assert!(
        found.looks > 50 && found.untouched == found.looks,
        "{found:?}"
    );
    report(&format!("index bits flipped: {found:?}"));
}

#[test]
fn a_flipped_bit_of_checkpoint_or_meta_is_refused_or_harmless() {
    let mut small = Small::new(14, 3);
    small
        .world
        .log
        .as_mut()
        .expect("open")
        .close()
        .expect("no fault");
    let mut found = Found::default();
    for (path, len) in small.paths(|path| matches!(path, "checkpoint" | "meta" | "clean")) {
        for bit in 0..len * 8 {
            let disk = small.world.disk.fork();
            disk.damage(&path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
            found.look(
                &small.world,
                &disk,
                &BTreeSet::new(),
                None,
                &format!("bit {bit} of {path}"),
            );
        }
    }
    assert!(found.refused > 1_000 && found.untouched > 0, "{found:?}");
    report(&format!(
        "bits of checkpoint, meta and the clean marker flipped: {found:?}"
    ));
}

#[test]
fn a_journal_cut_at_any_byte_of_its_last_entry_loses_at_most_that_entry() {
    let small = Small::new(15, 5);
    let disk = small.world.disk.fork();
    disk.lose_unsynced();
    let last = small.world.model.attempts.len() - 1;
    let mut found = Found::default();
    for (path, range, attempt) in &small.extents {
        if !is_journal(path) || *attempt != last {
            continue;
        }
        for at in range.clone() {
            for (how, zeros) in [("cut", false), ("zeros from", true)] {
                let disk = disk.fork();
                disk.damage(path, |bytes| {
                    let len = bytes.len();
                    bytes.truncate(at);
                    if zeros {
                        bytes.resize(len, 0);
                    }
                });
                let touched = BTreeSet::from([last]);
                found.look(
                    &small.world,
                    &disk,
                    &touched,
                    Some(last),
                    &format!("{path}: {how} {at}"),
                );
            }
        }
    }
    assert!(
        found.looks > 100 && found.cut > 100 && found.refused == 0,
        "{found:?}"
    );
    report(&format!(
        "journal cut at every byte of the last entry: {found:?}"
    ));
}

#[test]
fn a_segment_cut_at_any_byte_loses_what_is_behind_and_says_so() {
    let mut small = Small::new(16, 6);
    small
        .world
        .log
        .as_mut()
        .expect("open")
        .checkpoint()
        .expect("no fault");
    let mut found = Found::default();
    for (path, len) in small.paths(|path| path.ends_with(".log")) {
        for at in 0..len {
            let disk = small.world.disk.fork();
            let guard = super::sweep::Guard(format!("{path} cut at {at} of {len}"));
            disk.damage(&path, |bytes| bytes.truncate(at));
            let behind = small
                .extents
                .iter()
                .filter(|(known, range, _)| *known == path && range.end > at);
            let touched = behind.map(|(.., attempt)| *attempt).collect();
            found.look(
                &small.world,
                &disk,
                &touched,
                None,
                &format!("{path} cut at {at}"),
            );
            std::mem::forget(guard);
        }
    }
    assert!(
        found.looks > 300 && found.refused == 0 && found.reported > 300,
        "{found:?}"
    );
    report(&format!("segments cut at every byte: {found:?}"));
}

#[test]
fn a_restart_after_a_kill_leaves_a_log_that_survives_a_power_cut() {
    let mut small = Small::new(17, 5);
    small.world.end(Restart::Process);
    small.world.reopen();
    small.world.end(Restart::Power);
    small.world.reopen();
}
