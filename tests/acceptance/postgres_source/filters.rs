//! Which tables and columns are captured, and what becomes of the publication.

use super::recorder::{Log, settings};
use crate::support::{postgres::Postgres, wait};
use tapline_postgres::PostgresSource;
use tapline_sdk::{Config, Connector};

async fn members(server: &Postgres) -> Vec<String> {
    server
        .rows(
            "select tablename from pg_publication_tables where pubname = 'tapline_shop' order by 1",
        )
        .await
}

async fn run_once(log: &Log, server: &Postgres, more: &[(&str, &str)]) {
    let before = log.phases().len();
    let run = log.start(&settings(server, more));
    let streams = async || {
        let phases = log.phases();
        assert!(!run.is_over(), "the run ended");
        phases
            .iter()
            .skip(before)
            .any(|phase| phase == "streaming")
            .then_some(())
    };
    wait::until("streaming", streams).await;
    run.stop().await.expect("stops");
}

#[tokio::test]
async fn the_publication_is_altered_by_the_difference_and_added_tables_are_read() {
    let server = Postgres::start().await;
    server
        .execute(
            "create table a (id int primary key); create table b (id int primary key); \
             create table c (id int primary key); insert into a values (1); insert into b values (1); \
             insert into c values (1)",
        )
        .await;
    let log = Log::default();
    run_once(
        &log,
        &server,
        &[("table.include.list", "public.a,public.b")],
    )
    .await;
    assert_eq!(members(&server).await, ["a", "b"]);
    let xmin = "select xmin, oid from pg_publication";
    let before = server.rows(xmin).await;
    run_once(
        &log,
        &server,
        &[("table.include.list", "public.a,public.b")],
    )
    .await;
    assert_eq!(
        server.rows(xmin).await,
        before,
        "an equal publication is not touched"
    );
    let statements = server.log();
    run_once(
        &log,
        &server,
        &[("table.include.list", "public.b,public.c")],
    )
    .await;
    assert_eq!(members(&server).await, ["b", "c"]);
    assert!(!statements.contains("ERROR"), "{statements}");
    assert_eq!(log.lines("shop.public.a"), ["r 1 1"]);
    assert_eq!(log.lines("shop.public.b"), ["r 1 1"]);
    assert_eq!(log.lines("shop.public.c"), ["r 1 1"]);
    // What a table that was taken out has missed is made up for when it comes back.
    server.execute("insert into a values (2)").await;
    run_once(
        &log,
        &server,
        &[("table.include.list", "public.a,public.b,public.c")],
    )
    .await;
    assert_eq!(&log.lines("shop.public.a")[1..], ["r 1 1", "r 2 2"]);
}

#[tokio::test]
async fn lists_mean_exact_names_and_columns_are_left_out() {
    let server = Postgres::start().await;
    server
        .execute(
            "create table my_t (id int primary key, secret text, v text); create table \"myXt\" (id int primary key); \
             create table \"with space\" (id int primary key); create schema other; \
             create table other.my_t (id int primary key); insert into my_t values (1, 's', 'v'); \
             insert into \"myXt\" values (1); insert into \"with space\" values (1); insert into other.my_t values (1)",
        )
        .await;
    let log = Log::default();
    let more = [
        ("table.include.list", "public.my_t,public.with space"),
        ("column.exclude.list", "public.my_t.secret"),
    ];
    run_once(&log, &server, &more).await;
    assert_eq!(log.lines("shop.public.my_t"), ["r 1 1,v"]);
    assert_eq!(log.lines("shop.public.with_space"), ["r 1 1"]);
    assert_eq!(log.entries().len(), 2);
}

#[tokio::test]
async fn a_list_that_matches_nothing_is_an_error() {
    let server = Postgres::start().await;
    let log = Log::default();
    let settings = settings(&server, &[("table.include.list", "public.none")]);
    let error = log
        .start(&settings)
        .end()
        .await
        .expect_err("nothing to capture");
    assert_eq!(error.code, Some("TL0311"), "{}", error.chain());
    let issues = PostgresSource::probe(&Config::new(settings)).await;
    assert!(
        issues.iter().any(|issue| issue.key == "table.include.list"),
        "{issues:?}"
    );
}

#[tokio::test]
async fn a_publication_of_somebody_elses_is_used_as_it_is() {
    let server = Postgres::start().await;
    server
        .execute(
            "create table a (id int primary key, x text, hidden text); create table b (id int primary key); \
             create publication p for table a (id, x) where (id < 10); insert into a values (1, 'x', 'h'), (11, 'y', 'h')",
        )
        .await;
    let log = Log::default();
    let more = [
        ("publication.name", "p"),
        ("publication.autocreate.mode", "disabled"),
    ];
    let run = log.start(&settings(&server, &more));
    wait::until("streaming", async || {
        log.phases().iter().any(|p| p == "streaming").then_some(())
    })
    .await;
    server
        .execute("insert into a values (12, 'z', 'h'), (2, 'x', 'h'); insert into b values (1)")
        .await;
    log.until("stream", |entries| entries.len() == 2).await;
    run.stop().await.expect("stops");
    assert_eq!(
        log.lines("shop.public.a"),
        ["r 1 1,x", "c 2 2,x"],
        "the snapshot is as narrow as the stream"
    );
    assert!(log.lines("shop.public.b").is_empty());

    let missing = settings(
        &server,
        &[
            ("publication.name", "q"),
            ("publication.autocreate.mode", "disabled"),
        ],
    );
    let error = Log::default()
        .start(&missing)
        .end()
        .await
        .expect_err("no publication");
    assert_eq!(error.code, Some("TL0310"), "{}", error.chain());
}

#[tokio::test]
async fn probing_names_every_problem_with_its_remedy() {
    let server = Postgres::start_with(&["max_replication_slots=1"]).await;
    server
        .execute(
            "create role poor login; create table t (id int primary key); create table keyless (v text); \
             create table d (id int primary key deferrable)",
        )
        .await;
    server
        .execute("select pg_create_physical_replication_slot('only')")
        .await;
    let poor = Config::new(settings(&server, &[("database.user", "poor")]));
    let issues = PostgresSource::probe(&poor).await;
    let all: Vec<String> = issues
        .iter()
        .map(|i| format!("{} {} → {}", i.key, i.problem, i.remedy))
        .collect();
    let has = |part: &str| {
        assert!(
            all.iter().any(|issue| issue.contains(part)),
            "{part}: {all:#?}"
        );
    };
    has("may not replicate");
    has("no slot is free");
    has("may not read public.t");
    has("keyless has no replica identity");
    has("d has a deferrable primary key");
    has("does not own");
    assert!(issues.iter().all(|issue| !issue.remedy.is_empty()));

    let server = Postgres::start().await;
    server.execute("create table t (id int primary key)").await;
    let fine = PostgresSource::probe(&Config::new(settings(&server, &[]))).await;
    assert_eq!(fine, []);
}

#[tokio::test]
async fn two_tables_never_share_a_topic() {
    let server = Postgres::start().await;
    server
        .execute(
            "create table \"a b\" (id int primary key); create table a_b (id int primary key); \
             insert into \"a b\" values (1); insert into a_b values (2)",
        )
        .await;
    let log = Log::default();
    let error = log.start(&settings(&server, &[])).end().await;
    let error = error.expect_err("refused");
    assert_eq!(error.code, Some("TL0354"), "{}", error.chain());
    for part in ["`public.a b`", "`public.a_b`", "topic `shop.public.a_b`"] {
        assert!(error.context.contains(part), "{}", error.context);
    }
    // A name is free again once its table is gone, also in the midst of the stream.
    server.execute("drop table a_b").await;
    let log = Log::default();
    let run = log.start(&settings(&server, &[]));
    wait::until("streaming", async || {
        let phases = log.phases();
        phases
            .iter()
            .any(|phase| phase == "streaming")
            .then_some(())
    })
    .await;
    server
        .execute(
            "drop table \"a b\"; create table a_b (id int primary key); \
             alter publication tapline_shop add table a_b; insert into a_b values (3)",
        )
        .await;
    log.until("the new table's row", |entries| entries.len() == 2)
        .await;
    assert_eq!(log.lines("shop.public.a_b"), ["r 1 1", "r 3 3"]);
    run.stop().await.expect("stops");
}
