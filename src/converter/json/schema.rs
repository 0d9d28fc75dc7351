//! The JSON of a schema, back to a schema; kept by its text, because each record repeats it.

use super::{JsonSettings, decode};
use hashbrown::HashMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{collections::HashSet, sync::Arc};
use tapline_sdk::{Arena, Datum, Field, Schema, SchemaBuilder, Type};

/// Schemas inside of schemas: an envelope has three, more than this is an attempt to exhaust the stack.
const DEPTH_MAX: usize = 64;

/// Text of all kept schemas together, whatever their number.
const TEXT_BYTES_MAX: usize = 32 << 20;

/// Schemas by their text.
#[derive(Debug, Default)]
pub(super) struct Schemas {
    known: HashMap<Box<str>, Option<Arc<Schema>>>,
    text_bytes: usize,
}

impl Schemas {
    /// The schema of this text; `None` for the text `null`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(super) fn get(
        &mut self,
        text: &str,
        settings: &JsonSettings,
    ) -> Result<Option<Arc<Schema>>, String> {
        if let Some(schema) = self.known.get(text) {
            return Ok(schema.clone());
        }
        let schema = match text {
            "null" => None,
            text => Some(parse(text, settings)?),
        };
        if self.known.len() >= settings.schemas_max || self.text_bytes >= TEXT_BYTES_MAX {
            self.known.clear();
            self.text_bytes = 0;
        }
        self.text_bytes += text.len();
        self.known.insert(text.into(), schema.clone());
        Ok(schema)
    }
}

/// Reads a schema.
///
/// # Errors
/// Says what is wrong with it.
pub(super) fn parse(text: &str, settings: &JsonSettings) -> Result<Arc<Schema>, String> {
    Parser { settings }.schema(text, DEPTH_MAX)
}

/// A schema's members, each to be read when its type is known. Others are passed over.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, rename = "type")]
    ty: Option<&'a RawValue>,
    #[serde(borrow)]
    items: Option<&'a RawValue>,
    #[serde(borrow)]
    keys: Option<&'a RawValue>,
    #[serde(borrow)]
    values: Option<&'a RawValue>,
    #[serde(borrow)]
    fields: Option<&'a RawValue>,
    #[serde(borrow)]
    optional: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    version: Option<&'a RawValue>,
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
    #[serde(borrow)]
    default: Option<&'a RawValue>,
    #[serde(borrow)]
    field: Option<&'a RawValue>,
}

/// A member of the type that it should have; another counts as missing, as in the original.
fn lenient<'a, T: Deserialize<'a>>(member: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(member?.get()).ok()
}

struct Parser<'s> {
    settings: &'s JsonSettings,
}

impl Parser<'_> {
    fn schema(&self, text: &str, depth: usize) -> Result<Arc<Schema>, String> {
        let members = members(text)?;
        self.built(&members, depth)
    }

    fn built(&self, members: &Members<'_>, depth: usize) -> Result<Arc<Schema>, String> {
        let depth = depth.checked_sub(1).ok_or("nested too deeply")?;
        let mut schema = Schema::of(self.ty(members, depth)?)
            .optional_if(lenient(members.optional).unwrap_or(false));
        if let Some(name) = lenient::<String>(members.name) {
            schema = schema.name(name);
        }
        if let Some(version) = lenient::<i32>(members.version) {
            schema = schema.version(version);
        }
        if let Some(parameters) = members.parameters {
            schema = with_parameters(schema, parameters.get())?;
        }
        let schema = schema.build();
        let Some(default) = members.default else {
            return Ok(schema);
        };
        let mut arena = Arena::default();
        let cell = decode::value(
            default.get().as_bytes(),
            Some(&schema),
            self.settings,
            &mut arena,
        )
        .map_err(|error| format!("a default: {error}"))?;
        let mut schema = Arc::unwrap_or_clone(schema);
        let own = Schema {
            default: None,
            ..schema.clone()
        };
        schema.default = Some(Datum::new(Some(Arc::new(own)), arena, cell));
        Ok(Arc::new(schema))
    }

    fn ty(&self, members: &Members<'_>, depth: usize) -> Result<Type, String> {
        let name: String = lenient(members.ty).ok_or("a schema without a type")?;
        let part = |member: Option<&RawValue>, what: &str| {
            let member = member.ok_or_else(|| format!("{name} without {what}"))?;
            self.schema(member.get(), depth)
        };
        Ok(match &*name {
            "boolean" => Type::Bool,
            "int8" => Type::Int8,
            "int16" => Type::Int16,
            "int32" => Type::Int32,
            "int64" => Type::Int64,
            "float" => Type::Float32,
            "double" => Type::Float64,
            "string" => Type::Text,
            "bytes" => Type::Bytes,
            "array" => Type::Array(part(members.items, "items")?),
            "map" => Type::Map(part(members.keys, "keys")?, part(members.values, "values")?),
            "struct" => self.fields(members, depth)?,
            other => return Err(format!("the unknown type {other:?}")),
        })
    }

    fn fields(&self, members: &Members<'_>, depth: usize) -> Result<Type, String> {
        let texts: Vec<&RawValue> = lenient(members.fields).ok_or("a struct without fields")?;
        let mut names: HashSet<String> = HashSet::new();
        let mut fields = Vec::with_capacity(texts.len());
        for text in texts {
            let parts = self::members(text.get())?;
            let name: String = lenient(parts.field).ok_or("a field without a name")?;
            if !names.insert(name.clone()) {
                return Err(format!("two fields with the name {name:?}"));
            }
            let schema = self.built(&parts, depth)?;
            fields.push(Field {
                name: name.into(),
                schema,
            });
        }
        Ok(Type::Struct(fields.into_boxed_slice()))
    }
}

fn members(text: &str) -> Result<Members<'_>, String> {
    serde_json::from_str(text).map_err(|_| "no JSON object of a schema".to_owned())
}

fn with_parameters(mut schema: SchemaBuilder, text: &str) -> Result<SchemaBuilder, String> {
    let wrong = || "parameters that are no texts".to_owned();
    let mut json = serde_json::Deserializer::from_str(text);
    let mut arena = Arena::default();
    let cell = serde::de::DeserializeSeed::deserialize(super::free::Free(&mut arena), &mut json);
    let cell = cell.map_err(|_| wrong())?;
    let tapline_sdk::Value::Map(entries) = arena.value(cell) else {
        return Err(wrong());
    };
    for at in 0..entries.len() / 2 {
        match (entries.get(2 * at), entries.get(2 * at + 1)) {
            (tapline_sdk::Value::Text(name), tapline_sdk::Value::Text(value)) => {
                schema = schema.parameter(name, value);
            }
            _ => return Err(wrong()),
        }
    }
    Ok(schema)
}
