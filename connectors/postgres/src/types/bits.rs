//! bit and varbit in Debezium's form: little-endian bytes up to the highest set bit.

use super::{
    number::malformed,
    value::{Fault, Sink},
};
use tapline_sdk::Cell;

/// `bit(1)` and `varbit(1)` as a boolean.
pub(super) fn bit(text: &[u8]) -> Result<Cell, Fault> {
    match text {
        b"1" => Ok(Cell::Bool(true)),
        b"0" => Ok(Cell::Bool(false)),
        // varbit(1) may be empty.
        b"" => Err(Fault::Unrepresentable("an empty bit string is no boolean")),
        _ => Err(malformed("bit")),
    }
}

/// A string of bits, its last one least significant.
pub(super) fn bits(sink: &mut Sink<'_>, text: &[u8]) -> Result<Cell, Fault> {
    if text.iter().any(|bit| !matches!(bit, b'0' | b'1')) {
        return Err(malformed("bit string"));
    }
    sink.arena.bytes_with(|out| {
        let start = out.len();
        for byte in text.rchunks(8) {
            out.push(byte.iter().fold(0, |byte, bit| (byte << 1) | (bit - b'0')));
        }
        while out.len() > start && out.last() == Some(&0) {
            out.pop();
        }
        Ok(())
    })
}
