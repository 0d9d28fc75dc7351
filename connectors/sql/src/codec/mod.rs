//! From Connect values to the text that the target's own input functions read.
//!
//! A [`Codec`] is compiled once per field schema and target type and then only writes: exact text, cast by the server
//! to the column's type. It never decides what a column's type is (that is the dialect's) and never sees a NULL.

mod decimal;
mod json;
mod literal;
mod temporal;

use std::sync::Arc;
use tapline_sdk::{Arena, Cell, RecordError, Schema, Type, Value};
use temporal::Unit;

/// What a codec must know of the column that it writes for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetType {
    /// The base type's name, domains resolved (`int4`, `_text`, `bytea`).
    pub name: String,
    /// The element's type name if it is an array.
    pub element: Option<String>,
}

impl TargetType {
    fn is_one_of(&self, names: &[&str]) -> bool {
        names.contains(&self.name.as_str())
    }

    fn is_json(&self) -> bool {
        self.is_one_of(&["json", "jsonb"])
    }

    fn is_bit(&self) -> bool {
        self.is_one_of(&["bit", "varbit"])
    }

    fn element_type(&self) -> Self {
        Self {
            name: self.element.clone().unwrap_or_default(),
            element: None,
        }
    }
}

/// How values of one field become text.
#[derive(Debug, Clone)]
pub enum Codec {
    /// Text as it is.
    Text,
    /// ISO 8601 with signed years, as `ZonedTimestamp` and the `Iso…` types have them.
    IsoText,
    /// A decimal number as text, with Debezium's words for what is no number.
    NumberText,
    /// `t` or `f`.
    Bool,
    /// `1` or `0`, for bit columns.
    BoolBit,
    /// An integer.
    Int,
    /// A 32-bit float, shortest text that reads back equal.
    Float32,
    /// A 64-bit float, shortest text that reads back equal.
    Float64,
    /// Days since 1970.
    Date,
    /// Time of day.
    Time(Unit),
    /// Time since 1970.
    Timestamp(Unit),
    /// Microseconds of an interval.
    Duration,
    /// Unscaled big-endian two's complement.
    Decimal {
        /// Digits after the point; may be negative.
        scale: i32,
    },
    /// Struct of scale and unscaled value.
    VariableDecimal {
        /// Index of `scale`.
        scale: usize,
        /// Index of `value`.
        value: usize,
    },
    /// `\x…`.
    Bytea,
    /// Little-endian bits, written as a string of this many.
    Bits {
        /// The column's length; `None`: as many as the value has.
        length: Option<usize>,
    },
    /// An array literal.
    Array(Box<Codec>),
    /// pgvector's text of dense vectors.
    Vector(Box<Codec>),
    /// pgvector's text of sparse vectors.
    SparseVector,
    /// hstore's text.
    Hstore,
    /// `(x,y)`.
    Point {
        /// Index of `x`.
        x: usize,
        /// Index of `y`.
        y: usize,
    },
    /// The bytes of a struct's `wkb` field as bare hexadecimal, which PostGIS reads.
    Wkb(usize),
    /// JSON, by the schema.
    Json(Arc<Schema>),
}

impl Codec {
    /// The codec for values of `schema` in a column of type `target`.
    #[must_use]
    pub fn compile(schema: &Arc<Schema>, target: &TargetType) -> Self {
        if let Some(codec) = schema
            .name
            .as_deref()
            .and_then(|name| Self::of_logical(name, schema, target))
        {
            return codec;
        }
        match &schema.ty {
            Type::Bool if target.is_bit() => Self::BoolBit,
            Type::Bool => Self::Bool,
            Type::Int8 | Type::Int16 | Type::Int32 | Type::Int64 => Self::Int,
            Type::Float32 => Self::Float32,
            Type::Float64 => Self::Float64,
            Type::Text if target.is_one_of(&["numeric", "float4", "float8"]) => Self::NumberText,
            Type::Text => Self::Text,
            Type::Bytes => Self::Bytea,
            Type::Array(item) if target.element.is_some() => {
                Self::Array(Box::new(Self::compile_item(item, target)))
            }
            Type::Map(..) if target.is_one_of(&["hstore"]) => Self::Hstore,
            Type::Array(_) | Type::Map(..) | Type::Struct(_) => Self::Json(Arc::clone(schema)),
        }
    }

    /// The codec of an array's items; items that are arrays stay in the same literal.
    fn compile_item(item: &Arc<Schema>, target: &TargetType) -> Self {
        match &item.ty {
            Type::Array(inner) => Self::Array(Box::new(Self::compile_item(inner, target))),
            _ => Self::compile(item, &target.element_type()),
        }
    }

    fn of_logical(name: &str, schema: &Arc<Schema>, target: &TargetType) -> Option<Self> {
        let at = |field: &str| schema.index_of(field);
        Some(match (name, &schema.ty) {
            ("io.debezium.time.Date" | "org.apache.kafka.connect.data.Date", Type::Int32) => {
                Self::Date
            }
            ("io.debezium.time.Time" | "org.apache.kafka.connect.data.Time", Type::Int32) => {
                Self::Time(Unit::Milli)
            }
            ("io.debezium.time.MicroTime", Type::Int64) => Self::Time(Unit::Micro),
            ("io.debezium.time.NanoTime", Type::Int64) => Self::Time(Unit::Nano),
            (
                "io.debezium.time.Timestamp" | "org.apache.kafka.connect.data.Timestamp",
                Type::Int64,
            ) => Self::Timestamp(Unit::Milli),
            ("io.debezium.time.MicroTimestamp", Type::Int64) => Self::Timestamp(Unit::Micro),
            ("io.debezium.time.NanoTimestamp", Type::Int64) => Self::Timestamp(Unit::Nano),
            ("io.debezium.time.MicroDuration", Type::Int64) => Self::Duration,
            (
                "io.debezium.time.ZonedTimestamp"
                | "io.debezium.time.IsoTimestamp"
                | "io.debezium.time.IsoDate",
                Type::Text,
            ) => Self::IsoText,
            ("org.apache.kafka.connect.data.Decimal", Type::Bytes) => Self::Decimal {
                scale: schema.parameter("scale")?.parse().ok()?,
            },
            ("io.debezium.data.VariableScaleDecimal", Type::Struct(_)) => Self::VariableDecimal {
                scale: at("scale")?,
                value: at("value")?,
            },
            ("io.debezium.data.Bits", Type::Bytes) if target.is_bit() => Self::Bits {
                length: bit_length(schema, target),
            },
            ("io.debezium.data.DoubleVector" | "io.debezium.data.FloatVector", Type::Array(i))
                if target.element.is_none() && !target.is_json() =>
            {
                Self::Vector(Box::new(Self::compile(i, &TargetType::default())))
            }
            ("io.debezium.data.SparseDoubleVector", Type::Struct(_)) if !target.is_json() => {
                Self::SparseVector
            }
            ("io.debezium.data.geometry.Point", Type::Struct(_)) if target.name == "point" => {
                Self::Point {
                    x: at("x")?,
                    y: at("y")?,
                }
            }
            (name, Type::Struct(_))
                if name.starts_with("io.debezium.data.geometry.")
                    && target.is_one_of(&["geometry", "geography"]) =>
            {
                Self::Wkb(at("wkb")?)
            }
            _ => return None,
        })
    }

    /// Appends the text of a value that is neither null nor unavailable.
    ///
    /// # Errors
    /// The value does not fit its schema, or has no text that the target could read.
    pub fn write(&self, arena: &Arena, cell: Cell, out: &mut Vec<u8>) -> Result<(), RecordError> {
        match (self, cell) {
            (Self::Text, Cell::Text(_)) => text(arena.raw(cell), out),
            (Self::IsoText, Cell::Text(_)) => temporal::iso(arena.raw(cell), out),
            (Self::NumberText, Cell::Text(_)) => text(number_words(arena.raw(cell)), out),
            (Self::Bool, Cell::Bool(value)) => {
                out.push(if value { b't' } else { b'f' });
                Ok(())
            }
            (Self::BoolBit, Cell::Bool(value)) => {
                out.push(if value { b'1' } else { b'0' });
                Ok(())
            }
            (Self::Int, Cell::Int(value)) => {
                integer(value, out);
                Ok(())
            }
            (Self::Float32, Cell::Float(value)) => {
                float32(value, out);
                Ok(())
            }
            (Self::Float64, Cell::Float(value)) => {
                float64(value, out);
                Ok(())
            }
            (Self::Date, Cell::Int(days)) => temporal::date(days, out),
            (Self::Time(unit), Cell::Int(value)) => temporal::time(value, *unit, out),
            (Self::Timestamp(unit), Cell::Int(value)) => temporal::timestamp(value, *unit, out),
            (Self::Duration, Cell::Int(value)) => {
                integer(value, out);
                out.extend_from_slice(b" microseconds");
                Ok(())
            }
            (Self::Decimal { scale }, Cell::Bytes(_)) => {
                decimal::write(arena.raw(cell), *scale, out)
            }
            (Self::Bytea, Cell::Bytes(_)) => {
                out.extend_from_slice(b"\\x");
                literal::hex(arena.raw(cell), out);
                Ok(())
            }
            (Self::Bits { length }, Cell::Bytes(_)) => literal::bits(arena.raw(cell), *length, out),
            (Self::Json(schema), _) => json::write(schema, arena.value(cell), out),
            _ => self.write_nested(arena, cell, out),
        }
    }

    fn write_nested(
        &self,
        arena: &Arena,
        cell: Cell,
        out: &mut Vec<u8>,
    ) -> Result<(), RecordError> {
        let children = arena.children(cell);
        let child = |at: usize| children.get(at).copied().unwrap_or(Cell::Null);
        match (self, cell) {
            (Self::VariableDecimal { scale, value }, Cell::Struct(_)) => {
                match (child(*scale), child(*value)) {
                    (Cell::Int(scale), unscaled @ Cell::Bytes(_)) => {
                        let scale = i32::try_from(scale)
                            .map_err(|_| RecordError::new("decimal scale is out of range"))?;
                        decimal::write(arena.raw(unscaled), scale, out)
                    }
                    _ => Err(RecordError::new("decimal has no scale or no value")),
                }
            }
            (Self::Array(item), Cell::Array(_)) => literal::array(item, arena, children, out),
            (Self::Vector(item), Cell::Array(_)) => literal::vector(item, arena, children, out),
            (Self::SparseVector, Cell::Struct(_)) => literal::sparse(arena.value(cell), out),
            (Self::Hstore, Cell::Map(_)) => literal::hstore(arena.value(cell), out),
            (Self::Point { x, y }, Cell::Struct(_)) => match (child(*x), child(*y)) {
                (Cell::Float(x), Cell::Float(y)) => {
                    literal::point(x, y, out);
                    Ok(())
                }
                _ => Err(RecordError::new("point has no coordinates")),
            },
            (Self::Wkb(at), Cell::Struct(_)) => {
                literal::hex(arena.raw(child(*at)), out);
                Ok(())
            }
            _ => Err(mismatch(arena.value(cell))),
        }
    }
}

fn bit_length(schema: &Schema, target: &TargetType) -> Option<usize> {
    // An unbounded `bit varying` announces the largest int: the value's own length is all there is.
    let length = schema.parameter("length")?.parse().ok()?;
    (target.name == "bit" || length < i32::MAX as usize).then_some(length)
}

fn mismatch(value: Value<'_>) -> RecordError {
    let kind = match value {
        Value::Null => "null",
        Value::Unavailable => "an unavailable value",
        Value::Bool(_) => "a boolean",
        Value::Int(_) => "an integer",
        Value::Float(_) => "a float",
        Value::Text(_) => "a text",
        Value::Bytes(_) => "bytes",
        Value::Array(_) => "an array",
        Value::Map(_) => "a map",
        Value::Struct(_) => "a struct",
    };
    RecordError::new(format!("{kind} stands where the schema says otherwise"))
}

/// Text that Postgres can store: any but NUL.
fn text(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), RecordError> {
    if bytes.contains(&0) {
        return Err(RecordError::new(
            "text holds a NUL character, which the target cannot store",
        ));
    }
    out.extend_from_slice(bytes);
    Ok(())
}

/// Debezium's `decimal.handling.mode=string` has its own words.
fn number_words(text: &[u8]) -> &[u8] {
    match text {
        b"NAN" => b"NaN",
        b"POSITIVE_INFINITY" => b"Infinity",
        b"NEGATIVE_INFINITY" => b"-Infinity",
        text => text,
    }
}

fn integer(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn float64(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        not_finite(value, out);
    }
}

fn float32(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a FLOAT32 cell holds what was widened from 32 bits"
        )]
        let narrow = value as f32;
        out.extend_from_slice(zmij::Buffer::new().format_finite(narrow).as_bytes());
    } else {
        not_finite(value, out);
    }
}

fn not_finite(value: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(match value {
        v if v.is_nan() => b"NaN".as_slice(),
        v if v > 0.0 => b"Infinity",
        _ => b"-Infinity",
    });
}

#[cfg(test)]
mod tests;
