use super::*;
use std::sync::Arc;
use tapline_sdk::{Cell, Head, Partition, Record, RecordError, Rows, Shape, Transform};

fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn routed(regex: &str, replacement: &str, topic: &str) -> String {
    RegexRouter::new(regex, replacement)
        .expect("valid")
        .route(topic)
        .unwrap_or_else(|| topic.to_owned())
}

fn rows(topics: &[&str]) -> Rows {
    let mut rows = Rows::default();
    for (at, topic) in topics.iter().enumerate() {
        let shape = rows.shape(Shape {
            topic: Arc::from(*topic),
            key: None,
            value: None,
        });
        rows.push(Head {
            shape,
            partition: Partition::ByKey,
            key: Cell::Null,
            value: Cell::Int(i64::try_from(at).expect("small")),
            timestamp_ms: None,
            transaction: None,
        });
    }
    rows
}

fn topics(rows: &Rows) -> Vec<String> {
    rows.iter()
        .map(|record| record.shape().topic.to_string())
        .collect()
}

#[test]
fn a_topic_is_renamed_only_if_the_whole_of_it_matches() {
    assert_eq!(routed(r"shop\.(.*)", "x.$1", "shop.orders"), "x.orders");
    assert_eq!(routed(r"shop", "x", "shop.orders"), "shop.orders");
    assert_eq!(
        routed(r"a|ab", "x", "ab"),
        "xb",
        "then the first occurrence is replaced, as in Java"
    );
}

#[test]
fn replacements_read_as_in_java() {
    assert_eq!(routed(r"(\w+)\.(\w+)", "$2-$1", "a.b"), "b-a");
    assert_eq!(routed(r"(\w+)", "$12", "a"), "a2");
    assert_eq!(routed(r"(?<t>\w+)", "${t}_x", "a"), "a_x");
    assert_eq!(routed(r"(\w+)", r"\$1", "a"), "$1");
    assert_eq!(routed(r"a(b)?", "x$1", "a"), "x");
}

#[test]
fn what_only_java_knows_is_refused_with_what_to_write_instead() {
    for (regex, named) in [
        ("(?!a)b", "look-ahead"),
        ("a(?=b)", "look-ahead"),
        ("(?<=a)b", "look-behind"),
        ("(?<!a)b", "look-behind"),
        (r"(a)\1", "back reference"),
        ("a*+", "possessive"),
        ("(?>a)b", "atomic"),
        (r"\Qa.b\E", "quote"),
    ] {
        let (key, problem, _) = RegexRouter::new(regex, "x").expect_err(regex);
        assert_eq!(key, "regex");
        assert!(problem.contains(named), "{regex}: {problem}");
    }
    assert_eq!(
        routed("[*+?]+b", "x", "*+b"),
        "x",
        "a class is not a quantifier"
    );
    assert_eq!(routed(r"\(?a", "x", "a"), "x");
}

#[test]
fn a_group_that_the_expression_lacks_is_refused() {
    for replacement in ["$1", "${t}", "$", "a$", "\\"] {
        let (key, ..) = RegexRouter::new("a", replacement).expect_err(replacement);
        assert_eq!(key, "replacement");
    }
    assert!(RegexRouter::new("a(", "x").is_err());
}

#[test]
fn routes_run_over_a_whole_batch_in_their_order() {
    let mut chain = parse(&settings(&[
        ("transforms", "a, b"),
        (
            "transforms.a.type",
            "org.apache.kafka.connect.transforms.RegexRouter",
        ),
        ("transforms.a.regex", r"shop\.(.*)"),
        ("transforms.a.replacement", "$1"),
        ("transforms.b.type", "RegexRouter"),
        ("transforms.b.regex", "orders"),
        ("transforms.b.replacement", "o"),
    ]))
    .expect("valid");
    let (rows, kept) = chain
        .apply(rows(&["shop.orders", "shop.lines", "x"]))
        .expect("fit");
    assert_eq!(topics(&rows), ["o", "lines", "x"]);
    assert_eq!(kept, Kept::All);
}

/// Drops odd values, but cannot stand a 3.
struct Every2nd;

impl Transform for Every2nd {
    fn apply(&mut self, record: Record) -> Result<Option<Record>, RecordError> {
        match record.value.value() {
            tapline_sdk::Value::Int(3) => Err(RecordError::new("three")),
            tapline_sdk::Value::Int(n) if n % 2 == 1 => Ok(None),
            _ => Ok(Some(record)),
        }
    }
}

#[test]
fn a_step_over_records_keeps_their_indices_and_names_the_unfit_one() {
    let router = RegexRouter::new("(.)", "t$1").expect("valid");
    let mut chain = Chain::new(vec![Step::Record(Box::new(Every2nd)), Step::Route(router)]);
    let (out, kept) = chain.apply(rows(&["a", "b", "c"])).expect("fit");
    assert_eq!(topics(&out), ["ta", "tc"]);
    assert_eq!(kept, Kept::Only(vec![0, 2]));
    let unfit = chain.apply(rows(&["a", "b", "c", "d"])).expect_err("three");
    assert_eq!(unfit.index, 3);
}

#[test]
fn every_problem_of_a_chain_is_named_at_once() {
    let Err(issues) = parse(&settings(&[
        ("transforms", "a,a,b,c"),
        ("transforms.a.type", "RegexRouter"),
        ("transforms.a.regx", "x"),
        ("transforms.b.type", "Cast$Value"),
        ("transforms.d.type", "RegexRouter"),
    ])) else {
        unreachable!("it is refused")
    };
    let keys: Vec<&str> = issues.iter().map(|issue| issue.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "transforms",
            "transforms.d.type",
            "transforms.a.regx",
            "transforms.a.regex",
            "transforms.a.replacement",
            "transforms.b.type",
            "transforms.c.type",
        ]
    );
}

/// The topics of what is left of four records: a.x and b.x, each with a value and as a tombstone.
fn left(pairs: &[(&str, &str)]) -> Vec<String> {
    let mut chain = parse(&settings(pairs)).expect("valid");
    let mut rows = rows(&["a.x", "b.x"]);
    for topic in ["a.x", "b.x"] {
        let shape = rows.shape(Shape {
            topic: Arc::from(topic),
            key: None,
            value: None,
        });
        rows.push(Head {
            shape,
            partition: Partition::ByKey,
            key: Cell::Null,
            value: Cell::Null,
            timestamp_ms: None,
            transaction: None,
        });
    }
    let (rows, _) = chain.apply(rows).expect("fits");
    topics(&rows)
}

#[test]
fn a_predicate_says_to_which_records_a_transform_applies() {
    let route = [
        ("transforms", "r"),
        ("transforms.r.type", "RegexRouter"),
        ("transforms.r.regex", "(.*)"),
        ("transforms.r.replacement", "$1!"),
        ("transforms.r.predicate", "p"),
        ("predicates", "p"),
        ("predicates.p.type", "TopicNameMatches"),
        ("predicates.p.pattern", r"a\..*"),
    ];
    assert_eq!(left(&route), ["a.x!", "b.x", "a.x!", "b.x"]);
    let negated = [route.as_slice(), &[("transforms.r.negate", "true")]].concat();
    assert_eq!(left(&negated), ["a.x", "b.x!", "a.x", "b.x!"]);
    let drop = [
        ("transforms", "f"),
        ("transforms.f.type", "Filter"),
        ("transforms.f.predicate", "gone"),
        ("predicates", "gone"),
        ("predicates.gone.type", "RecordIsTombstone"),
    ];
    assert_eq!(left(&drop), ["a.x", "b.x"]);
    let unknown = [
        ("transforms", "f"),
        ("transforms.f.type", "Filter"),
        ("transforms.f.predicate", "x"),
    ];
    let Err(issues) = parse(&settings(&unknown)) else {
        unreachable!("it is refused")
    };
    assert_eq!(issues[0].key, "transforms.f.predicate");
}
