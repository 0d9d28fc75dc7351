//! A batch that is being filled, with what its records share: shapes, constant texts, header values.

use super::plan::TablePlan;
use std::sync::Arc;
use tapline_sdk::{Rows, Transaction};

/// A row operation of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// INSERT.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
}

/// Where a record stands in a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotMarker {
    /// `true`.
    Row,
    /// `first`.
    First,
    /// `first_in_data_collection`.
    FirstInTable,
    /// `last_in_data_collection`.
    LastInTable,
    /// `last`.
    Last,
    /// `false`: a streamed change.
    Streamed,
    /// `incremental`.
    Incremental,
}

impl SnapshotMarker {
    /// The text in the source block.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Row => "true",
            Self::First => "first",
            Self::FirstInTable => "first_in_data_collection",
            Self::LastInTable => "last_in_data_collection",
            Self::Last => "last",
            Self::Streamed => "false",
            Self::Incremental => "incremental",
        }
    }
}

/// The replication origin of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its name.
    pub name: Arc<str>,
    /// The origin's own position.
    pub lsn: u64,
}

/// What is known of a change beside its row.
#[derive(Debug, Clone)]
pub struct ChangeMeta {
    /// Streamed, or which place in a snapshot.
    pub snapshot: SnapshotMarker,
    /// The row's position: of its message in the stream, of the snapshot's consistent point in a snapshot.
    pub lsn: Option<u64>,
    /// The previous transaction's commit position; `None` until one was streamed.
    pub last_commit_lsn: Option<u64>,
    /// Microseconds since 1970: the commit's in the stream, the snapshot's in a snapshot.
    pub commit_time_us: i64,
    /// Microseconds since 1970: now, by the connector's clock.
    pub now_us: i64,
    /// The transaction's id, as `source.txId`.
    pub xid: Option<u32>,
    /// `source.xmin`.
    pub xmin: Option<i64>,
    /// Where the transaction came from.
    pub origin: Option<Origin>,
    /// Set on every record of the change.
    pub transaction: Option<Transaction>,
}

/// Records of one batch under construction. Cells and shapes that records share are made once per batch.
#[derive(Debug, Default)]
pub struct ChangeBatch {
    rows: Rows,
}

impl ChangeBatch {
    /// An empty batch with room for about this many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            rows: Rows::with_capacity(bytes),
        }
    }

    /// The records so far.
    #[must_use]
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Marks the record pushed last as its transaction's last one.
    pub fn end_transaction(&mut self) {
        self.rows.end_transaction();
    }

    /// Takes the records, leaving an empty batch with room for about this many bytes.
    pub fn take(&mut self, bytes: usize) -> Rows {
        std::mem::replace(self, Self::with_capacity(bytes)).rows
    }

    pub(super) fn rows_mut(&mut self) -> &mut Rows {
        &mut self.rows
    }
}

#[expect(dead_code, reason = "the interface comes first; what fills it follows")]
fn unused(plan: &TablePlan, batch: &mut ChangeBatch) {
    let _ = (plan, batch.rows_mut());
}
