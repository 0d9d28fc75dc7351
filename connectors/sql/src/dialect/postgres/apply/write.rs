//! Rows into a table: runs of new rows by COPY, the rest by statements over arrays.

use super::{
    Applier, AssertSqlSafe, Cell, CopyLines, DataError, Doing, Failed, Fate, InsertMode, Place,
    Plan, Run, Slot, TextArray, statement,
};

/// Below this, one statement is cheaper than COPY's savepoint and its three round trips.
const COPY_ROWS_MIN: usize = 16;

/// After COPY met rows that exist, so many runs go without it: they would mostly fail and be sent twice.
const COPY_PAUSE_RUNS: u32 = 64;

/// What is handed to the connection at once, which keeps a buffer of this size until the commit.
const COPY_PIECE_BYTES: usize = 256 << 10;

/// A guess at a row's size for the first allocation.
const ROW_BYTES_GUESS: usize = 160;

impl Applier<'_> {
    /// Writes a reduced run: removals first, so that what they free can be taken.
    pub(super) async fn write_run(&mut self, plan: &Plan, run: Run) -> Result<(), Failed> {
        let (mut gone, mut fresh, mut whole) = (Vec::new(), Vec::new(), Vec::new());
        let mut partial: Vec<(Vec<usize>, Vec<Slot>)> = Vec::new();
        let updates = self.settings.insert_mode == InsertMode::Update;
        for slot in run.slots {
            match slot.fate {
                Fate::Gone => gone.push(slot),
                Fate::Whole { fresh: true } if !updates => fresh.push(slot),
                Fate::Whole { .. } if !updates => whole.push(slot),
                _ => {
                    let present = self.present(plan, &slot);
                    match partial.iter_mut().find(|(set, _)| *set == present) {
                        Some((_, slots)) => slots.push(slot),
                        None => partial.push((present, vec![slot])),
                    }
                }
            }
        }
        self.delete(plan, &gone).await?;
        if fresh.len() >= COPY_ROWS_MIN && self.may_copy(plan) {
            if !self.try_copy(plan, &fresh).await? {
                self.insert(plan, &fresh, true).await?;
            }
        } else {
            whole.append(&mut fresh);
        }
        self.insert(plan, &whole, true).await?;
        for (present, slots) in partial {
            let updated = self.update(plan, &present, &slots).await?;
            // A row that is not there would be filled with nulls: better none than that.
            if !updates && updated < slots.len() as u64 {
                return Err(Failed::Missing);
            }
        }
        Ok(())
    }

    /// Appends rows without looking for others of their key.
    pub(super) async fn append(&mut self, list: &[usize], plan: &Plan) -> Result<(), Failed> {
        if plan.columns.is_empty() {
            let count = i64::try_from(list.len()).unwrap_or(i64::MAX);
            let query = sqlx::query(AssertSqlSafe(statement::insert(plan, false))).bind(count);
            let result = query.execute(self.session.connection()).await;
            return result
                .map(drop)
                .map_err(|error| Doing::new("write to", &plan.table).failed(error));
        }
        let slots: Vec<Slot> = list.iter().map(|&change| Slot::appended(change)).collect();
        if let Some(slot) = slots
            .iter()
            .find(|slot| self.present(plan, slot).len() < plan.columns.len())
        {
            let error = tapline_sdk::RecordError::new("the new row leaves columns out");
            return Err(Failed::Row(slot.change, error));
        }
        if slots.len() < COPY_ROWS_MIN {
            return self.insert(plan, &slots, false).await;
        }
        self.copy(plan, &slots).await
    }

    fn may_copy(&mut self, plan: &Plan) -> bool {
        match self.copy_pauses.get_mut(&plan.table) {
            Some(pause) if *pause > 0 => {
                *pause -= 1;
                false
            }
            _ => true,
        }
    }

    /// COPY into the table itself; `false` if rows exist already, with nothing written.
    async fn try_copy(&mut self, plan: &Plan, slots: &[Slot]) -> Result<bool, Failed> {
        self.session.savepoint("tapline_copy").await?;
        match self.copy(plan, slots).await {
            Ok(()) => {
                self.session.release("tapline_copy").await?;
                Ok(true)
            }
            Err(Failed::Data(error)) if DataError::is_duplicate(&error) => {
                self.session.undo("tapline_copy").await?;
                self.copy_pauses.insert(plan.table.clone(), COPY_PAUSE_RUNS);
                Ok(false)
            }
            Err(failed) => Err(failed),
        }
    }

    async fn copy(&mut self, plan: &Plan, slots: &[Slot]) -> Result<(), Failed> {
        let mut lines = CopyLines::with_capacity(slots.len() * ROW_BYTES_GUESS);
        for slot in slots {
            for (at, place) in plan.columns.iter().enumerate() {
                let cell = self.cell(slot, at, place);
                lines
                    .push(at == 0, place, self.arena, cell)
                    .map_err(|error| Failed::Row(slot.change, error))?;
            }
            lines.end_row();
        }
        let doing = Doing::new("write to", &plan.table);
        let sql = statement::copy(plan);
        let mut copy = self
            .session
            .connection()
            .copy_in_raw(&sql)
            .await
            .map_err(|error| doing.failed(error))?;
        for piece in lines.into_bytes().chunks(COPY_PIECE_BYTES) {
            copy.send(piece)
                .await
                .map_err(|error| doing.failed(error))?;
        }
        copy.finish()
            .await
            .map(drop)
            .map_err(|error| doing.failed(error))
    }

    pub(super) async fn insert(
        &mut self,
        plan: &Plan,
        slots: &[Slot],
        upsert: bool,
    ) -> Result<(), Failed> {
        if slots.is_empty() {
            return Ok(());
        }
        let mut arrays = Vec::with_capacity(plan.columns.len());
        for (at, place) in plan.columns.iter().enumerate() {
            arrays.push(self.array(slots, place, |this, slot| this.cell(slot, at, place))?);
        }
        let sql = statement::insert(plan, upsert);
        self.execute(plan, sql, arrays).await.map(drop)
    }

    async fn delete(&mut self, plan: &Plan, slots: &[Slot]) -> Result<(), Failed> {
        if slots.is_empty() {
            return Ok(());
        }
        let arrays = self.key_arrays(plan, slots, false)?;
        self.execute(plan, statement::delete(plan), arrays)
            .await
            .map(drop)
    }

    async fn update(
        &mut self,
        plan: &Plan,
        present: &[usize],
        slots: &[Slot],
    ) -> Result<u64, Failed> {
        let columns: Vec<(usize, &Place)> = present
            .iter()
            .filter_map(|&at| Some((at, plan.columns.get(at)?)))
            .filter(|(_, place)| !place.key && place.updatable)
            .collect();
        let mut arrays = Vec::new();
        for (at, place) in &columns {
            arrays.push(self.array(slots, place, |this, slot| this.cell(slot, *at, place))?);
        }
        arrays.extend(self.key_arrays(plan, slots, false)?);
        let columns: Vec<&Place> = columns.into_iter().map(|(_, place)| place).collect();
        self.execute(plan, statement::update(plan, &columns), arrays)
            .await
    }

    /// The columns that a slot has values for.
    pub(super) fn present(&self, plan: &Plan, slot: &Slot) -> Vec<usize> {
        let columns = plan.columns.iter().enumerate();
        columns
            .filter(|(at, place)| self.cell(slot, *at, place) != Cell::Unavailable)
            .map(|(at, _)| at)
            .collect()
    }

    pub(super) fn cell(&self, slot: &Slot, column: usize, place: &Place) -> Cell {
        match self.changes.list.get(slot.source(column)) {
            Some(change) => place.cell(self.arena, change.row, change.key),
            None => Cell::Null,
        }
    }

    /// One array per key column; `old`: the key before a change of it.
    pub(super) fn key_arrays(
        &self,
        plan: &Plan,
        slots: &[Slot],
        old: bool,
    ) -> Result<Vec<TextArray>, Failed> {
        let mut arrays = Vec::with_capacity(plan.key.len());
        for part in &plan.key {
            arrays.push(self.array(slots, &part.place, |this, slot| {
                match this.changes.list.get(slot.change) {
                    Some(change) if old => {
                        part.place.cell(this.arena, change.before, change.old_key)
                    }
                    Some(change) => part.place.cell(this.arena, change.row, change.key),
                    None => Cell::Null,
                }
            })?);
        }
        Ok(arrays)
    }

    pub(super) fn array(
        &self,
        slots: &[Slot],
        place: &Place,
        cell: impl Fn(&Self, &Slot) -> Cell,
    ) -> Result<TextArray, Failed> {
        let mut array = TextArray::with_capacity(slots.len());
        for slot in slots {
            array
                .push(place, self.arena, cell(self, slot))
                .map_err(|error| Failed::Row(slot.change, error))?;
        }
        Ok(array)
    }

    pub(super) async fn execute(
        &mut self,
        plan: &Plan,
        sql: String,
        arrays: Vec<TextArray>,
    ) -> Result<u64, Failed> {
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for array in arrays {
            query = query.bind(array);
        }
        let result = query.execute(self.session.connection()).await;
        result
            .map(|done| done.rows_affected())
            .map_err(|error| Doing::new("write to", &plan.table).failed(error))
    }
}
