//! Changes of the target's schema: tables created, columns added, types followed.
//!
//! All of it runs in the transaction of the data, but new enum labels: the server lets nobody use them before they are
//! committed, so they are added on their own before the transaction begins; adding one twice changes nothing.
//!
//! Only key columns are NOT NULL, so that no later change at the source can block the replica. Columns are never
//! dropped: a column that the source dropped or renamed stays and is NULL in new rows. A column that we made carries
//! the source's type in its comment; if the source's type differs from it later, the source has changed the type, and
//! the column follows if the cast is one that assignments use. Columns that an operator made are left alone.

use super::{Failed, catalog, session::Session, types};
use crate::{
    codec::{Codec, TargetType},
    error::{missing, retyped},
    naming::{TableName, checked, literal, quoted},
    settings::Settings,
};
use catalog::{COMMENT, Column, Table};
use std::sync::Arc;
use tapline_sdk::Schema;
use types::TypeText;

/// Tasks that start together all find that something is missing. `IF NOT EXISTS` alone lets both make it and fails one
/// with a unique violation of the catalogue; under this lock, which ends with the statement's transaction, the second
/// finds it. The number is any that nobody else is likely to use: "tapline" in ASCII.
pub(super) const ONE_AT_A_TIME: &str = "SELECT pg_advisory_xact_lock(32758232781516389)";

/// A column that records have.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its name in the target.
    pub name: String,
    /// The field's schema.
    pub schema: Arc<Schema>,
    /// Whether it is part of the key.
    pub key: bool,
}

/// Brings the table to where records of these columns fit, and says whether anything was changed.
pub async fn evolve(
    session: &mut Session,
    settings: &Settings,
    name: &TableName,
    table: Option<&Table>,
    wanted: &[Wanted],
) -> Result<bool, Failed> {
    let Some(table) = table else {
        if !settings.creates_tables {
            return Err(missing(&format!("table {}", name.quoted())).into());
        }
        create(session, name, wanted).await?;
        return Ok(true);
    };
    let mut changed = false;
    for column in wanted {
        match table.column(&column.name) {
            None if settings.changes_columns => {
                add(session, name, column).await?;
                changed = true;
            }
            None => {
                let object = format!("column {} in table {}", quoted(&column.name), name.quoted());
                return Err(missing(&object).into());
            }
            Some(existing) if settings.changes_columns => {
                changed |= follow(session, name, existing, column).await?;
            }
            Some(_) => {}
        }
    }
    Ok(changed)
}

async fn create(session: &mut Session, name: &TableName, wanted: &[Wanted]) -> Result<(), Failed> {
    let mut parts = Vec::new();
    let mut comments = String::new();
    for column in wanted {
        checked("column", &column.name)?;
        let (sql, source) = column_type(session, &column.schema).await?;
        let not_null = if column.key { " NOT NULL" } else { "" };
        parts.push(format!("{} {sql}{not_null}", quoted(&column.name)));
        comments.push_str(&comment(name, &column.name, source.as_deref()));
    }
    let key: Vec<String> = wanted
        .iter()
        .filter(|column| column.key)
        .map(|column| quoted(&column.name))
        .collect();
    if !key.is_empty() {
        parts.push(format!("PRIMARY KEY ({})", key.join(", ")));
    }
    make_schema(session, &name.schema).await?;
    let sql = format!(
        "CREATE TABLE {} ({}); {comments}",
        name.quoted(),
        parts.join(", ")
    );
    session.run("create a table in", &sql).await?;
    tracing::info!(table = %name, "table created");
    Ok(())
}

/// Existing schemas are left alone, so that no right to create one is needed.
async fn make_schema(session: &mut Session, schema: &str) -> Result<(), Failed> {
    let exists: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)")
            .bind(schema)
            .fetch_one(session.connection())
            .await
            .map_err(|error| super::error::Doing::new("look up schema", schema).failed(error))?;
    if !exists {
        let sql = format!(
            "{ONE_AT_A_TIME}; CREATE SCHEMA IF NOT EXISTS {}",
            quoted(schema)
        );
        session.run("create a schema in", &sql).await?;
    }
    Ok(())
}

/// Makes the schema of the positions too.
pub async fn ensure_schema(session: &mut Session, schema: &str) -> Result<(), Failed> {
    make_schema(session, schema).await
}

async fn add(session: &mut Session, name: &TableName, column: &Wanted) -> Result<(), Failed> {
    checked("column", &column.name)?;
    let (sql, source) = column_type(session, &column.schema).await?;
    let default = default(&column.schema).unwrap_or_default();
    let statements = format!(
        "ALTER TABLE {} ADD COLUMN {} {sql}{default}; {}",
        name.quoted(),
        quoted(&column.name),
        comment(name, &column.name, source.as_deref()),
    );
    session.run("add a column in", &statements).await?;
    tracing::info!(table = %name, column = column.name, "column added");
    Ok(())
}

/// A literal default, so that rows written before get what the source's rows got. The server casts it.
fn default(schema: &Arc<Schema>) -> Option<String> {
    let default = schema.default.as_ref()?;
    let target = TargetType::default();
    let mut text = Vec::new();
    Codec::compile(schema, &target)
        .write(default.arena(), default.cell(), &mut text)
        .ok()?;
    Some(format!(
        " DEFAULT {}",
        literal(&String::from_utf8(text).ok()?)
    ))
}

fn comment(name: &TableName, column: &str, source: Option<&str>) -> String {
    source.map_or_else(String::new, |source| {
        let text = literal(&format!("{COMMENT}{source}"));
        format!(
            "COMMENT ON COLUMN {}.{} IS {text}; ",
            name.quoted(),
            quoted(column)
        )
    })
}

/// Follows a type that the source has changed since we made the column.
async fn follow(
    session: &mut Session,
    name: &TableName,
    existing: &Column,
    wanted: &Wanted,
) -> Result<bool, Failed> {
    let (Some(made_for), Some(source)) =
        (&existing.source_type, types::source_type(&wanted.schema))
    else {
        return Ok(false);
    };
    if *made_for == source {
        return Ok(false);
    }
    let (sql, _) = column_type(session, &wanted.schema).await?;
    let parsed = |text: &str| TypeText::parse(text).map(|parsed| parsed.lookup());
    let safe = match (parsed(&existing.full_type), parsed(&sql)) {
        (Some(from), Some(to)) => catalog::casts(session, &from, &to).await?,
        _ => false,
    };
    if !safe {
        let table = name.quoted();
        return Err(retyped(&table, &wanted.name, &existing.full_type, &sql).into());
    }
    let (table, column) = (name.quoted(), quoted(&wanted.name));
    let note = comment(name, &wanted.name, Some(&source));
    // A default of the old type might not cast; the source's rows come complete.
    let statements = format!(
        "ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT, ALTER COLUMN {column} TYPE {sql}; {note}"
    );
    session
        .run("change a column's type in", &statements)
        .await?;
    tracing::info!(table = %name, column = wanted.name, "column type changed");
    Ok(true)
}

/// The type of a new column, and the source's type for its comment.
async fn column_type(
    session: &mut Session,
    schema: &Schema,
) -> Result<(String, Option<String>), Failed> {
    let Some(source) = types::source_type(schema) else {
        return Ok((types::logical_type(schema), None));
    };
    let labels = types::labels(schema);
    for candidate in candidates(schema, &source) {
        if catalog::has_type(session, &candidate.unmodified()).await? {
            return Ok((candidate.sql(), Some(source)));
        }
        if let Some((type_schema, type_name)) = candidate.made()
            && !labels.is_empty()
        {
            create_enum(session, type_schema, type_name, &labels).await?;
            return Ok((candidate.sql(), Some(source)));
        }
    }
    tracing::warn!(
        r#type = source,
        "target lacks the source's type, using its Connect type"
    );
    Ok((types::logical_type(schema), Some(source)))
}

/// The source's type, then what stands for it: a domain's base type, each also in schema `public`.
fn candidates(schema: &Schema, source: &str) -> Vec<TypeText> {
    let texts = std::iter::once(source).chain(types::base_type(schema));
    let parsed = texts.filter_map(TypeText::parse);
    parsed
        .flat_map(|parsed| {
            let public = parsed.in_public();
            std::iter::once(parsed).chain(public)
        })
        .collect()
}

async fn create_enum(
    session: &mut Session,
    schema: &str,
    name: &str,
    labels: &[String],
) -> Result<(), Failed> {
    let name = TableName::new(schema, name)?;
    make_schema(session, schema).await?;
    let labels: Vec<String> = labels.iter().map(|label| literal(label)).collect();
    let sql = format!(
        "CREATE TYPE {} AS ENUM ({})",
        name.quoted(),
        labels.join(", ")
    );
    session.run("create an enum in", &sql).await
}

/// Adds labels that the source's enums have and the target's lack. Runs outside of a transaction.
pub async fn extend_enums(session: &mut Session, wanted: &[Wanted]) -> Result<(), Failed> {
    for column in wanted {
        let labels = types::labels(&column.schema);
        let (Some(source), false) = (types::source_type(&column.schema), labels.is_empty()) else {
            continue;
        };
        for candidate in candidates(&column.schema, &source) {
            let name = candidate.unmodified();
            let known = catalog::enum_labels(session, &name).await?;
            if !known.is_empty() {
                extend_enum(session, &name, known, &labels).await?;
                break;
            }
        }
    }
    Ok(())
}

async fn extend_enum(
    session: &mut Session,
    name: &str,
    mut known: Vec<String>,
    labels: &[String],
) -> Result<(), Failed> {
    // Labels travel joined by commas, which a label may hold: equal texts mean equal labels.
    if known.join(",") == labels.join(",") {
        return Ok(());
    }
    for (at, label) in labels.iter().enumerate() {
        if known.contains(label) {
            continue;
        }
        // Behind its predecessor, so that values sort as they do at the source.
        let place = match at.checked_sub(1).and_then(|before| labels.get(before)) {
            Some(before) => format!(" AFTER {}", literal(before)),
            None => known
                .first()
                .map_or_else(String::new, |first| format!(" BEFORE {}", literal(first))),
        };
        let sql = format!(
            "ALTER TYPE {name} ADD VALUE IF NOT EXISTS {}{place}",
            literal(label)
        );
        session.run("extend an enum in", &sql).await?;
        known.push(label.clone());
        tracing::info!(r#type = name, "enum label added");
    }
    Ok(())
}
