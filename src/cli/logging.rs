//! Log lines of a worker: through the screen to stderr, as text or JSON.

use super::screen::Screen;
use crate::config::worker::LogFormat;
use tapline_sdk::{Error, Result};
use tracing_subscriber::EnvFilter;

/// Starts logging. `RUST_LOG` wins over the settings, as in every Rust program.
///
/// # Errors
/// The filter is malformed.
pub(super) fn start(screen: &Screen, format: LogFormat, filter: &str) -> Result<()> {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| filter.to_owned());
    let filter = EnvFilter::try_new(&filter).map_err(|error| {
        let remedy = "use a level (error, warn, info, debug, trace) or module=level pairs";
        Error::config(format!("`{filter}` is not a log filter"))
            .code("TL0143")
            .remedy(remedy)
            .because(error)
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(screen.clone())
        .with_ansi(false);
    let started = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    started.map_err(|error| Error::fatal("cannot start logging").because(error.to_string()))
}
