//! The state of the simulated machine, and what each operation does to it.

use super::{
    Fault,
    inode::{BLOCK_BYTES, Inode},
    names::{Names, Node, parent},
};
use fastrand::Rng;
use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    time::Duration,
};

/// What every operation takes.
const OPERATION: Duration = Duration::from_micros(20);

/// 14 November 2023: where simulated time begins.
pub(super) const EPOCH_NS: i64 = 1_700_000_000_000_000_000;

/// The operations that a failure report shows.
const RECENT_MAX: usize = 60;

/// Which operation a fault can strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
    /// Takes space without writing.
    Grow,
    Name,
    Sync,
}

impl Fault {
    pub(super) fn strikes(self, kind: Kind) -> bool {
        match self {
            Self::Io => kind != Kind::Sync,
            Self::NoSpace => matches!(kind, Kind::Write | Kind::Grow),
            Self::ShortWrite => kind == Kind::Write,
            Self::FailedSync => kind == Kind::Sync,
            Self::Crash => kind != Kind::Read,
        }
    }
}

/// What the operation in hand must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Go,
    Strike(Fault),
}

/// Everything there is.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub(super) names: Names,
    pub(super) inodes: Vec<Inode>,
    pub(super) capacity: u64,
    pub(super) random: Rng,
    pub(super) clock: Duration,
    /// Counts restarts; files of an earlier life fail.
    pub(super) life: u64,
    pub(super) dead: bool,
    pub(super) locked: bool,
    pub(super) plan: Option<(Fault, u64)>,
    pub(super) struck: Option<String>,
    pub(super) operations: u64,
    pub(super) trace: u64,
    pub(super) recent: VecDeque<String>,
}

impl Machine {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            names: Names::default(),
            inodes: Vec::new(),
            capacity: u64::MAX,
            random: Rng::with_seed(seed),
            clock: Duration::ZERO,
            life: 0,
            dead: false,
            locked: false,
            plan: None,
            struck: None,
            operations: 0,
            trace: 0,
            recent: VecDeque::new(),
        }
    }

    pub(super) fn cut_power(&mut self) {
        self.names.cut(&mut self.random);
        for inode in &mut self.inodes {
            inode.cut(&mut self.random);
        }
    }

    pub(super) fn lose_unsynced(&mut self) {
        self.names.lose_unsynced();
        for inode in &mut self.inodes {
            inode.lose_unsynced();
        }
    }

    pub(super) fn begin_life(&mut self) {
        self.life += 1;
        self.dead = false;
        self.locked = false;
        self.plan = None;
        self.struck = None;
    }

    pub(super) fn note(&mut self, what: &str) {
        let mut hasher = DefaultHasher::new();
        (self.trace, what).hash(&mut hasher);
        self.trace = hasher.finish();
        self.recent.push_back(what.to_owned());
        if self.recent.len() > RECENT_MAX {
            self.recent.pop_front();
        }
    }

    /// Counts an operation and decides its fate. A dead process' operations fail.
    pub(super) fn begin(&mut self, life: u64, kind: Kind, what: &str) -> io::Result<Verdict> {
        if self.dead || life != self.life {
            return Err(io::Error::other("the simulated process is dead"));
        }
        self.operations += 1;
        self.clock += OPERATION;
        self.note(what);
        match &mut self.plan {
            Some((fault, nth)) if fault.strikes(kind) => {
                let fault = *fault;
                *nth -= 1;
                if *nth > 0 {
                    return Ok(Verdict::Go);
                }
                self.plan = None;
                self.struck = Some(format!("{fault:?} at {what}"));
                self.note("struck");
                self.dead = fault == Fault::Crash;
                Ok(Verdict::Strike(fault))
            }
            _ => Ok(Verdict::Go),
        }
    }

    /// For operations that a fault fails or lets pass as a whole; one that the process dies in happens or not.
    pub(super) fn simple(&mut self, life: u64, kind: Kind, what: &str) -> io::Result<Outcome> {
        match self.begin(life, kind, what)? {
            Verdict::Go => Ok(Outcome::Done),
            Verdict::Strike(Fault::Crash) if self.random.bool() => Ok(Outcome::DoneAndDead),
            Verdict::Strike(fault) => Err(error(fault)),
        }
    }

    pub(super) fn used(&self) -> u64 {
        // A file without a name occupies its blocks until the process that has it open ends; close enough: named ones.
        let files = self.names.file_ids().filter_map(|id| self.inodes.get(id));
        files.map(Inode::allocated).sum()
    }

    pub(super) fn free(&self) -> u64 {
        self.capacity.saturating_sub(self.used())
    }

    /// Occupies as much of the range as there is space for; returns how many bytes from `at` are covered.
    pub(super) fn occupy(&mut self, id: usize, at: u64, len: u64) -> u64 {
        let missing = self.inodes[id].missing(at, len);
        let room = self.free() / BLOCK_BYTES;
        let fits = missing
            .len()
            .min(usize::try_from(room).unwrap_or(usize::MAX));
        let covered = match missing.get(fits) {
            Some(first_without) => (first_without * BLOCK_BYTES).saturating_sub(at),
            None => len,
        };
        self.inodes[id].occupy(missing.into_iter().take(fits));
        covered
    }

    pub(super) fn write(&mut self, file: &Handle, bytes: &[u8], at: u64) -> io::Result<usize> {
        let what = format!("write {} at {at}: {} bytes", file.path, bytes.len());
        let verdict = self.begin(file.life, Kind::Write, &what)?;
        let wanted = match verdict {
            Verdict::Go => bytes.len(),
            // At least one byte and not all: the other cases are other faults.
            Verdict::Strike(Fault::ShortWrite) => self.random.usize(1..bytes.len().max(2)),
            Verdict::Strike(Fault::NoSpace) => 0,
            Verdict::Strike(_) => self.random.usize(..=bytes.len()),
        };
        let wanted = wanted.min(bytes.len());
        let covered = self.occupy(file.id, at, wanted as u64);
        let written = wanted.min(usize::try_from(covered).unwrap_or(usize::MAX));
        if written > 0 {
            self.inodes[file.id].write(at, &bytes[..written]);
        }
        match verdict {
            Verdict::Strike(fault) if fault != Fault::ShortWrite => Err(error(fault)),
            _ if written == 0 && !bytes.is_empty() => Err(error(Fault::NoSpace)),
            _ => Ok(written),
        }
    }

    pub(super) fn sync(&mut self, life: u64, what: &str, ids: &[usize]) -> io::Result<()> {
        let verdict = self.begin(life, Kind::Sync, what)?;
        for &id in ids {
            match verdict {
                Verdict::Go => self.inodes[id].sync(),
                Verdict::Strike(Fault::Crash) => {
                    // Dead within the sync: it happened or not; what is dirty stays so until a power cut decides.
                    if self.random.bool() {
                        self.inodes[id].sync();
                    }
                }
                Verdict::Strike(_) => self.inodes[id].fail_sync(&mut self.random),
            }
        }
        match verdict {
            Verdict::Go => Ok(()),
            Verdict::Strike(fault) => Err(error(fault)),
        }
    }

    pub(super) fn file(&self, path: &str) -> io::Result<usize> {
        match self.names.get(path) {
            Some(Node::File(id)) => Ok(id),
            Some(Node::Folder(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn create(&mut self, life: u64, path: &str) -> io::Result<usize> {
        if !self.names.is_folder(parent(path)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let outcome = self.simple(life, Kind::Grow, &format!("create {path}"))?;
        let id = self.inodes.len();
        self.inodes.push(Inode::default());
        self.names.link(path, Node::File(id));
        outcome.end(id)
    }
}

/// An open file.
pub(super) struct Handle {
    pub(super) path: String,
    pub(super) id: usize,
    pub(super) life: u64,
}

/// How a simple operation ended that took effect.
pub(super) enum Outcome {
    Done,
    DoneAndDead,
}

impl Outcome {
    /// What the caller learns.
    pub(super) fn end<T>(self, value: T) -> io::Result<T> {
        match self {
            Self::Done => Ok(value),
            Self::DoneAndDead => Err(error(Fault::Crash)),
        }
    }
}

pub(super) fn error(fault: Fault) -> io::Error {
    match fault {
        Fault::NoSpace => io::ErrorKind::StorageFull.into(),
        // EIO.
        Fault::Io | Fault::FailedSync | Fault::ShortWrite => io::Error::from_raw_os_error(5),
        Fault::Crash => io::Error::other("the simulated process is dead"),
    }
}
