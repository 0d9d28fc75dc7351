//! Two accounts of the same changes: what Postgres' own `test_decoding` says was committed, and what our log holds.

use crate::support::{
    postgres::{connect, execute, text_rows},
    worker::Worker,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// One change of a row: transaction, operation, key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub xid: u32,
    pub op: char,
    pub key: String,
}

/// The changes of each table in commit order, with the end of their transaction's commit record.
pub type Account = BTreeMap<String, Vec<(Change, u64)>>;

/// Creates the slot whose account [`committed`] gives.
pub async fn open(url: &str) {
    execute(
        url,
        "select pg_create_logical_replication_slot('ledger', 'test_decoding')",
    )
    .await;
}

/// What was committed since [`open`], by `test_decoding`. `keys` names each table's key columns.
pub async fn committed(url: &str, keys: &[(&str, &[&str])]) -> Account {
    let sql = "select (lsn - '0/0')::text || ' ' || xid::text || ' ' || data from \
               pg_logical_slot_get_changes('ledger', null, null, 'skip-empty-xacts', '1')";
    let mut account = Account::new();
    let mut open: Vec<(String, Change)> = Vec::new();
    for row in text_rows(&mut connect(url).await, sql).await {
        let (lsn, rest) = row.split_once(' ').expect("a row has an LSN");
        let (xid, data) = rest.split_once(' ').expect("a row has a transaction");
        if data.starts_with("COMMIT") {
            let end = lsn.parse().expect("an LSN is a number");
            for (table, change) in open.drain(..) {
                account.entry(table).or_default().push((change, end));
            }
        } else if let Some(text) = data.strip_prefix("table public.") {
            let xid = xid.parse().expect("a transaction id is a number");
            changes(text, xid, keys, &mut open);
        }
    }
    account
}

/// `orders: INSERT: id[bigint]:5 …`; a key change counts as a delete and a create, as in Debezium's events.
fn changes(text: &str, xid: u32, keys: &[(&str, &[&str])], into: &mut Vec<(String, Change)>) {
    let (table, rest) = text.split_once(": ").expect("a change names its table");
    let (op, tuple) = rest.split_once(": ").expect("a change names its operation");
    if op == "TRUNCATE" {
        for table in table
            .split(", ")
            .map(|name| name.trim_start_matches("public."))
        {
            into.push((
                table.to_owned(),
                Change {
                    xid,
                    op: 't',
                    key: String::new(),
                },
            ));
        }
        return;
    }
    let columns = keys
        .iter()
        .find(|(name, _)| *name == table)
        .map_or(&[][..], |(_, columns)| columns);
    let mut push = |op, tuple: &str| {
        let values: Vec<String> = columns
            .iter()
            .map(|column| value_of(tuple, column))
            .collect();
        into.push((
            table.to_owned(),
            Change {
                xid,
                op,
                key: values.join("/"),
            },
        ));
    };
    let images = tuple
        .strip_prefix("old-key: ")
        .and_then(|both| both.split_once(" new-tuple: "));
    match (op, images) {
        ("INSERT", _) => push('c', tuple),
        ("DELETE", _) => push('d', tuple),
        ("UPDATE", Some((old, new))) if !columns.is_empty() => {
            push('d', old);
            push('c', new);
        }
        ("UPDATE", _) => push('u', tuple),
        other => panic!("test_decoding says {other:?}"),
    }
}

/// The value of `column[type]:value` in a tuple, unquoted; keys of the shop hold no quotes.
fn value_of(tuple: &str, column: &str) -> String {
    let start = tuple
        .find(&format!("{column}["))
        .expect("a key column is in the tuple");
    let (_, value) = tuple[start..]
        .split_once("]:")
        .expect("a value follows its type");
    match value.strip_prefix('\'') {
        Some(quoted) => quoted.split('\'').next().unwrap_or_default().to_owned(),
        None => value.split(' ').next().unwrap_or_default().to_owned(),
    }
}

/// The consistent point of each table's last snapshot, as the source has stored it. A snapshot that was interrupted
/// goes on with the tables that it lacks at a later point.
pub fn consistent_points(worker: &Worker) -> BTreeMap<String, u64> {
    let (text, fine) = worker.command(&["offsets", "show", "shop.source"]);
    assert!(fine, "{text}");
    let stored: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let entries = stored["offsets"].as_array().expect("a list of offsets");
    let point = |entry: &Value| {
        let table = entry["partition"]["table"].as_str()?;
        let (high, low) = entry["offset"]["lsn"].as_str()?.split_once('/')?;
        let half = |digits| u64::from_str_radix(digits, 16).expect("an LSN is hexadecimal");
        Some((table.to_owned(), half(high) << 32 | half(low)))
    };
    entries.iter().filter_map(point).collect()
}

/// How a topic is kept, and so what must be found of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Every record.
    Whole,
    /// The last record of each key, and whatever was not looked at yet.
    Compacted,
}

/// What the log holds of a topic.
#[derive(Debug)]
pub struct Logged {
    /// Changes of rows; snapshot rows and tombstones left out.
    pub changes: Vec<Change>,
    /// Offsets without a record.
    pub holes: u64,
}

/// What the log holds of a table's changes, read through the running worker. Also checks what must hold of every log:
/// offsets that rise, without gap where every record is kept, and commit order.
pub fn logged(worker: &Worker, topic: &str, keys: &[&str], kept: Kept) -> Logged {
    let (text, fine) = worker.command(&["consume", topic, "--from", "start"]);
    assert!(fine, "{text}");
    let mut logged = Logged {
        changes: Vec::new(),
        holes: 0,
    };
    let mut last_commit = 0;
    let mut next = 0;
    for line in text.lines() {
        let record: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
        let offset = record["offset"].as_u64().expect("a record has an offset");
        let due = next;
        assert!(offset >= due, "{topic} goes back to {line}");
        let gap = offset - due;
        assert!(
            gap == 0 || kept == Kept::Compacted,
            "a gap in {topic}: {line}"
        );
        logged.holes += gap;
        next = offset + 1;
        let value = &record["value"];
        let streamed = matches!(value["source"]["snapshot"].as_str(), None | Some("false"));
        if value.is_null() || !streamed {
            continue;
        }
        let commit = record["transaction"]["id"]
            .as_u64()
            .expect("a streamed change has a transaction");
        assert!(
            commit >= last_commit,
            "{topic} is not in commit order at {line}"
        );
        last_commit = commit;
        let text = |value: &Value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        };
        let key: Vec<String> = keys
            .iter()
            .map(|column| text(&record["key"][*column]))
            .collect();
        let op = value["op"]
            .as_str()
            .and_then(|op| op.chars().next())
            .expect("a change has an operation");
        let xid = value["source"]["txId"]
            .as_u64()
            .expect("a streamed change has a transaction");
        let xid = u32::try_from(xid & 0xffff_ffff).expect("32 bits fit");
        let key = if op == 't' {
            String::new()
        } else {
            key.join("/")
        };
        logged.changes.push(Change { xid, op, key });
    }
    logged
}

/// Holds the two accounts of one table against each other: the log has the changes of exactly the transactions that
/// ended after the consistent point of its snapshot, or what is left of them by how the topic is kept.
pub fn compare(
    table: &str,
    committed: &[(Change, u64)],
    logged: &[Change],
    consistent: u64,
    kept: Kept,
) -> String {
    let skipped = committed.partition_point(|(_, end)| *end <= consistent);
    let committed = &committed[skipped..];
    let (ours, theirs) = (logged.len(), committed.len());
    match kept {
        Kept::Whole if ours != theirs => {
            format!("{table}: {theirs} changes committed after {consistent}, {ours} in the log\n")
        }
        Kept::Whole => same(table, committed, logged),
        Kept::Compacted => last_ones(table, committed, logged),
    }
}

/// What compaction may leave: changes that were committed, each at most once and in that order, among them the last of
/// every key that was not deleted.
fn last_ones(table: &str, committed: &[(Change, u64)], logged: &[Change]) -> String {
    let mut rest = committed.iter();
    for change in logged {
        if !rest.any(|(one, _)| one == change) {
            return format!("{table}: {change:?} is in the log, out of order or twice\n");
        }
    }
    let last: BTreeMap<&str, &Change> = logged.iter().map(|one| (&*one.key, one)).collect();
    let wanted: BTreeMap<&str, &Change> =
        committed.iter().map(|(one, _)| (&*one.key, one)).collect();
    for (key, change) in wanted {
        let found = last.get(key);
        // Of a deleted row nothing need be left; what is may be older only until the log is compacted again.
        if change.op != 'd' && found != Some(&change) {
            return format!(
                "{table}: the last change of {key} is {change:?}, in the log {found:?}\n"
            );
        }
    }
    String::new()
}

fn same(table: &str, committed: &[(Change, u64)], logged: &[Change]) -> String {
    let pairs = committed.iter().zip(logged).enumerate();
    match pairs.into_iter().find(|(_, ((a, _), b))| a != *b) {
        Some((at, ((a, _), b))) => format!("{table}: change {at} is {a:?}, in the log {b:?}\n"),
        None => String::new(),
    }
}
