//! `tapline validate FILE…`: everything that can be known without connecting to anything.

use super::{Failure, Found, files, output::Output};
use crate::plugins::Plugins;
use serde_json::json;
use std::{io::Write, path::PathBuf};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Pipeline files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    output: Output,
}

pub(super) fn execute(arguments: &Arguments, out: &mut dyn Write) -> Result<Found, Failure> {
    let json = arguments.output.is_json();
    let pipelines = match files::load(&arguments.files, Plugins::builtin()) {
        Ok(pipelines) => pipelines,
        Err(found) => return found.show(json, out),
    };
    if json {
        super::output::write(out, &json!({"findings": []}))?;
        return Ok(Found::Fine);
    }
    write!(out, "{}", files::warnings(&pipelines))?;
    for pipeline in &pipelines {
        let names: Vec<&str> = pipeline.connectors.iter().map(|part| &*part.name).collect();
        let names = if names.is_empty() {
            "no connectors".to_owned()
        } else {
            names.join(", ")
        };
        let topics: Vec<&str> = pipeline.topics.iter().map(|one| &*one.spec.name).collect();
        let topics = match topics.is_empty() {
            true => String::new(),
            false => format!("; topics {}", topics.join(", ")),
        };
        writeln!(out, "{}: fine ({names}{topics})", pipeline.file)?;
    }
    Ok(Found::Fine)
}
