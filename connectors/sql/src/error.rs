//! The errors of the SQL sink, each made in one place with its code and remedy. What a server's SQLSTATE means is the
//! dialect's affair ([`crate::dialect::postgres::error`]).
//!
//! | Code | Meaning |
//! |---|---|
//! | TL0401 | the connection's configuration is wrong |
//! | TL0402 | the target cannot be reached, or the connection broke |
//! | TL0403 | the target rejects the login, or has no such database |
//! | TL0404 | the role lacks a privilege, or the target is read-only |
//! | TL0405 | the target's position belongs to another cluster |
//! | TL0406 | the target's position belongs to another topic of the same name |
//! | TL0407 | the target's position is outside the log |
//! | TL0408 | the target had positions and has none now |
//! | TL0409 | another task has taken the partitions over |
//! | TL0410 | the target lacks a table or column and may not be changed |
//! | TL0411 | a column's type changed in a way that the target cannot follow by itself |
//! | TL0412 | the target's table has no unique index on the key |
//! | TL0413 | a name is longer than the target allows, or empty |
//! | TL0415 | the target cannot do it now: a deadlock, a lock, a timeout, a full disk |
//! | TL0416 | the target refuses a statement |
//! | TL0417 | a batch does not continue where the target stands |

use tapline_sdk::Error;

/// Another task has taken the partitions over (I10).
pub fn fenced(connector: &str) -> Error {
    Error::fatal(format!(
        "connector `{connector}` was superseded: its positions in the target were changed by another task or operator"
    ))
    .code("TL0409")
    .remedy("make sure that one worker runs this connector; restart the task to take the partitions over again")
}

/// A batch that would go back, or skip.
pub fn out_of_order(topic: &str, partition: u32, stands: u64, got: u64) -> Error {
    Error::fatal(format!(
        "batch of {topic}/{partition} has offset {got}, but the target stands at {stands}"
    ))
    .code("TL0417")
    .remedy("restart the task: it reads the target's position again")
}

/// A name that the target would cut, or none.
pub fn bad_name(what: &str, name: &str, bytes_max: usize) -> Error {
    let problem = if name.is_empty() {
        "is empty".to_owned()
    } else if name.contains('\0') {
        "holds a NUL character".to_owned()
    } else {
        format!("has {} bytes, {bytes_max} are allowed", name.len())
    };
    Error::config(format!("{what} name `{}` {problem}", name.escape_default()))
        .code("TL0413")
        .remedy("change collection.name.format, or rename it with a transform")
}

/// A table or column that is missing while `schema.evolution` forbids to make it.
pub fn missing(object: &str) -> Error {
    Error::config(format!(
        "the target has no {object}, and schema.evolution is none"
    ))
    .code("TL0410")
    .remedy(format!(
        "create {object} in the target, or set schema.evolution to basic"
    ))
}

/// A source type change without a safe cast.
pub fn retyped(table: &str, column: &str, from: &str, to: &str) -> Error {
    Error::config(format!(
        "column `{column}` of {table} changed its type at the source to {to}; the target's {from} has no safe cast to it"
    ))
    .code("TL0411")
    .remedy(format!(
        "run ALTER TABLE {table} ALTER COLUMN … TYPE {to} USING … on the target, then restart the task"
    ))
}

/// A table whose rows cannot be found by their key.
pub fn no_unique_index(table: &str, columns: &str) -> Error {
    Error::config(format!(
        "{table} has no unique index on its key ({columns})"
    ))
    .code("TL0412")
    .remedy(format!(
        "CREATE UNIQUE INDEX ON {table} ({columns}), or set insert.mode to insert"
    ))
}
