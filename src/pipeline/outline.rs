//! The outline of a pipeline file: its words, version and name, and its parts before anything is known of connectors.

use super::part::{self, Part};
use crate::{
    config::document::{
        Diagnostic, Place,
        yaml::{Content, Entry},
    },
    worker::ConnectorKind,
};
use tapline_sdk::nearest;

/// The one version there is.
const VERSION: &str = "1";

/// Slot and publication names are made of it, and Postgres cuts those at 63.
const NAME_LEN_MAX: usize = 48;

/// The words of a file's top level.
const WORDS: [&str; 7] = [
    "version", "name", "topics", "source", "sources", "sink", "sinks",
];

/// Reads the top of a file and reports what is wrong with it.
pub(super) struct Outline<'p> {
    problems: &'p mut Vec<Diagnostic>,
}

impl<'p> Outline<'p> {
    /// Reports into `problems`.
    pub(super) fn new(problems: &'p mut Vec<Diagnostic>) -> Self {
        Self { problems }
    }

    /// Refuses words that do not belong at the top.
    pub(super) fn words(&mut self, entries: &[Entry]) {
        for entry in entries {
            let key = entry.key.as_str();
            let help = match nearest(key, WORDS) {
                _ if WORDS.contains(&key) => continue,
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the words here are {}", WORDS.join(", ")),
            };
            let message = format!("`{key}` does not belong at the top of a pipeline file");
            let problem = Diagnostic::new("TL0107", entry.place, message);
            self.problems.push(problem.at(key).help(help));
        }
    }

    /// Requires the one version.
    pub(super) fn version(&mut self, entries: &[Entry]) {
        let entry = find(entries, "version");
        let (place, message) = match entry.map(|entry| &entry.value.content) {
            Some(Content::Scalar(text)) if text == VERSION => return,
            Some(Content::Refused) => return,
            Some(Content::Scalar(text)) => (
                entry.map(|entry| entry.value.place),
                format!("version `{text}` is unknown to this tapline"),
            ),
            Some(_) => (
                entry.map(|entry| entry.place),
                "version is no number".to_owned(),
            ),
            None => (None, "version is missing".to_owned()),
        };
        let problem = Diagnostic::new("TL0105", place.unwrap_or(Place::START), message);
        self.problems
            .push(problem.at("version").help("write `version: 1`"));
    }

    /// The pipeline's name, if it is usable.
    pub(super) fn name(&mut self, entries: &[Entry]) -> Option<String> {
        let Some(entry) = find(entries, "name") else {
            let problem = Diagnostic::new("TL0106", Place::START, "name is missing");
            let help = "write `name: …`; connectors, topics and slots are named after it";
            self.problems.push(problem.at("name").help(help));
            return None;
        };
        match &entry.value.content {
            Content::Scalar(name) => self
                .check_name(name, entry.value.place, "name")
                .then(|| name.clone()),
            Content::Refused => None,
            _ => {
                let message = format!("name is {}", entry.value.shape());
                let problem = Diagnostic::new("TL0106", entry.place, message);
                self.problems
                    .push(problem.at("name").help("write `name: shop`"));
                None
            }
        }
    }

    fn check_name(&mut self, name: &str, place: Place, path: &str) -> bool {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let good = name.len() <= NAME_LEN_MAX
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.chars().all(plain);
        if !good {
            let help = "use letters, digits, `-` and `_`, a letter or digit first, at most 48";
            let problem = Diagnostic::new("TL0106", place, format!("`{name}` cannot be a name"));
            self.problems.push(problem.at(path).help(help));
        }
        good
    }

    /// The sources and sinks, sources first.
    pub(super) fn parts<'f>(&mut self, entries: &'f [Entry], pipeline: &'f str) -> Vec<Part<'f>> {
        let mut parts: Vec<Part<'f>> = Vec::new();
        for (role, one, several) in [
            (ConnectorKind::Source, "source", "sources"),
            (ConnectorKind::Sink, "sink", "sinks"),
        ] {
            let (single, named) = (find(entries, one), find(entries, several));
            if let (Some(_), Some(named)) = (single, named) {
                let message = format!("`{one}` and `{several}` are both given");
                let problem = Diagnostic::new("TL0107", named.place, message);
                let help = format!("move it into `{several}` under a name of its own");
                self.problems.push(problem.at(several).help(help));
            }
            let make = |entry: &'f Entry, name: Option<&'f str>, body: &'f [Entry]| Part {
                role,
                pipeline,
                name,
                path: name.map_or(one.to_owned(), |name| format!("{several}.{name}")),
                place: entry.place,
                entries: body,
            };
            if let Some((entry, body)) = single.and_then(|entry| self.body(entry, one)) {
                parts.push(make(entry, None, body));
            }
            for entry in self.named(named) {
                let path = format!("{several}.{}", entry.key);
                let good = self.check_name(&entry.key, entry.place, &path);
                if let Some((entry, body)) = self.body(entry, &path).filter(|_| good) {
                    parts.push(make(entry, Some(&entry.key), body));
                }
            }
        }
        self.refuse_twins(&parts);
        parts
    }

    /// The map of a part.
    fn body<'f>(&mut self, entry: &'f Entry, path: &str) -> Option<(&'f Entry, &'f [Entry])> {
        match &entry.value.content {
            Content::Map(body) => return Some((entry, body)),
            Content::Refused => return None,
            _ => {}
        }
        let message = format!("{path} is {}, not a map", entry.value.shape());
        let problem = Diagnostic::new("TL0108", entry.place, message);
        let help = "give it `connector: …` and the connector's keys, indented";
        self.problems.push(problem.at(path).help(help));
        None
    }

    /// The entries of `sources` or `sinks`; nothing is no part.
    fn named<'f>(&mut self, entry: Option<&'f Entry>) -> &'f [Entry] {
        let Some(entry) = entry else { return &[] };
        match &entry.value.content {
            Content::Map(parts) => parts,
            Content::Null | Content::Refused => &[],
            _ => {
                let message = format!("{} is {}, not a map", entry.key, entry.value.shape());
                let problem = Diagnostic::new("TL0108", entry.place, message);
                let help = "name each part: `sinks: {replica: {connector: sql, …}}`";
                self.problems.push(problem.at(&entry.key).help(help));
                &[]
            }
        }
    }

    fn refuse_twins(&mut self, parts: &[Part<'_>]) {
        let name = |part: &Part<'_>| part.name.unwrap_or(part::word(part.role)).to_owned();
        for (at, part) in parts.iter().enumerate() {
            let twin = parts
                .iter()
                .take(at)
                .find(|other| name(other) == name(part));
            if let Some(twin) = twin {
                let line = twin.place.line;
                let message = format!("the name `{}` is taken on line {line}", name(part));
                let problem = Diagnostic::new("TL0106", part.place, message);
                let help = "sources and sinks of a file have different names";
                self.problems.push(problem.at(&part.path).help(help));
            }
        }
    }
}

/// The entry of this key.
pub(super) fn find<'f>(entries: &'f [Entry], key: &str) -> Option<&'f Entry> {
    entries.iter().find(|entry| entry.key == key)
}
