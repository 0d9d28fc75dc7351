//! `tapline topics`: what the log holds; topics made, altered and deleted.

use super::{
    Failure, Found, Target,
    client::Client,
    figures,
    output::{self, Output},
};
use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};
use std::{collections::BTreeMap, io::Write};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a topic before a connector does, with settings of its own
    Create {
        /// The topic's name
        topic: String,
        /// Its partitions; one keeps the order of a table's changes
        #[arg(long, value_name = "COUNT", default_value = "1")]
        partitions: u32,
        /// A setting, such as cleanup.policy=compact; several are given one after another
        #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
        config: Vec<(String, String)>,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        target: Target,
    },
    /// Change settings of a topic; connectors go on meanwhile
    Alter {
        /// The topic's name
        topic: String,
        /// A setting, such as retention.ms=86400000; several are given one after another
        #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
        config: Vec<(String, String)>,
        /// A setting that goes back to its default
        #[arg(long, value_name = "KEY")]
        unset: Vec<String>,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        target: Target,
    },
    /// Delete a topic with its records; refused while a connector uses it
    Delete {
        /// The topic's name
        topic: String,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        target: Target,
    },
}

/// `KEY=VALUE` of the command line.
fn setting(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let pair = pair.map(|(key, value)| (key.to_owned(), value.to_owned()));
    pair.ok_or_else(|| "write KEY=VALUE".to_owned())
}

pub(super) async fn execute(arguments: &Arguments, out: &mut dyn Write) -> Result<Found, Failure> {
    match &arguments.action {
        None => list(arguments, out).await,
        Some(action) => change(action, out).await,
    }
}

async fn change(action: &Action, out: &mut dyn Write) -> Result<Found, Failure> {
    match action {
        Action::Create {
            topic,
            partitions,
            config,
            output,
            target,
        } => {
            let config: BTreeMap<_, _> = config.iter().cloned().collect();
            let body = json!({"name": topic, "partitions": partitions, "config": config});
            let path = ["tapline", "v1", "topics"];
            let created = Client::find(target)?
                .write(Method::POST, &path, &body)
                .await?;
            output.done(out, &format!("topic {topic} created"), &created)?;
        }
        Action::Alter {
            topic,
            config,
            unset,
            output,
            target,
        } => {
            let set = config.iter().map(|(key, value)| (key, Some(value)));
            let changes: BTreeMap<_, _> = set.chain(unset.iter().map(|key| (key, None))).collect();
            let path = ["tapline", "v1", "topics", topic];
            let altered = Client::find(target)?
                .write(Method::PATCH, &path, &json!({ "config": changes }))
                .await?;
            output.done(out, &format!("topic {topic} altered"), &altered)?;
        }
        Action::Delete {
            topic,
            output,
            target,
        } => {
            let path = ["tapline", "v1", "topics", topic];
            Client::find(target)?.delete(&path).await?;
            let sentence = format!("topic {topic} deleted with its records");
            output.done(out, &sentence, &json!({"deleted": topic}))?;
        }
    }
    Ok(Found::Fine)
}

async fn list(arguments: &Arguments, out: &mut dyn Write) -> Result<Found, Failure> {
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
