//! JSON instead of Avro, with real servers: the settings that people have for Debezium, under its class names.

use super::end_to_end::{Run, described, spec, state};
use crate::support::{
    postgres::Postgres,
    wait::{DEADLINE, within},
};
use std::time::Duration;
use tapline::{
    broker::Broker,
    worker::{ConnectorKind, ConnectorSpec, Read, State},
};
use tempfile::TempDir;

const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";
const TOPIC: &str = "shop.public.accounts";

/// Numbers that JSON lacks, nulls beside defaults, bytes, and a text that is stored apart.
const TABLE: &str = "
    create table accounts (id bigint primary key, email text not null, credit numeric(12,2), rate double precision,
        flag boolean default true, seen timestamp, payload bytea, bio text, note text default 'none');
    alter table accounts alter bio set storage external;
    insert into accounts
        select g, 'e' || g || ' \"quoted\" \\ 😀', g * 1.25 - 100, (array['NaN', 'Infinity', '0.1', '-1e300'])[1 + g % 4]::float8,
               case when g % 3 = 0 then null else g % 2 = 0 end, timestamp '2026-01-02 03:04:05.678901' + g * interval '1 s',
               decode(md5(g::text), 'hex'), repeat(md5(g::text), 200), case when g % 5 = 0 then null else 'n' || g end
        from generate_series(1, 300) g;";

/// The long text is not touched by the first; keys change in the second.
const CHANGES: [&str; 5] = [
    "update accounts set credit = credit + 0.01, note = null where id % 2 = 0",
    "update accounts set id = id + 1000 where id % 10 = 0",
    "delete from accounts where id % 7 = 0",
    "update accounts set bio = 'short' where id % 11 = 0",
    "insert into accounts (id, email) values (5000, 'new'), (5001, '')",
];

fn json(settings: &mut Vec<(&'static str, String)>) {
    for (key, value) in [
        ("key.converter", JSON),
        ("value.converter", JSON),
        ("key.converter.schemas.enable", "true"),
        // Debezium's users lose a null beside a default without it.
        ("value.converter.replace.null.with.default", "false"),
    ] {
        settings.push((key, value.to_owned()));
    }
}

fn source(from: &Postgres) -> ConnectorSpec {
    let mut settings = vec![
        ("database.hostname", "127.0.0.1".to_owned()),
        ("database.port", from.port().to_string()),
        ("database.user", "postgres".to_owned()),
        ("database.dbname", "postgres".to_owned()),
        ("topic.prefix", "shop".to_owned()),
        ("plugin.name", "pgoutput".to_owned()),
        ("slot.name", "tapline_json".to_owned()),
        ("publication.autocreate.mode", "filtered".to_owned()),
        ("table.include.list", "public.accounts".to_owned()),
    ];
    json(&mut settings);
    let class = "io.debezium.connector.postgresql.PostgresConnector";
    spec("shop.source", ConnectorKind::Source, class, &settings)
}

fn sink(name: &str, to: &Postgres, reads_json: bool) -> ConnectorSpec {
    let mut settings = vec![
        ("connection.url", to.url("postgres")),
        ("topics", TOPIC.to_owned()),
        ("insert.mode", "upsert".to_owned()),
        ("delete.enabled", "true".to_owned()),
        ("primary.key.mode", "record_key".to_owned()),
        ("schema.evolution", "basic".to_owned()),
        ("collection.name.format", "accounts".to_owned()),
    ];
    if reads_json {
        json(&mut settings);
    }
    let class = "io.debezium.connector.jdbc.JdbcSinkConnector";
    spec(name, ConnectorKind::Sink, class, &settings)
}

async fn rows(of: &Postgres) -> Vec<String> {
    let exists = of
        .rows("select coalesce(to_regclass('accounts')::text, '')")
        .await
        .concat();
    if exists.is_empty() {
        return Vec::new();
    }
    let columns = "id, email, credit, rate, flag, seen, payload, bio, note";
    of.rows(&format!(
        "select row({columns})::text from accounts order by id"
    ))
    .await
}

async fn equal(from: &Postgres, to: &Postgres, run: &Run) -> usize {
    let mut seen = (Vec::new(), Vec::new());
    let reached = within(DEADLINE, async || {
        seen = (rows(from).await, rows(to).await);
        (seen.0 == seen.1).then_some(())
    })
    .await;
    let (ours, theirs) = &seen;
    let differ = ours.iter().zip(theirs).find(|(a, b)| a != b);
    let (few, many) = (theirs.len(), ours.len());
    assert!(
        reached.is_some(),
        "{few} of {many} rows, {differ:?}\n{}",
        described(run)
    );
    ours.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn json_goes_from_postgres_into_a_replica_under_debeziums_names() {
    let (from, to) = (Postgres::start().await, Postgres::start().await);
    from.execute(TABLE).await;
    let folder = TempDir::new().expect("a folder");
    let run = Run::start(folder.path()).await;
    let both = vec![source(&from), sink("shop.replica", &to, true)];
    run.worker.apply(both.clone()).await.expect("applied");
    let snapshot = equal(&from, &to, &run).await;
    for change in CHANGES {
        from.execute(change).await;
    }
    let streamed = equal(&from, &to, &run).await;

    // Only Avro has schemas in the registry.
    let schemas = run.log.topic("_schemas").expect("the topic exists");
    assert!(
        schemas
            .partitions
            .iter()
            .all(|ends| ends.high_watermark == 0),
        "{schemas:?}"
    );

    // People see the rows, not the text of their schemas.
    let end = run.log.topic(TOPIC).expect("the topic exists").partitions[0].high_watermark;
    let read = Read {
        topic: TOPIC.to_owned(),
        partition: 0,
        from: snapshot as u64,
        records_max: 2,
        wait: Duration::ZERO,
    };
    let page = run.worker.read(read).await.expect("read");
    let line: serde_json::Value = serde_json::from_str(&page.lines[0]).expect("JSON");
    assert_eq!(line["key"]["id"], 2, "{line}");
    assert_eq!(line["value"]["op"], "u", "{line}");
    assert_eq!(line["unavailable"], "after.bio", "{line}");

    // A sink that expects Avro says what it has found, where, and what would read it.
    let mut all = both;
    all.push(sink("shop.wrong", &to, false));
    run.worker.apply(all).await.expect("applied");
    state(&run, "shop.wrong", State::Failed).await;
    let shown = described(&run);
    assert!(
        shown.contains("TL0505") && shown.contains("shop.public.accounts/0@0"),
        "{shown}"
    );
    assert!(
        shown.contains("the bytes look like JSON with a schema: key.converter=json"),
        "{shown}"
    );
    eprintln!("{snapshot} rows by snapshot, {streamed} after the changes, {end} records, all JSON");
    run.stop().await;
}
