//! How much work a request may cause: schemas come from anybody, and some are written to be expensive.

/// Steps of one request; a step is a byte parsed. A table of 1,600 columns has a schema of some 200 KB, so that it can be
/// compared with 50 earlier versions; parsing this many bytes takes well below a second.
const STEPS_MAX: u64 = 20_000_000;

/// Comparing two types costs as much as parsing this many bytes.
pub(super) const COMPARISON: u64 = 64;

/// What is left of a request's work.
#[derive(Debug)]
pub(in crate::registry) struct Budget {
    left: u64,
}

/// The work would be more than a request may cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) struct Exhausted;

impl Default for Budget {
    fn default() -> Self {
        Self { left: STEPS_MAX }
    }
}

impl Budget {
    /// Counts work before it is done.
    ///
    /// # Errors
    /// Nothing is left.
    pub(super) fn spend(&mut self, steps: u64) -> Result<(), Exhausted> {
        self.left = self.left.checked_sub(steps).ok_or(Exhausted)?;
        Ok(())
    }
}

impl From<Exhausted> for String {
    fn from(_: Exhausted) -> Self {
        "the schema needs more work than one request may cause".to_owned()
    }
}
