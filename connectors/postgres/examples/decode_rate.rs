//! How long a row takes from raw tuple to record, on either path: `cargo run --release -p tapline-postgres --example
//! decode_rate`. The row is the one that budgets are measured with: ten columns, about 200 bytes.

#![expect(clippy::print_stdout, reason = "printing figures is its purpose")]

use std::time::Instant;
use tapline_postgres::{
    envelope::{ChangeBatch, ChangeMeta, Operation, SnapshotMarker, TablePlan},
    options::MappingOptions,
    schema::{Relation, RelationColumn, ReplicaIdentity, TableMeta},
    types::{TupleSpans, TypeCatalog},
};
use tapline_sdk::Transaction;

/// Rows per batch: about what a batch's byte budget holds.
const BATCH_ROWS: u32 = 1000;
const BATCHES: u32 = 500;

/// Name, type name, oid, text form, binary form.
type Sample = (&'static str, &'static str, u32, Vec<u8>, Vec<u8>);

fn plain() -> Vec<Sample> {
    let text = |name, value: &'static str| {
        let bytes = value.as_bytes().to_vec();
        (name, "text", 25, bytes.clone(), bytes)
    };
    vec![
        (
            "id",
            "int8",
            20,
            b"123456789".to_vec(),
            123_456_789_i64.to_be_bytes().to_vec(),
        ),
        (
            "customer",
            "int8",
            20,
            b"98765".to_vec(),
            98_765_i64.to_be_bytes().to_vec(),
        ),
        (
            "amount",
            "float8",
            701,
            b"1234.5625".to_vec(),
            1234.5625_f64.to_be_bytes().to_vec(),
        ),
        ("paid", "bool", 16, b"t".to_vec(), vec![1]),
        text("status", "shipped"),
        text("city", "Reykjavík"),
        text("street", "Laugavegur 123, second floor"),
        text("note", "please ring twice, the bell is not loud"),
        text("email", "somebody@example.org"),
        (
            "extra",
            "json",
            114,
            br#"{"a":"b","colour":"green","size":12,"gift":false,"tag":"x"}"#.to_vec(),
            br#"{"a":"b","colour":"green","size":12,"gift":false,"tag":"x"}"#.to_vec(),
        ),
    ]
}

fn timed() -> Vec<Sample> {
    let mut row = plain();
    row[2] = ("amount", "numeric", 1700, b"1234.56".to_vec(), {
        let digits: [i16; 6] = [2, 0, 0, 2, 1234, 5600];
        digits
            .iter()
            .flat_map(|digit| digit.to_be_bytes())
            .collect()
    });
    let at = 520_000_000_123_456_i64.to_be_bytes().to_vec();
    row[4] = (
        "created",
        "timestamptz",
        1184,
        b"2016-06-23 12:26:40.123456+00".to_vec(),
        at.clone(),
    );
    row[5] = (
        "changed",
        "timestamp",
        1114,
        b"2016-06-23 12:26:40.123456".to_vec(),
        at,
    );
    row[6] = (
        "uid",
        "uuid",
        2950,
        b"01234567-89ab-cdef-0123-456789abcdef".to_vec(),
        (0..16).collect(),
    );
    row
}

fn plan(row: &[Sample], options: &MappingOptions) -> TablePlan {
    let mut types = TypeCatalog::default();
    for (_, name, oid, ..) in row {
        let oid = oid.to_string();
        let info = [&oid, "pg_catalog", name, "b", "0", ",", "0", "-1"].map(Some);
        types.insert(&info).expect("a type");
    }
    let columns = row
        .iter()
        .enumerate()
        .map(|(at, (name, _, oid, ..))| RelationColumn {
            name: (*name).into(),
            type_oid: *oid,
            typmod: -1,
            in_identity: at == 0,
        });
    let relation = Relation {
        relid: 1,
        schema: "public".into(),
        table: "orders".into(),
        identity: ReplicaIdentity::Default,
        columns: columns.collect(),
    };
    TablePlan::new(options, &TableMeta::new(relation, None), &types).expect("a plan")
}

/// A pgoutput tuple and a COPY row of the same values.
fn encoded(row: &[Sample]) -> (Vec<u8>, Vec<u8>) {
    let columns = i16::try_from(row.len()).expect("few columns").to_be_bytes();
    let (mut tuple, mut copy) = (columns.to_vec(), columns.to_vec());
    for (.., text, binary) in row {
        let len = |bytes: &[u8]| i32::try_from(bytes.len()).expect("short").to_be_bytes();
        tuple.push(b't');
        tuple.extend(len(text));
        tuple.extend(text);
        copy.extend(len(binary));
        copy.extend(binary);
    }
    (tuple, copy)
}

fn measure(name: &str, mut row: impl FnMut(&mut ChangeBatch, &ChangeMeta)) {
    let mut meta = ChangeMeta {
        snapshot: SnapshotMarker::Streamed,
        lsn: Some(0x1_6b37_4d48),
        last_commit_lsn: Some(0x1_6b37_0000),
        commit_time_us: 1_700_000_000_123_456,
        now_us: 1_700_000_000_200_000,
        xid: Some(555),
        xmin: None,
        origin: None,
        transaction: None,
    };
    let mut best = f64::INFINITY;
    let mut bytes = 0;
    let mut batch = ChangeBatch::with_capacity(2 << 20);
    for _ in 0..BATCHES {
        let start = Instant::now();
        for ordinal in 1..=BATCH_ROWS {
            meta.lsn = meta.lsn.map(|lsn| lsn + 120);
            meta.transaction = Some(Transaction {
                id: 7,
                ordinal,
                last: false,
            });
            row(&mut batch, &meta);
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(BATCH_ROWS));
        bytes = batch.rows().size_bytes();
        let _rows = batch.take(2 << 20);
    }
    println!(
        "{name:32} {best:7.0} ns/row, {} B/row in the batch",
        bytes / BATCH_ROWS as usize
    );
}

fn main() {
    let lossless = MappingOptions::lossless("shop", "db");
    let debezium = MappingOptions::debezium("shop", "db");
    for (kind, row) in [("plain", plain()), ("times", timed())] {
        for (profile, options) in [("lossless", &lossless), ("debezium", &debezium)] {
            let plan = plan(&row, options);
            let (tuple, copy) = encoded(&row);
            let mut spans = TupleSpans::default();
            measure(&format!("{kind} {profile} stream insert"), |batch, meta| {
                spans.read_pgoutput(&tuple, 0).expect("a tuple");
                let new = Some(spans.view(&tuple));
                plan.change(batch, meta, Operation::Insert, None, new)
                    .expect("a record");
            });
            measure(&format!("{kind} {profile} snapshot"), |batch, meta| {
                spans.read_copy_row(&copy).expect("a row");
                plan.snapshot_row(batch, meta, spans.view(&copy))
                    .expect("a record");
            });
        }
    }
}
