//! Values on their way to the server: arrays of text for statements, lines for COPY.

use super::plan::Place;
use sqlx::{
    Encode, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgTypeInfo},
};
use tapline_sdk::{Arena, Cell, RecordError};

/// Bytes of a one-dimensional array's header: dimensions, flag of nulls, element type, length, lower bound.
const HEADER_BYTES: usize = 20;

/// The OID of `text`, fixed in every server.
const TEXT_OID: i32 = 25;

/// One column's values as a `text[]` in the server's binary form, written without a string per value.
#[derive(Debug, Clone)]
pub struct TextArray {
    bytes: Vec<u8>,
    rows: i32,
    nulls: bool,
}

impl TextArray {
    /// An empty array with room for this many values.
    #[must_use]
    pub fn with_capacity(rows: usize) -> Self {
        // Most values are short; longer ones grow the buffer a few times at most.
        let mut bytes = Vec::with_capacity(HEADER_BYTES + rows * 16);
        bytes.resize(HEADER_BYTES, 0);
        Self {
            bytes,
            rows: 0,
            nulls: false,
        }
    }

    /// Appends a value through its column's codec.
    ///
    /// # Errors
    /// The value cannot be written; the error names the column.
    pub fn push(&mut self, place: &Place, arena: &Arena, cell: Cell) -> Result<(), RecordError> {
        if cell == Cell::Null {
            self.bytes.extend_from_slice(&(-1_i32).to_be_bytes());
            self.nulls = true;
        } else {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(&[0; 4]);
            place
                .codec
                .write(arena, cell, &mut self.bytes)
                .map_err(|error| error.in_field(&place.name))?;
            let written = self.bytes.len() - start - 4;
            let length = i32::try_from(written)
                .map_err(|_| RecordError::new("value exceeds 2 GiB").in_field(&place.name))?;
            if let Some(field) = self.bytes.get_mut(start..start + 4) {
                field.copy_from_slice(&length.to_be_bytes());
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// Appends plain text.
    pub fn push_text(&mut self, text: &str) {
        let length = i32::try_from(text.len()).expect("invariant: flags are as many as columns");
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(text.as_bytes());
        self.rows += 1;
    }
}

impl Type<Postgres> for TextArray {
    fn type_info() -> PgTypeInfo {
        <Vec<String> as Type<Postgres>>::type_info()
    }
}

impl Encode<'_, Postgres> for TextArray {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        for part in [1, i32::from(self.nulls), TEXT_OID, self.rows, 1] {
            buffer.extend_from_slice(&part.to_be_bytes());
        }
        buffer.extend_from_slice(self.bytes.get(HEADER_BYTES..).unwrap_or_default());
        Ok(IsNull::No)
    }
}

/// Rows in COPY's text format.
#[derive(Debug, Default)]
pub struct CopyLines {
    bytes: Vec<u8>,
}

impl CopyLines {
    /// Room for this many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
        }
    }

    /// Appends a value; `first` starts a row.
    ///
    /// # Errors
    /// The value cannot be written; the error names the column.
    pub fn push(
        &mut self,
        first: bool,
        place: &Place,
        arena: &Arena,
        cell: Cell,
    ) -> Result<(), RecordError> {
        if !first {
            self.bytes.push(b'\t');
        }
        if cell == Cell::Null {
            self.bytes.extend_from_slice(b"\\N");
            return Ok(());
        }
        let start = self.bytes.len();
        place
            .codec
            .write(arena, cell, &mut self.bytes)
            .map_err(|error| error.in_field(&place.name))?;
        self.escape_from(start);
        Ok(())
    }

    /// Ends a row.
    pub fn end_row(&mut self) {
        self.bytes.push(b'\n');
    }

    /// The lines.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Few values hold what must be escaped: looking is cheap, rewriting rare.
    fn escape_from(&mut self, start: usize) {
        let special = |byte: &u8| matches!(byte, b'\\' | b'\n' | b'\r' | b'\t');
        if !self
            .bytes
            .get(start..)
            .unwrap_or_default()
            .iter()
            .any(special)
        {
            return;
        }
        for byte in self.bytes.split_off(start) {
            match byte {
                b'\\' => self.bytes.extend_from_slice(b"\\\\"),
                b'\n' => self.bytes.extend_from_slice(b"\\n"),
                b'\r' => self.bytes.extend_from_slice(b"\\r"),
                b'\t' => self.bytes.extend_from_slice(b"\\t"),
                other => self.bytes.push(other),
            }
        }
    }
}
