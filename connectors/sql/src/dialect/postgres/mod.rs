//! The Postgres dialect: how changes become rows of a Postgres table, and where positions are kept.
//!
//! ```text
//! changes ─▶ plan (catalogue, DDL) ─▶ runs (reduced per key) ─▶ COPY | INSERT … ON CONFLICT | UPDATE | DELETE
//!                                                                     └─ one transaction ─▶ positions (I4, I10)
//! ```

pub mod apply;
pub mod catalog;
pub mod ddl;
pub mod encode;
pub mod error;
pub mod plan;
pub mod positions;
pub mod probe;
pub mod session;
pub mod statement;
pub mod types;

mod blame;
mod run;

pub use error::Failed;
