//! What the tables of the stream look like: the last relation message of each, compiled.

use super::reselect::{Reselect, whole_xid};
use crate::{
    catalog::Catalog,
    config::TableFilter,
    envelope::TablePlan,
    lsn::Lsn,
    schema::{Relation, TableCatalog},
    server::cell,
    wire::Reply,
};
use hashbrown::HashMap;
use std::{sync::Arc, time::Duration};
use tapline_sdk::{Error, ErrorKind, Result};
use tokio::time::{Instant, sleep};

/// A commit becomes visible within a millisecond of being streamed, but for one that waits for a synchronous standby.
const VISIBLE_WAIT: Duration = Duration::from_secs(5);

/// Between two looks at that.
const VISIBLE_PAUSE: Duration = Duration::from_millis(1);

/// A table's schema and name.
pub type TableName = (Arc<str>, Arc<str>);

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

impl Known {
    /// What it looks like.
    #[must_use]
    pub fn relation(&self) -> &Relation {
        &self.relation
    }

    /// Its schema and name.
    #[must_use]
    pub fn name(&self) -> TableName {
        (
            Arc::clone(&self.relation.schema),
            Arc::clone(&self.relation.table),
        )
    }
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
    tables: HashMap<TableName, Lsn>,
    /// Whether a captured table that appears in the stream is read first.
    read_new: bool,
    known: HashMap<u32, Known>,
    /// The transaction that was waited for last.
    visible: Option<u32>,
}

impl Relations {
    /// With the tables that were read.
    #[must_use]
    pub fn new(
        catalog: Catalog,
        filter: TableFilter,
        tables: HashMap<TableName, Lsn>,
        read_new: bool,
    ) -> Self {
        Self {
            catalog,
            filter,
            tables,
            read_new,
            known: HashMap::new(),
            visible: None,
        }
    }

    /// The session beside the stream.
    pub fn catalog(&mut self) -> &mut Catalog {
        &mut self.catalog
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
    pub async fn learn(&mut self, relation: Relation, xid: Option<u32>) -> Result<()> {
        // What the transaction itself did to the table must be visible to us, or its key would be so at random.
        if let Some(xid) = xid {
            self.until_visible(xid).await?;
        }
        let known = self
            .known
            .get(&relation.relid)
            .filter(|known| known.relation == relation);
        if known.is_some_and(|known| known.treatment == Treatment::Ignore) {
            return Ok(());
        }
        let treatment = self.treatment(&relation).await?;
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

    /// Values that a change lacks; none if the row, the column or the table is gone.
    ///
    /// # Errors
    /// If the server cannot be asked.
    pub async fn reselect(&mut self, ask: &Reselect) -> Result<Reply> {
        self.until_visible(ask.xid).await?;
        let doing = "cannot ask for unchanged values";
        match self.catalog.query(doing, &ask.sql).await {
            Err(error) if error.kind != ErrorKind::Disconnected => {
                tracing::warn!(error = %error.chain(), "unchanged values of a moved row stay unavailable");
                Ok(Reply::new())
            }
            answer => answer,
        }
    }

    async fn until_visible(&mut self, xid: u32) -> Result<()> {
        if self.visible.replace(xid) == Some(xid) {
            return Ok(());
        }
        let doing = "cannot ask whether a transaction is visible";
        let now = "select pg_snapshot_xmax(pg_current_snapshot())";
        let now = self.catalog.query(doing, now).await?;
        let near = cell(&now, 0, 0)
            .and_then(|xid| xid.parse().ok())
            .unwrap_or_default();
        let xid = whole_xid(xid, near);
        let sql = format!("select pg_visible_in_snapshot('{xid}', pg_current_snapshot())");
        let begun = Instant::now();
        while begun.elapsed() < VISIBLE_WAIT {
            if cell(&self.catalog.query(doing, &sql).await?, 0, 0) == Some("t") {
                return Ok(());
            }
            sleep(VISIBLE_PAUSE).await;
        }
        tracing::warn!(
            xid,
            "a streamed transaction stays invisible; unchanged values may stay unavailable"
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

    async fn treatment(&mut self, relation: &Relation) -> Result<Treatment> {
        let name = (Arc::clone(&relation.schema), Arc::clone(&relation.table));
        if let Some(read_to) = self.tables.get(&name) {
            return Ok(Treatment::Deliver(*read_to));
        }
        Ok(match (self.is_captured(relation).await?, self.read_new) {
            (false, _) => Treatment::Ignore,
            (true, true) => Treatment::New,
            (true, false) => Treatment::Deliver(Lsn::NONE),
        })
    }

    /// By its own name, or, for a partition made since the start, by that of a table above it.
    async fn is_captured(&mut self, relation: &Relation) -> Result<bool> {
        if self.filter.keeps(&relation.schema, &relation.table) {
            return Ok(true);
        }
        let sql = format!(
            "select n.nspname, c.relname from pg_partition_ancestors({}) a join pg_class c on c.oid = a.relid \
             join pg_namespace n on n.oid = c.relnamespace where c.oid <> {0}",
            relation.relid
        );
        let above = self
            .catalog
            .query("cannot look up a partition's table", &sql)
            .await?;
        Ok(
            (0..above.len()).any(|at| match (cell(&above, at, 0), cell(&above, at, 1)) {
                (Some(schema), Some(table)) => self.filter.keeps(schema, table),
                _ => false,
            }),
        )
    }
}
