//! JSON without a schema: what its values become, and how such values are written.
//!
//! A whole number is INT64, any other FLOAT64; an object is a map with text keys.

use super::write::{base64, double, escaped, int};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;
use tapline_sdk::{Arena, Cell, RecordError};

/// Appends a value. A map whose keys are all texts is an object, another a list of pairs.
///
/// # Errors
/// An unavailable value: nothing could say where it stands.
pub(super) fn write(arena: &Arena, cell: Cell, out: &mut Vec<u8>) -> Result<(), Box<RecordError>> {
    let children = arena.children(cell);
    match cell {
        Cell::Null => out.extend_from_slice(b"null"),
        Cell::Unavailable => {
            let error = RecordError::new("an unavailable value in data without a schema");
            return Err(Box::new(error));
        }
        Cell::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        Cell::Int(value) => int(value, out),
        Cell::Float(value) => double(value, out),
        Cell::Text(_) => quoted(arena, cell, out),
        Cell::Bytes(_) => base64(arena.raw(cell), out),
        Cell::Array(_) | Cell::Struct(_) => list(arena, children, out)?,
        Cell::Map(_) => {
            let is_text = |key: &Cell| matches!(key, Cell::Text(_));
            let textual = children.iter().step_by(2).all(is_text);
            out.push(if textual { b'{' } else { b'[' });
            for (at, pair) in children.chunks_exact(2).enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                match pair {
                    [key, value] if textual => {
                        quoted(arena, *key, out);
                        out.push(b':');
                        write(arena, *value, out)?;
                    }
                    pair => list(arena, pair, out)?,
                }
            }
            out.push(if textual { b'}' } else { b']' });
        }
    }
    Ok(())
}

fn list(arena: &Arena, items: &[Cell], out: &mut Vec<u8>) -> Result<(), Box<RecordError>> {
    out.push(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(arena, *item, out)?;
    }
    out.push(b']');
    Ok(())
}

fn quoted(arena: &Arena, cell: Cell, out: &mut Vec<u8>) {
    out.push(b'"');
    escaped(arena.raw(cell), out);
    out.push(b'"');
}

/// Reads any value into an arena.
pub(super) struct Free<'a>(pub(super) &'a mut Arena);

impl<'de> DeserializeSeed<'de> for Free<'_> {
    type Value = Cell;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cell, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Free<'_> {
    type Value = Cell;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Cell, E> {
        Ok(Cell::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Cell, E> {
        Ok(Cell::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Cell, E> {
        Ok(Cell::Int(value))
    }

    /// The original lets such a number overflow; here nothing is changed in silence.
    fn visit_u64<E: Error>(self, value: u64) -> Result<Cell, E> {
        let value = i64::try_from(value);
        value
            .map(Cell::Int)
            .map_err(|_| E::custom("a whole number that does not fit 64 bits"))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Cell, E> {
        Ok(Cell::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Cell, E> {
        Ok(self.0.text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Cell, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(Free(&mut *self.0))? {
            items.push(item);
        }
        Ok(self.0.block_of(&items).array())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cell, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key_seed(Free(&mut *self.0))? {
            let value = map.next_value_seed(Free(&mut *self.0))?;
            entries.push([key, value]);
        }
        last_wins(self.0, &mut entries);
        Ok(self.0.block_of(entries.as_flattened()).map())
    }
}

/// Of entries with one key the first place holds the last value, as in the original's objects.
fn last_wins(arena: &Arena, entries: &mut Vec<[Cell; 2]>) {
    let mut order: Vec<(&[u8], usize)> = Vec::with_capacity(entries.len());
    order.extend(entries.iter().map(|[key, _]| arena.raw(*key)).zip(0..));
    order.sort_unstable();
    if order
        .windows(2)
        .all(|pair| matches!(pair, [a, b] if a.0 != b.0))
    {
        return;
    }
    let mut kept = Vec::with_capacity(entries.len());
    for run in order.chunk_by(|a, b| a.0 == b.0) {
        let (Some((_, first)), Some((_, last))) = (run.first(), run.last()) else {
            continue;
        };
        if let Some(entry) = entries.get(*last) {
            kept.push((*first, *entry));
        }
    }
    kept.sort_unstable_by_key(|(at, _)| *at);
    *entries = kept.into_iter().map(|(_, entry)| entry).collect();
}
