//! Applying changes inside a transaction: in runs per table, and where one fails, piece by piece.
//!
//! Tables are independent of each other (foreign keys are off where the role may switch them off; where not, the piecewise
//! way keeps the source's order). Within a table, truncates and key changes are barriers.

use super::{
    Failed, blame,
    encode::{CopyLines, TextArray},
    error::{DataError, Doing},
    plan::{Place, Plan},
    run::{Added, Fate, Run, Slot},
    session::Session,
    statement,
};
use crate::{
    change::{Action, Change, Changes},
    keys::{InsertMode, KeyMode},
    naming::TableName,
    settings::Settings,
};
use sqlx::AssertSqlSafe;
use std::{collections::HashMap, ops::Range, sync::Arc};
use tapline_sdk::{Arena, Cell, Error, RecordError, Rejected};

mod moves;
mod write;

/// The runtime puts the rest again once these are dead letters: more than this many at once only delays it.
const REJECTED_MAX: usize = 500;

/// Applies one batch's changes.
pub struct Applier<'a> {
    /// The connection, inside a transaction.
    pub session: &'a mut Session,
    /// What operators set.
    pub settings: &'a Settings,
    /// Where the cells are.
    pub arena: &'a Arena,
    /// What to apply.
    pub changes: &'a Changes,
    /// One per [`Changes::tables`].
    pub plans: &'a [Arc<Plan>],
    /// Tables where COPY met rows that exist, and how many runs go without it.
    pub copy_pauses: &'a mut HashMap<TableName, u32>,
    /// The bytes of the key at hand, kept for their memory.
    pub key: Vec<u8>,
}

/// Changes of one table that can be applied together.
enum Pending {
    Keyed(Run),
    Appends(Vec<usize>),
    Moves(Vec<usize>),
}

/// The pending changes of one table under one plan.
struct Open {
    table: u32,
    pending: Pending,
}

impl Applier<'_> {
    /// Applies all changes at once.
    pub async fn apply_all(&mut self) -> Result<(), Failed> {
        self.apply(0..self.changes.list.len()).await
    }

    /// Applies what can be applied, halving what fails, and returns what is left: in order, so that a change which
    /// fails only because of the order within a reduced batch succeeds here.
    pub async fn isolate(&mut self) -> Result<Vec<Rejected>, Error> {
        let mut rejected = Vec::new();
        let mut parts: Vec<Range<usize>> = Vec::new();
        parts.push(0..self.changes.list.len());
        while let Some(part) = parts.pop() {
            if part.is_empty() || rejected.len() >= REJECTED_MAX {
                continue;
            }
            self.session
                .savepoint("tapline_part")
                .await
                .map_err(super::session::task)?;
            let failed = match self.apply(part.clone()).await {
                Ok(()) => {
                    self.session
                        .release("tapline_part")
                        .await
                        .map_err(super::session::task)?;
                    continue;
                }
                Err(Failed::Task(error)) => return Err(error),
                Err(failed) => failed,
            };
            self.session
                .undo("tapline_part")
                .await
                .map_err(super::session::task)?;
            match failed {
                Failed::Row(at, error) => {
                    rejected.extend(self.rejection(at, error));
                    parts.push(at + 1..part.end);
                    parts.push(part.start..at);
                }
                failed if part.len() == 1 => {
                    let error = self.reason(part.start, failed).await?;
                    rejected.extend(self.rejection(part.start, error));
                }
                _ => {
                    let middle = part.start + part.len() / 2;
                    parts.push(middle..part.end);
                    parts.push(part.start..middle);
                }
            }
        }
        rejected.sort_by_key(|rejected| rejected.index);
        Ok(rejected)
    }

    fn rejection(&self, at: usize, error: RecordError) -> Option<Rejected> {
        let index = self.changes.list.get(at)?.index as usize;
        Some(Rejected { index, error })
    }

    async fn reason(&mut self, at: usize, failed: Failed) -> Result<RecordError, Error> {
        match failed {
            Failed::Task(error) => Err(error),
            Failed::Row(_, error) => Ok(error),
            Failed::Missing => Ok(RecordError::new(
                "the row is missing in the target, and the change leaves columns out (unchanged TOAST values) or finds \
                 rows by their old values",
            )),
            Failed::Data(data) => {
                let mut error = data.into_record_error();
                if error.field.is_none()
                    && let Some((change, plan)) = self.change(at)
                {
                    error.field = blame::column(self.session, &plan, self.arena, &change).await?;
                }
                Ok(error)
            }
        }
    }

    async fn apply(&mut self, part: Range<usize>) -> Result<(), Failed> {
        let mut open: Vec<Open> = Vec::new();
        for at in part {
            let Some((change, plan)) = self.change(at) else {
                continue;
            };
            if plan.exists {
                self.add(&mut open, at, &change, &plan).await?;
            }
        }
        for open in open {
            self.flush(open).await?;
        }
        Ok(())
    }

    fn change(&self, at: usize) -> Option<(Change, Arc<Plan>)> {
        let change = *self.changes.list.get(at)?;
        let plan = self.plans.get(change.table as usize)?;
        Some((change, Arc::clone(plan)))
    }

    async fn add(
        &mut self,
        open: &mut Vec<Open>,
        at: usize,
        change: &Change,
        plan: &Arc<Plan>,
    ) -> Result<(), Failed> {
        let keyless = plan.key.is_empty();
        let appends = keyless || self.settings.insert_mode == InsertMode::Insert;
        match change.action {
            Action::Truncate => {
                // What was pending would be emptied with the rest.
                drop(self.take(open, plan));
                self.truncate(plan).await
            }
            Action::Delete if keyless => {
                self.flush_table(open, plan).await?;
                self.delete_one(at, change.row, plan).await
            }
            Action::Update if keyless && self.replaces(change) => {
                self.flush_table(open, plan).await?;
                self.delete_one(at, change.before, plan).await?;
                self.append(&[at], plan).await
            }
            Action::Insert | Action::Update if appends => {
                self.flush_unless(open, change, plan, |pending| {
                    matches!(pending, Pending::Appends(_))
                })
                .await?;
                match open.iter_mut().find(|open| open.table == change.table) {
                    Some(Open {
                        pending: Pending::Appends(list),
                        ..
                    }) => list.push(at),
                    _ => open.push(Open {
                        table: change.table,
                        pending: Pending::Appends(vec![at]),
                    }),
                }
                Ok(())
            }
            Action::Move if !keyless => {
                self.flush_unless(open, change, plan, |pending| {
                    matches!(pending, Pending::Moves(_))
                })
                .await?;
                match open.iter_mut().find(|open| open.table == change.table) {
                    Some(Open {
                        pending: Pending::Moves(list),
                        ..
                    }) => list.push(at),
                    _ => open.push(Open {
                        table: change.table,
                        pending: Pending::Moves(vec![at]),
                    }),
                }
                Ok(())
            }
            Action::Move => Err(Failed::Row(
                at,
                RecordError::new("the key changed, but primary.key.mode gives rows no key"),
            )),
            Action::Insert | Action::Update | Action::Delete => {
                self.add_keyed(open, at, change, plan).await
            }
        }
    }

    /// Whether an update of a row without key takes the old row's place.
    fn replaces(&self, change: &Change) -> bool {
        self.settings.key_mode != KeyMode::None || matches!(change.before, Cell::Struct(_))
    }

    async fn add_keyed(
        &mut self,
        open: &mut Vec<Open>,
        at: usize,
        change: &Change,
        plan: &Arc<Plan>,
    ) -> Result<(), Failed> {
        self.flush_unless(open, change, plan, |pending| {
            matches!(pending, Pending::Keyed(_))
        })
        .await?;
        let mut key = std::mem::take(&mut self.key);
        key_bytes(plan, self.arena, change, &mut key).map_err(|error| Failed::Row(at, error))?;
        let mut missing = Vec::new();
        let fate = match change.action {
            Action::Delete => Fate::Gone,
            action if plan.is_complete(self.arena, change) => Fate::Whole {
                fresh: action == Action::Insert,
            },
            _ => {
                let cell = |place: &Place| place.cell(self.arena, change.row, change.key);
                missing.extend(
                    plan.columns
                        .iter()
                        .map(|place| cell(place) == Cell::Unavailable),
                );
                Fate::Partial
            }
        };
        if !open.iter().any(|open| open.table == change.table) {
            open.push(Open {
                table: change.table,
                pending: Pending::Keyed(Run::default()),
            });
        }
        for _ in 0..2 {
            let found = open.iter_mut().find(|open| open.table == change.table);
            let Some(Open {
                pending: Pending::Keyed(run),
                ..
            }) = found
            else {
                break;
            };
            if run.add(&key, at, fate, &missing) == Added::Yes {
                break;
            }
            let full = Open {
                table: change.table,
                pending: Pending::Keyed(std::mem::take(run)),
            };
            self.flush(full).await?;
        }
        self.key = key;
        Ok(())
    }

    /// Flushes what this table has pending, unless it is of this kind and under the same plan.
    async fn flush_unless(
        &mut self,
        open: &mut Vec<Open>,
        change: &Change,
        plan: &Plan,
        fits: impl Fn(&Pending) -> bool,
    ) -> Result<(), Failed> {
        let same = |open: &&Open| open.table == change.table && fits(&open.pending);
        if open.iter().any(|open| same(&open)) {
            return Ok(());
        }
        self.flush_table(open, plan).await
    }

    async fn flush_table(&mut self, open: &mut Vec<Open>, plan: &Plan) -> Result<(), Failed> {
        match self.take(open, plan) {
            Some(pending) => self.flush(pending).await,
            None => Ok(()),
        }
    }

    /// The pending changes of this plan's table; it has at most one kind at a time.
    fn take(&self, open: &mut Vec<Open>, plan: &Plan) -> Option<Open> {
        let at = open.iter().position(|open| {
            let other = self.plans.get(open.table as usize);
            other.is_some_and(|other| other.table == plan.table)
        })?;
        Some(open.remove(at))
    }

    async fn flush(&mut self, open: Open) -> Result<(), Failed> {
        let Some(plan) = self.plans.get(open.table as usize).map(Arc::clone) else {
            return Ok(());
        };
        match open.pending {
            Pending::Keyed(run) => self.write_run(&plan, run).await,
            Pending::Appends(list) => self.append(&list, &plan).await,
            Pending::Moves(list) => self.apply_moves(&plan, &list).await,
        }
    }

    async fn truncate(&mut self, plan: &Plan) -> Result<(), Failed> {
        self.session.savepoint("tapline_truncate").await?;
        let truncated = self
            .session
            .run("truncate a table in", &statement::truncate(plan))
            .await;
        match truncated {
            Ok(()) => self.session.release("tapline_truncate").await,
            // Referenced by foreign keys: the server truncates only all of the tables together.
            Err(Failed::Task(error)) if error.context.contains("0A000") => {
                self.session.undo("tapline_truncate").await?;
                self.session
                    .run("empty a table in", &statement::delete_all(plan))
                    .await
            }
            Err(failed) => Err(failed),
        }
    }

    async fn delete_one(&mut self, at: usize, row: Cell, plan: &Plan) -> Result<(), Failed> {
        let reject = |why: &str| Failed::Row(at, RecordError::new(why));
        if !matches!(row, Cell::Struct(_)) {
            return Err(reject(
                "the table has no key and the change no row before it: set REPLICA IDENTITY FULL at the source",
            ));
        }
        let sql = statement::delete_one(plan);
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for place in &plan.columns {
            let cell = place.cell(self.arena, row, Cell::Null);
            let mut text = Vec::new();
            let value = match cell {
                Cell::Null => None,
                Cell::Unavailable => return Err(reject("the row before the change is incomplete")),
                cell => {
                    place
                        .codec
                        .write(self.arena, cell, &mut text)
                        .map_err(|error| Failed::Row(at, error.in_field(&place.name)))?;
                    Some(String::from_utf8_lossy(&text).into_owned())
                }
            };
            query = query.bind(value);
        }
        let result = query.execute(self.session.connection()).await;
        let result =
            result.map_err(|error| Doing::new("delete from", &plan.table).failed(error))?;
        if result.rows_affected() == 1 {
            Ok(())
        } else {
            Err(Failed::Missing)
        }
    }
}

/// A key as bytes that are equal for equal keys.
fn key_bytes(
    plan: &Plan,
    arena: &Arena,
    change: &Change,
    bytes: &mut Vec<u8>,
) -> Result<(), RecordError> {
    bytes.clear();
    for part in &plan.key {
        let cell = part.place.cell(arena, change.row, change.key);
        if matches!(cell, Cell::Null | Cell::Unavailable) {
            return Err(RecordError::new("key column is null").in_field(&part.place.name));
        }
        let start = bytes.len();
        part.place
            .codec
            .write(arena, cell, bytes)
            .map_err(|error| error.in_field(&part.place.name))?;
        let length = u32::try_from(bytes.len() - start).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&length.to_be_bytes());
    }
    Ok(())
}
