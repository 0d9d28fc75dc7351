//! The 61 bytes before a batch's records, and walking from batch to batch. Nothing here unpacks a record.

use super::{
    HEADER_BYTES, PREFIX_BYTES,
    codec::Compression,
    cursor::{Cursor, Malformed},
    error::{BatchError, Problem},
};

/// The one format there is.
pub(super) const MAGIC: i8 = 2;

/// Where the checksum stands.
pub(super) const CRC_AT: usize = 17;

/// The first byte that the checksum covers.
pub(super) const CRC_FROM: usize = 21;

const CODEC_MASK: i16 = 0b111;
const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
pub(super) const DELETE_HORIZON: i16 = 1 << 6;

/// A batch's header, its fields checked for contradictions; whether the checksum fits is [`Batch::verify`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The first record's offset.
    pub base_offset: u64,
    /// Bytes of the whole batch, header included.
    pub bytes: usize,
    /// Kafka's partition leader epoch.
    pub leader_epoch: i32,
    /// CRC-32C of everything behind it.
    pub crc: u32,
    /// Codec, timestamp type and flags, as they stand.
    pub attributes: i16,
    /// The last record's offset minus the first's.
    pub last_offset_delta: u32,
    /// What the records' timestamps count from, milliseconds since 1970.
    pub base_timestamp_ms: i64,
    /// The largest timestamp.
    pub max_timestamp_ms: i64,
    /// The idempotent producer, −1 for none.
    pub producer_id: i64,
    /// The producer's epoch, −1 for none.
    pub producer_epoch: i16,
    /// The first record's sequence, −1 for none.
    pub base_sequence: i32,
    /// Records; after compaction fewer than offsets.
    pub count: u32,
}

impl Header {
    /// Reads a header from the start of `bytes`, which may end behind it.
    ///
    /// # Errors
    /// If there are less than [`HEADER_BYTES`], or a field holds what no writer writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let raw = Raw::read(&mut Cursor::new(bytes)).map_err(|_| Problem::Truncated {
            needed: HEADER_BYTES,
            found: bytes.len(),
        })?;
        // Magic first: it tells another format, or no batch at all, from a damaged one.
        if raw.magic != MAGIC {
            return Err(Problem::Magic(raw.magic));
        }
        let whole = usize::try_from(raw.length)
            .ok()
            .and_then(|length| length.checked_add(PREFIX_BYTES))
            .filter(|bytes| *bytes >= HEADER_BYTES)
            .ok_or(Problem::Length(raw.length))?;
        let header = Self {
            base_offset: unsigned("base offset", raw.base_offset)?,
            bytes: whole,
            leader_epoch: raw.leader_epoch,
            crc: raw.crc,
            attributes: raw.attributes,
            last_offset_delta: unsigned("last offset delta", raw.last_offset_delta)?,
            base_timestamp_ms: raw.base_timestamp_ms,
            max_timestamp_ms: raw.max_timestamp_ms,
            producer_id: raw.producer_id,
            producer_epoch: raw.producer_epoch,
            base_sequence: raw.base_sequence,
            count: unsigned("record count", raw.count)?,
        };
        header.check()?;
        Ok(header)
    }

    fn check(&self) -> Result<(), Problem> {
        if i64::from(self.count) > i64::from(self.last_offset_delta) + 1 {
            return Err(Problem::Field {
                name: "record count",
                value: i64::from(self.count),
            });
        }
        // A base near 2^63 comes from damage only; refusing it here keeps `last_offset` from overflowing.
        let last = self.base_offset.checked_add(self.last_offset_delta.into());
        if last.is_none_or(|last| last >= i64::MAX.cast_unsigned()) {
            return Err(Problem::Field {
                name: "base offset",
                value: self.base_offset.cast_signed(),
            });
        }
        Ok(())
    }

    /// The last record's offset.
    #[must_use]
    pub fn last_offset(&self) -> u64 {
        self.base_offset + u64::from(self.last_offset_delta)
    }

    /// The offset behind the batch.
    #[must_use]
    pub fn next_offset(&self) -> u64 {
        self.last_offset() + 1
    }

    /// How the records are compressed.
    ///
    /// # Errors
    /// If it is a codec that is not built in.
    pub fn compression(&self) -> Result<Compression, Problem> {
        Compression::from_id(self.attributes & CODEC_MASK)
    }

    /// Whether every record's timestamp is [`Header::max_timestamp_ms`], stamped by a broker.
    #[must_use]
    pub fn has_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    /// Whether the batch belongs to a Kafka transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// From when on compaction may drop the batch's tombstones; `None` if none was compacted yet.
    #[must_use]
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON != 0).then_some(self.base_timestamp_ms)
    }

    /// Whether the batch is a transaction marker, not data.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }
}

/// The fields as they stand, in their order.
struct Raw {
    base_offset: i64,
    length: i32,
    leader_epoch: i32,
    magic: i8,
    crc: u32,
    attributes: i16,
    last_offset_delta: i32,
    base_timestamp_ms: i64,
    max_timestamp_ms: i64,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    count: i32,
}

impl Raw {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        // A struct expression evaluates its fields in the order written, which is that of the bytes.
        Ok(Self {
            base_offset: i64::from_be_bytes(cursor.array()?),
            length: i32::from_be_bytes(cursor.array()?),
            leader_epoch: i32::from_be_bytes(cursor.array()?),
            magic: i8::from_be_bytes(cursor.array()?),
            crc: u32::from_be_bytes(cursor.array()?),
            attributes: i16::from_be_bytes(cursor.array()?),
            last_offset_delta: i32::from_be_bytes(cursor.array()?),
            base_timestamp_ms: i64::from_be_bytes(cursor.array()?),
            max_timestamp_ms: i64::from_be_bytes(cursor.array()?),
            producer_id: i64::from_be_bytes(cursor.array()?),
            producer_epoch: i16::from_be_bytes(cursor.array()?),
            base_sequence: i32::from_be_bytes(cursor.array()?),
            count: i32::from_be_bytes(cursor.array()?),
        })
    }
}

fn unsigned<S, U>(name: &'static str, value: S) -> Result<U, Problem>
where
    S: Copy + Into<i64>,
    U: TryFrom<S>,
{
    U::try_from(value).map_err(|_| Problem::Field {
        name,
        value: value.into(),
    })
}

/// Gives the batch its place in a partition. The checksum does not cover these bytes. Bytes too short to hold an
/// offset are left alone.
pub fn set_base_offset(batch: &mut [u8], base_offset: u64) {
    if let Some(place) = batch.first_chunk_mut::<8>() {
        *place = base_offset.to_be_bytes();
    }
}

/// CRC-32C, the checksum of batches.
#[must_use]
pub fn crc(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// One whole batch in borrowed bytes.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// Its header.
    pub header: Header,
    /// The first byte of the batch in the bytes given.
    pub at: u64,
    bytes: &'a [u8],
}

impl<'a> Batch<'a> {
    /// The batch at the start of `bytes`, which may go on behind it. `at` is where that is, for errors.
    ///
    /// # Errors
    /// If no whole batch is there, or its header contradicts itself. The checksum is not looked at.
    pub fn parse(bytes: &'a [u8], at: u64) -> Result<Self, BatchError> {
        let header = Header::parse(bytes).map_err(|problem| BatchError { at, problem })?;
        let whole = bytes.get(..header.bytes).ok_or(BatchError {
            at,
            problem: Problem::Truncated {
                needed: header.bytes,
                found: bytes.len(),
            },
        })?;
        Ok(Self {
            header,
            at,
            bytes: whole,
        })
    }

    /// The whole batch.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The records, compressed or not.
    pub(super) fn records(&self) -> &'a [u8] {
        self.bytes.get(HEADER_BYTES..).unwrap_or_default()
    }

    /// Checks the checksum.
    ///
    /// # Errors
    /// If it does not fit.
    pub fn verify(&self) -> Result<(), BatchError> {
        let computed = crc(self.bytes.get(CRC_FROM..).unwrap_or_default());
        if computed == self.header.crc {
            return Ok(());
        }
        Err(self.error(Problem::Checksum {
            stored: self.header.crc,
            computed,
        }))
    }

    pub(super) fn error(&self, problem: Problem) -> BatchError {
        BatchError {
            at: self.at,
            problem,
        }
    }
}

/// Walks bytes that hold batches back to back. Ends behind the last one, or with the first error.
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    rest: &'a [u8],
    at: u64,
}

impl<'a> Batches<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }

    /// Where the next batch begins; after an error, where the bad one does.
    #[must_use]
    pub fn at(&self) -> u64 {
        self.at
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<Batch<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let batch = Batch::parse(self.rest, self.at);
        // Behind a bad length there is nothing to trust.
        let step = batch
            .as_ref()
            .map_or(self.rest.len(), |batch| batch.bytes.len());
        self.rest = self.rest.get(step..).unwrap_or_default();
        if batch.is_ok() {
            self.at += step as u64;
        }
        Some(batch)
    }
}
