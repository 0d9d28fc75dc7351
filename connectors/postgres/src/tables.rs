//! Which tables there are and which of them are captured.
//!
//! Owns the choice: filters, partitions and their roots, and that snapshot and stream mean the same set, each row once.

use crate::{config::TableFilter, server::cell, wire::Connection};
use hashbrown::{HashMap, HashSet};
use std::sync::Arc;
use tapline_sdk::Result;

/// A table of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// `pg_class.oid`.
    pub relid: u32,
    /// Its schema.
    pub schema: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// A partitioned table has no rows of its own.
    pub partitioned: bool,
    /// The table it is a partition of.
    pub parent: Option<u32>,
    /// How many blocks it has.
    pub blocks: u32,
    /// The planner's estimate.
    pub rows: u64,
}

impl Table {
    /// As SQL names it.
    #[must_use]
    pub fn quoted(&self) -> String {
        let quote = crate::wire::quote_identifier;
        format!("{}.{}", quote(&self.schema), quote(&self.name))
    }
}

/// Every permanent table that is no system table, by name.
///
/// # Errors
/// If the catalogue cannot be read.
pub async fn list(connection: &mut Connection) -> Result<Vec<Table>> {
    let sql = "select c.oid, n.nspname, c.relname, c.relkind = 'p', i.inhparent, \
          case when c.relkind = 'r' then pg_relation_size(c.oid) / current_setting('block_size')::int8 else 0 end, \
          greatest(c.reltuples, 0)::int8 \
        from pg_class c join pg_namespace n on n.oid = c.relnamespace \
        left join pg_inherits i on i.inhrelid = c.oid and c.relispartition and not i.inhdetachpending \
        where c.relkind in ('r', 'p') and c.relpersistence = 'p' \
          and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') \
        order by n.nspname collate \"C\", c.relname collate \"C\"";
    let reply = connection.query("cannot list tables", sql).await?;
    let row = |at: usize| {
        let text = |column: usize| cell(&reply, at, column);
        Some(Table {
            relid: text(0)?.parse().ok()?,
            schema: text(1)?.into(),
            name: text(2)?.into(),
            partitioned: text(3)? == "t",
            parent: text(4).and_then(|oid| oid.parse().ok()),
            blocks: text(5)
                .and_then(|blocks| blocks.parse().ok())
                .unwrap_or_default(),
            rows: text(6)
                .and_then(|rows| rows.parse().ok())
                .unwrap_or_default(),
        })
    };
    Ok((0..reply.len()).filter_map(row).collect())
}

/// What is captured: tables that are read, and what a publication of exactly them names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured {
    /// Tables whose rows make topics, in the order in which they are read.
    pub tables: Vec<Table>,
    /// Tables to name in the publication: a partitioned table stands for its partitions, those to come included.
    pub members: Vec<Table>,
}

/// Chooses. With `via_root` a partitioned table is one table; without, each partition is one, and belongs to the
/// choice if it or a table above it matches.
#[must_use]
pub fn capture(all: &[Table], filter: &TableFilter, via_root: bool) -> Captured {
    let by_oid: HashMap<u32, &Table> = all.iter().map(|table| (table.relid, table)).collect();
    let matches = |table: &Table| filter.keeps(&table.schema, &table.name);
    let mut captured = Captured::default();
    for table in all {
        // The highest table that matches, this one included.
        let top = ancestors(table, &by_oid)
            .filter(|ancestor| matches(ancestor))
            .last();
        let Some(top) = top else { continue };
        let is_top = top.relid == table.relid;
        if is_top {
            captured.members.push(table.clone());
        }
        let read = if via_root {
            is_top
        } else {
            !table.partitioned && !excluded(table, filter)
        };
        if read {
            captured.tables.push(table.clone());
        }
    }
    captured
}

/// Whether the table or one above it is among these.
#[must_use]
pub fn is_under(table: &Table, all: &[Table], among: &HashSet<u32>) -> bool {
    let by_oid: HashMap<u32, &Table> = all.iter().map(|table| (table.relid, table)).collect();
    ancestors(table, &by_oid).any(|ancestor| among.contains(&ancestor.relid))
}

fn excluded(table: &Table, filter: &TableFilter) -> bool {
    filter
        .tables_not
        .matches(&format!("{}.{}", table.schema, table.name))
        || filter.schemas_not.matches(&table.schema)
}

/// The table and those above it.
fn ancestors<'a>(
    table: &'a Table,
    by_oid: &HashMap<u32, &'a Table>,
) -> impl Iterator<Item = &'a Table> {
    std::iter::successors(Some(table), |table| by_oid.get(&table.parent?).copied())
}

#[cfg(test)]
mod tests {
    use super::{Table, capture};
    use crate::config::TableFilter;
    use tapline_sdk::ConfigValue;

    fn table(relid: u32, name: &str, partitioned: bool, parent: Option<u32>) -> Table {
        Table {
            relid,
            schema: "public".into(),
            name: name.into(),
            partitioned,
            parent,
            blocks: 0,
            rows: 0,
        }
    }

    fn chosen(include: &str, exclude: &str, via_root: bool) -> (Vec<String>, Vec<String>) {
        let all = [
            table(1, "orders", true, None),
            table(2, "orders_2024", false, Some(1)),
            table(3, "orders_2025", true, Some(1)),
            table(4, "orders_2025_a", false, Some(3)),
            table(5, "plain", false, None),
        ];
        let filter = TableFilter {
            tables: ConfigValue::parse(include).expect("parses"),
            tables_not: ConfigValue::parse(exclude).expect("parses"),
            ..TableFilter::default()
        };
        let captured = capture(&all, &filter, via_root);
        let names = |tables: &[Table]| tables.iter().map(|table| table.name.to_string()).collect();
        (names(&captured.tables), names(&captured.members))
    }

    #[test]
    fn each_row_is_captured_once() {
        let strings = |names: &[&str]| {
            names
                .iter()
                .map(|&name| name.to_owned())
                .collect::<Vec<_>>()
        };
        let roots = strings(&["orders", "plain"]);
        let leaves = strings(&["orders_2024", "orders_2025_a", "plain"]);
        assert_eq!(chosen("", "", true), (roots.clone(), roots.clone()));
        assert_eq!(chosen("", "", false), (leaves, roots));
        let one = strings(&["orders_2024"]);
        assert_eq!(
            chosen("public.orders_2024", "", true),
            (one.clone(), one.clone())
        );
        assert_eq!(
            chosen("public.orders_2024", "", false),
            (one.clone(), one.clone())
        );
        assert_eq!(
            chosen("public.orders", "public.orders_2025_a", false),
            (one, strings(&["orders"]))
        );
        assert_eq!(chosen("public.none", "", true), (vec![], vec![]));
    }
}
