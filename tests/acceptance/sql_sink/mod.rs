//! The SQL sink against real Postgres servers, fed with records built by hand.

mod feed;
mod model;
mod positions;
mod schema;
mod speed;

use crate::support::postgres::Postgres;
use feed::{Fed, Table, V, t, typed};
use tapline_sdk::{Connector, Type};
use tapline_sql::SqlSink;

/// `id int primary key, body text, note varchar(10)`.
fn items() -> Table {
    Table::new(
        "items",
        &[
            ("id", typed(Type::Int32, "integer")),
            ("body", typed(Type::Text, "text")),
            ("note", typed(Type::Text, "character varying(10)")),
        ],
        &[0],
    )
}

fn row(id: i64, body: &str, note: &str) -> [V; 3] {
    [V::Int(id), t(body), t(note)]
}

async fn content(server: &Postgres) -> Vec<String> {
    server.rows("select * from items order by id").await
}

#[tokio::test]
async fn inserts_updates_and_deletes_arrive_in_one_batch_and_over_batches() {
    let server = Postgres::start().await;
    let (mut fed, table) = (Fed::start(&server).await, items());
    fed.put(|feed| {
        feed.insert(&table, &row(1, "a", "x"))
            .insert(&table, &row(2, "b", "y"));
        feed.update(&table, &row(1, "a2", "x"))
            .delete(&table, &row(2, "b", "y"));
        feed.insert(&table, &row(3, "c", "z"));
    })
    .await;
    assert_eq!(content(&server).await, ["1|a2|x", "3|c|z"]);
    fed.put(|feed| {
        feed.delete(&table, &row(3, "c", "z"))
            .insert(&table, &row(3, "again", "z"));
        feed.update(&table, &[V::Int(1), V::Null, t("x")]);
    })
    .await;
    assert_eq!(content(&server).await, ["1|∅|x", "3|again|z"]);
}

#[tokio::test]
async fn a_snapshot_that_is_repeated_replaces_the_rows() {
    let server = Postgres::start().await;
    let (mut fed, table) = (Fed::start(&server).await, items());
    for attempt in ["first", "second"] {
        fed.put(|feed| {
            for id in 0..500 {
                feed.insert(&table, &row(id, attempt, "x"));
            }
        })
        .await;
    }
    let counts = "select count(*), count(*) filter (where body = 'second') from items";
    assert_eq!(server.rows(counts).await, ["500|500"]);
    fed.put(|feed| {
        feed.snapshot_begins(&table);
        for id in 0..300 {
            feed.insert(&table, &row(id, "third", "x"));
        }
    })
    .await;
    assert_eq!(
        server.rows("select count(*), min(body) from items").await,
        ["300|third"]
    );
}

#[tokio::test]
async fn a_truncate_is_a_barrier_in_its_place() {
    let server = Postgres::start().await;
    let (mut fed, table) = (Fed::start(&server).await, items());
    fed.put(|feed| {
        feed.truncate(&table);
        feed.insert(&table, &row(1, "gone", "x"));
        feed.truncate(&table);
        feed.insert(&table, &row(2, "stays", "x"));
    })
    .await;
    assert_eq!(content(&server).await, ["2|stays|x"]);
    server
        .execute("create table refers (id int references items); insert into refers values (2)")
        .await;
    fed.put(|feed| {
        feed.truncate(&table);
    })
    .await;
    assert_eq!(content(&server).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_key_change_that_a_batch_cuts_apart_is_still_one_move() {
    let server = Postgres::start().await;
    let (mut fed, table) = (Fed::start(&server).await, items());
    for records in [1, 2] {
        fed.put(|feed| {
            feed.insert(&table, &row(1, "long body", "x"));
        })
        .await;
        let old = row(1, "", "");
        fed.put(|feed| {
            feed.change_key_begins(&table, &old);
            if records == 2 {
                feed.tombstone(&table, &old);
            }
        })
        .await;
        // Nothing but the log remembers it.
        fed = Fed::start(&server).await;
        fed.put(|feed| {
            if records == 1 {
                feed.tombstone(&table, &old);
            }
            feed.change_key_ends(&table, &old, &[V::Int(9), V::Left, t("moved")]);
        })
        .await;
        assert_eq!(content(&server).await, ["9|long body|moved"]);
        fed.put(|feed| {
            feed.truncate(&table);
        })
        .await;
    }
}

#[tokio::test]
async fn a_key_change_without_its_create_removes_the_old_row() {
    let server = Postgres::start().await;
    let (mut fed, table) = (Fed::start(&server).await, items());
    fed.put(|feed| {
        feed.insert(&table, &row(1, "a", "x"))
            .insert(&table, &row(2, "b", "x"));
    })
    .await;
    fed.put(|feed| {
        feed.change_key_begins(&table, &row(1, "", ""));
        feed.insert(&table, &row(3, "c", "x"));
    })
    .await;
    assert_eq!(content(&server).await, ["2|b|x", "3|c|x"]);
    // The create was taken out of the batch: the log goes on behind it.
    fed.skip = 2;
    fed.put(|feed| {
        feed.change_key_begins(&table, &row(2, "", ""));
    })
    .await;
    assert_eq!(content(&server).await, ["3|c|x"]);
}

#[tokio::test]
async fn a_key_change_keeps_columns_that_the_change_leaves_out() {
    let server = Postgres::start().await;
    let (mut fed, table) = (Fed::start(&server).await, items());
    fed.put(|feed| {
        feed.insert(&table, &row(1, "long body", "x"));
    })
    .await;
    fed.put(|feed| {
        feed.change_key(&table, &row(1, "", ""), &[V::Int(9), V::Left, t("moved")]);
    })
    .await;
    assert_eq!(content(&server).await, ["9|long body|moved"]);
}

#[tokio::test]
async fn chains_and_swaps_of_keys_end_as_at_the_source() {
    let server = Postgres::start().await;
    let (mut fed, table) = (Fed::start(&server).await, items());
    let left = |id| [V::Int(id), V::Left, t("m")];
    fed.put(|feed| {
        for id in 1..=4 {
            feed.insert(&table, &row(id, &format!("b{id}"), "x"));
        }
    })
    .await;
    // A chain of one row, and a swap by way of a free key, all in one batch.
    fed.put(|feed| {
        feed.change_key(&table, &row(1, "", ""), &left(10));
        feed.change_key(&table, &left(10), &left(11));
        feed.change_key(&table, &row(2, "", ""), &left(20));
        feed.change_key(&table, &row(3, "", ""), &left(2));
        feed.change_key(&table, &left(20), &left(3));
        feed.update(&table, &[V::Int(3), V::Left, t("last")]);
    })
    .await;
    assert_eq!(
        content(&server).await,
        ["2|b3|m", "3|b2|last", "4|b4|x", "11|b1|m"]
    );
    // A swap at once, as a deferrable key allows.
    fed.put(|feed| {
        feed.change_key(&table, &row(2, "", ""), &left(3));
        feed.change_key(&table, &row(3, "", ""), &left(2));
    })
    .await;
    assert_eq!(
        content(&server).await,
        ["2|b2|m", "3|b3|m", "4|b4|x", "11|b1|m"]
    );
}

#[tokio::test]
async fn a_delete_whose_create_went_to_a_dead_letter_removes_the_old_row() {
    let server = Postgres::start().await;
    let (mut fed, table) = (Fed::start(&server).await, items());
    fed.put(|feed| {
        feed.insert(&table, &row(1, "a", "x"));
    })
    .await;
    let rejected = fed
        .rejected(|feed| {
            feed.change_key(&table, &row(1, "", ""), &row(2, "a", "far too long a note"));
        })
        .await;
    assert_eq!(
        (rejected.len(), rejected[0].0, &*rejected[0].1),
        (1, 2, "note")
    );
    assert_eq!(content(&server).await, ["1|a|x"], "nothing is applied");
}

#[tokio::test]
async fn left_out_columns_stay_and_a_missing_row_is_rejected() {
    let server = Postgres::start().await;
    let (mut fed, table) = (Fed::start(&server).await, items());
    fed.put(|feed| {
        feed.insert(&table, &row(1, "one", "x"))
            .insert(&table, &row(2, "two", "x"));
        feed.update(&table, &[V::Int(1), V::Left, t("y")]);
    })
    .await;
    fed.put(|feed| {
        feed.update(&table, &[V::Int(2), V::Left, t("z")]);
        feed.update(&table, &[V::Int(1), t("uno"), V::Left]);
        feed.update(&table, &[V::Int(1), V::Left, t("yy")]);
    })
    .await;
    assert_eq!(content(&server).await, ["1|uno|yy", "2|two|z"]);
    let rejected = fed
        .rejected(|feed| {
            feed.update(&table, &[V::Int(1), V::Left, t("ok")]);
            feed.update(&table, &[V::Int(77), V::Left, t("no")]);
            feed.delete(&table, &row(2, "", ""));
            feed.update(&table, &[V::Int(2), V::Left, t("no")]);
        })
        .await;
    let indexes: Vec<usize> = rejected.iter().map(|rejected| rejected.0).collect();
    assert_eq!(indexes, [1, 4]);
    assert!(
        rejected[0].2.contains("missing in the target"),
        "{}",
        rejected[0].2
    );
    assert_eq!(
        content(&server).await,
        ["1|uno|yy", "2|two|z"],
        "nothing is applied"
    );
}

#[tokio::test]
async fn bad_rows_are_isolated_and_nothing_is_applied() {
    let server = Postgres::start().await;
    let (mut fed, table) = (Fed::start(&server).await, items());
    let batch = |feed: &mut feed::Feed, keep_bad: bool| {
        for id in 0..200 {
            if keep_bad && id == 50 {
                feed.insert(&table, &row(id, "nul\0inside", "x"));
            } else if keep_bad && id == 120 {
                feed.insert(&table, &row(id, "secret", "0123456789ab"));
            } else if keep_bad && id == 199 {
                feed.insert(&table, &row(1 << 40, "b", "x"));
            } else {
                feed.insert(&table, &row(id, "b", "x"));
            }
        }
    };
    let rejected = fed.rejected(|feed| batch(feed, true)).await;
    let found: Vec<_> = rejected
        .iter()
        .map(|(index, field, _)| (*index, &**field))
        .collect();
    assert_eq!(found, [(50, "body"), (120, "note"), (199, "id")]);
    assert!(rejected[1].2.contains("22001"), "{}", rejected[1].2);
    assert!(rejected[2].2.contains("22003"), "{}", rejected[2].2);
    assert!(
        rejected
            .iter()
            .all(|(.., reason)| !reason.contains("secret"))
    );
    assert_eq!(
        server.rows("select to_regclass('public.items')").await,
        ["∅"]
    );
    fed.put(|feed| batch(feed, false)).await;
    assert_eq!(server.rows("select count(*) from items").await, ["200"]);
}

#[tokio::test]
async fn without_its_rejected_successor_the_operation_before_is_applied() {
    let server = Postgres::start().await;
    let (mut fed, table) = (Fed::start(&server).await, items());
    let rejected = fed
        .rejected(|feed| {
            feed.insert(&table, &row(1, "good", "x"));
            feed.update(&table, &row(1, "bad", "0123456789ab"));
        })
        .await;
    assert_eq!(rejected.len(), 1);
    assert_eq!(rejected[0].0, 1);
    fed.put(|feed| {
        feed.insert(&table, &row(1, "good", "x"));
    })
    .await;
    assert_eq!(content(&server).await, ["1|good|x"]);
}

#[tokio::test]
async fn another_unique_index_of_the_target_is_respected_in_the_sources_order() {
    let server = Postgres::start().await;
    server
        .execute("create table items (id int primary key, body text unique, note varchar(10))")
        .await;
    let (mut fed, table) = (Fed::start(&server).await, items());
    fed.put(|feed| {
        feed.insert(&table, &row(1, "a", "x"))
            .insert(&table, &row(2, "b", "x"));
    })
    .await;
    // The value moves from one row to the other: reduced to one statement, it would collide.
    fed.put(|feed| {
        feed.update(&table, &row(2, "c", "x"))
            .update(&table, &row(1, "b", "x"));
        feed.update(&table, &row(2, "a", "x"));
    })
    .await;
    assert_eq!(content(&server).await, ["1|b|x", "2|a|x"]);
}

#[tokio::test]
async fn foreign_keys_of_the_target_do_not_stand_in_the_way() {
    let server = Postgres::start().await;
    server
        .execute(
            "create table parents (id int primary key); \
             create table items (id int primary key references parents, body text, note varchar(10))",
        )
        .await;
    let (mut fed, table) = (Fed::start(&server).await, items());
    fed.put(|feed| {
        feed.insert(&table, &row(1, "orphan for now", "x"));
    })
    .await;
    assert_eq!(content(&server).await, ["1|orphan for now|x"]);
}

#[tokio::test]
async fn tables_without_a_key_are_appended_to_and_lose_one_row_per_delete() {
    let server = Postgres::start().await;
    let mut fed = Fed::start(&server).await;
    let table = Table::new(
        "log",
        &[
            ("n", typed(Type::Int32, "integer")),
            ("j", typed(Type::Text, "json")),
        ],
        &[],
    );
    let line = |n: i64, json: &str| [V::Int(n), t(json)];
    fed.put(|feed| {
        for _ in 0..3 {
            feed.insert(&table, &line(1, "{\"a\": 1}"));
        }
        feed.insert(&table, &[V::Null, V::Null]);
        feed.delete(&table, &line(1, "{\"a\": 1}"));
    })
    .await;
    let content = || server.rows("select * from log order by n, j::text");
    assert_eq!(content().await, ["1|{\"a\": 1}", "1|{\"a\": 1}", "∅|∅"]);
    fed.put(|feed| {
        feed.delete(&table, &[V::Null, V::Null]);
        feed.replace(&table, &line(1, "{\"a\": 1}"), &line(2, "[]"));
    })
    .await;
    assert_eq!(content().await, ["1|{\"a\": 1}", "2|[]"]);
    let rejected = fed
        .rejected(|feed| {
            feed.delete(&table, &line(5, "{}"));
            feed.update(&table, &line(6, "{}"));
        })
        .await;
    assert_eq!(rejected.len(), 2);
    assert!(
        rejected[1].2.contains("REPLICA IDENTITY FULL"),
        "{}",
        rejected[1].2
    );
    assert_eq!(content().await.len(), 2);
}

#[tokio::test]
async fn flattened_rows_are_upserted_and_deleted_by_tombstones() {
    let server = Postgres::start().await;
    let (mut fed, table) = (Fed::start(&server).await, items());
    let topic = "shop.public.items";
    fed.put(|feed| {
        feed.flat(topic, &table, &row(1, "a", "x"))
            .flat(topic, &table, &row(2, "b", "x"));
        feed.flat(topic, &table, &row(1, "a2", "x"));
        feed.flat_tombstone(topic, &table, &row(2, "", ""));
    })
    .await;
    assert_eq!(content(&server).await, ["1|a2|x"]);
}

#[tokio::test]
async fn what_is_no_row_is_rejected_by_its_place() {
    let server = Postgres::start().await;
    let (mut fed, table) = (Fed::start(&server).await, items());
    let rejected = fed
        .rejected(|feed| {
            feed.insert(&table, &row(1, "a", "x"));
            feed.scalar("shop.public.items");
        })
        .await;
    assert_eq!(rejected.len(), 1);
    assert_eq!(rejected[0].0, 1);
    assert!(rejected[0].2.contains("no struct"), "{}", rejected[0].2);
}

#[tokio::test]
async fn under_debeziums_name_its_defaults_hold() {
    let server = Postgres::start().await;
    let alias = &SqlSink::INFO.aliases[0];
    assert_eq!(alias.class, "io.debezium.connector.jdbc.JdbcSinkConnector");
    let mut settings = alias.defaults.to_vec();
    settings.retain(|(key, _)| *key != "schema.evolution");
    settings.push(("schema.evolution", "basic"));
    let mut fed = Fed::with(&server, &settings).await;
    let table = items();
    fed.put(|feed| {
        feed.insert(&table, &row(1, "a", "x"))
            .update(&table, &row(1, "b", "x"));
        feed.delete(&table, &row(1, "b", "x")).truncate(&table);
    })
    .await;
    // Inserts alone, into a table named after the topic.
    let rows = server.rows("select * from shop_all order by body").await;
    assert_eq!(rows, ["1|a|x", "1|b|x"]);
    let by_value = [
        ("primary.key.mode", "record_value"),
        ("primary.key.fields", "id"),
        ("collection.name.format", "by_value"),
    ];
    let mut fed = Fed::with(&server, &by_value).await;
    fed.put(|feed| {
        feed.insert(&table, &row(1, "a", "x"))
            .insert(&table, &row(2, "a", "x"));
        feed.update(&table, &row(1, "b", "x"))
            .delete(&table, &row(2, "", ""));
    })
    .await;
    assert_eq!(server.rows("select * from by_value").await, ["1|b|x"]);
}

#[tokio::test]
async fn tables_without_columns_hold_as_many_rows() {
    let server = Postgres::start().await;
    let mut fed = Fed::start(&server).await;
    let table = Table::new("nothing", &[], &[]);
    fed.put(|feed| {
        feed.insert(&table, &[])
            .insert(&table, &[])
            .insert(&table, &[]);
        feed.delete(&table, &[]);
    })
    .await;
    let mut connection = server.connect().await;
    let count: i64 = sqlx::query_scalar("select count(*) from nothing")
        .fetch_one(&mut connection)
        .await
        .expect("counts");
    assert_eq!(count, 2);
}

#[tokio::test]
async fn hostile_names_and_values_stay_names_and_values() {
    let server = Postgres::start().await;
    let mut fed = Fed::start(&server).await;
    let hostile = "x\"; drop table victims; --";
    server.execute("create table victims (id int)").await;
    let table = Table::within(
        "Odd \"Schema\"",
        hostile,
        &[
            ("id'; --", typed(Type::Int32, "integer")),
            ("select", typed(Type::Text, "text")),
            (
                "ID'; --",
                typed(Type::Text, "text); drop table victims; --"),
            ),
        ],
        &[0],
    );
    for _ in 0..2 {
        fed.put(|feed| {
            for id in 0..20 {
                feed.insert(
                    &table,
                    &[V::Int(id), t("'; drop table victims; --"), t("\\N\t\n\\.")],
                );
            }
            feed.update(&table, &[V::Int(1), t("\\."), V::Left]);
            feed.delete(&table, &[V::Int(2), V::Null, V::Null]);
        })
        .await;
    }
    let sql =
        "select * from \"Odd \"\"Schema\"\"\".\"x\"\"; drop table victims; --\" order by 1 limit 2";
    assert_eq!(
        server.rows(sql).await,
        ["0|'; drop table victims; --|\\N\t\n\\.", "1|\\.|\\N\t\n\\."]
    );
    assert_eq!(server.rows("select count(*) from victims").await, ["0"]);
}
