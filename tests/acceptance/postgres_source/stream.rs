//! What is sent: snapshot and stream as one, and every kind of change.

use super::recorder::{Log, settings};
use crate::support::{postgres::Postgres, wait};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn snapshot_and_stream_meet_without_gap_or_overlap_under_load() {
    let server = Arc::new(Postgres::start().await);
    server
        .execute(
            "create table t (id bigint primary key, v text); \
             insert into t select g, repeat('x', 200) from generate_series(1, 60000) g",
        )
        .await;
    let over = Arc::new(AtomicBool::new(false));
    let written = Arc::new(AtomicU64::new(0));
    let mut writers = Vec::new();
    for writer in 0..2_u64 {
        let (server, over, written) =
            (Arc::clone(&server), Arc::clone(&over), Arc::clone(&written));
        writers.push(tokio::spawn(async move {
            let mut connection = server.connect().await;
            let mut id = 1_000_000 * (writer + 1);
            while !over.load(Ordering::Relaxed) {
                let sql = format!(
                    "insert into t select g, 'n' from generate_series({id}, {}) g",
                    id + 4
                );
                sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
                    .execute(&mut connection)
                    .await
                    .expect("inserts");
                id += 5;
                written.fetch_add(5, Ordering::Relaxed);
            }
        }));
    }
    wait::until("load runs", async || {
        (written.load(Ordering::Relaxed) > 200).then_some(())
    })
    .await;
    let log = Log::default();
    let run = log.start(&settings(&server, &[("snapshot.max.threads", "3")]));
    log.until("streaming", |entries| {
        entries.iter().filter(|e| e.op == "c").count() > 500
    })
    .await;
    over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.expect("writes");
    }
    let total = 60_000 + usize::try_from(written.load(Ordering::Relaxed)).expect("fits");
    log.until("all rows", |entries| entries.len() >= total)
        .await;
    run.stop().await.expect("stops");

    let entries = log.entries();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in &entries {
        *seen.entry(&entry.key).or_default() += 1;
    }
    let (read, streamed) = (
        entries.iter().filter(|e| e.op == "r").count(),
        entries.iter().filter(|e| e.op == "c").count(),
    );
    eprintln!("hand-off: {read} rows read, {streamed} streamed, {total} in all");
    assert_eq!(seen.len(), total, "each row is there");
    assert_eq!(entries.len(), total, "no row is there twice");
    assert!(read >= 60_000 && streamed >= 500);
    let first_change = entries.iter().position(|e| e.op == "c").expect("a change");
    assert!(
        entries[first_change..].iter().all(|e| e.op == "c"),
        "the stream follows the snapshot"
    );
    assert_eq!(entries.iter().filter(|e| e.snapshot == "first").count(), 1);
}

#[tokio::test]
async fn every_kind_of_change_comes_in_commit_order_with_its_place() {
    let server = Postgres::start().await;
    server
        .execute("create table t (id int primary key, v text); insert into t values (1, 'a')")
        .await;
    let log = Log::default();
    let run = log.start(&settings(&server, &[]));
    log.until("snapshot", |entries| !entries.is_empty()).await;
    server
        .execute(
            "begin; insert into t values (2, 'b'), (3, 'c'); update t set v = 'B' where id = 2; \
             delete from t where id = 3; commit; \
             update t set id = 9 where id = 1; truncate t; insert into t values (1, 'new')",
        )
        .await;
    log.until("changes", |entries| {
        entries.last().is_some_and(|e| e.after.contains("new"))
    })
    .await;
    run.stop().await.expect("stops");
    assert_eq!(
        log.lines("shop.public.t"),
        [
            "r 1 1,a",
            "c 2 2,b",
            "c 3 3,c",
            "u 2 2,B",
            "d 3 ∅",
            "tombstone 3",
            "d 1 ∅",
            "tombstone 1",
            "c 9 9,a",
            "t  ∅",
            "c 1 1,new",
        ]
    );
    let entries = log.entries();
    assert_eq!(entries[0].snapshot, "last");
    let place = |at: usize| entries[at].transaction.expect("streamed");
    let ordinals: Vec<(u32, bool)> = (1..=5).map(|at| (place(at).1, place(at).2)).collect();
    assert_eq!(
        ordinals,
        [(1, false), (2, false), (3, false), (4, false), (4, true)]
    );
    assert!(place(1).0 < place(6).0, "ids rise with commits");
    assert_eq!(place(6).1, place(8).1, "a key change is one change");
    assert!(
        entries[6]
            .headers
            .iter()
            .any(|h| h.starts_with("__debezium.newkey"))
    );
}

#[tokio::test]
async fn unchanged_toast_values_are_unavailable_and_full_identity_has_them() {
    let server = Postgres::start().await;
    server
        .execute(
            "create table t (id int primary key, v text, big text); alter table t alter big set storage external; \
             insert into t values (1, 'a', repeat('y', 9000)); \
             create table f (id int primary key, v text, big text); alter table f alter big set storage external; \
             alter table f replica identity full; insert into f values (1, 'a', repeat('y', 9000))",
        )
        .await;
    let log = Log::default();
    let run = log.start(&settings(&server, &[]));
    log.until("snapshot", |entries| entries.len() == 2).await;
    server
        .execute("update t set v = 'b'; update f set v = 'b'")
        .await;
    // A row that moves to another key takes its large value along, if it can still be read.
    server.execute("update t set id = 5").await;
    log.until("the move", |entries| entries.iter().any(|e| e.key == "5"))
        .await;
    server.execute("begin; update t set id = 6; delete from t; insert into t values (2, 'end', ''); commit").await;
    log.until("changes", |entries| {
        entries.iter().any(|e| e.after.contains("end"))
    })
    .await;
    run.stop().await.expect("stops");
    let moved: Vec<String> = log
        .entries()
        .into_iter()
        .filter(|e| e.op == "c")
        .map(|e| e.after)
        .collect();
    let whole = format!("5,b,{}", "y".repeat(9000));
    assert_eq!(moved, [whole, "6,b,…".to_owned(), "2,end,".to_owned()]);
    let updates: Vec<_> = log.entries().into_iter().filter(|e| e.op == "u").collect();
    assert_eq!(updates[0].after, "1,b,…");
    assert_eq!(updates[1].after, format!("1,b,{}", "y".repeat(9000)));
    assert_eq!(updates[1].before, format!("1,a,{}", "y".repeat(9000)));
}

#[tokio::test]
async fn a_table_changes_shape_while_it_streams() {
    let server = Postgres::start().await;
    server
        .execute("create table t (id int primary key, v text)")
        .await;
    let log = Log::default();
    let run = log.start(&settings(&server, &[]));
    wait::until("streaming", async || {
        log.phases().iter().any(|p| p == "streaming").then_some(())
    })
    .await;
    for sql in [
        "insert into t values (1, 'a')",
        "alter table t add column n int; insert into t values (2, 'b', 5)",
        "alter table t rename column n to m; insert into t values (3, 'c', 6)",
        "alter table t alter m type text; insert into t values (4, 'd', 'seven')",
        "alter table t drop column v; insert into t values (5, 'e')",
        "create type mood as enum ('sad'); alter table t add mood mood; insert into t values (6, 'f', 'sad')",
        "alter type mood add value 'happy'",
        "insert into t values (7, 'g', 'happy')",
        "alter table t rename to u; insert into u values (8, 'h', 'sad')",
    ] {
        server.execute(sql).await;
    }
    log.until("changes", |entries| entries.iter().any(|e| e.key == "8"))
        .await;
    run.stop().await.expect("stops");
    let mut lines = log.lines("shop.public.t");
    lines.extend(log.lines("shop.public.u"));
    assert_eq!(
        &lines[..7],
        [
            "c 1 1,a",
            "c 2 2,b,5",
            "c 3 3,c,6",
            "c 4 4,d,seven",
            "c 5 5,e",
            "c 6 6,f,sad",
            "c 7 7,g,happy"
        ]
    );
}

#[tokio::test]
async fn tables_without_key_and_every_replica_identity_stream() {
    let server = Postgres::start().await;
    server
        .execute(
            "create table keyless (v text); \
             create table whole (v text); alter table whole replica identity full; \
             create table indexed (a int not null, b text); create unique index on indexed (a); \
             alter table indexed replica identity using index indexed_a_idx; \
             create table nothing (id int primary key); alter table nothing replica identity nothing; \
             create table empty ()",
        )
        .await;
    let log = Log::default();
    let run = log.start(&settings(&server, &[]));
    wait::until("streaming", async || {
        log.phases().iter().any(|p| p == "streaming").then_some(())
    })
    .await;
    server
        .execute(
            "insert into keyless values ('k'); insert into whole values ('w'); update whole set v = 'x'; \
             insert into indexed values (1, 'i'); update indexed set b = 'j'; delete from indexed; \
             insert into nothing values (4); insert into empty default values; insert into keyless values ('end')",
        )
        .await;
    log.until("changes", |entries| {
        entries.last().is_some_and(|e| e.after == "end")
    })
    .await;
    run.stop().await.expect("stops");
    assert_eq!(log.lines("shop.public.keyless"), ["c  k", "c  end"]);
    assert_eq!(log.lines("shop.public.whole"), ["c  w", "u  x"]);
    assert_eq!(
        log.lines("shop.public.indexed"),
        ["c 1 1,i", "u 1 1,j", "d 1 ∅", "tombstone 1"]
    );
    assert_eq!(log.lines("shop.public.nothing"), ["c 4 4"]);
    assert_eq!(log.lines("shop.public.empty").len(), 1);
}

#[tokio::test]
async fn a_partitioned_table_is_one_table_or_its_partitions_in_snapshot_and_stream() {
    let server = Postgres::start().await;
    server
        .execute(
            "create table p (id int primary key, v text) partition by range (id); \
             create table p_low partition of p for values from (0) to (10); \
             create table p_high partition of p for values from (10) to (20); insert into p values (1, 'a'), (11, 'b')",
        )
        .await;
    for (root, name) in [("true", "whole"), ("false", "parts")] {
        let log = Log::default();
        let more = [
            ("publish.via.partition.root", root),
            ("topic.prefix", name),
            ("table.include.list", "public.p"),
        ];
        let run = log.start(&settings(&server, &more));
        log.until("snapshot", |entries| entries.len() == 2).await;
        server
            .execute("insert into p values (2, 'c'), (12, 'd'); delete from p where id in (2, 12)")
            .await;
        log.until("changes", |entries| entries.len() == 8).await;
        run.stop().await.expect("stops");
        let topics: std::collections::BTreeSet<String> =
            log.entries().into_iter().map(|e| e.topic).collect();
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        match root {
            "true" => assert_eq!(topics, ["whole.public.p"]),
            _ => assert_eq!(topics, ["parts.public.p_high", "parts.public.p_low"]),
        }
    }
}

#[tokio::test]
async fn a_table_made_while_streaming_is_read_and_streamed_without_gap_or_overlap() {
    let server = Postgres::start().await;
    server
        .execute(
            "create table t (id int primary key); create publication tapline_shop for all tables",
        )
        .await;
    let log = Log::default();
    let run = log.start(&settings(
        &server,
        &[("publication.autocreate.mode", "all_tables")],
    ));
    wait::until("streaming", async || {
        log.phases().iter().any(|p| p == "streaming").then_some(())
    })
    .await;
    server
        .execute(
            "insert into t values (1); create table late (id int primary key); insert into late values (1), (2); \
             delete from late where id = 2; insert into late values (3)",
        )
        .await;
    log.until("late rows", |entries| {
        entries
            .iter()
            .any(|e| e.topic.ends_with("late") && e.key == "3")
    })
    .await;
    server.execute("insert into late values (4)").await;
    log.until("later rows", |entries| entries.iter().any(|e| e.key == "4"))
        .await;
    run.stop().await.expect("stops");
    assert_eq!(log.lines("shop.public.t"), ["c 1 1"]);
    let late = log.lines("shop.public.late");
    assert_eq!(late, ["r 1 1", "r 3 3", "c 4 4"]);
}
