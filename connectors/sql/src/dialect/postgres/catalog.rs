//! What the target has: columns, unique indexes and types of a table, read from its catalogue.

use super::{Failed, error::Doing, session::Session};
use crate::{codec::TargetType, naming::TableName};
use sqlx::{AssertSqlSafe, Row, postgres::PgRow};

/// A column of the target.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type with length and precision, as `format_type` prints it.
    pub full_type: String,
    /// Its type without them, in a form that casts do not cut.
    pub cast_type: String,
    /// What the codec must know.
    pub target: TargetType,
    /// For `character` and `character varying`: the most characters.
    pub characters_max: Option<usize>,
    /// Whether the server computes it.
    pub generated: bool,
    /// Whether it is an identity that refuses updates.
    pub identity_always: bool,
    /// The source's type when we created or changed it, from the column's comment.
    pub source_type: Option<String>,
}

/// A unique index that can find rows.
#[derive(Debug, Clone)]
pub struct UniqueIndex {
    /// Its columns, in index order.
    pub columns: Vec<String>,
    /// The equality operator of each, schema-qualified.
    pub operators: Vec<String>,
}

/// A table of the target.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its unique indexes: valid, immediate, over plain columns of all rows.
    pub unique: Vec<UniqueIndex>,
}

impl Table {
    /// A column by name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The unique index over exactly these columns.
    #[must_use]
    pub fn unique_over(&self, columns: &[String]) -> Option<&UniqueIndex> {
        self.unique.iter().find(|index| {
            index.columns.len() == columns.len()
                && columns.iter().all(|column| index.columns.contains(column))
        })
    }
}

/// Marks a column's comment as ours; the source's type follows.
pub const COMMENT: &str = "tapline source type: ";

/// The longest modifier header of character types: `atttypmod` counts four bytes more.
const CHARACTER_HEADER: i32 = 4;

const TABLE: &str = "SELECT c.oid::int8 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')";

const COLUMNS: &str = "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), \
        format_type(a.atttypid, -1), b.typname::text, e.typname::text, a.atttypmod, \
        a.attgenerated <> '', a.attidentity = 'a', col_description(a.attrelid, a.attnum) \
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
    JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END \
    LEFT JOIN pg_type e ON e.oid = b.typelem AND b.typcategory = 'A' \
    WHERE a.attrelid = $1::int8::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

const UNIQUE: &str = "SELECT array_agg(a.attname::text ORDER BY k.n), \
        array_agg(format('OPERATOR(%I.%s)', s.nspname, o.oprname) ORDER BY k.n) \
    FROM pg_index i \
    CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indclass::oid[]) WITH ORDINALITY k(attnum, class, n) \
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum \
    JOIN pg_opclass c ON c.oid = k.class \
    JOIN pg_amop m ON m.amopfamily = c.opcfamily AND m.amopstrategy = 3 \
        AND m.amoplefttype = c.opcintype AND m.amoprighttype = c.opcintype \
    JOIN pg_operator o ON o.oid = m.amopopr JOIN pg_namespace s ON s.oid = o.oprnamespace \
    WHERE i.indrelid = $1::int8::oid AND i.indisunique AND i.indisvalid AND i.indimmediate \
        AND i.indpred IS NULL AND i.indexprs IS NULL AND k.n <= i.indnkeyatts \
    GROUP BY i.indexrelid, i.indnkeyatts, i.indisprimary HAVING count(*) = i.indnkeyatts \
    ORDER BY i.indisprimary DESC, i.indexrelid";

/// Reads a table; `None` if there is none.
pub async fn table(session: &mut Session, name: &TableName) -> Result<Option<Table>, Failed> {
    let doing = Doing::new("read the catalogue of", name);
    let oid: Option<i64> = sqlx::query_scalar(TABLE)
        .bind(&*name.schema)
        .bind(&*name.table)
        .fetch_optional(session.connection())
        .await
        .map_err(|error| doing.failed(error))?;
    let Some(oid) = oid else {
        return Ok(None);
    };
    let columns = sqlx::query(COLUMNS)
        .bind(oid)
        .fetch_all(session.connection())
        .await
        .map_err(|error| doing.failed(error))?;
    let unique = sqlx::query(UNIQUE)
        .bind(oid)
        .fetch_all(session.connection())
        .await
        .map_err(|error| doing.failed(error))?;
    let read = || -> Result<Table, sqlx::Error> {
        Ok(Table {
            columns: columns.iter().map(column).collect::<Result<_, _>>()?,
            unique: unique.iter().map(index).collect::<Result<_, _>>()?,
        })
    };
    read().map(Some).map_err(|error| doing.failed(error))
}

fn column(row: &PgRow) -> Result<Column, sqlx::Error> {
    let name: String = row.try_get(3)?;
    let modifier: i32 = row.try_get(5)?;
    let characters = matches!(name.as_str(), "varchar" | "bpchar");
    let comment: Option<String> = row.try_get(8)?;
    Ok(Column {
        name: row.try_get(0)?,
        full_type: row.try_get(1)?,
        cast_type: row.try_get(2)?,
        target: TargetType {
            name,
            element: row.try_get(4)?,
        },
        characters_max: usize::try_from(modifier - CHARACTER_HEADER)
            .ok()
            .filter(|_| characters),
        generated: row.try_get(6)?,
        identity_always: row.try_get(7)?,
        source_type: comment.and_then(|text| text.strip_prefix(COMMENT).map(str::to_owned)),
    })
}

fn index(row: &PgRow) -> Result<UniqueIndex, sqlx::Error> {
    Ok(UniqueIndex {
        columns: row.try_get(0)?,
        operators: row.try_get(1)?,
    })
}

/// Whether the target knows this type.
pub async fn has_type(session: &mut Session, text: &str) -> Result<bool, Failed> {
    sqlx::query_scalar("SELECT to_regtype($1) IS NOT NULL")
        .bind(text)
        .fetch_one(session.connection())
        .await
        .map_err(|error| Doing::new("look up type", text).failed(error))
}

/// The labels of an enum in order; empty if the type is no enum or missing.
pub async fn enum_labels(session: &mut Session, text: &str) -> Result<Vec<String>, Failed> {
    sqlx::query_scalar(
        "SELECT enumlabel::text FROM pg_enum WHERE enumtypid = to_regtype($1) ORDER BY enumsortorder",
    )
    .bind(text)
    .fetch_all(session.connection())
    .await
    .map_err(|error| Doing::new("read the labels of enum", text).failed(error))
}

/// Whether values of one type become another's without an explicit cast: the same type, or a cast that assignments
/// use, or any type into text.
pub async fn casts(session: &mut Session, from: &str, to: &str) -> Result<bool, Failed> {
    const CASTS: &str = "SELECT coalesce(f.oid = t.oid OR t.typcategory = 'S' OR EXISTS (SELECT FROM pg_cast \
            WHERE castsource = f.oid AND casttarget = t.oid AND castcontext IN ('i', 'a')), false) \
        FROM pg_type f, pg_type t WHERE f.oid = to_regtype($1) AND t.oid = to_regtype($2)";
    let answer: Option<bool> = sqlx::query_scalar(AssertSqlSafe(CASTS))
        .bind(from)
        .bind(to)
        .fetch_optional(session.connection())
        .await
        .map_err(|error| Doing::new("look up casts of type", from).failed(error))?;
    Ok(answer.unwrap_or(false))
}
