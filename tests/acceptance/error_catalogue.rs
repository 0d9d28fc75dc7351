//! `docs/errors.md` against the code: every code is explained once, and nothing is explained that does not exist.

use regex::Regex;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const PAGE: &str = include_str!("../../docs/errors.md");

fn codes(text: &str) -> BTreeSet<String> {
    let code = Regex::new(r"\bTL[0-9]{4}\b").expect("the pattern is good");
    code.find_iter(text)
        .map(|found| found.as_str().to_owned())
        .collect()
}

/// The codes of every source file of the runtime and of the connectors.
fn used() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let connectors = entries(&root.join("connectors")).map(|connector| connector.join("src"));
    let mut folders: Vec<PathBuf> = connectors.chain([root.join("src")]).collect();
    let mut found = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.extend(codes(
                    &fs::read_to_string(&path).expect("a source file is text"),
                ));
            }
        }
    }
    found
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let listed = fs::read_dir(folder).expect("a source folder can be read");
    listed.map(|entry| entry.expect("an entry can be read").path())
}

/// The codes that have a row of their own, in the page's order.
fn rows() -> Vec<String> {
    let row = |line: &str| {
        line.strip_prefix("| ")?
            .split_once(" | ")
            .map(|row| row.0.to_owned())
    };
    PAGE.lines()
        .filter_map(row)
        .filter(|code| codes(code).contains(code))
        .collect()
}

#[test]
fn every_error_code_is_explained_and_every_explained_one_exists() {
    let (used, explained) = (used(), rows().into_iter().collect::<BTreeSet<_>>());
    assert!(used.len() > 80, "the sources were not found: {used:?}");
    let missing: Vec<_> = used.difference(&explained).collect();
    assert!(missing.is_empty(), "docs/errors.md lacks {missing:?}");
    let mentioned: Vec<_> = codes(PAGE).difference(&used).cloned().collect();
    assert!(
        mentioned.is_empty(),
        "docs/errors.md names what no code uses: {mentioned:?}"
    );
}

#[test]
fn every_error_code_is_explained_once_and_in_order() {
    let rows = rows();
    let mut sorted = rows.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(rows, sorted);
}

#[test]
fn every_explanation_says_what_happened_and_what_to_do() {
    for code in rows() {
        let start = format!("| {code} | ");
        let row = PAGE.lines().find(|line| line.starts_with(&start));
        let row = row.and_then(|line| line.strip_suffix(" |"));
        let cells = row.map(|row| row.split(" | ").filter(|cell| !cell.trim().is_empty()));
        assert_eq!(cells.map(Iterator::count), Some(3), "{code}");
    }
}
