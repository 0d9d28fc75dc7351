//! `tapline worker` or `tapline run` with settings of its own: started, killed, asked over HTTP as anybody might.

use crate::support::{
    process::{Process, free_port},
    wait,
};
use reqwest::{Method, Response};
use serde_json::Value;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

/// The binary with a folder, two ports and a settings file.
pub struct Daemon {
    folder: TempDir,
    port: u16,
    registry_port: u16,
    scheme: &'static str,
    host: &'static str,
    process: Option<Process>,
}

impl Daemon {
    /// Not started yet. The settings go into a file.
    pub fn new(settings: &str) -> Self {
        let daemon = Self {
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
            port: free_port(),
            registry_port: free_port(),
            scheme: "http",
            host: "127.0.0.1",
            process: None,
        };
        daemon.set(settings);
        daemon
    }

    /// Settings for the next start; FOLDER in them is this daemon's.
    pub fn set(&self, settings: &str) {
        let folder = self.folder.path().display().to_string();
        let settings = settings.replace("FOLDER", &folder);
        fs::write(self.path("worker.yaml"), settings).expect("settings can be written");
    }

    /// The same, listening with TLS.
    pub fn https(mut self) -> Self {
        self.scheme = "https";
        self
    }

    /// The same, listening on every address.
    pub fn everywhere(mut self) -> Self {
        self.host = "0.0.0.0";
        self
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// A command line of the binary, in the folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tapline"));
        command.args(arguments).current_dir(self.folder.path());
        command.env_remove("TAPLINE_URL").env_remove("RUST_LOG");
        command
    }

    /// Runs a command against this worker, found by its data directory.
    pub fn tapline(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        command.arg("--data-dir").arg(self.data());
        command.output().expect("the binary starts")
    }

    /// Starts `arguments` (`worker`, or `run FILE…`) and returns at once; `more` may change the command.
    pub fn spawn(&mut self, arguments: &[&str], more: impl FnOnce(&mut Command)) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path("log"));
        let log = log.expect("a log opens");
        let mut command = self.command(arguments);
        command.arg("--config").arg(self.path("worker.yaml"));
        command.arg("--data-dir").arg(self.data());
        command.args(["--rest", &format!("{}:{}", self.host, self.port)]);
        command.args(["--registry", &format!("127.0.0.1:{}", self.registry_port)]);
        command.stdout(log.try_clone().expect("a log clones"));
        command.stderr(log);
        more(&mut command);
        self.process = Some(Process::spawn(&mut command));
    }

    /// As [`Daemon::spawn`], and waits until it listens and has its connectors.
    pub async fn start(&mut self, arguments: &[&str]) {
        self.spawn(arguments, |_| {});
        self.listens().await;
    }

    /// Waits until it answers.
    pub async fn listens(&self) {
        let address = self.data().join("rest.address");
        let up = wait::within(wait::DEADLINE, async || {
            let _connected = tokio::net::TcpStream::connect(("127.0.0.1", self.port))
                .await
                .ok()?;
            address.exists().then_some(())
        });
        assert!(up.await.is_some(), "it does not start: {}", self.log());
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
        drop(fs::remove_file(self.data().join("rest.address")));
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal("TERM");
            process.wait();
        }
    }

    /// REST's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// REST's address.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// The registry's address.
    pub fn registry_url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.registry_port)
    }

    /// What it logged and printed.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Code and body, null where that is no JSON.
    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = client().request(method, format!("{}{path}", self.url()));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer: Response = request.send().await.expect("it answers");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// GET.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(Method::GET, path, None).await
    }

    /// The body of a GET as it is.
    pub async fn text(&self, path: &str) -> String {
        let asked = client().get(format!("{}{path}", self.url()));
        let answer = asked.send().await.expect("it answers");
        answer.text().await.expect("a body")
    }

    /// Waits until a connector has this state.
    pub async fn reaches(&self, name: &str, state: &str) {
        let reached = wait::within(wait::DEADLINE, async || {
            let (_, status) = self.get(&format!("/connectors/{name}/status")).await;
            let tasks = status["tasks"].as_array().into_iter().flatten();
            let mut all = std::iter::once(&status["connector"]["state"])
                .chain(tasks.map(|task| &task["state"]));
            all.all(|found| found == state).then_some(())
        });
        assert!(
            reached.await.is_some(),
            "{name} is not {state}: {}",
            self.log()
        );
    }
}

/// A client without proxies, and without the system's authorities, which take long to read.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .tls_built_in_root_certs(false)
        .build()
        .expect("a client")
}

/// What a command printed, and its code.
pub fn said(output: &Output) -> (Option<i32>, String) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// Writes a file and returns its path as text.
pub fn written(path: &Path, text: &str) -> String {
    fs::write(path, text).expect("a file can be written");
    path.display().to_string()
}
