//! Tables: what a relation message and the catalogue say of one, and which columns make its key.
//!
//! The column set is the relation message's alone; nullability, defaults, key order and generated columns come from
//! the catalogue, where names that the relation does not have are dropped: a row may be older than the catalogue.

mod table;

pub use table::{Relation, RelationColumn, ReplicaIdentity, TableCatalog, TableColumn, TableMeta};
