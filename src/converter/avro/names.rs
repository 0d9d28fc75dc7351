//! Names in Avro: what is legal, and how an illegal one is scrubbed, as Confluent's converter does it with
//! `scrub.invalid.names`.

use crate::avro::FullName;

/// The namespace of what has no name of its own.
pub(super) const NAMESPACE: &str = "io.confluent.connect.avro";

/// The record name of an unnamed struct.
pub(super) const DEFAULT_NAME: &str = "ConnectDefault";

/// The record name of a map's entry, where a map's keys are no strings.
pub(super) const ENTRY_NAME: &str = "MapEntry";

/// The legal full name for a Connect schema's name.
pub(super) fn scrubbed(name: Option<&str>, fallback: &str) -> FullName {
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return FullName {
            namespace: NAMESPACE.to_owned(),
            name: fallback.to_owned(),
        };
    };
    let (namespace, name) = name.rsplit_once('.').unwrap_or(("", name));
    let parts = namespace.split('.').filter(|part| !part.is_empty());
    FullName {
        namespace: parts.map(scrub).collect::<Vec<_>>().join("."),
        name: scrub(name),
    }
}

/// A legal name: URL-encoded, then `_` for what is still illegal, then an `x` before a digit: `é` becomes `_C3_A9`.
pub(super) fn scrub(name: &str) -> String {
    let mut scrubbed = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => scrubbed.push(char::from(byte)),
            // URL encoding leaves these, or makes a plus of them, and the second step makes an underscore.
            b'-' | b'.' | b'*' | b' ' => scrubbed.push('_'),
            other => scrubbed.push_str(&format!("_{other:02X}")),
        }
    }
    if !scrubbed.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        scrubbed.insert(0, 'x');
    }
    scrubbed
}

/// A legal name that is not taken: the scrubbed one, or with `_2`, `_3`, … behind it.
pub(super) fn scrub_free(name: &str, taken: impl Fn(&str) -> bool) -> String {
    free(&scrub(name), "_", taken)
}

/// The name itself, or with 2, 3, … behind it and a separator between.
pub(super) fn free(name: &str, separator: &str, taken: impl Fn(&str) -> bool) -> String {
    let mut candidate = name.to_owned();
    let mut number = 2;
    while taken(&candidate) {
        candidate = format!("{name}{separator}{number}");
        number += 1;
    }
    candidate
}
