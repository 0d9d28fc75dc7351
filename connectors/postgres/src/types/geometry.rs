//! Points, and PostGIS values, in Debezium's geometry structs.

use super::{
    number::{malformed, parse_float, unhex},
    value::{Fault, Sink},
};
use tapline_sdk::Cell;

/// EWKB's flag for a spatial reference id.
const HAS_SRID: u32 = 0x2000_0000;

/// `(x,y)`: struct {x, y, wkb, srid}.
pub(super) fn point(sink: &mut Sink<'_>, text: &[u8]) -> Result<Cell, Fault> {
    let inner = text
        .strip_prefix(b"(")
        .and_then(|text| text.strip_suffix(b")"));
    let (x, y) = inner
        .and_then(|inner| {
            let comma = memchr::memchr(b',', inner)?;
            Some((inner.get(..comma)?, inner.get(comma + 1..)?))
        })
        .ok_or_else(|| malformed("point"))?;
    let (x, y): (f64, f64) = (parse_float(x)?, parse_float(y)?);
    let mut wkb = [0_u8; 21];
    // Well-known binary: little-endian (1), type point (1), x, y.
    wkb[0] = 1;
    wkb[1] = 1;
    wkb[5..13].copy_from_slice(&x.to_le_bytes());
    wkb[13..21].copy_from_slice(&y.to_le_bytes());
    let wkb = sink.arena.bytes(&wkb);
    let cells = [Cell::Float(x), Cell::Float(y), wkb, Cell::Null];
    Ok(sink.arena.block_of(&cells).structure())
}

/// Hexadecimal EWKB: struct {wkb, srid}.
pub(super) fn ewkb(sink: &mut Sink<'_>, text: &[u8]) -> Result<Cell, Fault> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    unhex(&mut bytes, text)?;
    let srid = match srid(&bytes) {
        Some(srid) => Cell::Int(i64::from(srid)),
        None => Cell::Null,
    };
    let wkb = sink.arena.bytes(&bytes);
    Ok(sink.arena.block_of(&[wkb, srid]).structure())
}

fn srid(ewkb: &[u8]) -> Option<i32> {
    let (order, rest) = ewkb.split_first()?;
    let (kind, rest) = rest.split_first_chunk::<4>()?;
    let srid = rest.first_chunk::<4>()?;
    let (kind, srid) = match order {
        1 => (u32::from_le_bytes(*kind), i32::from_le_bytes(*srid)),
        _ => (u32::from_be_bytes(*kind), i32::from_be_bytes(*srid)),
    };
    (kind & HAS_SRID != 0).then_some(srid)
}
