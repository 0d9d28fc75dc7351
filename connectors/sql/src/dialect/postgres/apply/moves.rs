//! Key changes: one UPDATE of the key each, in order; a swap under a deferrable key, where no order works, at once.

use super::{Applier, Failed, Plan, RecordError, Slot, TextArray, statement};
use crate::dialect::postgres::plan::Place;

impl Applier<'_> {
    pub(super) async fn apply_moves(&mut self, plan: &Plan, list: &[usize]) -> Result<(), Failed> {
        let fixed = plan.key.iter().any(|part| !part.place.updatable);
        if fixed {
            return self.permute(plan, list).await;
        }
        self.session.savepoint("tapline_moves").await?;
        match self.move_in_order(plan, list).await {
            Ok(()) => self.session.release("tapline_moves").await,
            // Another row has the key for now. Several moves together may be a swap.
            Err(Failed::Data(error)) if error.is_duplicate() && list.len() > 1 => {
                self.session.undo("tapline_moves").await?;
                self.permute(plan, list).await
            }
            Err(failed) => Err(failed),
        }
    }

    async fn move_in_order(&mut self, plan: &Plan, list: &[usize]) -> Result<(), Failed> {
        for &at in list {
            let slots = [Slot::appended(at)];
            let present = self.present(plan, &slots[0]);
            let columns: Vec<(usize, &Place)> = present
                .iter()
                .filter_map(|&column| Some((column, plan.columns.get(column)?)))
                .filter(|(_, place)| place.updatable)
                .collect();
            let mut arrays = Vec::new();
            for (column, place) in &columns {
                arrays
                    .push(self.array(&slots, place, |this, slot| this.cell(slot, *column, place))?);
            }
            arrays.extend(self.key_arrays(plan, &slots, true)?);
            let places: Vec<&Place> = columns.iter().map(|(_, place)| *place).collect();
            let moved = self
                .execute(plan, statement::update(plan, &places), arrays)
                .await?;
            if moved == 0 {
                self.arrive(plan, at, present.len()).await?;
            }
        }
        Ok(())
    }

    /// The old row is not there: the new one is written if it is whole.
    async fn arrive(&mut self, plan: &Plan, at: usize, present: usize) -> Result<(), Failed> {
        if present < plan.columns.len() {
            return Err(Failed::Row(
                at,
                RecordError::new(
                    "the row of the old key is missing in the target, and the change leaves columns out (unchanged TOAST \
                     values)",
                ),
            ));
        }
        self.insert(plan, &[Slot::appended(at)], plan.unique).await
    }

    async fn permute(&mut self, plan: &Plan, list: &[usize]) -> Result<(), Failed> {
        let slots: Vec<Slot> = list.iter().map(|&at| Slot::appended(at)).collect();
        let mut arrays = Vec::new();
        let mut flags = TextArray::with_capacity(slots.len());
        for slot in &slots {
            let present = self.present(plan, slot);
            let flag = |at| if present.contains(&at) { '1' } else { '0' };
            flags.push_text(&(0..plan.columns.len()).map(flag).collect::<String>());
        }
        for (at, place) in plan.columns.iter().enumerate() {
            arrays.push(self.array(
                &slots,
                place,
                |this, slot| match this.cell(slot, at, place) {
                    tapline_sdk::Cell::Unavailable => tapline_sdk::Cell::Null,
                    cell => cell,
                },
            )?);
        }
        arrays.extend(self.key_arrays(plan, &slots, true)?);
        arrays.push(flags);
        let moved = self.execute(plan, statement::permute(plan), arrays).await?;
        if moved == slots.len() as u64 {
            return Ok(());
        }
        match list {
            [at] => {
                let present = self.present(plan, &Slot::appended(*at)).len();
                self.arrive(plan, *at, present).await
            }
            _ => Err(Failed::Missing),
        }
    }
}
