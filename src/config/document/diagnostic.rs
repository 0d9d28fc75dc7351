//! Problems of a YAML file, rendered with file, line, key and remedy.
//!
//! Owns the error codes of files and the look of a problem. Never repeats a secret: values under secret-looking keys
//! and passwords inside URLs are masked in the quoted line.
//!
//! | Code | Meaning |
//! |---|---|
//! | TL0101 | the file cannot be read, is too large or is not text |
//! | TL0102 | the file is not YAML |
//! | TL0103 | a part of YAML that settings do not use: anchors, aliases, tags, several documents |
//! | TL0104 | a key is given twice |
//! | TL0105 | `version` is missing or unknown |
//! | TL0106 | a pipeline's or part's name is missing, malformed or taken |
//! | TL0107 | a word that does not belong where it stands |
//! | TL0108 | a value of the wrong shape |
//! | TL0109 | `connector` is missing or unknown |
//! | TL0110 | a key of a connector is unknown, missing or has a bad value |
//! | TL0111 | a placeholder is malformed, or what it names is not there |
//! | TL0112 | `transforms` is malformed |
//! | TL0113 | `from` is malformed, or cannot be derived |
//! | TL0114 | a unit is unknown or its number too large |
//! | TL0115 | a source or target does not answer, refuses us or is not set up |
//! | TL0116 | a topic's name, setting or number of partitions cannot be, or two files declare it |

use super::Place;
use std::fmt::{self, Write as _};

/// What stands for a secret in a quoted line.
const MASK: &str = "********";

/// A longer line is cut around the problem, so that a minified file does not flood a terminal.
const SNIPPET_CHARS_MAX: usize = 160;

/// Nobody mends more before looking again; a file of a million mistakes must not become a report of a gigabyte.
const PROBLEMS_MAX: usize = 100;

/// One problem of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The stable code.
    pub code: &'static str,
    /// One lowercase sentence.
    pub message: String,
    /// Where.
    pub place: Place,
    /// The key's path in the file (`source.slot.name`); empty if none is to blame.
    pub path: String,
    /// What to do.
    pub help: String,
}

impl Diagnostic {
    /// A problem at this place.
    pub(crate) fn new(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            place,
            path: String::new(),
            help: String::new(),
        }
    }

    /// Names the key.
    pub(crate) fn at(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Adds the remedy.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }
}

/// The lines of a text as YAML counts them: a carriage return alone ends one, too.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.split_inclusive('\n');
    lines.flat_map(|line| {
        let line = line.strip_suffix('\n').unwrap_or(line);
        line.strip_suffix('\r').unwrap_or(line).split('\r')
    })
}

/// Every problem of one file, with what is needed to show them.
#[derive(Clone, PartialEq, Eq)]
pub struct Report {
    file: String,
    lines: Vec<String>,
    secrets: Vec<Place>,
    problems: Vec<Diagnostic>,
    /// Problems that are not kept.
    more: usize,
}

impl Report {
    /// These problems of this file, in the order of the file.
    pub(crate) fn new(
        file: &str,
        text: &str,
        secrets: Vec<Place>,
        mut problems: Vec<Diagnostic>,
    ) -> Self {
        problems.sort_by_key(|problem| problem.place);
        problems.dedup();
        let more = problems.len().saturating_sub(PROBLEMS_MAX);
        problems.truncate(PROBLEMS_MAX);
        Self {
            file: file.to_owned(),
            lines: lines(text).map(str::to_owned).collect(),
            secrets,
            problems,
            more,
        }
    }

    /// The file, as it was named.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The problems, in the order of the file; the first hundred.
    #[must_use]
    pub fn problems(&self) -> &[Diagnostic] {
        &self.problems
    }

    fn write_problem(&self, out: &mut dyn fmt::Write, problem: &Diagnostic) -> fmt::Result {
        let Diagnostic {
            code,
            message,
            place,
            path,
            help,
        } = problem;
        let Place { line, column, .. } = place;
        write!(
            out,
            "error[{code}]: {message}  --> {}:{line}:{column}",
            self.file
        )?;
        if !path.is_empty() {
            write!(out, "  {path}")?;
        }
        out.write_char('\n')?;
        self.write_snippet(out, *place)?;
        if !help.is_empty() {
            writeln!(out, "  help: {help}")?;
        }
        Ok(())
    }

    fn write_snippet(&self, out: &mut dyn fmt::Write, place: Place) -> fmt::Result {
        let Some(line) = place.line.checked_sub(1).and_then(|at| self.lines.get(at)) else {
            return Ok(());
        };
        if line.trim().is_empty() {
            return Ok(());
        }
        let (shown, marks) = self.mask(line, place);
        let number = place.line.to_string();
        let margin = " ".repeat(number.len());
        writeln!(out, " {margin} |")?;
        writeln!(out, " {number} | {}", shown.trim_end())?;
        writeln!(out, " {margin} | {}", marks.trim_end())
    }

    /// The line with secrets masked, and the marks that go below it.
    fn mask(&self, line: &str, place: Place) -> (String, String) {
        let (mut shown, mut marks) = (String::new(), String::new());
        let secrets = self.secrets.iter();
        let secrets: Vec<&Place> = secrets.filter(|secret| secret.line == place.line).collect();
        let secret_at = |column: usize| {
            secrets
                .iter()
                .find(|secret| (secret.column..secret.column + secret.len).contains(&column))
        };
        let marked = |column: usize| (place.column..place.column + place.len).contains(&column);
        let first = place.column.saturating_sub(SNIPPET_CHARS_MAX / 2).max(1);
        for (column, character) in (1..)
            .zip(line.chars())
            .skip(first - 1)
            .take(SNIPPET_CHARS_MAX)
        {
            let mark = if marked(column) { "^" } else { " " };
            match secret_at(column) {
                Some(secret) if secret.column == column || column == first => {
                    shown.push_str(MASK);
                    marks.push_str(&mark.repeat(MASK.len()));
                }
                Some(_) => {}
                None => {
                    shown.push(if character.is_control() {
                        ' '
                    } else {
                        character
                    });
                    marks.push_str(mark);
                }
            }
        }
        (shown, marks)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.problems.iter().enumerate() {
            if at > 0 {
                f.write_char('\n')?;
            }
            self.write_problem(f, problem)?;
        }
        match self.more {
            0 => Ok(()),
            more => writeln!(f, "\n{more} more are shown once these are corrected"),
        }
    }
}

/// As [`fmt::Display`]: a derived one would show the file's lines, secrets included.
impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
