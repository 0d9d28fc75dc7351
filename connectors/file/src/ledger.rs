//! The positions beside a file, with the batch that was appended last: the format of `FILE.tapline`, version 1.
//!
//! Owns encoding, decoding and the choice of slot; the order of writes is [`crate::target`]'s.
//!
//! ```text
//!    0  64  header of slot 0            header, little-endian
//!  512  64  header of slot 1             0  8  magic "TAPFSINK"
//! 1024      payloads                     8  4  version, 1
//!                                       12  4  1: the batch is in the file (in no checksum: written in place)
//! Entry n is in slot n mod 2, so the    16  8  sequence: the valid entry with the higher one counts
//! entry before it stays whole until     24  8  payload's offset
//! n is durable.                         32  4  length of the state, JSON
//!                                       36  4  CRC-32C of the payload
//!                                       40  8  length of the batch: the payload is state, then batch
//!                                       48  4  CRC-32C of bytes 0..12 and 16..48
//! ```

use serde::{Deserialize, Serialize};
use std::{fs::File, io, os::unix::fs::FileExt};

const MAGIC: &[u8; 8] = b"TAPFSINK";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 64;
/// Slots lie in sectors of their own.
const SLOT_BYTES: u64 = 512;
const PAYLOADS: u64 = 2 * SLOT_BYTES;
const APPLIED: u64 = 12;

/// A payload above this is none of ours: one batch of the runtime, or one record of the largest size.
const PAYLOAD_BYTES_MAX: u64 = 4 << 30;

/// What is known of a file: whose positions are where, and where the last batch begins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Which file the batch was for.
    pub(crate) device: u64,
    /// Which file the batch was for.
    pub(crate) inode: u64,
    /// Where in the file the batch begins.
    pub(crate) base: u64,
    /// The next record to append, per partition.
    pub(crate) positions: Vec<Stored>,
}

/// The position of one partition of one connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) cluster: String,
    pub(crate) connector: String,
    pub(crate) topic: String,
    /// A UUID in hexadecimal.
    pub(crate) topic_id: String,
    pub(crate) partition: u32,
    pub(crate) next: u64,
}

/// The last entry of a ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// 0: nothing was ever stored.
    pub(crate) sequence: u64,
    pub(crate) applied: bool,
    pub(crate) state: State,
    /// What was appended last; may be dropped once it is applied.
    pub(crate) batch: Vec<u8>,
    offset: u64,
    end: u64,
}

/// Why a ledger cannot be used.
#[derive(Debug)]
pub(crate) enum Unusable {
    Io(io::Error),
    Damaged(&'static str),
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Entry {
    /// Reads the last whole entry.
    pub(crate) fn read(ledger: &File) -> Result<Self, Unusable> {
        match (Self::slot(ledger, 0)?, Self::slot(ledger, 1)?) {
            (Slot::Valid(a), Slot::Valid(b)) if a.sequence > b.sequence => Ok(*a),
            (_, Slot::Valid(entry)) | (Slot::Valid(entry), _) => Ok(*entry),
            // The first entry goes to slot 1: while slot 0 is empty, the file itself has never been touched.
            (Slot::Empty, _) => Ok(Self::default()),
            _ => Err(Unusable::Damaged("neither of its two entries is whole")),
        }
    }

    /// The sequence of the last entry, whole or not: whether there is a newer one than a known one.
    pub(crate) fn latest_sequence(ledger: &File) -> io::Result<u64> {
        let mut latest = 0;
        for slot in [0, 1] {
            let mut header = [0; HEADER_BYTES];
            read_upto(ledger, &mut header, slot * SLOT_BYTES)?;
            latest = latest.max(Head::parse(&header).map_or(0, |head| head.sequence));
        }
        Ok(latest)
    }

    fn slot(ledger: &File, slot: u64) -> Result<Slot, Unusable> {
        let mut header = [0; HEADER_BYTES];
        let read = read_upto(ledger, &mut header, slot * SLOT_BYTES)?;
        if header.iter().all(|byte| *byte == 0) {
            return Ok(Slot::Empty);
        }
        let (Some(head), true) = (Head::parse(&header), read == HEADER_BYTES) else {
            return Ok(Slot::Torn);
        };
        if head.version != VERSION {
            return Err(Unusable::Damaged("a newer version has written it"));
        }
        let length = u64::from(head.state_bytes).saturating_add(head.batch_bytes);
        let (Ok(size), true) = (usize::try_from(length), length <= PAYLOAD_BYTES_MAX) else {
            return Ok(Slot::Torn);
        };
        if ledger.metadata()?.len() < head.offset.saturating_add(length) {
            return Ok(Slot::Torn);
        }
        let mut payload = vec![0; size];
        ledger.read_exact_at(&mut payload, head.offset)?;
        if crc(&[&payload]) != head.payload_crc {
            return Ok(Slot::Torn);
        }
        let batch = payload.split_off(usize::try_from(head.state_bytes).unwrap_or(size).min(size));
        let state = serde_json::from_slice(&payload)
            .map_err(|_| Unusable::Damaged("its positions are not JSON of this version"))?;
        Ok(Slot::Valid(Box::new(Self {
            sequence: head.sequence,
            applied: head.applied,
            state,
            batch,
            offset: head.offset,
            end: head.offset + length,
        })))
    }

    /// Writes the entry that follows this one, durable on return; this one is whole until then.
    pub(crate) fn replace(&self, ledger: &File, state: State, batch: Vec<u8>) -> io::Result<Self> {
        let json = serde_json::to_vec(&state)?;
        let length = json.len() as u64 + batch.len() as u64;
        let offset = match self.sequence {
            0 => PAYLOADS,
            _ if PAYLOADS + length <= self.offset => PAYLOADS,
            _ => self.end,
        };
        let next = Self {
            sequence: self.sequence + 1,
            applied: false,
            state,
            batch,
            offset,
            end: offset + length,
        };
        let head = Head {
            version: VERSION,
            applied: false,
            sequence: next.sequence,
            offset,
            state_bytes: u32::try_from(json.len()).map_err(io::Error::other)?,
            payload_crc: crc(&[&json, &next.batch]),
            batch_bytes: next.batch.len() as u64,
        };
        ledger.write_all_at(&json, offset)?;
        ledger.write_all_at(&next.batch, offset + json.len() as u64)?;
        ledger.write_all_at(&head.bytes(), next.slot_offset())?;
        ledger.sync_data()?;
        Ok(next)
    }

    /// Says that the batch is in the file. Survives the process, not the machine: after a power cut the file is looked at.
    pub(crate) fn set_applied(&mut self, ledger: &File) -> io::Result<()> {
        ledger.write_all_at(&1_u32.to_le_bytes(), self.slot_offset() + APPLIED)?;
        self.applied = true;
        Ok(())
    }

    fn slot_offset(&self) -> u64 {
        (self.sequence % 2) * SLOT_BYTES
    }
}

enum Slot {
    Empty,
    Torn,
    Valid(Box<Entry>),
}

struct Head {
    version: u32,
    applied: bool,
    sequence: u64,
    offset: u64,
    state_bytes: u32,
    payload_crc: u32,
    batch_bytes: u64,
}

impl Head {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(&u32::from(self.applied).to_le_bytes());
        bytes.extend_from_slice(&self.sequence.to_le_bytes());
        bytes.extend_from_slice(&self.offset.to_le_bytes());
        bytes.extend_from_slice(&self.state_bytes.to_le_bytes());
        bytes.extend_from_slice(&self.payload_crc.to_le_bytes());
        bytes.extend_from_slice(&self.batch_bytes.to_le_bytes());
        let (before, after) = (bytes.get(..12), bytes.get(16..48));
        let crc = crc(&[before.unwrap_or_default(), after.unwrap_or_default()]);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes.resize(HEADER_BYTES, 0);
        bytes
    }

    /// Nothing if the header is not whole.
    fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let four = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let eight = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let whole =
            bytes.starts_with(MAGIC) && four(48)? == crc(&[bytes.get(..12)?, bytes.get(16..48)?]);
        whole.then_some(Self {
            version: four(8)?,
            applied: four(12)? == 1,
            sequence: eight(16)?,
            offset: eight(24)?,
            state_bytes: four(32)?,
            payload_crc: four(36)?,
            batch_bytes: eight(40)?,
        })
    }
}

fn crc(parts: &[&[u8]]) -> u32 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    for part in parts {
        digest.update(part);
    }
    // The algorithm has 32 bits.
    u32::try_from(digest.finalize()).unwrap_or_default()
}

/// Reads until the buffer is full or the file ends.
pub(crate) fn read_upto(file: &File, room: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while let Some(rest) = room.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests;
