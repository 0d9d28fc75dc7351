//! Resolution by tables, each refusal with its reason, and against apache-avro's checker.

#![expect(clippy::too_many_lines, reason = "a table has a row for every rule")]

use super::{Budget, differences, parse_new, parse_stored};
use crate::avro::AvroSchema;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
use fastrand::Rng;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::HashSet;

fn schema(text: &str) -> AvroSchema {
    parse_new(text, &[], &mut Budget::default()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The reasons why `reader` cannot read `writer`, as `KIND path detail`.
fn reasons(reader: &Value, writer: &Value) -> Vec<String> {
    let (reader, writer) = (schema(&reader.to_string()), schema(&writer.to_string()));
    let found = differences(&reader, &writer, &mut Budget::default()).unwrap();
    found
        .iter()
        .map(|one| format!("{} {} {}", one.kind, one.path, one.detail))
        .collect()
}

fn record(fields: &Value) -> Value {
    json!({"type": "record", "name": "R", "fields": fields})
}

#[test]
fn a_reader_reads_what_the_specification_lets_it_read() {
    let r = |fields: Value| record(&fields);
    let a = json!({"name": "a", "type": "int"});
    for (why, reader, writer) in [
        ("int to long", json!("long"), json!("int")),
        ("int to float", json!("float"), json!("int")),
        ("int to double", json!("double"), json!("int")),
        ("long to float", json!("float"), json!("long")),
        ("long to double", json!("double"), json!("long")),
        ("float to double", json!("double"), json!("float")),
        ("string to bytes", json!("bytes"), json!("string")),
        ("bytes to string", json!("string"), json!("bytes")),
        ("into a union", json!(["null", "long"]), json!("int")),
        ("out of a union of one", json!("long"), json!(["int"])),
        (
            "out of a union that is promoted",
            json!("double"),
            json!(["int", "float"]),
        ),
        (
            "a wider union",
            json!(["null", "int", "string"]),
            json!(["int", "null"]),
        ),
        (
            "items",
            json!({"type": "array", "items": "long"}),
            json!({"type": "array", "items": "int"}),
        ),
        (
            "values",
            json!({"type": "map", "values": "bytes"}),
            json!({"type": "map", "values": "string"}),
        ),
        (
            "an added field with a default",
            r(json!([a, {"name": "b", "type": "int", "default": 1}])),
            r(json!([a])),
        ),
        (
            "an added field with the default null",
            r(json!([{"name": "b", "type": ["null", "int"], "default": null}])),
            r(json!([])),
        ),
        ("a dropped field", r(json!([])), r(json!([a]))),
        (
            "fields in another order",
            r(json!([{"name": "b", "type": "int"}, a])),
            r(json!([a, {"name": "b", "type": "int"}])),
        ),
        (
            "a renamed field",
            r(json!([{"name": "b", "type": "int", "aliases": ["a"]}])),
            r(json!([a])),
        ),
        (
            "a renamed record",
            json!({"type": "record", "name": "S", "aliases": ["R"], "fields": []}),
            r(json!([])),
        ),
        (
            "another namespace",
            json!({"type": "record", "name": "R", "namespace": "x", "fields": []}),
            r(json!([])),
        ),
        (
            "more symbols",
            enumeration(json!(["A", "B"])),
            enumeration(json!(["B"])),
        ),
        (
            "an enum's default for unknown symbols",
            json!({"type": "enum", "name": "E", "symbols": ["A"], "default": "A"}),
            enumeration(json!(["A", "B"])),
        ),
        (
            "the same fixed",
            json!({"type": "fixed", "name": "F", "size": 4}),
            json!({"type": "fixed", "name": "F", "size": 4}),
        ),
        (
            "a logical type that is dropped",
            json!("int"),
            json!({"type": "int", "logicalType": "date"}),
        ),
        (
            "another logical type",
            json!({"type": "long", "logicalType": "timestamp-micros"}),
            json!({"type": "long", "logicalType": "timestamp-millis"}),
        ),
        ("the same decimal", decimal(9, 2), decimal(9, 2)),
        (
            "a decimal of which nothing is known",
            decimal(9, 2),
            json!("bytes"),
        ),
        (
            "a malformed decimal, which is none",
            decimal(9, 2),
            json!({"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 3}),
        ),
        (
            "docs and properties",
            json!({"type": "record", "name": "R", "doc": "new", "x": 1, "fields": []}),
            r(json!([])),
        ),
        ("recursion", list("long"), list("int")),
    ] {
        assert_eq!(reasons(&reader, &writer), Vec::<String>::new(), "{why}");
    }
}

#[test]
fn what_a_reader_cannot_read_is_told_with_place_and_reason() {
    let r = |fields: Value| record(&fields);
    let mismatch = |reader: &str, writer: &str| {
        format!("reader type: {reader} not compatible with writer type: {writer}")
    };
    for (reader, writer, reason) in [
        (
            json!("int"),
            json!("long"),
            format!("TYPE_MISMATCH / {}", mismatch("INT", "LONG")),
        ),
        (
            json!("float"),
            json!("double"),
            format!("TYPE_MISMATCH / {}", mismatch("FLOAT", "DOUBLE")),
        ),
        (
            json!("boolean"),
            json!("int"),
            format!("TYPE_MISMATCH / {}", mismatch("BOOLEAN", "INT")),
        ),
        (
            json!("string"),
            json!("int"),
            format!("TYPE_MISMATCH / {}", mismatch("STRING", "INT")),
        ),
        (
            json!("string"),
            enumeration(json!(["A"])),
            format!("TYPE_MISMATCH / {}", mismatch("STRING", "ENUM")),
        ),
        (
            json!("bytes"),
            json!({"type": "fixed", "name": "F", "size": 1}),
            format!("TYPE_MISMATCH / {}", mismatch("BYTES", "FIXED")),
        ),
        (
            r(json!([])),
            enumeration(json!(["A"])),
            format!("TYPE_MISMATCH / {}", mismatch("RECORD", "ENUM")),
        ),
        (
            json!("int"),
            json!(["int", "null"]),
            format!("TYPE_MISMATCH / {}", mismatch("INT", "NULL")),
        ),
        (
            json!(["null", "int"]),
            json!("string"),
            "MISSING_UNION_BRANCH / reader union lacking writer type: STRING".to_owned(),
        ),
        (
            json!(["null", "int"]),
            json!(["int", "string"]),
            "MISSING_UNION_BRANCH /1 reader union lacking writer type: STRING".to_owned(),
        ),
        (
            json!({"type": "array", "items": "int"}),
            json!({"type": "array", "items": "long"}),
            format!("TYPE_MISMATCH /items {}", mismatch("INT", "LONG")),
        ),
        (
            json!({"type": "map", "values": {"type": "map", "values": "int"}}),
            json!({"type": "map", "values": {"type": "map", "values": "long"}}),
            format!("TYPE_MISMATCH /values/values {}", mismatch("INT", "LONG")),
        ),
        (
            r(json!([{"name": "a", "type": "int"}, {"name": "b", "type": ["null", "int"]}])),
            r(json!([{"name": "a", "type": "int"}])),
            "READER_FIELD_MISSING_DEFAULT_VALUE /fields/1 b".to_owned(),
        ),
        (
            r(json!([{"name": "a", "type": "int"}])),
            r(json!([{"name": "a", "type": "string"}])),
            format!("TYPE_MISMATCH /fields/0/type {}", mismatch("INT", "STRING")),
        ),
        (
            r(json!([{"name": "c", "type": "int", "aliases": ["a", "b"]}])),
            r(json!([{"name": "a", "type": "int"}, {"name": "b", "type": "int"}])),
            "NAME_MISMATCH /fields/0/aliases a and b are both meant".to_owned(),
        ),
        (
            json!({"type": "record", "name": "S", "fields": []}),
            r(json!([])),
            "NAME_MISMATCH /name expected: R".to_owned(),
        ),
        // Only the reader's aliases count.
        (
            r(json!([])),
            json!({"type": "record", "name": "S", "aliases": ["R"], "fields": []}),
            "NAME_MISMATCH /name expected: S".to_owned(),
        ),
        (
            enumeration(json!(["A"])),
            enumeration(json!(["A", "B", "C"])),
            "MISSING_ENUM_SYMBOLS /symbols [B, C]".to_owned(),
        ),
        // The writer's default is of no use to a reader.
        (
            enumeration(json!(["A"])),
            json!({"type": "enum", "name": "E", "symbols": ["A", "B"], "default": "A"}),
            "MISSING_ENUM_SYMBOLS /symbols [B]".to_owned(),
        ),
        (
            json!({"type": "fixed", "name": "F", "size": 8}),
            json!({"type": "fixed", "name": "F", "size": 4}),
            "FIXED_SIZE_MISMATCH /size expected: 4, found: 8".to_owned(),
        ),
        (
            decimal(9, 4),
            decimal(9, 2),
            format!(
                "TYPE_MISMATCH / {}",
                mismatch("decimal(9,4)", "decimal(9,2)")
            ),
        ),
        (
            list("int"),
            list("long"),
            format!("TYPE_MISMATCH /fields/0/type {}", mismatch("INT", "LONG")),
        ),
    ] {
        assert_eq!(
            reasons(&reader, &writer),
            [reason],
            "{reader} reads {writer}"
        );
    }
}

#[test]
fn every_difference_is_told_and_a_field_by_its_full_path() {
    let inner = |zip: &str| json!({"type": "record", "name": "A", "fields": [{"name": "zip", "type": zip}]});
    let row = |zip: &str, more: Value| {
        let mut fields = vec![json!({"name": "address", "type": inner(zip)})];
        fields.extend(more.as_array().cloned().unwrap_or_default());
        record(&Value::Array(fields))
    };
    let reader = schema(&row("int", json!([{"name": "n", "type": "int"}])).to_string());
    let writer = schema(&row("string", json!([])).to_string());
    let found = differences(&reader, &writer, &mut Budget::default()).unwrap();
    let said: Vec<String> = found.iter().map(|one| one.sentence("new", "old")).collect();
    assert_eq!(
        said,
        [
            "the type of field 'address.zip' at path '/fields/0/type/fields/0/type' in the new schema does not match \
             the old schema (reader type: INT not compatible with writer type: STRING)",
            "the field 'n' at path '/fields/1' in the new schema has no default value and is missing in the old schema",
        ]
    );
    assert_eq!(
        found[1].message("new", "old"),
        "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'the field 'n' at path '/fields/1' in the new \
         schema has no default value and is missing in the old schema', additionalInfo:'n'}"
    );
}

#[test]
fn a_field_of_a_nullable_record_is_named_before_its_union() {
    let side = |ty: &str| record(&json!([{"name": "n", "type": ty}]));
    let outer = |ty: &str| {
        json!({"type": "record", "name": "Envelope", "fields": [
            {"name": "before", "type": ["null", side(ty)], "default": null}]})
    };
    assert_eq!(
        reasons(&outer("int"), &outer("string")),
        [
            "TYPE_MISMATCH /fields/0/type/1/fields/0/type reader type: INT not compatible with writer type: STRING",
            "MISSING_UNION_BRANCH /fields/0/type/1 reader union lacking writer type: RECORD",
        ]
    );
}

/// What is concluded while a recursive type is still being compared must not outlive the comparison's failure.
#[test]
fn a_failed_comparison_leaves_no_conclusion_behind() {
    let side = |leaf: &str| {
        json!([
            {"type": "record", "name": "A", "fields": [
                {"name": "b", "type": {"type": "record", "name": "B", "fields": [
                    {"name": "back", "type": ["null", "A"], "default": null}]}},
                {"name": "leaf", "type": leaf}]},
            "null",
        ])
    };
    let outer = |leaf: &str| {
        json!({"type": "record", "name": "R", "fields": [
            {"name": "first", "type": side(leaf)},
            {"name": "second", "type": "B"}]})
    };
    let found = reasons(&outer("int"), &outer("string"));
    assert!(
        found.iter().any(|reason| reason.contains("/fields/1/")),
        "{found:?}"
    );
}

#[test]
fn a_default_of_another_type_is_refused_where_it_is_new() {
    let r = |default: Value| {
        record(&json!([{"name": "a", "type": "int", "default": default}])).to_string()
    };
    let mut budget = Budget::default();
    for default in [json!("x"), json!(3_000_000_000_i64), Value::Null] {
        let error = parse_new(&r(default.clone()), &[], &mut budget).unwrap_err();
        assert!(
            error.contains("field \"a\": the default is no value of its type"),
            "{error}"
        );
        // Whoever refers to what another registry took cannot mend it.
        let stored = parse_stored(&r(default), &[], &mut budget).unwrap();
        parse_new("\"R\"", &[stored], &mut budget).unwrap();
    }
}

/// Written to be compared for ever: 4,000 records of one short name in a union, against the same.
#[test]
fn an_expensive_comparison_is_given_up_and_a_chain_of_types_costs_no_stack() {
    let union: Vec<Value> = (0..4_000)
        .map(|at| {
            json!({"type": "record", "name": "R", "namespace": format!("n{at}"), "fields": [
            {"name": "a", "type": "int"}, {"name": format!("f{at}"), "type": "int"}]})
        })
        .collect();
    let union = schema(&Value::Array(union).to_string());
    differences(&union, &union.clone(), &mut Budget::default()).unwrap_err();

    let mut chain = vec![json!({"type": "record", "name": "R0", "fields": []})];
    chain.extend((1..5_000).map(|at| {
        json!({"type": "record", "name": format!("R{at}"), "fields": [
            {"name": "f", "type": format!("R{}", at - 1)}]})
    }));
    let chain = schema(&Value::Array(chain).to_string());
    let last = parse_new(
        "\"R4999\"",
        std::slice::from_ref(&chain),
        &mut Budget::default(),
    )
    .unwrap();
    differences(&last, &last.clone(), &mut Budget::default()).unwrap_err();
    assert!(
        last.to_standalone_text()
            .unwrap_err()
            .contains("nested deeper")
    );
}

fn enumeration(symbols: Value) -> Value {
    let mut made = json!({"type": "enum", "name": "E"});
    made["symbols"] = symbols;
    made
}

fn decimal(precision: u32, scale: u32) -> Value {
    json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale})
}

fn list(value: &str) -> Value {
    json!({"type": "record", "name": "List", "fields": [
        {"name": "value", "type": value}, {"name": "next", "type": ["null", "List"]}]})
}

/// Schemas at random, small enough that two of them often have something in common.
struct Maker {
    random: Rng,
    names: HashSet<String>,
}

impl Maker {
    fn node(&mut self, depth: u32) -> Value {
        match self.random.u32(0..if depth == 0 { 9 } else { 15 }) {
            at @ 0..8 => json!(
                [
                    "null", "boolean", "int", "long", "float", "double", "bytes", "string"
                ][at as usize]
            ),
            8 => decimal(self.random.u32(8..10), self.random.u32(1..3)),
            9 => json!({"type": "array", "items": self.node(depth - 1)}),
            10 => json!({"type": "map", "values": self.node(depth - 1)}),
            11 => self.union(depth),
            12 => self.enumeration(),
            13 => {
                let name = self.name("F");
                json!({"type": "fixed", "name": name, "size": self.random.u32(1..3)})
            }
            _ => self.record(depth),
        }
    }

    fn union(&mut self, depth: u32) -> Value {
        let mut branches: Vec<Value> = Vec::new();
        let mut kinds = HashSet::new();
        for _ in 0..self.random.u32(1..4) {
            let node = self.node(depth - 1);
            let kind = match &node {
                Value::Array(_) => continue,
                Value::Object(map) if map.contains_key("name") => map["name"].to_string(),
                Value::Object(map) => map["type"].to_string(),
                other => other.to_string(),
            };
            if kinds.insert(kind) {
                branches.push(node);
            }
        }
        Value::Array(if branches.is_empty() {
            vec![json!("null")]
        } else {
            branches
        })
    }

    fn enumeration(&mut self) -> Value {
        let symbols: Vec<&str> = ["A", "B", "C"]
            .into_iter()
            .filter(|_| self.random.bool())
            .collect();
        let symbols = if symbols.is_empty() {
            vec!["D"]
        } else {
            symbols
        };
        let mut made = json!({"type": "enum", "name": self.name("E"), "symbols": symbols});
        if self.random.u32(0..4) == 0 {
            made["default"] = json!(symbols[0]);
        }
        made
    }

    fn record(&mut self, depth: u32) -> Value {
        let name = self.name("R");
        let mut fields = Vec::new();
        for field in ["a", "b", "c"] {
            if self.random.u32(0..3) > 0 {
                fields.push(self.field(field, depth));
            }
        }
        json!({"type": "record", "name": name, "fields": fields})
    }

    fn field(&mut self, name: &str, depth: u32) -> Value {
        let node = self.node(depth - 1);
        let mut field = json!({"name": name, "type": node});
        let default = match field["type"].as_str() {
            Some("null") => Some(json!(null)),
            Some("int" | "long" | "float" | "double") => Some(json!(1)),
            Some("string" | "bytes") => Some(json!("x")),
            Some("boolean") => Some(json!(true)),
            _ => None,
        };
        if let Some(default) = default.filter(|_| self.random.bool()) {
            field["default"] = default;
        }
        field
    }

    fn name(&mut self, kind: &str) -> String {
        let mut name = format!("{kind}{}", self.random.u32(0..2));
        while !self.names.insert(name.clone()) {
            name.push('x');
        }
        name
    }

    /// The same schema with something changed here and there.
    fn changed(&mut self, value: &Value) -> Value {
        match value {
            Value::String(_) if self.random.u32(0..6) == 0 => json!(
                ["int", "long", "float", "double", "bytes", "string"][self.random.usize(0..6)]
            ),
            Value::Array(branches) => {
                // A change may make two branches the same; those pairs are skipped.
                Value::Array(branches.iter().map(|branch| self.changed(branch)).collect())
            }
            Value::Object(map) => {
                let mut map = map.clone();
                for key in ["type", "items", "values"] {
                    if let Some(inner) = map.get(key).filter(|inner| !is_word(inner)).cloned() {
                        map.insert(key.to_owned(), self.changed(&inner));
                    }
                }
                if let Some(Value::Array(fields)) = map.get("fields").cloned() {
                    let kept = fields.iter().filter(|_| self.random.u32(0..6) > 0);
                    let kept: Vec<Value> = kept.cloned().collect();
                    let fields = kept.iter().map(|field| {
                        let mut field = field.clone();
                        field["type"] = self.changed(&field["type"]);
                        if self.random.bool() {
                            field.as_object_mut().unwrap().remove("default");
                        }
                        field
                    });
                    map.insert("fields".to_owned(), fields.collect());
                }
                if let Some(Value::Array(symbols)) = map.get_mut("symbols")
                    && self.random.u32(0..3) == 0
                {
                    symbols.push(json!("Z"));
                }
                Value::Object(map)
            }
            other => other.clone(),
        }
    }
}

/// Words that say what an object is are not changed.
fn is_word(value: &Value) -> bool {
    let words = ["record", "enum", "fixed", "array", "map"];
    value
        .as_str()
        .is_some_and(|word| words.contains(&word) || word == "bytes")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Each knows nothing of the other, so where both agree both are right.
    #[test]
    fn the_rules_are_those_of_apache_avro(seed in any::<u64>(), related in any::<bool>()) {
        let mut maker = Maker { random: Rng::with_seed(seed), names: HashSet::new() };
        let writer = maker.node(3);
        let reader = if related { maker.changed(&writer) } else {
            maker.names.clear();
            maker.node(3)
        };
        let parse = |value: &Value| parse_new(&value.to_string(), &[], &mut Budget::default());
        let theirs = |value: &Value| apache_avro::Schema::parse_str(&value.to_string());
        // A changed schema may be none any more.
        if let (Ok(ours_w), Ok(ours_r), Ok(theirs_w), Ok(theirs_r)) =
            (parse(&writer), parse(&reader), theirs(&writer), theirs(&reader))
        {
            let ours = differences(&ours_r, &ours_w, &mut Budget::default()).unwrap();
            let theirs = SchemaCompatibility::can_read(&theirs_w, &theirs_r);
            prop_assert_eq!(
                ours.is_empty(),
                theirs == Ok(Compatibility::Full),
                "reader {} writer {}: ours {:?}, theirs {:?}", reader, writer, ours, theirs
            );
        }
    }

    /// Its own canonical text, and a schema reads what it wrote.
    #[test]
    fn a_canonical_text_is_stable_and_compatible_with_itself(seed in any::<u64>()) {
        let mut maker = Maker { random: Rng::with_seed(seed), names: HashSet::new() };
        let made = schema(&maker.node(3).to_string());
        for text in [made.to_text(), made.to_normalized_text()] {
            let again = schema(&text);
            prop_assert_eq!(&again.to_normalized_text(), &made.to_normalized_text());
            prop_assert_eq!(differences(&again, &made, &mut Budget::default()).unwrap(), vec![]);
            apache_avro::Schema::parse_str(&text).unwrap();
        }
        prop_assert_eq!(schema(&made.to_text()).to_text(), made.to_text());
    }
}
