//! TLS as libpq does it: six modes, own roots, client certificates, channel binding data.
//!
//! Owns the choice of what is verified. Never falls back to plain text unless the mode says so.

use rustls::{
    ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};
use std::{path::PathBuf, sync::Arc};
use tapline_sdk::{ConfigValue, Error, Kind, Result};
use tokio_rustls::TlsConnector;

/// `database.sslmode`, with libpq's meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SslMode {
    /// Plain text.
    Disable,
    /// Plain text, TLS if the server insists.
    Allow,
    /// TLS if the server has it, else plain text.
    #[default]
    Prefer,
    /// TLS; the certificate is checked only if `sslrootcert` is set.
    Require,
    /// TLS; the certificate must come from a known authority.
    VerifyCa,
    /// As `verify-ca`, and it must be the certificate of this host.
    VerifyFull,
}

impl ConfigValue for SslMode {
    const KIND: Kind = Kind::Text;
    const VALUES: &'static [&'static str] = &[
        "disable",
        "allow",
        "prefer",
        "require",
        "verify-ca",
        "verify-full",
    ];

    fn parse(text: &str) -> Result<Self, String> {
        Ok(match text.trim().to_ascii_lowercase().as_str() {
            "disable" => Self::Disable,
            "allow" => Self::Allow,
            "prefer" => Self::Prefer,
            "require" | "required" => Self::Require,
            "verify-ca" | "verify_ca" => Self::VerifyCa,
            "verify-full" | "verify_full" => Self::VerifyFull,
            _ => return Err("is not a TLS mode".to_owned()),
        })
    }
}

/// Files that TLS needs, PEM each.
#[derive(Debug, Clone, Default)]
pub struct TlsFiles {
    /// Authorities; without it the system's.
    pub roots: Option<PathBuf>,
    /// Our certificate, and its chain.
    pub certificate: Option<PathBuf>,
    /// Our certificate's key.
    pub key: Option<PathBuf>,
}

/// A connector that checks what this mode asks for.
pub(super) fn connector(mode: SslMode, files: &TlsFiles) -> Result<TlsConnector> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new(mode, files, Arc::clone(&provider))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| {
            Error::config("cannot set up TLS")
                .code("TL0319")
                .because(error)
        })?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let config = match (&files.certificate, &files.key) {
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate, "database.sslcert")?;
            let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| {
                unreadable(key, "database.sslkey", &error)
                    .remedy("give an unencrypted PEM key: `openssl pkey -in old.key -out new.key`")
            })?;
            builder
                .with_client_auth_cert(chain, key_der)
                .map_err(|error| {
                    Error::config("cannot use database.sslcert with database.sslkey")
                        .code("TL0319")
                        .because(error)
                })?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The host as TLS names it.
pub(super) fn server_name(host: &str) -> Result<ServerName<'static>> {
    ServerName::try_from(host.to_owned()).map_err(|error| {
        Error::config(format!("database.hostname \"{host}\" is no host name"))
            .code("TL0319")
            .because(error)
    })
}

/// RFC 5929 `tls-server-end-point`: the hash of the server's certificate, by the hash of its signature. `None` if that
/// hash is one that we do not have; SCRAM then goes without channel binding, as libpq's does.
pub(super) fn end_point_hash(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    const SHA256_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
    const SHA384_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c];
    const MD5_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x04];
    const SHA1_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05];
    const SHA256_ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
    const SHA384_ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
    let suite = match signature_algorithm(certificate.as_ref())? {
        // MD5 and SHA-1 are replaced by SHA-256, as the RFC says.
        MD5_RSA | SHA1_RSA | SHA256_RSA | SHA256_ECDSA => {
            ring::cipher_suite::TLS13_AES_128_GCM_SHA256
        }
        SHA384_RSA | SHA384_ECDSA => ring::cipher_suite::TLS13_AES_256_GCM_SHA384,
        _ => return None,
    };
    let hash = suite
        .tls13()?
        .common
        .hash_provider
        .hash(certificate.as_ref());
    Some(hash.as_ref().to_vec())
}

/// Certificate ::= SEQUENCE { tbsCertificate, SEQUENCE { algorithm OBJECT IDENTIFIER, … }, … }.
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (fields, _) = der(certificate, 0x30)?;
    let (_, rest) = der(fields, 0x30)?;
    let (algorithm, _) = der(rest, 0x30)?;
    der(algorithm, 0x06).map(|(oid, _)| oid)
}

/// The content of the DER element with this tag at the front, and what follows it.
fn der(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    if *first != tag {
        return None;
    }
    if *length < 0x80 {
        return rest.split_at_checked(usize::from(*length));
    }
    let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
    let length = digits.iter().try_fold(0_usize, |sum, digit| {
        sum.checked_mul(256)?.checked_add(usize::from(*digit))
    });
    rest.split_at_checked(length?)
}

#[derive(Debug)]
struct Verifier {
    mode: SslMode,
    roots: Option<Roots>,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
struct Roots {
    store: RootCertStore,
    given: Vec<CertificateDer<'static>>,
}

impl Verifier {
    fn new(mode: SslMode, files: &TlsFiles, provider: Arc<CryptoProvider>) -> Result<Self> {
        let given = files
            .roots
            .as_ref()
            .map(|path| certificates(path, "database.sslrootcert"))
            .transpose()?;
        // libpq: `require` with a root file verifies like `verify-ca`.
        let mode = if mode == SslMode::Require && given.is_some() {
            SslMode::VerifyCa
        } else {
            mode
        };
        let roots = match (mode, given) {
            (SslMode::VerifyCa | SslMode::VerifyFull, Some(given)) => Some(Roots::of(given)?),
            (SslMode::VerifyCa | SslMode::VerifyFull, None) => {
                Some(Roots::of(rustls_native_certs::load_native_certs().certs)?)
            }
            _ => None,
        };
        Ok(Self {
            mode,
            roots,
            provider,
        })
    }
}

impl Roots {
    fn of(given: Vec<CertificateDer<'static>>) -> Result<Self> {
        let mut store = RootCertStore::empty();
        let (added, _ignored) = store.add_parsable_certificates(given.iter().cloned());
        if added == 0 {
            return Err(Error::config(
                "no certificate authority is known to check the server's certificate with",
            )
            .code("TL0319")
            .remedy("set database.sslrootcert to a PEM file, or database.sslmode to require"));
        }
        Ok(Self { store, given })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let Some(roots) = &self.roots else {
            return Ok(ServerCertVerified::assertion());
        };
        let parsed = ParsedCertificate::try_from(end_entity)?;
        // A self-signed certificate that was given as the root itself is trusted by being it.
        let is_root = roots
            .given
            .iter()
            .any(|root| root.as_ref() == end_entity.as_ref());
        if !is_root {
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(
                &parsed,
                &roots.store,
                intermediates,
                now,
                algorithms,
            )?;
        }
        if self.mode == SslMode::VerifyFull {
            verify_server_name(&parsed, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Whether a handshake failed because the certificate is not trusted: no retry helps.
pub(super) fn is_distrust(error: &std::io::Error) -> bool {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<TlsError>());
    matches!(inner, Some(TlsError::InvalidCertificate(_)))
}

fn certificates(path: &PathBuf, key: &'static str) -> Result<Vec<CertificateDer<'static>>> {
    let read = |error| unreadable(path, key, &error);
    let found = CertificateDer::pem_file_iter(path)
        .map_err(read)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(read)?;
    if found.is_empty() {
        return Err(
            Error::config(format!("{key} {} holds no certificate", path.display())).code("TL0319"),
        );
    }
    Ok(found)
}

fn unreadable(path: &std::path::Path, key: &str, error: &rustls::pki_types::pem::Error) -> Error {
    Error::config(format!("cannot read {key} {}", path.display()))
        .code("TL0319")
        .because(error.to_string())
}
