//! `tapline connectors`: which connectors a worker has, and what they are.

use super::{
    Failure, Found, Target,
    client::Client,
    output::{self, Output},
    status::{self, Connector},
};
use serde_json::{Value, json};
use std::io::Write;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    target: Target,
}

pub(super) async fn execute(arguments: &Arguments, out: &mut dyn Write) -> Result<Found, Failure> {
    let client = Client::find(&arguments.target)?;
    let connectors = status::look(&client).await?;
    if arguments.output.is_json() {
        let shown: Vec<Value> = connectors.iter().map(document).collect();
        output::write(out, &Value::Array(shown))?;
        return Ok(Found::Fine);
    }
    let width = connectors.iter().map(|one| one.name.chars().count());
    let width = width.max().unwrap_or_default();
    for one in &connectors {
        let place = one.origin.as_ref();
        let place = place.map(|origin| format!("{}:{}", origin.file, origin.line));
        let Connector {
            name,
            kind,
            state,
            class,
            ..
        } = one;
        let place = place.unwrap_or_default();
        let line = format!("{name:width$}  {kind:6}  {state:10}  {class}  {place}");
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(Found::Fine)
}

fn document(one: &Connector) -> Value {
    json!({
        "name": one.name,
        "type": one.kind,
        "class": one.class,
        "state": one.state,
        "tasks": one.tasks.len(),
        "file": one.origin.as_ref().map(|origin| &origin.file),
        "line": one.origin.as_ref().map(|origin| origin.line),
    })
}
