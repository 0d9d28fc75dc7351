//! Values of many rows in one buffer.
//!
//! An [`Arena`] owns text and bytes in one buffer and every cell in one array; a [`Cell`] is a number or a span of
//! either. Writing a row is appending to two vectors: no allocation per row or value, and dropping a batch frees two
//! blocks. It never interprets a value: widths and logical types live in the [`Schema`](crate::Schema).

use crate::RecordError;
use std::str;

/// A range of an arena's bytes (for text and bytes) or cells (for arrays, maps and structs).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    start: u32,
    len: u32,
}

/// One value, 16 bytes. A number's width lives in its schema. Maps alternate key, value.
///
/// A cell means something only together with the arena that made it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell {
    /// SQL's NULL, Connect's null.
    Null,
    /// A TOAST value that Postgres did not send because it is unchanged: never a null, never a text.
    Unavailable,
    /// Connect's BOOLEAN.
    Bool(bool),
    /// INT8 to INT64, by the schema.
    Int(i64),
    /// FLOAT32 and FLOAT64, by the schema.
    Float(f64),
    /// STRING, UTF-8 by construction.
    Text(Span),
    /// BYTES.
    Bytes(Span),
    /// ARRAY.
    Array(Span),
    /// MAP, alternating key and value.
    Map(Span),
    /// STRUCT, one cell per field of its schema.
    Struct(Span),
}

/// Contiguous cells that are being filled: the children of one struct, array or map.
#[derive(Debug, Clone, Copy)]
pub struct Block {
    start: u32,
    len: u32,
}

/// A borrowed view of one value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// See [`Cell::Null`].
    Null,
    /// See [`Cell::Unavailable`].
    Unavailable,
    /// See [`Cell::Bool`].
    Bool(bool),
    /// See [`Cell::Int`].
    Int(i64),
    /// See [`Cell::Float`].
    Float(f64),
    /// See [`Cell::Text`].
    Text(&'a str),
    /// See [`Cell::Bytes`].
    Bytes(&'a [u8]),
    /// See [`Cell::Array`].
    Array(Cells<'a>),
    /// See [`Cell::Map`].
    Map(Cells<'a>),
    /// See [`Cell::Struct`].
    Struct(Cells<'a>),
}

/// The children of an array, a map or a struct.
#[derive(Debug, Clone, Copy)]
pub struct Cells<'a> {
    arena: &'a Arena,
    cells: &'a [Cell],
}

/// One buffer and one array of cells; at most 4 GiB and 2³² cells, far above any batch's byte budget.
#[derive(Debug, Clone, Default)]
pub struct Arena {
    bytes: Vec<u8>,
    cells: Vec<Cell>,
}

impl Arena {
    /// An empty arena with room for this many bytes and cells.
    #[must_use]
    pub fn with_capacity(bytes: usize, cells: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            cells: Vec::with_capacity(cells),
        }
    }

    /// Bytes held by values and cells, for budgets.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.bytes.len() + self.cells.len() * size_of::<Cell>()
    }

    /// Forgets every value and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.cells.clear();
    }

    /// A copy of this text.
    #[inline]
    pub fn text(&mut self, text: &str) -> Cell {
        Cell::Text(self.copy(text.as_bytes()))
    }

    /// A copy of this text, checked to be UTF-8.
    ///
    /// # Errors
    /// Names the offset of the first byte that is not UTF-8.
    #[inline]
    pub fn utf8(&mut self, text: &[u8]) -> Result<Cell, RecordError> {
        // Most texts are ASCII, which is told eight bytes at a time.
        if !text.is_ascii()
            && let Err(error) = str::from_utf8(text)
        {
            return Err(not_utf8(error.valid_up_to()));
        }
        Ok(Cell::Text(self.copy(text)))
    }

    /// A copy of these bytes.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) -> Cell {
        Cell::Bytes(self.copy(bytes))
    }

    /// Text that `write` appends to the buffer, without a copy between. What is not UTF-8 is refused and undone.
    ///
    /// # Errors
    /// What `write` returns, or the offset of the first byte that is not UTF-8.
    pub fn text_with<E: From<RecordError>>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Cell, E> {
        let span = self.append(write)?;
        match str::from_utf8(self.slice(span)) {
            Ok(_) => Ok(Cell::Text(span)),
            Err(error) => {
                self.bytes.truncate(span.start as usize);
                Err(not_utf8(error.valid_up_to()).into())
            }
        }
    }

    /// Bytes that `write` appends to the buffer, without a copy between.
    ///
    /// # Errors
    /// What `write` returns; its partial output is undone.
    pub fn bytes_with<E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Cell, E> {
        self.append(write).map(Cell::Bytes)
    }

    /// This many contiguous cells, all null, to be filled with [`Arena::set`].
    #[inline]
    pub fn block(&mut self, len: usize) -> Block {
        let start = index(self.cells.len());
        self.cells.resize(self.cells.len() + len, Cell::Null);
        Block {
            start,
            len: index(len),
        }
    }

    /// Puts a value of this arena into a block; an index past the block's end is ignored.
    #[inline]
    pub fn set(&mut self, block: Block, at: usize, cell: Cell) {
        if at < block.len as usize
            && let Some(place) = self.cells.get_mut(block.start as usize + at)
        {
            *place = cell;
        }
    }

    /// Replaces a child of an array, map or struct of this arena; an index past its end, or a parent without
    /// children, is ignored.
    pub fn set_child(&mut self, parent: Cell, at: usize, cell: Cell) {
        if let Cell::Array(span) | Cell::Map(span) | Cell::Struct(span) = parent
            && at < span.len as usize
            && let Some(place) = self.cells.get_mut(span.start as usize + at)
        {
            *place = cell;
        }
    }

    /// A copy of these cells, which must be of this arena, as one block.
    #[inline]
    pub fn block_of(&mut self, cells: &[Cell]) -> Block {
        let start = index(self.cells.len());
        self.cells.extend_from_slice(cells);
        Block {
            start,
            len: index(cells.len()),
        }
    }

    /// The view of a cell of this arena.
    #[must_use]
    #[inline]
    pub fn value(&self, cell: Cell) -> Value<'_> {
        match cell {
            Cell::Null => Value::Null,
            Cell::Unavailable => Value::Unavailable,
            Cell::Bool(value) => Value::Bool(value),
            Cell::Int(value) => Value::Int(value),
            Cell::Float(value) => Value::Float(value),
            // Text was checked when it was written; another arena's cell reads as empty.
            Cell::Text(span) => Value::Text(str::from_utf8(self.slice(span)).unwrap_or_default()),
            Cell::Bytes(span) => Value::Bytes(self.slice(span)),
            Cell::Array(span) => Value::Array(self.children_of(span)),
            Cell::Map(span) => Value::Map(self.children_of(span)),
            Cell::Struct(span) => Value::Struct(self.children_of(span)),
        }
    }

    /// The bytes of a text or bytes cell without checking UTF-8 again, for encoders; empty for any other cell.
    #[must_use]
    #[inline]
    pub fn raw(&self, cell: Cell) -> &[u8] {
        match cell {
            Cell::Text(span) | Cell::Bytes(span) => self.slice(span),
            _ => &[],
        }
    }

    /// The child cells of an array, map or struct cell, for encoders; empty for any other cell.
    #[must_use]
    #[inline]
    pub fn children(&self, cell: Cell) -> &[Cell] {
        match cell {
            Cell::Array(span) | Cell::Map(span) | Cell::Struct(span) => self.cells_in(span),
            _ => &[],
        }
    }

    /// Copies a value, children included, from another arena into this one.
    pub fn import(&mut self, from: &Self, cell: Cell) -> Cell {
        let children = |arena: &mut Self, span: Span| {
            let block = arena.block(span.len as usize);
            for (at, child) in from.cells_in(span).iter().enumerate() {
                let child = arena.import(from, *child);
                arena.set(block, at, child);
            }
            block
        };
        match cell {
            Cell::Text(span) => Cell::Text(self.copy(from.slice(span))),
            Cell::Bytes(span) => Cell::Bytes(self.copy(from.slice(span))),
            Cell::Array(span) => children(self, span).array(),
            Cell::Map(span) => children(self, span).map(),
            Cell::Struct(span) => children(self, span).structure(),
            plain => plain,
        }
    }

    fn append<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<Span, E> {
        let start = self.bytes.len();
        if let Err(error) = write(&mut self.bytes) {
            self.bytes.truncate(start);
            return Err(error);
        }
        Ok(Span {
            start: index(start),
            len: index(self.bytes.len().saturating_sub(start)),
        })
    }

    #[inline]
    fn copy(&mut self, bytes: &[u8]) -> Span {
        let start = index(self.bytes.len());
        self.bytes.extend_from_slice(bytes);
        Span {
            start,
            len: index(bytes.len()),
        }
    }

    #[inline]
    fn slice(&self, span: Span) -> &[u8] {
        self.bytes
            .get(span.start as usize..)
            .and_then(|rest| rest.get(..span.len as usize))
            .unwrap_or_default()
    }

    #[inline]
    fn cells_in(&self, span: Span) -> &[Cell] {
        self.cells
            .get(span.start as usize..)
            .and_then(|rest| rest.get(..span.len as usize))
            .unwrap_or_default()
    }

    fn children_of(&self, span: Span) -> Cells<'_> {
        Cells {
            arena: self,
            cells: self.cells_in(span),
        }
    }
}

#[cold]
fn not_utf8(at: usize) -> RecordError {
    RecordError::new(format!("text is not UTF-8 at byte {at}"))
}

/// Batches are bounded to a few MiB and single values by Postgres to 1 GiB: 32 bits always suffice.
#[inline]
fn index(len: usize) -> u32 {
    u32::try_from(len).expect("invariant: an arena stays below 4 GiB")
}

impl Block {
    /// The block as an array.
    #[must_use]
    pub fn array(self) -> Cell {
        Cell::Array(self.span())
    }

    /// The block as a map: key, value, key, value, …
    #[must_use]
    pub fn map(self) -> Cell {
        Cell::Map(self.span())
    }

    /// The block as a struct.
    #[must_use]
    pub fn structure(self) -> Cell {
        Cell::Struct(self.span())
    }

    fn span(self) -> Span {
        Span {
            start: self.start,
            len: self.len,
        }
    }
}

impl<'a> Cells<'a> {
    /// How many children there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.cells.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.cells.is_empty()
    }

    /// The child at this index; null past the end.
    #[must_use]
    pub fn get(self, at: usize) -> Value<'a> {
        self.cells
            .get(at)
            .map_or(Value::Null, |cell| self.arena.value(*cell))
    }

    /// The children in order.
    pub fn iter(self) -> impl Iterator<Item = Value<'a>> {
        self.cells.iter().map(move |cell| self.arena.value(*cell))
    }

    /// The children as cells of [`Cells::arena`], for encoders.
    #[must_use]
    pub fn cells(self) -> &'a [Cell] {
        self.cells
    }

    /// The arena that holds the children.
    #[must_use]
    pub fn arena(self) -> &'a Arena {
        self.arena
    }
}

impl PartialEq for Cells<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().zip(other.iter()).all(|(a, b)| a == b)
    }
}
