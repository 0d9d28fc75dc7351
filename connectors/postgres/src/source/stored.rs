//! What the log holds of this connector's positions, and whether it fits the server.

use crate::{
    config::Settings,
    lsn::Lsn,
    offset::{StreamOffset, TableOffset, table_of},
    server::{Identity, left_timeline},
    stream::TableName,
    wire::Connection,
};
use hashbrown::HashMap;
use tapline_sdk::{Committed, Error, Position, Result};

/// The stored positions.
pub(super) struct Stored {
    /// The stream's.
    pub stream: Option<StreamOffset>,
    /// The tables'.
    pub tables: HashMap<TableName, TableOffset>,
}

impl Stored {
    /// Reads them.
    pub(super) fn read(settings: &Settings, committed: &dyn Committed) -> Result<Self> {
        let stream = settings.partition();
        let server = stream.get("server");
        let ours = |partition: &Position| partition.get("server") == server;
        let mut tables = HashMap::new();
        for partition in committed
            .partitions()
            .iter()
            .filter(|partition| ours(partition))
        {
            if let Some((schema, table)) = table_of(partition)
                && let Some(offset) = committed.resume_at(partition)
            {
                tables.insert((schema.into(), table.into()), TableOffset::read(&offset)?);
            }
        }
        let stream = committed
            .resume_at(&stream)
            .as_ref()
            .map(StreamOffset::read)
            .transpose()?;
        Ok(Self { stream, tables })
    }
}

/// Whether a stored position means anything on this server; the timeline is brought up to date.
pub(super) async fn check_identity(
    stored: &mut StreamOffset,
    identity: &Identity,
    replication: &mut Connection,
    settings: &Settings,
) -> Result<()> {
    if stored.system != identity.system {
        return Err(Error::fatal(format!(
            "the server is another cluster: its system identifier is {}, the stored position's {}; nothing was skipped",
            identity.system, stored.system
        ))
        .code("TL0307")
        .remedy(
            "connect to the cluster that was captured; or, if this one replaces it, run `tapline resnapshot` for this \
             connector, which reads all tables anew",
        ));
    }
    if stored.slot.as_ref() != settings.slot {
        return Err(Error::config(format!(
            "slot.name is `{}`, but the stored position is of slot `{}`",
            settings.slot, stored.slot
        ))
        .code("TL0303")
        .remedy(
            "set slot.name back; or run `tapline resnapshot` for this connector, which reads all tables anew",
        ));
    }
    if stored.timeline == identity.timeline {
        return Ok(());
    }
    let left = if stored.timeline < identity.timeline {
        left_timeline(replication, identity.timeline, stored.timeline).await?
    } else {
        None
    };
    check_timeline(stored, identity.timeline, left)?;
    tracing::info!(
        from = stored.timeline,
        to = identity.timeline,
        "the server is on a new timeline"
    );
    stored.timeline = identity.timeline;
    Ok(())
}

fn check_timeline(stored: &StreamOffset, current: u32, left: Option<Lsn>) -> Result<()> {
    let furthest = stored
        .inside
        .as_ref()
        .map_or(stored.end, |inside| inside.commit.max(stored.end));
    let why = match left {
        Some(left) if furthest <= left => return Ok(()),
        Some(left) => format!("left it at {left}, before that position"),
        None => "was never on it".to_owned(),
    };
    Err(Error::fatal(format!(
        "the stored position {furthest} is on timeline {}, and the server, on timeline {current} now, {why}: it lacks \
         changes that are in the log",
        stored.timeline
    ))
    .code("TL0308")
    .remedy("run `tapline resnapshot` for this connector, which reads all tables anew"))
}

#[cfg(test)]
mod tests {
    use super::check_timeline;
    use crate::{
        lsn::Lsn,
        offset::{Inside, Stage, StreamOffset},
    };

    #[test]
    fn a_position_past_the_switch_to_a_new_timeline_is_refused() {
        let mut stored = StreamOffset {
            system: "1".into(),
            timeline: 1,
            slot: "s".into(),
            stage: Stage::Ready,
            consistent: Lsn(1),
            end: Lsn(100),
            inside: None,
        };
        assert!(check_timeline(&stored, 2, Some(Lsn(100))).is_ok());
        assert_eq!(
            check_timeline(&stored, 2, Some(Lsn(99)))
                .expect_err("past")
                .code,
            Some("TL0308")
        );
        assert_eq!(
            check_timeline(&stored, 2, None).expect_err("foreign").code,
            Some("TL0308")
        );
        let options = "p".into();
        stored.inside = Some(Inside {
            commit: Lsn(120),
            ordinal: 1,
            row: Lsn(110),
            relation: 1,
            options,
        });
        assert!(check_timeline(&stored, 2, Some(Lsn(110))).is_err());
    }
}
