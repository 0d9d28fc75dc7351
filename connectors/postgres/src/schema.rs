//! Tables: what a relation message and the catalogue say of one, and which columns make its key.
//!
//! The column set is the relation message's alone; nullability, defaults, key order and generated columns come from
//! the catalogue, where names that the relation does not have are dropped: a row may be older than the catalogue.

mod columns;
mod default;
mod key;
mod naming;
mod table;

pub(crate) use columns::{Column, Columns};
pub(crate) use default::zero;
pub(crate) use naming::{schema_name, topic};
pub use table::{Relation, RelationColumn, ReplicaIdentity, TableCatalog, TableColumn, TableMeta};
