//! What source and sink tasks share: how one is seen from outside, and how it is tried again.
//!
//! Owns states, figures and the attempts of a task, and buffers that one lends another; what an attempt does is [`crate::source`]'s and
//! [`crate::sink`]'s affair, and what an error means is [`crate::policy`]'s.

mod attempts;
mod idle;
mod monitor;
mod spent;
mod status;

pub(crate) use attempts::{Attempt, ended, exhausted, keep_trying};
pub(crate) use idle::Idle;
pub(crate) use monitor::Monitor;
pub use status::{ErrorReport, Gauges, State, TaskStatus};

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or_default()
}
