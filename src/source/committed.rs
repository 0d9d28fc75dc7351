//! The committed level: what a source may confirm upstream (I2).

use parking_lot::Mutex;
use std::{collections::BTreeMap, future, sync::Arc};
use tapline_sdk::{BoxFuture, Committed, Position};
use tokio::sync::watch;

/// Stored offsets by source partition.
type Offsets = Arc<Mutex<BTreeMap<Position, Position>>>;

/// The end that raises the level.
pub(super) struct Level {
    offsets: Offsets,
    upto: watch::Sender<u64>,
}

/// The source's view of it.
pub(super) struct View {
    offsets: Offsets,
    upto: watch::Receiver<u64>,
}

/// A level at 0, with the offsets as the log had them when the run began.
pub(super) fn level(stored: &[(Position, Position)]) -> (Level, View) {
    let offsets: Offsets = Arc::new(Mutex::new(stored.iter().cloned().collect()));
    let (sender, receiver) = watch::channel(0);
    let level = Level {
        offsets: Arc::clone(&offsets),
        upto: sender,
    };
    let view = View {
        offsets,
        upto: receiver,
    };
    (level, view)
}

impl Level {
    /// Every batch up to `number` is durable, and with it these offsets.
    pub(super) fn raise(&self, number: u64, resume: Vec<(Position, Option<Position>)>) {
        let mut offsets = self.offsets.lock();
        for (partition, offset) in resume {
            match offset {
                Some(offset) => offsets.insert(partition, offset),
                None => offsets.remove(&partition),
            };
        }
        drop(offsets);
        self.upto.send_replace(number);
    }
}

impl Committed for View {
    fn resume_at(&self, partition: &Position) -> Option<Position> {
        self.offsets.lock().get(partition).cloned()
    }

    fn partitions(&self) -> Vec<Position> {
        self.offsets.lock().keys().cloned().collect()
    }

    fn upto(&self) -> u64 {
        *self.upto.borrow()
    }

    fn changed(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if self.upto.changed().await.is_err() {
                // I5: a level whose owner is gone says nothing, least of all success.
                future::pending::<()>().await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::Arc, time::Duration};
    use tapline_sdk::Scalar;
    use tokio::time::timeout;

    fn position(key: &str, value: i64) -> Position {
        Position::from([(Arc::from(key), Scalar::Int(value))])
    }

    #[tokio::test]
    async fn a_level_rises_with_its_offsets_and_never_resolves_once_given_up() {
        let server = position("server", 1);
        let (level, mut view) = level(&[(server.clone(), position("lsn", 5))]);
        assert_eq!(view.upto(), 0);
        assert_eq!(view.resume_at(&server), Some(position("lsn", 5)));
        level.raise(3, vec![(server.clone(), Some(position("lsn", 9)))]);
        view.changed().await;
        assert_eq!(view.upto(), 3);
        assert_eq!(view.resume_at(&server), Some(position("lsn", 9)));
        level.raise(4, vec![(server.clone(), None)]);
        assert_eq!(view.partitions(), Vec::<Position>::new());
        view.changed().await;
        drop(level);
        let waited = timeout(Duration::from_millis(20), view.changed()).await;
        assert!(waited.is_err(), "a dropped level resolved");
    }
}
