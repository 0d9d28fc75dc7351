//! The middle stage of a source: batches of rows become commits of record batches.

use super::{
    SourceTask,
    output::Sent,
    settle::{Covers, InFlight},
    topics::{Slot, Topics},
};
use crate::{
    broker::{
        Append, Commit, Writer,
        batch::{BatchBuilder, BatchError, Compression},
        partitioner,
    },
    converter::{Converters, Encoded, Encoder, Placeholder},
    policy::{Failure, Phase},
    state::OffsetClaim,
    task::{Attempt, Idle, now_ms},
    transform::Chain,
};
use hashbrown::HashMap;
use std::{sync::Arc, time::Instant};
use tapline_sdk::{Error, Partition, RecordError, RecordRef, Rows, TopicPartition};
use tokio::sync::mpsc;

/// Small batches that wait already are merged into one commit up to this size: larger record batches compress
/// better, and a commit's sync is paid once. A batch never waits for others.
const MERGE_BYTES: usize = 1 << 20;

/// Uncompressed bytes after which a record batch is ended: Kafka's consumers fetch 1 MiB per partition by default.
const RECORD_BATCH_BYTES: usize = 1 << 20;

/// How a source's records are written.
pub(super) struct Settings {
    pub(super) chain: Chain,
    pub(super) compression: Compression,
    pub(super) partitions: u32,
    pub(super) placeholder: Placeholder,
    pub(super) converters: Converters,
}

/// The stage with what it keeps from batch to batch.
pub(super) struct Stage {
    writer: Box<dyn Writer>,
    claim: OffsetClaim,
    encoder: Encoder,
    chain: Chain,
    topics: Topics,
    records: RecordBatches,
    encoded: Encoded,
}

impl Stage {
    pub(super) fn new(
        task: &SourceTask,
        writer: Box<dyn Writer>,
        claim: OffsetClaim,
    ) -> Result<Self, Failure> {
        let settings = task.encoding()?;
        Ok(Self {
            writer,
            claim,
            encoder: Encoder::new(Arc::clone(&task.shared.registry))
                .with_converters(settings.converters)
                .with_placeholder(settings.placeholder),
            chain: settings.chain,
            topics: Topics::new(
                Arc::clone(&task.shared.log),
                Arc::clone(&task.shared.active),
                Arc::clone(&task.monitor.connector),
                settings.partitions,
            ),
            records: RecordBatches::new(settings.compression, Arc::clone(&task.shared.builders)),
            encoded: Encoded::default(),
        })
    }

    /// Encodes and commits until the source has no more.
    pub(super) async fn run(
        mut self,
        mut batches: mpsc::Receiver<Sent>,
        commits: mpsc::Sender<InFlight>,
    ) -> Attempt {
        while let Some(first) = batches.recv().await {
            // Room first: what arrives meanwhile is merged.
            let Ok(room) = commits.reserve().await else {
                // The settling stage has failed and says why.
                return Ok(());
            };
            let mut covers = Covers::default();
            let mut next = Some(first);
            let mut merged_bytes = 0;
            while let Some(sent) = next {
                let rows = covers.add(sent);
                merged_bytes += rows.size_bytes();
                covers.written += self.encode(rows).await?;
                next = match merged_bytes < MERGE_BYTES {
                    true => batches.try_recv().ok(),
                    false => None,
                };
            }
            room.send(self.commit(covers)?);
        }
        Ok(())
    }

    /// Hands records and the offset that covers them to the log as one commit (I1).
    fn commit(&mut self, mut covers: Covers) -> Result<InFlight, Failure> {
        let mut appends = self.records.finish()?;
        let offset = self
            .claim
            .append(&covers.resume)
            .map_err(|error| Failure::new(Phase::Commit, error))?;
        appends.extend(offset);
        covers.bytes = appends
            .iter()
            .map(|append| u64::try_from(append.batch.len()).unwrap_or(u64::MAX))
            .sum();
        let commit = Commit {
            appends,
            positions: Vec::new(),
        };
        Ok(InFlight {
            since: Instant::now(),
            durable: self.writer.commit(commit),
            covers,
        })
    }

    /// Encodes what transforms leave of a batch, and returns how many records that is.
    async fn encode(&mut self, rows: Rows) -> Result<u64, Failure> {
        if rows.is_empty() {
            return Ok(0);
        }
        let rows = self.transform(rows)?;
        let slots = self
            .topics
            .slots(&rows)
            .await
            .map_err(|error| Failure::new(Phase::Commit, error))?;
        // Schemas are durable before a record may use them.
        let prepared = self
            .encoder
            .prepare(&rows)
            .await
            .map_err(|error| Failure::new(Phase::Convert, error))?;
        let mut written = 0;
        let stamp_ms = now_ms();
        for record in rows.iter() {
            let head = record.head();
            let Some(slot) = slots.get(head.shape as usize) else {
                continue;
            };
            prepared
                .encode(record, &mut self.encoded)
                .map_err(|error| unfit("TL0504", "cannot be encoded", record, &error))?;
            let timestamp_ms = head.timestamp_ms.unwrap_or(stamp_ms);
            for partition in partitions(slot, head.partition, &self.encoded)? {
                self.records
                    .append(slot, partition, timestamp_ms, &self.encoded)?;
                written += 1;
            }
        }
        Ok(written)
    }

    fn transform(&mut self, rows: Rows) -> Result<Rows, Failure> {
        if self.chain.is_empty() {
            return Ok(rows);
        }
        // A failing step may have taken the batch; its place in the source is what an operator can act on.
        let origins: Vec<Arc<str>> = rows
            .shapes()
            .iter()
            .map(|shape| Arc::clone(&shape.topic))
            .collect();
        let topics: Vec<u32> = rows.iter().map(|record| record.head().shape).collect();
        match self.chain.apply(rows) {
            Ok((rows, _)) => Ok(rows),
            Err(unfit) => {
                let topic = topics
                    .get(unfit.index)
                    .and_then(|shape| origins.get(*shape as usize))
                    .map_or("?", |topic| &**topic);
                let context = format!("a record for topic {topic} cannot be transformed");
                let error = Error::fatal(context)
                    .code("TL0503")
                    .remedy("correct the transform, then restart the connector")
                    .because(unfit.error);
                Err(Failure::new(Phase::Convert, error))
            }
        }
    }
}

/// A record that cannot go on: names topic and column, never the value.
fn unfit(code: &'static str, what: &str, record: RecordRef<'_>, error: &RecordError) -> Failure {
    let topic = &record.shape().topic;
    let place = record.head().transaction.map_or_else(String::new, |of| {
        format!(", change {} of transaction {:X}", of.ordinal, of.id)
    });
    let context = format!("a record for topic {topic}{place} {what}");
    let error = Error::fatal(context)
        .code(code)
        .remedy("correct the row or exclude the column at the source, then restart the connector")
        .because(error.clone());
    Failure::new(Phase::Convert, error)
}

/// The partitions that a record goes to: one, or all for a barrier.
fn partitions(
    slot: &Slot,
    wanted: Partition,
    encoded: &Encoded,
) -> Result<std::ops::Range<u32>, Failure> {
    let at = match wanted {
        Partition::All => return Ok(0..slot.partitions),
        Partition::ByKey => encoded
            .partition_key()
            .map_or(0, |key| partitioner::partition(key, slot.partitions)),
        Partition::Number(number) if number < slot.partitions => number,
        Partition::Number(number) => {
            let error = Error::fatal(format!(
                "a record wants partition {number} of topic {}, which has {}",
                slot.topic, slot.partitions
            ))
            .code("TL0504")
            .remedy("create the topic with more partitions, then restart the connector");
            return Err(Failure::new(Phase::Convert, error));
        }
    };
    Ok(at..at + 1)
}

/// Record batches under construction, by topic and partition.
struct RecordBatches {
    compression: Compression,
    open: Vec<(TopicPartition, BatchBuilder)>,
    index: HashMap<(usize, u32), usize>,
    idle: Arc<Idle<BatchBuilder>>,
    done: Vec<Append>,
}

impl RecordBatches {
    fn new(compression: Compression, idle: Arc<Idle<BatchBuilder>>) -> Self {
        Self {
            compression,
            open: Vec::new(),
            index: HashMap::new(),
            idle,
            done: Vec::new(),
        }
    }

    fn append(
        &mut self,
        slot: &Slot,
        partition: u32,
        timestamp_ms: i64,
        encoded: &Encoded,
    ) -> Result<(), Failure> {
        let place = *self
            .index
            .entry((slot.number, partition))
            .or_insert_with(|| {
                let to = TopicPartition {
                    topic: Arc::clone(&slot.topic),
                    partition,
                };
                self.open.push((to, self.idle.take()));
                self.open.len() - 1
            });
        let Some((to, builder)) = self.open.get_mut(place) else {
            return Ok(());
        };
        builder
            .append(
                encoded.key(),
                encoded.value(),
                timestamp_ms,
                encoded.headers(),
            )
            .map_err(|error| too_large(to, error))?;
        if builder.bytes() >= RECORD_BATCH_BYTES {
            let batch = builder
                .finish(self.compression)
                .map_err(|error| too_large(to, error))?;
            self.done.push(Append {
                to: to.clone(),
                batch,
            });
        }
        Ok(())
    }

    /// Ends every open batch and returns all since the last call, in order within each partition.
    fn finish(&mut self) -> Result<Vec<Append>, Failure> {
        self.index.clear();
        let mut appends = std::mem::take(&mut self.done);
        for (to, mut builder) in self.open.drain(..) {
            if !builder.is_empty() {
                let batch = builder
                    .finish(self.compression)
                    .map_err(|error| too_large(&to, error))?;
                appends.push(Append { to, batch });
            }
            self.idle.give(builder);
        }
        Ok(appends)
    }
}

fn too_large(to: &TopicPartition, error: BatchError) -> Failure {
    let context = format!("cannot make a record batch for topic {}", to.topic);
    let error = Error::from(error);
    let wrapped = Error::new(error.kind, context)
        .code(error.code.unwrap_or("TL0504"))
        .because(error);
    Failure::new(Phase::Convert, wrapped)
}

#[cfg(test)]
mod tests;
