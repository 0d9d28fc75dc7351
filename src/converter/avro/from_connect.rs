//! A Connect schema as Avro, in the shapes of Confluent's Avro converter, so that its users' tools read our topics.
//!
//! Where that converter fails (an illegal name, one name for two structs) this one scrubs or numbers the name and
//! keeps the original as a property.

use super::{
    default,
    names::{self, DEFAULT_NAME, ENTRY_NAME, NAMESPACE, scrubbed},
};
use crate::avro::{
    AvroSchema, DEPTH_MAX, Definition, Field as AvroField, FullName, Kind, Node, Props, Shape, Tree,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use tapline_sdk::{Field, Schema, Type};

/// What Connect's schema is called, because only records have names in Avro.
pub(super) const CONNECT_NAME: &str = "connect.name";
/// The schema's version.
pub(super) const CONNECT_VERSION: &str = "connect.version";
/// The schema's parameters.
pub(super) const CONNECT_PARAMETERS: &str = "connect.parameters";
/// The schema's default.
pub(super) const CONNECT_DEFAULT: &str = "connect.default";
/// Tells int8 and int16 from int32.
pub(super) const CONNECT_TYPE: &str = "connect.type";
/// Tells a map's entry from a struct.
pub(super) const INTERNAL_TYPE: &str = "connect.internal.type";
/// A field's name before it was scrubbed.
pub(super) const FIELD_NAME: &str = "tapline.field.name";

/// Connect's logical names that Avro knows, too.
pub(super) const DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";
pub(super) const DATE: &str = "org.apache.kafka.connect.data.Date";
pub(super) const TIME: &str = "org.apache.kafka.connect.data.Time";
pub(super) const TIMESTAMP: &str = "org.apache.kafka.connect.data.Timestamp";

/// A decimal's scale, and its precision where it is known.
pub(super) const SCALE: &str = "scale";
pub(super) const PRECISION: &str = "connect.decimal.precision";
/// What the converter assumes where it is not.
pub(super) const PRECISION_DEFAULT: i64 = 64;

/// The Avro schema of a Connect schema.
///
/// # Errors
/// It is nested too deeply.
pub(super) fn from_connect(schema: &Schema) -> Result<AvroSchema, String> {
    let mut builder = Builder::default();
    let root = builder.node(schema, 0)?;
    Ok(AvroSchema {
        root,
        types: builder.types,
        foreign: HashSet::new(),
    })
}

/// Whether a map with such keys is a map in Avro: there keys are strings.
pub(super) fn is_text_key(key: &Schema) -> bool {
    key.ty == Type::Text && !key.optional
}

/// What stands behind a name that was given.
#[derive(Clone, Copy)]
enum Defined<'a> {
    Struct(&'a Schema),
    Entry(&'a Schema, &'a Schema),
}

#[derive(Default)]
struct Builder<'a> {
    defined: HashMap<FullName, Defined<'a>>,
    types: HashMap<FullName, Arc<Definition>>,
}

impl<'a> Builder<'a> {
    /// The schema, in a union with null if it is optional. A default has to fit the union's first branch.
    fn node(&mut self, schema: &'a Schema, depth: usize) -> Result<Node, String> {
        let node = self.required(schema, depth)?;
        if !schema.optional {
            return Ok(node);
        }
        let null = Node::plain(Kind::Null);
        let branches = match default_of(schema) {
            Some(_) => vec![node, null],
            None => vec![null, node],
        };
        Ok(Node::plain(Kind::Union(branches)))
    }

    fn required(&mut self, schema: &'a Schema, depth: usize) -> Result<Node, String> {
        if depth > DEPTH_MAX {
            return Err(format!("nested deeper than {DEPTH_MAX}"));
        }
        let kind = match &schema.ty {
            Type::Bool => Kind::Boolean,
            Type::Int8 | Type::Int16 | Type::Int32 => Kind::Int,
            Type::Int64 => Kind::Long,
            Type::Float32 => Kind::Float,
            Type::Float64 => Kind::Double,
            Type::Text => Kind::String,
            Type::Bytes => Kind::Bytes,
            Type::Array(item) => Kind::Array(Box::new(self.node(item, depth + 1)?)),
            Type::Map(key, value) if is_text_key(key) => {
                Kind::Map(Box::new(self.node(value, depth + 1)?))
            }
            Type::Map(key, value) => Kind::Array(Box::new(self.entry(schema, key, value, depth)?)),
            Type::Struct(fields) => return self.structure(schema, fields, depth).map(Node::plain),
        };
        Ok(Node {
            kind,
            props: props(schema),
        })
    }

    fn structure(
        &mut self,
        schema: &'a Schema,
        fields: &'a [Field],
        depth: usize,
    ) -> Result<Kind, String> {
        let base = scrubbed(schema.name.as_deref(), DEFAULT_NAME);
        let name = match self.give(base, Defined::Struct(schema)) {
            Given::Known(name) => return Ok(Kind::Named(name)),
            Given::New(name) => name,
        };
        let fields = self.fields(fields, depth)?;
        Ok(self.record(name, fields, props(schema)))
    }

    fn fields(&mut self, fields: &'a [Field], depth: usize) -> Result<Vec<AvroField>, String> {
        let mut done: Vec<AvroField> = Vec::with_capacity(fields.len());
        for field in fields {
            // A legal name is never taken from the field that has it by one that was scrubbed to it.
            let taken = |name: &str| {
                done.iter().any(|other| other.name == name)
                    || (name != &*field.name && fields.iter().any(|other| &*other.name == name))
            };
            let scrubbed = names::scrub_free(&field.name, taken);
            let node = self.node(&field.schema, depth + 1)?;
            done.push(avro_field(scrubbed, &field.name, node, &field.schema));
        }
        Ok(done)
    }

    /// Enters a record into the table.
    fn record(&mut self, name: FullName, fields: Vec<AvroField>, props: Props) -> Kind {
        let definition = Definition {
            name: name.clone(),
            doc: None,
            aliases: Vec::new(),
            shape: Shape::Record {
                error: false,
                fields,
            },
            props,
        };
        self.types.insert(name.clone(), Arc::new(definition));
        Kind::Named(name)
    }

    /// The entry of a map whose keys are no strings: a record of key and value.
    fn entry(
        &mut self,
        map: &'a Schema,
        key: &'a Schema,
        value: &'a Schema,
        depth: usize,
    ) -> Result<Node, String> {
        let base = scrubbed(map.name.as_deref(), ENTRY_NAME);
        let name = match self.give(base, Defined::Entry(key, value)) {
            Given::Known(name) => return Ok(Node::plain(Kind::Named(name))),
            Given::New(name) => name,
        };
        let plain = map.name.is_none() && name.name == ENTRY_NAME;
        let mut fields = Vec::with_capacity(2);
        for (label, schema) in [("key", key), ("value", value)] {
            let node = self.node(schema, depth + 1)?;
            fields.push(avro_field(label.to_owned(), label, node, schema));
        }
        let mut props = Props::default();
        if !plain {
            props.put(INTERNAL_TYPE, Tree::text(ENTRY_NAME));
        }
        Ok(Node::plain(self.record(name, fields, props)))
    }

    /// The name under which this very thing is known, or a free one.
    fn give(&mut self, base: FullName, thing: Defined<'a>) -> Given {
        let known = |name: &FullName| self.defined.get(name).copied();
        // Structs without a name are numbered as the converter numbers them.
        let separator = match base.namespace == NAMESPACE && base.name == DEFAULT_NAME {
            true => "",
            false => "_",
        };
        let name = names::free(&base.name, separator, |candidate| {
            let full = FullName {
                namespace: base.namespace.clone(),
                name: candidate.to_owned(),
            };
            known(&full).is_some_and(|other| !same(other, thing))
        });
        let full = FullName {
            namespace: base.namespace,
            name,
        };
        if self.defined.contains_key(&full) {
            return Given::Known(full);
        }
        self.defined.insert(full.clone(), thing);
        Given::New(full)
    }
}

enum Given {
    Known(FullName),
    New(FullName),
}

/// Whether one definition serves both. Whether null is allowed is not part of it.
fn same(a: Defined<'_>, b: Defined<'_>) -> bool {
    match (a, b) {
        (Defined::Struct(a), Defined::Struct(b)) => {
            std::ptr::eq(a, b)
                || (a.ty == b.ty
                    && a.name == b.name
                    && a.version == b.version
                    && a.parameters == b.parameters
                    && default_of(a).map(|default| default.value())
                        == default_of(b).map(|default| default.value()))
        }
        (Defined::Entry(key, value), Defined::Entry(other_key, other_value)) => {
            key == other_key && value == other_value
        }
        _ => false,
    }
}

/// A default that is not null: Connect knows no other.
pub(super) fn default_of(schema: &Schema) -> Option<&tapline_sdk::Datum> {
    schema
        .default
        .as_ref()
        .filter(|default| !matches!(default.value(), tapline_sdk::Value::Null))
}

/// What Avro's own types cannot say, as properties, in the converter's order.
fn props(schema: &Schema) -> Props {
    let mut props = Props::default();
    let mut put = |key: &str, value: Tree| props.put(key, value);
    let decimal = schema.is_named(DECIMAL) && schema.ty == Type::Bytes;
    if decimal {
        let number = |name: &str| schema.parameter(name).and_then(|text| text.parse().ok());
        put("scale", Tree::Int(number(SCALE).unwrap_or(0)));
        put(
            "precision",
            Tree::Int(number(PRECISION).unwrap_or(PRECISION_DEFAULT)),
        );
    }
    if let Some(version) = schema.version {
        put(CONNECT_VERSION, Tree::Int(version.into()));
    }
    if !schema.parameters.is_empty() {
        let entries = schema
            .parameters
            .iter()
            .map(|(key, value)| (key.to_string(), Tree::text(value)));
        put(CONNECT_PARAMETERS, Tree::Object(entries.collect()));
    }
    if let Some(default) = default_of(schema) {
        put(CONNECT_DEFAULT, default::to_tree(schema, default.value()));
    }
    if let Some(name) = &schema.name {
        put(CONNECT_NAME, Tree::text(name));
    }
    match schema.ty {
        Type::Int8 => put(CONNECT_TYPE, Tree::text("int8")),
        Type::Int16 => put(CONNECT_TYPE, Tree::text("int16")),
        _ => {}
    }
    let logical = match (&schema.ty, schema.name.as_deref()) {
        _ if decimal => Some("decimal"),
        (Type::Int32, Some(DATE)) => Some("date"),
        (Type::Int32, Some(TIME)) => Some("time-millis"),
        (Type::Int64, Some(TIMESTAMP)) => Some("timestamp-millis"),
        _ => None,
    };
    if let Some(logical) = logical {
        put("logicalType", Tree::text(logical));
    }
    let own = schema
        .parameters
        .iter()
        .filter(|(key, _)| key.starts_with("avro"));
    for (key, value) in own {
        put(key, Tree::text(value));
    }
    props
}

fn avro_field(name: String, original: &str, node: Node, schema: &Schema) -> AvroField {
    let default = match default_of(schema) {
        Some(default) => default::for_avro(schema, default.value()),
        None => schema.optional.then_some(Tree::Null),
    };
    let mut props = Props::default();
    if name != original {
        props.put(FIELD_NAME, Tree::text(original));
    }
    AvroField {
        name,
        node,
        doc: None,
        default,
        order: None,
        aliases: Vec::new(),
        props,
    }
}
