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
        self.with(path, Open::Write)
    }

    /// A file, made empty if it is missing.
    pub(super) fn create(&self, path: &str) -> io::Result<Arc<dyn File>> {
        self.with(path, Open::Create)
    }

    fn with(&self, path: &str, how: Open) -> io::Result<Arc<dyn File>> {
        if let Some(file) = self.open.lock().get(path) {
            return Ok(Arc::clone(file));
        }
        let file = self.storage.open(path, how)?;
        let mut open = self.open.lock();
        if open.len() >= OPEN_MAX {
            // Those in use live on with their users.
            open.clear();
        }
        open.insert(path.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    /// Forgets the handles of a folder or file that is renamed or removed.
    pub(super) fn forget(&self, prefix: &str) {
        self.open.lock().retain(|path, _| !path.starts_with(prefix));
    }
}
