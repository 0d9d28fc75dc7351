//! The keys of Debezium's JDBC sink as its own worker shows them (3.6.0), in its order: what a form for its class holds.
//!
//! Names, types, defaults, headings and places are Debezium's; what each means here is said by the key of ours that it
//! becomes.

use tapline_sdk::{
    Definition,
    Importance::{self, High, Low, Medium},
    Kind::{self, Boolean, Class, Int, List, Long, Password, Text},
    Width,
};

const LONG: Width = Width::Long;
const MEDIUM: Width = Width::Medium;
const SHORT: Width = Width::Short;

/// Debezium's keys, one a line: a table.
#[rustfmt::skip]
pub(crate) const DEBEZIUM_KEYS: &[Definition] = &[
    connector("connection.url", Text, High, LONG),
    connector("connection.username", Text, High, SHORT),
    connector("connection.password", Password, High, SHORT),
    connector("connection.pool.min_size", Int, Low, SHORT).or("5"),
    connector("connection.pool.max_size", Int, Low, SHORT).or("32"),
    connector("connection.pool.timeout", Long, Low, SHORT).or("1800"),
    connector("insert.mode", Text, Low, SHORT).or("insert"),
    connector("delete.enabled", Boolean, Low, SHORT).or("false"),
    connector("truncate.enabled", Boolean, Low, SHORT).or("false"),
    connector("collection.name.format", Text, Medium, MEDIUM).or("${topic}"),
    connector("table.name.format", Text, Medium, MEDIUM).or("${topic}").order(10),
    connector("primary.key.mode", Text, High, SHORT).or("none"),
    connector("primary.key.fields", Text, Low, MEDIUM),
    connector("schema.evolution", Text, Low, SHORT).or("none"),
    connector("quote.identifiers", Boolean, Low, SHORT).or("false"),
    connector("collection.naming.strategy", Class, Low, LONG).or("io.debezium.sink.naming.DefaultCollectionNamingStrategy"),
    connector("table.naming.strategy", Class, Low, LONG).or("io.debezium.sink.naming.DefaultCollectionNamingStrategy").order(15),
    connector("column.naming.strategy", Class, Low, LONG).or("io.debezium.connector.jdbc.naming.DefaultColumnNamingStrategy"),
    connector("collection.table.format", Text, Medium, LONG).or("${table}"),
    connector("use.time.zone", Text, Medium, SHORT).or("UTC"),
    connector("database.time_zone", Text, Medium, SHORT).or("UTC").order(18),
    connector("dialect.postgres.postgis.schema", Text, Low, LONG).or("public"),
    connector("dialect.postgres.unnest.insert.enabled", Boolean, Medium, SHORT).or("false"),
    connector("dialect.sqlserver.identity.insert", Boolean, Low, SHORT).or("false"),
    connector("batch.size", Int, Medium, SHORT).or("500"),
    connector("field.include.list", List, Medium, LONG),
    connector("field.exclude.list", List, Medium, LONG),
    connector("flush.max.retries", Int, Low, SHORT).or("5"),
    connector("flush.retry.delay.ms", Long, Low, SHORT).or("1000"),
    connector("connection.restart.on.errors", Boolean, Low, SHORT).or("false"),
    connector("cloud.events.schema.name.pattern", Text, Low, LONG).or(".*CloudEvents\\.Envelope$"),
];

const fn connector(
    name: &'static str,
    kind: Kind,
    importance: Importance,
    width: Width,
) -> Definition {
    Definition::foreign(name, kind, "Connector").shown(importance, width)
}
