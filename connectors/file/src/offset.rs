//! Source partitions and offsets, in Kafka's form: `{"filename": …}` → `{"position": n}`.
//!
//! The form is version 0 and says nothing of which file it was. A later version adds the file's identity beside the
//! position, under names of its own, and says so with `v`; an offset that says so is refused here rather than half
//! understood.

use std::sync::Arc;
use tapline_sdk::{Error, Position, Scalar};

const FILENAME: &str = "filename";
const POSITION: &str = "position";
/// Names the version of an offset that holds more than a position.
const VERSION: &str = "v";

/// Where a restart goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Offset {
    /// Bytes before the first one that is not in the log. Kafka's source counts characters, and repeats or skips where
    /// they are not ASCII; for ASCII it is the same number.
    pub(crate) position: u64,
}

/// The source partition of a file: its name as the configuration has it.
pub(crate) fn partition(file: &str) -> Position {
    Position::from([(FILENAME.into(), Scalar::Text(Arc::from(file)))])
}

impl Offset {
    pub(crate) fn to_position(self) -> Position {
        // No file system has files beyond 8 EiB.
        let position = i64::try_from(self.position).unwrap_or(i64::MAX);
        Position::from([(POSITION.into(), Scalar::Int(position))])
    }

    /// Reads a stored offset.
    pub(crate) fn read(stored: &Position) -> Result<Self, Error> {
        if stored.contains_key(VERSION) {
            return Err(malformed("the offset was stored by a newer version"));
        }
        match stored.get(POSITION) {
            None | Some(Scalar::Null) => Ok(Self::default()),
            Some(Scalar::Int(position)) => u64::try_from(*position)
                .map(|position| Self { position })
                .map_err(|_| malformed("Offset position is negative")),
            Some(_) => Err(malformed("Offset position is the incorrect type")),
        }
    }
}

/// Checks offsets that somebody wants to set, with the rules, their order and the texts of Kafka's source.
pub(crate) fn check(to: &[(Position, Option<Position>)]) -> Result<(), Error> {
    for (partition, offset) in to {
        // Whatever stands there may be forgotten: that is how rubbish is cleaned up.
        let Some(offset) = offset else { continue };
        let Some(position) = offset.get(POSITION) else {
            return Err(malformed(
                "Offset objects should either be null or contain the key 'position'",
            ));
        };
        let Scalar::Int(position) = position else {
            return Err(malformed(
                "The value for the 'position' key in the offset is expected to be a Long value",
            ));
        };
        if *position < 0 {
            return Err(malformed(
                "The value for the 'position' key in the offset should be a non-negative value",
            ));
        }
        if !partition.contains_key(FILENAME) {
            return Err(malformed(
                "Partition objects should contain the key 'filename'",
            ));
        }
        if offset.contains_key(VERSION) {
            return Err(malformed("'v' names a version that does not exist yet"));
        }
    }
    Ok(())
}

/// Without a file there are no offsets to change: Kafka's text.
pub(crate) fn untracked() -> Error {
    malformed(
        "Offsets cannot be modified if the 'file' configuration is unspecified. This is because stdin is used for input \
         and offsets are not tracked.",
    )
}

fn malformed(problem: &str) -> Error {
    Error::config(problem).code("TL0511").remedy(
        "use the form {\"partition\": {\"filename\": \"…\"}, \"offset\": {\"position\": 0}}",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(partition: &str, key: &str, value: Scalar) -> [(Position, Option<Position>); 1] {
        let partition = Position::from([(partition.into(), Scalar::Text("a".into()))]);
        [(partition, Some(Position::from([(key.into(), value)])))]
    }

    #[test]
    fn offsets_are_checked_with_kafkas_texts() {
        let text = |to: &[_]| check(to).expect_err("refused").context;
        let long = "The value for the 'position' key in the offset is expected to be a Long value";
        assert_eq!(
            text(&pair(FILENAME, "place", Scalar::Int(1))),
            "Offset objects should either be null or contain the key 'position'"
        );
        for wrong in [Scalar::Text("1".into()), Scalar::Null, Scalar::Bool(true)] {
            assert_eq!(text(&pair(FILENAME, POSITION, wrong)), long);
        }
        assert_eq!(
            text(&pair(FILENAME, POSITION, Scalar::Int(-1))),
            "The value for the 'position' key in the offset should be a non-negative value"
        );
        assert_eq!(
            text(&pair("path", POSITION, Scalar::Int(1))),
            "Partition objects should contain the key 'filename'"
        );
        check(&pair(FILENAME, POSITION, Scalar::Int(7))).expect("a good one");
        check(&[(Position::new(), None)]).expect("anything may be forgotten");
    }

    #[test]
    fn an_offset_comes_back_and_a_newer_one_is_refused() {
        let offset = Offset { position: 1 << 40 };
        assert_eq!(Offset::read(&offset.to_position()).expect("ours"), offset);
        assert_eq!(Offset::read(&Position::new()).expect("none").position, 0);
        let mut newer = offset.to_position();
        newer.insert(VERSION.into(), Scalar::Int(1));
        assert_eq!(
            Offset::read(&newer).expect_err("refused").code,
            Some("TL0511")
        );
    }
}
