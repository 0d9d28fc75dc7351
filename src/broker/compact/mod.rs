//! Compaction: of a keyed topic's old segments only what is still needed stays, at the offsets it has.
//!
//! Works on closed segments that a checkpoint covers, from a partition's first one on, beside readers and commits and
//! never under their locks. What is written takes the place of the old files by an operation of the journal
//! ([`swap`](super::swap)), segment by segment in the order of their offsets; whatever is interrupted is done again.
//!
//! | What | goes |
//! |---|---|
//! | a record whose key has a newer one | unless the newer one lacks fields that it has, or was moved from its key without them ([`latest`]) |
//! | a record right before the tombstone that ends its key | once every sink has passed: it tells of the delete |
//! | a tombstone | `delete.retention.ms` after it was first compacted, once every sink has passed |
//! | a record without a key, a barrier | once every sink has passed and no row below it is left |
//! | a batch of a Kafka transaction or of an idempotent producer | never, for now |
//!
//! Younger records than `min.compaction.lag.ms` and what follows damage are left alone.

mod latest;
mod rewrite;
mod scan;

use super::{
    batch::Record,
    error,
    log::Shared,
    partition::{Partition, Segment, State},
    retention::{floor_of, floors},
    rules::Rules,
    stored::header_at,
    swap::Swap,
};
use latest::{Latest, Marks};
use rewrite::Rewrite;
use scan::{Bad, Source};
use std::{
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
};

/// What a pass needs from whoever runs it.
pub(super) trait Host {
    /// So many bytes were read or written: time for a pause. `false`: end here.
    fn pace(&mut self, bytes: u64) -> bool;

    /// Does a swap; how it ended may stay unknown, if the log stops.
    fn swap(&mut self, swap: Swap) -> Outcome;
}

/// How a swap ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// Not possible any more, because something else changed the segments.
    Refused,
    /// I5: it may be durable, so what was written for it must stay; the next start knows.
    Unknown,
}

/// Why a pass ended early.
#[derive(Debug)]
enum Stop {
    /// The host wants it, or something else changed the partition.
    Asked,
    Io(io::Error),
    /// A record batch is not right: offset.
    Damaged(u64),
    /// I7: a sync failed; the log must stop.
    Sync(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Bad> for Stop {
    fn from(bad: Bad) -> Self {
        match bad {
            Bad::Io(error) => Self::Io(error),
            Bad::Content(offset) => Self::Damaged(offset),
        }
    }
}

/// What a pass may touch.
struct Plan {
    log_start: u64,
    /// Where the last pass ended: below, no key has two records.
    clean_to: u64,
    /// Whether rows below build upon others whose key they do not have.
    moves: bool,
    sources: Vec<Source>,
}

/// Compacts a partition if it is worth it. An error is one of a sync, after which the log must stop (I7).
pub(super) fn compact(
    shared: &Shared,
    partition: &Arc<Partition>,
    rules: &Rules,
    host: &mut dyn Host,
) -> Result<(), String> {
    let now_ms = shared.storage().now_ms();
    let Some(plan) = plan(partition, rules, now_ms) else {
        return Ok(());
    };
    let stats = &shared.means.stats;
    match pass(shared, partition, rules, &plan, host) {
        Ok(changed) => {
            if changed {
                stats.compactions.fetch_add(1, Relaxed);
            }
            Ok(())
        }
        Err(Stop::Asked) => Ok(()),
        Err(Stop::Sync(error)) => Err(format!("sync of a compacted segment failed: {error}")),
        Err(Stop::Damaged(offset)) => {
            stats.compactions_failed.fetch_add(1, Relaxed);
            // A read finds out how far the damage goes and reports it; the next pass ends before it.
            drop(partition.read(offset, 1));
            Ok(())
        }
        Err(Stop::Io(error)) => {
            if !error::is_full(&error) {
                stats.compactions_failed.fetch_add(1, Relaxed);
            }
            tracing::warn!(
                error = %error,
                topic = %partition.at.topic,
                partition = partition.at.partition,
                "a compaction ended early and is tried again"
            );
            Ok(())
        }
    }
}

/// The segments that may be compacted, if enough of them is superseded or it waited long enough.
fn plan(partition: &Partition, rules: &Rules, now_ms: i64) -> Option<Plan> {
    let state = partition.state.read();
    if state.deleted {
        return None;
    }
    let sources = sources(partition, &state, rules, now_ms);
    let clean_to = state.clean_to;
    let bytes = |is_clean: bool| {
        let alike = sources
            .iter()
            .filter(|source| source.is_clean(clean_to) == is_clean);
        alike.map(|source| source.bytes).sum::<u64>()
    };
    let (clean, dirty) = (bytes(true), bytes(false));
    let plan = Plan {
        log_start: state.log_start,
        clean_to,
        moves: state.clean_moves,
        sources,
    };
    drop(state);
    #[expect(
        clippy::cast_precision_loss,
        reason = "a ratio to compare with a setting"
    )]
    let ratio = dirty as f64 / (clean + dirty).max(1) as f64;
    let wanted =
        dirty > 0 && (ratio >= rules.dirty_ratio || plan.is_late(partition, rules, now_ms));
    wanted.then_some(plan)
}

fn sources(partition: &Partition, state: &State, rules: &Rules, now_ms: i64) -> Vec<Source> {
    let youngest = now_ms.saturating_sub(rules.min_lag_ms);
    let may = |(segment, end): &(&Segment, u64)| {
        let damaged = state
            .damage
            .iter()
            .any(|damage| damage.offsets.start < *end && damage.offsets.end > segment.base);
        let old = rules.min_lag_ms == 0 || segment.max.0 < youngest;
        partition.is_covered(segment) && !damaged && old
    };
    state
        .segments
        .windows(2)
        .filter_map(|pair| match pair {
            [segment, next] => Some((segment, next.base)),
            _ => None,
        })
        .take_while(may)
        .map(|(segment, end)| Source {
            base: segment.base,
            generation: segment.generation,
            bytes: segment.bytes,
            end,
        })
        .collect()
}

impl Plan {
    /// The records with a key that earlier passes have seen.
    fn each_clean(
        &self,
        partition: &Partition,
        host: &mut dyn Host,
        mut look: impl FnMut(&[u8], &Record<'_>),
    ) -> Result<(), Stop> {
        let clean = self.sources.iter();
        for source in clean.take_while(|source| source.base < self.clean_to) {
            let mut batches = source.batches(partition)?;
            while let Some(mut batch) = batches.next(host)? {
                batch.each(|record| {
                    if let Some(key) = record.key.filter(|_| record.offset < self.clean_to) {
                        look(key, record);
                    }
                })?;
            }
        }
        Ok(())
    }

    /// Whether the oldest record that was not compacted waits for longer than `max.compaction.lag.ms`.
    fn is_late(&self, partition: &Partition, rules: &Rules, now_ms: i64) -> bool {
        let dirty = self
            .sources
            .iter()
            .find(|source| !source.is_clean(self.clean_to));
        let (Some(dirty), true) = (dirty, rules.max_lag_ms < i64::MAX) else {
            return false;
        };
        // If it cannot be read now, the pass that the ratio asks for says why.
        let first = dirty
            .open(partition)
            .and_then(|file| header_at(&*file, 0, dirty.bytes));
        let first = first.ok().flatten();
        let written_ms = first.map(|first| match first.delete_horizon_ms() {
            // The field says when tombstones may go.
            Some(_) => first.max_timestamp_ms,
            None => first.base_timestamp_ms,
        });
        written_ms.is_some_and(|written| written < now_ms.saturating_sub(rules.max_lag_ms))
    }
}

/// Finds out what is needed, and writes the segments anew with that alone. `true`: something was changed.
fn pass(
    shared: &Shared,
    partition: &Arc<Partition>,
    rules: &Rules,
    plan: &Plan,
    host: &mut dyn Host,
) -> Result<bool, Stop> {
    let (latest, map_end, moves) = look(shared, partition, plan, host)?;
    // Positions only grow, so a floor that was read before is never above the one that holds.
    let floor = floor_of(&floors(shared), partition);
    let mut rewrite = Rewrite::new(partition, rules, (&latest, map_end), plan.log_start, floor);
    let sources: Vec<&Source> = plan
        .sources
        .iter()
        .take_while(|source| source.base < map_end)
        .collect();
    let mut changed = false;
    for group in groups(&sources, rules.segment_bytes) {
        let written = rewrite.group(group, host);
        let written = written.inspect_err(|_| partition.remove_cleaned(group_base(group)))?;
        let stats = &shared.means.stats;
        let Some(bytes) = written else {
            continue;
        };
        let swap = Swap {
            topic_id: partition.topic_id,
            partition: partition.at.partition,
            out: group
                .iter()
                .map(|source| (source.base, source.generation))
                .collect(),
            bytes,
        };
        // A tombstone of a later group may go only if what it deletes is gone: in order, or not at all.
        match host.swap(swap) {
            Outcome::Done => {}
            Outcome::Refused => {
                partition.remove_cleaned(group_base(group));
                return Err(Stop::Asked);
            }
            Outcome::Unknown => return Err(Stop::Asked),
        }
        let read = group.iter().map(|source| source.bytes).sum();
        stats.compaction_read_bytes.fetch_add(read, Relaxed);
        stats.compaction_written_bytes.fetch_add(bytes, Relaxed);
        changed = true;
    }
    let removed = rewrite.removed();
    let stats = &shared.means.stats;
    stats.compaction_removed_records.fetch_add(removed, Relaxed);
    let mut state = partition.state.write();
    (state.clean_to, state.clean_moves) = (map_end, moves);
    drop(state);
    Ok(changed)
}

fn group_base(group: &[&Source]) -> u64 {
    group.first().map_or(0, |source| source.base)
}

/// Gathers the keys from where the last pass ended, as many as there is memory for; returns the offset behind them,
/// and whether the next pass must know of moved rows below it.
fn look(
    shared: &Shared,
    partition: &Partition,
    plan: &Plan,
    host: &mut dyn Host,
) -> Result<(Latest, u64, bool), Stop> {
    let mut latest = Latest::new(shared.settings.compaction_map_bytes);
    if plan.moves {
        plan.each_clean(partition, host, |key, record| {
            latest.add_below(key, record.offset, Marks::of(&record.headers));
        })?;
    }
    let mut map_end = plan.clean_to;
    'full: for source in &plan.sources {
        if source.is_clean(plan.clean_to) {
            continue;
        }
        let mut batches = source.batches(partition)?;
        while let Some(mut batch) = batches.next(host)? {
            batch.each(|record| {
                // A full map may have ended the last pass within a segment, and within what is one batch now.
                if let Some(key) = record.key.filter(|_| record.offset >= plan.clean_to) {
                    latest.add(key, record.offset, Marks::of(&record.headers));
                }
            })?;
            map_end = map_end.max(batch.next_offset());
            if latest.is_full() {
                break 'full;
            }
        }
        map_end = source.end;
    }
    if latest.is_open() {
        plan.each_clean(partition, host, |key, record| {
            latest.add_older(key, record.offset, Marks::of(&record.headers));
        })?;
        latest.close();
    }
    let moves = latest.pin();
    if latest.has_released() {
        plan.each_clean(partition, host, |key, record| {
            latest.add_released(key, record.offset, Marks::of(&record.headers));
        })?;
    }
    Ok((latest, map_end, moves))
}

/// Neighbours that together are no larger than one segment may be.
fn groups<'a>(sources: &'a [&'a Source], segment_bytes: u64) -> Vec<&'a [&'a Source]> {
    let mut groups = Vec::new();
    let mut start = 0;
    let (mut bytes, mut first) = (0, 0);
    for (index, source) in sources.iter().enumerate() {
        // Offsets and positions are told relative to the segment's, in 31 bits.
        let reaches = i32::try_from(source.end - first).is_ok();
        if index > start && (bytes + source.bytes > segment_bytes || !reaches) {
            groups.extend(sources.get(start..index));
            (start, bytes) = (index, 0);
        }
        if index == start {
            first = source.base;
        }
        bytes += source.bytes;
    }
    groups.extend(sources.get(start..).filter(|rest| !rest.is_empty()));
    groups
}
