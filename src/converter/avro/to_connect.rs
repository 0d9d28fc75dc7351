//! An Avro schema as a Connect schema, as Confluent's Avro converter reads it: exactly what was written if our own
//! converter or that one wrote it, the nearest Connect type otherwise.

use super::{
    default,
    from_connect::{
        CONNECT_DEFAULT, CONNECT_NAME, CONNECT_PARAMETERS, CONNECT_TYPE, CONNECT_VERSION, DATE,
        DECIMAL, FIELD_NAME, INTERNAL_TYPE, PRECISION, PRECISION_DEFAULT, SCALE, TIME, TIMESTAMP,
    },
    names::{DEFAULT_NAME, ENTRY_NAME, NAMESPACE},
};
use crate::avro::{
    AvroSchema, DEPTH_MAX, Definition, Field as AvroField, FullName, Kind, Node, Props, Shape, Tree,
};
use std::{collections::HashMap, sync::Arc};
use tapline_sdk::{Datum, Field, Schema, SchemaBuilder, Type};

/// What a union of several types becomes: a struct with one optional field per branch.
const UNION_NAME: &str = "io.confluent.connect.avro.Union";
/// The parameter that names an Avro enum.
const ENUM_PARAMETER: &str = "io.confluent.connect.avro.Enum";
/// The parameter that holds the size of an Avro fixed.
const FIXED_PARAMETER: &str = "connect.fixed.size";

/// A type with what its name stands for.
#[derive(Clone, Copy)]
pub(super) enum Resolved<'a> {
    Unnamed(&'a Node),
    Named(&'a Definition),
}

impl<'a> Resolved<'a> {
    pub(super) fn of(avro: &'a AvroSchema, node: &'a Node) -> Result<Self, String> {
        let Kind::Named(name) = &node.kind else {
            return Ok(Self::Unnamed(node));
        };
        let definition = avro.definition(name).map(Self::Named);
        definition.ok_or_else(|| format!("the type \"{name}\" is not defined"))
    }

    fn props(self) -> &'a Props {
        match self {
            Self::Unnamed(node) => &node.props,
            Self::Named(definition) => &definition.props,
        }
    }

    /// Key and value, if this is the entry of a map whose keys are no strings.
    pub(super) fn entry(self) -> Option<[&'a AvroField; 2]> {
        let Self::Named(definition) = self else {
            return None;
        };
        let Shape::Record { fields, .. } = &definition.shape else {
            return None;
        };
        let name = &definition.name;
        let marked = definition.props.text(INTERNAL_TYPE) == Some(ENTRY_NAME)
            || (name.namespace == NAMESPACE && name.name == ENTRY_NAME);
        match fields.as_slice() {
            [key, value] if marked => Some([key, value]),
            _ => None,
        }
    }
}

/// The Connect schema of an Avro schema.
///
/// # Errors
/// The schema is recursive, which Connect cannot express, or is nested too deeply.
pub(super) fn to_connect(avro: &AvroSchema) -> Result<Arc<Schema>, String> {
    let mut reader = Reader {
        avro,
        done: HashMap::new(),
    };
    reader.schema(&avro.root, false, None, 0)
}

/// The only branch beside null, and whether null is allowed.
pub(super) fn nullable(branches: &[Node]) -> Option<&Node> {
    match branches {
        [a, b] if a.kind == Kind::Null => Some(b),
        [a, b] if b.kind == Kind::Null => Some(a),
        _ => None,
    }
}

struct Reader<'a> {
    avro: &'a AvroSchema,
    /// Records that were read; the flag says whether null is allowed. One `Arc` each, so that `before` and `after`
    /// share theirs.
    done: HashMap<(&'a FullName, bool), Option<Arc<Schema>>>,
}

impl<'a> Reader<'a> {
    fn schema(
        &mut self,
        node: &'a Node,
        optional: bool,
        field_default: Option<&Tree>,
        depth: usize,
    ) -> Result<Arc<Schema>, String> {
        if depth > DEPTH_MAX {
            return Err(format!("nested deeper than {DEPTH_MAX}"));
        }
        if let Kind::Union(branches) = &node.kind {
            return match nullable(branches) {
                Some(branch) => self.schema(branch, true, field_default, depth + 1),
                None => self.union(branches, optional, depth),
            };
        }
        let resolved = Resolved::of(self.avro, node)?;
        let Resolved::Named(Definition {
            name,
            shape: Shape::Record { .. },
            ..
        }) = resolved
        else {
            return self.build(resolved, optional, field_default, depth);
        };
        match self.done.get(&(name, optional)) {
            Some(Some(schema)) => return Ok(Arc::clone(schema)),
            Some(None) => return Err(format!("the type \"{name}\" contains itself")),
            None => {}
        }
        self.done.insert((name, optional), None);
        let schema = self.build(resolved, optional, field_default, depth)?;
        self.done
            .insert((name, optional), Some(Arc::clone(&schema)));
        Ok(schema)
    }

    fn build(
        &mut self,
        resolved: Resolved<'a>,
        optional: bool,
        field_default: Option<&Tree>,
        depth: usize,
    ) -> Result<Arc<Schema>, String> {
        let ty = self.ty(resolved, depth)?;
        let builder = annotated(resolved, Schema::of(ty)).optional_if(optional);
        let told = resolved.props().get(CONNECT_DEFAULT).or(field_default);
        let Some(told) = told.filter(|tree| **tree != Tree::Null) else {
            return Ok(builder.build());
        };
        let schema = builder.build();
        let Some(default) = default::from_tree(&schema, told) else {
            return Ok(schema);
        };
        // The default's own schema is the one without a default: a cycle could never be freed.
        let default = Datum::new(
            Some(Arc::clone(&schema)),
            default.arena().clone(),
            default.cell(),
        );
        let mut whole = Schema::clone(&schema);
        whole.default = Some(default);
        Ok(Arc::new(whole))
    }

    fn ty(&mut self, resolved: Resolved<'a>, depth: usize) -> Result<Type, String> {
        let node = match resolved {
            Resolved::Unnamed(node) => node,
            Resolved::Named(definition) => {
                return Ok(match &definition.shape {
                    Shape::Record { fields, .. } => Type::Struct(self.fields(fields, depth)?),
                    Shape::Enum { .. } => Type::Text,
                    Shape::Fixed { .. } => Type::Bytes,
                });
            }
        };
        Ok(match &node.kind {
            Kind::Null => return Err("a null that is no branch of a union".to_owned()),
            Kind::Boolean => Type::Bool,
            Kind::Int => match node.props.text(CONNECT_TYPE) {
                Some("int8") => Type::Int8,
                Some("int16") => Type::Int16,
                _ => Type::Int32,
            },
            Kind::Long => Type::Int64,
            Kind::Float => Type::Float32,
            Kind::Double => Type::Float64,
            Kind::Bytes => Type::Bytes,
            Kind::String => Type::Text,
            Kind::Map(value) => Type::Map(
                Schema::string(),
                self.schema(value, false, None, depth + 1)?,
            ),
            Kind::Array(item) => match Resolved::of(self.avro, item)?.entry() {
                Some([key, value]) => Type::Map(
                    self.schema(&key.node, false, key.default.as_ref(), depth + 1)?,
                    self.schema(&value.node, false, value.default.as_ref(), depth + 1)?,
                ),
                None => Type::Array(self.schema(item, false, None, depth + 1)?),
            },
            Kind::Union(_) | Kind::Named(_) => {
                return Err("a type that was to be resolved".to_owned());
            }
        })
    }

    fn fields(&mut self, fields: &'a [AvroField], depth: usize) -> Result<Box<[Field]>, String> {
        let fields = fields.iter().map(|field| {
            let name = field.props.text(FIELD_NAME).unwrap_or(&field.name);
            Ok(Field {
                name: name.into(),
                schema: self.schema(&field.node, false, field.default.as_ref(), depth + 1)?,
            })
        });
        fields.collect()
    }

    fn union(
        &mut self,
        branches: &'a [Node],
        optional: bool,
        depth: usize,
    ) -> Result<Arc<Schema>, String> {
        let mut fields = Vec::with_capacity(branches.len());
        for branch in branches.iter().filter(|branch| branch.kind != Kind::Null) {
            fields.push(Field {
                name: branch_name(branch).into(),
                schema: self.schema(branch, true, None, depth + 1)?,
            });
        }
        let null = fields.len() < branches.len();
        Ok(Schema::structure(fields)
            .name(UNION_NAME)
            .optional_if(optional || null)
            .build())
    }
}

/// What a branch of a union is called as a field.
fn branch_name(node: &Node) -> &str {
    match &node.kind {
        Kind::Named(name) => &name.name,
        kind => kind.word(),
    }
}

/// Name, version and parameters: from Connect's properties, or from Avro's names and logical types.
fn annotated(resolved: Resolved<'_>, mut builder: SchemaBuilder) -> SchemaBuilder {
    let props = resolved.props();
    let version = props.int(CONNECT_VERSION);
    if let Some(version) = version.and_then(|version| i32::try_from(version).ok()) {
        builder = builder.version(version);
    }
    if let Some(Tree::Object(parameters)) = props.get(CONNECT_PARAMETERS) {
        for (key, value) in parameters {
            builder = builder.parameter(key.as_str(), value.as_text().unwrap_or_default());
        }
    }
    if let Some(name) = props.text(CONNECT_NAME) {
        return builder.name(name);
    }
    match resolved {
        Resolved::Unnamed(node) => logical(node, builder),
        Resolved::Named(definition) => named(definition, builder),
    }
}

fn named(definition: &Definition, builder: SchemaBuilder) -> SchemaBuilder {
    let Definition {
        name, shape, props, ..
    } = definition;
    match shape {
        Shape::Record { .. }
            if name.namespace == NAMESPACE && name.name.starts_with(DEFAULT_NAME) =>
        {
            builder
        }
        Shape::Record { .. } => builder.name(name.to_string()),
        Shape::Enum { symbols, .. } => symbols.iter().fold(
            builder
                .name(name.to_string())
                .parameter(ENUM_PARAMETER, name.to_string()),
            |builder, symbol| {
                builder.parameter(format!("{ENUM_PARAMETER}.{symbol}"), symbol.as_str())
            },
        ),
        Shape::Fixed { .. } if props.text("logicalType") == Some("decimal") => {
            decimal(props, builder)
        }
        Shape::Fixed { size } => builder
            .name(name.to_string())
            .parameter(FIXED_PARAMETER, size.to_string()),
    }
}

fn logical(node: &Node, builder: SchemaBuilder) -> SchemaBuilder {
    let name = match (&node.kind, node.props.text("logicalType")) {
        (Kind::Bytes, Some("decimal")) => return decimal(&node.props, builder),
        (Kind::Int, Some("date")) => DATE,
        (Kind::Int, Some("time-millis")) => TIME,
        (Kind::Long, Some("timestamp-millis")) => TIMESTAMP,
        _ => return builder,
    };
    builder.name(name).version(1)
}

/// As Confluent's converter reads it: digits that Avro's rules ignore count as well.
fn decimal(props: &Props, builder: SchemaBuilder) -> SchemaBuilder {
    let scale = props.int("scale").unwrap_or(0);
    let builder = builder
        .name(DECIMAL)
        .version(1)
        .parameter(SCALE, scale.to_string());
    match props.int("precision") {
        Some(precision) if precision != PRECISION_DEFAULT => {
            builder.parameter(PRECISION, precision.to_string())
        }
        _ => builder,
    }
}
