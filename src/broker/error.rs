//! The errors of the log, each with its code and remedy, in one place.
//!
//! | Code | Meaning |
//! |---|---|
//! | TL0201 | the data directory is in use by another process |
//! | TL0202 | the data directory has another format version, or features this version does not know |
//! | TL0203 | the directory is no data directory of ours, or its `meta` file is damaged |
//! | TL0204 | the log has stopped for good after a failed sync or write |
//! | TL0205 | a writer was fenced by its successor |
//! | TL0206 | an earlier commit of the same writer failed |
//! | TL0207 | unknown topic or partition |
//! | TL0208 | invalid topic name |
//! | TL0209 | invalid topic setting or number of partitions |
//! | TL0210 | a record batch is malformed or its checksum is wrong |
//! | TL0211 | a record batch is larger than `max.message.bytes` |
//! | TL0212 | an offset is out of range |
//! | TL0213 | an offset lies in a damaged range |
//! | TL0214 | the data directory cannot be read or written |
//! | TL0215 | the checkpoint is missing or damaged |
//! | TL0216 | too much waits to be committed |
//! | TL0217 | the log is closed |
//! | TL0218 | the journal holds an operation that this version does not know |

use std::{io, ops::Range};
use tapline_sdk::{Error, TopicPartition};

pub(super) const STOPPED: &str = "TL0204";

pub(super) fn in_use() -> Error {
    Error::config("it is in use by another process")
        .code("TL0201")
        .remedy("stop the other worker, or give this one another data directory")
}

pub(super) fn other_version(found: &str) -> Error {
    Error::config(format!("the data directory was written by {found}"))
        .code("TL0202")
        .remedy("start the version of tapline that wrote it; nothing was changed")
}

pub(super) fn foreign(why: &str) -> Error {
    Error::config(format!("not a usable data directory: {why}"))
        .code("TL0203")
        .remedy(
            "name an empty directory or one that tapline made, or restore the file from a backup",
        )
}

pub(super) fn stopped(why: &str) -> Error {
    Error::fatal(format!("the log has stopped: {why}"))
        .code(STOPPED)
        .remedy(
            "check the disk and the system log, then restart the worker: it reads the disk again",
        )
}

pub(super) fn fenced(owner: &str) -> Error {
    Error::fatal(format!("writer of `{owner}` was replaced by a newer one"))
        .code("TL0205")
        .remedy("nothing to do: the newer task goes on; this one ends")
}

pub(super) fn earlier_failed(owner: &str) -> Error {
    Error::retriable(format!(
        "an earlier commit of writer `{owner}` failed, so this one was not tried"
    ))
    .code("TL0206")
    .remedy("take a new writer and read the position from the log again")
}

pub(super) fn unknown_topic(topic: &str) -> Error {
    Error::config(format!("unknown topic `{topic}`"))
        .code("TL0207")
        .remedy("`tapline topics` lists the topics; create it, or correct the name")
}

pub(super) fn unknown_partition(at: &TopicPartition, partitions: usize) -> Error {
    Error::config(format!(
        "topic `{}` has {partitions} partitions, no partition {}",
        at.topic, at.partition
    ))
    .code("TL0207")
    .remedy("partitions count from 0")
}

pub(super) fn bad_name(topic: &str, why: &str) -> Error {
    Error::config(format!("invalid topic name `{topic}`: {why}"))
        .code("TL0208")
        .remedy("use 1 to 249 characters of a-z, A-Z, 0-9, `.`, `_` and `-`")
}

pub(super) fn bad_setting(topic: &str, why: &str) -> Error {
    Error::config(format!("topic `{topic}`: {why}")).code("TL0209")
}

pub(super) fn bad_batch(at: &TopicPartition, why: &str) -> Error {
    Error::fatal(format!(
        "record batch for {}/{} is malformed: {why}",
        at.topic, at.partition
    ))
    .code("TL0210")
    .remedy("a defect of the task that made it, or of the machine's memory; restart the task")
}

pub(super) fn too_large(at: &TopicPartition, bytes: usize, max: usize) -> Error {
    Error::config(format!(
        "record batch of {bytes} bytes for topic `{}` is larger than its limit, `max.message.bytes`={max}",
        at.topic
    ))
    .code("TL0211")
    .remedy("raise `message.max.bytes` of the worker, or leave the large column out")
}

pub(super) fn out_of_range(at: &TopicPartition, offset: u64, start: u64, end: u64) -> Error {
    Error::config(format!(
        "offset {offset} of {}/{} is out of range: the log holds {start} up to {end}",
        at.topic, at.partition
    ))
    .code("TL0212")
    .remedy("set the position with `tapline offsets set`; records outside that range are gone, by retention or near `log.bytes.max`")
}

pub(super) fn damaged(at: &TopicPartition, range: &Range<u64>) -> Error {
    Error::fatal(format!(
        "offsets {} to {} of {}/{} are damaged on disk and are not served",
        range.start,
        range.end.saturating_sub(1),
        at.topic,
        at.partition
    ))
    .code("TL0213")
    .remedy(format!(
        "restore the segment from a backup, or skip them: `tapline offsets set` to {}",
        range.end
    ))
}

pub(super) fn io(what: impl Into<String>, error: io::Error) -> Error {
    Error::retriable(what)
        .code("TL0214")
        .remedy("check the disk, its space and the rights of the data directory")
        .because(error)
}

pub(super) fn bad_checkpoint(why: &str) -> Error {
    Error::config(format!("cannot open the log: checkpoint {why}"))
        .code("TL0215")
        .remedy(
            "restore the file `checkpoint` from a backup of the same moment; nothing was changed",
        )
}

pub(super) fn queue_full(bytes: usize) -> Error {
    Error::retriable(format!("{bytes} bytes already wait to be committed"))
        .code("TL0216")
        .remedy("the disk is full or too slow; tasks continue by themselves")
}

pub(super) fn closed() -> Error {
    Error::disconnected("the log is closed")
        .code("TL0217")
        .remedy("the worker is stopping")
}

pub(super) fn unknown_operation(kind: u8, sequence: u64) -> Error {
    Error::config(format!(
        "journal entry {sequence} is an operation (kind {kind}) that this version cannot apply"
    ))
    .code("TL0218")
    .remedy("start the version of tapline that wrote it; nothing was changed")
}

/// Whether the disk is full, which is waited for, unlike any other failure.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
