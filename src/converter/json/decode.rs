//! JSON to cells under a schema. Reads what anybody may have written.
//!
//! The original reads leniently: a text where a number belongs is 0, a number beyond its type wraps. Here nothing is
//! changed in silence: what does not fit is refused. Reasons name the field, never the value.

use super::{JsonSettings, free::Free};
use crate::converter::decimal::{self, scale_of};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt, sync::Arc};
use tapline_sdk::{Arena, Cell, RecordError, Schema, Type};

/// Whole numbers up to here are exact in a double.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Cells that a value may make beside those that its text pays for: a struct's missing fields take no text.
const CELLS_FREE: usize = 65_536;

/// Cells per byte of text: more are an attempt to exhaust memory.
const CELLS_PER_BYTE: usize = 16;

/// What is kept while a value is read.
struct State {
    /// The innermost field that did not fit.
    blame: Option<Arc<str>>,
    /// How many cells the value may still make beyond its text.
    room: usize,
}

/// Reads a value of this schema, or of any form if there is none.
///
/// # Errors
/// It is no JSON, or does not fit the schema; names the field.
pub(super) fn value(
    text: &[u8],
    schema: Option<&Schema>,
    settings: &JsonSettings,
    arena: &mut Arena,
) -> Result<Cell, RecordError> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let mut state = State {
        blame: None,
        room: CELLS_FREE + text.len().saturating_mul(CELLS_PER_BYTE),
    };
    let cell = match schema {
        None => Free(arena).deserialize(&mut json),
        Some(schema) => Typed {
            schema,
            settings,
            arena,
            state: &mut state,
        }
        .deserialize(&mut json),
    };
    let cell = cell.and_then(|cell| json.end().map(|()| cell));
    cell.map_err(|error| {
        let error = RecordError::new(format!("not the JSON that its schema tells: {error}"));
        match &state.blame {
            Some(field) => error.in_field(field),
            None => error,
        }
    })
}

/// Reads one value.
struct Typed<'a> {
    schema: &'a Schema,
    settings: &'a JsonSettings,
    arena: &'a mut Arena,
    state: &'a mut State,
}

impl Typed<'_> {
    /// The same place for a part of the value.
    fn part<'b>(&'b mut self, schema: &'b Schema) -> Typed<'b> {
        Typed {
            schema,
            settings: self.settings,
            arena: self.arena,
            state: self.state,
        }
    }

    /// Takes from the room for cells that no text pays for.
    fn pay<E: Error>(&mut self, cells: usize) -> Result<(), E> {
        let rest = self.state.room.checked_sub(cells);
        self.state.room = rest.ok_or_else(|| E::custom("more values than its text can hold"))?;
        Ok(())
    }

    fn null<E: Error>(mut self) -> Result<Cell, E> {
        let Schema {
            default, optional, ..
        } = self.schema;
        match default {
            Some(default) if self.settings.replace_null || !optional => {
                self.pay(default.arena().size_bytes() / size_of::<Cell>())?;
                Ok(self.arena.import(default.arena(), default.cell()))
            }
            _ if *optional => Ok(Cell::Null),
            _ => Err(E::custom("null where a value is required")),
        }
    }

    fn whole<E: Error>(self, value: i64) -> Result<Cell, E> {
        let (min, max) = match &self.schema.ty {
            Type::Int8 => (i8::MIN.into(), i8::MAX.into()),
            Type::Int16 => (i16::MIN.into(), i16::MAX.into()),
            Type::Int32 => (i32::MIN.into(), i32::MAX.into()),
            Type::Int64 => (i64::MIN, i64::MAX),
            Type::Float32 | Type::Float64 => return Ok(Cell::Float(value as f64)),
            _ => return Err(self.unfit("a number")),
        };
        if (min..=max).contains(&value) {
            Ok(Cell::Int(value))
        } else {
            Err(E::custom("a number that is out of the range of its type"))
        }
    }

    fn bytes<E: Error>(self, text: &str) -> Result<Cell, E> {
        let decoded = self.arena.bytes_with(|out| STANDARD.decode_vec(text, out));
        decoded.map_err(|_| E::custom("bytes that are not base64"))
    }

    /// A Decimal is a number with all its digits, or base64 whatever the settings say.
    fn decimal<'de, D: Deserializer<'de>>(self, scale: i32, json: D) -> Result<Cell, D::Error> {
        let raw: &RawValue = serde::Deserialize::deserialize(json)?;
        match raw.get() {
            "null" => self.null(),
            text if text.starts_with('"') => {
                let text: Cow<'_, str> = serde_json::from_str(text).map_err(D::Error::custom)?;
                self.bytes(&text)
            }
            number => {
                let bytes = decimal::from_text(number, scale).map_err(D::Error::custom)?;
                Ok(self.arena.bytes(&bytes))
            }
        }
    }

    /// Says what was found, never its value.
    fn unfit<E: Error>(&self, found: &str) -> E {
        let wanted = match &self.schema.ty {
            Type::Bool => "true or false",
            Type::Int8 | Type::Int16 | Type::Int32 | Type::Int64 => "a whole number",
            Type::Float32 | Type::Float64 => "a number",
            Type::Text => "a text",
            Type::Bytes => "base64",
            Type::Map(key, _) if key.ty == Type::Text => "an object",
            Type::Array(_) | Type::Map(..) => "a list",
            Type::Struct(_) => "an object",
        };
        E::custom(format_args!("{found} where the schema has {wanted}"))
    }
}

impl<'de> DeserializeSeed<'de> for Typed<'_> {
    type Value = Cell;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Cell, D::Error> {
        match scale_of(self.schema) {
            Some(Ok(scale)) => self.decimal(scale, json),
            Some(Err(error)) => Err(D::Error::custom(error)),
            None => json.deserialize_any(self),
        }
    }
}

/// Every form is handled, because what serde says by itself repeats the value.
impl<'de> Visitor<'de> for Typed<'_> {
    type Value = Cell;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of the schema")
    }

    fn visit_unit<E: Error>(self) -> Result<Cell, E> {
        self.null()
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Cell, E> {
        match self.schema.ty {
            Type::Bool => Ok(Cell::Bool(value)),
            _ => Err(self.unfit("true or false")),
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Cell, E> {
        self.whole(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Cell, E> {
        match (i64::try_from(value), &self.schema.ty) {
            (Ok(value), _) => self.whole(value),
            (Err(_), Type::Float32 | Type::Float64) => Ok(Cell::Float(value as f64)),
            (Err(_), _) => Err(E::custom("a number that is out of the range of its type")),
        }
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Cell, E> {
        match self.schema.ty {
            Type::Float64 => Ok(Cell::Float(value)),
            // It was a single before it was written.
            Type::Float32 => Ok(Cell::Float((value as f32).into())),
            Type::Int8 | Type::Int16 | Type::Int32 | Type::Int64
                if value.fract() == 0.0 && value.abs() <= EXACT_MAX =>
            {
                self.whole(value as i64)
            }
            _ => Err(self.unfit("a number with a fraction")),
        }
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Cell, E> {
        match (&self.schema.ty, value) {
            (Type::Text, text) => Ok(self.arena.text(text)),
            (Type::Bytes, text) => self.bytes(text),
            (Type::Float32 | Type::Float64, "NaN") => Ok(Cell::Float(f64::NAN)),
            (Type::Float32 | Type::Float64, "Infinity") => Ok(Cell::Float(f64::INFINITY)),
            (Type::Float32 | Type::Float64, "-Infinity") => Ok(Cell::Float(f64::NEG_INFINITY)),
            _ => Err(self.unfit("a text")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Cell, A::Error> {
        let mut cells = Vec::new();
        match &self.schema.ty {
            Type::Array(item) => {
                while let Some(cell) = seq.next_element_seed(self.part(item))? {
                    cells.push(cell);
                }
                Ok(self.arena.block_of(&cells).array())
            }
            Type::Map(key, value) if key.ty != Type::Text => {
                let of = self.schema;
                while let Some(entry) = seq.next_element_seed(Pair {
                    of: self.part(of),
                    key,
                    value,
                })? {
                    cells.extend(entry);
                }
                Ok(self.arena.block_of(&cells).map())
            }
            _ => Err(self.unfit("a list")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, map: A) -> Result<Cell, A::Error> {
        match &self.schema.ty {
            Type::Struct(_) => self.structure(map),
            Type::Map(key, value) if key.ty == Type::Text => {
                let (mut map, mut cells) = (map, Vec::new());
                while let Some(name) = map.next_key::<Cow<'_, str>>()? {
                    cells.push(self.arena.text(&name));
                    cells.push(map.next_value_seed(self.part(value))?);
                }
                Ok(self.arena.block_of(&cells).map())
            }
            _ => Err(self.unfit("an object")),
        }
    }
}

impl Typed<'_> {
    /// Fields in any order; unknown ones are passed over, missing ones are null.
    fn structure<'de, A: MapAccess<'de>>(mut self, mut map: A) -> Result<Cell, A::Error> {
        let fields = self.schema.fields();
        self.pay(fields.len())?;
        let block = self.arena.block(fields.len());
        let mut seen = vec![false; fields.len()];
        let mut next = 0;
        while let Some(at) = map.next_key_seed(FieldName {
            schema: self.schema,
            next,
        })? {
            let Some((at, field)) = at.and_then(|at| Some((at, fields.get(at)?))) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let cell = map
                .next_value_seed(self.part(&field.schema))
                .inspect_err(|_| {
                    self.state
                        .blame
                        .get_or_insert_with(|| Arc::clone(&field.name));
                })?;
            self.arena.set(block, at, cell);
            if let Some(seen) = seen.get_mut(at) {
                *seen = true;
            }
            next = at + 1;
        }
        for (at, field) in fields.iter().enumerate() {
            if seen.get(at) == Some(&false) {
                let cell = self.part(&field.schema).null().inspect_err(|_| {
                    self.state
                        .blame
                        .get_or_insert_with(|| Arc::clone(&field.name));
                })?;
                self.arena.set(block, at, cell);
            }
        }
        Ok(block.structure())
    }
}

/// The index of the field of this name; fields mostly come in their order.
struct FieldName<'a> {
    schema: &'a Schema,
    next: usize,
}

impl<'de> DeserializeSeed<'de> for FieldName<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Option<usize>, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldName<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Option<usize>, E> {
        let expected = self.schema.fields().get(self.next);
        if expected.is_some_and(|field| &*field.name == name) {
            return Ok(Some(self.next));
        }
        Ok(self.schema.index_of(name))
    }
}

/// One entry of a map whose keys are no texts: a list of two.
struct Pair<'a> {
    of: Typed<'a>,
    key: &'a Schema,
    value: &'a Schema,
}

impl<'de> DeserializeSeed<'de> for Pair<'_> {
    type Value = [Cell; 2];

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<[Cell; 2], D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Pair<'_> {
    type Value = [Cell; 2];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of key and value")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<[Cell; 2], A::Error> {
        let key = seq.next_element_seed(self.of.part(self.key))?;
        let value = seq.next_element_seed(self.of.part(self.value))?;
        let more = seq.next_element::<IgnoredAny>()?.is_some();
        match (key, value, more) {
            (Some(key), Some(value), false) => Ok([key, value]),
            _ => Err(A::Error::custom("a map's entry that is no list of two")),
        }
    }
}
