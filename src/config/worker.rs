//! The worker's own settings: where data lives, who may ask, how large files grow.
//!
//! Each key is declared once, here; `config/worker.yaml` lists all of them and a test keeps the two equal. The command
//! line overrides the file, the file overrides the defaults.
//!
//! Codes: TL0120, a key of the file is unknown or has a bad value.

use super::document::{
    Diagnostic, Place, Report,
    flatten::{self, Setting},
    secrets,
    yaml::{self, Content},
};
use super::{
    access::AllowLists,
    gate::{self, ConnectorLimits, Gate, HttpLimits},
};
use crate::converter::Defaults;
use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};
use tapline_sdk::{Config, ConfigValue, Definition, Issue, Key, Kind, Result};

/// Where REST listens unless somebody says otherwise; it is Kafka Connect's port.
pub const REST_DEFAULT: &str = "127.0.0.1:8083";

/// Where the schema registry listens unless somebody says otherwise; it is Confluent's port.
pub const REGISTRY_DEFAULT: &str = "127.0.0.1:8081";

/// The heading of the keys of converters.
const CONVERTERS: &str = "Converters";

const DATA_DIR: Key<String> = Key::required(
    "data.dir",
    "Worker",
    "the folder of the log; made if it is missing, locked while a worker runs",
)
.or("./tapline-data");
const REST_ADDRESS: Key<Address> = Key::required(
    "rest.address",
    "Worker",
    "address and port of the HTTP server; beyond loopback it needs auth.users.file and tls.certificate.file",
)
.or(REST_DEFAULT);
const REGISTRY_LISTENER: Key<RegistryListener> = Key::required(
    "registry.listener",
    "Worker",
    "address and port of the schema registry's API, or off; beyond loopback it needs auth.users.file and \
     tls.certificate.file",
)
.or(REGISTRY_DEFAULT);
const SHUTDOWN_DEADLINE: Key<Duration> = Key::required(
    "shutdown.deadline.ms",
    "Worker",
    "how long a stop waits for tasks before it drops them; nothing is lost then, only read again",
)
.or("30000");
const LOGGING_FORMAT: Key<LogFormat> = Key::required(
    "logging.format",
    "Logging",
    "how log lines on stderr look: text or json",
)
.or("text");
const LOGGING_FILTER: Key<String> = Key::required(
    "logging.filter",
    "Logging",
    "what is logged, as in RUST_LOG: a level, or module=level pairs",
)
.or("info");
const SEGMENT_BYTES: Key<u64> = Key::required(
    "log.segment.bytes",
    "Log",
    "a segment is closed before it grows over this",
)
.or("134217728");
const JOURNAL_FILE_BYTES: Key<u64> = Key::required(
    "log.journal.file.bytes",
    "Log",
    "bytes of one journal file; at least 4 KiB",
)
.or("67108864");
const CHECKPOINT_BYTES: Key<u64> = Key::required(
    "log.checkpoint.bytes",
    "Log",
    "a checkpoint is made when the journal has grown by this",
)
.or("134217728");
const CHECKPOINT_INTERVAL: Key<Duration> = Key::required(
    "log.checkpoint.interval.ms",
    "Log",
    "a checkpoint is made when the last one is this old",
)
.or("30000");
const MESSAGE_MAX_BYTES: Key<u32> = Key::required(
    "message.max.bytes",
    "Log",
    "the largest record batch, and so the largest row",
)
.or("16777216");
const FREE_SPACE_MIN_BYTES: Key<u64> = Key::required(
    "log.free.space.min.bytes",
    "Log",
    "commits wait while the disk has less room than this; unset: 5 % of it, at least 512 MiB",
)
.optional();

const RETENTION: Key<i64> = Key::required(
    "log.retention.ms",
    "Log",
    "how old records become where a topic says nothing and is not compacted; -1: for ever",
)
.or("604800000");
const BYTES_MAX: Key<u64> = Key::required(
    "log.bytes.max",
    "Log",
    "what all segments may take: above 70 % retention no longer waits for sinks, above 90 % commits wait; unset: \
     what they take and what is free, and commits wait for free space alone",
)
.optional();
const FLUSH: Key<FlushWhen> = Key::required(
    "log.flush",
    "Log",
    "when commits are synced: always, or interval for fewer syncs and later answers",
)
.or("always");
const FLUSH_INTERVAL: Key<Duration> = Key::required(
    "log.flush.interval.ms",
    "Log",
    "with log.flush=interval: the least time between two syncs",
)
.or("100");

const KEY_CONVERTER: Key<String> = Key::required(
    "key.converter",
    CONVERTERS,
    "how keys stand in the log where a connector names no converter; unset: avro",
)
.optional();
const KEY_CONVERTER_KEYS: Key<String> = Key::required(
    "key.converter.*",
    CONVERTERS,
    "settings of the converter of keys",
)
.optional();
const VALUE_CONVERTER: Key<String> = Key::required(
    "value.converter",
    CONVERTERS,
    "how values stand in the log where a connector names no converter; unset: avro",
)
.optional();
const VALUE_CONVERTER_KEYS: Key<String> = Key::required(
    "value.converter.*",
    CONVERTERS,
    "settings of the converter of values",
)
.optional();
const HEADER_CONVERTER: Key<String> = Key::required(
    "header.converter",
    CONVERTERS,
    "how headers stand in the log where a connector names no converter; unset: text as it is",
)
.optional();
const HEADER_CONVERTER_KEYS: Key<String> = Key::required(
    "header.converter.*",
    CONVERTERS,
    "settings of the converter of headers",
)
.optional();

const UPKEEP_INTERVAL: Key<Duration> = Key::required(
    "log.upkeep.interval.ms",
    "Log",
    "how often the log looks for what retention and compaction can remove",
)
.or("30000");

const TOPIC_TRACKING: Key<bool> = Key::required(
    "topic.tracking.enable",
    "Worker",
    "whether REST tells which topics a connector has used",
)
.or("true");
const TOPIC_TRACKING_RESET: Key<bool> = Key::required(
    "topic.tracking.allow.reset",
    "Worker",
    "whether REST may reset what it tells of a connector's topics",
)
.or("true");

/// Every key of the file.
pub const KEYS: &[Definition] = &{
    let mut keys = [DATA_DIR.definition; OWN.len() + gate::KEYS.len()];
    let mut at = 0;
    while at < keys.len() {
        keys[at] = match at < OWN.len() {
            true => OWN[at],
            false => gate::KEYS[at - OWN.len()],
        };
        at += 1;
    }
    keys
};

const OWN: [Definition; 25] = [
    DATA_DIR.definition,
    REST_ADDRESS.definition,
    REGISTRY_LISTENER.definition,
    SHUTDOWN_DEADLINE.definition,
    LOGGING_FORMAT.definition,
    LOGGING_FILTER.definition,
    SEGMENT_BYTES.definition,
    JOURNAL_FILE_BYTES.definition,
    CHECKPOINT_BYTES.definition,
    CHECKPOINT_INTERVAL.definition,
    MESSAGE_MAX_BYTES.definition,
    FREE_SPACE_MIN_BYTES.definition,
    RETENTION.definition,
    BYTES_MAX.definition,
    FLUSH.definition,
    FLUSH_INTERVAL.definition,
    KEY_CONVERTER.definition,
    KEY_CONVERTER_KEYS.definition,
    VALUE_CONVERTER.definition,
    VALUE_CONVERTER_KEYS.definition,
    HEADER_CONVERTER.definition,
    HEADER_CONVERTER_KEYS.definition,
    UPKEEP_INTERVAL.definition,
    TOPIC_TRACKING.definition,
    TOPIC_TRACKING_RESET.definition,
];

/// When commits are synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlushWhen {
    /// At once.
    Always,
    /// Not sooner than an interval after the last sync.
    Interval,
}

impl ConfigValue for FlushWhen {
    const KIND: Kind = Kind::Text;
    const VALUES: &'static [&'static str] = &["always", "interval"];
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "always" => Ok(Self::Always),
            "interval" => Ok(Self::Interval),
            _ => Err("is neither always nor interval".to_owned()),
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl ConfigValue for LogFormat {
    const KIND: Kind = Kind::Text;
    const VALUES: &'static [&'static str] = &["text", "json"];
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("is neither text nor json".to_owned()),
        }
    }
}

/// An address with a port.
struct Address(SocketAddr);

impl ConfigValue for Address {
    const KIND: Kind = Kind::Text;
    fn parse(text: &str) -> Result<Self, String> {
        text.trim()
            .parse()
            .map(Self)
            .map_err(|_| "is not an IP address with a port, such as 127.0.0.1:8083".to_owned())
    }
}

/// Where the schema registry's API listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistryListener {
    /// Nowhere.
    Off,
    /// There.
    At(SocketAddr),
}

impl ConfigValue for RegistryListener {
    const KIND: Kind = Kind::Text;
    fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "off" => Ok(Self::Off),
            address => address.parse().map(Self::At).map_err(|_| {
                "is neither off nor an IP address with a port, such as 127.0.0.1:8081".to_owned()
            }),
        }
    }
}

impl FromStr for RegistryListener {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

/// What a worker is told about itself. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerSettings {
    /// The folder of the log. Default `./tapline-data`.
    pub data_dir: PathBuf,
    /// Where REST listens, if somebody chose it: a busy one is an error then. Otherwise [`REST_DEFAULT`], or a free
    /// port if that is taken.
    pub rest_address: Option<SocketAddr>,
    /// Where the schema registry listens, if somebody chose it: a busy port is an error then. Otherwise
    /// [`REGISTRY_DEFAULT`], or a free port if that is taken.
    pub registry_listener: Option<RegistryListener>,
    /// How long a stop waits for tasks. Default 30 s.
    pub shutdown_deadline: Duration,
    /// How log lines look. Default text.
    pub log_format: LogFormat,
    /// What is logged. Default `info`.
    pub log_filter: String,
    /// Whether REST tells which topics a connector has used. Default true.
    pub topic_tracking: bool,
    /// Whether REST may reset that. Default true.
    pub topic_tracking_reset: bool,
    /// Sizes of the log's files.
    pub log: LogSettings,
    /// The converters of connectors that name none. Default: none, which is Avro.
    pub converters: Defaults,
    /// One sentence per key that was accepted and means nothing here.
    pub warnings: Vec<String>,
    /// What of this machine may be named over HTTP. Default: nothing.
    pub allowed: AllowLists,
    /// Who may ask. Default: everybody, in plain HTTP.
    pub gate: Gate,
    /// What each listener takes.
    pub http: HttpLimits,
    /// How many connectors, and how they are called.
    pub connectors: ConnectorLimits,
}

/// Sizes of the log's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// A segment is closed before it grows over this. Default 128 MiB.
    pub segment_bytes: u64,
    /// One journal file. Default 64 MiB.
    pub journal_file_bytes: u64,
    /// A checkpoint is made when the journal has grown by this. Default 128 MiB.
    pub checkpoint_bytes: u64,
    /// A checkpoint is made when the last one is this old. Default 30 s.
    pub checkpoint_interval: Duration,
    /// The largest record batch. Default 16 MiB.
    pub batch_bytes_max: u32,
    /// Commits wait while the disk has less room than this; `None`: 5 % of it, at least 512 MiB.
    pub free_space_min: Option<u64>,
    /// How old records become where a topic says nothing and is not compacted; `None`: for ever. Default 7 days.
    pub retention_ms: Option<i64>,
    /// What all segments may take; `None`: what they take and what is free.
    pub bytes_max: Option<u64>,
    /// The least time between two syncs; `None`: each commit is synced at once. Default `None`.
    pub flush_interval: Option<Duration>,
    /// How often the log looks for what can be removed. Default 30 s.
    pub upkeep_interval: Duration,
}

/// The settings of a file's text, or of no file. `file` is the name that errors show.
///
/// # Errors
/// Every unknown key and every bad value, with file, line and remedy.
pub fn read(file: &str, text: &str) -> Result<WorkerSettings, Report> {
    let (root, mut problems) = yaml::parse(text);
    let mut settings = Vec::new();
    match root.as_ref().map(|root| &root.content) {
        Some(Content::Map(entries)) => {
            settings = flatten::flatten(entries, &[], "", &mut problems);
        }
        None | Some(Content::Null | Content::Refused) => {}
        Some(_) => problems.push(
            Diagnostic::new("TL0108", Place::START, "this is not a worker's settings")
                .help("write `key: value` lines; config/worker.yaml lists every key"),
        ),
    }
    let texts = settings.iter().map(|s| (s.key.clone(), s.text.clone()));
    let config = Config::new(texts.collect());
    for mut issue in config.problems(KEYS) {
        issue.problem = issue.problem.replace("connector", "worker");
        issue.remedy = issue.remedy.replace("of this connector", "of a worker");
        problems.push(located(issue, &settings));
    }
    let (converters, warnings) = match Defaults::parse(config.settings()) {
        Ok(read) => read,
        Err(issues) => {
            problems.extend(issues.into_iter().map(|issue| located(issue, &settings)));
            Default::default()
        }
    };
    let read = WorkerSettings::of(&config);
    if let Err(error) = &read
        && problems.is_empty()
    {
        let problem = Diagnostic::new("TL0120", Place::START, error.context.to_string());
        let remedy = error.remedy.as_deref().unwrap_or_default();
        problems.push(problem.help(remedy));
    }
    match read {
        Ok(read) if problems.is_empty() => Ok(WorkerSettings {
            converters,
            warnings,
            ..read
        }),
        _ => Err(Report::new(
            file,
            text,
            secrets::places(root.as_ref(), text),
            problems,
        )),
    }
}

/// An issue with the line that it is about.
fn located(issue: Issue, settings: &[Setting]) -> Diagnostic {
    let setting = settings.iter().find(|setting| setting.key == issue.key);
    let place = setting.map_or(Place::START, |setting| setting.place);
    let message = format!("{} {}", issue.key, issue.problem);
    let problem = Diagnostic::new("TL0120", place, message);
    problem.at(issue.key).help(issue.remedy)
}

impl WorkerSettings {
    fn of(config: &Config) -> Result<Self> {
        let chosen = config.text(REST_ADDRESS.name()).is_some();
        let registry_chosen = config.text(REGISTRY_LISTENER.name()).is_some();
        Ok(Self {
            data_dir: config.get(&DATA_DIR)?.into(),
            rest_address: chosen.then_some(config.get(&REST_ADDRESS)?.0),
            registry_listener: registry_chosen.then_some(config.get(&REGISTRY_LISTENER)?),
            shutdown_deadline: config.get(&SHUTDOWN_DEADLINE)?,
            log_format: config.get(&LOGGING_FORMAT)?,
            log_filter: config.get(&LOGGING_FILTER)?,
            topic_tracking: config.get(&TOPIC_TRACKING)?,
            topic_tracking_reset: config.get(&TOPIC_TRACKING_RESET)?,
            log: LogSettings {
                segment_bytes: config.get(&SEGMENT_BYTES)?,
                journal_file_bytes: config.get(&JOURNAL_FILE_BYTES)?,
                checkpoint_bytes: config.get(&CHECKPOINT_BYTES)?,
                checkpoint_interval: config.get(&CHECKPOINT_INTERVAL)?,
                batch_bytes_max: config.get(&MESSAGE_MAX_BYTES)?,
                free_space_min: config.find(&FREE_SPACE_MIN_BYTES)?,
                retention_ms: Some(config.get(&RETENTION)?).filter(|ms| *ms >= 0),
                bytes_max: config.find(&BYTES_MAX)?,
                flush_interval: match config.get(&FLUSH)? {
                    FlushWhen::Always => None,
                    FlushWhen::Interval => Some(config.get(&FLUSH_INTERVAL)?),
                },
                upkeep_interval: config.get(&UPKEEP_INTERVAL)?,
            },
            converters: Defaults::default(),
            warnings: Vec::new(),
            allowed: AllowLists::of(config)?,
            gate: Gate::of(config)?,
            http: HttpLimits::of(config)?,
            connectors: ConnectorLimits::of(config)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{KEYS, LogFormat, REGISTRY_DEFAULT, REST_DEFAULT, RegistryListener, read};
    use std::{
        collections::{BTreeMap, BTreeSet},
        time::Duration,
    };
    use tapline_sdk::Presence;

    const FILE: &str = include_str!("../../config/worker.yaml");

    #[test]
    fn the_file_that_lists_every_key_says_the_defaults() {
        let mut written = read("worker.yaml", FILE).expect("the file is good");
        assert_eq!(
            written
                .rest_address
                .take()
                .map(|address| address.to_string())
                .as_deref(),
            Some(REST_DEFAULT)
        );
        let registry = REGISTRY_DEFAULT.parse().expect("the default is an address");
        let written_registry = written.registry_listener.take();
        assert_eq!(written_registry, Some(RegistryListener::At(registry)));
        assert_eq!(written, read("none", "").expect("no file is good"));
    }

    #[test]
    fn the_file_lists_every_key() {
        let listed: BTreeSet<&str> = FILE
            .lines()
            .filter_map(|line| line.trim_start_matches("# ").split_once(':'))
            .map(|(key, _)| key)
            .collect();
        for key in KEYS {
            if key.name.ends_with('*') {
                // One of those it stands for is shown.
                let shown = |name: &&str| key.covers(name);
                assert!(
                    listed.iter().any(shown),
                    "{} is not in config/worker.yaml",
                    key.name
                );
                continue;
            }
            assert!(
                listed.contains(key.name),
                "{} is not in config/worker.yaml",
                key.name
            );
            let commented = FILE.contains(&format!("# {}:", key.name));
            assert_eq!(
                commented,
                key.presence == Presence::Optional,
                "{}",
                key.name
            );
        }
    }

    #[test]
    fn units_nesting_and_formats_are_read() {
        let text = "log: {segment.bytes: 1MiB, checkpoint.interval.ms: 5s}\nlogging.format: json\n";
        let settings = read("w.yaml", text).expect("it is good");
        assert_eq!(settings.log.segment_bytes, 1 << 20);
        assert_eq!(settings.log.checkpoint_interval, Duration::from_secs(5));
        assert_eq!(settings.log_format, LogFormat::Json);
        assert_eq!(settings.rest_address, None);
        assert_eq!(settings.registry_listener, None);
        let off = read("w.yaml", "registry.listener: off\n").expect("it is good");
        assert_eq!(off.registry_listener, Some(RegistryListener::Off));
    }

    #[test]
    fn converters_are_read_with_their_keys_and_bad_ones_named_with_their_line() {
        let text =
            "value: {converter: json, converter.schemas.enable: false}\nkey.converter: string\n";
        let settings = read("w.yaml", text).expect("it is good");
        let (filled, _) = settings.converters.fill(&BTreeMap::new());
        let filled: Vec<_> = filled.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let expected = [
            "key.converter=string",
            "value.converter=json",
            "value.converter.schemas.enable=false",
        ];
        assert_eq!(filled, expected);
        let report =
            read("w.yaml", "log.flush: always\nvalue.converter: jsn\n").expect_err("it is bad");
        let report = report.to_string();
        let says = "error[TL0120]: value.converter \"jsn\" is no converter that exists here  --> w.yaml:2:1";
        assert!(report.contains(says), "{report}");
        assert!(report.contains("did you mean json?"), "{report}");
        let elsewhere =
            "value.converter: AvroConverter\nvalue.converter.schema.registry.url: http://r:8081\n";
        let settings = read("w.yaml", elsewhere).expect("it is good");
        assert_eq!(settings.warnings.len(), 1);
    }

    #[test]
    fn unknown_keys_and_bad_values_are_named_with_their_line() {
        let report = read("w.yaml", "data.dri: x\nrest.address: here\n").expect_err("it is bad");
        assert_eq!(
            report.to_string(),
            "error[TL0120]: data.dri is not a key of this worker  --> w.yaml:1:1  data.dri
   |
 1 | data.dri: x
   | ^^^^^^^^
  help: did you mean data.dir?

error[TL0120]: rest.address is not an IP address with a port, such as 127.0.0.1:8083  --> w.yaml:2:1  rest.address
   |
 2 | rest.address: here
   | ^^^^^^^^^^^^
  help: set rest.address: address and port of the HTTP server; beyond loopback it needs auth.users.file and tls.certificate.file
"
        );
    }
}
