//! The file that the sink appends to, with the ledger beside it: exactly once, and nobody else's bytes are ever changed.
//!
//! Owns the order of writes. A put holds the ledger's lock and does this:
//!
//! ```text
//!  settle the last entry ─▶ check that the position is where this task left it ─▶ sync the file
//!     ─▶ ledger: positions and batch, synced (the commit) ─▶ append the batch ─▶ ledger: applied
//! ```
//!
//! A crash leaves the last batch missing, torn or whole; the next holder compares the file with the batch and completes
//! it. What follows a batch that somebody else has begun to write over is left alone: the batch goes behind it.

use crate::{
    error,
    ledger::{Entry, State, Stored, Unusable, read_upto},
};
use std::{
    collections::BTreeMap,
    fs::{self, File, Metadata, TryLockError},
    io::{self, Write},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};
use tapline_sdk::{Error, Files, TopicPartition};

/// Whose positions: this log's, this connector's.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub(crate) cluster: String,
    pub(crate) connector: String,
}

/// A partition's next record, as this task left it and as a batch moves it.
#[derive(Debug, Clone)]
pub(crate) struct Move {
    pub(crate) at: TopicPartition,
    pub(crate) topic_id: u128,
    pub(crate) from: Option<u64>,
    pub(crate) to: u64,
}

/// Where the file and its ledger are.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    path: PathBuf,
    ledger: PathBuf,
    files: Files,
}

/// The file and its ledger, nobody else's until this is dropped. I10: a task that was given up holds it until its last
/// write is over, and finds its position moved if it comes back.
#[derive(Debug)]
pub(crate) struct Held {
    path: PathBuf,
    files: Files,
    file: File,
    ledger: File,
    /// The last entry; its batch is in the file.
    pub(crate) entry: Entry,
}

impl Target {
    pub(crate) fn new(file: &str, files: &Files) -> Self {
        let mut ledger = PathBuf::from(file).into_os_string();
        ledger.push(".tapline");
        Self {
            path: PathBuf::from(file),
            ledger: PathBuf::from(ledger),
            files: files.clone(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn ledger(&self) -> &Path {
        &self.ledger
    }

    /// The last entry as it is now, without waiting for anyone.
    pub(crate) fn peek(&self) -> Result<Entry, Error> {
        match self.files.open(File::options().read(true), &self.ledger) {
            Ok(ledger) => Entry::read(&ledger).map_err(|why| self.unusable(why)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Entry::default()),
            Err(error) => Err(error::unwritable(&self.ledger, error)),
        }
    }

    /// Takes file and ledger, and completes what was left undone. `None`: somebody else has them. `known` is the entry
    /// that this task wrote last, if it did.
    pub(crate) fn hold(&self, known: Option<Entry>) -> Result<Option<Held>, Error> {
        let failed = |error| error::unwritable(&self.ledger, error);
        let mut options = File::options();
        let options = options.read(true).write(true).create(true).truncate(false);
        let ledger = self.files.open(options, &self.ledger).map_err(failed)?;
        match ledger.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let ours = ledger.metadata().map_err(failed)?;
        match fs::metadata(&self.ledger) {
            Ok(there) if same_file(&ours, &there) => {}
            // It was purged between opening and locking.
            _ => return Ok(None),
        }
        if ours.len() == 0 {
            sync_folder(&self.ledger).map_err(failed)?;
        }
        let latest = Entry::latest_sequence(&ledger).map_err(failed)?;
        let entry = match known.filter(|known| known.sequence == latest && known.applied) {
            Some(known) => known,
            None => Entry::read(&ledger).map_err(|why| self.unusable(why))?,
        };
        let mut held = Held {
            path: self.path.clone(),
            files: self.files.clone(),
            file: self.open()?,
            ledger,
            entry,
        };
        held.settle()
            .map_err(|error| error::unwritable(&self.path, error))?;
        Ok(Some(held))
    }

    fn open(&self) -> Result<File, Error> {
        // Opening a pipe would wait for its reader: look first.
        if fs::metadata(&self.path).is_ok_and(|metadata| !metadata.is_file()) {
            return Err(error::not_regular(&self.path));
        }
        let mut options = File::options();
        let options = options.read(true).append(true).create(true);
        let opened = self.files.open(options, &self.path);
        opened.map_err(|error| error::unwritable(&self.path, error))
    }

    fn unusable(&self, why: Unusable) -> Error {
        match why {
            Unusable::Io(error) => error::unwritable(&self.ledger, error),
            Unusable::Damaged(why) => error::damaged(&self.ledger, why),
        }
    }
}

/// What a file shows of the batch that it should hold.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Whole,
    /// So many of its bytes, and nothing behind them.
    Torn(usize),
    /// All or the first of its bytes, some of them zero: a power cut came before they reached the disk.
    Holed,
    /// Other bytes.
    Foreign,
}

fn compare(tail: &[u8], batch: &[u8]) -> Found {
    let pairs = || tail.iter().zip(batch);
    if pairs().all(|(there, ours)| there == ours) {
        return match tail.len() >= batch.len() {
            true => Found::Whole,
            false => Found::Torn(tail.len()),
        };
    }
    match pairs().all(|(there, ours)| there == ours || *there == 0) {
        true => Found::Holed,
        false => Found::Foreign,
    }
}

impl Held {
    /// The position of a partition.
    pub(crate) fn position(&self, owner: &Owner, at: &TopicPartition) -> Option<&Stored> {
        let positions = &self.entry.state.positions;
        positions.iter().find(|one| is_of(one, owner, at))
    }

    /// Appends a batch, unless it is there already. Durable on return.
    pub(crate) fn put(
        &mut self,
        owner: &Owner,
        moves: &[Move],
        batch: Vec<u8>,
    ) -> Result<(), Error> {
        let next = |one: &Move| self.position(owner, &one.at).map(|stored| stored.next);
        if let Some(moved) = moves.iter().find(|one| next(one) != one.from) {
            // The last answer was lost: the same batch comes again.
            if moves.iter().all(|one| next(one) == Some(one.to)) {
                return Ok(());
            }
            // I10: only the task that left the position may move it on.
            return Err(error::overtaken(
                &self.path,
                &moved.at.topic,
                moved.at.partition,
            ));
        }
        let mut positions = self.entry.state.positions.clone();
        for one in moves {
            positions.retain(|stored| !is_of(stored, owner, &one.at));
            positions.push(stored(owner, one));
        }
        self.commit(positions, batch)
            .map_err(|error| error::unwritable(&self.path, error))
    }

    /// Stores other positions, without a batch.
    pub(crate) fn alter(&mut self, positions: Vec<Stored>) -> Result<(), Error> {
        self.commit(positions, Vec::new())
            .map_err(|error| error::unwritable(&self.path, error))
    }

    fn commit(&mut self, positions: Vec<Stored>, batch: Vec<u8>) -> io::Result<()> {
        // The last batch leaves the ledger now: it must be safe in the file first.
        self.file.sync_data()?;
        let now = self.file.metadata()?;
        let state = State {
            device: now.dev(),
            inode: now.ino(),
            base: now.len(),
            positions,
        };
        // I4: position and lines are durable in one step; the file follows.
        self.entry = self.entry.replace(&self.ledger, state, batch)?;
        self.file.write_all(&self.entry.batch)?;
        self.finish()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.entry.set_applied(&self.ledger)?;
        self.entry.batch = Vec::new();
        Ok(())
    }

    /// Completes the last batch, whatever a crash has left of it.
    fn settle(&mut self) -> io::Result<()> {
        if self.entry.batch.is_empty() {
            return Ok(());
        }
        let State {
            device,
            inode,
            base,
            ..
        } = self.entry.state;
        let now = self.file.metadata()?;
        let is_same = (now.dev(), now.ino()) == (device, inode) && now.len() >= base;
        let found = match is_same {
            true => {
                let mut tail = vec![0; self.entry.batch.len()];
                let read = read_upto(&self.file, &mut tail, base)?;
                compare(tail.get(..read).unwrap_or_default(), &self.entry.batch)
            }
            false => Found::Foreign,
        };
        let path = self.path.display();
        match found {
            Found::Whole => {}
            Found::Torn(there) => {
                tracing::info!(%path, base, there, "completing the last batch");
                let rest = self.entry.batch.get(there..).unwrap_or_default();
                self.file.write_all(rest)?;
            }
            Found::Holed => {
                tracing::warn!(%path, base, "writing the last batch again: a power cut took parts of it");
                let mut options = File::options();
                let file = self.files.open(options.write(true), &self.path)?;
                file.write_all_at(&self.entry.batch, base)?;
            }
            // It was in the file, and somebody has changed or rotated the file since.
            Found::Foreign if self.entry.applied => {}
            Found::Foreign => {
                tracing::warn!(
                    %path, base, size = now.len(),
                    "the file was changed or rotated since the last batch: appending the batch at its end"
                );
                self.file.write_all(&self.entry.batch)?;
            }
        }
        self.finish()
    }
}

/// The positions of one connector.
pub(crate) fn positions_of(entry: &Entry, owner: &Owner) -> BTreeMap<TopicPartition, u64> {
    let own = |one: &&Stored| one.cluster == owner.cluster && one.connector == owner.connector;
    let stored = entry.state.positions.iter().filter(own);
    stored
        .map(|one| {
            let at = TopicPartition {
                topic: one.topic.as_str().into(),
                partition: one.partition,
            };
            (at, one.next)
        })
        .collect()
}

/// Whether this is the partition's position in this connector, of whichever log and topic of that name.
pub(crate) fn is_of(stored: &Stored, owner: &Owner, at: &TopicPartition) -> bool {
    stored.connector == owner.connector
        && stored.topic == *at.topic
        && stored.partition == at.partition
}

/// A topic's id as the ledger has it.
pub(crate) fn hex(topic_id: u128) -> String {
    format!("{topic_id:032x}")
}

fn stored(owner: &Owner, one: &Move) -> Stored {
    Stored {
        cluster: owner.cluster.clone(),
        connector: owner.connector.clone(),
        topic: one.at.topic.to_string(),
        topic_id: hex(one.topic_id),
        partition: one.at.partition,
        next: one.to,
    }
}

fn same_file(a: &Metadata, b: &Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// A new name is durable once its folder is.
fn sync_folder(of: &Path) -> io::Result<()> {
    let folder = match of.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests;
