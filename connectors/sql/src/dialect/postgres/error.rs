//! What Postgres' answers mean: one table from SQLSTATE to what the runtime does about it.
//!
//! Rows' values never get into a text of ours: of a data error only the state, the redacted message and the column
//! remain; details and contexts, which quote rows, are dropped.

use std::fmt;
use tapline_sdk::{Error, RecordError};

/// Why a step did not succeed.
#[derive(Debug)]
pub enum Failed {
    /// The task cannot go on like this.
    Task(Error),
    /// A row among those of the statement is not taken.
    Data(DataError),
    /// This change (an index into the batch's changes) cannot be written.
    Row(usize, RecordError),
    /// A row that should be there is not.
    Missing,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Task(error)
    }
}

/// The server's complaint about a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataError {
    /// Its SQLSTATE.
    pub state: String,
    /// The message without values.
    pub message: String,
    /// The column, where the server tells.
    pub column: Option<String>,
}

impl DataError {
    /// Whether a unique index has the row's key already.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        self.state == "23505"
    }

    /// What a dead letter or the operator reads.
    #[must_use]
    pub fn into_record_error(self) -> RecordError {
        RecordError {
            field: self.column.map(Into::into),
            reason: format!("{} (SQLSTATE {})", self.message, self.state),
        }
    }
}

/// What the runtime is to do, by SQLSTATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Connect again.
    Disconnected,
    /// The same batch again.
    Retriable,
    /// Login or database.
    Login,
    /// Rights.
    Privilege,
    /// A row's own fault.
    Data,
    /// The table changed behind us: read the catalogue again.
    Stale,
    /// The server's data may be damaged.
    Damaged,
    /// Anything else needs an operator.
    Refused,
}

/// Prefixes of SQLSTATEs and what they mean; the first match counts, so exact states stand before their class.
const CLASSES: &[(&str, Class)] = &[
    ("08", Class::Disconnected),
    ("57P01", Class::Disconnected),
    ("57P02", Class::Disconnected),
    ("57P03", Class::Disconnected),
    ("57P05", Class::Disconnected),
    ("25P03", Class::Disconnected),
    ("53300", Class::Disconnected),
    ("40", Class::Retriable),
    ("53", Class::Retriable),
    ("55P03", Class::Retriable),
    ("55006", Class::Retriable),
    ("55P04", Class::Retriable),
    ("57014", Class::Retriable),
    ("58030", Class::Retriable),
    ("28", Class::Login),
    ("3D000", Class::Login),
    ("42501", Class::Privilege),
    ("25006", Class::Privilege),
    ("42P01", Class::Stale),
    ("42703", Class::Stale),
    ("42704", Class::Stale),
    ("42804", Class::Stale),
    ("3F000", Class::Stale),
    ("21000", Class::Data),
    ("22", Class::Data),
    ("23", Class::Data),
    ("44000", Class::Data),
    ("54000", Class::Data),
    ("P0001", Class::Data),
    ("2200", Class::Data),
    ("XX001", Class::Damaged),
    ("XX002", Class::Damaged),
];

/// What a SQLSTATE means.
#[must_use]
pub fn classify(state: &str) -> Class {
    CLASSES
        .iter()
        .find(|(prefix, _)| state.starts_with(prefix))
        .map_or(Class::Refused, |(_, class)| *class)
}

/// The operation that may fail, and its object, for the text of the error.
#[derive(Debug, Clone)]
pub struct Doing {
    what: &'static str,
    object: String,
}

impl Doing {
    /// Names an operation: `write to`, `orders`.
    pub fn new(what: &'static str, object: impl fmt::Display) -> Self {
        Self {
            what,
            object: object.to_string(),
        }
    }

    /// Says what an error of the connection means here.
    #[must_use]
    pub fn failed(&self, error: sqlx::Error) -> Failed {
        let Some(answer) = answer(&error) else {
            return Failed::Task(self.broken(error));
        };
        let class = classify(answer.code());
        if class == Class::Data {
            return Failed::Data(DataError {
                state: answer.code().to_owned(),
                message: redacted(answer.code(), answer.message()),
                column: blamed(answer),
            });
        }
        let text = format!("{} (SQLSTATE {})", answer.message(), answer.code());
        let context = format!("cannot {} `{}`: {text}", self.what, self.object);
        Failed::Task(of_class(class, context))
    }

    /// As [`Doing::failed`], where no row can be to blame.
    #[must_use]
    pub fn error(&self, error: sqlx::Error) -> Error {
        match self.failed(error) {
            Failed::Task(error) => error,
            Failed::Data(data) => self.refused(&data.into_record_error().to_string()),
            Failed::Row(_, error) => self.refused(&error.to_string()),
            Failed::Missing => self.refused("a row is missing"),
        }
    }

    fn refused(&self, why: &str) -> Error {
        of_class(
            Class::Refused,
            format!("cannot {} `{}`: {why}", self.what, self.object),
        )
    }

    fn broken(&self, error: sqlx::Error) -> Error {
        let context = format!("cannot {} `{}`: no answer", self.what, self.object);
        match error {
            sqlx::Error::Tls(cause) => Error::config(context)
                .code("TL0401")
                .remedy(
                    "check sslmode and sslrootcert of connection.url, and the server's certificate",
                )
                .because(cause),
            sqlx::Error::Configuration(cause) => {
                Error::config(context).code("TL0401").because(cause)
            }
            error => Error::disconnected(context)
                .code("TL0402")
                .remedy("check that the target runs and can be reached from this host")
                .because(error),
        }
    }
}

fn of_class(class: Class, context: String) -> Error {
    match class {
        Class::Disconnected => Error::disconnected(context)
            .code("TL0402")
            .remedy("check that the target runs and has connections to spare"),
        Class::Retriable => Error::retriable(context)
            .code("TL0415")
            .remedy("if it does not pass by itself: look for locks, long transactions and a full disk in the target"),
        Class::Login => Error::config(context)
            .code("TL0403")
            .remedy("check connection.username, connection.password, the database's name and pg_hba.conf"),
        Class::Privilege => Error::config(context)
            .code("TL0404")
            .remedy("grant the role CREATE on the database and schema, and SELECT, INSERT, UPDATE, DELETE, TRUNCATE on the tables"),
        Class::Damaged => Error::fatal(context)
            .code("TL0416")
            .remedy("the target reports damaged data: restore it, then resnapshot the source"),
        Class::Stale | Class::Data | Class::Refused => Error::config(context)
            .code("TL0416")
            .remedy("correct the target's table as the message says, then restart the task"),
    }
}

/// The server's answer inside an error.
pub fn answer(error: &sqlx::Error) -> Option<&sqlx::postgres::PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

/// The column that the server names, in a field of its own or in COPY's context (`COPY t, line 3, column a: "…"`).
fn blamed(answer: &sqlx::postgres::PgDatabaseError) -> Option<String> {
    if let Some(column) = answer.column() {
        return Some(column.to_owned());
    }
    column_of_copy(answer.r#where()?)
}

fn column_of_copy(context: &str) -> Option<String> {
    let (_, rest) = context.strip_prefix("COPY ")?.split_once(", line ")?;
    let (_, rest) = rest.split_once(", column ")?;
    let end = rest.find(':').unwrap_or(rest.len());
    rest.get(..end).map(str::to_owned)
}

/// The message without what it may quote of the row. Constraint violations (class 23) quote identifiers alone; what a
/// trigger or function raises may say anything.
fn redacted(state: &str, message: &str) -> String {
    if state == "P0001" {
        return "the target raised an exception".to_owned();
    }
    if state.starts_with("23") {
        return message.to_owned();
    }
    let mut text = String::new();
    let mut quoted = false;
    for part in message.split('"') {
        text.push_str(if quoted { "\"…\"" } else { part });
        quoted = !quoted;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Class, classify, column_of_copy, redacted};

    #[test]
    fn every_state_has_the_class_that_helps() {
        let expected = [
            ("08006", Class::Disconnected),
            ("57P01", Class::Disconnected),
            ("57P03", Class::Disconnected),
            ("53300", Class::Disconnected),
            ("25P03", Class::Disconnected),
            ("40001", Class::Retriable),
            ("40P01", Class::Retriable),
            ("53100", Class::Retriable),
            ("53200", Class::Retriable),
            ("55P03", Class::Retriable),
            ("57014", Class::Retriable),
            ("28P01", Class::Login),
            ("28000", Class::Login),
            ("3D000", Class::Login),
            ("42501", Class::Privilege),
            ("25006", Class::Privilege),
            ("42P01", Class::Stale),
            ("42703", Class::Stale),
            ("22001", Class::Data),
            ("22003", Class::Data),
            ("22021", Class::Data),
            ("22P02", Class::Data),
            ("23502", Class::Data),
            ("23505", Class::Data),
            ("21000", Class::Data),
            ("P0001", Class::Data),
            ("54000", Class::Data),
            ("XX001", Class::Damaged),
            ("XX000", Class::Refused),
            ("42601", Class::Refused),
            ("0A000", Class::Refused),
        ];
        for (state, class) in expected {
            assert_eq!(classify(state), class, "{state}");
        }
    }

    #[test]
    fn values_of_rows_are_not_repeated() {
        let message = "invalid input syntax for type integer: \"secret\"";
        assert_eq!(
            redacted("22P02", message),
            "invalid input syntax for type integer: \"…\""
        );
        let message = "null value in column \"a\" of relation \"t\" violates not-null constraint";
        assert_eq!(redacted("23502", message), message);
        assert!(!redacted("P0001", "row secret is bad").contains("secret"));
    }

    #[test]
    fn copy_names_the_column() {
        let context = "COPY orders, line 3, column amount: \"secret\"";
        assert_eq!(column_of_copy(context).as_deref(), Some("amount"));
        assert_eq!(column_of_copy("COPY orders, line 3"), None);
        assert_eq!(column_of_copy("SQL function \"f\""), None);
    }
}
