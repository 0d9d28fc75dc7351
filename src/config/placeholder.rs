//! Placeholders in settings: `${env:NAME}`, `${file:PATH:KEY}` and `${directory:PATH:FILE}` stand for secrets, `${field}`
//! for a record's field.
//!
//! Reads only what its caller's [`Access`] allows. Resolves late, when a connector starts, so that what is stored and shown is the placeholder. What a placeholder
//! stands for is taken literally, never expanded again, and appears in no error.

use super::access::{Access, DIRECTORY_PATHS, ENV_PATTERN, FILE_PATHS};
use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::{self, Read},
    path::{Component, Path},
};
use tapline_sdk::{Files, Issue};

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
    /// `${directory:PATH:FILE}`: the whole text of a file of that folder.
    Directory(&'a str, &'a str),
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
        Some(("directory", place)) => match place.rsplit_once(':') {
            Some((path, file)) if !path.is_empty() && !file.is_empty() => {
                Part::Directory(path, file)
            }
            _ => Part::Other(inside),
        },
        _ => Part::Other(inside),
    }
}

/// Whether a text stands for a secret, in whole or in part.
#[must_use]
pub fn is_secret(text: &str) -> bool {
    let secret =
        |part: &Part<'_>| matches!(part, Part::Env(_) | Part::File(..) | Part::Directory(..));
    parts(text).iter().any(secret)
}

/// The settings with every secret put in; `${field}` stays for the connector.
///
/// # Errors
/// One issue for each key whose secret is not there; none repeats a secret.
pub fn resolve_all(
    settings: &BTreeMap<String, String>,
    access: &Access,
) -> Result<BTreeMap<String, String>, Vec<Issue>> {
    let mut resolved = BTreeMap::new();
    let mut issues = Vec::new();
    for (key, text) in settings {
        match resolve(text, access) {
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
pub fn resolve(text: &str, access: &Access) -> Result<String, (String, String)> {
    let mut resolved = String::with_capacity(text.len());
    for part in parts(text) {
        match part {
            Part::Literal(text) => resolved.push_str(text),
            Part::Env(name) => resolved.push_str(&variable(name, access)?),
            Part::File(path, key) => resolved.push_str(&property(path, key, access)?),
            Part::Directory(path, file) => resolved.push_str(&whole_file(path, file, access)?),
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

/// What is not allowed: asked before anything is looked at, so that an answer tells nothing of what is there.
fn denied(what: &str, setting: &str) -> (String, String) {
    (
        format!("names {what}, which what comes over HTTP may not read"),
        format!(
            "allow it with {setting} in the worker's settings, or declare the connector in a file that `tapline run` is \
             given"
        ),
    )
}

fn variable(name: &str, access: &Access) -> Result<String, (String, String)> {
    if !access.allows_variable(name) {
        let what = format!("the environment variable {name}");
        return Err(denied(&what, ENV_PATTERN));
    }
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

fn property(path: &str, key: &str, access: &Access) -> Result<String, (String, String)> {
    let text = file_text(Path::new(path), access.file(), FILE_PATHS)?;
    properties(&text).remove(key).ok_or_else(|| {
        (
            format!("needs the key {key} of the file {path}, which has none of that name"),
            format!("add a line `{key}=…` to {path}"),
        )
    })
}

/// As in Kafka, the text is taken as it is, a line's end at its end included.
fn whole_file(folder: &str, file: &str, access: &Access) -> Result<String, (String, String)> {
    let mut parts = Path::new(file).components();
    let (Some(Component::Normal(_)), None) = (parts.next(), parts.next()) else {
        let remedy = "write ${directory:PATH:FILE}, where FILE is the name of a file in PATH";
        return Err((
            "names a file by more than its name".to_owned(),
            remedy.to_owned(),
        ));
    };
    let path = Path::new(folder).join(file);
    file_text(&path, access.directory(), DIRECTORY_PATHS)
}

fn file_text(path: &Path, files: &Files, setting: &str) -> Result<String, (String, String)> {
    if files.check(path).is_err() {
        return Err(denied(&format!("the file {}", path.display()), setting));
    }
    read_text(path, files).map_err(|why| {
        let path = path.display();
        (
            format!("needs the file {path}, which cannot be read: {why}"),
            "check path and permissions; a relative path counts from the working directory"
                .to_owned(),
        )
    })
}

fn read_text(path: &Path, files: &Files) -> io::Result<String> {
    let mut text = String::new();
    // Opening a pipe would wait for its writer: look first.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let file = files.open(OpenOptions::new().read(true), path)?;
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|len| len > FILE_BYTES_MAX) {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(text)
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
    use super::{Access, Part, is_secret, parts, properties};
    use crate::config::access::AllowLists;
    use std::{fs, io::Write as _};

    fn resolve(text: &str) -> Result<String, (String, String)> {
        super::resolve(text, &Access::everything())
    }

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
    fn a_directory_has_a_secret_per_file() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        fs::write(folder.path().join("db.password"), "p${env:HOME}\n").expect("it is written");
        let of = |file: &str| format!("<${{directory:{}:{file}}}>", folder.path().display());
        let found = resolve(&of("db.password"));
        assert_eq!(found.as_deref(), Ok("<p${env:HOME}\n>"));
        for file in ["none", "..", ".", "../x", "a/b"] {
            assert!(resolve(&of(file)).is_err(), "{file}");
        }
        assert!(is_secret(&of("x")));
    }

    #[test]
    fn what_is_not_allowed_is_refused_alike_whether_or_not_it_is_there() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = |name: &str| folder.path().join(name).display().to_string();
        for name in ["in", "out"] {
            fs::create_dir(path(name)).expect("a folder");
            fs::write(format!("{}/p", path(name)), "k=hunter2").expect("it is written");
        }
        let lists = AllowLists {
            env: Some("TAPLINE_.*".to_owned()),
            file: vec![path("in").into()],
            directory: vec![path("in").into()],
            ..AllowLists::default()
        };
        let access = Access::listed(&lists, &[]);
        let of = |text: &str| {
            let text = text
                .replace("<in>", &path("in"))
                .replace("<out>", &path("out"));
            super::resolve(&text, &access)
        };
        assert_eq!(of("${file:<in>/p:k}").as_deref(), Ok("hunter2"));
        assert_eq!(of("${directory:<in>:p}").as_deref(), Ok("k=hunter2"));
        for (text, setting) in [
            (
                "${env:HOME}",
                "config.providers.env.param.allowlist.pattern",
            ),
            (
                "${env:NO_SUCH_THING}",
                "config.providers.env.param.allowlist.pattern",
            ),
            (
                "${file:<out>/p:k}",
                "config.providers.file.param.allowed.paths",
            ),
            (
                "${file:<out>/none:k}",
                "config.providers.file.param.allowed.paths",
            ),
            (
                "${file:<in>/../out/p:k}",
                "config.providers.file.param.allowed.paths",
            ),
            (
                "${directory:<out>:p}",
                "config.providers.directory.param.allowed.paths",
            ),
        ] {
            let (problem, remedy) = of(text).expect_err(text);
            assert!(problem.contains("may not read"), "{text}: {problem}");
            assert!(remedy.contains(setting), "{text}: {remedy}");
        }
        let (problem, _) = of("${env:TAPLINE_NO_SUCH}").expect_err("not set");
        assert!(problem.contains("not set"), "{problem}");
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
