//! Connect data as Avro: the shapes of Confluent's converter, and an encoder and a decoder compiled per schema.
//!
//! Owns schemas and values only; the five bytes before a value are [`crate::converter`]'s, ids the registry's.

mod decode;
mod default;
mod encode;
mod from_connect;
mod names;
mod placeholder;
#[cfg(test)]
pub(super) mod tests;
mod to_connect;
mod varint;

pub use decode::{DecodePlan, Scratch};
pub use encode::{EncodePlan, Output};
pub use placeholder::{Placeholder, TEXT as PLACEHOLDER};

use crate::avro::{AvroSchema, Kind, Rules};
use std::sync::Arc;
use tapline_sdk::{Arena, Cell, RecordError, Schema, Type};

/// The text of the Avro schema for a Connect schema, in the form that registries store.
///
/// # Errors
/// Says what Avro cannot express.
pub fn schema_text(schema: &Schema) -> Result<String, String> {
    from_connect::from_connect(schema).map(|avro| avro.to_text())
}

/// An Avro schema, ready to decode.
#[derive(Debug)]
pub struct Reader {
    /// What the values are.
    pub schema: Arc<Schema>,
    /// How to read them.
    pub plan: DecodePlan,
    /// Whether the bytes behind the frame are the value itself: see [`is_bare`].
    bare: bool,
}

/// Confluent's serializers write bytes that are the whole value as they are, without the length that Avro has before
/// them, and their deserializers read them so.
#[must_use]
pub fn is_bare(schema: &Schema) -> bool {
    schema.ty == Type::Bytes && !schema.optional
}

impl Reader {
    /// Parses and compiles an Avro schema.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let avro = AvroSchema::parse(text, &[], Rules::Stored)?;
        Ok(Self {
            schema: to_connect::to_connect(&avro)?,
            plan: DecodePlan::compile(&avro)?,
            bare: avro.root.kind == Kind::Bytes,
        })
    }

    /// Decodes what stands behind a frame.
    ///
    /// # Errors
    /// The bytes are not of this schema; names the field.
    pub fn decode(
        &self,
        bytes: &[u8],
        arena: &mut Arena,
        scratch: &mut Scratch,
    ) -> Result<Cell, RecordError> {
        match self.bare {
            true => Ok(arena.bytes(bytes)),
            false => self.plan.decode(bytes, arena, scratch),
        }
    }
}
