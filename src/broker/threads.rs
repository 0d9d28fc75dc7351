//! The threads that read the log for fetches, because a read may wait for the disk.
//!
//! Owns how many reads go on at once. The runtime has threads for what blocks, but as many as there are readers at a
//! moment, and the allocator keeps what each has used: with a hundred sinks that was most of a worker's memory.

use parking_lot::Mutex;
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
    thread,
};
use tokio::sync::oneshot;

/// Enough to keep a disk busy; what is in the page cache takes a tenth of a millisecond.
const THREADS: usize = 4;

type Job = Box<dyn FnOnce() + Send>;

/// The threads; they are started by the first read, and end when this is dropped.
#[derive(Default)]
pub(super) struct ReadThreads {
    /// A fetch has one read in it at most, so that it is as long as there are readers of the log.
    queue: Mutex<Option<mpsc::Sender<Job>>>,
}

impl ReadThreads {
    /// Runs a read after those that came before it. Dropped before its turn, it does not take place.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let (answer, outcome) = oneshot::channel();
        let job = move || {
            if !answer.is_closed() {
                // Nobody may wait any more.
                drop(answer.send(read()));
            }
        };
        self.enqueue(Box::new(job))?;
        outcome.await.map_err(io::Error::other)
    }

    fn enqueue(&self, job: Job) -> io::Result<()> {
        let mut queue = self.queue.lock();
        let sender = match &*queue {
            Some(sender) => sender,
            None => queue.insert(start()?),
        };
        let ended = |_| io::Error::other("the threads that read the log have ended");
        sender.send(job).map_err(ended)
    }
}

fn start() -> io::Result<mpsc::Sender<Job>> {
    let (sender, jobs) = mpsc::channel();
    let jobs = Arc::new(Mutex::new(jobs));
    for _ in 0..THREADS {
        let jobs = Arc::clone(&jobs);
        thread::Builder::new()
            .name("log-reader".into())
            .spawn(move || work(&jobs))?;
    }
    Ok(sender)
}

fn work(jobs: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let job = jobs.lock().recv();
        let Ok(job) = job else { return };
        // A panic is printed when it happens; who waits for the read sees that no answer comes.
        drop(catch_unwind(AssertUnwindSafe(job)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    #[tokio::test]
    async fn reads_take_turns_and_one_that_panics_takes_no_thread_away() {
        let readers = ReadThreads::default();
        for _ in 0..2 * THREADS {
            let panicked = readers.run(|| assert_eq!(1, 2, "a read fails")).await;
            assert!(panicked.is_err());
        }
        let (most, now) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let reads = (0..100).map(|number| {
            let (most, now) = (Arc::clone(&most), Arc::clone(&now));
            readers.run(move || {
                most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                thread::yield_now();
                now.fetch_sub(1, SeqCst);
                number
            })
        });
        let read = futures_util::future::join_all(reads).await;
        let read: Vec<usize> = read.into_iter().map(|one| one.expect("answered")).collect();
        assert_eq!(read, (0..100).collect::<Vec<_>>());
        assert!(most.load(SeqCst) <= THREADS);
    }
}
