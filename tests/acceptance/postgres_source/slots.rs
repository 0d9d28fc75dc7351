//! What is refused, with its remedy, instead of skipping anything.

use super::recorder::{Log, settings};
use crate::support::{postgres::Postgres, wait};
use std::collections::BTreeMap;
use tapline_postgres::PostgresSource;
use tapline_sdk::{Config, Connector, Error, ErrorKind, Scalar};

async fn streamed_once(server: &Postgres, settings: &BTreeMap<String, String>) -> Log {
    server
        .execute("create table t (id int primary key); insert into t values (1)")
        .await;
    let log = Log::default();
    let run = log.start(settings);
    wait::until("streaming", async || {
        log.phases().iter().any(|p| p == "streaming").then_some(())
    })
    .await;
    run.stop().await.expect("stops");
    log
}

async fn refused(log: &Log, settings: &BTreeMap<String, String>) -> Error {
    let before = log.entries().len();
    let error = log.start(settings).end().await.expect_err("refused");
    assert_eq!(log.entries().len(), before, "nothing is sent");
    assert!(error.remedy.is_some(), "{}", error.chain());
    error
}

#[tokio::test]
async fn a_missing_slot_is_an_error_that_says_so() {
    let server = Postgres::start().await;
    let settings = settings(&server, &[]);
    let log = streamed_once(&server, &settings).await;
    server
        .execute("select pg_drop_replication_slot('tapline_shop')")
        .await;
    let error = refused(&log, &settings).await;
    assert_eq!((error.code, error.kind), (Some("TL0303"), ErrorKind::Fatal));
    assert!(
        error.context.contains("slot `tapline_shop` is missing"),
        "{}",
        error.context
    );
    // Forgetting the stream's position reads everything anew.
    log.alter(|offsets| offsets.retain(|partition, _| partition.len() > 1));
    let run = log.start(&settings);
    log.until("read again", |entries| entries.len() == 3).await;
    run.stop().await.expect("stops");
    assert_eq!(log.lines("shop.public.t"), ["r 1 1", "t  ∅", "r 1 1"]);
}

#[tokio::test]
async fn a_slot_ahead_of_the_stored_position_is_refused_and_when_needed_reads_again() {
    let server = Postgres::start().await;
    let settings = settings(&server, &[]);
    let log = streamed_once(&server, &settings).await;
    server.execute("insert into t values (2)").await;
    server
        .execute("select pg_replication_slot_advance('tapline_shop', pg_current_wal_lsn())")
        .await;
    let error = refused(&log, &settings).await;
    assert_eq!((error.code, error.kind), (Some("TL0304"), ErrorKind::Fatal));
    assert!(
        error
            .context
            .contains("ahead of the stored position: stored 0/"),
        "{}",
        error.context
    );
    let mut when_needed = settings.clone();
    when_needed.insert("snapshot.mode".to_owned(), "when_needed".to_owned());
    let run = log.start(&when_needed);
    log.until("read again", |entries| entries.len() == 4).await;
    run.stop().await.expect("stops");
    assert_eq!(
        log.lines("shop.public.t"),
        ["r 1 1", "t  ∅", "r 1 1", "r 2 2"]
    );
}

#[tokio::test]
async fn a_lost_slot_is_refused() {
    let server = Postgres::start_with(&[
        "max_slot_wal_keep_size=1MB",
        "min_wal_size=32MB",
        "max_wal_size=32MB",
    ])
    .await;
    let settings = settings(&server, &[]);
    let log = streamed_once(&server, &settings).await;
    server.execute("create table filler (v text)").await;
    for _ in 0..5 {
        server
            .execute("insert into filler select repeat('x', 1000) from generate_series(1, 20000)")
            .await;
        server.execute("select pg_switch_wal(); checkpoint").await;
    }
    let error = refused(&log, &settings).await;
    assert_eq!(error.code, Some("TL0305"), "{}", error.chain());
}

#[tokio::test]
async fn another_cluster_is_refused() {
    let server = Postgres::start().await;
    let settings = settings(&server, &[]);
    let log = streamed_once(&server, &settings).await;
    log.alter(|offsets| {
        for (_, offset) in offsets
            .iter_mut()
            .filter(|(partition, _)| partition.len() == 1)
        {
            offset.insert("system".into(), Scalar::Text("42".into()));
        }
    });
    let error = refused(&log, &settings).await;
    assert_eq!(error.code, Some("TL0307"), "{}", error.chain());
}

#[tokio::test]
async fn a_slot_in_use_is_waited_for_and_named() {
    let server = Postgres::start().await;
    let settings = settings(&server, &[("slot.max.retries", "3")]);
    let log = streamed_once(&server, &settings).await;
    let first = log.start(&settings);
    let active = "select 1 from pg_replication_slots where active";
    wait::until("active", async || {
        (!server.rows(active).await.is_empty()).then_some(())
    })
    .await;
    let other = Log::default();
    log.alter(|own| other.alter(|offsets| offsets.clone_from(own)));
    let error = refused(&other, &settings).await;
    assert_eq!(
        (error.code, error.kind),
        (Some("TL0306"), ErrorKind::Disconnected),
        "{}",
        error.chain()
    );
    assert!(error.context.contains("process "), "{}", error.context);
    assert!(
        other
            .phases()
            .iter()
            .any(|phase| phase.starts_with("waiting for slot \"tapline_shop\""))
    );
    assert!(!first.is_over());
    first.stop().await.expect("stops");
}

#[tokio::test]
async fn a_slot_of_an_unfinished_start_is_made_anew() {
    let server = Postgres::start().await;
    let settings = settings(&server, &[]);
    let log = streamed_once(&server, &settings).await;
    log.alter(|offsets| {
        offsets.retain(|partition, _| partition.len() == 1);
        for offset in offsets.values_mut() {
            offset.insert("state".into(), Scalar::Text("intent".into()));
        }
    });
    server.execute("insert into t values (2)").await;
    let run = log.start(&settings);
    log.until("read", |entries| entries.len() == 3).await;
    run.stop().await.expect("stops");
    assert_eq!(log.lines("shop.public.t"), ["r 1 1", "r 1 1", "r 2 2"]);
}

#[tokio::test]
async fn a_slot_that_exists_is_taken_up_where_it_stands() {
    let server = Postgres::start().await;
    server
        .execute(
            "create table t (id int primary key); create publication tapline_shop for table t; \
             insert into t values (1)",
        )
        .await;
    server
        .execute("select pg_create_logical_replication_slot('tapline_shop', 'pgoutput')")
        .await;
    server
        .execute("insert into t values (2); delete from t where id = 1")
        .await;
    let log = Log::default();
    let run = log.start(&settings(&server, &[]));
    log.until("read", |entries| !entries.is_empty()).await;
    server.execute("insert into t values (3)").await;
    log.until("streamed", |entries| entries.iter().any(|e| e.key == "3"))
        .await;
    run.stop().await.expect("stops");
    assert_eq!(log.lines("shop.public.t"), ["r 2 2", "c 3 3"]);
}

#[tokio::test]
async fn purge_drops_slot_and_publication() {
    let server = Postgres::start().await;
    let settings = settings(&server, &[]);
    streamed_once(&server, &settings).await;
    PostgresSource::purge(&Config::new(settings))
        .await
        .expect("purges");
    assert!(
        server
            .rows("select 1 from pg_replication_slots")
            .await
            .is_empty()
    );
    assert!(server.rows("select 1 from pg_publication").await.is_empty());
}

#[tokio::test]
async fn modes_read_what_they_say() {
    let server = Postgres::start().await;
    server
        .execute("create table t (id int primary key); insert into t values (1)")
        .await;
    let only = settings(
        &server,
        &[("snapshot.mode", "initial_only"), ("topic.prefix", "only")],
    );
    let log = Log::default();
    log.start(&only).end().await.expect("is done");
    log.until("read", |entries| entries.len() == 1).await;
    assert_eq!(log.lines("only.public.t"), ["r 1 1"]);
    log.start(&only).end().await.expect("is done");
    assert_eq!(log.entries().len(), 1);
    assert!(
        server
            .rows("select 1 from pg_replication_slots")
            .await
            .is_empty()
    );

    let none = settings(
        &server,
        &[("snapshot.mode", "no_data"), ("topic.prefix", "none")],
    );
    let log = Log::default();
    let run = log.start(&none);
    wait::until("streaming", async || {
        log.phases().iter().any(|p| p == "streaming").then_some(())
    })
    .await;
    server.execute("insert into t values (2)").await;
    log.until("the change", |entries| !entries.is_empty()).await;
    run.stop().await.expect("stops");
    assert_eq!(log.lines("none.public.t"), ["c 2 2"]);

    let always = settings(
        &server,
        &[("snapshot.mode", "always"), ("topic.prefix", "always")],
    );
    let log = Log::default();
    let run = log.start(&always);
    log.until("read", |entries| entries.len() == 2).await;
    wait::until("streaming", async || {
        log.phases().iter().any(|p| p == "streaming").then_some(())
    })
    .await;
    run.stop().await.expect("stops");
    server.execute("insert into t values (3)").await;
    let run = log.start(&always);
    log.until("read again", |entries| entries.len() >= 6).await;
    run.stop().await.expect("stops");
    assert_eq!(
        &log.lines("always.public.t")[2..],
        ["t  ∅", "r 1 1", "r 2 2", "r 3 3"]
    );
}
