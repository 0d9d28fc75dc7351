//! What people see while a worker runs: progress, and each problem once when it appears.

use crate::{
    cli::{problem, progress::Progress, screen::Screen},
    worker::{State, Worker},
};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    time::{Duration, Instant},
};
use tapline_sdk::Error;
use tokio::time::MissedTickBehavior;

/// A terminal's line moves often enough to look alive.
const TERMINAL_EVERY: Duration = Duration::from_millis(500);

/// A log file's lines are for later.
const LINES_EVERY: Duration = Duration::from_secs(5);

/// A problem that comes and goes is shown again after this, not at every attempt.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Shows progress and problems, and once that the log has stopped: `/health` goes on saying why until somebody acts.
pub(super) async fn watch(worker: &Worker, screen: &Screen) -> Infallible {
    let mut look = tokio::time::interval(TERMINAL_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut progress = Progress::default();
    let mut problems = Problems::default();
    let mut last = (String::new(), Instant::now());
    let mut stopped = false;
    loop {
        look.tick().await;
        if let Some(why) = worker.broker().stopped().filter(|_| !stopped) {
            stopped = true;
            screen.warn(&problem::of_error(&log_stopped(&why)));
        }
        let (connectors, now) = (worker.status(), Instant::now());
        for connector in &connectors {
            let (who, text) = (connector.name.clone(), problem::of_connector(connector));
            if let Some(text) = problems.due(who, connector.own.state, text, now) {
                screen.warn(&text);
            }
            for task in &connector.tasks {
                let who = format!("{}-{}", connector.name, task.id);
                let text = problem::of_task(connector, task);
                if let Some(text) = problems.due(who, task.state, text, now) {
                    screen.warn(&text);
                }
            }
        }
        let line = progress.line(&connectors, now);
        let due = screen.is_terminal() || now.duration_since(last.1) >= LINES_EVERY;
        if due && line != last.0 {
            screen.progress(&line);
            last = (line, now);
        }
    }
}

/// I7: a log that could not sync goes on only after it has read the disk again.
pub(super) fn log_stopped(why: &str) -> Error {
    Error::fatal(format!("the log has stopped: {why}")).remedy(
        "see to the disk, then start again: recovery reads it anew, and nothing acknowledged is lost",
    )
}

/// What was shown, by task, so that nothing is shown at every look.
#[derive(Default)]
struct Problems {
    shown: BTreeMap<String, (State, String, Instant)>,
}

impl Problems {
    /// The text, if it is new or old enough to be shown again.
    fn due(
        &mut self,
        task: String,
        state: State,
        text: Option<String>,
        now: Instant,
    ) -> Option<String> {
        let text = text?;
        let known = self.shown.get(&task).is_some_and(|(before, shown, at)| {
            let fresh = now.duration_since(*at) < AGAIN_AFTER;
            *shown == text && *before == state && (fresh || state == State::Failed)
        });
        if known {
            return None;
        }
        self.shown.insert(task, (state, text.clone(), now));
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::{AGAIN_AFTER, Problems};
    use crate::worker::State;
    use std::time::{Duration, Instant};

    #[test]
    fn a_problem_is_shown_when_it_appears_and_not_at_every_look() {
        let mut problems = Problems::default();
        let began = Instant::now();
        let mut shown = |state, text: &str, after: Duration| {
            problems
                .due(
                    "a-0".to_owned(),
                    state,
                    Some(text.to_owned()),
                    began + after,
                )
                .is_some()
        };
        assert!(shown(State::Restarting, "gone", Duration::ZERO));
        assert!(!shown(State::Restarting, "gone", Duration::from_secs(1)));
        assert!(shown(State::Restarting, "gone", AGAIN_AFTER));
        assert!(shown(State::Failed, "gone", AGAIN_AFTER));
        assert!(!shown(State::Failed, "gone", AGAIN_AFTER * 10));
        assert!(shown(State::Failed, "other", AGAIN_AFTER * 10));
    }
}
