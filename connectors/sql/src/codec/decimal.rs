//! Decimals: unscaled two's complement bytes to digits, at any length.

use tapline_sdk::RecordError;

/// Postgres keeps at most 16,383 digits after and 131,072 before the point: a larger scale is damage.
const SCALE_MAX: i32 = 140_000;

/// Such a number has at most this many bytes.
const BYTES_MAX: usize = 70_000;

/// Digits that one step of the division yields.
const STEP_DIGITS: usize = 9;
const STEP: u64 = 1_000_000_000;

/// Writes `unscaled × 10^-scale` in plain notation.
pub fn write(unscaled: &[u8], scale: i32, out: &mut Vec<u8>) -> Result<(), RecordError> {
    if scale.abs() > SCALE_MAX || unscaled.len() > BYTES_MAX {
        return Err(RecordError::new("decimal is out of range"));
    }
    let negative = unscaled.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut digits = match small(unscaled) {
        Some(value) => value.unsigned_abs().to_string(),
        None => large(unscaled, negative),
    };
    if negative {
        out.push(b'-');
    }
    let places = usize::try_from(scale).unwrap_or(0);
    if scale < 0 && digits != "0" {
        let zeros = usize::try_from(scale.unsigned_abs()).unwrap_or(0);
        digits.extend(std::iter::repeat_n('0', zeros));
    }
    if digits.len() <= places {
        digits.insert_str(0, &"0".repeat(places + 1 - digits.len()));
    }
    let (whole, fraction) = digits.split_at(digits.len() - places);
    out.extend_from_slice(whole.as_bytes());
    if !fraction.is_empty() {
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
    }
    Ok(())
}

/// The value if it fits 128 bits, which nearly all do.
fn small(unscaled: &[u8]) -> Option<i128> {
    if unscaled.len() > 16 {
        return None;
    }
    let first = unscaled
        .first()
        .map_or(0, |byte| i128::from(byte.cast_signed()));
    Some(
        unscaled
            .iter()
            .skip(1)
            .fold(first, |value, byte| (value << 8) | i128::from(*byte)),
    )
}

/// The magnitude's digits, by repeated division.
fn large(unscaled: &[u8], negative: bool) -> String {
    let mut magnitude = magnitude(unscaled, negative);
    let mut groups = Vec::new();
    while magnitude.iter().any(|&limb| limb != 0) {
        let mut rest = 0_u64;
        for limb in &mut magnitude {
            let value = (rest << 32) | u64::from(*limb);
            *limb =
                u32::try_from(value / STEP).expect("invariant: a quotient of 62 bits by 2^29.9");
            rest = value % STEP;
        }
        groups.push(rest);
        let zeros = magnitude.iter().take_while(|&&limb| limb == 0).count();
        magnitude.drain(..zeros);
    }
    let mut digits = groups.pop().unwrap_or(0).to_string();
    for group in groups.into_iter().rev() {
        digits.push_str(&format!("{group:0STEP_DIGITS$}"));
    }
    digits
}

/// Big-endian 32-bit limbs of the absolute value.
fn magnitude(unscaled: &[u8], negative: bool) -> Vec<u32> {
    let fill = if negative { 0xff } else { 0 };
    let padding = (4 - unscaled.len() % 4) % 4;
    let mut bytes = vec![fill; padding];
    bytes.extend_from_slice(unscaled);
    if negative {
        let mut carry = true;
        for byte in bytes.iter_mut().rev() {
            let (value, overflow) = (!*byte).overflowing_add(u8::from(carry));
            *byte = value;
            carry = overflow;
        }
    }
    bytes
        .chunks_exact(4)
        .map(|limb| {
            limb.iter()
                .fold(0, |value, byte| (value << 8) | u32::from(*byte))
        })
        .collect()
}
