//! Levels of loggers, changed while the process runs: what `/admin/loggers` is about.
//!
//! A logger is a module path (`tapline::broker`), `root`, or a Java name, which stands for the modules that do the same
//! work here (`io.debezium.connector.postgresql`: `tapline_postgres`). Owns levels and the filter made of them; the
//! subscriber is the command line's. There is one subscriber a process, so there is one [`Loggers`], too. Whose a line is
//! says `scope`; lines for programs are `json`'s.

mod json;
mod names;
pub(crate) mod scope;

pub(crate) use json::JsonLines;

use parking_lot::Mutex;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fmt,
    str::FromStr,
    sync::{Arc, OnceLock},
};
use tracing_subscriber::{EnvFilter, filter::ParseError};

/// The logger that all others inherit from.
pub const ROOT: &str = "root";

/// More loggers than this are not kept: each is a directive that every new callsite is matched against.
const LOGGERS_MAX: usize = 1000;

static OF_THIS_PROCESS: OnceLock<Loggers> = OnceLock::new();

/// A level by Log4j's names, of which there are more than `tracing` has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// Nothing.
    Off,
    /// As [`Level::Error`]: no line of ours is above it.
    Fatal,
    /// What needs an operator.
    Error,
    /// What may need one.
    Warn,
    /// Lifecycle.
    Info,
    /// Detail for a search.
    Debug,
    /// All detail.
    Trace,
    /// As [`Level::Trace`].
    All,
}

/// Why a level was not set.
#[derive(Debug)]
pub enum Refused {
    /// There are as many loggers as are kept.
    TooMany,
    /// The filter could not be replaced.
    Filter(String),
}

/// A logger's level, and when it was last set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Logger {
    /// Its own, or inherited when it was first seen.
    pub level: Level,
    /// Milliseconds since 1970; `None`: never since the start.
    pub last_modified: Option<i64>,
}

type Apply = Arc<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

/// Every logger. Cheap to clone.
#[derive(Clone)]
pub struct Loggers {
    state: Arc<Mutex<State>>,
    apply: Apply,
}

struct State {
    /// Directives that are more than a module and its level: kept as they are.
    others: Vec<String>,
    loggers: BTreeMap<String, Logger>,
}

/// The loggers of this process. Before [`Loggers::install`] (in tests that log nothing) levels are kept and filter
/// nothing.
#[must_use]
pub fn loggers() -> Loggers {
    let none = || Loggers::new("info", |_| Ok(()));
    OF_THIS_PROCESS.get_or_init(none).clone()
}

impl Loggers {
    /// Loggers that begin with these directives (those of `RUST_LOG`); `apply` replaces the subscriber's filter.
    pub fn new(
        directives: &str,
        apply: impl Fn(EnvFilter) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            state: Arc::new(Mutex::new(State::new(directives))),
            apply: Arc::new(apply),
        }
    }

    /// Makes these the loggers of the process; the first wins, as with the subscriber.
    pub fn install(self) {
        OF_THIS_PROCESS.get_or_init(|| self);
    }

    /// Every logger by name.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, Logger> {
        self.state.lock().loggers.clone()
    }

    /// One logger, if it is known.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Logger> {
        self.state.lock().loggers.get(&names::ours(name)).copied()
    }

    /// Sets the level of a logger and all below it; returns those whose level changed, sorted.
    ///
    /// # Errors
    /// There are too many loggers, or the filter cannot be replaced; levels are as before then.
    pub fn set(&self, name: &str, level: Level, now_ms: i64) -> Result<Vec<String>, Refused> {
        let mut state = self.state.lock();
        let mut loggers = state.loggers.clone();
        let name = names::ours(name);
        let affected = change(&mut loggers, &name, level, now_ms);
        if loggers.len() > LOGGERS_MAX {
            return Err(Refused::TooMany);
        }
        let filter = filter(&state.others, &loggers);
        let filter = filter.map_err(|error| Refused::Filter(error.to_string()))?;
        (self.apply)(filter).map_err(Refused::Filter)?;
        state.loggers = loggers;
        Ok(affected)
    }
}

impl State {
    fn new(directives: &str) -> Self {
        let inherited = Logger {
            // What `tracing` does where no directive says anything.
            level: Level::Error,
            last_modified: None,
        };
        let mut loggers = BTreeMap::from([(ROOT.to_owned(), inherited)]);
        let mut others = Vec::new();
        for directive in directives
            .split(',')
            .map(str::trim)
            .filter(|d| !d.is_empty())
        {
            let (name, level) = directive.split_once('=').unwrap_or((ROOT, directive));
            match level.parse() {
                Ok(level) if name == ROOT || names::is_module(name) => {
                    let logger = Logger { level, ..inherited };
                    loggers.insert(name.to_owned(), logger);
                }
                _ => others.push(directive.to_owned()),
            }
        }
        for module in names::MODULES {
            let level = effective(&loggers, module);
            loggers
                .entry(module.to_owned())
                .or_insert(Logger { level, ..inherited });
        }
        Self { others, loggers }
    }
}

/// Sets the level of a logger, of those below it and of the modules that it stands for.
fn change(
    loggers: &mut BTreeMap<String, Logger>,
    name: &str,
    level: Level,
    now_ms: i64,
) -> Vec<String> {
    let inherited = effective(loggers, name);
    loggers.entry(name.to_owned()).or_insert(Logger {
        level: inherited,
        last_modified: None,
    });
    let mut heads = names::modules_of(name);
    heads.push(name);
    let mut affected = Vec::new();
    for (other, logger) in loggers.iter_mut() {
        let below = heads.iter().any(|head| names::is_below(other, head));
        if (name == ROOT || below) && logger.level != level {
            *logger = Logger {
                level,
                last_modified: Some(now_ms),
            };
            affected.push(other.clone());
        }
    }
    affected
}

/// The level of the nearest logger above.
fn effective(loggers: &BTreeMap<String, Logger>, name: &str) -> Level {
    let above = loggers
        .iter()
        .filter(|(other, _)| names::is_below(name, other));
    let nearest = above.max_by_key(|(other, _)| other.len());
    let level = nearest
        .or(loggers.get_key_value(ROOT))
        .map(|(_, logger)| logger.level);
    level.unwrap_or(Level::Error)
}

fn filter(others: &[String], loggers: &BTreeMap<String, Logger>) -> Result<EnvFilter, ParseError> {
    let directives = loggers.iter().filter_map(|(name, logger)| {
        let level = logger.level.of_tracing();
        match name.as_str() {
            ROOT => Some(level.to_owned()),
            name => names::is_module(name).then(|| format!("{name}={level}")),
        }
    });
    let all: Vec<String> = directives.chain(others.iter().cloned()).collect();
    scope::filter(&all.join(","))
}

impl Level {
    fn of_tracing(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Fatal | Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace | Self::All => "trace",
        }
    }
}

impl FromStr for Level {
    type Err = ();
    /// By name, in any case.
    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(match text.to_ascii_uppercase().as_str() {
            "OFF" => Self::Off,
            "FATAL" => Self::Fatal,
            "ERROR" => Self::Error,
            "WARN" => Self::Warn,
            "INFO" => Self::Info,
            "DEBUG" => Self::Debug,
            "TRACE" => Self::Trace,
            "ALL" => Self::All,
            _ => return Err(()),
        })
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => write!(f, "there are {LOGGERS_MAX} loggers already; set one above"),
            Self::Filter(why) => write!(f, "the filter could not be replaced: {why}"),
        }
    }
}

#[cfg(test)]
mod tests;
