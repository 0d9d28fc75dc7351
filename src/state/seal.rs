//! Secrets in state topics, sealed with a key file beside the data.

use std::path::Path;
use tapline_sdk::Error;

/// Seals and opens secrets.
pub struct Sealer {}

impl Sealer {
    /// Reads the key file, or creates it (mode 0600) if it does not exist.
    ///
    /// # Errors
    /// The file cannot be read or created, or holds no key (TL0530).
    pub fn open(path: &Path) -> Result<Self, Error> {
        let _ = path;
        Err(Error::fatal("sealing is not built yet"))
    }
}
