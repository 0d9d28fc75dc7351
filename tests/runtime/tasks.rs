//! Source and sink tasks under faults that only scripted connectors can show.

use super::{
    memory::Memory,
    script::{self, Act, Script, Trouble},
};
use crate::support::wait::{stays, until};
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tapline::{
    broker::{Broker, NewTopic},
    worker::{
        ApplyError, Author, ConnectorKind, ConnectorSpec, ConnectorStatus, OffsetEntry, Read,
        Settings, State, Worker,
    },
};
use tapline_sdk::{ErrorKind, Position, Scalar, TopicPartition};
use tempfile::TempDir;

/// A worker with a data directory of its own.
struct Bench {
    worker: Worker,
    log: Memory,
    folder: Arc<TempDir>,
}

impl Bench {
    async fn new() -> Self {
        let folder = Arc::new(TempDir::new().expect("a folder"));
        Self::on(Memory::new(), folder).await
    }

    async fn on(log: Memory, folder: Arc<TempDir>) -> Self {
        let settings = Settings {
            data_dir: folder.path().to_owned(),
            placeholders: None,
            plugins: script::plugins(),
        };
        let worker = Worker::open(settings, Arc::new(log.clone()))
            .await
            .expect("the worker opens");
        Self {
            worker,
            log,
            folder,
        }
    }

    /// Stops this worker and opens another on the same log.
    async fn again(self) -> Self {
        let stopped = self.worker.stop(Duration::from_secs(10)).await;
        assert_eq!(stopped.abandoned, Vec::<String>::new());
        Self::on(self.log, self.folder).await
    }

    async fn apply(&self, specs: Vec<ConnectorSpec>) {
        self.worker.apply(specs).await.expect("applied");
    }

    fn status(&self, name: &str) -> ConnectorStatus {
        let all = self.worker.status();
        all.into_iter().find(|one| one.name == name).expect("known")
    }

    async fn state(&self, name: &str, state: State) -> ConnectorStatus {
        until(&format!("{name} is {state:?}"), || async {
            Some(self.status(name)).filter(|status| status.state == state)
        })
        .await
    }
}

fn spec(name: &str, kind: ConnectorKind, script: &str, more: &[(&str, &str)]) -> ConnectorSpec {
    let mut settings = BTreeMap::from([("script".to_owned(), script.to_owned())]);
    for (key, value) in more {
        settings.insert((*key).to_owned(), (*value).to_owned());
    }
    let class = match kind {
        ConnectorKind::Source => "count",
        ConnectorKind::Sink => "keep",
    };
    ConnectorSpec {
        name: name.to_owned(),
        kind,
        class: class.to_owned(),
        settings,
        origin: None,
        author: Author::default(),
    }
}

fn source(script: &str) -> ConnectorSpec {
    spec("in", ConnectorKind::Source, script, &[])
}

fn sink(script: &str) -> ConnectorSpec {
    spec("out", ConnectorKind::Sink, script, &[("topics.of", "in")])
}

async fn arrived(script: &Script, count: usize) {
    until(&format!("{count} rows in the target"), || async {
        (script.rows().len() >= count).then_some(())
    })
    .await;
}

fn numbers(upto: i64) -> Vec<i64> {
    (0..upto).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_travel_from_a_source_to_a_sink_once_and_in_order_and_figures_add_up() {
    let script = Script::new("travel");
    script.holds.store(true, Ordering::SeqCst);
    script.batch.store(7, Ordering::SeqCst);
    let bench = Bench::new().await;
    bench.apply(vec![sink("travel"), source("travel")]).await;
    script.count_to(5000);
    arrived(&script, 5000).await;
    assert_eq!(script.rows(), numbers(5000));
    // A source hears of its last commit when the sink does, or after it.
    until("the source has counted its last commit", async || {
        (bench.status("in").tasks[0].gauges.records_log == 5000).then_some(())
    })
    .await;
    let (source, sink) = (bench.status("in"), bench.status("out"));
    assert_eq!(source.tasks[0].gauges.records_in, 5000);
    assert_eq!(source.tasks[0].phase, "counting");
    assert_eq!(sink.tasks[0].gauges.records_delivered, 5000);
    assert_eq!(sink.tasks[0].gauges.lag_records, 0);
    let page = bench.worker.metrics().render();
    assert!(page.contains("tapline_records_log_total{connector=\"in\",task=\"0\"} 5000"));
    let topic = bench.log.topic("t").expect("created");
    assert_eq!(topic.config["cleanup.policy"], "compact");
    bench.worker.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_learns_of_a_commit_only_when_it_is_durable() {
    let script = Script::new("durable");
    let bench = Bench::new().await;
    bench.apply(vec![source("durable")]).await;
    script.count_to(1);
    until("the first level", || async {
        (!script.levels.lock().is_empty()).then_some(())
    })
    .await;
    bench.log.hold("source-");
    script.count_to(50);
    until("the source has sent", || async {
        (bench.status("in").tasks[0].gauges.records_in == 50).then_some(())
    })
    .await;
    let early = Duration::from_millis(300);
    stays("nobody learns of a held commit", early, async || {
        script.levels.lock().last() == Some(&1)
            && bench.status("in").tasks[0].gauges.records_log == 1
            && bench.log.end("t") == 1
    })
    .await;
    bench.log.release();
    until("the last level", || async {
        (script.levels.lock().last() == Some(&50)).then_some(())
    })
    .await;
    bench.worker.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_commit_a_source_goes_on_from_the_logs_offset() {
    let script = Script::new("failed-commit");
    script.holds.store(true, Ordering::SeqCst);
    script.batch.store(3, Ordering::SeqCst);
    let bench = Bench::new().await;
    bench
        .apply(vec![source("failed-commit"), sink("failed-commit")])
        .await;
    script.count_to(300);
    arrived(&script, 300).await;
    bench.log.fail_next("source-", ErrorKind::Retriable);
    script.count_to(900);
    arrived(&script, 900).await;
    assert_eq!(script.rows(), numbers(900));
    assert_eq!(
        *script.starts.lock(),
        [0, 300],
        "memory would have said more"
    );
    assert_eq!(bench.status("in").tasks[0].restarts, 1);
    bench.worker.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retriable_put_gets_the_same_batch_again_and_says_why_it_waits() {
    let script = Script::new("retry");
    script.acts.lock().extend([Act::Retry, Act::Retry]);
    let bench = Bench::new().await;
    bench.apply(vec![source("retry"), sink("retry")]).await;
    script.count_to(5);
    let waiting = bench.state("out", State::Restarting).await;
    let error = waiting.tasks[0].error.clone().expect("the reason");
    assert_eq!(
        (error.class, error.message.as_str()),
        ("retriable", "told to be busy")
    );
    assert!(waiting.tasks[0].retry_at_ms.is_some());
    arrived(&script, 5).await;
    let puts = script.target.lock().puts.clone();
    assert_eq!(puts[0], puts[1]);
    assert_eq!(puts[1], puts[2]);
    assert_eq!(script.rows(), numbers(5));
    bench.state("out", State::Running).await;
    bench.worker.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_holds_its_position_gets_nothing_twice_after_an_answer_was_lost() {
    let script = Script::new("lost-answer");
    script.holds.store(true, Ordering::SeqCst);
    script.acts.lock().extend([Act::FailAfterWrite]);
    let bench = Bench::new().await;
    bench
        .apply(vec![source("lost-answer"), sink("lost-answer")])
        .await;
    script.count_to(100);
    arrived(&script, 100).await;
    script.count_to(200);
    arrived(&script, 200).await;
    assert_eq!(script.rows(), numbers(200));
    bench.worker.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_record_fails_the_task_and_is_named_and_no_position_moves() {
    let script = Script::new("reject");
    let bench = Bench::new().await;
    bench.apply(vec![source("reject")]).await;
    script.count_to(50);
    until("the log holds 50", || async {
        (bench.log.end("t") == 50).then_some(())
    })
    .await;
    script.acts.lock().extend([Act::Reject(42)]);
    bench.apply(vec![sink("reject")]).await;
    let failed = bench.state("out", State::Failed).await;
    let error = failed.tasks[0].error.clone().expect("the reason");
    assert_eq!(
        error.message,
        "the target does not take record t/0@42 with key 42: column \"email\": value too long"
    );
    assert_eq!(error.code, Some("TL0502"));
    assert!(
        error
            .remedy
            .is_some_and(|remedy| remedy.contains("restart the connector"))
    );
    assert_eq!(failed.tasks[0].gauges.records_rejected, 1);
    assert_eq!(script.rows(), Vec::<i64>::new());
    // Where it began is stored since it was opened, so that the log keeps for it what it has not applied.
    let positions = bench.log.positions("connect-out");
    let positions: Vec<u64> = positions.iter().map(|position| position.next).collect();
    assert_eq!(positions, [0]);
    bench.worker.restart("out").await.expect("restarts");
    arrived(&script, 50).await;
    assert_eq!(script.rows(), numbers(50));
    bench.worker.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_fails_its_own_task_only() {
    let (bad, good) = (Script::new("panic"), Script::new("calm"));
    *good.topic.lock() = "u".to_owned();
    *bad.trouble.lock() = Some((3, Trouble::Panic));
    let bench = Bench::new().await;
    let calm = spec("calm", ConnectorKind::Source, "calm", &[]);
    let out = spec("out", ConnectorKind::Sink, "calm", &[("topics.of", "calm")]);
    bench.apply(vec![source("panic"), calm, out]).await;
    bad.count_to(10);
    let failed = bench.state("in", State::Failed).await;
    let error = failed.tasks[0].error.clone().expect("the reason");
    assert_eq!((error.class, error.code), ("panic", Some("TL0501")));
    assert!(
        error.message.contains("told to panic before 3"),
        "{}",
        error.message
    );
    good.count_to(20);
    arrived(&good, 20).await;
    assert_eq!(bench.status("calm").state, State::Running);
    bench.worker.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_made_again_and_a_fatal_error_is_not() {
    let script = Script::new("trouble");
    script.batch.store(1, Ordering::SeqCst);
    *script.trouble.lock() = Some((5, Trouble::Fail(ErrorKind::Disconnected)));
    let bench = Bench::new().await;
    bench.apply(vec![source("trouble"), sink("trouble")]).await;
    script.count_to(10);
    arrived(&script, 10).await;
    assert_eq!(script.rows(), numbers(10));
    assert_eq!(
        *script.starts.lock(),
        [0, 5],
        "what was sent before is kept"
    );
    *script.trouble.lock() = Some((15, Trouble::Fail(ErrorKind::Fatal)));
    script.count_to(20);
    bench.state("in", State::Failed).await;
    arrived(&script, 15).await;
    bench.worker.restart("in").await.expect("restarts");
    arrived(&script, 20).await;
    assert_eq!(script.rows(), numbers(20));
    bench.worker.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_stopped_and_opened_again_goes_on_where_it_was() {
    let script = Script::new("again");
    let mut bench = Bench::new().await;
    for round in 1..=3_u32 {
        bench.apply(vec![source("again"), sink("again")]).await;
        let limit = round * 100;
        script.count_to(limit.into());
        arrived(&script, limit as usize).await;
        bench = bench.again().await;
    }
    assert_eq!(
        script.rows(),
        numbers(300),
        "the group's position was stored on the way out"
    );
    assert_eq!(*script.starts.lock(), [0, 100, 200]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_drains_what_was_sent_and_finishes_the_batch_at_hand() {
    let script = Script::new("drain");
    let bench = Bench::new().await;
    bench.apply(vec![source("drain"), sink("drain")]).await;
    script.acts.lock().extend([Act::Hold]);
    script.count_to(20);
    until("a put is held", || async {
        (!script.target.lock().puts.is_empty()).then_some(())
    })
    .await;
    bench.log.hold("source-");
    script.count_to(40);
    until("all is sent", || async {
        (bench.status("in").tasks[0].gauges.records_in == 40).then_some(())
    })
    .await;
    let log = bench.log.clone();
    let release = async {
        log.release();
        script.go.notify_one();
    };
    let (bench, ()) = tokio::join!(bench.again(), release);
    assert_eq!(bench.log.end("t"), 40, "what was sent is durable");
    let done = script.rows();
    assert_eq!(done, numbers(i64::try_from(done.len()).expect("small")));
    bench.apply(vec![source("drain"), sink("drain")]).await;
    arrived(&script, 40).await;
    assert_eq!(script.rows(), numbers(40));
    bench.worker.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deaf_task_is_dropped_at_the_deadline_and_its_successor_fences_it() {
    let script = Script::new("deaf");
    script.holds.store(true, Ordering::SeqCst);
    script.deaf.store(true, Ordering::SeqCst);
    let bench = Bench::new().await;
    bench.apply(vec![source("deaf"), sink("deaf")]).await;
    script.count_to(20);
    arrived(&script, 20).await;
    let stopped = bench.worker.stop(Duration::from_millis(300)).await;
    assert!(
        stopped.abandoned.contains(&"in-0".to_owned()),
        "{stopped:?}"
    );
    let bench = Bench::on(bench.log, bench.folder).await;
    bench.apply(vec![source("deaf"), sink("deaf")]).await;
    script.count_to(40);
    arrived(&script, 40).await;
    assert_eq!(script.rows(), numbers(40));
    // A third takes the writer over while the second still runs: the second can do no harm any more.
    let third = bench.log.writer("source-in-0").await.expect("a writer");
    script.count_to(60);
    bench.state("in", State::Failed).await;
    assert_eq!(bench.log.end("t"), 40);
    drop(third);
    bench.worker.stop(Duration::from_millis(300)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_appear_while_a_sink_runs_are_picked_up() {
    let (first, second) = (Script::new("first"), Script::new("second"));
    *second.topic.lock() = "shop.second".to_owned();
    *first.topic.lock() = "shop.first".to_owned();
    let bench = Bench::new().await;
    let regex = [("topics.regex", r"shop\..*")];
    let out = spec("out", ConnectorKind::Sink, "first", &regex);
    let other = spec("other", ConnectorKind::Source, "second", &[]);
    bench.apply(vec![out, source("first"), other]).await;
    first.count_to(10);
    arrived(&first, 10).await;
    second.count_to(10);
    arrived(&first, 20).await;
    let topics = first.target.lock().topics.clone();
    assert_eq!(
        topics
            .iter()
            .filter(|topic| *topic == "shop.second")
            .count(),
        10
    );
    bench.worker.stop(Duration::from_secs(10)).await;
}

/// `k.b` is the first task's and `k.d` the second's, until `k.a` comes and the two change places.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_goes_to_another_task_only_after_the_batch_at_hand() {
    let (script, newcomer) = (Script::new("moves"), Script::new("newcomer"));
    *script.topic.lock() = "k.d".to_owned();
    *newcomer.topic.lock() = "k.a".to_owned();
    script.tasks.store(u64::MAX, Ordering::SeqCst);
    let bench = Bench::new().await;
    let topic = NewTopic {
        name: "k.b".into(),
        partitions: 1,
        config: BTreeMap::new(),
    };
    bench.log.create(vec![topic]).await.expect("created");
    let more = [("topics.regex", r"k\..*"), ("tasks.max", "2")];
    let out = spec("out", ConnectorKind::Sink, "moves", &more);
    let feed = spec("feed", ConnectorKind::Source, "moves", &[]);
    let late = spec("late", ConnectorKind::Source, "newcomer", &[]);
    script.acts.lock().extend([Act::Hold]);
    bench.apply(vec![out, feed, late]).await;
    script.count_to(10);
    until("the second task holds a batch", async || {
        (!script.target.lock().puts.is_empty()).then_some(())
    })
    .await;
    let before = script.target.lock().generations.clone();
    newcomer.count_to(10);
    until("the first task wants the topic", async || {
        let waits = bench.status("out").tasks[0]
            .phase
            .starts_with("waiting for another");
        (waits || script.target.lock().generations != before).then_some(())
    })
    .await;
    assert_eq!(
        script.target.lock().generations,
        before,
        "taken in mid-batch"
    );
    script.go.notify_one();
    arrived(&script, 20).await;
    let moved = TopicPartition {
        topic: "k.d".into(),
        partition: 0,
    };
    assert_eq!(script.target.lock().owners[&moved], 0);
    let status = bench.status("out");
    for task in &status.tasks {
        assert_eq!((task.state, &task.error), (State::Running, &None));
    }
    bench.worker.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_renamed_on_both_ways() {
    let script = Script::new("rename");
    let route = |regex, replacement| {
        [
            ("transforms", "r"),
            (
                "transforms.r.type",
                "org.apache.kafka.connect.transforms.RegexRouter",
            ),
            ("transforms.r.regex", regex),
            ("transforms.r.replacement", replacement),
        ]
    };
    let bench = Bench::new().await;
    let into = spec(
        "in",
        ConnectorKind::Source,
        "rename",
        &route("(.*)", "log.$1"),
    );
    let mut out = spec(
        "out",
        ConnectorKind::Sink,
        "rename",
        &route(r"log\.(.*)", "$1_copy"),
    );
    out.settings.insert("topics.of".into(), "in".into());
    bench.apply(vec![into, out]).await;
    script.count_to(3);
    arrived(&script, 3).await;
    assert_eq!(bench.log.end("log.t"), 3);
    assert_eq!(script.target.lock().topics, ["t_copy", "t_copy", "t_copy"]);
    bench.worker.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_barrier_comes_once_after_all_before_it_and_before_all_behind_it() {
    let script = Script::new("barrier");
    script.barriers.lock().extend([19, 39]);
    let bench = Bench::new().await;
    let three = [("topic.creation.default.partitions", "3")];
    let into = spec("in", ConnectorKind::Source, "barrier", &three);
    bench.apply(vec![into, sink("barrier")]).await;
    script.count_to(60);
    arrived(&script, 62).await;
    let rows = script.rows();
    let barriers: Vec<usize> = (0..rows.len()).filter(|at| rows[*at] == -1).collect();
    assert_eq!(barriers, [20, 41], "{rows:?}");
    for (part, range) in [
        (&rows[..20], 0..20),
        (&rows[21..41], 20..40),
        (&rows[42..], 40..60),
    ] {
        let mut part = part.to_vec();
        part.sort_unstable();
        assert_eq!(part, range.collect::<Vec<i64>>());
    }
    assert_eq!(bench.log.topic("t").expect("created").partitions.len(), 3);
    bench.worker.stop(Duration::from_secs(10)).await;
}

fn entry(offset: Option<i64>) -> OffsetEntry {
    OffsetEntry {
        partition: Position::from([
            ("kafka_topic".into(), Scalar::Text("t".into())),
            ("kafka_partition".into(), Scalar::Int(0)),
        ]),
        offset: offset.map(|offset| Position::from([("kafka_offset".into(), Scalar::Int(offset))])),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_shown_set_and_reset_from_outside() {
    let script = Script::new("offsets");
    let bench = Bench::new().await;
    bench.apply(vec![source("offsets"), sink("offsets")]).await;
    script.count_to(10);
    arrived(&script, 10).await;
    let worker = &bench.worker;
    worker
        .set_offsets("out", vec![entry(Some(7))])
        .await
        .expect("set");
    arrived(&script, 13).await;
    assert_eq!(script.rows()[10..], [7, 8, 9]);
    worker
        .set_offsets("out", vec![entry(None)])
        .await
        .expect("reset");
    arrived(&script, 23).await;
    until("the position is stored", || async {
        let shown = worker.offsets("out").await.expect("shown");
        (shown == [entry(Some(10))]).then_some(())
    })
    .await;
    let outside = worker.set_offsets("out", vec![entry(Some(11))]).await;
    assert!(outside.is_ok(), "{outside:?}");
    let failed = bench.state("out", State::Failed).await;
    let error = failed.tasks[0].error.clone().expect("the reason");
    assert_eq!(error.code, Some("TL0507"), "{}", error.message);

    let stored = worker.offsets("in").await.expect("shown");
    assert_eq!(
        stored[0].offset,
        Some(Position::from([("next".into(), Scalar::Int(10))]))
    );
    let mut back = stored[0].clone();
    back.offset = Some(Position::from([("next".into(), Scalar::Int(8))]));
    worker.set_offsets("in", vec![back]).await.expect("set");
    until("rows 8 and 9 are logged again", || async {
        (bench.log.end("t") == 12).then_some(())
    })
    .await;
    let unknown = worker.offsets("on").await.expect_err("unknown");
    assert_eq!(unknown.remedy.as_deref(), Some("these exist: in, out"));
    bench.worker.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_shown_as_json_lines() {
    let script = Script::new("shown");
    let bench = Bench::new().await;
    bench.apply(vec![source("shown")]).await;
    script.count_to(5);
    let read = |from, wait_ms| Read {
        topic: "t".to_owned(),
        partition: 0,
        from,
        records_max: 2,
        wait: Duration::from_millis(wait_ms),
    };
    until("the log holds 5", || async {
        (bench.log.end("t") == 5).then_some(())
    })
    .await;
    let page = bench.worker.read(read(3, 0)).await.expect("read");
    let lines: Vec<serde_json::Value> = page
        .lines
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["key"], 4);
    assert_eq!(lines[1]["value"], "row 4");
    assert_eq!((page.next, page.high_watermark), (5, 5));
    let empty = bench.worker.read(read(5, 10)).await.expect("read");
    assert_eq!((empty.lines.len(), empty.next), (0, 5));
    let missing = bench
        .worker
        .read(Read {
            topic: "x".to_owned(),
            ..read(0, 0)
        })
        .await;
    assert_eq!(missing.expect_err("missing").code, Some("TL0512"));
    bench.worker.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_starts_if_one_connector_is_refused() {
    Script::new("refused");
    let bench = Bench::new().await;
    let bad = spec("bad", ConnectorKind::Source, "refused", &[("scirpt", "x")]);
    match bench.worker.apply(vec![source("refused"), bad]).await {
        Err(ApplyError::Refused(refusals)) => {
            assert_eq!(refusals.len(), 1);
            assert_eq!(refusals[0].subject.to_string(), "bad");
            assert_eq!(refusals[0].issue.remedy, "did you mean script?");
        }
        other => panic!("{other:?}"),
    }
    assert!(bench.worker.status().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_connector_leaves_its_offsets_and_no_series() {
    let script = Script::new("deleted");
    let bench = Bench::new().await;
    bench.apply(vec![source("deleted"), sink("deleted")]).await;
    script.count_to(10);
    arrived(&script, 10).await;
    bench.worker.delete("in").await.expect("deleted");
    assert_eq!(bench.worker.status().len(), 1);
    assert!(!bench.worker.metrics().render().contains("connector=\"in\""));
    bench.apply(vec![source("deleted")]).await;
    script.count_to(20);
    arrived(&script, 20).await;
    assert_eq!(script.rows(), numbers(20));
    assert_eq!(*script.starts.lock(), [0, 10]);
    bench.worker.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_without_topics_waits_and_says_so() {
    Script::new("waits");
    let bench = Bench::new().await;
    bench.apply(vec![sink("waits")]).await;
    until("it says that it waits", || async {
        (bench.status("out").tasks[0].phase == "waiting for topics").then_some(())
    })
    .await;
    let topic = NewTopic {
        name: "by-hand".into(),
        partitions: 2,
        config: BTreeMap::new(),
    };
    bench.log.create(vec![topic]).await.expect("created");
    let listed = spec(
        "listed",
        ConnectorKind::Sink,
        "waits",
        &[("topics", "by-hand")],
    );
    bench.apply(vec![listed]).await;
    bench.state("listed", State::Running).await;
    let stopped = bench.worker.stop(Duration::from_secs(10)).await;
    assert_eq!(stopped.abandoned, Vec::<String>::new());
}
