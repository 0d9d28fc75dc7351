//! What only Debezium's profile maps: structs for geometry, arrays of items, durations, bit strings.

use super::{
    catalog::{TypeCatalog, TypeKind},
    codec::Codec,
    decimal::NumericForm,
    mapping::{self, Declared, binary},
    oids,
    semantic::{ColumnType, CopyForm, field, structure},
};
use crate::options::{DecimalMode, HstoreMode, IntervalMode, MappingOptions};
use tapline_sdk::{Schema, Type};

/// The mapping of a type that both profiles do not map alike; `None` if Debezium does not know it.
pub(super) fn map(
    types: &TypeCatalog,
    options: &MappingOptions,
    declared: Declared,
) -> Option<ColumnType> {
    let Declared { oid, typmod, .. } = declared;
    let text_copied = ColumnType::text_copied;
    Some(match oid {
        oids::MONEY => money(types, options),
        oids::TIMETZ => {
            ColumnType::native(Type::Text, Codec::TimeTz).named("io.debezium.time.ZonedTime")
        }
        oids::INTERVAL => interval(options.interval),
        oids::BIT | oids::VARBIT if typmod == 1 => text_copied(Type::Bool, Codec::Bit),
        oids::BIT | oids::VARBIT => text_copied(Type::Bytes, Codec::Bits)
            .named("io.debezium.data.Bits")
            .with("length", bit_length(typmod).to_string()),
        oids::POINT => point(),
        oids::REFCURSOR => ColumnType::text(),
        oids::INT2VECTOR => vector_of(Type::Int16, Codec::Spaced, false),
        oids::OIDVECTOR => vector_of(Type::Int64, Codec::Spaced, false),
        _ => {
            let info = types.get(oid)?;
            match &info.kind {
                TypeKind::Array(item) => return array(types, options, *item, declared),
                TypeKind::Range => ColumnType::text(),
                TypeKind::Base => return extension(options, &info.name),
                _ => return None,
            }
        }
    })
}

/// A type that nobody knows: dropped, or with `include.unknown.datatypes` its text as bytes.
pub(super) fn unknown(options: &MappingOptions) -> Option<ColumnType> {
    let codec = Codec::TextAsBytes(options.binary);
    options
        .include_unknown
        .then(|| ColumnType::text_copied(binary(options.binary), codec))
}

/// numeric under each mode; `exact` is our own.
pub(super) fn numeric(mode: DecimalMode, typmod: i32) -> ColumnType {
    match mode {
        DecimalMode::Exact => ColumnType::native(Type::Text, Codec::Numeric(NumericForm::Exact)),
        DecimalMode::String => ColumnType::native(Type::Text, Codec::Numeric(NumericForm::Named)),
        DecimalMode::Double => {
            ColumnType::native(Type::Float64, Codec::Numeric(NumericForm::Double))
        }
        DecimalMode::Precise => match NumericModifier::of(typmod) {
            Some(NumericModifier { precision, scale }) => {
                let codec = Codec::Numeric(NumericForm::Decimal(scale));
                decimal(codec, scale, precision)
            }
            None => {
                let scale = field("scale", Schema::of(Type::Int32));
                let value = field("value", Schema::of(Type::Bytes));
                let codec = Codec::Numeric(NumericForm::VariableScale);
                ColumnType::native(structure(vec![scale, value]), codec)
                    .named("io.debezium.data.VariableScaleDecimal")
            }
        },
    }
}

/// What `numeric(p,s)` says.
#[derive(Debug, PartialEq, Eq)]
struct NumericModifier {
    precision: u32,
    scale: u16,
}

impl NumericModifier {
    /// A negative scale (Postgres 15) counts as more digits before the point.
    fn of(typmod: i32) -> Option<Self> {
        let bits = u32::try_from(typmod).ok()?.checked_sub(4)?;
        let precision = bits >> 16;
        // The scale is a number of 11 bits with sign.
        Some(match bits & 0x7ff {
            scale @ 0..=1023 => Self {
                precision,
                scale: u16::try_from(scale).unwrap_or_default(),
            },
            negative => Self {
                precision: precision + (2048 - negative),
                scale: 0,
            },
        })
    }
}

fn decimal(codec: Codec, scale: u16, precision: u32) -> ColumnType {
    ColumnType::native(Type::Bytes, codec)
        .named("org.apache.kafka.connect.data.Decimal")
        .with("scale", scale.to_string())
        .with("connect.decimal.precision", precision.to_string())
}

pub(super) fn money(types: &TypeCatalog, options: &MappingOptions) -> ColumnType {
    let scale = types.money_scale();
    let native = |ty, form| ColumnType::native(ty, Codec::Money(scale, form));
    let mapped = match options.decimal {
        DecimalMode::Exact => native(Type::Text, NumericForm::Exact),
        DecimalMode::String => native(Type::Text, NumericForm::Named),
        DecimalMode::Double => native(Type::Float64, NumericForm::Double),
        DecimalMode::Precise => {
            let digits = u16::from(options.money_fraction_digits);
            native(Type::Bytes, NumericForm::Decimal(digits))
                .named("org.apache.kafka.connect.data.Decimal")
                .with("scale", digits.to_string())
        }
    };
    mapped.copied(CopyForm::Numeric)
}

pub(super) fn interval(mode: IntervalMode) -> ColumnType {
    let codec = Codec::Interval(mode);
    match mode {
        IntervalMode::Exact => ColumnType::text(),
        IntervalMode::Numeric => {
            ColumnType::text_copied(Type::Int64, codec).named("io.debezium.time.MicroDuration")
        }
        IntervalMode::String => {
            ColumnType::text_copied(Type::Text, codec).named("io.debezium.time.Interval")
        }
    }
}

/// Bits of a bit string; an unbounded one counts as the longest there is.
fn bit_length(typmod: i32) -> i32 {
    if typmod < 0 { i32::MAX } else { typmod }
}

fn point() -> ColumnType {
    let fields = vec![
        field("x", Schema::of(Type::Float64)),
        field("y", Schema::of(Type::Float64)),
        field("wkb", Schema::of(Type::Bytes).optional()),
        field("srid", Schema::of(Type::Int32).optional()),
    ];
    ColumnType::text_copied(structure(fields), Codec::Point)
        .named("io.debezium.data.geometry.Point")
}

fn vector_of(item: Type, codec: Codec, optional_items: bool) -> ColumnType {
    let item = Schema::of(item).optional_if(optional_items).build();
    ColumnType::text_copied(Type::Array(item), codec)
}

/// Types of extensions, by name: their oids differ from database to database.
fn extension(options: &MappingOptions, name: &str) -> Option<ColumnType> {
    Some(match name {
        "citext" | "isbn" | "isbn13" | "ismn" | "ismn13" | "issn" | "issn13" | "ean13" | "upc" => {
            ColumnType::text()
        }
        "ltree" => ColumnType::text().named("io.debezium.data.Ltree"),
        "hstore" => hstore(options.hstore),
        "geometry" => geometry().named("io.debezium.data.geometry.Geometry"),
        "geography" => geometry().named("io.debezium.data.geometry.Geography"),
        "vector" => {
            vector_of(Type::Float64, Codec::Vector, false).named("io.debezium.data.DoubleVector")
        }
        "halfvec" => {
            vector_of(Type::Float32, Codec::Vector, false).named("io.debezium.data.FloatVector")
        }
        "sparsevec" => sparse_vector(),
        _ => return None,
    })
}

pub(super) fn hstore(mode: HstoreMode) -> ColumnType {
    match mode {
        HstoreMode::Exact => ColumnType::text(),
        HstoreMode::Json => {
            ColumnType::text_copied(Type::Text, Codec::HstoreJson).named("io.debezium.data.Json")
        }
        HstoreMode::Map => {
            let value = Schema::of(Type::Text).optional().build();
            ColumnType::text_copied(Type::Map(Schema::string(), value), Codec::HstoreMap)
        }
    }
}

fn geometry() -> ColumnType {
    let fields = vec![
        field("wkb", Schema::of(Type::Bytes)),
        field("srid", Schema::of(Type::Int32).optional()),
    ];
    ColumnType::text_copied(structure(fields), Codec::Geometry)
}

fn sparse_vector() -> ColumnType {
    let index = Schema::of(Type::Int16).build();
    let value = Schema::of(Type::Float64).build();
    let fields = vec![
        field("dimensions", Schema::of(Type::Int16)),
        field("vector", Schema::of(Type::Map(index, value))),
    ];
    ColumnType::text_copied(structure(fields), Codec::SparseVector)
        .named("io.debezium.data.SparseDoubleVector")
}

/// An array of a type that Debezium maps; composite items as text, which Debezium drops.
fn array(
    types: &TypeCatalog,
    options: &MappingOptions,
    item: u32,
    declared: Declared,
) -> Option<ColumnType> {
    let info = types.get(item)?;
    let (root, _) = types.root(item, -1);
    let dropped = [
        oids::MONEY,
        oids::NAME,
        oids::INTERVAL,
        oids::VARBIT,
        oids::XML,
        oids::POINT,
        oids::REFCURSOR,
    ];
    if dropped.contains(&root) {
        return None;
    }
    let of = Declared {
        oid: item,
        typmod: declared.typmod,
        dimensions: 0,
    };
    let without_unknown = MappingOptions {
        include_unknown: false,
        ..options.clone()
    };
    let composite = matches!(info.kind, TypeKind::Composite);
    let mapped = if composite {
        ColumnType::text()
    } else {
        mapping::map(types, &without_unknown, of)?
    };
    // Debezium requires items of enums and tsvectors to be there; nulls among them are lost that way.
    Some(mapped.array(info.delimiter, declared.dimensions))
}
