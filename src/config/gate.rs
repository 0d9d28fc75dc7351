//! The worker's settings about who may ask and how much: allow-lists, users, TLS, limits.
//!
//! Owns keys, defaults and their documentation; what enforces them stands in `rest`, `herder` and [`super::access`].

use super::access::{self, AllowLists, CONNECTOR_PATHS, DIRECTORY_PATHS, ENV_PATTERN, FILE_PATHS};
use std::{path::PathBuf, time::Duration};
use tapline_sdk::{Config, ConfigValue, Definition, Error, Key, Kind, Result};

const ENV: Key<Pattern> = Key::required(
    ENV_PATTERN,
    "Access",
    "an expression that matches the whole name of each environment variable which ${env:…} may name in what comes over \
     HTTP; unset: none",
)
.optional();
const FILE: Key<Paths> = Key::required(
    FILE_PATHS,
    "Access",
    "absolute paths of files, or of folders with all that is in them, which ${file:…} may name in what comes over HTTP; \
     unset: none",
)
.optional();
const DIRECTORY: Key<Paths> = Key::required(
    DIRECTORY_PATHS,
    "Access",
    "absolute paths of files, or of folders with all that is in them, which ${directory:…} may name in what comes over \
     HTTP; unset: none",
)
.optional();
const CONNECTOR: Key<Paths> = Key::required(
    CONNECTOR_PATHS,
    "Access",
    "absolute paths of files, or of folders with all that is in them, which connectors that come over HTTP may read and \
     write, certificates and keys included; unset: none",
)
.optional();
const USERS: Key<String> = Key::required(
    "auth.users.file",
    "Access",
    "a file with a line NAME:HASH or NAME:HASH:ROLES for each who may ask, as `tapline passwd NAME` prints it; read again \
     when it changes; unset: everybody may ask",
)
.optional();
const CERTIFICATE: Key<String> = Key::required(
    "tls.certificate.file",
    "Access",
    "PEM file of the certificate and its chain, for HTTPS; read again when it changes; unset: plain HTTP",
)
.optional();
const KEY_FILE: Key<String> = Key::required(
    "tls.key.file",
    "Access",
    "PEM file of the certificate's key, unencrypted",
)
.optional();
const CLIENT_CA: Key<String> = Key::required(
    "tls.client.ca.file",
    "Access",
    "PEM file of authorities: only clients with a certificate of theirs are let in; unset: no certificate is asked for",
)
.optional();
const BODY_BYTES: Key<u32> = Key::required(
    "http.body.max.bytes",
    "Limits",
    "the largest body of a request to REST",
)
.or("1048576");
const HEADER_BYTES: Key<u32> = Key::required(
    "http.header.max.bytes",
    "Limits",
    "the largest head of a request, on each listener; at least 8 KiB",
)
.or("16384");
const HEADER_TIMEOUT: Key<Duration> = Key::required(
    "http.header.timeout.ms",
    "Limits",
    "how long a connection may take to send the head of a request, and be idle between two",
)
.or("30000");
const CONNECTIONS: Key<u32> = Key::required(
    "http.connections.max",
    "Limits",
    "the most connections of each listener at the same time",
)
.or("1024");
const CONNECTORS: Key<u32> =
    Key::required("connectors.max", "Limits", "the most connectors").or("10000");
const NAME_CHARS: Key<u32> = Key::required(
    "connector.name.max.chars",
    "Limits",
    "the longest name of a connector; at most 249, which is what topics' names have",
)
.or("249");

/// Every key of this part.
pub(super) const KEYS: [Definition; 14] = [
    ENV.definition,
    FILE.definition,
    DIRECTORY.definition,
    CONNECTOR.definition,
    USERS.definition,
    CERTIFICATE.definition,
    KEY_FILE.definition,
    CLIENT_CA.definition,
    BODY_BYTES.definition,
    HEADER_BYTES.definition,
    HEADER_TIMEOUT.definition,
    CONNECTIONS.definition,
    CONNECTORS.definition,
    NAME_CHARS.definition,
];

/// Who may ask, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gate {
    /// The users' passwords, hashed; `None`: everybody may ask.
    pub users: Option<PathBuf>,
    /// HTTPS, if it is set up.
    pub tls: Option<TlsFiles>,
}

/// The files of HTTPS, PEM each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and its chain.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authorities of clients' certificates; `None`: none is asked for.
    pub client_ca: Option<PathBuf>,
}

/// What one listener takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// The largest body. Default 1 MiB.
    pub body_bytes: usize,
    /// The largest head. Default 16 KiB.
    pub header_bytes: usize,
    /// For the head of a request, and between two. Default 30 s.
    pub header_timeout: Duration,
    /// At the same time. Default 1024.
    pub connections: usize,
}

/// How many connectors, and how they are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectorLimits {
    /// How many. Default 10,000.
    pub count: usize,
    /// Characters of a name. Default 249.
    pub name_chars: usize,
}

/// hyper's own least buffer.
const HEADER_BYTES_MIN: u32 = 8 << 10;

/// A connector's name becomes part of topics' keys, groups and metrics; Kafka's own bound for such names.
const NAME_CHARS_MAX: u32 = 249;

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            // Kafka Connect's configs are a few KiB.
            body_bytes: 1 << 20,
            header_bytes: 16 << 10,
            header_timeout: Duration::from_secs(30),
            // Far above what clients of a control plane open, and little memory.
            connections: 1024,
        }
    }
}

impl Default for ConnectorLimits {
    fn default() -> Self {
        Self {
            // Each has a supervisor and tasks; far above what one machine runs, and a bound all the same.
            count: 10_000,
            name_chars: 249,
        }
    }
}

impl AllowLists {
    pub(super) fn of(config: &Config) -> Result<Self> {
        let paths = |key| Ok::<_, Error>(config.find::<Paths>(key)?.map(|paths| paths.0));
        Ok(Self {
            env: config.find(&ENV)?.map(|pattern| pattern.0),
            file: paths(&FILE)?.unwrap_or_default(),
            directory: paths(&DIRECTORY)?.unwrap_or_default(),
            connector: paths(&CONNECTOR)?.unwrap_or_default(),
        })
    }
}

impl Gate {
    pub(super) fn of(config: &Config) -> Result<Self> {
        let path = |key| Ok::<_, Error>(config.find::<String>(key)?.map(PathBuf::from));
        let (certificate, key, client_ca) =
            (path(&CERTIFICATE)?, path(&KEY_FILE)?, path(&CLIENT_CA)?);
        let tls = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(TlsFiles {
                certificate,
                key,
                client_ca,
            }),
            (None, None) if client_ca.is_none() => None,
            _ => {
                let problem = "tls.certificate.file and tls.key.file need each other, and tls.client.ca.file both";
                return Err(Error::config(problem)
                    .code("TL0120")
                    .remedy("set both, or none of the three"));
            }
        };
        let users = path(&USERS)?;
        Ok(Self { users, tls })
    }
}

impl HttpLimits {
    pub(super) fn of(config: &Config) -> Result<Self> {
        let size =
            |key| Ok::<_, Error>(usize::try_from(config.get::<u32>(key)?).unwrap_or(usize::MAX));
        if config.get(&HEADER_BYTES)? < HEADER_BYTES_MIN {
            return Err(too("http.header.max.bytes is below 8 KiB", "raise it"));
        }
        Ok(Self {
            body_bytes: size(&BODY_BYTES)?,
            header_bytes: size(&HEADER_BYTES)?,
            header_timeout: config.get(&HEADER_TIMEOUT)?,
            connections: size(&CONNECTIONS)?.max(1),
        })
    }
}

impl ConnectorLimits {
    pub(super) fn of(config: &Config) -> Result<Self> {
        let size =
            |key| Ok::<_, Error>(usize::try_from(config.get::<u32>(key)?).unwrap_or(usize::MAX));
        if config.get(&NAME_CHARS)? > NAME_CHARS_MAX {
            return Err(too("connector.name.max.chars is above 249", "lower it"));
        }
        Ok(Self {
            count: size(&CONNECTORS)?,
            name_chars: size(&NAME_CHARS)?,
        })
    }
}

fn too(problem: &'static str, remedy: &'static str) -> Error {
    Error::config(problem).code("TL0120").remedy(remedy)
}

/// An expression that matches whole names.
struct Pattern(String);

impl ConfigValue for Pattern {
    const KIND: Kind = Kind::Text;
    fn parse(text: &str) -> Result<Self, String> {
        match access::whole(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => Err("is not a regular expression".to_owned()),
        }
    }
}

/// Absolute paths.
struct Paths(Vec<PathBuf>);

impl ConfigValue for Paths {
    const KIND: Kind = Kind::List;
    fn parse(text: &str) -> Result<Self, String> {
        access::paths(text).map(Self)
    }
}
