//! Long polls: reading several partitions, and waiting until there is enough to return.

use super::{Fetch, Fetched, log::Shared, partition::Partition, reader::Read};
use bytes::Bytes;
use futures_util::future::{FutureExt, select_all};
use std::sync::{Arc, atomic::Ordering::Relaxed};
use tapline_sdk::Error;
use tokio::time::Instant;

/// Reads until `min_bytes` are there or the time is over.
pub(super) async fn fetch(shared: Arc<Shared>, fetch: Fetch) -> Result<Vec<Fetched>, Error> {
    let partitions = partitions(&shared, &fetch)?;
    let deadline = Instant::now() + fetch.max_wait;
    loop {
        // Waiting begins before reading, so that nothing between the two is missed.
        let mut changes: Vec<_> = partitions
            .iter()
            .map(|(partition, _)| Box::pin(partition.changed.notified()))
            .collect();
        for change in &mut changes {
            change.as_mut().enable();
        }
        let fetched = read_all(&shared, &partitions, fetch.max_bytes).await?;
        let bytes: usize = fetched.iter().map(|fetched| fetched.batches.len()).sum();
        let enough = bytes > 0 && bytes >= fetch.min_bytes.min(fetch.max_bytes);
        if enough || Instant::now() >= deadline {
            return Ok(fetched);
        }
        let changed = async {
            if changes.is_empty() {
                std::future::pending::<()>().await;
            } else {
                select_all(changes).map(|_| ()).await;
            }
        };
        // The deadline only ends the wait: what is there is returned by the next turn.
        drop(tokio::time::timeout_at(deadline, changed).await);
    }
}

fn partitions(shared: &Shared, fetch: &Fetch) -> Result<Vec<(Arc<Partition>, u64)>, Error> {
    let topics = shared.topics.read();
    // Each fetch begins with another partition, so that a busy one does not starve the rest.
    let turn = shared.turn.fetch_add(1, Relaxed) % fetch.from.len().max(1);
    let (behind, first) = fetch.from.split_at(turn);
    let find = |(at, offset): &(tapline_sdk::TopicPartition, u64)| {
        Ok((Arc::clone(topics.find(at)?.1), *offset))
    };
    first.iter().chain(behind).map(find).collect()
}

/// Reads may wait for the disk, so they do not run on a task's thread.
async fn read_all(
    shared: &Shared,
    partitions: &[(Arc<Partition>, u64)],
    max_bytes: usize,
) -> Result<Vec<Fetched>, Error> {
    // A look at the ends is enough to see that there is nothing, which is what most turns of a long poll find.
    let nothing = partitions.iter().all(|(partition, offset)| {
        let state = partition.state.read();
        !state.deleted && *offset == state.end
    });
    if nothing {
        return read_each(partitions, 0);
    }
    let partitions = partitions.to_vec();
    let read = shared
        .readers
        .run(move || read_each(&partitions, max_bytes));
    match read.await {
        Ok(fetched) => fetched,
        Err(error) => Err(super::error::io("a read of the log did not end", error)),
    }
}

fn read_each(
    partitions: &[(Arc<Partition>, u64)],
    max_bytes: usize,
) -> Result<Vec<Fetched>, Error> {
    let mut left = max_bytes;
    let mut any = false;
    let mut fetched = Vec::with_capacity(partitions.len());
    for (partition, offset) in partitions {
        // One batch is returned however large it is; once there is one, the limit holds.
        let read = if any && left == 0 {
            nothing(partition)
        } else {
            let read = partition.read(*offset, left)?;
            if any && read.batches.len() > left {
                nothing(partition)
            } else {
                read
            }
        };
        left = left.saturating_sub(read.batches.len());
        any |= !read.batches.is_empty();
        fetched.push(Fetched {
            at: partition.at.clone(),
            batches: read.batches,
            high_watermark: read.high_watermark,
            log_start: read.log_start,
        });
    }
    Ok(fetched)
}

fn nothing(partition: &Partition) -> Read {
    let state = partition.state.read();
    Read {
        batches: Bytes::new(),
        log_start: state.log_start,
        high_watermark: state.end,
    }
}
