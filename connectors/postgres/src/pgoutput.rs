//! Messages of the pgoutput plugin, protocol version 1.
//!
//! Owns their layout. Tuples are not read here: a message says where in its payload they begin, so that a row that is
//! skipped costs nothing and a row that is read is read once.

use crate::{
    lsn::Lsn,
    schema::{Relation, RelationColumn, ReplicaIdentity},
};
use std::sync::Arc;

/// Microseconds from 1970 to 2000, the server's epoch.
const EPOCH_US: i64 = 946_684_800_000_000;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A transaction begins.
    Begin {
        /// Where its commit lies.
        commit: Lsn,
        /// When it committed, microseconds since 1970.
        time_us: i64,
        /// Its id.
        xid: u32,
    },
    /// A transaction ends.
    Commit {
        /// Where its commit lies.
        commit: Lsn,
        /// Where its commit ends.
        end: Lsn,
    },
    /// The transaction was replicated from elsewhere.
    Origin {
        /// Its position there.
        lsn: Lsn,
        /// The origin's name.
        name: Arc<str>,
    },
    /// What the following rows of a table look like.
    Relation(Relation),
    /// A row change.
    Row(RowChange),
    /// Tables were emptied.
    Truncate {
        /// Which.
        relids: Vec<u32>,
    },
    /// A type's name, or a logical message: nothing to do.
    Other,
}

/// Where a row change's parts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowChange {
    /// `I`, `U` or `D`.
    pub operation: u8,
    /// The table.
    pub relid: u32,
    /// `K` or `O`, if there is an old image, and where in the payload its tuple begins.
    pub old: Option<u8>,
    /// Where the first tuple begins: the old image's, or the new row's.
    pub at: usize,
}

/// Reads a row change, the hot path.
#[must_use]
pub fn row_change(payload: &[u8]) -> Option<RowChange> {
    let (&operation, rest) = payload.split_first()?;
    let (relid, rest) = rest.split_first_chunk::<4>()?;
    let kind = *rest.first()?;
    let old = match (operation, kind) {
        (b'I' | b'U', b'N') => None,
        (b'U' | b'D', b'K' | b'O') => Some(kind),
        _ => return None,
    };
    Some(RowChange {
        operation,
        relid: u32::from_be_bytes(*relid),
        old,
        at: 6,
    })
}

/// Reads any message; `None` if it is cut short or unknown.
#[must_use]
pub fn parse(payload: &[u8]) -> Option<Message> {
    let mut reader = Reader(payload);
    Some(match reader.u8()? {
        b'B' => {
            let (commit, time_us, xid) = (reader.lsn()?, reader.time()?, reader.u32()?);
            Message::Begin {
                commit,
                time_us,
                xid,
            }
        }
        b'C' => {
            reader.u8()?;
            Message::Commit {
                commit: reader.lsn()?,
                end: reader.lsn()?,
            }
        }
        b'O' => Message::Origin {
            lsn: reader.lsn()?,
            name: reader.text()?,
        },
        b'R' => Message::Relation(relation(&mut reader)?),
        b'I' | b'U' | b'D' => Message::Row(row_change(payload)?),
        b'T' => {
            let count = reader.u32()?;
            reader.u8()?;
            Message::Truncate {
                relids: (0..count).map(|_| reader.u32()).collect::<Option<_>>()?,
            }
        }
        b'Y' | b'M' => Message::Other,
        _ => return None,
    })
}

fn relation(reader: &mut Reader<'_>) -> Option<Relation> {
    let relid = reader.u32()?;
    let schema = reader.text()?;
    let table = reader.text()?;
    let identity = ReplicaIdentity::from_byte(reader.u8()?)?;
    let mut columns = Vec::new();
    for _ in 0..reader.u16()? {
        let in_identity = reader.u8()? & 1 != 0;
        let (name, type_oid, typmod) = (reader.text()?, reader.u32()?, reader.u32()?);
        columns.push(RelationColumn {
            name,
            type_oid,
            typmod: typmod.cast_signed(),
            in_identity,
        });
    }
    // An empty name stands for pg_catalog.
    let schema = if schema.is_empty() {
        "pg_catalog".into()
    } else {
        schema
    };
    Some(Relation {
        relid,
        schema,
        table,
        identity,
        columns,
    })
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn lsn(&mut self) -> Option<Lsn> {
        self.take().map(u64::from_be_bytes).map(Lsn)
    }

    fn time(&mut self) -> Option<i64> {
        self.take()
            .map(i64::from_be_bytes)
            .map(|time| time.saturating_add(EPOCH_US))
    }

    fn text(&mut self) -> Option<Arc<str>> {
        let end = memchr::memchr(0, self.0)?;
        let (text, rest) = self.0.split_at_checked(end)?;
        self.0 = rest.get(1..)?;
        std::str::from_utf8(text).ok().map(Arc::from)
    }
}

#[cfg(test)]
mod tests {
    use super::{Message, RowChange, parse};
    use crate::lsn::Lsn;

    fn bytes(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    #[test]
    fn begin_and_commit_carry_their_positions() {
        let begin = bytes(&[
            b"B",
            &16_u64.to_be_bytes(),
            &1_i64.to_be_bytes(),
            &7_u32.to_be_bytes(),
        ]);
        let time_us = 946_684_800_000_001;
        assert_eq!(
            parse(&begin),
            Some(Message::Begin {
                commit: Lsn(16),
                time_us,
                xid: 7
            })
        );
        let commit = bytes(&[
            b"C\0",
            &16_u64.to_be_bytes(),
            &32_u64.to_be_bytes(),
            &1_i64.to_be_bytes(),
        ]);
        assert_eq!(
            parse(&commit),
            Some(Message::Commit {
                commit: Lsn(16),
                end: Lsn(32)
            })
        );
    }

    #[test]
    fn a_relation_lists_its_columns() {
        let message = bytes(&[
            b"R\0\0\0\x05s\0t\0d\0\x01",
            b"\x01id\0",
            &23_u32.to_be_bytes(),
            &(-1_i32).to_be_bytes(),
        ]);
        let Some(Message::Relation(relation)) = parse(&message) else {
            panic!("no relation")
        };
        assert_eq!(
            (&*relation.schema, &*relation.table, relation.relid),
            ("s", "t", 5)
        );
        let column = &relation.columns[0];
        assert_eq!(
            (
                &*column.name,
                column.type_oid,
                column.typmod,
                column.in_identity
            ),
            ("id", 23, -1, true)
        );
    }

    #[test]
    fn a_row_change_says_where_its_tuples_are() {
        let row = |message: &[u8]| match parse(message) {
            Some(Message::Row(row)) => Some(row),
            _ => None,
        };
        let insert = RowChange {
            operation: b'I',
            relid: 9,
            old: None,
            at: 6,
        };
        assert_eq!(row(b"I\0\0\0\x09N\0\0"), Some(insert));
        assert_eq!(
            row(b"D\0\0\0\x09K\0\0"),
            Some(RowChange {
                operation: b'D',
                old: Some(b'K'),
                ..insert
            })
        );
        assert_eq!(row(b"D\0\0\0\x09N\0\0"), None);
    }

    #[test]
    fn what_is_cut_short_is_no_message() {
        let relation = bytes(&[
            b"R\0\0\0\x05s\0t\0d\0\x01",
            b"\x01id\0",
            &23_u32.to_be_bytes(),
            &(-1_i32).to_be_bytes(),
        ]);
        for end in 0..relation.len() {
            assert_eq!(parse(&relation[..end]), None, "{end}");
        }
        assert_eq!(parse(b"?"), None);
    }
}
