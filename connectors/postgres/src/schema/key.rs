//! Which columns make a table's key.
//!
//! The first of: `message.key.columns`; the replica identity's index; the primary key; a unique index. Under the
//! default identity the relation message itself says which columns are the primary key: the catalogue may not show a
//! table yet whose first rows are streamed, and may show another key than the rows had.

use super::table::{ReplicaIdentity, TableColumn, TableMeta};
use crate::options::MappingOptions;
use tapline_sdk::Error;

/// The columns of the relation that make the key, in key order; empty for a table without key.
///
/// # Errors
/// If `message.key.columns` names a column that the table does not have.
pub(crate) fn key_columns(options: &MappingOptions, meta: &TableMeta) -> Result<Vec<usize>, Error> {
    let relation = &meta.relation;
    if let Some(names) = options.key_columns.of(&relation.schema, &relation.table) {
        return names.iter().map(|name| named(meta, name)).collect();
    }
    let identity: Vec<usize> = (0..relation.columns.len())
        .filter(|at| relation.columns[*at].in_identity)
        .collect();
    let unique = if options.is_lossless() {
        |column: &TableColumn| column.strict_unique_key
    } else {
        |column: &TableColumn| column.unique_key
    };
    Ok(match relation.identity {
        ReplicaIdentity::Default if !identity.is_empty() => {
            ordered(meta, identity, |column| column.primary_key)
        }
        ReplicaIdentity::Index if !identity.is_empty() => {
            ordered(meta, identity, |column| column.identity_key)
        }
        _ => {
            let primary = by_catalog(meta, |column| column.primary_key);
            primary
                .or_else(|| by_catalog(meta, unique))
                .unwrap_or_default()
        }
    })
}

fn named(meta: &TableMeta, name: &str) -> Result<usize, Error> {
    let columns = &meta.relation.columns;
    let at = columns.iter().position(|column| &*column.name == name);
    at.ok_or_else(|| {
        let table = meta.full_name();
        let context = format!("message.key.columns names column \"{name}\", which {table} has not");
        Error::config(context)
            .code("TL0352")
            .remedy("name columns of the table, as they are spelt there")
    })
}

/// The relation's columns in the catalogue's order, if the catalogue has the same columns.
fn ordered(
    meta: &TableMeta,
    columns: Vec<usize>,
    place: fn(&TableColumn) -> Option<u16>,
) -> Vec<usize> {
    match by_catalog(meta, place) {
        Some(catalog) if catalog.len() == columns.len() && same(&catalog, &columns) => catalog,
        _ => columns,
    }
}

fn same(a: &[usize], b: &[usize]) -> bool {
    a.iter().all(|column| b.contains(column))
}

/// The columns that have a place in an index, in its order; `None` if there are none or the relation lacks one.
fn by_catalog(meta: &TableMeta, place: fn(&TableColumn) -> Option<u16>) -> Option<Vec<usize>> {
    let catalog = meta.catalog.as_ref()?;
    let mut placed: Vec<(u16, &TableColumn)> = catalog
        .columns
        .iter()
        .filter_map(|column| place(column).map(|at| (at, column)))
        .collect();
    placed.sort_unstable_by_key(|(at, _)| *at);
    let columns = &meta.relation.columns;
    let found = placed
        .iter()
        .map(|(_, key)| columns.iter().position(|column| column.name == key.name));
    let found: Option<Vec<usize>> = found.collect();
    found.filter(|columns| !columns.is_empty())
}
