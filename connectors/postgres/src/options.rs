//! How catalogue and rows become schemas and records: the options of the mapping, parsed.
//!
//! Owns what a mapping option may say. Keys, their documentation and cross-key rules are declared where the
//! connector's configuration is; connections and slots have options of their own.

mod columns;
mod modes;

pub use columns::{ColumnMatch, ColumnRules, KeyColumns};
pub use modes::{
    BinaryMode, DecimalMode, HstoreMode, IntervalMode, NameAdjustment, SkippedOperations,
    TimePrecision,
};

use std::sync::Arc;

/// Whose mapping it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Ours: what a Connect type would lose travels as the server's own text, and every field says which type it had.
    Lossless,
    /// Debezium's, value for value; where it differs on purpose, `docs/debezium-differences.md` says so.
    Debezium,
}

/// Everything that decides how a table's rows look as records.
#[derive(Debug, Clone)]
pub struct MappingOptions {
    /// Whose mapping it is.
    pub profile: Profile,
    /// `topic.prefix`: the logical name of the server.
    pub topic_prefix: Arc<str>,
    /// `topic.delimiter`.
    pub topic_delimiter: Arc<str>,
    /// `database.dbname`, for the source block.
    pub database: Arc<str>,
    /// `decimal.handling.mode`.
    pub decimal: DecimalMode,
    /// `time.precision.mode`.
    pub time: TimePrecision,
    /// `binary.handling.mode`.
    pub binary: BinaryMode,
    /// `hstore.handling.mode`.
    pub hstore: HstoreMode,
    /// `interval.handling.mode`.
    pub interval: IntervalMode,
    /// `money.fraction.digits`: the scale of `Decimal` for money.
    pub money_fraction_digits: u8,
    /// `include.unknown.datatypes`.
    pub include_unknown: bool,
    /// `tombstones.on.delete`.
    pub tombstones: bool,
    /// `skipped.operations`.
    pub skipped: SkippedOperations,
    /// `message.key.columns`.
    pub key_columns: KeyColumns,
    /// `column.include.list`, `column.exclude.list`.
    pub columns: ColumnRules,
    /// `column.propagate.source.type`: against `schema.table.column`.
    pub propagate_columns: ColumnMatch,
    /// `datatype.propagate.source.type`: against `database.schema.TYPE` and `TYPE`.
    pub propagate_types: ColumnMatch,
    /// `schema.name.adjustment.mode`.
    pub schema_names: NameAdjustment,
    /// `field.name.adjustment.mode`.
    pub field_names: NameAdjustment,
    /// `extended.headers.enabled`: `None` is off.
    pub context_headers: Option<ContextHeaders>,
}

/// The values of the `__debezium.context.*` headers: constant for a run.
#[derive(Debug, Clone)]
pub struct ContextHeaders {
    /// `connectorLogicalName`: the topic prefix.
    pub logical_name: Arc<str>,
    /// `taskId`.
    pub task_id: Arc<str>,
    /// `connectorName`: always `postgresql`.
    pub connector_name: Arc<str>,
    /// `runId`: a UUID per start.
    pub run_id: Arc<str>,
}

impl MappingOptions {
    /// Our own class's defaults.
    #[must_use]
    pub fn lossless(topic_prefix: &str, database: &str) -> Self {
        Self {
            profile: Profile::Lossless,
            topic_prefix: topic_prefix.into(),
            topic_delimiter: ".".into(),
            database: database.into(),
            decimal: DecimalMode::Exact,
            time: TimePrecision::Microseconds,
            binary: BinaryMode::Bytes,
            hstore: HstoreMode::Exact,
            interval: IntervalMode::Exact,
            money_fraction_digits: 2,
            include_unknown: true,
            tombstones: true,
            skipped: SkippedOperations::default(),
            key_columns: KeyColumns::default(),
            columns: ColumnRules::default(),
            propagate_columns: ColumnMatch::default(),
            propagate_types: ColumnMatch::default(),
            schema_names: NameAdjustment::None,
            field_names: NameAdjustment::None,
            context_headers: None,
        }
    }

    /// Debezium's defaults, but for the context headers, which need the task's names.
    #[must_use]
    pub fn debezium(topic_prefix: &str, database: &str) -> Self {
        Self {
            profile: Profile::Debezium,
            decimal: DecimalMode::Precise,
            time: TimePrecision::Adaptive,
            hstore: HstoreMode::Json,
            interval: IntervalMode::Numeric,
            include_unknown: false,
            skipped: SkippedOperations {
                truncate: true,
                ..SkippedOperations::default()
            },
            ..Self::lossless(topic_prefix, database)
        }
    }

    /// Whether the mapping is the lossless one.
    #[must_use]
    pub fn is_lossless(&self) -> bool {
        self.profile == Profile::Lossless
    }
}
