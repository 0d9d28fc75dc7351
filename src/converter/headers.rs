//! Record headers in the log: the names of our own, their layouts, and values as Connect's simple converter writes
//! and reads them.

use super::print::{Form, Printer};
use std::sync::Arc;
use tapline_sdk::{Arena, Cell, RecordError, RecordRef, Schema, Transaction, Type};

/// Names the fields of the value that are [`Cell::Unavailable`]: paths, a comma between paths, a dot between names
/// (`after.body,after.notes`). A comma, dot or backslash in a name is preceded by a backslash.
pub const UNAVAILABLE: &str = "__tapline.unavailable";

/// The record's [`Transaction`], 14 bytes: version u8 = 1, flags u8 (bit 0: last), id u64, ordinal u32, big endian.
pub const TRANSACTION: &str = "__tapline.transaction";

/// Marks a copy of a [`tapline_sdk::Partition::All`] record, 9 bytes: version u8 = 1, id u64 big endian. All copies
/// of one barrier carry the same id.
pub const BARRIER: &str = "__tapline.barrier";

/// The version of both fixed layouts.
const VERSION: u8 = 1;
/// Bit 0 of a transaction's flags; the others are 0.
const LAST: u8 = 1;

/// The value of [`TRANSACTION`].
pub(super) fn transaction(of: Transaction) -> [u8; 14] {
    let mut bytes = [0; 14];
    let [version, flags, rest @ ..] = &mut bytes;
    *version = VERSION;
    *flags = u8::from(of.last) * LAST;
    let (id, ordinal) = rest.split_at_mut(8);
    id.copy_from_slice(&of.id.to_be_bytes());
    ordinal.copy_from_slice(&of.ordinal.to_be_bytes());
    bytes
}

/// Reads what [`transaction`] wrote.
pub(super) fn parse_transaction(bytes: &[u8]) -> Result<Transaction, RecordError> {
    let wrong = || RecordError::new(format!("the header {TRANSACTION} is of another version"));
    let [VERSION, flags @ (0 | LAST), rest @ ..] = bytes else {
        return Err(wrong());
    };
    let (id, ordinal) = rest.split_first_chunk::<8>().ok_or_else(wrong)?;
    Ok(Transaction {
        id: u64::from_be_bytes(*id),
        ordinal: u32::from_be_bytes(ordinal.try_into().map_err(|_| wrong())?),
        last: *flags == LAST,
    })
}

/// The value of [`BARRIER`].
pub(super) fn barrier(id: u64) -> [u8; 9] {
    let mut bytes = [VERSION; 9];
    let [_, rest @ ..] = &mut bytes;
    *rest = id.to_be_bytes();
    bytes
}

/// Reads what [`barrier`] wrote.
pub(super) fn parse_barrier(bytes: &[u8]) -> Result<u64, RecordError> {
    match bytes {
        [VERSION, id @ ..] if id.len() == 8 => {
            let id = id.try_into().map(u64::from_be_bytes);
            id.map_err(|_| RecordError::new("a barrier without an id"))
        }
        _ => Err(RecordError::new(format!(
            "the header {BARRIER} is of another version"
        ))),
    }
}

/// The paths of the fields of a record's value that are unavailable, as [`UNAVAILABLE`] tells them; `None` if there
/// is none.
#[must_use]
pub fn unavailable_fields(record: RecordRef<'_>) -> Option<String> {
    let mut paths = String::new();
    let schema = record.shape().value.as_deref();
    let cell = record.head().value;
    collect(schema, record.arena(), cell, &mut String::new(), &mut paths);
    (!paths.is_empty()).then_some(paths)
}

fn collect(
    schema: Option<&Schema>,
    arena: &Arena,
    cell: Cell,
    path: &mut String,
    paths: &mut String,
) {
    let children = arena.children(cell);
    match (schema, cell) {
        (Some(schema), Cell::Struct(_)) => {
            for (field, child) in schema.fields().iter().zip(children) {
                named(Some(&field.schema), arena, &field.name, *child, path, paths);
            }
        }
        (None, Cell::Map(_)) => {
            for pair in children.chunks_exact(2) {
                if let [key, child] = pair
                    && let tapline_sdk::Value::Text(name) = arena.value(*key)
                {
                    named(None, arena, name, *child, path, paths);
                }
            }
        }
        _ => {}
    }
}

fn named(
    schema: Option<&Schema>,
    arena: &Arena,
    name: &str,
    child: Cell,
    path: &mut String,
    paths: &mut String,
) {
    if !matches!(child, Cell::Unavailable | Cell::Struct(_) | Cell::Map(_)) {
        return;
    }
    let before = path.len();
    if before > 0 {
        path.push('.');
    }
    escape(name, path);
    if child == Cell::Unavailable {
        if !paths.is_empty() {
            paths.push(',');
        }
        paths.push_str(path);
    } else {
        collect(schema, arena, child, path, paths);
    }
    path.truncate(before);
}

fn escape(name: &str, path: &mut String) {
    for c in name.chars() {
        if matches!(c, ',' | '.' | '\\') {
            path.push('\\');
        }
        path.push(c);
    }
}

/// Whether a value has fields that a header could name: a struct, or an object without a schema.
pub(super) fn has_fields(schema: Option<&Schema>, cell: Cell) -> bool {
    matches!(
        (schema, cell),
        (Some(_), Cell::Struct(_)) | (None, Cell::Map(_))
    )
}

/// Turns the fields that the header names back into [`Cell::Unavailable`].
///
/// # Errors
/// The header is no text, or names a field that the value does not have.
pub(super) fn mark_unavailable(
    paths: &[u8],
    schema: Option<&Schema>,
    arena: &mut Arena,
    root: Cell,
) -> Result<(), RecordError> {
    let wrong = || {
        RecordError::new(format!(
            "the header {UNAVAILABLE} names no field of this value"
        ))
    };
    let text = std::str::from_utf8(paths).map_err(|_| wrong())?;
    for path in split(text, ',') {
        let (mut schema, mut parent) = (schema, root);
        let mut names = split(path, '.').peekable();
        while let Some(name) = names.next() {
            let name = unescape(name);
            let (at, part) = place(schema, arena, parent, &name).ok_or_else(wrong)?;
            let child = *arena.children(parent).get(at).ok_or_else(wrong)?;
            if names.peek().is_none() {
                arena.set_child(parent, at, Cell::Unavailable);
            } else {
                (schema, parent) = (part, child);
            }
        }
    }
    Ok(())
}

/// The child of this name: its index and schema.
fn place<'s>(
    schema: Option<&'s Schema>,
    arena: &Arena,
    parent: Cell,
    name: &str,
) -> Option<(usize, Option<&'s Schema>)> {
    match (schema, parent) {
        (Some(schema), _) => {
            let at = schema.index_of(name)?;
            Some((at, Some(&*schema.fields().get(at)?.schema)))
        }
        (None, Cell::Map(_)) => {
            let mut keys = arena.children(parent).iter().step_by(2);
            let at = keys.position(|key| {
                matches!(key, Cell::Text(_)) && arena.raw(*key) == name.as_bytes()
            })?;
            Some((2 * at + 1, None))
        }
        (None, _) => None,
    }
}

/// The parts between separators that no backslash precedes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let current = rest?;
        let mut escaped = false;
        for (at, c) in current.char_indices() {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == separator {
                let (part, behind) = current.split_at(at);
                rest = behind.get(c.len_utf8()..);
                return Some(part);
            }
        }
        rest = None;
        Some(current)
    })
}

fn unescape(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    let mut escaped = false;
    for c in name.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            escaped = false;
            plain.push(c);
        }
    }
    plain
}

/// Whether a header's value is a struct: text cannot bring it back.
pub(super) fn is_struct(schema: &Schema) -> bool {
    matches!(schema.ty, Type::Struct(_))
}

/// How a header becomes a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderText {
    /// Bytes stay as they are: of somebody else's header they would not come back from base64.
    AsIs,
    /// Exactly as Connect's `SimpleHeaderConverter`.
    Simple,
}

/// Appends a header's value as text, as Connect's `SimpleHeaderConverter` does. The value is not null.
///
/// # Errors
/// There is no text for it.
pub(super) fn text(
    how: HeaderText,
    schema: Option<&Schema>,
    arena: &Arena,
    cell: Cell,
    out: &mut Vec<u8>,
) -> Result<(), RecordError> {
    if how == HeaderText::AsIs && matches!(cell, Cell::Bytes(_)) {
        out.extend_from_slice(arena.raw(cell));
        return Ok(());
    }
    let printer = Printer {
        form: Form::Header,
        arena,
        placeholder: None,
    };
    printer.print(schema, cell, out)
}

/// What a text of Connect's `SimpleHeaderConverter` was, as far as nothing is lost: a boolean, or a whole number of
/// the smallest type. Everything else stays a text, where the original would guess floats, dates, lists and maps.
pub(super) fn told_apart(text: &str) -> Option<(Arc<Schema>, Cell)> {
    let schema = |ty: Type| Schema::of(ty).build();
    if let Ok(value) = text.parse::<bool>() {
        return Some((schema(Type::Bool), Cell::Bool(value)));
    }
    let value: i64 = text.parse().ok()?;
    // `+5` and `007` are texts: they would not come back.
    if itoa::Buffer::new().format(value) != text {
        return None;
    }
    let ty = if i8::try_from(value).is_ok() {
        Type::Int8
    } else if i16::try_from(value).is_ok() {
        Type::Int16
    } else if i32::try_from(value).is_ok() {
        Type::Int32
    } else {
        Type::Int64
    };
    Some((schema(ty), Cell::Int(value)))
}
