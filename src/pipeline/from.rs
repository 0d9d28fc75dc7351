//! `from`: which topics a sink reads. It becomes Kafka Connect's `topics` or `topics.regex`, or our `topics.of`.
//!
//! Without `from` a sink reads every data topic of the sources in its file, new ones included. The topic of a table is
//! known only where no transform renames topics; elsewhere the file has to name topics.

use crate::config::document::{
    Diagnostic, Place,
    flatten::Setting,
    yaml::{Content, Entry, Node},
};

const REMEDY: &str = "use `topics: […]`, `tables: […]` or `regex: …`";

const NAME_TOPICS: &str = "name the topics: `from: {topics: […]}` or `from: {regex: …}`";

/// What a sink needs to know of a source in the same file.
pub(super) struct Feed {
    /// The source's name as a connector.
    pub(super) connector: String,
    /// The first part of its topics' names.
    pub(super) prefix: String,
    /// Whether transforms may rename its topics.
    pub(super) renames: bool,
}

impl Feed {
    /// The feed of a source that was refused: it silences complaints that follow from that.
    pub(super) fn unknown(connector: &str) -> Self {
        Self {
            connector: connector.to_owned(),
            prefix: "unknown".to_owned(),
            renames: false,
        }
    }
}

/// The setting that tells a sink its topics.
pub(super) fn compile(
    entry: Option<&Entry>,
    part_place: Place,
    path: &str,
    feeds: &[Feed],
) -> Result<Setting, Diagnostic> {
    let scope = Scope {
        path,
        feeds,
        place: entry.map_or(part_place, |entry| entry.place),
    };
    match entry.map(|entry| &entry.value.content) {
        None => scope.every_topic(),
        Some(Content::Map(entries)) => scope.chosen(entries),
        Some(_) => Err(scope.refuse("from is not a map", REMEDY)),
    }
}

struct Scope<'a> {
    path: &'a str,
    feeds: &'a [Feed],
    place: Place,
}

impl Scope<'_> {
    /// Every data topic of this file's sources.
    fn every_topic(&self) -> Result<Setting, Diagnostic> {
        self.need_sources("what a sink reads by default")?;
        let sources: Vec<&str> = self.feeds.iter().map(|feed| &*feed.connector).collect();
        Ok(self.setting("topics.of", sources.join(",")))
    }

    fn need_sources(&self, what: &str) -> Result<(), Diagnostic> {
        if !self.feeds.is_empty() {
            return Ok(());
        }
        let problem = format!("{what} cannot be known: this file has no source");
        Err(self.refuse(&problem, NAME_TOPICS))
    }

    fn chosen(&self, entries: &[Entry]) -> Result<Setting, Diagnostic> {
        let mut topics = Vec::new();
        let mut regex = None;
        for Entry { key, place, value } in entries {
            match key.as_str() {
                "topics" => topics.extend(self.texts(key, value)?),
                "tables" => {
                    let prefixes = self.prefixes("the topics of `tables`")?;
                    for table in self.texts(key, value)? {
                        topics.extend(prefixes.iter().map(|prefix| format!("{prefix}.{table}")));
                    }
                }
                "regex" => regex = Some(self.one_text(key, value)?),
                _ => {
                    let message = format!("from does not know `{key}`");
                    let problem = Diagnostic::new("TL0113", *place, message);
                    return Err(problem.at(format!("{}.from.{key}", self.path)).help(REMEDY));
                }
            }
        }
        match (topics.is_empty(), regex) {
            (false, None) => Ok(self.setting("topics", topics.join(","))),
            (true, Some(regex)) => Ok(self.setting("topics.regex", regex)),
            (false, Some(_)) => Err(self.refuse(
                "from names topics and a regex",
                "keep one: a regex can list names as `a|b`",
            )),
            (true, None) => Err(self.refuse("from names nothing", REMEDY)),
        }
    }

    fn prefixes(&self, what: &str) -> Result<Vec<&str>, Diagnostic> {
        self.need_sources(what)?;
        if self.feeds.iter().any(|feed| feed.renames) {
            let problem =
                format!("{what} cannot be known: a source's transforms may rename topics");
            return Err(self.refuse(&problem, NAME_TOPICS));
        }
        let prefixes = self.feeds.iter().map(|feed| feed.prefix.as_str());
        Ok(prefixes.collect())
    }

    /// A list of texts, or one text.
    fn texts(&self, key: &str, value: &Node) -> Result<Vec<String>, Diagnostic> {
        match &value.content {
            Content::List(items) => items.iter().map(|item| self.one_text(key, item)).collect(),
            _ => self.one_text(key, value).map(|text| vec![text]),
        }
    }

    fn one_text(&self, key: &str, value: &Node) -> Result<String, Diagnostic> {
        let problem = match &value.content {
            Content::Scalar(text) if key != "regex" && text.contains(',') => "a name with a comma",
            Content::Scalar(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
            Content::Scalar(_) => "an empty text",
            _ => value.shape(),
        };
        let message = format!("from.{key} has {problem}");
        let problem = Diagnostic::new("TL0113", value.place, message);
        Err(problem.at(format!("{}.from.{key}", self.path)).help(REMEDY))
    }

    fn setting(&self, key: &str, text: String) -> Setting {
        Setting {
            key: key.to_owned(),
            text,
            place: self.place,
            value_place: self.place,
        }
    }

    fn refuse(&self, problem: &str, help: &str) -> Diagnostic {
        let problem = Diagnostic::new("TL0113", self.place, problem);
        problem.at(format!("{}.from", self.path)).help(help)
    }
}
