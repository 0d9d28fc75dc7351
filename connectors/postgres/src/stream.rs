//! Streaming: from the stored position on, every change once, in commit order.
//!
//! Owns the reading loop. It reads coalesced, decodes into batches, hands them over, and leaves confirming to
//! [`crate::feedback`]. Who counts, skips and checks is [`decoder`]; what relations look like is [`relations`].

mod decoder;
mod relations;
mod reselect;
mod transaction;

use crate::{
    clock::now_us,
    error::protocol,
    feedback::Feedback,
    lsn::Lsn,
    offset::StreamOffset,
    wire::{Frame, Frames},
};
use decoder::{Decoder, Step};
use futures_util::FutureExt;
pub use relations::{Relations, TableName};
use reselect::Reselect;
use std::{sync::Arc, time::Duration};
use tapline_sdk::{Committed, Error, Output, Position, Progress, Result, SourceBatch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

/// A batch is handed over at this size at the latest: large enough that per-batch work vanishes, small enough that
/// conversion and commit of one overlap with reading the next, and that several in flight stay far below 200 MB.
pub const BATCH_BYTES: usize = 512 * 1024;

/// Batches below full size wait while this many are on their way: commits then carry more each, and an idle stream
/// still hands over at once. Two keep conversion and journal busy at the same time.
const IN_FLIGHT: u64 = 2;

/// While data flows the reader stays away this long between reads, so that the walsender runs undisturbed: it sends
/// each message by itself and would wake us for each (measured: twice the rows a second).
const COALESCE: Duration = Duration::from_micros(3_500);

/// Data flows if this much came within one such pause (about 20,000 rows a second): a read after the pause then brings
/// many messages instead of one. Below it a change is handed over at once.
const FLOW_BYTES: usize = 16 * 1024;

/// An idle position is stored this often at most: it costs a commit, and only saves the server some log.
const IDLE_EVERY: Duration = Duration::from_secs(10);

/// Or when this much log has gone by, since a busy server with idle tables would otherwise keep it.
const IDLE_BYTES: u64 = 16 * 1024 * 1024;

/// How often figures are shown.
const GAUGES_EVERY: Duration = Duration::from_secs(1);

/// An idle server says nothing. After this it is asked whether it is there,
const SILENCE_ASKED: Duration = Duration::from_secs(20);

/// and after this it is taken for gone: longer than a server without progress messages (Postgres 14) decodes a large
/// transaction of other tables, shorter than TCP's own patience.
const SILENCE_MAX: Duration = Duration::from_secs(600);

/// Why a stream ended without an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The task is to stop.
    Stopped,
    /// A table is captured that was never read: start over from the stored position, which reads it.
    NewTable(TableName),
}

/// A running stream.
pub struct Stream<'a> {
    /// The reading half of the session.
    pub frames: Frames,
    /// The writing half, with the committed level.
    pub feedback: Feedback,
    /// Where batches go.
    pub output: &'a mut dyn Output,
    /// Figures.
    pub progress: &'a Arc<dyn Progress>,
    /// The stream's source partition.
    pub partition: Position,
    /// What tables look like.
    pub relations: Relations,
}

impl Stream<'_> {
    /// Streams until `stop`.
    ///
    /// # Errors
    /// What ended it; everything sent before stays sent.
    pub async fn run(
        self,
        from: StreamOffset,
        options: Arc<str>,
        stop: impl Future<Output = ()>,
    ) -> Result<(Ended, Box<dyn Committed>)> {
        let mut reader = Reader {
            decoder: Decoder::new(from, options, self.relations),
            frames: self.frames,
            feedback: self.feedback,
            output: self.output,
            progress: self.progress,
            partition: self.partition,
            stored_end: Lsn::NONE,
            stored_at: Instant::now(),
            last_number: 0,
            server_end: Lsn::NONE,
            heard_at: Instant::now(),
            window_began: Instant::now(),
            window_bytes: 0,
            asked: false,
        };
        reader.stored_end = reader.decoder.offset.end;
        let ended = reader.stream(stop).await?;
        let committed = reader.feedback.finish().await?;
        Ok((ended, committed))
    }
}

struct Reader<'a> {
    decoder: Decoder,
    frames: Frames,
    feedback: Feedback,
    output: &'a mut dyn Output,
    progress: &'a Arc<dyn Progress>,
    partition: Position,
    stored_end: Lsn,
    stored_at: Instant,
    last_number: u64,
    server_end: Lsn,
    heard_at: Instant,
    window_began: Instant,
    window_bytes: usize,
    /// The server asked where we are: an idle position is stored at once, because a server that shuts down waits for
    /// everything to be confirmed.
    asked: bool,
}

impl Reader<'_> {
    async fn stream(&mut self, stop: impl Future<Output = ()>) -> Result<Ended> {
        let mut stop = std::pin::pin!(stop);
        let mut gauges = interval(GAUGES_EVERY);
        gauges.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut flowing = false;
        loop {
            if let Some(ended) = self.drain_buffer().await? {
                return Ok(ended);
            }
            let pending = self.decoder.has_rows() && !self.decoder.in_transaction();
            let room = self.in_flight() < IN_FLIGHT;
            if flowing || (pending && !room) {
                self.frames.stay_away()?;
                sleep(COALESCE).await;
                if let Some(filled) = self.frames.fill().now_or_never() {
                    flowing = self.heard(filled?);
                    continue;
                }
                flowing = false;
            }
            if pending && room {
                self.send().await?;
                continue;
            }
            if std::mem::take(&mut self.asked) {
                self.store_idle(true).await?;
            }
            tokio::select! {
                biased;
                // 1. The task is to stop: what was decoded up to a safe point is handed over.
                () = &mut stop => {
                    self.send_rest().await?;
                    return Ok(Ended::Stopped);
                }
                // 2. The connection failed on the other half, or a commit is through and a waiting batch may go.
                failed = self.feedback.event(pending) => if let Some(error) = failed {
                    return Err(error);
                },
                // 3. An idle position is stored; figures are shown.
                _ = gauges.tick() => {
                    self.show();
                    self.listen()?;
                    self.store_idle(false).await?;
                }
                // 4. More of the stream.
                filled = self.frames.fill() => {
                    flowing = self.heard(filled?);
                }
            }
        }
    }

    /// Bytes came; returns whether data flows: so many since the window began that waiting gathers more.
    fn heard(&mut self, bytes: usize) -> bool {
        let now = Instant::now();
        self.decoder.now_us = now_us();
        if now.duration_since(self.window_began) > COALESCE {
            self.window_began = now;
            self.window_bytes = 0;
        }
        self.heard_at = now;
        self.window_bytes += bytes;
        self.window_bytes >= FLOW_BYTES
    }

    /// Finds out about a server that vanished without a word.
    fn listen(&self) -> Result<()> {
        let silence = self.heard_at.elapsed();
        if silence >= SILENCE_MAX {
            let seconds = silence.as_secs();
            return Err(
                Error::disconnected(format!("the server was silent for {seconds} s"))
                    .code("TL0301"),
            );
        }
        if silence >= SILENCE_ASKED {
            self.feedback.ask();
        }
        Ok(())
    }

    fn in_flight(&self) -> u64 {
        self.last_number.saturating_sub(self.feedback.upto())
    }

    /// Decodes every whole frame that is in the buffer.
    async fn drain_buffer(&mut self) -> Result<Option<Ended>> {
        while let Some((frame, bytes)) = self.frames.peek()? {
            let step = match frame {
                Frame::Data { start, payload } => self.decoder.data(start, payload)?,
                Frame::KeepAlive { end, reply } => {
                    self.server_end = self.server_end.max(end);
                    self.feedback.received(end);
                    self.decoder.keep_alive(end)?;
                    if reply {
                        self.asked = true;
                        self.feedback.reply();
                    }
                    Step::Next
                }
                // The server shuts down and waits until we have let go.
                Frame::Done => {
                    self.send_rest().await?;
                    return Err(protocol("the server ended the stream").code("TL0301"));
                }
            };
            let step = match step {
                Step::Reselect(ask) => self.reselect(&ask).await?,
                step => step,
            };
            match step {
                Step::Next | Step::Reselect(_) => self.frames.consume(bytes),
                Step::Full => {
                    self.frames.consume(bytes);
                    self.send().await?;
                }
                Step::Relation(relation) => {
                    self.frames.consume(bytes);
                    let xid = self.decoder.xid();
                    self.decoder.relations.learn(relation, xid).await?;
                }
                // The frame stays and is read again with what was learnt.
                Step::UnknownLabel {
                    relid,
                    type_oid,
                    label,
                } => {
                    self.decoder
                        .relations
                        .relearn(relid, type_oid, &label)
                        .await?;
                }
                Step::NewTable { name } => {
                    let (schema, table) = (&name.0, &name.1);
                    tracing::info!(%schema, %table, "table is captured and was never read: reading it first");
                    self.send_rest().await?;
                    return Ok(Some(Ended::NewTable(name)));
                }
            }
        }
        Ok(None)
    }

    async fn reselect(&mut self, ask: &Reselect) -> Result<Step> {
        let found = self.decoder.relations.reselect(ask).await?;
        self.decoder.filled(ask.start, &ask.filled(&found))
    }

    /// Hands over what was decoded, with the position behind it.
    async fn send(&mut self) -> Result<()> {
        let (rows, offset) = self.decoder.take(BATCH_BYTES);
        self.feedback.received(offset.end);
        let resume = vec![(self.partition.clone(), Some(offset.position()))];
        // I1: the records and where they end are one unit.
        let number = self.output.send(SourceBatch { rows, resume }).await?;
        // A transaction that is partly in the log is not confirmed: its end is that of the one before.
        self.feedback.sent(number, offset.end);
        self.last_number = number;
        self.stored_end = offset.end;
        self.stored_at = Instant::now();
        Ok(())
    }

    /// At the end of a run: only rows of whole transactions or of a part that can be found again, which all are.
    async fn send_rest(&mut self) -> Result<()> {
        if self.decoder.has_rows() || self.decoder.offset.end > self.stored_end {
            self.send().await?;
        }
        Ok(())
    }

    /// I2: an idle position is stored before it is confirmed.
    async fn store_idle(&mut self, now: bool) -> Result<()> {
        let moved = self.decoder.offset.end.bytes_since(self.stored_end);
        let due = now || self.stored_at.elapsed() >= IDLE_EVERY || moved >= IDLE_BYTES;
        if moved > 0 && due && !self.decoder.in_transaction() {
            self.send().await?;
        }
        Ok(())
    }

    fn show(&self) {
        let end = self.server_end.max(self.decoder.offset.end);
        // Precision beyond 2^53 bytes is no loss in a figure.
        let held = end.bytes_since(self.feedback.durable());
        self.progress.gauge(
            "wal_held_bytes",
            f64::from(u32::try_from(held / 1024).unwrap_or(u32::MAX)) * 1024.0,
        );
        let lag_ms = self.decoder.lag_us().max(0) / 1000;
        self.progress.gauge(
            "source_lag_ms",
            f64::from(u32::try_from(lag_ms).unwrap_or(u32::MAX)),
        );
    }
}
