//! The server as a whole: its version, identity, timeline history and settings.

use crate::{
    error::protocol,
    lsn::Lsn,
    wire::{Connection, Reply},
};
use std::{sync::Arc, time::Duration};
use tapline_sdk::{Error, Result};

/// Older servers lack TID range scans, `idle_session_timeout` and messages in pgoutput, and are out of support.
pub const VERSION_MIN: u32 = 14;

/// Which cluster and timeline it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The system identifier.
    pub system: Arc<str>,
    /// The current timeline.
    pub timeline: u32,
}

/// A text of an answer by row and column.
pub(crate) fn cell(reply: &Reply, row: usize, column: usize) -> Option<&str> {
    reply.get(row)?.get(column)?.as_deref()
}

/// The major version.
#[must_use]
pub fn version(connection: &Connection) -> u32 {
    let text = connection.parameter("server_version").unwrap_or_default();
    let digits = text
        .split(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap_or_default();
    digits.parse().unwrap_or_default()
}

/// Asks a replication session who the server is.
///
/// # Errors
/// If it does not say.
pub async fn identify(replication: &mut Connection) -> Result<Identity> {
    let reply = replication
        .query("cannot identify the server", "IDENTIFY_SYSTEM")
        .await?;
    let system = cell(&reply, 0, 0).map(Arc::from);
    let timeline = cell(&reply, 0, 1).and_then(|text| text.parse().ok());
    match (system, timeline) {
        (Some(system), Some(timeline)) => Ok(Identity { system, timeline }),
        _ => Err(protocol("the server does not say which system it is")),
    }
}

/// Where the server left a timeline, by its current timeline's history; `None` if it was never on it.
///
/// # Errors
/// If the history cannot be read.
pub async fn left_timeline(
    replication: &mut Connection,
    current: u32,
    stored: u32,
) -> Result<Option<Lsn>> {
    let sql = format!("TIMELINE_HISTORY {current}");
    let reply = replication
        .query("cannot read the server's timeline history", &sql)
        .await?;
    let content = cell(&reply, 0, 1).unwrap_or_default();
    Ok(switch_point(content, stored))
}

/// A history file has a line per ancestor: its number, where it ended, why.
fn switch_point(history: &str, timeline: u32) -> Option<Lsn> {
    history.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let number: u32 = words.next()?.parse().ok()?;
        let end = words.next()?.parse().ok()?;
        (number == timeline).then_some(end)
    })
}

/// Whether the server can do logical replication at all.
///
/// # Errors
/// TL0309 with what is to be changed.
pub async fn check(connection: &mut Connection) -> Result<()> {
    let version = version(connection);
    if version < VERSION_MIN {
        return Err(Error::config(format!(
            "the server is Postgres {version}; {VERSION_MIN} is the oldest that works"
        ))
        .code("TL0309")
        .remedy("upgrade the server"));
    }
    let sql = "select current_setting('wal_level'), current_setting('server_encoding'), pg_is_in_recovery()";
    let reply = connection
        .query("cannot read the server's settings", sql)
        .await?;
    let level = cell(&reply, 0, 0).unwrap_or_default();
    if level != "logical" {
        return Err(Error::config(format!(
            "wal_level is {level}, and changes can only be read with logical"
        ))
        .code("TL0309")
        .remedy("set wal_level = logical in postgresql.conf and restart the server"));
    }
    if cell(&reply, 0, 1) != Some("UTF8") {
        let encoding = cell(&reply, 0, 1).unwrap_or("unknown");
        return Err(Error::config(format!(
            "the database's encoding is {encoding}, and only UTF8 is read"
        ))
        .code("TL0309")
        .remedy("dump the database and restore it into one with encoding UTF8"));
    }
    if cell(&reply, 0, 2) == Some("t") && version < 16 {
        return Err(Error::config(
            "the server is a standby, and decodes changes only from Postgres 16 on",
        )
        .code("TL0309")
        .remedy("connect to the primary"));
    }
    Ok(())
}

/// After how long of silence the server ends a replication session; `None`: never.
///
/// # Errors
/// If it cannot be asked.
pub async fn sender_timeout(connection: &mut Connection) -> Result<Option<Duration>> {
    let sql = "select setting from pg_settings where name = 'wal_sender_timeout'";
    let reply = connection
        .query("cannot read wal_sender_timeout", sql)
        .await?;
    let milliseconds = cell(&reply, 0, 0)
        .and_then(|text| text.parse().ok())
        .unwrap_or_default();
    Ok((milliseconds > 0).then(|| Duration::from_millis(milliseconds)))
}

#[cfg(test)]
mod tests {
    use super::switch_point;
    use crate::lsn::Lsn;

    #[test]
    fn a_history_says_where_a_timeline_was_left() {
        let history =
            "1\t0/3000000\tno recovery target specified\n\n2\t0/5000148\tafter promotion\n";
        assert_eq!(switch_point(history, 1), Some(Lsn(0x0300_0000)));
        assert_eq!(switch_point(history, 2), Some(Lsn(0x0500_0148)));
        assert_eq!(switch_point(history, 3), None);
    }
}
