//! The whole way with real servers: Postgres, the embedded log, Postgres.

use crate::support::{
    compare::differences,
    postgres::Postgres,
    shop::{self, Load, TABLES},
    wait::until,
};
use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};
use tapline::{
    broker::{self, Embedded},
    plugins::Plugins,
    worker::{ConnectorKind, ConnectorSpec, Settings, State, Worker},
};
use tempfile::TempDir;

/// A worker on an embedded log, and how to end both.
struct Run {
    worker: Worker,
    log: Arc<Embedded>,
}

impl Run {
    async fn start(folder: &Path) -> Self {
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

    async fn stop(self) {
        let stopped = self.worker.stop(Duration::from_secs(30)).await;
        assert_eq!(stopped.abandoned, Vec::<String>::new());
        self.log.close().await.expect("the log closes");
    }

    /// As near to a kill as one process comes: tasks are dropped where they stand, the log without a shutdown.
    async fn drop_all(self) {
        self.worker.stop(Duration::ZERO).await;
    }
}

fn spec(
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

async fn equal(from: &Postgres, to: &Postgres, run: &Run) {
    let (source, target) = (from.url("postgres"), to.url("postgres"));
    until("source and replica are equal", || async {
        for one in run.worker.status() {
            assert_ne!(one.state, State::Failed, "{:?}", one.tasks[0].error);
        }
        let found = differences(&source, &target, &TABLES).await;
        found.is_empty().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_equals_its_source_after_snapshot_stream_stop_and_crash() {
    let (from, to) = (Postgres::start().await, Postgres::start().await);
    let folder = TempDir::new().expect("a folder");
    shop::create(&from.url("postgres"), 500).await;

    let run = Run::start(folder.path()).await;
    run.worker.apply(specs(&from, &to)).await.expect("applied");
    equal(&from, &to, &run).await;
    let load = Load::start(&from.url("postgres"), 2, 7, Duration::from_millis(2));
    tokio::time::sleep(Duration::from_secs(2)).await;
    run.stop().await;

    let run = Run::start(folder.path()).await;
    run.worker.apply(specs(&from, &to)).await.expect("applied");
    tokio::time::sleep(Duration::from_secs(2)).await;
    run.drop_all().await;

    let run = Run::start(folder.path()).await;
    run.worker.apply(specs(&from, &to)).await.expect("applied");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let transactions = load.stop().await;
    equal(&from, &to, &run).await;
    let page = run.worker.metrics().render();
    assert!(page.contains("tapline_log_sync_seconds_count"), "{page}");
    let delivered: u64 = run.worker.status()[0].tasks[0].gauges.records_delivered;
    eprintln!("{transactions} transactions, {delivered} records delivered by the last run");
    run.stop().await;
}
