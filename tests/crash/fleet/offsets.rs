//! Where connectors stand, as REST tells it, before and after a kill and in the end.

use super::{
    array,
    member::{Life, Member},
};
use crate::support::service::Service;
use reqwest::Method;
use serde_json::Value;
use std::{collections::BTreeMap, fmt::Write};

/// Each connector's offsets, by its name and their partition's text.
pub type Offsets = BTreeMap<String, BTreeMap<String, Value>>;

/// The offsets of every connector that exists.
pub async fn read(service: &Service, members: &[Member]) -> Offsets {
    let mut offsets = Offsets::new();
    for member in members {
        if member.stored.life == Life::Absent {
            continue;
        }
        let path = format!("/connectors/{}/offsets", member.name);
        let answer = service.ask(Method::GET, &path, None).await;
        let Some((200, body)) = answer else {
            panic!("{path}: {answer:?}\n{}", service.log());
        };
        let entry = |entry: &Value| (entry["partition"].to_string(), entry["offset"].clone());
        let entries = array(&body["offsets"]).iter().map(entry).collect();
        offsets.insert(member.name.clone(), entries);
    }
    offsets
}

/// What is wrong after a kill: a stopped connector has moved, or another has gone back.
pub fn compare(before: &Offsets, after: &Offsets, stopped: &[String]) -> String {
    let mut wrong = String::new();
    for (name, before) in before {
        let Some(after) = after.get(name) else {
            continue;
        };
        for (partition, offset) in before {
            let now = after.get(partition).unwrap_or(&Value::Null);
            let fine = if stopped.contains(name) {
                now == offset
            } else {
                place(now) >= place(offset)
            };
            if !fine {
                let _infallible =
                    writeln!(wrong, "{name}: {partition} was at {offset}, is at {now}");
            }
        }
    }
    wrong
}

/// A number that grows with an offset: a record's, a byte's or an LSN.
fn place(offset: &Value) -> Option<u64> {
    let lsn = || {
        let (high, low) = offset["lsn"].as_str()?.split_once('/')?;
        let half = |digits| u64::from_str_radix(digits, 16).ok();
        Some(half(high)? << 32 | half(low)?)
    };
    let plain = offset["kafka_offset"].as_u64();
    plain.or_else(|| offset["position"].as_u64()).or_else(lsn)
}

/// The end of each topic's only partition.
pub fn ends(topics: &Value) -> BTreeMap<String, u64> {
    let end = |topic: &Value| {
        let name = topic["name"].as_str()?.to_owned();
        Some((name, topic["partitions"][0]["high_watermark"].as_u64()?))
    };
    array(topics).iter().filter_map(end).collect()
}

/// Who does not stand at the end: sinks of their topics, file sources of their files.
pub fn short_of(
    offsets: &Offsets,
    ends: &BTreeMap<String, u64>,
    file_end: impl Fn(usize) -> u64,
) -> String {
    let mut wrong = String::new();
    for (name, entries) in offsets {
        if name.starts_with("pg") {
            continue;
        }
        if entries.is_empty() {
            let _infallible = writeln!(wrong, "{name}: no offsets");
        }
        for (partition, offset) in entries {
            let parsed: Value = serde_json::from_str(partition).expect("it was JSON");
            let end = match name.strip_prefix("file") {
                Some(number) => file_end(number.parse().expect("a file source has a number")),
                None => {
                    let topic = parsed["kafka_topic"].as_str().unwrap_or_default();
                    ends.get(topic).copied().unwrap_or_default()
                }
            };
            if place(offset) != Some(end) {
                let _infallible = writeln!(wrong, "{name}: {partition} is at {offset}, not {end}");
            }
        }
    }
    wrong
}
