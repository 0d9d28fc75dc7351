//! Rows per second into a target, beside `COPY` of the same rows in the same run.

use super::feed::*;
use crate::support::postgres::Postgres;
use std::time::Instant;
use tapline_sdk::Type;

/// Enough for seconds of work.
const ROWS: i64 = 300_000;

/// What the runtime puts at once.
const BATCH: i64 = 10_000;

fn wide() -> Table {
    let int = || typed(Type::Int64, "bigint");
    let text = || typed(Type::Text, "text");
    let at = tapline_sdk::Schema::of(Type::Int64)
        .optional()
        .name("io.debezium.time.MicroTimestamp")
        .parameter("tapline.source.type", "timestamp without time zone");
    Table::new(
        "wide",
        &[
            ("id", int()),
            ("customer", int()),
            ("price", typed(Type::Text, "numeric(10,2)")),
            ("at", at.build()),
            ("name", text()),
            ("city", text()),
            ("note", text()),
            ("done", typed(Type::Bool, "boolean")),
        ],
        &[0],
    )
}

fn values(id: i64, note: &str) -> [V; 8] {
    [
        V::Int(id),
        V::Int(id * 7),
        t("1234.56"),
        V::Int(1_700_000_000_000_000 + id),
        t("a name of thirty-two characters.."),
        t("a city of some twenty"),
        t(note),
        V::Bool(true),
    ]
}

async fn measure(fed: &mut Fed, what: &str, fill: impl Fn(&mut Feed, i64)) {
    let mut spent = std::time::Duration::ZERO;
    for start in (0..ROWS).step_by(10_000) {
        let mut feed = Feed::default();
        for id in start..start + BATCH {
            fill(&mut feed, id);
        }
        let clock = Instant::now();
        let rejected = fed
            .try_put(&feed)
            .await
            .unwrap_or_else(|error| panic!("{}", error.chain()));
        spent += clock.elapsed();
        assert_eq!(rejected, []);
    }
    eprintln!("{what}: {:.0} rows/s", rate(spent));
}

fn rate(spent: std::time::Duration) -> f64 {
    f64::from(u32::try_from(ROWS).expect("fits")) / spent.as_secs_f64()
}

#[tokio::test]
#[ignore = "measures, in a release build on a quiet machine: cargo test --release speed -- --ignored --nocapture"]
async fn inserts_updates_and_deletes_beside_copy() {
    let server = Postgres::start().await;
    let table = wide();
    let mut fed = Fed::start(&server).await;
    let note = "a note that makes the row about one hundred and sixty bytes long";
    measure(&mut fed, "inserts", |feed, id| {
        feed.insert(&table, &values(id, note));
    })
    .await;
    measure(&mut fed, "updates", |feed, id| {
        feed.update(&table, &values(id, "changed"));
    })
    .await;
    measure(&mut fed, "partial updates", |feed, id| {
        let mut row = values(id, "changed again");
        row[4] = V::Left;
        feed.update(&table, &row);
    })
    .await;
    let mut connection = server.connect().await;
    let clock = Instant::now();
    sqlx::raw_sql(
        "create table again (like wide including all); \
         insert into again select * from wide",
    )
    .execute(&mut connection)
    .await
    .expect("copies");
    eprintln!(
        "insert … select in the server: {:.0} rows/s",
        rate(clock.elapsed())
    );
    measure(&mut fed, "deletes", |feed, id| {
        feed.delete(&table, &values(id, ""));
    })
    .await;
    assert_eq!(server.rows("select count(*) from wide").await, ["0"]);
}
