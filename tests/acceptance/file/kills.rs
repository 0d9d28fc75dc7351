//! SIGKILL at any moment: every line arrives once, in order, byte for byte.

use super::{Copies, KAFKAS, OURS};
use crate::support::{process::seed, wait};
use fastrand::Rng;
use std::time::{Duration, Instant};

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
        let left = std::fs::metadata(copies.source(number)).map_or(0, |m| m.len())
            - copies.arrived(number);
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
            4 if any_bytes => {
                bytes.extend(std::iter::repeat_n("ü".as_bytes(), random.usize(0..3000)).flatten())
            }
            _ => bytes.extend(format!("line {}", random.u64(..)).bytes()),
        }
        bytes.push(b'\n');
    }
    bytes
}
