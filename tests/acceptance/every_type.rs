//! Every Postgres type with its boundary values, once through the snapshot and once through the stream: the replica
//! holds the same text.

use crate::support::{
    postgres::{Postgres, execute, programs, programs_18},
    replica,
    worker::{Worker, replica_pipeline},
};
use std::path::{Path, PathBuf};

/// Type, then values as SQL expressions; NULL is tried for each type besides.
pub(super) const TYPES: &[(&str, &[&str])] = &[
    ("bool", &["true", "false"]),
    ("smallint", &["-32768", "0", "32767"]),
    ("int", &["-2147483648", "0", "2147483647"]),
    (
        "bigint",
        &["-9223372036854775808", "0", "9223372036854775807"],
    ),
    ("oid", &["0", "4294967295"]),
    (
        "real",
        &[
            "'NaN'",
            "'Infinity'",
            "'-Infinity'",
            "'-0'",
            "1e-45",
            "3.4028235e38",
            "0.1",
        ],
    ),
    (
        "double precision",
        &[
            "'NaN'",
            "'Infinity'",
            "'-Infinity'",
            "'-0'",
            "5e-324",
            "1.7976931348623157e308",
            "0.1",
        ],
    ),
    (
        "numeric",
        &[
            "'NaN'",
            "'Infinity'",
            "'-Infinity'",
            "0",
            "0.00",
            "-1.50",
            "1e-30",
            "12345678901234567890123456789.123456789",
            "10 ^ 200",
            "'0.000000000000000000000001'",
        ],
    ),
    (
        "numeric(10,2)",
        &["-99999999.99", "0", "99999999.99", "'NaN'"],
    ),
    ("numeric(5,-2)", &["-9999900", "100"]),
    ("numeric(3,5)", &["0.00999", "-0.00001"]),
    (
        "money",
        &[
            "'-92233720368547758.08'",
            "0",
            "'92233720368547758.07'",
            "'-12.34'",
        ],
    ),
    ("char(5)", &["'a'", "''", "'äöü'"]),
    ("varchar(10)", &["''", "'äöü'", "'1234567890'"]),
    (
        "text",
        &[
            "''",
            "'NULL'",
            "'null'",
            "E'tab\\tnewline\\nback\\\\slash\\r'",
            "'\\N'",
            "'\\.'",
            "'😀'",
            "repeat('x', 100000)",
        ],
    ),
    ("name", &["'a name'", "''"]),
    ("\"char\"", &["'a'", "''"]),
    (
        "bytea",
        &["''", "'\\x00ff7f80'", "decode(repeat('ab', 5000), 'hex')"],
    ),
    ("bit(1)", &["B'0'", "B'1'"]),
    ("bit(7)", &["B'1000000'", "B'0000000'", "B'0000001'"]),
    ("varbit", &["B''", "B'1'", "B'101010101010'"]),
    ("varbit(9)", &["B'111111111'"]),
    (
        "json",
        &[
            "'{\"a\": 1,  \"b\":[null, 1.0, \"\\u00e4\"]}'",
            "'null'",
            "'\"\"'",
        ],
    ),
    (
        "jsonb",
        &[
            "'{\"a\": 1,  \"b\":[null, 1.0, \"ä\"]}'",
            "'null'",
            "'1e400'",
        ],
    ),
    ("xml", &["'<a b=\"c\">d &amp; e</a>'"]),
    (
        "uuid",
        &[
            "'00000000-0000-0000-0000-000000000000'",
            "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
        ],
    ),
    (
        "inet",
        &["'10.1.2.3'", "'10.1.2.3/8'", "'::1'", "'2001:db8::/32'"],
    ),
    ("cidr", &["'10.0.0.0/8'", "'2001:db8::/32'"]),
    ("macaddr", &["'08:00:2b:01:02:03'"]),
    ("macaddr8", &["'08:00:2b:01:02:03:04:05'"]),
    (
        "date",
        &[
            "'infinity'",
            "'-infinity'",
            "'4713-01-01 BC'",
            "'0001-01-01'",
            "'0001-12-31 BC'",
            "'1582-10-10'",
            "'1970-01-01'",
            "'9999-12-31'",
            "'5874897-12-31'",
        ],
    ),
    (
        "time",
        &["'00:00'", "'24:00'", "'23:59:59.999999'", "'04:05:06.7'"],
    ),
    ("time(0)", &["'23:59:59.999999'", "'04:05:06'"]),
    ("time(3)", &["'04:05:06.789'"]),
    (
        "timetz",
        &[
            "'00:00+15:59:59'",
            "'24:00-15:59'",
            "'23:59:59.999999+05:30'",
            "'12:00+00'",
        ],
    ),
    ("timetz(0)", &["'23:59:59.999999+00'"]),
    (
        "timestamp",
        &[
            "'infinity'",
            "'-infinity'",
            "'4713-01-01 00:00:00 BC'",
            "'0001-01-01 00:00:00.000001 BC'",
            "'1582-10-10 12:00'",
            "'1969-12-31 23:59:59.999999'",
            "'9999-12-31 23:59:59.999999'",
            "'294276-12-31 23:59:59.999999'",
        ],
    ),
    ("timestamp(0)", &["'2016-11-04 13:51:30'", "'infinity'"]),
    (
        "timestamp(3)",
        &["'2016-11-04 13:51:30.123'", "'-infinity'"],
    ),
    (
        "timestamptz",
        &[
            "'infinity'",
            "'-infinity'",
            "'4713-01-02 00:00:00+00 BC'",
            "'1582-10-10 12:00+00'",
            "'1969-12-31 23:59:59.999999+00'",
            "'2016-11-04 13:51:30.123456+02'",
            "'10000-01-01 00:00+00'",
            "'294276-12-31 23:59:59.999999+00'",
        ],
    ),
    (
        "timestamptz(2)",
        &["'2016-11-04 13:51:30.12+02'", "'-infinity'"],
    ),
    (
        "interval",
        &[
            "'0'",
            "'1 year 2 mons 3 days 04:05:06.789'",
            "'-178000000 years'",
            "'178000000 years'",
            "'1 mon -1 day -00:00:01'",
            "'-00:00:00.000001'",
        ],
    ),
    ("interval day to second(3)", &["'3 days 04:05:06.789'"]),
    ("interval year to month", &["'3 years 2 mons'"]),
    ("point", &["'(1.5,-2)'", "'(NaN,Infinity)'"]),
    ("line", &["'{1,-1,0}'"]),
    ("lseg", &["'[(0,0),(1,1)]'"]),
    ("box", &["'(1,1),(0,0)'"]),
    ("path", &["'[(0,0),(1,1)]'", "'((0,0),(1,1))'"]),
    ("polygon", &["'((0,0),(1,1),(1,0))'"]),
    ("circle", &["'<(0,0),1.5>'"]),
    ("int4range", &["'empty'", "'[1,5)'", "'(,)'"]),
    ("int8range", &["'[1,9223372036854775807)'"]),
    ("numrange", &["'(1.5,2.50]'", "'[,3)'"]),
    ("daterange", &["'[2020-01-01,infinity)'"]),
    ("tsrange", &["'[\"2020-01-01 00:00:00\",)'"]),
    (
        "tstzrange",
        &["'[\"2020-01-01 00:00:00+00\",\"2021-01-01 00:00:00+00\")'"],
    ),
    ("int4multirange", &["'{}'", "'{[1,5),[7,9)}'"]),
    ("tsvector", &["'a fat cat'", "'a:1A fat:2B,4C'"]),
    ("tsquery", &["'fat & (rat | cat:*)'"]),
    ("pg_lsn", &["'0/0'", "'FFFFFFFF/FFFFFFFF'"]),
    ("xid8", &["'18446744073709551615'"]),
    ("jsonpath", &["'$.a[*] ? (@ > 1)'"]),
    ("mood", &["'sad'", "'it''s, \"odd\"'"]),
    ("positive", &["1", "2147483647"]),
    ("short", &["'abc'"]),
    ("felt", &["'sad'"]),
    ("pair", &["row(1, 'a, \"b\"')", "row(null, '')"]),
    (
        "int[]",
        &["'{}'", "'{1,NULL,-3}'", "'{{1,2},{3,4}}'", "'[2:3]={5,6}'"],
    ),
    ("smallint[]", &["'{1,NULL}'"]),
    ("bigint[]", &["'{9223372036854775807}'"]),
    ("bool[]", &["'{t,NULL,f}'"]),
    ("real[]", &["'{NaN,1.5}'"]),
    ("double precision[]", &["'{Infinity,0.1}'"]),
    ("numeric[]", &["'{1.50,NaN,NULL}'"]),
    ("numeric(6,3)[]", &["'{1.5,2}'"]),
    (
        "text[]",
        &[
            "array['a', null, 'NULL', '', 'with \"quotes\" and, comma', '{b}', E'back\\\\slash']",
            "'{{a,b},{c,d}}'",
        ],
    ),
    ("varchar(5)[]", &["'{abc,NULL}'"]),
    ("char(3)[]", &["'{a,NULL}'"]),
    ("bytea[]", &["array['\\x00ff'::bytea, null]"]),
    ("uuid[]", &["'{00000000-0000-0000-0000-000000000000,NULL}'"]),
    ("json[]", &["array['{\"a\":[1]}'::json]"]),
    ("jsonb[]", &["array['{\"a\":[1]}'::jsonb, null]"]),
    ("date[]", &["'{infinity,0001-12-31 BC,NULL}'"]),
    ("time[]", &["'{24:00,NULL}'"]),
    ("timetz[]", &["'{12:00+05:30}'"]),
    ("timestamp[]", &["'{infinity,NULL,2016-11-04 13:51:30.5}'"]),
    ("timestamptz[]", &["'{-infinity,2016-11-04 13:51:30.5+00}'"]),
    ("interval[]", &["'{1 day,NULL}'"]),
    ("inet[]", &["'{10.0.0.1/8}'"]),
    ("point[]", &["array['(1,2)'::point]"]),
    ("int4range[]", &["array['[1,2)'::int4range]"]),
    ("bit(3)[]", &["array[B'101']"]),
    ("varbit[]", &["array[B'1', B'']"]),
    ("money[]", &["array['1.50'::money]"]),
    ("name[]", &["'{a,b}'"]),
    ("xml[]", &["array['<a/>'::xml]"]),
    ("mood[]", &["'{sad,NULL}'"]),
    ("positive[]", &["'{1,2}'"]),
    ("pair[]", &["array[row(1,'x')::pair]"]),
    ("tsvector[]", &["array['a b'::tsvector]"]),
    ("oid[]", &["'{1,4294967295}'"]),
];

/// Contrib types; the packages of some servers lack them.
pub(super) const EXTENSIONS: &[(&str, &str, &[&str])] = &[
    (
        "hstore",
        "hstore",
        &["'a=>1, b=>NULL, \"c d\"=>\"\"'", "''"],
    ),
    ("citext", "citext", &["'Ab'"]),
    ("ltree", "ltree", &["'Top.Science'"]),
    ("isn", "isbn", &["'978-0-393-04002-9'"]),
    ("cube", "cube", &["'(1,2,3)'"]),
];

pub(super) const OWN_TYPES: &str = "
    create type mood as enum ('sad', 'ok', 'it''s, \"odd\"');
    create domain positive as int check (value > 0);
    create domain short as varchar(5);
    create domain felt as mood;
    create type pair as (a int, b text);
";

struct Cases {
    create: String,
    insert: Vec<String>,
    tables: Vec<String>,
}

/// A table per type: id, the value, and the same type NOT NULL.
fn cases(types: &[(&str, &[&str])], first: usize) -> Cases {
    let mut cases = Cases {
        create: String::new(),
        insert: Vec::new(),
        tables: Vec::new(),
    };
    for (number, (name, values)) in types.iter().enumerate() {
        let table = format!("t{}", first + number);
        cases.create.push_str(&format!(
            "create table {table} (id serial primary key, v {name}, w {name} not null);"
        ));
        for value in *values {
            cases.insert.push(format!(
                "insert into {table} (v, w) values ({value}, {value});"
            ));
        }
        let some = values[0];
        cases
            .insert
            .push(format!("insert into {table} (v, w) values (null, {some});"));
        cases.tables.push(table);
    }
    cases
}

async fn every_type_is_equal_as_text(programs: PathBuf) {
    let source = Postgres::start_from(programs.clone(), &["lc_monetary=C"]).await;
    let target =
        Postgres::start_from(programs, &["lc_monetary=C", "timezone=Asia/Kathmandu"]).await;
    let (from, to) = (source.url("postgres"), target.url("postgres"));
    execute(&from, OWN_TYPES).await;
    // Domains and composites cannot be told from a record: the replica gets them beforehand, as its users would.
    execute(&to, OWN_TYPES).await;
    let mut cases = cases(TYPES, 0);
    add_extensions(&source, &target, &mut cases).await;
    execute(&from, &cases.create).await;
    let rows = cases.insert.concat();
    execute(&from, &rows).await;

    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let pipeline = replica_pipeline(source.port(), target.port(), "");
    let mut worker = Worker::new(
        Path::new(env!("CARGO_BIN_EXE_tapline")),
        folder.path(),
        &pipeline,
    );
    worker.start();
    let tables: Vec<&str> = cases.tables.iter().map(String::as_str).collect();
    until_equal(&from, &to, &tables, &worker, "snapshot").await;

    execute(&from, &rows).await;
    // Old images, too: every second row is updated in place, every third deleted.
    let changes = |table: &&str| {
        format!("update {table} set v = w where id % 2 = 0; delete from {table} where id % 3 = 0;")
    };
    execute(&from, &tables.iter().map(changes).collect::<String>()).await;
    until_equal(&from, &to, &tables, &worker, "stream").await;
    assert_eq!(worker.terminate(), Some(0), "{}", worker.log());
}

async fn add_extensions(source: &Postgres, target: &Postgres, cases: &mut Cases) {
    for (extension, name, values) in EXTENSIONS {
        let available =
            format!("select name from pg_available_extensions where name = '{extension}'");
        if source.rows(&available).await.is_empty() {
            eprintln!("the server's package has no {extension}: left out");
            continue;
        }
        let create = format!("create extension {extension}");
        source.execute(&create).await;
        target.execute(&create).await;
        let more = self::cases(&[(*name, *values)], cases.tables.len());
        cases.create.push_str(&more.create);
        cases.insert.extend(more.insert);
        cases.tables.extend(more.tables);
    }
}

async fn until_equal(from: &str, to: &str, tables: &[&str], worker: &Worker, phase: &str) {
    if let Err(last) = replica::becomes_equal(worker, from, to, tables).await {
        panic!("after the {phase}:\n{last}\n{}", worker.log());
    }
}

#[tokio::test]
async fn every_type_is_equal_on_debian_s_postgres() {
    every_type_is_equal_as_text(programs()).await;
}

#[tokio::test]
async fn every_type_is_equal_on_postgres_18() {
    every_type_is_equal_as_text(programs_18()).await;
}
