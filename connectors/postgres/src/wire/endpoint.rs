//! Where a session goes, and what it is when it is there.

use super::{
    buffer::ReceiveBuffer,
    socket::Socket,
    tls::{SslMode, TlsFiles},
};
use tapline_sdk::Secret;

/// Where the server is and who logs in.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The role.
    pub user: String,
    /// Its password, if it needs one.
    pub password: Option<Secret>,
    /// The database.
    pub database: String,
    /// What TLS is wanted.
    pub ssl_mode: SslMode,
    /// TLS' files.
    pub files: TlsFiles,
    /// How the session names itself in `pg_stat_activity`.
    pub application_name: String,
}

/// What kind of session is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    /// Statements.
    Plain,
    /// Statements and the replication commands of this database.
    Replication,
}

/// A session of which everything up to the first ReadyForQuery has been read.
pub(super) struct LoggedIn {
    pub socket: Socket,
    pub buffer: ReceiveBuffer,
    pub parameters: Vec<(String, String)>,
    pub process_id: u32,
}

/// `host:port`, for messages.
pub(super) fn at(endpoint: &Endpoint) -> String {
    format!("{}:{}", endpoint.host, endpoint.port)
}
