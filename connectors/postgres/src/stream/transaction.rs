//! The transaction at hand: what counts as its changes, and which of them are in the log already.

use crate::{
    lsn::Lsn,
    offset::{Inside, StreamOffset},
};
use std::sync::Arc;
use tapline_sdk::{Error, Result};

/// A transaction that is being received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// Its commit LSN.
    pub commit: Lsn,
    /// Changes so far, counted before every filter.
    pub ordinal: u64,
    /// The last of them, and its relation.
    pub row: Lsn,
    /// See `row`.
    pub relation: u32,
    /// What of it is in the log already.
    seen: Seen,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    /// Nothing.
    Nothing,
    /// All: it committed before the stored end.
    All,
    /// Its first changes.
    Part(Inside),
}

impl Current {
    /// A transaction begins. Delivered iff it commits at or after the stored end.
    ///
    /// # Errors
    /// TL0313 if a transaction that is partly in the log does not come first.
    pub fn begin(offset: &StreamOffset, commit: Lsn, options: &Arc<str>) -> Result<Self> {
        let seen = match &offset.inside {
            _ if commit < offset.end => Seen::All,
            None => Seen::Nothing,
            Some(inside) if inside.commit == commit => {
                if inside.options != *options {
                    return Err(lost(
                        inside,
                        "the publication's name or options were changed in between",
                    ));
                }
                Seen::Part(inside.clone())
            }
            Some(inside) => {
                return Err(lost(
                    inside,
                    &format!("the server sent one that commits at {commit}"),
                ));
            }
        };
        Ok(Self {
            commit,
            ordinal: 0,
            row: Lsn::NONE,
            relation: 0,
            seen,
        })
    }

    /// Counts a change; `true` if it is new.
    ///
    /// # Errors
    /// TL0313 if the last change that is in the log is another one than was counted then.
    pub fn count(&mut self, row: Lsn, relation: u32) -> Result<bool> {
        self.ordinal += 1;
        self.row = row;
        self.relation = relation;
        let Seen::Part(inside) = &self.seen else {
            return Ok(self.seen == Seen::Nothing);
        };
        if self.ordinal < inside.ordinal {
            return Ok(false);
        }
        if self.ordinal > inside.ordinal {
            return Err(lost(inside, "its changes were counted past the stored one"));
        }
        if (inside.row, inside.relation) != (row, relation) {
            let what = format!(
                "change {} is at {row} of relation {relation} now",
                self.ordinal
            );
            return Err(lost(inside, &what));
        }
        self.seen = Seen::Nothing;
        Ok(false)
    }

    /// The count as it stands, to go back to if a change must be taken again.
    pub fn mark(&self) -> (u64, Lsn, u32) {
        (self.ordinal, self.row, self.relation)
    }

    /// Takes a new change back.
    pub fn rewind(&mut self, (ordinal, row, relation): (u64, Lsn, u32)) {
        self.ordinal = ordinal;
        self.row = row;
        self.relation = relation;
    }

    /// Whether a part of it is in the log that has not been passed yet.
    ///
    /// # Errors
    /// TL0313 at its end, if so.
    pub fn check_end(&self) -> Result<()> {
        match &self.seen {
            Seen::Part(inside) => Err(lost(
                inside,
                &format!("it has only {} changes now", self.ordinal),
            )),
            Seen::Nothing | Seen::All => Ok(()),
        }
    }

    /// The place to store in the middle of it; `None` as long as the stored one stands.
    pub fn place(&self, options: &Arc<str>) -> Option<Inside> {
        match &self.seen {
            Seen::All => None,
            Seen::Part(inside) => Some(inside.clone()),
            Seen::Nothing if self.ordinal == 0 => None,
            Seen::Nothing => Some(Inside {
                commit: self.commit,
                ordinal: self.ordinal,
                row: self.row,
                relation: self.relation,
                options: Arc::clone(options),
            }),
        }
    }
}

/// The error of a place that is not found again.
pub(super) fn lost(inside: &Inside, what: &str) -> Error {
    Error::fatal(format!(
        "cannot go on inside the transaction that commits at {}: {} changes of it are in the log, the last at {} of \
         relation {}, but {what}",
        inside.commit, inside.ordinal, inside.row, inside.relation
    ))
    .code("TL0313")
    .remedy("undo the change to the publication or its options; or `tapline resnapshot` without tables re-reads all of them")
}

#[cfg(test)]
mod tests {
    use super::Current;
    use crate::{
        lsn::Lsn,
        offset::{Inside, Stage, StreamOffset},
    };
    use std::sync::Arc;

    fn offset(end: u64, inside: Option<Inside>) -> StreamOffset {
        StreamOffset {
            system: "1".into(),
            timeline: 1,
            slot: "s".into(),
            stage: Stage::Ready,
            consistent: Lsn(1),
            end: Lsn(end),
            inside,
        }
    }

    fn options() -> Arc<str> {
        "p".into()
    }

    #[test]
    fn a_transaction_is_new_iff_it_commits_at_or_after_the_stored_end() {
        for (commit, new) in [(99, false), (100, true), (101, true)] {
            let mut current =
                Current::begin(&offset(100, None), Lsn(commit), &options()).expect("begins");
            assert_eq!(current.count(Lsn(1), 7).ok(), Some(new), "{commit}");
        }
    }

    #[test]
    fn what_is_in_the_log_of_a_transaction_is_passed_by_count() {
        // Three changes share an LSN, as those of a COPY do.
        let inside = Inside {
            commit: Lsn(200),
            ordinal: 2,
            row: Lsn(150),
            relation: 7,
            options: options(),
        };
        let stored = offset(100, Some(inside.clone()));
        let mut current = Current::begin(&stored, Lsn(200), &options()).expect("begins");
        let new: Vec<bool> = (0..4)
            .map(|_| current.count(Lsn(150), 7).expect("counts"))
            .collect();
        assert_eq!(new, [false, false, true, true]);
        assert_eq!(
            current.place(&options()).map(|place| place.ordinal),
            Some(4)
        );
    }

    #[test]
    fn another_change_in_the_place_of_the_last_one_is_fatal() {
        let inside = Inside {
            commit: Lsn(200),
            ordinal: 1,
            row: Lsn(150),
            relation: 7,
            options: options(),
        };
        let stored = offset(100, Some(inside));
        let begin = |commit, options: Arc<str>| Current::begin(&stored, Lsn(commit), &options);
        assert!(
            begin(200, options())
                .expect("begins")
                .count(Lsn(151), 7)
                .is_err()
        );
        assert!(
            begin(200, options())
                .expect("begins")
                .count(Lsn(150), 8)
                .is_err()
        );
        assert!(begin(200, options()).expect("begins").check_end().is_err());
        assert_eq!(
            begin(200, "other".into()).expect_err("options").code,
            Some("TL0313")
        );
        assert_eq!(
            begin(300, options()).expect_err("skipped").code,
            Some("TL0313")
        );
        // One that is wholly in the log may come before it.
        assert!(begin(99, options()).is_ok());
    }
}
