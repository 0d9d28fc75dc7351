//! SIGTERM and SIGINT: the first asks for a stop, the second ends the process.

use crate::cli::screen::Screen;
use tapline_sdk::{Error, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Exit code of a stop that was cut short.
const CUT_SHORT: i32 = 1;

/// Both signals.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From here on the signals no longer end the process by themselves.
    ///
    /// # Errors
    /// The system refuses a handler.
    pub(super) fn listen() -> Result<Self> {
        let listen = |kind| {
            signal(kind).map_err(|error| Error::fatal("cannot listen to signals").because(error))
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// Resolves with the next of either.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Ends at once. I5: what is not durable is read again at the next start.
pub(super) fn exit_now(screen: &Screen) {
    screen.warn("ended at once; what was not committed is read again\n");
    std::process::exit(CUT_SHORT);
}
