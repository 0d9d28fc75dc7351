//! Positions in the target: one transaction with the data, fenced, and never another log's.

use super::{content, feed::*, items, row};
use crate::support::postgres::Postgres;
use std::collections::BTreeMap;
use tapline_sdk::{Connector, ErrorKind, Scalar, Sink};
use tapline_sql::SqlSink;

#[tokio::test]
async fn a_superseded_sink_fails_and_changes_nothing() {
    let server = Postgres::start().await;
    let table = items();
    let mut older = Fed::start(&server).await;
    older
        .put(|feed| {
            feed.insert(&table, &row(1, "older", "x"));
        })
        .await;
    let mut newer = Fed::start(&server).await;
    assert_eq!(newer.next, 1, "the target holds the position");
    let error = older
        .error(|feed| {
            feed.insert(&table, &row(2, "late", "x"));
        })
        .await;
    assert_eq!((error.kind, error.code), (ErrorKind::Fatal, Some("TL0409")));
    assert_eq!(content(&server).await, ["1|older|x"]);
    newer
        .put(|feed| {
            feed.insert(&table, &row(2, "newer", "x"));
        })
        .await;
    assert_eq!(content(&server).await, ["1|older|x", "2|newer|x"]);
}

#[tokio::test]
async fn on_a_first_start_only_one_of_two_goes_on() {
    let server = Postgres::start().await;
    let table = items();
    let mut first = Fed::start(&server).await;
    let mut second = Fed::start(&server).await;
    let error = first
        .error(|feed| {
            feed.insert(&table, &row(1, "first", "x"));
        })
        .await;
    assert_eq!(error.kind, ErrorKind::Fatal);
    second
        .put(|feed| {
            feed.insert(&table, &row(1, "second", "x"));
        })
        .await;
    assert_eq!(content(&server).await, ["1|second|x"]);
}

#[tokio::test]
async fn batches_never_go_back() {
    let server = Postgres::start().await;
    let table = items();
    let mut fed = Fed::start(&server).await;
    fed.put(|feed| {
        feed.insert(&table, &row(1, "a", "x"));
    })
    .await;
    fed.next = 0;
    let error = fed
        .error(|feed| {
            feed.update(&table, &row(1, "again", "x"));
        })
        .await;
    assert_eq!((error.kind, error.code), (ErrorKind::Fatal, Some("TL0417")));
    assert_eq!(content(&server).await, ["1|a|x"]);
}

async fn open_as(
    server: &Postgres,
    cluster: &str,
    topic_id: u128,
    end: u64,
    stored: Option<u64>,
) -> Result<Option<u64>, (ErrorKind, Option<&'static str>)> {
    let mut sink = SqlSink::connect(config(server, &[]))
        .await
        .expect("connects");
    let opened = sink
        .open(&context(cluster), &[assignment(topic_id, end)], &[stored])
        .await;
    opened.map(|positions| positions[0]).map_err(|error| {
        assert!(error.remedy.is_some());
        (error.kind, error.code)
    })
}

#[tokio::test]
async fn a_position_of_another_log_is_refused_with_a_hint() {
    let server = Postgres::start().await;
    let table = items();
    let config_error = |code| Err((ErrorKind::Config, Some(code)));
    assert_eq!(
        open_as(&server, "cluster", 7, 9, Some(5)).await,
        config_error("TL0408")
    );
    let mut fed = Fed::start(&server).await;
    for id in 0..5 {
        fed.put(|feed| {
            feed.insert(&table, &row(id, "a", "x"));
        })
        .await;
    }
    assert_eq!(
        open_as(&server, "cluster", 7, 5, Some(4)).await,
        Ok(Some(5))
    );
    assert_eq!(
        open_as(&server, "elsewhere", 7, 5, None).await,
        config_error("TL0405")
    );
    assert_eq!(
        open_as(&server, "cluster", 8, 5, None).await,
        config_error("TL0406")
    );
    assert_eq!(
        open_as(&server, "cluster", 7, 4, None).await,
        config_error("TL0407")
    );
    let mut late = assignment(7, LOG_END);
    late.log_start = 6;
    let mut sink = SqlSink::connect(config(&server, &[]))
        .await
        .expect("connects");
    let error = sink
        .open(&context("cluster"), &[late], &[None])
        .await
        .expect_err("is refused");
    assert_eq!(error.code, Some("TL0407"));
    assert_eq!(
        open_as(&server, "cluster", 7, 5, Some(4)).await,
        Ok(Some(5)),
        "nothing was reset"
    );
}

#[tokio::test]
async fn an_operators_word_is_taken_over_and_fences() {
    let server = Postgres::start().await;
    let table = items();
    let mut fed = Fed::start(&server).await;
    fed.put(|feed| {
        feed.insert(&table, &row(1, "a", "x"));
    })
    .await;
    let at = BTreeMap::from([
        ("kafka_topic".into(), Scalar::Text(TOPIC.into())),
        ("kafka_partition".into(), Scalar::Int(0)),
    ]);
    let to = BTreeMap::from([("kafka_offset".into(), Scalar::Int(3))]);
    let altered = SqlSink::alter_offsets(&config(&server, &[]), &[(at, Some(to))]).await;
    assert!(altered.expect("alters"));
    let error = fed
        .error(|feed| {
            feed.insert(&table, &row(2, "late", "x"));
        })
        .await;
    assert_eq!(error.code, Some("TL0409"));
    assert_eq!(
        open_as(&server, "elsewhere", 99, 5, None).await,
        Ok(Some(3))
    );
    let seen = SqlSink::positions(&config(&server, &[]), &context("elsewhere")).await;
    assert_eq!(seen.expect("reads")[0].1, 3);
    SqlSink::purge(&config(&server, &[])).await.expect("purges");
    assert_eq!(
        server.rows("select count(*) from tapline_positions").await,
        ["0"]
    );
}

#[tokio::test]
async fn a_crash_of_the_server_keeps_data_and_position_together() {
    let mut server = Postgres::start().await;
    let table = items();
    let mut fed = Fed::start(&server).await;
    let mut applied = 0;
    for round in 0..6 {
        let batch = |feed: &mut Feed, from: i64| {
            for id in from..from + 100 {
                feed.insert(&table, &row(id, "a", "x"));
            }
        };
        fed.put(|feed| batch(feed, applied)).await;
        applied += 100;
        if round % 2 == 0 {
            server.kill();
            let error = fed.error(|feed| batch(feed, applied)).await;
            assert_eq!(error.kind, ErrorKind::Disconnected, "{}", error.chain());
            server.restart().await;
            fed = Fed::start(&server).await;
        }
        assert_eq!(fed.next, u64::try_from(applied).expect("positive"));
        assert_eq!(
            server.rows("select count(*) from items").await,
            [applied.to_string()]
        );
    }
}

#[tokio::test]
async fn what_an_operator_must_correct_is_said_with_place_and_remedy() {
    let server = Postgres::start().await;
    server.execute("create role weak login").await;
    let failed = |url: String| async move {
        let config = tapline_sdk::Config::new(BTreeMap::from([("connection.url".to_owned(), url)]));
        let error = SqlSink::connect(config).await.err().expect("is refused");
        assert!(error.remedy.is_some());
        (error.kind, error.code)
    };
    let port = server.port();
    let at = |rest: &str| format!("postgres://{rest}");
    assert_eq!(
        failed(at(&format!("postgres@127.0.0.1:{port}/nowhere"))).await,
        (ErrorKind::Config, Some("TL0403"))
    );
    assert_eq!(
        failed(at(&format!("nobody:secret@127.0.0.1:{port}/postgres"))).await,
        (ErrorKind::Config, Some("TL0403"))
    );
    assert_eq!(
        failed(at("postgres@127.0.0.1:1/postgres")).await,
        (ErrorKind::Disconnected, Some("TL0402"))
    );
    let weak = format!("postgres://weak@127.0.0.1:{port}/postgres");
    let issues = SqlSink::probe(&config(&server, &[("connection.url", &weak)])).await;
    assert_eq!(issues.len(), 1, "{issues:?}");
    assert!(
        issues[0].remedy.contains("GRANT CREATE ON SCHEMA public"),
        "{issues:?}"
    );
    assert_eq!(SqlSink::probe(&config(&server, &[])).await, []);
    let mut sink = SqlSink::connect(config(&server, &[("connection.url", &weak)]))
        .await
        .expect("connects");
    let error = sink
        .open(&context("c"), &[assignment(7, 9)], &[None])
        .await
        .expect_err("is refused");
    assert_eq!(
        (error.kind, error.code),
        (ErrorKind::Config, Some("TL0404"))
    );
}
