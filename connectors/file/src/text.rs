//! Bytes as text, with Java's replacements for what is not UTF-8.

use std::borrow::Cow;

const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// The bytes as text. Where they are not UTF-8, U+FFFD stands for what Java's decoder replaces by one: the longest
/// beginning of a character, or a whole encoded surrogate.
pub(crate) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    let (mut at, mut replaced_upto) = (0, 0);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        at += chunk.valid().len();
        if !chunk.invalid().is_empty() && at >= replaced_upto {
            text.push(REPLACEMENT);
            replaced_upto = at + surrogate_len(bytes.get(at..).unwrap_or_default());
        }
        at += chunk.invalid().len();
    }
    Cow::Owned(text)
}

/// 3 if an encoded surrogate stands here, else 0.
fn surrogate_len(bytes: &[u8]) -> usize {
    match bytes {
        [0xED, 0xA0..=0xBF, 0x80..=0xBF, ..] => 3,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_utf8_is_replaced_as_java_17_does() {
        // Answers of an InputStreamReader with StandardCharsets.UTF_8; R stands for U+FFFD.
        let cases: [(&[u8], &str); 12] = [
            (&[0x61, 0xFF, 0x62], "aRb"),
            (&[0xED, 0xA0, 0x80, 0x62], "Rb"),
            (&[0xF0, 0x9F, 0x98, 0x62], "Rb"),
            (&[0xE2, 0x82, 0x62], "Rb"),
            (&[0xC0, 0x80, 0x62], "RRb"),
            (&[0xF8, 0x88, 0x80, 0x80, 0x80, 0x62], "RRRRRb"),
            (&[0xF4, 0x90, 0x80, 0x80, 0x62], "RRRRb"),
            (&[0xE0, 0x80, 0x80, 0x62], "RRRb"),
            (&[0x80, 0x80, 0x62], "RRb"),
            (&[0xEF, 0xBB, 0xBF, 0x62], "\u{FEFF}b"),
            (&[0xE2, 0x82], "R"),
            (&[0xC3, 0x28], "R("),
        ];
        for (bytes, java) in cases {
            assert_eq!(decode(bytes).replace(REPLACEMENT, "R"), java, "{bytes:x?}");
        }
    }

    #[test]
    fn text_stays_as_it_is() {
        assert!(matches!(
            decode("Grüße 🦀".as_bytes()),
            Cow::Borrowed("Grüße 🦀")
        ));
    }
}
