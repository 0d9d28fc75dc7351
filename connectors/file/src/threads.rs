//! Threads for what may wait for a disk.
//!
//! Owns how many such threads all connectors of this crate use at once. Each has a stack, and the allocator keeps what it
//! has used: with a thread for each of a hundred connectors, that was most of a worker's memory.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};
use tokio::{
    sync::Semaphore,
    task::{JoinError, spawn_blocking},
    time::timeout,
};
use tracing::Span;

/// More would not make a disk faster: a step reads 1 MiB, or waits for a sync that serves others too.
const THREADS_MAX: usize = 16;

/// Files of a disk that hangs may keep all turns; others go on without one after this long. No step takes so long where
/// disks work.
const TURN_TIME_MAX: Duration = Duration::from_secs(2);

static TURNS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(THREADS_MAX)));

/// Runs what blocks on a thread of its own, in the caller's span. I5: dropped, it goes on to its end.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    blocking_after(TURN_TIME_MAX, work).await
}

async fn blocking_after<T: Send + 'static>(
    longest: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    let turn = timeout(longest, Arc::clone(&TURNS).acquire_owned()).await;
    let scope = Span::current();
    // The turn is held by the work, not by who waits for it and may be dropped, and ends with its answer: by then its
    // thread is free for the next, which would take another one otherwise.
    let (worked, _turn) = spawn_blocking(move || (scope.in_scope(work), turn)).await?;
    Ok(worked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    #[tokio::test]
    async fn steps_take_turns_and_a_disk_that_hangs_stops_nobody_else() {
        let (most, now) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let steps: Vec<_> = (0..4 * THREADS_MAX)
            .map(|_| {
                let (most, now) = (Arc::clone(&most), Arc::clone(&now));
                tokio::spawn(blocking(move || {
                    let there = now.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(there, Ordering::SeqCst);
                    std::thread::yield_now();
                    now.fetch_sub(1, Ordering::SeqCst);
                }))
            })
            .collect();
        for step in steps {
            step.await.expect("joined").expect("ended");
        }
        assert!(most.load(Ordering::SeqCst) <= THREADS_MAX);
        let mut hanging = Vec::new();
        for _ in 0..THREADS_MAX {
            let (release, hangs) = mpsc::channel::<()>();
            let step = tokio::spawn(blocking(move || hangs.recv().is_ok()));
            hanging.push((release, step));
        }
        let soon = Duration::from_millis(20);
        assert_eq!(blocking_after(soon, || 7).await.expect("ended"), 7);
        for (release, step) in hanging {
            release.send(()).expect("it waits");
            assert!(step.await.expect("joined").expect("ended"));
        }
    }
}
