//! Going on: given up at random moments, inside transactions and snapshots, each change is in the log once.

use super::recorder::{Entry, Log, Run, settings};
use crate::support::{postgres::Postgres, process, wait};
use fastrand::Rng;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

async fn streaming(log: &Log) {
    let streams = async || {
        log.phases()
            .last()
            .is_some_and(|phase| phase == "streaming")
            .then_some(())
    };
    wait::until("streaming", streams).await;
}

/// A mixed load of several sessions on few keys, so that they wait for each other and LSNs come out of order.
async fn load(server: Arc<Postgres>, seed: u64, over: Arc<AtomicBool>) {
    let mut random = Rng::with_seed(seed);
    let mut connection = server.connect().await;
    while !over.load(Ordering::Relaxed) {
        let mut sql = String::from("begin; set local lock_timeout = '2s';");
        for _ in 0..random.usize(1..6) {
            let (table, key) = (["a", "b"][random.usize(0..2)], random.u32(0..20));
            sql += &match random.u32(0..10) {
                0..4 => format!(
                    "insert into {table} values ({key}, 'x') on conflict (id) do update set v = 'y';"
                ),
                4..7 => format!("update {table} set v = v || 'z' where id = {key};"),
                7..9 => format!("delete from {table} where id = {key};"),
                _ => format!(
                    "insert into {table} select g, 'bulk' from generate_series(100, 900) g \
                              on conflict (id) do update set v = 'again';"
                ),
            };
        }
        sql += if random.u32(0..8) == 0 {
            "rollback"
        } else {
            "commit"
        };
        if sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .is_err()
        {
            // A deadlock: Postgres chose this one.
            let _aborted = sqlx::raw_sql("rollback").execute(&mut connection).await;
        }
    }
}

/// What `test_decoding` saw: table, operation, key, in commit order.
async fn decoded(server: &Postgres) -> Vec<String> {
    let sql =
        "select data from pg_logical_slot_get_changes('witness', null, null, 'include-xids', '0')";
    let rows = server
        .rows(sql)
        .await
        .into_iter()
        .filter(|row| row.starts_with("table "));
    rows.map(|row| {
        let mut words = row.split([' ', ':']).filter(|word| !word.is_empty());
        let table = words
            .nth(1)
            .unwrap_or_default()
            .trim_start_matches("public.")
            .to_owned();
        let op = words
            .next()
            .unwrap_or_default()
            .chars()
            .next()
            .unwrap_or('?')
            .to_ascii_lowercase();
        let key = row
            .split("id[integer]:")
            .nth(1)
            .and_then(|rest| rest.split(' ').next())
            .unwrap_or_default();
        format!("{} {table} {key}", if op == 'i' { 'c' } else { op })
    })
    .collect()
}

fn streamed(entries: &[Entry]) -> Vec<String> {
    let changes = entries
        .iter()
        .filter(|e| matches!(e.op.as_str(), "c" | "u" | "d"));
    changes
        .map(|e| {
            format!(
                "{} {} {}",
                e.op,
                e.topic.trim_start_matches("shop.public."),
                e.key
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_given_up_at_random_logs_each_change_once_in_commit_order() {
    let seed = process::seed("source-restarts");
    let mut random = Rng::with_seed(seed);
    let server = Arc::new(Postgres::start().await);
    server
        .execute("create table a (id int primary key, v text); create table b (id int primary key, v text)")
        .await;
    let settings = settings(
        &server,
        &[("snapshot.mode", "no_data"), ("slot.max.retries", "100")],
    );
    let log = Log::default();
    let run = log.start(&settings);
    streaming(&log).await;
    run.stop().await.expect("stops");
    server
        .execute("select pg_create_logical_replication_slot('witness', 'test_decoding')")
        .await;
    let over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..3)
        .map(|n| tokio::spawn(load(Arc::clone(&server), seed ^ n, Arc::clone(&over))))
        .collect();
    let kills = if process::proving() { 100 } else { 12 };
    for kill in 0..kills {
        let run: Run = log.start(&settings);
        tokio::time::sleep(Duration::from_millis(random.u64(20..600))).await;
        assert!(!run.is_over(), "kill {kill}: {:?}", run.end().await);
        run.kill().await;
    }
    over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.expect("writes");
    }
    server.execute("insert into a values (-1, 'end')").await;
    let run = log.start(&settings);
    log.until("the end", |entries| entries.iter().any(|e| e.key == "-1"))
        .await;
    run.stop().await.expect("stops");
    let (want, got) = (decoded(&server).await, streamed(&log.entries()));
    eprintln!("{kills} kills, {} changes, seed {seed}", want.len());
    assert!(want.len() > 2_000);
    let differs = want.iter().zip(&got).position(|(want, got)| want != got);
    assert_eq!(differs, None, "at {differs:?} of {}", want.len());
    assert_eq!(want.len(), got.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_transaction_is_logged_in_parts_and_goes_on_inside() {
    let server = Postgres::start().await;
    server
        .execute("create table t (id int primary key, v text)")
        .await;
    let settings = settings(&server, &[]);
    let log = Log::default();
    let run = log.start(&settings);
    streaming(&log).await;
    // COPY puts many rows on one LSN.
    let rows = 60_000;
    server
        .execute(&format!(
            "insert into t select g, repeat('x', 100) from generate_series(1, {rows}) g"
        ))
        .await;
    let mut kills = 0;
    let mut run = run;
    loop {
        let had = log.entries().len();
        wait::until("a part", async || {
            (log.entries().len() > had || had == rows).then_some(())
        })
        .await;
        let inside = log.offset("tx_ordinal").is_some();
        if log.entries().len() >= rows {
            break;
        }
        assert!(inside, "the offset is inside the transaction");
        run.kill().await;
        kills += 1;
        run = log.start(&settings);
    }
    wait::until("the end is stored", async || {
        log.offset("tx_ordinal").is_none().then_some(())
    })
    .await;
    run.stop().await.expect("stops");
    eprintln!(
        "{kills} kills inside one transaction, {} batches",
        log.batches()
    );
    assert!(kills >= 3 && log.batches() > 5);
    let keys: Vec<String> = log.entries().iter().map(|e| e.key.clone()).collect();
    let want: Vec<String> = (1..=rows).map(|id| id.to_string()).collect();
    assert!(keys == want, "each row once, in order");
    let ordinals = log
        .entries()
        .iter()
        .map(|e| e.transaction.map_or(0, |t| t.1))
        .collect::<Vec<_>>();
    assert!(
        ordinals
            .iter()
            .zip(1..)
            .all(|(&ordinal, want)| ordinal == want),
        "ordinals count on"
    );
}

#[tokio::test]
async fn a_place_inside_a_transaction_that_is_not_found_again_is_fatal() {
    let server = Postgres::start().await;
    server
        .execute("create table t (id int primary key, v text)")
        .await;
    let settings = settings(&server, &[]);
    let log = Log::default();
    let run = log.start(&settings);
    streaming(&log).await;
    run.stop().await.expect("stops");
    server
        .execute("insert into t select g, 'v' from generate_series(1, 100) g")
        .await;
    let commit = {
        let probe = Log::default();
        probe.alter(|offsets| log.alter(|own| offsets.clone_from(own)));
        let run = probe.start(&settings);
        probe
            .until("the transaction", |entries| entries.len() == 100)
            .await;
        run.kill().await;
        probe.entries()[0].transaction.expect("streamed").0
    };
    let text = |text: String| tapline_sdk::Scalar::Text(text.into());
    log.alter(|offsets| {
        let (_, offset) = offsets
            .iter_mut()
            .find(|(partition, _)| partition.len() == 1)
            .expect("an offset");
        offset.insert(
            "tx_commit".into(),
            text(format!("{:X}/{:X}", commit >> 32, commit & 0xFFFF_FFFF)),
        );
        offset.insert("tx_ordinal".into(), tapline_sdk::Scalar::Int(7));
        offset.insert("tx_row".into(), text("0/1".to_owned()));
        offset.insert("tx_relation".into(), tapline_sdk::Scalar::Int(1));
        offset.insert(
            "tx_options".into(),
            text("pgoutput 1 tapline_shop root=true".to_owned()),
        );
    });
    let error = log.start(&settings).end().await.expect_err("fatal");
    assert_eq!(
        (error.code, error.kind),
        (Some("TL0313"), tapline_sdk::ErrorKind::Fatal),
        "{}",
        error.chain()
    );
    assert!(log.entries().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_snapshot_repeats_unfinished_tables_behind_a_barrier() {
    let server = Postgres::start().await;
    server
        .execute(
            "create table a (id int primary key, v text); create table b (id int primary key, v text); \
             insert into a select g, 'a' from generate_series(1, 100) g; \
             insert into b select g, repeat('b', 200) from generate_series(1, 60000) g",
        )
        .await;
    let settings = settings(&server, &[("snapshot.max.threads", "1")]);
    let log = Log::default();
    let run = log.start(&settings);
    log.until("a part of b", |entries| {
        entries.iter().any(|e| e.topic.ends_with(".b"))
    })
    .await;
    run.kill().await;
    let first = log.entries().len();
    assert!(
        first < 60_100,
        "the snapshot was finished before it could be interrupted"
    );
    // Changes of both tables before the second snapshot: a's come by the stream, b's are in what is read again.
    server.execute("delete from b where id <= 10; insert into b values (0, 'new'); insert into a values (0, 'new')").await;
    let run = log.start(&settings);
    log.until("a's change", |entries| {
        entries.iter().any(|e| e.op == "c" && e.key == "0")
    })
    .await;
    server
        .execute("update b set v = 'later' where id = 11")
        .await;
    log.until("b's change", |entries| entries.iter().any(|e| e.op == "u"))
        .await;
    run.stop().await.expect("stops");
    let entries = log.entries();
    let again = &entries[first..];
    let barrier = again.iter().position(|e| e.op == "t").expect("a barrier");
    assert_eq!(again[barrier].topic, "shop.public.b");
    assert!(
        again[barrier]
            .headers
            .iter()
            .any(|h| h.contains("__tapline.snapshot")),
        "{:?}",
        again[barrier]
    );
    assert_eq!(
        again
            .iter()
            .filter(|e| e.op == "r" && e.topic.ends_with(".a"))
            .count(),
        0,
        "a was finished"
    );
    let read = again[barrier..]
        .iter()
        .filter(|e| e.op == "r" && e.topic.ends_with(".b"));
    assert_eq!(read.count(), 60_000 - 10 + 1);
    let changes: Vec<_> = again
        .iter()
        .filter(|e| matches!(e.op.as_str(), "c" | "u" | "d"))
        .collect();
    assert_eq!(
        changes.len(),
        2,
        "b's changes before the snapshot are in it: {changes:?}"
    );
}

#[tokio::test]
async fn a_table_is_read_again_when_an_operator_asks() {
    let server = Postgres::start().await;
    server
        .execute("create table t (id int primary key); insert into t values (1), (2)")
        .await;
    let settings = settings(&server, &[]);
    let log = Log::default();
    let run = log.start(&settings);
    log.until("snapshot", |entries| entries.len() == 2).await;
    streaming(&log).await;
    run.stop().await.expect("stops");
    log.alter(|offsets| {
        for (partition, offset) in offsets.iter_mut() {
            if partition.contains_key("table") {
                *offset = tapline_postgres::offset::again();
            }
        }
    });
    server
        .execute("delete from t where id = 1; insert into t values (3)")
        .await;
    let run = log.start(&settings);
    log.until("again", |entries| entries.len() == 5).await;
    server.execute("insert into t values (4)").await;
    log.until("stream", |entries| entries.len() == 6).await;
    run.stop().await.expect("stops");
    assert_eq!(
        log.lines("shop.public.t"),
        ["r 1 1", "r 2 2", "t  ∅", "r 2 2", "r 3 3", "c 4 4"]
    );
    let again = log.start(&settings);
    streaming(&log).await;
    again.stop().await.expect("stops");
    assert_eq!(log.entries().len(), 6, "nothing is read twice");
}

#[tokio::test]
async fn only_what_is_durable_is_confirmed_and_an_idle_position_is_stored_first() {
    let server = Postgres::start().await;
    server
        .execute("create table t (id int primary key); create table other (id int)")
        .await;
    let settings = settings(
        &server,
        &[
            ("table.include.list", "public.t"),
            ("status.update.interval.ms", "50"),
        ],
    );
    let log = Log::default();
    let run = log.start(&settings);
    streaming(&log).await;
    let confirmed = async || {
        let rows = server
            .rows("select confirmed_flush_lsn from pg_replication_slots")
            .await;
        rows[0]
            .parse::<tapline_postgres::lsn::Lsn>()
            .expect("an LSN")
    };
    let replied = async || {
        server
            .rows("select reply_time::text from pg_stat_replication")
            .await
    };
    let stored = || {
        log.offset("lsn")
            .and_then(|lsn| lsn.parse::<tapline_postgres::lsn::Lsn>().ok())
    };
    log.hold();
    let before = confirmed().await;
    server.execute("insert into t values (1)").await;
    // Two more status messages: the first may have been on its way before the row came.
    for _ in 0..2 {
        let heard = replied().await;
        wait::until("a status message", async || {
            (replied().await != heard).then_some(())
        })
        .await;
    }
    assert_eq!(
        confirmed().await,
        before,
        "nothing is durable, so nothing is confirmed"
    );
    log.release();
    log.until("the row", |entries| entries.len() == 1).await;
    wait::until("the commit is confirmed", async || {
        (confirmed().await > before).then_some(())
    })
    .await;
    // An idle slot follows a busy server: 20 MiB of others' log are more than the limit.
    let before = confirmed().await;
    server
        .execute("insert into other select g from generate_series(1, 300000) g")
        .await;
    wait::until("the slot advances", async || {
        (confirmed().await.bytes_since(before) > 16 << 20).then_some(())
    })
    .await;
    assert!(
        confirmed().await <= stored().expect("an offset"),
        "what is confirmed is stored"
    );
    assert!(log.gauge("wal_held_bytes").is_some());
    run.stop().await.expect("stops");
    assert!(confirmed().await <= stored().expect("an offset"));
}

#[tokio::test]
async fn a_server_shuts_down_promptly_while_it_is_streamed_from() {
    let mut server = Postgres::start().await;
    server.execute("create table t (id int primary key)").await;
    let settings = settings(&server, &[]);
    let log = Log::default();
    let run = log.start(&settings);
    streaming(&log).await;
    server.execute("insert into t values (1)").await;
    let begun = std::time::Instant::now();
    server = tokio::task::spawn_blocking(move || {
        server.stop();
        server
    })
    .await
    .expect("stops");
    let took = begun.elapsed();
    eprintln!("shutdown took {took:?}");
    assert!(took < Duration::from_secs(8), "{took:?}");
    let error = run.end().await.expect_err("the server is gone");
    assert_eq!(
        error.kind,
        tapline_sdk::ErrorKind::Disconnected,
        "{}",
        error.chain()
    );
    server.restart().await;
    let run = log.start(&settings);
    server.execute("insert into t values (2)").await;
    log.until("both rows", |entries| entries.len() == 2).await;
    run.stop().await.expect("stops");
    assert_eq!(log.lines("shop.public.t"), ["c 1 1", "c 2 2"]);
}
