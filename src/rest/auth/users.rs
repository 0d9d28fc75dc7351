//! The file of users: a line `NAME:HASH` or `NAME:HASH:ROLE,ROLE` for each.
//!
//! Owns its form and what a user may be. Verifies nobody.
//!
//! Codes: TL0133, the file of users cannot be used.

use argon2::{Algorithm, Params, Version, password_hash::phc::PasswordHash};
use std::{
    collections::BTreeMap, fs, io::Read, os::unix::fs::MetadataExt, path::Path, str::FromStr,
    sync::Arc, time::SystemTime,
};
use tapline_sdk::{Error, Result};

/// A thousand users are a file of 150 KiB; the bound keeps a wrong path harmless.
const USERS_BYTES_MAX: u64 = 1 << 20;

/// The most memory, passes and threads that a hash of the file may ask for: what an operator would choose for a server,
/// and a slip of the pen would not be.
const MEMORY_KIB_MAX: u32 = 1 << 20;
const PASSES_MAX: u32 = 64;
const LANES_MAX: u32 = 64;

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything that the worker's own listener answers.
    Connect,
    /// Everything that the schema registry answers.
    Registry,
    /// To read `/health` and `/metrics`.
    Monitor,
}

/// All of them: what a user may whose line names none.
pub const ROLES: [Role; 3] = [Role::Connect, Role::Registry, Role::Monitor];

impl Role {
    /// As the file of users spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Registry => "registry",
            Self::Monitor => "monitor",
        }
    }

    /// Those between commas.
    fn list(text: &str) -> Result<Vec<Self>, String> {
        text.split(',').map(|name| name.trim().parse()).collect()
    }
}

impl FromStr for Role {
    type Err = String;

    /// The name is not told: in a file of users it may be a password in clear.
    fn from_str(name: &str) -> Result<Self, String> {
        let found = ROLES.into_iter().find(|role| role.name() == name);
        found.ok_or_else(|| {
            format!(
                "a role that is none of {}",
                ROLES.map(Self::name).join(", ")
            )
        })
    }
}

/// A line of the file.
#[derive(Debug, Clone)]
pub(super) struct User {
    pub(super) hash: Arc<str>,
    roles: Vec<Role>,
}

impl User {
    /// Whether it has one of these roles.
    pub(super) fn may(&self, needs: &[Role]) -> bool {
        needs.iter().any(|role| self.roles.contains(role))
    }
}

pub(super) type Stamp = Option<(SystemTime, u64, u64)>;

/// Reads the file of users.
///
/// # Errors
/// TL0133: it cannot be read, or a line is none of ours.
pub(super) fn read(file: &Path) -> Result<BTreeMap<String, User>> {
    let unusable = |why: String| {
        Error::config(format!(
            "cannot use the file of users `{}`: {why}",
            file.display()
        ))
        .code("TL0133")
        .remedy("write a line NAME:HASH or NAME:HASH:ROLES for each user, as `tapline passwd NAME` prints it")
    };
    let mut text = String::new();
    let opened = fs::File::open(file)
        .and_then(|file| file.take(USERS_BYTES_MAX + 1).read_to_string(&mut text));
    opened.map_err(|error| unusable(error.to_string()))?;
    if u64::try_from(text.len()).is_ok_and(|len| len > USERS_BYTES_MAX) {
        return Err(unusable("it is larger than 1 MiB".to_owned()));
    }
    let mut users = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (user, rest) = line.split_once(':').unwrap_or_default();
        // No hash has a colon in it.
        let (hash, roles) = match rest.split_once(':') {
            Some((hash, roles)) => (hash, Some(roles)),
            None => (rest, None),
        };
        // The line itself is not told: it may hold a password in clear.
        if user.is_empty() || !is_hash(hash) {
            return Err(unusable(format!("line {number} is no NAME:HASH of argon2")));
        }
        let roles = roles.map_or_else(|| Ok(ROLES.to_vec()), Role::list);
        let roles = roles.map_err(|problem| unusable(format!("line {number} has {problem}")))?;
        let hash = hash.into();
        if users
            .insert(user.to_owned(), User { hash, roles })
            .is_some()
        {
            return Err(unusable(format!(
                "line {number} names a user for the second time"
            )));
        }
    }
    Ok(users)
}

/// Whether a text is a hash that can be verified with bounded means.
fn is_hash(text: &str) -> bool {
    let Ok(hash) = PasswordHash::new(text) else {
        return false;
    };
    let known = Algorithm::try_from(hash.algorithm.as_str()).is_ok();
    let version = hash
        .version
        .is_none_or(|version| Version::try_from(version).is_ok());
    let bounded = Params::try_from(&hash).is_ok_and(|params| {
        params.m_cost() <= MEMORY_KIB_MAX
            && params.t_cost() <= PASSES_MAX
            && params.p_cost() <= LANES_MAX
    });
    known && version && bounded && hash.hash.is_some()
}

/// What tells whether the file has changed.
pub(super) fn stamp(file: &Path) -> Stamp {
    let metadata = fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}
