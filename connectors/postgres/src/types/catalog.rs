//! What `pg_type` says of the types that tables use: asked for by oid, when a table first needs them, never as a whole.

use super::array;
use hashbrown::HashMap;
use std::{borrow::Cow, sync::Arc};
use tapline_sdk::Error;

/// One type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeInfo {
    /// Its oid.
    pub oid: u32,
    /// Its schema.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// What kind of type it is.
    pub kind: TypeKind,
    /// What separates the items of an array of this type.
    pub delimiter: u8,
}

/// What kind of type it is, with what that kind has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypeKind {
    /// A base type.
    Base,
    /// A variable-length array of the type with this oid.
    Array(u32),
    /// An enum, its labels in sort order.
    Enum(Arc<[Arc<str>]>),
    /// A domain over another type, which may be a domain again.
    Domain {
        /// The type below.
        base: u32,
        /// The type modifier that it gives the type below.
        typmod: i32,
    },
    /// A composite type, a table's row type included.
    Composite,
    /// A range.
    Range,
    /// A multirange.
    Multirange,
    /// A pseudo-type.
    Pseudo,
}

/// The types known so far.
#[derive(Debug, Clone, Default)]
pub struct TypeCatalog {
    types: HashMap<u32, TypeInfo>,
    money_scale: Option<u8>,
}

impl TypeCatalog {
    /// Those of `oids` that are not known. Ask for them with [`TypeCatalog::query`].
    #[must_use]
    pub fn missing(&self, oids: impl IntoIterator<Item = u32>) -> Vec<u32> {
        let mut missing: Vec<u32> = oids
            .into_iter()
            .filter(|oid| !self.types.contains_key(oid))
            .collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// The query that tells about these types and those they are made of. Every row goes to [`TypeCatalog::insert`].
    #[must_use]
    pub fn query(oids: &[u32]) -> String {
        let list: Vec<String> = oids.iter().map(u32::to_string).collect();
        // An array proper is what the array subscripting handler serves: point and name have elements, too.
        format!(
            "with recursive need(oid) as ( \
               select o::pg_catalog.oid from pg_catalog.unnest('{{{}}}'::pg_catalog.int8[]) o \
               union \
               select below.oid from need join pg_catalog.pg_type t on t.oid = need.oid \
               cross join lateral (values (t.typbasetype), (t.typelem)) below(oid) \
               where below.oid <> 0) \
             select t.oid, n.nspname, t.typname, t.typtype, \
               case when t.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc \
                 then t.typelem else 0 end, \
               t.typdelim, t.typbasetype, t.typtypmod, \
               (select pg_catalog.array_agg(e.enumlabel::pg_catalog.text order by e.enumsortorder) \
                from pg_catalog.pg_enum e where e.enumtypid = t.oid), \
               case when t.oid = 790 then pg_catalog.scale('0'::pg_catalog.money::pg_catalog.numeric) end \
             from need join pg_catalog.pg_type t on t.oid = need.oid \
             join pg_catalog.pg_namespace n on n.oid = t.typnamespace",
            list.join(",")
        )
    }

    /// Takes a row of [`TypeCatalog::query`], its columns as text; replaces what was known of that type.
    ///
    /// # Errors
    /// If the row is not what the query yields.
    pub fn insert(&mut self, row: &[Option<&str>]) -> Result<(), Error> {
        let info = read(row).ok_or_else(|| {
            Error::fatal("the server's answer about types has an unexpected form").code("TL0350")
        })?;
        if let Some(Some(scale)) = row.get(9) {
            self.money_scale = scale.parse().ok();
        }
        self.types.insert(info.oid, info);
        Ok(())
    }

    /// What is known of a type.
    #[must_use]
    pub fn get(&self, oid: u32) -> Option<&TypeInfo> {
        self.types.get(&oid)
    }

    /// Forgets a type, so that [`TypeCatalog::missing`] names it again: an enum may have got labels.
    pub fn forget(&mut self, oid: u32) {
        self.types.remove(&oid);
    }

    /// Adds a label that rows have and the server's catalogue no longer: it was renamed since.
    pub fn learn_label(&mut self, oid: u32, label: &str) {
        if let Some(TypeInfo {
            kind: TypeKind::Enum(labels),
            ..
        }) = self.types.get_mut(&oid)
            && !labels.iter().any(|known| &**known == label)
        {
            *labels = labels.iter().cloned().chain([label.into()]).collect();
        }
    }

    /// A type below all domains, with the type modifier that holds there.
    #[must_use]
    pub fn root(&self, oid: u32, typmod: i32) -> (u32, i32) {
        let (mut oid, mut typmod) = (oid, typmod);
        // A chain of domains cannot be longer than the catalogue, nor can it be a ring.
        for _ in 0..=self.types.len() {
            let Some(TypeInfo {
                kind: TypeKind::Domain { base, typmod: own },
                ..
            }) = self.types.get(&oid)
            else {
                break;
            };
            oid = *base;
            typmod = if typmod < 0 { *own } else { typmod };
        }
        (oid, typmod)
    }

    /// Digits after the point that the server's `lc_monetary` gives money; 2 until it is known.
    #[must_use]
    pub fn money_scale(&self) -> u8 {
        self.money_scale.unwrap_or(2)
    }
}

fn read(row: &[Option<&str>]) -> Option<TypeInfo> {
    let text = |at: usize| row.get(at).copied().flatten();
    let number = |at: usize| text(at).and_then(|text| text.parse::<u32>().ok());
    let element = number(4)?;
    let kind = match text(3)? {
        "b" if element != 0 => TypeKind::Array(element),
        "b" => TypeKind::Base,
        "c" => TypeKind::Composite,
        "d" => TypeKind::Domain {
            base: number(6)?,
            typmod: text(7)?.parse().ok()?,
        },
        "e" => TypeKind::Enum(labels(text(8).unwrap_or("{}"))?),
        "p" => TypeKind::Pseudo,
        "r" => TypeKind::Range,
        "m" => TypeKind::Multirange,
        _ => return None,
    };
    Some(TypeInfo {
        oid: number(0)?,
        namespace: text(1)?.into(),
        name: text(2)?.into(),
        kind,
        delimiter: *text(5)?.as_bytes().first()?,
    })
}

fn labels(array: &str) -> Option<Arc<[Arc<str>]>> {
    let mut labels = Vec::new();
    let mut items = array::Items::new(array.as_bytes(), b',').ok()?;
    while let Some(item) = items.next_item().ok()? {
        let array::Item::Value(label) = item else {
            return None;
        };
        labels.push(match label {
            Cow::Borrowed(label) => Arc::from(std::str::from_utf8(label).ok()?),
            Cow::Owned(label) => Arc::from(String::from_utf8(label).ok()?),
        });
    }
    Some(labels.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str) -> Vec<Option<&str>> {
        let cells = text.split('|').map(|cell| (cell != "∅").then_some(cell));
        cells.collect()
    }

    #[test]
    fn domains_resolve_to_their_root_with_the_outermost_modifier() {
        let mut types = TypeCatalog::default();
        for text in [
            "1043|pg_catalog|varchar|b|0|,|0|-1|∅|∅",
            "500|public|short|d|0|,|1043|29|∅|∅",
            "501|public|shorter|d|0|,|500|-1|∅|∅",
        ] {
            types.insert(&row(text)).unwrap();
        }
        assert_eq!(types.root(501, -1), (1043, 29));
        assert_eq!(types.missing([1043, 501, 7, 7]), [7]);
    }

    #[test]
    fn enum_labels_keep_their_order_commas_and_quotes() {
        let mut types = TypeCatalog::default();
        types
            .insert(&row(
                r#"9|public|mood|e|0|,|0|-1|{b,"a,c","say \"hi\"","NULL"}|∅"#,
            ))
            .unwrap();
        types.learn_label(9, "new");
        let Some(TypeKind::Enum(labels)) = types.get(9).map(|info| &info.kind) else {
            panic!("not an enum");
        };
        let labels: Vec<&str> = labels.iter().map(|label| &**label).collect();
        assert_eq!(labels, ["b", "a,c", "say \"hi\"", "NULL", "new"]);
    }

    #[test]
    fn a_row_of_another_form_is_refused() {
        assert!(TypeCatalog::default().insert(&row("1|2")).is_err());
    }
}
