//! Literals of types that hold others: arrays, hstore, vectors, points, bit strings.

use super::{Codec, float64, integer, mismatch, text};
use tapline_sdk::{Arena, Cell, RecordError, Value};

/// `{a,"b c",NULL}`.
pub fn array(
    item: &Codec,
    arena: &Arena,
    children: &[Cell],
    out: &mut Vec<u8>,
) -> Result<(), RecordError> {
    out.push(b'{');
    for (at, child) in children.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        match child {
            Cell::Null => out.extend_from_slice(b"NULL"),
            Cell::Unavailable => return Err(mismatch(Value::Unavailable)),
            _ if matches!(item, Codec::Array(_)) => item.write(arena, *child, out)?,
            _ => {
                let start = out.len();
                item.write(arena, *child, out)?;
                quote_from(start, out);
            }
        }
    }
    out.push(b'}');
    Ok(())
}

/// Puts what was written from `start` on between quotes; an array reads any quoted text as it is.
fn quote_from(start: usize, out: &mut Vec<u8>) {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let written = out.get(start..).unwrap_or_default();
    if !written.is_empty() && written.iter().all(plain) && !written.eq_ignore_ascii_case(b"null") {
        return;
    }
    let item = out.split_off(start);
    quoted(&item, out);
}

fn quoted(item: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in item {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// `[1,2,3]`.
pub fn vector(
    item: &Codec,
    arena: &Arena,
    children: &[Cell],
    out: &mut Vec<u8>,
) -> Result<(), RecordError> {
    out.push(b'[');
    for (at, child) in children.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        item.write(arena, *child, out)?;
    }
    out.push(b']');
    Ok(())
}

/// `{1:0.5,7:2}/9`: a struct of dimensions and a map from place to value.
pub fn sparse(value: Value<'_>, out: &mut Vec<u8>) -> Result<(), RecordError> {
    let Value::Struct(fields) = value else {
        return Err(mismatch(value));
    };
    let (Value::Int(dimensions), Value::Map(entries)) = (fields.get(0), fields.get(1)) else {
        return Err(RecordError::new(
            "sparse vector has no dimensions or no entries",
        ));
    };
    out.push(b'{');
    for at in (0..entries.len()).step_by(2) {
        let (Value::Int(place), Value::Float(entry)) = (entries.get(at), entries.get(at + 1))
        else {
            return Err(RecordError::new(
                "sparse vector has an entry that is no number",
            ));
        };
        if at > 0 {
            out.push(b',');
        }
        integer(place, out);
        out.push(b':');
        float64(entry, out);
    }
    out.extend_from_slice(b"}/");
    integer(dimensions, out);
    Ok(())
}

/// `"k"=>"v", "n"=>NULL`.
pub fn hstore(value: Value<'_>, out: &mut Vec<u8>) -> Result<(), RecordError> {
    let Value::Map(entries) = value else {
        return Err(mismatch(value));
    };
    let checked = |item: &str, out: &mut Vec<u8>| {
        let mut plain = Vec::with_capacity(item.len());
        text(item.as_bytes(), &mut plain)?;
        quoted(&plain, out);
        Ok::<(), RecordError>(())
    };
    for at in (0..entries.len()).step_by(2) {
        if at > 0 {
            out.extend_from_slice(b", ");
        }
        let Value::Text(key) = entries.get(at) else {
            return Err(mismatch(entries.get(at)));
        };
        checked(key, out)?;
        out.extend_from_slice(b"=>");
        match entries.get(at + 1) {
            Value::Null => out.extend_from_slice(b"NULL"),
            Value::Text(entry) => checked(entry, out)?,
            other => return Err(mismatch(other)),
        }
    }
    Ok(())
}

/// `(x,y)`.
pub fn point(x: f64, y: f64, out: &mut Vec<u8>) {
    out.push(b'(');
    float64(x, out);
    out.push(b',');
    float64(y, out);
    out.push(b')');
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            out.extend(DIGITS.get(usize::from(nibble)));
        }
    }
}

/// Little-endian bytes as a bit string, highest bit first.
pub fn bits(bytes: &[u8], length: Option<usize>, out: &mut Vec<u8>) -> Result<(), RecordError> {
    let set = |at: usize| {
        bytes
            .get(at / 8)
            .is_some_and(|byte| byte >> (at % 8) & 1 == 1)
    };
    let needed = (0..bytes.len() * 8)
        .rev()
        .find(|&at| set(at))
        .map_or(0, |at| at + 1);
    let length = length.unwrap_or_else(|| needed.max(1));
    if needed > length {
        return Err(RecordError::new("bit string is longer than its column"));
    }
    out.extend(
        (0..length)
            .rev()
            .map(|at| if set(at) { b'1' } else { b'0' }),
    );
    Ok(())
}
