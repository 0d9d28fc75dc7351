//! How records of one pair of schemas go into one table: columns, codecs and statements, made once.

use super::{
    Failed,
    catalog::{self, Column, Table},
    ddl::{self, Wanted},
    session::Session,
};
use crate::{
    change::{Change, TableShape},
    codec::Codec,
    error::no_unique_index,
    keys::{InsertMode, KeyMode},
    naming::{TableName, quoted},
    settings::Settings,
};
use std::sync::Arc;
use tapline_sdk::{Arena, Cell, Error, Schema, Type};

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// A field of the row.
    Row(usize),
    /// A field of the key.
    Key(usize),
    /// The key itself, which is no struct.
    WholeKey,
}

/// One value and its column.
#[derive(Debug, Clone)]
pub struct Place {
    /// The column's name, for errors.
    pub name: Arc<str>,
    /// The column's name as SQL reads it.
    pub quoted: String,
    /// What text is cast to; lengths are enforced by the assignment that follows.
    pub cast: String,
    /// The full type, for comparing and for finding the culprit.
    pub full_type: String,
    /// The most characters, for finding the culprit.
    pub characters_max: Option<usize>,
    /// Where the value comes from.
    pub from: From,
    /// Writes the value.
    pub codec: Codec,
    /// Whether it is part of the key.
    pub key: bool,
    /// Whether it may be updated.
    pub updatable: bool,
}

/// A part of the key.
#[derive(Debug, Clone)]
pub struct KeyPart {
    /// The value and its column.
    pub place: Place,
    /// The operator under which the index finds it.
    pub equals: String,
}

/// How one shape of records goes into one table.
#[derive(Debug)]
pub struct Plan {
    /// The table.
    pub table: TableName,
    /// The columns that a row fills, key columns included.
    pub columns: Vec<Place>,
    /// The key; empty: rows have none.
    pub key: Vec<KeyPart>,
    /// Whether an index over the key makes it unique.
    pub unique: bool,
    /// Whether the table is there; without it nothing can be removed.
    pub exists: bool,
}

/// The columns that records of this shape have, in the source's order.
pub fn wanted(settings: &Settings, shape: &TableShape) -> Vec<Wanted> {
    let key = key_fields(settings, shape);
    let is_key = |name: &str| key.iter().any(|(field, ..)| *field == name);
    let mut wanted: Vec<Wanted> = shape
        .row
        .iter()
        .flat_map(|row| row.fields())
        .map(|field| Wanted {
            name: settings.spelled(&field.name),
            schema: Arc::clone(&field.schema),
            key: is_key(&field.name),
        })
        .collect();
    for (name, schema, _) in &key {
        let name = settings.spelled(name);
        if !wanted.iter().any(|column| column.name == name) {
            wanted.push(Wanted {
                name,
                schema: Arc::clone(schema),
                key: true,
            });
        }
    }
    wanted
}

/// The fields of the key: name, schema and where the value is.
fn key_fields(settings: &Settings, shape: &TableShape) -> Vec<(String, Arc<Schema>, From)> {
    let chosen = |name: &str| {
        settings.key_fields.is_empty() || settings.key_fields.iter().any(|field| field == name)
    };
    let fields = |schema: &Schema, from: fn(usize) -> From| {
        let fields = schema
            .fields()
            .iter()
            .enumerate()
            .filter(|(_, field)| chosen(&field.name));
        fields
            .map(|(at, field)| (field.name.to_string(), Arc::clone(&field.schema), from(at)))
            .collect()
    };
    match (settings.key_mode, &shape.key, &shape.row) {
        (KeyMode::RecordKey, Some(key), _) if matches!(key.ty, Type::Struct(_)) => {
            fields(key, From::Key)
        }
        (KeyMode::RecordKey, Some(key), _) => settings
            .key_fields
            .first()
            .map(|name| (name.clone(), Arc::clone(key), From::WholeKey))
            .into_iter()
            .collect(),
        (KeyMode::RecordValue, _, Some(row)) => fields(row, From::Row),
        _ => Vec::new(),
    }
}

impl Plan {
    /// Plans a shape; creates and changes the table where settings allow. `writes`: whether rows will be written,
    /// or only removed.
    pub async fn make(
        session: &mut Session,
        settings: &Settings,
        shape: &TableShape,
        writes: bool,
    ) -> Result<Self, Failed> {
        let wanted = wanted(settings, shape);
        let mut table = catalog::table(session, &shape.name).await?;
        if writes && ddl::evolve(session, settings, &shape.name, table.as_ref(), &wanted).await? {
            table = catalog::table(session, &shape.name).await?;
        }
        let Some(table) = table else {
            return Ok(Self {
                table: shape.name.clone(),
                columns: Vec::new(),
                key: Vec::new(),
                unique: false,
                exists: false,
            });
        };
        Ok(Self::compile(settings, shape, &table, writes)?)
    }

    fn compile(
        settings: &Settings,
        shape: &TableShape,
        table: &Table,
        writes: bool,
    ) -> Result<Self, Error> {
        let fields = key_fields(settings, shape);
        let names: Vec<String> = fields
            .iter()
            .map(|(name, ..)| settings.spelled(name))
            .collect();
        let index = table.unique_over(&names);
        let upserts = settings.insert_mode == InsertMode::Upsert;
        if writes && upserts && !names.is_empty() && index.is_none() {
            return Err(no_unique_index(&shape.name.quoted(), &names.join(", ")));
        }
        let place = |name: &str, schema: &Arc<Schema>, from: From| {
            let column = table.column(name).filter(|column| !column.generated)?;
            Some(Place::new(
                column,
                schema,
                from,
                names.iter().any(|key| key == name),
            ))
        };
        let rows = shape.row.iter().flat_map(|row| row.fields()).enumerate();
        let mut columns: Vec<Place> = rows
            .filter_map(|(at, f)| place(&settings.spelled(&f.name), &f.schema, From::Row(at)))
            .collect();
        let mut key = Vec::new();
        for ((_, schema, from), name) in fields.iter().zip(&names) {
            // A table that lost its key column cannot be addressed; the statement would say so less clearly.
            let Some(place) = place(name, schema, *from) else {
                return Err(no_unique_index(&shape.name.quoted(), &names.join(", ")));
            };
            if !columns.iter().any(|column| *column.name == **name) {
                columns.push(place.clone());
            }
            let at = index.and_then(|index| index.columns.iter().position(|c| c == name));
            let operator = index
                .zip(at)
                .and_then(|(index, at)| index.operators.get(at));
            key.push(KeyPart {
                place,
                equals: operator.cloned().unwrap_or_else(|| "=".to_owned()),
            });
        }
        Ok(Self {
            table: shape.name.clone(),
            columns,
            key,
            unique: index.is_some(),
            exists: true,
        })
    }

    /// Whether every column's value of this change is there.
    #[must_use]
    pub fn is_complete(&self, arena: &Arena, change: &Change) -> bool {
        !arena.children(change.row).contains(&Cell::Unavailable)
    }
}

impl Place {
    fn new(column: &Column, schema: &Arc<Schema>, from: From, key: bool) -> Self {
        Self {
            name: column.name.as_str().into(),
            quoted: quoted(&column.name),
            cast: column.cast_type.clone(),
            full_type: column.full_type.clone(),
            characters_max: column.characters_max,
            from,
            codec: Codec::compile(schema, &column.target),
            key,
            updatable: !column.identity_always,
        }
    }

    /// The value's cell, given a row and a key.
    #[must_use]
    pub fn cell(&self, arena: &Arena, row: Cell, key: Cell) -> Cell {
        let child = |parent: Cell, at: usize| {
            arena
                .children(parent)
                .get(at)
                .copied()
                .unwrap_or(Cell::Null)
        };
        match self.from {
            From::Row(at) => child(row, at),
            From::Key(at) => child(key, at),
            From::WholeKey => key,
        }
    }
}
