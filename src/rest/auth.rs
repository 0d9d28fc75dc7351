//! Who may ask: HTTP's basic authentication against a file of hashed passwords, and a token for commands of this machine.
//!
//! Owns what a wrong password costs. Hashing is slow by purpose, so what was verified is remembered under a keyed hash,
//! few hashes are computed at the same time, on threads that may block, and few requests wait for one. It knows no
//! resource: which [`Role`] one needs, its guard says. Neither a password nor a header that holds one is logged or
//! answered (I9).

mod users;

pub use users::{ROLES, Role};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use parking_lot::Mutex;
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tapline_sdk::{Error, Result};
use tokio::sync::Semaphore;
use users::{Stamp, User};

/// Hashes at the same time: each takes a core for some 20 ms and 19 MiB.
const HASHES_MAX: usize = 2;

/// Requests that wait for a hash: a second's worth. More are told to come back.
const WAITING_MAX: usize = 64;

/// Remembered credentials; more are forgotten all at once, and verified again.
const REMEMBERED_MAX: usize = 1024;

/// How often the file is looked at: a user who is removed can ask for so long.
const LOOK_EVERY: Duration = Duration::from_secs(1);

const TOKEN_BYTES: usize = 32;
const SALT_BYTES: usize = 16;

/// Those who may ask.
pub struct Auth {
    file: PathBuf,
    /// For what is remembered: nobody outside of this process can make an entry, so comparing them tells nothing.
    key: hmac::Key,
    /// What `Authorization` says after «Bearer» for commands that can read the data directory, keyed.
    token: Mutex<Option<hmac::Tag>>,
    users: Mutex<Users>,
    verified: Mutex<HashSet<Vec<u8>>>,
    hashing: Semaphore,
    waiting: Semaphore,
    /// Verified against when there is no such user, so that the time of an answer does not tell who is one.
    nobody: Arc<str>,
}

struct Users {
    at: Instant,
    stamp: Stamp,
    known: BTreeMap<String, User>,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Somebody we know, who may do this.
    Welcome,
    /// Somebody we know, who may not do this.
    Forbidden,
    /// Nobody we know.
    Stranger,
    /// Too many are being verified.
    Later,
}

impl Auth {
    /// Reads the file of users.
    ///
    /// # Errors
    /// TL0133: it cannot be read, or a line is none of ours.
    pub fn open(file: &Path) -> Result<Self> {
        let random = SystemRandom::new();
        let failed = |_| Error::fatal("the system gives no random bytes");
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &random).map_err(failed)?;
        let stamp = users::stamp(file);
        let known = users::read(file)?;
        Ok(Self {
            file: file.to_owned(),
            key,
            token: Mutex::default(),
            users: Mutex::new(Users {
                at: Instant::now(),
                stamp,
                known,
            }),
            verified: Mutex::default(),
            hashing: Semaphore::new(HASHES_MAX),
            waiting: Semaphore::new(WAITING_MAX),
            nobody: hash("")?.into(),
        })
    }

    /// Lets in whoever can read this file, from now on: it gets a token, readable for its owner alone.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn issue_token(&self, file: &Path) -> io::Result<()> {
        let mut token = [0; TOKEN_BYTES];
        let random = SystemRandom::new();
        let filled = random.fill(&mut token);
        filled.map_err(|_| io::Error::other("the system gives no random bytes"))?;
        let token = hex::encode(token);
        // A token of an earlier worker may be left, with whatever mode.
        let _none = fs::remove_file(file);
        let mut options = OpenOptions::new();
        let options = options.write(true).create_new(true).mode(0o600);
        options.open(file)?.write_all(token.as_bytes())?;
        *self.token.lock() = Some(hmac::sign(&self.key, token.as_bytes()));
        Ok(())
    }

    /// Judges what the `Authorization` of a request says, which any of these roles may make.
    pub(super) async fn judge(self: &Arc<Self>, header: Option<&str>, needs: &[Role]) -> Verdict {
        let Some((scheme, said)) = header.and_then(|header| header.split_once(' ')) else {
            return Verdict::Stranger;
        };
        if scheme.eq_ignore_ascii_case("bearer") {
            return self.judge_token(said.trim());
        }
        let decoded = STANDARD.decode(said.trim()).ok();
        let said = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        match said.as_deref().and_then(|said| said.split_once(':')) {
            Some((user, password)) if scheme.eq_ignore_ascii_case("basic") => {
                self.judge_password(user, password, needs).await
            }
            _ => Verdict::Stranger,
        }
    }

    fn judge_token(&self, said: &str) -> Verdict {
        let known = *self.token.lock();
        // Constant time.
        let same =
            known.is_some_and(|tag| hmac::verify(&self.key, said.as_bytes(), tag.as_ref()).is_ok());
        if same {
            Verdict::Welcome
        } else {
            Verdict::Stranger
        }
    }

    async fn judge_password(
        self: &Arc<Self>,
        user: &str,
        password: &str,
        needs: &[Role],
    ) -> Verdict {
        let known = self.user(user);
        let hash = known.as_ref().map(|user| Arc::clone(&user.hash));
        // Asked for only once the password is known to be right: others learn nothing of a user's roles.
        let verdict = match known.is_some_and(|user| user.may(needs)) {
            true => Verdict::Welcome,
            false => Verdict::Forbidden,
        };
        // The hash is part of it: another password of the same user is another entry.
        let known = hash.as_deref().unwrap_or_default();
        let entry = [user, password, known].map(|part| format!("{}:{part}", part.len()));
        let entry = hmac::sign(&self.key, entry.concat().as_bytes());
        if hash.is_some() && self.verified.lock().contains(entry.as_ref()) {
            return verdict;
        }
        let Ok(_waiting) = self.waiting.try_acquire() else {
            return Verdict::Later;
        };
        let Ok(_hashing) = self.hashing.acquire().await else {
            return Verdict::Later;
        };
        let (against, password) = (
            hash.clone().unwrap_or_else(|| Arc::clone(&self.nobody)),
            password.to_owned(),
        );
        let same = tokio::task::spawn_blocking(move || is_password(&password, &against));
        if !same.await.unwrap_or(false) || hash.is_none() {
            return Verdict::Stranger;
        }
        let mut verified = self.verified.lock();
        if verified.len() >= REMEMBERED_MAX {
            verified.clear();
        }
        verified.insert(entry.as_ref().to_vec());
        verdict
    }

    /// A user, as the file has it now.
    fn user(&self, name: &str) -> Option<User> {
        let mut users = self.users.lock();
        if users.at.elapsed() >= LOOK_EVERY {
            users.at = Instant::now();
            let now = users::stamp(&self.file);
            if now != users.stamp {
                users.stamp = now;
                match users::read(&self.file) {
                    Ok(known) => users.known = known,
                    // Letting in who may have been removed would be worse than letting in nobody.
                    Err(error) => {
                        users.known.clear();
                        tracing::error!(
                            error = %error.chain(),
                            remedy = error.remedy,
                            "the file of users has changed and cannot be used: nobody is let in"
                        );
                    }
                }
            }
        }
        users.known.get(name).cloned()
    }
}

/// The hash of a password with a salt of its own, as a line of the file of users has it.
///
/// # Errors
/// The system gives no random bytes.
pub fn hash(password: &str) -> Result<String> {
    let failed = || Error::fatal("cannot hash a password");
    let mut salt = [0; SALT_BYTES];
    SystemRandom::new().fill(&mut salt).map_err(|_| failed())?;
    let hashed = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
    let hashed: PasswordHash = hashed.map_err(|error| failed().because(error.to_string()))?;
    Ok(hashed.to_string())
}

fn is_password(password: &str, hash: &str) -> bool {
    // Compares in constant time.
    Argon2::default()
        .verify_password(password.as_bytes(), hash)
        .is_ok()
}
