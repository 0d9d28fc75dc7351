use super::{Catalogue, Pipeline, compile, compile_all};
use crate::{
    config::document::{flatten, yaml},
    worker::{ConnectorKind, TopicSpec},
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use tapline_sdk::{Config, Definition, Info, Issue, Key, Kind, Secret};

const HOST: Key<String> = Key::required("database.hostname", "Connection", "the server");
const PORT: Key<u16> = Key::required("database.port", "Connection", "its port").or("5432");
const PASSWORD: Key<Secret> =
    Key::required("database.password", "Connection", "a secret").optional();
const PREFIX: Key<String> =
    Key::required("topic.prefix", "Topics", "the first part of topic names");
const SLOT: Key<String> = Key::required("slot.name", "Slot", "the slot").optional();
const TABLES: Key<Vec<String>> = Key::required("table.include.list", "Tables", "tables").optional();
const WAIT: Key<i64> = Key::required("wait.max.ms", "Tuning", "how long").optional();
const URL: Key<String> = Key::required("connection.url", "Connection", "the target");
const FORMAT: Definition = Definition {
    kind: Kind::Template,
    ..Key::<String>::required("key.format", "Keys", "the key")
        .optional()
        .definition
};

const SOURCE: Info = info(
    "test.Source",
    "postgres",
    &[
        HOST.definition,
        PORT.definition,
        PASSWORD.definition,
        PREFIX.definition,
        SLOT.definition,
        TABLES.definition,
        WAIT.definition,
    ],
);
const SINK: Info = info("test.Sink", "sql", &[URL.definition, FORMAT]);

const fn info(class: &'static str, short: &'static str, keys: &'static [Definition]) -> Info {
    Info {
        class,
        short,
        version: "1",
        keys,
        aliases: &[],
        inert: &[],
        refused: &[],
    }
}

/// Two connectors, and the runtime's keys taken as they come.
struct Two;

impl Catalogue for Two {
    fn info(&self, role: ConnectorKind, class: &str) -> Option<&'static Info> {
        let info: &'static Info = match role {
            ConnectorKind::Source => &SOURCE,
            ConnectorKind::Sink => &SINK,
        };
        (class == info.short || class == info.class).then_some(info)
    }

    fn shorts(&self, role: ConnectorKind) -> Vec<&'static str> {
        match role {
            ConnectorKind::Source => vec!["postgres"],
            ConnectorKind::Sink => vec!["sql"],
        }
    }

    fn check(
        &self,
        role: ConnectorKind,
        class: &str,
        settings: &BTreeMap<String, String>,
    ) -> Result<Vec<String>, Vec<Issue>> {
        let own = settings.iter().filter(|(key, _)| {
            !["topics", "transforms", "name"]
                .iter()
                .any(|word| key.starts_with(word))
        });
        let own = own.map(|(key, text)| (key.clone(), text.clone())).collect();
        let info = self.info(role, class).expect("a known class");
        let problems = Config::new(own).problems(info.keys);
        if problems.is_empty() {
            Ok(Vec::new())
        } else {
            Err(problems)
        }
    }
}

fn shop(parts: &str) -> String {
    format!("version: 1\nname: shop\n{parts}")
}

const SOURCE_LINES: &str = "source:\n  connector: postgres\n  database.hostname: db\n";

fn good(text: &str) -> Pipeline {
    compile("shop.yaml", text, &Two).unwrap_or_else(|report| panic!("{report}"))
}

fn bad(text: &str) -> String {
    match compile("shop.yaml", text, &Two) {
        Ok(pipeline) => panic!("compiled to {pipeline:?}"),
        Err(report) => report.to_string(),
    }
}

fn settings(pipeline: &Pipeline, connector: &str) -> Vec<String> {
    let found = pipeline.connectors.iter().find(|c| c.name == connector);
    let settings = &found.expect("the connector is there").settings;
    settings
        .iter()
        .map(|(key, text)| format!("{key}={text}"))
        .collect()
}

#[test]
fn a_file_compiles_to_connectors_named_after_it() {
    let pipeline = good(&shop(
        "source:
  connector: postgres
  database: {hostname: db, port: 5433}
  table.include.list: [public.orders, public.customers]
  wait.max.ms: 3d
sinks:
  replica: {connector: sql, connection.url: postgres://replica/shop}
  some:
    connector: sql
    from: {tables: [public.orders], topics: [audit]}
    connection.url: postgres://other/shop
    key.format: \"customer:${id}\"
  pattern: {connector: sql, from: {regex: 'shop\\..*'}, connection.url: x}
",
    ));
    let names: Vec<&str> = pipeline.connectors.iter().map(|c| &*c.name).collect();
    assert_eq!(
        names,
        ["shop.source", "shop.replica", "shop.some", "shop.pattern"]
    );
    assert_eq!(
        settings(&pipeline, "shop.source"),
        [
            "database.hostname=db",
            "database.port=5433",
            "slot.name=tapline_shop",
            "table.include.list=public.orders,public.customers",
            "topic.prefix=shop",
            "wait.max.ms=259200000",
        ]
    );
    assert_eq!(
        settings(&pipeline, "shop.replica"),
        [
            "connection.url=postgres://replica/shop",
            "topics.of=shop.source"
        ]
    );
    let some = settings(&pipeline, "shop.some");
    assert!(
        some.contains(&"topics=shop.public.orders,audit".to_owned()),
        "{some:?}"
    );
    let pattern = settings(&pipeline, "shop.pattern");
    assert!(
        pattern.contains(&"topics.regex=shop\\..*".to_owned()),
        "{pattern:?}"
    );
}

#[test]
fn named_sources_do_not_share_slots_or_prefixes() {
    let pipeline = good(&shop(
        "sources:
  eu-west: {connector: postgres, database.hostname: a}
  us: {connector: postgres, database.hostname: b, slot.name: mine}
",
    ));
    let eu = settings(&pipeline, "shop.eu-west");
    assert!(
        eu.contains(&"slot.name=tapline_shop_eu_west".to_owned()),
        "{eu:?}"
    );
    assert!(
        eu.contains(&"topic.prefix=shop.eu-west".to_owned()),
        "{eu:?}"
    );
    assert!(settings(&pipeline, "shop.us").contains(&"slot.name=mine".to_owned()));
}

#[test]
fn scalars_keep_their_text() {
    for text in [
        "1.10",
        "no",
        "0123",
        "1e3",
        "'~'",
        "\"\"",
        "true",
        "0x1F",
        "2026-11-21",
    ] {
        let yaml = shop(&format!(
            "sink: {{connector: sql, from: {{topics: t}}, connection.url: {text}}}"
        ));
        if text == "\"\"" {
            assert!(bad(&yaml).contains("connection.url is required"));
            continue;
        }
        let expected = format!("connection.url={}", text.trim_matches(['\'', '"']));
        assert!(
            settings(&good(&yaml), "shop.sink").contains(&expected),
            "{text}"
        );
    }
}

#[test]
fn transforms_become_connects_keys() {
    let pipeline = good(&shop(&format!(
        "{SOURCE_LINES}  transforms:
    - RegexRouter: {{regex: '(.*)', replacement: 'a-$1'}}
    - org.example.Route$Value: {{topic.regex: x}}
    - RegexRouter: {{regex: b, replacement: '${{name}}'}}
"
    )));
    let transforms = settings(&pipeline, "shop.source");
    let transforms: Vec<&str> = transforms
        .iter()
        .filter(|setting| setting.starts_with("transforms"))
        .map(String::as_str)
        .collect();
    assert_eq!(
        transforms,
        [
            "transforms=RegexRouter,Route_Value,RegexRouter2",
            "transforms.RegexRouter.regex=(.*)",
            "transforms.RegexRouter.replacement=a-$1",
            "transforms.RegexRouter.type=RegexRouter",
            "transforms.RegexRouter2.regex=b",
            "transforms.RegexRouter2.replacement=${name}",
            "transforms.RegexRouter2.type=RegexRouter",
            "transforms.Route_Value.topic.regex=x",
            "transforms.Route_Value.type=org.example.Route$Value",
        ]
    );
    let connect = good(&shop(&format!(
        "{SOURCE_LINES}  transforms: [route]\n  transforms.route: {{type: RegexRouter, regex: a, replacement: b}}\n"
    )));
    assert!(settings(&connect, "shop.source").contains(&"transforms=route".to_owned()));
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_are_no_problem() {
    let text = format!("\u{feff}{}", shop(SOURCE_LINES).replace('\n', "\r\n"));
    assert!(settings(&good(&text), "shop.source").contains(&"database.hostname=db".to_owned()));
}

#[test]
fn nothing_included_is_a_pipeline_too() {
    assert!(
        good("version: 1\nname: empty\nsinks:\n")
            .connectors
            .is_empty()
    );
}

#[test]
fn an_unknown_key_names_the_nearest() {
    let text = shop(&format!("{SOURCE_LINES}  slot: {{nane: x}}\n"));
    assert_eq!(
        bad(&text),
        "error[TL0110]: slot.nane is not a key of this connector  --> shop.yaml:6:10  source.slot.nane
   |
 6 |   slot: {nane: x}
   |          ^^^^
  help: did you mean slot.name?
"
    );
}

#[test]
fn every_problem_is_shown_at_once_in_the_order_of_the_file() {
    let text = "version: 2
nam: shop
source: {connector: postgress}
sinks:
  a b: {connector: sql}
  c: {connector: sql, connection.url: 'x${HOME}', from: {tables: [a]}}
";
    let rendered = bad(text);
    let firsts: Vec<&str> = rendered
        .lines()
        .filter(|line| line.starts_with("error"))
        .collect();
    assert_eq!(
        firsts,
        [
            "error[TL0106]: name is missing  --> shop.yaml:1:1  name",
            "error[TL0105]: version `2` is unknown to this tapline  --> shop.yaml:1:10  version",
            "error[TL0107]: `nam` does not belong at the top of a pipeline file  --> shop.yaml:2:1  nam",
            "error[TL0109]: there is no source connector `postgress`  --> shop.yaml:3:21  source.connector",
            "error[TL0106]: `a b` cannot be a name  --> shop.yaml:5:3  sinks.a b",
            "error[TL0111]: connection.url does not know `${HOME}`  --> shop.yaml:6:39  sinks.c.connection.url",
        ]
    );
    assert!(
        rendered.contains("help: did you mean `name`?"),
        "{rendered}"
    );
    assert!(
        rendered.contains("help: did you mean `postgres`?"),
        "{rendered}"
    );
    assert!(
        rendered.contains("help: write `${env:HOME}` for an environment variable"),
        "{rendered}"
    );
}

#[test]
fn secrets_are_not_quoted() {
    let text = shop(
        "source: {connector: postgres, database: {password: hunter2, hostname: db, prot: 1}}
sinks:
  a: {connector: sql, connection.url: 'postgres://u:hunter3@h/d', from: {topic: x}}
  b:
    connector: sql
    connection.url: ${X}hunter4 password=hunter4
",
    );
    let rendered = bad(&text);
    assert!(!rendered.contains("hunter"), "{rendered}");
    assert!(
        rendered.contains(
            " 3 | source: {connector: postgres, database: {password: ********, hostname: db, prot: 1}}
   |                                                                            ^^^^\n"
        ),
        "{rendered}"
    );
    let broken = bad("version: 1\nsource:\n  password: hunter2\n hunter5\n   - x: [\n");
    assert!(
        broken.contains("TL0102") && !broken.contains("hunter"),
        "{broken}"
    );
    let chance = bad(&shop(&format!(
        "{SOURCE_LINES}  database.password: 'a${{hunter6}}'\n"
    )));
    assert!(
        chance.contains("TL0111") && !chance.contains("hunter"),
        "{chance}"
    );
    let debug = format!("{:?}", compile("shop.yaml", &text, &Two));
    assert!(!debug.contains("hunter"), "{debug}");
}

#[test]
fn a_missing_secret_is_named_with_its_line() {
    let text = shop(&format!(
        "{SOURCE_LINES}  database.password: \"${{env:TAPLINE_TEST_UNSET}}\"\n"
    ));
    let expected = "error[TL0111]: database.password needs the environment variable TAPLINE_TEST_UNSET, which is not \
                    set  --> shop.yaml:6:3  source.database.password\n";
    assert!(bad(&text).starts_with(expected), "{}", bad(&text));
}

#[test]
fn topics_are_named_whole_and_take_the_logs_settings_nested_or_dotted() {
    let pipeline = good(&shop(
        "topics:
  shop.public.orders: {partitions: 3, cleanup.policy: [compact, delete], retention: {ms: 3d, bytes: 20GiB}}
  audit:
  7: {segment.bytes: 1MiB}
",
    ));
    let topics: Vec<String> = pipeline
        .topics
        .iter()
        .map(|topic| {
            let TopicSpec {
                name,
                partitions,
                config,
                pipeline,
            } = &topic.spec;
            format!("{pipeline}: {name} {partitions:?} {config:?}")
        })
        .collect();
    assert_eq!(
        topics,
        [
            "shop: shop.public.orders Some(3) {\"cleanup.policy\": \"compact,delete\", \"retention.bytes\": \
             \"21474836480\", \"retention.ms\": \"259200000\"}",
            "shop: audit None {}",
            "shop: 7 None {\"segment.bytes\": \"1048576\"}",
        ]
    );
    assert!(good(&shop("topics:\n")).topics.is_empty());
    assert!(good(&shop("topics: {}\n")).topics.is_empty());
}

#[test]
fn a_topics_problem_is_told_at_its_key() {
    let text = shop("topics:\n  shop.public.orders:\n    retention: {msec: 3}\n");
    assert_eq!(
        bad(&text),
        "error[TL0116]: retention.msec is no setting of a topic  --> shop.yaml:5:17  \
         topics.shop.public.orders.retention.msec
   |
 5 |     retention: {msec: 3}
   |                 ^^^^
  help: did you mean `retention.ms`?
"
    );
}

#[test]
fn two_files_cannot_declare_one_topic() {
    let file = |name: &str| {
        let text = format!("version: 1\nname: {name}\ntopics: {{audit: {{}}}}\n");
        (format!("{name}.yaml"), text)
    };
    let reports = compile_all(&[file("a"), file("b")], &Two).expect_err("same topic");
    let told: Vec<String> = reports.iter().map(ToString::to_string).collect();
    let expected =
        "error[TL0116]: this topic is declared in a.yaml already  --> b.yaml:3:10  topics.audit\n";
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with(expected), "{told:?}");
}

#[test]
fn two_files_cannot_share_a_name() {
    let file = |name: &str| (name.to_owned(), shop("sinks:\n"));
    let reports = compile_all(&[file("a.yaml"), file("b.yaml")], &Two).expect_err("same name");
    assert_eq!(
        reports.first().map(ToString::to_string).as_deref(),
        Some(
            "error[TL0106]: the name `shop` belongs to a.yaml already  --> b.yaml:2:7  name
   |
 2 | name: shop
   |       ^^^^
  help: give each pipeline a name of its own
"
        )
    );
}

/// Every way to write a bad file: its text after `version` and `name`, and how its first error begins.
const BAD: &[(&str, &str)] = &[
    ("source: [", "TL0102]: not YAML"),
    (
        "source: &a {connector: postgres, database.hostname: db}\n",
        "TL0103]: anchors",
    ),
    ("source: *a\n", "TL0103]: aliases"),
    (
        "source: {connector: !x postgres, database.hostname: db}\n",
        "TL0103]: tags",
    ),
    (
        "sinks:\n---\nversion: 1\n",
        "TL0103]: a settings file holds one document",
    ),
    (
        "name: again\n",
        "TL0104]: `name` is given twice, first on line 2",
    ),
    (
        "source: {connector: postgres, database: {hostname: a}, database.hostname: b}\n",
        "TL0104]: database.hostname is given twice, first on line 3",
    ),
    ("sorce: {}\n", "TL0107]: `sorce` does not belong"),
    ("topics: [a]\n", "TL0108]: topics is a list, not a map"),
    (
        "topics: {a: 3}\n",
        "TL0108]: topics.a is a plain value, not a map",
    ),
    (
        "topics: {a: {retention.ms: }}\n",
        "TL0108]: retention.ms has no value",
    ),
    (
        "topics: {a: {retention: {ms: 1d}, retention.ms: 2d}}\n",
        "TL0104]: retention.ms is given twice, first on line 3",
    ),
    (
        "topics: {a: {}, a: {}}\n",
        "TL0104]: `a` is given twice, first on line 3",
    ),
    (
        "topics: {a: {retention.ms: 3fortnights}}\n",
        "TL0114]: retention.ms has the unknown unit `fortnights`",
    ),
    (
        "topics: {a: {retention.ms: '${env:HOME}'}}\n",
        "TL0111]: retention.ms holds a placeholder",
    ),
    (
        "topics: {a: {partitions: many}}\n",
        "TL0116]: partitions is no number of partitions",
    ),
    (
        "topics: {a: {partitions: 0}}\n",
        "TL0116]: partitions is 0, not a number of 1 to 10000",
    ),
    (
        "topics: {a: {partition: 2}}\n",
        "TL0116]: partition is no setting of a topic",
    ),
    (
        "topics: {a: {cleanup.policy: keep}}\n",
        "TL0116]: cleanup.policy is `keep`, no known policy",
    ),
    (
        "topics: {a: {min.compaction.lag.ms: 2d, max.compaction.lag.ms: 1d}}\n",
        "TL0116]: min.compaction.lag.ms is 172800000, above max.compaction.lag.ms, 86400000",
    ),
    (
        "topics: {a b: {}}\n",
        "TL0116]: invalid topic name `a b`: ` ` is not allowed",
    ),
    (
        "topics: {_schemas: {}}\n",
        "TL0116]: topic _schemas holds the worker's own state",
    ),
    (
        "source: {connector: postgres, database.hostname: db, name: x}\n",
        "TL0107]: name does not belong in a pipeline file",
    ),
    (
        "source: {connector: postgres, database.hostname: db}\nsources: {}\n",
        "TL0107]: `source` and `sources` are both given",
    ),
    (
        "source: postgres\n",
        "TL0108]: source is a plain value, not a map",
    ),
    ("sinks: [a]\n", "TL0108]: sinks is a list, not a map"),
    (
        "source: {connector: postgres, database.hostname: }\n",
        "TL0108]: database.hostname has no value",
    ),
    (
        "source: {connector: postgres, database.hostname: db, table.include.list: ['a,b']}\n",
        "TL0108]: table.include.list has a list item with a comma",
    ),
    (
        "source: {connector: postgres, database.hostname: db, table.include.list: [{a: b}]}\n",
        "TL0108]: table.include.list has a map as a list item",
    ),
    ("? [a]\n: b\n", "TL0108]: a key is a plain, non-empty word"),
    (
        "source: {database.hostname: db}\n",
        "TL0109]: source names no connector",
    ),
    (
        "sink: {connector: postgres, from: {topics: a}}\n",
        "TL0109]: there is no sink connector `postgres`",
    ),
    (
        "source: {connector: postgres}\n",
        "TL0110]: database.hostname is required",
    ),
    (
        "source: {connector: postgres, database: {hostname: db, port: 99999}}\n",
        "TL0110]: database.port is not a number from 0 to 65535",
    ),
    (
        "source: {connector: postgres, database.hostname: 'a${b'}\n",
        "TL0111]: database.hostname has `${` without `}`",
    ),
    (
        "source: {connector: postgres, database.hostname: db, transforms: {a: b}}\n",
        "TL0112]: transforms is a map, not a list",
    ),
    (
        "source: {connector: postgres, database.hostname: db, transforms: [[a]]}\n",
        "TL0112]: transforms cannot hold `a list`",
    ),
    (
        "sink: {connector: sql, connection.url: x}\n",
        "TL0113]: what a sink reads by default",
    ),
    (
        "sink: {connector: sql, connection.url: x, from: {topics: a, regex: b}}\n",
        "TL0113]: from names topics and a regex",
    ),
    (
        "sink: {connector: sql, connection.url: x, from: {}}\n",
        "TL0113]: from names nothing",
    ),
    (
        "sink: {connector: sql, connection.url: x, from: a}\n",
        "TL0113]: from is not a map",
    ),
    (
        "sink: {connector: sql, connection.url: x, topics: a, from: {topics: a}}\n",
        "TL0113]: from and topics both name topics",
    ),
    (
        "source: {connector: postgres, database.hostname: db, from: {topics: a}}\n",
        "TL0113]: from belongs to a sink",
    ),
    (
        "source: {connector: postgres, database.hostname: db, wait.max.ms: 3fortnights}\n",
        "TL0114]: wait.max.ms has the unknown unit `fortnights`",
    ),
    (
        "source: {connector: postgres, database.hostname: db}\nsinks: {source: {connector: sql, connection.url: x}}\n",
        "TL0106]: the name `source` is taken on line 3",
    ),
];

#[test]
fn bad_files_are_refused_with_code_place_and_remedy() {
    for (text, expected) in BAD {
        let rendered = bad(&shop(text));
        let first = rendered.lines().next().unwrap_or_default();
        assert!(
            first.starts_with(&format!("error[{expected}")),
            "{text}\n{rendered}"
        );
        assert!(first.contains("  --> shop.yaml:"), "{rendered}");
        assert_eq!(
            rendered.matches("error[").count(),
            1,
            "one problem, one error:\n{rendered}"
        );
        assert!(rendered.contains("  help: "), "{rendered}");
    }
}

#[test]
fn what_is_not_a_map_is_no_pipeline() {
    for text in ["", "just text", "- a\n- b\n", "# nothing\n"] {
        assert!(
            bad(text).starts_with("error[TL0108]: this is not a pipeline"),
            "{text}"
        );
    }
    let deep = format!(
        "version: 1\nname: shop\nsource: {}1{}",
        "{a: ".repeat(40),
        "}".repeat(40)
    );
    assert!(bad(&deep).contains("nested more than 16 deep"));
}

#[test]
fn a_table_whose_topic_may_be_renamed_is_refused() {
    let text = shop(&format!(
        "{SOURCE_LINES}  transforms: [RegexRouter: {{regex: a, replacement: b}}]
sink: {{connector: sql, connection.url: x, from: {{tables: [public.orders]}}}}\n"
    ));
    assert!(bad(&text).starts_with("error[TL0113]: the topics of `tables` cannot be known"));
}

/// Keys as paths of words; no path is the beginning of another, so that each can be nested and dotted. None ends like a
/// key whose values have units.
fn paths() -> impl Strategy<Value = BTreeMap<Vec<String>, String>> {
    let path = prop::collection::vec("[a-z]{1,4}", 3)
        .prop_filter("a unit", |path| path.last().is_none_or(|word| word != "ms"));
    prop::collection::btree_map(path, "[a-zA-Z0-9 ._/-]{0,12}", 1..8)
}

/// The paths as YAML, those in `dotted` on one line, the others nested.
fn written(paths: &BTreeMap<Vec<String>, String>, dotted: bool) -> String {
    let mut text = String::new();
    let mut open: &[String] = &[];
    for (path, value) in paths {
        if dotted {
            text.push_str(&format!("\"{}\": \"{value}\"\n", path.join(".")));
            continue;
        }
        let shared = open.iter().zip(path).take_while(|(a, b)| a == b).count();
        for (depth, word) in path.iter().enumerate().skip(shared) {
            let indent = "  ".repeat(depth);
            let end = if depth + 1 == path.len() {
                format!(" \"{value}\"")
            } else {
                String::new()
            };
            text.push_str(&format!("{indent}\"{word}\":{end}\n"));
        }
        open = path;
    }
    text
}

fn flat(text: &str) -> BTreeMap<String, String> {
    let (root, problems) = yaml::parse(text);
    assert_eq!(problems, [], "{text}");
    let Some(yaml::Content::Map(entries)) = root.map(|root| root.content) else {
        panic!("not a map: {text}");
    };
    let mut problems = Vec::new();
    let settings = flatten::flatten(&entries, &[], "part", &mut problems);
    assert_eq!(problems, [], "{text}");
    settings.into_iter().map(|s| (s.key, s.text)).collect()
}

proptest! {
    #[test]
    fn nested_and_dotted_keys_mean_the_same(paths in paths()) {
        let expected: BTreeMap<String, String> =
            paths.iter().map(|(path, value)| (path.join("."), value.clone())).collect();
        prop_assert_eq!(flat(&written(&paths, true)), expected.clone());
        prop_assert_eq!(flat(&written(&paths, false)), expected);
    }

    #[test]
    fn no_text_makes_the_compiler_panic(text in "[ -~\n]{0,200}") {
        let _either = compile("x.yaml", &text, &Two).map_err(|report| report.to_string());
    }

    #[test]
    fn no_cut_file_makes_the_compiler_panic(cut in 0_usize..240, noise in "[{}\\[\\]&*!|>:,'\" \n-]{0,6}") {
        let whole = shop("source:\n  connector: postgres\n  database: {hostname: db, password: \"${env:X}\"}\n  transforms: [A: {b: c}]\nsinks:\n  a: {connector: sql, connection.url: u}\n");
        let text: String = whole.chars().take(cut).chain(noise.chars()).collect();
        let _either = compile("x.yaml", &text, &Two).map_err(|report| report.to_string());
    }
}

#[test]
fn a_misspelt_key_is_refused_whatever_its_secret_stands_for() {
    let text = "version: 1
name: shop
source: {connector: postgres, database: {hostname: h, user: u, dbname: d, PASSWORD: '${env:NO_SUCH_SECRET}'}}
";
    let elsewhere = super::Elsewhere(crate::plugins::Plugins::builtin());
    let report = compile("x.yaml", text, &elsewhere).expect_err("the key is unknown");
    let paths: Vec<&str> = report.problems().iter().map(|one| &*one.path).collect();
    assert_eq!(paths, ["source.database.PASSWORD"]);
    let good = text.replace("PASSWORD", "password");
    assert!(
        compile("x.yaml", &good, &elsewhere).is_ok(),
        "its value may be known there"
    );
}

#[test]
fn a_part_and_a_file_have_limits_that_are_told() {
    let keys: String = (0..3_000).map(|at| format!("  k{at}: v\n")).collect();
    let text = format!("version: 1\nname: x\nsource:\n  connector: postgres\n{keys}");
    let report = compile("x.yaml", &text, &Two).expect_err("no key is known");
    assert_eq!(report.problems().len(), 100, "nobody reads more");
    assert!(report.to_string().contains(" more are shown"), "{report}");

    let parts: String = (0..1_100)
        .map(|at| format!("  p{at}: {{connector: sql}}\n"))
        .collect();
    let text = format!("version: 1\nname: x\nsinks:\n{parts}");
    let report = compile("x.yaml", &text, &Two).expect_err("too many parts");
    assert!(report.problems().len() <= 100);
}

#[test]
fn a_carriage_return_alone_ends_a_line_in_messages_too() {
    let text = "version: 1\rname: x\rsource: {connector: nothing}\r";
    let report = compile("x.yaml", text, &Two).expect_err("there is no such connector");
    let shown = report.to_string();
    assert!(shown.contains("x.yaml:3:"), "{shown}");
    assert!(
        shown.contains(" 3 | source: {connector: nothing}"),
        "{shown}"
    );
}

#[test]
fn an_empty_list_is_no_value() {
    let text = "version: 1
name: shop
source: {connector: postgres, database.hostname: h, table.include.list: []}
";
    let report = compile("x.yaml", text, &Two).expect_err("it would include everything");
    let shown = report.to_string();
    assert!(shown.contains("table.include.list has no value"), "{shown}");
}
