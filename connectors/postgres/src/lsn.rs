//! Log sequence numbers: byte positions in the server's write-ahead log, written `0/1A2B3C0`.
//!
//! They order commits and nothing else: rows of one key may come with a lower LSN after a higher one.

use std::{fmt, str::FromStr};

/// A position in the write-ahead log; 0 is no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

impl Lsn {
    /// No position: the server then starts at the slot's own.
    pub const NONE: Self = Self(0);

    /// How many bytes of log lie between an earlier position and this one; 0 if it is not earlier.
    #[must_use]
    pub fn bytes_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

/// The text is not an LSN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnLsn;

impl fmt::Display for NotAnLsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is not an LSN such as 0/1A2B3C0")
    }
}

impl std::error::Error for NotAnLsn {}

impl FromStr for Lsn {
    type Err = NotAnLsn;

    fn from_str(text: &str) -> Result<Self, NotAnLsn> {
        let (high, low) = text.split_once('/').ok_or(NotAnLsn)?;
        let part = |digits: &str| u32::from_str_radix(digits, 16).map_err(|_| NotAnLsn);
        Ok(Self(u64::from(part(high)?) << 32 | u64::from(part(low)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::Lsn;

    #[test]
    fn text_and_number_are_the_same_position() {
        for (text, number) in [
            ("0/0", 0),
            ("0/1A2B3C0", 0x1A2_B3C0),
            ("16/B374D848", 0x16_B374_D848),
        ] {
            assert_eq!(text.parse(), Ok(Lsn(number)));
            assert_eq!(Lsn(number).to_string(), text);
        }
        for wrong in ["", "0", "0/", "/1", "0/1G", "0/100000000", "-1/0"] {
            assert!(wrong.parse::<Lsn>().is_err(), "{wrong}");
        }
    }
}
