//! SIGKILL at any moment: every line arrives once, in order, byte for byte.

use super::{Copies, KAFKAS, OURS};
use crate::support::{process::seed, wait, worker::Worker};
use fastrand::Rng;
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

/// As the acceptance of the pair asks for.
const KILLS: usize = 30;

/// Lines that are appended before each kill, per pair.
const LINES: usize = 3000;

#[tokio::test]
async fn a_copied_file_is_equal_after_30_kills_with_both_class_families() {
    let mut random = Rng::with_seed(seed("file kills"));
    // Small limits: batches end and long lines are cut often.
    let more = "    batch.size: 100\n    line.max.bytes: 2000\n";
    let mut copies = Copies::new(&[OURS, KAFKAS], more);
    let (since, mut total) = (Instant::now(), 0);
    for _ in 0..KILLS {
        for (number, any_bytes) in [(0, true), (1, false)] {
            let lines = lines(&mut random, any_bytes);
            total += lines.len();
            copies.append(number, &lines);
        }
        copies.worker.start();
        let number = random.usize(0..2);
        let left =
            fs::metadata(copies.source(number)).map_or(0, |m| m.len()) - copies.arrived(number);
        let until = copies.arrived(number) + random.u64(0..left);
        let moved = wait::while_moving(async || match copies.arrived(number) {
            arrived if arrived >= until => wait::Look::Found(()),
            arrived => wait::Look::At(arrived),
        });
        assert!(
            moved.await.is_some(),
            "nothing arrives\n{}",
            copies.worker.log()
        );
        // A moment more, so that not every kill follows a write.
        wait::within(
            Duration::from_millis(random.u64(0..30)),
            async || None::<()>,
        )
        .await;
        copies.worker.kill();
    }
    copies.worker.start();
    for number in [0, 1] {
        copies.until_equal(number).await;
    }
    assert_eq!(
        copies.worker.terminate(),
        Some(0),
        "{}",
        copies.worker.log()
    );
    for number in [0, 1] {
        copies.until_equal(number).await;
    }
    let completed = copies
        .worker
        .log()
        .matches("completing the last batch")
        .count();
    eprintln!(
        "{KILLS} kills, {total} bytes in {} lines, {completed} batches completed, {:.1?}: equal",
        2 * KILLS * LINES,
        since.elapsed()
    );
}

/// Lines of all kinds, whole ones.
fn lines(random: &mut Rng, any_bytes: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..LINES {
        match random.u8(0..20) {
            0 => {}
            1 => bytes.extend("Grüße 数 🦀".as_bytes()),
            2 if any_bytes => bytes.extend([0xFF, 0x00, 0xED, 0xA0, 0x80, b'\r']),
            3 if any_bytes => bytes.extend(b"crlf\r"),
            4 if any_bytes => bytes.extend("ü".repeat(random.usize(0..3000)).bytes()),
            _ => bytes.extend(format!("line {}", random.u64(..)).bytes()),
        }
        bytes.push(b'\n');
    }
    bytes
}

/// Kills of the second test: enough to meet either task between its commit and its append.
const KILLS_OF_TWO: usize = 5;

#[tokio::test]
async fn two_tasks_share_a_file_and_each_line_is_there_once() {
    let mut random = Rng::with_seed(seed("file tasks"));
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let at = |name: &str| folder.path().join(name);
    let source = |name: &str| {
        let file = at(name).display().to_string();
        format!("  {name}: {{connector: file, file: {file}, topic: {name}, batch.size: 100}}\n")
    };
    let pipeline = format!(
        "version: 1\nname: two\nsources:\n{}{}sink: {{connector: file, file: {}, tasks.max: 2, from: {{topics: [a, b]}}}}\n",
        source("a"),
        source("b"),
        at("out").display()
    );
    let mut worker = Worker::new(
        Path::new(env!("CARGO_BIN_EXE_tapline")),
        folder.path(),
        &pipeline,
    );
    let mut expected = [Vec::new(), Vec::new()];
    for round in 0..=KILLS_OF_TWO {
        for (name, lines) in ["a", "b"].iter().zip(&mut expected) {
            lines.extend((0..LINES).map(|number| format!("{name} {round} {number}")));
            fs::write(at(name), lines.join("\n") + "\n").expect("the source file can be written");
        }
        let last = round == KILLS_OF_TWO;
        let whole = 2 * fs::metadata(at("a")).expect("it exists").len();
        let arrived = || fs::metadata(at("out")).map_or(0, |metadata| metadata.len());
        let until = if last {
            whole
        } else {
            random.u64(arrived()..whole)
        };
        worker.start();
        let moved = wait::while_moving(async || match arrived() {
            size if size >= until => wait::Look::Found(()),
            size => wait::Look::At(size),
        });
        assert!(moved.await.is_some(), "nothing arrives\n{}", worker.log());
        if last {
            let (said, _) = worker.command(&["status"]);
            assert!(said.contains("2/2"), "{said}");
            assert_eq!(worker.terminate(), Some(0), "{}", worker.log());
        } else {
            worker.kill();
        }
    }
    let found = fs::read_to_string(at("out")).expect("the file is there");
    for (name, lines) in ["a ", "b "].iter().zip(expected) {
        let found: Vec<&str> = found
            .lines()
            .filter(|line| line.starts_with(name))
            .collect();
        assert!(
            found == lines,
            "{name}: {} lines of {}",
            found.len(),
            lines.len()
        );
    }
}
