//! Raw rows as the server sends them, split into values without copying.
//!
//! ```text
//! pgoutput TupleData: ncols i16, then each: 'n' | 'u' | 't' len i32 bytes | 'b' len i32 bytes
//! COPY binary row:    ncols i16, then each: len i32 (-1: null) bytes;  ncols -1 ends the copy
//! ```

use tapline_sdk::RecordError;

/// One raw value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TupleData<'a> {
    /// SQL's NULL.
    Null,
    /// A TOAST value that did not change and was not sent.
    Unchanged,
    /// The type's text form.
    Text(&'a [u8]),
    /// The form that the plan's select list asked for, in COPY's binary format.
    Binary(&'a [u8]),
}

/// The places of a row's values in a buffer. Kept and refilled, so that reading a row allocates nothing.
#[derive(Debug, Default)]
pub struct TupleSpans {
    spans: Vec<Span>,
}

/// A row: its values' places and the buffer they are in.
#[derive(Debug, Clone, Copy)]
pub struct Tuple<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Null,
    Unchanged,
    Text,
    Binary,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    form: Form,
    start: u32,
    len: u32,
}

impl TupleSpans {
    /// Reads a pgoutput tuple at `at` of `message`; returns where it ends.
    ///
    /// # Errors
    /// If the message is cut short or has an unknown kind of value.
    pub fn read_pgoutput(&mut self, message: &[u8], at: usize) -> Result<usize, RecordError> {
        self.spans.clear();
        let mut reader = Reader { bytes: message, at };
        let columns = reader.i16()?;
        for _ in 0..columns {
            let form = match reader.u8()? {
                b'n' => Form::Null,
                b'u' => Form::Unchanged,
                b't' => Form::Text,
                b'b' => Form::Binary,
                _ => return Err(RecordError::new("tuple has a value of unknown kind")),
            };
            let sized = matches!(form, Form::Text | Form::Binary);
            let len = if sized { reader.i32()? } else { 0 };
            self.spans.push(reader.span(form, len)?);
        }
        Ok(reader.at)
    }

    /// Reads one row of a binary COPY, header excluded; `false` is the end marker.
    ///
    /// # Errors
    /// If the row is cut short or longer than its values.
    pub fn read_copy_row(&mut self, row: &[u8]) -> Result<bool, RecordError> {
        self.spans.clear();
        let mut reader = Reader { bytes: row, at: 0 };
        let columns = reader.i16()?;
        if columns == -1 {
            return Ok(false);
        }
        for _ in 0..columns {
            let len = reader.i32()?;
            let span = if len == -1 {
                reader.span(Form::Null, 0)?
            } else {
                reader.span(Form::Binary, len)?
            };
            self.spans.push(span);
        }
        if reader.at == row.len() {
            Ok(true)
        } else {
            Err(RecordError::new(
                "copied row has bytes after its last value",
            ))
        }
    }

    /// The row, in the buffer it was read from.
    #[must_use]
    pub fn view<'a>(&'a self, bytes: &'a [u8]) -> Tuple<'a> {
        Tuple {
            bytes,
            spans: &self.spans,
        }
    }
}

impl<'a> Tuple<'a> {
    /// How many values there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.spans.len()
    }

    /// Whether there is none: a table may have no columns.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.spans.is_empty()
    }

    /// The value of a column; null past the end, where an older row of a table that has grown has none.
    #[must_use]
    pub fn get(self, column: usize) -> TupleData<'a> {
        let Some(span) = self.spans.get(column) else {
            return TupleData::Null;
        };
        let bytes = || {
            let start = span.start as usize;
            let end = start + span.len as usize;
            self.bytes.get(start..end).unwrap_or_default()
        };
        match span.form {
            Form::Null => TupleData::Null,
            Form::Unchanged => TupleData::Unchanged,
            Form::Text => TupleData::Text(bytes()),
            Form::Binary => TupleData::Binary(bytes()),
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let taken = self
            .bytes
            .get(self.at..)
            .and_then(|rest| rest.first_chunk::<N>());
        self.at += N;
        taken.copied().ok_or_else(cut_short)
    }

    fn u8(&mut self) -> Result<u8, RecordError> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn i16(&mut self) -> Result<i16, RecordError> {
        self.take().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Result<i32, RecordError> {
        self.take().map(i32::from_be_bytes)
    }

    fn span(&mut self, form: Form, len: i32) -> Result<Span, RecordError> {
        let (Ok(start), Ok(len)) = (u32::try_from(self.at), u32::try_from(len)) else {
            return Err(cut_short());
        };
        self.at += len as usize;
        if self.at > self.bytes.len() {
            return Err(cut_short());
        }
        Ok(Span { form, start, len })
    }
}

fn cut_short() -> RecordError {
    RecordError::new("tuple is cut short")
}
