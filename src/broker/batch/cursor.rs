//! Numbers and byte strings as a batch holds them: writing varints, and reading without trusting a length.

/// The most bytes a varint of 64 bits takes.
const VARINT_BYTES_MAX: usize = 10;

/// Bytes of the varint of `value`.
pub(super) fn varint_len(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

fn zigzag(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

/// A few varints and bytes, gathered so that they reach the batch by one copy.
#[derive(Default)]
pub(super) struct Gather {
    bytes: [u8; Gather::BYTES],
    len: usize,
}

impl Gather {
    /// The most that is gathered at once: attributes, a timestamp, an offset and a length, 1 + 10 + 5 + 5 bytes.
    const BYTES: usize = 24;

    /// Appends a zigzag varint; an `i32`'s has the same bytes as the `i64`'s of equal value.
    #[inline]
    pub(super) fn varint(&mut self, value: i64) {
        let mut rest = zigzag(value);
        while rest >= 0x80 {
            self.byte((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.byte(rest as u8);
    }

    /// Appends the length of a byte string, −1 for null.
    #[inline]
    pub(super) fn length(&mut self, bytes: Option<&[u8]>) {
        self.varint(bytes.map_or(-1, |bytes| bytes.len() as i64));
    }

    /// Appends one byte.
    #[inline]
    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    /// What was gathered.
    #[inline]
    pub(super) fn get(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// What a read met instead of what it wanted.
pub(super) type Malformed = &'static str;

/// A place in bytes of unknown origin. Every read checks what is left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }

    /// Bytes read so far.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// What is left to read.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `N` bytes.
    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (array, rest) = self.rest.split_first_chunk::<N>().ok_or("ends too early")?;
        self.rest = rest;
        self.at += N;
        Ok(*array)
    }

    /// The next `len` bytes.
    #[inline]
    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or("a length is beyond the end")?;
        self.rest = rest;
        self.at += len;
        Ok(taken)
    }

    /// A zigzag varint of up to 64 bits.
    #[inline]
    pub(super) fn varlong(&mut self) -> Result<i64, Malformed> {
        let mut value = 0_u64;
        for (index, &byte) in self.rest.iter().take(VARINT_BYTES_MAX).enumerate() {
            // The tenth byte holds the last of 64 bits.
            if index == VARINT_BYTES_MAX - 1 && byte > 1 {
                return Err("a varint has more than 64 bits");
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.take(index + 1)?;
                return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            }
        }
        Err("a varint does not end")
    }

    /// A zigzag varint of up to 32 bits.
    #[inline]
    pub(super) fn varint(&mut self) -> Result<i32, Malformed> {
        i32::try_from(self.varlong()?).map_err(|_| "a varint has more than 32 bits")
    }

    /// A byte string behind its length, `None` for −1.
    #[inline]
    pub(super) fn bytes(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        match self.varint()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| "a length is negative")?;
                self.take(length).map(Some)
            }
        }
    }
}
