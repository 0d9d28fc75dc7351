//! Records as consumers see them: schemas, keys, images, tombstones, headers, barriers.

use super::*;
use crate::{
    options::{ContextHeaders, KeyColumns, MappingOptions, SkippedOperations},
    schema::{Relation, RelationColumn, ReplicaIdentity, TableCatalog, TableColumn, TableMeta},
    types::{TupleSpans, TypeCatalog},
};
use tapline_sdk::{ConfigValue, Partition, RecordRef, Rows, Schema, Transaction, Value};

/// `orders(id int4 primary key, note text default 'none', mood mood not null)`.
fn orders(identity: ReplicaIdentity) -> TableMeta {
    let column = |name: &str, type_oid, key: bool, default: Option<&str>| TableColumn {
        name: name.into(),
        type_oid,
        typmod: -1,
        not_null: name != "note",
        default: default.map(str::to_owned),
        generated: false,
        identity: false,
        dimensions: 0,
        primary_key: key.then_some(1),
        unique_key: None,
        strict_unique_key: None,
        identity_key: None,
    };
    let catalog = TableCatalog {
        relid: 7,
        schema: "public".into(),
        table: "orders".into(),
        identity,
        columns: vec![
            column("id", 23, true, Some("nextval('s'::regclass)")),
            column("note", 25, false, Some("'none'::text")),
            column("mood", 900, false, None),
        ],
    };
    TableMeta::new(catalog.relation(None), Some(catalog))
}

fn types() -> TypeCatalog {
    let mut types = TypeCatalog::default();
    for (oid, schema, name, kind, labels) in [
        ("23", "pg_catalog", "int4", "b", None),
        ("25", "pg_catalog", "text", "b", None),
        ("900", "public", "mood", "e", Some("{sad,ok}")),
    ] {
        let row = [oid, schema, name, kind, "0", ",", "0", "-1"].map(Some);
        let row: Vec<_> = row.into_iter().chain([labels, None]).collect();
        types.insert(&row).unwrap();
    }
    types
}

fn debezium() -> MappingOptions {
    MappingOptions::debezium("shop", "db")
}

fn lossless() -> MappingOptions {
    MappingOptions::lossless("shop", "db")
}

fn plan(options: &MappingOptions) -> TablePlan {
    TablePlan::new(options, &orders(ReplicaIdentity::Default), &types()).unwrap()
}

fn meta() -> ChangeMeta {
    ChangeMeta {
        snapshot: SnapshotMarker::Streamed,
        lsn: Some(24_023_128),
        last_commit_lsn: Some(24_023_119),
        commit_time_us: 1_700_000_000_000_123,
        now_us: 1_700_000_000_500_000,
        xid: Some(555),
        xmin: None,
        origin: None,
        transaction: Some(Transaction {
            id: 9,
            ordinal: 4,
            last: false,
        }),
    }
}

/// A pgoutput tuple of texts; `∅` is NULL, `?` unchanged.
fn tuple(values: &[&str]) -> (TupleSpans, Vec<u8>) {
    let mut bytes = (values.len() as i16).to_be_bytes().to_vec();
    for value in values {
        match *value {
            "∅" => bytes.push(b'n'),
            "?" => bytes.push(b'u'),
            text => {
                bytes.push(b't');
                bytes.extend((text.len() as i32).to_be_bytes());
                bytes.extend(text.as_bytes());
            }
        }
    }
    let mut spans = TupleSpans::default();
    assert_eq!(spans.read_pgoutput(&bytes, 0).unwrap(), bytes.len());
    (spans, bytes)
}

fn changed(
    plan: &TablePlan,
    operation: Operation,
    old: Option<(u8, &[&str])>,
    new: Option<&[&str]>,
) -> Result<Rows, RowError> {
    let mut batch = ChangeBatch::default();
    let old = old.map(|(kind, values)| (kind, tuple(values)));
    let new = new.map(tuple);
    let old = old.as_ref().map(|(kind, (spans, bytes))| match kind {
        b'K' => OldImage::Key(spans.view(bytes)),
        _ => OldImage::Full(spans.view(bytes)),
    });
    let new = new.as_ref().map(|(spans, bytes)| spans.view(bytes));
    let pushed = plan.change(&mut batch, &meta(), operation, old, new);
    let rows = batch.take(0);
    // A refused row leaves nothing behind.
    assert_eq!(pushed.as_ref().copied().unwrap_or(0), rows.len());
    pushed.map(|_| rows)
}

fn show(value: Value<'_>) -> String {
    match value {
        Value::Null => "∅".to_owned(),
        Value::Unavailable => "?".to_owned(),
        Value::Int(value) => value.to_string(),
        Value::Text(text) => text.to_owned(),
        Value::Struct(cells) => cells.iter().map(show).collect::<Vec<_>>().join("|"),
        other => format!("{other:?}"),
    }
}

fn field<'a>(record: RecordRef<'a>, name: &str) -> Value<'a> {
    let schema = record.shape().value.as_ref().unwrap();
    match record.value() {
        Value::Struct(cells) => cells.get(schema.index_of(name).unwrap()),
        _ => Value::Null,
    }
}

/// `op key before after`, `tombstone key` and the key headers of each record.
fn shown(rows: &Rows) -> Vec<String> {
    let shown = rows.iter().map(|record| {
        let key = show(record.key());
        let mut text = match record.value() {
            Value::Null => format!("tombstone {key}"),
            _ => {
                let [op, before, after] =
                    ["op", "before", "after"].map(|name| show(field(record, name)));
                format!("{op} {key} {before} {after}")
            }
        };
        for header in record.headers() {
            let value = show(record.arena().value(header.cell));
            text.push_str(&format!(" {}={value}", header.name));
        }
        text
    });
    shown.collect()
}

fn names(schema: &Schema) -> Vec<&str> {
    schema.fields().iter().map(|field| &*field.name).collect()
}

#[test]
fn the_envelope_is_debezium_s_field_for_field() {
    let plan = plan(&debezium());
    let envelope = plan.value_schema();
    assert!(envelope.is_named("shop.public.orders.Envelope"));
    assert_eq!(envelope.version, Some(2));
    assert_eq!(
        names(envelope),
        [
            "before",
            "after",
            "source",
            "transaction",
            "op",
            "ts_ms",
            "ts_us",
            "ts_ns"
        ]
    );
    let source = &envelope.field("source").unwrap().schema;
    assert_eq!(
        names(source),
        [
            "version",
            "connector",
            "name",
            "ts_ms",
            "snapshot",
            "db",
            "sequence",
            "ts_us",
            "ts_ns",
            "schema",
            "table",
            "txId",
            "lsn",
            "xmin",
            "origin",
            "origin_lsn"
        ]
    );
    let row = &envelope.field("after").unwrap().schema;
    assert!(row.is_named("shop.public.orders.Value") && row.optional);
    let key = plan.key_schema().unwrap();
    assert!(key.is_named("shop.public.orders.Key") && !key.optional);
    let [id, note, mood] = ["id", "note", "mood"].map(|name| &row.field(name).unwrap().schema);
    assert!(!id.optional && note.optional && !mood.optional);
    assert_eq!(show(id.default.as_ref().unwrap().value()), "0");
    assert_eq!(show(note.default.as_ref().unwrap().value()), "none");
    assert_eq!(mood.parameter("allowed"), Some("sad,ok"));
    assert!(id.parameter("__debezium.source.column.type").is_none());
}

#[test]
fn our_own_values_say_their_source_types_and_require_only_the_key() {
    let plan = plan(&lossless());
    let row = &plan.value_schema().field("after").unwrap().schema;
    let [id, note, mood] = ["id", "note", "mood"].map(|name| &row.field(name).unwrap().schema);
    assert!(!id.optional && note.optional && mood.optional);
    assert!(id.default.is_none(), "a computed default is none");
    assert_eq!(mood.parameter("tapline.source.type"), Some("public.mood"));
    assert_eq!(mood.parameter("tapline.source.nullable"), Some("false"));
    assert_eq!(id.parameter("tapline.source.type"), Some("integer"));
    assert_eq!(id.parameter("__debezium.source.column.type"), Some("INT4"));
}

#[test]
fn source_block_holds_position_and_times() {
    let rows = changed(
        &plan(&debezium()),
        Operation::Insert,
        None,
        Some(&["1", "a", "ok"]),
    );
    let rows = rows.unwrap();
    let record = rows.get(0).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        show(field(record, "source")),
        format!(
            "{version}|postgresql|shop|1700000000000|false|db|[\"24023119\",\"24023128\"]|\
             1700000000000123|1700000000000123000|public|orders|555|24023128|∅|∅|∅"
        )
    );
    assert_eq!(show(field(record, "ts_us")), "1700000000500000");
    assert_eq!(record.head().transaction, meta().transaction);
}

#[test]
fn inserts_updates_and_deletes_under_the_default_identity() {
    let plan = plan(&debezium());
    let row: &[&str] = &["1", "∅", "ok"];
    let insert = changed(&plan, Operation::Insert, None, Some(row)).unwrap();
    assert_eq!(shown(&insert), ["c 1 ∅ 1|∅|ok"]);
    let update = changed(&plan, Operation::Update, None, Some(&["1", "?", "sad"])).unwrap();
    assert_eq!(shown(&update), ["u 1 ∅ 1|?|sad"]);
    let old = Some((b'K', &["1", "∅", "∅"][..]));
    let delete = changed(&plan, Operation::Delete, old, None).unwrap();
    assert_eq!(shown(&delete), ["d 1 1|∅| ∅", "tombstone 1"]);
    // Our own class invents no empty label.
    let delete = changed(&self::plan(&lossless()), Operation::Delete, old, None).unwrap();
    assert_eq!(shown(&delete), ["d 1 1|∅|∅ ∅", "tombstone 1"]);
}

#[test]
fn full_identity_has_whole_old_rows_and_fills_unchanged_values() {
    let plan = TablePlan::new(&lossless(), &orders(ReplicaIdentity::Full), &types()).unwrap();
    let old = Some((b'O', &["1", "large", "ok"][..]));
    let update = changed(&plan, Operation::Update, old, Some(&["1", "?", "sad"])).unwrap();
    assert_eq!(shown(&update), ["u 1 1|large|ok 1|large|sad"]);
    let moved = changed(&plan, Operation::Update, old, Some(&["2", "?", "ok"])).unwrap();
    assert_eq!(shown(&moved)[2], "c 2 ∅ 2|large|ok __debezium.oldkey=1");
}

#[test]
fn a_changed_key_is_delete_tombstone_and_create() {
    let old = Some((b'K', &["1", "∅", "∅"][..]));
    let new = Some(&["2", "?", "ok"][..]);
    let moved = changed(&plan(&lossless()), Operation::Update, old, new).unwrap();
    assert_eq!(
        shown(&moved),
        [
            "d 1 1|∅|∅ ∅ __debezium.newkey=2",
            "tombstone 1 __debezium.newkey=2",
            "c 2 ∅ 2|?|ok __debezium.oldkey=1",
        ]
    );
    let same = Some(&["1", "a", "ok"][..]);
    let kept = changed(&plan(&lossless()), Operation::Update, old, same).unwrap();
    assert_eq!(shown(&kept), ["u 1 1|∅|∅ 1|a|ok"]);
    let without_tombstones = MappingOptions {
        tombstones: false,
        ..lossless()
    };
    let moved = changed(&plan(&without_tombstones), Operation::Update, old, new).unwrap();
    assert_eq!(moved.len(), 2);
}

#[test]
fn skipped_operations_yield_nothing() {
    let options = MappingOptions {
        skipped: SkippedOperations::parse("u,t").unwrap(),
        ..lossless()
    };
    let plan = plan(&options);
    let old = Some((b'K', &["1", "∅", "∅"][..]));
    let moved = changed(&plan, Operation::Update, old, Some(&["2", "a", "ok"])).unwrap();
    assert_eq!(moved.len(), 0, "a key change is an update");
    let mut batch = ChangeBatch::default();
    assert_eq!(plan.truncate(&mut batch, &meta()).unwrap(), 0);
}

#[test]
fn truncates_and_snapshot_markers_are_barriers() {
    let plan = plan(&lossless());
    let mut batch = ChangeBatch::default();
    assert_eq!(plan.truncate(&mut batch, &meta()).unwrap(), 1);
    assert_eq!(plan.snapshot_begin(&mut batch, &meta()).unwrap(), 1);
    let rows = batch.take(0);
    assert_eq!(
        shown(&rows),
        ["t ∅ ∅ ∅", "t ∅ ∅ ∅ __tapline.snapshot=begin"]
    );
    for record in rows.iter() {
        assert_eq!(record.head().partition, Partition::All);
        assert!(record.shape().key.is_none());
    }
}

#[test]
fn a_new_label_asks_for_the_type_again() {
    let new = Some(&["1", "a", "fine"][..]);
    let refused = changed(&plan(&lossless()), Operation::Insert, None, new).unwrap_err();
    let expected = RowError::UnknownLabel {
        type_oid: 900,
        label: "fine".to_owned(),
    };
    assert_eq!(refused, expected);
    let mut types = types();
    types.learn_label(900, "fine");
    let plan = TablePlan::new(&lossless(), &orders(ReplicaIdentity::Default), &types).unwrap();
    let rows = changed(&plan, Operation::Insert, None, new).unwrap();
    assert_eq!(shown(&rows), ["c 1 ∅ 1|a|fine"]);
}

#[test]
fn a_bad_value_names_its_column() {
    let new = Some(&["x", "a", "ok"][..]);
    let refused = changed(&plan(&lossless()), Operation::Insert, None, new).unwrap_err();
    let RowError::Record(error) = refused else {
        panic!("not a record's error");
    };
    assert_eq!(error.field.as_deref(), Some("id"));
}

#[test]
fn chosen_key_columns_must_exist_and_be_sent() {
    let options = MappingOptions {
        key_columns: KeyColumns::parse("public.orders:mood,id").unwrap(),
        ..lossless()
    };
    let plan = plan(&options);
    assert_eq!(names(plan.key_schema().unwrap()), ["mood", "id"]);
    let old = Some((b'K', &["1", "∅", "∅"][..]));
    assert!(changed(&plan, Operation::Delete, old, None).is_err());
    let wrong = MappingOptions {
        key_columns: KeyColumns::parse("public.orders:nothing").unwrap(),
        ..lossless()
    };
    let error = TablePlan::new(&wrong, &orders(ReplicaIdentity::Default), &types()).unwrap_err();
    assert_eq!(error.code, Some("TL0352"));
}

#[test]
fn the_relation_alone_gives_key_and_columns() {
    // The catalogue is of another time: it knows no table, or another column set.
    let relation = Relation {
        relid: 7,
        schema: "public".into(),
        table: "orders".into(),
        identity: ReplicaIdentity::Default,
        columns: vec![
            RelationColumn {
                name: "old".into(),
                type_oid: 23,
                typmod: -1,
                in_identity: true,
            },
            RelationColumn {
                name: "note".into(),
                type_oid: 25,
                typmod: -1,
                in_identity: false,
            },
        ],
    };
    for catalog in [None, orders(ReplicaIdentity::Default).catalog] {
        let meta = TableMeta::new(relation.clone(), catalog);
        let plan = TablePlan::new(&lossless(), &meta, &types()).unwrap();
        assert_eq!(names(plan.key_schema().unwrap()), ["old"]);
        let rows = changed(&plan, Operation::Insert, None, Some(&["5", "a"])).unwrap();
        assert_eq!(shown(&rows), ["c 5 ∅ 5|a"]);
    }
}

#[test]
fn an_excluded_key_column_stays_in_the_key_and_is_read() {
    let mut options = lossless();
    options.columns.exclude = ConfigValue::parse("public.orders.(id|note)").unwrap();
    let plan = plan(&options);
    let rows = changed(&plan, Operation::Insert, None, Some(&["1", "a", "ok"])).unwrap();
    assert_eq!(shown(&rows), ["c 1 ∅ ok"]);
    assert_eq!(
        plan.copy_columns(),
        "\"id\", null::pg_catalog.text, \"mood\""
    );
}

#[test]
fn shared_cells_stay_right_over_batches_tables_and_markers() {
    let options = MappingOptions {
        context_headers: Some(ContextHeaders {
            logical_name: "shop".into(),
            task_id: "0".into(),
            connector_name: "postgresql".into(),
            run_id: "r".into(),
        }),
        ..lossless()
    };
    let plans = [plan(&options), plan(&options)];
    let (spans, bytes) = tuple(&["1", "a", "ok"]);
    let mut batch = ChangeBatch::default();
    for _ in 0..2 {
        for snapshot in [
            SnapshotMarker::First,
            SnapshotMarker::Row,
            SnapshotMarker::Last,
        ] {
            for plan in &plans {
                let meta = ChangeMeta { snapshot, ..meta() };
                plan.snapshot_row(&mut batch, &meta, spans.view(&bytes))
                    .unwrap();
            }
        }
        let rows = batch.take(0);
        let markers: Vec<String> = rows
            .iter()
            .map(|record| {
                show(field(record, "source"))
                    .split('|')
                    .nth(4)
                    .unwrap()
                    .to_owned()
            })
            .collect();
        assert_eq!(markers, ["first", "first", "true", "true", "last", "last"]);
        assert!(shown(&rows)[5].ends_with(
            "__debezium.context.connectorLogicalName=shop __debezium.context.taskId=0 \
             __debezium.context.connectorName=postgresql __debezium.context.runId=r"
        ));
    }
}
