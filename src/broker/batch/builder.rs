//! Writing records into a batch: one buffer for records, one for what is compressed, both reused.

use super::{
    HEADER_BYTES, PREFIX_BYTES, RECORDS_BYTES_MAX,
    codec::{Compression, Packer},
    cursor::{Gather, varint_len},
    error::{BatchError, Problem},
    header::{CRC_AT, CRC_FROM, MAGIC, crc},
};
use bytes::Bytes;

/// Records that together are smaller are not compressed: the commit costs a sync either way, and small batches gain
/// next to nothing.
pub(super) const PLAIN_BYTES_MAX: usize = 4 << 10;

/// The buffers that an idle builder keeps; a batch is seldom larger than 1 MiB.
const RETAINED_BYTES_MAX: usize = 4 << 20;

/// Length, attributes, timestamp and offset of a record have at most 5 + 1 + 10 + 5 bytes, its lengths 5 each.
const RECORD_OVERHEAD_BYTES_MAX: usize = 40;

/// The bytes set aside for a length that is not known yet: right for 64 to 8,191, and moved over otherwise.
const LENGTH_BYTES_GUESS: usize = 2;

/// Builds batches, one after the other, their base offset 0. Offsets are dense: a record's is its place.
pub struct BatchBuilder {
    /// A header's room, then the records.
    batch: Vec<u8>,
    totals: Totals,
    packer: Packer,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchBuilder {
    /// An empty builder.
    #[must_use]
    pub fn new() -> Self {
        Self {
            batch: vec![0; HEADER_BYTES],
            totals: Totals::default(),
            packer: Packer::default(),
        }
    }

    /// Records so far.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.totals.count
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.totals.count == 0
    }

    /// Bytes of the batch so far, header included, before compression.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.batch.len()
    }

    /// Forgets the records.
    pub fn clear(&mut self) {
        self.batch.truncate(HEADER_BYTES);
        if self.batch.capacity() > RETAINED_BYTES_MAX {
            self.batch = vec![0; HEADER_BYTES];
        }
        self.packer.shrink(RETAINED_BYTES_MAX);
        self.totals = Totals::default();
    }

    /// Appends a record; `None` as value is a tombstone.
    ///
    /// # Errors
    /// [`Problem::TooLarge`] if the batch would exceed [`RECORDS_BYTES_MAX`]; the builder is as it was.
    pub fn append<'h, H>(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp_ms: i64,
        headers: H,
    ) -> Result<(), BatchError>
    where
        H: IntoIterator<Item = (&'h str, Option<&'h [u8]>)>,
        H::IntoIter: Clone,
    {
        let headers = headers.into_iter();
        let (header_count, header_bytes) = measure(headers.clone());
        let sized = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        let payload = sized(key)
            .saturating_add(sized(value))
            .saturating_add(header_bytes);
        self.check(payload)?;
        let mut head = self.head(timestamp_ms);
        head.length(key);
        let mut tail = Gather::default();
        tail.length(value);
        let count_bytes = varint_len(header_count);
        // Within RECORDS_BYTES_MAX, as checked.
        let length = (head.get().len() + tail.get().len() + count_bytes + payload) as i64;
        let mut record = Gather::default();
        record.varint(length);
        self.batch
            .reserve(length as usize + RECORD_OVERHEAD_BYTES_MAX);
        self.batch.extend_from_slice(record.get());
        self.batch.extend_from_slice(head.get());
        self.batch.extend_from_slice(key.unwrap_or_default());
        self.batch.extend_from_slice(tail.get());
        self.batch.extend_from_slice(value.unwrap_or_default());
        self.headers(header_count, headers);
        self.totals.add(timestamp_ms);
        Ok(())
    }

    /// Appends a record whose value `write` appends to the buffer it is given, so that an encoder's output is not
    /// copied. `write` must only append.
    ///
    /// # Errors
    /// What `write` returns, or [`Problem::TooLarge`]; the builder is as it was.
    pub fn append_with<'h, H, E>(
        &mut self,
        key: Option<&[u8]>,
        timestamp_ms: i64,
        headers: H,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E>
    where
        H: IntoIterator<Item = (&'h str, Option<&'h [u8]>)>,
        E: From<BatchError>,
    {
        let begin = self.batch.len();
        let written = self.write_record(key, timestamp_ms, headers, write);
        match written {
            Ok(()) => self.totals.add(timestamp_ms),
            Err(_) => self.batch.truncate(begin),
        }
        written
    }

    fn write_record<'h, H, E>(
        &mut self,
        key: Option<&[u8]>,
        timestamp_ms: i64,
        headers: H,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E>
    where
        H: IntoIterator<Item = (&'h str, Option<&'h [u8]>)>,
        E: From<BatchError>,
    {
        self.check(key.map_or(0, <[u8]>::len))?;
        let record_at = self.batch.len();
        let mut head = self.head(timestamp_ms);
        head.length(key);
        self.batch.extend_from_slice(&[0; LENGTH_BYTES_GUESS]);
        self.batch.extend_from_slice(head.get());
        self.batch.extend_from_slice(key.unwrap_or_default());
        let value_at = self.batch.len();
        self.batch.extend_from_slice(&[0; LENGTH_BYTES_GUESS]);
        write(&mut self.batch)?;
        self.check(0)?;
        self.patch_length(value_at)?;
        let mut count = 0;
        let count_at = self.batch.len();
        self.batch.push(0);
        for header in headers {
            count += 1;
            self.check(header.0.len() + header.1.map_or(0, <[u8]>::len))?;
            self.header(header);
        }
        self.patch(count_at, 1, count);
        self.check(0)?;
        self.patch_length(record_at)?;
        Ok(())
    }

    /// Ends the batch and empties the builder for the next. Less than 4 KiB, and what does not shrink, stay plain.
    ///
    /// # Errors
    /// If there is no record, or if the compressor fails, for lack of memory; the records are still there.
    pub fn finish(&mut self, compression: Compression) -> Result<Bytes, BatchError> {
        if self.is_empty() {
            let name = "record count";
            return Err(at_start(Problem::Field { name, value: 0 }));
        }
        let (_, records) = self.batch.split_at(HEADER_BYTES);
        let compression = match records.len() {
            0..PLAIN_BYTES_MAX => Compression::None,
            _ => compression,
        };
        let finished = match self.packer.pack(compression, records).map_err(at_start)? {
            None => {
                let header = self.totals.header(Compression::None, records.len());
                let (room, _) = self.batch.split_at_mut(HEADER_BYTES);
                room.copy_from_slice(&header);
                seal(&mut self.batch);
                Bytes::copy_from_slice(&self.batch)
            }
            Some(packed) => {
                let mut batch = Vec::with_capacity(HEADER_BYTES + packed.len());
                batch.extend_from_slice(&self.totals.header(compression, packed.len()));
                batch.extend_from_slice(packed);
                seal(&mut batch);
                Bytes::from(batch)
            }
        };
        self.clear();
        Ok(finished)
    }

    /// Whether `bytes` more fit, their lengths included.
    fn check(&self, bytes: usize) -> Result<(), BatchError> {
        let records = self.batch.len() - HEADER_BYTES + RECORD_OVERHEAD_BYTES_MAX;
        if records.saturating_add(bytes) <= RECORDS_BYTES_MAX {
            return Ok(());
        }
        let limit = RECORDS_BYTES_MAX;
        Err(at_start(Problem::TooLarge { limit }))
    }

    /// Attributes, timestamp and offset of the next record.
    fn head(&self, timestamp_ms: i64) -> Gather {
        let delta = match self.totals.count {
            0 => 0,
            // Wraps as readers do: base + delta is exact for every pair.
            _ => timestamp_ms.wrapping_sub(self.totals.base_timestamp_ms),
        };
        let mut head = Gather::default();
        head.byte(0);
        head.varint(delta);
        head.varint(self.totals.count.into());
        head
    }

    fn headers<'h>(
        &mut self,
        count: i64,
        headers: impl Iterator<Item = (&'h str, Option<&'h [u8]>)>,
    ) {
        let mut head = Gather::default();
        head.varint(count);
        self.batch.extend_from_slice(head.get());
        for header in headers {
            self.header(header);
        }
    }

    fn header(&mut self, (name, value): (&str, Option<&[u8]>)) {
        let mut head = Gather::default();
        head.length(Some(name.as_bytes()));
        self.batch.extend_from_slice(head.get());
        self.batch.extend_from_slice(name.as_bytes());
        let mut head = Gather::default();
        head.length(value);
        self.batch.extend_from_slice(head.get());
        self.batch.extend_from_slice(value.unwrap_or_default());
    }

    /// Puts the length of what follows the room at `at` into that room.
    fn patch_length(&mut self, at: usize) -> Result<(), BatchError> {
        let Some(length) = self.batch.len().checked_sub(at + LENGTH_BYTES_GUESS) else {
            return Err(at_start(Problem::Record {
                index: self.totals.count,
                at,
                reason: "the writer of the value took bytes away",
            }));
        };
        // Within RECORDS_BYTES_MAX, as checked by the caller.
        self.patch(at, LENGTH_BYTES_GUESS, length as i64);
        Ok(())
    }

    fn patch(&mut self, at: usize, room: usize, number: i64) {
        let mut varint = Gather::default();
        varint.varint(number);
        if varint.get().len() == room {
            self.batch[at..at + room].copy_from_slice(varint.get());
        } else {
            self.batch
                .splice(at..at + room, varint.get().iter().copied());
        }
    }
}

/// What the header says about the records.
#[derive(Clone, Copy, Default)]
struct Totals {
    count: u32,
    base_timestamp_ms: i64,
    max_timestamp_ms: i64,
}

impl Totals {
    fn add(&mut self, timestamp_ms: i64) {
        if self.count == 0 {
            self.base_timestamp_ms = timestamp_ms;
            self.max_timestamp_ms = timestamp_ms;
        }
        self.max_timestamp_ms = self.max_timestamp_ms.max(timestamp_ms);
        self.count += 1;
    }

    /// The header of a batch with `records` bytes behind it, its checksum still 0.
    fn header(&self, compression: Compression, records: usize) -> [u8; HEADER_BYTES] {
        // Both fit: records are bounded by RECORDS_BYTES_MAX and take at least 7 bytes each.
        let length = (HEADER_BYTES - PREFIX_BYTES + records) as i32;
        let count = self.count.cast_signed();
        let mut header = Header::default();
        header.put(&0_i64.to_be_bytes());
        header.put(&length.to_be_bytes());
        header.put(&0_i32.to_be_bytes());
        header.put(&MAGIC.to_be_bytes());
        header.put(&0_u32.to_be_bytes());
        header.put(&compression.id().to_be_bytes());
        header.put(&(count - 1).to_be_bytes());
        header.put(&self.base_timestamp_ms.to_be_bytes());
        header.put(&self.max_timestamp_ms.to_be_bytes());
        header.put(&(-1_i64).to_be_bytes());
        header.put(&(-1_i16).to_be_bytes());
        header.put(&(-1_i32).to_be_bytes());
        header.put(&count.to_be_bytes());
        header.bytes
    }
}

/// A header being written, field by field.
struct Header {
    bytes: [u8; HEADER_BYTES],
    len: usize,
}

impl Default for Header {
    fn default() -> Self {
        Self {
            bytes: [0; HEADER_BYTES],
            len: 0,
        }
    }
}

impl Header {
    fn put(&mut self, field: &[u8]) {
        let end = self.len + field.len();
        self.bytes[self.len..end].copy_from_slice(field);
        self.len = end;
    }
}

/// Puts the checksum into a whole batch.
pub(super) fn seal(batch: &mut [u8]) {
    let crc = crc(&batch[CRC_FROM..]);
    batch[CRC_AT..CRC_FROM].copy_from_slice(&crc.to_be_bytes());
}

/// How many headers there are, and their bytes with all lengths.
pub(super) fn measure<'h>(
    headers: impl Iterator<Item = (&'h str, Option<&'h [u8]>)>,
) -> (i64, usize) {
    headers.fold((0, 0), |(count, bytes), (name, value)| {
        let value_bytes = value.map_or(0, <[u8]>::len);
        let lengths = varint_len(name.len() as i64)
            + varint_len(value.map_or(-1, |value| value.len() as i64));
        (count + 1, bytes + lengths + name.len() + value_bytes)
    })
}

/// A batch under construction begins at 0.
fn at_start(problem: Problem) -> BatchError {
    BatchError { at: 0, problem }
}
