//! Files that somebody got wrong: good ones, damaged at random. The compiler ends, and says where and what to do.

use crate::{
    config::document::Diagnostic,
    pipeline::{Elsewhere, compile},
    plugins::Plugins,
};
use fastrand::Rng;
use std::collections::BTreeMap;

/// The full profile of `make prove`, and what every run can afford.
const FILES: [usize; 2] = [10_000, 1_000];

const GOOD: [&str; 3] = [
    include_str!("../../../config/pipelines/postgres-to-postgres.yaml"),
    "version: 1
name: shop
sources:
  eu:
    connector: postgres
    database: {hostname: db, dbname: shop, user: tapline, password: 'written out'}
    table.include.list: [public.orders, public.customers]
    slot: {name: eu, max.retries: 3}
    transforms: [RegexRouter: {regex: '(.*)', replacement: 'x.$1'}]
  us: {connector: postgres, database: {hostname: us, dbname: shop, user: tapline}}
sinks:
  replica:
    connector: sql
    from: {topics: [shop.eu.public.orders]}
    connection: {url: \"postgres://tapline@replica/shop\", password: \"${env:PATH}\"}
    errors.retry.delay.max.ms: 30s
",
    "version: 1
name: files
source:
  connector: io.debezium.connector.postgresql.PostgresConnector
  database.hostname: db
  database.user: u
  database.dbname: d
  topic.prefix: p
sink:
  connector: sql
  connection.url: postgres://h/d
  collection.name.format: '${topic}'
  from:
    regex: |
      files\\..*
",
];

/// What people write where something else belongs.
const ODD: [&str; 30] = [
    "",
    " ",
    "\t",
    ":",
    ": ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "'",
    "\"",
    "#",
    "&a ",
    "*a",
    "!!str ",
    "---\n",
    "${env:",
    "${X}",
    "${",
    "null",
    "~",
    "yes",
    "1e9",
    "7fortnights",
    "é\u{feff}",
    "\0",
    "\r\n",
    "? ",
];

fn damage(text: &str, random: &mut Rng) -> String {
    let mut text: Vec<char> = text.chars().collect();
    for _ in 0..random.usize(1..=3) {
        let at = random.usize(0..=text.len());
        let to = (at + random.usize(0..12)).min(text.len());
        let other = random.usize(0..=text.len());
        match random.u8(0..6) {
            0 => drop(text.drain(at..to)),
            1 => text.truncate(at),
            2 => {
                let piece: Vec<char> = text.drain(at..to).collect();
                let other = other.min(text.len());
                drop(text.splice(other..other, piece));
            }
            3 => {
                let lines: String = text.iter().collect();
                let mut lines: Vec<&str> = lines.split_inclusive('\n').collect();
                let line = lines.remove(random.usize(0..lines.len().max(1)).min(lines.len() - 1));
                for _ in 0..random.usize(0..=2) {
                    lines.insert(random.usize(0..=lines.len()), line);
                }
                text = lines.concat().chars().collect();
            }
            _ => {
                let odd = ODD
                    .get(random.usize(0..ODD.len()))
                    .copied()
                    .unwrap_or_default();
                drop(text.splice(at..to.min(at + 3), odd.chars()));
            }
        }
        if text.is_empty() {
            text.push(' ');
        }
    }
    text.into_iter().collect()
}

/// A problem of the text itself may come before the first key.
fn may_lack_a_key(problem: &Diagnostic) -> bool {
    matches!(problem.code, "TL0102" | "TL0103" | "TL0108")
}

#[test]
fn mutated_files_prove_to_be_refused_with_file_line_key_and_remedy() {
    let full = std::env::var_os("TAPLINE_PROVE").is_some();
    let given = std::env::var("TAPLINE_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed: u64 = given.unwrap_or_else(|| fastrand::u64(..1 << 32));
    let [all, quick] = FILES;
    let mut random = Rng::with_seed(seed);
    let (mut good, mut without_key) = (0, 0);
    let mut codes: BTreeMap<&str, usize> = BTreeMap::new();
    for number in 0..if full { all } else { quick } {
        let base = GOOD.get(number % GOOD.len()).copied().unwrap_or_default();
        let text = damage(base, &mut random);
        // Both views of a file: one that runs here, and one whose secrets are known elsewhere.
        let _same = compile("x.yaml", &text, Plugins::builtin());
        let Err(report) = compile("x.yaml", &text, &Elsewhere(Plugins::builtin())) else {
            good += 1;
            continue;
        };
        let shown = report.to_string();
        let told = format!("seed {seed}, file {number}:\n{text}\n{shown}");
        assert!(!report.problems().is_empty(), "{told}");
        for problem in report.problems() {
            *codes.entry(problem.code).or_default() += 1;
            let place = format!(
                "  --> x.yaml:{}:{}",
                problem.place.line, problem.place.column
            );
            assert!(shown.contains(&place), "{told}");
            assert!(
                (1..=text.lines().count() + 1).contains(&problem.place.line),
                "{told}"
            );
            assert!(!problem.help.is_empty(), "{told}");
            assert!(
                !problem.path.is_empty() || may_lack_a_key(problem),
                "{told}"
            );
            without_key += usize::from(problem.path.is_empty());
        }
    }
    show(seed, good, without_key, &codes);
    assert!(codes.len() > 8, "the damage is always the same: {codes:?}");
}

#[expect(clippy::print_stderr, reason = "counts are shown with --nocapture")]
fn show(seed: u64, good: usize, without_key: usize, codes: &BTreeMap<&str, usize>) {
    eprintln!(
        "mutated files: TAPLINE_SEED={seed}, {good} still good, problems {codes:?}, {without_key} of them before any key"
    );
}
