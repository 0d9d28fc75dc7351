//! One record as bytes, between the encoder and a record batch.

use super::avro::Output;
use std::{ops::Range, sync::Arc};

/// What an idle [`Encoded`] keeps: one row of 100 MiB must not hold its memory for ever.
const RETAINED_BYTES_MAX: usize = 4 << 20;

/// One record as bytes; reused from record to record.
#[derive(Debug, Default)]
pub struct Encoded {
    pub(super) key: Output,
    pub(super) value: Output,
    pub(super) key_present: bool,
    /// Bytes before the key's data.
    pub(super) key_frame: usize,
    pub(super) value_present: bool,
    pub(super) headers: Vec<(Name, Option<Range<usize>>)>,
    pub(super) header_bytes: Output,
}

/// Our own names need no reference count.
#[derive(Debug)]
pub(super) enum Name {
    Own(&'static str),
    Theirs(Arc<str>),
}

impl Encoded {
    /// The key; `None` for keyless records.
    #[must_use]
    pub fn key(&self) -> Option<&[u8]> {
        self.key_present.then_some(&*self.key.bytes)
    }

    /// What chooses the partition: the key without its schema id, which may change while the key does not.
    #[must_use]
    pub fn partition_key(&self) -> Option<&[u8]> {
        self.key().and_then(|key| key.get(self.key_frame..))
    }

    /// The value; `None` for tombstones.
    #[must_use]
    pub fn value(&self) -> Option<&[u8]> {
        self.value_present.then_some(&*self.value.bytes)
    }

    /// The headers in order, our own last.
    pub fn headers(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> + Clone {
        self.headers.iter().map(|(name, range)| {
            let value = range
                .clone()
                .and_then(|range| self.header_bytes.bytes.get(range));
            (name.as_str(), value)
        })
    }

    /// Adds a header of our own.
    pub(super) fn own(&mut self, name: &'static str, value: &[u8]) {
        let start = self.header_bytes.bytes.len();
        self.header_bytes.bytes.extend_from_slice(value);
        let range = start..self.header_bytes.bytes.len();
        self.headers.push((Name::Own(name), Some(range)));
    }

    /// Forgets the record; keeps the memory.
    pub(super) fn clear(&mut self) {
        self.headers.clear();
        for part in [&mut self.key, &mut self.value, &mut self.header_bytes] {
            part.unavailable = false;
            part.bytes.clear();
            if part.bytes.capacity() > RETAINED_BYTES_MAX {
                part.bytes.shrink_to(RETAINED_BYTES_MAX);
            }
        }
    }
}

impl Name {
    fn as_str(&self) -> &str {
        match self {
            Self::Own(name) => name,
            Self::Theirs(name) => name,
        }
    }
}
