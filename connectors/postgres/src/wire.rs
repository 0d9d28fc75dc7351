//! The Postgres wire protocol, as far as a logical replication client needs it.
//!
//! Owns sockets, TLS, login, the simple query protocol, `COPY … TO STDOUT` and the replication sub-protocol, over a
//! receive buffer that messages are read out of without a copy. Knows no table and no position.
//!
//! ```text
//!  Connection::open ─▶ query / execute ─▶ CopyOut (snapshot rows)
//!                                     └─▶ start_replication ─▶ (Replication: XLogData…, StatusWriter: standby status)
//! ```

mod authentication;
mod buffer;
mod connection;
mod copy;
mod endpoint;
mod halves;
mod login;
mod replication;
mod socket;
mod tls;

pub use buffer::{MESSAGE_BYTES_MAX, RECEIVE_BYTES, ReceiveBuffer};
pub use connection::{Connection, Reply, Row};
pub use copy::CopyOut;
pub use endpoint::{Endpoint, Session};
pub use replication::{Frame, Frames, Replication, StatusWriter};
pub use tls::{SslMode, TlsFiles};

/// A name as SQL quotes it: `"a""b"`.
#[must_use]
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL quotes it, whatever `standard_conforming_strings` says.
#[must_use]
pub fn quote_literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        format!(" E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}
