//! Avro's numbers: zigzag, then seven bits a byte, low bits first.

/// A long needs at most this many bytes.
const LONG_BYTES_MAX: usize = 10;

/// Appends a long; an int is written alike.
#[inline]
pub(super) fn put_long(out: &mut Vec<u8>, value: i64) {
    let mut bits = ((value << 1) ^ (value >> 63)).cast_unsigned();
    if bits < 0x80 {
        out.push(low_byte(bits));
        return;
    }
    let mut bytes = [0_u8; LONG_BYTES_MAX];
    let mut len = 0;
    for byte in &mut bytes {
        len += 1;
        if bits < 0x80 {
            *byte = low_byte(bits);
            break;
        }
        *byte = low_byte(bits) | 0x80;
        bits >>= 7;
    }
    out.extend_from_slice(bytes.get(..len).unwrap_or_default());
}

/// Appends the length of a text, of bytes or of a block.
#[inline]
pub(super) fn put_len(out: &mut Vec<u8>, len: usize) {
    // A length in memory is far below 2^63.
    put_long(out, i64::try_from(len).unwrap_or(i64::MAX));
}

/// Takes a long off the input; `None` if it ends early or is longer than a long can be.
#[inline]
pub(super) fn take_long(input: &mut &[u8]) -> Option<i64> {
    let (first, rest) = input.split_first()?;
    if *first < 0x80 {
        *input = rest;
        return Some(unzigzag(u64::from(*first)));
    }
    take_long_slow(input)
}

fn take_long_slow(input: &mut &[u8]) -> Option<i64> {
    let mut bits = 0_u64;
    for (at, byte) in input.iter().take(LONG_BYTES_MAX).enumerate() {
        let part = u64::from(byte & 0x7F);
        // The tenth byte has room for one bit.
        if at == LONG_BYTES_MAX - 1 && part > 1 {
            return None;
        }
        bits |= part << (7 * at);
        if *byte < 0x80 {
            *input = input.get(at + 1..)?;
            return Some(unzigzag(bits));
        }
    }
    None
}

#[inline]
fn unzigzag(bits: u64) -> i64 {
    (bits >> 1).cast_signed() ^ -(bits & 1).cast_signed()
}

#[inline]
fn low_byte(bits: u64) -> u8 {
    bits.to_le_bytes()[0]
}
