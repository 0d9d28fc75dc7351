//! `tapline offsets show|set`: where a connector goes on, in the JSON of Kafka Connect's offsets API.

use super::{
    Failure, Found, Target,
    client::Client,
    files,
    output::{self, Form, Output},
};
use clap::Subcommand;
use reqwest::Method;
use serde_json::Value;
use std::{
    io::{self, Read, Write},
    path::Path,
};
use tapline_sdk::{Error, Result};

/// Far above what a connector of a thousand partitions shows.
const INPUT_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print the stored offsets
    Show {
        /// The connector, such as shop.source
        connector: String,
        /// JSON as `set` takes it, or a line per partition
        #[arg(long, value_name = "FORM", value_enum, default_value = "json")]
        output: Form,
        #[command(flatten)]
        target: Target,
    },
    /// Set the listed offsets; one that is null is forgotten. The connector is stopped around the change
    Set {
        /// The connector
        connector: String,
        /// What `show` prints, edited: a file, `-` for standard input, or the JSON itself
        #[arg(value_name = "FILE|JSON")]
        offsets: String,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        target: Target,
    },
}

pub(super) async fn execute(arguments: &Arguments, out: &mut dyn Write) -> Result<Found, Failure> {
    match &arguments.action {
        Action::Show {
            connector,
            output,
            target,
        } => {
            let path = ["connectors", connector, "offsets"];
            let offsets = Client::find(target)?.json(&path).await?;
            match output {
                Form::Json => output::write(out, &offsets)?,
                Form::Text => write!(out, "{}", lines(&offsets))?,
            }
        }
        Action::Set {
            connector,
            offsets,
            output,
            target,
        } => {
            let body = parse(offsets)?;
            let path = ["tapline", "v1", "connectors", connector, "offsets"];
            let answer = Client::find(target)?
                .write(Method::PATCH, &path, &body)
                .await?;
            output.answered(out, &answer)?;
        }
    }
    Ok(Found::Fine)
}

/// One line a partition: `kafka_partition=0 kafka_topic=shop.public.orders: kafka_offset=17`.
fn lines(offsets: &Value) -> String {
    let entries = offsets.get("offsets").and_then(Value::as_array);
    let mut text = String::new();
    for entry in entries.map(Vec::as_slice).unwrap_or_default() {
        let of = |key: &str| entry.get(key).map(pairs).unwrap_or_default();
        text.push_str(&format!("{}: {}\n", of("partition"), of("offset")));
    }
    text
}

fn pairs(object: &Value) -> String {
    let Some(object) = object.as_object() else {
        return "none".to_owned();
    };
    let pair = |(key, value): (&String, &Value)| match value {
        Value::String(text) => format!("{key}={text}"),
        other => format!("{key}={other}"),
    };
    object.iter().map(pair).collect::<Vec<_>>().join(" ")
}

fn parse(argument: &str) -> Result<Value> {
    let text = match argument {
        "-" => {
            let limit = u64::try_from(INPUT_BYTES_MAX).unwrap_or(u64::MAX);
            let mut text = String::new();
            io::stdin()
                .take(limit)
                .read_to_string(&mut text)
                .map_err(|error| {
                    Error::config("cannot read standard input")
                        .code("TL0143")
                        .because(error)
                })?;
            text
        }
        json if json.trim_start().starts_with('{') => json.to_owned(),
        file => files::read(Path::new(file), INPUT_BYTES_MAX)?,
    };
    serde_json::from_str(&text).map_err(|error| {
        Error::config("the offsets are not JSON")
            .code("TL0143")
            .remedy("begin with what `tapline offsets show` prints")
            .because(error)
    })
}

#[cfg(test)]
mod tests {
    use super::lines;
    use serde_json::json;

    #[test]
    fn a_partition_is_a_line() {
        let offsets = json!({"offsets": [
            {"partition": {"kafka_topic": "t", "kafka_partition": 0}, "offset": {"kafka_offset": 17}},
            {"partition": {"server": "shop"}, "offset": null},
        ]});
        assert_eq!(
            lines(&offsets),
            "kafka_partition=0 kafka_topic=t: kafka_offset=17\nserver=shop: none\n"
        );
    }
}
