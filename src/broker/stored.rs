//! Record batches where they stand in a segment's file: one at a known position, or the next one that is right.
//!
//! Owns how bytes of a file are believed: never without the CRC and the offset that is due. Knows no partition.

use super::{
    batch::{Batch, HEADER_BYTES, Header},
    storage::{File, read_full_at},
};
use bytes::Bytes;
use std::{io, ops::Range};

/// Behind a damaged batch the next one is searched in pieces of this size.
const SEARCH_BYTES: usize = 1 << 20;

/// Whether a batch is the one that begins with this offset, byte for byte as it was written.
pub(super) fn is_right(batch: &Batch<'_>, expected: u64) -> bool {
    batch.header.base_offset == expected && batch.header.leader_epoch == 0 && batch.verify().is_ok()
}

/// A header that can be read and whose batch lies within the segment.
pub(super) fn header_at(file: &dyn File, position: u64, limit: u64) -> io::Result<Option<Header>> {
    let mut bytes = [0; HEADER_BYTES];
    if read_full_at(file, &mut bytes, position)? < HEADER_BYTES {
        return Ok(None);
    }
    let header = Header::parse(&bytes).ok();
    Ok(header.filter(|header| position + header.bytes as u64 <= limit))
}

/// The whole batch at a position, if it is right.
pub(super) fn batch_at(
    file: &dyn File,
    position: u64,
    header: &Header,
) -> io::Result<Option<Bytes>> {
    let mut bytes = vec![0; header.bytes];
    if read_full_at(file, &mut bytes, position)? < bytes.len() {
        return Ok(None);
    }
    let right = Batch::parse(&bytes, 0).is_ok_and(|batch| is_right(&batch, header.base_offset));
    Ok(right.then(|| bytes.into()))
}

/// The first whole, right batch in a range of a segment whose offsets lie in another range: position and base offset.
pub(super) fn search(
    file: &dyn File,
    places: Range<u64>,
    offsets: &Range<u64>,
) -> io::Result<Option<(u64, u64)>> {
    let mut buffer = vec![0; SEARCH_BYTES];
    let mut position = places.start;
    while position < places.end {
        let read = read_full_at(file, &mut buffer, position)?;
        let there = buffer.get(..read).unwrap_or_default();
        for (index, bytes) in there.windows(HEADER_BYTES).enumerate() {
            let Ok(header) = Header::parse(bytes) else {
                continue;
            };
            let at = position + index as u64;
            let plausible = offsets.contains(&header.base_offset)
                && header.next_offset() <= offsets.end
                && at + header.bytes as u64 <= places.end;
            if plausible && batch_at(file, at, &header)?.is_some() {
                return Ok(Some((at, header.base_offset)));
            }
        }
        if read < SEARCH_BYTES {
            break;
        }
        position += (read - HEADER_BYTES + 1) as u64;
    }
    Ok(None)
}
