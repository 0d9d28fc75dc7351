//! From settings as people write them to what a task reads, with every problem at once.

use super::{
    Found, Plugin,
    alias::{self, covers},
    framework, keys,
};
use crate::{
    config::access::CONNECTOR_PATHS,
    converter::{Converters, Defaults},
    transform::{self, Chain},
    worker::ConnectorKind,
};
use regex::Regex;
use std::collections::BTreeMap;
use tapline_sdk::{Config, Files, Issue};

/// How batches may be compressed.
const COMPRESSIONS: [&str; 3] = ["lz4", "zstd", "none"];

/// Settings that passed every check that needs no I/O. May hold secrets: hence no `Debug`.
#[derive(Clone)]
pub struct Resolved {
    /// Source or sink.
    pub kind: ConnectorKind,
    /// The connector's own class, whatever alias was written.
    pub class: &'static str,
    /// The connector's keys by their own names, an alias' defaults filled in.
    pub config: Config,
    /// The runtime's keys: read them with [`super::keys`].
    pub framework: Config,
    /// How keys, values and headers are written or read.
    pub converters: Converters,
    /// One sentence per key that was accepted and means nothing here.
    pub warnings: Vec<String>,
    /// See [`tapline_sdk::Alias::connects`].
    pub(super) connects: Option<&'static str>,
    /// The connector itself.
    pub(crate) plugin: Plugin,
}

/// `converters`: those of connectors that name none. `whole`: whether the connector's rules across keys are asked, too, if each key by itself holds.
pub(super) fn resolve(
    found: Found,
    class: &str,
    settings: &BTreeMap<String, String>,
    converters: &Defaults,
    whole: bool,
) -> Result<Resolved, Vec<Issue>> {
    let Found { plugin, alias } = found;
    let (info, kind) = (plugin.info(), plugin.kind());
    let mut split = Split::new(settings, info.keys);
    split.check(kind, class, converters);
    let mut theirs = alias::translate(info, alias, &split.connector);
    let config = Config::new(std::mem::take(&mut theirs.settings));
    // The runtime's keys are known words too: a mistyped one of them is to be recognised.
    let known = [info.keys, keys::ALL.as_slice()].concat();
    let mut problems = config.problems(&known);
    if whole && problems.is_empty() && theirs.issues.is_empty() {
        problems = match &plugin {
            Plugin::Source(source) => source.validate(&config),
            Plugin::Sink(sink) => sink.validate(&config),
        };
    }
    split.issues.extend(theirs.as_written(problems));
    split.issues.append(&mut theirs.issues);
    split.warnings.append(&mut theirs.warnings);
    if !split.issues.is_empty() {
        return Err(split.issues);
    }
    Ok(Resolved {
        kind,
        class: info.class,
        config,
        framework: Config::new(split.framework),
        converters: split.converters,
        warnings: split.warnings,
        connects: alias.and_then(|alias| alias.connects),
        plugin,
    })
}

impl Resolved {
    /// The same for settings that may name these files only.
    ///
    /// # Errors
    /// Every key that names another. Neither path nor reason is told: what a placeholder stands for may be part of it,
    /// and what is there is nobody's to know.
    pub(crate) fn confined(self, files: Files) -> Result<Self, Vec<Issue>> {
        let named = self.plugin.files(&self.config).into_iter();
        let refused = named.filter(|(_, file)| files.check(file).is_err());
        let issue = |(key, _)| {
            let problem = "names a file, and what comes over HTTP may not use that one";
            let remedy = format!(
                "list its folder in {CONNECTOR_PATHS} of the worker's settings or with --allow-files, or declare the \
                 connector in a file that `tapline run` is given"
            );
            Issue::new(key, problem, remedy)
        };
        let issues: Vec<Issue> = refused.map(issue).collect();
        if !issues.is_empty() {
            return Err(issues);
        }
        Ok(Self {
            config: self.config.confined(files),
            ..self
        })
    }

    /// The transforms, made anew: each task has its own.
    pub(crate) fn chain(&self) -> Result<Chain, Vec<Issue>> {
        transform::parse(self.framework.settings())
    }
}

/// Settings parted into the runtime's and the connector's.
struct Split {
    framework: BTreeMap<String, String>,
    connector: BTreeMap<String, String>,
    converters: Converters,
    issues: Vec<Issue>,
    warnings: Vec<String>,
}

impl Split {
    fn new(settings: &BTreeMap<String, String>, own: &[tapline_sdk::Definition]) -> Self {
        let mut split = Self {
            framework: BTreeMap::new(),
            connector: BTreeMap::new(),
            converters: Converters::default(),
            issues: Vec::new(),
            warnings: Vec::new(),
        };
        for (key, value) in settings {
            let known = keys::ALL.iter().any(|definition| definition.covers(key));
            let refused = keys::REFUSED.iter().find(|(known, _)| covers(known, key));
            let unread = [keys::INERT.as_slice(), &framework::UNREAD].concat();
            if own.iter().any(|definition| definition.name == key) {
                split.connector.insert(key.clone(), value.clone());
            } else if unread.contains(&key.as_str()) {
                let warning = format!("{key} has no meaning here and is ignored");
                split.warnings.push(warning);
            } else if known {
                split.framework.insert(key.clone(), value.clone());
            } else if framework::is_default(key, value) {
                // What is not built asks for nothing when it says the default.
                continue;
            } else if let Some((_, remedy)) = refused {
                split
                    .issues
                    .push(Issue::new(key, "is not supported yet", *remedy));
            } else {
                split.connector.insert(key.clone(), value.clone());
            }
        }
        split
    }

    /// Values of the runtime's keys.
    fn check(&mut self, kind: ConnectorKind, class: &str, converters: &Defaults) {
        let config = Config::new(self.framework.clone());
        self.issues.extend(config.problems(&keys::ALL));
        if let Some(given) = config.text(keys::CLASS.name())
            && given != class
        {
            self.refuse(
                keys::CLASS.name(),
                format!("is \"{given}\", but \"{class}\" is asked for"),
                "give the class once",
            );
        }
        if config.get(&keys::TASKS_MAX).is_ok_and(|tasks| tasks == 0) {
            self.refuse("tasks.max", "must be at least 1", "set tasks.max to 1");
        }
        let (filled, mut warnings) = converters.fill(&self.framework);
        self.warnings.append(&mut warnings);
        match Converters::parse(&filled) {
            Ok((converters, mut warnings)) => {
                self.converters = converters;
                self.warnings.append(&mut warnings);
            }
            Err(mut issues) => self.issues.append(&mut issues),
        }
        self.one_of(&config, &keys::COMPRESSION, &COMPRESSIONS, "");
        self.one_of(
            &config,
            &keys::TOLERANCE,
            &["none"],
            ": skipping records needs dead letters, which do not exist yet",
        );
        self.one_of(&config, &keys::RELOAD, &["restart", "none"], "");
        self.one_of(&config, &keys::EXACTLY_ONCE, &["requested", "required"], "");
        if let Err(issues) = transform::parse(&self.framework) {
            self.issues.extend(issues);
        }
        self.check_topics(kind, &config);
    }

    fn check_topics(&mut self, kind: ConnectorKind, config: &Config) {
        let reads = [
            keys::TOPICS_LIST.name(),
            keys::TOPICS_REGEX.name(),
            keys::TOPICS_OF.name(),
        ];
        let given = |name: &&str| config.text(name).is_some_and(|text| !text.is_empty());
        let given: Vec<&str> = reads.into_iter().filter(given).collect();
        match (kind, given.as_slice()) {
            (ConnectorKind::Source, named) => {
                for name in named {
                    self.refuse(name, "is a key of sinks", "remove it");
                }
            }
            (ConnectorKind::Sink, []) => self.refuse(
                "topics",
                "is required, unless topics.regex or topics.of is given",
                "name the topics that the sink reads",
            ),
            (ConnectorKind::Sink, [_]) => {}
            (ConnectorKind::Sink, several) => {
                for name in several {
                    let problem = "is given beside another way to name topics";
                    self.refuse(
                        name,
                        problem,
                        format!("keep one of: {}", several.join(", ")),
                    );
                }
            }
        }
        if let Some(regex) = config.text(keys::TOPICS_REGEX.name())
            && let Err(error) = Regex::new(regex)
        {
            let why = error.to_string();
            let why = why.lines().last().unwrap_or_default().trim().to_owned();
            self.refuse(
                "topics.regex",
                format!("is not a regular expression: {why}"),
                "correct it",
            );
        }
        if config.get(&keys::PARTITIONS).is_ok_and(|count| count == 0) {
            self.refuse(keys::PARTITIONS.name(), "must be at least 1", "set it to 1");
        }
        if config
            .get(&keys::REPLICATION)
            .is_ok_and(|copies| copies != 1 && copies != -1)
        {
            let remedy = "set it to 1, or remove it";
            self.refuse(
                keys::REPLICATION.name(),
                "must be 1 or -1 in the embedded log",
                remedy,
            );
        }
    }

    fn one_of(
        &mut self,
        config: &Config,
        key: &tapline_sdk::Key<String>,
        values: &[&str],
        why: &str,
    ) {
        let given = config.get(key).unwrap_or_default();
        if !values.contains(&given.as_str()) {
            self.refuse(
                key.name(),
                format!("\"{given}\" is not supported{why}"),
                format!("set it to one of: {}", values.join(", ")),
            );
        }
    }

    fn refuse(&mut self, key: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        self.issues.push(Issue::new(key, problem, remedy));
    }
}
