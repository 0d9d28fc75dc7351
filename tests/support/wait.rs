//! Waiting on a condition with a deadline.

use std::time::{Duration, Instant};

/// Long enough for a loaded machine; a test that reaches it has failed.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Between two looks: short against any server's answer, long against a core's time.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks until `condition` gives something, and returns it.
///
/// # Panics
/// After [`DEADLINE`], naming `what`.
pub async fn until<T>(what: &str, condition: impl AsyncFnMut() -> Option<T>) -> T {
    let found = within(DEADLINE, condition).await;
    found.unwrap_or_else(|| panic!("waited {DEADLINE:?} in vain: {what}"))
}

/// Looks until `condition` gives something, or so much time has passed.
pub async fn within<T>(time: Duration, mut condition: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + time;
    loop {
        let found = condition().await;
        if found.is_some() || Instant::now() > end {
            return found;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What [`while_moving`] found at one look.
pub enum Look<T> {
    /// It is there.
    Found(T),
    /// Not yet; a number that changes as long as something happens.
    At(u64),
}

/// Looks until `condition` gives something, however long that takes: `None` only once its number has stood still for
/// [`DEADLINE`].
pub async fn while_moving<T>(mut condition: impl AsyncFnMut() -> Look<T>) -> Option<T> {
    let mut moved = (Instant::now(), None);
    loop {
        match condition().await {
            Look::Found(found) => return Some(found),
            Look::At(at) if moved.1 != Some(at) => moved = (Instant::now(), Some(at)),
            Look::At(_) if moved.0.elapsed() > DEADLINE => return None,
            Look::At(_) => {}
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Looks for so long and finds `condition` true each time: for what must not happen.
///
/// # Panics
/// When it no longer is, naming `what`.
pub async fn stays(what: &str, time: Duration, mut condition: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        assert!(condition().await, "no longer true: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// As [`until`], for threads without a runtime.
///
/// # Panics
/// After [`DEADLINE`], naming `what`.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where a test thread waits between looks"
)]
pub fn blocking<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < end, "waited {DEADLINE:?} in vain: {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}
