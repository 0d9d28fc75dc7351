//! Which stretches of a file hold secrets, so that quoted lines do not repeat them.
//!
//! Errs on the side of masking: by a key's name, and by a URL's user part. What is a placeholder is no secret.

use super::{
    Place,
    diagnostic::lines,
    yaml::{Content, Entry, Node},
};
use crate::config::placeholder::{self, Part};

/// Words in a key's name that say that its value is not to be shown.
const WORDS: [&str; 10] = [
    "password",
    "passwd",
    "secret",
    "token",
    "credential",
    "api.key",
    "apikey",
    "passphrase",
    "user.info",
    "jaas.config",
];

/// To the end of any line.
const WHOLE_LINE: usize = usize::MAX / 2;

/// Whether a key of this name holds a secret.
pub(crate) fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    WORDS.iter().any(|word| key.contains(word))
}

/// Whether a text holds a password of its own, as `postgres://user:password@host` does.
pub(crate) fn holds_password(text: &str) -> bool {
    let after_scheme = text.split_once("://").map(|(_, rest)| rest);
    let user = after_scheme
        .and_then(|rest| rest.rsplit_once('@'))
        .map(|(user, _)| user);
    user.is_some_and(|user| user.contains(':')) || text.contains("password=")
}

/// Every stretch that is masked.
pub(crate) fn places(root: Option<&Node>, text: &str) -> Vec<Place> {
    let mut found = Vec::new();
    match root {
        Some(root) => collect(root, false, &mut found),
        None => found.extend((1..).zip(lines(text)).filter_map(of_unparsed_line)),
    }
    found
}

fn collect(node: &Node, secret: bool, found: &mut Vec<Place>) {
    match &node.content {
        Content::Scalar(text) => {
            let literal = |part: &Part<'_>| matches!(part, Part::Literal(_) | Part::Unclosed);
            let literal = placeholder::parts(text).iter().any(literal);
            if literal && (secret || holds_password(text)) {
                mask(node, found);
            }
        }
        Content::List(items) => items.iter().for_each(|item| collect(item, secret, found)),
        Content::Map(entries) => {
            for Entry { key, value, .. } in entries {
                collect(value, secret || is_secret_key(key), found);
            }
        }
        Content::Null | Content::Refused => {}
    }
}

fn mask(node: &Node, found: &mut Vec<Place>) {
    if node.last_line == node.place.line {
        return found.push(node.place);
    }
    found.push(Place {
        len: WHOLE_LINE,
        ..node.place
    });
    found.extend((node.place.line + 1..=node.last_line).map(|line| Place {
        line,
        column: 1,
        len: WHOLE_LINE,
    }));
}

/// In a text that is not YAML anything may belong to anything: what follows a secret's name is masked, and so is a
/// line that is neither a key nor a list item, because it may continue a secret.
fn of_unparsed_line((line, text): (usize, &str)) -> Option<Place> {
    let colon = text.find(':');
    let continues = colon.is_none() && !text.trim_start().starts_with('-');
    if !(continues || is_secret_key(text) || holds_password(text)) {
        return None;
    }
    let before = colon.map_or(0, |at| text.get(..=at).unwrap_or(text).chars().count() + 1);
    Some(Place {
        line,
        column: before + 1,
        len: WHOLE_LINE,
    })
}
