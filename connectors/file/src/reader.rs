//! A file that is read from a position on, in steps that block a thread for a moment.
//!
//! Owns the open file, what to do when it is missing, shrunk or replaced, and the position at line ends. It sends
//! nothing and never waits: the loop is [`crate::source`]'s.

use crate::{
    error,
    keys::{RecordFormat, Shrunk, SourceSettings},
    lines::{Ends, Lines},
    record::Records,
};
use std::{
    fs::{self, File, Metadata},
    io::{self, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::PathBuf,
};
use tapline_sdk::{Error, Files, Rows};

/// Bytes of lines after which a batch is ended, however many lines it may hold: a sixteenth of what a source may have
/// on its way into the log.
const BATCH_BYTES: usize = 1 << 20;

/// What one step brought.
pub(crate) enum Step {
    /// Lines, and the position after them; without lines, a position that has changed by itself.
    Batch(Rows, u64),
    /// Nothing: what the source is waiting for.
    Idle(Waiting),
}

/// What a source waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// The file does not exist.
    File,
    /// Everything is read but what has no line end yet.
    Lines,
    /// The file is shorter than what was read.
    Growth,
}

impl Waiting {
    /// In a few words, for the progress line.
    pub(crate) fn phase(self) -> &'static str {
        match self {
            Self::File => "waiting for the file",
            Self::Lines => "waiting for lines",
            Self::Growth => "waiting: the file is shorter than the position",
        }
    }
}

/// The file and how far it is read.
pub(crate) struct Reader {
    path: PathBuf,
    files: Files,
    shrunk: Shrunk,
    batch_lines: usize,
    bytes_max: usize,
    lines: Lines,
    records: Records,
    file: Option<File>,
    /// The first byte that is in no record yet.
    position: u64,
    /// What has been told already: a state is logged when it begins.
    told: Option<Told>,
    /// Room for the next batch: as much as the last one took, so that a batch is not copied while it grows.
    room: usize,
}

/// What came of opening.
enum Opened {
    File(File),
    Not(Step),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Missing,
    Shrunk,
    Replaced,
}

impl Reader {
    pub(crate) fn new(settings: &SourceSettings, position: u64) -> Self {
        let ends = match settings.format {
            RecordFormat::Struct => Ends::Lf,
            RecordFormat::Text => Ends::Java,
        };
        Self {
            path: PathBuf::from(&settings.file),
            files: settings.files.clone(),
            shrunk: settings.shrunk,
            batch_lines: settings.batch_lines,
            bytes_max: settings.line_bytes_max,
            lines: Lines::new(ends, settings.line_bytes_max),
            records: Records::new(settings),
            file: None,
            position,
            told: None,
            room: 0,
        }
    }

    /// Reads up to one batch.
    pub(crate) fn step(&mut self) -> Result<Step, Error> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => match self.open()? {
                Opened::File(file) => file,
                Opened::Not(step) => return Ok(step),
            },
        };
        let outcome = self.read(&mut file);
        self.file = Some(file);
        outcome
    }

    fn open(&mut self) -> Result<Opened, Error> {
        let opened = fs::metadata(&self.path).and_then(|metadata| {
            // Opening a pipe would wait for its writer: look first.
            let file = metadata.is_file().then(|| {
                let mut options = File::options();
                self.files.open(options.read(true), &self.path)
            });
            file.transpose()
        });
        let mut file = match opened {
            Ok(Some(file)) => file,
            Ok(None) => return Err(error::not_regular(&self.path)),
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
                self.tell(Told::Missing, 0);
                return Ok(Opened::Not(Step::Idle(Waiting::File)));
            }
            Err(other) => return Err(self.unreadable(other)),
        };
        let size = file
            .metadata()
            .map_err(|error| self.unreadable(error))?
            .len();
        if size < self.position {
            return Ok(Opened::Not(self.shrunk(size)));
        }
        self.lines.clear();
        file.seek(SeekFrom::Start(self.position))
            .map_err(|error| self.unreadable(error))?;
        tracing::info!(path = %self.path.display(), position = self.position, "file opened");
        self.told = None;
        Ok(Opened::File(file))
    }

    fn read(&mut self, file: &mut File) -> Result<Step, Error> {
        let (mut rows, mut batch) = (Rows::with_capacity(self.room), self.records.batch());
        let mut bytes = 0;
        while rows.len() < self.batch_lines && bytes < BATCH_BYTES {
            let Some(line) = self.lines.next() else {
                let read = self.lines.fill(file);
                match read.map_err(|error| self.unreadable(error))? {
                    0 => break,
                    _ => continue,
                }
            };
            if line.continued && !batch.can_continue() {
                return Err(error::too_long(&self.path, self.position, self.bytes_max));
            }
            batch.push(&mut rows, self.position, line.bytes, line.continued);
            // 64 bits hold what memory holds.
            self.position += line.taken as u64;
            bytes += line.taken;
        }
        self.room = bytes;
        if rows.is_empty() {
            return self.look(file);
        }
        Ok(Step::Batch(rows, self.position))
    }

    /// At the end of the file: is it still the file that it was?
    fn look(&mut self, file: &mut File) -> Result<Step, Error> {
        let ours = file.metadata().map_err(|error| self.unreadable(error))?;
        let read_upto = self.position + self.lines.waiting_bytes() as u64;
        if ours.len() < read_upto {
            // What waited for its line's end is no longer in the file: it is read again, if it comes back.
            self.lines.clear();
            if ours.len() < self.position {
                return self.shrunk_open(file, ours.len());
            }
            file.seek(SeekFrom::Start(self.position))
                .map_err(|error| self.unreadable(error))?;
        }
        match fs::metadata(&self.path) {
            Ok(theirs) if !same_file(&ours, &theirs) => self.tell(Told::Replaced, theirs.len()),
            _ if self.told == Some(Told::Shrunk) => self.told = None,
            _ => {}
        }
        Ok(Step::Idle(Waiting::Lines))
    }

    fn shrunk_open(&mut self, file: &mut File, size: u64) -> Result<Step, Error> {
        let step = self.shrunk(size);
        file.seek(SeekFrom::Start(self.position))
            .map_err(|error| self.unreadable(error))?;
        Ok(step)
    }

    /// The file is shorter than the position.
    fn shrunk(&mut self, size: u64) -> Step {
        self.tell(Told::Shrunk, size);
        match self.shrunk {
            Shrunk::Wait => Step::Idle(Waiting::Growth),
            Shrunk::Restart => {
                self.position = 0;
                // I1: the restart is stored at once, so that the old position is never applied to the grown file.
                Step::Batch(Rows::default(), 0)
            }
        }
    }

    fn tell(&mut self, what: Told, size: u64) {
        if self.told.replace(what) == Some(what) {
            return;
        }
        let (path, position) = (self.path.display(), self.position);
        match (what, self.shrunk) {
            (Told::Missing, _) => tracing::warn!(%path, "file does not exist yet, waiting for it"),
            (Told::Shrunk, Shrunk::Restart) => tracing::warn!(
                %path, position, size,
                "file is shorter than what was read of it, reading it from its beginning"
            ),
            (Told::Shrunk, Shrunk::Wait) => tracing::warn!(
                %path, position, size,
                "file is shorter than what was read of it, waiting until it has grown past the position: set the \
                 connector's offset to position 0 to read it from its beginning"
            ),
            (Told::Replaced, _) => tracing::warn!(
                %path, position, size,
                "another file stands at the path now, still reading the one that was opened: restart the connector to \
                 read the new one, from the same position unless its offset is set"
            ),
        }
    }

    fn unreadable(&self, error: io::Error) -> Error {
        error::unreadable(&self.path, error)
    }
}

fn same_file(a: &Metadata, b: &Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(test)]
mod tests;
