//! Batches of what compaction keeps: records with gaps between their offsets, over a range of offsets without any.
//!
//! A compacted batch begins where the one before it ended and reaches to where the next begins, as if the records that
//! went were still there. So batches follow each other without a gap as ever, and readers miss none unnoticed.

use super::{
    HEADER_BYTES, PREFIX_BYTES,
    builder::{PLAIN_BYTES_MAX, measure, seal},
    codec::{Compression, Packer},
    cursor::{Gather, varint_len},
    error::{BatchError, Problem},
    header::{DELETE_HORIZON, MAGIC},
    reader::Record,
};
use bytes::Bytes;
use std::ops::Range;

/// Gathers records, and writes them as one batch.
#[derive(Default)]
pub(in crate::broker) struct SparseBatch {
    records: Vec<Kept>,
    /// Keys, values and headers, back to back.
    bytes: Vec<u8>,
    packer: Packer,
}

/// A record's parts in [`SparseBatch::bytes`].
struct Kept {
    offset: u64,
    timestamp_ms: i64,
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    /// Their count and themselves, as in a batch.
    headers: Range<usize>,
}

impl SparseBatch {
    pub(in crate::broker) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// About what the records take, before compression.
    pub(in crate::broker) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Takes a record behind those it has.
    pub(in crate::broker) fn push(&mut self, record: &Record<'_>) {
        let key = record.key.map(|key| self.put(key));
        let value = record.value.map(|value| self.put(value));
        let start = self.bytes.len();
        let (count, _) = measure(record.headers);
        self.number(count);
        for (name, value) in record.headers {
            self.length(Some(name.as_bytes()));
            self.put(name.as_bytes());
            self.length(value);
            self.put(value.unwrap_or_default());
        }
        self.records.push(Kept {
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            key,
            value,
            headers: start..self.bytes.len(),
        });
    }

    fn put(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    fn number(&mut self, number: i64) {
        let mut varint = Gather::default();
        varint.varint(number);
        self.bytes.extend_from_slice(varint.get());
    }

    fn length(&mut self, bytes: Option<&[u8]>) {
        let mut varint = Gather::default();
        varint.length(bytes);
        self.bytes.extend_from_slice(varint.get());
    }

    /// Writes the batch over these offsets, which hold all records, and empties itself. A horizon is from when on its
    /// tombstones may go.
    ///
    /// # Errors
    /// If the range is larger than a batch's can be, or the compressor fails.
    pub(in crate::broker) fn finish(
        &mut self,
        offsets: &Range<u64>,
        compression: Compression,
        horizon_ms: Option<i64>,
    ) -> Result<Bytes, BatchError> {
        let wrong = |problem| BatchError { at: 0, problem };
        let out_of_range = || {
            wrong(Problem::Field {
                name: "last offset delta",
                value: offsets.end.cast_signed(),
            })
        };
        let last_delta = offsets.end.checked_sub(offsets.start + 1);
        let last_delta = last_delta.and_then(|delta| i32::try_from(delta).ok());
        let last_delta = last_delta.ok_or_else(out_of_range)?;
        let first = self
            .records
            .first()
            .map_or(-1, |record| record.timestamp_ms);
        let base_ms = horizon_ms.unwrap_or(first);
        let max_ms = self.records.iter().map(|record| record.timestamp_ms).max();
        let records = self.encode(offsets.start, base_ms);
        let compression = match records.len() {
            0..PLAIN_BYTES_MAX => Compression::None,
            _ => compression,
        };
        let packed = self.packer.pack(compression, &records).map_err(wrong)?;
        let (compression, body) = match packed {
            Some(packed) => (compression, packed),
            None => (Compression::None, &records[..]),
        };
        let too_large = |_| {
            wrong(Problem::TooLarge {
                limit: super::RECORDS_BYTES_MAX,
            })
        };
        let length = i32::try_from(HEADER_BYTES - PREFIX_BYTES + body.len()).map_err(too_large)?;
        let count = i32::try_from(self.records.len()).map_err(too_large)?;
        let attributes = compression.id() | horizon_ms.map_or(0, |_| DELETE_HORIZON);
        let mut batch = Vec::with_capacity(HEADER_BYTES + body.len());
        batch.extend_from_slice(&offsets.start.to_be_bytes());
        batch.extend_from_slice(&length.to_be_bytes());
        batch.extend_from_slice(&0_i32.to_be_bytes());
        batch.extend_from_slice(&MAGIC.to_be_bytes());
        batch.extend_from_slice(&0_u32.to_be_bytes());
        batch.extend_from_slice(&attributes.to_be_bytes());
        batch.extend_from_slice(&last_delta.to_be_bytes());
        batch.extend_from_slice(&base_ms.to_be_bytes());
        batch.extend_from_slice(&max_ms.unwrap_or(-1).to_be_bytes());
        // No producer: its id, epoch and sequence.
        batch.extend_from_slice(&(-1_i64).to_be_bytes());
        batch.extend_from_slice(&(-1_i16).to_be_bytes());
        batch.extend_from_slice(&(-1_i32).to_be_bytes());
        batch.extend_from_slice(&count.to_be_bytes());
        batch.extend_from_slice(body);
        seal(&mut batch);
        self.records.clear();
        self.bytes.clear();
        Ok(batch.into())
    }

    fn encode(&self, base: u64, base_ms: i64) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes.len() + self.records.len() * 16);
        let part = |range: &Range<usize>| self.bytes.get(range.clone()).unwrap_or_default();
        for record in &self.records {
            let key = record.key.as_ref().map(part);
            let value = record.value.as_ref().map(part);
            let headers = part(&record.headers);
            let mut head = Gather::default();
            head.byte(0);
            // Wraps as readers do: base + delta is exact for every pair.
            head.varint(record.timestamp_ms.wrapping_sub(base_ms));
            head.varint((record.offset - base).cast_signed());
            head.length(key);
            let value_len = value.map_or(-1, |value| value.len() as i64);
            let length = head.get().len()
                + key.map_or(0, <[u8]>::len)
                + varint_len(value_len)
                + value.map_or(0, <[u8]>::len)
                + headers.len();
            let mut whole = Gather::default();
            whole.varint(length as i64);
            out.extend_from_slice(whole.get());
            out.extend_from_slice(head.get());
            out.extend_from_slice(key.unwrap_or_default());
            let mut tail = Gather::default();
            tail.length(value);
            out.extend_from_slice(tail.get());
            out.extend_from_slice(value.unwrap_or_default());
            out.extend_from_slice(headers);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::batch::{Batch, BatchBuilder, BatchReader};

    #[test]
    fn a_sparse_batch_reads_as_the_records_it_was_made_of() {
        let mut builder = BatchBuilder::new();
        for number in 0..200_u32 {
            let key = number.to_be_bytes();
            let value = (number % 3 > 0).then_some(&[b'v'; 90][..]);
            let headers = [("a", Some(&b"1"[..])), ("b", None)];
            builder
                .append(Some(&key), value, 1_000 - i64::from(number), headers)
                .expect("it fits");
        }
        let whole = builder.finish(Compression::Lz4).expect("a batch");
        for (compression, horizon) in [(Compression::None, None), (Compression::Zstd, Some(77))] {
            let batch = Batch::parse(&whole, 0).expect("it is whole");
            let (mut sparse, mut reader) = (SparseBatch::default(), BatchReader::new());
            let mut kept = Vec::new();
            for record in reader.read(&batch).expect("it is right") {
                let record = record.expect("every record is right");
                if record.offset % 7 == 3 {
                    sparse.push(&record);
                    kept.push((record.offset, record.timestamp_ms, record.value.is_none()));
                }
            }
            let bytes = sparse
                .finish(&(2..500), compression, horizon)
                .expect("a batch");
            let batch = Batch::parse(&bytes, 0).expect("it is whole");
            batch.verify().expect("its checksum fits");
            let header = batch.header;
            assert_eq!((header.base_offset, header.next_offset()), (2, 500));
            assert_eq!(header.delete_horizon_ms(), horizon);
            assert_eq!(header.max_timestamp_ms, 997);
            let mut reader = BatchReader::new();
            let records = reader.read(&batch).expect("it is right");
            let read = records.map(|record| {
                let record = record.expect("every record is right");
                assert_eq!(
                    record.key,
                    Some(&u32::try_from(record.offset).unwrap().to_be_bytes()[..])
                );
                assert_eq!(record.headers.get("a"), Some(Some(&b"1"[..])));
                assert_eq!(record.headers.get("b"), Some(None));
                (record.offset, record.timestamp_ms, record.value.is_none())
            });
            assert_eq!(read.collect::<Vec<_>>(), kept);
        }
        let empty = SparseBatch::default().finish(&(5..9), Compression::Lz4, None);
        let empty = empty.expect("a batch without records");
        let batch = Batch::parse(&empty, 0).expect("it is whole");
        assert_eq!((batch.header.count, batch.header.next_offset()), (0, 9));
        assert_eq!(BatchReader::new().read(&batch).expect("right").count(), 0);
    }
}
