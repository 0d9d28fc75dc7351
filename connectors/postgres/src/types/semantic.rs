//! A column's type as a schema with its codec: Connect's and Debezium's semantic types, by name.

use super::codec::Codec;
use std::sync::Arc;
use tapline_sdk::{Field, Schema, SchemaBuilder, Type};

/// In which form a snapshot copies a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CopyForm {
    /// The type's own binary form.
    Native,
    /// Cast to numeric: a money's binary form lacks its scale.
    Numeric,
    /// The type's text, from its output function: a cast to text differs from it for some types (inet, bpchar).
    Text,
}

/// A column's type: what its fields look like and how its values are read.
#[derive(Debug, Clone)]
pub(crate) struct ColumnType {
    ty: Type,
    name: Option<&'static str>,
    parameters: Vec<(&'static str, Arc<str>)>,
    /// How values are read.
    pub(crate) codec: Codec,
    /// How a snapshot asks for them.
    pub(crate) copy: CopyForm,
}

impl ColumnType {
    /// A type without a name, copied in its own binary form.
    pub(super) fn native(ty: Type, codec: Codec) -> Self {
        Self {
            ty,
            name: None,
            parameters: Vec::new(),
            codec,
            copy: CopyForm::Native,
        }
    }

    /// A type without a name, copied as text.
    pub(super) fn text_copied(ty: Type, codec: Codec) -> Self {
        Self {
            copy: CopyForm::Text,
            ..Self::native(ty, codec)
        }
    }

    /// The server's own text.
    pub(super) fn text() -> Self {
        Self::text_copied(Type::Text, Codec::Text)
    }

    /// Names the semantic type; all of them are at version 1.
    pub(super) fn named(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    pub(super) fn with(mut self, parameter: &'static str, value: impl Into<Arc<str>>) -> Self {
        self.parameters.push((parameter, value.into()));
        self
    }

    pub(super) fn copied(mut self, copy: CopyForm) -> Self {
        self.copy = copy;
        self
    }

    /// An array of this type, as deep as declared.
    pub(super) fn array(self, delimiter: u8, depth: u16) -> Self {
        let depth = depth.max(1);
        let mut item = self.schema().optional().build();
        for _ in 1..depth {
            item = Schema::of(Type::Array(item)).optional().build();
        }
        let codec = Codec::Array {
            item: Box::new(self.codec),
            delimiter,
            depth,
        };
        Self::text_copied(Type::Array(item), codec)
    }

    /// The schema, required and without default.
    pub(crate) fn schema(&self) -> SchemaBuilder {
        let mut schema = Schema::of(self.ty.clone());
        if let Some(name) = self.name {
            schema = schema.name(name).version(1);
        }
        for (name, value) in &self.parameters {
            schema = schema.parameter(*name, Arc::clone(value));
        }
        schema
    }
}

/// A field of a struct.
pub(crate) fn field(name: &str, schema: SchemaBuilder) -> Field {
    Field {
        name: name.into(),
        schema: schema.build(),
    }
}

/// A struct type of these fields.
pub(super) fn structure(fields: Vec<Field>) -> Type {
    Type::Struct(fields.into_boxed_slice())
}
