//! Where in a pipeline file something stands.
//!
//! Counts as editors do: lines and columns from 1, columns in characters. Knows nothing of the text itself.

/// A stretch of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The first column, from 1, in characters.
    pub column: usize,
    /// How many characters of that line; at least 1.
    pub len: usize,
}

impl Place {
    /// The beginning of a file, for what is missing altogether.
    pub const START: Self = Self {
        line: 1,
        column: 1,
        len: 1,
    };

    /// The part of a parser's span that lies on its first line.
    pub(crate) fn of(span: &granit_parser::Span) -> Self {
        let (start, end) = (span.start, span.end);
        let len = if start.line() == end.line() {
            end.col().saturating_sub(start.col())
        } else {
            1
        };
        Self {
            line: start.line(),
            column: start.col() + 1,
            len: len.max(1),
        }
    }
}
