//! numeric and money: exact text, Connect's `Decimal`, or a double.
//!
//! ```text
//! numeric, binary: ndigits i16, weight i16, sign u16, dscale u16, ndigits × u16 in base 10000
//!                  value = Σ digit[i] × 10000^(weight - i); sign 0, 0x4000 minus, 0xC000 NaN, 0xD000 +∞, 0xF000 -∞
//! ```

use super::{
    number::{malformed, parse_float, wrong_length},
    value::{Fault, Raw, Sink},
};
use tapline_sdk::{Cell, RecordError};

/// What becomes of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumericForm {
    /// As the server prints it.
    Exact,
    /// As the server prints it; `NAN`, `POSITIVE_INFINITY`, `NEGATIVE_INFINITY`.
    Named,
    /// Connect's `Decimal` of this scale.
    Decimal(u16),
    /// Debezium's `VariableScaleDecimal`.
    VariableScale,
    /// FLOAT64.
    Double,
}

pub(super) fn numeric(
    sink: &mut Sink<'_>,
    raw: Raw<'_>,
    form: &NumericForm,
) -> Result<Cell, Fault> {
    match (raw, form) {
        (Raw::Text(text), _) => from_text(sink, text, *form),
        (Raw::Binary(bytes), NumericForm::Exact) => {
            sink.arena.text_with(|out| write_text(out, bytes))
        }
        (Raw::Binary(bytes), _) => with_scratch(sink, |sink, text| {
            write_text(text, bytes)?;
            from_text(sink, text, *form)
        }),
    }
}

/// Money: in text form with the locale's signs and separators, in binary form cast to numeric by the select list.
pub(super) fn money(
    sink: &mut Sink<'_>,
    raw: Raw<'_>,
    scale: u8,
    form: &NumericForm,
) -> Result<Cell, Fault> {
    match raw {
        Raw::Binary(_) => numeric(sink, raw, form),
        Raw::Text(text) => with_scratch(sink, |sink, plain| {
            write_money(plain, text, scale)?;
            from_text(sink, plain, *form)
        }),
    }
}

/// Money without its locale: only digits count, and a minus or parentheses make it negative.
fn write_money(out: &mut Vec<u8>, text: &[u8], scale: u8) -> Result<(), Fault> {
    // U+2212 is the minus of some locales.
    let minus = memchr::memmem::find(text, "\u{2212}".as_bytes()).is_some();
    if minus || memchr::memchr2(b'-', b'(', text).is_some() {
        out.push(b'-');
    }
    let start = out.len();
    out.extend(text.iter().filter(|byte| byte.is_ascii_digit()));
    let (digits, scale) = (out.len() - start, usize::from(scale));
    if digits == 0 {
        return Err(malformed("money"));
    }
    if digits <= scale {
        out.splice(start..start, std::iter::repeat_n(b'0', scale + 1 - digits));
    }
    if scale > 0 {
        out.insert(out.len() - scale, b'.');
    }
    // The locale may print grouping zeros in front: none is known to, and a number must not begin with them.
    while out.len() > start + 1
        && out.get(start) == Some(&b'0')
        && out.get(start + 1) != Some(&b'.')
    {
        out.remove(start);
    }
    Ok(())
}

fn with_scratch(
    sink: &mut Sink<'_>,
    read: impl FnOnce(&mut Sink<'_>, &mut Vec<u8>) -> Result<Cell, Fault>,
) -> Result<Cell, Fault> {
    let mut scratch = std::mem::take(sink.scratch);
    scratch.clear();
    let cell = read(sink, &mut scratch);
    *sink.scratch = scratch;
    cell
}

fn from_text(sink: &mut Sink<'_>, text: &[u8], form: NumericForm) -> Result<Cell, Fault> {
    match form {
        NumericForm::Exact => Ok(sink.arena.utf8(text)?),
        NumericForm::Double => parse_float(text).map(Cell::Float),
        NumericForm::Named => Ok(match text {
            b"NaN" => sink.arena.text("NAN"),
            b"Infinity" => sink.arena.text("POSITIVE_INFINITY"),
            b"-Infinity" => sink.arena.text("NEGATIVE_INFINITY"),
            _ => sink.arena.utf8(text)?,
        }),
        NumericForm::Decimal(scale) => {
            let parts = Parts::of(text)?;
            let unscaled = parts.unscaled(usize::from(scale))?;
            Ok(sink.arena.bytes(&unscaled))
        }
        NumericForm::VariableScale => {
            let mut parts = Parts::of(text)?;
            while let [rest @ .., b'0'] = parts.fraction {
                parts.fraction = rest;
            }
            let unscaled = parts.unscaled(parts.fraction.len())?;
            let scale = i64::try_from(parts.fraction.len()).unwrap_or(i64::MAX);
            let value = sink.arena.bytes(&unscaled);
            Ok(sink.arena.block_of(&[Cell::Int(scale), value]).structure())
        }
    }
}

/// A finite number's digits.
struct Parts<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(text: &'a [u8]) -> Result<Self, Fault> {
        if matches!(text, b"NaN" | b"Infinity" | b"-Infinity") {
            return Err(Fault::Unrepresentable(
                "a decimal cannot hold NaN or infinity: set decimal.handling.mode to string or double",
            ));
        }
        let (negative, digits) = match text.strip_prefix(b"-") {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, fraction) = match memchr::memchr(b'.', digits) {
            Some(at) => (digits.get(..at), digits.get(at + 1..)),
            None => (Some(digits), Some(&[][..])),
        };
        let (whole, fraction) = (whole.unwrap_or_default(), fraction.unwrap_or_default());
        let all_digits = whole.iter().chain(fraction).all(u8::is_ascii_digit);
        if whole.is_empty() || !all_digits {
            return Err(malformed("numeric"));
        }
        Ok(Self {
            negative,
            whole,
            fraction,
        })
    }

    /// The number × 10^scale as big-endian two's complement, as short as it goes.
    fn unscaled(&self, scale: usize) -> Result<Vec<u8>, Fault> {
        let kept = self.fraction.len().min(scale);
        let (kept, cut) = self.fraction.split_at(kept);
        if cut.iter().any(|digit| *digit != b'0') {
            return Err(Fault::Unrepresentable(
                "number has more decimals than its column",
            ));
        }
        let zeros = std::iter::repeat_n(&b'0', scale - kept.len());
        let digits = self.whole.iter().chain(kept).chain(zeros);
        let mut limbs: Vec<u64> = Vec::with_capacity(4);
        let (mut chunk, mut unit) = (0_u64, 1_u64);
        for digit in digits {
            chunk = chunk * 10 + u64::from(digit - b'0');
            unit *= 10;
            if unit == CHUNK {
                multiply_add(&mut limbs, unit, chunk);
                (chunk, unit) = (0, 1);
            }
        }
        multiply_add(&mut limbs, unit, chunk);
        Ok(twos_complement(&limbs, self.negative))
    }
}

/// 18 digits and their product with a limb fit 128 bits.
const CHUNK: u64 = 1_000_000_000_000_000_000;

/// limbs × factor + term, least significant limb first.
fn multiply_add(limbs: &mut Vec<u64>, factor: u64, term: u64) {
    let mut carry = u128::from(term);
    for limb in limbs.iter_mut() {
        let product = u128::from(*limb) * u128::from(factor) + carry;
        *limb = product as u64;
        carry = product >> 64;
    }
    if carry > 0 {
        limbs.push(carry as u64);
    }
}

fn twos_complement(limbs: &[u64], negative: bool) -> Vec<u8> {
    let mut bytes = vec![0_u8];
    bytes.extend(limbs.iter().rev().flat_map(|limb| limb.to_be_bytes()));
    if negative {
        let mut carry = true;
        for byte in bytes.iter_mut().rev() {
            let (sum, over) = (!*byte).overflowing_add(u8::from(carry));
            *byte = sum;
            carry = over;
        }
    }
    // A leading byte that only repeats the sign of the next one is not needed.
    let redundant = bytes
        .windows(2)
        .take_while(|pair| match pair {
            [0x00, next] => *next < 0x80,
            [0xff, next] => *next >= 0x80,
            _ => false,
        })
        .count();
    bytes.drain(..redundant);
    bytes
}

/// Binary form to text, as `numeric_out` prints it.
fn write_text(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Fault> {
    let (header, digits) = bytes.split_first_chunk::<8>().ok_or_else(wrong_length)?;
    let [n1, n2, w1, w2, s1, s2, d1, d2] = *header;
    let (digits, rest) = digits.as_chunks::<2>();
    if digits.len() != usize::from(u16::from_be_bytes([n1, n2])) || !rest.is_empty() {
        return Err(wrong_length());
    }
    match u16::from_be_bytes([s1, s2]) {
        0x0000 => {}
        0x4000 => out.push(b'-'),
        0xc000 => return literal(out, b"NaN"),
        0xd000 => return literal(out, b"Infinity"),
        0xf000 => return literal(out, b"-Infinity"),
        _ => return Err(RecordError::new("numeric has an unknown sign").into()),
    }
    let weight = i32::from(i16::from_be_bytes([w1, w2]));
    let digit = |at: i32| {
        let pair = usize::try_from(at).ok().and_then(|at| digits.get(at));
        pair.map_or(0, |pair| u16::from_be_bytes(*pair))
    };
    match weight {
        ..0 => out.push(b'0'),
        0.. => out.extend_from_slice(itoa::Buffer::new().format(digit(0)).as_bytes()),
    }
    for at in 1..=weight {
        out.extend_from_slice(&four_digits(digit(at)));
    }
    let scale = usize::from(u16::from_be_bytes([d1, d2]));
    if scale > 0 {
        out.push(b'.');
        let end = out.len() + scale;
        let mut at = weight + 1;
        while out.len() < end {
            out.extend_from_slice(&four_digits(digit(at)));
            at += 1;
        }
        out.truncate(end);
    }
    Ok(())
}

fn literal(out: &mut Vec<u8>, text: &[u8]) -> Result<(), Fault> {
    out.extend_from_slice(text);
    Ok(())
}

fn four_digits(group: u16) -> [u8; 4] {
    let digit = |unit: u16| b'0' + (group / unit % 10) as u8;
    [digit(1000), digit(100), digit(10), digit(1)]
}
