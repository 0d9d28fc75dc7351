//! A partition's files after a crash: what stands in them behind the checkpoint, and putting them in order.

use crate::broker::{
    partition::{Damage, Partition},
    stored::{batch_at, header_at},
    swap::CLEANED,
};
use bytes::Bytes;
use std::io;

impl Partition {
    /// The batch that stands behind the partition's end in its segments, if it is whole, right, and the next one.
    pub(super) fn standing(&self) -> io::Result<Option<Bytes>> {
        let (end, last) = {
            let state = self.state.read();
            (
                state.end,
                state
                    .segments
                    .last()
                    .map(|segment| (segment.base, segment.bytes)),
            )
        };
        if let Some((base, bytes)) = last
            && let Some(batch) = self.standing_at(base, bytes, end)?
        {
            return Ok(Some(batch));
        }
        if last.is_none() && !self.owns_folder()? {
            return Ok(None);
        }
        self.standing_at(end, 0, end)
    }

    fn standing_at(&self, base: u64, position: u64, offset: u64) -> io::Result<Option<Bytes>> {
        let file = match self.files.get(&self.path(base, "log")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        match header_at(&*file, position, file.len()?)? {
            Some(header) if header.base_offset == offset => batch_at(&*file, position, &header),
            _ => Ok(None),
        }
    }

    /// Cuts what follows the last batch, marks what is missing, and returns files that are not needed any more.
    pub(super) fn settle(&self) -> io::Result<Vec<String>> {
        let state = self.state.read();
        // What is below may be named by the old checkpoint still; what is behind, nobody has spoken of.
        let behind = state.segments.last().map_or(state.end, |last| last.base);
        let segments: Vec<(u64, u64, u64)> = state
            .segments
            .iter()
            .enumerate()
            .map(|(index, segment)| {
                let next = state
                    .segments
                    .get(index + 1)
                    .map_or(state.end, |next| next.base);
                (segment.base, segment.bytes, next)
            })
            .collect();
        let log_start = state.log_start;
        drop(state);
        let names = match self.storage.list(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other?,
        };
        for (base, bytes, next) in &segments {
            self.settle_segment(*base, *bytes, (*base).max(log_start)..*next)?;
        }
        let mut garbage = Vec::new();
        for entry in names {
            let base = entry
                .name
                .split_once('.')
                .and_then(|(base, _)| base.parse::<u64>().ok());
            let Some(base) = base else { continue };
            let path = format!("{}/{}", self.folder, entry.name);
            let cleaned = entry.name.ends_with(CLEANED);
            if !cleaned && segments.iter().any(|segment| segment.0 == base) {
                continue;
            }
            if !cleaned && base < behind {
                garbage.push(path);
            } else {
                self.files.forget(&path);
                self.storage.remove(&path)?;
            }
        }
        Ok(garbage)
    }

    fn settle_segment(
        &self,
        base: u64,
        bytes: u64,
        offsets: std::ops::Range<u64>,
    ) -> io::Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        let len = match self.files.get(&self.path(base, "log")) {
            Ok(file) => {
                let len = file.len()?;
                if len > bytes {
                    file.set_len(bytes)?;
                }
                len
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        if len == 0 {
            self.damaged(Damage {
                offsets,
                resume: Some(bytes),
            });
        }
        Ok(())
    }
}
