//! The one seam between the broker and the machine: files, clock and randomness.
//!
//! Everything in `crate::broker` reaches the disk, the clock and random numbers through [`Storage`], so that tests can
//! put a simulated disk under the same code and make any operation fail. Paths are relative to the data directory,
//! parts separated by `/`. Nothing here knows a format, retries an error or decides what an error means.
//!
//! What an implementation promises, and a caller may rely on:
//! - bytes of a file survive a power cut after [`File::sync_data`] or [`Storage::sync_all`] returned `Ok`;
//! - a created, renamed or removed name survives after [`Storage::sync_dir`] of its folder or [`Storage::sync_all`];
//! - what was not synced may survive whole, in parts of a sector, or not at all, in any order.

mod disk;
#[cfg(test)]
pub(crate) mod sim;

pub use disk::Disk;

use std::{
    io::{self, IoSlice},
    sync::Arc,
    time::Duration,
};

/// How to open a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// For reading; the file must exist.
    Read,
    /// For reading and writing; the file must exist.
    Write,
    /// For reading and writing; made empty if it is missing, left as it is if not.
    Create,
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name, without the folder.
    pub name: String,
    /// Whether it is a folder.
    pub folder: bool,
}

/// What the file system has to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Its size in bytes.
    pub total: u64,
    /// What this process may still use, in bytes.
    pub free: u64,
}

/// Held while the data directory is ours; dropping it releases the lock.
pub trait Lock: Send + Sync {}

/// An open file. All methods may be called from several threads.
pub trait File: Send + Sync {
    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether it has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads up to `buffer.len()` bytes from `offset`; 0 at or past the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes the parts one after another from `offset`, extending the file. May write less than asked for.
    fn write_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize>;

    /// Cuts the file, or extends it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Reserves space for the range; the file's length becomes at least `offset + len`.
    fn allocate(&self, offset: u64, len: u64) -> io::Result<()>;

    /// Makes the bytes and the length durable. After an error nothing is known of what is durable (I7).
    fn sync_data(&self) -> io::Result<()>;

    /// Asks the system to begin writing the range to disk; promises nothing.
    fn start_writeback(&self, offset: u64, len: u64) -> io::Result<()>;
}

/// Files, clock and randomness.
pub trait Storage: Send + Sync {
    /// Opens a file.
    fn open(&self, path: &str, how: Open) -> io::Result<Arc<dyn File>>;

    /// Gives a file or folder another name; a file that has the name already is replaced in one step.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Removes a folder, which must be empty.
    fn remove_dir(&self, path: &str) -> io::Result<()>;

    /// Makes a folder and those above it; no error if it exists.
    fn create_dir(&self, path: &str) -> io::Result<()>;

    /// The names in a folder, sorted; `NotFound` if there is no such folder.
    fn list(&self, path: &str) -> io::Result<Vec<Entry>>;

    /// Makes the names in a folder durable; the data directory itself is `""`.
    fn sync_dir(&self, path: &str) -> io::Result<()>;

    /// Makes everything durable: bytes, lengths and names. After an error nothing is known (I7).
    fn sync_all(&self) -> io::Result<()>;

    /// The space of the file system that holds the data directory.
    fn space(&self) -> io::Result<Space>;

    /// Takes the data directory for this process; `WouldBlock` if another one holds it.
    fn lock(&self, path: &str) -> io::Result<Box<dyn Lock>>;

    /// Nanoseconds since 1970 by the wall clock, which may jump.
    fn now_ns(&self) -> i64;

    /// Milliseconds since 1970 by the wall clock, which may jump.
    fn now_ms(&self) -> i64 {
        self.now_ns() / 1_000_000
    }

    /// Time since some fixed moment; never goes back.
    fn monotonic(&self) -> Duration;

    /// A new random UUID, version 4.
    fn random(&self) -> u128;
}

/// Writes all parts from `offset`, going on after short writes.
pub fn write_all_at(file: &dyn File, parts: &[&[u8]], mut offset: u64) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let mut rest: &mut [IoSlice<'_>] = &mut slices;
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        // The kernel takes at most 1,024 parts a call (UIO_MAXIOV).
        let count = rest.len().min(WRITE_PARTS_MAX);
        let written = match file.write_at(rest.get(..count).unwrap_or_default(), offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        offset = offset.saturating_add(written as u64);
        IoSlice::advance_slices(&mut rest, written);
    }
    Ok(())
}

/// Fills the buffer from `offset`; returns how many bytes there were before the end of the file.
pub fn read_full_at(file: &dyn File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset.saturating_add(done as u64)) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Reads a whole small file.
pub fn read_file(storage: &dyn Storage, path: &str) -> io::Result<Vec<u8>> {
    let file = storage.open(path, Open::Read)?;
    let len = file.len()?;
    if len > SMALL_FILE_MAX {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("{path} has {len} bytes"),
        ));
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or_default()];
    let read = read_full_at(&*file, &mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Puts a file in place in one step that a power cut leaves done or undone, never half done.
pub fn replace_file(storage: &dyn Storage, path: &str, bytes: &[u8]) -> io::Result<()> {
    let (folder, _) = path.rsplit_once('/').unwrap_or(("", path));
    let temporary = format!("{path}.tmp");
    let file = storage.open(&temporary, Open::Create)?;
    file.set_len(0)?;
    write_all_at(&*file, &[bytes], 0)?;
    file.sync_data()?;
    storage.rename(&temporary, path)?;
    storage.sync_dir(folder)
}

/// Parts per write call.
const WRITE_PARTS_MAX: usize = 1_024;

/// A checkpoint of 100,000 partitions is about 10 MiB; what is larger than this is no file of ours.
const SMALL_FILE_MAX: u64 = 1 << 30;
