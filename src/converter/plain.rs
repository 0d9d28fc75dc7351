//! The converters of one plain value: text, bytes, a boolean, a number.

use super::{
    avro::Placeholder,
    charset::Charset,
    decimal,
    print::{Form, Printer},
};
use std::sync::Arc;
use tapline_sdk::{Arena, Cell, RecordError, Schema, Type};

/// What the value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    /// Text in this encoding; whatever is no text is written as Java's `toString`.
    Text(Charset),
    /// Bytes as they are.
    Bytes,
    /// One byte, 0 or 1.
    Boolean,
    /// Two bytes, big-endian, as all numbers.
    Short,
    /// Four bytes.
    Integer,
    /// Eight bytes.
    Long,
    /// Four bytes of IEEE 754.
    Float,
    /// Eight bytes of IEEE 754.
    Double,
}

impl Plain {
    /// The schema of what is read: Kafka's are all optional.
    pub(super) fn schema(self) -> Arc<Schema> {
        Schema::of(self.ty()).optional().build()
    }

    fn ty(self) -> Type {
        match self {
            Self::Text(_) => Type::Text,
            Self::Bytes => Type::Bytes,
            Self::Boolean => Type::Bool,
            Self::Short => Type::Int16,
            Self::Integer => Type::Int32,
            Self::Long => Type::Int64,
            Self::Float => Type::Float32,
            Self::Double => Type::Float64,
        }
    }

    /// Appends a value that is not null.
    ///
    /// # Errors
    /// The schema is of another type than this converter's.
    pub(super) fn encode(
        self,
        schema: Option<&Schema>,
        arena: &Arena,
        cell: Cell,
        placeholder: &Placeholder,
        out: &mut Vec<u8>,
    ) -> Result<(), RecordError> {
        let fits = |schema: &Schema| schema.ty == self.ty() && !schema.is_named(decimal::NAME);
        match (self, cell) {
            (Self::Text(charset), Cell::Text(_)) => {
                return match charset {
                    Charset::Utf8 => {
                        out.extend_from_slice(arena.raw(cell));
                        Ok(())
                    }
                    charset => match arena.value(cell) {
                        tapline_sdk::Value::Text(text) => charset.encode(text, out),
                        _ => Ok(()),
                    },
                };
            }
            (Self::Text(charset), _) => {
                let mut text = Vec::new();
                let printer = Printer {
                    form: Form::Java,
                    arena,
                    placeholder: Some(placeholder),
                };
                printer.print(schema, cell, &mut text)?;
                return charset.encode(&String::from_utf8_lossy(&text), out);
            }
            _ if !schema.is_none_or(fits) => return Err(self.unfit()),
            (Self::Bytes, Cell::Bytes(_)) => out.extend_from_slice(arena.raw(cell)),
            (Self::Boolean, Cell::Bool(value)) => out.push(value.into()),
            (Self::Long, Cell::Int(value)) => out.extend_from_slice(&value.to_be_bytes()),
            // Without a schema a whole number is a Long and another a Double, which the original refuses here too.
            (Self::Short, Cell::Int(value)) if schema.is_some() => {
                out.extend_from_slice(&narrow(i16::try_from(value))?.to_be_bytes());
            }
            (Self::Integer, Cell::Int(value)) if schema.is_some() => {
                out.extend_from_slice(&narrow(i32::try_from(value))?.to_be_bytes());
            }
            (Self::Double, Cell::Float(value)) => out.extend_from_slice(&value.to_be_bytes()),
            (Self::Float, Cell::Float(value)) if schema.is_some() => {
                out.extend_from_slice(&(value as f32).to_be_bytes());
            }
            _ => return Err(self.unfit()),
        }
        Ok(())
    }

    fn unfit(self) -> RecordError {
        RecordError::new(format!("a value that is no {}", self.name()))
    }

    /// Reads a value.
    ///
    /// # Errors
    /// The bytes are not of this form.
    pub(super) fn decode(self, bytes: &[u8], arena: &mut Arena) -> Result<Cell, RecordError> {
        let wrong = || RecordError::new(format!("{} bytes are no {}", bytes.len(), self.name()));
        Ok(match self {
            Self::Text(Charset::Utf8) => arena.utf8(bytes)?,
            Self::Text(charset) => arena.text_with(|out| charset.decode(bytes, out))?,
            Self::Bytes => arena.bytes(bytes),
            Self::Boolean => match bytes {
                [0] => Cell::Bool(false),
                [1] => Cell::Bool(true),
                _ => return Err(wrong()),
            },
            Self::Short => Cell::Int(
                fixed(bytes)
                    .map(i16::from_be_bytes)
                    .ok_or_else(wrong)?
                    .into(),
            ),
            Self::Integer => Cell::Int(
                fixed(bytes)
                    .map(i32::from_be_bytes)
                    .ok_or_else(wrong)?
                    .into(),
            ),
            Self::Long => Cell::Int(fixed(bytes).map(i64::from_be_bytes).ok_or_else(wrong)?),
            Self::Float => Cell::Float(
                fixed(bytes)
                    .map(f32::from_be_bytes)
                    .ok_or_else(wrong)?
                    .into(),
            ),
            Self::Double => Cell::Float(fixed(bytes).map(f64::from_be_bytes).ok_or_else(wrong)?),
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Bytes => "byte array",
            Self::Boolean => "boolean",
            Self::Short => "short",
            Self::Integer => "integer",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
        }
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

fn narrow<T, E>(value: Result<T, E>) -> Result<T, RecordError> {
    value.map_err(|_| RecordError::new("a number that is out of the range of its type"))
}
