//! `tapline topics`: what the log holds.

use super::{
    Failure, Found, Target,
    client::Client,
    figures,
    output::{self, Output},
};
use serde_json::Value;
use std::io::Write;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    target: Target,
}

pub(super) async fn execute(arguments: &Arguments, out: &mut dyn Write) -> Result<Found, Failure> {
    let topics = Client::find(&arguments.target)?
        .json(&["tapline", "v1", "topics"])
        .await?;
    if arguments.output.is_json() {
        output::write(out, &topics)?;
        return Ok(Found::Fine);
    }
    let topics = topics.as_array().map(Vec::as_slice).unwrap_or_default();
    let name = |topic: &Value| {
        topic
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or("?")
            .to_owned()
    };
    let width = topics
        .iter()
        .map(|topic| name(topic).chars().count())
        .max()
        .unwrap_or_default();
    for topic in topics {
        let partitions = topic.get("partitions").and_then(Value::as_array);
        let partitions = partitions.map(Vec::as_slice).unwrap_or_default();
        let end = |partition: &Value, key: &str| partition.get(key).and_then(Value::as_u64);
        let records: u64 = partitions
            .iter()
            .map(|partition| {
                let last = end(partition, "high_watermark").unwrap_or_default();
                last.saturating_sub(end(partition, "log_start").unwrap_or_default())
            })
            .sum();
        let plural = if partitions.len() == 1 { "" } else { "s" };
        let count = partitions.len();
        let records = figures::grouped(records);
        writeln!(
            out,
            "{:width$}  {count} partition{plural}  {records} offsets",
            name(topic)
        )?;
    }
    Ok(Found::Fine)
}
