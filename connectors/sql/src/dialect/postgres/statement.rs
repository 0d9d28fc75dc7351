//! The texts of statements. Values never stand in them: they travel as arrays of text, one per column, and are cast to
//! the column's type by the server.

use super::plan::{KeyPart, Place, Plan};

/// `$1::text[], $2::text[], …` from this number on.
fn arrays(first: usize, count: usize) -> String {
    let each = (first..first + count).map(|n| format!("${n}::text[]"));
    each.collect::<Vec<_>>().join(", ")
}

fn join<T>(items: &[T], separator: &str, text: impl Fn(usize, &T) -> String) -> String {
    let parts: Vec<String> = items
        .iter()
        .enumerate()
        .map(|(at, item)| text(at, item))
        .collect();
    parts.join(separator)
}

/// Names of the columns of `unnest`: `v0, v1, …`.
fn aliases(letter: char, count: usize) -> String {
    (0..count)
        .map(|at| format!("{letter}{at}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Names of a table's columns.
fn names(columns: &[Place]) -> String {
    join(columns, ", ", |_, column| column.quoted.clone())
}

/// `COPY … FROM STDIN` in text format.
#[must_use]
pub fn copy(plan: &Plan) -> String {
    format!(
        "COPY {} ({}) FROM STDIN",
        plan.table.quoted(),
        names(&plan.columns)
    )
}

/// Appends rows; with a key, writes over those that exist.
#[must_use]
pub fn insert(plan: &Plan, upsert: bool) -> String {
    let (table, columns) = (plan.table.quoted(), &plan.columns);
    if columns.is_empty() {
        return format!("INSERT INTO {table} SELECT FROM generate_series(1, $1::int8)");
    }
    let mut sql = format!(
        "INSERT INTO {table} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM unnest({}) AS u({})",
        names(columns),
        join(columns, ", ", |at, column| format!(
            "CAST(u.v{at} AS {})",
            column.cast
        )),
        arrays(1, columns.len()),
        aliases('v', columns.len()),
    );
    if upsert {
        let key = join(&plan.key, ", ", |_, part| part.place.quoted.clone());
        let set: Vec<String> = columns
            .iter()
            .filter(|column| !column.key && column.updatable)
            .map(|column| format!("{0} = EXCLUDED.{0}", column.quoted))
            .collect();
        sql.push_str(&if set.is_empty() {
            format!(" ON CONFLICT ({key}) DO NOTHING")
        } else {
            format!(" ON CONFLICT ({key}) DO UPDATE SET {}", set.join(", "))
        });
    }
    sql
}

/// `t.k = CAST(u.k0 AS int4) AND …`
fn matches(key: &[KeyPart]) -> String {
    join(key, " AND ", |at, part| {
        format!(
            "t.{} {} CAST(u.k{at} AS {})",
            part.place.quoted, part.equals, part.place.cast
        )
    })
}

/// Removes rows by key.
#[must_use]
pub fn delete(plan: &Plan) -> String {
    let count = plan.key.len();
    format!(
        "DELETE FROM {} AS t USING unnest({}) AS u({}) WHERE {}",
        plan.table.quoted(),
        arrays(1, count),
        aliases('k', count),
        matches(&plan.key),
    )
}

/// Sets these columns of rows that are found by key. The key's arrays follow the columns'.
#[must_use]
pub fn update(plan: &Plan, columns: &[&Place]) -> String {
    let set = if columns.is_empty() {
        // Nothing but the key is known: the statement still counts the rows that exist.
        join(&plan.key, ", ", |_, part| {
            format!("{0} = t.{0}", part.place.quoted)
        })
    } else {
        join(columns, ", ", |at, column| {
            format!("{} = CAST(u.v{at} AS {})", column.quoted, column.cast)
        })
    };
    let aliases: Vec<String> = [aliases('v', columns.len()), aliases('k', plan.key.len())]
        .into_iter()
        .filter(|names| !names.is_empty())
        .collect();
    format!(
        "UPDATE {} AS t SET {set} FROM unnest({}) AS u({}) WHERE {}",
        plan.table.quoted(),
        arrays(1, columns.len() + plan.key.len()),
        aliases.join(", "),
        matches(&plan.key),
    )
}

/// Gives many rows other keys at once, whatever the order: all leave before any comes back. A column whose flag is not
/// `1` keeps its value. Arrays: the columns', the old key's, the flags'.
#[must_use]
pub fn permute(plan: &Plan) -> String {
    let (columns, key) = (&plan.columns, plan.key.len());
    let kept = join(columns, ", ", |at, column| {
        format!("t.{} AS r{at}", column.quoted)
    });
    let values = join(columns, ", ", |at, column| {
        format!(
            "CASE WHEN substr(u.f, {}, 1) = '1' THEN CAST(u.v{at} AS {}) ELSE g.r{at} END",
            at + 1,
            column.cast
        )
    });
    format!(
        "WITH u AS MATERIALIZED (SELECT * FROM unnest({}) WITH ORDINALITY AS u({}, {}, f, n)), \
         gone AS (DELETE FROM {} AS t USING u WHERE {} RETURNING u.n, {kept}) \
         INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {values} FROM gone AS g JOIN u ON u.n = g.n ORDER BY u.n",
        arrays(1, columns.len() + key + 1),
        aliases('v', columns.len()),
        aliases('k', key),
        plan.table.quoted(),
        matches(&plan.key),
        plan.table.quoted(),
        names(columns),
    )
}

/// Removes one row that equals these values as text, be there more or not.
#[must_use]
pub fn delete_one(plan: &Plan) -> String {
    let table = plan.table.quoted();
    let equal = join(&plan.columns, " AND ", |at, column| {
        format!(
            "CAST(s.{} AS text) IS NOT DISTINCT FROM CAST(CAST(${}::text AS {}) AS text)",
            column.quoted,
            at + 1,
            column.full_type,
        )
    });
    let equal = if equal.is_empty() {
        "true".to_owned()
    } else {
        equal
    };
    format!(
        "DELETE FROM {table} AS t USING (SELECT s.tableoid AS o, s.ctid AS c FROM {table} AS s WHERE {equal} LIMIT 1) \
         AS one WHERE t.tableoid = one.o AND t.ctid = one.c"
    )
}

/// Removes every row.
#[must_use]
pub fn truncate(plan: &Plan) -> String {
    format!("TRUNCATE TABLE {}", plan.table.quoted())
}

/// Removes every row of a table that foreign keys point to, which the server does not truncate.
#[must_use]
pub fn delete_all(plan: &Plan) -> String {
    format!("DELETE FROM {}", plan.table.quoted())
}
