use super::{bind, entries_from_json, position_to_json};
use crate::worker::ConnectorKind;
use serde_json::{Value, json};

fn entries(entry: Value, kind: ConnectorKind) -> Result<Value, String> {
    let entries = entries_from_json(&[entry], kind)?;
    let shown = entries.iter().map(|entry| {
        json!({
            "partition": position_to_json(&entry.partition),
            "offset": entry.offset.as_ref().map(position_to_json),
        })
    });
    Ok(shown.collect())
}

#[test]
fn offsets_round_trip_in_connects_shape() {
    let source =
        json!({"partition": {"server": "shop"}, "offset": {"lsn": 42, "done": true, "x": null}});
    assert_eq!(
        entries(source.clone(), ConnectorKind::Source),
        Ok(json!([source]))
    );
    let sink = json!({"partition": {"kafka_topic": "t", "kafka_partition": "1"}, "offset": {"kafka_offset": "17"}});
    assert_eq!(
        entries(sink, ConnectorKind::Sink),
        Ok(
            json!([{"partition": {"kafka_topic": "t", "kafka_partition": 1}, "offset": {"kafka_offset": 17}}])
        )
    );
    let reset = json!({"partition": {"server": "shop"}, "offset": null});
    assert_eq!(
        entries(reset.clone(), ConnectorKind::Source),
        Ok(json!([reset]))
    );
}

#[test]
fn malformed_offsets_are_refused_in_connects_words() {
    for (entry, kind, words) in [
        (
            json!({"partition": null}),
            ConnectorKind::Sink,
            "cannot be null or missing",
        ),
        (
            json!({"partition": {"kafka_topic": "t"}}),
            ConnectorKind::Sink,
            "must contain the keys",
        ),
        (
            json!({"partition": {"kafka_topic": "t", "kafka_partition": "x"}}),
            ConnectorKind::Sink,
            "Partition values for sink connectors need to be integers.",
        ),
        (
            json!({"partition": {"kafka_topic": "t", "kafka_partition": 0}, "offset": {"o": 1}}),
            ConnectorKind::Sink,
            "contain the key 'kafka_offset'",
        ),
        (
            json!({"partition": {"kafka_topic": "t", "kafka_partition": 0}, "offset": {"kafka_offset": -1}}),
            ConnectorKind::Sink,
            "Offset values",
        ),
        (
            json!({"partition": {"a": [1]}}),
            ConnectorKind::Source,
            "neither text",
        ),
        (
            json!({"partition": {"a": 1.5}}),
            ConnectorKind::Source,
            "64-bit integer",
        ),
        (
            json!({"partition": {}, "ofset": {}}),
            ConnectorKind::Source,
            "Unrecognized field",
        ),
        (json!([]), ConnectorKind::Source, "not an object"),
    ] {
        let refused = entries(entry.clone(), kind).expect_err("it is malformed");
        assert!(refused.contains(words), "{entry}: {refused}");
    }
}

#[tokio::test]
async fn only_loopback_is_bound_unless_the_flag_says_so() {
    let everywhere = "0.0.0.0:0".parse().expect("an address");
    let refused = bind(everywhere, false).await.expect_err("not loopback");
    assert_eq!(refused.code, Some("TL0130"));
    assert!(bind(everywhere, true).await.is_ok());
    let local = bind("127.0.0.1:0".parse().expect("an address"), false)
        .await
        .expect("loopback");
    let taken = local.local_addr().expect("an address");
    assert_eq!(
        bind(taken, false).await.expect_err("taken").code,
        Some("TL0131")
    );
}
