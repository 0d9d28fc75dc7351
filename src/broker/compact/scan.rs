//! Reading the segments that are compacted, batch by batch: checked, paced, and past every cache of readers.

use super::{Host, Stop};
use crate::broker::{
    batch::{Batch, BatchError, BatchReader, Header, Record},
    partition::Partition,
    storage::{File, read_full_at},
    stored::header_at,
};
use std::{io, sync::Arc};

/// What one read of the disk brings, and a pause may follow; a larger batch is read whole.
const READ_BYTES: usize = 512 << 10;

/// A segment as it was when the pass was planned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    pub base: u64,
    pub generation: u64,
    pub bytes: u64,
    /// The offset behind it.
    pub end: u64,
}

/// Why a segment cannot be read.
pub(super) enum Bad {
    Io(io::Error),
    /// The batch that should stand at this offset is not right.
    Content(u64),
}

impl From<io::Error> for Bad {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The batches of a segment.
pub(super) struct Batches {
    file: Arc<dyn File>,
    buffer: Vec<u8>,
    /// Where the buffer begins in the file, and how much of it was handed out.
    start: u64,
    taken: usize,
    bytes: u64,
    expected: u64,
    end: u64,
    reader: BatchReader,
}

/// A batch that was checked.
pub(super) struct Checked<'a> {
    batch: Batch<'a>,
    reader: &'a mut BatchReader,
}

impl Source {
    /// Whether passes that ended at this offset have seen all of it.
    pub(super) fn is_clean(&self, clean_to: u64) -> bool {
        self.end <= clean_to
    }

    pub(super) fn open(&self, partition: &Partition) -> io::Result<Arc<dyn File>> {
        let path = partition.path(self.base, "log");
        partition.files.get_of(&path, self.generation)
    }

    pub(super) fn batches(&self, partition: &Partition) -> Result<Batches, Stop> {
        // The handle is taken before the look: if the segment is the one planned after it, so was the file.
        let file = self.open(partition);
        if !partition.state.read().has((self.base, self.generation)) {
            return Err(Stop::Asked);
        }
        Ok(Batches {
            file: file?,
            buffer: Vec::new(),
            start: 0,
            taken: 0,
            bytes: self.bytes,
            expected: self.base,
            end: self.end,
            reader: BatchReader::new(),
        })
    }
}

impl Batches {
    /// The next batch, right in itself and where it must stand.
    pub(super) fn next(&mut self, host: &mut dyn Host) -> Result<Option<Checked<'_>>, Stop> {
        let position = self.start + self.taken as u64;
        if position >= self.bytes {
            return if self.expected == self.end {
                Ok(None)
            } else {
                Err(Stop::Damaged(self.expected))
            };
        }
        let wrong = || Stop::Damaged(self.expected);
        let header = header_at(&*self.file, position, self.bytes)?.ok_or_else(wrong)?;
        if header.base_offset != self.expected || header.next_offset() > self.end {
            return Err(wrong());
        }
        if self.buffer.len() < self.taken + header.bytes {
            self.fill(position, header.bytes)?;
            if !host.pace(self.buffer.len() as u64) {
                return Err(Stop::Asked);
            }
        }
        let bytes = self.buffer.get(self.taken..).unwrap_or_default();
        let batch = Batch::parse(bytes, 0).map_err(|_| Stop::Damaged(self.expected))?;
        let right = batch.header == header && header.leader_epoch == 0 && batch.verify().is_ok();
        if !right {
            return Err(Stop::Damaged(self.expected));
        }
        self.taken += header.bytes;
        self.expected = header.next_offset();
        Ok(Some(Checked {
            batch,
            reader: &mut self.reader,
        }))
    }

    fn fill(&mut self, position: u64, wanted: usize) -> io::Result<()> {
        let left = usize::try_from(self.bytes - position).unwrap_or(usize::MAX);
        self.buffer.resize(wanted.max(READ_BYTES).min(left), 0);
        let read = read_full_at(&*self.file, &mut self.buffer, position)?;
        self.buffer.truncate(read);
        (self.start, self.taken) = (position, 0);
        Ok(())
    }
}

impl<'a> Checked<'a> {
    pub(super) fn header(&self) -> &Header {
        &self.batch.header
    }

    pub(super) fn next_offset(&self) -> u64 {
        self.batch.header.next_offset()
    }

    pub(super) fn bytes(&self) -> &'a [u8] {
        self.batch.bytes()
    }

    /// Whether compaction does not look inside: what a Kafka transaction or an idempotent producer wrote keeps its
    /// place and number, and a codec that is not built in keeps its secret.
    pub(super) fn is_opaque(&self) -> bool {
        let header = &self.batch.header;
        header.is_transactional()
            || header.is_control()
            || header.producer_id >= 0
            || header.compression().is_err()
    }

    /// All records in order; none if it is opaque.
    pub(super) fn each(&mut self, mut look: impl FnMut(&Record<'_>)) -> Result<(), Bad> {
        if self.is_opaque() {
            return Ok(());
        }
        let offset = self.batch.header.base_offset;
        let bad = |_: BatchError| Bad::Content(offset);
        for record in self.reader.read(&self.batch).map_err(bad)? {
            look(&record.map_err(bad)?);
        }
        Ok(())
    }
}
