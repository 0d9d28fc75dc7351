//! A pipeline file becomes connectors, or a list of everything that is wrong with it.

use super::{
    Catalogue,
    from::Feed,
    outline::{Outline, find},
    part::{self, Part},
    topics::{self, Topic},
};
use crate::{
    config::document::{
        Diagnostic, Place, Report, secrets,
        yaml::{self, Content, Node},
    },
    plugins::keys,
    worker::{Author, ConnectorKind, ConnectorSpec, Origin, Subject},
};
use std::collections::{BTreeMap, HashMap, HashSet};
use tapline_sdk::Issue;

/// Far above any pipeline that a person writes; bounds what a wrong path costs.
pub const FILE_BYTES_MAX: usize = 1 << 20;

/// More than anybody keeps in one file: every sink may read from every source, which makes the work of a file their
/// product.
const PARTS_MAX: usize = 1_024;

/// A pipeline file, compiled.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// The pipeline's name.
    pub name: String,
    /// The file, as the user wrote its path.
    pub file: String,
    /// Its connectors, sources first.
    pub connectors: Vec<Compiled>,
    /// The topics that are there before a connector starts.
    pub topics: Vec<Topic>,
    /// What the file holds, to quote lines from.
    text: Text,
}

/// A file's text. It may hold secrets: hence no derived `Debug`.
#[derive(Clone)]
struct Text(String);

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Pipeline {
    /// What was found wrong with connectors (under `code`) and topics of this file after it compiled, at the lines of
    /// the keys. What belongs to other files is passed over.
    #[must_use]
    pub fn report(
        &self,
        code: &'static str,
        found: impl IntoIterator<Item = (Subject, Issue)>,
    ) -> Report {
        let mut problems = Vec::new();
        for (subject, issue) in found {
            problems.extend(match subject {
                Subject::Connector(name) => {
                    let part = self.connectors.iter().find(|part| part.name == name);
                    part.map(|part| part::objection(part, issue, code))
                }
                Subject::Topic(name) => {
                    let topic = self.topics.iter().find(|topic| topic.spec.name == name);
                    topic.map(|topic| topic.objection(issue))
                }
            });
        }
        let (root, _) = yaml::parse(&self.text.0);
        let secrets = secrets::places(root.as_ref(), &self.text.0);
        Report::new(&self.file, &self.text.0, secrets, problems)
    }
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
        Some((name, connectors, topics)) if compiler.problems.is_empty() => Ok(Pipeline {
            name,
            file: file.to_owned(),
            connectors,
            topics,
            text: Text(text.to_owned()),
        }),
        _ => {
            let secrets = secrets::places(root.as_ref(), text);
            Err(Report::new(file, text, secrets, compiler.problems))
        }
    }
}

/// Compiles several files, whose pipelines must have different names and topics.
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
                None => match topics_taken(&pipeline, &pipelines) {
                    Some(report) => reports.push(report),
                    None => pipelines.push(pipeline),
                },
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

/// Two files that say different things of a topic would undo each other for ever.
fn topics_taken(pipeline: &Pipeline, others: &[Pipeline]) -> Option<Report> {
    let taken = others.iter().flat_map(|other| {
        let topics = other.topics.iter();
        topics.map(|topic| (topic.spec.name.as_str(), other.file.as_str()))
    });
    let taken: HashMap<&str, &str> = taken.collect();
    let found = pipeline.topics.iter().filter_map(|topic| {
        let file = taken.get(topic.spec.name.as_str())?;
        let problem = format!("this topic is declared in {file} already");
        let issue = Issue::new("", problem, "keep it in one of the files");
        Some((Subject::Topic(topic.spec.name.clone()), issue))
    });
    let report = pipeline.report("TL0116", found);
    (!report.problems().is_empty()).then_some(report)
}

struct Compiler<'c> {
    catalogue: &'c dyn Catalogue,
    problems: Vec<Diagnostic>,
}

impl Compiled {
    /// What the worker is asked to run, marked as the pipeline's own; `file` is shown in messages about it.
    #[must_use]
    pub fn spec(&self, file: &str) -> ConnectorSpec {
        let mut settings = self.settings.clone();
        if let Some((pipeline, _part)) = self.name.split_once('.') {
            settings.insert(keys::PIPELINE.name().to_owned(), pipeline.to_owned());
        }
        ConnectorSpec {
            name: self.name.clone(),
            kind: self.role,
            class: self.class.clone(),
            settings,
            origin: Some(Origin {
                file: file.to_owned(),
                line: u32::try_from(self.place.line).unwrap_or(u32::MAX),
            }),
            author: Author::Operator,
        }
    }
}

impl Compiler<'_> {
    fn file(&mut self, root: Option<&Node>) -> Option<(String, Vec<Compiled>, Vec<Topic>)> {
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
        let mut outline = Outline::new(&mut self.problems);
        outline.words(entries);
        outline.version(entries);
        // A file without a usable name still has its parts checked: every problem is shown at once.
        let name = outline.name(entries);
        let pipeline = name.as_deref().unwrap_or("pipeline");
        let parts = outline.parts(entries, pipeline);
        let topics = topics::compile(find(entries, "topics"), pipeline, &mut self.problems);
        let connectors = self.connectors(&parts);
        name.map(|name| (name, connectors, topics))
    }

    fn connectors(&mut self, parts: &[Part<'_>]) -> Vec<Compiled> {
        let mut compiled: Vec<Compiled> = Vec::new();
        let mut feeds: Vec<Feed> = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            if number >= PARTS_MAX {
                let message = format!("more than {PARTS_MAX} sources and sinks");
                let problem = Diagnostic::new("TL0108", part.place, message);
                let help = "split the file into several pipelines";
                self.problems.push(problem.at(&part.path).help(help));
                break;
            }
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
        let found = match self.catalogue.resolve(&part.settings) {
            Ok(settings) => match self.catalogue.check(part.role, &part.class, &settings) {
                Ok(warnings) => {
                    part.warnings = warnings;
                    return;
                }
                Err(issues) => part::objections(part, issues, "TL0110"),
            },
            Err(issues) => part::objections(part, issues, "TL0111"),
        };
        let known = self.problems.iter().map(|known| known.path.as_str());
        let known: HashSet<&str> = known.collect();
        let new = found.into_iter();
        let new: Vec<Diagnostic> = new
            .filter(|problem| !known.contains(problem.path.as_str()))
            .collect();
        self.problems.extend(new);
    }
}
