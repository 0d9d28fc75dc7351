//! `connect-offsets`: where sources go on, committed together with the records before that point (I1).

use crate::broker::{Append, Broker};
use std::sync::Arc;
use tapline_sdk::{Error, Position};

/// The topic.
pub const TOPIC: &str = "connect-offsets";

/// The stored offsets of all connectors.
pub struct OffsetStore {
    #[expect(dead_code, reason = "the API is published before it is built")]
    broker: Arc<dyn Broker>,
}

/// The right of one source task to write its connector's offsets; one at a time per connector.
///
/// Take the broker's writer first, then the claim: only then is everything a predecessor has enqueued decided.
pub struct OffsetClaim {}

impl OffsetStore {
    /// Creates the topic if need be and reads it.
    ///
    /// # Errors
    /// The topic cannot be read.
    pub async fn open(broker: Arc<dyn Broker>) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self { broker }))
    }

    /// Reads the log again and returns this connector's offsets as they are durable.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn read(&self, connector: &str) -> Result<Vec<(Position, Position)>, Error> {
        let _ = connector;
        Err(Error::fatal("the offset store is not built yet"))
    }

    /// Takes over this connector's offsets, freshly read from the log. An earlier claim is void.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn claim(self: &Arc<Self>, connector: &str) -> Result<OffsetClaim, Error> {
        let _ = connector;
        Err(Error::fatal("the offset store is not built yet"))
    }

    /// Changes offsets from outside (KIP-875), durable on return; `None` forgets a partition.
    ///
    /// # Errors
    /// A task holds the connector's claim (TL0522), or the log refuses it.
    pub async fn alter(
        &self,
        connector: &str,
        entries: Vec<(Position, Option<Position>)>,
    ) -> Result<(), Error> {
        let _ = (connector, entries);
        Err(Error::fatal("the offset store is not built yet"))
    }

    /// Keeps the topic short; cheap when there is nothing to do. Call it about once a minute.
    ///
    /// # Errors
    /// The log refuses it; nothing is lost.
    pub async fn trim(&self) -> Result<(), Error> {
        Ok(())
    }
}

impl OffsetClaim {
    /// The connector's offsets as they stood in the log when it was claimed.
    #[must_use]
    pub fn stored(&self) -> &[(Position, Position)] {
        &[]
    }

    /// The batch that makes these offsets durable: put it into the commit of the records they cover (I1), in the
    /// order of the calls, with the one writer this claim was taken for. `None` if there is nothing to store.
    ///
    /// # Errors
    /// A position cannot be written.
    pub fn append(
        &mut self,
        resume: &[(Position, Option<Position>)],
    ) -> Result<Option<Append>, Error> {
        let _ = resume;
        Ok(None)
    }
}
