//! The publication: created and altered by the difference, and not touched if there is none.

use crate::{
    config::{Autocreate, Settings},
    server::{cell, version},
    tables::{Captured, Table},
    wire::{Connection, quote_identifier, quote_literal},
};
use hashbrown::{HashMap, HashSet};
use std::fmt::Write as _;
use tapline_sdk::{Error, Result};

/// A publication as the server has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Publication {
    /// `FOR ALL TABLES`.
    pub all_tables: bool,
    /// Changes of partitions come as changes of the root.
    pub via_root: bool,
    /// Whether it names schemas (`FOR TABLES IN SCHEMA`).
    pub schemas: bool,
    /// The tables that it names.
    pub members: HashSet<u32>,
}

/// What a publication leaves out of a table's rows and columns (Postgres 15 and newer).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Narrowed {
    /// The published columns; `None`: all.
    pub columns: Option<Vec<String>>,
    /// The row filter as an expression.
    pub filter: Option<String>,
}

/// Looks the publication up.
///
/// # Errors
/// If the catalogue cannot be read.
pub async fn find(connection: &mut Connection, name: &str) -> Result<Option<Publication>> {
    let doing = format!("cannot look up publication `{name}`");
    let literal = quote_literal(name);
    let schemas = if version(connection) >= 15 {
        "exists (select from pg_publication_namespace s where s.pnpubid = p.oid)"
    } else {
        "false"
    };
    let sql = format!(
        "select puballtables, pubviaroot, {schemas} from pg_publication p where pubname = {literal}"
    );
    let reply = connection.query(&doing, &sql).await?;
    if reply.is_empty() {
        return Ok(None);
    }
    let flag = |column| cell(&reply, 0, column) == Some("t");
    let sql = format!(
        "select r.prrelid from pg_publication_rel r join pg_publication p on p.oid = r.prpubid where p.pubname = {literal}"
    );
    let members = connection.query(&doing, &sql).await?;
    let oid = |at: usize| cell(&members, at, 0).and_then(|oid| oid.parse().ok());
    Ok(Some(Publication {
        all_tables: flag(0),
        via_root: flag(1),
        schemas: flag(2),
        members: (0..members.len()).filter_map(oid).collect(),
    }))
}

/// The statements that make the publication what the settings ask for, in order; none if it is that already.
///
/// # Errors
/// TL0310 if it must not be changed to what is asked for.
pub fn plan(
    settings: &Settings,
    found: Option<&Publication>,
    members: &[Table],
) -> Result<Vec<String>> {
    let name = quote_identifier(&settings.publication);
    let root = format!("publish_via_partition_root = {}", settings.via_root);
    let missing = || {
        Error::config(format!(
            "publication `{}` does not exist",
            settings.publication
        ))
        .code("TL0310")
        .remedy("create it, or set publication.autocreate.mode to filtered")
    };
    match (settings.autocreate, found) {
        (Autocreate::Disabled, None) => Err(missing()),
        (Autocreate::Disabled | Autocreate::AllTables | Autocreate::NoTables, Some(_)) => {
            Ok(Vec::new())
        }
        (Autocreate::AllTables, None) => Ok(vec![format!(
            "create publication {name} for all tables with ({root})"
        )]),
        (Autocreate::NoTables, None) => {
            Ok(vec![format!("create publication {name} with ({root})")])
        }
        (Autocreate::Filtered, None) => {
            let tables = list(members.iter());
            Ok(vec![format!(
                "create publication {name} for table {tables} with ({root})"
            )])
        }
        (Autocreate::Filtered, Some(found)) if found.all_tables || found.schemas => {
            let kind = if found.all_tables {
                "all tables"
            } else {
                "whole schemas"
            };
            Err(Error::config(format!("publication `{}` is for {kind}, not for the captured ones", settings.publication))
                .code("TL0310")
                .remedy("set publication.autocreate.mode to disabled to use it as it is, or another publication.name"))
        }
        (Autocreate::Filtered, Some(found)) => Ok(difference(settings, found, members)),
    }
}

fn difference(settings: &Settings, found: &Publication, members: &[Table]) -> Vec<String> {
    let name = quote_identifier(&settings.publication);
    let mut statements = Vec::new();
    let added: Vec<&Table> = members
        .iter()
        .filter(|table| !found.members.contains(&table.relid))
        .collect();
    if !added.is_empty() {
        statements.push(format!(
            "alter publication {name} add table {}",
            list(added.into_iter())
        ));
    }
    if found.via_root != settings.via_root {
        statements.push(format!(
            "alter publication {name} set (publish_via_partition_root = {})",
            settings.via_root
        ));
    }
    statements
}

/// Tables that are named and no longer captured, which are taken out last and one by one: they may be gone.
fn surplus<'a>(
    found: &'a Publication,
    members: &'a [Table],
    all: &'a [Table],
) -> impl Iterator<Item = &'a Table> {
    let wanted: HashSet<u32> = members.iter().map(|table| table.relid).collect();
    all.iter()
        .filter(move |table| found.members.contains(&table.relid) && !wanted.contains(&table.relid))
}

fn list<'a>(tables: impl Iterator<Item = &'a Table>) -> String {
    let mut text = String::new();
    for (at, table) in tables.enumerate() {
        let comma = if at > 0 { ", " } else { "" };
        // ONLY would be wrong for a partitioned table and right for the parent of inheriting ones.
        let only = if table.partitioned { "" } else { "only " };
        let _infallible = write!(text, "{comma}{only}{}", table.quoted());
    }
    text
}

/// Members that the publication does not have: their changes before they are added are in no stream.
#[must_use]
pub fn lacking(found: Option<&Publication>, members: &[Table]) -> HashSet<u32> {
    let has = |table: &Table| found.is_some_and(|found| found.members.contains(&table.relid));
    members
        .iter()
        .filter(|table| !has(table))
        .map(|table| table.relid)
        .collect()
}

/// Makes the publication what it should be and returns it.
///
/// # Errors
/// TL0310, TL0312, or what the server says.
pub async fn ensure(
    connection: &mut Connection,
    settings: &Settings,
    found: Option<Publication>,
    captured: &Captured,
    all: &[Table],
) -> Result<Publication> {
    let doing = format!("cannot set up publication `{}`", settings.publication);
    for statement in plan(settings, found.as_ref(), &captured.members)? {
        if let Err(error) = connection.try_query(&statement).await? {
            let remedy = match error.sqlstate.as_str() {
                "42501" => {
                    "the role must own the captured tables and have CREATE on the database (for all tables: be a \
                     superuser); or let an administrator create the publication and set \
                     publication.autocreate.mode to disabled"
                }
                _ => return Err(error.into_error(doing)),
            };
            return Err(Error::config(doing)
                .code("TL0312")
                .remedy(remedy)
                .because(error));
        }
        tracing::info!(publication = settings.publication, "publication changed");
    }
    if settings.autocreate == Autocreate::Filtered
        && let Some(found) = &found
    {
        for table in surplus(found, &captured.members, all) {
            let name = quote_identifier(&settings.publication);
            let sql = format!(
                "alter publication {name} drop table {}",
                list(std::iter::once(table))
            );
            connection.execute(&doing, &sql).await?;
        }
    }
    find(connection, &settings.publication)
        .await?
        .ok_or_else(|| {
            Error::disconnected(format!("publication `{}` vanished", settings.publication))
                .code("TL0310")
        })
}

/// The tables whose changes the publication sends, by schema and name.
///
/// # Errors
/// If the catalogue cannot be read.
pub async fn published(
    connection: &mut Connection,
    name: &str,
) -> Result<HashSet<(String, String)>> {
    let sql = format!(
        "select schemaname, tablename from pg_publication_tables where pubname = {}",
        quote_literal(name)
    );
    let reply = connection
        .query(&format!("cannot look up publication `{name}`"), &sql)
        .await?;
    let row = |at: usize| {
        Some((
            cell(&reply, at, 0)?.to_owned(),
            cell(&reply, at, 1)?.to_owned(),
        ))
    };
    Ok((0..reply.len()).filter_map(row).collect())
}

/// Column lists and row filters, by table.
///
/// # Errors
/// If the catalogue cannot be read.
pub async fn narrowed(connection: &mut Connection, name: &str) -> Result<HashMap<u32, Narrowed>> {
    let mut found: HashMap<u32, Narrowed> = HashMap::new();
    if version(connection) < 15 {
        return Ok(found);
    }
    let sql = format!(
        "select r.prrelid, pg_get_expr(r.prqual, r.prrelid), a.attname \
         from pg_publication_rel r join pg_publication p on p.oid = r.prpubid \
         left join pg_attribute a on a.attrelid = r.prrelid and a.attnum = any (r.prattrs::int2[]) \
         where p.pubname = {} and (r.prqual is not null or r.prattrs is not null) order by 1, a.attnum",
        quote_literal(name)
    );
    let reply = connection
        .query(&format!("cannot look up publication `{name}`"), &sql)
        .await?;
    for at in 0..reply.len() {
        let Some(relid) = cell(&reply, at, 0).and_then(|oid| oid.parse().ok()) else {
            continue;
        };
        let entry = found.entry(relid).or_default();
        entry.filter = cell(&reply, at, 1).map(str::to_owned);
        if let Some(column) = cell(&reply, at, 2) {
            entry
                .columns
                .get_or_insert_default()
                .push(column.to_owned());
        }
    }
    Ok(found)
}
