//! Offsets of connectors that run, read, rewound and reset over REST: the target shows that each took effect, exactly as
//! the answer said.

use crate::support::{
    compare::differences,
    postgres::Postgres,
    service::Service,
    wait::{DEADLINE, stays, until, within},
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

const TOPIC: &str = "shop.public.items";
const OTHER: &str = "shop.public.others";

/// Long enough that a record which must not come would have come.
const LONG_ENOUGH: Duration = Duration::from_millis(500);

/// One Postgres replicated into another by a service.
struct Replica {
    from: Postgres,
    to: Postgres,
    service: Service,
}

impl Replica {
    /// Ten rows, half of them from the snapshot; one was changed since, one deleted.
    async fn new() -> Self {
        let (from, to) = (Postgres::start().await, Postgres::start().await);
        from.execute(
            "create table items (id int primary key, name text);
             insert into items select g, 'item ' || g from generate_series(1, 5) g;
             create table others (id int primary key);
             insert into others select generate_series(1, 3)",
        )
        .await;
        let mut service = Service::new(Path::new(env!("CARGO_BIN_EXE_tapline")));
        service.start().await;
        let source = json!({
            "connector.class": "io.tapline.postgres.PostgresSource", "database.hostname": "127.0.0.1",
            "database.port": from.port(), "database.user": "postgres", "database.dbname": "postgres",
            "topic.prefix": "shop", "table.include.list": "public.items,public.others",
        });
        service.create("in", source).await;
        let sink = json!({
            "connector.class": "sql", "connection.url": to.url("postgres"), "topics": format!("{TOPIC},{OTHER}"),
        });
        service.create("out", sink).await;
        let replica = Self { from, to, service };
        replica.becomes_equal().await;
        replica
            .from
            .execute("insert into items select g, 'item ' || g from generate_series(6, 10) g")
            .await;
        replica
            .from
            .execute("update items set name = 'third' where id = 3; delete from items where id = 2")
            .await;
        replica.becomes_equal().await;
        replica
    }

    async fn becomes_equal(&self) {
        let (from, to) = (self.from.url("postgres"), self.to.url("postgres"));
        let mut found = String::new();
        let equal = within(DEADLINE, async || {
            found = differences(&from, &to, &["items", "others"]).await;
            found.is_empty().then_some(())
        });
        let equal = equal.await.is_some();
        assert!(equal, "{found}\n{}", self.service.log());
    }

    /// The target's rows as `id|name`.
    async fn target(&self) -> BTreeSet<String> {
        let rows = self.to.rows("select id, name from items").await;
        rows.into_iter().collect()
    }

    /// What the sink's target itself holds of its place in a topic.
    async fn held(&self, topic: &str) -> Vec<String> {
        let sql = format!("select position from tapline_positions where topic = '{topic}'");
        self.to.rows(&sql).await
    }

    async fn end(&self, topic: &str) -> u64 {
        let records = self.service.rest().records(topic, 0).await;
        let last = records.last().expect("the topic has records");
        last["offset"].as_u64().expect("an offset") + 1
    }
}

impl Service {
    async fn offsets(&self, name: &str) -> Value {
        let path = format!("/connectors/{name}/offsets");
        let answer = self.ask(Method::GET, &path, None).await;
        let Some((200, body)) = answer else {
            panic!("{path}: {answer:?}");
        };
        body["offsets"].clone()
    }

    async fn until_offsets(&self, name: &str, offsets: &Value) {
        until(&format!("{name} stands at {offsets}"), async || {
            (self.offsets(name).await == *offsets).then_some(())
        })
        .await;
    }

    /// Stops a connector and changes its offsets, `None` resets them; its own message is returned.
    async fn stopped_and_set(&self, name: &str, offsets: Option<&Value>) -> String {
        assert_eq!(
            self.put(&format!("/connectors/{name}/stop")).await,
            Some(204)
        );
        self.reaches(name, &["STOPPED"]).await;
        let path = format!("/connectors/{name}/offsets");
        let answer = match offsets {
            Some(offsets) => {
                let body = json!({"offsets": offsets});
                self.ask(Method::PATCH, &path, Some(body)).await
            }
            None => self.ask(Method::DELETE, &path, None).await,
        };
        match answer {
            Some((200, body)) => body["message"].as_str().unwrap_or_default().to_owned(),
            other => panic!("{path}: {other:?}"),
        }
    }

    async fn resumed(&self, name: &str) {
        let path = format!("/connectors/{name}/resume");
        assert_eq!(self.put(&path).await, Some(202));
        self.reaches(name, &["RUNNING", "RUNNING"]).await;
    }
}

fn at(topic: &str, next: u64) -> Value {
    json!({"partition": {"kafka_topic": topic, "kafka_partition": 0}, "offset": {"kafka_offset": next}})
}

fn id_of(record: &Value) -> String {
    record["key"]["id"].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sinks_rewound_offset_applies_exactly_the_records_from_there_on_again() {
    let replica = Replica::new().await;
    let service = &replica.service;
    let end = replica.end(TOPIC).await;
    let other = replica.end(OTHER).await;
    service
        .until_offsets("out", &json!([at(TOPIC, end), at(OTHER, other)]))
        .await;
    assert_eq!(replica.held(TOPIC).await, [end.to_string()]);

    let records = service.rest().records(TOPIC, 0).await;
    let eighth = records.iter().find(|record| id_of(record) == "8");
    let rewound = eighth.and_then(|record| record["offset"].as_u64());
    let rewound = rewound.expect("row 8 is in the log");
    let message = service
        .stopped_and_set("out", Some(&json!([at(TOPIC, rewound)])))
        .await;
    assert_eq!(
        message,
        "The offsets for this connector have been altered successfully"
    );
    // The topic that was not named stays, and the target itself holds the new place.
    service
        .until_offsets("out", &json!([at(TOPIC, rewound), at(OTHER, other)]))
        .await;
    assert_eq!(replica.held(TOPIC).await, [rewound.to_string()]);

    // Whatever is written again can be told from what is not.
    let mark = "update items set name = 'marked'; insert into items values (2, 'marked')";
    replica.to.execute(mark).await;
    let again: BTreeSet<String> = service
        .rest()
        .records(TOPIC, rewound)
        .await
        .iter()
        .map(id_of)
        .collect();
    let source = replica.from.rows("select id, name from items").await;
    let expected: BTreeSet<String> = source
        .into_iter()
        .map(|row| match row.split_once('|') {
            Some((id, _)) if !again.contains(id) => format!("{id}|marked"),
            _ => row,
        })
        .collect();
    assert!(expected.contains("1|marked") && expected.contains("3|third"));
    service.resumed("out").await;
    service
        .until_offsets("out", &json!([at(TOPIC, end), at(OTHER, other)]))
        .await;
    assert_eq!(replica.target().await, expected, "{again:?} came again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sinks_reset_applies_its_whole_topics_again() {
    let replica = Replica::new().await;
    let service = &replica.service;
    let ends = [
        at(TOPIC, replica.end(TOPIC).await),
        at(OTHER, replica.end(OTHER).await),
    ];
    service.until_offsets("out", &json!(ends)).await;
    let message = service.stopped_and_set("out", None).await;
    assert_eq!(
        message,
        "The offsets for this connector have been reset successfully"
    );
    // Once more: there is nothing left to forget.
    let message = service.stopped_and_set("out", None).await;
    assert!(message.contains("have been reset successfully"));
    assert_eq!(service.offsets("out").await, json!([]));
    assert_eq!(replica.held(TOPIC).await, Vec::<String>::new());
    replica
        .to
        .execute("truncate items, others; insert into items values (2, 'marked'), (77, 'foreign')")
        .await;
    service.resumed("out").await;
    service.until_offsets("out", &json!(ends)).await;
    // Row 2 was deleted by a record, of row 77 there is none.
    replica.to.execute("delete from items where id = 77").await;
    replica.becomes_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sources_forgotten_table_is_read_again_and_the_others_are_not() {
    let replica = Replica::new().await;
    let service = &replica.service;
    let (end, other) = (replica.end(TOPIC).await, replica.end(OTHER).await);
    let offsets = service.offsets("in").await;
    let table = json!({"server": "shop", "schema": "public", "table": "items"});
    let listed = offsets.as_array().expect("a list");
    assert!(
        listed.iter().any(|entry| entry["partition"] == table),
        "{offsets}"
    );
    let forget = json!([{"partition": table, "offset": null}]);
    service.stopped_and_set("in", Some(&forget)).await;
    let left = service.offsets("in").await;
    let left = left.as_array().expect("a list");
    let kept = listed.iter().filter(|entry| entry["partition"] != table);
    assert_eq!(left.iter().collect::<Vec<_>>(), kept.collect::<Vec<_>>());

    replica.to.execute("truncate items, others").await;
    replica
        .from
        .execute("insert into items values (11, 'meanwhile')")
        .await;
    service.resumed("in").await;
    until("the table's rows came again", async || {
        (replica.to.rows("select id from items").await.len() == 10).then_some(())
    })
    .await;
    let read = snapshot_rows(&service.rest().records(TOPIC, end).await);
    let rows: BTreeSet<String> = [1, 3, 4, 5, 6, 7, 8, 9, 10, 11]
        .map(|id: i32| id.to_string())
        .into();
    assert_eq!(read, rows);
    stays("the other table is not read", LONG_ENOUGH, async || {
        replica.end(OTHER).await == other
    })
    .await;
    assert_eq!(
        replica.to.rows("select id from others").await,
        Vec::<String>::new()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sources_reset_reads_every_table_again_and_streams_on() {
    let replica = Replica::new().await;
    let service = &replica.service;
    let (end, other) = (replica.end(TOPIC).await, replica.end(OTHER).await);
    service.stopped_and_set("in", None).await;
    assert_eq!(service.offsets("in").await, json!([]));
    replica.to.execute("truncate items, others").await;
    replica
        .from
        .execute(
            "update items set name = 'while stopped' where id = 4; delete from items where id = 5",
        )
        .await;
    service.resumed("in").await;
    replica.becomes_equal().await;
    let read = snapshot_rows(&service.rest().records(TOPIC, end).await);
    assert_eq!(read.len(), 8, "{read:?}");
    let read = snapshot_rows(&service.rest().records(OTHER, other).await);
    assert_eq!(read.len(), 3, "{read:?}");
    replica
        .from
        .execute("insert into items values (12, 'streamed'); delete from others where id = 1")
        .await;
    replica.becomes_equal().await;
}

/// The keys of the records that a snapshot has read.
fn snapshot_rows(records: &[Value]) -> BTreeSet<String> {
    let read = records.iter().filter(|record| record["value"]["op"] == "r");
    read.map(id_of).collect()
}

/// A file copied line by line by a service.
struct Copy {
    service: Service,
    lines: PathBuf,
    copy: PathBuf,
}

impl Copy {
    async fn new(text: &str) -> Self {
        let mut service = Service::new(Path::new(env!("CARGO_BIN_EXE_tapline")));
        let (lines, copy) = (
            service.folder().join("lines.txt"),
            service.folder().join("copy.txt"),
        );
        fs::write(&lines, text).expect("a file can be written");
        service.start().await;
        let source =
            json!({"connector.class": "FileStreamSource", "file": lines, "topic": "lines"});
        service.create("in", source).await;
        let sink = json!({"connector.class": "FileStreamSink", "file": copy, "topics": "lines"});
        service.create("out", sink).await;
        Self {
            service,
            lines,
            copy,
        }
    }

    async fn holds(&self, text: &str) {
        let mut found = String::new();
        let holds = within(DEADLINE, async || {
            found = fs::read_to_string(&self.copy).unwrap_or_default();
            (found == text).then_some(())
        });
        let holds = holds.await.is_some();
        assert!(holds, "{found:?}, not {text:?}\n{}", self.service.log());
    }

    fn position(&self, position: u64) -> Value {
        json!([{"partition": {"filename": self.lines}, "offset": {"position": position}}])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_files_offsets_are_rewound_and_reset_at_both_ends() {
    let copy = Copy::new("one\ntwo\nthree\n").await;
    let service = &copy.service;
    copy.holds("one\ntwo\nthree\n").await;
    service.until_offsets("in", &copy.position(14)).await;
    service.until_offsets("out", &json!([at("lines", 3)])).await;

    let altered = "The offsets for this connector have been altered successfully";
    let reset = "The offsets for this connector have been reset successfully";
    let to_third = copy.position(8);
    assert_eq!(
        service.stopped_and_set("in", Some(&to_third)).await,
        altered
    );
    assert_eq!(service.offsets("in").await, to_third);
    service.resumed("in").await;
    copy.holds("one\ntwo\nthree\nthree\n").await;

    assert_eq!(service.stopped_and_set("in", None).await, reset);
    assert_eq!(service.offsets("in").await, json!([]));
    service.resumed("in").await;
    let mut text = "one\ntwo\nthree\nthree\none\ntwo\nthree\n".to_owned();
    copy.holds(&text).await;
    service.until_offsets("out", &json!([at("lines", 7)])).await;

    // The file itself holds the sink's place.
    let to_sixth = json!([at("lines", 5)]);
    assert_eq!(
        service.stopped_and_set("out", Some(&to_sixth)).await,
        altered
    );
    assert_eq!(service.offsets("out").await, to_sixth);
    service.resumed("out").await;
    text += "two\nthree\n";
    copy.holds(&text).await;

    assert_eq!(service.stopped_and_set("out", None).await, reset);
    assert_eq!(service.offsets("out").await, json!([]));
    service.resumed("out").await;
    text += "one\ntwo\nthree\nthree\none\ntwo\nthree\n";
    copy.holds(&text).await;
    service.until_offsets("out", &json!([at("lines", 7)])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_file_source_loses_and_repeats_no_line() {
    let copy = Copy::new("one\ntwo\n").await;
    let mut text = "one\ntwo\n".to_owned();
    for round in 0..3 {
        copy.holds(&text).await;
        let service = &copy.service;
        assert_eq!(service.put("/connectors/in/stop").await, Some(204));
        service.reaches("in", &["STOPPED"]).await;
        let more = format!("while stopped {round}\nhalf a li");
        let mut file = File::options().append(true).open(&copy.lines);
        let written = file.as_mut().map(|file| file.write_all(more.as_bytes()));
        assert!(matches!(written, Ok(Ok(()))));
        service.resumed("in").await;
        text += &format!("while stopped {round}\n");
        copy.holds(&text).await;
        let written = file.as_mut().map(|file| file.write_all(b"ne\n"));
        assert!(matches!(written, Ok(Ok(()))));
        text += "half a line\n";
    }
    copy.holds(&text).await;
}
