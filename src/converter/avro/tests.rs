//! Every schema and value against Apache's own decoder, and there and back.

#![expect(
    clippy::print_stdout,
    reason = "figures of a run are for whoever reads its output"
)]

use super::{
    EncodePlan, Output, Reader, Scratch,
    placeholder::{self, Placeholder},
    schema_text,
    varint::{put_long, take_long},
};
use apache_avro::{Schema as Apache, reader::datum::GenericDatumReader, types::Value as Oracle};
use proptest::prelude::*;
use std::sync::Arc;
use tapline_sdk::{Arena, Cell, ConfigValue, Datum, Field, Schema, SchemaBuilder, Type, Value};

const DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";

fn field(name: &str, schema: Arc<Schema>) -> Field {
    Field {
        name: name.into(),
        schema,
    }
}

/// A schema with every kind of node; `depth` bounds nesting.
pub(in crate::converter) fn random_schema(
    rng: &mut fastrand::Rng,
    depth: u32,
    names: &mut u32,
) -> Arc<Schema> {
    let optional = rng.bool();
    let kind = rng.u32(0..if depth == 0 { 10 } else { 14 });
    let builder = match kind {
        0 => Schema::of(Type::Bool),
        1 => Schema::of(Type::Int8),
        2 => Schema::of(Type::Int16),
        3 => Schema::of(Type::Int32),
        4 => Schema::of(Type::Int64),
        5 => Schema::of(Type::Float32),
        6 => Schema::of(Type::Float64),
        7 => Schema::of(Type::Text),
        8 => Schema::of(Type::Bytes),
        9 => Schema::of(Type::Bytes)
            .name(DECIMAL)
            .version(1)
            .parameter("scale", "2")
            .parameter("connect.decimal.precision", "10"),
        10 => Schema::of(Type::Array(random_schema(rng, depth - 1, names))),
        11 => Schema::of(Type::Map(
            Schema::string(),
            random_schema(rng, depth - 1, names),
        )),
        12 => Schema::of(Type::Map(
            Schema::of(Type::Int32).build(),
            random_schema(rng, depth - 1, names),
        )),
        _ => {
            let labels = [
                "id",
                "Name",
                "ärger",
                "with space",
                "1st",
                "a.b",
                "a,b",
                "a\\b",
                "id_2",
                "with_space",
            ];
            let mut labels = labels.to_vec();
            rng.shuffle(&mut labels);
            let count = rng.usize(0..6);
            let fields = labels.into_iter().take(count);
            let fields = fields.map(|label| field(label, random_schema(rng, depth - 1, names)));
            let builder = Schema::structure(fields.collect());
            *names += 1;
            if rng.bool() {
                builder.name(format!("shop-1.public.t{names}.Value"))
            } else {
                builder
            }
        }
    };
    let builder = match rng.u32(0..4) {
        0 if kind < 9 => builder.name(format!("io.debezium.Test{kind}")).version(3),
        1 if kind < 9 => builder
            .parameter("zebra", "1")
            .parameter("allowed", "a,\"b\""),
        _ => builder,
    };
    let schema = builder.optional_if(optional).build();
    if kind < 9 && rng.u32(0..4) == 0 {
        let mut arena = Arena::default();
        let cell = random_required(&schema, rng, &mut arena);
        let mut with = Schema::clone(&schema);
        with.default = Some(Datum::new(Some(Arc::clone(&schema)), arena, cell));
        return Arc::new(with);
    }
    schema
}

pub(in crate::converter) fn random_value(
    schema: &Schema,
    rng: &mut fastrand::Rng,
    arena: &mut Arena,
) -> Cell {
    if schema.optional && rng.u32(0..3) == 0 {
        return Cell::Null;
    }
    random_required(schema, rng, arena)
}

fn random_int(rng: &mut fastrand::Rng, bits: u32) -> i64 {
    let value = rng.i64(..) >> rng.u32(0..64);
    (value << (64 - bits)) >> (64 - bits)
}

fn random_text(rng: &mut fastrand::Rng) -> String {
    let longest = if rng.u8(..) < 8 { 300 } else { 12 };
    let len = rng.usize(0..longest);
    (0..len).map(|_| rng.char(..)).collect()
}

fn random_required(schema: &Schema, rng: &mut fastrand::Rng, arena: &mut Arena) -> Cell {
    match &schema.ty {
        Type::Bool => Cell::Bool(rng.bool()),
        Type::Int8 => Cell::Int(random_int(rng, 8)),
        Type::Int16 => Cell::Int(random_int(rng, 16)),
        Type::Int32 => Cell::Int(random_int(rng, 32)),
        Type::Int64 => Cell::Int(random_int(rng, 64)),
        Type::Float32 => Cell::Float(rng.f32().into()),
        Type::Float64 => match rng.u8(0..8) {
            0 => Cell::Float(f64::INFINITY),
            1 => Cell::Float(-0.0),
            _ => Cell::Float(rng.f64() * 1e12),
        },
        Type::Text => {
            let text = random_text(rng);
            arena.text(&text)
        }
        Type::Bytes => {
            let bytes = (0..rng.usize(1..20))
                .map(|_| rng.u8(..))
                .collect::<Vec<_>>();
            arena.bytes(&bytes)
        }
        Type::Array(item) => {
            let cells = (0..rng.usize(0..4))
                .map(|_| random_value(item, rng, arena))
                .collect::<Vec<_>>();
            arena.block_of(&cells).array()
        }
        Type::Map(key, value) => {
            let mut cells = Vec::new();
            for at in 0..rng.usize(0..4) {
                cells.push(match key.ty {
                    Type::Text => arena.text(&format!("{at}{}", random_text(rng))),
                    _ => Cell::Int(i64::try_from(at).unwrap()),
                });
                cells.push(random_value(value, rng, arena));
            }
            arena.block_of(&cells).map()
        }
        Type::Struct(fields) => {
            let cells = fields
                .iter()
                .map(|field| random_value(&field.schema, rng, arena))
                .collect::<Vec<_>>();
            arena.block_of(&cells).structure()
        }
    }
}

/// Holds a value against what Apache's decoder read.
fn assert_same(schema: &Schema, ours: Value<'_>, oracle: &Oracle) {
    let oracle = match oracle {
        Oracle::Union(_, inner) if schema.optional => &**inner,
        other => other,
    };
    match (ours, oracle) {
        (Value::Null, Oracle::Null) => {}
        (Value::Bool(a), Oracle::Boolean(b)) => assert_eq!(a, *b),
        (Value::Int(a), Oracle::Int(b) | Oracle::Date(b) | Oracle::TimeMillis(b)) => {
            assert_eq!(a, i64::from(*b));
        }
        (Value::Int(a), Oracle::Long(b) | Oracle::TimestampMillis(b)) => assert_eq!(a, *b),
        (Value::Float(a), Oracle::Float(b)) => assert_eq!(a.to_bits(), f64::from(*b).to_bits()),
        (Value::Float(a), Oracle::Double(b)) => assert_eq!(a.to_bits(), b.to_bits()),
        (Value::Text(a), Oracle::String(b)) => assert_eq!(a, b),
        (Value::Bytes(a), Oracle::Bytes(b)) => assert_eq!(a, b),
        (Value::Bytes(a), Oracle::Decimal(b)) => {
            let b: Vec<u8> = b.clone().try_into().unwrap();
            assert_eq!(a, b);
        }
        (Value::Array(items), Oracle::Array(others)) => {
            let Type::Array(item) = &schema.ty else {
                panic!("an array for {schema:?}")
            };
            assert_eq!(items.len(), others.len());
            for (ours, oracle) in items.iter().zip(others) {
                assert_same(item, ours, oracle);
            }
        }
        (Value::Map(cells), Oracle::Map(entries)) => {
            let Type::Map(_, value) = &schema.ty else {
                panic!("a map for {schema:?}")
            };
            assert_eq!(cells.len(), entries.len() * 2);
            for at in 0..entries.len() {
                let Value::Text(key) = cells.get(2 * at) else {
                    panic!("a key that is no text")
                };
                assert_same(value, cells.get(2 * at + 1), &entries[key]);
            }
        }
        (Value::Map(cells), Oracle::Array(entries)) => {
            let Type::Map(key, value) = &schema.ty else {
                panic!("a map for {schema:?}")
            };
            assert_eq!(cells.len(), entries.len() * 2);
            for (at, entry) in entries.iter().enumerate() {
                let Oracle::Record(parts) = entry else {
                    panic!("an entry that is no record")
                };
                assert_same(key, cells.get(2 * at), &parts[0].1);
                assert_same(value, cells.get(2 * at + 1), &parts[1].1);
            }
        }
        (Value::Struct(cells), Oracle::Record(parts)) => {
            assert_eq!(cells.len(), parts.len());
            for ((field, ours), (_, oracle)) in schema.fields().iter().zip(cells.iter()).zip(parts)
            {
                assert_same(&field.schema, ours, oracle);
            }
        }
        (ours, oracle) => panic!("{ours:?} was read as {oracle:?}"),
    }
}

fn encode(schema: &Schema, arena: &Arena, cell: Cell) -> Vec<u8> {
    let mut out = Output::default();
    EncodePlan::compile(schema, &Placeholder::default())
        .unwrap()
        .encode(arena, cell, &mut out)
        .unwrap();
    out.bytes
}

/// Encodes, lets Apache decode, decodes, compares all three, and returns the schema's text.
fn round_trip(schema: &Arc<Schema>, arena: &Arena, cell: Cell) -> String {
    let text = schema_text(schema).unwrap();
    let bytes = encode(schema, arena, cell);
    let apache = Apache::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let reader = GenericDatumReader::builder(&apache).build().unwrap();
    let mut rest = bytes.as_slice();
    let oracle = reader
        .read_value(&mut rest)
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert!(rest.is_empty(), "Apache left {} bytes\n{text}", rest.len());
    assert_same(schema, arena.value(cell), &oracle);

    let reader = Reader::parse(&text).unwrap();
    assert_eq!(reader.schema, *schema, "{text}");
    let (mut back, mut scratch) = (Arena::default(), Scratch::default());
    let again = reader.plan.decode(&bytes, &mut back, &mut scratch).unwrap();
    assert_eq!(back.value(again), arena.value(cell), "{text}");
    text
}

#[test]
fn random_values_of_random_schemas_are_what_apache_reads_and_come_back_equal() {
    let seeds = std::env::var("TAPLINE_PROVE").map_or(3_000, |_| 100_000);
    for seed in 0..seeds {
        let mut rng = fastrand::Rng::with_seed(seed);
        let schema = random_schema(&mut rng, 3, &mut 0);
        let mut arena = Arena::default();
        let cell = random_value(&schema, &mut rng, &mut arena);
        let result = std::panic::catch_unwind(|| round_trip(&schema, &arena, cell));
        assert!(result.is_ok(), "seed {seed}");
    }
    println!("avro: {seeds} random schemas and values equal in Apache's decoder and ours");
}

proptest! {
    #[test]
    fn hostile_bytes_are_an_error_and_never_a_panic(seed in 0_u64..500, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let schema = random_schema(&mut fastrand::Rng::with_seed(seed), 3, &mut 0);
        let reader = Reader::parse(&schema_text(&schema).unwrap()).unwrap();
        let mut arena = Arena::default();
        // Either outcome is right; memory must stay in proportion.
        let _ = reader.plan.decode(&bytes, &mut arena, &mut Scratch::default());
        prop_assert!(arena.size_bytes() < 4 << 20, "{} bytes", arena.size_bytes());
    }

    #[test]
    fn a_value_that_was_cut_is_an_error(seed in 0_u64..2000) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let schema = random_schema(&mut rng, 3, &mut 0);
        let mut arena = Arena::default();
        let cell = random_value(&schema, &mut rng, &mut arena);
        let bytes = encode(&schema, &arena, cell);
        let reader = Reader::parse(&schema_text(&schema).unwrap()).unwrap();
        for cut in 0..bytes.len() {
            prop_assert!(reader.plan.decode(&bytes[..cut], &mut Arena::default(), &mut Scratch::default()).is_err());
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        prop_assert!(reader.plan.decode(&longer, &mut Arena::default(), &mut Scratch::default()).is_err());
    }

    #[test]
    fn a_long_comes_back(value: i64) {
        let mut bytes = Vec::new();
        put_long(&mut bytes, value);
        let mut input = bytes.as_slice();
        prop_assert_eq!(take_long(&mut input), Some(value));
        prop_assert!(input.is_empty());
    }

    #[test]
    fn hostile_schemas_are_an_error_and_never_a_panic(text in "[\\[\\]{}\",:a-z0-9 ]{0,80}") {
        let _ = Reader::parse(&text);
    }
}

#[test]
fn longs_at_their_ends_come_back() {
    for value in [i64::MIN, i64::MAX, -1, 0, 63, 64, -64, -65, 8191, 8192] {
        let mut bytes = Vec::new();
        put_long(&mut bytes, value);
        assert_eq!(take_long(&mut bytes.as_slice()), Some(value));
    }
    assert_eq!(take_long(&mut [0xFF; 11].as_slice()), None);
    assert_eq!(take_long(&mut [0x80, 0x80].as_slice()), None);
}

fn envelope() -> Arc<Schema> {
    let value = |optional| {
        let fields = vec![
            field("id", Schema::of(Type::Int32).build()),
            field("name", Schema::of(Type::Text).optional().build()),
            field("level", Schema::of(Type::Int16).build()),
            field(
                "credit",
                Schema::of(Type::Bytes)
                    .name(DECIMAL)
                    .version(1)
                    .parameter("scale", "2")
                    .parameter("connect.decimal.precision", "10")
                    .optional()
                    .build(),
            ),
        ];
        Schema::structure(fields)
            .name("shop.public.customer.Value")
            .optional_if(optional)
            .build()
    };
    let snapshot = Schema::of(Type::Text)
        .name("io.debezium.data.Enum")
        .version(1)
        .parameter("allowed", "true,last,false");
    let snapshot = snapshot.optional().default(Datum::text("false")).build();
    let source = Schema::structure(vec![
        field("version", Schema::string()),
        field("snapshot", snapshot),
    ]);
    let source = source
        .name("io.debezium.connector.postgresql.Source")
        .version(1)
        .build();
    Schema::structure(vec![
        field("before", value(true)),
        field("after", value(true)),
        field("source", source),
        field("op", Schema::string()),
        field("ts_ms", Schema::of(Type::Int64).optional().build()),
    ])
    .name("shop.public.customer.Envelope")
    .version(2)
    .build()
}

#[test]
fn an_envelope_has_the_text_that_confluents_converter_registers() {
    let expected = concat!(
        r#"{"type":"record","name":"Envelope","namespace":"shop.public.customer","fields":["#,
        r#"{"name":"before","type":["null",{"type":"record","name":"Value","fields":["#,
        r#"{"name":"id","type":"int"},{"name":"name","type":["null","string"],"default":null},"#,
        r#"{"name":"level","type":{"type":"int","connect.type":"int16"}},"#,
        r#"{"name":"credit","type":["null",{"type":"bytes","scale":2,"precision":10,"connect.version":1,"#,
        r#""connect.parameters":{"scale":"2","connect.decimal.precision":"10"},"#,
        r#""connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}],"default":null}],"#,
        r#""connect.name":"shop.public.customer.Value"}],"default":null},"#,
        r#"{"name":"after","type":["null","Value"],"default":null},"#,
        r#"{"name":"source","type":{"type":"record","name":"Source","namespace":"io.debezium.connector.postgresql","#,
        r#""fields":[{"name":"version","type":"string"},{"name":"snapshot","type":[{"type":"string","connect.version":1,"#,
        r#""connect.parameters":{"allowed":"true,last,false"},"connect.default":"false","#,
        r#""connect.name":"io.debezium.data.Enum"},"null"],"default":"false"}],"connect.version":1,"#,
        r#""connect.name":"io.debezium.connector.postgresql.Source"}},"#,
        r#"{"name":"op","type":"string"},{"name":"ts_ms","type":["null","long"],"default":null}],"#,
        r#""connect.version":2,"connect.name":"shop.public.customer.Envelope"}"#
    );
    assert_eq!(schema_text(&envelope()).unwrap(), expected);
    let reader = Reader::parse(expected).unwrap();
    assert_eq!(reader.schema, envelope());
    let (before, after) = (
        &reader.schema.fields()[0].schema,
        &reader.schema.fields()[1].schema,
    );
    assert!(Arc::ptr_eq(before, after), "one row schema is one Arc");
}

#[test]
fn illegal_names_are_scrubbed_and_the_original_is_kept() {
    let text = schema_text(
        &Schema::structure(vec![
            field("ärger", Schema::string()),
            field("a b", Schema::string()),
            field("a_b", Schema::string()),
            field("1", Schema::string()),
        ])
        .name("shop-1.public.größe.Value")
        .build(),
    )
    .unwrap();
    for part in [
        r#""name":"Value","namespace":"shop_1.public.gr_C3_B6_C3_9Fe""#,
        r#"{"name":"_C3_A4rger","type":"string","tapline.field.name":"ärger"}"#,
        r#"{"name":"a_b_2","type":"string","tapline.field.name":"a b"}"#,
        r#"{"name":"a_b","type":"string"}"#,
        r#"{"name":"x1","type":"string","tapline.field.name":"1"}"#,
        r#""connect.name":"shop-1.public.größe.Value""#,
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    Apache::parse_str(&text).unwrap();
}

#[test]
fn two_structs_of_one_name_get_two_names() {
    let a = Schema::structure(vec![field("a", Schema::string())])
        .name("x.Value")
        .build();
    let b = Schema::structure(vec![field("b", Schema::string())])
        .name("x.Value")
        .build();
    let unnamed = Schema::structure(vec![field("u", Schema::string())]).build();
    let outer = Schema::structure(vec![field("a", a), field("b", b), field("u", unnamed)]).build();
    let mut arena = Arena::default();
    let cells = ["1", "2", "3"].map(|text| {
        let cell = arena.text(text);
        arena.block_of(&[cell]).structure()
    });
    let cell = arena.block_of(&cells).structure();
    let text = round_trip(&outer, &arena, cell);
    assert!(
        text.contains(r#""name":"Value_2""#) && text.contains(r#""name":"ConnectDefault2""#),
        "{text}"
    );
}

#[test]
fn logical_types_of_others_become_connects() {
    let text = r#"{"type":"record","name":"R","namespace":"n","fields":[
        {"name":"d","type":{"type":"int","logicalType":"date"}},
        {"name":"t","type":{"type":"int","logicalType":"time-millis"}},
        {"name":"ts","type":["null",{"type":"long","logicalType":"timestamp-millis"}]},
        {"name":"m","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":3}},
        {"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}},
        {"name":"f","type":{"type":"fixed","name":"F","size":2}},
        {"name":"u","type":["null","int","string"]}]}"#;
    let reader = Reader::parse(text).unwrap();
    let names = reader
        .schema
        .fields()
        .iter()
        .map(|field| field.schema.name.as_deref());
    let connect = |name: &str| Some(format!("org.apache.kafka.connect.data.{name}"));
    assert_eq!(
        names
            .map(|name| name.map(str::to_owned))
            .collect::<Vec<_>>(),
        [
            connect("Date"),
            connect("Time"),
            connect("Timestamp"),
            connect("Decimal"),
            Some("n.E".into()),
            Some("n.F".into()),
            Some("io.confluent.connect.avro.Union".into())
        ]
    );
    assert_eq!(
        reader.schema.fields()[3]
            .schema
            .parameter("connect.decimal.precision"),
        Some("9")
    );
    let bytes = [2, 4, 2, 6, 2, 7, 2, 8, 9, 4, 2, b'x'];
    let mut arena = Arena::default();
    let cell = reader
        .plan
        .decode(&bytes, &mut arena, &mut Scratch::default())
        .unwrap();
    let Value::Struct(cells) = arena.value(cell) else {
        panic!("no struct")
    };
    assert_eq!(cells.get(2), Value::Int(3));
    assert_eq!(cells.get(4), Value::Text("B"));
    assert_eq!(cells.get(5), Value::Bytes(&[8, 9]));
    let Value::Struct(branches) = cells.get(6) else {
        panic!("no union")
    };
    assert_eq!(
        (branches.get(0), branches.get(1)),
        (Value::Null, Value::Text("x"))
    );
}

/// A schema that others stored may break every rule that a new one has to keep; its records are there.
#[test]
fn records_of_a_schema_that_would_be_refused_now_are_read() {
    let text = r#"{"type":"record","name":"shop-1.2nd","aliases":"none","name":"ignored","fields":[
        {"name":"a b","type":"int","default":"no int","order":"up"},
        {"name":"twice","type":"string"},
        {"name":"twice","type":{"type":"enum","name":"e-1","symbols":["x y","x y"],"default":"z"}},
        {"name":"u","type":["long","long",["null","string"]]},
        {"name":"again","type":"e-1"}]}"#;
    let reader = Reader::parse(text).unwrap();
    assert_eq!(reader.schema.name.as_deref(), Some("shop-1.2nd"));
    let fields = reader.schema.fields();
    let names: Vec<&str> = fields.iter().map(|field| &*field.name).collect();
    assert_eq!(names, ["a b", "twice", "twice", "u", "again"]);
    assert!(fields[0].schema.default.is_none());
    assert_eq!(fields[4].schema.name.as_deref(), Some("shop-1.e-1"));
    let bytes = [6, 2, b't', 2, 2, 10, 0];
    let mut arena = Arena::default();
    let cell = reader
        .decode(&bytes, &mut arena, &mut Scratch::default())
        .unwrap();
    let Value::Struct(cells) = arena.value(cell) else {
        panic!("no struct")
    };
    assert_eq!(
        [0, 1, 2, 4].map(|at| cells.get(at)),
        [
            Value::Int(3),
            Value::Text("t"),
            Value::Text("x y"),
            Value::Text("x y")
        ]
    );
    let Value::Struct(branches) = cells.get(3) else {
        panic!("no union")
    };
    assert_eq!(
        (branches.get(0), branches.get(1)),
        (Value::Null, Value::Int(5))
    );
}

#[test]
fn a_name_without_a_namespace_may_be_one_of_the_null_namespace() {
    let text = r#"[{"type":"fixed","name":"F","size":1},{"type":"record","name":"n.R","fields":[{"name":"f","type":"F"}]}]"#;
    let reader = Reader::parse(text).unwrap();
    let inner = &reader.schema.fields()[1].schema.fields()[0].schema;
    assert_eq!(inner.name.as_deref(), Some("F"));
}

#[test]
fn a_branch_of_a_union_is_called_after_its_type_as_confluents_converter_calls_it() {
    let text = r#"["null","string",{"type":"int","logicalType":"date"},{"type":"array","items":"int"},
        {"type":"map","values":"int"},{"type":"record","name":"n.R","fields":[]},
        {"type":"enum","name":"n.E","symbols":["A"]}]"#;
    let reader = Reader::parse(text).unwrap();
    let fields = reader.schema.fields().iter();
    let names: Vec<&str> = fields.map(|field| &*field.name).collect();
    assert_eq!(names, ["string", "int", "array", "map", "R", "E"]);
}

#[test]
fn a_schema_that_contains_itself_is_refused() {
    let text = r#"{"type":"record","name":"R","fields":[{"name":"next","type":["null","R"]}]}"#;
    assert!(Reader::parse(text).unwrap_err().contains("contains itself"));
}

#[test]
fn a_schema_that_unfolds_without_end_is_refused_or_bounded() {
    // Each record holds the one before twice: 2^40 values of no bytes.
    let mut inner = r#"{"type":"record","name":"R0","fields":[]}"#.to_owned();
    for at in 1..40 {
        let before = at - 1;
        inner = format!(
            r#"{{"type":"record","name":"R{at}","fields":[{{"name":"a","type":{inner}}},{{"name":"b","type":"R{before}"}}]}}"#
        );
    }
    assert!(Reader::parse(&inner).is_err());
}

#[test]
fn a_claim_of_many_items_allocates_nothing() {
    let reader = Reader::parse(r#"{"type":"array","items":"long"}"#).unwrap();
    let mut bytes = Vec::new();
    put_long(&mut bytes, i64::MAX / 2);
    let mut arena = Arena::default();
    assert!(
        reader
            .plan
            .decode(&bytes, &mut arena, &mut Scratch::default())
            .is_err()
    );
    assert!(arena.size_bytes() < 1024);
    let empty =
        Reader::parse(r#"{"type":"array","items":{"type":"record","name":"E","fields":[]}}"#)
            .unwrap();
    assert!(
        empty
            .plan
            .decode(&bytes, &mut arena, &mut Scratch::default())
            .is_err()
    );
}

#[test]
fn blocks_with_a_size_are_read() {
    let reader = Reader::parse(r#"{"type":"array","items":"long"}"#).unwrap();
    // Two blocks: -2 items in 2 bytes, then 1 item.
    let mut arena = Arena::default();
    let cell = reader
        .plan
        .decode(&[3, 4, 2, 4, 2, 6, 0], &mut arena, &mut Scratch::default())
        .unwrap();
    let Value::Array(items) = arena.value(cell) else {
        panic!("no array")
    };
    assert_eq!(
        items.iter().collect::<Vec<_>>(),
        [Value::Int(1), Value::Int(2), Value::Int(3)]
    );
}

#[test]
fn null_stays_null_beside_a_default_and_becomes_it_where_a_value_is_required() {
    let optional = Schema::of(Type::Text)
        .optional()
        .default(Datum::text("d"))
        .build();
    let required = Schema::of(Type::Text).default(Datum::text("d")).build();
    let schema = Schema::structure(vec![field("o", optional), field("r", required)]).build();
    let mut arena = Arena::default();
    let cell = arena.block(2).structure();
    let bytes = encode(&schema, &arena, cell);
    assert_eq!(bytes, [2, 2, b'd']);
    let strict = Schema::structure(vec![field("r", Schema::string())]).build();
    let cell = arena.block(1).structure();
    let error = EncodePlan::compile(&strict, &Placeholder::default())
        .unwrap()
        .encode(&arena, cell, &mut Output::default())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "column \"r\": null where a value is required"
    );
}

#[test]
fn a_value_that_does_not_fit_names_its_field() {
    let schema = Schema::structure(vec![field("level", Schema::of(Type::Int16).build())]).build();
    let plan = EncodePlan::compile(&schema, &Placeholder::default()).unwrap();
    let mut arena = Arena::default();
    for wrong in [Cell::Int(40_000), Cell::Bool(true)] {
        let cell = arena.block_of(&[wrong]).structure();
        let error = plan
            .encode(&arena, cell, &mut Output::default())
            .unwrap_err();
        assert_eq!(error.field.as_deref(), Some("level"));
    }
    let cell = arena.block(3).structure();
    assert!(plan.encode(&arena, cell, &mut Output::default()).is_err());
}

/// What stands in the log for an unavailable field of this schema.
fn placeholder_of(schema: Arc<Schema>) -> String {
    written(&Placeholder::default(), schema)
}

fn written(placeholder: &Placeholder, schema: Arc<Schema>) -> String {
    let outer = Schema::structure(vec![field("f", schema)]).build();
    let mut arena = Arena::default();
    let cell = arena.block_of(&[Cell::Unavailable]).structure();
    let mut out = Output::default();
    EncodePlan::compile(&outer, placeholder)
        .unwrap()
        .encode(&arena, cell, &mut out)
        .unwrap();
    assert!(out.unavailable);
    let reader = Reader::parse(&schema_text(&outer).unwrap()).unwrap();
    let mut arena = Arena::default();
    let cell = reader
        .plan
        .decode(&out.bytes, &mut arena, &mut Scratch::default())
        .unwrap();
    let Value::Struct(cells) = arena.value(cell) else {
        panic!("no struct")
    };
    match cells.get(0) {
        Value::Array(items) => format!("{:?}", items.iter().collect::<Vec<_>>()),
        Value::Map(items) => format!("{:?}", items.iter().collect::<Vec<_>>()),
        Value::Struct(items) => format!("{:?}", items.iter().collect::<Vec<_>>()),
        other => format!("{other:?}"),
    }
}

#[test]
fn unavailable_values_are_debeziums_placeholders_or_null_or_zero() {
    let text = placeholder::TEXT;
    let optional = |ty| Schema::of(ty).optional().build();
    let named = |ty, name: &str| Schema::of(ty).optional().name(name).build();
    let array = |item| Schema::of(Type::Array(item)).optional().build();
    assert_eq!(
        placeholder_of(optional(Type::Text)),
        format!("Text({text:?})")
    );
    assert_eq!(
        placeholder_of(named(Type::Text, "io.debezium.data.Json")),
        format!("Text({text:?})")
    );
    assert_eq!(
        placeholder_of(Schema::of(Type::Bytes).build()),
        format!("Bytes({:?})", text.as_bytes())
    );
    assert_eq!(placeholder_of(named(Type::Bytes, DECIMAL)), "Null");
    assert_eq!(
        placeholder_of(Schema::of(Type::Bytes).name(DECIMAL).build()),
        "Bytes([0])"
    );
    assert_eq!(
        placeholder_of(named(Type::Bytes, "io.debezium.data.Bits")),
        "Null"
    );
    assert_eq!(
        placeholder_of(array(optional(Type::Text))),
        format!("[Text({text:?})]")
    );
    assert_eq!(
        placeholder_of(array(named(Type::Text, "io.debezium.data.Uuid"))),
        "[Text(\"b68a35a7-17ad-35b3-af2a-ae46edb4545a\")]"
    );
    let codes = text
        .bytes()
        .map(|byte| format!("Int({byte})"))
        .collect::<Vec<_>>()
        .join(", ");
    assert_eq!(
        placeholder_of(array(optional(Type::Int32))),
        format!("[{codes}]")
    );
    assert_eq!(
        placeholder_of(array(optional(Type::Int64))),
        format!("[{codes}]")
    );
    for null in [
        optional(Type::Float64),
        optional(Type::Int16),
        optional(Type::Bool),
        array(optional(Type::Bytes)),
        array(named(Type::Int64, "io.debezium.time.MicroTime")),
        array(named(Type::Text, "io.debezium.data.Enum")),
    ] {
        assert_eq!(placeholder_of(null), "Null");
    }
    assert_eq!(
        placeholder_of(optional(Type::Map(Schema::string(), optional(Type::Text)))),
        format!("[Text({text:?}), Text({text:?})]")
    );
    let fields = vec![
        field("scale", Schema::of(Type::Int32).build()),
        field("value", optional(Type::Bytes)),
    ];
    assert_eq!(
        placeholder_of(Schema::structure(fields).build()),
        "[Int(0), Null]"
    );
}

#[test]
fn the_placeholder_is_what_the_settings_say() {
    let of = |text| Placeholder::parse(text).expect("a good placeholder");
    let text = Schema::of(Type::Text).build();
    let bytes = Schema::of(Type::Bytes).build();
    let uuids = Schema::of(Type::Text).name("io.debezium.data.Uuid").build();
    let longs = Schema::of(Type::Array(Schema::of(Type::Int64).build())).build();
    let uuids = Schema::of(Type::Array(uuids)).build();
    assert_eq!(written(&of("same"), Arc::clone(&text)), "Text(\"same\")");
    // Python: uuid.UUID(bytes=hashlib.md5(b"same").digest(), version=3)
    assert_eq!(
        written(&of("same"), uuids),
        "[Text(\"51037a4a-3773-3f52-8873-2586d3aaa316\")]"
    );
    let raw = of("hex:41ff");
    assert_eq!(written(&raw, text), "Text(\"A\u{fffd}\")");
    assert_eq!(written(&raw, bytes), "Bytes([65, 255])");
    assert_eq!(written(&raw, longs), "[Int(65), Int(-1)]");
    for bad in ["hex:4", "hex:zz"] {
        Placeholder::parse(bad).expect_err("no hexadecimal bytes");
    }
}

#[test]
fn an_unavailable_value_that_no_path_can_name_is_refused() {
    let schema = Schema::of(Type::Array(Schema::string())).build();
    let mut arena = Arena::default();
    let cell = arena.block_of(&[Cell::Unavailable]).array();
    let plan = EncodePlan::compile(&schema, &Placeholder::default()).unwrap();
    assert!(plan.encode(&arena, cell, &mut Output::default()).is_err());
    assert!(
        plan.encode(&arena, Cell::Unavailable, &mut Output::default())
            .is_err()
    );
}

#[test]
fn a_default_that_json_lacks_comes_back() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.5, 3.0] {
        let plain = Schema::of(Type::Float64).build();
        let default = Datum::new(Some(plain), Arena::default(), Cell::Float(value));
        let schema = Schema::structure(vec![field(
            "f",
            Schema::of(Type::Float64).default(default).build(),
        )])
        .build();
        let text = schema_text(&schema).unwrap();
        Apache::parse_str(&text).unwrap();
        let back = Reader::parse(&text).unwrap();
        let default = back.schema.fields()[0].schema.default.clone().unwrap();
        let Value::Float(back) = default.value() else {
            panic!("no float")
        };
        assert!(back == value || (back.is_nan() && value.is_nan()));
    }
}

/// The schemas of every type that Debezium has, each with a value at an edge.
fn debezium_types(arena: &mut Arena) -> Vec<(Arc<Schema>, Cell)> {
    let named = |ty, name: &str| Schema::of(ty).name(name.to_owned()).version(1);
    let data = |name: &str| format!("io.debezium.data.{name}");
    let time = |name: &str| format!("io.debezium.time.{name}");
    let connect = |name: &str| format!("org.apache.kafka.connect.data.{name}");
    let plain = |ty| Schema::of(ty);
    let (text, bytes) = (arena.text("infinity"), arena.bytes(&[0xFF, 0, 1]));
    let mut types = vec![
        (plain(Type::Bool), Cell::Bool(true)),
        (plain(Type::Int16), Cell::Int(i16::MIN.into())),
        (plain(Type::Int32), Cell::Int(i32::MIN.into())),
        (plain(Type::Int64), Cell::Int(i64::MIN)),
        (plain(Type::Float32), Cell::Float(f32::MAX.into())),
        (plain(Type::Float64), Cell::Float(f64::NEG_INFINITY)),
        (plain(Type::Text), text),
        (plain(Type::Bytes), bytes),
        (
            named(Type::Bytes, &data("Bits")).parameter("length", "2147483647"),
            bytes,
        ),
        (
            named(Type::Bytes, &connect("Decimal")).parameter("scale", "0"),
            bytes,
        ),
        (
            named(Type::Bytes, &connect("Decimal"))
                .parameter("scale", "2")
                .parameter("connect.decimal.precision", "10"),
            bytes,
        ),
        (named(Type::Int32, &connect("Date")), Cell::Int(-719_528)),
        (named(Type::Int32, &connect("Time")), Cell::Int(86_400_000)),
        (named(Type::Int64, &connect("Timestamp")), Cell::Int(-1)),
        (
            named(Type::Text, &data("Enum")).parameter("allowed", "a,b,ä\""),
            text,
        ),
        (
            named(Type::Int64, &time("MicroDuration")),
            Cell::Int(i64::MAX),
        ),
    ];
    for name in ["Json", "Xml", "Uuid", "Ltree", "Tsvector"] {
        types.push((named(Type::Text, &data(name)), text));
    }
    types.extend(debezium_times(arena));
    types.extend(debezium_structs(arena));
    let mut done = Vec::new();
    for (builder, cell) in types {
        let schema = builder
            .parameter("__debezium.source.column.type", "X")
            .build();
        let item = Schema {
            optional: true,
            ..Schema::clone(&schema)
        };
        let list = arena.block_of(&[Cell::Null, cell]).array();
        done.push((
            Schema::of(Type::Array(Arc::new(item))).optional().build(),
            list,
        ));
        done.push((schema, cell));
    }
    done
}

/// Debezium's own temporal types.
fn debezium_times(arena: &mut Arena) -> Vec<(SchemaBuilder, Cell)> {
    let named = |ty, name: &str| Schema::of(ty).name(name.to_owned()).version(1);
    let time = |name: &str| format!("io.debezium.time.{name}");
    let text = arena.text("-infinity");
    let mut types = Vec::new();
    for name in [
        "ZonedTimestamp",
        "ZonedTime",
        "Interval",
        "IsoDate",
        "IsoTime",
        "IsoTimestamp",
    ] {
        types.push((named(Type::Text, &time(name)), text));
    }
    for name in ["Date", "Time"] {
        types.push((named(Type::Int32, &time(name)), Cell::Int(i32::MAX.into())));
    }
    for name in [
        "MicroTime",
        "NanoTime",
        "Timestamp",
        "MicroTimestamp",
        "NanoTimestamp",
    ] {
        types.push((
            named(Type::Int64, &time(name)),
            Cell::Int(9_223_372_036_825_200_000),
        ));
    }
    types
}

/// What Debezium writes as structs, arrays and maps.
fn debezium_structs(arena: &mut Arena) -> Vec<(SchemaBuilder, Cell)> {
    let named = |ty, name: &str| Schema::of(ty).name(name.to_owned()).version(1);
    let data = |name: &str| format!("io.debezium.data.{name}");
    let plain = |ty| Schema::of(ty);
    let (text, bytes) = (arena.text("infinity"), arena.bytes(&[0xFF, 0, 1]));
    let mut types = Vec::new();
    let structs =
        |name: &str, fields: Vec<Field>| Schema::structure(fields).name(name.to_owned()).version(1);
    let double = || Schema::of(Type::Float64).build();
    let wkb = || {
        vec![
            field("wkb", Schema::of(Type::Bytes).build()),
            field("srid", Schema::of(Type::Int32).optional().build()),
        ]
    };
    let point = [vec![field("x", double()), field("y", double())], wkb()].concat();
    let cell = arena
        .block_of(&[Cell::Float(1.5), Cell::Float(-0.0), bytes, Cell::Null])
        .structure();
    types.push((structs("io.debezium.data.geometry.Point", point), cell));
    let cell = arena.block_of(&[bytes, Cell::Int(4326)]).structure();
    types.push((structs("io.debezium.data.geometry.Geography", wkb()), cell));
    let variable = vec![
        field("scale", Schema::of(Type::Int32).build()),
        field("value", Schema::of(Type::Bytes).build()),
    ];
    let cell = arena.block_of(&[Cell::Int(4), bytes]).structure();
    types.push((structs(&data("VariableScaleDecimal"), variable), cell));
    let dimension = || Schema::of(Type::Int16).build();
    let sparse = vec![
        field("dimensions", dimension()),
        field(
            "vector",
            Schema::of(Type::Map(dimension(), double())).build(),
        ),
    ];
    let map = arena
        .block_of(&[
            Cell::Int(1),
            Cell::Float(0.5),
            Cell::Int(i16::MAX.into()),
            Cell::Float(1.0),
        ])
        .map();
    let cell = arena.block_of(&[Cell::Int(9), map]).structure();
    types.push((structs(&data("SparseDoubleVector"), sparse), cell));
    let cell = arena
        .block_of(&[Cell::Float(1.0), Cell::Float(2.0)])
        .array();
    types.push((named(Type::Array(double()), &data("DoubleVector")), cell));
    types.push((
        named(
            Type::Array(Schema::of(Type::Float32).build()),
            &data("FloatVector"),
        ),
        cell,
    ));
    let cell = arena.block_of(&[text, Cell::Null]).map();
    types.push((
        plain(Type::Map(
            Schema::string(),
            Schema::of(Type::Text).optional().build(),
        )),
        cell,
    ));
    types
}

#[test]
fn every_debezium_type_and_its_array_is_what_apache_reads_and_comes_back_equal() {
    let mut arena = Arena::default();
    let types = debezium_types(&mut arena);
    for (schema, cell) in &types {
        let field = field("f", Arc::clone(schema));
        let outer = Schema::structure(vec![field])
            .name("t.public.a.Value")
            .build();
        let cell = arena.block_of(&[*cell]).structure();
        round_trip(&outer, &arena, cell);
    }
    // All together, too: each named type is defined once and referred to afterwards.
    let fields = types
        .iter()
        .enumerate()
        .map(|(at, (schema, _))| field(&format!("f{at}"), Arc::clone(schema)));
    let outer = Schema::structure(fields.collect())
        .name("t.public.a.Value")
        .build();
    let cells = types.iter().map(|(_, cell)| *cell).collect::<Vec<_>>();
    let cell = arena.block_of(&cells).structure();
    round_trip(&outer, &arena, cell);
    println!(
        "avro: {} Debezium types and arrays of them equal in Apache's decoder and ours",
        types.len()
    );
}
