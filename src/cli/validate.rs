//! `tapline validate FILE…`: everything that can be known without connecting to anything.

use super::{Failure, Found, files};
use std::{io::Write, path::PathBuf};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Pipeline files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn execute(arguments: &Arguments, out: &mut dyn Write) -> Result<Found, Failure> {
    let pipelines = files::compile(&arguments.files)?;
    write!(out, "{}", files::warnings(&pipelines))?;
    for pipeline in &pipelines {
        let names: Vec<&str> = pipeline.connectors.iter().map(|part| &*part.name).collect();
        let names = if names.is_empty() {
            "no connectors".to_owned()
        } else {
            names.join(", ")
        };
        writeln!(out, "{}: fine ({names})", pipeline.file)?;
    }
    Ok(Found::Fine)
}
