//! What is read, what is refused, and the text.

#![expect(clippy::too_many_lines, reason = "a table has a row for every rule")]

use super::{AvroSchema, Kind, Rules, Shape};
use proptest::prelude::*;

fn schema(text: &str) -> AvroSchema {
    AvroSchema::parse(text, &[], Rules::New).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn hostile_schemas_are_refused_with_a_reason() {
    let mut deep = "\"int\"".to_owned();
    for _ in 0..100 {
        deep = format!("{{\"type\":\"array\",\"items\":{deep}}}");
    }
    let long = format!(
        r#"{{"type":"fixed","name":"{}","size":1}}"#,
        "n".repeat(2_000)
    );
    for (text, reason) in [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("3", "a schema is a name, a list of schemas or an object"),
        ("{}", "without a type"),
        ("\"strng\"", "the type \"strng\" is not defined"),
        (
            r#"{"type":"record","name":"R"}"#,
            "a record without a list of fields",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a"}]}"#,
            "field \"a\": it has no type",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}"#,
            "two fields are named \"a\"",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a-b","type":"int"}]}"#,
            "\"a-b\" is no legal name",
        ),
        (
            r#"{"type":"record","name":"1R","fields":[]}"#,
            "\"1R\" is no legal name",
        ),
        (
            r#"{"type":"record","name":"a..R","fields":[]}"#,
            "\"\" is no legal name",
        ),
        (
            r#"{"type":"record","name":"int","fields":[]}"#,
            "a type of Avro's own",
        ),
        (r#"["int","int"]"#, "the same type twice"),
        (r#"["int",["null"]]"#, "a union directly in a union"),
        (
            r#"[{"type":"fixed","name":"F","size":1},{"type":"fixed","name":"F","size":1}]"#,
            "defined twice",
        ),
        (
            r#"{"type":"fixed","name":"F","size":-1}"#,
            "a fixed without a size",
        ),
        (
            r#"{"type":"fixed","name":"F","size":99999999999}"#,
            "a fixed without a size",
        ),
        (
            r#"{"type":"enum","name":"E","symbols":["A","A"]}"#,
            "\"A\" stands twice",
        ),
        (
            r#"{"type":"enum","name":"E","symbols":["A"],"default":"B"}"#,
            "the default is none of the symbols",
        ),
        (
            r#"{"type":"record","name":"R","name":"S","fields":[]}"#,
            "the key \"name\" stands twice",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","order":"up"}]}"#,
            "the order \"up\" does not exist",
        ),
        (&deep, "nested deeper than 64"),
        (&"[".repeat(100_000), "not JSON"),
        (&long, "the limit is 1024"),
    ] {
        let error = AvroSchema::parse(text, &[], Rules::New).unwrap_err();
        assert!(error.contains(reason), "{error} does not say: {reason}");
    }
}

/// Each was read by the converter ever since, whoever had stored it.
#[test]
fn what_breaks_a_rule_is_refused_where_it_is_new_and_read_where_it_is_stored() {
    let long = format!(
        r#"{{"type":"fixed","name":"{}","size":1}}"#,
        "n".repeat(2_000)
    );
    for text in [
        r#"{"type":"record","name":"shop-1.public.2nd","fields":[{"name":"a b","type":"int"}]}"#,
        r#"{"type":"record","name":"a..R","fields":[]}"#,
        r#"{"type":"record","name":"int","fields":[]}"#,
        r#"{"type":"record","name":"R","name":"S","fields":[]}"#,
        r#"{"type":"record","name":"R","aliases":"S","fields":[]}"#,
        r#"{"type":"record","name":"R","aliases":["a-b"],"fields":[]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","type":"long"}]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","order":"up"}]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","aliases":[1]}]}"#,
        r#"["int","int"]"#,
        r#"["int",["null"]]"#,
        r#"{"type":"enum","name":"E","symbols":["A","A"]}"#,
        r#"{"type":"enum","name":"E","symbols":["a b"]}"#,
        r#"{"type":"enum","name":"E","symbols":["A"],"default":"B"}"#,
        r#"{"type":"enum","name":"E","symbols":["A"],"default":1}"#,
        r#"{"type":"fixed","name":"F","size":3000000000}"#,
        &long,
    ] {
        AvroSchema::parse(text, &[], Rules::New).expect_err(text);
        let stored = AvroSchema::parse(text, &[], Rules::Stored);
        let written = stored.expect(text).to_text();
        let again = AvroSchema::parse(&written, &[], Rules::Stored);
        assert_eq!(again.expect(&written).to_text(), written);
    }
}

#[test]
fn what_means_nothing_is_refused_where_it_is_stored_as_well() {
    for text in [
        "3",
        "{}",
        r#""strng""#,
        r#"{"type":"record","name":"R"}"#,
        r#"{"type":"record","fields":[]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"a"}]}"#,
        r#"{"type":"record","name":"R","fields":[{"type":"int"}]}"#,
        r#"{"type":"array"}"#,
        r#"{"type":"map"}"#,
        r#"{"type":"enum","name":"E"}"#,
        r#"{"type":"enum","name":"E","symbols":[1]}"#,
        r#"{"type":"fixed","name":"F"}"#,
        r#"{"type":"fixed","name":"F","size":-1}"#,
        r#"[{"type":"fixed","name":"F","size":1},{"type":"fixed","name":"F","size":1}]"#,
        &format!("{}{}", "[".repeat(100), "]".repeat(100)),
    ] {
        AvroSchema::parse(text, &[], Rules::Stored).expect_err(text);
    }
}

#[test]
fn a_broken_attribute_is_read_as_far_as_it_means_something() {
    let stored = |text: &str| AvroSchema::parse(text, &[], Rules::Stored).expect(text);
    let record = stored(
        r#"{"type":"record","name":"R","name":"S","aliases":1,"fields":[
            {"name":"a","type":"int","type":"long","order":"up","aliases":{}}]}"#,
    );
    assert_eq!(
        record.to_text(),
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#
    );
    let symbols = stored(r#"{"type":"enum","name":"E","symbols":["A"],"default":"B"}"#);
    let Kind::Named(name) = &symbols.root.kind else {
        panic!("no name")
    };
    let Some(Shape::Enum { default, .. }) = symbols.definition(name).map(|it| &it.shape) else {
        panic!("no enum")
    };
    assert_eq!(*default, None, "nobody may take it for a symbol");
}

#[test]
fn a_canonical_text_is_that_of_avros_java_library() {
    for (given, text) in [
        (r#" { "type" : "int" } "#, r#""int""#),
        (
            r#"{"logicalType":"date","type":"int"}"#,
            r#"{"type":"int","logicalType":"date"}"#,
        ),
        (
            r#"{"fields":[{"default":null,"type":["null","a.E"],"name":"f","x":1,"aliases":["g"],"order":"ignore","doc":"d"}],
               "aliases":["Old","b.Older"],"y":{"b":1,"a":[]},"doc":"D","namespace":"a","name":"R","type":"record"}"#,
            "",
        ),
        (
            r#"{"type":"record","name":"a.R","fields":[{"name":"e","type":{"type":"enum","name":"E","symbols":["A"],"default":"A"}},
               {"name":"again","type":"a.E","order":"ascending"}],"aliases":["Old","b.Older"],"y":{"b":1,"a":[]},"doc":"D"}"#,
            r#"{"type":"record","name":"R","namespace":"a","doc":"D","fields":[{"name":"e","type":{"type":"enum","name":"E","symbols":["A"],"default":"A"}},{"name":"again","type":"E"}],"y":{"b":1,"a":[]},"aliases":["Old","b.Older"]}"#,
        ),
    ] {
        if text.is_empty() {
            // A type that is not defined yet: names are not looked for ahead, as in Java.
            AvroSchema::parse(given, &[], Rules::New).unwrap_err();
            continue;
        }
        assert_eq!(schema(given).to_text(), text);
        assert_eq!(schema(text).to_text(), text, "its own canonical text");
    }
    assert_eq!(
        schema(r#"{"type":"record","name":"R","namespace":"a","z":1,"b":2,"fields":[]}"#)
            .to_normalized_text(),
        r#"{"type":"record","name":"a.R","fields":[],"b":2,"z":1}"#
    );
}

#[test]
fn types_of_references_are_used_by_name_and_written_out_for_readers() {
    let address = schema(
        r#"{"type":"record","name":"Address","namespace":"x","fields":[{"name":"zip","type":"string"}]}"#,
    );
    let text = r#"{"type":"record","name":"Person","namespace":"y","fields":[{"name":"home","type":"x.Address"},{"name":"work","type":"x.Address"}]}"#;
    let references = [address];
    let person = AvroSchema::parse(text, &references, Rules::New).unwrap();
    assert_eq!(person.to_text(), text);
    assert_eq!(
        person.to_standalone_text().unwrap(),
        r#"{"type":"record","name":"Person","namespace":"y","fields":[{"name":"home","type":{"type":"record","name":"Address","namespace":"x","fields":[{"name":"zip","type":"string"}]}},{"name":"work","type":"x.Address"}]}"#
    );
    let twice = r#"{"type":"record","name":"x.Address","fields":[]}"#;
    AvroSchema::parse(twice, &references, Rules::New).unwrap_err();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Nothing that arrives makes the parser panic, and what may be handed in can be read when it is stored.
    #[test]
    fn any_text_is_parsed_or_refused(text in "[\\[\\]{}\":,a-z0-9 .]{0,200}") {
        let new = AvroSchema::parse(&text, &[], Rules::New);
        let stored = AvroSchema::parse(&text, &[], Rules::Stored);
        if let Ok(new) = new {
            prop_assert_eq!(new.to_text(), stored.map_or_else(|error| error, |it| it.to_text()));
        }
    }
}
