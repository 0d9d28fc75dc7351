//! HTTPS: certificate, key and clients' authorities from files, read again when they change.
//!
//! Owns the files' state; handshakes are `listen`'s. A change that cannot be used is logged and changes nothing, so that
//! a certificate that is being replaced never closes the port.
//!
//! Codes: TL0132, a file of HTTPS cannot be used.

use crate::config::gate::TlsFiles;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use tapline_sdk::{Error, Result};
use tokio_rustls::TlsAcceptor;

/// A handshake costs more than a look at three files; more often would gain nothing that anybody notices.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The certificate that listeners show.
pub struct Tls {
    files: TlsFiles,
    config: ArcSwap<ServerConfig>,
    seen: Mutex<Seen>,
}

/// The files as they were last read.
struct Seen {
    at: Instant,
    stamps: Vec<Stamp>,
}

/// Tells one state of a file from another.
type Stamp = Option<(SystemTime, u64, u64)>;

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// TL0132: one of them cannot be read, or they do not belong together.
    pub fn open(files: TlsFiles) -> Result<Self> {
        let stamps = stamps(&files);
        let config = ArcSwap::from_pointee(config(&files)?);
        let seen = Mutex::new(Seen {
            at: Instant::now(),
            stamps,
        });
        Ok(Self {
            files,
            config,
            seen,
        })
    }

    /// What the next handshake is made with.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.look();
        TlsAcceptor::from(self.config.load_full())
    }

    fn look(&self) {
        let mut seen = self.seen.lock();
        if seen.at.elapsed() < LOOK_EVERY {
            return;
        }
        seen.at = Instant::now();
        let now = stamps(&self.files);
        if now == seen.stamps {
            return;
        }
        seen.stamps = now;
        match config(&self.files) {
            Ok(config) => {
                self.config.store(Arc::new(config));
                tracing::info!("certificate of https read again");
            }
            Err(error) => tracing::error!(
                error = %error.chain(),
                remedy = error.remedy,
                "certificate of https has changed and cannot be used: the old one stays"
            ),
        }
    }
}

fn stamps(files: &TlsFiles) -> Vec<Stamp> {
    let all = [
        Some(&files.certificate),
        Some(&files.key),
        files.client_ca.as_ref(),
    ];
    let stamp = |file: &PathBuf| {
        let metadata = fs::metadata(file).ok()?;
        Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
    };
    all.into_iter().flatten().map(stamp).collect()
}

fn config(files: &TlsFiles) -> Result<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| {
        unusable(&files.key)
            .remedy("give an unencrypted PEM key that the worker may read: `openssl pkey -in old.key -out new.key`")
            .because(error)
    })?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::fatal("cannot set up TLS").because(error))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates(file)? {
                roots
                    .add(authority)
                    .map_err(|error| unusable(file).remedy(PEM).because(error))?;
            }
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(
                verifier.map_err(|error| unusable(file).remedy(PEM).because(error))?,
            )
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| {
        unusable(&files.certificate)
            .remedy("give a certificate with its chain and the key that belongs to it")
            .because(error)
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

const PEM: &str = "give a PEM file of certificates that the worker may read";

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let failed = |error| unusable(file).remedy(PEM).because(error);
    let read = CertificateDer::pem_file_iter(file).map_err(failed)?;
    let read = read.collect::<std::result::Result<Vec<_>, _>>();
    let read = read.map_err(|error| unusable(file).remedy(PEM).because(error))?;
    match read.is_empty() {
        true => Err(unusable(file).remedy(PEM)),
        false => Ok(read),
    }
}

fn unusable(file: &Path) -> Error {
    Error::config(format!("cannot use {} for https", file.display())).code("TL0132")
}
