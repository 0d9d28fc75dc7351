//! hstore: `"key"=>"value", "other"=>NULL` to a JSON object or a map.

use super::{
    number::malformed,
    value::{Fault, Sink},
};
use tapline_sdk::Cell;

pub(super) fn json(sink: &mut Sink<'_>, text: &[u8]) -> Result<Cell, Fault> {
    let pairs = pairs(text)?;
    sink.arena.text_with(|out| {
        out.push(b'{');
        for (at, (key, value)) in pairs.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            write_json(out, key);
            out.push(b':');
            match value {
                Some(value) => write_json(out, value),
                None => out.extend_from_slice(b"null"),
            }
        }
        out.push(b'}');
        Ok(())
    })
}

pub(super) fn map(sink: &mut Sink<'_>, text: &[u8]) -> Result<Cell, Fault> {
    let mut cells = Vec::new();
    for (key, value) in pairs(text)? {
        cells.push(sink.arena.utf8(&key)?);
        cells.push(match value {
            Some(value) => sink.arena.utf8(&value)?,
            None => Cell::Null,
        });
    }
    Ok(sink.arena.block_of(&cells).map())
}

type Pair = (Vec<u8>, Option<Vec<u8>>);

fn pairs(text: &[u8]) -> Result<Vec<Pair>, Fault> {
    let mut pairs = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if !pairs.is_empty() {
            rest = rest.strip_prefix(b", ").ok_or_else(bad)?;
        }
        let (key, after) = quoted(rest)?;
        let after = after.strip_prefix(b"=>").ok_or_else(bad)?;
        if let Some(after) = after.strip_prefix(b"NULL") {
            pairs.push((key, None));
            rest = after;
        } else {
            let (value, after) = quoted(after)?;
            pairs.push((key, Some(value)));
            rest = after;
        }
    }
    Ok(pairs)
}

fn quoted(text: &[u8]) -> Result<(Vec<u8>, &[u8]), Fault> {
    let body = text.strip_prefix(b"\"").ok_or_else(bad)?;
    let mut value = Vec::new();
    let mut bytes = body.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Ok((value, body.get(at + 1..).unwrap_or_default())),
            b'\\' => value.push(*bytes.next().ok_or_else(bad)?.1),
            byte => value.push(*byte),
        }
    }
    Err(bad())
}

fn bad() -> Fault {
    malformed("hstore")
}

/// A JSON string; bytes above ASCII stay, so UTF-8 stays UTF-8.
fn write_json(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            byte => out.push(*byte),
        }
    }
    out.push(b'"');
}
