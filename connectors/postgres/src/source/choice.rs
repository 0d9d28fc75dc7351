//! Which tables are read first, from what is stored of each.

use crate::{
    lsn::Lsn,
    offset::{TableOffset, TableStage},
    tables::Table,
};

/// What holds for every table of a start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Tables that were never read are read.
    pub read_unknown: bool,
    /// Tables that were left unread on purpose stay so, whatever happens.
    pub keep_skipped: bool,
    /// Every table is read.
    pub always: bool,
    /// The stream begins anew: what was read before has missed changes.
    pub reset: bool,
}

/// Whether a table is read, and then whether it is read again, behind a barrier.
pub(super) fn read(rules: Rules, table: &Table, before: Option<TableOffset>) -> Option<bool> {
    let Some(before) = before else {
        return rules.read_unknown.then_some(false);
    };
    let again = match before.stage {
        TableStage::Pending => return Some(false),
        TableStage::Begun | TableStage::Again => true,
        TableStage::Skipped => rules.reset && !rules.keep_skipped,
        // A table that was made anew under the same name is another one.
        TableStage::Done => rules.always || rules.reset || before.relid != table.relid,
    };
    again.then_some(true)
}

/// The state to store for a captured table, if it changes, and the end of what is read of it. `read_to` is set if it
/// is read now.
pub(super) fn state(
    table: &Table,
    before: Option<TableOffset>,
    read_to: Option<Lsn>,
) -> (Option<TableOffset>, Lsn) {
    let store = |stage, lsn| {
        Some(TableOffset {
            stage,
            relid: table.relid,
            lsn,
        })
    };
    match (read_to, before) {
        (None, Some(before)) => (None, before.lsn),
        (None, None) => (store(TableStage::Skipped, Lsn::NONE), Lsn::NONE),
        (Some(read_to), None) => (store(TableStage::Pending, read_to), read_to),
        (Some(read_to), Some(before)) => match before.stage {
            TableStage::Pending | TableStage::Begun | TableStage::Again => (None, read_to),
            // A start that ends before the table is begun must not forget that it is to be read.
            TableStage::Done | TableStage::Skipped => {
                (store(TableStage::Again, Lsn::NONE), read_to)
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{Rules, read, state};
    use crate::{
        lsn::Lsn,
        offset::{TableOffset, TableStage},
        tables::Table,
    };

    const RULES: Rules = Rules {
        read_unknown: true,
        keep_skipped: false,
        always: false,
        reset: false,
    };

    fn table() -> Table {
        let (schema, name) = ("public".into(), "t".into());
        Table {
            relid: 7,
            schema,
            name,
            partitioned: false,
            parent: None,
            blocks: 0,
            rows: 0,
        }
    }

    fn was(stage: TableStage) -> Option<TableOffset> {
        Some(TableOffset {
            stage,
            relid: 7,
            lsn: Lsn(5),
        })
    }

    #[test]
    fn a_table_is_read_once_unless_something_was_missed() {
        let read = |rules, before| read(rules, &table(), before);
        assert_eq!(read(RULES, None), Some(false));
        assert_eq!(
            read(
                Rules {
                    read_unknown: false,
                    ..RULES
                },
                None
            ),
            None
        );
        assert_eq!(read(RULES, was(TableStage::Pending)), Some(false));
        assert_eq!(read(RULES, was(TableStage::Begun)), Some(true));
        assert_eq!(read(RULES, was(TableStage::Again)), Some(true));
        assert_eq!(read(RULES, was(TableStage::Skipped)), None);
        assert_eq!(read(RULES, was(TableStage::Done)), None);
        let reset = Rules {
            reset: true,
            ..RULES
        };
        assert_eq!(read(reset, was(TableStage::Done)), Some(true));
        assert_eq!(read(reset, was(TableStage::Skipped)), Some(true));
        assert_eq!(
            read(
                Rules {
                    keep_skipped: true,
                    ..reset
                },
                was(TableStage::Skipped)
            ),
            None
        );
        assert_eq!(
            read(
                Rules {
                    always: true,
                    ..RULES
                },
                was(TableStage::Done)
            ),
            Some(true)
        );
        let other = Some(TableOffset {
            stage: TableStage::Done,
            relid: 8,
            lsn: Lsn(5),
        });
        assert_eq!(read(RULES, other), Some(true));
    }

    #[test]
    fn that_a_table_is_to_be_read_is_stored_until_it_was() {
        let stage = |before, read_to| {
            state(&table(), before, read_to)
                .0
                .map(|offset| offset.stage)
        };
        let now = Some(Lsn(9));
        assert_eq!(stage(None, now), Some(TableStage::Pending));
        assert_eq!(stage(was(TableStage::Done), now), Some(TableStage::Again));
        assert_eq!(stage(was(TableStage::Begun), now), None);
        assert_eq!(stage(None, None), Some(TableStage::Skipped));
        assert_eq!(state(&table(), was(TableStage::Done), None), (None, Lsn(5)));
        assert_eq!(state(&table(), was(TableStage::Done), now).1, Lsn(9));
    }
}
