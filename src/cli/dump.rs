//! `tapline dump SEGMENT`: the only command that reads the log's files itself. Exits with 2 if something is damaged.

use super::{Failure, Found};
use crate::broker::{self, Dump};
use std::{io, io::Write, path::PathBuf};
use tapline_sdk::Error;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A segment file, such as tapline-data/logs/shop.public.orders-0/00000000000000000000.log
    segment: PathBuf,
    /// Records too: offset, time, sizes, names of headers
    #[arg(long)]
    records: bool,
    /// Records with the beginning of their keys and values
    #[arg(long)]
    data: bool,
}

pub(super) fn execute(arguments: &Arguments, out: &mut dyn Write) -> Result<Found, Failure> {
    let what = match (arguments.records, arguments.data) {
        (_, true) => Dump::Data,
        (true, false) => Dump::Records,
        (false, false) => Dump::Batches,
    };
    let dumped = broker::dump(&arguments.segment, what, out).map_err(closed_or_failed)?;
    Ok(if dumped.damaged > 0 {
        Found::Failed
    } else {
        Found::Fine
    })
}

/// `dump | head` ends early, which is no failure.
fn closed_or_failed(error: Error) -> Failure {
    let cause = error
        .source
        .as_ref()
        .and_then(|cause| cause.downcast_ref::<io::Error>());
    match cause.map(io::Error::kind) {
        Some(io::ErrorKind::BrokenPipe) => Failure::Closed,
        _ => Failure::Error(error),
    }
}
