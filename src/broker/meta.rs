//! Whose data directory this is: the files `meta`, `lock` and `clean`.
//!
//! `meta` is text, so that a human can read it. Its last line is the CRC-32C of everything before, in hexadecimal:
//!
//! ```text
//! tapline data directory
//! format=1
//! features=
//! cluster.id=<UUID, base64url without padding, as Kafka writes cluster ids>
//! crc32c=<8 digits>
//! ```
//!
//! `features` names what a reader must understand beyond the format; an unknown one is refused. `clean` exists after an
//! orderly shutdown, holds the journal's last sequence, and is removed before the log is used again.

use super::{
    error,
    layout::crc,
    storage::{Lock, Storage, read_file, replace_file},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::io;
use tapline_sdk::Error;

const META: &str = "meta";
const LOCK: &str = "lock";
const CLEAN: &str = "clean";
const TITLE: &str = "tapline data directory";
const FORMAT: &str = "1";

/// What an interrupted start may leave behind before `meta` exists, besides empty folders.
const UNFINISHED: [&str; 6] = [
    "lock",
    "journal",
    "logs",
    "checkpoint",
    "checkpoint.tmp",
    "meta.tmp",
];

/// Takes the data directory for this process.
pub(super) fn lock(storage: &dyn Storage) -> Result<Box<dyn Lock>, Error> {
    storage.lock(LOCK).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => error::in_use(),
        _ => error::io("cannot lock the data directory", error),
    })
}

/// The cluster id of an existing data directory; `None` for a directory that may become one.
pub(super) fn read(storage: &dyn Storage) -> Result<Option<u128>, Error> {
    match read_file(storage, META) {
        Ok(bytes) => parse(&bytes).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            check_empty(storage)?;
            Ok(None)
        }
        Err(error) => Err(error::io("cannot read `meta`", error)),
    }
}

/// Nothing that holds data may be there: a directory that only lost its `meta` must not be taken for a new one.
fn check_empty(storage: &dyn Storage) -> Result<(), Error> {
    let listed = |path: &str| match storage.list(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(|error| error::io("cannot list the data directory", error)),
    };
    for entry in listed("")? {
        if !UNFINISHED.contains(&entry.name.as_str()) {
            return Err(error::foreign(&format!(
                "it holds `{}` but no `meta`",
                entry.name
            )));
        }
    }
    if let Some(entry) = listed("logs")?.first() {
        let why = format!("it holds the log `{}` but no `meta`", entry.name);
        return Err(error::foreign(&why));
    }
    Ok(())
}

/// The last step of making a data directory.
pub(super) fn write(storage: &dyn Storage, cluster: u128) -> Result<(), Error> {
    let mut text = format!(
        "{TITLE}\nformat={FORMAT}\nfeatures=\ncluster.id={}\n",
        cluster_id(cluster)
    );
    text.push_str(&format!("crc32c={:08x}\n", crc(text.as_bytes())));
    replace_file(storage, META, text.as_bytes())
        .map_err(|error| error::io("cannot write `meta`", error))
}

/// A cluster id as Kafka writes it.
pub(super) fn cluster_id(cluster: u128) -> String {
    URL_SAFE_NO_PAD.encode(cluster.to_be_bytes())
}

fn parse(bytes: &[u8]) -> Result<u128, Error> {
    let damaged = || error::foreign("its `meta` is damaged");
    let text = std::str::from_utf8(bytes).map_err(|_| damaged())?;
    if !text.starts_with(TITLE) {
        return Err(error::foreign("its `meta` was not written by tapline"));
    }
    let (body, check) = text.split_at(text.rfind("crc32c=").ok_or_else(damaged)?);
    if check != format!("crc32c={:08x}\n", crc(body.as_bytes())) {
        return Err(damaged());
    }
    let field = |name: &str| body.lines().find_map(|line| line.strip_prefix(name));
    let format = field("format=").ok_or_else(damaged)?;
    if format != FORMAT {
        return Err(error::other_version(&format!(
            "format {format}, this version knows {FORMAT}"
        )));
    }
    let features = field("features=").ok_or_else(damaged)?;
    if !features.is_empty() {
        return Err(error::other_version(&format!(
            "a version with the features `{features}`"
        )));
    }
    let id = field("cluster.id=").ok_or_else(damaged)?;
    let id = URL_SAFE_NO_PAD.decode(id).map_err(|_| damaged())?;
    let id: [u8; 16] = id.try_into().map_err(|_| damaged())?;
    Ok(u128::from_be_bytes(id))
}

/// Whether the last shutdown was orderly and nothing was written since. The marker is gone, durably, on return.
pub(super) fn take_clean(storage: &dyn Storage, sequence: u64) -> Result<bool, Error> {
    let failed = |error| error::io("cannot take the marker of a clean shutdown", error);
    match read_file(storage, CLEAN) {
        Ok(bytes) => {
            storage.remove(CLEAN).map_err(failed)?;
            storage.sync_dir("").map_err(failed)?;
            Ok(bytes == clean_text(sequence).as_bytes())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

/// Everything is in the checkpoint.
pub(super) fn put_clean(storage: &dyn Storage, sequence: u64) -> Result<(), Error> {
    replace_file(storage, CLEAN, clean_text(sequence).as_bytes())
        .map_err(|error| error::io("cannot write the marker of a clean shutdown", error))
}

fn clean_text(sequence: u64) -> String {
    let text = format!("sequence={sequence}\n");
    format!("{text}crc32c={:08x}\n", crc(text.as_bytes()))
}
