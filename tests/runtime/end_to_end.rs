//! The whole way with real servers: Postgres, the embedded log, Postgres.

use crate::support::{
    compare::differences,
    postgres::Postgres,
    shop::{self, Load, TABLES},
    wait::{DEADLINE, until, within},
};
use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};
use tapline::{
    broker::{self, Embedded},
    plugins::Plugins,
    worker::{Author, ConnectorKind, ConnectorSpec, Settings, State, Worker},
};
use tempfile::TempDir;

/// A worker on an embedded log, and how to end both.
pub(super) struct Run {
    pub(super) worker: Worker,
    pub(super) log: Arc<Embedded>,
}

impl Run {
    pub(super) async fn start(folder: &Path) -> Self {
        let log = Embedded::open(folder, broker::Settings::default()).expect("the log opens");
        let log = Arc::new(log);
        let settings = Settings {
            data_dir: folder.to_owned(),
            placeholders: None,
            plugins: Plugins::builtin().clone(),
        };
        let worker = Worker::open(settings, Arc::clone(&log) as Arc<dyn broker::Broker>)
            .await
            .expect("the worker opens");
        worker.metrics().watch_log(log.stats());
        Self { worker, log }
    }

    pub(super) async fn stop(self) {
        let stopped = self.worker.stop(Duration::from_secs(30)).await;
        assert_eq!(stopped.abandoned, Vec::<String>::new());
        self.log.close().await.expect("the log closes");
    }

    /// As near to a kill as one process comes: tasks are dropped where they stand, the log without a shutdown.
    async fn drop_all(self) {
        self.worker.stop(Duration::ZERO).await;
        let log = Arc::downgrade(&self.log);
        drop(self);
        // Tasks that were dropped let go of the log when the runtime next comes by them.
        until("the log is let go of", || async {
            (log.strong_count() == 0).then_some(())
        })
        .await;
    }
}

pub(super) fn spec(
    name: &str,
    kind: ConnectorKind,
    class: &str,
    settings: &[(&str, String)],
) -> ConnectorSpec {
    let own = |(key, value): &(&str, String)| ((*key).to_owned(), value.clone());
    ConnectorSpec {
        name: name.to_owned(),
        kind,
        class: class.to_owned(),
        settings: settings.iter().map(own).collect::<BTreeMap<_, _>>(),
        origin: None,
        author: Author::default(),
    }
}

fn specs(from: &Postgres, to: &Postgres) -> Vec<ConnectorSpec> {
    let source = [
        ("database.hostname", "127.0.0.1".to_owned()),
        ("database.port", from.port().to_string()),
        ("database.user", "postgres".to_owned()),
        ("database.dbname", "postgres".to_owned()),
        ("topic.prefix", "shop".to_owned()),
        ("slot.name", "tapline_shop".to_owned()),
        ("publication.name", "tapline_shop".to_owned()),
        ("table.include.list", r"public\..*".to_owned()),
    ];
    let sink = [
        ("connection.url", to.url("postgres")),
        ("topics.of", "shop.source".to_owned()),
    ];
    vec![
        spec("shop.source", ConnectorKind::Source, "postgres", &source),
        spec("shop.replica", ConnectorKind::Sink, "sql", &sink),
    ]
}

/// Waits until both are equal; says what differs and what the tasks do if they never are.
async fn equal(from: &Postgres, to: &Postgres, run: &Run) {
    let (source, target) = (from.url("postgres"), to.url("postgres"));
    let mut found = String::new();
    let reached = within(DEADLINE, async || {
        found = differences(&source, &target, &TABLES).await;
        let failed = run.worker.status().into_iter();
        let failed = failed.filter(|one| one.state == State::Failed).count();
        assert_eq!(failed, 0, "{found}\n{}", described(run));
        found.is_empty().then_some(())
    })
    .await;
    assert!(reached.is_some(), "{found}\n{}", described(run));
}

pub(super) fn described(run: &Run) -> String {
    serde_json::to_string_pretty(&run.worker.status()).expect("JSON")
}

/// Waits until the tasks have done some work since this run began.
async fn works(run: &Run) {
    until("500 records are delivered", || async {
        let status = run.worker.status();
        let gauges = status
            .iter()
            .flat_map(|one| &one.tasks)
            .map(|task| &task.gauges);
        let delivered: u64 = gauges.map(|gauges| gauges.records_delivered).sum();
        (delivered >= 500).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_equals_its_source_after_snapshot_stream_stop_and_crash() {
    let (from, to) = (Postgres::start().await, Postgres::start().await);
    let folder = TempDir::new().expect("a folder");
    shop::create(&from.url("postgres"), 500).await;
    // A table is created in the replica with its first row.
    let cart = "insert into carts select md5('1')::uuid, '{}', interval '1 day 2 seconds'";
    from.execute(cart).await;

    let run = Run::start(folder.path()).await;
    run.worker.apply(specs(&from, &to)).await.expect("applied");
    equal(&from, &to, &run).await;
    let load = Load::start(&from.url("postgres"), 2, 7, Duration::from_millis(2));
    works(&run).await;
    run.stop().await;

    let run = Run::start(folder.path()).await;
    run.worker.apply(specs(&from, &to)).await.expect("applied");
    works(&run).await;
    run.drop_all().await;

    let run = Run::start(folder.path()).await;
    run.worker.apply(specs(&from, &to)).await.expect("applied");
    works(&run).await;
    let transactions = load.stop().await;
    equal(&from, &to, &run).await;
    let page = run.worker.metrics().render();
    assert!(page.contains("tapline_log_sync_seconds_count"), "{page}");
    let delivered: u64 = run.worker.status()[0].tasks[0].gauges.records_delivered;
    eprintln!("{transactions} transactions, {delivered} records delivered by the last run");
    run.stop().await;
}

pub(super) async fn state(run: &Run, name: &str, state: State) {
    until(&format!("{name} is {state:?}"), || async {
        let all = run.worker.status();
        all.iter()
            .any(|one| one.name == name && one.state == state)
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_target_is_waited_for_and_a_damaged_table_is_read_again() {
    let (from, mut to) = (Postgres::start().await, Postgres::start().await);
    let folder = TempDir::new().expect("a folder");
    shop::create(&from.url("postgres"), 100).await;
    from.execute("insert into carts select md5('1')::uuid, '{}', '1 day'")
        .await;
    let run = Run::start(folder.path()).await;
    run.worker.apply(specs(&from, &to)).await.expect("applied");
    equal(&from, &to, &run).await;

    to.kill();
    from.execute("update customers set credit = credit + 1")
        .await;
    state(&run, "shop.replica", State::Restarting).await;
    from.execute("delete from customers where id % 3 = 0").await;
    to.restart().await;
    equal(&from, &to, &run).await;
    state(&run, "shop.replica", State::Running).await;

    to.execute("delete from customers where id % 2 = 0; insert into customers (id, email) values (-1, 'x')")
        .await;
    let tables = ["public.customers".to_owned()];
    run.worker
        .resnapshot("shop.source", &tables)
        .await
        .expect("asked for");
    equal(&from, &to, &run).await;
    let unknown = run
        .worker
        .resnapshot("shop.source", &["public.x".to_owned()])
        .await;
    assert_eq!(unknown.expect_err("unknown").code, Some("TL0514"));

    let offsets = run.worker.offsets("shop.replica").await.expect("shown");
    assert_eq!(offsets.len(), TABLES.len(), "{offsets:?}");
    let stream = run.worker.offsets("shop.source").await.expect("shown");
    assert_eq!(stream.len(), TABLES.len() + 1, "{stream:?}");
    run.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_ran_ahead_fails_the_source_and_resnapshot_mends_it() {
    let (from, to) = (Postgres::start().await, Postgres::start().await);
    let folder = TempDir::new().expect("a folder");
    shop::create(&from.url("postgres"), 50).await;
    from.execute("insert into carts select md5('1')::uuid, '{}', '1 day'")
        .await;
    let run = Run::start(folder.path()).await;
    run.worker.apply(specs(&from, &to)).await.expect("applied");
    equal(&from, &to, &run).await;
    run.stop().await;

    from.execute("delete from customers where id % 2 = 0; update orders set note = 'unseen'")
        .await;
    from.execute("select pg_replication_slot_advance('tapline_shop', pg_current_wal_lsn())")
        .await;
    let run = Run::start(folder.path()).await;
    run.worker.apply(specs(&from, &to)).await.expect("applied");
    state(&run, "shop.source", State::Failed).await;
    let shown = format!("{:?}", run.worker.status());
    assert!(shown.contains("TL0304"), "{shown}");

    run.worker
        .resnapshot("shop.source", &[])
        .await
        .expect("asked for");
    from.execute("update customers set email = 'after'").await;
    equal(&from, &to, &run).await;
    run.stop().await;
}
