//! How a task's life divides into running, being paused, and the rest.

use super::State;
use std::time::{Duration, Instant};

/// Time spent by state since the first change of state.
#[derive(Debug, Default)]
pub(super) struct Spent {
    since: Option<(Instant, State)>,
    running: Duration,
    paused: Duration,
    other: Duration,
}

impl Spent {
    /// The state from now on.
    pub(super) fn change(&mut self, now: Instant, state: State) {
        if let Some((since, before)) = self.since.replace((now, state)) {
            *self.of(before) += now.saturating_duration_since(since);
        }
    }

    /// The shares of running and of being paused, each from 0 to 1; 0 before the first change.
    pub(super) fn shares(&self, now: Instant) -> (f64, f64) {
        let mut upto_now = Self { ..*self };
        if let Some((_, state)) = self.since {
            upto_now.change(now, state);
        }
        let all = upto_now.running + upto_now.paused + upto_now.other;
        if all.is_zero() {
            return (0.0, 0.0);
        }
        let share = |part: Duration| part.as_secs_f64() / all.as_secs_f64();
        (share(upto_now.running), share(upto_now.paused))
    }

    fn of(&mut self, state: State) -> &mut Duration {
        match state {
            State::Running => &mut self.running,
            State::Paused => &mut self.paused,
            _ => &mut self.other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_the_states_and_the_present_one_counts() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut spent = Spent::default();
        assert_eq!(spent.shares(start), (0.0, 0.0));
        spent.change(start, State::Restarting);
        spent.change(at(10), State::Running);
        spent.change(at(30), State::Paused);
        assert_eq!(spent.shares(at(40)), (0.5, 0.25));
        spent.change(at(40), State::Running);
        assert_eq!(spent.shares(at(80)), (0.75, 0.125));
    }
}
