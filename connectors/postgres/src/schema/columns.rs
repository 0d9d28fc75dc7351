//! A table's columns as fields: of the value, of the key, and of a snapshot's select list.

use super::{
    default::default_value,
    key::key_columns,
    naming::{field_name, schema_name},
    table::{RelationColumn, ReplicaIdentity, TableColumn, TableMeta},
};
use crate::{
    options::MappingOptions,
    types::{
        Codec, ColumnType, CopyForm, Declared, TypeCatalog, length_and_scale, map, parameter_name,
        sql_name,
    },
};
use std::sync::Arc;
use tapline_sdk::{Error, Field, Schema, SchemaBuilder};

/// A column that records have.
#[derive(Debug)]
pub(crate) struct Column {
    /// Its place in tuples.
    pub(crate) at: usize,
    /// Its name in the table.
    pub(crate) name: Arc<str>,
    /// How its values are read.
    pub(crate) codec: Codec,
    /// Whether a snapshot copies its text.
    pub(crate) text_copied: bool,
    /// Its field's schema in values.
    pub(crate) schema: Arc<Schema>,
    /// Whether an old image of kind `K` has it.
    pub(crate) in_identity: bool,
}

/// A table's columns and the schemas of its records' parts.
#[derive(Debug)]
pub(crate) struct Columns {
    /// The fields of the value, in order.
    pub(crate) value: Vec<Column>,
    /// The fields of the key, in key order.
    pub(crate) key: Vec<Column>,
    /// The row's struct.
    pub(crate) value_schema: Arc<Schema>,
    /// The key's struct.
    pub(crate) key_schema: Option<Arc<Schema>>,
    /// One item per column of the relation.
    pub(crate) select_list: String,
}

struct Builder<'a> {
    options: &'a MappingOptions,
    meta: &'a TableMeta,
    types: &'a TypeCatalog,
    key: Vec<usize>,
}

impl Columns {
    /// Maps a table's columns.
    ///
    /// # Errors
    /// If the key has a column that is not there or whose type the options drop.
    pub(crate) fn new(
        options: &MappingOptions,
        meta: &TableMeta,
        types: &TypeCatalog,
        topic: &str,
    ) -> Result<Self, Error> {
        let builder = Builder {
            options,
            meta,
            types,
            key: key_columns(options, meta)?,
        };
        builder.build(topic)
    }
}

impl Builder<'_> {
    fn build(&self, topic: &str) -> Result<Columns, Error> {
        let relation = &self.meta.relation;
        let (mut value, mut fields, mut select) = (Vec::new(), Vec::new(), Vec::new());
        for (at, column) in relation.columns.iter().enumerate() {
            let mapped = self.map(column);
            let kept = !self.catalog(column).is_some_and(|known| known.generated)
                && self
                    .options
                    .columns
                    .keeps(&relation.schema, &relation.table, &column.name);
            let read = mapped.as_ref().filter(|_| kept || self.key.contains(&at));
            select.push(select_item(column, read));
            if let Some(mapped) = mapped.filter(|_| kept) {
                let built = self.column(at, column, &mapped, self.required_in_value(at));
                fields.push(self.field(&built));
                value.push(built);
            }
        }
        let (mut key, mut key_fields) = (Vec::new(), Vec::new());
        for at in &self.key {
            let built = self.key_column(*at)?;
            key_fields.push(self.field(&built));
            key.push(built);
        }
        let named =
            |suffix: &str| schema_name(self.options.schema_names, &format!("{topic}.{suffix}"));
        let value_schema = Schema::structure(fields).optional().name(named("Value"));
        let key_schema = (!key_fields.is_empty())
            .then(|| Schema::structure(key_fields).name(named("Key")).build());
        Ok(Columns {
            value,
            key,
            value_schema: value_schema.build(),
            key_schema,
            select_list: select.join(", "),
        })
    }

    fn declared(&self, column: &RelationColumn) -> Declared {
        Declared {
            oid: column.type_oid,
            typmod: column.typmod,
            dimensions: self.catalog(column).map_or(0, |known| known.dimensions),
        }
    }

    fn map(&self, column: &RelationColumn) -> Option<ColumnType> {
        map(self.types, self.options, self.declared(column))
    }

    fn catalog(&self, column: &RelationColumn) -> Option<&TableColumn> {
        self.meta.catalog_column(column)
    }

    fn key_column(&self, at: usize) -> Result<Column, Error> {
        let column = &self.meta.relation.columns[at];
        let mapped = self.map(column).ok_or_else(|| {
            let (table, name) = (self.meta.full_name(), &column.name);
            let context = format!("key column \"{name}\" of {table} has a type that is left out");
            Error::config(context)
                .code("TL0353")
                .remedy("set include.unknown.datatypes=true, or other message.key.columns")
        })?;
        Ok(self.column(at, column, &mapped, self.not_null(at)))
    }

    /// Columns of the primary key are never null, known to the catalogue or not.
    fn not_null(&self, at: usize) -> bool {
        let relation = &self.meta.relation;
        let column = &relation.columns[at];
        let identity = matches!(
            relation.identity,
            ReplicaIdentity::Default | ReplicaIdentity::Index
        );
        (identity && column.in_identity) || self.catalog(column).is_some_and(|known| known.not_null)
    }

    /// Our own values require only what every image has: an old image of kind `K` has the key and nothing else, and
    /// a NOT NULL column that came or went must not change what a consumer can read.
    fn required_in_value(&self, at: usize) -> bool {
        let relation = &self.meta.relation;
        let in_images = relation.columns[at].in_identity;
        match self.options.is_lossless() {
            true => self.not_null(at) && in_images && self.key.contains(&at),
            false => self.not_null(at),
        }
    }

    fn column(
        &self,
        at: usize,
        column: &RelationColumn,
        mapped: &ColumnType,
        required: bool,
    ) -> Column {
        let mut schema = mapped.schema().optional_if(!required);
        if let Some(expression) = self
            .catalog(column)
            .and_then(|known| known.default.as_ref())
            && let Some(value) = default_value(mapped, expression, !self.options.is_lossless())
        {
            schema = schema.default(value);
        }
        Column {
            at,
            name: Arc::clone(&column.name),
            codec: mapped.codec.clone(),
            text_copied: mapped.copy == CopyForm::Text,
            schema: self.source_type(column, schema).build(),
            in_identity: column.in_identity,
        }
    }

    fn field(&self, column: &Column) -> Field {
        Field {
            name: field_name(self.options.field_names, &column.name).into(),
            schema: Arc::clone(&column.schema),
        }
    }

    /// The parameters that tell a sink which type the column has.
    fn source_type(&self, column: &RelationColumn, schema: SchemaBuilder) -> SchemaBuilder {
        let declared = self.declared(column);
        let (length, scale) = length_and_scale(self.types, declared);
        let type_name = parameter_name(self.types, declared);
        if !self.options.is_lossless() && !self.propagates(column, &type_name) {
            return schema;
        }
        let schema = schema
            .parameter("__debezium.source.column.type", type_name)
            .parameter("__debezium.source.column.length", length.to_string())
            .parameter("__debezium.source.column.scale", scale.to_string())
            .parameter("__debezium.source.column.name", Arc::clone(&column.name));
        if !self.options.is_lossless() {
            return schema;
        }
        let schema = schema.parameter("tapline.source.type", sql_name(self.types, declared));
        let (root, typmod) = self.types.root(declared.oid, declared.typmod);
        let schema = if root == declared.oid {
            schema
        } else {
            let root = Declared {
                oid: root,
                typmod,
                ..declared
            };
            schema.parameter("tapline.source.base", sql_name(self.types, root))
        };
        match self.catalog(column).is_some_and(|known| known.not_null) {
            true => schema.parameter("tapline.source.nullable", "false"),
            false => schema.parameter("tapline.source.nullable", "true"),
        }
    }

    fn propagates(&self, column: &RelationColumn, type_name: &str) -> bool {
        let (schema, table) = (&self.meta.relation.schema, &self.meta.relation.table);
        let (name, database) = (&column.name, &self.options.database);
        let (columns, types) = (
            &self.options.propagate_columns,
            &self.options.propagate_types,
        );
        columns.matches(&format!("{schema}.{table}.{name}"))
            || types.matches(type_name)
            || types.matches(&format!("{schema}.{table}.{type_name}"))
            || types.matches(&format!("{database}.{schema}.{table}.{type_name}"))
    }
}

/// What a snapshot selects for a column; a column that is left out is not read, but keeps its place.
fn select_item(column: &RelationColumn, mapped: Option<&ColumnType>) -> String {
    let name = format!("\"{}\"", column.name.replace('"', "\"\""));
    match mapped.map(|mapped| mapped.copy) {
        Some(CopyForm::Native) => name,
        Some(CopyForm::Numeric) => format!("{name}::pg_catalog.numeric"),
        // The type's output function, as in the stream. DISTINCT FROM NULL tests a composite as a whole.
        Some(CopyForm::Text) => {
            format!("case when {name} is distinct from null then pg_catalog.concat({name}) end")
        }
        None => "null::pg_catalog.text".to_owned(),
    }
}
