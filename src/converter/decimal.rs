//! Connect's Decimal, an unscaled integer of big-endian bytes and a scale, as decimal digits and back.
//!
//! Exact or refused: nothing is rounded.

use tapline_sdk::{RecordError, Schema};

/// The name of the logical type.
pub(super) const NAME: &str = "org.apache.kafka.connect.data.Decimal";

/// The longest unscaled value: Postgres' longest numeric has 147,455 digits, which are 61,233 bytes. Longer ones would
/// take time that grows with the square of their length.
const BYTES_MAX: usize = 64 << 10;

/// The digits of [`BYTES_MAX`] bytes.
const DIGITS_MAX: usize = 157_000;

/// Nine digits fit 32 bits.
const LIMB: u64 = 1_000_000_000;
const LIMB_DIGITS: usize = 9;

/// The scale of a Decimal's schema; `None` if this is no Decimal.
///
/// # Errors
/// It has no scale.
pub(super) fn scale_of(schema: &Schema) -> Option<Result<i32, String>> {
    schema.is_named(NAME).then(|| {
        let scale = schema
            .parameter("scale")
            .and_then(|scale| scale.trim().parse().ok());
        scale.ok_or_else(|| "a Decimal without a scale".to_owned())
    })
}

/// Appends `BigDecimal.toString`.
///
/// # Errors
/// The value is too long.
pub(super) fn to_text(unscaled: &[u8], scale: i32, out: &mut Vec<u8>) -> Result<(), RecordError> {
    if unscaled.len() > BYTES_MAX {
        return Err(RecordError::new(format!(
            "a decimal of more than {BYTES_MAX} bytes"
        )));
    }
    let negative = unscaled.first().is_some_and(|byte| byte & 0x80 != 0);
    let digits = digits(magnitude(unscaled, negative));
    if negative {
        out.push(b'-');
    }
    let len = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let (scale, adjusted) = (i64::from(scale), len - 1 - i64::from(scale));
    if scale == 0 {
        out.extend_from_slice(&digits);
    } else if scale > 0 && adjusted >= -6 {
        let zeros = usize::try_from(scale - len + 1).unwrap_or_default();
        let padded = [vec![b'0'; zeros], digits].concat();
        let point = padded
            .len()
            .saturating_sub(usize::try_from(scale).unwrap_or_default());
        let (whole, part) = padded.split_at(point);
        out.extend_from_slice(whole);
        out.push(b'.');
        out.extend_from_slice(part);
    } else {
        let (first, rest) = digits.split_at(1.min(digits.len()));
        out.extend_from_slice(first);
        if !rest.is_empty() {
            out.push(b'.');
            out.extend_from_slice(rest);
        }
        if adjusted != 0 {
            out.extend_from_slice(if adjusted > 0 { b"E+" } else { b"E" });
            out.extend_from_slice(itoa::Buffer::new().format(adjusted).as_bytes());
        }
    }
    Ok(())
}

/// The absolute value as 32-bit limbs, the lowest first.
fn magnitude(bytes: &[u8], negative: bool) -> Vec<u32> {
    let fill = if negative { 0xff } else { 0 };
    let mut limbs = Vec::with_capacity(bytes.len() / 4 + 1);
    for chunk in bytes.rchunks(4) {
        let mut word = [fill; 4];
        for (to, from) in word.iter_mut().rev().zip(chunk.iter().rev()) {
            *to = *from;
        }
        limbs.push(u32::from_be_bytes(word));
    }
    if negative {
        negate(&mut limbs);
    }
    limbs
}

/// Two's complement.
fn negate(limbs: &mut [u32]) {
    let mut carry = true;
    for limb in limbs {
        (*limb, carry) = (!*limb).overflowing_add(carry.into());
    }
}

/// Decimal digits without zeros at the front, but for zero itself.
fn digits(mut limbs: Vec<u32>) -> Vec<u8> {
    let mut groups: Vec<u32> = Vec::new();
    loop {
        while limbs.last() == Some(&0) {
            limbs.pop();
        }
        if limbs.is_empty() {
            break;
        }
        let mut rest = 0;
        for limb in limbs.iter_mut().rev() {
            let value = rest << 32 | u64::from(*limb);
            *limb = u32::try_from(value / LIMB).unwrap_or_default();
            rest = value % LIMB;
        }
        groups.push(u32::try_from(rest).unwrap_or_default());
    }
    let mut text = groups.pop().unwrap_or_default().to_string();
    for group in groups.into_iter().rev() {
        text.push_str(&format!("{group:0LIMB_DIGITS$}"));
    }
    text.into_bytes()
}

/// The unscaled bytes of a JSON number under this scale, as short as they can be.
///
/// # Errors
/// It is no number, is too long, or has digits that the scale cannot hold.
pub(super) fn from_text(text: &str, scale: i32) -> Result<Vec<u8>, &'static str> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = [whole.as_bytes(), part.as_bytes()].concat();
    if whole.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err("not a number");
    }
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    digits.drain(..zeros);
    if digits.is_empty() {
        return Ok(vec![0]);
    }
    let exponent: i64 = exponent.parse().map_err(|_| "a decimal that is too long")?;
    let part = i64::try_from(part.len()).unwrap_or(i64::MAX);
    let shift = exponent.saturating_sub(part).saturating_add(scale.into());
    let longer = usize::try_from(shift).unwrap_or_default();
    if digits.len().saturating_add(longer) > DIGITS_MAX {
        return Err("a decimal that is too long");
    }
    digits.extend(std::iter::repeat_n(b'0', longer));
    for _ in shift..0 {
        match digits.pop() {
            Some(b'0') => {}
            _ => return Err("a decimal with more digits behind the point than its scale"),
        }
    }
    Ok(bytes(&digits, negative))
}

/// Digits as two's complement.
fn bytes(digits: &[u8], negative: bool) -> Vec<u8> {
    let mut limbs: Vec<u32> = Vec::new();
    let first = digits.len() % LIMB_DIGITS;
    let (head, tail) = digits.split_at(first);
    for group in [head].into_iter().chain(tail.chunks(LIMB_DIGITS)) {
        let mut carry = group
            .iter()
            .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        for limb in &mut limbs {
            let value = u64::from(*limb) * LIMB + carry;
            // The lower half stays, the upper one is carried.
            *limb = u32::try_from(value & 0xffff_ffff).unwrap_or_default();
            carry = value >> 32;
        }
        if carry > 0 {
            limbs.push(u32::try_from(carry).unwrap_or_default());
        }
    }
    // Room for the sign.
    limbs.push(0);
    if negative {
        negate(&mut limbs);
    }
    let long: Vec<u8> = limbs
        .iter()
        .rev()
        .flat_map(|limb| limb.to_be_bytes())
        .collect();
    let fill = if negative { 0xff } else { 0 };
    let spare = long
        .windows(2)
        .take_while(|pair| matches!(pair, [a, b] if *a == fill && (a ^ b) & 0x80 == 0))
        .count();
    long.get(spare..).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_scale_cannot_hold_is_refused() {
        assert_eq!(from_text("1.5", 2), Ok(vec![0, 150]));
        assert_eq!(from_text("-1.5e1", 0), Ok(vec![0xf1]));
        assert_eq!(from_text("1E3", -3), Ok(vec![1]));
        assert_eq!(from_text("0e999999999999", 0), Ok(vec![0]));
        assert!(from_text("1.555", 2).is_err());
        for hostile in [
            "1e999999999",
            "1e-999999999",
            "1e99999999999999999999",
            "",
            "-",
            "1x",
            ".5",
            "+1",
        ] {
            assert!(from_text(hostile, 0).is_err(), "{hostile}");
        }
        assert!(to_text(&vec![1; BYTES_MAX + 1], 0, &mut Vec::new()).is_err());
    }

    proptest::proptest! {
        #[test]
        fn bytes_come_back_from_their_digits(value: i128, scale in -50..50) {
            let long = value.to_be_bytes();
            let mut text = Vec::new();
            to_text(&long, scale, &mut text).unwrap();
            let text = String::from_utf8(text).unwrap();
            let back = from_text(&text, scale).unwrap();
            let mut again = Vec::new();
            to_text(&back, scale, &mut again).unwrap();
            proptest::prop_assert_eq!(text.as_bytes(), &again);
            proptest::prop_assert!(long.ends_with(&back) || back.len() == 17);
            let mut plain = Vec::new();
            to_text(&long, 0, &mut plain).unwrap();
            proptest::prop_assert_eq!(String::from_utf8(plain).unwrap(), value.to_string());
        }
    }
}
