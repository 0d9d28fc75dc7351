//! Records to key, value and header bytes, for a source task.

use crate::registry::Registry;
use std::sync::Arc;
use tapline_sdk::{Error, RecordError, RecordRef, Rows};

/// Encodes the batches of one source task.
pub struct Encoder {
    #[expect(dead_code, reason = "the API is published before it is built")]
    registry: Arc<Registry>,
}

/// The plans for one batch's shapes: encodes exactly the [`Rows`] it was prepared for.
pub struct Prepared {}

/// One record as bytes; reused from record to record.
#[derive(Debug, Default)]
pub struct Encoded {
    key: Vec<u8>,
    value: Vec<u8>,
    key_present: bool,
    value_present: bool,
}

impl Encoder {
    /// An encoder that registers its schemas here.
    #[must_use]
    pub fn new(registry: Arc<Registry>) -> Self {
        Self { registry }
    }

    /// Compiles and registers whatever this batch uses for the first time: durable on return, so that its records
    /// may be appended.
    ///
    /// # Errors
    /// A schema cannot be written as Avro (TL0601), or the registry cannot store it.
    pub async fn prepare(&mut self, rows: &Rows) -> Result<Prepared, Error> {
        let _ = rows;
        Err(Error::fatal("the encoder is not built yet"))
    }
}

impl Prepared {
    /// Encodes one record of the batch, headers included, replacing what `out` held.
    ///
    /// # Errors
    /// A value does not fit its schema; names the field.
    pub fn encode(&self, record: RecordRef<'_>, out: &mut Encoded) -> Result<(), RecordError> {
        out.key_present = false;
        let _ = record;
        Err(RecordError::new("the encoder is not built yet"))
    }
}

impl Encoded {
    /// The key; `None` for keyless records.
    #[must_use]
    pub fn key(&self) -> Option<&[u8]> {
        self.key_present.then_some(&*self.key)
    }

    /// What chooses the partition: the key without its schema id.
    #[must_use]
    pub fn partition_key(&self) -> Option<&[u8]> {
        self.key().and_then(|key| key.get(5..))
    }

    /// The value; `None` for tombstones.
    #[must_use]
    pub fn value(&self) -> Option<&[u8]> {
        self.value_present.then_some(&*self.value)
    }

    /// The headers in order, our own last.
    pub fn headers(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        std::iter::empty()
    }
}
