//! Open segment files, shared by the journal's thread and readers, few enough for any limit on descriptors.

use super::storage::{File, Open, Storage};
use parking_lot::Mutex;
use std::{collections::HashMap, io, sync::Arc};

/// Far below the usual limit of 1,024 descriptors a process; opening a file again takes about 5 µs.
const OPEN_MAX: usize = 400;

/// A cache of handles by path.
pub(super) struct Files {
    storage: Arc<dyn Storage>,
    open: Mutex<HashMap<String, Arc<dyn File>>>,
}

impl Files {
    pub(super) fn new(storage: Arc<dyn Storage>) -> Self {
        Self {
            storage,
            open: Mutex::default(),
        }
    }

    /// A file that exists.
    pub(super) fn get(&self, path: &str) -> io::Result<Arc<dyn File>> {
        self.with(path, path.to_owned(), Open::Write)
    }

    /// A file that exists, of a segment of this generation: compaction puts another file in place under the same
    /// name, and a handle of the one before must not be taken for it.
    pub(super) fn get_of(&self, path: &str, generation: u64) -> io::Result<Arc<dyn File>> {
        if generation == 0 {
            return self.get(path);
        }
        self.with(path, format!("{path}#{generation}"), Open::Write)
    }

    /// A file, made empty if it is missing.
    pub(super) fn create(&self, path: &str) -> io::Result<Arc<dyn File>> {
        self.with(path, path.to_owned(), Open::Create)
    }

    fn with(&self, path: &str, key: String, how: Open) -> io::Result<Arc<dyn File>> {
        if let Some(file) = self.open.lock().get(&key) {
            return Ok(Arc::clone(file));
        }
        let file = self.storage.open(path, how)?;
        let mut open = self.open.lock();
        if open.len() >= OPEN_MAX {
            // Those in use live on with their users.
            open.clear();
        }
        open.insert(key, Arc::clone(&file));
        Ok(file)
    }

    /// Forgets the handles of a folder or file that is renamed or removed.
    pub(super) fn forget(&self, prefix: &str) {
        self.open.lock().retain(|path, _| !path.starts_with(prefix));
    }
}
