//! Records of the log as JSON lines, for people.

use super::{ConnectorKind, Shared, Worker, running::Running};
use crate::{
    broker::{
        Broker, Fetch, Fetched,
        batch::{BatchReader, Batches},
    },
    converter::{Converters, Decoder, RawRecord, json},
    plugins::keys,
};
use std::{sync::Arc, time::Duration};
use tapline_sdk::{Error, Result, TopicPartition};

/// Encoded bytes of one page: what a terminal or a browser takes at once.
const PAGE_BYTES: usize = 1 << 20;

/// The topic that holds connectors' settings.
const CONFIGS_TOPIC: &str = "connect-configs";

/// The longest wait of one question: below the time after which HTTP clients give up.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// What to read of one partition.
#[derive(Debug, Clone)]
pub struct Read {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// The first offset wanted; below the log's start: the log's start.
    pub from: u64,
    /// At most this many records.
    pub records_max: usize,
    /// How long to wait if there is none yet; at most 30 s.
    pub wait: Duration,
}

/// Records of one partition, decoded.
#[derive(Debug, Clone)]
pub struct Page {
    /// One JSON object a record: offset, timestamp, key, value, headers; it says so where bytes cannot be decoded.
    pub lines: Vec<String>,
    /// Where to read on.
    pub next: u64,
    /// The first offset that cannot be read yet.
    pub high_watermark: u64,
}

impl Worker {
    /// Records as JSON lines. State topics that hold secrets are not shown.
    ///
    /// # Errors
    /// There is no such topic or partition, or the log cannot be read there.
    pub async fn read(&self, read: Read) -> Result<Page> {
        let log = &*self.shared.log;
        let missing = || {
            Error::config(format!(
                "there is no partition {}/{}",
                read.topic, read.partition
            ))
            .code("TL0512")
            .remedy("`tapline topics` lists what exists")
        };
        // I9: settings may hold passwords, sealed or not.
        if read.topic == CONFIGS_TOPIC {
            return Err(
                Error::config("connect-configs may hold secrets and is not shown")
                    .code("TL0512")
                    .remedy("ask for the connector's status instead"),
            );
        }
        let info = log.topic(&read.topic).ok_or_else(missing)?;
        let ends = usize::try_from(read.partition)
            .ok()
            .and_then(|at| info.partitions.get(at).copied())
            .ok_or_else(missing)?;
        let from = read.from.max(ends.log_start);
        let at = TopicPartition {
            topic: Arc::clone(&info.name),
            partition: read.partition,
        };
        // Beyond the end: wait at the end, and show nothing from before.
        let start = from.min(ends.high_watermark);
        let fetched = fetch(log, at, start, read.wait).await?;
        let mut page = Page {
            lines: Vec::new(),
            next: from,
            high_watermark: ends.high_watermark,
        };
        let registry = Arc::clone(&self.shared.sinks.registry);
        let converters = self.shared.converters_of(&read.topic);
        let mut decoder = Decoder::with_converters(registry, &converters).detecting();
        for one in &fetched {
            page.high_watermark = one.high_watermark;
            lines(&mut decoder, one, read.records_max, &mut page)?;
        }
        Ok(page)
    }
}

impl Shared {
    /// The converters of the connector that writes a topic, or else of one that reads it: what its records most
    /// likely are.
    fn converters_of(&self, topic: &str) -> Converters {
        let connectors = self.connectors();
        let running: Vec<_> = connectors.iter().filter_map(|one| one.running()).collect();
        let writes = |one: &&Arc<Running>| {
            let topics = self.sources.active.of(&one.spec.name);
            one.spec.kind == ConnectorKind::Source && topics.iter().any(|at| &**at == topic)
        };
        let reads = |one: &&Arc<Running>| {
            let topics = one.plan.resolved.framework.get(&keys::TOPICS_LIST);
            one.spec.kind == ConnectorKind::Sink
                && topics.is_ok_and(|topics| topics.iter().any(|at| at == topic))
        };
        let all = || running.iter();
        let found = all().find(writes).or_else(|| all().find(reads));
        found
            .map(|one| one.plan.resolved.converters.clone())
            .unwrap_or_default()
    }
}

async fn fetch(
    log: &dyn Broker,
    at: TopicPartition,
    from: u64,
    wait: Duration,
) -> Result<Vec<Fetched>> {
    log.fetch(Fetch {
        from: vec![(at, from)],
        max_bytes: PAGE_BYTES,
        min_bytes: 1,
        max_wait: wait.min(WAIT_MAX),
    })
    .await
}

fn lines(
    decoder: &mut Decoder,
    fetched: &Fetched,
    records_max: usize,
    page: &mut Page,
) -> Result<()> {
    let mut unpack = BatchReader::new();
    for batch in Batches::new(&fetched.batches) {
        let batch = batch?;
        for record in unpack.read(&batch)? {
            let record = record?;
            if record.offset < page.next {
                continue;
            }
            if page.lines.len() >= records_max {
                return Ok(());
            }
            let raw = RawRecord {
                topic: &fetched.at.topic,
                partition: fetched.at.partition,
                timestamp_ms: record.timestamp_ms,
                key: record.key,
                value: record.value,
            };
            let mut line = Vec::new();
            json::record(decoder, raw, record.offset, record.headers, &mut line);
            page.lines.push(String::from_utf8_lossy(&line).into_owned());
            page.next = record.offset + 1;
        }
        page.next = page.next.max(batch.header.next_offset());
    }
    Ok(())
}
