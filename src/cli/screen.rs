//! What `run` shows: lines that stay, and on a terminal one progress line that is rewritten below them.
//!
//! Progress and banner go to stdout, log lines to stderr. All pass through here, so that none lands inside another.

use parking_lot::Mutex;
use std::{
    io::{self, IsTerminal, Write},
    sync::Arc,
};
use tracing_subscriber::fmt::MakeWriter;

/// To the first column, then erase to the end of the line.
const ERASE: &[u8] = b"\r\x1b[K";

/// The two streams of a process. Cheap to clone.
#[derive(Clone)]
pub(super) struct Screen {
    shown: Arc<Mutex<Shown>>,
    terminal: bool,
}

struct Shown {
    progress: String,
}

impl Screen {
    /// The process' own streams.
    pub(super) fn new() -> Self {
        Self {
            shown: Arc::new(Mutex::new(Shown {
                progress: String::new(),
            })),
            terminal: io::stdout().is_terminal(),
        }
    }

    /// Whether the progress line is rewritten in place.
    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Text that stays, on stdout.
    pub(super) fn say(&self, text: &str) {
        self.write(text.as_bytes(), &mut io::stdout());
    }

    /// Text that stays, on stderr.
    pub(super) fn warn(&self, text: &str) {
        self.write(text.as_bytes(), &mut io::stderr());
    }

    /// Replaces the progress line; without a terminal it is a line like any other.
    pub(super) fn progress(&self, line: &str) {
        let mut shown = self.shown.lock();
        let mut out = io::stdout().lock();
        if self.terminal {
            shown.progress = fitted(line, columns(&out));
            // Nobody reads stdout any more: a worker goes on without it.
            let _unread = out
                .write_all(ERASE)
                .and_then(|()| out.write_all(shown.progress.as_bytes()))
                .and_then(|()| out.flush());
        } else {
            let _unread = writeln!(out, "{line}").and_then(|()| out.flush());
        }
    }

    /// Takes the progress line away.
    pub(super) fn clear(&self) {
        let mut shown = self.shown.lock();
        if !shown.progress.is_empty() {
            shown.progress.clear();
            let mut out = io::stdout().lock();
            let _unread = out.write_all(ERASE).and_then(|()| out.flush());
        }
    }

    fn write(&self, text: &[u8], to: &mut dyn Write) {
        let shown = self.shown.lock();
        let under_way = self.terminal && !shown.progress.is_empty();
        if under_way {
            let mut out = io::stdout().lock();
            let _unread = out.write_all(ERASE).and_then(|()| out.flush());
        }
        let _unread = to.write_all(text).and_then(|()| to.flush());
        if under_way {
            let mut out = io::stdout().lock();
            let _unread = out
                .write_all(shown.progress.as_bytes())
                .and_then(|()| out.flush());
        }
    }
}

/// The terminal's width; `None` if it does not say.
fn columns(out: &io::StdoutLock<'_>) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(out).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// A line that wraps could not be rewritten in place: it is cut, with a sign that it was.
fn fitted(line: &str, columns: Option<usize>) -> String {
    match columns {
        Some(columns) if line.chars().count() > columns => {
            let kept = line.chars().take(columns.saturating_sub(1));
            kept.chain(['…']).collect()
        }
        _ => line.to_owned(),
    }
}

/// Log lines, each written whole.
pub(super) struct LogLine<'s> {
    screen: &'s Screen,
}

impl Write for LogLine<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.screen.write(line, &mut io::stderr());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'s> MakeWriter<'s> for Screen {
    type Writer = LogLine<'s>;

    fn make_writer(&'s self) -> Self::Writer {
        LogLine { screen: self }
    }
}

#[cfg(test)]
mod tests {
    use super::fitted;

    #[test]
    fn a_line_never_wraps() {
        assert_eq!(fitted("streaming | in 5", Some(10)), "streaming…");
        assert_eq!(fitted("streaming", Some(9)), "streaming");
        assert_eq!(fitted("streaming", None), "streaming");
    }
}
