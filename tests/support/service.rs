//! `tapline worker` as a child process: told by REST alone what to run, killed and started again.

use super::{
    process::{Process, free_port},
    wait::until,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// A worker that keeps its folder and port over kills.
pub struct Service {
    binary: PathBuf,
    folder: TempDir,
    port: u16,
    rest: Rest,
    process: Option<Process>,
}

/// Asks a worker over HTTP; cheap to clone.
#[derive(Clone)]
pub struct Rest {
    url: String,
    client: reqwest::Client,
}

impl Rest {
    /// Code and body, null if that is no JSON; `None` if nobody answers.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Option<(u16, Value)> {
        let url = format!("{}{path}", self.url);
        let mut request = self.client.request(method, url);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.ok()?;
        let code = answer.status().as_u16();
        let text = answer.text().await.ok()?;
        Some((code, serde_json::from_str(&text).unwrap_or_default()))
    }

    /// The records of a topic's first partition from this offset on, one JSON object each.
    pub async fn records(&self, topic: &str, from: u64) -> Vec<Value> {
        let url = format!(
            "{}/tapline/v1/topics/{topic}/records?max=10000&offset={from}",
            self.url
        );
        let answer = self.client.get(url).send().await;
        let answer = answer.expect("the worker answers");
        let text = answer.text().await.expect("a body");
        let record = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))
        };
        text.lines().map(record).collect()
    }
}

impl Service {
    /// A worker of this binary with the default settings, not started yet.
    pub fn new(binary: &Path) -> Self {
        let port = free_port();
        let client = reqwest::Client::builder().no_proxy().build();
        Self {
            binary: binary.to_owned(),
            folder: TempDir::new().expect("a folder"),
            port,
            rest: Rest {
                url: format!("http://127.0.0.1:{port}"),
                client: client.expect("a client"),
            },
            process: None,
        }
    }

    /// The command that starts it; a test may leave a `worker.yaml` in the folder.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .arg("worker")
            .arg("--data-dir")
            .arg(self.folder.path().join("data"))
            .arg("--rest")
            .arg(format!("127.0.0.1:{}", self.port))
            .args(["--registry", "off"])
            .arg("--allow-files")
            .arg(self.folder.path());
        let settings = self.folder.path().join("worker.yaml");
        if settings.exists() {
            command.arg("--config").arg(settings);
        }
        command
    }

    /// Starts it and waits until REST answers.
    pub async fn start(&mut self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path());
        let log = log.expect("the log opens");
        let mut command = self.command();
        command
            .stdout(log.try_clone().expect("the log clones"))
            .stderr(log);
        self.process = Some(Process::spawn(&mut command));
        until("the worker answers", async || {
            self.ask(Method::GET, "/", None).await
        })
        .await;
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// SIGTERM, waited for; the exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        let mut process = self.process.take()?;
        process.signal("TERM");
        process.wait()
    }

    /// Resident size as the kernel counts it, in KiB: now, and the highest since the start.
    pub fn rss_kib(&self) -> Option<(u64, u64)> {
        let pid = self.process.as_ref()?.pid();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let of = |field: &str| -> Option<u64> {
            let line = status.lines().find(|line| line.starts_with(field))?;
            line.split_whitespace().nth(1)?.parse().ok()
        };
        Some((of("VmRSS:")?, of("VmHWM:")?))
    }

    /// How many threads it has.
    pub fn threads(&self) -> usize {
        let pid = self.process.as_ref().map_or(0, Process::pid);
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
        tasks.map_or(0, Iterator::count)
    }

    /// Everything it has logged, over all starts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The port that REST has.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of data and log; what a test leaves there goes with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Asks, apart from the service.
    pub fn rest(&self) -> &Rest {
        &self.rest
    }

    /// See [`Rest::ask`].
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Option<(u16, Value)> {
        self.rest.ask(method, path, body).await
    }

    /// The code of a PUT without a body.
    pub async fn put(&self, path: &str) -> Option<u16> {
        Some(self.ask(Method::PUT, path, None).await?.0)
    }

    /// Creates a connector, which must succeed.
    pub async fn create(&self, name: &str, config: Value) {
        let body = json!({"name": name, "config": config});
        let answer = self.ask(Method::POST, "/connectors", Some(body)).await;
        assert!(matches!(answer, Some((201, _))), "{answer:?}");
    }

    /// Waits until connector and tasks are in these states.
    pub async fn reaches(&self, name: &str, states: &[&str]) {
        until(&format!("{name} is {states:?}"), async || {
            let path = format!("/connectors/{name}/status");
            let (_, status) = self.ask(Method::GET, &path, None).await?;
            let tasks = status["tasks"].as_array()?.iter();
            let found: Vec<&Value> = std::iter::once(&status["connector"]["state"])
                .chain(tasks.map(|task| &task["state"]))
                .collect();
            (found == states).then_some(())
        })
        .await;
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("worker.log")
    }
}
