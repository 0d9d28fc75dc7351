//! Secrets in state topics, sealed with a key file beside the data (I9): whoever copies the log does not have them.
//!
//! A sealed text is `sealed:v1:` and the base64 of: key id (8 bytes: the start of the key's SHA-256), nonce (12),
//! ChaCha20-Poly1305 cipher text and tag. What is authenticated beside it is the place (connector and key), so that a
//! sealed text does not open anywhere else. The key file is the line `tapline-key:v1:` and the base64 of 32 bytes.

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest,
    rand::{SecureRandom, SystemRandom},
};
use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};
use tapline_sdk::Error;

/// What a sealed text begins with.
const SEALED: &str = "sealed:v1:";
/// What the key file begins with.
const KEY_FILE: &str = "tapline-key:v1:";

const KEY_BYTES: usize = 32;
const KEY_ID_BYTES: usize = 8;

/// Seals and opens secrets.
pub struct Sealer {
    key: LessSafeKey,
    /// Tells another key from a damaged text.
    id: [u8; KEY_ID_BYTES],
    random: SystemRandom,
}

impl Sealer {
    /// Reads the key file, or creates it (mode 0600) if it does not exist.
    ///
    /// # Errors
    /// TL0530 if the file cannot be read or created, or holds no key.
    pub fn open(path: &Path) -> Result<Self, Error> {
        match fs::read_to_string(path) {
            Ok(text) => Self::from_text(&text).ok_or_else(|| {
                let context = format!("`{}` holds no key", path.display());
                unusable(context).remedy("restore the file from a backup of the data directory")
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::create(path),
            Err(error) => Err(
                unusable(format!("cannot read the key file `{}`", path.display()))
                    .remedy("let the worker's user read the file")
                    .because(error),
            ),
        }
    }

    /// Whether a text was sealed, or looks as if.
    #[must_use]
    pub fn is_sealed(text: &str) -> bool {
        text.starts_with(SEALED)
    }

    /// Seals a secret for this place.
    ///
    /// # Errors
    /// TL0530 if the system gives no random bytes.
    pub fn seal(&self, place: &str, secret: &str) -> Result<String, Error> {
        let mut nonce = [0; NONCE_LEN];
        let failed = |_| unusable("cannot seal a secret");
        self.random.fill(&mut nonce).map_err(failed)?;
        let mut text = secret.as_bytes().to_vec();
        let aad = Aad::from(place.as_bytes());
        let sealed = Nonce::assume_unique_for_key(nonce);
        self.key
            .seal_in_place_append_tag(sealed, aad, &mut text)
            .map_err(failed)?;
        Ok(format!(
            "{SEALED}{}",
            STANDARD.encode([&self.id[..], &nonce, &text].concat())
        ))
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// TL0531 if it was sealed with another key or for another place, or is damaged.
    pub fn unseal(&self, place: &str, sealed: &str) -> Result<String, Error> {
        let failed = |reason: &str| {
            Error::config(format!("cannot open the sealed secret of `{place}`"))
                .code("TL0531")
                .remedy("restore `secret.key` of this data directory, or set the secret again")
                .because(reason.to_owned())
        };
        let text = sealed
            .strip_prefix(SEALED)
            .ok_or_else(|| failed("it is of another version"))?;
        let bytes = STANDARD.decode(text).map_err(|_| failed("it is damaged"))?;
        let (id, rest) = bytes
            .split_first_chunk::<KEY_ID_BYTES>()
            .ok_or_else(|| failed("it is cut"))?;
        if *id != self.id {
            return Err(failed("it was sealed with another key"));
        }
        let (nonce, text) = rest
            .split_first_chunk::<NONCE_LEN>()
            .ok_or_else(|| failed("it is cut"))?;
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self
            .key
            .open_in_place(nonce, Aad::from(place.as_bytes()), &mut text);
        let plain = plain.map_err(|_| failed("it is damaged, or was sealed for another place"))?;
        String::from_utf8(plain.to_vec()).map_err(|_| failed("it is no text"))
    }

    fn from_text(text: &str) -> Option<Self> {
        let key = STANDARD
            .decode(text.trim_end().strip_prefix(KEY_FILE)?)
            .ok()?;
        Self::from_key(&key)
    }

    fn from_key(key: &[u8]) -> Option<Self> {
        let hash = digest::digest(&digest::SHA256, key);
        Some(Self {
            key: LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).ok()?),
            id: *hash.as_ref().first_chunk()?,
            random: SystemRandom::new(),
        })
    }

    /// Written beside and renamed, so that a crash leaves a whole key or none; durable before anything is sealed.
    fn create(path: &Path) -> Result<Self, Error> {
        let failed = || unusable(format!("cannot create the key file `{}`", path.display()));
        let mut key = [0; KEY_BYTES];
        SystemRandom::new().fill(&mut key).map_err(|_| failed())?;
        let write = || -> io::Result<()> {
            let fresh = path.with_extension("key.new");
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&fresh)?;
            writeln!(file, "{KEY_FILE}{}", STANDARD.encode(key))?;
            file.sync_all()?;
            fs::rename(&fresh, path)?;
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        };
        write().map_err(|error| {
            let remedy = "make the data directory writable for the worker's user";
            failed().remedy(remedy).because(error)
        })?;
        Self::from_key(&key).ok_or_else(failed)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // I9: never the key.
        f.debug_struct("Sealer").finish_non_exhaustive()
    }
}

fn unusable(context: impl Into<String>) -> Error {
    Error::config(context).code("TL0530")
}
