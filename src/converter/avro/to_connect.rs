//! An Avro schema as a Connect schema, as Confluent's Avro converter reads it: exactly what was written if our own
//! converter or that one wrote it, the nearest Connect type otherwise.

use super::{
    default,
    from_connect::{
        CONNECT_DEFAULT, CONNECT_NAME, CONNECT_PARAMETERS, CONNECT_TYPE, CONNECT_VERSION, DATE,
        DECIMAL, FIELD_NAME, INTERNAL_TYPE, PRECISION, PRECISION_DEFAULT, SCALE, TIME, TIMESTAMP,
    },
    names::{DEFAULT_NAME, ENTRY_NAME, FullName, NAMESPACE},
    node::{Avro, Node, Record},
    parse::DEPTH_MAX,
    tree::Tree,
};
use std::{collections::HashMap, sync::Arc};
use tapline_sdk::{Datum, Field, Schema, SchemaBuilder, Type};

/// What a union of several types becomes: a struct with one optional field per branch.
const UNION_NAME: &str = "io.confluent.connect.avro.Union";
/// The parameter that names an Avro enum.
const ENUM_PARAMETER: &str = "io.confluent.connect.avro.Enum";
/// The parameter that holds the size of an Avro fixed.
const FIXED_PARAMETER: &str = "connect.fixed.size";

/// A schema's definitions by name.
pub(super) type Definitions<'a> = HashMap<&'a FullName, &'a Node>;

/// Every named type of a schema.
pub(super) fn definitions(node: &Node) -> Definitions<'_> {
    fn collect<'a>(node: &'a Node, found: &mut Definitions<'a>) {
        match &node.ty {
            Avro::Array(inner) | Avro::Map(inner) => collect(inner, found),
            Avro::Union(branches) => branches.iter().for_each(|branch| collect(branch, found)),
            Avro::Record(record) => {
                found.insert(&record.name, node);
                record
                    .fields
                    .iter()
                    .for_each(|field| collect(&field.node, found));
            }
            Avro::Enum(name, _) | Avro::Fixed(name, _) => {
                found.insert(name, node);
            }
            _ => {}
        }
    }
    let mut found = HashMap::new();
    collect(node, &mut found);
    found
}

/// The Connect schema of an Avro schema.
///
/// # Errors
/// The schema is recursive, which Connect cannot express, or is nested too deeply.
pub(super) fn to_connect(node: &Node) -> Result<Arc<Schema>, String> {
    let mut reader = Reader {
        definitions: definitions(node),
        done: HashMap::new(),
    };
    reader.schema(node, false, None, 0)
}

/// The only branch beside null, and whether null is allowed.
pub(super) fn nullable(branches: &[Node]) -> Option<&Node> {
    match branches {
        [a, b] if a.ty == Avro::Null => Some(b),
        [a, b] if b.ty == Avro::Null => Some(a),
        _ => None,
    }
}

/// Whether this record is the entry of a map whose keys are no strings.
pub(super) fn is_entry(node: &Node, record: &Record) -> bool {
    let marked = node.text_prop(INTERNAL_TYPE) == Some(ENTRY_NAME)
        || (record.name.namespace == NAMESPACE && record.name.name == ENTRY_NAME);
    marked && record.fields.len() == 2
}

/// What a branch of a union is called as a field.
fn branch_name(node: &Node) -> String {
    match &node.ty {
        Avro::Record(record) => record.name.name.clone(),
        Avro::Enum(name, _) | Avro::Fixed(name, _) | Avro::Named(name) => name.name.clone(),
        Avro::Array(_) => "array".to_owned(),
        Avro::Map(_) => "map".to_owned(),
        _ => node.to_text().trim_matches('"').to_owned(),
    }
}

struct Reader<'a> {
    definitions: Definitions<'a>,
    /// Named types that were read; the flag says whether null is allowed. One `Arc` each, so that `before` and
    /// `after` share theirs.
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
        if let Avro::Named(name) = &node.ty {
            let target = self.definitions.get(name).copied();
            let target = target.ok_or_else(|| format!("the type \"{name}\" is not defined"))?;
            return self.schema(target, optional, field_default, depth + 1);
        }
        if let Avro::Union(branches) = &node.ty {
            return match nullable(branches) {
                Some(branch) => self.schema(branch, true, field_default, depth + 1),
                None => self.union(branches, optional, depth),
            };
        }
        let Some(name) = full_name(node) else {
            return self.build(node, optional, field_default, depth);
        };
        match self.done.get(&(name, optional)) {
            Some(Some(schema)) => return Ok(Arc::clone(schema)),
            Some(None) => return Err(format!("the type \"{name}\" contains itself")),
            None => {}
        }
        self.done.insert((name, optional), None);
        let schema = self.build(node, optional, field_default, depth)?;
        self.done
            .insert((name, optional), Some(Arc::clone(&schema)));
        Ok(schema)
    }

    fn build(
        &mut self,
        node: &'a Node,
        optional: bool,
        field_default: Option<&Tree>,
        depth: usize,
    ) -> Result<Arc<Schema>, String> {
        let ty = self.ty(node, depth)?;
        let builder = annotated(node, Schema::of(ty)).optional_if(optional);
        let told = node.prop(CONNECT_DEFAULT).or(field_default);
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

    fn ty(&mut self, node: &'a Node, depth: usize) -> Result<Type, String> {
        Ok(match &node.ty {
            Avro::Null => return Err("a null that is no branch of a union".to_owned()),
            Avro::Boolean => Type::Bool,
            Avro::Int => match node.text_prop(CONNECT_TYPE) {
                Some("int8") => Type::Int8,
                Some("int16") => Type::Int16,
                _ => Type::Int32,
            },
            Avro::Long => Type::Int64,
            Avro::Float => Type::Float32,
            Avro::Double => Type::Float64,
            Avro::Bytes | Avro::Fixed(..) => Type::Bytes,
            Avro::String | Avro::Enum(..) => Type::Text,
            Avro::Map(value) => Type::Map(
                Schema::string(),
                self.schema(value, false, None, depth + 1)?,
            ),
            Avro::Array(item) => match self.entry(item) {
                Some(record) => {
                    let [key, value] = record.fields.as_slice() else {
                        return Err("a map's entry without key and value".to_owned());
                    };
                    Type::Map(
                        self.schema(&key.node, false, key.default.as_ref(), depth + 1)?,
                        self.schema(&value.node, false, value.default.as_ref(), depth + 1)?,
                    )
                }
                None => Type::Array(self.schema(item, false, None, depth + 1)?),
            },
            Avro::Record(record) => Type::Struct(self.fields(record, depth)?),
            Avro::Union(_) | Avro::Named(_) => {
                return Err("a type that was to be resolved".to_owned());
            }
        })
    }

    /// The entry record of an array that stands for a map.
    fn entry(&self, item: &'a Node) -> Option<&'a Record> {
        let target = match &item.ty {
            Avro::Named(name) => self.definitions.get(name).copied()?,
            _ => item,
        };
        match &target.ty {
            Avro::Record(record) if is_entry(target, record) => Some(record),
            _ => None,
        }
    }

    fn fields(&mut self, record: &'a Record, depth: usize) -> Result<Box<[Field]>, String> {
        let fields = record.fields.iter().map(|field| {
            let original = field.props.iter().find(|(key, _)| key == FIELD_NAME);
            let name = original
                .and_then(|(_, name)| name.as_text())
                .unwrap_or(&field.name);
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
        for branch in branches.iter().filter(|branch| branch.ty != Avro::Null) {
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

fn full_name(node: &Node) -> Option<&FullName> {
    match &node.ty {
        Avro::Record(record) => Some(&record.name),
        _ => None,
    }
}

/// Name, version and parameters: from Connect's properties, or from Avro's logical type.
fn annotated(node: &Node, mut builder: SchemaBuilder) -> SchemaBuilder {
    let version = node.prop(CONNECT_VERSION).and_then(Tree::as_int);
    if let Some(version) = version.and_then(|version| i32::try_from(version).ok()) {
        builder = builder.version(version);
    }
    if let Some(Tree::Object(parameters)) = node.prop(CONNECT_PARAMETERS) {
        for (key, value) in parameters {
            builder = builder.parameter(key.as_str(), value.as_text().unwrap_or_default());
        }
    }
    if let Some(name) = node.text_prop(CONNECT_NAME) {
        return builder.name(name);
    }
    match &node.ty {
        Avro::Record(record) => {
            let unnamed =
                record.name.namespace == NAMESPACE && record.name.name.starts_with(DEFAULT_NAME);
            if unnamed {
                builder
            } else {
                builder.name(record.name.to_string())
            }
        }
        Avro::Enum(name, symbols) => symbols.iter().fold(
            builder
                .name(name.to_string())
                .parameter(ENUM_PARAMETER, name.to_string()),
            |builder, symbol| {
                builder.parameter(format!("{ENUM_PARAMETER}.{symbol}"), symbol.as_str())
            },
        ),
        Avro::Fixed(name, size) if node.text_prop("logicalType") != Some("decimal") => builder
            .name(name.to_string())
            .parameter(FIXED_PARAMETER, size.to_string()),
        _ => logical(node, builder),
    }
}

fn logical(node: &Node, builder: SchemaBuilder) -> SchemaBuilder {
    let number = |key: &str| node.prop(key).and_then(Tree::as_int);
    let name = match (&node.ty, node.text_prop("logicalType")) {
        (Avro::Bytes | Avro::Fixed(..), Some("decimal")) => {
            let scale = number("scale").unwrap_or(0);
            let builder = builder
                .name(DECIMAL)
                .version(1)
                .parameter(SCALE, scale.to_string());
            return match number("precision") {
                Some(precision) if precision != PRECISION_DEFAULT => {
                    builder.parameter(PRECISION, precision.to_string())
                }
                _ => builder,
            };
        }
        (Avro::Int, Some("date")) => DATE,
        (Avro::Int, Some("time-millis")) => TIME,
        (Avro::Long, Some("timestamp-millis")) => TIMESTAMP,
        _ => return builder,
    };
    builder.name(name).version(1)
}
