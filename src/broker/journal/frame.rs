//! The frame: how a piece of a journal entry stands in a journal file.
//!
//! An entry is its list followed by its batches. It is cut into frames where a file ends, so it may span files. Frames
//! begin at multiples of 64. Big-endian:
//!
//! ```text
//!  0 u32 magic "TLJ1"            16 u64 file generation              44 u32 CRC of the list (first frame, else 0)
//!  4 u32 CRC of 8..64 + cluster  24 u64 sequence of the entry        48 u32 CRC of the payload in this frame
//!  8 u8  version = 1             32 u64 highest sequence known       52 u32 link: field 4 of the frame before
//!  9 u8  kind                           durable                      56 u32 number of the frame in its entry
//! 10 u8  flags: 1 first, 2 last  40 u32 length of the list           60 u32 0
//! 11 u8  0                              (first frame, else 0)        64 payload
//! 12 u32 payload length
//! ```
//!
//! Two things keep out what is stale. The generation is the file's name and never used again, so entries of a recycled
//! file do not match. The link chains every frame to the one before, so pieces of an attempt that a full disk
//! interrupted do not mix with the attempt that followed. The cluster id in the CRC keeps a copy of a journal that
//! somebody stores as a record from looking like a frame.

use crate::broker::layout::{Fields, Put, crc_parts};

pub(super) const FRAME_BYTES: usize = 64;

/// Frames begin at multiples of this, so that a search after damage need not try every byte.
pub(super) const ALIGNMENT: u64 = 64;

/// A file's end that is shorter than this stays unused: a header and at least as much payload.
pub(super) const FRAME_ROOM_MIN: u64 = 128;

const MAGIC: u32 = u32::from_be_bytes(*b"TLJ1");
const VERSION: u8 = 1;
const FIRST: u8 = 1;
const LAST: u8 = 2;

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub kind: u8,
    pub first: bool,
    pub last: bool,
    pub payload_len: u32,
    pub generation: u64,
    pub sequence: u64,
    pub durable: u64,
    pub list_len: u32,
    pub list_crc: u32,
    pub payload_crc: u32,
    pub link: u32,
    pub number: u32,
}

impl Frame {
    /// The header's bytes and its CRC, which is the next frame's link.
    pub(super) fn encode(&self, cluster: u128) -> (Vec<u8>, u32) {
        let mut body = Vec::with_capacity(FRAME_BYTES);
        body.put_u8(VERSION);
        body.put_u8(self.kind);
        body.put_u8(u8::from(self.first) * FIRST + u8::from(self.last) * LAST);
        body.put_u8(0);
        body.put_u32(self.payload_len);
        body.put_u64(self.generation);
        body.put_u64(self.sequence);
        body.put_u64(self.durable);
        body.put_u32(self.list_len);
        body.put_u32(self.list_crc);
        body.put_u32(self.payload_crc);
        body.put_u32(self.link);
        body.put_u32(self.number);
        body.put_u32(0);
        let crc = header_crc(&body, cluster);
        let mut bytes = Vec::with_capacity(FRAME_BYTES);
        bytes.put_u32(MAGIC);
        bytes.put_u32(crc);
        bytes.put(&body);
        (bytes, crc)
    }

    /// A header that is whole and right, with its CRC; anything else is `None`.
    pub(super) fn decode(bytes: &[u8], cluster: u128) -> Option<(Self, u32)> {
        let mut fields = Fields::new(bytes.get(..FRAME_BYTES)?);
        if fields.u32()? != MAGIC {
            return None;
        }
        let crc = fields.u32()?;
        if header_crc(bytes.get(8..FRAME_BYTES)?, cluster) != crc || fields.u8()? != VERSION {
            return None;
        }
        let kind = fields.u8()?;
        let flags = fields.u8()?;
        fields.u8()?;
        let frame = Self {
            kind,
            first: flags & FIRST != 0,
            last: flags & LAST != 0,
            payload_len: fields.u32()?,
            generation: fields.u64()?,
            sequence: fields.u64()?,
            durable: fields.u64()?,
            list_len: fields.u32()?,
            list_crc: fields.u32()?,
            payload_crc: fields.u32()?,
            link: fields.u32()?,
            number: fields.u32()?,
        };
        Some((frame, crc))
    }
}

fn header_crc(body: &[u8], cluster: u128) -> u32 {
    crc_parts([body, &cluster.to_be_bytes()])
}

/// The next place where a frame may begin.
pub(super) fn align(position: u64) -> u64 {
    position.next_multiple_of(ALIGNMENT)
}
