//! Whether two databases hold the same rows, as text.

use super::postgres::{connect, text_rows};
use std::fmt::Write;

/// Differences shown per table.
const SHOWN_MAX: usize = 3;

/// Every difference of these tables in words; empty if they are equal. Columns are compared by name.
pub async fn differences(source: &str, target: &str, tables: &[&str]) -> String {
    let mut found = String::new();
    for table in tables {
        let columns = columns(source, table).await;
        let theirs = columns_sorted(target, table).await;
        let mut ours = columns.clone();
        ours.sort();
        if ours != theirs {
            let _infallible = writeln!(
                found,
                "{table}: columns {ours:?}, in the replica {theirs:?}"
            );
            continue;
        }
        let (digest_ours, digest_theirs) = (
            digest(source, table, &columns).await,
            digest(target, table, &columns).await,
        );
        if digest_ours != digest_theirs {
            let _infallible = writeln!(
                found,
                "{table}: source {digest_ours}, replica {digest_theirs}"
            );
            found.push_str(&sample(source, target, table, &columns).await);
        }
    }
    found
}

/// `rows/hash` of a table, whatever the order of its rows.
async fn digest(url: &str, table: &str, columns: &[String]) -> String {
    let row = row_text(columns);
    let sql = format!(
        "select count(*)::text || '/' || coalesce(sum(('x' || substr(md5(r), 1, 15))::bit(60)::bigint), 0)::text \
         from (select {row} r from {table}) q"
    );
    text_rows(&mut connect(url).await, &sql).await.concat()
}

async fn sample(source: &str, target: &str, table: &str, columns: &[String]) -> String {
    let sql = format!("select {} r from {table}", row_text(columns));
    let mut ours = text_rows(&mut connect(source).await, &sql).await;
    let mut theirs = text_rows(&mut connect(target).await, &sql).await;
    ours.sort();
    theirs.sort();
    let mut text = String::new();
    for (name, rows, others) in [
        ("only in the source", &ours, &theirs),
        ("only in the replica", &theirs, &ours),
    ] {
        let missing = rows
            .iter()
            .filter(|row| others.binary_search(row).is_err())
            .take(SHOWN_MAX);
        for row in missing {
            let short: String = row.chars().take(160).collect();
            let _infallible = writeln!(text, "  {name}: {short}");
        }
    }
    text
}

fn row_text(columns: &[String]) -> String {
    let quoted: Vec<String> = columns
        .iter()
        .map(|column| format!("\"{}\"", column.replace('"', "\"\"")))
        .collect();
    format!("row({})::text", quoted.join(", "))
}

async fn columns(url: &str, table: &str) -> Vec<String> {
    let sql = format!(
        "select attname::text from pg_attribute where attrelid = to_regclass('{table}') \
         and attnum > 0 and not attisdropped order by attnum"
    );
    text_rows(&mut connect(url).await, &sql).await
}

async fn columns_sorted(url: &str, table: &str) -> Vec<String> {
    let mut names = columns(url, table).await;
    names.sort();
    names
}
