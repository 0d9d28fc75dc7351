//! A pipeline file becomes connectors, or a list of everything that is wrong with it.

use super::{
    Catalogue,
    from::Feed,
    part::{self, Part},
};
use crate::{
    config::{
        document::{
            Diagnostic, Place, Report, secrets,
            yaml::{self, Content, Entry, Node},
        },
        placeholder,
    },
    worker::{ConnectorKind, ConnectorSpec, Origin},
};
use std::collections::BTreeMap;
use tapline_sdk::nearest;

/// The one version there is.
const VERSION: &str = "1";

/// Far above any pipeline that a person writes; bounds what a wrong path costs.
pub const FILE_BYTES_MAX: usize = 1 << 20;

/// Slot and publication names are made of it, and Postgres cuts those at 63.
const NAME_LEN_MAX: usize = 48;

/// The words of a file's top level.
const WORDS: [&str; 7] = [
    "version", "name", "topics", "source", "sources", "sink", "sinks",
];

/// A pipeline file, compiled.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// The pipeline's name.
    pub name: String,
    /// The file, as the user wrote its path.
    pub file: String,
    /// Its connectors, sources first.
    pub connectors: Vec<Compiled>,
}

/// A connector of a pipeline file. Placeholders are still in place, so that no secret is stored.
#[derive(Clone)]
pub struct Compiled {
    /// `<pipeline>.<part>`.
    pub name: String,
    /// Source or sink.
    pub role: ConnectorKind,
    /// The class or short name, as written.
    pub class: String,
    /// The connector's keys.
    pub settings: BTreeMap<String, String>,
    /// Where in the file it stands: `sinks.replica`.
    pub path: String,
    /// The line of its name.
    pub place: Place,
    /// Keys that were accepted and mean nothing here, one sentence each.
    pub warnings: Vec<String>,
    pub(super) places: BTreeMap<String, Place>,
}

/// Shows no value: some are secrets that a user wrote out.
impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compiled")
            .field("name", &self.name)
            .field("class", &self.class)
            .field("keys", &self.settings.keys())
            .finish()
    }
}

/// Compiles one file. `file` is the name that errors show.
///
/// # Errors
/// Every problem of the file.
pub fn compile(file: &str, text: &str, catalogue: &dyn Catalogue) -> Result<Pipeline, Report> {
    let (root, problems) = yaml::parse(text);
    let mut compiler = Compiler {
        catalogue,
        problems,
    };
    let compiled = compiler.file(root.as_ref());
    match compiled {
        Some((name, connectors)) if compiler.problems.is_empty() => Ok(Pipeline {
            name,
            file: file.to_owned(),
            connectors,
        }),
        _ => {
            let secrets = secrets::places(root.as_ref(), text);
            Err(Report::new(file, text, secrets, compiler.problems))
        }
    }
}

/// Compiles several files, whose pipelines must have different names.
///
/// # Errors
/// A report for each file that has problems.
pub fn compile_all(
    files: &[(String, String)],
    catalogue: &dyn Catalogue,
) -> Result<Vec<Pipeline>, Vec<Report>> {
    let mut pipelines: Vec<Pipeline> = Vec::new();
    let mut reports = Vec::new();
    for (file, text) in files {
        match compile(file, text, catalogue) {
            Ok(pipeline) => match pipelines.iter().find(|other| other.name == pipeline.name) {
                Some(other) => reports.push(name_taken(file, text, other)),
                None => pipelines.push(pipeline),
            },
            Err(report) => reports.push(report),
        }
    }
    if reports.is_empty() {
        Ok(pipelines)
    } else {
        Err(reports)
    }
}

fn name_taken(file: &str, text: &str, other: &Pipeline) -> Report {
    let (root, _) = yaml::parse(text);
    let place = root.as_ref().and_then(|root| match &root.content {
        Content::Map(entries) => find(entries, "name").map(|entry| entry.value.place),
        _ => None,
    });
    let message = format!(
        "the name `{}` belongs to {} already",
        other.name, other.file
    );
    let problem = Diagnostic::new("TL0106", place.unwrap_or(Place::START), message);
    let problem = problem
        .at("name")
        .help("give each pipeline a name of its own");
    Report::new(
        file,
        text,
        secrets::places(root.as_ref(), text),
        vec![problem],
    )
}

struct Compiler<'c> {
    catalogue: &'c dyn Catalogue,
    problems: Vec<Diagnostic>,
}

impl Compiled {
    /// What the worker is asked to run; `file` is shown in messages about it.
    #[must_use]
    pub fn spec(&self, file: &str) -> ConnectorSpec {
        ConnectorSpec {
            name: self.name.clone(),
            kind: self.role,
            class: self.class.clone(),
            settings: self.settings.clone(),
            origin: Some(Origin {
                file: file.to_owned(),
                line: u32::try_from(self.place.line).unwrap_or(u32::MAX),
            }),
        }
    }
}

impl Compiler<'_> {
    fn file(&mut self, root: Option<&Node>) -> Option<(String, Vec<Compiled>)> {
        let entries = match root.map(|root| &root.content) {
            Some(Content::Map(entries)) => entries,
            _ if !self.problems.is_empty() => return None,
            _ => {
                let problem = Diagnostic::new("TL0108", Place::START, "this is not a pipeline");
                let help = "begin with `version: 1` and `name: …`, then `source:` and `sinks:`";
                self.problems.push(problem.help(help));
                return None;
            }
        };
        self.words(entries);
        self.version(entries);
        // A file without a usable name still has its parts checked: every problem is shown at once.
        let name = self.name(entries);
        let pipeline = name.as_deref().unwrap_or("pipeline");
        let parts = self.parts(entries, pipeline);
        let connectors = self.connectors(&parts);
        name.map(|name| (name, connectors))
    }

    fn words(&mut self, entries: &[Entry]) {
        for entry in entries {
            let key = entry.key.as_str();
            let help = match nearest(key, WORDS) {
                _ if key == "topics" => "topics are created as sources need them".to_owned(),
                _ if WORDS.contains(&key) => continue,
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the words here are {}", WORDS.join(", ")),
            };
            let message = match key {
                "topics" => "topics cannot be set up in a file yet".to_owned(),
                _ => format!("`{key}` does not belong at the top of a pipeline file"),
            };
            let problem = Diagnostic::new("TL0107", entry.place, message);
            self.problems.push(problem.at(key).help(help));
        }
    }

    fn version(&mut self, entries: &[Entry]) {
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

    fn name(&mut self, entries: &[Entry]) -> Option<String> {
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

    fn parts<'f>(&mut self, entries: &'f [Entry], pipeline: &'f str) -> Vec<Part<'f>> {
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

    fn connectors(&mut self, parts: &[Part<'_>]) -> Vec<Compiled> {
        let mut compiled: Vec<Compiled> = Vec::new();
        let mut feeds: Vec<Feed> = Vec::new();
        for part in parts {
            let compiled_part = part.compile(self.catalogue, &feeds, &mut self.problems);
            let Some(mut connector) = compiled_part else {
                // A source that cannot be compiled is reported once, not again by every sink that reads from it.
                if part.role == ConnectorKind::Source {
                    feeds.push(Feed::unknown(&part.connector_name()));
                }
                continue;
            };
            self.check(&mut connector);
            if part.role == ConnectorKind::Source {
                feeds.push(part::feed(&connector));
            }
            compiled.push(connector);
        }
        compiled
    }

    /// What the connector objects to, keys apart that were reported already: a value that was refused is not missing.
    fn check(&mut self, part: &mut Compiled) {
        let found = match placeholder::resolve_all(&part.settings) {
            Ok(settings) => match self.catalogue.check(part.role, &part.class, &settings) {
                Ok(warnings) => {
                    part.warnings = warnings;
                    return;
                }
                Err(issues) => part::objections(part, issues, "TL0110"),
            },
            Err(issues) => part::objections(part, issues, "TL0111"),
        };
        let known: Vec<String> = self
            .problems
            .iter()
            .map(|known| known.path.clone())
            .collect();
        let new = found
            .into_iter()
            .filter(|problem| !known.contains(&problem.path));
        self.problems.extend(new);
    }
}

fn find<'f>(entries: &'f [Entry], key: &str) -> Option<&'f Entry> {
    entries.iter().find(|entry| entry.key == key)
}
