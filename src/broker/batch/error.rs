//! What can be wrong with a batch, and where.
//!
//! | Code | Meaning |
//! |---|---|
//! | TL0280 | a record batch is damaged: length, checksum, or what is inside contradicts itself |
//! | TL0281 | a record batch is compressed by a codec that is not built in |
//! | TL0282 | a record batch is larger than the limit |

use std::fmt;
use tapline_sdk::Error;

/// Why a batch cannot be read, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchError {
    /// The first byte of the batch in the bytes given.
    pub at: u64,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The bytes end inside the batch.
    Truncated {
        /// Bytes of the whole batch; of its header, if not even that is there.
        needed: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// The length field is below a header's.
    Length(i32),
    /// Another format, or no batch at all.
    Magic(i8),
    /// The checksum does not fit.
    Checksum {
        /// In the header.
        stored: u32,
        /// Of the bytes.
        computed: u32,
    },
    /// A header field holds what no writer writes.
    Field {
        /// Its name.
        name: &'static str,
        /// What it holds.
        value: i64,
    },
    /// Compressed by a codec that is not built in.
    Codec(&'static str),
    /// The compressed bytes cannot be unpacked.
    Compressed {
        /// The codec.
        codec: &'static str,
        /// Where in the compressed bytes.
        at: usize,
        /// What is wrong there.
        reason: &'static str,
    },
    /// Larger than the limit when unpacked.
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// A record is malformed.
    Record {
        /// Which, from 0.
        index: u32,
        /// Where in the unpacked records.
        at: usize,
        /// What is wrong there.
        reason: &'static str,
    },
}

impl BatchError {
    /// Whether the bytes merely end too early, as at the end of a fetch or of a segment being written.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        matches!(self.problem, Problem::Truncated { .. })
    }
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record batch at byte {}: {}", self.at, self.problem)
    }
}

impl std::error::Error for BatchError {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { needed, found } => {
                write!(f, "needs {needed} bytes, {found} are there")
            }
            Self::Length(length) => write!(f, "length {length} is less than a header's"),
            Self::Magic(magic) => write!(f, "magic {magic} is not 2"),
            Self::Checksum { stored, computed } => {
                write!(f, "checksum {computed:08x} is not the stored {stored:08x}")
            }
            Self::Field { name, value } => write!(f, "{name} {value} is impossible"),
            Self::Codec(codec) => write!(f, "codec {codec} is not supported"),
            Self::Compressed { codec, at, reason } => {
                write!(f, "{codec} data at byte {at}: {reason}")
            }
            Self::TooLarge { limit } => write!(f, "records are larger than {limit} bytes"),
            Self::Record { index, at, reason } => {
                write!(f, "record {index} at byte {at} of the records: {reason}")
            }
        }
    }
}

impl From<BatchError> for Error {
    fn from(error: BatchError) -> Self {
        let (code, remedy) = match error.problem {
            Problem::Codec(_) => (
                "TL0281",
                "let the producer compress with lz4, zstd or not at all",
            ),
            Problem::TooLarge { .. } => ("TL0282", "let the producer make smaller batches"),
            _ => (
                "TL0280",
                "check the disk; the records of this batch cannot be read",
            ),
        };
        Self::fatal(error.to_string()).code(code).remedy(remedy)
    }
}
