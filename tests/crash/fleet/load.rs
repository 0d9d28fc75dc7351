//! What flows through the fleet meanwhile: tables with and without a key that change, files that grow.

use crate::support::postgres::connect;
use fastrand::Rng;
use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinHandle;

/// Between two transactions or batches of lines: a load that a debug build can follow beside a hundred sinks.
const PAUSE: Duration = Duration::from_millis(40);

/// The tables of a Postgres source: `a` has a key, and `j` none, so that a row that came twice would stay twice.
pub fn tables(number: usize) -> String {
    format!(
        "create table a{number} (id int primary key, name text, n int);
         insert into a{number} select g, 'first', 0 from generate_series(0, 200) g;
         create table j{number} (n bigint, what text);
         insert into j{number} select -g, 'first' from generate_series(1, 100) g;"
    )
}

/// Where a sink writes; a broken one's table refuses the first row, which nobody ever changes.
pub fn target(sink: usize, source: usize, broken: bool) -> String {
    let schema = format!("create schema s{sink};");
    if !broken {
        return schema;
    }
    format!(
        "{schema} create table s{sink}.a{source} (id int primary key, name text, n int, \
         constraint broken check (id <> 0));"
    )
}

/// What makes a broken sink's table take every row.
pub fn repair(sink: usize, source: usize) -> String {
    format!("alter table s{sink}.a{source} drop constraint broken")
}

/// Writers that run until they are stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    writers: Vec<JoinHandle<u64>>,
    sources: usize,
}

impl Load {
    /// One writer for each Postgres source and each file.
    pub fn start(url: &str, sources: usize, files: Vec<PathBuf>, seed: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let tables = (0..sources).map(|number| {
            let random = Rng::with_seed(seed ^ ((number as u64) << 32));
            tokio::spawn(change(url.to_owned(), number, random, Arc::clone(&stop)))
        });
        let mut writers: Vec<_> = tables.collect();
        for (number, file) in files.into_iter().enumerate() {
            let random = Rng::with_seed(!seed ^ ((number as u64) << 32));
            writers.push(tokio::spawn(append(file, random, Arc::clone(&stop))));
        }
        Self {
            stop,
            writers,
            sources,
        }
    }

    /// Lets each writer finish, and says what was written.
    pub async fn stop(self) -> String {
        self.stop.store(true, Ordering::Relaxed);
        let (mut transactions, mut lines) = (0, 0);
        for (number, writer) in self.writers.into_iter().enumerate() {
            let written = writer.await.expect("a writer ends by itself");
            if number < self.sources {
                transactions += written;
            } else {
                lines += written;
            }
        }
        format!("{transactions} transactions, {lines} lines")
    }
}

async fn change(url: String, number: usize, mut random: Rng, stop: Arc<AtomicBool>) -> u64 {
    let mut connection = connect(&url).await;
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        let (id, gone) = (random.u32(1..2_000), random.u32(1..2_000));
        let end = ["commit", "commit", "commit", "rollback"][random.usize(..4)];
        let sql = format!(
            "begin;
             insert into a{number} select g, md5(g::text), 0 from generate_series({id}, {id} + 5) g
                 on conflict (id) do update set n = a{number}.n + 1;
             delete from a{number} where id = {gone};
             insert into j{number} select {sent} * 3 + g, 'load' from generate_series(0, 2) g;
             {end};"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .expect("the only writer of a table meets no conflict");
        sent += 1;
        tokio::time::sleep(PAUSE).await;
    }
    sent
}

async fn append(path: PathBuf, mut random: Rng, stop: Arc<AtomicBool>) -> u64 {
    let mut lines = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut text = String::new();
        for _ in 0..random.usize(1..20) {
            lines += 1;
            let word: String = (0..random.usize(0..60))
                .map(|_| random.lowercase())
                .collect();
            text.push_str(&format!("{lines} {word}\n"));
        }
        add(&path, text.as_bytes());
        tokio::time::sleep(PAUSE).await;
    }
    lines
}

fn add(path: &Path, bytes: &[u8]) {
    let file = File::options().append(true).open(path);
    file.and_then(|mut file| file.write_all(bytes))
        .expect("a source's file can be written");
}
