//! Reading the records of a batch, borrowed from one buffer that is reused.

use super::{
    RECORDS_BYTES_MAX,
    codec::Unpacker,
    cursor::{Cursor, Malformed},
    error::{BatchError, Problem},
    header::{Batch, Header},
};

/// The buffer that an idle reader keeps; a batch seldom unpacks to more.
const RETAINED_BYTES_MAX: usize = 4 << 20;

/// Reads batches, one after the other.
pub struct BatchReader {
    unpacker: Unpacker,
    limit: usize,
}

impl Default for BatchReader {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchReader {
    /// A reader for our own log: it reads whatever a [`BatchBuilder`](super::BatchBuilder) makes.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(RECORDS_BYTES_MAX)
    }

    /// A reader that refuses batches which unpack to more than `limit` bytes, for batches of unknown origin.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self {
            unpacker: Unpacker::default(),
            limit,
        }
    }

    /// Gives back what one large batch has made too large to be kept.
    pub fn rest(&mut self) {
        self.unpacker.shrink(RETAINED_BYTES_MAX);
    }

    /// Checks the batch's checksum, unpacks it, and walks its records.
    ///
    /// # Errors
    /// If the checksum does not fit, the codec is not built in, or the data cannot be unpacked within the limit.
    pub fn read<'r>(&'r mut self, batch: &Batch<'r>) -> Result<Records<'r>, BatchError> {
        batch.verify()?;
        let located = |problem| batch.error(problem);
        let compression = batch.header.compression().map_err(located)?;
        self.unpacker.shrink(RETAINED_BYTES_MAX);
        let records = self
            .unpacker
            .unpack(compression, batch.records(), self.limit)
            .map_err(located)?;
        Ok(Records {
            header: batch.header,
            at: batch.at,
            cursor: Cursor::new(records),
            index: 0,
            next_delta: 0,
            failed: false,
        })
    }
}

/// The records of one batch in order. Ends behind the last one, or with the first error.
pub struct Records<'a> {
    header: Header,
    at: u64,
    cursor: Cursor<'a>,
    index: u32,
    /// The least offset delta that the next record may have.
    next_delta: i64,
    failed: bool,
}

/// A record, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Its offset in the partition.
    pub offset: u64,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers in order.
    pub headers: Headers<'a>,
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let record = if self.index < self.header.count {
            self.record()
        } else if self.cursor.rest().is_empty() {
            return None;
        } else {
            Err("bytes follow the last record")
        };
        let index = self.index;
        self.index += 1;
        Some(record.map_err(|reason| {
            self.failed = true;
            let at = self.cursor.at();
            BatchError {
                at: self.at,
                problem: Problem::Record { index, at, reason },
            }
        }))
    }
}

impl<'a> Records<'a> {
    fn record(&mut self) -> Result<Record<'a>, Malformed> {
        let length = self.cursor.varint()?;
        let length = usize::try_from(length).map_err(|_| "a length is negative")?;
        let mut body = Cursor::new(self.cursor.take(length)?);
        let [_attributes] = body.array()?;
        let timestamp_delta = body.varlong()?;
        let offset_delta = i64::from(body.varint()?);
        if offset_delta < self.next_delta || offset_delta > self.header.last_offset_delta.into() {
            return Err("an offset is out of order or beyond the batch");
        }
        self.next_delta = offset_delta + 1;
        let key = body.bytes()?;
        let value = body.bytes()?;
        let headers = Headers::parse(&mut body)?;
        if !body.rest().is_empty() {
            return Err("bytes follow a record's headers");
        }
        Ok(Record {
            offset: self.header.base_offset + offset_delta.cast_unsigned(),
            timestamp_ms: self.timestamp(timestamp_delta),
            key,
            value,
            headers,
        })
    }

    fn timestamp(&self, delta: i64) -> i64 {
        if self.header.has_log_append_time() {
            return self.header.max_timestamp_ms;
        }
        self.header.base_timestamp_ms.wrapping_add(delta)
    }
}

/// A record's headers in order, checked when the record was read.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a> {
    cursor: Cursor<'a>,
    left: u32,
}

impl<'a> Headers<'a> {
    /// Walks the headers once, so that iterating cannot fail; leaves `body` behind them.
    fn parse(body: &mut Cursor<'a>) -> Result<Self, Malformed> {
        let count = body.varint()?;
        let left = u32::try_from(count).map_err(|_| "a header count is negative")?;
        let headers = Self {
            cursor: *body,
            left,
        };
        for _ in 0..left {
            header(body)?;
        }
        Ok(headers)
    }

    /// The value of the last header of this name; the inner `None` is a null.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Option<&'a [u8]>> {
        self.filter(|(found, _)| *found == name)
            .last()
            .map(|(_, value)| value)
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        header(&mut self.cursor).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Headers<'_> {}

fn header<'a>(cursor: &mut Cursor<'a>) -> Result<(&'a str, Option<&'a [u8]>), Malformed> {
    let name = cursor.bytes()?.ok_or("a header's name is null")?;
    let name = std::str::from_utf8(name).map_err(|_| "a header's name is not UTF-8")?;
    Ok((name, cursor.bytes()?))
}
