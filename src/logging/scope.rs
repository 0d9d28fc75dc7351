//! Whose a line is: spans that carry `connector` and `task` through everything that a connector does.
//!
//! A task's span is entered by whatever runs on its behalf, spawned tasks and blocking threads included. No level hides
//! these spans, because a line that is shown must say whose it is: their target has a directive of its own.

use tracing::{Span, error_span};
use tracing_subscriber::{
    EnvFilter,
    filter::{Directive, LevelFilter, ParseError},
};

/// The target of these spans. No event has it.
const TARGET: &str = "tapline::scope";

/// What a connector does apart from its tasks.
pub(crate) fn of_connector(connector: &str) -> Span {
    error_span!(target: TARGET, parent: None, "connector", connector)
}

/// What one task does. No child of its connector's: both name it.
pub(crate) fn of_task(connector: &str, task: u32) -> Span {
    error_span!(target: TARGET, parent: None, "task", connector, task)
}

/// The filter of these directives, which never hides whose a line is.
///
/// # Errors
/// A directive is malformed.
pub(crate) fn filter(directives: &str) -> Result<EnvFilter, ParseError> {
    let shown: Directive = format!("{TARGET}={}", LevelFilter::ERROR).parse()?;
    Ok(EnvFilter::try_new(directives)?.add_directive(shown))
}
