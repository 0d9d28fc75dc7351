//! One process on the simulated machine: the seam's traits. A process that has died reaches nothing any more, also
//! after the machine has started another.

use super::{
    super::{Entry, File, Lock, Open, Space, Storage},
    Fault,
    machine::{EPOCH_NS, Handle, Kind, Machine, error},
    names::{Node, parent},
};
use parking_lot::Mutex;
use std::{
    io::{self, IoSlice},
    sync::Arc,
    time::Duration,
};

/// What a process has of the machine.
pub(super) struct Process {
    machine: Arc<Mutex<Machine>>,
    life: u64,
}

impl Process {
    pub(super) fn new(machine: &Arc<Mutex<Machine>>) -> Self {
        Self {
            machine: Arc::clone(machine),
            life: machine.lock().life,
        }
    }
}

impl Storage for Process {
    fn open(&self, path: &str, how: Open) -> io::Result<Arc<dyn File>> {
        let mut machine = self.machine.lock();
        let life = self.life;
        machine
            .simple(life, Kind::Read, &format!("open {path} {how:?}"))?
            .end(())?;
        let id = match (machine.file(path), how) {
            (Err(error), Open::Create) if error.kind() == io::ErrorKind::NotFound => {
                machine.create(life, path)?
            }
            (found, _) => found?,
        };
        Ok(Arc::new(SimFile {
            machine: Arc::clone(&self.machine),
            handle: Handle {
                path: path.to_owned(),
                id,
                life,
            },
            writable: how != Open::Read,
        }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut machine = self.machine.lock();
        let node = machine.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        if !machine.names.is_folder(parent(to)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let life = self.life;
        let outcome = machine.simple(life, Kind::Name, &format!("rename {from} {to}"))?;
        machine.names.rename(from, to, node);
        outcome.end(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut machine = self.machine.lock();
        machine.file(path)?;
        let life = self.life;
        let outcome = machine.simple(life, Kind::Name, &format!("remove {path}"))?;
        machine.names.unlink(path);
        outcome.end(())
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        let mut machine = self.machine.lock();
        let names = machine.names.within(path);
        if names.ok_or(io::ErrorKind::NotFound)?.next().is_some() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let life = self.life;
        let outcome = machine.simple(life, Kind::Name, &format!("remove folder {path}"))?;
        machine.names.unlink(path);
        outcome.end(())
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        let mut machine = self.machine.lock();
        let mut made = String::new();
        for part in path.split('/') {
            if !made.is_empty() {
                made.push('/');
            }
            made.push_str(part);
            match machine.names.get(&made) {
                Some(Node::Folder(_)) => {}
                Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => {
                    let life = self.life;
                    let outcome = machine.simple(life, Kind::Grow, &format!("folder {made}"))?;
                    machine.names.make_folder(&made);
                    outcome.end(())?;
                }
            }
        }
        Ok(())
    }

    fn list(&self, path: &str) -> io::Result<Vec<Entry>> {
        let mut machine = self.machine.lock();
        let life = self.life;
        machine
            .simple(life, Kind::Read, &format!("list {path}"))?
            .end(())?;
        let names = machine.names.within(path).ok_or(io::ErrorKind::NotFound)?;
        let entry = |(name, node): (&str, Node)| Entry {
            name: name.to_owned(),
            folder: matches!(node, Node::Folder(_)),
        };
        let mut entries: Vec<Entry> = names.map(entry).collect();
        entries.sort();
        Ok(entries)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        let mut machine = self.machine.lock();
        let life = self.life;
        machine.sync(life, &format!("sync folder {path}"), &[])?;
        machine.names.sync(path);
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        let mut machine = self.machine.lock();
        let life = self.life;
        let dirty = machine.inodes.iter().enumerate();
        let dirty: Vec<usize> = dirty
            .filter_map(|(id, inode)| inode.is_dirty().then_some(id))
            .collect();
        machine.sync(life, "sync everything", &dirty)?;
        machine.names.sync_all();
        Ok(())
    }

    fn space(&self) -> io::Result<Space> {
        let mut machine = self.machine.lock();
        let life = self.life;
        machine.simple(life, Kind::Read, "space")?.end(())?;
        Ok(Space {
            total: machine.capacity,
            free: machine.free(),
        })
    }

    fn lock(&self, path: &str) -> io::Result<Box<dyn Lock>> {
        let file = self.open(path, Open::Create)?;
        drop(file);
        let mut machine = self.machine.lock();
        if machine.locked {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        machine.locked = true;
        Ok(Box::new(SimLock {
            machine: Arc::clone(&self.machine),
            life: self.life,
        }))
    }

    fn now_ns(&self) -> i64 {
        let elapsed = self.machine.lock().clock.as_nanos();
        EPOCH_NS + i64::try_from(elapsed).unwrap_or(i64::MAX - EPOCH_NS)
    }

    fn monotonic(&self) -> Duration {
        self.machine.lock().clock
    }

    fn random(&self) -> u128 {
        self.machine.lock().random.u128(..)
    }
}

struct SimFile {
    machine: Arc<Mutex<Machine>>,
    handle: Handle,
    writable: bool,
}

impl SimFile {
    fn check_writable(&self) -> io::Result<()> {
        if self.writable {
            return Ok(());
        }
        // EBADF, as for a descriptor opened for reading.
        Err(io::Error::from_raw_os_error(9))
    }
}

impl File for SimFile {
    fn len(&self) -> io::Result<u64> {
        let mut machine = self.machine.lock();
        let what = format!("len {}", self.handle.path);
        machine
            .simple(self.handle.life, Kind::Read, &what)?
            .end(())?;
        Ok(machine.inodes[self.handle.id].cached().len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut machine = self.machine.lock();
        let what = format!(
            "read {} at {offset}: {} bytes",
            self.handle.path,
            buffer.len()
        );
        machine
            .simple(self.handle.life, Kind::Read, &what)?
            .end(())?;
        let bytes = machine.inodes[self.handle.id].cached();
        let from = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let count = buffer.len().min(bytes.len() - from);
        buffer[..count].copy_from_slice(&bytes[from..from + count]);
        Ok(count)
    }

    fn write_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.check_writable()?;
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        self.machine.lock().write(&self.handle, &bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut machine = self.machine.lock();
        let what = format!("set_len {} {len}", self.handle.path);
        let outcome = machine.simple(self.handle.life, Kind::Name, &what)?;
        machine.inodes[self.handle.id].set_len(len);
        outcome.end(())
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut machine = self.machine.lock();
        let what = format!("allocate {} {offset}+{len}", self.handle.path);
        let outcome = machine.simple(self.handle.life, Kind::Grow, &what)?;
        if machine.occupy(self.handle.id, offset, len) < len {
            return Err(error(Fault::NoSpace));
        }
        if machine.inodes[self.handle.id].cached().len() as u64 <= offset + len {
            machine.inodes[self.handle.id].set_len(offset + len);
        }
        outcome.end(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let what = format!("sync {}", self.handle.path);
        self.machine
            .lock()
            .sync(self.handle.life, &what, &[self.handle.id])
    }

    fn start_writeback(&self, offset: u64, len: u64) -> io::Result<()> {
        let mut machine = self.machine.lock();
        let what = format!("writeback {} {offset}+{len}", self.handle.path);
        machine.simple(self.handle.life, Kind::Read, &what)?.end(())
    }
}

struct SimLock {
    machine: Arc<Mutex<Machine>>,
    life: u64,
}

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut machine = self.machine.lock();
        if machine.life == self.life {
            machine.locked = false;
        }
    }
}
