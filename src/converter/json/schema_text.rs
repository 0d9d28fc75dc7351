//! A Connect schema as the JSON that travels with each value: type, parts, optional, name, version, parameters,
//! default, in this order.

use super::{
    JsonSettings,
    encode::EncodePlan,
    write::{int, text},
};
use crate::converter::avro::Output;
use tapline_sdk::{Schema, Type};

/// Appends a schema.
///
/// # Errors
/// Its default cannot be written.
pub(super) fn write(
    schema: &Schema,
    settings: &JsonSettings,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    out.push(b'{');
    body(schema, settings, out)?;
    out.push(b'}');
    Ok(())
}

/// The members of a schema's object, without its braces: a struct's field adds its name to them.
fn body(schema: &Schema, settings: &JsonSettings, out: &mut Vec<u8>) -> Result<(), String> {
    out.extend_from_slice(b"\"type\":");
    text(name_of(&schema.ty), out);
    parts(schema, settings, out)?;
    out.extend_from_slice(b",\"optional\":");
    out.extend_from_slice(if schema.optional { b"true" } else { b"false" });
    if let Some(name) = &schema.name {
        out.extend_from_slice(b",\"name\":");
        text(name, out);
    }
    if let Some(version) = schema.version {
        out.extend_from_slice(b",\"version\":");
        int(version.into(), out);
    }
    for (at, (name, value)) in schema.parameters.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b",\"parameters\":{" } else { b"," });
        text(name, out);
        out.push(b':');
        text(value, out);
    }
    if !schema.parameters.is_empty() {
        out.push(b'}');
    }
    if let Some(default) = schema
        .default
        .as_ref()
        .filter(|default| default.cell() != tapline_sdk::Cell::Null)
    {
        out.extend_from_slice(b",\"default\":");
        let mut written = Output {
            bytes: std::mem::take(out),
            unavailable: false,
        };
        let plan = EncodePlan::payload(schema, settings, None)?;
        let encoded = plan.encode(default.arena(), default.cell(), &mut written);
        *out = written.bytes;
        encoded.map_err(|error| format!("a default: {error}"))?;
    }
    Ok(())
}

/// What arrays, maps and structs are made of.
fn parts(schema: &Schema, settings: &JsonSettings, out: &mut Vec<u8>) -> Result<(), String> {
    match &schema.ty {
        Type::Array(item) => {
            out.extend_from_slice(b",\"items\":");
            write(item, settings, out)
        }
        Type::Map(key, value) => {
            out.extend_from_slice(b",\"keys\":");
            write(key, settings, out)?;
            out.extend_from_slice(b",\"values\":");
            write(value, settings, out)
        }
        Type::Struct(fields) => {
            out.extend_from_slice(b",\"fields\":[");
            for (at, field) in fields.iter().enumerate() {
                out.extend_from_slice(if at == 0 { b"{" } else { b",{" });
                body(&field.schema, settings, out)?;
                out.extend_from_slice(b",\"field\":");
                text(&field.name, out);
                out.push(b'}');
            }
            out.push(b']');
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Connect's word for a type.
fn name_of(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "boolean",
        Type::Int8 => "int8",
        Type::Int16 => "int16",
        Type::Int32 => "int32",
        Type::Int64 => "int64",
        Type::Float32 => "float",
        Type::Float64 => "double",
        Type::Text => "string",
        Type::Bytes => "bytes",
        Type::Array(_) => "array",
        Type::Map(..) => "map",
        Type::Struct(_) => "struct",
    }
}
