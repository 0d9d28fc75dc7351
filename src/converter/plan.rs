//! A schema compiled for its converter: what the encoder keeps per schema.

use super::{
    Converter, Placeholder, Plain,
    avro::{self, Output},
    encoder::{FRAME_BYTES, MAGIC},
    json,
};
use std::sync::Arc;
use tapline_sdk::{Arena, Cell, RecordError, Schema};

/// A schema, or its absence, with the plan that writes its values.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) schema: Option<Arc<Schema>>,
    plan: Plan,
}

#[derive(Debug)]
enum Plan {
    Avro { plan: avro::EncodePlan, id: i32 },
    Json(json::EncodePlan),
    Plain(Plain, Placeholder),
}

impl Bound {
    /// For a schema that is registered under this id.
    ///
    /// # Errors
    /// Says what Avro cannot express.
    pub(super) fn avro(
        schema: &Arc<Schema>,
        id: i32,
        placeholder: &Placeholder,
    ) -> Result<Self, String> {
        let plan = avro::EncodePlan::compile(schema, placeholder)?;
        Ok(Self {
            schema: Some(Arc::clone(schema)),
            plan: Plan::Avro { plan, id },
        })
    }

    /// For a converter that needs no registry; `None` for Avro.
    ///
    /// # Errors
    /// Says what the converter cannot express.
    pub(super) fn unregistered(
        converter: &Converter,
        schema: Option<&Arc<Schema>>,
        placeholder: &Placeholder,
    ) -> Result<Option<Self>, String> {
        let plan = match converter {
            Converter::Avro => return Ok(None),
            Converter::Json(settings) => Plan::Json(json::EncodePlan::compile(
                schema.map(|schema| &**schema),
                settings,
                placeholder,
            )?),
            Converter::Plain(plain) => Plan::Plain(*plain, placeholder.clone()),
        };
        let schema = schema.cloned();
        Ok(Some(Self { schema, plan }))
    }

    /// Appends a value; false: it is Kafka's null.
    ///
    /// # Errors
    /// The value does not fit its schema, or the schema its converter; names the field.
    pub(super) fn append(
        &self,
        arena: &Arena,
        cell: Cell,
        out: &mut Output,
    ) -> Result<bool, RecordError> {
        let null = cell == Cell::Null;
        match &self.plan {
            Plan::Avro { plan, id } => {
                if null && !self.schema.as_ref().is_some_and(|schema| schema.optional) {
                    return Ok(false);
                }
                let [a, b, c, d] = id.to_be_bytes();
                out.bytes.extend_from_slice(&[MAGIC, a, b, c, d]);
                match (self.schema.as_deref(), cell) {
                    (Some(schema), Cell::Bytes(_)) if avro::is_bare(schema) => {
                        out.bytes.extend_from_slice(arena.raw(cell));
                    }
                    _ => plan.encode(arena, cell, out)?,
                }
            }
            Plan::Json(plan) if null && !plan.writes_null() => return Ok(false),
            Plan::Json(plan) => plan.encode(arena, cell, out)?,
            Plan::Plain(..) if null => return Ok(false),
            Plan::Plain(plain, placeholder) => {
                let schema = self.schema.as_deref();
                plain.encode(schema, arena, cell, placeholder, &mut out.bytes)?;
                out.unavailable |= has_unavailable(arena, cell);
            }
        }
        Ok(true)
    }

    /// Bytes before the data, which say nothing about the value.
    pub(super) fn frame_bytes(&self) -> usize {
        match self.plan {
            Plan::Avro { .. } => FRAME_BYTES,
            _ => 0,
        }
    }
}

fn has_unavailable(arena: &Arena, cell: Cell) -> bool {
    matches!(cell, Cell::Struct(_))
        && arena
            .children(cell)
            .iter()
            .any(|child| *child == Cell::Unavailable || has_unavailable(arena, *child))
}
