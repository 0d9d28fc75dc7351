//! From plugin messages to records: transactions, ordinals, filters, and the position behind what was decoded.
//!
//! Owns no I/O: what needs the catalogue is handed back as a [`Step`].

use super::{
    BATCH_BYTES,
    relations::{Known, Relations, TableName, Treatment},
    reselect::Reselect,
    transaction::{Current, lost},
};
use crate::{
    envelope::{ChangeBatch, ChangeMeta, OldImage, Operation, Origin, RowError, SnapshotMarker},
    error::protocol,
    lsn::Lsn,
    offset::StreamOffset,
    pgoutput::{self, Message, RowChange},
    schema::Relation,
    types::TupleSpans,
};
use std::sync::Arc;
use tapline_sdk::{Error, Result, Rows, Transaction};

/// What the reader does next.
#[derive(Debug)]
pub enum Step {
    /// On to the next frame.
    Next,
    /// The batch is full: hand it over.
    Full,
    /// Learn what a table looks like.
    Relation(Relation),
    /// Learn an enum's label and give the frame again.
    UnknownLabel {
        /// The table.
        relid: u32,
        /// The enum.
        type_oid: u32,
        /// The label.
        label: String,
    },
    /// Ask for values that the change lacks and give it again with [`Decoder::filled`].
    Reselect(Box<Reselect>),
    /// Stop: a table must be read first.
    NewTable {
        /// Which.
        name: TableName,
    },
}

/// The state of decoding.
pub struct Decoder {
    /// The position behind what was decoded.
    pub offset: StreamOffset,
    /// What tables look like.
    pub relations: Relations,
    /// The connector's clock, set at each read.
    pub now_us: i64,
    options: Arc<str>,
    batch: ChangeBatch,
    current: Option<Current>,
    meta: ChangeMeta,
    /// How many records of the transaction at hand are in the batch.
    records: usize,
    old: TupleSpans,
    new: TupleSpans,
}

impl Decoder {
    /// Goes on at `offset`.
    #[must_use]
    pub fn new(offset: StreamOffset, options: Arc<str>, relations: Relations) -> Self {
        Self {
            offset,
            relations,
            now_us: crate::clock::now_us(),
            options,
            batch: ChangeBatch::with_capacity(BATCH_BYTES),
            current: None,
            meta: ChangeMeta {
                snapshot: SnapshotMarker::Streamed,
                lsn: None,
                last_commit_lsn: None,
                commit_time_us: 0,
                now_us: 0,
                xid: None,
                xmin: None,
                origin: None,
                transaction: None,
            },
            records: 0,
            old: TupleSpans::default(),
            new: TupleSpans::default(),
        }
    }

    /// Whether records wait to be handed over.
    #[must_use]
    pub fn has_rows(&self) -> bool {
        !self.batch.rows().is_empty()
    }

    /// Whether a transaction is at hand whose end has not been read.
    #[must_use]
    pub fn in_transaction(&self) -> bool {
        self.current.is_some()
    }

    /// The transaction at hand, as its 32 bits.
    #[must_use]
    pub fn xid(&self) -> Option<u32> {
        self.current.as_ref().and(self.meta.xid)
    }

    /// How far behind its commit the last transaction was decoded.
    #[must_use]
    pub fn lag_us(&self) -> i64 {
        if self.current.is_some() {
            self.now_us.saturating_sub(self.meta.commit_time_us)
        } else {
            0
        }
    }

    /// The records so far with the position behind them.
    pub fn take(&mut self, bytes: usize) -> (Rows, StreamOffset) {
        if let Some(current) = &self.current
            && let Some(place) = current.place(&self.options)
        {
            self.offset.inside = Some(place);
        }
        self.records = 0;
        (self.batch.take(bytes), self.offset.clone())
    }

    /// Outside a transaction the server's end is ours: it has sent everything that committed before.
    ///
    /// # Errors
    /// TL0313 if a transaction that is partly in the log lies before that and did not come.
    pub fn keep_alive(&mut self, end: Lsn) -> Result<()> {
        if self.current.is_some() {
            return Ok(());
        }
        match &self.offset.inside {
            None => self.offset.end = self.offset.end.max(end),
            Some(inside) if inside.commit < end => {
                return Err(lost(inside, "the server no longer sends it"));
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Decodes one message.
    ///
    /// # Errors
    /// If the message breaks the protocol, a row cannot be decoded, or a stored place is not found again.
    pub fn data(&mut self, start: Lsn, payload: &[u8]) -> Result<Step> {
        if let Some(row) = payload
            .first()
            .filter(|tag| matches!(tag, b'I' | b'U' | b'D'))
        {
            let change = pgoutput::row_change(payload).ok_or_else(|| cut_short(*row))?;
            return self.row(start, payload, change, false);
        }
        let message = pgoutput::parse(payload)
            .ok_or_else(|| cut_short(payload.first().copied().unwrap_or(b'?')))?;
        match message {
            Message::Begin {
                commit,
                time_us,
                xid,
            } => self.begin(commit, time_us, xid),
            Message::Commit { commit, end } => self.commit(commit, end),
            Message::Origin { lsn, name } => {
                self.meta.origin = Some(Origin { name, lsn: lsn.0 });
                Ok(Step::Next)
            }
            Message::Relation(relation) => Ok(Step::Relation(relation)),
            Message::Truncate { relids } => self.truncate(start, &relids),
            Message::Row(_) | Message::Other => Ok(Step::Next),
        }
    }

    fn begin(&mut self, commit: Lsn, time_us: i64, xid: u32) -> Result<Step> {
        self.current = Some(Current::begin(&self.offset, commit, &self.options)?);
        self.records = 0;
        self.meta.commit_time_us = time_us;
        self.meta.xid = Some(xid);
        self.meta.origin = None;
        Ok(Step::Next)
    }

    fn commit(&mut self, commit: Lsn, end: Lsn) -> Result<Step> {
        let current = self
            .current
            .take()
            .ok_or_else(|| protocol("a commit came without its begin"))?;
        current.check_end()?;
        if current.commit >= self.offset.end {
            self.offset.inside = None;
            self.offset.end = end;
            if self.records > 0 {
                self.batch.end_transaction();
            }
        }
        self.meta.last_commit_lsn = Some(commit.0);
        self.full()
    }

    /// Decodes a row change that has got what it lacked, as far as that was found.
    ///
    /// # Errors
    /// As [`Decoder::data`].
    pub fn filled(&mut self, start: Lsn, payload: &[u8]) -> Result<Step> {
        let change = pgoutput::row_change(payload).ok_or_else(|| cut_short(b'U'))?;
        self.row(start, payload, change, true)
    }

    fn row(&mut self, start: Lsn, payload: &[u8], change: RowChange, filled: bool) -> Result<Step> {
        let Some(known) = self.relations.get(change.relid) else {
            return Err(protocol("a row came before its relation"));
        };
        let current = self
            .current
            .as_mut()
            .ok_or_else(|| protocol("a row came outside a transaction"))?;
        let before = current.mark();
        if !current.count(start, change.relid)? {
            return Ok(Step::Next);
        }
        match &known.treatment {
            Treatment::Deliver(read_to) if current.commit >= *read_to => {}
            Treatment::Deliver(_) | Treatment::Ignore => return Ok(Step::Next),
            Treatment::New => {
                // What was counted is decoded after the restart.
                let name = known.name();
                current.rewind(before);
                return Ok(Step::NewTable { name });
            }
        }
        if (change.operation, change.old, filled) == (b'U', Some(b'K'), false)
            && let Some(ask) = Reselect::of(
                known.relation(),
                start,
                payload,
                change,
                self.meta.xid.unwrap_or_default(),
            )
        {
            current.rewind(before);
            return Ok(Step::Reselect(Box::new(ask)));
        }
        describe(&mut self.meta, current, start, self.now_us);
        let pushed = push(
            known,
            &mut self.batch,
            &self.meta,
            (&mut self.old, &mut self.new),
            payload,
            change,
        );
        match pushed {
            Ok(records) => self.records += records,
            Err(RowError::UnknownLabel { type_oid, label }) => {
                current.rewind(before);
                return Ok(Step::UnknownLabel {
                    relid: change.relid,
                    type_oid,
                    label,
                });
            }
            Err(error) => {
                return Err(undecodable(
                    start,
                    &self.relations.name(change.relid),
                    error,
                ));
            }
        }
        self.full()
    }

    fn truncate(&mut self, start: Lsn, relids: &[u32]) -> Result<Step> {
        let current = self
            .current
            .as_mut()
            .ok_or_else(|| protocol("a truncate came outside a transaction"))?;
        if !current.count(start, relids.first().copied().unwrap_or_default())? {
            return Ok(Step::Next);
        }
        describe(&mut self.meta, current, start, self.now_us);
        for relid in relids {
            let Some(known) = self.relations.get(*relid) else {
                return Err(protocol("a truncate came before its relation"));
            };
            if matches!(known.treatment, Treatment::Deliver(read_to) if current.commit >= read_to) {
                let pushed = known.plan.truncate(&mut self.batch, &self.meta);
                self.records += pushed
                    .map_err(|error| undecodable(start, &self.relations.name(*relid), error))?;
            }
        }
        self.full()
    }

    fn full(&self) -> Result<Step> {
        Ok(if self.batch.rows().size_bytes() >= BATCH_BYTES {
            Step::Full
        } else {
            Step::Next
        })
    }
}

fn undecodable(start: Lsn, table: &str, error: RowError) -> Error {
    Error::fatal(format!("cannot decode a change of {table} at {start}"))
        .code("TL0314")
        .remedy("exclude the column with column.exclude.list, or the table, and report it")
        .because(error)
}

fn describe(meta: &mut ChangeMeta, current: &Current, start: Lsn, now_us: i64) {
    meta.lsn = Some(start.0);
    meta.now_us = now_us;
    meta.transaction = Some(Transaction {
        id: current.commit.0,
        // A label for consumers; our own place is counted in 64 bits.
        ordinal: u32::try_from(current.ordinal).unwrap_or(u32::MAX),
        last: false,
    });
}

fn push(
    known: &Known,
    batch: &mut ChangeBatch,
    meta: &ChangeMeta,
    (old, new): (&mut TupleSpans, &mut TupleSpans),
    payload: &[u8],
    change: RowChange,
) -> Result<usize, RowError> {
    let mut at = change.at;
    if change.old.is_some() {
        at = old.read_pgoutput(payload, at)?;
        // The new row follows with its own mark.
        at += 1;
    }
    let old = match change.old {
        Some(b'K') => Some(OldImage::Key(old.view(payload))),
        Some(_) => Some(OldImage::Full(old.view(payload))),
        None => None,
    };
    let operation = match change.operation {
        b'I' => Operation::Insert,
        b'U' => Operation::Update,
        _ => Operation::Delete,
    };
    if operation == Operation::Delete {
        return known.plan.change(batch, meta, operation, old, None);
    }
    new.read_pgoutput(payload, at)?;
    known
        .plan
        .change(batch, meta, operation, old, Some(new.view(payload)))
}

fn cut_short(tag: u8) -> Error {
    protocol(format!(
        "message {} of the plugin is cut short or unknown",
        char::from(tag)
    ))
}
