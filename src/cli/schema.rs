//! `tapline schema`: the JSON Schema of pipeline files, for editors. `tapline completions`: for shells.

use super::{Arguments as CommandLine, Failure, Found};
use crate::{pipeline, plugins::Plugins};
use clap::CommandFactory;
use clap_complete::Shell;
use std::io::Write;

#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

pub(super) fn execute(out: &mut dyn Write) -> Result<Found, Failure> {
    write!(out, "{}", pipeline::schema_text(Plugins::builtin()))?;
    Ok(Found::Fine)
}

pub(super) fn completions(arguments: &Completions, out: &mut dyn Write) -> Result<Found, Failure> {
    let mut script = Vec::new();
    let mut command = CommandLine::command();
    clap_complete::generate(arguments.shell, &mut command, "tapline", &mut script);
    out.write_all(&script)?;
    Ok(Found::Fine)
}
