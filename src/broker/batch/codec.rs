//! The codecs of a batch's records, with what they keep from batch to batch.

use super::{error::Problem, lz4};
use zstd::{
    bulk::Compressor,
    zstd_safe::{self, DCtx, InBuffer, OutBuffer, ResetDirective},
};

/// Kafka's default level; level 1 is no faster on rows of 200 bytes and packs worse.
const ZSTD_LEVEL: i32 = 3;

/// How much the buffer of a zstd reader grows at a time; one zstd block.
const ZSTD_STEP_BYTES: usize = 128 << 10;

/// How a batch's records are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// As they are.
    None,
    /// LZ4 frame format: a few percent of a core, a third of the size.
    #[default]
    Lz4,
    /// Zstandard: half the speed of LZ4 and half its size.
    Zstd,
}

impl Compression {
    /// The number in a batch's attributes.
    #[must_use]
    pub fn id(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    pub(super) fn from_id(id: i16) -> Result<Self, Problem> {
        match id {
            0 => Ok(Self::None),
            1 => Err(Problem::Codec("gzip")),
            2 => Err(Problem::Codec("snappy")),
            3 => Ok(Self::Lz4),
            4 => Ok(Self::Zstd),
            id => Err(Problem::Field {
                name: "codec",
                value: id.into(),
            }),
        }
    }
}

/// Compresses; keeps tables, contexts and the output buffer.
#[derive(Default)]
pub(super) struct Packer {
    lz4: lz4::Encoder,
    zstd: Option<Compressor<'static>>,
    out: Vec<u8>,
}

impl Packer {
    /// The compressed records, or `None` if they are no smaller.
    pub(super) fn pack(
        &mut self,
        compression: Compression,
        records: &[u8],
    ) -> Result<Option<&[u8]>, Problem> {
        let len = match compression {
            Compression::None => return Ok(None),
            Compression::Lz4 => self.lz4.encode(records, &mut self.out),
            Compression::Zstd => self.zstd(records)?,
        };
        Ok(self.out.get(..len).filter(|_| len < records.len()))
    }

    fn zstd(&mut self, records: &[u8]) -> Result<usize, Problem> {
        let failed = |_| Problem::Compressed {
            codec: "zstd",
            at: 0,
            reason: "the compressor failed, probably for lack of memory",
        };
        let compressor = match &mut self.zstd {
            Some(compressor) => compressor,
            none => none.insert(Compressor::new(ZSTD_LEVEL).map_err(failed)?),
        };
        let bound = zstd_safe::compress_bound(records.len());
        if self.out.len() < bound {
            self.out.resize(bound, 0);
        }
        compressor
            .compress_to_buffer(records, self.out.as_mut_slice())
            .map_err(failed)
    }

    /// Gives the buffer back to the allocator if one large batch has made it larger than `bytes`.
    pub(super) fn shrink(&mut self, bytes: usize) {
        if self.out.len() > bytes {
            self.out = Vec::new();
        }
    }
}

/// Unpacks; keeps the zstd context and the output buffer.
#[derive(Default)]
pub(super) struct Unpacker {
    zstd: Option<DCtx<'static>>,
    out: Vec<u8>,
}

impl Unpacker {
    /// The records: borrowed from `records` if they are not compressed, else from this unpacker.
    pub(super) fn unpack<'a>(
        &'a mut self,
        compression: Compression,
        records: &'a [u8],
        limit: usize,
    ) -> Result<&'a [u8], Problem> {
        let len = match compression {
            Compression::None if records.len() > limit => {
                return Err(Problem::TooLarge { limit });
            }
            Compression::None => return Ok(records),
            Compression::Lz4 => lz4::decode(records, &mut self.out, limit)?,
            Compression::Zstd => self.zstd(records, limit)?,
        };
        Ok(self.out.get(..len).unwrap_or_default())
    }

    /// Unpacks by steps, because a frame need not say its content's size, and what it says need not be true.
    fn zstd(&mut self, records: &[u8], limit: usize) -> Result<usize, Problem> {
        let malformed = |at, reason| Problem::Compressed {
            codec: "zstd",
            at,
            reason,
        };
        let context = self.zstd.get_or_insert_with(DCtx::create);
        // What an earlier batch left unfinished must not leak into this one.
        context
            .reset(ResetDirective::SessionOnly)
            .map_err(|_| malformed(0, "the decompressor cannot be reset"))?;
        let mut input = InBuffer::around(records);
        let mut len = 0;
        loop {
            if self.out.len() < len + ZSTD_STEP_BYTES {
                let double = (self.out.len() * 2).max(len + ZSTD_STEP_BYTES);
                self.out.resize(double, 0);
            }
            let mut output = OutBuffer::around_pos(self.out.as_mut_slice(), len);
            let left = context
                .decompress_stream(&mut output, &mut input)
                .map_err(|_| malformed(input.pos(), "cannot be unpacked"))?;
            let stalled = output.pos() == len && input.pos() == records.len();
            len = output.pos();
            if len > limit {
                return Err(Problem::TooLarge { limit });
            }
            // 0: a frame is complete; another may follow.
            if left == 0 && input.pos() == records.len() {
                return Ok(len);
            }
            if stalled {
                return Err(malformed(records.len(), "ends too early"));
            }
        }
    }

    /// Gives the buffer back to the allocator if one large batch has made it larger than `bytes`.
    pub(super) fn shrink(&mut self, bytes: usize) {
        if self.out.len() > bytes {
            self.out = Vec::new();
        }
    }
}
