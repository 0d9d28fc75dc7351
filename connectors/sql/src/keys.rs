//! Every configuration key of the sink, declared once, and what other products' names for it are.
//!
//! Owns names, defaults and documentation; [`crate::settings`] owns what they mean together.

use crate::debezium::DEBEZIUM_KEYS;
use tapline_sdk::{Alias, Definition, Importance, Info, Key, Secret};

const CONNECTION: &str = "Connection";
const WRITES: &str = "Writes";
const NAMES: &str = "Tables and columns";

/// `connection.url`.
pub const URL: Key<String> = Key::required(
    "connection.url",
    CONNECTION,
    "where the target is: postgres://user@host:port/database?sslmode=… or jdbc:postgresql://host:port/database",
)
.importance(Importance::High);

/// `connection.username`.
pub const USERNAME: Key<String> = Key::required(
    "connection.username",
    CONNECTION,
    "the role to log in as; overrides the URL's",
)
.optional()
.importance(Importance::High);

/// `connection.password`.
pub const PASSWORD: Key<Secret> = Key::required(
    "connection.password",
    CONNECTION,
    "the role's password; overrides the URL's",
)
.optional()
.importance(Importance::High);

/// `insert.mode`.
pub const INSERT_MODE: Key<InsertMode> = Key::required(
    "insert.mode",
    WRITES,
    "upsert: write rows by their key; insert: a row that exists is rejected; update: a row that is missing is left out",
)
.or("upsert")
.importance(Importance::High);

/// `delete.enabled`.
pub const DELETE: Key<bool> =
    Key::required("delete.enabled", WRITES, "whether deletes are applied").or("true");

/// `truncate.enabled`.
pub const TRUNCATE: Key<bool> = Key::required(
    "truncate.enabled",
    WRITES,
    "whether truncates, and the start of a repeated snapshot, empty the target's table",
)
.or("true");

/// `primary.key.mode`.
pub const KEY_MODE: Key<KeyMode> = Key::required(
    "primary.key.mode",
    WRITES,
    "where a row's key comes from: record_key, record_value (needs primary.key.fields), or none (rows are appended)",
)
.or("record_key");

/// `primary.key.fields`.
pub const KEY_FIELDS: Key<Vec<String>> = Key::required(
    "primary.key.fields",
    WRITES,
    "the fields that make the key, comma-separated; empty: all fields of the record's key",
)
.optional();

/// `schema.evolution`.
pub const EVOLUTION: Key<Evolution> = Key::required(
    "schema.evolution",
    NAMES,
    "basic: create missing tables, add missing columns, follow safe type changes; none: a missing one is an error",
)
.or("basic");

/// `auto.create`.
pub const AUTO_CREATE: Key<bool> = Key::required(
    "auto.create",
    NAMES,
    "overrides schema.evolution for missing tables",
)
.optional()
.importance(Importance::Low);

/// `auto.evolve`.
pub const AUTO_EVOLVE: Key<bool> = Key::required(
    "auto.evolve",
    NAMES,
    "overrides schema.evolution for missing and changed columns",
)
.optional()
.importance(Importance::Low);

/// `collection.name.format`.
pub const TABLE_NAME: Key<crate::naming::TableTemplate> = Key::required(
    "collection.name.format",
    NAMES,
    "the target's table: ${source.schema}, ${source.table}, ${source.db} and ${topic} (its dots become _) are filled in; \
     a dot separates schema and table",
)
.or("${source.schema}.${source.table}");

/// `quote.identifiers`.
pub const QUOTE: Key<bool> = Key::required(
    "quote.identifiers",
    NAMES,
    "true: names keep their case; false: they are folded to lower case, as unquoted names are",
)
.or("true");

/// `positions.table`.
pub const POSITIONS: Key<String> = Key::required(
    "positions.table",
    WRITES,
    "the table that holds this sink's positions, written in the transaction of the data; schema.table or table",
)
.or("public.tapline_positions")
.importance(Importance::Low);

/// `insert.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InsertMode {
    /// Write rows by their key.
    Upsert,
    /// Append; a row that exists is rejected.
    Insert,
    /// Change rows that exist.
    Update,
}

impl tapline_sdk::ConfigValue for InsertMode {
    const KIND: tapline_sdk::Kind = tapline_sdk::Kind::Text;
    const VALUES: &'static [&'static str] = &["upsert", "insert", "update"];
    fn parse(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "upsert" => Ok(Self::Upsert),
            "insert" => Ok(Self::Insert),
            "update" => Ok(Self::Update),
            _ => Err("is not upsert, insert or update".to_owned()),
        }
    }
}

/// `primary.key.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyMode {
    /// No key: rows are appended.
    None,
    /// The record's key.
    RecordKey,
    /// Fields of the record's value.
    RecordValue,
}

impl tapline_sdk::ConfigValue for KeyMode {
    const KIND: tapline_sdk::Kind = tapline_sdk::Kind::Text;
    const VALUES: &'static [&'static str] = &["record_key", "record_value", "none"];
    fn parse(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "none" => Ok(Self::None),
            "record_key" => Ok(Self::RecordKey),
            "record_value" => Ok(Self::RecordValue),
            "kafka" | "record_header" => {
                Err("is not built yet: use record_key, record_value or none".to_owned())
            }
            _ => Err("is not record_key, record_value or none".to_owned()),
        }
    }
}

/// `schema.evolution`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evolution {
    /// Change nothing.
    None,
    /// Create tables, add columns, follow safe type changes.
    Basic,
}

impl tapline_sdk::ConfigValue for Evolution {
    const KIND: tapline_sdk::Kind = tapline_sdk::Kind::Text;
    const VALUES: &'static [&'static str] = &["basic", "none"];
    fn parse(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "none" => Ok(Self::None),
            "basic" => Ok(Self::Basic),
            _ => Err("is not basic or none".to_owned()),
        }
    }
}

const KEYS: &[Definition] = &[
    URL.definition,
    USERNAME.definition,
    PASSWORD.definition,
    INSERT_MODE.definition,
    DELETE.definition,
    TRUNCATE.definition,
    KEY_MODE.definition,
    KEY_FIELDS.definition,
    EVOLUTION.definition,
    AUTO_CREATE.definition,
    AUTO_EVOLVE.definition,
    TABLE_NAME.definition,
    QUOTE.definition,
    POSITIONS.definition,
];

const DEBEZIUM: Alias = Alias {
    class: "io.debezium.connector.jdbc.JdbcSinkConnector",
    defaults: &[
        ("insert.mode", "insert"),
        ("delete.enabled", "false"),
        ("truncate.enabled", "false"),
        ("primary.key.mode", "none"),
        ("schema.evolution", "none"),
        ("collection.name.format", "${topic}"),
        ("quote.identifiers", "false"),
    ],
    renames: &[("table.name.format", "collection.name.format")],
    keys: DEBEZIUM_KEYS,
    required: &[],
    connects: None,
};

const CONFLUENT: Alias = Alias {
    class: "io.confluent.connect.jdbc.JdbcSinkConnector",
    defaults: &[
        ("insert.mode", "insert"),
        ("delete.enabled", "false"),
        ("truncate.enabled", "false"),
        ("primary.key.mode", "none"),
        ("schema.evolution", "none"),
        ("collection.name.format", "${topic}"),
    ],
    renames: &[
        ("connection.user", "connection.username"),
        ("pk.mode", "primary.key.mode"),
        ("pk.fields", "primary.key.fields"),
        ("table.name.format", "collection.name.format"),
    ],
    keys: &[],
    required: &[],
    connects: None,
};

/// What the registry knows of this sink.
pub const INFO: Info = Info {
    class: "io.tapline.sql.SqlSink",
    short: "sql",
    version: env!("CARGO_PKG_VERSION"),
    keys: KEYS,
    aliases: &[DEBEZIUM, CONFLUENT],
    // The runtime owns batches and retries, one connection serves a task, and rows are always reduced per key.
    inert: &[
        "batch.size",
        "max.retries",
        "retry.backoff.ms",
        "flush.max.retries",
        "flush.retry.delay.ms",
        "use.reduction.buffer",
        "connection.attempts",
        "connection.backoff.ms",
        "connection.pool.min_size",
        "connection.pool.max_size",
        "connection.pool.acquire_increment",
        "connection.pool.timeout",
        "connection.restart.on.errors",
        "connection.provider",
        "dialect.name",
        "dialect.postgres.unnest.insert.enabled",
        "quote.sql.identifiers",
        "cloud.events.schema.name.pattern",
    ],
    refused: &[
        (
            "field.include.list",
            "name the fields in a ReplaceField transform",
        ),
        (
            "field.exclude.list",
            "name the fields in a ReplaceField transform",
        ),
        (
            "fields.whitelist",
            "name the fields in a ReplaceField transform",
        ),
        ("column.naming.strategy", "rename fields with a transform"),
        ("collection.naming.strategy", "set collection.name.format"),
        ("table.naming.strategy", "set collection.name.format"),
        ("collection.table.format", "set collection.name.format"),
        (
            "dialect.postgres.postgis.schema",
            "remove it: types keep the schema that the source names",
        ),
        ("use.time.zone", "remove it: times are written in UTC"),
        ("database.time_zone", "remove it: times are written in UTC"),
        ("db.timezone", "remove it: times are written in UTC"),
        ("table.types", "remove it: rows go into tables"),
        (
            "mssql.use.merge.holdlock",
            "remove it: the target is Postgres",
        ),
        (
            "dialect.sqlserver.identity.insert",
            "remove it: the target is Postgres",
        ),
    ],
};
