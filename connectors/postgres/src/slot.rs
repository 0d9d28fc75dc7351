//! The replication slot: its state, what that means for a stored position, its making and dropping.
//!
//! A slot is never skipped forward and never replaced while a stored position needs it: what is wrong is said, and an
//! operator decides.

use crate::{
    error::ServerError,
    lsn::Lsn,
    server::cell,
    wire::{Connection, quote_identifier, quote_literal},
};
use std::time::Duration;
use tapline_sdk::{Error, Progress, Result};
use tokio::time::timeout;

/// After how long of waiting for a new slot it is said why, and said again.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A slot as the server has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slot {
    /// The output plugin; `None` for a physical slot.
    pub plugin: Option<String>,
    /// The database.
    pub database: Option<String>,
    /// Which process reads it.
    pub active_pid: Option<u32>,
    /// Where its stream goes on; `None` while it is being made.
    pub confirmed: Option<Lsn>,
    /// `reserved`, `extended`, `unreserved` or `lost`.
    pub wal_status: Option<String>,
    /// Why it can no longer be used (from Postgres 17 on).
    pub invalidation: Option<String>,
    /// Bytes of log that it keeps.
    pub held_bytes: u64,
}

/// A slot that was just made, with its exported snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Every transaction that commits at or after this is streamed; every earlier one is in the snapshot.
    pub consistent: Lsn,
    /// The snapshot's name; lives until the session that made the slot does something else.
    pub snapshot: String,
}

/// Looks a slot up.
///
/// # Errors
/// If the catalogue cannot be read.
pub async fn find(connection: &mut Connection, name: &str) -> Result<Option<Slot>> {
    let sql = format!(
        "select plugin, database, active_pid, confirmed_flush_lsn, wal_status, \
           to_jsonb(s) ->> 'invalidation_reason', \
           case when pg_is_in_recovery() then 0 else pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::int8 end \
         from pg_replication_slots s where slot_name = {}",
        quote_literal(name)
    );
    let reply = connection
        .query(&format!("cannot look up slot `{name}`"), &sql)
        .await?;
    if reply.is_empty() {
        return Ok(None);
    }
    let text = |column| cell(&reply, 0, column).map(str::to_owned);
    Ok(Some(Slot {
        plugin: text(0),
        database: text(1),
        active_pid: text(2).and_then(|pid| pid.parse().ok()),
        confirmed: text(3).and_then(|lsn| lsn.parse().ok()),
        wal_status: text(4),
        invalidation: text(5),
        held_bytes: text(6)
            .and_then(|bytes| bytes.parse().ok())
            .unwrap_or_default(),
    }))
}

/// Whether a slot can serve at all.
///
/// # Errors
/// What is wrong with it.
pub fn check_usable(slot: &Slot, name: &str, database: &str) -> Result<()> {
    let plugin = slot
        .plugin
        .as_deref()
        .unwrap_or("none: it is a physical slot");
    if plugin != "pgoutput" {
        return Err(Error::config(format!(
            "slot `{name}` is not ours to read: its plugin is {plugin}"
        ))
        .code("TL0309")
        .remedy("set slot.name to another name"));
    }
    if let Some(other) = slot.database.as_deref().filter(|other| *other != database) {
        return Err(Error::config(format!(
            "slot `{name}` is of database `{other}`, not of `{database}`"
        ))
        .code("TL0309")
        .remedy("set slot.name to another name"));
    }
    let lost = slot.wal_status.as_deref() == Some("lost");
    if lost || slot.invalidation.is_some() {
        let reason = slot
            .invalidation
            .as_deref()
            .unwrap_or("its log was removed (max_slot_wal_keep_size)");
        return Err(Error::fatal(format!("slot `{name}` is lost, {reason}; nothing was skipped"))
            .code("TL0305")
            .remedy(format!(
                "drop it (`select pg_drop_replication_slot('{name}')`) and run `tapline resnapshot` for this connector: \
                 it makes a new slot and reads all tables anew; and raise max_slot_wal_keep_size"
            )));
    }
    Ok(())
}

/// Whether a slot can go on at a stored position.
///
/// # Errors
/// TL0303 if there is none, TL0304 if it is ahead, and as [`check_usable`].
pub fn check_position(slot: Option<&Slot>, name: &str, database: &str, stored: Lsn) -> Result<()> {
    let Some(slot) = slot else {
        return Err(Error::fatal(format!(
            "slot `{name}` is missing, and the stored position {stored} needs it; nothing was skipped"
        ))
        .code("TL0303")
        .remedy(
            "if the slot was dropped, changes since then cannot be read any more: run `tapline resnapshot` for this \
             connector, which makes a new slot and reads all tables anew",
        ));
    };
    check_usable(slot, name, database)?;
    let confirmed = slot.confirmed.unwrap_or(Lsn::NONE);
    if confirmed > stored {
        return Err(Error::fatal(format!(
            "slot `{name}` is ahead of the stored position: stored {stored}, slot {confirmed}; the changes between can \
             no longer be read, nothing was skipped"
        ))
        .code("TL0304")
        .remedy("`tapline resnapshot` re-reads the tables; `tapline offsets set` accepts the gap"));
    }
    Ok(())
}

/// Makes the slot and exports the snapshot that fits it.
///
/// # Errors
/// What is in the way.
pub async fn create(replication: &mut Connection, name: &str, temporary: bool) -> Result<Created> {
    let (kind, noun) = if temporary {
        (" TEMPORARY", "temporary slot")
    } else {
        ("", "slot")
    };
    let sql = format!(
        "CREATE_REPLICATION_SLOT {}{kind} LOGICAL pgoutput EXPORT_SNAPSHOT",
        quote_identifier(name)
    );
    let doing = format!("cannot create {noun} `{name}`");
    let reply = match replication.try_query(&sql).await? {
        Ok(reply) => reply,
        Err(error) => return Err(explain(error, &doing)),
    };
    let consistent = cell(&reply, 0, 1).and_then(|lsn| lsn.parse().ok());
    match (consistent, cell(&reply, 0, 2)) {
        (Some(consistent), Some(snapshot)) => Ok(Created {
            consistent,
            snapshot: snapshot.to_owned(),
        }),
        _ => Err(crate::error::protocol(format!(
            "{doing}: the server's answer has no snapshot"
        ))),
    }
}

/// As [`create`], saying whom it waits for: the server makes a slot when every transaction that is open now has ended,
/// however long that takes. `session` is another one.
///
/// # Errors
/// What is in the way.
pub async fn create_patiently(
    replication: &mut Connection,
    session: &mut Connection,
    progress: &dyn Progress,
    name: &str,
    temporary: bool,
) -> Result<Created> {
    let mut created = std::pin::pin!(create(replication, name, temporary));
    loop {
        if let Ok(created) = timeout(LOOK_EVERY, &mut created).await {
            return created;
        }
        if let Some(who) = oldest_transaction(session).await? {
            progress.phase(&format!("waiting for a slot: {who}"));
            tracing::warn!(
                slot = name,
                waits_for = who,
                "slot waits for an open transaction"
            );
        }
    }
}

/// Who keeps a slot from being made, and for how long.
async fn oldest_transaction(session: &mut Connection) -> Result<Option<String>> {
    let sql = "select pid, coalesce(usename, backend_type), extract(epoch from now() - xact_start)::int8 \
               from pg_stat_activity where backend_xid is not null order by xact_start limit 1";
    let reply = session
        .query("cannot look for open transactions", sql)
        .await?;
    let text = |column| cell(&reply, 0, column).unwrap_or("?");
    let who = || {
        format!(
            "process {} of {} has a transaction open for {} s",
            text(0),
            text(1),
            text(2)
        )
    };
    Ok((!reply.is_empty()).then(who))
}

/// Drops the slot; one that is not there is dropped already.
///
/// # Errors
/// TL0306 while somebody reads it.
pub async fn drop_slot(connection: &mut Connection, name: &str) -> Result<()> {
    let sql = format!("select pg_drop_replication_slot({})", quote_literal(name));
    match connection.try_query(&sql).await? {
        Ok(_) => Ok(()),
        Err(error) if error.sqlstate == "42704" => Ok(()),
        Err(error) => Err(error.into_error(format!("cannot drop slot `{name}`"))),
    }
}

fn explain(error: ServerError, doing: &str) -> Error {
    let remedy = match error.sqlstate.as_str() {
        "53400" => {
            "raise max_replication_slots and max_wal_senders, or drop a slot that nobody reads"
        }
        "42501" => "grant the role replication: `alter role … replication`",
        "55000" => "set wal_level = logical and restart the server",
        _ => return error.into_error(doing),
    };
    let code = if error.sqlstate == "42501" {
        "TL0312"
    } else {
        "TL0309"
    };
    Error::new(error.kind(), doing)
        .code(code)
        .remedy(remedy)
        .because(error)
}

/// The error of a slot that another process reads.
#[must_use]
pub fn in_use(name: &str, pid: Option<u32>) -> Error {
    let who = pid.map_or_else(String::new, |pid| format!(" by the server's process {pid}"));
    Error::disconnected(format!("slot `{name}` is in use{who}"))
        .code("TL0306")
        .remedy(
            "stop the other reader: each connector needs a slot of its own. After a broken connection the server lets \
             go of it within wal_sender_timeout",
        )
}

#[cfg(test)]
mod tests {
    use super::{Slot, check_position};
    use crate::lsn::Lsn;

    fn slot() -> Slot {
        Slot {
            plugin: Some("pgoutput".to_owned()),
            database: Some("shop".to_owned()),
            confirmed: Some(Lsn(100)),
            wal_status: Some("reserved".to_owned()),
            ..Slot::default()
        }
    }

    fn code(slot: Option<&Slot>, stored: u64) -> Option<&'static str> {
        check_position(slot, "s", "shop", Lsn(stored))
            .err()
            .and_then(|error| error.code)
    }

    #[test]
    fn a_position_is_only_taken_up_where_nothing_is_missing() {
        assert_eq!(code(Some(&slot()), 100), None);
        assert_eq!(code(Some(&slot()), 200), None);
        assert_eq!(code(Some(&slot()), 99), Some("TL0304"));
        assert_eq!(code(None, 100), Some("TL0303"));
        let lost = Slot {
            wal_status: Some("lost".to_owned()),
            ..slot()
        };
        assert_eq!(code(Some(&lost), 100), Some("TL0305"));
        let invalid = Slot {
            invalidation: Some("idle_timeout".to_owned()),
            ..slot()
        };
        assert_eq!(code(Some(&invalid), 100), Some("TL0305"));
        let physical = Slot {
            plugin: None,
            ..slot()
        };
        assert_eq!(code(Some(&physical), 100), Some("TL0309"));
        let other = Slot {
            database: Some("other".to_owned()),
            ..slot()
        };
        assert_eq!(code(Some(&other), 100), Some("TL0309"));
    }
}
