//! `RegexRouter`: renames topics that a regular expression matches as a whole.
//!
//! As in Kafka Connect: the expression must match the whole topic, then its first occurrence is replaced; the
//! replacement is Java's (`$1`, `${name}`, `\$`). What Java's expressions can and ours cannot (look-around, back
//! references, possessive quantifiers) is refused when the connector is checked.

use super::{Keys, Step};
use regex::Regex;
use tapline_sdk::{ConfigValue, Definition, Importance, Issue, Key, Kind};

/// Renames topics.
#[derive(Debug)]
pub struct RegexRouter {
    pattern: Pattern,
    replacement: Vec<Part>,
}

/// A piece of a replacement.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Group(usize),
}

const REGEX: Key<Pattern> = Key::required(
    "regex",
    "",
    "an expression that matches the whole name of each topic to rename",
)
.importance(Importance::High);
const REPLACEMENT: Key<String> = Key::required(
    "replacement",
    "",
    "what the first match becomes; $1 and ${name} are groups of the expression",
)
.importance(Importance::High);

/// Its keys.
pub(super) const KEYS: [Definition; 2] = [REGEX.definition, REPLACEMENT.definition];

/// An expression as people know it from Java, compiled: alone, and for whole texts.
#[derive(Debug, Clone)]
pub struct Pattern {
    first: Regex,
    whole: Regex,
}

impl Pattern {
    /// Whether the whole text matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.whole.is_match(text)
    }

    fn new(regex: &str) -> Result<Self, (String, &'static str)> {
        if let Some((construct, remedy)) = only_in_java(regex) {
            return Err((format!("uses {construct}, which is not supported"), remedy));
        }
        let compile = |text: &str| {
            Regex::new(text).map_err(|error| {
                let why = error.to_string();
                let why = why.lines().last().unwrap_or_default().trim();
                let why = why.trim_start_matches("error: ");
                let problem = format!("is not a regular expression: {why}");
                (problem, "write an expression such as (.*)\\.public\\.(.*)")
            })
        };
        Ok(Self {
            first: compile(regex)?,
            whole: compile(&format!(r"\A(?:{regex})\z"))?,
        })
    }
}

impl ConfigValue for Pattern {
    const KIND: Kind = Kind::Text;
    fn parse(text: &str) -> Result<Self, String> {
        Self::new(text).map_err(|(problem, _)| problem)
    }
}

pub(super) fn make(keys: &Keys<'_>) -> Result<Step, Vec<Issue>> {
    let mut issues = keys.unknown(&["regex", "replacement"]);
    let regex = keys.required("regex", &mut issues);
    let replacement = keys.required("replacement", &mut issues);
    let (Some(regex), Some(replacement)) = (regex, replacement) else {
        return Err(issues);
    };
    match RegexRouter::new(regex, replacement) {
        Ok(router) if issues.is_empty() => Ok(Step::Route(router)),
        Ok(_) => Err(issues),
        Err((key, problem, remedy)) => {
            issues.push(keys.issue(key, problem, remedy));
            Err(issues)
        }
    }
}

impl RegexRouter {
    /// A router of Java's expression and replacement.
    ///
    /// # Errors
    /// The key to blame, the problem and the remedy.
    pub fn new(
        regex: &str,
        replacement: &str,
    ) -> Result<Self, (&'static str, String, &'static str)> {
        let pattern =
            Pattern::new(regex).map_err(|(problem, remedy)| ("regex", problem, remedy))?;
        let replacement = parts(replacement, &pattern.first).map_err(|why| {
            (
                "replacement",
                why,
                "refer to groups as $1 or ${name}; \\$ is a dollar",
            )
        })?;
        Ok(Self {
            pattern,
            replacement,
        })
    }

    /// The new name, or `None` if the topic keeps its own.
    #[must_use]
    pub fn route(&self, topic: &str) -> Option<String> {
        if !self.pattern.matches(topic) {
            return None;
        }
        let captures = self.pattern.first.captures(topic)?;
        let found = captures.get(0)?;
        let mut name = topic.get(..found.start())?.to_owned();
        for part in &self.replacement {
            match part {
                Part::Literal(text) => name.push_str(text),
                // A group that took no part is empty, where Java would write "null".
                Part::Group(at) => {
                    name.push_str(captures.get(*at).map_or("", |group| group.as_str()));
                }
            }
        }
        name.push_str(topic.get(found.end()..)?);
        Some(name)
    }
}

/// What a Java expression may hold and ours may not, with what to write instead.
fn only_in_java(regex: &str) -> Option<(&'static str, &'static str)> {
    const LOOK: &str = "list what should match instead, such as (orders|customers)";
    const GREEDY: &str = "drop the + after the quantifier, and write (?:…) for (?>…)";
    let mut text = regex;
    while let Some(at) = text.find(['\\', '(', '[', '*', '+', '?', '}']) {
        let (_, rest) = text.split_at(at);
        let skip = match rest.as_bytes() {
            [b'\\', b'1'..=b'9' | b'k', ..] => {
                return Some(("a back reference", "write the repeated part twice"));
            }
            [b'\\', b'Q', ..] => return Some(("a \\Q…\\E quote", "escape the characters with \\")),
            [b'\\', ..] => 1 + rest.chars().nth(1).map_or(0, char::len_utf8),
            [b'(', b'?', b'=' | b'!', ..] => return Some(("a look-ahead", LOOK)),
            [b'(', b'?', b'<', b'=' | b'!', ..] => return Some(("a look-behind", LOOK)),
            [b'(', b'?', b'>', ..] => return Some(("an atomic group", GREEDY)),
            [b'(', b'?', ..] => 2,
            [b'*' | b'+' | b'?' | b'}', b'+', ..] => {
                return Some(("a possessive quantifier", GREEDY));
            }
            [b'[', ..] => class_len(rest),
            _ => 1,
        };
        text = rest.get(skip..).unwrap_or_default();
    }
    None
}

/// The length of a character class, so that quantifiers inside it are not taken for any.
fn class_len(class: &str) -> usize {
    let mut escaped = false;
    for (at, c) in class.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            // A bracket right after the opening one (or its ^) is a member of the class.
            ']' if at > 1 && class.get(..at) != Some("[^") => return at + 1,
            _ => {}
        }
    }
    class.len()
}

/// Java's replacement syntax, checked against the groups that the expression has.
fn parts(replacement: &str, regex: &Regex) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = replacement.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => literal.push(rest.next().ok_or("ends with a lone backslash")?),
            '$' => {
                let group = if rest.next_if_eq(&'{').is_some() {
                    named(&mut rest, regex)?
                } else {
                    numbered(&mut rest, regex)?
                };
                parts.push(Part::Literal(std::mem::take(&mut literal)));
                parts.push(Part::Group(group));
            }
            other => literal.push(other),
        }
    }
    parts.push(Part::Literal(literal));
    parts.retain(|part| *part != Part::Literal(String::new()));
    Ok(parts)
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn named(rest: &mut Chars<'_>, regex: &Regex) -> Result<usize, String> {
    let name: String = std::iter::from_fn(|| rest.next_if(|c| *c != '}')).collect();
    rest.next().ok_or("has a ${ without its }")?;
    regex
        .capture_names()
        .position(|known| known == Some(name.as_str()))
        .ok_or_else(|| format!("refers to the group \"{name}\", which the expression lacks"))
}

/// The first digit counts; further ones only while such a group exists, as in Java: `$12` is group 1 and a 2 if there
/// is no group 12.
fn numbered(rest: &mut Chars<'_>, regex: &Regex) -> Result<usize, String> {
    let digit = |c: char| c.to_digit(10).and_then(|digit| usize::try_from(digit).ok());
    let mut group = rest
        .next()
        .and_then(digit)
        .ok_or("has a $ that no group number follows")?;
    if group >= regex.captures_len() {
        return Err(format!(
            "refers to group {group}, which the expression lacks"
        ));
    }
    while let Some(longer) = rest.peek().copied().and_then(digit).map(|d| group * 10 + d)
        && longer < regex.captures_len()
    {
        group = longer;
        rest.next();
    }
    Ok(group)
}
