//! What is stored in the log so that a restart goes on where it must: offset v1.
//!
//! Owns the form of both kinds of source partition, each a flat JSON object:
//!
//! * the stream, `{"server": prefix}` → `{"v":1, "state", "system", "timeline", "slot", "consistent", "lsn"}`, and inside
//!   a transaction also `{"tx_commit", "tx_ordinal", "tx_row", "tx_relation", "tx_options"}`. `state` is `intent` before
//!   the slot is made and `ready` after. A transaction is delivered iff its commit LSN is at or after `lsn`; of the
//!   one that begins at `tx_commit` the first `tx_ordinal` changes are in the log.
//! * each table, `{"server": prefix, "schema": …, "table": …}` → `{"v":1, "snapshot", "relid", "lsn"}`. `snapshot` is
//!   `pending`, `begun`, `done`, `skipped` (streamed without having been read) or `again`. Transactions that committed before
//!   `lsn` are part of what was read, so the stream's changes of that table are left out below it.
//!
//! **Reading tables again** (`tapline resnapshot`): store `{"v":1,"snapshot":"again"}` for a table's partition, see
//! [`again`]. The next start empties the target's table by a barrier, reads it under a fresh snapshot, and leaves out
//! the changes that the snapshot holds. Forgetting a table's partition reads it too, without the barrier; forgetting
//! all partitions starts as if for the first time.

use crate::lsn::Lsn;
use std::sync::Arc;
use tapline_sdk::{Error, Position, Result, Scalar};

/// The version of the form.
const VERSION: i64 = 1;

/// The stream's position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamOffset {
    /// The cluster's system identifier.
    pub system: Arc<str>,
    /// The timeline that `end` is on.
    pub timeline: u32,
    /// The slot.
    pub slot: Arc<str>,
    /// What is known of the slot.
    pub stage: Stage,
    /// Where the slot's stream begins.
    pub consistent: Lsn,
    /// The end of the last whole transaction.
    pub end: Lsn,
    /// Set if a part of the transaction after that is in the log.
    pub inside: Option<Inside>,
}

/// What is known of the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It may or may not have been made, and nothing was read from it.
    Intent,
    /// It was made.
    Ready,
}

/// A place inside a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// The transaction's commit LSN.
    pub commit: Lsn,
    /// How many of its changes are in the log or were filtered.
    pub ordinal: u64,
    /// The LSN of the last of them.
    pub row: Lsn,
    /// The relation of the last of them, by oid.
    pub relation: u32,
    /// What decided which changes the server sent.
    pub options: Arc<str>,
}

/// How far one table's snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableOffset {
    /// How far.
    pub stage: TableStage,
    /// `pg_class.oid` when it was read: a table that was made anew under the same name is another one.
    pub relid: u32,
    /// Transactions that committed before this are in what was read.
    pub lsn: Lsn,
}

/// How far one table's snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableStage {
    /// It is to be read, and nothing of it is in the log.
    Pending,
    /// Rows of an unfinished reading are in the log.
    Begun,
    /// All rows are in the log.
    Done,
    /// The stream goes on without the rows before it.
    Skipped,
    /// It is to be read again.
    Again,
}

impl StreamOffset {
    /// The offset as it is stored.
    #[must_use]
    pub fn position(&self) -> Position {
        let mut position = Position::from([
            ("v".into(), Scalar::Int(VERSION)),
            (
                "state".into(),
                text(if self.stage == Stage::Intent {
                    "intent"
                } else {
                    "ready"
                }),
            ),
            ("system".into(), Scalar::Text(Arc::clone(&self.system))),
            ("timeline".into(), Scalar::Int(i64::from(self.timeline))),
            ("slot".into(), Scalar::Text(Arc::clone(&self.slot))),
            ("consistent".into(), lsn(self.consistent)),
            ("lsn".into(), lsn(self.end)),
        ]);
        if let Some(inside) = &self.inside {
            position.extend([
                ("tx_commit".into(), lsn(inside.commit)),
                (
                    "tx_ordinal".into(),
                    Scalar::Int(inside.ordinal.cast_signed()),
                ),
                ("tx_row".into(), lsn(inside.row)),
                (
                    "tx_relation".into(),
                    Scalar::Int(i64::from(inside.relation)),
                ),
                (
                    "tx_options".into(),
                    Scalar::Text(Arc::clone(&inside.options)),
                ),
            ]);
        }
        position
    }

    /// Reads a stored offset.
    ///
    /// # Errors
    /// TL0316 if it has another form.
    pub fn read(position: &Position) -> Result<Self> {
        let read = Reader::new(position)?;
        let inside = match position.get("tx_commit") {
            None | Some(Scalar::Null) => None,
            Some(_) => Some(Inside {
                commit: read.lsn("tx_commit")?,
                ordinal: read.number("tx_ordinal")?,
                row: read.lsn("tx_row")?,
                relation: read.number("tx_relation")?,
                options: read.text("tx_options")?,
            }),
        };
        Ok(Self {
            system: read.text("system")?,
            timeline: read.number("timeline")?,
            slot: read.text("slot")?,
            stage: match &*read.text("state")? {
                "intent" => Stage::Intent,
                "ready" => Stage::Ready,
                _ => return Err(read.wrong("state")),
            },
            consistent: read.lsn("consistent")?,
            end: read.lsn("lsn")?,
            inside,
        })
    }
}

impl TableOffset {
    /// The offset as it is stored.
    #[must_use]
    pub fn position(&self) -> Position {
        let stage = match self.stage {
            TableStage::Pending => "pending",
            TableStage::Begun => "begun",
            TableStage::Done => "done",
            TableStage::Skipped => "skipped",
            TableStage::Again => "again",
        };
        Position::from([
            ("v".into(), Scalar::Int(VERSION)),
            ("snapshot".into(), text(stage)),
            ("relid".into(), Scalar::Int(i64::from(self.relid))),
            ("lsn".into(), lsn(self.lsn)),
        ])
    }

    /// Reads a stored offset.
    ///
    /// # Errors
    /// TL0316 if it has another form.
    pub fn read(position: &Position) -> Result<Self> {
        let read = Reader::new(position)?;
        let stage = match &*read.text("snapshot")? {
            "pending" => TableStage::Pending,
            "begun" => TableStage::Begun,
            "done" => TableStage::Done,
            "skipped" => TableStage::Skipped,
            "again" => {
                return Ok(Self {
                    stage: TableStage::Again,
                    relid: 0,
                    lsn: Lsn::NONE,
                });
            }
            _ => return Err(read.wrong("snapshot")),
        };
        Ok(Self {
            stage,
            relid: read.number("relid")?,
            lsn: read.lsn("lsn")?,
        })
    }
}

/// The source partition of a table.
#[must_use]
pub fn table_partition(prefix: &Arc<str>, schema: &str, table: &str) -> Position {
    Position::from([
        ("server".into(), Scalar::Text(Arc::clone(prefix))),
        ("schema".into(), text(schema)),
        ("table".into(), text(table)),
    ])
}

/// The schema and name of a table's source partition; `None` for any other partition.
#[must_use]
pub fn table_of(partition: &Position) -> Option<(&str, &str)> {
    match (partition.get("schema"), partition.get("table")) {
        (Some(Scalar::Text(schema)), Some(Scalar::Text(table))) => Some((schema, table)),
        _ => None,
    }
}

/// The offset to store for a table that is to be read again.
#[must_use]
pub fn again() -> Position {
    Position::from([
        ("v".into(), Scalar::Int(VERSION)),
        ("snapshot".into(), text("again")),
    ])
}

fn text(text: &str) -> Scalar {
    Scalar::Text(text.into())
}

fn lsn(lsn: Lsn) -> Scalar {
    Scalar::Text(lsn.to_string().into())
}

struct Reader<'a>(&'a Position);

impl<'a> Reader<'a> {
    fn new(position: &'a Position) -> Result<Self> {
        let reader = Self(position);
        match position.get("v") {
            Some(Scalar::Int(VERSION)) => Ok(reader),
            _ => Err(reader.wrong("v")),
        }
    }

    fn text(&self, name: &str) -> Result<Arc<str>> {
        match self.0.get(name) {
            Some(Scalar::Text(text)) => Ok(Arc::clone(text)),
            _ => Err(self.wrong(name)),
        }
    }

    fn lsn(&self, name: &str) -> Result<Lsn> {
        self.text(name)?.parse().map_err(|_| self.wrong(name))
    }

    fn number<T: TryFrom<i64>>(&self, name: &str) -> Result<T> {
        let Some(Scalar::Int(number)) = self.0.get(name) else {
            return Err(self.wrong(name));
        };
        T::try_from(*number).map_err(|_| self.wrong(name))
    }

    fn wrong(&self, name: &str) -> Error {
        Error::config(format!("stored offset has no usable `{name}`"))
            .code("TL0316")
            .remedy("set the offset as `tapline offsets show` prints one, or forget it to read every table anew")
    }
}

#[cfg(test)]
mod tests {
    use super::{Inside, Stage, StreamOffset, TableOffset, TableStage, again};
    use crate::lsn::Lsn;
    use tapline_sdk::Scalar;

    fn offset(inside: Option<Inside>) -> StreamOffset {
        StreamOffset {
            system: "7300000000000000000".into(),
            timeline: 1,
            slot: "tapline_shop".into(),
            stage: Stage::Ready,
            consistent: Lsn(0x100),
            end: Lsn(0x1_0000_0200),
            inside,
        }
    }

    #[test]
    fn an_offset_is_read_as_it_was_stored() {
        let inside = Inside {
            commit: Lsn(9),
            ordinal: 3,
            row: Lsn(7),
            relation: 16_400,
            options: "p".into(),
        };
        for offset in [
            offset(None),
            offset(Some(inside)),
            StreamOffset {
                stage: Stage::Intent,
                ..offset(None)
            },
        ] {
            assert_eq!(StreamOffset::read(&offset.position()).ok(), Some(offset));
        }
        for stage in [
            TableStage::Pending,
            TableStage::Begun,
            TableStage::Done,
            TableStage::Skipped,
        ] {
            let table = TableOffset {
                stage,
                relid: 16_400,
                lsn: Lsn(5),
            };
            assert_eq!(TableOffset::read(&table.position()).ok(), Some(table));
        }
        let stage = TableOffset::read(&again()).map(|table| table.stage);
        assert_eq!(stage.ok(), Some(TableStage::Again));
    }

    #[test]
    fn the_form_of_version_1_stays() {
        let shown: Vec<String> = offset(None)
            .position()
            .iter()
            .map(|(name, value)| match value {
                Scalar::Text(text) => format!("{name}={text}"),
                Scalar::Int(number) => format!("{name}={number}"),
                other => format!("{name}={other:?}"),
            })
            .collect();
        assert_eq!(
            shown.join(" "),
            "consistent=0/100 lsn=1/200 slot=tapline_shop state=ready system=7300000000000000000 timeline=1 v=1"
        );
    }

    #[test]
    fn a_damaged_offset_is_an_error_that_names_the_part() {
        for name in [
            "v",
            "state",
            "system",
            "timeline",
            "slot",
            "consistent",
            "lsn",
        ] {
            let mut position = offset(None).position();
            position.insert(name.into(), Scalar::Bool(true));
            let error = StreamOffset::read(&position).expect_err("damaged");
            assert!(error.context.contains(name), "{}", error.context);
            assert_eq!(error.code, Some("TL0316"));
        }
    }
}
