//! Errors of a task and errors of a row are different types, so that a bad row cannot kill a task and a dead
//! connection cannot be dead-lettered. Who retries is decided by the runtime's policy table, from [`ErrorKind`] alone.

use std::{error, fmt, sync::Arc};

/// The result of whatever can fail a task.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the runtime does about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Connect again, resume from the stored position.
    Disconnected,
    /// The same batch again, on the same connection.
    Retriable,
    /// An operator must change the configuration or the other system.
    Config,
    /// Going on could lose or double data.
    Fatal,
}

/// Why a task cannot go on. Reads as one lowercase sentence; the cause is in [`error::Error::source`], the remedy
/// apart, and secrets are in neither.
#[derive(Debug)]
pub struct Error {
    /// Decides what the runtime does.
    pub kind: ErrorKind,
    /// A stable code from `docs/errors.md`, such as `TL0304`.
    pub code: Option<&'static str>,
    /// The operation and its object: "cannot create slot `shop`".
    pub context: String,
    /// What an operator should do.
    pub remedy: Option<String>,
    /// The cause.
    pub source: Option<Box<dyn error::Error + Send + Sync>>,
}

impl Error {
    /// An error of this kind.
    #[must_use]
    pub fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self {
            kind,
            code: None,
            context: context.into(),
            remedy: None,
            source: None,
        }
    }

    /// See [`ErrorKind::Disconnected`].
    #[must_use]
    pub fn disconnected(context: impl Into<String>) -> Self {
        Self::new(ErrorKind::Disconnected, context)
    }

    /// See [`ErrorKind::Retriable`].
    #[must_use]
    pub fn retriable(context: impl Into<String>) -> Self {
        Self::new(ErrorKind::Retriable, context)
    }

    /// See [`ErrorKind::Config`].
    #[must_use]
    pub fn config(context: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, context)
    }

    /// See [`ErrorKind::Fatal`].
    #[must_use]
    pub fn fatal(context: impl Into<String>) -> Self {
        Self::new(ErrorKind::Fatal, context)
    }

    /// Adds the code under which `docs/errors.md` explains it.
    #[must_use]
    pub fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// Adds what an operator should do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The error with all its causes, `: ` between them, on one line.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.context.clone();
        let mut cause = error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn error::Error + 'static))
    }
}

/// Why one row cannot be converted or applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordError {
    /// The column or field, if one is to blame.
    pub field: Option<Arc<str>>,
    /// Lowercase, without the row's values.
    pub reason: String,
}

impl RecordError {
    /// An error of the whole row.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            field: None,
            reason: reason.into(),
        }
    }

    /// Names the field, unless one nearer to the cause has been named.
    #[must_use]
    pub fn in_field(mut self, field: &Arc<str>) -> Self {
        self.field.get_or_insert_with(|| Arc::clone(field));
        self
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "column \"{field}\": {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

impl error::Error for RecordError {}
