//! Integers, floats, booleans, bytes and UUIDs.

use super::value::{Fault, Raw, Sink};
use crate::options::BinaryMode;
use tapline_sdk::{Cell, RecordError};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// An integer of this many bytes.
#[inline]
pub(super) fn int<const WIDTH: usize>(raw: Raw<'_>) -> Result<i64, Fault> {
    match raw {
        Raw::Text(text) => parse_int(text),
        Raw::Binary(bytes) => {
            let value: [u8; WIDTH] = bytes.try_into().map_err(|_| wrong_length())?;
            let sign = if value.first().is_some_and(|byte| *byte >= 0x80) {
                -1
            } else {
                0
            };
            Ok(value
                .iter()
                .fold(sign, |number, byte| (number << 8) | i64::from(*byte)))
        }
    }
}

#[inline]
pub(super) fn oid(raw: Raw<'_>) -> Result<i64, Fault> {
    match raw {
        Raw::Text(text) => parse_int(text),
        Raw::Binary(bytes) => {
            let value = bytes.try_into().map_err(|_| wrong_length())?;
            Ok(i64::from(u32::from_be_bytes(value)))
        }
    }
}

/// Digits with an optional minus; an error past 64 bits.
#[inline]
pub(super) fn parse_int(text: &[u8]) -> Result<i64, Fault> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    // 18 digits cannot overflow, and are all but a few of the values there are.
    if digits.is_empty() || digits.len() > 18 {
        return parse_long(text);
    }
    let mut number = 0_i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err(malformed("integer"));
        }
        number = number * 10 + i64::from(digit);
    }
    Ok(if negative { -number } else { number })
}

#[cold]
fn parse_long(text: &[u8]) -> Result<i64, Fault> {
    let number = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| malformed("integer"))
}

#[inline]
pub(super) fn bool(raw: Raw<'_>) -> Result<bool, Fault> {
    match raw {
        Raw::Text(b"t") | Raw::Binary([1]) => Ok(true),
        Raw::Text(b"f") | Raw::Binary([0]) => Ok(false),
        _ => Err(malformed("boolean")),
    }
}

#[inline]
pub(super) fn float4(raw: Raw<'_>) -> Result<f64, Fault> {
    match raw {
        Raw::Text(text) => parse_float::<f32>(text).map(f64::from),
        Raw::Binary(bytes) => {
            let value = bytes.try_into().map_err(|_| wrong_length())?;
            Ok(f64::from(f32::from_be_bytes(value)))
        }
    }
}

#[inline]
pub(super) fn float8(raw: Raw<'_>) -> Result<f64, Fault> {
    match raw {
        Raw::Text(text) => parse_float(text),
        Raw::Binary(bytes) => {
            let value = bytes.try_into().map_err(|_| wrong_length())?;
            Ok(f64::from_be_bytes(value))
        }
    }
}

/// A number as Postgres prints it; `NaN` and `Infinity` included.
pub(super) fn parse_float<F: std::str::FromStr>(text: &[u8]) -> Result<F, Fault> {
    let number = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| malformed("floating-point number"))
}

pub(super) fn uuid(sink: &mut Sink<'_>, raw: Raw<'_>) -> Result<Cell, Fault> {
    let bytes = match raw {
        Raw::Text(text) => return Ok(sink.arena.utf8(text)?),
        Raw::Binary(bytes) if bytes.len() == 16 => bytes,
        Raw::Binary(_) => return Err(wrong_length()),
    };
    sink.arena.text_with(|out| {
        for (at, byte) in bytes.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                out.push(b'-');
            }
            push_hex(out, *byte);
        }
        Ok(())
    })
}

fn push_hex(out: &mut Vec<u8>, byte: u8) {
    out.push(HEX[usize::from(byte >> 4)]);
    out.push(HEX[usize::from(byte & 15)]);
}

/// A bytea: `\x` and hexadecimal digits in text form.
pub(super) fn bytea(sink: &mut Sink<'_>, raw: Raw<'_>, mode: BinaryMode) -> Result<Cell, Fault> {
    let digits = match raw {
        Raw::Binary(bytes) => return bytes_as(sink, bytes, mode),
        Raw::Text([b'\\', b'x', digits @ ..]) => digits,
        Raw::Text(_) => return Err(malformed("bytea")),
    };
    match mode {
        BinaryMode::Bytes => sink.arena.bytes_with(|out| unhex(out, digits)),
        // The digits are the mapping.
        BinaryMode::Hex => Ok(sink.arena.utf8(digits)?),
        BinaryMode::Base64 | BinaryMode::Base64UrlSafe => {
            let mut bytes = std::mem::take(sink.scratch);
            bytes.clear();
            let cell = unhex(&mut bytes, digits).and_then(|()| bytes_as(sink, &bytes, mode));
            *sink.scratch = bytes;
            cell
        }
    }
}

/// Bytes in the form that `binary.handling.mode` asks for.
pub(super) fn bytes_as(sink: &mut Sink<'_>, bytes: &[u8], mode: BinaryMode) -> Result<Cell, Fault> {
    match mode {
        BinaryMode::Bytes => Ok(sink.arena.bytes(bytes)),
        BinaryMode::Hex => sink.arena.text_with(|out| {
            bytes.iter().for_each(|byte| push_hex(out, *byte));
            Ok(())
        }),
        BinaryMode::Base64 => base64(sink, bytes, b'+', b'/'),
        BinaryMode::Base64UrlSafe => base64(sink, bytes, b'-', b'_'),
    }
}

/// RFC 4648 with padding.
fn base64(sink: &mut Sink<'_>, bytes: &[u8], b62: u8, b63: u8) -> Result<Cell, Fault> {
    let digit = |sextet: u32| match (sextet & 63) as u8 {
        small @ 0..=25 => b'A' + small,
        small @ 26..=51 => b'a' + small - 26,
        small @ 52..=61 => b'0' + small - 52,
        62 => b62,
        _ => b63,
    };
    sink.arena.text_with(|out| {
        out.reserve(bytes.len().div_ceil(3) * 4);
        for chunk in bytes.chunks(3) {
            let byte = |at: usize| chunk.get(at).copied().map_or(0, u32::from);
            let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
            out.push(digit(bits >> 18));
            out.push(digit(bits >> 12));
            out.push(if chunk.len() > 1 {
                digit(bits >> 6)
            } else {
                b'='
            });
            out.push(if chunk.len() > 2 { digit(bits) } else { b'=' });
        }
        Ok(())
    })
}

/// Appends what hexadecimal digits mean.
pub(super) fn unhex(out: &mut Vec<u8>, digits: &[u8]) -> Result<(), Fault> {
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(malformed("hexadecimal text"));
    }
    out.reserve(pairs.len());
    for [high, low] in pairs {
        match (nibble(*high), nibble(*low)) {
            (high @ 0..=15, low @ 0..=15) => out.push((high << 4) | low),
            _ => return Err(malformed("hexadecimal text")),
        }
    }
    Ok(())
}

#[inline]
fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0xff,
    }
}

/// Numbers with blanks between: `int2vector` and `oidvector`.
pub(super) fn spaced(sink: &mut Sink<'_>, text: &[u8]) -> Result<Cell, Fault> {
    let words = text.split(|byte| *byte == b' ');
    let numbers = words.filter(|word| !word.is_empty()).map(parse_int);
    let cells = numbers
        .map(|number| number.map(Cell::Int))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(sink.arena.block_of(&cells).array())
}

#[cold]
pub(super) fn malformed(what: &str) -> Fault {
    RecordError::new(format!("{what} is not in Postgres' text form")).into()
}

#[cold]
pub(super) fn wrong_length() -> Fault {
    RecordError::new("binary value has a wrong length").into()
}
