//! `tapline resnapshot CONNECTOR [TABLE…]`: a source reads tables again.

use super::{Failure, Found, Target, client::Client, output::Output};
use reqwest::Method;
use serde_json::json;
use std::io::Write;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The source connector, such as shop.source
    connector: String,
    /// Tables, such as public.orders; none: all that the connector captures
    tables: Vec<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    target: Target,
}

pub(super) async fn execute(arguments: &Arguments, out: &mut dyn Write) -> Result<Found, Failure> {
    let path = [
        "tapline",
        "v1",
        "connectors",
        &arguments.connector,
        "resnapshot",
    ];
    let body = json!({"tables": arguments.tables});
    let client = Client::find(&arguments.target)?;
    let answer = client.write(Method::POST, &path, &body).await?;
    arguments.output.answered(out, &answer)?;
    Ok(Found::Fine)
}
