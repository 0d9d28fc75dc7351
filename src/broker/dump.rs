//! Prints what a segment file holds, for `tapline dump`: every batch, its records if asked for, and what is damaged.
//!
//! The only reader that needs no log: it opens one file, changes nothing and trusts nothing in it.

use super::{
    batch::{Batch, BatchReader, Header, Record},
    error,
    storage::{Disk, File, Open, Storage},
    stored::{batch_at, header_at, search},
};
use std::{
    io::{self, Write},
    ops::Range,
    path::Path,
};
use tapline_sdk::Error;

/// Bytes of a key or value that are shown.
const SHOWN_BYTES_MAX: usize = 120;

/// What to print of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dump {
    /// One line per batch.
    Batches,
    /// And one per record: offset, time, sizes, names of headers.
    Records,
    /// And the keys and values, as text where they are text.
    Data,
}

/// What was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dumped {
    /// Batches that are right.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// Ranges of bytes that are no right batches.
    pub damaged: u64,
}

/// Prints the segment file at `path`.
///
/// # Errors
/// If the file cannot be read or `out` not be written to. Damage is no error: it is printed and counted.
pub fn dump(path: &Path, what: Dump, out: &mut dyn Write) -> Result<Dumped, Error> {
    let failed = |error| error::io(format!("cannot dump `{}`", path.display()), error);
    dump_file(path, what, out).map_err(failed)
}

fn dump_file(path: &Path, what: Dump, out: &mut dyn Write) -> io::Result<Dumped> {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or(io::ErrorKind::InvalidInput)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let disk = Disk::over(folder.unwrap_or(Path::new(".")))?;
    let file = disk.open(name, Open::Read)?;
    let len = file.len()?;
    let mut dumped = Dumped::default();
    let mut reader = BatchReader::new();
    let mut position = 0;
    let mut expected = name.strip_suffix(".log").and_then(|base| base.parse().ok());
    while position < len {
        if let Some((header, bytes)) = right_batch(&*file, position, len, expected)? {
            writeln!(out, "{}", batch_line(&header, position))?;
            let batch = Batch::parse(&bytes, position).map_err(io::Error::other)?;
            dump_records(&mut reader, &batch, what, out, &mut dumped)?;
            dumped.batches += 1;
            expected = Some(header.next_offset());
            position += header.bytes as u64;
        } else {
            let offsets = expected.unwrap_or(0)..u64::MAX;
            let next = search(&*file, position + 1..len, &offsets)?;
            writeln!(
                out,
                "{}",
                damage_line(
                    position..next.map_or(len, |next| next.0),
                    expected,
                    next.map(|next| next.1)
                )
            )?;
            dumped.damaged += 1;
            (position, expected) =
                next.map_or((len, None), |(position, base)| (position, Some(base)));
        }
    }
    writeln!(
        out,
        "{} batches, {} records, {} damaged ranges, {len} bytes",
        dumped.batches, dumped.records, dumped.damaged
    )?;
    Ok(dumped)
}

fn right_batch(
    file: &dyn File,
    position: u64,
    len: u64,
    expected: Option<u64>,
) -> io::Result<Option<(Header, bytes::Bytes)>> {
    let follows = |header: &Header| expected.is_none_or(|expected| header.base_offset >= expected);
    let Some(header) = header_at(file, position, len)?.filter(follows) else {
        return Ok(None);
    };
    Ok(batch_at(file, position, &header)?.map(|bytes| (header, bytes)))
}

fn batch_line(header: &Header, position: u64) -> String {
    let codec = header.compression().map_or_else(
        |error| error.to_string(),
        |codec| format!("{codec:?}").to_lowercase(),
    );
    format!(
        "offsets {}..{}  position {position}  bytes {}  records {}  {codec}  max timestamp {}  crc {:08x}",
        header.base_offset,
        header.last_offset(),
        header.bytes,
        header.count,
        header.max_timestamp_ms,
        header.crc
    )
}

fn damage_line(bytes: Range<u64>, expected: Option<u64>, next: Option<u64>) -> String {
    let mut line = format!("DAMAGED  bytes {}..{}", bytes.start, bytes.end - 1);
    match (expected, next) {
        (Some(first), Some(next)) => line.push_str(&format!("  offsets {first}..{}", next - 1)),
        (Some(first), None) => line.push_str(&format!("  offsets from {first}")),
        _ => {}
    }
    line
}

fn dump_records(
    reader: &mut BatchReader,
    batch: &Batch<'_>,
    what: Dump,
    out: &mut dyn Write,
    dumped: &mut Dumped,
) -> io::Result<()> {
    let records = match reader.read(batch) {
        Ok(records) => records,
        Err(error) => return writeln!(out, "  cannot be unpacked: {error}"),
    };
    for record in records {
        let record = match record {
            Ok(record) => record,
            Err(error) => return writeln!(out, "  cannot be read: {error}"),
        };
        dumped.records += 1;
        if what != Dump::Batches {
            writeln!(out, "{}", record_line(&record, what))?;
        }
    }
    Ok(())
}

fn record_line(record: &Record<'_>, what: Dump) -> String {
    let size = |bytes: Option<&[u8]>| {
        bytes.map_or("null".to_owned(), |bytes| format!("{} B", bytes.len()))
    };
    let mut line = format!(
        "  offset {}  timestamp {}  key {}  value {}",
        record.offset,
        record.timestamp_ms,
        size(record.key),
        size(record.value)
    );
    let names: Vec<String> = record
        .headers
        .map(|(name, _)| shown(name.as_bytes()))
        .collect();
    if !names.is_empty() {
        line.push_str("  headers ");
        line.push_str(&names.join(", "));
    }
    if what == Dump::Data {
        for (name, bytes) in [("key", record.key), ("value", record.value)] {
            let text = bytes.map_or("null".to_owned(), shown);
            line.push_str(&format!("\n    {name} {text}"));
        }
    }
    line
}

/// Text as it is, other bytes escaped, so that nothing reaches a terminal that could steer it.
fn shown(bytes: &[u8]) -> String {
    let (head, cut) = match bytes.split_at_checked(SHOWN_BYTES_MAX) {
        Some((head, rest)) if !rest.is_empty() => (head, "…"),
        _ => (bytes, ""),
    };
    let mut text = String::new();
    for chunk in head.utf8_chunks() {
        text.extend(chunk.valid().chars().flat_map(|c| {
            let plain = !c.is_control();
            plain
                .then_some(c)
                .into_iter()
                .chain((!plain).then(|| c.escape_default()).into_iter().flatten())
        }));
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text + cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::batch::{BatchBuilder, Compression, set_base_offset};

    fn segment() -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut builder = BatchBuilder::new();
        for base in 0..3_u64 {
            let value = format!("value-{base}\u{1b}");
            builder
                .append(Some(b"k"), Some(value.as_bytes()), 1_000, [("h", None)])
                .expect("a small record");
            let mut batch = builder.finish(Compression::None).expect("a batch").to_vec();
            set_base_offset(&mut batch, base);
            bytes.extend(batch);
        }
        bytes
    }

    fn dumped(bytes: &[u8], what: Dump) -> (Dumped, String) {
        let dir = tempfile::TempDir::new().expect("a folder");
        let path = dir.path().join("00000000000000000000.log");
        std::fs::write(&path, bytes).expect("written");
        let mut out = Vec::new();
        let dumped = dump(&path, what, &mut out).expect("readable");
        (dumped, String::from_utf8(out).expect("text"))
    }

    #[test]
    fn batches_and_records_are_listed() {
        let (found, text) = dumped(&segment(), Dump::Data);
        assert_eq!(
            found,
            Dumped {
                batches: 3,
                records: 3,
                damaged: 0
            }
        );
        assert!(
            text.contains("offset 2  timestamp 1000  key 1 B  value 8 B  headers h"),
            "{text}"
        );
        assert!(
            text.contains("value value-1\\u{1b}"),
            "no control characters reach the terminal: {text}"
        );
        let (_, text) = dumped(&segment(), Dump::Batches);
        assert_eq!(text.lines().count(), 4, "{text}");
    }

    #[test]
    fn damage_is_named_and_what_follows_is_listed() {
        let mut bytes = segment();
        let batch = bytes.len() / 3;
        bytes[batch + 70] ^= 1;
        let (found, text) = dumped(&bytes, Dump::Batches);
        assert_eq!(
            found,
            Dumped {
                batches: 2,
                records: 2,
                damaged: 1
            }
        );
        let line = format!("DAMAGED  bytes {batch}..{}  offsets 1..1", 2 * batch - 1);
        assert!(text.contains(&line), "{text}");
        let (found, text) = dumped(&bytes[..batch + 30], Dump::Batches);
        assert_eq!((found.batches, found.damaged), (1, 1));
        assert!(text.contains("offsets from 1"), "{text}");
    }
}
