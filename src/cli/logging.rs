//! Log lines of a worker: through the screen to stderr, as text or JSON.

use super::screen::Screen;
use crate::{
    config::worker::LogFormat,
    logging::{JsonLines, Loggers, scope},
};
use tapline_sdk::{Error, Result};
use tracing_subscriber::{
    Layer,
    fmt::{self, format::JsonFields},
    layer::SubscriberExt,
    reload,
    util::SubscriberInitExt,
};

/// Starts logging. `RUST_LOG` wins over the settings, as in every Rust program.
///
/// # Errors
/// The filter is malformed.
pub(super) fn start(screen: &Screen, format: LogFormat, filter: &str) -> Result<()> {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| filter.to_owned());
    let parsed = scope::filter(&filter).map_err(|error| {
        let remedy = "use a level (error, warn, info, debug, trace) or module=level pairs";
        Error::config(format!("`{filter}` is not a log filter"))
            .code("TL0143")
            .remedy(remedy)
            .because(error)
    })?;
    let (reloadable, handle) = reload::Layer::new(parsed);
    let lines = fmt::layer().with_writer(screen.clone()).with_ansi(false);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines
            .fmt_fields(JsonFields::new())
            .event_format(JsonLines)
            .boxed(),
    };
    let started = tracing_subscriber::registry()
        .with(reloadable)
        .with(lines)
        .try_init();
    let apply = move |filter| handle.reload(filter).map_err(|error| error.to_string());
    Loggers::new(&filter, apply).install();
    started.map_err(|error| Error::fatal("cannot start logging").because(error.to_string()))
}
