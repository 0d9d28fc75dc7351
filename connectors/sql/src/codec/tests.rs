//! Codecs against texts that Postgres prints.

use super::{Codec, TargetType};
use proptest::prelude::*;
use std::sync::Arc;
use tapline_sdk::{Arena, Cell, Field, Schema, Type};

fn named(ty: Type, name: &str) -> Arc<Schema> {
    Schema::of(ty).name(name).build()
}

fn target(name: &str) -> TargetType {
    TargetType {
        name: name.to_owned(),
        element: name.strip_prefix('_').map(str::to_owned),
    }
}

fn written(
    schema: &Arc<Schema>,
    column: &str,
    make: impl FnOnce(&mut Arena) -> Cell,
) -> Result<String, String> {
    let mut arena = Arena::default();
    let cell = make(&mut arena);
    let mut out = Vec::new();
    match Codec::compile(schema, &target(column)).write(&arena, cell, &mut out) {
        Ok(()) => Ok(String::from_utf8(out).expect("codecs write text")),
        Err(error) => Err(error.reason),
    }
}

fn integer(ty: Type, name: &str, value: i64) -> String {
    written(&named(ty, name), "", |_| Cell::Int(value)).expect("written")
}

#[test]
fn dates_have_their_era_and_infinities() {
    let date = |days| integer(Type::Int32, "io.debezium.time.Date", days);
    assert_eq!(date(0), "1970-01-01");
    assert_eq!(date(-1), "1969-12-31");
    assert_eq!(date(11_016), "2000-02-29");
    assert_eq!(date(-719_162), "0001-01-01");
    assert_eq!(date(-719_163), "0001-12-31 BC");
    assert_eq!(date(-2_440_588), "4714-11-24 BC");
    assert_eq!(date(2_145_042_905), "5874897-12-31");
    assert_eq!(date(-2_147_472_692), "infinity");
    assert_eq!(date(-2_147_472_691), "-infinity");
}

#[test]
fn timestamps_have_their_unit_era_and_infinities() {
    let micros = |value| integer(Type::Int64, "io.debezium.time.MicroTimestamp", value);
    assert_eq!(micros(1), "1970-01-01 00:00:00.000001");
    assert_eq!(micros(-1), "1969-12-31 23:59:59.999999");
    assert_eq!(
        micros(-62_135_596_800_000_001),
        "0001-12-31 23:59:59.999999 BC"
    );
    assert_eq!(
        micros(9_223_371_331_199_999_999),
        "294247-01-01 23:59:59.999999"
    );
    assert_eq!(micros(9_223_372_036_825_200_000), "infinity");
    assert_eq!(micros(-9_223_372_036_832_400_000), "-infinity");
    assert_eq!(
        micros(-9_222_426_057_709_551_617),
        "294276-12-31 23:59:59.999999"
    );
    let millis = |value| integer(Type::Int64, "io.debezium.time.Timestamp", value);
    assert_eq!(millis(1_500), "1970-01-01 00:00:01.500000");
    assert_eq!(millis(9_223_372_036_825_200), "infinity");
    let nanos = |value| integer(Type::Int64, "io.debezium.time.NanoTimestamp", value);
    assert_eq!(nanos(-1_000), "1969-12-31 23:59:59.999999");
    assert_eq!(nanos(i64::MIN), "-infinity");
}

#[test]
fn times_end_at_midnight() {
    let time = |value| integer(Type::Int64, "io.debezium.time.MicroTime", value);
    assert_eq!(time(0), "00:00:00");
    assert_eq!(time(86_399_999_999), "23:59:59.999999");
    assert_eq!(time(86_400_000_000), "24:00:00");
    let schema = named(Type::Int64, "io.debezium.time.MicroTime");
    assert!(written(&schema, "time", |_| Cell::Int(86_400_000_001)).is_err());
    assert_eq!(
        integer(Type::Int64, "io.debezium.time.MicroDuration", -5),
        "-5 microseconds"
    );
}

#[test]
fn iso_texts_become_what_postgres_reads() {
    let schema = named(Type::Text, "io.debezium.time.ZonedTimestamp");
    let zoned =
        |text: &str| written(&schema, "timestamptz", |arena| arena.text(text)).expect("written");
    assert_eq!(
        zoned("2016-11-04T13:51:30.000000Z"),
        "2016-11-04T13:51:30.000000Z"
    );
    assert_eq!(
        zoned("+294276-12-31T23:59:59.999999Z"),
        "294276-12-31T23:59:59.999999Z"
    );
    assert_eq!(zoned("-0043-03-15T00:00:00Z"), "0044-03-15T00:00:00Z BC");
    assert_eq!(zoned("0000-12-31T00:00:00Z"), "0001-12-31T00:00:00Z BC");
    assert_eq!(zoned("infinity"), "infinity");
    assert_eq!(zoned("-infinity"), "-infinity");
}

#[test]
fn floats_keep_their_width_and_specials() {
    let float = |ty, value| written(&Schema::of(ty).build(), "", |_| Cell::Float(value));
    assert_eq!(
        float(Type::Float32, f64::from(0.1_f32)).as_deref(),
        Ok("0.1")
    );
    assert_eq!(float(Type::Float64, 0.1).as_deref(), Ok("0.1"));
    assert_eq!(float(Type::Float64, f64::NAN).as_deref(), Ok("NaN"));
    assert_eq!(
        float(Type::Float64, f64::INFINITY).as_deref(),
        Ok("Infinity")
    );
    assert_eq!(
        float(Type::Float32, f64::NEG_INFINITY).as_deref(),
        Ok("-Infinity")
    );
}

#[test]
fn decimals_of_any_length_are_exact() {
    let decimal = |scale: &str, bytes: &[u8]| {
        let schema = Schema::of(Type::Bytes)
            .name("org.apache.kafka.connect.data.Decimal")
            .parameter("scale", scale)
            .build();
        written(&schema, "numeric", |arena| arena.bytes(bytes)).expect("written")
    };
    assert_eq!(decimal("2", &[0x04, 0xd2]), "12.34");
    assert_eq!(decimal("2", &[0xff]), "-0.01");
    assert_eq!(decimal("0", &[0]), "0");
    assert_eq!(decimal("-2", &[5]), "500");
    assert_eq!(decimal("3", &[]), "0.000");
    let mut wide = vec![1];
    wide.extend([0; 17]);
    assert_eq!(
        decimal("0", &wide),
        "87112285931760246646623899502532662132736"
    );
    wide[0] = 0xff;
    assert_eq!(
        decimal("1", &wide),
        "-8711228593176024664662389950253266213273.6"
    );
}

proptest! {
    #[test]
    fn small_and_large_decimals_agree(value: i64, padding in 9_usize..30) {
        let fill = if value < 0 { 0xff } else { 0 };
        let mut bytes = vec![fill; padding];
        bytes.extend(value.to_be_bytes());
        let schema = Schema::of(Type::Bytes)
            .name("org.apache.kafka.connect.data.Decimal")
            .parameter("scale", "0")
            .build();
        prop_assert_eq!(written(&schema, "numeric", |arena| arena.bytes(&bytes)), Ok(value.to_string()));
    }
}

#[test]
fn bits_are_little_endian_and_padded() {
    let bits = |length: &str, column: &str, bytes: &[u8]| {
        let schema = Schema::of(Type::Bytes)
            .name("io.debezium.data.Bits")
            .parameter("length", length)
            .build();
        written(&schema, column, |arena| arena.bytes(bytes))
    };
    assert_eq!(bits("7", "bit", &[64]).as_deref(), Ok("1000000"));
    assert_eq!(bits("10", "bit", &[1, 2]).as_deref(), Ok("1000000001"));
    assert_eq!(bits("3", "bit", &[]).as_deref(), Ok("000"));
    assert_eq!(bits("2147483647", "varbit", &[5]).as_deref(), Ok("101"));
    assert!(bits("2", "bit", &[7]).is_err());
}

#[test]
fn arrays_quote_what_needs_it() {
    let item = Schema::of(Type::Text).optional().build();
    let schema = Schema::of(Type::Array(item)).build();
    let array = written(&schema, "_text", |arena| {
        let cells = ["a", "", "null", "b c", "\"\\", "{,}"].map(|text| arena.text(text));
        let mut cells = cells.to_vec();
        cells.push(Cell::Null);
        arena.block_of(&cells).array()
    });
    assert_eq!(
        array.as_deref(),
        Ok(r#"{a,"","null","b c","\"\\","{,}",NULL}"#)
    );
}

#[test]
fn nested_values_are_json() {
    let inner = Schema::structure(vec![
        Field {
            name: "d".into(),
            schema: named(Type::Int32, "io.debezium.time.Date"),
        },
        Field {
            name: "t".into(),
            schema: Schema::string(),
        },
    ]);
    let schema = Schema::of(Type::Array(inner.build())).build();
    let json = written(&schema, "jsonb", |arena| {
        let text = arena.text("a\"\n");
        let row = arena.block_of(&[Cell::Int(0), text]).structure();
        arena.block_of(&[row, Cell::Null]).array()
    });
    assert_eq!(
        json.as_deref(),
        Ok(r#"[{"d":"1970-01-01","t":"a\"\u000a"},null]"#)
    );
}

#[test]
fn maps_become_hstore_where_the_column_is_one() {
    let text = Schema::of(Type::Text).optional().build();
    let schema = Schema::of(Type::Map(Schema::string(), text)).build();
    let make = |arena: &mut Arena| {
        let cells = [
            arena.text("k\""),
            arena.text("v"),
            arena.text("n"),
            Cell::Null,
        ];
        arena.block_of(&cells).map()
    };
    assert_eq!(
        written(&schema, "hstore", make).as_deref(),
        Ok(r#""k\""=>"v", "n"=>NULL"#)
    );
    assert_eq!(
        written(&schema, "jsonb", make).as_deref(),
        Ok(r#"{"k\"":"v","n":null}"#)
    );
}

#[test]
fn a_nul_is_refused() {
    let nul = written(&Schema::string(), "text", |arena| arena.text("a\0b"));
    assert!(nul.is_err_and(|reason| reason.contains("NUL")));
}

#[test]
fn a_value_of_another_type_than_the_schema_is_refused() {
    let wrong = written(&Schema::of(Type::Int32).build(), "int4", |arena| {
        arena.text("1")
    });
    assert!(wrong.is_err());
}
