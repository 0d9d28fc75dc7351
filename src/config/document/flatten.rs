//! Nested keys become the connectors' own: maps join with dots, lists with commas.
//!
//! Knows no connector: a key's name alone says whether it takes a unit. Values are text all the way.

use super::{
    Diagnostic, Place,
    units::{self, Quantity},
    yaml::{Content, Entry, Node},
};
use std::collections::HashMap;

/// Far more than any connector has: each costs a check of its own, and a slip of a program must not cost minutes.
const KEYS_MAX: usize = 1_024;

/// One key of a connector with its text, which may be a secret: hence no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Dotted, as the connector knows it.
    pub(crate) key: String,
    /// The text, units turned into plain numbers.
    pub(crate) text: String,
    /// Where the last part of the key stands.
    pub(crate) place: Place,
    /// Where the value begins.
    pub(crate) value_place: Place,
}

/// Flattens one part of a pipeline, leaving out `reserved` words at the top. Keys that are spelt twice, nested and
/// dotted, are reported.
pub(crate) fn flatten(
    entries: &[Entry],
    reserved: &[&str],
    path: &str,
    problems: &mut Vec<Diagnostic>,
) -> Vec<Setting> {
    let mut flat = Flat {
        path,
        settings: Vec::new(),
        lines: HashMap::new(),
        problems,
    };
    for entry in entries {
        if flat.settings.len() >= KEYS_MAX {
            let problem =
                Diagnostic::new("TL0108", entry.place, format!("more than {KEYS_MAX} keys"));
            let help = "remove those that the connector does not know";
            flat.problems.push(problem.at(path).help(help));
            break;
        }
        if !reserved.contains(&entry.key.as_str()) {
            flat.add(entry.key.clone(), entry.place, &entry.value);
        }
    }
    flat.settings
}

struct Flat<'a> {
    path: &'a str,
    settings: Vec<Setting>,
    /// The keys of `settings`, and where they stand.
    lines: HashMap<String, usize>,
    problems: &'a mut Vec<Diagnostic>,
}

impl Flat<'_> {
    fn add(&mut self, key: String, place: Place, value: &Node) {
        let text = match &value.content {
            Content::Refused => return,
            Content::Map(entries) if entries.is_empty() => return self.empty(&key, place),
            // What includes nothing would otherwise be a key that is not given, and include everything.
            Content::List(items) if items.is_empty() => return self.empty(&key, place),
            Content::Map(entries) => {
                for entry in entries.iter().take(KEYS_MAX + 1) {
                    self.add(format!("{key}.{}", entry.key), entry.place, &entry.value);
                }
                return;
            }
            Content::Null => {
                let help = "give it a value (\"\" for an empty text), or remove the key";
                return self.report("TL0108", place, &key, "has no value", help);
            }
            Content::List(items) => self.join(&key, items),
            Content::Scalar(text) => self.plain_number(&key, text, value.place),
        };
        let Some(text) = text else { return };
        if let Some(first) = self.lines.get(&key) {
            let problem = format!("is given twice, first on line {first}");
            let help = "spell it either nested or with dots, once";
            return self.report("TL0104", place, &key, &problem, help);
        }
        self.lines.insert(key.clone(), place.line);
        self.settings.push(Setting {
            key,
            text,
            place,
            value_place: value.place,
        });
    }

    fn empty(&mut self, key: &str, place: Place) {
        let help = "give it a value, or remove the key";
        self.report("TL0108", place, key, "has no value", help);
    }

    fn join(&mut self, key: &str, items: &[Node]) -> Option<String> {
        let before = self.problems.len();
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            match &item.content {
                Content::Scalar(text) if text.contains(',') => {
                    let help = "make it two items; a regular expression can write [,] as \\x2c";
                    self.report(
                        "TL0108",
                        item.place,
                        key,
                        "has a list item with a comma",
                        help,
                    );
                }
                Content::Scalar(text) if text.trim().is_empty() => {
                    self.report(
                        "TL0108",
                        item.place,
                        key,
                        "has an empty list item",
                        "remove the item",
                    );
                }
                Content::Scalar(text) => texts.push(text.as_str()),
                Content::Refused => {}
                _ => {
                    let problem = format!("has {} as a list item", item.shape());
                    self.report(
                        "TL0108",
                        item.place,
                        key,
                        &problem,
                        "write plain values in the list",
                    );
                }
            }
        }
        (self.problems.len() == before).then(|| texts.join(","))
    }

    fn plain_number(&mut self, key: &str, text: &str, place: Place) -> Option<String> {
        let Some(quantity) = Quantity::of_key(key) else {
            return Some(text.to_owned());
        };
        match units::plain(quantity, text) {
            Ok(text) => Some(text),
            Err(problem) => {
                self.report("TL0114", place, key, &problem, quantity.remedy());
                None
            }
        }
    }

    fn report(&mut self, code: &'static str, place: Place, key: &str, problem: &str, help: &str) {
        let problem = Diagnostic::new(code, place, format!("{key} {problem}"));
        self.problems.push(
            problem
                .at(format!("{}.{key}", self.path).trim_start_matches('.'))
                .help(help),
        );
    }
}
