//! The herder: from what connectors are to be to what they are.
//!
//! Owns what is stored of connectors (settings and target states in `connect-configs`), one supervisor for each, which
//! brings its tasks to that state, and what is told about both. Supervisors are independent: one whose connector hangs
//! holds up nobody else. Moves no record; what a task does is the affair of `source` and `sink`.
//!
//! ```text
//! REST, pipeline file ──check, store──▶ connect-configs
//!                          │ then                      a level, not a queue: the latest wins,
//!                          ▼                           restarts asked for meanwhile coalesce
//!                       wanted ──supervisor──▶ running tasks ──every second──▶ connect-status
//! ```
//!
//! What is wanted is durable before a supervisor sees it, so that a killed worker comes back to it.

mod apply;
mod change;
mod connector;
mod create;
mod declare;
mod publish;
mod reconcile;
mod restart;
mod secrets;
mod stage;
mod view;

pub use change::Refused;
pub use declare::{Action, Change, Changes, Declaration, KeyChange, TopicChange};
pub use view::ConnectorInfo;

pub(crate) use connector::{Connector, Stored};
pub(crate) use reconcile::{halt, oversee};
pub(crate) use stage::{during, watched};
