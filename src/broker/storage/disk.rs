//! The real machine: a data directory on a local file system of Linux.

use super::{Entry, File, Lock, Open, Space, Storage};
use rustix::fs::{Advice, FallocateFlags};
use std::{
    fs::{self, OpenOptions, TryLockError},
    io::{self, IoSlice},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Only the owner reads the data directory: it holds other people's data (I9).
const FOLDER_MODE: u32 = 0o700;

/// As [`FOLDER_MODE`], for files.
const FILE_MODE: u32 = 0o600;

/// A data directory.
#[derive(Debug)]
pub struct Disk {
    root: PathBuf,
    /// Kept open from the start: `syncfs` reports write-back errors that happened since the descriptor was opened.
    folder: fs::File,
    started: Instant,
}

impl Disk {
    /// Opens a data directory, making it with mode 0700 if it is missing.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        if !root.is_dir() {
            make_folder(&root)?;
            fs::set_permissions(&root, fs::Permissions::from_mode(FOLDER_MODE))?;
        }
        Self::over(root)
    }

    /// A view of a folder that exists, for reading: nothing is made and no mode changed.
    pub fn over(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        let folder = fs::File::open(&root)?;
        Ok(Self {
            root,
            folder,
            started: Instant::now(),
        })
    }

    fn path(&self, path: &str) -> PathBuf {
        if path.is_empty() {
            self.root.clone()
        } else {
            self.root.join(path)
        }
    }
}

impl Storage for Disk {
    fn open(&self, path: &str, how: Open) -> io::Result<Arc<dyn File>> {
        let file = OpenOptions::new()
            .read(true)
            .write(how != Open::Read)
            .create(how == Open::Create)
            .mode(FILE_MODE)
            .open(self.path(path))?;
        Ok(Arc::new(DiskFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.path(path))
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        fs::remove_dir(self.path(path))
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        make_folder(&self.path(path))
    }

    fn list(&self, path: &str) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.path(path))? {
            let entry = entry?;
            // A name that is not UTF-8 is none of ours.
            if let Ok(name) = entry.file_name().into_string() {
                let folder = entry.file_type()?.is_dir();
                entries.push(Entry { name, folder });
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        fs::File::open(self.path(path))?.sync_all()
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.folder)?)
    }

    fn space(&self) -> io::Result<Space> {
        let status = rustix::fs::fstatvfs(&self.folder)?;
        Ok(Space {
            total: status.f_blocks.saturating_mul(status.f_frsize),
            free: status.f_bavail.saturating_mul(status.f_frsize),
        })
    }

    fn lock(&self, path: &str) -> io::Result<Box<dyn Lock>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(self.path(path))?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(DiskLock { _file: file })),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn now_ns(&self) -> i64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn random(&self) -> u128 {
        uuid::Uuid::new_v4().as_u128()
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(path)
}

/// The lock goes with the descriptor, also when the process is killed.
struct DiskLock {
    _file: fs::File,
}

impl Lock for DiskLock {}

struct DiskFile(fs::File);

impl File for DiskFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(&self.0, buffer, offset)
    }

    fn write_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        match parts {
            [part] => FileExt::write_at(&self.0, part, offset),
            parts => Ok(rustix::io::pwritev(&self.0, parts, offset)?),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        Ok(rustix::fs::fallocate(
            &self.0,
            FallocateFlags::empty(),
            offset,
            len,
        )?)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn start_writeback(&self, offset: u64, len: u64) -> io::Result<()> {
        // Linux starts writing the dirty pages of the range and keeps those that are not clean yet, which is what
        // `sync_file_range` would do, without its `unsafe`.
        let len = std::num::NonZeroU64::new(len);
        Ok(rustix::fs::fadvise(&self.0, offset, len, Advice::DontNeed)?)
    }
}
