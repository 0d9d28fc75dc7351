//! Records through every converter: there and back, hostile bytes, hints, and what a row costs.

use super::{
    super::{
        Converter, Converters, Decoder, Encoded, Encoder, HeaderConverter, JsonSettings,
        Placeholder, Plain, RawRecord, UNAVAILABLE,
        avro::{Output, tests::random_schema, tests::random_value},
        json,
        plan::Bound,
        reading::{AvroReader, Reading},
        unavailable_fields,
    },
    push_row, registry, shape,
};
use crate::state::tests::Memory;
use proptest::prelude::*;
use std::{hint::black_box, sync::Arc, time::Instant};
use tapline_sdk::{Arena, Cell, Head, Partition, RecordRef, Rows, Schema, Shape, Type, Value};

const NUMERIC: JsonSettings = JsonSettings {
    schemas: true,
    schemas_max: 1000,
    numeric_decimals: true,
    replace_null: false,
};

fn json_converter(schemas: bool) -> Converter {
    Converter::Json(JsonSettings {
        schemas,
        ..JsonSettings::default()
    })
}

fn both(converter: &Converter) -> Converters {
    Converters {
        key: converter.clone(),
        value: converter.clone(),
        header: HeaderConverter::Plain,
    }
}

/// One record as it stands in the log.
struct Stored {
    topic: Arc<str>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
    partition_key: Option<Vec<u8>>,
}

impl Stored {
    fn read(&self, decoder: &mut Decoder, rows: &mut Rows) -> Result<(), String> {
        let raw = RawRecord {
            topic: &self.topic,
            partition: 0,
            timestamp_ms: 5,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
        };
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()));
        decoder
            .push(rows, raw, headers)
            .map(drop)
            .map_err(|error| error.to_string())
    }

    fn value_text(&self) -> &str {
        std::str::from_utf8(self.value.as_deref().unwrap()).unwrap()
    }
}

/// Every record encoded; with it the log, to see what was registered.
async fn stored(rows: &Rows, converters: &Converters) -> (Vec<Stored>, Memory) {
    let log = Memory::default();
    let mut encoder = Encoder::new(registry(&log).await).with_converters(converters.clone());
    let prepared = encoder.prepare(rows).await.unwrap();
    let mut out = Encoded::default();
    let own = |bytes: &[u8]| bytes.to_vec();
    let one = |record: RecordRef<'_>| {
        prepared.encode(record, &mut out).unwrap();
        Stored {
            topic: Arc::clone(&record.shape().topic),
            key: out.key().map(own),
            value: out.value().map(own),
            headers: out
                .headers()
                .map(|(name, value)| (name.to_owned(), value.map(own)))
                .collect(),
            partition_key: out.partition_key().map(own),
        }
    };
    (rows.iter().map(one).collect(), log)
}

/// An envelope with a struct in a header, a text in another, and an unavailable column.
fn key_change() -> Rows {
    let mut rows = Rows::default();
    let at = rows.shape(shape("shop.public.orders"));
    push_row(&mut rows, at, 1, Some(Cell::Unavailable));
    let old = rows.arena_mut().block_of(&[Cell::Int(9)]).structure();
    let key = rows.shapes()[0].key.clone();
    rows.header("__debezium.oldkey".into(), key, old);
    let name = rows.arena_mut().text("shop");
    rows.header(
        "__debezium.context.connectorName".into(),
        Some(Schema::string()),
        name,
    );
    rows
}

#[tokio::test]
async fn json_with_schemas_brings_an_envelope_back_whole_and_registers_nothing() {
    let rows = key_change();
    let converters = both(&json_converter(true));
    let (stored, log) = stored(&rows, &converters).await;
    assert_eq!(
        log.records("_schemas"),
        [],
        "only Avro has schemas in the registry"
    );
    let one = &stored[0];
    assert!(
        one.value_text()
            .starts_with(r#"{"schema":{"type":"struct","fields":[{"type":"struct","#)
    );
    assert_eq!(one.partition_key, one.key, "JSON has no frame");
    let mut decoder = Decoder::with_converters(registry(&log).await, &converters);
    let mut back = Rows::default();
    one.read(&mut decoder, &mut back).unwrap();
    one.read(&mut decoder, &mut back).unwrap();
    assert_eq!(back.shapes().len(), 1, "a schema's text is parsed once");
    let (sent, got) = (rows.get(0).unwrap(), back.get(0).unwrap());
    assert_eq!((sent.key(), sent.value()), (got.key(), got.value()));
    assert_eq!(
        (&sent.shape().key, &sent.shape().value),
        (&got.shape().key, &got.shape().value)
    );
    assert_eq!(got.head().transaction, sent.head().transaction);
    assert_eq!(unavailable_fields(got).as_deref(), Some("after.body"));
    let headers: Vec<_> = got.headers().collect();
    assert_eq!(headers.len(), 2, "our own headers are no records' headers");
    assert_eq!(got.arena().children(headers[0].cell), [Cell::Int(9)]);
    assert_eq!(got.arena().value(headers[1].cell), Value::Text("shop"));
}

#[tokio::test]
async fn an_unavailable_value_keeps_header_and_placeholder_with_every_converter() {
    let rows = key_change();
    let cases = [
        (both(&Converter::Avro), 1),
        (both(&json_converter(true)), 1),
        (both(&json_converter(false)), 1),
        (
            both(&Converter::Plain(Plain::Text(super::super::Charset::Utf8))),
            1,
        ),
    ];
    for (converters, expected) in cases {
        let (stored, log) = stored(&rows, &converters).await;
        let one = &stored[0];
        let own: Vec<_> = one
            .headers
            .iter()
            .filter(|(name, _)| name == UNAVAILABLE)
            .collect();
        assert_eq!(own.len(), expected);
        assert_eq!(own[0].1.as_deref(), Some(&b"after.body"[..]));
        let value = String::from_utf8_lossy(one.value.as_deref().unwrap());
        assert!(value.contains("__debezium_unavailable_value"), "{value}");
        let mut back = Rows::default();
        let mut decoder = Decoder::with_converters(registry(&log).await, &converters);
        // Avro's ids are of this log's registry, which the decoder reads anew.
        one.read(&mut decoder, &mut back).unwrap();
        let got = back.get(0).unwrap();
        match got.value() {
            // A text has no fields: whoever takes it apart finds their names in the header.
            Value::Text(_) => {
                let header = got.headers().find(|header| &**header.name == UNAVAILABLE);
                assert_eq!(got.arena().raw(header.unwrap().cell), b"after.body");
            }
            _ => assert_eq!(unavailable_fields(got).as_deref(), Some("after.body")),
        }
    }
}

#[tokio::test]
async fn a_tombstone_and_data_without_a_schema_come_back() {
    let mut rows = Rows::default();
    let topic: Arc<str> = "t".into();
    let free = rows.shape(Shape {
        topic,
        key: None,
        value: None,
    });
    let name = rows.arena_mut().text("n");
    let list = rows
        .arena_mut()
        .block_of(&[Cell::Null, Cell::Float(1.5)])
        .array();
    let map = rows.arena_mut().block_of(&[name, list]).map();
    for value in [map, Cell::Null] {
        rows.push(Head {
            shape: free,
            partition: Partition::ByKey,
            key: Cell::Int(7),
            value,
            timestamp_ms: None,
            transaction: None,
        });
    }
    for schemas in [true, false] {
        let converters = both(&json_converter(schemas));
        let (stored, log) = stored(&rows, &converters).await;
        assert_eq!(stored[1].value, None);
        let mut decoder = Decoder::with_converters(registry(&log).await, &converters);
        let mut back = Rows::default();
        for (at, one) in stored.iter().enumerate() {
            one.read(&mut decoder, &mut back).unwrap();
            let (sent, got) = (rows.get(at).unwrap(), back.get(at).unwrap());
            assert_eq!((sent.key(), sent.value()), (got.key(), got.value()));
            assert!(got.shape().value.is_none());
        }
    }
    let log = Memory::default();
    let mut encoder = Encoder::new(registry(&log).await);
    let prepared = encoder.prepare(&rows).await.unwrap();
    let error = prepared
        .encode(rows.get(0).unwrap(), &mut Encoded::default())
        .unwrap_err();
    assert!(error.reason.contains("which Avro needs"), "{error}");
}

/// A value there and back; the bytes.
fn round_trip(settings: &JsonSettings, schema: &Arc<Schema>, arena: &Arena, cell: Cell) -> Vec<u8> {
    let converter = Converter::Json(settings.clone());
    let bound = Bound::unregistered(&converter, Some(schema), &Placeholder::default());
    let bound = bound.unwrap().unwrap();
    let mut out = Output::default();
    let present = bound.append(arena, cell, &mut out).unwrap();
    assert!(present || cell == Cell::Null);
    if !present {
        return Vec::new();
    }
    let mut back = Arena::default();
    let (of, again) = json::Reader::new(settings.clone())
        .decode(&out.bytes, &mut back)
        .unwrap_or_else(|error| panic!("{error}\n{}", String::from_utf8_lossy(&out.bytes)));
    assert_eq!(of.as_deref(), Some(&**schema));
    let mut twice = Output::default();
    bound.append(&back, again, &mut twice).unwrap();
    assert_eq!(out.bytes, twice.bytes);
    if !settings.numeric_decimals {
        assert_eq!(back.value(again), arena.value(cell));
    }
    out.bytes
}

#[test]
fn random_values_of_random_schemas_come_back_equal() {
    let seeds = std::env::var("TAPLINE_PROVE").map_or(3_000, |_| 100_000);
    for seed in 0..seeds {
        let mut rng = fastrand::Rng::with_seed(seed);
        let schema = random_schema(&mut rng, 3, &mut 0);
        let mut arena = Arena::default();
        let cell = random_value(&schema, &mut rng, &mut arena);
        let result = std::panic::catch_unwind(|| {
            round_trip(&JsonSettings::default(), &schema, &arena, cell);
            round_trip(&NUMERIC, &schema, &arena, cell);
        });
        assert!(result.is_ok(), "seed {seed}");
    }
    println!("json: {seeds} random schemas and values come back equal");
}

fn every_converter() -> Vec<Converter> {
    let plain = [
        Plain::Text(super::super::Charset::Utf8),
        Plain::Text(super::super::Charset::Utf16),
        Plain::Text(super::super::Charset::Ascii),
        Plain::Bytes,
        Plain::Boolean,
        Plain::Short,
        Plain::Integer,
        Plain::Long,
        Plain::Float,
        Plain::Double,
    ];
    let mut all: Vec<Converter> = plain.into_iter().map(Converter::Plain).collect();
    all.extend([
        json_converter(true),
        json_converter(false),
        Converter::Json(NUMERIC),
        Converter::Avro,
    ]);
    all
}

proptest! {
    #[test]
    fn hostile_bytes_are_an_error_and_never_a_panic(seed in 0_u64..2000, garbage in proptest::collection::vec(any::<u8>(), 0..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let registry = runtime.block_on(registry(&Memory::default()));
        let mut avro = AvroReader::new(registry);
        let mut rng = fastrand::Rng::with_seed(seed);
        let schema = random_schema(&mut rng, 3, &mut 0);
        let mut arena = Arena::default();
        let cell = random_value(&schema, &mut rng, &mut arena);
        // Valid JSON with a few bytes changed gets further than noise does.
        let mut bent = round_trip(&NUMERIC, &schema, &arena, cell);
        for _ in 0..rng.usize(0..4) {
            if !bent.is_empty() {
                let at = rng.usize(0..bent.len());
                bent[at] = *rng.choice(b"{}[]\",:0e-9\\\xff").unwrap();
            }
        }
        for converter in every_converter() {
            for bytes in [&garbage, &bent] {
                let mut arena = Arena::default();
                let mut reading = Reading::new(&converter);
                for detects in [false, true] {
                    let _ = reading.part("value", Some(bytes), &mut avro, detects, &mut arena);
                }
                prop_assert!(arena.size_bytes() < 4 << 20, "{} bytes", arena.size_bytes());
            }
        }
    }
}

#[test]
fn a_few_bytes_do_not_make_many_values_and_depth_is_bounded() {
    let field = |at: usize| format!(r#"{{"type":"int32","optional":true,"field":"f{at}"}}"#);
    let fields: Vec<String> = (0..5_000).map(field).collect();
    let wide = format!(
        r#"{{"schema":{{"type":"array","items":{{"type":"struct","fields":[{}]}}}},"payload":[{}]}}"#,
        fields.join(","),
        vec!["{}"; 50_000].join(",")
    );
    let mut reader = json::Reader::new(JsonSettings::default());
    let error = reader
        .decode(wide.as_bytes(), &mut Arena::default())
        .unwrap_err();
    assert!(
        error.reason.contains("more values than its text can hold"),
        "{error}"
    );
    let deep = format!(
        r#"{{"schema":{}{{"type":"int8"}}{},"payload":1}}"#,
        r#"{"type":"array","items":"#.repeat(100),
        "}".repeat(100)
    );
    let error = reader
        .decode(deep.as_bytes(), &mut Arena::default())
        .unwrap_err();
    assert!(error.reason.contains("nested too deeply"), "{error}");
    let nested = "[".repeat(100_000);
    let mut free = json::Reader::new(JsonSettings {
        schemas: false,
        ..JsonSettings::default()
    });
    assert!(
        free.decode(nested.as_bytes(), &mut Arena::default())
            .is_err()
    );
}

#[test]
fn what_does_not_fit_names_its_field_and_repeats_no_value() {
    let schema = r#"{"type":"struct","fields":[{"type":"struct","fields":[{"type":"int8","optional":false,"field":"n"}],"field":"in"}]}"#;
    let mut reader = json::Reader::new(JsonSettings::default());
    for payload in [
        r#"{"in":{"n":"s3cret"}}"#,
        r#"{"in":{"n":31337}}"#,
        r#"{"in":{"n":["s3cret"]}}"#,
        r#"{"in":{"n":{"s3cret":1}}}"#,
        r#"{"in":{"n":31337.5}}"#,
        r#"{"in":{"n":null}}"#,
        r#"{"in":{}}"#,
        r#"{"in":"s3cret"}"#,
        r#"{}"#,
    ] {
        let text = format!(r#"{{"schema":{schema},"payload":{payload}}}"#);
        let error = reader
            .decode(text.as_bytes(), &mut Arena::default())
            .unwrap_err();
        let field = error.field.clone().expect("a field is named");
        assert!(matches!(&*field, "n" | "in"), "{field}");
        let shown = error.to_string();
        assert!(
            !shown.contains("s3cret") && !shown.contains("31337"),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn a_reader_of_another_converter_is_told_which_would_do() {
    let rows = key_change();
    let log = Memory::default();
    let mut encoder = Encoder::new(registry(&log).await);
    let mut out = Encoded::default();
    encoder
        .prepare(&rows)
        .await
        .unwrap()
        .encode(rows.get(0).unwrap(), &mut out)
        .unwrap();
    let avro = out.value().unwrap().to_vec();
    let mut told = Vec::new();
    for (value, told_by, expected) in [
        (
            &avro[..],
            json_converter(true),
            "value.converter says json, the bytes look like Avro: value.converter=avro",
        ),
        (
            br#"{"schema":null,"payload":1}"#,
            Converter::Avro,
            "look like JSON with a schema: value.converter=json reads",
        ),
        (
            br#"{"a":1}"#,
            json_converter(true),
            "look like JSON without a schema: value.converter=json with value.converter.schemas.enable=false",
        ),
        (
            b"plain text",
            json_converter(false),
            "look like text: value.converter=string reads",
        ),
        (
            b"plain text",
            Converter::Plain(Plain::Long),
            "10 bytes are no long; value.converter says a plain value, the bytes look like text",
        ),
    ] {
        let mut decoder = Decoder::with_converters(registry(&log).await, &both(&told_by));
        let stored = Stored {
            topic: "t".into(),
            key: None,
            value: Some(value.to_vec()),
            headers: Vec::new(),
            partition_key: None,
        };
        let mut back = Rows::default();
        let error = stored.read(&mut decoder, &mut back).unwrap_err();
        assert!(error.contains(expected), "{error}\nexpected {expected}");
        assert!(back.is_empty());
        // People who look into the topic see it all the same.
        stored.read(&mut decoder.detecting(), &mut back).unwrap();
        told.push(error);
    }
    assert_eq!(told.len(), 5);
}

#[tokio::test]
async fn a_named_header_converter_writes_and_reads_every_header() {
    let mut rows = key_change();
    rows.header(
        "n".into(),
        Some(Schema::of(Type::Int64).build()),
        Cell::Int(300),
    );
    let cases = [
        (HeaderConverter::Simple, "__debezium.oldkey", r#"{"id":9}"#),
        (HeaderConverter::Simple, "n", "300"),
        (
            HeaderConverter::Other(json_converter(false)),
            "__debezium.oldkey",
            r#"{"id":9}"#,
        ),
        (
            HeaderConverter::Other(json_converter(true)),
            "n",
            r#"{"schema":{"type":"int64","optional":false},"payload":300}"#,
        ),
    ];
    for (header, name, expected) in cases {
        let converters = Converters {
            header,
            ..Converters::default()
        };
        let (stored, log) = stored(&rows, &converters).await;
        let found = stored[0].headers.iter().find(|(at, _)| at == name).unwrap();
        assert_eq!(
            std::str::from_utf8(found.1.as_deref().unwrap()).unwrap(),
            expected
        );
        let mut back = Rows::default();
        let mut decoder = Decoder::with_converters(registry(&log).await, &converters);
        stored[0].read(&mut decoder, &mut back).unwrap();
        let got = back.get(0).unwrap();
        let number = got.headers().find(|header| &**header.name == "n").unwrap();
        assert_eq!(number.cell, Cell::Int(300));
    }
}

/// Prints what a row costs in JSON and in Avro; a figure, not a verdict. Run it with `--release`.
#[tokio::test]
async fn the_cost_of_a_row_in_json_and_avro_is_printed() {
    const ROWS: i64 = 1_000;
    let rounds = if cfg!(debug_assertions) { 1 } else { 100 };
    let mut rows = Rows::default();
    let at = rows.shape(shape("shop.public.orders"));
    for id in 0..ROWS {
        push_row(&mut rows, at, id, None);
    }
    let cases = [
        ("avro", Converter::Avro),
        ("json with schemas", json_converter(true)),
        ("json without", json_converter(false)),
    ];
    for (name, converter) in cases {
        let converters = both(&converter);
        let (stored, log) = stored(&rows, &converters).await;
        let registry = registry(&log).await;
        let mut encoder = Encoder::new(Arc::clone(&registry)).with_converters(converters.clone());
        let prepared = encoder.prepare(&rows).await.unwrap();
        let mut decoder = Decoder::with_converters(registry, &converters);
        let (mut encode, mut decode) = (f64::MAX, f64::MAX);
        let mut out = Encoded::default();
        for _ in 0..rounds {
            let start = Instant::now();
            for record in rows.iter() {
                prepared.encode(record, &mut out).unwrap();
                black_box((out.key(), out.value()));
            }
            encode = encode.min(start.elapsed().as_secs_f64());
            let mut back = Rows::with_capacity(4 << 20);
            let start = Instant::now();
            for one in &stored {
                one.read(&mut decoder, &mut back).unwrap();
            }
            decode = decode.min(start.elapsed().as_secs_f64());
            assert_eq!(back.len(), stored.len());
        }
        let per_row = |seconds: f64| seconds * 1e9 / 1_000.0;
        let bytes = out.value().unwrap().len();
        println!(
            "{name}: encode {:.0} ns a row, decode {:.0} ns, value {bytes} B",
            per_row(encode),
            per_row(decode)
        );
    }
}
