//! Errors of the Postgres source: the server's own with their SQLSTATE, the table that says which of them can pass by
//! themselves, and the codes.
//!
//! | code | meaning |
//! |---|---|
//! | TL0301 | the server cannot be reached, or the connection broke |
//! | TL0302 | the login was rejected |
//! | TL0303 | the slot of the stored position is missing |
//! | TL0304 | the slot is ahead of the stored position |
//! | TL0305 | the slot was lost: the server removed the log it needs |
//! | TL0306 | the slot is in use by another process |
//! | TL0307 | the server is another cluster than the stored position's |
//! | TL0308 | the stored position is not on the server's timeline |
//! | TL0309 | the server is not set up for logical replication |
//! | TL0310 | the publication is missing, of another kind, or cannot be changed |
//! | TL0311 | no table matches the filters, or a table cannot be captured |
//! | TL0312 | the role lacks a privilege |
//! | TL0313 | the place inside a transaction cannot be found again |
//! | TL0314 | a row cannot be decoded |
//! | TL0315 | a table was rewritten or locked while its snapshot was taken |
//! | TL0316 | the stored offset cannot be read |
//! | TL0317 | the server broke the protocol |
//! | TL0318 | the server refused a statement |
//! | TL0319 | TLS could not be set up |

use std::fmt;
use tapline_sdk::{Error, ErrorKind};

/// What the server said in an ErrorResponse. Values of rows may stand in `detail`, so it is shown only for errors of
/// statements that touch no rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerError {
    /// FATAL, ERROR, PANIC.
    pub severity: String,
    /// The SQLSTATE: five characters.
    pub sqlstate: String,
    /// The message.
    pub message: String,
    /// The hint, if there is one.
    pub hint: Option<String>,
}

impl ServerError {
    /// Reads the fields of an ErrorResponse: a type byte and a zero-terminated text each.
    #[must_use]
    pub fn parse(body: &[u8]) -> Self {
        let mut error = Self::default();
        for field in body.split(|byte| *byte == 0) {
            let Some((kind, text)) = field.split_first() else {
                continue;
            };
            let text = String::from_utf8_lossy(text).into_owned();
            match kind {
                b'V' => error.severity = text,
                b'C' => error.sqlstate = text,
                b'M' => error.message = text,
                b'H' => error.hint = Some(text),
                _ => {}
            }
        }
        error
    }

    /// What the runtime should do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        kind_of(&self.sqlstate)
    }

    /// The error of a task that failed while doing `context`.
    #[must_use]
    pub fn into_error(self, context: impl Into<String>) -> Error {
        let error = Error::new(self.kind(), context).code(self.code());
        let error = match self.remedy() {
            Some(remedy) => error.remedy(remedy),
            None => error,
        };
        error.because(self)
    }

    fn code(&self) -> &'static str {
        match self.sqlstate.get(..2) {
            Some("28") => "TL0302",
            Some("08" | "57") => "TL0301",
            _ if self.sqlstate == "42501" => "TL0312",
            _ if self.sqlstate == "55006" => "TL0306",
            _ if self.sqlstate == "55P03" => "TL0315",
            _ => "TL0318",
        }
    }

    fn remedy(&self) -> Option<String> {
        let own = match (self.sqlstate.as_str(), self.sqlstate.get(..2)) {
            ("28P01", _) => "check database.user and database.password",
            ("28000", _) => {
                "let the role log in from this host (pg_hba.conf needs a line for the database itself: \
                 `replication` lines do not cover logical replication) and grant it LOGIN and REPLICATION"
            }
            ("3D000", _) => "check database.dbname",
            ("42501", _) => "grant the role what the message names",
            ("53300", _) => "raise max_connections, or close other sessions",
            ("53400", _) => "raise max_replication_slots, or drop a slot that nobody reads",
            ("55P03", _) => {
                "find who holds the lock in pg_locks, or raise snapshot.lock.timeout.ms"
            }
            (_, Some("57")) => "nothing: the task connects again when the server is back",
            _ => return self.hint.clone(),
        };
        Some(own.to_owned())
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.sqlstate)
    }
}

impl std::error::Error for ServerError {}

/// The one table that tells errors that pass by themselves from those that need an operator.
///
/// `Disconnected` is what the runtime retries for a source: a new session from the stored position. An error that is
/// in no class below is retried too, because a needless retry shows itself and a needless stop costs WAL.
#[must_use]
pub fn kind_of(sqlstate: &str) -> ErrorKind {
    match (sqlstate, sqlstate.get(..2).unwrap_or_default()) {
        // The slot is active, a lock is held, a statement or session was cancelled or timed out.
        ("55006" | "55P03" | "25P03" | "25P04", _) => ErrorKind::Disconnected,
        // Connection, resources, operator's intervention, serialisation, system error outside Postgres.
        ("58P01" | "58P02", _) => ErrorKind::Config,
        (_, "08" | "40" | "53" | "57" | "58") => ErrorKind::Disconnected,
        // Authorisation, unknown database, syntax and access rules, object state, features, data.
        (
            _,
            "0A" | "0L" | "0P" | "22" | "23" | "25" | "28" | "3D" | "3F" | "42" | "44" | "54"
            | "55" | "F0",
        ) => ErrorKind::Config,
        // Damage on the server's disk: an operator must look, and no retry helps.
        ("XX001" | "XX002", _) => ErrorKind::Config,
        _ => ErrorKind::Disconnected,
    }
}

/// The connection broke, or never was.
pub(crate) fn disconnected(context: impl Into<String>, cause: std::io::Error) -> Error {
    Error::disconnected(context).code("TL0301").because(cause)
}

/// The server sent what the protocol does not allow here; a new connection may bring order.
pub(crate) fn protocol(what: impl Into<String>) -> Error {
    Error::disconnected(what)
        .code("TL0317")
        .remedy("make sure that a Postgres server listens there, not a pooler such as PgBouncer")
}

#[cfg(test)]
mod tests {
    use super::{ServerError, kind_of};
    use tapline_sdk::ErrorKind::{Config, Disconnected};

    #[test]
    fn sqlstates_are_permanent_or_transient() {
        let table = [
            ("28000", Config),
            ("28P01", Config),
            ("3D000", Config),
            ("42501", Config),
            ("42704", Config),
            ("42P01", Config),
            ("55000", Config),
            ("58P01", Config),
            ("XX001", Config),
            ("0A000", Config),
            ("22P02", Config),
            ("08006", Disconnected),
            ("53100", Disconnected),
            ("53300", Disconnected),
            ("57014", Disconnected),
            ("57P01", Disconnected),
            ("57P02", Disconnected),
            ("57P03", Disconnected),
            ("40001", Disconnected),
            ("40P01", Disconnected),
            ("55006", Disconnected),
            ("55P03", Disconnected),
            ("58030", Disconnected),
            ("25P03", Disconnected),
            ("XX000", Disconnected),
            ("", Disconnected),
        ];
        for (sqlstate, kind) in table {
            assert_eq!(kind_of(sqlstate), kind, "{sqlstate}");
        }
    }

    #[test]
    fn an_error_response_keeps_code_message_and_hint() {
        let error = ServerError::parse(
            b"SFEHLER\0VFATAL\0C28P01\0Mpassword authentication failed\0Hnone\0\0",
        );
        assert_eq!(
            (error.severity.as_str(), error.sqlstate.as_str()),
            ("FATAL", "28P01")
        );
        let error = error.into_error("cannot log in as `a`");
        assert_eq!(error.kind, Config);
        assert_eq!(error.code, Some("TL0302"));
        assert_eq!(
            error.chain(),
            "cannot log in as `a`: password authentication failed (SQLSTATE 28P01)"
        );
    }
}
