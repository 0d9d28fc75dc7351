//! A table as a relation message gives it, as the catalogue gives it, and as both together.

use std::sync::Arc;
use tapline_sdk::Error;

/// `relreplident`: what the server logs of a row before a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReplicaIdentity {
    /// The primary key.
    Default,
    /// Nothing.
    Nothing,
    /// The whole row.
    Full,
    /// The columns of an index.
    Index,
}

impl ReplicaIdentity {
    /// From the byte that relation messages and `pg_class` have.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b'd' => Some(Self::Default),
            b'n' => Some(Self::Nothing),
            b'f' => Some(Self::Full),
            b'i' => Some(Self::Index),
            _ => None,
        }
    }
}

/// A relation message, or the same made from the catalogue for a snapshot. Equal relations have equal plans as long
/// as the catalogue is the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Relation {
    /// `pg_class.oid`.
    pub relid: u32,
    /// The table's schema; an empty text in the message means `pg_catalog`.
    pub schema: Arc<str>,
    /// The table's name.
    pub table: Arc<str>,
    /// Its replica identity.
    pub identity: ReplicaIdentity,
    /// Its columns in the order of tuples.
    pub columns: Vec<RelationColumn>,
}

/// A column of a relation message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RelationColumn {
    /// Byte-exact.
    pub name: Arc<str>,
    /// The type's oid, a domain's own included.
    pub type_oid: u32,
    /// The type modifier; -1 if there is none.
    pub typmod: i32,
    /// Whether the column is part of the replica identity; under `Full` every column is.
    pub in_identity: bool,
}

/// What the catalogue adds to one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableCatalog {
    /// `pg_class.oid`.
    pub relid: u32,
    /// The table's schema.
    pub schema: Arc<str>,
    /// The table's name.
    pub table: Arc<str>,
    /// Its replica identity, as it is now.
    pub identity: ReplicaIdentity,
    /// Its columns in their order, dropped ones left out.
    pub columns: Vec<TableColumn>,
}

/// A column in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    /// Byte-exact.
    pub name: Arc<str>,
    /// The type's oid.
    pub type_oid: u32,
    /// The type modifier; -1 if there is none.
    pub typmod: i32,
    /// Declared `NOT NULL`.
    pub not_null: bool,
    /// The default as an expression; `None` also for generated columns.
    pub default: Option<String>,
    /// `GENERATED ALWAYS AS (…)`: in neither snapshot nor stream.
    pub generated: bool,
    /// `GENERATED … AS IDENTITY`.
    pub identity: bool,
    /// Declared dimensions of an array.
    pub dimensions: u16,
    /// Place in the primary key, from 1.
    pub primary_key: Option<u16>,
    /// Place in the first unique index by name that has no expression, from 1.
    pub unique_key: Option<u16>,
    /// As [`TableColumn::unique_key`], of those whose columns are all `NOT NULL`, that are not partial and immediate.
    pub strict_unique_key: Option<u16>,
    /// Place in the index that `REPLICA IDENTITY USING INDEX` names.
    pub identity_key: Option<u16>,
}

impl TableCatalog {
    /// The query about these tables, by oid. Its rows go to [`TableCatalog::read`].
    #[must_use]
    pub fn query(relids: &[u32]) -> String {
        let list: Vec<String> = relids.iter().map(u32::to_string).collect();
        let position = |condition: &str| {
            format!(
                "(select pg_catalog.array_position( \
                   (i.indkey::pg_catalog.int2[])[0:i.indnkeyatts - 1], a.attnum) \
                 from pg_catalog.pg_index i join pg_catalog.pg_class ic on ic.oid = i.indexrelid \
                 where i.indrelid = c.oid and i.indisvalid and {condition} \
                 order by ic.relname limit 1)"
            )
        };
        let plain = "i.indisunique and not i.indisprimary and i.indexprs is null";
        let strict = format!(
            "{plain} and i.indpred is null and i.indimmediate and not exists ( \
             select from pg_catalog.pg_attribute k where k.attrelid = c.oid and not k.attnotnull \
             and k.attnum = any ((i.indkey::pg_catalog.int2[])[0:i.indnkeyatts - 1]))"
        );
        format!(
            "select c.oid, n.nspname, c.relname, c.relreplident, a.attname, a.atttypid, a.atttypmod, \
               a.attnotnull, \
               case when a.attgenerated = '' then pg_catalog.pg_get_expr(d.adbin, d.adrelid) end, \
               a.attgenerated <> '', a.attidentity <> '', a.attndims, {}, {}, {}, {} \
             from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
             left join pg_catalog.pg_attribute a \
               on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped \
             left join pg_catalog.pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum \
             where c.oid in ({}) order by c.oid, a.attnum",
            position("i.indisprimary"),
            position(plain),
            position(&strict),
            position("i.indisreplident"),
            if list.is_empty() {
                "0".to_owned()
            } else {
                list.join(",")
            },
        )
    }

    /// Reads the rows of [`TableCatalog::query`], columns as text, into one entry per table that exists.
    ///
    /// # Errors
    /// If a row is not what the query yields.
    pub fn read<'a>(
        rows: impl IntoIterator<Item = &'a [Option<&'a str>]>,
    ) -> Result<Vec<Self>, Error> {
        let mut tables: Vec<Self> = Vec::new();
        for row in rows {
            let read = read_row(row).ok_or_else(|| {
                Error::fatal("the server's answer about tables has an unexpected form")
                    .code("TL0350")
            })?;
            match tables.last_mut() {
                Some(last) if last.relid == read.relid => last.columns.extend(read.columns),
                _ => tables.push(read),
            }
        }
        Ok(tables)
    }

    /// The relation that a snapshot reads: the columns that the stream would have. `published` restricts them to a
    /// publication's column list.
    #[must_use]
    pub fn relation(&self, published: Option<&[&str]>) -> Relation {
        let kept = |column: &&TableColumn| {
            !column.generated && published.is_none_or(|names| names.contains(&&*column.name))
        };
        let columns = self.columns.iter().filter(kept);
        let columns = columns.map(|column| RelationColumn {
            name: Arc::clone(&column.name),
            type_oid: column.type_oid,
            typmod: column.typmod,
            in_identity: match self.identity {
                ReplicaIdentity::Default => column.primary_key.is_some(),
                ReplicaIdentity::Nothing => false,
                ReplicaIdentity::Full => true,
                ReplicaIdentity::Index => column.identity_key.is_some(),
            },
        });
        Relation {
            relid: self.relid,
            schema: Arc::clone(&self.schema),
            table: Arc::clone(&self.table),
            identity: self.identity,
            columns: columns.collect(),
        }
    }

    /// A column by name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&TableColumn> {
        self.columns.iter().find(|column| &*column.name == name)
    }
}

fn read_row(row: &[Option<&str>]) -> Option<TableCatalog> {
    let text = |at: usize| row.get(at).copied().flatten();
    let flag = |at: usize| text(at).is_some_and(|text| matches!(text, "t" | "true"));
    let place = |at: usize| text(at).and_then(|text| text.parse::<u16>().ok());
    let mut columns = Vec::new();
    if let Some(name) = text(4) {
        columns.push(TableColumn {
            name: name.into(),
            type_oid: text(5)?.parse().ok()?,
            typmod: text(6)?.parse().ok()?,
            not_null: flag(7),
            default: text(8).map(str::to_owned),
            generated: flag(9),
            identity: flag(10),
            dimensions: text(11)?.parse().ok()?,
            primary_key: place(12),
            unique_key: place(13),
            strict_unique_key: place(14),
            identity_key: place(15),
        });
    }
    Some(TableCatalog {
        relid: text(0)?.parse().ok()?,
        schema: text(1)?.into(),
        table: text(2)?.into(),
        identity: ReplicaIdentity::from_byte(*text(3)?.as_bytes().first()?)?,
        columns,
    })
}

/// A relation with what the catalogue adds.
#[derive(Debug, Clone)]
pub struct TableMeta {
    /// The column set.
    pub relation: Relation,
    /// What the catalogue says; `None` if it does not know the table (yet, or any more).
    pub catalog: Option<TableCatalog>,
}

impl TableMeta {
    /// Puts a relation and the catalogue's view of it together.
    #[must_use]
    pub fn new(relation: Relation, catalog: Option<TableCatalog>) -> Self {
        Self { relation, catalog }
    }

    /// What the catalogue says of a column of the relation, unless the column has another type there: then the
    /// catalogue is of another time.
    #[must_use]
    pub fn catalog_column(&self, column: &RelationColumn) -> Option<&TableColumn> {
        let known = self.catalog.as_ref()?.column(&column.name)?;
        (known.type_oid == column.type_oid).then_some(known)
    }

    /// `schema.table`, for messages.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.relation.schema, self.relation.table)
    }

    /// The oids that the plan needs to know; see [`super::super::types::TypeCatalog::missing`].
    pub fn type_oids(&self) -> impl Iterator<Item = u32> {
        self.relation.columns.iter().map(|column| column.type_oid)
    }
}
