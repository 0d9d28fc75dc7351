//! The errors that operators meet: one function each, with code and remedy.

use std::{io, path::Path};
use tapline_sdk::Error;

/// The file cannot be opened or read. The task goes on by itself once it can: a mount comes back, rights are given.
pub(crate) fn unreadable(path: &Path, error: io::Error) -> Error {
    Error::disconnected(format!("cannot read {}", path.display()))
        .code("TL0701")
        .remedy("let the worker's user read the file: the task goes on by itself")
        .because(error)
}

/// What stands at the path is no file of bytes.
pub(crate) fn not_regular(path: &Path) -> Error {
    Error::config(format!("{} is not a regular file", path.display()))
        .code("TL0702")
        .remedy("name a regular file: a folder, pipe or device has no positions to go on from")
}

/// A line for which no record has room, in a format that cannot say that a line goes on.
pub(crate) fn too_long(path: &Path, position: u64, bytes_max: usize) -> Error {
    Error::config(format!(
        "the line at byte {position} of {} is longer than line.max.bytes, {bytes_max}",
        path.display()
    ))
    .code("TL0703")
    .remedy(
        "raise line.max.bytes (and message.max.bytes of the worker, if it is below twice that), or set record.format \
         to struct, which splits long lines",
    )
}

/// The sink cannot write its file, or the positions beside it. A folder that is missing comes only by somebody's hand;
/// room and rights may come back.
pub(crate) fn unwritable(path: &Path, error: io::Error) -> Error {
    if let io::ErrorKind::NotFound | io::ErrorKind::NotADirectory = error.kind() {
        return Error::config(format!("cannot write {}", path.display()))
            .code("TL0710")
            .remedy("make its folder, then restart the connector; or name another file")
            .because(error);
    }
    Error::retriable(format!("cannot write {}", path.display()))
        .code("TL0710")
        .remedy("give room and rights to write the file and its folder: the task goes on by itself")
        .because(error)
}

/// Somebody else holds the positions for longer than any write takes.
pub(crate) fn busy(path: &Path) -> Error {
    Error::disconnected(format!("another process holds {}", path.display()))
        .code("TL0711")
        .remedy("stop the other worker, or give each its own file")
}

/// The positions beside the file cannot be read back.
pub(crate) fn damaged(path: &Path, why: &str) -> Error {
    Error::config(format!("{} cannot be read: {why}", path.display()))
        .code("TL0712")
        .remedy(
            "restore it, or remove it: the sink then goes on from its group position, and may repeat the lines of the \
             last second",
        )
}

/// The positions beside the file are of another log.
pub(crate) fn foreign(path: &Path, topic: &str, partition: u32) -> Error {
    Error::config(format!(
        "{} holds a position of {topic}/{partition} in another log or an earlier topic of that name",
        path.display()
    ))
    .code("TL0713")
    .remedy(
        "set the offset to null with `tapline offsets set` to append this topic from its beginning, or write to \
         another file",
    )
}

/// A position has moved that only this task should move.
pub(crate) fn overtaken(path: &Path, topic: &str, partition: u32) -> Error {
    Error::disconnected(format!(
        "another task has moved the position of {topic}/{partition} in {}",
        path.display()
    ))
    .code("TL0714")
    .remedy("nothing to do unless this lasts; two workers must not run one connector")
}
