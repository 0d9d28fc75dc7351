//! What a row costs on its way into record batches, and that all of a batch's rows are in them.

#![expect(clippy::print_stdout, reason = "the figure is shown with --nocapture")]

use super::*;
use crate::{
    broker::{Broker, Embedded, Settings as LogSettings, batch::Batches},
    registry::Registry,
    source::Active,
    state::OffsetStore,
};
use std::fs;
use tapline_sdk::{Cell, Field, Head, Schema, Shape, Transaction, Type};
use tempfile::TempDir;

/// Rows of one batch, as a source sends them.
const ROWS: u32 = 2_000;

fn field(name: &str, schema: Arc<Schema>) -> Field {
    Field {
        name: name.into(),
        schema,
    }
}

/// An envelope over ten columns, about 195 bytes a row: what the budgets are stated for.
fn envelope() -> Rows {
    let long = || Schema::of(Type::Int64).build();
    let text = || Schema::of(Type::Text).optional().build();
    let columns = || {
        let mut fields = vec![field("id", long())];
        fields.extend((1..6).map(|at| field(&format!("text{at}"), text())));
        fields.extend((6..10).map(|at| field(&format!("number{at}"), long())));
        Schema::structure(fields)
            .optional()
            .name("shop.Value")
            .build()
    };
    let source = Schema::structure(
        ["version", "connector", "name", "db", "schema", "table"]
            .map(|name| field(name, Schema::string()))
            .into_iter()
            .chain(["ts_ms", "txId", "lsn"].map(|name| field(name, long())))
            .collect(),
    )
    .name("shop.Source")
    .build();
    let value = Schema::structure(vec![
        field("before", columns()),
        field("after", columns()),
        field("source", source),
        field("op", Schema::string()),
        field("ts_ms", long()),
    ])
    .name("shop.public.orders.Envelope")
    .build();
    let key = Schema::structure(vec![field("id", long())])
        .name("shop.Key")
        .build();
    let mut rows = Rows::default();
    let shape = rows.shape(Shape {
        topic: "shop.public.orders".into(),
        key: Some(key),
        value: Some(value),
    });
    for id in 0..ROWS {
        push(&mut rows, shape, id);
    }
    rows
}

fn push(rows: &mut Rows, shape: u32, id: u32) {
    let arena = rows.arena_mut();
    let id_cell = Cell::Int(id.into());
    let mut columns = vec![id_cell];
    for at in 0..5 {
        columns.push(arena.text(&format!("column {at} of row {id}, thirty-two")));
    }
    columns.extend((0..4).map(|at| Cell::Int(i64::from(id) * 1_000 + at)));
    let after = arena.block_of(&columns).structure();
    let mut origin: Vec<Cell> = ["1", "postgresql", "shop", "shop", "public", "orders"]
        .iter()
        .map(|text| arena.text(text))
        .collect();
    origin.extend([Cell::Int(1), Cell::Int(2), Cell::Int(3)]);
    let origin = arena.block_of(&origin).structure();
    let op = arena.text("c");
    let value = arena.block_of(&[Cell::Null, after, origin, op, Cell::Int(4)]);
    let key = arena.block_of(&[id_cell]);
    rows.push(Head {
        shape,
        partition: Partition::ByKey,
        key: key.structure(),
        value: value.structure(),
        timestamp_ms: Some(1_700_000_000_000),
        transaction: Some(Transaction {
            id: 77,
            ordinal: id + 1,
            last: id + 1 == ROWS,
        }),
    });
}

async fn stage(log: &Arc<Embedded>) -> Stage {
    let log = Arc::clone(log) as Arc<dyn Broker>;
    let registry = Registry::open(Arc::clone(&log)).await.unwrap();
    let offsets = OffsetStore::open(Arc::clone(&log)).await.unwrap();
    let active = Active::open(Arc::clone(&log)).await.unwrap();
    Stage {
        writer: log.writer("source-speed-0").await.unwrap(),
        claim: offsets.claim("speed").await.unwrap(),
        encoder: Encoder::new(registry),
        chain: Chain::default(),
        topics: Topics::new(log, active, "speed".into(), 1),
        records: RecordBatches::new(Compression::Lz4, Arc::new(Idle::new(1))),
        encoded: Encoded::default(),
    }
}

/// Nanoseconds that this thread has spent on a core: what other processes do does not count.
fn cpu_ns() -> u64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ')
        .next()
        .and_then(|ns| ns.parse().ok())
        .unwrap_or_default()
}

/// Prints what a row costs; a figure, not a verdict, since machines differ. Run it with `--release`.
#[tokio::test]
async fn batches_of_rows_become_whole_record_batches_and_their_cost_is_printed() {
    let rounds: u64 = if cfg!(debug_assertions) { 2 } else { 200 };
    let folder = TempDir::new().unwrap();
    let log = Arc::new(Embedded::open(folder.path(), LogSettings::default()).unwrap());
    let mut stage = stage(&log).await;
    let rows = envelope();
    let mut best = u64::MAX;
    let mut appends = Vec::new();
    for _ in 0..rounds {
        let batch = rows.clone();
        let since = cpu_ns();
        assert!(stage.encode(batch).await.is_ok());
        appends = stage.records.finish().unwrap_or_default();
        best = best.min(cpu_ns() - since);
    }
    let count: u32 = appends
        .iter()
        .flat_map(|append| Batches::new(&append.batch))
        .map(|batch| batch.unwrap().header.count)
        .sum();
    assert_eq!(count, ROWS);
    let bytes: usize = appends.iter().map(|append| append.batch.len()).sum();
    println!(
        "source: {} ns of CPU a row for encoding, compressing and checksums; {} B a row in the log",
        best / u64::from(ROWS),
        bytes / 2_000
    );
}
