//! From one raw value to one cell: a codec per column, chosen once per plan and dispatched by one match per value.
//!
//! Text and binary forms of a value give the same cell; that is what makes snapshot and stream agree.

use super::{
    array, bits, clock,
    decimal::{self, NumericForm},
    geometry, hstore, interval, number,
    value::{Fault, Raw, Sink, bytes_of},
    vector,
};
use crate::options::{BinaryMode, IntervalMode};
use std::sync::Arc;
use tapline_sdk::{Cell, RecordError};

pub(crate) use clock::{DateForm, TimeForm, TimestampForm};

/// How a column's values are read and what becomes of them.
#[derive(Debug, Clone)]
pub(crate) enum Codec {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    /// Text that is the same in both forms.
    Text,
    /// Text that binary form puts a version byte before.
    Jsonb,
    Uuid,
    Bytea(BinaryMode),
    /// A value of any type, its text as bytes.
    TextAsBytes(BinaryMode),
    Date(DateForm),
    Time(TimeForm),
    TimeTz,
    Timestamp(TimestampForm),
    /// Digits of the fraction.
    TimestampTz(u8),
    Numeric(NumericForm),
    /// Digits after the point that the server gives money; binary form is numeric.
    Money(u8, NumericForm),
    Interval(IntervalMode),
    Enum(Arc<EnumLabels>),
    /// `bit(1)`.
    Bit,
    Bits,
    HstoreJson,
    HstoreMap,
    Point,
    /// PostGIS: hexadecimal EWKB.
    Geometry,
    /// pgvector; the items' width is the schema's.
    Vector,
    SparseVector,
    /// `int2vector`, `oidvector`.
    Spaced,
    Array {
        item: Box<Codec>,
        delimiter: u8,
        /// Declared dimensions: the depth of nesting in the schema.
        depth: u16,
    },
}

/// The labels of an enum.
#[derive(Debug)]
pub(crate) struct EnumLabels {
    oid: u32,
    sorted: Box<[Arc<str>]>,
}

impl EnumLabels {
    pub(crate) fn new(oid: u32, labels: &[Arc<str>]) -> Self {
        let mut sorted: Box<[Arc<str>]> = labels.into();
        sorted.sort_unstable();
        Self { oid, sorted }
    }

    fn check(&self, label: &[u8]) -> Result<(), Fault> {
        let known = self
            .sorted
            .binary_search_by(|known| known.as_bytes().cmp(label));
        match known {
            Ok(_) => Ok(()),
            Err(_) => {
                let label = String::from_utf8_lossy(label).into_owned();
                Err(Fault::UnknownLabel(self.oid, label))
            }
        }
    }
}

impl Codec {
    /// The cell of a value.
    #[inline]
    pub(crate) fn decode(&self, sink: &mut Sink<'_>, raw: Raw<'_>) -> Result<Cell, Fault> {
        match self {
            Self::Int4 => number::int::<4>(raw).map(Cell::Int),
            Self::Int8 => number::int::<8>(raw).map(Cell::Int),
            Self::Text => Ok(sink.arena.utf8(bytes_of(raw))?),
            Self::Int2 => number::int::<2>(raw).map(Cell::Int),
            Self::Oid => number::oid(raw).map(Cell::Int),
            Self::Bool => number::bool(raw).map(Cell::Bool),
            Self::Float4 => number::float4(raw).map(Cell::Float),
            Self::Float8 => number::float8(raw).map(Cell::Float),
            Self::Timestamp(form) => clock::timestamp(raw).and_then(|at| form.cell(sink, at)),
            Self::TimestampTz(digits) => clock::zoned(sink, raw, *digits),
            Self::Numeric(form) => decimal::numeric(sink, raw, form),
            Self::Date(form) => clock::date(raw).and_then(|days| form.cell(sink, days)),
            Self::Jsonb => Ok(sink.arena.utf8(without_version(raw)?)?),
            Self::Uuid => number::uuid(sink, raw),
            Self::Enum(labels) => {
                labels.check(bytes_of(raw))?;
                Ok(sink.arena.utf8(bytes_of(raw))?)
            }
            _ => self.decode_rare(sink, raw),
        }
    }

    #[inline(never)]
    fn decode_rare(&self, sink: &mut Sink<'_>, raw: Raw<'_>) -> Result<Cell, Fault> {
        match self {
            Self::Time(form) => clock::time(raw).and_then(|time| form.cell(sink, time)),
            Self::TimeTz => clock::timetz(sink, raw),
            Self::Bytea(mode) => number::bytea(sink, raw, *mode),
            Self::TextAsBytes(mode) => number::bytes_as(sink, bytes_of(raw), *mode),
            Self::Money(scale, form) => decimal::money(sink, raw, *scale, form),
            Self::Interval(mode) => interval::interval(sink, bytes_of(raw), *mode),
            Self::Bit => bits::bit(bytes_of(raw)),
            Self::Bits => bits::bits(sink, bytes_of(raw)),
            Self::HstoreJson => hstore::json(sink, bytes_of(raw)),
            Self::HstoreMap => hstore::map(sink, bytes_of(raw)),
            Self::Point => geometry::point(sink, bytes_of(raw)),
            Self::Geometry => geometry::ewkb(sink, bytes_of(raw)),
            Self::Vector => vector::dense(sink, bytes_of(raw)),
            Self::SparseVector => vector::sparse(sink, bytes_of(raw)),
            Self::Spaced => number::spaced(sink, bytes_of(raw)),
            Self::Array {
                item,
                delimiter,
                depth,
            } => decode_array(sink, bytes_of(raw), item, *delimiter, *depth),
            _ => Err(RecordError::new("value has no codec").into()),
        }
    }
}

fn decode_array(
    sink: &mut Sink<'_>,
    text: &[u8],
    item: &Codec,
    delimiter: u8,
    depth: u16,
) -> Result<Cell, Fault> {
    let mut items = array::Items::new(text, delimiter)?;
    let mut cells = Vec::new();
    while let Some(next) = items.next_item()? {
        cells.push(match (next, depth) {
            (array::Item::Null, _) => Cell::Null,
            (array::Item::Array(inner), 2..) => {
                decode_array(sink, inner, item, delimiter, depth - 1)?
            }
            (array::Item::Value(value), ..=1) => item.decode(sink, Raw::Text(&value))?,
            // Postgres enforces no dimensions: a row may have others than the column declares.
            (array::Item::Array(_) | array::Item::Value(_), _) => {
                return Err(Fault::Unrepresentable(
                    "array has other dimensions than its column declares",
                ));
            }
        });
    }
    Ok(sink.arena.block_of(&cells).array())
}

fn without_version(raw: Raw<'_>) -> Result<&[u8], Fault> {
    match raw {
        Raw::Text(text) => Ok(text),
        Raw::Binary([1, text @ ..]) => Ok(text),
        Raw::Binary(_) => Err(RecordError::new("jsonb has an unknown version").into()),
    }
}
