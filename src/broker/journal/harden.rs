//! Makes the journal's last entry durable before a recovery does what it says.
//!
//! Every entry but the last was synced before the next one was written. The last one may never have been: the process
//! was killed, or the sync failed and the log stopped (I7). After a failed sync readers still see what was written, and
//! a later sync reports success without writing it. So a sync alone proves nothing: what was read is written again,
//! and then synced.

use super::{FOLDER, Position, path, scan::Entry, scan::Found, scan::Scanner};
use crate::broker::storage::{Open, Storage, read_full_at, write_all_at};
use std::{io, sync::Arc};

/// Finds the last whole entry behind a position, writes it again, and syncs the files from there on.
pub(in crate::broker) fn harden(
    storage: &Arc<dyn Storage>,
    cluster: u128,
    files: &[(u64, u64)],
    from: Position,
) -> io::Result<()> {
    let mut scanner = Scanner::new(Arc::clone(storage), cluster, files, from);
    let mut last = None;
    while let Some(found) = scanner.next()? {
        match found {
            Found::Entry { entry, .. } => last = Some(entry),
            Found::Lost { .. } => {}
            // What is not whole counts only as far as it stands in segments.
            Found::Tail { .. } => break,
        }
    }
    if let Some(entry) = last {
        write_again(&**storage, &entry)?;
    }
    for (generation, _) in files.iter().filter(|file| file.0 >= from.generation) {
        storage.open(&path(*generation), Open::Write)?.sync_data()?;
    }
    storage.sync_dir(FOLDER)
}

fn write_again(storage: &dyn Storage, entry: &Entry) -> io::Result<()> {
    for (generation, offset, len) in entry.frames() {
        let file = storage.open(&path(generation), Open::Write)?;
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        let read = read_full_at(&*file, &mut bytes, offset)?;
        bytes.truncate(read);
        write_all_at(&*file, &[&bytes], offset)?;
    }
    Ok(())
}
