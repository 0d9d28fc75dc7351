//! What has large buffers and is needed for a moment only, lent from task to task.
//!
//! Owns how many of them are kept while nobody needs them: as many as work at once, not one for each task, so that a
//! hundred tasks hold no more memory than one.

use parking_lot::Mutex;

/// Things that wait for their next use.
#[derive(Debug)]
pub(crate) struct Idle<T> {
    waiting: Mutex<Vec<T>>,
    most: usize,
}

impl<T: Default> Idle<T> {
    /// Keeps this many at most.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            most,
        }
    }

    /// The one used last, whose memory is the most likely to be in a cache, or a new one.
    pub(crate) fn take(&self) -> T {
        let waiting = self.waiting.lock().pop();
        waiting.unwrap_or_default()
    }

    /// Takes one back. It may hold memory, but nothing that its next user could see.
    pub(crate) fn give(&self, back: T) {
        let mut waiting = self.waiting.lock();
        if waiting.len() < self.most {
            waiting.push(back);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_is_taken_again_up_to_the_most() {
        let idle: Idle<Vec<u8>> = Idle::new(2);
        for capacity in [10, 20, 30] {
            idle.give(Vec::with_capacity(capacity));
        }
        let taken = [(); 3].map(|()| idle.take().capacity());
        assert_eq!(taken, [20, 10, 0], "the third was let go");
    }
}
