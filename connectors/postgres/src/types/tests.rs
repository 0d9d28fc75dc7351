//! Codecs by their boundary values: text and binary form give the same cell, and that cell is the mapping's.

use super::{
    catalog::TypeCatalog,
    codec::Codec,
    mapping::{Declared, map},
    oids,
    semantic::ColumnType,
    value::{Fault, Raw, Sink},
};
use crate::options::{
    BinaryMode, DecimalMode, HstoreMode, IntervalMode, MappingOptions, TimePrecision,
};
use proptest::prelude::*;
use tapline_sdk::{Arena, Type, Value};

fn lossless() -> MappingOptions {
    MappingOptions::lossless("t", "d")
}

fn debezium() -> MappingOptions {
    MappingOptions::debezium("t", "d")
}

fn mapped(options: &MappingOptions, oid: u32, typmod: i32) -> ColumnType {
    let declared = Declared {
        oid,
        typmod,
        dimensions: 0,
    };
    map(&catalog(), options, declared).expect("the type is mapped")
}

/// Types that are not plain by oid.
fn catalog() -> TypeCatalog {
    let mut types = TypeCatalog::default();
    for row in [
        "1007|pg_catalog|_int4|b|23|,|0|-1|∅|∅",
        "23|pg_catalog|int4|b|0|,|0|-1|∅|∅",
        "1231|pg_catalog|_numeric|b|1700|,|0|-1|∅|∅",
        "1700|pg_catalog|numeric|b|0|,|0|-1|∅|∅",
        "600|pg_catalog|point|b|0|,|0|-1|∅|∅",
        "9000|public|hstore|b|0|,|0|-1|∅|∅",
        "9001|public|mood|e|0|,|0|-1|{sad,ok}|∅",
        "9002|public|felt|d|0|,|9001|-1|∅|∅",
        "9003|public|vector|b|0|,|0|-1|∅|∅",
        "9004|public|sparsevec|b|0|,|0|-1|∅|∅",
        "9005|public|geometry|b|0|:|0|-1|∅|∅",
        "9006|public|pair|c|0|,|0|-1|∅|∅",
        "9007|public|_pair|b|9006|,|0|-1|∅|∅",
        "3904|pg_catalog|int4range|r|0|,|0|-1|∅|∅",
        "790|pg_catalog|money|b|0|,|0|-1|∅|2",
    ] {
        let row: Vec<Option<&str>> = row
            .split('|')
            .map(|cell| (cell != "∅").then_some(cell))
            .collect();
        types.insert(&row).expect("a type");
    }
    types
}

/// The value as debug text, which is equal for NaN, too.
fn decode(codec: &Codec, raw: Raw<'_>) -> Result<String, Fault> {
    let (mut arena, mut scratch) = (Arena::default(), Vec::new());
    let sink = &mut Sink {
        arena: &mut arena,
        scratch: &mut scratch,
    };
    let cell = codec.decode(sink, raw)?;
    Ok(show(arena.value(cell)))
}

fn show(value: Value<'_>) -> String {
    let all = |cells: tapline_sdk::Cells<'_>| {
        let shown: Vec<String> = cells.iter().map(show).collect();
        format!("({})", shown.join(" "))
    };
    match value {
        Value::Null => "∅".to_owned(),
        Value::Unavailable => "?".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => format!("{value:?}"),
        Value::Text(text) => text.to_owned(),
        Value::Bytes(bytes) => format!("{bytes:?}"),
        Value::Array(cells) | Value::Map(cells) | Value::Struct(cells) => all(cells),
    }
}

fn text(column: &ColumnType, value: &str) -> String {
    decode(&column.codec, Raw::Text(value.as_bytes())).expect(value)
}

/// Asserts that both forms give `expected`.
fn both(column: &ColumnType, value: &str, binary: &[u8], expected: &str) {
    assert_eq!(text(column, value), expected, "text {value}");
    let copied = decode(&column.codec, Raw::Binary(binary)).expect(value);
    assert_eq!(copied, expected, "binary {value}");
}

#[test]
fn whole_numbers_reach_their_bounds() {
    let column = |oid| mapped(&lossless(), oid, -1);
    for value in [i16::MIN, -1, 0, i16::MAX] {
        let shown = value.to_string();
        both(&column(oids::INT2), &shown, &value.to_be_bytes(), &shown);
    }
    for value in [i32::MIN, -1, 0, i32::MAX] {
        let shown = value.to_string();
        both(&column(oids::INT4), &shown, &value.to_be_bytes(), &shown);
    }
    for value in [i64::MIN, -999_999_999_999_999_999, -1, 0, i64::MAX] {
        let shown = value.to_string();
        both(&column(oids::INT8), &shown, &value.to_be_bytes(), &shown);
    }
    both(
        &column(oids::OID),
        "4294967295",
        &u32::MAX.to_be_bytes(),
        "4294967295",
    );
    for wrong in ["", "-", "1a", "9223372036854775808", " 1", "１"] {
        let codec = column(oids::INT8).codec;
        assert!(
            decode(&codec, Raw::Text(wrong.as_bytes())).is_err(),
            "{wrong}"
        );
    }
    assert!(decode(&column(oids::INT4).codec, Raw::Binary(&[1, 2, 3])).is_err());
}

#[test]
fn floats_keep_nan_infinities_and_the_last_bit() {
    let column = mapped(&lossless(), oids::FLOAT8, -1);
    for (value, number) in [
        ("NaN", f64::NAN),
        ("-Infinity", f64::NEG_INFINITY),
        ("-0", -0.0),
        ("5e-324", 5e-324),
        ("1.7976931348623157e+308", f64::MAX),
    ] {
        both(
            &column,
            value,
            &number.to_be_bytes(),
            &format!("{number:?}"),
        );
    }
    let column = mapped(&lossless(), oids::FLOAT4, -1);
    both(
        &column,
        "0.1",
        &0.1_f32.to_be_bytes(),
        &format!("{:?}", f64::from(0.1_f32)),
    );
}

#[test]
fn dates_wrap_at_the_infinities_as_in_the_stream() {
    let column = mapped(&lossless(), oids::DATE, -1);
    for (value, days, expected) in [
        ("1970-01-01", -10_957, "0"),
        ("2000-03-01", 60, "11017"),
        ("1582-10-10", -152389, "-141432"),
        ("0001-12-31 BC", -730_120, "-719163"),
        ("4714-11-24 BC", -2_451_545, "-2440588"),
        ("5874897-12-31", 2_145_031_948, "2145042905"),
        ("infinity", i32::MAX, "-2147472692"),
        ("-infinity", i32::MIN, "-2147472691"),
    ] {
        both(&column, value, &i32::to_be_bytes(days), expected);
    }
    let iso = MappingOptions {
        time: TimePrecision::IsoString,
        ..debezium()
    };
    let column = mapped(&iso, oids::DATE, -1);
    assert_eq!(text(&column, "2017-09-15"), "2017-09-15Z");
    for wrong in [
        "2000-13-01",
        "2000-01-32",
        "200-01-01",
        "2000-01-01x",
        "2000-01",
    ] {
        assert!(
            decode(&column.codec, Raw::Text(wrong.as_bytes())).is_err(),
            "{wrong}"
        );
    }
}

#[test]
fn timestamps_have_sentinels_and_wrap_past_2_63() {
    let column = mapped(&lossless(), oids::TIMESTAMP, -1);
    for (value, at, expected) in [
        ("1970-01-01 00:00:00", -946_684_800_000_000, "0"),
        ("1969-12-31 23:59:59.999999", -946_684_800_000_001, "-1"),
        ("infinity", i64::MAX, "9223372036825200000"),
        ("-infinity", i64::MIN, "-9223372036832400000"),
        (
            "4714-11-24 00:00:00 BC",
            -211_813_488_000_000_000,
            "-210866803200000000",
        ),
        // Postgres' last microsecond: 2^64 less than the true number.
        (
            "294276-12-31 23:59:59.999999",
            9_223_371_331_199_999_999,
            "-9222426057709551617",
        ),
    ] {
        both(&column, value, &i64::to_be_bytes(at), expected);
    }
    // The one value that means infinity is refused, not turned into it.
    let same_as_infinity = 9_223_372_036_825_200_000_i64 - 946_684_800_000_000;
    assert!(decode(&column.codec, Raw::Binary(&same_as_infinity.to_be_bytes())).is_err());
}

#[test]
fn time_precision_decides_unit_and_name() {
    let at = "2016-11-04 13:51:30.123";
    for (mode, typmod, name, expected) in [
        (
            TimePrecision::Adaptive,
            3,
            "io.debezium.time.Timestamp",
            "1478267490123",
        ),
        (
            TimePrecision::Adaptive,
            6,
            "io.debezium.time.MicroTimestamp",
            "1478267490123000",
        ),
        (
            TimePrecision::Connect,
            6,
            "org.apache.kafka.connect.data.Timestamp",
            "1478267490123",
        ),
        (
            TimePrecision::Nanoseconds,
            6,
            "io.debezium.time.NanoTimestamp",
            "1478267490123000000",
        ),
        (
            TimePrecision::Microseconds,
            0,
            "io.debezium.time.MicroTimestamp",
            "1478267490123000",
        ),
        (
            TimePrecision::IsoString,
            6,
            "io.debezium.time.IsoTimestamp",
            "2016-11-04T13:51:30.123Z",
        ),
    ] {
        let options = MappingOptions {
            time: mode,
            ..debezium()
        };
        let column = mapped(&options, oids::TIMESTAMP, typmod);
        assert_eq!(text(&column, at), expected, "{mode:?}");
        assert_eq!(column.schema().build().name.as_deref(), Some(name));
    }
    let nanos = MappingOptions {
        time: TimePrecision::Nanoseconds,
        ..debezium()
    };
    let column = mapped(&nanos, oids::TIMESTAMP, 6);
    let out_of_range = decode(&column.codec, Raw::Text(b"2300-01-01 00:00:00"));
    assert!(matches!(out_of_range, Err(Fault::Unrepresentable(_))));
    let connect = MappingOptions {
        time: TimePrecision::Connect,
        ..debezium()
    };
    let column = mapped(&connect, oids::TIME, 6);
    assert_eq!(text(&column, "04:05:06.789999"), "14706789");
}

#[test]
fn times_of_day_include_24_00() {
    let column = mapped(&debezium(), oids::TIME, -1);
    both(
        &column,
        "24:00:00",
        &86_400_000_000_i64.to_be_bytes(),
        "86400000000",
    );
    both(
        &column,
        "04:05:06.7",
        &14_706_700_000_i64.to_be_bytes(),
        "14706700000",
    );
    let column = mapped(&debezium(), oids::TIMETZ, -1);
    let binary = |time: i64, west: i32| {
        let mut bytes = time.to_be_bytes().to_vec();
        bytes.extend(west.to_be_bytes());
        bytes
    };
    both(
        &column,
        "04:05:06.789+02",
        &binary(14_706_789_000, -7200),
        "02:05:06.789Z",
    );
    both(
        &column,
        "24:00:00+00",
        &binary(86_400_000_000, 0),
        "00:00:00Z",
    );
    both(
        &column,
        "00:00:00+15:59:59",
        &binary(0, -57_599),
        "08:00:01Z",
    );
    // Our own class keeps the zone.
    assert_eq!(
        text(&mapped(&lossless(), oids::TIMETZ, -1), "04:05:06+02"),
        "04:05:06+02"
    );
}

#[test]
fn zoned_timestamps_are_padded_to_the_column_s_digits() {
    let at = |us: i64| us.to_be_bytes();
    let column = mapped(&debezium(), oids::TIMESTAMPTZ, -1);
    let us = 531670290123400_i64;
    both(
        &column,
        "2016-11-05 14:11:30.1234+00",
        &at(us),
        "2016-11-05T14:11:30.123400Z",
    );
    both(&column, "infinity", &at(i64::MAX), "infinity");
    both(&column, "-infinity", &at(i64::MIN), "-infinity");
    both(
        &column,
        "294276-12-31 23:59:59.999999+00",
        &at(9_223_371_331_199_999_999),
        "+294276-12-31T23:59:59.999999Z",
    );
    both(
        &column,
        "0044-03-15 12:00:00+00 BC",
        &at(-64_464_465_600_000_000),
        "-0043-03-15T12:00:00.000000Z",
    );
    let column = mapped(&debezium(), oids::TIMESTAMPTZ, 0);
    assert_eq!(
        text(&column, "2016-11-04 13:51:30+00"),
        "2016-11-04T13:51:30Z"
    );
    let column = mapped(&debezium(), oids::TIMESTAMPTZ, 2);
    assert_eq!(
        text(&column, "2016-11-04 13:51:30+00"),
        "2016-11-04T13:51:30.00Z"
    );
    assert!(decode(&column.codec, Raw::Text(b"2016-11-04 13:51:30+02")).is_err());
}

/// numeric's binary form, written independently of the reader: groups of four digits around the point.
fn numeric_binary(value: &str) -> Vec<u8> {
    let special = match value {
        "NaN" => Some(0xc000_u16),
        "Infinity" => Some(0xd000),
        "-Infinity" => Some(0xf000),
        _ => None,
    };
    if let Some(sign) = special {
        return [0, 0, sign, 0]
            .iter()
            .flat_map(|word: &u16| word.to_be_bytes())
            .collect();
    }
    let (sign, digits) = match value.strip_prefix('-') {
        Some(digits) => (0x4000_u16, digits),
        None => (0, value),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let padded = format!("{}{whole}", "0".repeat((4 - whole.len() % 4) % 4));
    let tail = format!("{fraction}{}", "0".repeat((4 - fraction.len() % 4) % 4));
    let group = |at: &[u8]| str::from_utf8(at).unwrap().parse::<u16>().unwrap();
    let mut weight = padded.len() as i16 / 4 - 1;
    let mut groups: Vec<u16> = padded.as_bytes().chunks(4).map(group).collect();
    groups.extend(tail.as_bytes().chunks(4).map(group));
    while groups.first() == Some(&0) {
        groups.remove(0);
        weight -= 1;
    }
    while groups.last() == Some(&0) {
        groups.pop();
    }
    let weight = if groups.is_empty() { 0 } else { weight };
    let header = [
        groups.len() as u16,
        weight as u16,
        sign,
        fraction.len() as u16,
    ];
    let words = header.iter().chain(&groups);
    words.flat_map(|word| word.to_be_bytes()).collect()
}

#[test]
fn numerics_are_exact_text_or_debezium_s_forms() {
    let exact = mapped(&lossless(), oids::NUMERIC, -1);
    for value in [
        "0",
        "0.00",
        "-1.50",
        "10000",
        "100000000.0001",
        "0.000000001",
        "NaN",
        "Infinity",
        "-Infinity",
        "12345678901234567890123456789.123456789",
    ] {
        both(&exact, value, &numeric_binary(value), value);
    }
    let precise = mapped(&debezium(), oids::NUMERIC, (10 << 16 | 2) + 4);
    for (value, expected) in [
        ("0.00", vec![0]),
        ("1.27", vec![127]),
        ("1.28", vec![0, 128]),
        ("-1.28", vec![128]),
        ("-1.29", vec![255, 127]),
        ("99999999.99", vec![2, 84, 11, 227, 255]),
    ] {
        both(
            &precise,
            value,
            &numeric_binary(value),
            &format!("{expected:?}"),
        );
    }
    let nan = decode(&precise.codec, Raw::Text(b"NaN"));
    assert!(matches!(nan, Err(Fault::Unrepresentable(_))));
    let schema = precise.schema().build();
    assert_eq!(schema.parameter("scale"), Some("2"));
    assert_eq!(schema.parameter("connect.decimal.precision"), Some("10"));
    let variable = mapped(&debezium(), oids::NUMERIC, -1);
    both(
        &variable,
        "123.4500",
        &numeric_binary("123.4500"),
        "(2 [48, 57])",
    );
    both(&variable, "1000", &numeric_binary("1000"), "(0 [3, 232])");
    let negative_scale = mapped(&debezium(), oids::NUMERIC, (5 << 16 | (0x7ff & -2)) + 4);
    assert_eq!(
        negative_scale.schema().build().parameter("scale"),
        Some("0")
    );
    assert_eq!(text(&negative_scale, "12300"), "[48, 12]");
    let with = |decimal| MappingOptions {
        decimal,
        ..debezium()
    };
    let named = mapped(&with(DecimalMode::String), oids::NUMERIC, -1);
    both(
        &named,
        "-Infinity",
        &numeric_binary("-Infinity"),
        "NEGATIVE_INFINITY",
    );
    let double = mapped(&with(DecimalMode::Double), oids::NUMERIC, -1);
    both(&double, "1.50", &numeric_binary("1.50"), "1.5");
}

#[test]
fn money_is_a_number_whatever_the_locale_prints() {
    let exact = mapped(&lossless(), oids::MONEY, -1);
    both(
        &exact,
        "-$1,234.50",
        &numeric_binary("-1234.50"),
        "-1234.50",
    );
    for (value, expected) in [
        ("$0.05", "0.05"),
        ("($12.34)", "-12.34"),
        ("-92.233.720.368.547.758,08 €", "-92233720368547758.08"),
        ("\u{2212}1 234,50 kr", "-1234.50"),
        ("$0.00", "0.00"),
    ] {
        assert_eq!(text(&exact, value), expected);
    }
    let precise = mapped(&debezium(), oids::MONEY, -1);
    assert_eq!(text(&precise, "$1.28"), "[0, 128]");
}

#[test]
fn bytes_come_in_every_mode() {
    for (binary, expected) in [
        (BinaryMode::Bytes, "[1, 2, 255]"),
        (BinaryMode::Base64, "AQL/"),
        (BinaryMode::Base64UrlSafe, "AQL_"),
        (BinaryMode::Hex, "0102ff"),
    ] {
        let options = MappingOptions {
            binary,
            ..debezium()
        };
        both(
            &mapped(&options, oids::BYTEA, -1),
            "\\x0102ff",
            &[1, 2, 255],
            expected,
        );
    }
    let base64 = MappingOptions {
        binary: BinaryMode::Base64,
        ..debezium()
    };
    let column = mapped(&base64, oids::BYTEA, -1);
    assert_eq!(text(&column, "\\x01"), "AQ==");
    assert_eq!(text(&column, "\\x0102"), "AQI=");
    assert_eq!(text(&column, "\\x"), "");
    for wrong in ["0102", "\\x0", "\\x0g"] {
        assert!(
            decode(&column.codec, Raw::Text(wrong.as_bytes())).is_err(),
            "{wrong}"
        );
    }
}

#[test]
fn bits_are_little_endian_and_trimmed() {
    let column = mapped(&debezium(), oids::BIT, 7);
    assert_eq!(text(&column, "1000000"), "[64]");
    assert_eq!(text(&column, "0000000"), "[]");
    assert_eq!(
        text(&mapped(&debezium(), oids::VARBIT, -1), "100000001"),
        "[1, 1]"
    );
    assert_eq!(text(&mapped(&debezium(), oids::BIT, 1), "1"), "true");
    assert_eq!(
        text(&mapped(&lossless(), oids::BIT, 7), "1000000"),
        "1000000"
    );
}

#[test]
fn text_like_types_take_both_forms() {
    let jsonb = mapped(&lossless(), oids::JSONB, -1);
    both(&jsonb, "{\"a\": 1}", b"\x01{\"a\": 1}", "{\"a\": 1}");
    assert!(decode(&jsonb.codec, Raw::Binary(b"\x02{}")).is_err());
    let uuid = mapped(&lossless(), oids::UUID, -1);
    let expected = "00010203-0405-0607-0809-0a0b0c0d0e0f";
    both(&uuid, expected, &(0..16).collect::<Vec<u8>>(), expected);
    let bytes = decode(
        &mapped(&lossless(), oids::TEXT, -1).codec,
        Raw::Text(b"a\xff"),
    );
    assert!(matches!(bytes, Err(Fault::Record(_))));
}

#[test]
fn enums_and_domains_over_them_know_their_labels() {
    for oid in [9001, 9002] {
        let column = mapped(&debezium(), oid, -1);
        both(&column, "sad", b"sad", "sad");
        let unknown = decode(&column.codec, Raw::Text(b"new"));
        assert_eq!(unknown, Err(Fault::UnknownLabel(9001, "new".to_owned())));
        assert_eq!(column.schema().build().parameter("allowed"), Some("sad,ok"));
    }
}

#[test]
fn hstore_is_json_a_map_or_its_text() {
    let value = r#""a"=>"1", "b\"\\"=>NULL, ""=>"x
y""#;
    assert_eq!(
        text(&mapped(&debezium(), 9000, -1), value),
        r#"{"a":"1","b\"\\":null,"":"x\ny"}"#
    );
    let map = MappingOptions {
        hstore: HstoreMode::Map,
        ..debezium()
    };
    assert_eq!(
        text(&mapped(&map, 9000, -1), r#""a"=>"1", "b"=>NULL"#),
        "(a 1 b ∅)"
    );
    assert_eq!(text(&mapped(&debezium(), 9000, -1), ""), "{}");
    assert_eq!(text(&mapped(&lossless(), 9000, -1), value), value);
}

#[test]
fn arrays_are_items_under_debezium_and_text_in_our_own_class() {
    let ints = mapped(&debezium(), 1007, -1);
    assert_eq!(text(&ints, "{1,NULL,-3}"), "(1 ∅ -3)");
    assert!(matches!(
        decode(&ints.codec, Raw::Text(b"{{1,2},{3,4}}")),
        Err(Fault::Unrepresentable(_))
    ));
    let declared = Declared {
        oid: 1007,
        typmod: -1,
        dimensions: 2,
    };
    let nested = map(&catalog(), &debezium(), declared).expect("an array");
    assert_eq!(text(&nested, "{{1,2},{3,NULL}}"), "((1 2) (3 ∅))");
    let Type::Array(inner) = nested.schema().build().ty.clone() else {
        panic!("not an array");
    };
    assert!(matches!(inner.ty, Type::Array(_)));
    assert_eq!(
        text(&mapped(&debezium(), 9007, -1), r#"{"(1,x)"}"#),
        "((1,x))"
    );
    assert_eq!(
        text(&mapped(&lossless(), 1007, -1), "[2:3]={5,6}"),
        "[2:3]={5,6}"
    );
}

#[test]
fn geometry_and_vectors_are_debezium_s_structs() {
    assert_eq!(
        text(&mapped(&debezium(), oids::POINT, -1), "(1.5,-2)"),
        "(1.5 -2.0 [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 248, 63, 0, 0, 0, 0, 0, 0, 0, 192] ∅)"
    );
    let ewkb = "0101000020E6100000000000000000F03F000000000000F03F";
    let shown = text(&mapped(&debezium(), 9005, -1), ewkb);
    assert!(shown.ends_with(" 4326)"), "{shown}");
    assert_eq!(
        text(&mapped(&debezium(), 9003, -1), "[1,2.5,-3]"),
        "(1.0 2.5 -3.0)"
    );
    let sparse = mapped(&debezium(), 9004, -1);
    assert_eq!(
        text(&sparse, "{1:201,9:209}/3000"),
        "(3000 (1 201.0 9 209.0))"
    );
    assert!(decode(&sparse.codec, Raw::Text(b"{}/40000")).is_err());
}

#[test]
fn what_debezium_does_not_know_is_left_out_or_bytes() {
    let declared = Declared {
        oid: 9006,
        typmod: -1,
        dimensions: 0,
    };
    assert!(map(&catalog(), &debezium(), declared).is_none());
    let unknown = MappingOptions {
        include_unknown: true,
        ..debezium()
    };
    assert_eq!(
        text(&mapped(&unknown, 9006, -1), "(1,x)"),
        "[40, 49, 44, 120, 41]"
    );
    assert_eq!(text(&mapped(&lossless(), 9006, -1), "(1,x)"), "(1,x)");
    assert_eq!(text(&mapped(&debezium(), 3904, -1), "[1,5)"), "[1,5)");
}

#[test]
fn intervals_follow_their_mode() {
    let value = "1 year 2 mons 3 days 04:05:06.78";
    assert_eq!(text(&mapped(&lossless(), oids::INTERVAL, -1), value), value);
    assert_eq!(
        text(&mapped(&debezium(), oids::INTERVAL, -1), value),
        "37091106780000"
    );
    let string = MappingOptions {
        interval: IntervalMode::String,
        ..debezium()
    };
    assert_eq!(
        text(&mapped(&string, oids::INTERVAL, -1), value),
        "P1Y2M3DT4H5M6.78S"
    );
}

proptest! {
    #[test]
    fn any_numeric_is_the_same_from_both_forms(
        value in "-?(0|[1-9][0-9]{0,60})(\\.[0-9]{1,40})?"
    ) {
        let zero = value.bytes().all(|byte| matches!(byte, b'-' | b'0' | b'.'));
        let value = if zero { value.trim_start_matches('-') } else { &value };
        both(&mapped(&lossless(), oids::NUMERIC, -1), value, &numeric_binary(value), value);
    }

    #[test]
    fn any_decimal_is_its_number_in_two_s_complement(number: i128) {
        let column = mapped(&debezium(), oids::NUMERIC, 38 << 16 | 4);
        let (mut arena, mut scratch) = (Arena::default(), Vec::new());
        let sink = &mut Sink { arena: &mut arena, scratch: &mut scratch };
        let text = number.to_string();
        let cell = column.codec.decode(sink, Raw::Text(text.as_bytes())).unwrap();
        let bytes = arena.raw(cell);
        let fill = if number < 0 { 0xff } else { 0 };
        let mut wide = [fill; 16];
        wide[16 - bytes.len()..].copy_from_slice(bytes);
        prop_assert_eq!(i128::from_be_bytes(wide), number);
        // As short as it goes: Java's BigInteger is, and keys must not differ by padding.
        if let [first, second, ..] = bytes {
            prop_assert!(!(*first == fill && (second ^ fill) < 0x80));
        }
    }

    #[test]
    fn any_timestamp_is_the_same_from_both_forms(at in -211_813_488_000_000_000_i64..9_223_371_331_200_000_000) {
        let iso = mapped(&debezium(), oids::TIMESTAMPTZ, -1);
        let shown = decode(&iso.codec, Raw::Binary(&at.to_be_bytes())).unwrap();
        let text = postgres_text(&shown);
        prop_assert_eq!(decode(&iso.codec, Raw::Text(text.as_bytes())).unwrap(), shown);
        let plain = text.replace("+00", "");
        let micros = mapped(&lossless(), oids::TIMESTAMP, -1);
        let both = [Raw::Text(plain.as_bytes()), Raw::Binary(&at.to_be_bytes())];
        let [a, b] = both.map(|raw| decode(&micros.codec, raw).unwrap());
        prop_assert_eq!(&a, &b);
        prop_assert_eq!(a.parse::<i64>().unwrap().wrapping_sub(946_684_800_000_000), at);
    }

    #[test]
    fn days_are_those_of_another_calendar(days in -4_371_953_i32..2_921_939) {
        let date = jiff::civil::date(2000, 1, 1) + jiff::Span::new().days(days);
        let civil = super::calendar::Civil::from_days(days.into());
        let ours = (civil.year, civil.month as i8, civil.day as i8);
        prop_assert_eq!(ours, (date.year().into(), date.month(), date.day()));
        prop_assert_eq!(civil.to_days(), i64::from(days));
    }

    #[test]
    fn no_text_makes_a_codec_panic(text in "\\PC{0,24}", oid in prop::sample::select(OIDS)) {
        for options in [lossless(), debezium()] {
            let column = mapped(&options, oid, -1);
            let _either = decode(&column.codec, Raw::Text(text.as_bytes()));
        }
    }

    #[test]
    fn no_bytes_make_a_codec_panic(bytes: Vec<u8>, oid in prop::sample::select(OIDS)) {
        for options in [lossless(), debezium()] {
            let column = mapped(&options, oid, -1);
            let _either = decode(&column.codec, Raw::Binary(&bytes));
            let _either = decode(&column.codec, Raw::Text(&bytes));
        }
    }
}

const OIDS: &[u32] = &[
    16, 17, 18, 19, 20, 21, 22, 23, 25, 26, 114, 600, 700, 701, 790, 1007, 1082, 1083, 1114, 1184,
    1186, 1231, 1266, 1560, 1562, 1700, 2950, 3802, 9000, 9001, 9003, 9004, 9005,
];

/// What Postgres prints for a `ZonedTimestamp`.
fn postgres_text(iso: &str) -> String {
    let body = iso
        .trim_end_matches('Z')
        .trim_start_matches('+')
        .replace('T', " ");
    let body = body.trim_end_matches('0').trim_end_matches('.');
    // Trimming zeros may have eaten into the seconds of a whole one.
    let whole = iso.contains(".000000");
    let body = if whole {
        iso.trim_start_matches('+')
            .replace('T', " ")
            .split('.')
            .next()
            .unwrap()
            .to_owned()
    } else {
        body.to_owned()
    };
    match body.strip_prefix('-') {
        Some(negative) => {
            let (year, rest) = negative.split_once('-').unwrap();
            let year: i64 = year.parse().unwrap();
            format!("{:04}-{rest}+00 BC", year + 1)
        }
        None => match body.strip_prefix("0000-") {
            Some(rest) => format!("0001-{rest}+00 BC"),
            None => format!("{body}+00"),
        },
    }
}
