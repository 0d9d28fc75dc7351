//! Large values that a change of the key did not send: the row moves to another key, where no older record of it can
//! supply them, so they are asked for by the new key.
//!
//! A change can be streamed before its commit is visible to other sessions, so that is waited for first. The answer is
//! the row of now. It may be newer than the change; what made it so follows in the stream. A row that is
//! gone leaves the values unavailable, and its delete follows.

use crate::{
    lsn::Lsn,
    pgoutput::RowChange,
    schema::Relation,
    types::{TupleData, TupleSpans},
    wire::{Reply, quote_identifier, quote_literal},
};

/// A change whose values are asked for.
#[derive(Debug)]
pub struct Reselect {
    /// The change's place.
    pub start: Lsn,
    /// The transaction, as its 32 bits.
    pub xid: u32,
    /// The query for the values, in the order of `columns`.
    pub sql: String,
    payload: Vec<u8>,
    columns: Vec<usize>,
    /// Where the new row begins in `payload`.
    at: usize,
}

impl Reselect {
    /// What is to be asked for, if the change moves a row to another key and lacks values.
    pub fn of(
        relation: &Relation,
        start: Lsn,
        payload: &[u8],
        change: RowChange,
        xid: u32,
    ) -> Option<Self> {
        let (mut old, mut new) = (TupleSpans::default(), TupleSpans::default());
        let at = old.read_pgoutput(payload, change.at).ok()? + 1;
        new.read_pgoutput(payload, at).ok()?;
        let (old, new) = (old.view(payload), new.view(payload));
        let columns: Vec<usize> = (0..new.len())
            .filter(|&at| new.get(at) == TupleData::Unchanged)
            .collect();
        if columns.is_empty() {
            return None;
        }
        let mut conditions = Vec::new();
        let mut moved = false;
        for (at, column) in relation
            .columns
            .iter()
            .enumerate()
            .filter(|(_, column)| column.in_identity)
        {
            let TupleData::Text(value) = new.get(at) else {
                return None;
            };
            moved |= old.get(at) != new.get(at);
            let literal = quote_literal(std::str::from_utf8(value).ok()?);
            conditions.push(format!("{} = {literal}", quote_identifier(&column.name)));
        }
        if !moved || conditions.is_empty() {
            return None;
        }
        let names = columns.iter().filter_map(|&at| relation.columns.get(at));
        let names: Vec<String> = names.map(|column| quote_identifier(&column.name)).collect();
        let sql = format!(
            "select {} from {}.{} where {} limit 1",
            names.join(", "),
            quote_identifier(&relation.schema),
            quote_identifier(&relation.table),
            conditions.join(" and ")
        );
        Some(Self {
            start,
            xid,
            sql,
            payload: payload.to_vec(),
            columns,
            at,
        })
    }

    /// The change with the values that were found, as the server would have sent it.
    #[must_use]
    pub fn filled(&self, found: &Reply) -> Vec<u8> {
        let (Some(row), Some(head)) = (found.first(), self.payload.get(..self.at)) else {
            return self.payload.clone();
        };
        let mut new = TupleSpans::default();
        if new.read_pgoutput(&self.payload, self.at).is_err() {
            return self.payload.clone();
        }
        let tuple = new.view(&self.payload);
        let mut filled = head.to_vec();
        filled.extend_from_slice(&u16::try_from(tuple.len()).unwrap_or(u16::MAX).to_be_bytes());
        for column in 0..tuple.len() {
            let asked = self.columns.iter().position(|&at| at == column);
            match (asked.and_then(|at| row.get(at)), tuple.get(column)) {
                (Some(Some(value)), _) => text(&mut filled, value.as_bytes()),
                (Some(None), _) | (None, TupleData::Null) => filled.push(b'n'),
                (None, TupleData::Unchanged) => filled.push(b'u'),
                (None, TupleData::Text(value) | TupleData::Binary(value)) => {
                    text(&mut filled, value);
                }
            }
        }
        filled
    }
}

/// A transaction's id in 64 bits, from another one of about the same time: no two that are open together are 2^31 apart.
#[must_use]
pub fn whole_xid(xid: u32, near: u64) -> u64 {
    let low = near & u64::from(u32::MAX);
    let distance = xid
        .wrapping_sub(u32::try_from(low).unwrap_or_default())
        .cast_signed();
    near.saturating_add_signed(i64::from(distance))
}

fn text(into: &mut Vec<u8>, value: &[u8]) {
    into.push(b't');
    into.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
    into.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::whole_xid;

    #[test]
    fn an_xid_gets_the_epoch_of_its_neighbour() {
        let epoch = 1_u64 << 32;
        assert_eq!(whole_xid(700, 750), 700);
        assert_eq!(whole_xid(760, 750), 760);
        assert_eq!(whole_xid(u32::MAX, epoch + 5), epoch - 1);
        assert_eq!(whole_xid(3, epoch - 1), epoch + 3);
    }
}
