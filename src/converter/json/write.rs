//! The pieces of JSON as Jackson writes them, straight into a buffer.

use super::super::java;
use base64::{Engine, engine::general_purpose::STANDARD};

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Appends a text in quotes. Runs without a character to escape are copied whole.
///
/// Jackson escapes what JSON demands, and characters beyond 16 bits as two halves.
pub fn text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escaped(text.as_bytes(), out);
    out.push(b'"');
}

/// Appends UTF-8, escaped, without quotes.
pub(super) fn escaped(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    loop {
        let (clean, dirty) = rest.split_at(clean_len(rest));
        out.extend_from_slice(clean);
        let Some((byte, behind)) = dirty.split_first() else {
            return;
        };
        rest = behind;
        if *byte >= 0xf0 {
            let (tail, behind) = behind.split_at(behind.len().min(3));
            rest = behind;
            surrogates(*byte, tail, out);
        } else {
            escape(*byte, out);
        }
    }
}

/// How many bytes at the front stay as they are: looked at eight at a time, because most texts have nothing to escape.
#[inline]
fn clean_len(text: &[u8]) -> usize {
    let (words, _) = text.as_chunks::<8>();
    let clean = words
        .iter()
        .take_while(|word| !may_need_escape(u64::from_le_bytes(**word)));
    let start = clean.count() * 8;
    let rest = text.get(start..).unwrap_or_default();
    let dirty = rest
        .iter()
        .position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\' | 0xf0..));
    dirty.map_or(text.len(), |at| start + at)
}

/// Whether one of eight bytes is below a space, a quote, a backslash, or begins four bytes of UTF-8. A carry between
/// bytes may say yes once too often, never once too seldom.
#[inline]
fn may_need_escape(word: u64) -> bool {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = zero(word ^ (ONES * 0x22));
    let backslash = zero(word ^ (ONES * 0x5c));
    let long = word & (word << 1) & (word << 2) & (word << 3);
    (control | quote | backslash | long) & HIGH != 0
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        8 => b'b',
        12 => b'f',
        other => return unicode(other.into(), out),
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Four bytes of UTF-8 as two escapes of UTF-16.
fn surrogates(lead: u8, tail: &[u8], out: &mut Vec<u8>) {
    let start = u32::from(lead & 7);
    let code = tail
        .iter()
        .fold(start, |code, byte| code << 6 | u32::from(byte & 0x3f));
    if let Some(char) = char::from_u32(code) {
        for half in char.encode_utf16(&mut [0; 2]) {
            unicode(*half, out);
        }
    }
}

fn unicode(code: u16, out: &mut Vec<u8>) {
    let digit = |shift: u32| {
        let nibble = usize::from(code >> shift & 15);
        HEX.get(nibble).copied().unwrap_or(b'0')
    };
    out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
}

/// Appends bytes as base64 in quotes.
pub(super) fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, b'=');
    if let Some(room) = out.get_mut(start..) {
        let written = STANDARD.encode_slice(bytes, room);
        debug_assert!(written.is_ok(), "base64 takes four bytes for three");
    }
    out.push(b'"');
}

/// Appends an integer.
#[inline]
pub(super) fn int(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends FLOAT64; what JSON lacks is a text.
pub(super) fn double(value: f64, out: &mut Vec<u8>) {
    quoted_unless(value.is_finite(), |out| java::double(value, out), out);
}

/// Appends FLOAT32.
pub(super) fn float(value: f32, out: &mut Vec<u8>) {
    quoted_unless(value.is_finite(), |out| java::float(value, out), out);
}

fn quoted_unless(finite: bool, write: impl Fn(&mut Vec<u8>), out: &mut Vec<u8>) {
    let quote = if finite { None } else { Some(b'"') };
    out.extend(quote);
    write(out);
    out.extend(quote);
}
