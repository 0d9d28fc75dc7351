//! Values as one text: what Java's `toString` says (the string converter), and the near-JSON of Connect's simple
//! header converter.

use super::{
    avro::Placeholder,
    decimal::{self, scale_of},
    java,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use tapline_sdk::{Arena, Cell, RecordError, Schema, Type};

const DATE: &str = "org.apache.kafka.connect.data.Date";
const TIME: &str = "org.apache.kafka.connect.data.Time";
const TIMESTAMP: &str = "org.apache.kafka.connect.data.Timestamp";
const DAY_MS: i64 = 86_400_000;

/// Which text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Java's: `Struct{id=1,tags=[a, b]}`.
    Java,
    /// Connect's for headers: `{"id":1,"tags":["a","b"]}`; times in ISO 8601.
    Header,
}

/// Writes values as text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Printer<'a> {
    pub(super) form: Form,
    pub(super) arena: &'a Arena,
    /// What stands for a value that the source's system did not send.
    pub(super) placeholder: Option<&'a Placeholder>,
}

impl Printer<'_> {
    /// Appends a value that is not null.
    ///
    /// # Errors
    /// Java's text for it would say nothing of it (bytes), or there is none.
    pub(super) fn print(
        self,
        schema: Option<&Schema>,
        cell: Cell,
        out: &mut Vec<u8>,
    ) -> Result<(), RecordError> {
        self.value(schema, cell, false, out)
    }

    fn value(
        self,
        schema: Option<&Schema>,
        cell: Cell,
        inside: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), RecordError> {
        let children = self.arena.children(cell);
        match cell {
            Cell::Null => out.extend_from_slice(b"null"),
            Cell::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
            Cell::Int(value) => self.int(schema, value, out)?,
            Cell::Float(value) if schema.is_some_and(|schema| schema.ty == Type::Float32) => {
                java::float(value as f32, out);
            }
            Cell::Float(value) => java::double(value, out),
            Cell::Text(_) if inside && self.form == Form::Header => {
                quoted(self.arena.raw(cell), out);
            }
            Cell::Text(_) => out.extend_from_slice(self.arena.raw(cell)),
            Cell::Bytes(_) => self.bytes(schema, self.arena.raw(cell), inside, out)?,
            Cell::Array(_) => self.list(schema, children, out)?,
            Cell::Map(_) => self.map(schema, children, out)?,
            Cell::Struct(_) => self.structure(schema, children, out)?,
            Cell::Unavailable => {
                return Err(RecordError::new(
                    "an unavailable value that is no field of a struct",
                ));
            }
        }
        Ok(())
    }

    fn int(
        self,
        schema: Option<&Schema>,
        value: i64,
        out: &mut Vec<u8>,
    ) -> Result<(), RecordError> {
        let name = schema.and_then(|schema| schema.name.as_deref());
        let unix_ms = match name {
            Some(DATE) => value.checked_mul(DAY_MS).unwrap_or(i64::MAX),
            Some(TIME | TIMESTAMP) => value,
            _ => {
                out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
                return Ok(());
            }
        };
        match (self.form, name) {
            (Form::Java, _) => java::date(unix_ms, out),
            (Form::Header, Some(DATE)) => java::time(unix_ms, "%Y-%m-%d", out),
            (Form::Header, Some(TIME)) => java::time(unix_ms, "%H:%M:%S.%3fZ", out),
            (Form::Header, _) => java::time(unix_ms, "%Y-%m-%dT%H:%M:%S.%3fZ", out),
        }
    }

    fn bytes(
        self,
        schema: Option<&Schema>,
        bytes: &[u8],
        inside: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), RecordError> {
        match (schema.and_then(scale_of), self.form) {
            (Some(scale), _) => decimal::to_text(bytes, scale.map_err(RecordError::new)?, out),
            (None, Form::Header) => {
                let text = STANDARD.encode(bytes);
                match inside {
                    true => quoted(text.as_bytes(), out),
                    false => out.extend_from_slice(text.as_bytes()),
                }
                Ok(())
            }
            (None, Form::Java) => Err(RecordError::new(
                "bytes, which have no text of their own: use the JSON, Avro or byte array converter",
            )),
        }
    }

    fn list(
        self,
        schema: Option<&Schema>,
        items: &[Cell],
        out: &mut Vec<u8>,
    ) -> Result<(), RecordError> {
        let item = match schema.map(|schema| &schema.ty) {
            Some(Type::Array(item)) => Some(&**item),
            _ => None,
        };
        out.push(b'[');
        for (at, cell) in items.iter().enumerate() {
            self.comma(at, out);
            self.value(item, *cell, true, out)?;
        }
        out.push(b']');
        Ok(())
    }

    fn map(
        self,
        schema: Option<&Schema>,
        entries: &[Cell],
        out: &mut Vec<u8>,
    ) -> Result<(), RecordError> {
        let (key, value) = match schema.map(|schema| &schema.ty) {
            Some(Type::Map(key, value)) => (Some(&**key), Some(&**value)),
            _ => (None, None),
        };
        out.push(b'{');
        for (at, pair) in entries.chunks_exact(2).enumerate() {
            let &[one, other] = pair else { continue };
            self.comma(at, out);
            self.value(key, one, true, out)?;
            out.push(if self.form == Form::Java { b'=' } else { b':' });
            self.value(value, other, true, out)?;
        }
        out.push(b'}');
        Ok(())
    }

    fn structure(
        self,
        schema: Option<&Schema>,
        children: &[Cell],
        out: &mut Vec<u8>,
    ) -> Result<(), RecordError> {
        let fields = schema.map(Schema::fields).unwrap_or_default();
        out.extend_from_slice(if self.form == Form::Java {
            b"Struct{"
        } else {
            b"{"
        });
        // Java leaves out what is null.
        let written = fields
            .iter()
            .zip(children)
            .filter(|(_, cell)| self.form == Form::Header || **cell != Cell::Null);
        for (at, (field, cell)) in written.enumerate() {
            if at > 0 {
                out.push(b',');
            }
            match self.form {
                Form::Java => out.extend_from_slice(field.name.as_bytes()),
                Form::Header => quoted(field.name.as_bytes(), out),
            }
            out.push(if self.form == Form::Java { b'=' } else { b':' });
            let value = match cell {
                Cell::Unavailable => self.unavailable(&field.schema, out),
                cell => self.value(Some(&field.schema), *cell, true, out),
            };
            value.map_err(|error| error.in_field(&field.name))?;
        }
        out.push(b'}');
        Ok(())
    }

    /// The header of the record says where; here stands what Debezium's users know.
    fn unavailable(self, schema: &Schema, out: &mut Vec<u8>) -> Result<(), RecordError> {
        let Some(placeholder) = self.placeholder else {
            return Err(RecordError::new("an unavailable value in a header"));
        };
        let mut arena = Arena::default();
        let cell = placeholder.cell(schema, &mut arena);
        match cell {
            Cell::Bytes(_) if scale_of(schema).is_none() => {
                out.extend_from_slice(placeholder.text().as_bytes());
                Ok(())
            }
            cell => {
                let printer = Printer {
                    arena: &arena,
                    form: self.form,
                    placeholder: None,
                };
                printer.value(Some(schema), cell, true, out)
            }
        }
    }

    fn comma(self, at: usize, out: &mut Vec<u8>) {
        if at > 0 {
            let comma: &[u8] = if self.form == Form::Java { b", " } else { b"," };
            out.extend_from_slice(comma);
        }
    }
}

/// Connect escapes the quote and the backslash alone.
fn quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}
