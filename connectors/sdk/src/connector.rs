//! What every connector has, whichever way it moves data: a class name, keys, checks and a connection.

use crate::{Config, Definition, Error, Issue, Result};
use std::{collections::BTreeMap, future::Future, path::PathBuf, pin::Pin, sync::Arc};

/// A future behind a pointer: native async traits are erased once, where the runtime keeps connectors of all kinds.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A value in a KIP-875 partition or offset map.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scalar {
    /// JSON's null.
    Null,
    /// JSON's true and false.
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// A text.
    Text(Arc<str>),
}

/// A source partition, or an offset in one, as KIP-875 shows them: a flat JSON object.
pub type Position = BTreeMap<Arc<str>, Scalar>;

/// Another product's class name: an alias is a profile, not a synonym.
#[derive(Debug)]
pub struct Alias {
    /// The class name in people's JSON.
    pub class: &'static str,
    /// That product's defaults, where ours differ: its users count on them.
    pub defaults: &'static [(&'static str, &'static str)],
    /// That product's option names, where ours differ: theirs, ours.
    pub renames: &'static [(&'static str, &'static str)],
    /// That product's keys as its own tools show them, in its order; empty: ours are shown.
    pub keys: &'static [Definition],
    /// Keys, by its names, that this product wants and ours may do without: wanted of whoever fills in its form.
    pub required: &'static [&'static str],
    /// Whether this product connects before it accepts a configuration: the key that it blames when it cannot.
    pub connects: Option<&'static str>,
}

/// What the registry knows of a connector.
#[derive(Debug)]
pub struct Info {
    /// Our class name (`io.tapline.postgres.PostgresSource`).
    pub class: &'static str,
    /// The word that pipeline files use (`postgres`).
    pub short: &'static str,
    /// The connector's version.
    pub version: &'static str,
    /// Every key it reads.
    pub keys: &'static [Definition],
    /// Class names of other products that it answers to.
    pub aliases: &'static [Alias],
    /// Keys of those products that mean nothing here: accepted with a warning, never silently.
    pub inert: &'static [&'static str],
    /// Keys that are known but not built yet, each with what to do instead: refused by name.
    pub refused: &'static [(&'static str, &'static str)],
}

/// What sources and sinks have in common.
pub trait Connector: Sized + Send + 'static {
    /// Class, keys and aliases.
    const INFO: Info;

    /// Rules across keys; no I/O. Single values have been checked against [`Info::keys`].
    fn validate(config: &Config) -> Vec<Issue>;

    /// The files of the worker's machine that the settings name, each with its key: whoever may not name every file is
    /// refused before one is opened. The connector opens them through [`Config::files`], where it can.
    fn files(_config: &Config) -> Vec<(&'static str, PathBuf)> {
        Vec::new()
    }

    /// Is the other side reachable, privileged and set up? Every problem with its remedy.
    fn probe(config: &Config) -> impl Future<Output = Vec<Issue>> + Send;

    /// The settings of each task; text, because REST shows it.
    fn task_configs(config: &Config, tasks_max: u32) -> Vec<BTreeMap<String, String>>;

    /// Connects one task. `Ok` means RUNNING.
    fn connect(config: Config) -> impl Future<Output = Result<Self, Error>> + Send;

    /// KIP-875, for positions that live in the other system. `Ok(false)`: nothing to do there.
    fn alter_offsets(
        config: &Config,
        to: &[(Position, Option<Position>)],
    ) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Drops what the connector left in the other system (a slot, stored positions). Asked for explicitly; deleting a
    /// connector keeps it, as Kafka Connect does.
    fn purge(config: &Config) -> impl Future<Output = Result<(), Error>> + Send;
}
