//! Tables, columns and types that follow the records' schemas.

use super::{content, feed::*, items, row};
use crate::support::postgres::Postgres;
use std::sync::Arc;
use tapline_sdk::{Arena, Connector, Datum, ErrorKind, Schema, Type};
use tapline_sql::SqlSink;

/// Source types with texts as the server prints them.
const TEXTS: &[(&str, &[&str])] = &[
    ("smallint", &["-32768", "32767"]),
    ("integer", &["-2147483648", "2147483647"]),
    ("bigint", &["-9223372036854775808", "9223372036854775807"]),
    (
        "numeric",
        &[
            "NaN",
            "Infinity",
            "-Infinity",
            "0.000",
            "-1.10",
            "123456789012345678901234567890.123456789",
        ],
    ),
    ("numeric(10,2)", &["0.00", "-99999999.99", "NaN"]),
    ("real", &["NaN", "Infinity", "-0", "1e-45", "3.4028235e+38"]),
    (
        "double precision",
        &[
            "NaN",
            "-Infinity",
            "5e-324",
            "1.7976931348623157e+308",
            "0.1",
        ],
    ),
    ("money", &["-$92,233,720,368,547,758.08", "$1.00"]),
    ("boolean", &["t", "f"]),
    ("\"char\"", &["a"]),
    ("character(5)", &["ab   ", "     "]),
    ("character varying(3)", &["abc", "", "a\\b"]),
    (
        "text",
        &["", "\\N", "tab\tnew\nline\rback\\slash", "ü€😀", "\\."],
    ),
    ("name", &["a name"]),
    ("bytea", &["\\x", "\\x00ff5c0a"]),
    (
        "uuid",
        &[
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
        ],
    ),
    ("json", &["{\"a\":  1, \"a\": 2}", "null", "\"\\u0041\""]),
    ("jsonb", &["{\"a\": [1, 2.50]}", "null"]),
    ("xml", &["<a>b</a>", "x<y/>"]),
    (
        "date",
        &[
            "infinity",
            "-infinity",
            "4714-11-24 BC",
            "5874897-12-31",
            "2000-02-29",
        ],
    ),
    (
        "time without time zone",
        &["00:00:00", "24:00:00", "23:59:59.999999"],
    ),
    ("time(0) without time zone", &["24:00:00"]),
    (
        "time with time zone",
        &["00:00:00+15:59:59", "24:00:00-15:59", "12:34:56.789+02"],
    ),
    (
        "timestamp without time zone",
        &[
            "infinity",
            "-infinity",
            "4714-11-24 00:00:00 BC",
            "294276-12-31 23:59:59.999999",
        ],
    ),
    (
        "timestamp(3) without time zone",
        &["2024-01-02 03:04:05.678"],
    ),
    (
        "timestamp with time zone",
        &[
            "infinity",
            "4714-11-24 00:00:00+00 BC",
            "294276-12-31 23:59:59.999999+00",
        ],
    ),
    (
        "interval",
        &[
            "178000000 years",
            "-1 years -2 mons +3 days -04:05:06.789",
            "00:00:00",
        ],
    ),
    ("interval day to second(3)", &["1 day 02:03:04.567"]),
    ("inet", &["::1/64", "10.0.0.1"]),
    ("cidr", &["10.0.0.0/8"]),
    ("macaddr", &["08:00:2b:01:02:03"]),
    ("macaddr8", &["08:00:2b:01:02:03:04:05"]),
    ("bit(3)", &["101"]),
    ("bit varying(10)", &["", "1"]),
    ("point", &["(1,-2.5)", "(NaN,Infinity)"]),
    ("box", &["(3,4),(1,2)"]),
    ("path", &["((0,0),(1,1))", "[(0,0),(1,1)]"]),
    ("circle", &["<(1,2),3>"]),
    ("tsvector", &["'a':1A 'b c':2"]),
    ("tsquery", &["'a' & !'b'"]),
    ("int4range", &["[1,5)", "empty", "(,)"]),
    ("tstzrange", &["[\"2024-01-01 00:00:00+00\",infinity)"]),
    ("int4multirange", &["{[1,2),[5,9)}", "{}"]),
    ("pg_lsn", &["0/0", "FFFFFFFF/FFFFFFFF"]),
    (
        "integer[]",
        &["{}", "{1,NULL,-3}", "[0:1]={1,2}", "{{1,2},{3,4}}"],
    ),
    (
        "text[]",
        &["{\"\",NULL,\"NULL\",\"a b\",\"\\\"\\\\\",\"{\"}"],
    ),
    ("numeric(5,1)[]", &["{1.5,NaN}"]),
    ("oid", &["4294967295"]),
];

/// What `psql` would do with the same texts.
async fn reference(server: &Postgres, number: usize, sql_type: &str, texts: &[&str]) {
    let rows: Vec<String> = texts
        .iter()
        .enumerate()
        .map(|(id, text)| format!("({id}, '{}')", text.replace('\'', "''")))
        .collect();
    let sql = format!(
        "create table expected_{number} (id int, v {sql_type}); insert into expected_{number} values {}, (-1, null)",
        rows.join(", ")
    );
    server.execute(&sql).await;
}

#[tokio::test]
async fn every_type_equals_its_source_as_text_by_copy_and_by_statement() {
    let server = Postgres::start().await;
    let mut fed = Fed::start(&server).await;
    for (number, (sql_type, texts)) in TEXTS.iter().enumerate() {
        reference(&server, number, sql_type, texts).await;
        let table = Table::new(
            &format!("t{number}"),
            &[
                ("id", typed(Type::Int32, "integer")),
                ("v", typed(Type::Text, sql_type)),
            ],
            &[0],
        );
        let rows: Vec<[V; 2]> = texts
            .iter()
            .enumerate()
            .map(|(id, text)| [V::Int(i64::try_from(id).expect("small")), t(text)])
            .collect();
        for offset in [0, 100] {
            fed.put(|feed| {
                for row in &rows {
                    let V::Int(id) = row[0] else { continue };
                    feed.insert(&table, &[V::Int(id + offset), row[1].clone()]);
                }
                feed.insert(&table, &[V::Int(offset - 1), V::Null]);
                // Enough new rows at once go by COPY.
                let fill = if offset == 0 { 0 } else { 20 };
                for extra in 0..fill {
                    feed.insert(&table, &[V::Int(1000 + extra), V::Null]);
                }
            })
            .await;
            let sql = format!(
                "select e.id, e.v::text, r.v::text from expected_{number} e left join t{number} r on r.id = e.id + {offset} \
                 where r.v::text is distinct from e.v::text or r.id is null"
            );
            assert_eq!(server.rows(&sql).await, Vec::<String>::new(), "{sql_type}");
        }
        let types = format!(
            "select count(distinct format_type(atttypid, atttypmod)) from pg_attribute where attname = 'v' \
             and attrelid in ('t{number}'::regclass, 'expected_{number}'::regclass)"
        );
        assert_eq!(server.rows(&types).await, ["1"], "{sql_type}");
    }
    eprintln!(
        "{} types, {} values, twice",
        TEXTS.len(),
        TEXTS.iter().map(|(_, texts)| texts.len()).sum::<usize>()
    );
}

/// A schema without source type, a value, the column that it means, and the value's text there.
type Natural = (Arc<Schema>, V, &'static str, &'static str);

fn plain(ty: Type) -> Arc<Schema> {
    Schema::of(ty).optional().build()
}

fn named(ty: Type, name: &str) -> Arc<Schema> {
    Schema::of(ty).optional().name(name).build()
}

fn plain_values() -> Vec<Natural> {
    let decimal = Schema::of(Type::Bytes)
        .optional()
        .name("org.apache.kafka.connect.data.Decimal")
        .parameter("scale", "2")
        .parameter("connect.decimal.precision", "8");
    let narrow = V::Float(f64::from(0.1_f32));
    let infinite = V::Float(f64::NEG_INFINITY);
    let (bytes, array) = (V::Bytes(vec![0, 255]), V::Array(vec![V::Int(1), V::Null]));
    let json = named(Type::Text, "io.debezium.data.Json");
    let label = named(Type::Text, "io.debezium.data.Enum");
    let integers = plain(Type::Array(plain(Type::Int32)));
    vec![
        (plain(Type::Int8), V::Int(-128), "smallint", "-128"),
        (plain(Type::Bool), V::Bool(true), "boolean", "true"),
        (plain(Type::Float32), narrow, "real", "0.1"),
        (
            plain(Type::Float64),
            infinite,
            "double precision",
            "-Infinity",
        ),
        (plain(Type::Bytes), bytes, "bytea", "\\x00ff"),
        (decimal.build(), V::Bytes(vec![0xff]), "numeric", "-0.01"),
        (json, t("{\"a\":1}"), "jsonb", "{\"a\": 1}"),
        (label, t("a"), "text", "a"),
        (integers, array, "integer[]", "{1,NULL}"),
    ]
}

fn times() -> Vec<Natural> {
    let of = |ty, name: &str| named(ty, &format!("io.debezium.time.{name}"));
    let (plain, zoned) = ("timestamp without time zone", "timestamp with time zone");
    let bc = V::Int(-62_135_596_800_000_001);
    let date = of(Type::Int32, "Date");
    let (time, stamp) = (
        of(Type::Int64, "MicroTime"),
        of(Type::Int64, "MicroTimestamp"),
    );
    let with_zone = of(Type::Text, "ZonedTimestamp");
    let (short, long) = (of(Type::Int64, "MicroDuration"), of(Type::Text, "Interval"));
    let iso = t("P1Y2M3DT4H5M6.78S");
    vec![
        (date, V::Int(-2_147_472_692), "date", "infinity"),
        (stamp, bc, plain, "0001-12-31 23:59:59.999999 BC"),
        (
            time,
            V::Int(86_400_000_000),
            "time without time zone",
            "24:00:00",
        ),
        (
            with_zone,
            t("2016-11-04T13:51:30.5Z"),
            zoned,
            "2016-11-04 13:51:30.5+00",
        ),
        (short, V::Int(-1), "interval", "-00:00:00.000001"),
        (long, iso, "interval", "1 year 2 mons 3 days 04:05:06.78"),
    ]
}

#[tokio::test]
async fn connect_types_without_a_source_type_have_their_natural_columns() {
    let server = Postgres::start().await;
    let mut fed = Fed::start(&server).await;
    let mut cases = plain_values();
    cases.extend(times());
    let names: Vec<String> = (0..cases.len()).map(|at| format!("c{at}")).collect();
    let mut columns = vec![("id", plain(Type::Int32))];
    let schemas = cases.iter().map(|case| Arc::clone(&case.0));
    columns.extend(names.iter().map(String::as_str).zip(schemas));
    let table = Table::new("natural", &columns, &[0]);
    let mut values = vec![V::Int(1)];
    values.extend(cases.iter().map(|case| case.1.clone()));
    fed.put(|feed| {
        feed.insert(&table, &values);
    })
    .await;
    for (name, (_, _, sql_type, text)) in names.iter().zip(&cases) {
        let sql = format!("select pg_typeof({name})::text, {name}::text from \"natural\"");
        assert_eq!(server.rows(&sql).await, [format!("{sql_type}|{text}")]);
    }
}

#[tokio::test]
async fn columns_are_added_dropped_and_retyped_as_at_the_source() {
    let server = Postgres::start().await;
    let mut fed = Fed::start(&server).await;
    let id = || ("id", typed(Type::Int32, "integer"));
    let of = |columns: &[(&str, Arc<Schema>)]| Table::new("grows", columns, &[0]);
    let narrow = of(&[
        id(),
        ("n", typed(Type::Text, "numeric(5,2)")),
        ("old", typed(Type::Text, "text")),
    ]);
    let mut arena = Arena::default();
    let seven = arena.text("7");
    let default = Datum::new(Some(Schema::string()), arena, seven);
    let added = Schema::of(Type::Text)
        .optional()
        .parameter("tapline.source.type", "integer");
    let wide = of(&[
        id(),
        ("n", typed(Type::Text, "numeric(6,1)")),
        ("new", added.default(default).build()),
    ]);
    fed.put(|feed| {
        feed.insert(&narrow, &[V::Int(1), t("1.25"), t("o")]);
    })
    .await;
    // Both versions of the table in one batch, after a restart of the sink.
    let next = fed.next;
    let mut fed = Fed::start(&server).await;
    assert_eq!(fed.next, next);
    fed.put(|feed| {
        feed.update(&narrow, &[V::Int(1), t("1.20"), t("p")]);
        feed.insert(&wide, &[V::Int(2), t("12345.6"), t("8")]);
    })
    .await;
    let sql = "select id, n, old, \"new\" from grows order by id";
    assert_eq!(server.rows(sql).await, ["1|1.2|p|7", "2|12345.6|∅|8"]);
    let impossible = of(&[id(), ("n", typed(Type::Text, "point"))]);
    let error = fed
        .error(|feed| {
            feed.insert(&impossible, &[V::Int(3), t("(1,2)")]);
        })
        .await;
    assert_eq!(
        (error.kind, error.code),
        (ErrorKind::Config, Some("TL0411"))
    );
    let text = of(&[id(), ("n", typed(Type::Text, "text"))]);
    fed.put(|feed| {
        feed.insert(&text, &[V::Int(3), t("now text")]);
    })
    .await;
    assert_eq!(
        server.rows(sql).await,
        ["1|1.2|p|7", "2|12345.6|∅|8", "3|now text|∅|7"]
    );
}

#[tokio::test]
async fn an_operators_column_keeps_its_type() {
    let server = Postgres::start().await;
    server
        .execute("create table items (id bigint primary key, body varchar, note text, extra int)")
        .await;
    let mut fed = Fed::start(&server).await;
    fed.put(|feed| {
        feed.insert(&items(), &row(1, "a", "longer than ten characters"));
    })
    .await;
    assert_eq!(content(&server).await, ["1|a|longer than ten characters|∅"]);
    assert_eq!(
        server.rows("select pg_typeof(id)::text from items").await,
        ["bigint"]
    );
}

#[tokio::test]
async fn enums_are_made_extended_and_used_in_one_go() {
    let server = Postgres::start().await;
    let mut fed = Fed::start(&server).await;
    let mood = |allowed: &str| {
        let schema = Schema::of(Type::Text)
            .optional()
            .name("io.debezium.data.Enum");
        let schema = schema.parameter("allowed", allowed);
        schema
            .parameter("tapline.source.type", "other.mood")
            .build()
    };
    let of = |allowed: &str| {
        let columns = [("id", typed(Type::Int32, "integer")), ("m", mood(allowed))];
        Table::new("moods", &columns, &[0])
    };
    fed.put(|feed| {
        feed.insert(&of("sad,happy"), &[V::Int(1), t("happy")]);
    })
    .await;
    fed.put(|feed| {
        feed.insert(&of("worst,sad,so-so,happy"), &[V::Int(2), t("so-so")]);
        feed.insert(&of("worst,sad,so-so,happy"), &[V::Int(3), t("worst")]);
    })
    .await;
    assert_eq!(
        server.rows("select id, m from moods order by m").await,
        ["3|worst", "2|so-so", "1|happy"]
    );
}

#[tokio::test]
async fn types_that_the_target_lacks_fall_back() {
    let server = Postgres::start().await;
    let mut fed = Fed::start(&server).await;
    let domain = Schema::of(Type::Int32)
        .optional()
        .parameter("tapline.source.type", "public.positive")
        .parameter("tapline.source.base", "integer");
    let table = Table::new(
        "odd",
        &[
            ("id", typed(Type::Int32, "integer")),
            ("d", domain.build()),
            ("g", typed(Type::Text, "public.geometry(Point,4326)")),
        ],
        &[0],
    );
    for _ in 0..2 {
        fed.put(|feed| {
            feed.insert(&table, &[V::Int(1), V::Int(5), t("0101")]);
        })
        .await;
    }
    let sql = "select pg_typeof(d), pg_typeof(g), d, g from odd";
    assert_eq!(server.rows(sql).await, ["integer|text|5|0101"]);
}

#[tokio::test]
async fn identity_and_generated_columns_of_the_target_are_respected() {
    let server = Postgres::start().await;
    server
        .execute(
            "create table items (id int generated always as identity primary key, body text, note varchar(10), \
             twice text generated always as (body || note) stored)",
        )
        .await;
    let (mut fed, table) = (Fed::start(&server).await, items());
    fed.put(|feed| {
        feed.insert(&table, &row(5, "a", "x"))
            .update(&table, &row(5, "b", "x"));
    })
    .await;
    fed.put(|feed| {
        feed.update(&table, &row(5, "c", "x"));
        feed.change_key(&table, &row(5, "", ""), &[V::Int(6), V::Left, t("y")]);
    })
    .await;
    assert_eq!(content(&server).await, ["6|c|y|cy"]);
}

#[tokio::test]
async fn without_evolution_what_is_missing_is_named() {
    let server = Postgres::start().await;
    let mut fed = Fed::with(&server, &[("schema.evolution", "none")]).await;
    let write = |feed: &mut Feed| {
        feed.insert(&items(), &row(1, "a", "x"));
    };
    let error = fed.error(write).await;
    assert_eq!(
        (error.kind, error.code),
        (ErrorKind::Config, Some("TL0410"))
    );
    assert!(
        error.context.contains("\"public\".\"items\""),
        "{}",
        error.context
    );
    server
        .execute("create table items (id int primary key, body text)")
        .await;
    let error = fed.error(write).await;
    assert!(
        error.context.contains("column \"note\""),
        "{}",
        error.context
    );
    server
        .execute("drop table items; create table items (id int, body text, note text)")
        .await;
    assert_eq!(fed.error(write).await.code, Some("TL0412"));
    server.execute("create unique index on items (id)").await;
    fed.put(write).await;
    assert_eq!(content(&server).await, ["1|a|x"]);
}

#[tokio::test]
async fn a_table_that_vanishes_or_changes_is_looked_at_again() {
    let server = Postgres::start().await;
    let (mut fed, table) = (Fed::start(&server).await, items());
    for change in [
        "drop table items",
        "alter table items drop column note",
        "select 1",
    ] {
        fed.put(|feed| {
            feed.insert(&table, &row(1, "a", "x"));
        })
        .await;
        assert_eq!(content(&server).await, ["1|a|x"]);
        server.execute(change).await;
    }
}

#[tokio::test]
async fn names_that_the_target_would_cut_are_an_error() {
    let server = Postgres::start().await;
    let mut fed = Fed::start(&server).await;
    let long = "x".repeat(64);
    let table = Table::new(
        "t",
        &[
            ("id", typed(Type::Int32, "integer")),
            (&long, typed(Type::Text, "text")),
        ],
        &[0],
    );
    let error = fed
        .error(|feed| {
            feed.insert(&table, &[V::Int(1), V::Null]);
        })
        .await;
    assert_eq!(
        (error.kind, error.code),
        (ErrorKind::Config, Some("TL0413"))
    );
}

#[tokio::test]
async fn insert_mode_appends_and_rejects_what_exists() {
    let server = Postgres::start().await;
    let mut fed = Fed::with(&server, &[("insert.mode", "insert")]).await;
    let table = items();
    fed.put(|feed| {
        feed.insert(&table, &row(1, "a", "x"));
    })
    .await;
    let rejected = fed
        .rejected(|feed| {
            feed.insert(&table, &row(2, "b", "x"))
                .insert(&table, &row(1, "again", "x"));
        })
        .await;
    assert_eq!(rejected.len(), 1);
    assert!(rejected[0].2.contains("23505"), "{}", rejected[0].2);
    let mut fed = Fed::with(&server, &[("insert.mode", "update")]).await;
    fed.put(|feed| {
        feed.update(&table, &row(1, "new", "y"))
            .update(&table, &row(7, "missing", "y"));
    })
    .await;
    assert_eq!(content(&server).await, ["1|new|y"]);
}

#[tokio::test]
async fn validation_names_the_key_and_the_remedy() {
    let server = Postgres::start().await;
    let issues = |more: &[(&str, &str)]| SqlSink::validate(&config(&server, more));
    assert_eq!(issues(&[]), []);
    let keys = [
        (("connection.url", "mysql://u@h/d"), "connection.url"),
        (("primary.key.mode", "none"), "primary.key.mode"),
        (("primary.key.mode", "record_value"), "primary.key.fields"),
        (
            ("collection.name.format", "${nope}"),
            "collection.name.format",
        ),
        (("insert.mode", "replace"), "insert.mode"),
    ];
    for (setting, key) in keys {
        let found = issues(&[setting]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].key, key);
        assert!(!found[0].remedy.is_empty());
    }
}
