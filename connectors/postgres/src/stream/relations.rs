//! What the tables of the stream look like: the last relation message of each, compiled.

use crate::{
    catalog::Catalog,
    config::TableFilter,
    envelope::TablePlan,
    lsn::Lsn,
    schema::{Relation, TableCatalog},
};
use hashbrown::HashMap;
use std::sync::Arc;
use tapline_sdk::{Error, Result};

/// A table of the stream.
#[derive(Debug)]
pub struct Known {
    relation: Relation,
    catalog: Option<TableCatalog>,
    /// How its rows become records.
    pub plan: TablePlan,
    /// What is to be done with its changes.
    pub treatment: Treatment,
    /// The label that was asked for last, so that one that the catalogue does not have is learnt.
    asked: Option<String>,
}

/// What is to be done with a table's changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Treatment {
    /// They become records if their transaction commits at or after this: those before are in what was read.
    Deliver(Lsn),
    /// It is published and not captured.
    Ignore,
    /// It is captured and was never read.
    New,
}

/// Every table that the stream has named.
pub struct Relations {
    catalog: Catalog,
    filter: TableFilter,
    /// Captured tables by schema and name, each with the end of what was read of it.
    tables: HashMap<(Arc<str>, Arc<str>), Lsn>,
    /// Whether a captured table that appears in the stream is read first.
    read_new: bool,
    known: HashMap<u32, Known>,
}

impl Relations {
    /// With the tables that were read.
    #[must_use]
    pub fn new(
        catalog: Catalog,
        filter: TableFilter,
        tables: HashMap<(Arc<str>, Arc<str>), Lsn>,
        read_new: bool,
    ) -> Self {
        Self {
            catalog,
            filter,
            tables,
            read_new,
            known: HashMap::new(),
        }
    }

    /// The session beside the stream.
    #[must_use]
    pub fn into_catalog(self) -> Catalog {
        self.catalog
    }

    /// The table as last announced.
    #[must_use]
    pub fn get(&self, relid: u32) -> Option<&Known> {
        self.known.get(&relid)
    }

    /// `schema.table`, for messages.
    #[must_use]
    pub fn name(&self, relid: u32) -> String {
        let named = |known: &Known| format!("{}.{}", known.relation.schema, known.relation.table);
        self.known
            .get(&relid)
            .map_or_else(|| format!("with oid {relid}"), named)
    }

    /// A relation message: asks the catalogue what it leaves open, and compiles a plan if anything is new. The server
    /// sends one again whenever something about the table may have changed, a key or a NOT NULL among it.
    ///
    /// # Errors
    /// If the catalogue cannot be read, or the options cannot be met.
    pub async fn learn(&mut self, relation: Relation) -> Result<()> {
        let treatment = self.treatment(&relation);
        if treatment == Treatment::Ignore
            && self
                .known
                .get(&relation.relid)
                .is_some_and(|k| k.relation == relation)
        {
            return Ok(());
        }
        let catalog = self.catalog.table(relation.relid).await?;
        if let Some(known) = self.known.get_mut(&relation.relid)
            && known.relation == relation
            && known.catalog == catalog
        {
            known.treatment = treatment;
            return Ok(());
        }
        let plan = self.catalog.plan(relation.clone(), catalog.clone()).await?;
        let relid = relation.relid;
        self.known.insert(
            relid,
            Known {
                relation,
                catalog,
                plan,
                treatment,
                asked: None,
            },
        );
        Ok(())
    }

    /// A row has an enum label that the plan does not know.
    ///
    /// # Errors
    /// As [`Relations::learn`].
    pub async fn relearn(&mut self, relid: u32, type_oid: u32, label: &str) -> Result<()> {
        let Some(mut known) = self.known.remove(&relid) else {
            return Err(Error::disconnected("a row came before its relation").code("TL0317"));
        };
        let again = known.asked.as_deref() == Some(label);
        self.catalog.relearn(type_oid, label, again).await?;
        known.plan = self
            .catalog
            .plan(known.relation.clone(), known.catalog.clone())
            .await?;
        known.asked = Some(label.to_owned());
        self.known.insert(relid, known);
        Ok(())
    }

    fn treatment(&self, relation: &Relation) -> Treatment {
        let name = (Arc::clone(&relation.schema), Arc::clone(&relation.table));
        match self.tables.get(&name) {
            Some(read_to) => Treatment::Deliver(*read_to),
            None if !self.filter.keeps(&relation.schema, &relation.table) => Treatment::Ignore,
            None if self.read_new => Treatment::New,
            None => Treatment::Deliver(Lsn::NONE),
        }
    }
}
