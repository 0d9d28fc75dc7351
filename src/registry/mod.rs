//! The store of the schema registry: ids and subjects, rebuilt from the compacted topic `_schemas`.
//!
//! Owns the numbering of schemas and its durability; it never judges what a schema means.
//!
//! | Code | Meaning |
//! |---|---|
//! | TL0610 | `_schemas` cannot be read |
//! | TL0611 | a schema cannot be stored |

use crate::broker::Broker;
use std::sync::Arc;
use tapline_sdk::Error;

/// The topic that holds the registry.
pub const TOPIC: &str = "_schemas";

/// Schemas by id and subject.
pub struct Registry {
    #[expect(dead_code, reason = "the API is published before it is built")]
    broker: Arc<dyn Broker>,
}

impl Registry {
    /// Creates the topic if need be and reads it.
    ///
    /// # Errors
    /// The topic cannot be created or read, or holds what is no registry's.
    pub async fn open(broker: Arc<dyn Broker>) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self { broker }))
    }

    /// The id of this schema under this subject, durable on return. The same text has the same id everywhere.
    ///
    /// # Errors
    /// The log refuses it.
    pub async fn register(&self, subject: &str, schema: &str) -> Result<i32, Error> {
        let mut ids = self
            .register_all(vec![(subject.into(), schema.into())])
            .await?;
        ids.pop()
            .ok_or_else(|| Error::fatal("the registry gave no id"))
    }

    /// Many at once, in one commit; ids in the same order.
    ///
    /// # Errors
    /// The log refuses it; then none is registered.
    pub async fn register_all(
        &self,
        schemas: Vec<(Arc<str>, Arc<str>)>,
    ) -> Result<Vec<i32>, Error> {
        let _ = schemas;
        Err(Error::fatal("the registry is not built yet"))
    }

    /// The schema of this id.
    #[must_use]
    pub fn schema(&self, id: i32) -> Option<Arc<str>> {
        let _ = id;
        None
    }
}
