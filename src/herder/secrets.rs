//! What is secret in a connector's settings, and how settings are shown without it (I9).
//!
//! Placeholders are no secrets: what they stand for never gets here.

use crate::config::placeholder::{Part, parts};
use std::collections::BTreeMap;
use tapline_sdk::{Definition, Issue, Kind};

/// What stands where a secret is; Kafka Connect's word.
const MASK: &str = "[hidden]";

/// Keys are secret by their type; these are where a connector's type does not say so.
const SECRET_WORDS: [&str; 10] = [
    "password",
    "passwd",
    "secret",
    "token",
    "credential",
    "api.key",
    "apikey",
    "passphrase",
    // `basic.auth.user.info` is user:password, `sasl.jaas.config` a line with one in it.
    "user.info",
    "jaas.config",
];

/// What begins a password inside a text of several settings, such as a JDBC address.
const PASSWORD_FIELD: &str = "password=";

/// A connector's settings as anybody may see them.
pub(crate) fn masked(
    definitions: &[Definition],
    properties: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let shown = |(key, value): (&String, &String)| (key.clone(), mask(definitions, key, value));
    properties.iter().map(shown).collect()
}

/// New settings, where a value that is the mask of the stored one means the stored one.
pub(crate) fn unmasked(
    definitions: &[Definition],
    mut properties: BTreeMap<String, String>,
    stored: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    for (key, value) in &mut properties {
        if let Some(secret) = stored.get(key)
            && *value == mask(definitions, key, secret)
        {
            value.clone_from(secret);
        }
    }
    properties
}

/// Keys that still hold a mask, which came from somewhere else: it would be taken for the secret.
pub(crate) fn left_masked(
    properties: &BTreeMap<String, String>,
    stored: Option<&BTreeMap<String, String>>,
) -> Vec<Issue> {
    let known = |key: &String| stored.and_then(|stored| stored.get(key));
    let left = properties
        .iter()
        .filter(|(key, value)| value.contains(MASK) && known(key) != Some(value));
    left.map(|(key, _)| {
        let problem = format!("holds {MASK}, which stands for a secret that is not known here");
        Issue::new(key, problem, "write the secret, or a placeholder for it")
    })
    .collect()
}

/// Keys whose values are sealed on disk: whatever would be masked.
pub(crate) fn sealed<'a>(
    definitions: &[Definition],
    properties: &'a BTreeMap<String, String>,
) -> Vec<&'a str> {
    properties
        .iter()
        .filter(|(key, value)| mask(definitions, key, value) != **value)
        .map(|(key, _)| key.as_str())
        .collect()
}

fn mask(definitions: &[Definition], key: &str, value: &str) -> String {
    let typed =
        |definition: &Definition| definition.kind == Kind::Password && definition.covers(key);
    let lower = key.to_ascii_lowercase();
    let secret =
        definitions.iter().any(typed) || SECRET_WORDS.iter().any(|word| lower.contains(word));
    if !secret {
        return mask_field(&mask_address(value));
    }
    if is_literal(value) {
        MASK.to_owned()
    } else {
        value.to_owned()
    }
}

/// Whether any of a text is written out, rather than named by a placeholder.
fn is_literal(text: &str) -> bool {
    let named =
        |part: &Part<'_>| matches!(part, Part::Env(_) | Part::File(..) | Part::Directory(..));
    !text.is_empty() && !parts(text).iter().all(named)
}

/// `scheme://user:password@host` without the password. The last `@` before the path ends it, for passwords hold
/// anything.
fn mask_address(text: &str) -> String {
    let masked = || {
        let (scheme, rest) = text.split_once("://")?;
        let (login, host) = rest.rsplit_once('@')?;
        let (user, password) = login.split_once(':')?;
        is_literal(password).then(|| format!("{scheme}://{user}:{MASK}@{host}"))
    };
    masked().unwrap_or_else(|| text.to_owned())
}

/// `password=…` up to the next separator.
fn mask_field(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for (at, _) in lower.match_indices(PASSWORD_FIELD) {
        let begin = at + PASSWORD_FIELD.len();
        let rest = text.get(begin..).unwrap_or_default();
        let len = rest.find(['&', ';', ' ', ',']).unwrap_or(rest.len());
        let (before, value) = (text.get(from..begin), rest.get(..len).unwrap_or_default());
        shown.push_str(before.unwrap_or_default());
        shown.push_str(if is_literal(value) { MASK } else { value });
        from = begin + len;
    }
    shown.push_str(text.get(from..).unwrap_or_default());
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapline_sdk::{Key, Secret};

    const PASS: Key<Secret> = Key::required("pass", "Test", "a secret by its type");
    const KEYS: [Definition; 1] = [PASS.definition];

    fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn secrets_are_masked_by_type_by_name_and_inside_addresses_and_placeholders_are_not() {
        for (key, value, shown) in [
            ("pass", "hunter2", "[hidden]"),
            ("Database.PASSWORD", "hunter2", "[hidden]"),
            ("pass", "${env:P}", "${env:P}"),
            ("pass", "a${env:P}", "[hidden]"),
            ("pass", "", ""),
            (
                "url",
                "postgres://u:p@ss@h/db",
                "postgres://u:[hidden]@h/db",
            ),
            (
                "url",
                "postgres://u:${env:P}@h/db",
                "postgres://u:${env:P}@h/db",
            ),
            ("url", "postgres://u@h/db", "postgres://u@h/db"),
            (
                "url",
                "jdbc:x?user=u&password=p&a=b",
                "jdbc:x?user=u&password=[hidden]&a=b",
            ),
            ("url", "h:5432?Password=p", "h:5432?Password=[hidden]"),
            ("topic", "plain", "plain"),
        ] {
            assert_eq!(mask(&KEYS, key, value), shown, "{key}={value}");
        }
    }

    #[test]
    fn a_mask_that_comes_back_keeps_the_secret_and_anything_else_replaces_it() {
        let stored = settings(&[("pass", "hunter2"), ("url", "s://u:p@h"), ("a", "1")]);
        let back = masked(&KEYS, &stored);
        assert_eq!(unmasked(&KEYS, back, &stored), stored);
        let changed = settings(&[("pass", "new"), ("url", "s://u:[hidden]@other")]);
        assert_eq!(unmasked(&KEYS, changed.clone(), &stored), changed);
        let left = left_masked(&changed, Some(&stored));
        assert_eq!((left.len(), &*left[0].key), (1, "url"));
        assert_eq!(sealed(&KEYS, &stored), ["pass", "url"]);
    }
}
