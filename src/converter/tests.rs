//! Records through encoder and decoder, with a registry on a log in memory.

#![expect(
    clippy::print_stdout,
    reason = "figures of a run are for whoever reads its output"
)]

use super::{
    BARRIER, Decoder, Encoded, Encoder, RawRecord, TRANSACTION, UNAVAILABLE,
    headers::{barrier, parse_barrier, parse_transaction, transaction},
    json, unavailable_fields,
};
use crate::{
    registry::Registry,
    state::tests::{Fault, Memory},
};
use proptest::prelude::*;
use std::{hint::black_box, sync::Arc, time::Instant};
use tapline_sdk::{
    Arena, Cell, Field, Head, Partition, Rows, Schema, Shape, Transaction, Type, Value,
};

mod formats;
mod golden;
mod golden_avro;
mod names;

fn field(name: &str, schema: Arc<Schema>) -> Field {
    Field {
        name: name.into(),
        schema,
    }
}

fn optional(ty: Type) -> Arc<Schema> {
    Schema::of(ty).optional().build()
}

/// Ten columns: two bigint, a float, a bool, six texts.
fn row_schema(topic: &str) -> Arc<Schema> {
    let mut fields = vec![
        field("id", Schema::of(Type::Int64).build()),
        field("customer", Schema::of(Type::Int64).build()),
        field("total", Schema::of(Type::Float64).build()),
        field("paid", Schema::of(Type::Bool).build()),
    ];
    for name in ["status", "note", "city", "street", "created", "body"] {
        fields.push(field(name, optional(Type::Text)));
    }
    Schema::structure(fields)
        .name(format!("{topic}.Value"))
        .optional()
        .build()
}

/// Debezium's envelope.
fn shape(topic: &str) -> Shape {
    let row = row_schema(topic);
    let long = || optional(Type::Int64);
    let text = || optional(Type::Text);
    let source = vec![
        field("version", Schema::string()),
        field("connector", Schema::string()),
        field("name", Schema::string()),
        field("ts_ms", Schema::of(Type::Int64).build()),
        field("snapshot", text()),
        field("db", Schema::string()),
        field("sequence", text()),
        field("ts_us", long()),
        field("ts_ns", long()),
        field("schema", Schema::string()),
        field("table", Schema::string()),
        field("txId", long()),
        field("lsn", long()),
        field("xmin", long()),
        field("origin", text()),
        field("origin_lsn", long()),
    ];
    let block = vec![
        field("id", Schema::string()),
        field("total_order", Schema::of(Type::Int64).build()),
        field("data_collection_order", Schema::of(Type::Int64).build()),
    ];
    let source = Schema::structure(source)
        .name("io.debezium.connector.postgresql.Source")
        .version(1)
        .build();
    let envelope = vec![
        field("before", Arc::clone(&row)),
        field("after", row),
        field("source", source),
        field(
            "transaction",
            Schema::structure(block)
                .name("event.block")
                .version(1)
                .optional()
                .build(),
        ),
        field("op", Schema::string()),
        field("ts_ms", long()),
        field("ts_us", long()),
        field("ts_ns", long()),
    ];
    let key = Schema::structure(vec![field("id", Schema::of(Type::Int64).build())]);
    Shape {
        topic: topic.into(),
        key: Some(key.name(format!("{topic}.Key")).build()),
        value: Some(
            Schema::structure(envelope)
                .name(format!("{topic}.Envelope"))
                .version(2)
                .build(),
        ),
    }
}

/// When it happened: milliseconds, microseconds, nanoseconds.
const TIMES: (Cell, Cell, Cell) = (
    Cell::Int(1_700_000_000_000),
    Cell::Int(1_700_000_000_000_123),
    Cell::Int(1_700_000_000_000_123_000),
);

fn source_block(arena: &mut Arena, id: i64) -> Cell {
    let fixed = ["3.6.3", "postgresql", "shop", "false", "shop"];
    let [version, connector, name, snapshot, db] = fixed.map(|text| arena.text(text));
    let fixed = [r#"["24023119","24023128"]"#, "public", "orders"];
    let [sequence, schema, table] = fixed.map(|text| arena.text(text));
    let (ms, us, ns) = TIMES;
    let (xid, lsn) = (Cell::Int(555), Cell::Int(24_023_128 + id));
    let first = [version, connector, name, ms, snapshot, db, sequence, us];
    let second = [
        ns,
        schema,
        table,
        xid,
        lsn,
        Cell::Null,
        Cell::Null,
        Cell::Null,
    ];
    arena.block_of(&[first, second].concat()).structure()
}

fn push_row(rows: &mut Rows, shape: u32, id: i64, body: Option<Cell>) {
    let arena = rows.arena_mut();
    let key = arena.block_of(&[Cell::Int(id)]).structure();
    let texts = [
        "shipped",
        "leave at the door, please",
        "Zürich",
        "Bahnhofstrasse 17",
        "2026-11-21T11:42:00.000000Z",
    ];
    let texts = texts.map(|text| arena.text(text));
    let json = arena.text(r#"{"sku":"A-1","qty":3,"gift":true,"tags":["red","xl"]}"#);
    let mut row = vec![
        Cell::Int(id),
        Cell::Int(987_654),
        Cell::Float(129.95),
        Cell::Bool(true),
    ];
    row.extend(texts);
    row.push(body.unwrap_or(json));
    let after = arena.block_of(&row).structure();
    let source = source_block(arena, id);
    let op = arena.text("u");
    let (ms, us, ns) = TIMES;
    let value = arena
        .block_of(&[Cell::Null, after, source, Cell::Null, op, ms, us, ns])
        .structure();
    rows.push(Head {
        shape,
        partition: Partition::ByKey,
        key,
        value,
        timestamp_ms: Some(1_700_000_000_000),
        transaction: Some(Transaction {
            id: 24_023_119,
            ordinal: 7,
            last: false,
        }),
    });
}

async fn registry(log: &Memory) -> Arc<Registry> {
    Registry::open(log.broker()).await.unwrap()
}

/// Everything encoded, then decoded into new rows.
async fn there_and_back(rows: &Rows) -> (Rows, Vec<Option<u64>>) {
    let log = Memory::default();
    let registry = registry(&log).await;
    let prepared = Encoder::new(Arc::clone(&registry))
        .prepare(rows)
        .await
        .unwrap();
    let mut decoder = Decoder::new(registry);
    let (mut back, mut barriers) = (Rows::default(), Vec::new());
    let mut out = Encoded::default();
    for record in rows.iter() {
        prepared.encode(record, &mut out).unwrap();
        let raw = RawRecord {
            topic: &record.shape().topic,
            partition: 3,
            timestamp_ms: 5,
            key: out.key(),
            value: out.value(),
        };
        barriers.push(decoder.push(&mut back, raw, out.headers()).unwrap().barrier);
    }
    (back, barriers)
}

#[tokio::test]
async fn an_envelope_comes_back_with_transaction_headers_and_schemas() {
    let mut rows = Rows::default();
    let at = rows.shape(shape("shop.public.orders"));
    push_row(&mut rows, at, 1, None);
    let text = rows.arena_mut().text("postgresql");
    rows.header(
        "__debezium.context.connectorName".into(),
        Some(Schema::string()),
        text,
    );
    let old = rows.arena_mut().block_of(&[Cell::Int(9)]).structure();
    let key_schema = rows.shapes()[0].key.clone();
    rows.header("__debezium.oldkey".into(), key_schema, old);
    rows.header("empty".into(), None, Cell::Null);
    rows.end_transaction();
    let (back, barriers) = there_and_back(&rows).await;
    assert_eq!(barriers, [None]);
    let (sent, got) = (rows.get(0).unwrap(), back.get(0).unwrap());
    assert_eq!((sent.key(), sent.value()), (got.key(), got.value()));
    assert_eq!(sent.shape().key, got.shape().key);
    assert_eq!(sent.shape().value, got.shape().value);
    assert_eq!(got.head().partition, Partition::Number(3));
    assert_eq!(got.head().timestamp_ms, Some(5));
    assert_eq!(
        got.head().transaction,
        Some(Transaction {
            id: 24_023_119,
            ordinal: 7,
            last: true
        })
    );
    let headers = |record: tapline_sdk::RecordRef<'_>| {
        let header = |header: tapline_sdk::HeaderRef<'_>| {
            format!("{} {:?}", header.name, record.arena().value(header.cell))
        };
        record.headers().map(header).collect::<Vec<_>>()
    };
    let expected = [
        "__debezium.context.connectorName Text(\"postgresql\")",
        "__debezium.oldkey",
        "empty Null",
    ];
    assert_eq!(
        headers(got).len(),
        3,
        "our own headers are no records' headers"
    );
    for (got, expected) in headers(got).iter().zip(expected) {
        assert!(got.starts_with(expected), "{got}");
    }
    let old = got.headers().nth(1).unwrap();
    assert_eq!(
        old.schema.unwrap().name.as_deref(),
        Some("shop.public.orders.Key")
    );
    assert_eq!(got.arena().children(old.cell), [Cell::Int(9)]);
}

#[tokio::test]
async fn a_tombstone_a_keyless_record_and_a_barrier_come_back() {
    let mut sent = Rows::default();
    let whole = shape("t");
    let tombstone = sent.shape(Shape {
        value: None,
        ..whole.clone()
    });
    let keyless = sent.shape(Shape { key: None, ..whole });
    let key = sent.arena_mut().block_of(&[Cell::Int(1)]).structure();
    let value = sent.arena_mut().block(8);
    let op = sent.arena_mut().text("t");
    let nothing = Arc::clone(&sent.shapes()[1].value.as_ref().unwrap().fields()[2].schema);
    let source = nothing.fields().iter().map(|field| match field.schema.ty {
        Type::Int64 => Cell::Int(1),
        _ => op,
    });
    let source = source.collect::<Vec<_>>();
    let source = sent.arena_mut().block_of(&source).structure();
    sent.arena_mut().set(value, 2, source);
    sent.arena_mut().set(value, 4, op);
    let head = Head {
        shape: tombstone,
        partition: Partition::ByKey,
        key,
        value: Cell::Null,
        timestamp_ms: None,
        transaction: None,
    };
    let truncate = Head {
        shape: keyless,
        key: Cell::Null,
        value: value.structure(),
        ..head
    };
    sent.push(head);
    sent.push(truncate);
    sent.push(Head {
        partition: Partition::All,
        ..truncate
    });
    let (back, barriers) = there_and_back(&sent).await;
    let record = |at| back.get(at).unwrap();
    assert_eq!(
        (record(0).value(), record(0).shape().value.is_none()),
        (Value::Null, true)
    );
    assert_eq!(record(0).key(), sent.get(0).unwrap().key());
    assert_eq!(
        (record(1).key(), record(1).shape().key.is_none()),
        (Value::Null, true)
    );
    assert_eq!(record(2).head().partition, Partition::All);
    assert_eq!(barriers[..2], [None, None]);
    assert!(barriers[2].is_some());
}

#[tokio::test]
async fn unavailable_fields_come_back_whatever_their_names() {
    let inner = Schema::structure(vec![
        field("a.b", optional(Type::Text)),
        field("c", optional(Type::Float64)),
    ]);
    let value = Schema::structure(vec![
        field("in,ner", inner.optional().build()),
        field("back\\slash", Schema::of(Type::Int32).build()),
        field("plain", Schema::string()),
    ]);
    let mut rows = Rows::default();
    let at = rows.shape(Shape {
        topic: "t".into(),
        key: None,
        value: Some(value.build()),
    });
    let arena = rows.arena_mut();
    let plain = arena.text("here");
    let inner = arena
        .block_of(&[Cell::Unavailable, Cell::Unavailable])
        .structure();
    let value = arena
        .block_of(&[inner, Cell::Unavailable, plain])
        .structure();
    let head = Head {
        shape: at,
        partition: Partition::ByKey,
        key: Cell::Null,
        value,
        timestamp_ms: None,
        transaction: None,
    };
    rows.push(head);
    let value = rows
        .arena_mut()
        .block_of(&[Cell::Null, Cell::Int(1), plain])
        .structure();
    rows.push(Head { value, ..head });
    assert_eq!(
        unavailable_fields(rows.get(0).unwrap()).as_deref(),
        Some(r"in\,ner.a\.b,in\,ner.c,back\\slash")
    );
    assert_eq!(unavailable_fields(rows.get(1).unwrap()), None);
    let (back, _) = there_and_back(&rows).await;
    for at in 0..2 {
        assert_eq!(rows.get(at).unwrap().value(), back.get(at).unwrap().value());
    }
}

#[tokio::test]
async fn schemas_are_durable_before_a_record_may_use_them_and_are_registered_once() {
    let log = Memory::default();
    let registry = registry(&log).await;
    let mut encoder = Encoder::new(Arc::clone(&registry));
    let mut rows = Rows::default();
    let shapes = ["shop.public.a", "shop.public.b"].map(shape);
    for shape in &shapes {
        let at = rows.shape(shape.clone());
        push_row(&mut rows, at, 1, None);
    }
    log.fail(Fault::Refuse);
    assert!(
        encoder.prepare(&rows).await.is_err(),
        "not without durable schemas"
    );
    log.fail(Fault::None);
    encoder.prepare(&rows).await.unwrap();
    assert_eq!(log.commits(), 1, "four schemas, one commit");
    assert_eq!(
        registry
            .subjects()
            .iter()
            .map(|subject| &**subject)
            .collect::<Vec<_>>(),
        [
            "shop.public.a-key",
            "shop.public.a-value",
            "shop.public.b-key",
            "shop.public.b-value"
        ]
    );
    encoder.prepare(&rows).await.unwrap();
    let mut renamed = Rows::default();
    let at = renamed.shape(Shape {
        topic: "routed".into(),
        ..shapes[0].clone()
    });
    push_row(&mut renamed, at, 1, None);
    encoder.prepare(&renamed).await.unwrap();
    assert_eq!(log.commits(), 2, "another topic is another subject");
    assert_eq!(
        registry.versions("routed-value"),
        [(1, registry.versions("shop.public.a-value")[0].1)]
    );
}

#[tokio::test]
async fn the_partition_key_does_not_know_the_schemas_id() {
    let log = Memory::default();
    let registry = registry(&log).await;
    let mut partition_keys = Vec::new();
    for topic in ["a", "b"] {
        let mut rows = Rows::default();
        let at = rows.shape(shape(topic));
        push_row(&mut rows, at, 1, None);
        let prepared = Encoder::new(Arc::clone(&registry))
            .prepare(&rows)
            .await
            .unwrap();
        let mut out = Encoded::default();
        prepared.encode(rows.get(0).unwrap(), &mut out).unwrap();
        assert_eq!(out.key().unwrap()[0], 0, "Confluent's magic");
        partition_keys.push((
            out.key().unwrap().to_vec(),
            out.partition_key().unwrap().to_vec(),
        ));
    }
    assert_ne!(partition_keys[0].0, partition_keys[1].0);
    assert_eq!(partition_keys[0].1, partition_keys[1].1);
}

#[tokio::test]
async fn what_cannot_be_decoded_is_an_error_that_says_why_and_appends_nothing() {
    let log = Memory::default();
    let registry = registry(&log).await;
    let id = registry
        .register(
            "t-value",
            r#"{"type":"record","name":"R","fields":[{"name":"n","type":"int"}]}"#,
        )
        .await
        .unwrap();
    registry
        .register("bad", "{\"type\":\"nonsense\"}")
        .await
        .unwrap();
    let mut decoder = Decoder::new(registry);
    let mut rows = Rows::default();
    let topic: Arc<str> = "t".into();
    let mut push = |value: &[u8], headers: &[(&str, Option<&[u8]>)]| {
        let raw = RawRecord {
            topic: &topic,
            partition: 0,
            timestamp_ms: 0,
            key: None,
            value: Some(value),
        };
        let result = decoder.push(&mut rows, raw, headers.iter().copied());
        (result.err().map(|error| error.to_string()), rows.len())
    };
    let frame = |id: i32, body: &[u8]| [&[0], &id.to_be_bytes()[..], body].concat();
    let error = |text: &str, len| (Some(text.to_owned()), len);
    assert_eq!(
        push(b"{\"a\":1}", &[]),
        error(
            "value: not Avro: no schema id before the data; value.converter says avro, the bytes look like JSON \
             without a schema: value.converter=json with value.converter.schemas.enable=false reads them",
            0
        )
    );
    assert_eq!(
        push(&frame(77, &[2]), &[]),
        error("value: schema 77 is not in the registry", 0)
    );
    assert_eq!(
        push(&frame(2, &[2]), &[]),
        error("value: schema 2: the type \"nonsense\" is not defined", 0)
    );
    let cut = push(&frame(id, &[]), &[]);
    assert!(
        cut.0
            .unwrap()
            .starts_with("column \"n\": value: the bytes end")
    );
    assert_eq!(push(&frame(id, &[2]), &[]), (None, 1));
    for (name, value) in [
        (TRANSACTION, &[2_u8][..]),
        (BARRIER, &[9; 9]),
        (UNAVAILABLE, b"x"),
        (UNAVAILABLE, b"n.m"),
        (UNAVAILABLE, &[255]),
    ] {
        let (error, len) = push(&frame(id, &[2]), &[(name, Some(value))]);
        assert!(error.unwrap().contains(name) && len == 1);
    }
    assert_eq!(
        push(&frame(id, &[2]), &[(UNAVAILABLE, Some(b"n"))]),
        (None, 2)
    );
}

#[tokio::test]
async fn a_record_is_shown_as_json_or_with_the_reason_why_not() {
    let log = Memory::default();
    let registry = registry(&log).await;
    let mut rows = Rows::default();
    let at = rows.shape(shape("t"));
    push_row(&mut rows, at, 4, Some(Cell::Unavailable));
    let prepared = Encoder::new(Arc::clone(&registry))
        .prepare(&rows)
        .await
        .unwrap();
    let mut out = Encoded::default();
    prepared.encode(rows.get(0).unwrap(), &mut out).unwrap();
    let mut decoder = Decoder::new(registry);
    let topic: Arc<str> = "t".into();
    let raw = RawRecord {
        topic: &topic,
        partition: 1,
        timestamp_ms: 5,
        key: out.key(),
        value: out.value(),
    };
    let mut shown = Vec::new();
    json::record(&mut decoder, raw, 9, out.headers(), &mut shown);
    let shown: serde_json::Value = serde_json::from_slice(&shown).unwrap();
    assert_eq!(shown["offset"], 9);
    assert_eq!(shown["key"], serde_json::json!({"id": 4}));
    assert_eq!(shown["value"]["after"]["total"], 129.95);
    assert_eq!(
        shown["value"]["after"]["body"],
        "__debezium_unavailable_value"
    );
    assert_eq!(shown["value"]["before"], serde_json::Value::Null);
    assert_eq!(shown["unavailable"], "after.body");
    assert_eq!(
        shown["transaction"],
        serde_json::json!({"id": 24_023_119, "ordinal": 7, "last": false})
    );
    let mut shown = Vec::new();
    let raw = RawRecord {
        value: Some(b"plain"),
        ..raw
    };
    json::record(
        &mut decoder,
        raw,
        9,
        [("h", Some(&[255_u8][..]))],
        &mut shown,
    );
    let shown: serde_json::Value = serde_json::from_slice(&shown).unwrap();
    assert_eq!(shown["value_base64"], "cGxhaW4=");
    let error = shown["error"].as_str().unwrap();
    assert!(
        error.starts_with(
            "value: not Avro: no schema id before the data; value.converter says avro"
        )
    );
    assert_eq!(
        shown["headers"],
        serde_json::json!([{"key": "h", "value_base64": "/w=="}])
    );
}

#[test]
fn values_have_the_json_converters_shapes() {
    let mut arena = Arena::default();
    let shown = |schema: Option<&Schema>, value: Value<'_>| {
        let mut out = Vec::new();
        json::value(schema, value, &mut out);
        String::from_utf8(out).unwrap()
    };
    let (a, b) = (arena.text("a"), arena.text("b"));
    let texts = arena.block_of(&[a, Cell::Int(1), b, Cell::Null]).map();
    let pairs = arena.block_of(&[Cell::Int(1), a]).map();
    let list = arena.block_of(&[Cell::Int(1), Cell::Null]).array();
    let bytes = arena.bytes(&[1, 255]);
    assert_eq!(shown(None, arena.value(texts)), r#"{"a":1,"b":null}"#);
    assert_eq!(shown(None, arena.value(pairs)), r#"[[1,"a"]]"#);
    assert_eq!(shown(None, arena.value(list)), "[1,null]");
    assert_eq!(shown(None, arena.value(bytes)), "\"Af8=\"");
    assert_eq!(shown(None, Value::Float(f64::NAN)), "\"NaN\"");
    assert_eq!(
        shown(None, Value::Float(0.1_f32.into())),
        "0.10000000149011612"
    );
    assert_eq!(
        shown(
            Some(&Schema::of(Type::Float32).build()),
            Value::Float(0.1_f32.into())
        ),
        "0.1"
    );
}

proptest! {
    #[test]
    fn text_is_escaped_as_jackson_does(text: String, ascii in "[\\x00-\\x7f]{0,40}") {
        for text in [text, ascii] {
            let mut out = Vec::new();
            json::text(&text, &mut out);
            let back: String = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(&back, &text);
            // Jackson's hexadecimal digits are capital letters, and what is beyond 16 bits is two escapes.
            if text.chars().all(|char| (' '..='\u{ffff}').contains(&char)) {
                prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&text).unwrap());
            }
        }
    }

    #[test]
    fn numbers_read_back_the_same(int: i64, float in proptest::num::f64::NORMAL) {
        let mut out = Vec::new();
        json::value(None, Value::Int(int), &mut out);
        prop_assert_eq!(serde_json::from_slice::<i64>(&out).unwrap(), int);
        out.clear();
        json::value(None, Value::Float(float), &mut out);
        prop_assert_eq!(serde_json::from_slice::<f64>(&out).unwrap().to_bits(), float.to_bits());
    }

    #[test]
    fn our_headers_come_back(id: u64, ordinal: u32, last: bool) {
        let of = Transaction { id, ordinal, last };
        prop_assert_eq!(parse_transaction(&transaction(of)).unwrap(), of);
        prop_assert_eq!(parse_barrier(&barrier(id)).unwrap(), id);
    }

    #[test]
    fn foreign_headers_are_an_error_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
        let _ = (parse_transaction(&bytes), parse_barrier(&bytes));
    }
}

/// Prints what a row costs; a figure, not a verdict, since machines differ. Run it with `--release`.
#[tokio::test]
async fn rows_of_one_shape_share_it_and_their_cost_is_printed() {
    const ROWS: i64 = 2_000;
    let rounds = if cfg!(debug_assertions) { 1 } else { 200 };
    let log = Memory::default();
    let registry = registry(&log).await;
    let mut rows = Rows::default();
    let at = rows.shape(shape("shop.public.orders"));
    for id in 0..ROWS {
        push_row(&mut rows, at, id, None);
    }
    let prepared = Encoder::new(Arc::clone(&registry))
        .prepare(&rows)
        .await
        .unwrap();
    let mut out = Encoded::default();
    let mut best = f64::MAX;
    for _ in 0..rounds {
        let start = Instant::now();
        for record in rows.iter() {
            prepared.encode(record, &mut out).unwrap();
            black_box((out.key(), out.value()));
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    let per_row = |seconds: f64| seconds * 1e9 / 2_000.0;
    println!(
        "encode: {:.0} ns a row, key {} B, value {} B",
        per_row(best),
        out.key().unwrap().len(),
        out.value().unwrap().len()
    );
    let topic: Arc<str> = "shop.public.orders".into();
    let mut decoder = Decoder::new(registry);
    let headers = out
        .headers()
        .map(|(name, value)| (name.to_owned(), value.map(<[u8]>::to_vec)))
        .collect::<Vec<_>>();
    let mut best = f64::MAX;
    let mut back = Rows::default();
    for _ in 0..rounds {
        back = Rows::with_capacity(4 << 20);
        let start = Instant::now();
        for _ in 0..ROWS {
            let raw = RawRecord {
                topic: &topic,
                partition: 0,
                timestamp_ms: 0,
                key: out.key(),
                value: out.value(),
            };
            decoder
                .push(
                    &mut back,
                    raw,
                    headers
                        .iter()
                        .map(|(name, value)| (name.as_str(), value.as_deref())),
                )
                .unwrap();
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!(
        "decode: {:.0} ns a row into {} B of memory",
        per_row(best),
        back.size_bytes() / 2_000
    );
    assert_eq!(back.len(), 2_000);
    assert_eq!(back.shapes().len(), 1, "one shape for all");
}
