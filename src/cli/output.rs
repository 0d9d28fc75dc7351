//! `--output text|json`: for people, or for programs with field names that stay the same.

use clap::{Args, ValueEnum};
use serde_json::Value;
use std::io::{self, Write};

/// Which form a command answers in. Errors are text on stderr in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// For people
    Text,
    /// For programs
    Json,
}

/// The argument.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Output {
    /// For people, or for programs: JSON with field names that stay the same
    #[arg(long, value_name = "FORM", value_enum, default_value = "text")]
    output: Form,
}

impl Output {
    /// Whether a program reads.
    pub(super) fn is_json(self) -> bool {
        self.output == Form::Json
    }

    /// What was done: a sentence, or a document.
    ///
    /// # Errors
    /// As [`write`].
    pub(super) fn done(
        self,
        out: &mut dyn Write,
        sentence: &str,
        document: &Value,
    ) -> io::Result<()> {
        match self.output {
            Form::Text => writeln!(out, "{sentence}"),
            Form::Json => write(out, document),
        }
    }

    /// What was done, in the words of the answer's `message`.
    ///
    /// # Errors
    /// As [`write`].
    pub(super) fn answered(self, out: &mut dyn Write, answer: &Value) -> io::Result<()> {
        let message = answer.get("message").and_then(Value::as_str);
        self.done(out, message.unwrap_or("done"), answer)
    }
}

/// One JSON document.
///
/// # Errors
/// Nobody reads, or the output cannot be written.
pub(super) fn write(out: &mut dyn Write, document: &Value) -> io::Result<()> {
    writeln!(out, "{document:#}")
}
