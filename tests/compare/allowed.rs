//! The differences that are meant: `differences.txt`, one entry per reason, each with the places it explains.
//!
//! ```text
//! == name-of-the-difference
//! Why Tapline answers otherwise, in a sentence.
//! at: scene / title | place | what the original says | what we say
//! ```
//!
//! `*` stands for any text in each of the four columns, and `<original>` in the fourth for the original's text as it is
//! there, without its closing quote. A line that explains nothing any more is an error: a list of
//! excuses must not outlive what it excuses.

use super::diff::Difference;
use regex::Regex;
use std::{fs, path::Path};

/// One meant difference.
#[derive(Debug)]
pub struct Allowed {
    /// A short name, which the documentation uses, too.
    pub name: String,
    /// Why.
    pub reason: String,
    places: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    line: String,
    columns: [Regex; 4],
    used: bool,
}

/// All of them.
pub fn all() -> Vec<Allowed> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compare/differences.txt");
    let text = fs::read_to_string(file).expect("the list of differences is there");
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let text = lines.join("\n");
    let blocks = format!("\n{text}");
    blocks.split("\n== ").skip(1).map(allowed).collect()
}

fn allowed(block: &str) -> Allowed {
    let mut lines = block.lines().filter(|line| !line.is_empty());
    let name = lines.next().unwrap_or_default().to_owned();
    let (places, reason): (Vec<_>, Vec<_>) = lines.partition(|line| line.starts_with("at: "));
    assert!(
        !reason.is_empty() && !places.is_empty(),
        "{name} has no reason or no place"
    );
    let places = places.into_iter().map(|line| Place {
        line: line.to_owned(),
        columns: columns(line).unwrap_or_else(|| panic!("{name}: not four columns: {line}")),
        used: false,
    });
    let places = places.collect();
    Allowed {
        name,
        reason: reason.join(" "),
        places,
    }
}

fn columns(line: &str) -> Option<[Regex; 4]> {
    let columns = line.strip_prefix("at: ")?.split(" | ");
    let patterns = columns.map(|column| {
        let parts: Vec<_> = column.split('*').map(regex::escape).collect();
        Regex::new(&format!("(?s)^{}$", parts.join(".*"))).ok()
    });
    patterns.collect::<Option<Vec<_>>>()?.try_into().ok()
}

/// Takes away what is meant; what is left is not.
pub fn without(allowed: &mut [Allowed], differences: Vec<Difference>) -> Vec<Difference> {
    let mut left = differences;
    left.retain(|one| {
        let longer = longer(one);
        let sides = [&one.step, &one.place, &one.original, &one.ours];
        let ours_longer = [&one.step, &one.place, &one.original, &longer];
        let mut meant = false;
        for place in allowed.iter_mut().flat_map(|entry| &mut entry.places) {
            let fits = |sides: [&String; 4]| {
                let mut pairs = place.columns.iter().zip(sides);
                pairs.all(|(column, side)| column.is_match(side))
            };
            if fits(sides) || fits(ours_longer) {
                place.used = true;
                meant = true;
            }
        }
        !meant
    });
    left
}

/// Our text with `<original>` for the original's text, if ours begins with that.
fn longer(one: &Difference) -> String {
    let begins = one.original.strip_suffix('"');
    match begins.and_then(|begins| one.ours.strip_prefix(begins)) {
        Some(rest) => format!("\"<original>{rest}"),
        None => one.ours.clone(),
    }
}

/// The lines that explained nothing, of those that had to.
pub fn unused(allowed: &[Allowed], had_to: impl Fn(&str) -> bool) -> Vec<String> {
    let unused = allowed.iter().flat_map(|entry| {
        let places = entry
            .places
            .iter()
            .filter(|place| !place.used && had_to(&place.line));
        places.map(move |place| format!("{}: {}", entry.name, place.line))
    });
    unused.collect()
}

#[test]
fn a_pattern_takes_what_it_names_and_nothing_else() {
    let difference = |ours: &str| Difference {
        step: "bad / one".to_owned(),
        place: "status".to_owned(),
        original: "500".to_owned(),
        ours: ours.to_owned(),
    };
    let mut list = vec![allowed(
        "clear\nBecause.\nat: bad / * | status | 500 | 400\nat: x / * | * | * | *",
    )];
    let left = without(&mut list, vec![difference("400"), difference("404")]);
    assert_eq!(left, [difference("404")]);
    let stale = unused(&list, |_| true);
    assert_eq!(stale, ["clear: at: x / * | * | * | *"]);
    let stale = unused(&list, |line| !line.contains(" x / "));
    assert_eq!(stale, Vec::<String>::new());
}

#[test]
fn a_text_may_begin_with_the_originals_and_go_on() {
    let difference = |ours: &str| Difference {
        step: "bad / one".to_owned(),
        place: "/message".to_owned(),
        original: "\"Not found\"".to_owned(),
        ours: ours.to_owned(),
    };
    let mut list = vec![allowed(
        "longer\nBecause.\nat: * | /message | * | \"<original> (*)\"",
    )];
    let good = difference("\"Not found (look elsewhere)\"");
    let bad = [
        difference("\"Gone (look elsewhere)\""),
        difference("\"Not found\""),
    ];
    let left = without(&mut list, [vec![good], bad.to_vec()].concat());
    assert_eq!(left, bad);
}
