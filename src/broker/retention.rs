//! Retention: whole old segments go, by age and by size, as in Kafka; but not before every sink has read them.
//!
//! Only says what is to go; the log does it, by moving a partition's start in an entry of the journal. The files
//! follow once a checkpoint no longer names them.
//!
//! A sink's stored position bounds what goes, because that is what its target has made durable. Where it has stored none
//! yet, because it is new, stopped or was never connected, it will begin at the log's start: nothing goes. Above
//! [`SINK_LIMIT_PERCENT`] of the log's limit that bound falls: what is due goes all the same, and the sink that has not
//! read it fails with a remedy when it meets the gap.

use super::{
    groups::{Floor, GROUPS_TOPIC, Readers},
    log::{Op, Shared},
    partition::{Partition, Segment, State},
    rules::Rules,
    settings::{SINK_LIMIT_PERCENT, SOURCE_LIMIT_PERCENT},
    stats::Stats,
};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, atomic::Ordering::Relaxed},
};

/// Everything that is due to go now.
pub(super) fn due(shared: &Shared) -> Vec<Op> {
    measure(shared);
    let ignore_floors = usage_percent(&shared.means.stats) >= SINK_LIMIT_PERCENT;
    // Before it is asked who reads what: a topic that appears later is in nobody's answer, and it is not known yet
    // whether somebody is to read it.
    let known: HashSet<u128> = shared.topics.read().iter().map(|topic| topic.id).collect();
    let floors = floors(shared);
    let now_ms = shared.storage().now_ms();
    let mut ops = Vec::new();
    let mut held = 0;
    let topics = shared.topics.read();
    let topics = topics
        .iter()
        .filter(|topic| topic.rules.delete && &*topic.name != GROUPS_TOPIC)
        .filter(|topic| known.contains(&topic.id));
    for topic in topics {
        for partition in &topic.partitions {
            let state = partition.state.read();
            let (count, due) = expired(&state, &topic.rules, now_ms);
            let floor = floors.get(&(topic.id, partition.at.partition));
            let (count, offset) = match floor.filter(|floor| floor.next < due) {
                Some(floor) if ignore_floors => {
                    warn(partition, floor, due);
                    (count, due)
                }
                Some(floor) => {
                    held += 1;
                    up_to(&state, floor.next)
                }
                None => (count, due),
            };
            if offset > state.log_start {
                let stats = &shared.means.stats;
                stats.retention_segments.fetch_add(count as u64, Relaxed);
                ops.push(Op::Retain {
                    topic_id: topic.id,
                    partition: partition.at.partition,
                    offset,
                });
            }
        }
    }
    shared.means.stats.retention_held.store(held, Relaxed);
    ops
}

/// Where each partition's slowest reader stands.
pub(super) fn floors(shared: &Shared) -> HashMap<(u128, u32), Floor> {
    let kept_for = shared.kept_for.read().clone();
    let Some(readers) = kept_for.map(|readers| readers()) else {
        return shared.groups.read().floors(None);
    };
    let starts = starts(shared, &readers);
    let groups = shared.groups.read();
    let mut floors = groups.floors(Some(&readers));
    for (group, at, next) in starts {
        let lowest = floors.get(&at).is_none_or(|floor| next < floor.next);
        if lowest && !groups.has(&group, at) {
            floors.insert(at, Floor { group, next });
        }
    }
    floors
}

/// Where each reader begins that has stored no position: group, partition, offset.
fn starts(shared: &Shared, readers: &Readers) -> Vec<(Arc<str>, (u128, u32), u64)> {
    let mut starts = Vec::new();
    for topic in shared.topics.read().iter() {
        let of = |(_, topics): &(&Arc<str>, &BTreeSet<Arc<str>>)| topics.contains(&topic.name);
        for (group, _) in readers.iter().filter(of) {
            for partition in &topic.partitions {
                let start = partition.state.read().log_start;
                let at = (topic.id, partition.at.partition);
                starts.push((Arc::clone(group), at, start));
            }
        }
    }
    starts
}

/// How many of the oldest segments are due, and the offset behind them.
fn expired(state: &State, rules: &Rules, now_ms: i64) -> (usize, u64) {
    let oldest = now_ms.saturating_sub(rules.retention_ms.unwrap_or(i64::MAX));
    let by_age = state
        .segments
        .iter()
        .take_while(|segment| is_older(segment, oldest))
        .count();
    let mut left: u64 = state.segments.iter().map(|segment| segment.bytes).sum();
    let keep = rules.retention_bytes.unwrap_or(u64::MAX);
    let fits = |segment: &&Segment| {
        let rest = left.saturating_sub(segment.bytes);
        let goes = left > keep && rest >= keep;
        left = rest;
        goes
    };
    let sealed = state.segments.len().saturating_sub(1);
    let by_size = state.segments.iter().take(sealed).take_while(fits).count();
    let count = by_age.max(by_size);
    (count, behind(state, count))
}

/// A segment without a timestamp tells no age.
fn is_older(segment: &Segment, oldest_ms: i64) -> bool {
    segment.max.0 >= 0 && segment.max.0 < oldest_ms
}

/// The whole segments below an offset.
fn up_to(state: &State, offset: u64) -> (usize, u64) {
    let whole = (1..=state.segments.len())
        .take_while(|count| behind(state, *count) <= offset)
        .count();
    (whole, behind(state, whole))
}

/// The offset behind the first `count` segments; without one, the log's start.
fn behind(state: &State, count: usize) -> u64 {
    match count {
        0 => state.log_start,
        count => state
            .segments
            .get(count)
            .map_or(state.end, |segment| segment.base),
    }
}

fn warn(partition: &Arc<Partition>, floor: &Floor, due: u64) {
    tracing::warn!(
        topic = %partition.at.topic,
        partition = partition.at.partition,
        group = %floor.group,
        position = floor.next,
        log_start = due,
        "the log is near its limit: records go that a sink has not read, and it will fail"
    );
}

/// Counts what segments take, and what they may.
pub(super) fn measure(shared: &Shared) {
    let mut bytes: u64 = 0;
    for topic in shared.topics.read().iter() {
        for partition in &topic.partitions {
            let state = partition.state.read();
            bytes += state
                .segments
                .iter()
                .map(|segment| segment.bytes)
                .sum::<u64>();
        }
    }
    let stats = &shared.means.stats;
    stats.log_bytes.store(bytes, Relaxed);
    let free = match shared.storage().space() {
        Ok(space) => space.free,
        Err(error) => {
            tracing::warn!(error = %error, "cannot tell how much disk space is free");
            stats.free_bytes.load(Relaxed)
        }
    };
    let there = bytes.saturating_add(free);
    let limit = shared.settings.log_bytes_max.unwrap_or(there).min(there);
    stats.log_limit.store(limit.max(1), Relaxed);
}

/// Whether commits must wait because of `log_bytes_max`. Without one the guard of the free space says so.
pub(super) fn is_at_limit(shared: &Shared) -> bool {
    let bytes = shared.means.stats.log_bytes.load(Relaxed);
    let limit = shared.settings.log_bytes_max;
    limit.is_some_and(|limit| bytes >= limit / 100 * SOURCE_LIMIT_PERCENT)
}

/// How much of its limit the log takes; 0 until it was measured.
pub(super) fn usage_percent(stats: &Stats) -> u64 {
    let limit = u128::from(stats.log_limit.load(Relaxed));
    let bytes = u128::from(stats.log_bytes.load(Relaxed)) * 100;
    bytes
        .checked_div(limit)
        .map_or(0, |percent| u64::try_from(percent).unwrap_or(u64::MAX))
}

/// The floor of one partition.
pub(super) fn floor_of(floors: &HashMap<(u128, u32), Floor>, partition: &Partition) -> u64 {
    let floor = floors.get(&(partition.topic_id, partition.at.partition));
    floor.map_or(u64::MAX, |floor| floor.next)
}
