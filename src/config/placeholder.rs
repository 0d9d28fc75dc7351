//! Placeholders in settings: `${env:NAME}` and `${file:PATH:KEY}` stand for secrets, `${field}` for a record's field.
//!
//! Resolves late, when a connector starts, so that what is stored and shown is the placeholder. What a placeholder
//! stands for is taken literally, never expanded again, and appears in no error.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path};
use tapline_sdk::Issue;

/// A properties file with passwords is small; the bound keeps a wrong path (`/dev/zero`) harmless.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A stretch of a setting's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// Text as it stands.
    Literal(&'a str),
    /// `${env:NAME}`.
    Env(&'a str),
    /// `${file:PATH:KEY}`: a key of a properties file; a relative path counts from the working directory.
    File(&'a str, &'a str),
    /// `${field}`: filled in per record.
    Other(&'a str),
    /// `${` without `}`.
    Unclosed,
}

/// Splits a text into literals and placeholders.
#[must_use]
pub fn parts(text: &str) -> Vec<Part<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if !before.is_empty() {
            found.push(Part::Literal(before));
        }
        let Some((inside, after)) = after.split_once('}') else {
            found.push(Part::Unclosed);
            return found;
        };
        found.push(placeholder(inside));
        rest = after;
    }
    if !rest.is_empty() {
        found.push(Part::Literal(rest));
    }
    found
}

fn placeholder(inside: &str) -> Part<'_> {
    match inside.split_once(':') {
        Some(("env", name)) if !name.is_empty() => Part::Env(name),
        // A path may hold colons, a key of a properties file hardly does.
        Some(("file", place)) => match place.rsplit_once(':') {
            Some((path, key)) if !path.is_empty() && !key.is_empty() => Part::File(path, key),
            _ => Part::Other(inside),
        },
        _ => Part::Other(inside),
    }
}

/// Whether a text stands for a secret, in whole or in part.
#[must_use]
pub fn is_secret(text: &str) -> bool {
    let secret = |part: &Part<'_>| matches!(part, Part::Env(_) | Part::File(..));
    parts(text).iter().any(secret)
}

/// The settings with every secret put in; `${field}` stays for the connector.
///
/// # Errors
/// One issue for each key whose secret is not there; none repeats a secret.
pub fn resolve_all(
    settings: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Vec<Issue>> {
    let mut resolved = BTreeMap::new();
    let mut issues = Vec::new();
    for (key, text) in settings {
        match resolve(text) {
            Ok(text) => drop(resolved.insert(key.clone(), text)),
            Err((problem, remedy)) => issues.push(Issue::new(key, problem, remedy)),
        }
    }
    if issues.is_empty() {
        Ok(resolved)
    } else {
        Err(issues)
    }
}

/// One text with every secret put in.
///
/// # Errors
/// What is wrong, in words that follow the key's name, and what to do.
pub fn resolve(text: &str) -> Result<String, (String, String)> {
    let mut resolved = String::with_capacity(text.len());
    for part in parts(text) {
        match part {
            Part::Literal(text) => resolved.push_str(text),
            Part::Env(name) => resolved.push_str(&variable(name)?),
            Part::File(path, key) => resolved.push_str(&property(path, key)?),
            Part::Other(name) => {
                resolved.push_str("${");
                resolved.push_str(name);
                resolved.push('}');
            }
            Part::Unclosed => {
                let remedy =
                    "close it with `}`; a text that really holds `${` goes into a variable";
                return Err(("has `${` without `}`".to_owned(), remedy.to_owned()));
            }
        }
    }
    Ok(resolved)
}

fn variable(name: &str) -> Result<String, (String, String)> {
    std::env::var(name).map_err(|error| match error {
        std::env::VarError::NotPresent => (
            format!("needs the environment variable {name}, which is not set"),
            format!("set it before the start: {name}=… tapline run …"),
        ),
        std::env::VarError::NotUnicode(_) => (
            format!("needs the environment variable {name}, which is not UTF-8"),
            format!("set {name} to UTF-8 text"),
        ),
    })
}

fn property(path: &str, key: &str) -> Result<String, (String, String)> {
    let unreadable = |why: &str| {
        (
            format!("needs the file {path}, which cannot be read: {why}"),
            "check path and permissions; a relative path counts from the working directory"
                .to_owned(),
        )
    };
    let mut text = String::new();
    let file = File::open(Path::new(path)).map_err(|error| unreadable(&error.to_string()))?;
    let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| unreadable(&error.to_string()))?;
    if u64::try_from(text.len()).is_ok_and(|len| len > FILE_BYTES_MAX) {
        return Err(unreadable("it is larger than 1 MiB"));
    }
    properties(&text).remove(key).ok_or_else(|| {
        (
            format!("needs the key {key} of the file {path}, which has none of that name"),
            format!("add a line `{key}=…` to {path}"),
        )
    })
}

/// Java's properties: `key=value` or `key: value`, `#` and `!` comments, backslash escapes and continued lines. The
/// last of several equal keys counts.
fn properties(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let mut whole = line.to_owned();
        while is_continued(&whole) {
            whole.pop();
            match lines.next() {
                Some(next) => whole.push_str(next.trim_start()),
                None => break,
            }
        }
        let (key, value) = split_property(&whole);
        found.insert(unescape(key), unescape(value));
    }
    found
}

/// An odd number of backslashes at the end.
fn is_continued(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

fn split_property(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|character: char| {
        let found = !escaped && (matches!(character, '=' | ':') || character.is_ascii_whitespace());
        escaped = character == '\\' && !escaped;
        found
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start();
    (
        key,
        rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start(),
    )
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('t') => plain.push('\t'),
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('f') => plain.push('\u{c}'),
            Some('u') => {
                let code: String = characters.by_ref().take(4).collect();
                let code = u32::from_str_radix(&code, 16).ok();
                plain.push(
                    code.and_then(char::from_u32)
                        .unwrap_or(char::REPLACEMENT_CHARACTER),
                );
            }
            Some(other) => plain.push(other),
            None => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::{Part, is_secret, parts, properties, resolve};
    use std::io::Write as _;

    #[test]
    fn placeholders_are_told_from_text() {
        let found = parts("a${env:X}b${file:/etc/p:db.key}${id}");
        let expected = [
            Part::Literal("a"),
            Part::Env("X"),
            Part::Literal("b"),
            Part::File("/etc/p", "db.key"),
            Part::Other("id"),
        ];
        assert_eq!(found, expected);
        assert_eq!(parts("x${env:X"), [Part::Literal("x"), Part::Unclosed]);
        assert_eq!(parts("${env:}"), [Part::Other("env:")]);
        assert!(is_secret("u:${env:X}@h") && !is_secret("customer:${id}"));
    }

    #[test]
    fn what_a_file_holds_is_taken_literally() {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
        write!(file, "# secrets\npassword = p${{env:HOME}}\\u0041\n").expect("it can be written");
        let text = format!("${{file:{}:password}}!", file.path().display());
        assert_eq!(resolve(&text).as_deref(), Ok("p${env:HOME}A!"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let (problem, remedy) = resolve("${env:TAPLINE_NO_SUCH_VARIABLE}").expect_err("not set");
        assert!(problem.contains("TAPLINE_NO_SUCH_VARIABLE"), "{problem}");
        assert!(remedy.contains("TAPLINE_NO_SUCH_VARIABLE"), "{remedy}");
        assert!(resolve("${file:/no/such:key}").is_err());
        assert!(resolve("a${b").is_err());
        assert_eq!(resolve("${field}").as_deref(), Ok("${field}"));
    }

    #[test]
    fn properties_follow_javas_rules() {
        let found = properties("a=1\nb : two words \n  ! no\nc\\=d = x\\\n   y\ne\n");
        let found: Vec<(&str, &str)> = found.iter().map(|(k, v)| (&**k, &**v)).collect();
        assert_eq!(
            found,
            [("a", "1"), ("b", "two words "), ("c=d", "xy"), ("e", "")]
        );
    }
}
