//! What the worker is asked to run: connectors as settings, and where they were written.

use crate::broker::NewTopic;
use crate::plugins::Plugins;
use std::{collections::BTreeMap, error, fmt, path::PathBuf, sync::Arc};
use tapline_sdk::{Error, Files, Issue, Result};

/// Which way a connector moves records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectorKind {
    /// From another system into the log.
    Source,
    /// From the log into another system.
    Sink,
}

/// Where a connector was written, for messages.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Origin {
    /// The file as it was named.
    pub file: String,
    /// The line, counted from 1.
    pub line: u32,
}

/// Who wrote a connector's settings, and so what of this machine they may name. Stored with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Author {
    /// The operator, in a file named on the worker's command line: any file, and the whole environment.
    Operator,
    /// Somebody, over HTTP: what the worker's settings allow.
    #[default]
    Request,
}

/// One connector to run. Its settings may hold secrets: hence no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectorSpec {
    /// Unique: `shop.source`.
    pub name: String,
    /// Source or sink.
    pub kind: ConnectorKind,
    /// A class name, an alias' class name or a short name (`postgres`).
    pub class: String,
    /// The keys as Kafka Connect's JSON holds them, placeholders unresolved. Sinks read `topics`, `topics.regex`, or
    /// `topics.of`: a list of source connectors, all of whose topics are read.
    pub settings: BTreeMap<String, String>,
    /// Where it was written, if in a file.
    pub origin: Option<Origin>,
    /// Who wrote its settings.
    pub author: Author,
}

/// Fills in `${env:X}` and its like, with what the settings' author may read.
pub trait Placeholders: Send + Sync {
    /// The settings with every placeholder replaced.
    ///
    /// # Errors
    /// Every placeholder that has no value, or that the author may not read, by key.
    fn resolve(
        &self,
        settings: &BTreeMap<String, String>,
        author: Author,
    ) -> Result<BTreeMap<String, String>, Vec<Issue>>;

    /// The files that the settings themselves may name.
    fn files(&self, author: Author) -> Files;
}

/// What a worker needs to know.
#[derive(Clone)]
pub struct Settings {
    /// Where the key file for sealed secrets lives.
    pub data_dir: PathBuf,
    /// Fills in placeholders when a connector starts; `None`: settings hold none.
    pub placeholders: Option<Arc<dyn Placeholders>>,
    /// The connectors that can be run: [`Plugins::builtin`] but in tests.
    pub plugins: Plugins,
}

/// A topic that a file or a request wants to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// The pipeline whose file declares it.
    pub pipeline: String,
    /// How many partitions it has; `None`: those that it has, and one if it is made.
    pub partitions: Option<u32>,
    /// Settings by Kafka's names. Those that are not named stay as they are.
    pub config: BTreeMap<String, String>,
}

impl TopicSpec {
    /// The topic as it would be made.
    pub(crate) fn as_new(&self) -> NewTopic {
        NewTopic {
            name: self.name.as_str().into(),
            partitions: self.partitions.unwrap_or(1),
            config: self.config.clone(),
        }
    }
}

/// What is refused.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// The connector of this name.
    Connector(String),
    /// The topic of this name.
    Topic(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connector(name) => f.write_str(name),
            Self::Topic(name) => write!(f, "topic {name}"),
        }
    }
}

/// One problem of one connector or topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Whose it is.
    pub subject: Subject,
    /// What is wrong and what to do.
    pub issue: Issue,
}

impl Refusal {
    /// What is wrong, in one line.
    #[must_use]
    pub fn line(&self) -> String {
        let Issue { key, problem, .. } = &self.issue;
        format!("{}: {}", self.subject, format!("{key} {problem}").trim())
    }
}

/// Why connectors and topics were not applied.
#[derive(Debug)]
pub enum ApplyError {
    /// Nothing was stored or started.
    Refused(Vec<Refusal>),
    /// The configs could not be stored.
    Failed(Error),
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::Refused(refusals) => {
                for (at, refusal) in refusals.iter().enumerate() {
                    let separator = if at == 0 { "" } else { "; " };
                    write!(f, "{separator}{}", refusal.line())?;
                }
                Ok(())
            }
        }
    }
}

impl error::Error for ApplyError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Failed(error) => error.source(),
            Self::Refused(_) => None,
        }
    }
}

impl From<Error> for ApplyError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}
