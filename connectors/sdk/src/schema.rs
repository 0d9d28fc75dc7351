//! Schemas in Kafka Connect's model, with Connect's and Debezium's logical names.
//!
//! Owns the shape of data and nothing else; how a schema looks in Avro or SQL is the converters' and sinks' affair.

use crate::Datum;
use std::sync::Arc;

/// Connect's schema types.
#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    /// BOOLEAN.
    Bool,
    /// INT8.
    Int8,
    /// INT16.
    Int16,
    /// INT32.
    Int32,
    /// INT64.
    Int64,
    /// FLOAT32.
    Float32,
    /// FLOAT64.
    Float64,
    /// STRING.
    Text,
    /// BYTES.
    Bytes,
    /// ARRAY of items.
    Array(Arc<Schema>),
    /// MAP of keys and values.
    Map(Arc<Schema>, Arc<Schema>),
    /// STRUCT.
    Struct(Box<[Field]>),
}

/// One field of a struct.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Byte-exact and case-sensitive.
    pub name: Arc<str>,
    /// The field's schema.
    pub schema: Arc<Schema>,
}

/// A type with what Connect attaches to it. Two schemas are equal if everything but `doc` is.
#[derive(Debug, Clone)]
pub struct Schema {
    /// The type.
    pub ty: Type,
    /// Whether null is allowed.
    pub optional: bool,
    /// The logical type's or struct's name (`io.debezium.time.MicroTimestamp`, `shop.public.orders.Envelope`).
    pub name: Option<Arc<str>>,
    /// The version of the named type.
    pub version: Option<i32>,
    /// What stands for a missing value.
    pub default: Option<Datum>,
    /// Named strings, in the order they were added.
    pub parameters: Box<[(Arc<str>, Arc<str>)]>,
}

impl Schema {
    /// Starts a required, unnamed schema of this type.
    pub fn of(ty: Type) -> SchemaBuilder {
        let schema = Self {
            ty,
            optional: false,
            name: None,
            version: None,
            default: None,
            parameters: Box::default(),
        };
        SchemaBuilder {
            schema,
            parameters: Vec::new(),
        }
    }

    /// A required STRING.
    #[must_use]
    pub fn string() -> Arc<Self> {
        Self::of(Type::Text).build()
    }

    /// A struct of these fields.
    pub fn structure(fields: Vec<Field>) -> SchemaBuilder {
        Self::of(Type::Struct(fields.into_boxed_slice()))
    }

    /// A struct's fields; none for any other type.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        match &self.ty {
            Type::Struct(fields) => fields,
            _ => &[],
        }
    }

    /// The index of a struct's field.
    #[must_use]
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.fields().iter().position(|field| &*field.name == name)
    }

    /// A struct's field by name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields().iter().find(|field| &*field.name == name)
    }

    /// A parameter by name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(key, _)| &**key == name)
            .map(|(_, value)| &**value)
    }

    /// Whether this is the logical type of that name.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        self.name.as_deref() == Some(name)
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        let default = |schema: &Self| schema.default.is_some();
        self.ty == other.ty
            && self.optional == other.optional
            && self.name == other.name
            && self.version == other.version
            && self.parameters == other.parameters
            && default(self) == default(other)
            && match (&self.default, &other.default) {
                (Some(a), Some(b)) => a.value() == b.value(),
                _ => true,
            }
    }
}

/// Builds a [`Schema`].
#[derive(Debug)]
#[must_use]
pub struct SchemaBuilder {
    schema: Schema,
    parameters: Vec<(Arc<str>, Arc<str>)>,
}

impl SchemaBuilder {
    /// Allows null.
    pub fn optional(self) -> Self {
        self.optional_if(true)
    }

    /// Allows null if `optional`.
    pub fn optional_if(mut self, optional: bool) -> Self {
        self.schema.optional = optional;
        self
    }

    /// Names the logical type or struct.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.schema.name = Some(name.into());
        self
    }

    /// Sets the version.
    pub fn version(mut self, version: i32) -> Self {
        self.schema.version = Some(version);
        self
    }

    /// Sets what stands for a missing value.
    pub fn default(mut self, default: Datum) -> Self {
        self.schema.default = Some(default);
        self
    }

    /// Adds a parameter.
    pub fn parameter(mut self, name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    /// The finished schema.
    #[must_use]
    pub fn build(mut self) -> Arc<Schema> {
        self.schema.parameters = self.parameters.into_boxed_slice();
        Arc::new(self.schema)
    }
}
