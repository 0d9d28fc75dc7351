//! A session beside the stream that answers what messages leave open: keys, nullability, defaults, types.
//!
//! Owns the cache of types and the making of table plans. The column set of a plan is the relation's alone.

use crate::{
    envelope::TablePlan,
    options::MappingOptions,
    schema::{Relation, TableCatalog, TableMeta},
    types::TypeCatalog,
    wire::{Connection, Endpoint, Reply, Session},
};
use hashbrown::HashMap;
use std::sync::Arc;
use tapline_sdk::{Error, ErrorKind, Result};

/// The session and what it has learnt.
pub struct Catalog {
    endpoint: Endpoint,
    connection: Option<Connection>,
    mapping: Arc<MappingOptions>,
    types: TypeCatalog,
    /// Whose each topic is: characters that Kafka forbids become `_`, so two tables could meet in one.
    owners: HashMap<Arc<str>, Owner>,
}

/// A table by oid and name.
#[derive(Clone, PartialEq, Eq)]
struct Owner {
    relid: u32,
    schema: Arc<str>,
    table: Arc<str>,
}

impl Catalog {
    /// Takes a session over.
    #[must_use]
    pub fn new(endpoint: Endpoint, connection: Connection, mapping: Arc<MappingOptions>) -> Self {
        Self {
            endpoint,
            connection: Some(connection),
            mapping,
            types: TypeCatalog::default(),
            owners: HashMap::new(),
        }
    }

    /// Runs a query, on a new session if the old one broke meanwhile.
    ///
    /// # Errors
    /// `doing` with what the server said.
    pub async fn query(&mut self, doing: &str, sql: &str) -> Result<Reply> {
        let reused = self.connection.is_some();
        match self.query_once(doing, sql).await {
            Err(error) if reused && error.kind == ErrorKind::Disconnected => {
                self.query_once(doing, sql).await
            }
            answer => answer,
        }
    }

    async fn query_once(&mut self, doing: &str, sql: &str) -> Result<Reply> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(&self.endpoint, Session::Plain).await?,
        };
        let reply = connection.query(doing, sql).await;
        if !matches!(&reply, Err(error) if error.kind == ErrorKind::Disconnected) {
            self.connection = Some(connection);
        }
        reply
    }

    /// The session, for the checks of a start.
    ///
    /// # Errors
    /// If a new one cannot be opened.
    pub async fn session(&mut self) -> Result<&mut Connection> {
        if self.connection.is_none() {
            self.connection = Some(Connection::open(&self.endpoint, Session::Plain).await?);
        }
        self.connection
            .as_mut()
            .ok_or_else(|| Error::disconnected("no session is open").code("TL0301"))
    }

    /// What the catalogue says of a table now; `None` if it does not know it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn table(&mut self, relid: u32) -> Result<Option<TableCatalog>> {
        let doing = format!("cannot read the definition of the table with oid {relid}");
        let reply = self.query(&doing, &TableCatalog::query(&[relid])).await?;
        let rows: Vec<Vec<Option<&str>>> = reply
            .iter()
            .map(|row| row.iter().map(Option::as_deref).collect())
            .collect();
        let mut tables = TableCatalog::read(rows.iter().map(Vec::as_slice))?;
        Ok(tables.pop())
    }

    /// Compiles the plan of a relation.
    ///
    /// # Errors
    /// If the catalogue cannot be read, the options cannot be met, or another table has the topic (TL0354).
    pub async fn plan(
        &mut self,
        relation: Relation,
        catalog: Option<TableCatalog>,
    ) -> Result<TablePlan> {
        let meta = TableMeta::new(relation, catalog);
        let oids: Vec<u32> = meta.type_oids().collect();
        self.learn(&oids).await?;
        let plan = TablePlan::new(&self.mapping, &meta, &self.types)?;
        let owner = Owner {
            relid: meta.relation.relid,
            schema: Arc::clone(&meta.relation.schema),
            table: Arc::clone(&meta.relation.table),
        };
        self.claim(plan.topic(), owner).await?;
        Ok(plan)
    }

    /// A topic is one table's. A table that was dropped or renamed since leaves it to the next.
    async fn claim(&mut self, topic: &Arc<str>, owner: Owner) -> Result<()> {
        let other = self
            .owners
            .get(topic)
            .filter(|known| (&known.schema, &known.table) != (&owner.schema, &owner.table));
        if let Some(other) = other.cloned()
            && other.relid != owner.relid
            && let Some(now) = self.table(other.relid).await?
            && (&now.schema, &now.table) == (&other.schema, &other.table)
        {
            let context = format!(
                "tables `{}.{}` and `{}.{}` would both write topic `{topic}`",
                other.schema, other.table, owner.schema, owner.table
            );
            return Err(Error::config(context).code("TL0354").remedy(
                "rename one of them, or leave it out with table.exclude.list: characters that Kafka does not allow \
                 in a topic's name become `_`",
            ));
        }
        self.owners.insert(Arc::clone(topic), owner);
        Ok(())
    }

    /// Asks about an enum again, since a row has a label that it did not have; a label that it no longer has was
    /// renamed and is learnt from the row.
    ///
    /// # Errors
    /// If the catalogue cannot be read.
    pub async fn relearn(&mut self, type_oid: u32, label: &str, relearnt: bool) -> Result<()> {
        if relearnt {
            self.types.learn_label(type_oid, label);
            return Ok(());
        }
        self.types.forget(type_oid);
        self.learn(&[type_oid]).await
    }

    /// The query brings what types are made of along. A type that was dropped since is not found, and its values
    /// travel as text.
    async fn learn(&mut self, oids: &[u32]) -> Result<()> {
        let missing = self.types.missing(oids.iter().copied());
        if missing.is_empty() {
            return Ok(());
        }
        let reply = self
            .query(
                "cannot read the definitions of types",
                &TypeCatalog::query(&missing),
            )
            .await?;
        for row in &reply {
            let row: Vec<Option<&str>> = row.iter().map(Option::as_deref).collect();
            self.types.insert(&row)?;
        }
        Ok(())
    }
}
