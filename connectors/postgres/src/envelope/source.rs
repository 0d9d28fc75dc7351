//! The envelope around a row and its `source` block: Debezium's schemas, field for field.

use std::sync::{Arc, LazyLock};
use tapline_sdk::{Datum, Field, Schema, SchemaBuilder, Type};

/// How many fields the source block has.
pub(super) const SOURCE_FIELDS: usize = 16;
/// How many fields the envelope has.
pub(super) const ENVELOPE_FIELDS: usize = 8;

/// The source block; the same for every table, so it is made once.
static SOURCE: LazyLock<Arc<Schema>> = LazyLock::new(source);
/// The transaction block; always null until the transaction topic comes.
static TRANSACTION: LazyLock<Arc<Schema>> = LazyLock::new(transaction);

/// `<topic>.Envelope` around a row's schema.
pub(super) fn envelope(name: &str, row: &Arc<Schema>) -> Arc<Schema> {
    let time = || Schema::of(Type::Int64).optional();
    let shared = |name: &str, schema: &Arc<Schema>| Field {
        name: name.into(),
        schema: Arc::clone(schema),
    };
    let fields = vec![
        shared("before", row),
        shared("after", row),
        shared("source", &SOURCE),
        shared("transaction", &TRANSACTION),
        field("op", Schema::of(Type::Text)),
        field("ts_ms", time()),
        field("ts_us", time()),
        field("ts_ns", time()),
    ];
    Schema::structure(fields).name(name).version(2).build()
}

fn source() -> Arc<Schema> {
    let text = || Schema::of(Type::Text);
    let long = || Schema::of(Type::Int64);
    let snapshot = text()
        .optional()
        .name("io.debezium.data.Enum")
        .version(1)
        .parameter(
            "allowed",
            "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental",
        )
        .default(Datum::text("false"));
    let fields = vec![
        field("version", text()),
        field("connector", text()),
        field("name", text()),
        field("ts_ms", long()),
        field("snapshot", snapshot),
        field("db", text()),
        field("sequence", text().optional()),
        field("ts_us", long().optional()),
        field("ts_ns", long().optional()),
        field("schema", text()),
        field("table", text()),
        field("txId", long().optional()),
        field("lsn", long().optional()),
        field("xmin", long().optional()),
        field("origin", text().optional()),
        field("origin_lsn", long().optional()),
    ];
    Schema::structure(fields)
        .name("io.debezium.connector.postgresql.Source")
        .version(1)
        .build()
}

fn transaction() -> Arc<Schema> {
    let long = || Schema::of(Type::Int64);
    let fields = vec![
        field("id", Schema::of(Type::Text)),
        field("total_order", long()),
        field("data_collection_order", long()),
    ];
    Schema::structure(fields)
        .optional()
        .name("event.block")
        .version(1)
        .build()
}

fn field(name: &str, schema: SchemaBuilder) -> Field {
    Field {
        name: name.into(),
        schema: schema.build(),
    }
}
