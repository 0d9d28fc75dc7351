//! The encodings of a string converter. What a text or its bytes cannot hold is refused, where Java would put a
//! question mark or a replacement in its place.

use tapline_sdk::{ConfigValue, Kind, RecordError};

/// Every encoding that each Java knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Charset {
    /// UTF-8.
    #[default]
    Utf8,
    /// US-ASCII.
    Ascii,
    /// ISO-8859-1.
    Latin1,
    /// UTF-16: written big-endian after a byte order mark, read as its mark says.
    Utf16,
    /// UTF-16BE.
    Utf16Be,
    /// UTF-16LE.
    Utf16Le,
}

const NAMES: [(&str, Charset); 10] = [
    ("UTF-8", Charset::Utf8),
    ("UTF8", Charset::Utf8),
    ("US-ASCII", Charset::Ascii),
    ("ASCII", Charset::Ascii),
    ("ISO-8859-1", Charset::Latin1),
    ("ISO8859_1", Charset::Latin1),
    ("LATIN1", Charset::Latin1),
    ("UTF-16", Charset::Utf16),
    ("UTF-16BE", Charset::Utf16Be),
    ("UTF-16LE", Charset::Utf16Le),
];

impl ConfigValue for Charset {
    const KIND: Kind = Kind::Text;
    const VALUES: &'static [&'static str] = &[
        "UTF-8",
        "US-ASCII",
        "ISO-8859-1",
        "UTF-16",
        "UTF-16BE",
        "UTF-16LE",
    ];
    fn parse(text: &str) -> Result<Self, String> {
        let known = NAMES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text.trim()));
        known
            .map(|(_, charset)| *charset)
            .ok_or_else(|| "is not an encoding that is known here".to_owned())
    }
}

impl Charset {
    /// Appends a text.
    ///
    /// # Errors
    /// A character that this encoding lacks.
    pub(super) fn encode(self, text: &str, out: &mut Vec<u8>) -> Result<(), RecordError> {
        let missing = |at: usize| {
            RecordError::new(format!("a character that the encoding lacks, at byte {at}"))
        };
        match self {
            Self::Utf8 => out.extend_from_slice(text.as_bytes()),
            Self::Ascii | Self::Latin1 => {
                let last = if self == Self::Ascii {
                    '\u{7f}'
                } else {
                    '\u{ff}'
                };
                for (at, char) in text.char_indices() {
                    let byte = u8::try_from(char).ok().filter(|_| char <= last);
                    out.push(byte.ok_or_else(|| missing(at))?);
                }
            }
            Self::Utf16 => {
                // An empty text has no mark.
                if !text.is_empty() {
                    out.extend_from_slice(&[0xfe, 0xff]);
                }
                out.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
            }
            Self::Utf16Be => out.extend(text.encode_utf16().flat_map(u16::to_be_bytes)),
            Self::Utf16Le => out.extend(text.encode_utf16().flat_map(u16::to_le_bytes)),
        }
        Ok(())
    }

    /// Appends the text of these bytes, as UTF-8. UTF-8 itself is appended as it is: whoever owns `out` checks it.
    ///
    /// # Errors
    /// The bytes are not of this encoding.
    pub(super) fn decode(self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), RecordError> {
        let mut push = |char: char| {
            out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
        };
        match (self, bytes) {
            (Self::Utf8, _) => out.extend_from_slice(bytes),
            (Self::Ascii, _) if !bytes.is_ascii() => {
                return Err(RecordError::new("bytes that are not US-ASCII"));
            }
            (Self::Ascii | Self::Latin1, _) => bytes.iter().copied().map(char::from).for_each(push),
            (Self::Utf16, [0xff, 0xfe, rest @ ..]) => utf16(rest, u16::from_le_bytes, &mut push)?,
            (Self::Utf16, [0xfe, 0xff, rest @ ..]) => utf16(rest, u16::from_be_bytes, &mut push)?,
            (Self::Utf16 | Self::Utf16Be, _) => utf16(bytes, u16::from_be_bytes, &mut push)?,
            (Self::Utf16Le, _) => utf16(bytes, u16::from_le_bytes, &mut push)?,
        }
        Ok(())
    }
}

fn utf16(
    bytes: &[u8],
    unit: fn([u8; 2]) -> u16,
    push: &mut impl FnMut(char),
) -> Result<(), RecordError> {
    let wrong = || RecordError::new("bytes that are not UTF-16");
    let (units, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(wrong());
    }
    for char in char::decode_utf16(units.iter().map(|pair| unit(*pair))) {
        push(char.map_err(|_| wrong())?);
    }
    Ok(())
}
