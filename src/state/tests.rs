//! State maps against a log in memory that can lose a commit's answer.

#![expect(
    clippy::print_stdout,
    reason = "figures of a run are for whoever reads its output"
)]

use super::{
    ConfigStore, ConnectorConfig, OffsetStore, Sealer, StateMap, Status, StatusKey, StatusStore,
    TargetState, offsets,
};
use crate::broker::{
    Append, Broker, Commit, Embedded, Ends, Fetch, Fetched, GroupPosition, NewTopic, Settings,
    TopicInfo, Writer,
    batch::{Batches, set_base_offset},
};
use crate::registry::Registry;
use bytes::Bytes;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};
use tapline_sdk::{BoxFuture, Error, Position, Scalar, TopicPartition};

/// What a test's log does with the next commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Fault {
    #[default]
    None,
    /// Refused.
    Refuse,
    /// Stored, and the answer is lost.
    LoseAnswer,
}

#[derive(Default)]
struct Log {
    topics: HashMap<Arc<str>, Vec<(u64, u64, Bytes)>>,
    starts: HashMap<Arc<str>, u64>,
    generations: HashMap<String, u64>,
    fault: Fault,
    commits: u64,
}

/// A log of topics with one partition each.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Log>>);

impl Memory {
    pub(crate) fn broker(&self) -> Arc<dyn Broker> {
        Arc::new(self.clone())
    }

    pub(crate) fn fail(&self, fault: Fault) {
        self.0.lock().fault = fault;
    }

    pub(crate) fn commits(&self) -> u64 {
        self.0.lock().commits
    }

    /// Every byte of a topic.
    pub(crate) fn bytes(&self, topic: &str) -> Vec<u8> {
        let log = self.0.lock();
        log.topics[topic]
            .iter()
            .flat_map(|(.., batch)| batch.iter().copied())
            .collect()
    }

    /// Every record of a topic as text.
    pub(crate) fn records(&self, topic: &str) -> Vec<(String, Option<String>)> {
        let log = self.0.lock();
        let mut found = Vec::new();
        for (.., bytes) in &log.topics[topic] {
            for batch in Batches::new(bytes) {
                let mut reader = crate::broker::batch::BatchReader::new();
                for record in reader.read(&batch.unwrap()).unwrap() {
                    let record = record.unwrap();
                    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                    found.push((text(record.key.unwrap()), record.value.map(text)));
                }
            }
        }
        found
    }
}

struct MemoryWriter {
    log: Memory,
    owner: String,
    generation: u64,
    failed: bool,
}

impl Writer for MemoryWriter {
    fn commit(&mut self, commit: Commit) -> BoxFuture<'static, Result<Vec<u64>, Error>> {
        let mut log = self.log.0.lock();
        let fault = log.fault;
        if self.failed || log.generations[&self.owner] != self.generation || fault == Fault::Refuse
        {
            self.failed = true;
            return Box::pin(async { Err(Error::fatal("refused by the test")) });
        }
        log.commits += 1;
        let mut bases = Vec::new();
        for Append { to, batch } in commit.appends {
            let batches = log.topics.get_mut(&to.topic).unwrap();
            let base = batches.last().map_or(0, |(_, next, _)| *next);
            let mut bytes = batch.to_vec();
            set_base_offset(&mut bytes, base);
            let next = Batches::new(&bytes)
                .next()
                .unwrap()
                .unwrap()
                .header
                .next_offset();
            batches.push((base, next, bytes.into()));
            bases.push(base);
        }
        self.failed = fault == Fault::LoseAnswer;
        let result = if self.failed {
            Err(Error::disconnected("the answer is lost"))
        } else {
            Ok(bases)
        };
        Box::pin(async { result })
    }
}

impl Broker for Memory {
    fn cluster_id(&self) -> Arc<str> {
        "test".into()
    }

    fn writer(&self, owner: &str) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        let mut log = self.0.lock();
        let generation = log.generations.entry(owner.to_owned()).or_default();
        *generation += 1;
        let writer = MemoryWriter {
            log: self.clone(),
            owner: owner.to_owned(),
            generation: *generation,
            failed: false,
        };
        Box::pin(async { Ok(Box::new(writer) as Box<dyn Writer>) })
    }

    fn create(&self, topics: Vec<NewTopic>) -> BoxFuture<'_, Result<Vec<TopicInfo>, Error>> {
        let mut log = self.0.lock();
        for topic in topics {
            log.topics.entry(topic.name).or_default();
        }
        Box::pin(async { Ok(Vec::new()) })
    }

    fn alter<'a>(
        &'a self,
        topic: &'a str,
        _changes: BTreeMap<String, Option<String>>,
    ) -> BoxFuture<'a, Result<TopicInfo, Error>> {
        let info = self
            .topic(topic)
            .ok_or_else(|| Error::config("unknown topic"));
        Box::pin(async { info })
    }

    fn delete<'a>(&'a self, _topic: &'a str) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async { Ok(false) })
    }

    fn set_log_start<'a>(
        &'a self,
        at: &'a TopicPartition,
        offset: u64,
    ) -> BoxFuture<'a, Result<(), Error>> {
        let mut log = self.0.lock();
        log.starts.insert(Arc::clone(&at.topic), offset);
        log.topics
            .get_mut(&at.topic)
            .unwrap()
            .retain(|(_, next, _)| *next > offset);
        Box::pin(async { Ok(()) })
    }

    fn topics(&self) -> Vec<TopicInfo> {
        Vec::new()
    }

    fn topic(&self, name: &str) -> Option<TopicInfo> {
        let log = self.0.lock();
        let batches = log.topics.get(name)?;
        let end = batches.last().map_or(0, |(_, next, _)| *next);
        let log_start = log.starts.get(name).copied().unwrap_or(0);
        Some(TopicInfo {
            name: name.into(),
            id: 1,
            created_ns: 0,
            config: BTreeMap::new(),
            partitions: vec![Ends {
                log_start,
                log_end: end,
                high_watermark: end,
            }],
        })
    }

    fn fetch(&self, fetch: Fetch) -> BoxFuture<'_, Result<Vec<Fetched>, Error>> {
        let log = self.0.lock();
        let (at, from) = fetch.from[0].clone();
        let batches = &log.topics[&at.topic];
        let mut bytes = Vec::new();
        for (_, _, batch) in batches.iter().filter(|(_, next, _)| *next > from) {
            bytes.extend_from_slice(batch);
            if bytes.len() > fetch.max_bytes {
                break;
            }
        }
        let end = batches.last().map_or(0, |(_, next, _)| *next);
        let fetched = Fetched {
            at,
            batches: bytes.into(),
            high_watermark: end,
            log_start: 0,
        };
        Box::pin(async { Ok(vec![fetched]) })
    }

    fn positions(&self, _group: &str) -> Vec<GroupPosition> {
        Vec::new()
    }

    fn offset_for_time<'a>(
        &'a self,
        _at: &'a TopicPartition,
        _ms: i64,
    ) -> BoxFuture<'a, Result<Option<u64>, Error>> {
        Box::pin(async { Ok(None) })
    }

    fn stopped(&self) -> Option<String> {
        None
    }
}

fn position(entries: &[(&str, i64)]) -> Position {
    entries
        .iter()
        .map(|(name, value)| ((*name).into(), Scalar::Int(*value)))
        .collect()
}

fn server(name: &str) -> Position {
    [("server".into(), Scalar::Text(name.into()))].into()
}

async fn send(writer: &mut Box<dyn Writer>, appends: Vec<Append>) -> Result<Vec<u64>, Error> {
    writer
        .commit(Commit {
            appends,
            positions: Vec::new(),
        })
        .await
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test]
async fn a_map_is_what_the_log_says_after_a_restart() {
    let log = Memory::default();
    let map = StateMap::open(log.broker(), "m").await.unwrap();
    map.put(b"a"[..].into(), b"1"[..].into()).await.unwrap();
    map.put_all(&[
        (b"b"[..].into(), Some(b"2"[..].into())),
        (b"a"[..].into(), Some(b"3"[..].into())),
    ])
    .await
    .unwrap();
    map.remove(b"b"[..].into()).await.unwrap();
    for map in [map, StateMap::open(log.broker(), "m").await.unwrap()] {
        assert_eq!(map.get(b"a").as_deref(), Some(&b"3"[..]));
        assert_eq!(map.get(b"b"), None);
        assert_eq!(map.all().len(), 1);
    }
    assert_eq!(log.commits(), 3);
}

#[tokio::test]
async fn a_map_does_not_believe_what_failed_and_finds_what_only_seemed_to() {
    let log = Memory::default();
    let map = StateMap::open(log.broker(), "m").await.unwrap();
    log.fail(Fault::Refuse);
    let error = map.put(b"a"[..].into(), b"1"[..].into()).await.unwrap_err();
    assert_eq!(error.code, Some("TL0521"));
    assert_eq!(map.get(b"a"), None);
    log.fail(Fault::LoseAnswer);
    map.put(b"a"[..].into(), b"2"[..].into()).await.unwrap_err();
    log.fail(Fault::None);
    map.refresh().await.unwrap();
    assert_eq!(
        map.get(b"a").as_deref(),
        Some(&b"2"[..]),
        "it was stored after all"
    );
    map.put(b"a"[..].into(), b"3"[..].into()).await.unwrap();
    assert_eq!(
        map.get(b"a").as_deref(),
        Some(&b"3"[..]),
        "a new writer took over"
    );
}

#[tokio::test]
async fn a_map_larger_than_a_batch_is_written_in_several() {
    let log = Memory::default();
    let map = StateMap::open(log.broker(), "m").await.unwrap();
    let big: Vec<(super::Blob, Option<super::Blob>)> = (0_u32..40)
        .map(|at| {
            (
                at.to_be_bytes()[..].into(),
                Some(vec![7_u8; 100_000].into()),
            )
        })
        .collect();
    map.put_all(&big).await.unwrap();
    assert_eq!(
        StateMap::open(log.broker(), "m").await.unwrap().all().len(),
        40
    );
}

#[tokio::test]
async fn offsets_have_kafka_connects_format() {
    let log = Memory::default();
    let store = OffsetStore::open(log.broker()).await.unwrap();
    store
        .alter(
            "shop",
            vec![(server("p"), Some(position(&[("lsn", 5), ("txId", 7)])))],
        )
        .await
        .unwrap();
    store
        .alter("shop", vec![(server("p"), None)])
        .await
        .unwrap();
    let key = r#"["shop",{"server":"p"}]"#.to_owned();
    assert_eq!(
        log.records(offsets::TOPIC),
        [
            (key.clone(), Some(r#"{"lsn":5,"txId":7}"#.to_owned())),
            (key, None)
        ]
    );
    assert_eq!(store.read("shop").await.unwrap(), []);
}

#[tokio::test]
async fn an_offset_rides_the_commit_of_its_records_and_is_read_from_the_log() {
    let log = Memory::default();
    let broker = log.broker();
    let store = OffsetStore::open(log.broker()).await.unwrap();
    let mut writer = broker.writer("shop").await.unwrap();
    let mut claim = store.claim("shop").await.unwrap();
    assert_eq!(claim.stored(), []);
    assert!(claim.append(&[]).unwrap().is_empty());
    let appends = claim
        .append(&[(server("p"), Some(position(&[("lsn", 1)])))])
        .unwrap();
    assert_eq!(
        store.read("shop").await.unwrap(),
        [],
        "nothing is believed before it is durable"
    );
    send(&mut writer, appends).await.unwrap();
    assert_eq!(
        store.read("shop").await.unwrap(),
        [(server("p"), position(&[("lsn", 1)]))]
    );
    log.fail(Fault::Refuse);
    let appends = claim
        .append(&[(server("p"), Some(position(&[("lsn", 2)])))])
        .unwrap();
    send(&mut writer, appends).await.unwrap_err();
    log.fail(Fault::None);
    let claim = store.claim("shop").await.unwrap();
    assert_eq!(
        claim.stored(),
        [(server("p"), position(&[("lsn", 1)]))],
        "the failed one is forgotten"
    );
}

#[tokio::test]
async fn a_claim_is_void_once_another_is_taken() {
    let log = Memory::default();
    let store = OffsetStore::open(log.broker()).await.unwrap();
    let mut old = store.claim("shop").await.unwrap();
    let mut new = store.claim("shop").await.unwrap();
    let to = [(server("p"), Some(position(&[("lsn", 1)])))];
    assert!(old.append(&to).is_err());
    drop(old);
    assert_eq!(
        new.append(&to).unwrap().len(),
        1,
        "the old claim's end does not end the new one"
    );
    let error = store.alter("shop", Vec::new()).await.unwrap_err();
    assert_eq!(error.code, Some("TL0522"));
    drop(new);
    store
        .alter("shop", vec![(server("p"), None)])
        .await
        .unwrap();
}

#[tokio::test]
async fn connectors_come_back_with_secrets_sealed_on_the_way() {
    let (log, folder) = (Memory::default(), folder());
    let key = folder.path().join("secret.key");
    let properties = [
        ("password", "hunter2"),
        ("host", "db"),
        ("odd", "sealed:v1:not really"),
    ];
    let properties: BTreeMap<String, String> = properties.map(|(k, v)| (k.into(), v.into())).into();
    let config = ConnectorConfig {
        properties,
        target: TargetState::Stopped,
        tasks: 0,
        by_operator: true,
    };
    let store = ConfigStore::open(log.broker(), Sealer::open(&key).unwrap())
        .await
        .unwrap();
    store
        .put("shop.source", config.clone(), &["password"])
        .await
        .unwrap();
    store
        .put("other", ConnectorConfig::default(), &[])
        .await
        .unwrap();
    store.remove("other").await.unwrap();
    assert_eq!(store.get("shop.source"), Some(config.clone()));

    let records = log.records("connect-configs");
    assert_eq!(records[0].0, "connector-shop.source");
    assert!(
        records[0]
            .1
            .as_ref()
            .unwrap()
            .starts_with(r#"{"properties":{"host":"db","odd":"sealed:v1:"#)
    );
    assert_eq!(
        records[1],
        (
            "target-state-shop.source".into(),
            Some(r#"{"state":"PAUSED","state.v2":"STOPPED"}"#.into())
        )
    );
    let all = records
        .iter()
        .filter_map(|(_, value)| value.clone())
        .collect::<String>();
    assert!(!all.contains("hunter2"), "I9: the password is in the log");
    assert!(!String::from_utf8_lossy(&log.bytes("connect-configs")).contains("hunter2"));

    let again = ConfigStore::open(log.broker(), Sealer::open(&key).unwrap())
        .await
        .unwrap();
    assert_eq!(again.all(), [("shop.source".to_owned(), config)].into());
    again
        .set_target("shop.source", TargetState::Started)
        .await
        .unwrap();
    assert_eq!(
        again.get("shop.source").unwrap().target,
        TargetState::Started
    );
    assert!(!format!("{:?}", again.get("shop.source")).contains("hunter2"));

    let wrong = Sealer::open(&folder.path().join("another.key")).unwrap();
    let error = ConfigStore::open(log.broker(), wrong).await.err().unwrap();
    assert_eq!(error.code, Some("TL0531"));
    assert!(
        error.chain().contains("sealed with another key"),
        "{}",
        error.chain()
    );
}

#[tokio::test]
async fn statuses_have_kafka_connects_format() {
    let log = Memory::default();
    let map = StateMap::open(log.broker(), "connect-status")
        .await
        .unwrap();
    let store = StatusStore::over(Arc::new(map));
    let status = Status {
        state: "FAILED",
        trace: Some("why".into()),
        worker_id: "127.0.0.1:8083".into(),
        generation: 3,
    };
    let at = |task| StatusKey::new("shop", task);
    let failed = [(at(Some(0)), Some(status))];
    store.put(&failed).await.unwrap();
    assert_eq!(store.generation(), 3);
    store
        .put(&[(at(None), None), (at(Some(0)), None)])
        .await
        .unwrap();
    assert_eq!(store.generation(), 0);
    let records = log.records("connect-status");
    assert_eq!(records[0].0, "status-task-shop-0");
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(records[0].1.as_ref().unwrap()).unwrap(),
        serde_json::json!({"state": "FAILED", "trace": "why", "worker_id": "127.0.0.1:8083", "generation": 3})
    );
    assert_eq!(
        records[1..],
        [
            ("status-connector-shop".into(), None),
            ("status-task-shop-0".into(), None)
        ]
    );
}

#[test]
fn a_sealed_secret_opens_only_with_its_key_at_its_place_and_undamaged() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let path = folder.path().join("secret.key");
    let sealer = Sealer::open(&path).unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let sealed = sealer.seal("c/password", "hunter2 ä").unwrap();
    assert!(Sealer::is_sealed(&sealed) && !sealed.contains("hunter2"));
    assert_ne!(
        sealed,
        sealer.seal("c/password", "hunter2 ä").unwrap(),
        "a nonce is never used twice"
    );
    let again = Sealer::open(&path).unwrap();
    assert_eq!(again.unseal("c/password", &sealed).unwrap(), "hunter2 ä");
    let reason = |error: Error| error.chain();
    assert!(reason(again.unseal("d/password", &sealed).unwrap_err()).contains("another place"));
    for at in "sealed:v1:".len()..sealed.len() {
        let mut bytes = sealed.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let damaged = String::from_utf8(bytes).unwrap();
        assert_eq!(
            again.unseal("c/password", &damaged).unwrap_err().code,
            Some("TL0531"),
            "byte {at}"
        );
        assert!(
            again.unseal("c/password", &sealed[..at]).is_err(),
            "cut at {at}"
        );
    }
    assert!(again.unseal("c/password", "sealed:v2:AAAA").is_err());
}

#[test]
fn a_file_that_is_no_key_is_an_error_and_is_kept() {
    let folder = folder();
    let path = folder.path().join("secret.key");
    for wrong in ["", "hello", "tapline-key:v1:AAAA", "tapline-key:v2:AAAA"] {
        std::fs::write(&path, wrong).unwrap();
        let error = Sealer::open(&path).unwrap_err();
        assert_eq!(error.code, Some("TL0530"));
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            wrong,
            "never overwritten"
        );
    }
    let error = Sealer::open(&folder.path().join("no/such/secret.key")).unwrap_err();
    assert_eq!(error.code, Some("TL0530"));
}

/// How many records a topic of one partition holds.
async fn records(broker: &dyn Broker, topic: &str) -> usize {
    let ends = broker.topic(topic).unwrap().partitions[0];
    let (mut next, mut count) = (ends.log_start, 0);
    while next < ends.high_watermark {
        let at = TopicPartition {
            topic: topic.into(),
            partition: 0,
        };
        let fetch = Fetch {
            from: vec![(at, next)],
            max_bytes: 1 << 20,
            min_bytes: 1,
            max_wait: Duration::ZERO,
        };
        for fetched in broker.fetch(fetch).await.unwrap() {
            for batch in Batches::new(&fetched.batches) {
                let header = batch.unwrap().header;
                count += header.count as usize;
                next = header.next_offset();
            }
        }
    }
    count
}

/// The store's own segments are of 4 MiB, which is more than a test should write.
async fn create_with_small_segments(broker: &dyn Broker) {
    let policy = ("cleanup.policy".to_owned(), "compact".to_owned());
    let segments = ("segment.bytes".to_owned(), "65536".to_owned());
    let topic = NewTopic {
        name: offsets::TOPIC.into(),
        partitions: 1,
        config: [policy, segments].into(),
    };
    broker.create(vec![topic]).await.unwrap();
}

/// Every commit stored an offset; compaction leaves the last ones and the segment that is written.
async fn until_compacted(broker: &dyn Broker) {
    let deadline = std::time::Instant::now() + Duration::from_secs(120);
    loop {
        let left = records(broker, offsets::TOPIC).await;
        if left < 2_000 {
            println!("offsets: 9,001 records compacted to {left}");
            return;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "{left} of 9,001 records"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn everything_comes_back_from_the_real_log_after_it_was_dropped_and_compacted() {
    let folder = folder();
    let data = folder.path().join("data");
    let key = folder.path().join("secret.key");
    let settings = || Settings {
        journal_file_bytes: 1 << 20,
        segment_bytes: 1 << 20,
        free_space_min: Some(0),
        checkpoint_interval: Duration::from_millis(20),
        upkeep_interval: Duration::from_millis(20),
        ..Settings::default()
    };
    let config = ConnectorConfig {
        properties: [("password".to_owned(), "hunter2".to_owned())].into(),
        target: TargetState::Paused,
        tasks: 1,
        by_operator: true,
    };
    {
        let broker: Arc<dyn Broker> = Arc::new(Embedded::open(&data, settings()).unwrap());
        create_with_small_segments(&*broker).await;
        let registry = Registry::open(Arc::clone(&broker)).await.unwrap();
        assert_eq!(registry.register("t-value", "\"int\"").await.unwrap(), 1);
        let configs = ConfigStore::open(Arc::clone(&broker), Sealer::open(&key).unwrap());
        configs
            .await
            .unwrap()
            .put("shop", config.clone(), &["password"])
            .await
            .unwrap();
        let store = OffsetStore::open(Arc::clone(&broker)).await.unwrap();
        store
            .alter("idle", vec![(server("p"), Some(position(&[("lsn", 3)])))])
            .await
            .unwrap();
        let mut writer = broker.writer("shop").await.unwrap();
        let mut claim = store.claim("shop").await.unwrap();
        // Commits in flight, as a source has them: the log writes many at once.
        let mut waiting = Vec::new();
        for lsn in 1..=9_000 {
            let to = [(server("p"), Some(position(&[("lsn", lsn)])))];
            let appends = claim.append(&to).unwrap();
            let commit = Commit {
                appends,
                positions: Vec::new(),
            };
            waiting.push(writer.commit(commit));
        }
        for done in waiting {
            done.await.unwrap();
        }
        drop(claim);
        until_compacted(&*broker).await;
    }
    let broker: Arc<dyn Broker> = Arc::new(Embedded::open(&data, settings()).unwrap());
    let registry = Registry::open(Arc::clone(&broker)).await.unwrap();
    assert_eq!(registry.schema(1).as_deref(), Some("\"int\""));
    let configs = ConfigStore::open(Arc::clone(&broker), Sealer::open(&key).unwrap())
        .await
        .unwrap();
    assert_eq!(configs.get("shop"), Some(config));
    let store = OffsetStore::open(Arc::clone(&broker)).await.unwrap();
    assert_eq!(
        store.read("shop").await.unwrap(),
        [(server("p"), position(&[("lsn", 9_000)]))]
    );
    assert_eq!(
        store.read("idle").await.unwrap(),
        [(server("p"), position(&[("lsn", 3)]))]
    );
}
