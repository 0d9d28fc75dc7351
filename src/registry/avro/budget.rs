//! How much work a request may cause: schemas come from anybody, and some are written to be expensive.

/// Steps of one request: a step is a byte parsed or a pair of types compared, well below a microsecond. The largest
/// honest comparison measured (a table of 1,600 columns against itself) takes some 400,000.
const STEPS_MAX: u64 = 20_000_000;

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
