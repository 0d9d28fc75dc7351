//! The one table that decides what becomes of an error: the same batch again, a new connection, or FAILED.
//!
//! Owns waiting times too. Connectors and tasks do not loop on errors themselves; they ask here. The codes of tasks
//! stand here as well:
//!
//! | Code | Meaning |
//! |---|---|
//! | TL0110 | settings that a running worker cannot use: every key is named |
//! | TL0501 | a connector panicked |
//! | TL0502 | a target does not take a record |
//! | TL0503 | a record cannot be transformed |
//! | TL0504 | a source's record cannot be encoded |
//! | TL0505 | a record of the log cannot be decoded |
//! | TL0506 | there is no such connector |
//! | TL0507 | a sink's position is outside the log |
//! | TL0508 | a new sink would start after the log's beginning |
//! | TL0510 | tried again in vain for `errors.retry.timeout` |
//! | TL0511 | an offset of the wrong form |
//! | TL0512 | there is no such topic or partition |
//! | TL0513 | the worker stops |
//! | TL0514 | the connector cannot do what is asked of it |
//! | TL0515 | there are too many connectors |

use crate::plugins::keys;
use std::time::Duration;
use tapline_sdk::{Config, Error, ErrorKind, Result};

/// Where an error came up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Connecting, or taking partitions over.
    Connect,
    /// A source's loop.
    Run,
    /// Transforming and converting.
    Convert,
    /// A commit to the log.
    Commit,
    /// Reading the log.
    Fetch,
    /// A sink's `put`.
    Put,
}

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Wait, then put the same batch again on the same connection.
    SameBatch,
    /// Wait, then connect again and resume from the stored position.
    Reconnect,
    /// Stop until an operator acts.
    Fail,
}

/// The first wait: short enough not to be noticed after a hiccup. Kafka Connect's figure.
const DELAY_MIN: Duration = Duration::from_millis(300);

/// The policy table.
#[must_use]
pub fn action(kind: ErrorKind, phase: Phase) -> Action {
    match (kind, phase) {
        (ErrorKind::Retriable, Phase::Put) => Action::SameBatch,
        // Only `put` has a batch to repeat; elsewhere a new attempt begins at the stored position.
        (ErrorKind::Retriable | ErrorKind::Disconnected, _) => Action::Reconnect,
        (ErrorKind::Config | ErrorKind::Fatal, _) => Action::Fail,
    }
}

/// What to tell an operator where the error itself gives no remedy.
#[must_use]
pub fn hint(kind: ErrorKind, phase: Phase) -> &'static str {
    match (kind, phase) {
        (ErrorKind::Retriable | ErrorKind::Disconnected, Phase::Commit | Phase::Fetch) => {
            "the log is busy or was interrupted: nothing to do unless this lasts; see /health"
        }
        (ErrorKind::Retriable | ErrorKind::Disconnected, _) => {
            "check that the other system runs and can be reached: the task goes on by itself"
        }
        (ErrorKind::Config, _) => {
            "correct the configuration or the other system, then restart the connector"
        }
        (ErrorKind::Fatal, Phase::Commit | Phase::Fetch) => {
            "the log refused: see /health, then restart the worker"
        }
        (ErrorKind::Fatal, _) => {
            "going on could lose or double data: see the message, then restart the connector"
        }
    }
}

/// An error with the phase that it came up in.
#[derive(Debug)]
pub struct Failure {
    /// Where.
    pub phase: Phase,
    /// What.
    pub error: Error,
}

impl Failure {
    /// An error of this phase, with the phase's hint if it has no remedy of its own.
    #[must_use]
    pub fn new(phase: Phase, mut error: Error) -> Self {
        let hint = hint(error.kind, phase);
        error.remedy.get_or_insert_with(|| hint.to_owned());
        Self { phase, error }
    }

    /// What the table says.
    #[must_use]
    pub fn action(&self) -> Action {
        action(self.error.kind, self.phase)
    }
}

/// Waiting times between attempts: doubling, jittered, bounded, and back to the beginning after progress.
#[derive(Debug)]
pub struct Backoff {
    delay_max: Duration,
    /// How long without progress before giving up; `None`: never.
    give_up_after: Option<Duration>,
    attempts: u32,
    waited: Duration,
}

impl Backoff {
    /// From `errors.retry.delay.max.ms` and `errors.retry.timeout` (negative: for ever).
    #[must_use]
    pub fn new(delay_max: Duration, retry_timeout_ms: i64) -> Self {
        Self {
            delay_max: delay_max.max(DELAY_MIN),
            give_up_after: u64::try_from(retry_timeout_ms)
                .ok()
                .map(Duration::from_millis),
            attempts: 0,
            waited: Duration::ZERO,
        }
    }

    /// What a connector's settings say.
    ///
    /// # Errors
    /// A key does not parse.
    pub fn of(framework: &Config) -> Result<Self> {
        let delay_max = framework.get(&keys::RETRY_DELAY_MAX)?;
        let retry_timeout_ms = framework.get(&keys::RETRY_TIMEOUT)?;
        Ok(Self::new(delay_max, retry_timeout_ms))
    }

    /// How long to wait before the next attempt; `None`: give up. `spread` from 0 to 1 is the jitter, so that tasks
    /// whose server came back do not all knock at once.
    pub fn next(&mut self, spread: f64) -> Option<Duration> {
        if self.give_up_after.is_some_and(|limit| self.waited >= limit) {
            return None;
        }
        // 2^16 times the first wait is above any bound.
        let doubled = DELAY_MIN.saturating_mul(1 << self.attempts.min(16));
        self.attempts = self.attempts.saturating_add(1);
        let delay = doubled
            .min(self.delay_max)
            .mul_f64(0.5 + 0.5 * spread.clamp(0.0, 1.0));
        self.waited = self.waited.saturating_add(delay);
        Some(delay)
    }

    /// Something became durable: the next trouble is a new one.
    pub fn progress(&mut self) {
        self.attempts = 0;
        self.waited = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_repeats_a_batch_only_in_put_and_never_retries_what_could_lose_data() {
        use {Action as A, ErrorKind as K, Phase as P};
        let phases = [P::Connect, P::Run, P::Convert, P::Commit, P::Fetch, P::Put];
        for phase in phases {
            let expected = [
                (K::Disconnected, A::Reconnect),
                (
                    K::Retriable,
                    if phase == P::Put {
                        A::SameBatch
                    } else {
                        A::Reconnect
                    },
                ),
                (K::Config, A::Fail),
                (K::Fatal, A::Fail),
            ];
            for (kind, action) in expected {
                assert_eq!(super::action(kind, phase), action, "{kind:?} in {phase:?}");
                let failure = Failure::new(phase, Error::new(kind, "x"));
                assert!(failure.error.remedy.is_some(), "{kind:?} in {phase:?}");
            }
        }
    }

    #[test]
    fn waits_double_up_to_the_bound_and_start_over_after_progress() {
        let mut backoff = Backoff::new(Duration::from_secs(10), -1);
        let waits: Vec<u128> = std::iter::from_fn(|| backoff.next(1.0))
            .take(8)
            .map(|wait| wait.as_millis())
            .collect();
        assert_eq!(waits, [300, 600, 1200, 2400, 4800, 9600, 10_000, 10_000]);
        backoff.progress();
        assert_eq!(backoff.next(0.0), Some(Duration::from_millis(150)));
    }

    #[test]
    fn a_timeout_of_zero_gives_up_at_once_and_a_bounded_one_after_its_time() {
        let mut never = Backoff::new(Duration::from_secs(1), 0);
        assert_eq!(never.next(1.0), None);
        let mut bounded = Backoff::new(Duration::from_secs(1), 1000);
        let waits = std::iter::from_fn(|| bounded.next(1.0)).count();
        assert_eq!(waits, 3, "300 ms, 600 ms, 1 s");
        bounded.progress();
        assert!(bounded.next(1.0).is_some());
    }

    #[test]
    fn a_hint_never_replaces_an_errors_own_remedy() {
        let error = Error::config("x").remedy("do this");
        let failure = Failure::new(Phase::Connect, error);
        assert_eq!(failure.error.remedy.as_deref(), Some("do this"));
    }
}
