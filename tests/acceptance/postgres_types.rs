//! The Postgres mapping against a real server, without the wire: what a snapshot's COPY and what pgoutput send of the
//! same row become the same record, and our own class's texts are values of the types that they name.

use super::every_type::{EXTENSIONS, OWN_TYPES, TYPES};
use crate::support::postgres::{Postgres, programs, programs_18};
use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, Executor, PgConnection, Row, ValueRef};
use std::path::PathBuf;
use tapline_postgres::{
    envelope::{ChangeBatch, ChangeMeta, OldImage, Operation, SnapshotMarker, TablePlan},
    options::MappingOptions,
    schema::{Relation, RelationColumn, ReplicaIdentity, TableCatalog, TableMeta},
    types::{SESSION_SETTINGS, TupleSpans, TypeCatalog},
};
use tapline_sdk::{Rows, Transaction, Value};

/// Runs a query by the simple protocol, so that every value is the server's text.
async fn texts(connection: &mut PgConnection, sql: &str) -> Vec<Vec<Option<String>>> {
    let rows = connection
        .fetch_all(sqlx::raw_sql(AssertSqlSafe(sql.to_owned())))
        .await
        .unwrap_or_else(|error| panic!("{error} in: {sql}"));
    let text = |row: &sqlx::postgres::PgRow, at: usize| {
        let raw = row.try_get_raw(at).expect("the column is there");
        (!raw.is_null()).then(|| raw.as_str().expect("text").to_owned())
    };
    rows.iter()
        .map(|row| (0..row.len()).map(|at| text(row, at)).collect())
        .collect()
}

async fn session(server: &Postgres) -> PgConnection {
    let mut connection = server.connect().await;
    for (name, value) in SESSION_SETTINGS {
        let set = format!("select set_config('{name}', '{value}', false)");
        texts(&mut connection, &set).await;
    }
    connection
}

fn borrowed(row: &[Option<String>]) -> Vec<Option<&str>> {
    row.iter().map(Option::as_deref).collect()
}

async fn catalogs(connection: &mut PgConnection, relids: &[u32]) -> Vec<TableCatalog> {
    let rows = texts(connection, &TableCatalog::query(relids)).await;
    let rows: Vec<Vec<Option<&str>>> = rows.iter().map(|row| borrowed(row)).collect();
    TableCatalog::read(rows.iter().map(Vec::as_slice)).expect("the answer is understood")
}

async fn learn(connection: &mut PgConnection, types: &mut TypeCatalog, meta: &TableMeta) {
    let missing = types.missing(meta.type_oids());
    for row in texts(connection, &TypeCatalog::query(&missing)).await {
        types
            .insert(&borrowed(&row))
            .expect("the answer is understood");
    }
    assert!(types.missing(meta.type_oids()).is_empty());
}

fn meta(snapshot: SnapshotMarker) -> ChangeMeta {
    ChangeMeta {
        snapshot,
        lsn: Some(42),
        last_commit_lsn: None,
        commit_time_us: 1_000_000,
        now_us: 2_000_000,
        xid: Some(7),
        xmin: None,
        origin: None,
        transaction: Some(Transaction {
            id: 1,
            ordinal: 1,
            last: false,
        }),
    }
}

/// The table's rows through a binary COPY.
async fn snapshot(connection: &mut PgConnection, plan: &TablePlan, table: &str) -> Rows {
    let copy = format!(
        "copy (select {} from public.{table} order by 1) to stdout (format binary)",
        plan.copy_columns()
    );
    let mut stream = connection
        .copy_out_raw(&copy)
        .await
        .unwrap_or_else(|error| panic!("{error} in: {copy}"));
    let mut batch = ChangeBatch::with_capacity(1 << 20);
    let mut spans = TupleSpans::default();
    let mut data = Vec::new();
    while let Some(part) = stream.try_next().await.expect("copy goes on") {
        data.extend_from_slice(&part);
    }
    // Signature, flags, length of the extension: 19 bytes; then rows, whose ends only their columns tell.
    let mut rest = &data[19..];
    loop {
        let end = row_end(rest);
        if !spans.read_copy_row(&rest[..end]).expect("a row") {
            break;
        }
        plan.snapshot_row(
            &mut batch,
            &meta(SnapshotMarker::Row),
            spans.view(&rest[..end]),
        )
        .unwrap_or_else(|error| panic!("{error} in snapshot of {table}"));
        rest = &rest[end..];
    }
    batch.take(0)
}

fn row_end(bytes: &[u8]) -> usize {
    let columns = i16::from_be_bytes([bytes[0], bytes[1]]);
    let mut at = 2;
    for _ in 0..columns.max(0) {
        let len = i32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        at += 4 + usize::try_from(len).unwrap_or(0);
    }
    at
}

/// A parser of pgoutput that is just good enough for a test.
struct Message<'a>(&'a [u8]);

impl Message<'_> {
    fn take(&mut self, len: usize) -> &[u8] {
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }

    fn u8(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.take(2).try_into().expect("two bytes"))
    }

    fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.take(4).try_into().expect("four bytes"))
    }

    fn text(&mut self) -> String {
        let len = self.0.iter().position(|byte| *byte == 0).expect("a zero");
        let text = String::from_utf8(self.take(len).to_vec()).expect("UTF-8");
        self.take(1);
        text
    }

    fn relation(&mut self) -> Relation {
        Relation {
            relid: self.i32().cast_unsigned(),
            schema: self.text().into(),
            table: self.text().into(),
            identity: ReplicaIdentity::from_byte(self.u8()).expect("an identity"),
            columns: (0..self.i16())
                .map(|_| RelationColumn {
                    in_identity: self.u8() == 1,
                    name: self.text().into(),
                    type_oid: self.i32().cast_unsigned(),
                    typmod: self.i32(),
                })
                .collect(),
        }
    }
}

/// What the slot has, through plans that relation messages give: each table's records in order.
async fn stream(
    connection: &mut PgConnection,
    options: &MappingOptions,
    types: &mut TypeCatalog,
) -> Rows {
    let messages = texts(
        connection,
        "select pg_catalog.encode(data, 'hex') from pg_catalog.pg_logical_slot_get_binary_changes(\
         's', null, null, 'proto_version', '1', 'publication_names', 'p')",
    )
    .await;
    let mut plans: Vec<(u32, TablePlan)> = Vec::new();
    let mut batch = ChangeBatch::with_capacity(1 << 20);
    for message in &messages {
        let data = unhex(message[0].as_deref().expect("data"));
        let mut rest = Message(&data[1..]);
        match data[0] {
            b'R' => {
                let relation = rest.relation();
                let relid = relation.relid;
                let catalog = catalogs(connection, &[relid]).await.into_iter().next();
                let meta = TableMeta::new(relation, catalog);
                learn(connection, types, &meta).await;
                let plan = TablePlan::new(options, &meta, types).expect("a plan");
                plans.retain(|(known, _)| *known != relid);
                plans.push((relid, plan));
            }
            kind @ (b'I' | b'U' | b'D') => {
                let relid = rest.i32().cast_unsigned();
                let plan = plans.iter().find(|(known, _)| *known == relid);
                change(
                    &mut batch,
                    &plan.expect("relation came first").1,
                    kind,
                    &data,
                );
            }
            _ => {}
        }
    }
    batch.take(0)
}

fn change(batch: &mut ChangeBatch, plan: &TablePlan, kind: u8, data: &[u8]) {
    let (mut old, mut new) = (TupleSpans::default(), TupleSpans::default());
    let (mut at, mut image) = (5, None);
    if matches!(data[at], b'K' | b'O') {
        image = Some(data[at]);
        at = old.read_pgoutput(data, at + 1).expect("an old tuple");
    }
    let has_new = data.get(at) == Some(&b'N');
    if has_new {
        new.read_pgoutput(data, at + 1).expect("a new tuple");
    }
    let operation = match kind {
        b'I' => Operation::Insert,
        b'U' => Operation::Update,
        _ => Operation::Delete,
    };
    let old = image.map(|image| match image {
        b'K' => OldImage::Key(old.view(data)),
        _ => OldImage::Full(old.view(data)),
    });
    let new = has_new.then(|| new.view(data));
    plan.change(batch, &meta(SnapshotMarker::Streamed), operation, old, new)
        .unwrap_or_else(|error| panic!("{error} in stream of {}", plan.topic()));
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).expect("a digit") as u8;
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

/// Debug text of each record's `after`: NaN equals itself there.
fn images(rows: &Rows, topic: &str) -> Vec<String> {
    let of_topic = rows.iter().filter(|record| &*record.shape().topic == topic);
    of_topic
        .map(|record| format!("{:?}", plain(after(record.value()))))
        .collect()
}

fn after(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Struct(cells) => cells.get(1),
        _ => Value::Null,
    }
}

/// A value without its arena, for comparing.
fn plain(value: Value<'_>) -> Vec<String> {
    match value {
        Value::Array(cells) | Value::Map(cells) | Value::Struct(cells) => {
            let mut all = vec!["(".to_owned()];
            cells.iter().for_each(|cell| all.extend(plain(cell)));
            all.push(")".to_owned());
            all
        }
        value => vec![format!("{value:?}")],
    }
}

struct Typed {
    table: String,
    name: String,
}

async fn tables(server: &Postgres) -> (Vec<Typed>, String) {
    let mut all: Vec<(&str, &[&str])> = TYPES.to_vec();
    for (extension, name, values) in EXTENSIONS {
        let found = format!("select name from pg_available_extensions where name = '{extension}'");
        if !server.rows(&found).await.is_empty() {
            server
                .execute(&format!("create extension {extension}"))
                .await;
            all.push((name, values));
        }
    }
    let (mut typed, mut create, mut insert) = (Vec::new(), String::new(), String::new());
    for (number, (name, values)) in all.iter().enumerate() {
        let table = format!("t{number}");
        create.push_str(&format!(
            "create table {table} (id serial primary key, v {name});"
        ));
        for value in values.iter().chain(&["null"]) {
            insert.push_str(&format!("insert into {table} (v) values ({value});"));
        }
        let name = (*name).to_owned();
        typed.push(Typed { table, name });
    }
    server.execute(OWN_TYPES).await;
    server.execute(&create).await;
    server.execute("create publication p for all tables").await;
    server
        .execute("select pg_create_logical_replication_slot('s', 'pgoutput')")
        .await;
    server.execute(&insert).await;
    (typed, insert)
}

async fn snapshot_and_stream_agree(programs: PathBuf, options: &MappingOptions) {
    let server = Postgres::start_from(programs, &[]).await;
    let (typed, _) = tables(&server).await;
    let mut connection = session(&server).await;
    let mut types = TypeCatalog::default();
    let streamed = stream(&mut connection, options, &mut types).await;
    let mut wrong = Vec::new();
    let mut values = 0;
    for Typed { table, name } in &typed {
        let oid = format!("select 'public.{table}'::regclass::oid");
        let relid = texts(&mut connection, &oid).await[0][0]
            .clone()
            .expect("an oid");
        let catalog = catalogs(&mut connection, &[relid.parse().expect("an oid")])
            .await
            .remove(0);
        let meta = TableMeta::new(catalog.relation(None), Some(catalog));
        let plan = TablePlan::new(options, &meta, &types).expect("a plan");
        let copied = snapshot(&mut connection, &plan, table).await;
        let (copied, sent) = (
            images(&copied, plan.topic()),
            images(&streamed, plan.topic()),
        );
        values += copied.len();
        if copied != sent || copied.is_empty() {
            wrong.push(format!(
                "{name}:\n  snapshot {copied:?}\n  stream   {sent:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    eprintln!(
        "{} types, {values} values: snapshot and stream agree",
        typed.len()
    );
}

/// Every text that our own class writes, read back by the server as the type that its schema names, prints the same.
async fn texts_are_values_of_their_types(programs: PathBuf) {
    let server = Postgres::start_from(programs, &[]).await;
    let (typed, _) = tables(&server).await;
    let mut connection = session(&server).await;
    let options = MappingOptions::lossless("t", "postgres");
    let mut types = TypeCatalog::default();
    let streamed = stream(&mut connection, &options, &mut types).await;
    let mut checked = 0;
    for Typed { table, name } in &typed {
        let topic = format!("t.public.{table}");
        for record in streamed
            .iter()
            .filter(|record| *record.shape().topic == *topic)
        {
            let Value::Struct(fields) = after(record.value()) else {
                panic!("no row in {name}");
            };
            let schema = record.shape().value.clone().expect("a schema");
            let row = &schema.field("after").expect("after").schema;
            let of = &row.field("v").expect("v").schema;
            let sql = of.parameter("tapline.source.type").expect("a source type");
            let (Value::Int(id), Value::Text(text)) = (fields.get(0), fields.get(1)) else {
                continue;
            };
            if of.is_named("io.debezium.time.ZonedTimestamp") {
                continue;
            }
            let quoted = text.replace('\'', "''");
            // Money's text is a number: its own text would depend on the locale.
            let cast = if sql == "money" {
                "::numeric::money"
            } else {
                ""
            };
            let same = format!(
                "select concat('{quoted}'{cast}::{sql}) = concat(v), pg_typeof(v)::text, \
                 concat('{quoted}'{cast}::{sql}), concat(v) from public.{table} where id = {id}"
            );
            let answer = texts(&mut connection, &same.replace("E'", "'")).await;
            assert_eq!(
                answer[0][0].as_deref(),
                Some("t"),
                "{name} as {sql}: {:.300?}",
                answer[0]
            );
            checked += 1;
        }
    }
    eprintln!("{checked} texts are values of their types");
    assert!(checked > 150, "only {checked} texts");
}

fn debezium() -> MappingOptions {
    MappingOptions::debezium("d", "postgres")
}

#[tokio::test]
async fn lossless_snapshot_and_stream_agree_on_every_type() {
    let options = MappingOptions::lossless("t", "postgres");
    snapshot_and_stream_agree(programs(), &options).await;
}

#[tokio::test]
async fn lossless_snapshot_and_stream_agree_on_postgres_18() {
    let options = MappingOptions::lossless("t", "postgres");
    snapshot_and_stream_agree(programs_18(), &options).await;
}

#[tokio::test]
async fn debezium_snapshot_and_stream_agree_on_every_type() {
    let options = MappingOptions {
        include_unknown: true,
        ..debezium()
    };
    snapshot_and_stream_agree(programs(), &options).await;
}

#[tokio::test]
async fn lossless_texts_are_values_of_their_types() {
    texts_are_values_of_their_types(programs()).await;
}
