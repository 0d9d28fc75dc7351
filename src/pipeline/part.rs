//! One source or sink of a pipeline file, compiled to a connector's settings.
//!
//! Adds what follows from the pipeline's name where the connector has such a key, and only under our own class: an
//! alias keeps its product's defaults.

use super::{
    Catalogue,
    compile::Compiled,
    from::{self, Feed},
    placeholders, transforms,
};
use crate::{
    config::{
        access::Access,
        document::{
            Diagnostic, Place,
            flatten::{Setting, flatten},
            yaml::{Content, Entry},
        },
        placeholder,
    },
    worker::ConnectorKind,
};
use tapline_sdk::{Info, Issue, nearest};

/// Words of a part that are not the connector's keys.
const RESERVED: [&str; 3] = ["connector", "from", "transforms"];

/// Postgres cuts longer names, and two cut names may be equal.
const SLOT_NAME_LEN_MAX: usize = 63;

/// A part before it is compiled.
pub(super) struct Part<'f> {
    pub(super) role: ConnectorKind,
    pub(super) pipeline: &'f str,
    /// `None` for the one unnamed `source:` or `sink:`.
    pub(super) name: Option<&'f str>,
    pub(super) path: String,
    pub(super) place: Place,
    pub(super) entries: &'f [Entry],
}

impl Part<'_> {
    /// The part's settings; `None` if nothing can be said about them.
    pub(super) fn compile(
        &self,
        catalogue: &dyn Catalogue,
        feeds: &[Feed],
        problems: &mut Vec<Diagnostic>,
    ) -> Option<Compiled> {
        let mut settings = flatten(self.entries, &RESERVED, &self.path, problems);
        self.refuse_reserved(&settings, problems);
        if let Some(entry) = self.entry("transforms") {
            let chain = transforms::compile(entry, &settings, &self.path, problems);
            settings.extend(chain);
        }
        let class = self.class(problems)?;
        let Some(info) = catalogue.info(self.role, class) else {
            problems.push(self.unknown_class(class, catalogue));
            return None;
        };
        if class == info.short || class == info.class {
            self.add_defaults(info, &mut settings, problems);
        }
        self.add_topics(&mut settings, feeds, problems);
        placeholders::check(&self.path, info, &settings, problems);
        Some(self.compiled(class, &settings))
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    fn class(&self, problems: &mut Vec<Diagnostic>) -> Option<&str> {
        let entry = self.entry("connector");
        match entry.map(|entry| &entry.value.content) {
            Some(Content::Scalar(class)) if !class.trim().is_empty() => return Some(class.trim()),
            Some(Content::Refused) => return None,
            _ => {}
        }
        let place = entry.map_or(self.place, |entry| entry.value.place);
        let help = match self.role {
            ConnectorKind::Source => "name the source: `connector: postgres`",
            ConnectorKind::Sink => "name the sink: `connector: sql`",
        };
        problems.push(
            Diagnostic::new("TL0109", place, format!("{} names no connector", self.path))
                .at(format!("{}.connector", self.path))
                .help(help),
        );
        None
    }

    fn unknown_class(&self, class: &str, catalogue: &dyn Catalogue) -> Diagnostic {
        let known = catalogue.shorts(self.role);
        let entry = self.entry("connector");
        let place = entry.map_or(self.place, |entry| entry.value.place);
        let help = match nearest(class, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("use one of: {}", known.join(", ")),
        };
        let role = word(self.role);
        Diagnostic::new(
            "TL0109",
            place,
            format!("there is no {role} connector `{class}`"),
        )
        .at(format!("{}.connector", self.path))
        .help(help)
    }

    fn refuse_reserved(&self, settings: &[Setting], problems: &mut Vec<Diagnostic>) {
        for setting in settings {
            let help = match setting.key.as_str() {
                "name" => format!("remove it: this connector is `{}`", self.connector_name()),
                "connector.class" => "write the class under `connector`".to_owned(),
                "tapline.pipeline" => "remove it: it is written by itself".to_owned(),
                _ => continue,
            };
            let message = format!("{} does not belong in a pipeline file", setting.key);
            let problem = Diagnostic::new("TL0107", setting.place, message);
            problems.push(problem.at(self.path_of(&setting.key)).help(help));
        }
    }

    /// Prefix, slot and publication are named after the pipeline, and after the part if it has a name: adding a second
    /// source then renames nothing.
    fn add_defaults(
        &self,
        info: &Info,
        settings: &mut Vec<Setting>,
        problems: &mut Vec<Diagnostic>,
    ) {
        let (prefix, slot) = match self.name {
            None => (
                self.pipeline.to_owned(),
                format!("tapline_{}", self.pipeline),
            ),
            Some(part) => (
                format!("{}.{part}", self.pipeline),
                format!("tapline_{}_{part}", self.pipeline),
            ),
        };
        let slot = slot.to_ascii_lowercase().replace('-', "_");
        for (key, text) in [
            ("topic.prefix", &prefix),
            ("slot.name", &slot),
            ("publication.name", &slot),
        ] {
            let known = info.keys.iter().any(|definition| definition.name == key);
            if !known || settings.iter().any(|setting| setting.key == key) {
                continue;
            }
            if key != "topic.prefix" && text.len() > SLOT_NAME_LEN_MAX {
                let message = format!("{key} cannot be `{text}`: longer than 63 characters");
                let problem = Diagnostic::new("TL0106", self.place, message);
                let help = format!("set {key}, or shorten the pipeline's or the part's name");
                problems.push(problem.at(self.path_of(key)).help(help));
                continue;
            }
            settings.push(self.made(key, text));
        }
    }

    fn add_topics(
        &self,
        settings: &mut Vec<Setting>,
        feeds: &[Feed],
        problems: &mut Vec<Diagnostic>,
    ) {
        let from = self.entry("from");
        let topics = |setting: &&Setting| matches!(&*setting.key, "topics" | "topics.regex");
        let own = settings.iter().find(topics);
        match (self.role, from, own) {
            (ConnectorKind::Source, None, _) | (ConnectorKind::Sink, None, Some(_)) => {}
            (ConnectorKind::Source, Some(entry), _) => {
                let problem = "from belongs to a sink: a source reads another system";
                let problem = Diagnostic::new("TL0113", entry.place, problem);
                let help = "remove it, or list tables with the connector's own keys";
                problems.push(problem.at(self.path_of("from")).help(help));
            }
            (ConnectorKind::Sink, Some(entry), Some(own)) => {
                let message = format!("from and {} both name topics", own.key);
                let problem = Diagnostic::new("TL0113", entry.place, message);
                problems.push(problem.at(self.path_of("from")).help("keep `from`"));
            }
            (ConnectorKind::Sink, entry, None) => {
                match from::compile(entry, self.place, &self.path, feeds) {
                    Ok(setting) => settings.push(setting),
                    Err(problem) => problems.push(problem),
                }
            }
        }
    }

    fn compiled(&self, class: &str, settings: &[Setting]) -> Compiled {
        let places = settings.iter().map(|s| (s.key.clone(), s.place)).collect();
        let settings = settings.iter().map(|s| (s.key.clone(), s.text.clone()));
        Compiled {
            name: self.connector_name(),
            role: self.role,
            class: class.to_owned(),
            settings: settings.collect(),
            path: self.path.clone(),
            place: self.place,
            warnings: Vec::new(),
            places,
        }
    }

    /// `<pipeline>.<part>`.
    pub(super) fn connector_name(&self) -> String {
        format!("{}.{}", self.pipeline, self.name.unwrap_or(word(self.role)))
    }

    fn path_of(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }

    fn made(&self, key: &str, text: &str) -> Setting {
        Setting {
            key: key.to_owned(),
            text: text.to_owned(),
            place: self.place,
            value_place: self.place,
        }
    }
}

/// The word for a kind; it also names the one unnamed part of that kind.
pub(super) fn word(kind: ConnectorKind) -> &'static str {
    match kind {
        ConnectorKind::Source => "source",
        ConnectorKind::Sink => "sink",
    }
}

/// What a compiled source feeds to the sinks of its file.
pub(super) fn feed(source: &Compiled) -> Feed {
    let text = |key: &str| source.settings.get(key);
    let prefix = text("topic.prefix")
        .and_then(|prefix| placeholder::resolve(prefix, &Access::everything()).ok());
    Feed {
        renames: prefix.is_none() || text("transforms").is_some_and(|chain| !chain.is_empty()),
        prefix: prefix.unwrap_or_default(),
        connector: source.name.clone(),
    }
}

/// What the connector objects to, at the lines of the keys it objects to.
pub(super) fn objections(
    part: &Compiled,
    issues: Vec<Issue>,
    code: &'static str,
) -> Vec<Diagnostic> {
    let issues = issues.into_iter();
    issues.map(|issue| objection(part, issue, code)).collect()
}

/// One objection, at the line of its key.
pub(super) fn objection(part: &Compiled, issue: Issue, code: &'static str) -> Diagnostic {
    let place = part.places.get(&issue.key).copied().unwrap_or(part.place);
    let (message, path) = if issue.key.is_empty() {
        (issue.problem, part.path.clone())
    } else {
        (
            format!("{} {}", issue.key, issue.problem),
            format!("{}.{}", part.path, issue.key),
        )
    };
    Diagnostic::new(code, place, message)
        .at(path)
        .help(issue.remedy)
}
