//! A chain of transforms over a batch.
//!
//! Routers change topics only, so they run once per shape; any other step gets an owned copy of each record.

use super::{Condition, RegexRouter};
use std::sync::Arc;
use tapline_sdk::{Record, RecordError, Rows, Transform};

/// One transform of a chain.
pub enum Step {
    /// Changes topics: runs per shape, not per record.
    Route(RegexRouter),
    /// Changes records.
    Record(Box<dyn Transform>),
}

/// Transforms in order, each with the condition under which it applies.
#[derive(Default)]
pub struct Chain {
    steps: Vec<(Option<Condition>, Step)>,
}

/// A record that cannot be transformed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// Its index in the batch that went in.
    pub index: usize,
    /// Why.
    pub error: RecordError,
}

/// Which records of a batch went through a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// Every one.
    All,
    /// Those of these indices, in order.
    Only(Vec<usize>),
}

impl Chain {
    /// These steps in order, each for every record.
    #[must_use]
    pub fn new(steps: Vec<Step>) -> Self {
        Self::conditional(steps.into_iter().map(|step| (None, step)).collect())
    }

    /// These steps in order, each for the records of which its condition holds.
    #[must_use]
    pub fn conditional(steps: Vec<(Option<Condition>, Step)>) -> Self {
        Self { steps }
    }

    /// Whether nothing would be changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The batch after every step, and which of its records are left.
    ///
    /// # Errors
    /// The first record that a step cannot transform; nothing of the batch is returned then.
    pub fn apply(&mut self, mut rows: Rows) -> Result<(Rows, Kept), Unfit> {
        if self.by_topic() {
            for shape in rows.shapes_mut() {
                self.route(&mut shape.topic);
            }
            return Ok((rows, Kept::All));
        }
        let mut out = Rows::with_capacity(rows.size_bytes());
        let mut kept = Vec::with_capacity(rows.len());
        for (index, record) in rows.iter().enumerate() {
            let record = self
                .transform(record.to_record())
                .map_err(|error| Unfit { index, error })?;
            if let Some(record) = record {
                out.push_record(&record);
                kept.push(index);
            }
        }
        Ok((out, Kept::Only(kept)))
    }

    /// Whether every step changes topics only, and topics alone tell whether it applies.
    fn by_topic(&self) -> bool {
        self.steps.iter().all(|(condition, step)| {
            let told = |condition: &Condition| condition.holds_for_topic("").is_some();
            matches!(step, Step::Route(_)) && condition.as_ref().is_none_or(told)
        })
    }

    fn route(&self, topic: &mut Arc<str>) {
        for (condition, step) in &self.steps {
            let applies = condition.as_ref().and_then(|c| c.holds_for_topic(topic));
            if let Step::Route(router) = step
                && applies != Some(false)
                && let Some(renamed) = router.route(topic)
            {
                *topic = renamed.into();
            }
        }
    }

    fn transform(&mut self, mut record: Record) -> Result<Option<Record>, RecordError> {
        for (condition, step) in &mut self.steps {
            if condition
                .as_ref()
                .is_some_and(|condition| !condition.holds(&record))
            {
                continue;
            }
            match step {
                Step::Route(router) => {
                    if let Some(topic) = router.route(&record.topic) {
                        record.topic = topic.into();
                    }
                }
                Step::Record(transform) => match transform.apply(record)? {
                    Some(changed) => record = changed,
                    None => return Ok(None),
                },
            }
        }
        Ok(Some(record))
    }
}
