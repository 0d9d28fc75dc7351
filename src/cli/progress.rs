//! The progress line of `run`: what the sources are doing, how far everybody is, and what is held up.
//!
//! Computes text from what the worker tells; decides nothing and remembers only what a time estimate needs.

use super::figures::{bytes, compact, duration, grouped};
use crate::worker::{ConnectorKind, ConnectorStatus, Gauges, State};
use std::time::Instant;

/// Makes the line; remembers where a snapshot stood when it was first seen.
#[derive(Default)]
pub(super) struct Progress {
    snapshot: Option<Seen>,
}

/// A snapshot when it was first seen.
struct Seen {
    at: Instant,
    rows: f64,
}

impl Progress {
    /// The line for this moment.
    pub(super) fn line(&mut self, connectors: &[ConnectorStatus], now: Instant) -> String {
        let gauges = || {
            connectors
                .iter()
                .flat_map(|c| &c.tasks)
                .map(|task| &task.gauges)
        };
        let sum = |figure: fn(&Gauges) -> u64| gauges().map(figure).sum::<u64>();
        let lag_seconds = gauges()
            .map(|gauges| gauges.lag_seconds)
            .fold(0.0, f64::max);
        let mut line = format!(
            "{} | in {}  log {}  delivered {}  rejected {} | lag {} {}",
            self.doing(connectors, now),
            grouped(sum(|gauges| gauges.records_in)),
            grouped(sum(|gauges| gauges.records_log)),
            grouped(sum(|gauges| gauges.records_delivered)),
            grouped(sum(|gauges| gauges.records_rejected)),
            compact(sum(|gauges| gauges.lag_records)),
            duration(lag_seconds),
        );
        if gauges().any(|gauges| gauges.wal_held_bytes.is_some()) {
            let held = sum(|gauges| gauges.wal_held_bytes.unwrap_or_default());
            line.push_str(&format!(" | WAL held {}", bytes(held)));
        }
        line
    }

    /// Connectors that do not run come first, then what the sources say.
    fn doing(&mut self, connectors: &[ConnectorStatus], now: Instant) -> String {
        let mut parts: Vec<String> = Vec::new();
        for (state, word) in [(State::Failed, "FAILED"), (State::Restarting, "RESTARTING")] {
            let names = connectors
                .iter()
                .filter(|connector| connector.state == state);
            let names: Vec<&str> = names.map(|connector| connector.name.as_str()).collect();
            if !names.is_empty() {
                parts.push(format!("{} {word}", names.join(", ")));
            }
        }
        match self.snapshot(connectors, now) {
            Some(snapshot) => parts.push(snapshot),
            None => parts.extend(phases(connectors)),
        }
        if parts.is_empty() {
            "starting".to_owned()
        } else {
            parts.join(", ")
        }
    }

    /// `snapshot 3/5 tables, orders 62 %, 14 s left`, as much of it as is known.
    fn snapshot(&mut self, connectors: &[ConnectorStatus], now: Instant) -> Option<String> {
        let tasks = || {
            connectors
                .iter()
                .filter(|connector| connector.kind == ConnectorKind::Source)
                .flat_map(|connector| &connector.tasks)
                .filter(|task| task.phase.starts_with("snapshot"))
        };
        let Some(first) = tasks().next() else {
            self.snapshot = None;
            return None;
        };
        let level = |name: &str| {
            tasks()
                .filter_map(|task| task.gauges.levels.get(name))
                .sum::<f64>()
        };
        let (done, total) = (
            level("snapshot_tables_done"),
            level("snapshot_tables_total"),
        );
        let (rows, estimate) = (level("snapshot_rows_done"), level("snapshot_rows_estimate"));
        // What follows the word is the source's own: `snapshot orders`.
        let mut text = "snapshot".to_owned();
        if total > 0.0 {
            text.push_str(&format!(" {done:.0}/{total:.0} tables"));
        }
        if estimate > 0.0 {
            let table = first.phase.trim_start_matches("snapshot").trim();
            let table = if table.is_empty() { "rows" } else { table };
            let percent = (rows / estimate * 100.0).clamp(0.0, 100.0).floor();
            text.push_str(&format!(", {table} {percent:.0} %"));
            text.push_str(&self.time_left(rows, estimate, now));
        }
        Some(text)
    }

    fn time_left(&mut self, rows: f64, estimate: f64, now: Instant) -> String {
        let seen = self.snapshot.get_or_insert(Seen { at: now, rows });
        let seconds = now.saturating_duration_since(seen.at).as_secs_f64();
        let (read, left) = (rows - seen.rows, estimate - rows);
        // An estimate from the statistics may be too low, and a rate needs a second to be one.
        if read <= 0.0 || left <= 0.0 || seconds < 1.0 {
            return String::new();
        }
        format!(", {:.0} s left", (left * seconds / read).ceil())
    }
}

/// What sources say that they are doing, each word once.
fn phases(connectors: &[ConnectorStatus]) -> Vec<String> {
    let mut phases: Vec<String> = Vec::new();
    let running = connectors.iter().filter(|connector| {
        connector.kind == ConnectorKind::Source && connector.state == State::Running
    });
    for task in running.flat_map(|connector| &connector.tasks) {
        if !task.phase.is_empty() && !phases.contains(&task.phase) {
            phases.push(task.phase.clone());
        }
    }
    phases
}

#[cfg(test)]
mod tests {
    use super::Progress;
    use crate::worker::{ConnectorKind, ConnectorStatus, Gauges, OwnStatus, State, TaskStatus};
    use std::{
        collections::BTreeMap,
        time::{Duration, Instant},
    };

    fn connector(
        kind: ConnectorKind,
        state: State,
        phase: &str,
        gauges: Gauges,
    ) -> ConnectorStatus {
        let task = TaskStatus {
            id: 0,
            state,
            since_ms: 0,
            restarts: 0,
            phase: phase.to_owned(),
            error: None,
            retry_at_ms: None,
            gauges,
        };
        ConnectorStatus {
            name: format!("shop.{kind:?}").to_lowercase(),
            kind,
            class: "test".to_owned(),
            state,
            since_ms: 0,
            own: OwnStatus {
                state,
                since_ms: 0,
                error: None,
            },
            tasks: vec![task],
            origin: None,
        }
    }

    fn source(phase: &str, rows: f64) -> ConnectorStatus {
        let levels = BTreeMap::from([
            ("snapshot_tables_done", 3.0),
            ("snapshot_tables_total", 5.0),
            ("snapshot_rows_done", rows),
            ("snapshot_rows_estimate", 1000.0),
        ]);
        let gauges = Gauges {
            records_in: 1_235_402,
            records_log: 1_235_402,
            wal_held_bytes: Some(48 << 20),
            levels,
            ..Gauges::default()
        };
        connector(ConnectorKind::Source, State::Running, phase, gauges)
    }

    fn sink(state: State) -> ConnectorStatus {
        let gauges = Gauges {
            records_delivered: 1_204_118,
            lag_records: 31_284,
            lag_seconds: 0.21,
            ..Gauges::default()
        };
        connector(ConnectorKind::Sink, state, "", gauges)
    }

    #[test]
    fn a_snapshot_shows_how_far_it_is_and_how_long_it_takes() {
        let mut progress = Progress::default();
        let began = Instant::now();
        let before = progress.line(
            &[source("snapshot orders", 420.0), sink(State::Running)],
            began,
        );
        assert!(
            before.starts_with("snapshot 3/5 tables, orders 42 % | in "),
            "{before}"
        );
        let later = began + Duration::from_secs(10);
        let connectors = [source("snapshot orders", 620.0), sink(State::Running)];
        assert_eq!(
            progress.line(&connectors, later),
            "snapshot 3/5 tables, orders 62 %, 19 s left | in 1,235,402  log 1,235,402  delivered 1,204,118  \
             rejected 0 | lag 31k 0.2s | WAL held 48 MiB"
        );
    }

    #[test]
    fn streaming_and_what_failed_are_named() {
        let mut progress = Progress::default();
        let connectors = [source("streaming", 1000.0), sink(State::Failed)];
        let line = progress.line(&connectors, Instant::now());
        assert!(
            line.starts_with("shop.sink FAILED, streaming | in "),
            "{line}"
        );
        assert!(
            progress
                .line(&[], Instant::now())
                .starts_with("starting | in 0")
        );
    }
}
