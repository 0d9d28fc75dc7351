//! Record headers in the log: the names of our own, their layouts, and values as Connect's simple converter writes
//! them.

use tapline_sdk::{Arena, Cell, RecordError, RecordRef, Schema, Transaction, Type, Value};

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
    let schema = record.shape().value.as_deref()?;
    let mut paths = String::new();
    collect(
        schema,
        record.arena(),
        record.head().value,
        &mut String::new(),
        &mut paths,
    );
    (!paths.is_empty()).then_some(paths)
}

fn collect(schema: &Schema, arena: &Arena, cell: Cell, path: &mut String, paths: &mut String) {
    let before = path.len();
    for (field, child) in schema.fields().iter().zip(arena.children(cell)) {
        if !matches!(child, Cell::Unavailable | Cell::Struct(_)) {
            continue;
        }
        if before > 0 {
            path.push('.');
        }
        escape(&field.name, path);
        if *child == Cell::Unavailable {
            if !paths.is_empty() {
                paths.push(',');
            }
            paths.push_str(path);
        } else {
            collect(&field.schema, arena, *child, path, paths);
        }
        path.truncate(before);
    }
}

fn escape(name: &str, path: &mut String) {
    for c in name.chars() {
        if matches!(c, ',' | '.' | '\\') {
            path.push('\\');
        }
        path.push(c);
    }
}

/// Turns the fields that the header names back into [`Cell::Unavailable`].
///
/// # Errors
/// The header is no text, or names a field that the value does not have.
pub(super) fn mark_unavailable(
    paths: &[u8],
    schema: &Schema,
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
            let at = schema.index_of(&name).ok_or_else(wrong)?;
            if names.peek().is_none() {
                if arena.children(parent).len() <= at {
                    return Err(wrong());
                }
                arena.set_child(parent, at, Cell::Unavailable);
            } else {
                parent = *arena.children(parent).get(at).ok_or_else(wrong)?;
                schema = &schema.fields().get(at).ok_or_else(wrong)?.schema;
            }
        }
    }
    Ok(())
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

/// Whether a header's value travels as Avro: only structs do, the rest is text.
pub(super) fn is_avro(schema: &Schema) -> bool {
    matches!(schema.ty, Type::Struct(_))
}

/// Appends a header's value as text, as Connect's `SimpleHeaderConverter` does. Null is no value at all.
pub(super) fn text(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => out.extend_from_slice(text.as_bytes()),
        // Bytes of a header of somebody else stay as they are: they would not come back from base64.
        Value::Bytes(bytes) => out.extend_from_slice(bytes),
        other => super::json::value(None, other, out),
    }
}
