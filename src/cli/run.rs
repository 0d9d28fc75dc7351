//! `tapline run FILE…`, a worker with the pipelines of these files, and `tapline worker`, one that REST alone tells what to
//! run; both until they are told to stop.
//!
//! Owns the order of start and stop: files are checked before anything is opened, a port is found before the log is
//! opened, REST answers before connectors start; stopping goes the other way round.

use super::{
    Failure, Found,
    client::{ADDRESS_FILE, TOKEN_FILE},
    files, logging, problem,
    screen::Screen,
};
use crate::{
    broker::{Broker, Embedded},
    config::worker::{
        self, LogFormat, REGISTRY_DEFAULT, REST_DEFAULT, RegistryListener, WorkerSettings,
    },
    pipeline::Pipeline,
    rest::{self, auth::Auth, tls::Tls},
    worker::{ApplyError, ConnectorSpec, TopicSpec, TopicTracking, Worker},
};
use schemas::SchemaServer;
use std::{fs, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tapline_sdk::{Error, Result};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

mod log;
mod schemas;
mod signals;
mod watch;

/// A worker's settings are a page; the bound keeps a wrong path harmless.
const SETTINGS_BYTES_MAX: usize = 1 << 20;

/// Requests under way get this long once the tasks have stopped; long polls would hold the process otherwise.
const REST_DRAIN: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Pipeline files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    options: Options,
}

/// What both ways of running a worker know.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The worker's settings; see config/worker.yaml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder of the log [default: ./tapline-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where REST listens [default: 127.0.0.1:8083; `run` takes a free port if that is taken]
    #[arg(long, value_name = "ADDRESS")]
    rest: Option<SocketAddr>,
    /// Where the schema registry listens, or off [default: 127.0.0.1:8081, or a free port if that is taken]
    #[arg(long, value_name = "ADDRESS")]
    registry: Option<RegistryListener>,
    /// How log lines on stderr look [default: text]
    #[arg(long, value_name = "FORMAT", value_enum)]
    log_format: Option<LogFormat>,
    /// Folders or files that connectors which come over HTTP may read and write, beside those of the settings
    #[arg(long, value_name = "PATH")]
    allow_files: Vec<PathBuf>,
    /// Let REST listen beyond this machine: anybody who reaches it can read every record and change connectors
    #[arg(long)]
    insecure_rest_without_authentication: bool,
}

/// `tapline run`.
pub(super) async fn execute(arguments: Arguments) -> Result<Found, Failure> {
    let settings = settings(&arguments.options)?;
    let pipelines = files::compile(&arguments.files, &log::plugins(&settings))?;
    run(&arguments.options, settings, Some(pipelines)).await
}

/// `tapline worker`.
pub(super) async fn serve(options: Options) -> Result<Found, Failure> {
    let settings = settings(&options)?;
    run(&options, settings, None).await
}

/// Runs a worker; without pipelines it begins with the connectors that are stored.
async fn run(
    options: &Options,
    settings: WorkerSettings,
    pipelines: Option<Vec<Pipeline>>,
) -> Result<Found, Failure> {
    let screen = Screen::new();
    logging::start(&screen, settings.log_format, &settings.log_filter)?;
    for warning in &settings.warnings {
        screen.warn(&problem::warning(warning, ""));
    }
    screen.warn(&files::warnings(pipelines.as_deref().unwrap_or_default()));
    let mut signals = signals::Signals::listen()?;

    let door = door(&settings)?;
    let anywhere = options.insecure_rest_without_authentication || door.is_safe();
    let may_move = pipelines.is_some();
    let listener = listen(settings.rest_address, REST_DEFAULT, anywhere, may_move).await?;
    let schemas = listen_for_schemas(&settings, anywhere).await?;
    // Recovery may take a while, and a full disk for ever; nobody has to wait for it who changed their mind.
    let (broker, worker) = tokio::select! {
        opened = open(&settings) => opened?,
        () = signals.next() => return Ok(Found::Fine),
    };
    let schemas = schemas
        .map(|listener| SchemaServer::start(listener, &worker, door.clone()))
        .transpose()?;
    let server = Server::start(listener, worker.clone(), door, &settings)?;
    worker.publish(&server.address.to_string());
    let schemas_at = schemas.as_ref().map(|server| server.address);
    screen.say(&banner(&settings, server.address, schemas_at));

    let ended = tokio::select! {
        failure = work(&worker, pipelines.as_deref(), &screen) => Err(failure),
        () = signals.next() => Ok(()),
    };
    screen.clear();
    if ended.is_ok() {
        screen
            .say("stopping: commits become durable, sinks finish; a second signal ends at once\n");
    }
    tokio::select! {
        () = stop(&worker, &broker, &settings, &screen) => {}
        () = signals.next() => signals::exit_now(&screen),
    }
    server.stop().await;
    if let Some(schemas) = schemas {
        schemas.stop().await;
    }
    match broker.stopped() {
        Some(why) => Err(watch::log_stopped(&why).into()),
        None => ended.map(|()| Found::Fine),
    }
}

/// What stands before both listeners.
fn door(settings: &WorkerSettings) -> Result<rest::Door> {
    let users = settings.gate.users.as_deref();
    let tls = settings.gate.tls.clone();
    Ok(rest::Door {
        auth: users.map(Auth::open).transpose()?.map(Arc::new),
        tls: tls.map(Tls::open).transpose()?.map(Arc::new),
        limits: settings.http,
    })
}

async fn open(settings: &WorkerSettings) -> Result<(Arc<Embedded>, Worker)> {
    let broker = log::open(settings).await?;
    let log: Arc<dyn Broker> = Arc::clone(&broker) as Arc<dyn Broker>;
    let worker = Worker::open(log::worker_settings(settings), log).await?;
    worker.limit(settings.connectors);
    worker.track_topics(TopicTracking {
        shown: settings.topic_tracking,
        reset: settings.topic_tracking_reset,
    });
    worker.metrics().watch_log(broker.stats());
    let reading = worker.clone();
    broker.keep_for(move || reading.readers());
    Ok((broker, worker))
}

/// Starts the connectors and watches them; ends only if they cannot be started.
async fn work(worker: &Worker, pipelines: Option<&[Pipeline]>, screen: &Screen) -> Failure {
    match pipelines {
        Some(pipelines) => {
            if let Err(failure) = apply(worker, pipelines).await {
                return failure;
            }
            screen.warn(&strangers(worker, pipelines));
        }
        None => worker.begin(),
    }
    match watch::watch(worker, screen).await {}
}

/// The file's settings with the command line's on top.
fn settings(arguments: &Options) -> Result<WorkerSettings, Failure> {
    let (file, text) = match &arguments.config {
        Some(file) => (
            file.display().to_string(),
            files::read(file, SETTINGS_BYTES_MAX)?,
        ),
        None => (String::new(), String::new()),
    };
    let mut settings =
        worker::read(&file, &text).map_err(|report| Failure::Shown(report.to_string()))?;
    if let Some(data_dir) = &arguments.data_dir {
        settings.data_dir.clone_from(data_dir);
    }
    if let Some(format) = arguments.log_format {
        settings.log_format = format;
    }
    for path in &arguments.allow_files {
        let path = std::path::absolute(path).map_err(|error| {
            Error::config(format!("`{}` is no path", path.display())).because(error)
        })?;
        settings.allowed.connector.push(path);
    }
    settings.rest_address = arguments.rest.or(settings.rest_address);
    settings.registry_listener = arguments.registry.or(settings.registry_listener);
    Ok(settings)
}

/// A busy default port moves to a free one if it may; a busy port that somebody chose is an error.
async fn listen(
    chosen: Option<SocketAddr>,
    default: &str,
    anywhere: bool,
    may_move: bool,
) -> Result<TcpListener> {
    if let Some(address) = chosen {
        return rest::bind(address, anywhere).await;
    }
    let default: SocketAddr = default
        .parse()
        .map_err(|error| Error::fatal("the default address is none").because(error))?;
    match rest::bind(default, false).await {
        Ok(listener) => Ok(listener),
        Err(_taken) if may_move => rest::bind(SocketAddr::new(default.ip(), 0), false).await,
        Err(taken) => Err(taken),
    }
}

/// The registry's listener, unless it is off.
async fn listen_for_schemas(
    settings: &WorkerSettings,
    anywhere: bool,
) -> Result<Option<TcpListener>> {
    let chosen = match settings.registry_listener {
        Some(RegistryListener::Off) => return Ok(None),
        Some(RegistryListener::At(address)) => Some(address),
        None => None,
    };
    let listener = listen(chosen, REGISTRY_DEFAULT, anywhere, true).await;
    listener.map(Some)
}

fn banner(settings: &WorkerSettings, address: SocketAddr, schemas: Option<SocketAddr>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let data = settings.data_dir.display();
    let schemas = schemas.map_or_else(String::new, |at| format!("  registry {at}"));
    format!("tapline {version}  data {data}  rest {address}{schemas}\n")
}

async fn apply(worker: &Worker, pipelines: &[Pipeline]) -> Result<(), Failure> {
    let mut specs: Vec<ConnectorSpec> = Vec::new();
    let mut topics: Vec<TopicSpec> = Vec::new();
    for pipeline in pipelines {
        let parts = pipeline.connectors.iter();
        specs.extend(parts.map(|part| part.spec(&pipeline.file)));
        topics.extend(pipeline.topics.iter().map(|topic| topic.spec.clone()));
    }
    let applied = worker.apply_with(topics, specs).await;
    applied.map_err(|error| match error {
        ApplyError::Failed(error) => Failure::Error(error),
        ApplyError::Refused(refusals) => files::refused(pipelines, &refusals),
    })
}

/// Connectors that the log knows and no file does: they go on, which somebody should know.
fn strangers(worker: &Worker, pipelines: &[Pipeline]) -> String {
    let parts = || pipelines.iter().flat_map(|pipeline| &pipeline.connectors);
    let known = |name: &str| parts().any(|part| part.name == name);
    let mut text = String::new();
    for connector in worker
        .status()
        .iter()
        .filter(|connector| !known(&connector.name))
    {
        let message = format!(
            "connector {} is in no file: it goes on as it is stored; DELETE /connectors/{0} ends it",
            connector.name
        );
        text.push_str(&problem::warning(&message, ""));
    }
    text
}

/// Tasks first, then the log: what they commit on the way out becomes durable.
async fn stop(worker: &Worker, broker: &Embedded, settings: &WorkerSettings, screen: &Screen) {
    let stopped = worker.stop(settings.shutdown_deadline).await;
    if !stopped.abandoned.is_empty() {
        let names = stopped.abandoned.join(", ");
        screen.warn(&problem::warning(
            &format!("{names} did not stop in time; what was not committed is read again"),
            "",
        ));
    }
    // A log that has stopped (I7) was explained when it did; it cannot be closed in order any more.
    if broker.stopped().is_some() {
        return;
    }
    match tokio::time::timeout(settings.shutdown_deadline, broker.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => screen.warn(&problem::of_error(&error)),
        Err(_late) => {
            let message = "the log was not closed in time; the next start recovers it";
            screen.warn(&problem::warning(message, ""));
        }
    }
}

/// The HTTP server and the file that tells other commands where it is.
struct Server {
    address: SocketAddr,
    files: [PathBuf; 2],
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    fn start(
        listener: TcpListener,
        worker: Worker,
        door: rest::Door,
        settings: &WorkerSettings,
    ) -> Result<Self> {
        let address = listener
            .local_addr()
            .map_err(|error| Error::fatal("the listener has no address").because(error))?;
        let files = [TOKEN_FILE, ADDRESS_FILE].map(|name| settings.data_dir.join(name));
        let [token_file, address_file] = &files;
        let token = door.auth.as_ref().map(|auth| auth.issue_token(token_file));
        let scheme = door.tls.as_ref().map_or("", |_| "https://");
        let written = token
            .unwrap_or(Ok(()))
            .and_then(|()| fs::write(address_file, format!("{scheme}{address}\n")));
        // On a full disk a worker waits for room like everybody else; commands need --url until then.
        if let Err(error) = written {
            let file = address_file.display();
            tracing::warn!(%file, %error, "cannot write the address file");
        }
        let app = rest::App {
            worker,
            data_dir: settings.data_dir.clone(),
            address,
        };
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(rest::serve(listener, app, door, async {
            // A dropped sender asks for the same.
            let _either = stopped.await;
        }));
        Ok(Self {
            address,
            files,
            stop,
            task,
        })
    }

    async fn stop(self) {
        // Gone already if somebody cleaned up: either way no command finds this worker any more.
        for file in &self.files {
            let _gone = fs::remove_file(file);
        }
        drain(self.stop, self.task).await;
    }
}

/// Lets an HTTP server finish what is under way.
async fn drain(stop: oneshot::Sender<()>, task: JoinHandle<()>) {
    let _ended = stop.send(());
    let abort = task.abort_handle();
    match tokio::time::timeout(REST_DRAIN, task).await {
        Ok(Err(error)) => tracing::warn!(error = %error, "http server ended"),
        Ok(Ok(())) => {}
        Err(_) => abort.abort(),
    }
}
