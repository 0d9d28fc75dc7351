//! How large chunks may become: much while few sinks work, little while many do.
//!
//! Owns the bytes that all sinks of a worker share. Nobody ever waits for what another sink holds, because a sink whose
//! target is down holds its chunks for as long as that lasts: what a sink needs to go on, one small chunk, is its own
//! always, and only what goes beyond is shared.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Decoded bytes that all chunks of a worker share: three full chunks of one sink, or nearly.
const SHARED_BYTES: usize = 24 << 20;

/// A chunk may take so many of the bytes that are left: with 3, one sink's three chunks become 6, 4.5 and 3.4 MiB, where
/// 20,000 rows of a usual table take less, and there is always something left for one more.
const PART_LEFT: usize = 3;

/// Taken and given back in steps of this, so that the count is touched a few times per chunk, not once per record.
const STEP_BYTES: usize = 256 << 10;

/// Every chunk's own, uncounted: where changes trickle, nobody shares anything.
const OWN_BYTES: usize = 64 << 10;

/// What one chunk of a sink may always become: a few hundred rows, enough that a target's transaction does not cost
/// more than the rows in it; a hundred sinks hold 25 MiB so.
const LEAST_BYTES: usize = 256 << 10;

/// The shared bytes.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    taken: AtomicUsize,
}

impl Budget {
    /// Another step for who has `held`, if that is not too much of what is left.
    fn take(&self, held: usize) -> bool {
        let step = |taken: usize| {
            let left = SHARED_BYTES.saturating_sub(taken);
            (held + STEP_BYTES <= left / PART_LEFT).then_some(taken + STEP_BYTES)
        };
        self.taken.fetch_update(Relaxed, Relaxed, step).is_ok()
    }
}

/// A session's way to its chunks' bytes.
#[derive(Debug, Clone)]
pub(super) struct Purse {
    budget: Arc<Budget>,
    /// One chunk at a time has [`LEAST_BYTES`] whatever others hold.
    least: Arc<Semaphore>,
}

impl Purse {
    pub(super) fn new(budget: &Arc<Budget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            least: Arc::new(Semaphore::new(1)),
        }
    }

    /// What the next chunk begins with.
    pub(super) fn room(&self) -> Room {
        Room {
            purse: self.clone(),
            bytes: OWN_BYTES,
            taken: 0,
            least: None,
        }
    }
}

/// The bytes that a chunk may have; they are given back with the chunk.
#[derive(Debug)]
pub(super) struct Room {
    purse: Purse,
    bytes: usize,
    taken: usize,
    least: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// Whether a chunk of this size may still grow. Never waits.
    pub(super) fn grows(&mut self, size: usize) -> bool {
        while size >= self.bytes {
            if self.purse.budget.take(self.taken) {
                self.taken += STEP_BYTES;
                self.bytes = self.bytes.max(OWN_BYTES + self.taken);
            } else if let Some(least) = self.own() {
                self.have(least);
            } else {
                return false;
            }
        }
        true
    }

    /// Whether the chunk stopped below what a chunk of each sink may have, because an earlier one has that now.
    pub(super) fn waits(&self) -> bool {
        self.bytes < LEAST_BYTES
    }

    /// Waits until the sink's chunk before this one has been put: nothing else can have what it waits for.
    pub(super) async fn grown(&mut self) {
        // The semaphore is never closed; if it were, the chunk would go as it is.
        if let Ok(least) = Arc::clone(&self.purse.least).acquire_owned().await {
            self.have(least);
        }
    }

    fn own(&self) -> Option<OwnedSemaphorePermit> {
        let wanted = self.waits() && self.least.is_none();
        wanted
            .then(|| Arc::clone(&self.purse.least).try_acquire_owned().ok())
            .flatten()
    }

    fn have(&mut self, least: OwnedSemaphorePermit) {
        self.least = Some(least);
        self.bytes = self.bytes.max(LEAST_BYTES);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.purse.budget.taken.fetch_sub(self.taken, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    /// Fills a chunk up to `wanted` bytes, or as far as it goes.
    fn fill(room: &mut Room, wanted: usize) -> usize {
        let mut size = 0;
        while size < wanted && room.grows(size) {
            size += 16 << 10;
        }
        size
    }

    #[test]
    fn one_sink_has_three_large_chunks_and_a_hundred_stay_within_the_bound() {
        let budget = Arc::<Budget>::default();
        let full = 8 << 20;
        let alone = Purse::new(&budget);
        let mut three = [(); 3].map(|()| alone.room());
        let sizes = three.each_mut().map(|room| fill(room, full));
        assert!(sizes.iter().all(|size| *size >= 3 << 20), "{sizes:?}");
        let mut rooms = Vec::new();
        let mut sum = sizes.iter().sum::<usize>();
        for _ in 1..100 {
            let purse = Purse::new(&budget);
            let mut of_one: [Room; 3] = [(); 3].map(|()| purse.room());
            let sizes = of_one.each_mut().map(|room| fill(room, full));
            assert!(sizes[0] >= LEAST_BYTES, "{sizes:?}");
            sum += sizes.iter().sum::<usize>();
            rooms.push(of_one);
        }
        let bound = SHARED_BYTES + 100 * (LEAST_BYTES + 3 * OWN_BYTES);
        assert!(sum <= bound, "{sum} of {bound}");
        drop((three, rooms));
        assert_eq!(budget.taken.load(Relaxed), 0, "everything is given back");
    }

    #[test]
    fn a_chunk_waits_for_its_own_sinks_chunk_and_for_no_other() {
        let budget = Arc::<Budget>::default();
        budget.taken.store(SHARED_BYTES, Relaxed);
        let (one, other) = (Purse::new(&budget), Purse::new(&budget));
        let mut first = one.room();
        assert_eq!(fill(&mut first, 8 << 20), LEAST_BYTES);
        assert!(!first.waits(), "it goes as it is");
        let mut second = one.room();
        assert_eq!(fill(&mut second, 8 << 20), OWN_BYTES);
        assert!(second.waits());
        assert!(second.grown().now_or_never().is_none());
        assert_eq!(fill(&mut other.room(), 8 << 20), LEAST_BYTES);
        drop(first);
        assert!(second.grown().now_or_never().is_some());
        assert_eq!(fill(&mut second, 8 << 20), LEAST_BYTES);
    }
}
