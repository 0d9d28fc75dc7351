//! A shop: a schema and a write load that touch what replication gets wrong: TOAST values, key changes, truncates,
//! keyless tables, large transactions, columns added on the way, rollbacks.
//!
//! Everything random comes from one seed per writer, so that a failure can be repeated.

use super::postgres::{connect, execute};
use fastrand::Rng;
use sqlx::PgConnection;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// The tables, in the order in which they are compared.
pub const TABLES: [&str; 6] = [
    "customers",
    "products",
    "orders",
    "order_lines",
    "events",
    "carts",
];

/// Ids are drawn from this range, so that writers meet on the same rows.
const CUSTOMERS: u64 = 2_000;

const SCHEMA: &str = "
    create type order_state as enum ('new', 'paid', 'sent', 'it''s, odd');
    create table customers (
        id bigint primary key, email text not null, name varchar(80), credit numeric(12,2),
        bio text, born date, updated timestamptz not null default now());
    alter table customers alter bio set storage external;
    create table products (
        sku text primary key, title text not null, price numeric(10,2), attributes jsonb, picture bytea);
    alter table products alter picture set storage external;
    create table orders (
        id bigint primary key, customer_id bigint not null, state order_state not null default 'new',
        total numeric, note text, placed timestamp(3) not null default now(), tags text[]);
    create table order_lines (
        order_id bigint, line int, sku text not null, quantity int not null, primary key (order_id, line));
    create table events (at timestamptz not null default now(), kind text, body jsonb);
    alter table events replica identity full;
    create table carts (id uuid primary key, content jsonb, seconds interval);
";

/// Creates the schema with this many customers, twice as many products, and orders.
pub async fn create(url: &str, customers: u64) {
    execute(url, SCHEMA).await;
    let fill = format!(
        "insert into customers select g, 'c' || g || '@shop.example', 'Customer ' || g, g * 1.25,
             case when g % 5 = 0 then repeat(md5(g::text), 120) end, date '1970-01-01' + g::int
             from generate_series(1, {customers}) g;
         insert into products select 'sku-' || g, 'Product ' || g, g * 0.5,
             jsonb_build_object('colour', md5(g::text), 'size', g % 7),
             case when g % 9 = 0 then decode(repeat(md5(g::text), 90), 'hex') end
             from generate_series(1, {}) g;
         insert into orders select g, 1 + g % {customers}, 'paid', g * 3.14, 'note ' || g, now(),
             array['a', null, 'c ' || g] from generate_series(1, {customers}) g;
         insert into order_lines select g, l, 'sku-' || (1 + g % 100), l
             from generate_series(1, {customers}) g, generate_series(1, 2) l;
         insert into events (kind, body) select 'start', jsonb_build_object('n', g)
             from generate_series(1, 500) g;",
        customers * 2
    );
    execute(url, &fill).await;
}

/// One transaction of the load, as SQL for the simple protocol; about one in twelve is rolled back.
pub fn transaction(random: &mut Rng) -> String {
    let mut sql = String::from("begin;");
    for _ in 0..random.usize(1..=6) {
        statement(random, &mut sql);
    }
    sql.push_str(if random.u8(0..12) == 0 {
        "rollback;"
    } else {
        "commit;"
    });
    sql
}

fn statement(random: &mut Rng, sql: &mut String) {
    let customer = random.u64(1..=CUSTOMERS);
    let product = random.u64(1..=CUSTOMERS * 2);
    let fresh = random.u64(1_000_000..u64::MAX / 4);
    let text = match random.u8(0..17) {
        0..=2 => format!(
            "insert into orders (id, customer_id, total, note) select {fresh} + g, {customer}, g * 1.5, 'n' || g
                 from generate_series(1, 20) g on conflict do nothing;
             insert into order_lines select {fresh} + g, 1, 'sku-{product}', g
                 from generate_series(1, 20) g on conflict do nothing;"
        ),
        // The long bio is not touched: it arrives as an unchanged TOAST value.
        3..=5 => format!(
            "update customers set credit = credit + {product}, updated = clock_timestamp()
                 where id between {customer} and {customer} + 15;"
        ),
        6 => format!(
            "update customers set bio = repeat(md5('{fresh}'), 100) where id = {customer};"
        ),
        7 => format!(
            "update products set sku = sku || '-x' where sku = 'sku-{product}';
             update products set sku = 'sku-{product}' where sku = 'sku-{product}-x-x';"
        ),
        8 => format!(
            "delete from order_lines where order_id = {customer};
             delete from orders where id = {customer};"
        ),
        9 => format!(
            "insert into customers (id, email, bio) values ({customer}, 'again', repeat('z', 3000))
                 on conflict (id) do update set email = 'e{fresh}', name = null;"
        ),
        10 => format!("delete from customers where id = {customer};"),
        11 => format!(
            "insert into events (kind, body) select 'k{product}', jsonb_build_object('n', {fresh}, 'g', g)
                 from generate_series(1, 5) g;"
        ),
        12 => format!(
            "update events set kind = 'seen' where kind = 'k{product}';
             delete from events where kind = 'seen' and (body ->> 'g')::int > 3;"
        ),
        13 => format!(
            "insert into carts select gen_random_uuid(), jsonb_build_array({fresh}, g), g * interval '1 day 2 seconds'
                 from generate_series(1, 8) g;"
        ),
        14 => format!(
            "update orders set state = 'it''s, odd', tags = array['{customer}', null] where customer_id = {customer};"
        ),
        15 => format!(
            "savepoint s; update products set price = price + 1 where sku = 'sku-{product}';
             rollback to s; update products set attributes = jsonb_build_object('n', {fresh}) where sku = 'sku-{product}';"
        ),
        _ if random.u8(0..20) == 0 => "truncate carts;".to_owned(),
        // There and back within one transaction: the key is another row's for a moment.
        _ => format!(
            "update order_lines set line = -line where order_id = {customer};
             update order_lines set line = -line where order_id = {customer};"
        ),
    };
    sql.push_str(&text);
}

/// One transaction of this many rows.
pub fn large_transaction(rows: u64, from: u64) -> String {
    format!(
        "begin; insert into orders (id, customer_id, total, note, tags)
             select {from} + g, g, g, 'large ' || g, array[g::text] from generate_series(1, {rows}) g; commit;"
    )
}

/// Writers that run until they are stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    transactions: Arc<AtomicU64>,
    writers: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    /// Starts this many writers, each pausing so long between transactions.
    pub fn start(url: &str, writers: u64, seed: u64, pause: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let transactions = Arc::new(AtomicU64::new(0));
        let spawn = |writer| {
            let (stop, transactions) = (Arc::clone(&stop), Arc::clone(&transactions));
            let (url, random) = (url.to_owned(), Rng::with_seed(seed ^ (writer << 32)));
            tokio::spawn(async move { write(&url, random, pause, &stop, &transactions).await })
        };
        let writers = (0..writers).map(spawn).collect();
        Self {
            stop,
            transactions,
            writers,
        }
    }

    /// How many transactions were sent, rolled back ones included.
    pub fn transactions(&self) -> u64 {
        self.transactions.load(Ordering::Relaxed)
    }

    /// Lets each writer finish its transaction.
    pub async fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for writer in std::mem::take(&mut self.writers) {
            writer.await.expect("a writer ends by itself");
        }
        self.transactions()
    }
}

async fn write(url: &str, mut random: Rng, pause: Duration, stop: &AtomicBool, sent: &AtomicU64) {
    let mut connection: PgConnection = connect(url).await;
    while !stop.load(Ordering::Relaxed) {
        let sql = transaction(&mut random);
        match sqlx::raw_sql(sqlx::AssertSqlSafe(sql.clone()))
            .execute(&mut connection)
            .await
        {
            Ok(_) => _ = sent.fetch_add(1, Ordering::Relaxed),
            // Writers meet on rows on purpose: a deadlock or a taken key is rolled back, as an application would.
            Err(sqlx::Error::Database(error)) if is_conflict(error.code().as_deref()) => {
                let rollback = sqlx::raw_sql("rollback").execute(&mut connection).await;
                rollback.expect("a failed transaction rolls back");
            }
            Err(error) => panic!("the load failed: {error} in: {sql}"),
        }
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
}

fn is_conflict(code: Option<&str>) -> bool {
    matches!(code, Some("40P01" | "23505" | "40001"))
}
