//! Many short lines and one long line: bounded memory, and the speed beside `wc -l` on the same file.

use super::{Copies, KAFKAS, OURS};
use crate::support::{process::proving, wait};
use std::{process::Command, time::Instant};

/// The budget of a loaded worker.
const RSS_KIB_MAX: u64 = 200 << 10;

#[tokio::test]
async fn a_million_short_lines_arrive_within_the_memory_budget() {
    let lines = if proving() { 10_000_000 } else { 1_000_000 };
    let mut copies = Copies::new(&[OURS, KAFKAS], "");
    let text: String = (0..lines)
        .map(|number| format!("{number}: a short line\n"))
        .collect();
    for number in [0, 1] {
        copies.append(number, text.as_bytes());
    }
    let counted = Instant::now();
    let counting = Command::new("wc").arg("-l").arg(copies.source(0)).output();
    assert!(
        counting.is_ok_and(|output| output.status.success()),
        "wc does not run"
    );
    let counted = counted.elapsed();
    let since = Instant::now();
    copies.worker.start();
    let expected = 2.0 * f64::from(lines);
    let in_log = wait::while_moving(async || {
        match copies
            .worker
            .metric("tapline_records_log_total")
            .await
            .unwrap_or_default()
        {
            records if records >= expected => wait::Look::Found(since.elapsed()),
            records => wait::Look::At(records as u64),
        }
    });
    let in_log = in_log
        .await
        .unwrap_or_else(|| panic!("stuck\n{}", copies.worker.log()));
    for number in [0, 1] {
        copies.until_equal(number).await;
    }
    let delivered = since.elapsed();
    let peak = copies.worker.peak_rss_kib().expect("the kernel tells");
    assert_eq!(
        copies.worker.terminate(),
        Some(0),
        "{}",
        copies.worker.log()
    );
    eprintln!(
        "{lines} lines, {} bytes, twice at once (two classes): wc -l {counted:.1?}; both in the log after {in_log:.1?}, \
         {:.4} of wc; both delivered after {delivered:.1?}; peak {} MiB",
        text.len(),
        2.0 * counted.as_secs_f64() / in_log.as_secs_f64(),
        peak >> 10
    );
    assert!(peak < RSS_KIB_MAX, "{peak} KiB resident");
}

#[tokio::test]
async fn a_line_of_100_mb_arrives_in_pieces_within_the_memory_budget() {
    let mut copies = Copies::new(&[OURS], "");
    let mut bytes = b"before\n".to_vec();
    bytes.extend("0123456789abcdeü".bytes().cycle().take(100_000_000));
    bytes.extend(b"\nafter\n");
    copies.append(0, &bytes);
    copies.worker.start();
    copies.until_equal(0).await;
    let peak = copies.worker.peak_rss_kib().expect("the kernel tells");
    assert_eq!(
        copies.worker.terminate(),
        Some(0),
        "{}",
        copies.worker.log()
    );
    eprintln!("a line of 100 MB: peak {} MiB", peak >> 10);
    assert!(peak < RSS_KIB_MAX, "{peak} KiB resident");
}

#[tokio::test]
async fn a_line_that_no_string_may_hold_fails_the_task_and_is_named() {
    let mut copies = Copies::new(&[KAFKAS], "    line.max.bytes: 1000\n");
    copies.append(0, &[b"ok\n".as_slice(), &[b'x'; 5000], b"\n"].concat());
    copies.worker.start();
    let log = wait::until("the line is named", async || {
        let log = copies.worker.log();
        (log.contains("TL0703") && log.contains("byte 3 of")).then_some(log)
    })
    .await;
    assert!(log.contains("raise line.max.bytes"), "{log}");
    assert_eq!(
        copies.worker.terminate(),
        Some(0),
        "{}",
        copies.worker.log()
    );
}
