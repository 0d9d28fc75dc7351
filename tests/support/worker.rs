//! The real binary as a child process: started, killed, asked over HTTP.

use super::process::{Process, free_port};
use super::wait;
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A `tapline run` of one pipeline file.
pub struct Worker {
    binary: PathBuf,
    folder: PathBuf,
    port: u16,
    process: Option<Process>,
}

impl Worker {
    /// A worker that is not started yet. The pipeline's text becomes a file in `folder`, beside data and log.
    pub fn new(binary: &Path, folder: &Path, pipeline: &str) -> Self {
        std::fs::write(folder.join("pipeline.yaml"), pipeline)
            .expect("the pipeline file can be written");
        Self {
            binary: binary.to_owned(),
            folder: folder.to_owned(),
            port: free_port(),
            process: None,
        }
    }

    /// Starts it; its log goes to `worker.log`. Returns at once.
    pub fn start(&mut self) {
        self.start_with(|_| {});
    }

    /// As [`Worker::start`], after a last change of the command.
    pub fn start_with(&mut self, change: impl FnOnce(&mut Command)) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())
            .expect("log opens");
        let mut command = Command::new(&self.binary);
        command.arg("run").arg(self.folder.join("pipeline.yaml"));
        command.arg("--data-dir").arg(self.data());
        command
            .arg("--rest")
            .arg(format!("127.0.0.1:{}", self.port));
        command
            .stdout(log.try_clone().expect("log clones"))
            .stderr(log);
        change(&mut command);
        self.process = Some(Process::spawn(&mut command));
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

    /// Whether the process runs.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::is_running)
    }

    /// The process id, 0 when there is none.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().map_or(0, Process::pid)
    }

    /// The body of a GET, or nothing if nobody answers.
    pub async fn get(&self, path: &str) -> Option<String> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        reqwest::get(url).await.ok()?.text().await.ok()
    }

    /// Sends a JSON body; code and body of the answer.
    pub async fn post(&self, path: &str, body: &serde_json::Value) -> (u16, String) {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let answer = reqwest::Client::new().post(url).json(body).send().await;
        let answer = answer.expect("the worker answers");
        let code = answer.status().as_u16();
        (code, answer.text().await.unwrap_or_default())
    }

    /// Sends a request with a JSON body, and returns the answer's code; 0 if nobody answers.
    pub async fn send(&self, method: &str, path: &str, body: &str) -> u16 {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let method = method.parse().expect("a method");
        let request = reqwest::Client::new()
            .request(method, url)
            .header("content-type", "application/json")
            .body(body.to_owned());
        request
            .send()
            .await
            .map_or(0, |answer| answer.status().as_u16())
    }

    /// The port of its REST API.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The sum of a metric's series; `None` before it exists.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let text = self.get("/metrics").await?;
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            rest.starts_with(['{', ' '])
                .then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
        });
        let values: Vec<f64> = values.collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// Waits until `/health` says so.
    pub async fn until_healthy(&self) {
        wait::until("the worker is healthy", async || {
            let url = format!("http://127.0.0.1:{}/health", self.port);
            reqwest::get(url)
                .await
                .ok()
                .filter(|answer| answer.status().is_success())
                .map(drop)
        })
        .await;
    }

    /// Runs another command of the binary against this worker; output and whether it succeeded.
    pub fn command(&self, arguments: &[&str]) -> (String, bool) {
        let output = Command::new(&self.binary)
            .args(arguments)
            .arg("--url")
            .arg(format!("http://127.0.0.1:{}", self.port))
            .stdin(Stdio::null())
            .output()
            .expect("the binary starts");
        let text = [output.stdout, output.stderr].concat();
        (
            String::from_utf8_lossy(&text).into_owned(),
            output.status.success(),
        )
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Everything it has logged, over all starts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Highest resident size so far, in KiB, as the kernel counts it.
    pub fn peak_rss_kib(&self) -> Option<u64> {
        memory_kib(self.pid(), "VmHWM:")
    }

    /// Resident size now, in KiB.
    pub fn rss_kib(&self) -> Option<u64> {
        memory_kib(self.pid(), "VmRSS:")
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("worker.log")
    }
}

fn memory_kib(pid: u32, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// A pipeline that replicates the shop from one server to another.
pub fn replica_pipeline(source_port: u16, target_port: u16, more_source: &str) -> String {
    format!(
        "version: 1
name: shop
source:
  connector: postgres
  database: {{hostname: 127.0.0.1, port: {source_port}, dbname: postgres, user: postgres}}
  schema.include.list: public
{more_source}sinks:
  replica:
    connector: sql
    connection.url: \"postgres://postgres@127.0.0.1:{target_port}/postgres\"
"
    )
}
