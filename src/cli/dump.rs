//! `tapline dump SEGMENT`: the only command that reads the log's files itself.

use super::{Failure, Found};
use std::{io::Write, path::PathBuf};
use tapline_sdk::Error;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A segment file, such as tapline-data/shop.public.orders-0/00000000000000000000.log
    segment: PathBuf,
}

pub(super) fn execute(arguments: &Arguments, _out: &mut dyn Write) -> Result<Found, Failure> {
    Err(Error::fatal(format!("cannot read {}", arguments.segment.display())).into())
}
