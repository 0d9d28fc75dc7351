//! Good pipeline files, and the ways in which people and programs break them.

use crate::hostile::connect::pick;
use fastrand::Rng;
use std::{fs, path::Path};

/// Good ones that no example shows: every shape that the documentation names.
const OWN: [&str; 3] = [
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
topics:
  p.public.orders: {partitions: 2, cleanup.policy: compact, retention.ms: 3d}
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
    "version: '1'
name: 'lines'
topics:
  lines:
    cleanup.policy: [compact, delete]
    segment: {bytes: 1MiB, ms: 86400000}
    min.cleanable.dirty.ratio: 0.25
  lines.odd:
source:
  connector: file
  file: /var/log/app.log
  topic: lines
  line.max.bytes: 64KiB
  batch.size: 500
  transforms: [route]
  transforms.route: {type: RegexRouter, regex: a, replacement: b}
sinks:
  one: {connector: file, file: /tmp/one, from: {topics: [lines]}}
  two:
    connector: FileStreamSink
    file: /tmp/two
    topics: lines
    tasks.max: 2
",
];

/// What people write where something else belongs.
const ODD: [&str; 36] = [
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
    "!!binary ",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "${env:",
    "${X}",
    "${",
    "${file:/x:y}",
    "null",
    "~",
    "yes",
    "1e9",
    "7fortnights",
    "0x1F",
    "é\u{feff}",
    "\0",
    "\r\n",
    "? ",
    "<<: *a",
];

/// Values of another type than was there.
const OTHERS: [&str; 16] = [
    "[]",
    "{}",
    "[a, b]",
    "{a: b}",
    "1",
    "-1",
    "1.5",
    "true",
    "null",
    "\"\"",
    "'1'",
    "|\n  x\n",
    "3d",
    "20GiB",
    "${env:PATH}",
    "${env:NO_SUCH_VARIABLE}",
];

/// Every good file: the examples, those of the documentation, and our own.
pub fn good() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = fs::read_dir(root.join("config/pipelines"))
        .expect("examples can be listed")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    let mut good: Vec<String> = files
        .iter()
        .map(|file| fs::read_to_string(file).expect("an example is text"))
        .collect();
    for page in ["README.md", "docs/pipeline.md"] {
        let page = fs::read_to_string(root.join(page)).expect("a page is text");
        let blocks = page.split("```yaml\n").skip(1);
        let blocks = blocks.filter_map(|block| block.split("```").next());
        good.extend(
            blocks
                .filter(|block| block.starts_with("version: 1"))
                .map(str::to_owned),
        );
    }
    good.extend(OWN.map(str::to_owned));
    assert!(good.len() >= 6, "only {} files to begin with", good.len());
    good
}

/// A good file after one to three accidents.
pub fn damaged(text: &str, random: &mut Rng) -> String {
    let mut text = text.to_owned();
    for _ in 0..random.usize(1..=3) {
        text = match random.u8(0..12) {
            0..4 => letters(&text, random),
            4..7 => lines(&text, random),
            7..10 => words(&text, random),
            10 => values(&text, random),
            _ => whole(&text, random),
        };
    }
    text
}

/// The same as bytes, which need not be a text.
pub fn bytes(text: &str, random: &mut Rng) -> Vec<u8> {
    let mut bytes = damaged(text, random).into_bytes();
    if random.u8(0..4) == 0 {
        let at = random.usize(..=bytes.len());
        bytes.insert(at, random.u8(128..));
    }
    if random.u8(0..16) == 0 {
        bytes.resize((1 << 20) + 1, b'\n');
    }
    bytes
}

/// Letters left out, moved, or replaced by something odd.
fn letters(text: &str, random: &mut Rng) -> String {
    let mut text: Vec<char> = text.chars().collect();
    let at = random.usize(0..=text.len());
    let to = (at + random.usize(0..12)).min(text.len());
    match random.u8(0..5) {
        0 => drop(text.drain(at..to)),
        1 => text.truncate(at),
        2 => {
            let piece: Vec<char> = text.drain(at..to).collect();
            let other = random.usize(0..=text.len());
            drop(text.splice(other..other, piece));
        }
        3 => text.insert(at, random.char(..)),
        _ => drop(text.splice(at..to.min(at + 3), pick(random, &ODD).chars())),
    }
    text.into_iter().collect()
}

/// Lines left out, doubled, swapped, and moved to the left and right.
fn lines(text: &str, random: &mut Rng) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    if lines.is_empty() {
        return "name: x\n".to_owned();
    }
    let (at, other) = (random.usize(..lines.len()), random.usize(..lines.len()));
    match random.u8(0..6) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(other, lines[at].clone()),
        2 => lines.swap(at, other),
        3 => lines[at].insert_str(0, pick(random, &[" ", "  ", "    ", "\t", "- ", "\u{a0}"])),
        4 => lines[at] = lines[at].trim_start().to_owned(),
        _ => lines[at] = lines[at].trim_end().to_owned(),
    }
    lines.concat()
}

/// A key that is misspelt, given twice, or of another connector.
fn words(text: &str, random: &mut Rng) -> String {
    let colons: Vec<usize> = text.match_indices(':').map(|(at, _)| at).collect();
    if colons.is_empty() {
        return format!("{text}name: x\n");
    }
    let colon = pick(random, &colons);
    let before = text.get(..colon).unwrap_or_default();
    let start = before
        .rfind([' ', '\n', '{', ',', '"'])
        .map_or(0, |at| at + 1);
    let (head, rest) = text.split_at(start);
    let (key, tail) = rest.split_at(colon - start);
    let key = match random.u8(0..6) {
        0 => format!("{key}x"),
        1 => key.chars().rev().collect(),
        2 => key.replace('.', "_"),
        3 => key.to_uppercase(),
        4 => key.chars().skip(1).collect(),
        _ => {
            let others = [
                "version",
                "name",
                "topics",
                "source",
                "sinks",
                "connector",
                "from",
                "transforms",
                "connector.class",
                "tapline.pipeline",
                "slot.name",
                "errors.tolerance",
                "tables",
                "regex",
                "topic.prefix",
                "topics.regex",
            ];
            pick(random, &others).to_owned()
        }
    };
    format!("{head}{key}{tail}")
}

/// A value of another type.
fn values(text: &str, random: &mut Rng) -> String {
    let colons: Vec<usize> = text.match_indices(": ").map(|(at, _)| at + 2).collect();
    if colons.is_empty() {
        return text.to_owned();
    }
    let (head, tail) = text.split_at(pick(random, &colons));
    let end = tail.find(['\n', ',', '}']).unwrap_or(tail.len());
    let (_, tail) = tail.split_at(end);
    format!("{head}{}{tail}", pick(random, &OTHERS))
}

/// What concerns the whole file.
fn whole(text: &str, random: &mut Rng) -> String {
    match random.u8(0..12) {
        0 => String::new(),
        1 => format!("\u{feff}{text}"),
        2 => text.replace('\n', "\r\n"),
        3 => text.replace('\n', "\r"),
        4 => text.replace("  ", "\t"),
        5 => format!("{text}---\n{text}"),
        6 => format!("{text}{text}"),
        7 => format!("a: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: &c [*b,*b,*b]\n{text}d: [*c,*c,*c]\n"),
        8 => format!("{text}{}", "x:\n ".repeat(random.usize(1..60))),
        9 => format!(
            "{text}more: {}",
            pick(random, &["[", "{a: "]).repeat(random.usize(1..300))
        ),
        10 => {
            let line = text.lines().last().unwrap_or_default();
            format!("{text}{}", format!("{line}\n").repeat(random.usize(1..100)))
        }
        _ => text.lines().rev().map(|line| format!("{line}\n")).collect(),
    }
}
