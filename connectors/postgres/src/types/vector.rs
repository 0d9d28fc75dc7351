//! pgvector: `[1,2,3]` and `{1:201,9:209}/3000`.

use super::{
    number::{malformed, parse_float, parse_int},
    value::{Fault, Sink},
};
use tapline_sdk::{Cell, RecordError};

/// vector and halfvec: an array of numbers.
pub(super) fn dense(sink: &mut Sink<'_>, text: &[u8]) -> Result<Cell, Fault> {
    let inner = text
        .strip_prefix(b"[")
        .and_then(|text| text.strip_suffix(b"]"))
        .ok_or_else(|| malformed("vector"))?;
    let cells = inner
        .split(|byte| *byte == b',')
        .filter(|item| !item.is_empty())
        .map(|item| parse_float(item).map(Cell::Float))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(sink.arena.block_of(&cells).array())
}

/// sparsevec: struct {dimensions, vector}, its map from INT16 as in Debezium.
pub(super) fn sparse(sink: &mut Sink<'_>, text: &[u8]) -> Result<Cell, Fault> {
    let bad = || malformed("sparse vector");
    let slash = memchr::memrchr(b'/', text).ok_or_else(bad)?;
    let (body, dimensions) = text.split_at(slash);
    let dimensions = parse_int(dimensions.strip_prefix(b"/").ok_or_else(bad)?)?;
    let body = body
        .strip_prefix(b"{")
        .and_then(|body| body.strip_suffix(b"}"))
        .ok_or_else(bad)?;
    if i16::try_from(dimensions).is_err() {
        let reason = "sparse vector has more dimensions than 32767, which is what INT16 holds";
        return Err(RecordError::new(reason).into());
    }
    let mut cells = Vec::new();
    for entry in body.split(|byte| *byte == b',').filter(|e| !e.is_empty()) {
        let colon = memchr::memchr(b':', entry).ok_or_else(bad)?;
        let (index, value) = entry.split_at(colon);
        cells.push(Cell::Int(parse_int(index)?));
        let value = value.strip_prefix(b":").ok_or_else(bad)?;
        cells.push(Cell::Float(parse_float(value)?));
    }
    let vector = sink.arena.block_of(&cells).map();
    let cells = [Cell::Int(dimensions), vector];
    Ok(sink.arena.block_of(&cells).structure())
}
