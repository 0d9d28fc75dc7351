//! What a worker's sinks are to read is kept for them, whether or not they have ever reached their target.

use super::end_to_end::spec;
use crate::support::wait::until;
use parking_lot::Mutex;
use std::{
    sync::{Arc, mpsc},
    time::Duration,
};
use tapline::{
    broker::{
        self, Append, Broker, Commit, Embedded, NewTopic,
        batch::{BatchBuilder, Compression},
    },
    plugins::Plugins,
    worker::{ConnectorKind, Settings, Worker},
};
use tapline_sdk::TopicPartition;
use tempfile::TempDir;
use tokio::sync::oneshot;

/// All records of these topics are due: they are of 1970.
async fn fill(log: &Embedded, topics: &[&str]) {
    let new = |name: &&str| NewTopic {
        name: (*name).into(),
        partitions: 1,
        config: [("retention.ms".to_owned(), "3600000".to_owned())].into(),
    };
    log.create(topics.iter().map(new).collect())
        .await
        .expect("topics");
    let mut writer = log.writer("test").await.expect("a writer");
    for topic in topics {
        let mut builder = BatchBuilder::new();
        builder
            .append(Some(b"key"), Some(b"{}"), 1_000, [])
            .expect("a small record");
        let to = TopicPartition {
            topic: (*topic).into(),
            partition: 0,
        };
        let batch = builder.finish(Compression::None).expect("a batch");
        let commit = Commit {
            appends: vec![Append { to, batch }],
            positions: Vec::new(),
        };
        writer.commit(commit).await.expect("durable");
    }
}

/// Retention has taken what this topic held.
async fn emptied(log: &Embedded, topic: &str) {
    until("retention takes what is due", || async {
        (start(log, topic) == 1).then_some(())
    })
    .await;
}

fn start(log: &Embedded, topic: &str) -> u64 {
    let topic = log.topic(topic).expect("the topic");
    topic.partitions.first().expect("a partition").log_start
}

/// A log whose upkeep looks all the time, and a worker with sinks that never reach their target.
async fn opened(folder: &TempDir) -> (Arc<Embedded>, Worker) {
    let settings = broker::Settings {
        upkeep_interval: Duration::from_millis(20),
        ..broker::Settings::default()
    };
    let log = Embedded::open(folder.path(), settings).expect("the log opens");
    let log = Arc::new(log);
    let settings = Settings {
        data_dir: folder.path().to_owned(),
        placeholders: None,
        plugins: Plugins::builtin().clone(),
    };
    let worker = Worker::open(settings, Arc::clone(&log) as Arc<dyn Broker>)
        .await
        .expect("the worker opens");
    // Nobody answers at this port, so no position is ever stored.
    let sink = |name: &str, key, topics: &str| {
        let target = (
            "connection.url",
            "postgres://nobody@127.0.0.1:1/none".to_owned(),
        );
        let settings = [target, (key, topics.to_owned())];
        spec(name, ConnectorKind::Sink, "sql", &settings)
    };
    let sinks = vec![
        sink("listed", "topics", "orders"),
        sink("matching", "topics.regex", "visits-.*"),
    ];
    worker.apply(sinks).await.expect("applied");
    (log, worker)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sink_has_never_read_is_kept_until_the_sink_is_deleted() {
    let folder = TempDir::new().expect("a folder");
    let (log, worker) = opened(&folder).await;
    let reading = worker.clone();
    log.keep_for(move || reading.readers());
    fill(&log, &["orders", "visits-a", "others"]).await;
    emptied(&log, "others").await;
    assert_eq!((start(&log, "orders"), start(&log, "visits-a")), (0, 0));
    worker.delete("listed").await.expect("deleted");
    emptied(&log, "orders").await;
    assert_eq!(start(&log, "visits-a"), 0);
    worker.stop(Duration::from_secs(10)).await;
    log.close().await.expect("the log closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_appears_while_retention_asks_who_reads_is_kept() {
    let folder = TempDir::new().expect("a folder");
    let (log, worker) = opened(&folder).await;
    let reading = worker.clone();
    let (tell, told) = oneshot::channel();
    let (go_on, goes_on) = mpsc::channel();
    let first = Mutex::new(Some((tell, goes_on)));
    log.keep_for(move || {
        let readers = reading.readers();
        if let Some((tell, goes_on)) = first.lock().take() {
            tell.send(()).expect("the test waits");
            goes_on.recv().expect("the test goes on");
        }
        readers
    });
    told.await.expect("retention asks");
    fill(&log, &["orders", "others"]).await;
    go_on.send(()).expect("retention waits");
    emptied(&log, "others").await;
    assert_eq!(start(&log, "orders"), 0, "its sink has read nothing yet");
    worker.stop(Duration::from_secs(10)).await;
    log.close().await.expect("the log closes");
}
