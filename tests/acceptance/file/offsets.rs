//! Offsets of both ends, as Kafka Connect shows them, read and changed while the data shows the effect.

use super::{Copies, KAFKAS, OURS};
use crate::support::wait;
use serde_json::{Value, json};
use std::fs;

async fn shown(copies: &Copies, connector: &str) -> Value {
    let body = copies
        .worker
        .get(&format!("/connectors/{connector}/offsets"))
        .await;
    serde_json::from_str(&body.expect("the worker answers")).expect("JSON")
}

async fn until_offsets(copies: &Copies, connector: &str, offsets: Value) {
    let what = format!("{connector} is at {offsets}");
    wait::until(&what, async || {
        (shown(copies, connector).await == json!({"offsets": offsets})).then_some(())
    })
    .await;
}

async fn until_text(copies: &Copies, number: usize, text: &str) {
    wait::until(text, async || {
        (fs::read_to_string(copies.target(number)).ok()? == text).then_some(())
    })
    .await;
}

fn source_offset(copies: &Copies, number: usize, position: u64) -> Value {
    json!([{"partition": {"filename": copies.source(number)}, "offset": {"position": position}}])
}

fn sink_offset(number: usize, next: u64) -> Value {
    let topic = format!("lines-{number}");
    json!([{"partition": {"kafka_topic": topic, "kafka_partition": 0}, "offset": {"kafka_offset": next}}])
}

fn set(copies: &Copies, connector: &str, offsets: &Value) -> (String, bool) {
    let body = json!({"offsets": offsets}).to_string();
    copies.worker.command(&["offsets", "set", connector, &body])
}

#[tokio::test]
async fn offsets_are_shown_and_a_changed_one_takes_effect() {
    let mut copies = Copies::new(&[OURS, KAFKAS], "");
    for number in [0, 1] {
        copies.append(number, b"one\ntwo\nthree\npartial");
    }
    copies.worker.start();
    copies.worker.until_healthy().await;
    for number in [0, 1] {
        let (source, sink) = (format!("copy.in{number}"), format!("copy.out{number}"));
        until_text(&copies, number, "one\ntwo\nthree\n").await;
        until_offsets(&copies, &source, source_offset(&copies, number, 14)).await;
        until_offsets(&copies, &sink, sink_offset(number, 3)).await;

        // The source reads the last line again.
        let (said, done) = set(&copies, &source, &source_offset(&copies, number, 8));
        assert!(done, "{said}");
        until_text(&copies, number, "one\ntwo\nthree\nthree\n").await;
        until_offsets(&copies, &source, source_offset(&copies, number, 14)).await;

        // The sink writes the last two records again.
        let (said, done) = set(&copies, &sink, &sink_offset(number, 2));
        assert!(done, "{said}");
        until_text(&copies, number, "one\ntwo\nthree\nthree\nthree\nthree\n").await;
        until_offsets(&copies, &sink, sink_offset(number, 4)).await;

        // Forgotten, the sink begins at the log's beginning.
        let forget = json!([{"partition": {"kafka_topic": format!("lines-{number}"), "kafka_partition": 0}, "offset": null}]);
        let (said, done) = set(&copies, &sink, &forget);
        assert!(done, "{said}");
        until_text(
            &copies,
            number,
            "one\ntwo\nthree\nthree\nthree\nthree\none\ntwo\nthree\nthree\n",
        )
        .await;

        // The end of the last line ends its waiting.
        copies.append(number, b" no more\n");
        let all = "one\ntwo\nthree\nthree\nthree\nthree\none\ntwo\nthree\nthree\npartial no more\n";
        until_text(&copies, number, all).await;
    }
    assert_eq!(
        copies.worker.terminate(),
        Some(0),
        "{}",
        copies.worker.log()
    );
}

#[tokio::test]
async fn a_bad_offset_is_refused_with_kafkas_text() {
    let mut copies = Copies::new(&[KAFKAS], "");
    copies.append(0, b"one\n");
    copies.worker.start();
    until_text(&copies, 0, "one\n").await;
    let file = json!({"filename": copies.source(0)});
    let cases = [
        (
            json!([{"partition": file, "offset": {"place": 1}}]),
            "Offset objects should either be null or contain the key 'position'",
        ),
        (
            json!([{"partition": file, "offset": {"position": "1"}}]),
            "The value for the 'position' key in the offset is expected to be a Long value",
        ),
        (
            json!([{"partition": file, "offset": {"position": -1}}]),
            "The value for the 'position' key in the offset should be a non-negative value",
        ),
        (
            json!([{"partition": {"path": "x"}, "offset": {"position": 1}}]),
            "Partition objects should contain the key 'filename'",
        ),
    ];
    for (offsets, text) in cases {
        let (said, done) = set(&copies, "copy.in0", &offsets);
        assert!(!done && said.contains(text), "{offsets}: {said}");
    }
    until_offsets(&copies, "copy.in0", source_offset(&copies, 0, 4)).await;
    assert_eq!(
        copies.worker.terminate(),
        Some(0),
        "{}",
        copies.worker.log()
    );
}
