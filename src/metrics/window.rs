//! Figures over the last half to whole minute: rates, averages and extremes as Kafka's sampled statistics keep them.
//!
//! Two samples of 30 s (Kafka's `metrics.num.samples` and `metrics.sample.window.ms`): the current one, and the one
//! before it until it is a minute old. The time comes from the caller; nothing here runs by itself.

use std::time::{Duration, Instant};

/// How long one sample takes observations: Kafka's default.
const SAMPLE: Duration = Duration::from_secs(30);

/// A sample older than this counts no more: two samples, Kafka's default.
const KEPT: Duration = Duration::from_secs(60);

/// Observations of one kind.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    current: Option<Sample>,
    previous: Option<Sample>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    since: Instant,
    count: u32,
    sum: f64,
    min: f64,
    max: f64,
}

impl Window {
    /// One more observation.
    pub(super) fn observe(&mut self, now: Instant, value: f64) {
        let over = |sample: &Sample| now.saturating_duration_since(sample.since) >= SAMPLE;
        if self.current.as_ref().is_some_and(over) {
            self.previous = self.current.take();
        }
        let sample = self.current.get_or_insert(Sample {
            since: now,
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        });
        sample.count = sample.count.saturating_add(1);
        sample.sum += value;
        sample.min = sample.min.min(value);
        sample.max = sample.max.max(value);
    }

    /// The sum of what was observed, by second. A window that has only begun counts as one sample longer than it is,
    /// so that a first batch is no spike.
    pub(super) fn rate(&self, now: Instant) -> f64 {
        let Some(oldest) = self.live(now).map(|sample| sample.since).min() else {
            return 0.0;
        };
        let elapsed = now.saturating_duration_since(oldest);
        let counted = match elapsed < SAMPLE {
            true => elapsed + SAMPLE,
            false => elapsed,
        };
        self.live(now).map(|sample| sample.sum).sum::<f64>() / counted.as_secs_f64()
    }

    /// The average; `NaN` when nothing was observed.
    pub(super) fn average(&self, now: Instant) -> f64 {
        let count: f64 = self.live(now).map(|sample| f64::from(sample.count)).sum();
        self.live(now).map(|sample| sample.sum).sum::<f64>() / count
    }

    /// The greatest; `NaN` when nothing was observed.
    pub(super) fn max(&self, now: Instant) -> f64 {
        self.live(now)
            .map(|sample| sample.max)
            .fold(f64::NAN, f64::max)
    }

    /// The least; `NaN` when nothing was observed.
    pub(super) fn min(&self, now: Instant) -> f64 {
        self.live(now)
            .map(|sample| sample.min)
            .fold(f64::NAN, f64::min)
    }

    /// Of observations that are 1 or 0, the share of ones and of zeros; both 0 when nothing was observed.
    pub(super) fn shares(&self, now: Instant) -> (f64, f64) {
        match self.average(now) {
            ones if ones.is_nan() => (0.0, 0.0),
            ones => (ones, 1.0 - ones),
        }
    }

    fn live(&self, now: Instant) -> impl Iterator<Item = &Sample> {
        let kept = move |sample: &&Sample| now.saturating_duration_since(sample.since) < KEPT;
        [&self.previous, &self.current]
            .into_iter()
            .flatten()
            .filter(kept)
    }
}

/// A count with its rate.
#[derive(Debug, Clone, Default)]
pub(super) struct Meter {
    total: u64,
    window: Window,
}

impl Meter {
    pub(super) fn add(&mut self, now: Instant, count: u64) {
        self.total = self.total.saturating_add(count);
        self.window.observe(now, exact(count));
    }

    pub(super) fn total(&self) -> f64 {
        exact(self.total)
    }

    pub(super) fn rate(&self, now: Instant) -> f64 {
        self.window.rate(now)
    }
}

/// A count as a figure.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts are exact up to 2^53; beyond, a figure for people is not"
)]
pub(super) fn exact(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} for {expected}");
    }

    #[test]
    fn a_rate_is_over_what_the_window_holds_and_forgets_what_is_a_minute_old() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut window = Window::default();
        close(window.rate(start), 0.0);
        window.observe(start, 600.0);
        close(window.rate(start), 20.0); // one full sample of 30 s is taken for granted
        window.observe(at(10), 200.0);
        close(window.rate(at(10)), 20.0); // 800 / 40 s
        window.observe(at(30), 100.0); // the second sample
        close(window.rate(at(45)), 20.0); // 900 / 45 s
        close(window.rate(at(60)), 100.0 / 30.0); // the first is gone
        close(window.rate(at(90)), 0.0);
    }

    #[test]
    fn average_and_extremes_are_of_the_window_and_nothing_is_not_zero() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut window = Window::default();
        assert!(window.average(start).is_nan() && window.max(start).is_nan());
        for (second, value) in [(0, 4.0), (1, 8.0), (31, 3.0)] {
            window.observe(at(second), value);
        }
        close(window.average(at(31)), 5.0);
        close(window.max(at(31)), 8.0);
        close(window.min(at(31)), 3.0);
        close(window.average(at(60)), 3.0);
        close(window.max(at(60)), 3.0);
        assert!(window.max(at(91)).is_nan());
    }

    #[test]
    fn shares_are_fractions_and_both_zero_without_an_observation() {
        let start = Instant::now();
        let mut window = Window::default();
        assert_eq!(window.shares(start), (0.0, 0.0));
        for outcome in [1.0, 1.0, 0.0, 1.0] {
            window.observe(start, outcome);
        }
        assert_eq!(window.shares(start), (0.75, 0.25));
    }
}
