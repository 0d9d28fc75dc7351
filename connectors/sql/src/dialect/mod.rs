//! What differs between database products. Only Postgres is built.

pub mod postgres;
