//! The settings that a task works with, parsed once, and the rules across keys.

use super::{
    filter::{NameList, TableFilter},
    info::INFO,
    keys,
    modes::{Autocreate, Plugin, Profile, SnapshotMode},
};
use crate::{
    options::{ColumnRules, ContextHeaders, MappingOptions},
    wire::{Endpoint, SslMode, TlsFiles},
};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tapline_sdk::{Config, Error, Issue, Position, Result, Scalar};

/// Postgres cuts longer names, and then they are no longer the ones that were meant.
const NAME_BYTES_MAX: usize = 63;

/// More connections than this gain nothing on any server seen, and each costs one of its `max_connections`.
const SNAPSHOT_THREADS_MAX: u32 = 32;

/// What a task works with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the server is.
    pub endpoint: Endpoint,
    /// `topic.prefix`.
    pub prefix: Arc<str>,
    /// `slot.name`.
    pub slot: String,
    /// `slot.drop.on.stop`.
    pub slot_drop_on_stop: bool,
    /// `slot.max.retries`.
    pub slot_retries: u32,
    /// `slot.retry.delay.ms`.
    pub slot_retry_delay: Duration,
    /// `publication.name`.
    pub publication: String,
    /// `publication.autocreate.mode`.
    pub autocreate: Autocreate,
    /// `publish.via.partition.root`.
    pub via_root: bool,
    /// `status.update.interval.ms`.
    pub status_interval: Duration,
    /// The include and exclude lists of schemas and tables.
    pub filter: TableFilter,
    /// `snapshot.mode`.
    pub snapshot: SnapshotMode,
    /// `snapshot.max.threads`.
    pub snapshot_threads: usize,
    /// `snapshot.lock.timeout.ms`.
    pub snapshot_lock_timeout: Duration,
    /// `snapshot.delay.ms`.
    pub snapshot_delay: Duration,
    /// How rows become records.
    pub mapping: Arc<MappingOptions>,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// The first key that is missing or malformed.
    pub fn new(config: &Config) -> Result<Self> {
        let prefix = prefix(config)?;
        let ours = format!("tapline_{}", identifier(&prefix));
        let endpoint = endpoint(config)?;
        let mapping = mapping(config, &prefix, &endpoint.database)?;
        Ok(Self {
            slot: config
                .find(&keys::SLOT)?
                .map_or_else(|| ours.clone(), |slot| slot.0),
            slot_drop_on_stop: config.get(&keys::SLOT_DROP)?,
            slot_retries: config.get(&keys::SLOT_RETRIES)?,
            slot_retry_delay: config.get(&keys::SLOT_RETRY_DELAY)?,
            publication: config.find(&keys::PUBLICATION)?.unwrap_or(ours),
            autocreate: config.get(&keys::AUTOCREATE)?,
            via_root: config.get(&keys::VIA_ROOT)?,
            status_interval: config.get(&keys::STATUS_INTERVAL)?,
            filter: filter(config)?,
            snapshot: config.get(&keys::SNAPSHOT_MODE)?,
            snapshot_threads: config
                .get(&keys::SNAPSHOT_THREADS)?
                .clamp(1, SNAPSHOT_THREADS_MAX) as usize,
            snapshot_lock_timeout: config.get(&keys::SNAPSHOT_LOCK_TIMEOUT)?,
            snapshot_delay: config.get(&keys::SNAPSHOT_DELAY)?,
            endpoint,
            prefix: prefix.into(),
            mapping: Arc::new(mapping),
        })
    }

    /// The source partition of the stream: `{"server": prefix}`, as Debezium's.
    #[must_use]
    pub fn partition(&self) -> Position {
        Position::from([("server".into(), Scalar::Text(Arc::clone(&self.prefix)))])
    }
}

fn prefix(config: &Config) -> Result<String> {
    let of_name = || {
        config
            .text("name")
            .and_then(|name| name.split('.').next())
            .map(str::to_owned)
    };
    config
        .find(&keys::TOPIC_PREFIX)?
        .map(|prefix| prefix.0)
        .or_else(of_name)
        .filter(|prefix| !prefix.is_empty())
        .ok_or_else(|| {
            Error::config("topic.prefix has no value")
                .code("TL0101")
                .remedy("set topic.prefix to a name for this server")
        })
}

/// A prefix as part of a slot's name: lower case, `_` for what slots cannot have, cut to what fits.
fn identifier(prefix: &str) -> String {
    let fits = NAME_BYTES_MAX - "tapline_".len();
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    prefix
        .to_lowercase()
        .chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .take(fits)
        .collect()
}

fn endpoint(config: &Config) -> Result<Endpoint> {
    let file = |key| Ok::<_, Error>(config.find(key)?.map(PathBuf::from));
    Ok(Endpoint {
        host: config.get(&keys::HOSTNAME)?,
        port: config.get(&keys::PORT)?,
        user: config.get(&keys::USER)?,
        password: config.find(&keys::PASSWORD)?,
        database: config.get(&keys::DATABASE)?,
        ssl_mode: config.get(&keys::SSL_MODE)?,
        files: TlsFiles {
            roots: file(&keys::SSL_ROOT)?,
            certificate: file(&keys::SSL_CERT)?,
            key: file(&keys::SSL_KEY)?,
        },
        application_name: format!("tapline {}", config.text("name").unwrap_or_default())
            .trim_end()
            .to_owned(),
    })
}

fn filter(config: &Config) -> Result<TableFilter> {
    let list = |key| Ok::<NameList, Error>(config.find(key)?.unwrap_or_default());
    Ok(TableFilter {
        schemas: list(&keys::SCHEMAS)?,
        schemas_not: list(&keys::SCHEMAS_NOT)?,
        tables: list(&keys::TABLES)?,
        tables_not: list(&keys::TABLES_NOT)?,
    })
}

fn mapping(config: &Config, prefix: &str, database: &str) -> Result<MappingOptions> {
    let base = match config.get(&keys::PROFILE)? {
        Profile::Lossless => MappingOptions::lossless(prefix, database),
        Profile::Debezium => MappingOptions::debezium(prefix, database),
    };
    Ok(MappingOptions {
        topic_delimiter: config.get(&keys::TOPIC_DELIMITER)?.into(),
        decimal: config.get(&keys::DECIMAL)?,
        time: config.get(&keys::TIME)?,
        binary: config.get(&keys::BINARY)?,
        hstore: config.get(&keys::HSTORE)?,
        interval: config.get(&keys::INTERVAL)?,
        money_fraction_digits: u8::try_from(config.get(&keys::MONEY_DIGITS)?).unwrap_or(u8::MAX),
        include_unknown: config.get(&keys::UNKNOWN)?,
        tombstones: config.get(&keys::TOMBSTONES)?,
        skipped: config.get(&keys::SKIPPED)?,
        key_columns: config.find(&keys::KEY_COLUMNS)?.unwrap_or_default(),
        columns: ColumnRules {
            include: config.find(&keys::COLUMNS)?.unwrap_or_default(),
            exclude: config.find(&keys::COLUMNS_NOT)?.unwrap_or_default(),
        },
        propagate_columns: config.find(&keys::PROPAGATE_COLUMNS)?.unwrap_or_default(),
        propagate_types: config.find(&keys::PROPAGATE_TYPES)?.unwrap_or_default(),
        schema_names: config.get(&keys::SCHEMA_NAMES)?,
        field_names: config.get(&keys::FIELD_NAMES)?,
        context_headers: config
            .get(&keys::EXTENDED_HEADERS)?
            .then(|| ContextHeaders {
                logical_name: prefix.into(),
                task_id: config.text("task.id").unwrap_or("0").into(),
                connector_name: "postgresql".into(),
                run_id: run_id().into(),
            }),
        ..base
    })
}

/// A random UUID, version 4.
fn run_id() -> String {
    let bits = fastrand::u128(..);
    let bits = (bits & !(0xf000_u128 << 64) & !(0xc000_u128 << 48))
        | (0x4000_u128 << 64)
        | (0x8000_u128 << 48);
    let hex = format!("{bits:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-{}-{}-{}",
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32)
    )
}

/// The files that the settings name: certificates, keys, and the folder of a socket.
#[must_use]
pub fn files(config: &Config) -> Vec<(&'static str, PathBuf)> {
    let text = |key: &'static str| Some((key, PathBuf::from(config.text(key)?)));
    let named = [&keys::SSL_ROOT, &keys::SSL_CERT, &keys::SSL_KEY].map(|key| text(key.name()));
    let socket = text(keys::HOSTNAME.name()).filter(|(_, host)| host.has_root());
    let named = named.into_iter().chain([socket]).flatten();
    named
        .filter(|(_, file)| !file.as_os_str().is_empty())
        .collect()
}

/// Rules across keys; no I/O.
#[must_use]
pub fn validate(config: &Config) -> Vec<Issue> {
    let mut issues = Vec::new();
    let given = |name: &str| config.text(name).is_some_and(|text| !text.is_empty());
    for (include, exclude) in [
        ("schema.include.list", "schema.exclude.list"),
        ("table.include.list", "table.exclude.list"),
        ("column.include.list", "column.exclude.list"),
    ] {
        if given(include) && given(exclude) {
            let remedy = format!("remove {include} or {exclude}");
            issues.push(Issue::new(
                exclude,
                format!("is given beside {include}"),
                remedy,
            ));
        }
    }
    if given("database.sslcert") != given("database.sslkey") {
        issues.push(Issue::new(
            "database.sslcert",
            "and database.sslkey need each other",
            "give both, or neither",
        ));
    }
    if !given("topic.prefix") && !given("name") {
        issues.push(Issue::new(
            "topic.prefix",
            "is required",
            "set topic.prefix to a name for this server",
        ));
    }
    if let Ok(Some(publication)) = config.find(&keys::PUBLICATION)
        && publication.len() > NAME_BYTES_MAX
    {
        let problem = format!("is longer than {NAME_BYTES_MAX} bytes, where Postgres cuts it");
        issues.push(Issue::new(
            "publication.name",
            problem,
            "choose a shorter name",
        ));
    }
    issues.extend(numbers(config));
    let verifies = matches!(config.get(&keys::SSL_MODE), Ok(SslMode::Disable));
    if verifies && given("database.sslrootcert") {
        let problem = "is given, but database.sslmode is disable";
        issues.push(Issue::new(
            "database.sslrootcert",
            problem,
            "set database.sslmode to verify-full",
        ));
    }
    issues
}

/// Numbers that parse and are out of range.
fn numbers(config: &Config) -> Vec<Issue> {
    let mut issues = Vec::new();
    if matches!(config.get(&keys::MONEY_DIGITS), Ok(digits) if digits > 18) {
        issues.push(Issue::new(
            "money.fraction.digits",
            "is larger than 18",
            "set it to what lc_monetary has",
        ));
    }
    let threads = config.get(&keys::SNAPSHOT_THREADS).unwrap_or(1);
    if !(1..=SNAPSHOT_THREADS_MAX).contains(&threads) {
        let problem = format!("is not from 1 to {SNAPSHOT_THREADS_MAX}");
        issues.push(Issue::new("snapshot.max.threads", problem, "set it to 2"));
    }
    if matches!(config.get(&keys::STATUS_INTERVAL), Ok(interval) if interval < Duration::from_millis(10))
    {
        let remedy = "set it to 10000";
        issues.push(Issue::new(
            "status.update.interval.ms",
            "is shorter than 10 ms",
            remedy,
        ));
    }
    issues
}

/// What is accepted and does something else than its words say.
pub(crate) fn warn(config: &Config) {
    if matches!(config.get(&keys::PLUGIN), Ok(Plugin::DecoderBufs)) {
        tracing::warn!(
            class = INFO.class,
            "plugin.name decoderbufs is not used, pgoutput is"
        );
    }
}
