//! `tapline offsets show|set`: where a connector goes on, in the JSON of Kafka Connect's offsets API.

use super::{Failure, Found, Target, client::Client, files};
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
        target: Target,
    },
}

pub(super) async fn execute(arguments: &Arguments, out: &mut dyn Write) -> Result<Found, Failure> {
    match &arguments.action {
        Action::Show { connector, target } => {
            let path = ["connectors", connector, "offsets"];
            let offsets = Client::find(target)?.json(&path).await?;
            writeln!(out, "{offsets:#}")?;
        }
        Action::Set {
            connector,
            offsets,
            target,
        } => {
            let body = parse(offsets)?;
            let path = ["tapline", "v1", "connectors", connector, "offsets"];
            let message = Client::find(target)?
                .write(Method::PATCH, &path, &body)
                .await?;
            writeln!(out, "{message}")?;
        }
    }
    Ok(Found::Fine)
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
