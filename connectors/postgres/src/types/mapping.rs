//! Which schema and codec a column gets: Postgres' type to Connect's, under either profile.

use super::{
    catalog::{TypeCatalog, TypeKind},
    codec::{Codec, DateForm, EnumLabels, TimeForm, TimestampForm},
    debezium, oids,
    semantic::ColumnType,
};
use crate::options::{BinaryMode, MappingOptions, TimePrecision};
use std::sync::Arc;
use tapline_sdk::Type;

/// A column's type as declared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Declared {
    pub(crate) oid: u32,
    pub(crate) typmod: i32,
    /// Declared dimensions of an array.
    pub(crate) dimensions: u16,
}

/// The mapping of a column's type; `None` if the options drop columns of this type.
pub(crate) fn map(
    types: &TypeCatalog,
    options: &MappingOptions,
    declared: Declared,
) -> Option<ColumnType> {
    let (oid, typmod) = types.root(declared.oid, declared.typmod);
    if let Some(plain) = plain(options, oid, typmod) {
        return Some(plain);
    }
    match types.get(oid).map(|info| &info.kind) {
        Some(TypeKind::Enum(labels)) => Some(enumeration(oid, labels)),
        _ if options.is_lossless() => Some(exact(types, options, oid)),
        _ => {
            let root = Declared {
                oid,
                typmod,
                ..declared
            };
            debezium::map(types, options, root).or_else(|| debezium::unknown(options))
        }
    }
}

/// Types that both profiles map alike.
fn plain(options: &MappingOptions, oid: u32, typmod: i32) -> Option<ColumnType> {
    let native = ColumnType::native;
    Some(match oid {
        oids::BOOL => native(Type::Bool, Codec::Bool),
        oids::INT2 => native(Type::Int16, Codec::Int2),
        oids::INT4 => native(Type::Int32, Codec::Int4),
        oids::INT8 => native(Type::Int64, Codec::Int8),
        oids::OID => native(Type::Int64, Codec::Oid),
        oids::FLOAT4 => native(Type::Float32, Codec::Float4),
        oids::FLOAT8 => native(Type::Float64, Codec::Float8),
        oids::TEXT | oids::VARCHAR | oids::BPCHAR | oids::NAME => native(Type::Text, Codec::Text),
        oids::CHAR | oids::INET | oids::CIDR | oids::MACADDR | oids::MACADDR8 => ColumnType::text(),
        oids::JSON => native(Type::Text, Codec::Text).named("io.debezium.data.Json"),
        oids::JSONB => native(Type::Text, Codec::Jsonb).named("io.debezium.data.Json"),
        oids::UUID => native(Type::Text, Codec::Uuid).named("io.debezium.data.Uuid"),
        oids::XML => ColumnType::text().named("io.debezium.data.Xml"),
        oids::TSVECTOR => ColumnType::text().named("io.debezium.data.Tsvector"),
        oids::BYTEA => native(binary(options.binary), Codec::Bytea(options.binary)),
        oids::DATE => date(options.time),
        oids::TIME => time(options.time, precision(typmod)),
        oids::TIMESTAMP => timestamp(options.time, precision(typmod)),
        oids::TIMESTAMPTZ => native(Type::Text, Codec::TimestampTz(precision(typmod)))
            .named("io.debezium.time.ZonedTimestamp"),
        oids::NUMERIC => debezium::numeric(options.decimal, typmod),
        _ => return None,
    })
}

/// What our own class maps in its own way: the server's text, unless an option asks for something else, under
/// Debezium's name where that text is Debezium's mapping too.
fn exact(types: &TypeCatalog, options: &MappingOptions, oid: u32) -> ColumnType {
    match (oid, types.get(oid).map(|info| &*info.name)) {
        // Its text depends on the locale, its value as numeric does not.
        (oids::MONEY, _) => debezium::money(types, options),
        (oids::INTERVAL, _) => debezium::interval(options.interval),
        (_, Some("hstore")) => debezium::hstore(options.hstore),
        (_, Some("ltree")) => ColumnType::text().named("io.debezium.data.Ltree"),
        _ => ColumnType::text(),
    }
}

pub(super) fn enumeration(oid: u32, labels: &[Arc<str>]) -> ColumnType {
    let codec = Codec::Enum(Arc::new(EnumLabels::new(oid, labels)));
    let mapped = ColumnType::native(Type::Text, codec)
        .named("io.debezium.data.Enum")
        .with("allowed", labels.join(","));
    // Debezium's list cannot tell a comma in a label from one between two: such labels are told once more, escaped.
    let odd = |label: &Arc<str>| label.is_empty() || label.contains([',', '\\']);
    if !labels.iter().any(odd) {
        return mapped;
    }
    let escaped = |label: &Arc<str>| label.replace('\\', r"\\").replace(',', r"\,");
    let labels: Vec<String> = labels.iter().map(escaped).collect();
    mapped.with("tapline.enum.labels", labels.join(","))
}

/// The schema type of `binary.handling.mode`.
pub(super) fn binary(mode: BinaryMode) -> Type {
    match mode {
        BinaryMode::Bytes => Type::Bytes,
        BinaryMode::Base64 | BinaryMode::Base64UrlSafe | BinaryMode::Hex => Type::Text,
    }
}

/// Digits of the fraction of a second: the type modifier, 6 if there is none.
fn precision(typmod: i32) -> u8 {
    u8::try_from(typmod).map_or(6, |digits| digits.min(6))
}

fn date(mode: TimePrecision) -> ColumnType {
    let days = ColumnType::native(Type::Int32, Codec::Date(DateForm::Days));
    match mode {
        TimePrecision::Connect => days.named("org.apache.kafka.connect.data.Date"),
        TimePrecision::IsoString => ColumnType::native(Type::Text, Codec::Date(DateForm::Iso))
            .named("io.debezium.time.IsoDate"),
        _ => days.named("io.debezium.time.Date"),
    }
}

fn time(mode: TimePrecision, digits: u8) -> ColumnType {
    let (ty, form, name) = match mode {
        TimePrecision::Connect => (
            Type::Int32,
            TimeForm::Millis,
            "org.apache.kafka.connect.data.Time",
        ),
        TimePrecision::IsoString => (Type::Text, TimeForm::Iso, "io.debezium.time.IsoTime"),
        TimePrecision::Nanoseconds => (Type::Int64, TimeForm::Nanos, "io.debezium.time.NanoTime"),
        TimePrecision::Adaptive if digits <= 3 => {
            (Type::Int32, TimeForm::Millis, "io.debezium.time.Time")
        }
        _ => (Type::Int64, TimeForm::Micros, "io.debezium.time.MicroTime"),
    };
    ColumnType::native(ty, Codec::Time(form)).named(name)
}

fn timestamp(mode: TimePrecision, digits: u8) -> ColumnType {
    use TimePrecision::{Adaptive, AdaptiveTimeMicroseconds, Connect, IsoString, Nanoseconds};
    let (ty, form, name) = match mode {
        Connect => (
            Type::Int64,
            TimestampForm::Millis,
            "org.apache.kafka.connect.data.Timestamp",
        ),
        IsoString => (
            Type::Text,
            TimestampForm::Iso,
            "io.debezium.time.IsoTimestamp",
        ),
        Nanoseconds => (
            Type::Int64,
            TimestampForm::Nanos,
            "io.debezium.time.NanoTimestamp",
        ),
        Adaptive | AdaptiveTimeMicroseconds if digits <= 3 => (
            Type::Int64,
            TimestampForm::Millis,
            "io.debezium.time.Timestamp",
        ),
        _ => (
            Type::Int64,
            TimestampForm::Micros,
            "io.debezium.time.MicroTimestamp",
        ),
    };
    ColumnType::native(ty, Codec::Timestamp(form)).named(name)
}
