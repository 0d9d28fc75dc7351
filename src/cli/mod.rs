//! The command line: one file per command.
//!
//! Owns arguments, what people see and exit codes: 0 done, 1 failed, 2 wrong usage, something FAILED in `status`, to do in
//! `plan` or damaged in `dump`.
//! `run` and `worker` are workers; `validate`, `check` and `dump` read files; the others ask a running worker over HTTP.
//!
//! Codes: TL0140 no worker found, TL0141 a worker does not answer, TL0142 a worker refused, TL0143 what stands in a
//! file or argument is not usable, TL0144 a worker does not know who asks.

mod check;
mod client;
mod connectors;
mod consume;
mod dump;
mod figures;
mod files;
mod logging;
mod offsets;
mod output;
mod passwd;
mod plan;
mod problem;
mod progress;
mod resnapshot;
mod run;
mod schema;
mod screen;
mod status;
mod topics;
mod validate;

use clap::{Args, Parser, Subcommand};
use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};
use tapline_sdk::Error;

/// Why a command did not do what it was asked for.
#[derive(Debug)]
enum Failure {
    /// One error.
    Error(Error),
    /// Text that is ready to be shown, such as every problem of a file.
    Shown(String),
    /// What went wrong stands in the output already.
    Told,
    /// What it wrote nobody reads any more; no failure for tools like `head`.
    Closed,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Only output is written through `io` here: everything else has an error of its own.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Error(Error::disconnected("cannot write the output").because(error)),
        }
    }
}

/// What a command that did what it was asked for has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// All is well.
    Fine,
    /// Somebody has to act.
    Failed,
    /// There is something to do that was only shown.
    Changes,
}

/// Moves records between systems through a durable log of its own.
#[derive(Debug, Parser)]
#[command(name = "tapline", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a worker with these pipelines until it is told to stop
    Run(run::Arguments),
    /// Run a worker that REST tells what to run, beginning with the connectors that it had
    Worker(run::Options),
    /// Check pipeline files without running them
    Validate(validate::Arguments),
    /// Check pipeline files and ask every source and target whether it is ready
    Check(check::Arguments),
    /// Show what `apply` would do; exits with 2 if there is something
    Plan(plan::Arguments),
    /// Make a running worker's connectors what these files say
    Apply(plan::ApplyArguments),
    /// List a worker's connectors
    Connectors(connectors::Arguments),
    /// Show connectors, their states and errors; exits with 2 if one is FAILED
    Status(status::Arguments),
    /// List the log's topics, or make, alter and delete them
    Topics(topics::Arguments),
    /// Print a topic's records, one JSON object a line
    Consume(consume::Arguments),
    /// Show or set where a connector goes on
    Offsets(offsets::Arguments),
    /// Make a source read tables again
    Resnapshot(resnapshot::Arguments),
    /// Print a segment file's batches and records, and what is damaged
    Dump(dump::Arguments),
    /// Hash a password, read from the standard input, as a line for the file of users
    Passwd(passwd::Arguments),
    /// Print the JSON Schema of pipeline files, for editors
    Schema,
    /// Print a shell's completions
    Completions(schema::Completions),
}

/// Which worker is asked.
#[derive(Debug, Args)]
struct Target {
    /// The worker's address, such as http://127.0.0.1:8083; may hold a user and a password, as TAPLINE_USER and
    /// TAPLINE_PASSWORD may
    #[arg(long, value_name = "URL", env = "TAPLINE_URL", hide_env_values = true)]
    url: Option<String>,
    /// The data directory of a worker on this machine, which tells its address
    #[arg(long, value_name = "DIR", default_value = "./tapline-data")]
    data_dir: PathBuf,
    /// PEM file of the authorities to trust with https; without it the system's
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// PEM file of a certificate and its key, for a worker that asks for one
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
}

/// How long a thread for what blocks waits for more: the allocator keeps what it has used until it ends. Work that goes
/// on finds it; a new one takes a tenth of a millisecond.
const BLOCKING_IDLE_MAX: Duration = Duration::from_millis(500);

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    // Two providers in one process panic at the first connection; ours is ring. An earlier one may stay.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let command = Arguments::parse().command;
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_keep_alive(BLOCKING_IDLE_MAX)
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = Error::fatal("cannot start the runtime's threads").because(error);
            return report(Err(error.into()));
        }
    };
    // A command's future is large, and boxed once.
    report(runtime.block_on(Box::pin(execute(command))))
}

async fn execute(command: Command) -> Result<Found, Failure> {
    let mut out = io::stdout();
    match command {
        Command::Run(arguments) => Box::pin(run::execute(arguments)).await,
        Command::Worker(options) => Box::pin(run::serve(options)).await,
        Command::Validate(arguments) => validate::execute(&arguments, &mut out),
        Command::Check(arguments) => check::execute(&arguments, &mut out).await,
        Command::Plan(arguments) => plan::plan(&arguments, &mut out).await,
        Command::Apply(arguments) => plan::apply(&arguments, &mut out).await,
        Command::Connectors(arguments) => connectors::execute(&arguments, &mut out).await,
        Command::Status(arguments) => status::execute(&arguments, &mut out).await,
        Command::Topics(arguments) => topics::execute(&arguments, &mut out).await,
        Command::Consume(arguments) => consume::execute(&arguments, &mut out).await,
        Command::Offsets(arguments) => offsets::execute(&arguments, &mut out).await,
        Command::Resnapshot(arguments) => resnapshot::execute(&arguments, &mut out).await,
        Command::Dump(arguments) => dump::execute(&arguments, &mut out),
        Command::Passwd(arguments) => passwd::execute(&arguments, &mut out),
        Command::Schema => schema::execute(&mut out),
        Command::Completions(arguments) => schema::completions(&arguments, &mut out),
    }
}

fn report(result: Result<Found, Failure>) -> ExitCode {
    let text = match result {
        Ok(Found::Fine) | Err(Failure::Closed) => return ExitCode::SUCCESS,
        Ok(Found::Failed | Found::Changes) => return ExitCode::from(2),
        Err(Failure::Told) => return ExitCode::FAILURE,
        Err(Failure::Error(error)) => problem::of_error(&error),
        Err(Failure::Shown(text)) => text,
    };
    // With stderr gone there is nobody left to tell; the exit code still says it.
    let _unheard = io::stderr().write_all(text.as_bytes());
    ExitCode::FAILURE
}
