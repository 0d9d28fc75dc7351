//! Converters by name, with their keys.

use super::super::{Charset, Class, Converter, Converters, HeaderConverter, JsonSettings, Plain};
use std::collections::BTreeMap;

fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(own).collect()
}

fn parsed(pairs: &[(&str, &str)]) -> Converters {
    match Converters::parse(&settings(pairs)) {
        Ok((converters, _)) => converters,
        Err(issues) => panic!("{issues:?}"),
    }
}

fn problem(pairs: &[(&str, &str)]) -> String {
    let issues = Converters::parse(&settings(pairs)).expect_err("it is refused");
    let text =
        |issue: tapline_sdk::Issue| format!("{} {} → {}", issue.key, issue.problem, issue.remedy);
    issues.into_iter().map(text).collect::<Vec<_>>().join(" | ")
}

#[test]
fn converters_answer_to_our_names_and_kafkas() {
    let names = [
        (
            "avro",
            "AvroConverter",
            "io.confluent.connect.avro.AvroConverter",
        ),
        (
            "json",
            "JsonConverter",
            "org.apache.kafka.connect.json.JsonConverter",
        ),
        (
            "string",
            "StringConverter",
            "org.apache.kafka.connect.storage.StringConverter",
        ),
        (
            "bytes",
            "ByteArrayConverter",
            "org.apache.kafka.connect.converters.ByteArrayConverter",
        ),
        (
            "boolean",
            "BooleanConverter",
            "org.apache.kafka.connect.converters.BooleanConverter",
        ),
        (
            "short",
            "ShortConverter",
            "org.apache.kafka.connect.converters.ShortConverter",
        ),
        (
            "integer",
            "IntegerConverter",
            "org.apache.kafka.connect.converters.IntegerConverter",
        ),
        (
            "long",
            "LongConverter",
            "org.apache.kafka.connect.converters.LongConverter",
        ),
        (
            "float",
            "FloatConverter",
            "org.apache.kafka.connect.converters.FloatConverter",
        ),
        (
            "double",
            "DoubleConverter",
            "org.apache.kafka.connect.converters.DoubleConverter",
        ),
    ];
    for (short, simple, class) in names {
        let bare = simple.strip_suffix("Converter").unwrap();
        for name in [short, simple, class, bare] {
            assert_eq!(
                Class::find(name).map(|class| class.short),
                Some(short),
                "{name}"
            );
            let both = parsed(&[("key.converter", name), ("value.converter", name)]);
            assert_eq!(both.key, both.value);
        }
    }
    assert_eq!(parsed(&[]), Converters::default());
    assert_eq!(parsed(&[("key.converter", "")]).key, Converter::Avro);
    assert_eq!(
        parsed(&[("value.converter", "LongConverter")]).value,
        Converter::Plain(Plain::Long)
    );
}

#[test]
fn keys_of_a_converter_are_read_under_its_role() {
    let both = parsed(&[
        (
            "key.converter",
            "org.apache.kafka.connect.json.JsonConverter",
        ),
        ("key.converter.schemas.enable", "FALSE"),
        ("key.converter.converter.type", "key"),
        ("value.converter", "json"),
        ("value.converter.decimal.format", "numeric"),
        ("value.converter.schemas.cache.size", "7"),
        ("header.converter", "StringConverter"),
        ("header.converter.converter.encoding", "ISO-8859-1"),
    ]);
    let key = JsonSettings {
        schemas: false,
        replace_null: true,
        ..JsonSettings::default()
    };
    let value = JsonSettings {
        numeric_decimals: true,
        schemas_max: 7,
        ..JsonSettings::default()
    };
    assert_eq!(both.key, Converter::Json(key));
    assert_eq!(both.value, Converter::Json(value));
    let header = Converter::Plain(Plain::Text(Charset::Latin1));
    assert_eq!(both.header, HeaderConverter::Other(header));
    assert_eq!(
        parsed(&[("header.converter", "simple")]).header,
        HeaderConverter::Simple
    );
}

#[test]
fn null_is_lost_in_a_default_under_kafkas_name_and_kept_under_ours() {
    let replaces = |pairs: &[(&str, &str)]| match parsed(pairs).value {
        Converter::Json(settings) => settings.replace_null,
        other => panic!("{other:?}"),
    };
    assert!(replaces(&[("value.converter", "JsonConverter")]));
    assert!(!replaces(&[("value.converter", "json")]));
    let key = "value.converter.replace.null.with.default";
    assert!(!replaces(&[
        ("value.converter", "JsonConverter"),
        (key, "false")
    ]));
    assert!(replaces(&[("value.converter", "json"), (key, "true")]));
}

/// Settings, and what is said about them.
const WRONG: [(&[(&str, &str)], &str); 10] = [
    (
        &[
            ("value.converter", "json"),
            ("value.converter.schemas.enabel", "false"),
        ],
        "value.converter.schemas.enabel is not a key of the json converter → \
             did you mean value.converter.schemas.enable?",
    ),
    (
        &[
            ("value.converter", "string"),
            ("value.converter.schemas.enable", "false"),
        ],
        "value.converter.schemas.enable is not a key of the string converter → remove it",
    ),
    (
        &[(
            "key.converter",
            "org.apache.kafka.connect.json.JsonConvertr",
        )],
        "did you mean org.apache.kafka.connect.json.JsonConverter?",
    ),
    (
        &[(
            "key.converter",
            "io.confluent.connect.protobuf.ProtobufConverter",
        )],
        "is no converter that exists here → ",
    ),
    (
        &[("key.converter", "simple")],
        "\"simple\" is a converter of headers alone",
    ),
    (
        &[("header.converter", "avro")],
        "\"avro\" is no header converter",
    ),
    (
        &[("header.converter.schemas.enable", "false")],
        "header.converter.schemas.enable is given without a header.converter",
    ),
    (
        &[
            ("value.converter", "json"),
            ("value.converter.decimal.format", "text"),
        ],
        "value.converter.decimal.format is neither BASE64 nor NUMERIC → \
             set value.converter.decimal.format to one of: BASE64, NUMERIC",
    ),
    (
        &[
            ("value.converter", "json"),
            ("value.converter.schemas.enable", "yes"),
        ],
        "value.converter.schemas.enable is not true or false",
    ),
    (
        &[
            ("value.converter", "string"),
            ("value.converter.encoding", "EBCDIC"),
        ],
        "value.converter.encoding is not an encoding that is known here",
    ),
];

#[test]
fn what_is_wrong_is_named_with_the_nearest_that_is_right() {
    for (pairs, expected) in WRONG {
        let problem = problem(pairs);
        assert!(problem.contains(expected), "{problem}\nexpected {expected}");
    }
    // Avro is the default, and so are its keys: a registry's address means nothing, a mistyped one is refused.
    let url = [(
        "value.converter.schema.registry.url",
        "http://registry:8081",
    )];
    let (_, warnings) = Converters::parse(&settings(&url)).unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let typo = problem(&[(
        "value.converter.schema.registry.ulr",
        "http://registry:8081",
    )]);
    assert!(
        typo.contains("did you mean value.converter.schema.registry.url?"),
        "{typo}"
    );
}
