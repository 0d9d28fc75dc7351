//! A `tapline worker` with connectors that run, and what brings it back to that after a request that was good.

use super::case::{Request, Server, encoded};
use crate::{
    compare::client::{self, Reply},
    support::{
        process::{Process, free_port},
        wait::until,
    },
};
use serde_json::{Value, json};
use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    net::SocketAddr,
    path::PathBuf,
    process::Command,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Longer than the 90 s after which the worker gives up on a request.
const PATIENCE: Duration = Duration::from_secs(100);

/// The connectors that are there, whether they are STOPPED, and their kinds: `in` feeds `out`.
pub const CONNECTORS: [(&str, bool, &str); 4] = [
    ("halted", true, "source"),
    ("in", false, "source"),
    ("out", false, "sink"),
    ("still", true, "sink"),
];

/// A subject that is there, with two versions.
pub const SUBJECT: &str = "known-value";

pub struct World {
    process: Process,
    folder: TempDir,
    connect: SocketAddr,
    registry: SocketAddr,
    lines: usize,
}

impl World {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = || SocketAddr::from(([127, 0, 0, 1], free_port()));
        let (connect, registry) = (address(), address());
        let log = File::create(folder.path().join("log")).expect("a log opens");
        let mut command = Command::new(env!("CARGO_BIN_EXE_tapline"));
        command
            .args(["worker", "--rest", &connect.to_string()])
            .args(["--registry", &registry.to_string(), "--data-dir"])
            .arg(folder.path().join("data"))
            // What may be named is the test of `rest::access`.
            .args(["--allow-files", "/"])
            .stdout(log.try_clone().expect("a log clones"))
            .stderr(log);
        let mut world = Self {
            process: Process::spawn(&mut command),
            folder,
            connect,
            registry,
            lines: 0,
        };
        until("the worker answers", async || {
            world.get("/connectors").await.filter(|_| true)
        })
        .await;
        world.restore().await;
        world.register().await;
        world.moves_a_line().await;
        world
    }

    /// The settings that a connector of [`CONNECTORS`] has.
    pub fn config(&self, name: &str) -> Value {
        let file = |name: &str| self.folder.path().join(name).display().to_string();
        match name {
            "in" => json!({
                "connector.class": "io.tapline.file.FileSource", "file": file("in.txt"), "topic": "lines",
            }),
            "out" => json!({
                "connector.class": "io.tapline.file.FileSink", "file": file("out.txt"), "topics": "lines",
            }),
            "halted" => json!({
                "connector.class": "FileStreamSource", "file": file("halted.txt"), "topic": "halted",
            }),
            _ => json!({
                "connector.class": "FileStreamSink", "file": file("still.txt"), "topics": "lines",
            }),
        }
    }

    async fn register(&self) {
        for fields in [
            json!([]),
            json!([{"name": "a", "type": "int", "default": 0}]),
        ] {
            let schema = json!({"type": "record", "name": "R", "fields": fields}).to_string();
            let target = format!("/subjects/{SUBJECT}/versions");
            let body = json!({ "schema": schema }).to_string();
            let request = Request::json(Server::Registry, "POST", &target, body);
            assert!(
                self.send(&request)
                    .await
                    .is_ok_and(|reply| reply.status == 200)
            );
        }
    }

    /// Makes the connectors what they were, whatever a good request has made of them.
    pub async fn restore(&self) {
        let shown = self.get("/connectors?expand=info&expand=status").await;
        let shown = shown.unwrap_or_default();
        for name in shown.as_object().into_iter().flat_map(|shown| shown.keys()) {
            if !CONNECTORS.iter().any(|(known, ..)| known == name) {
                self.ask("DELETE", &format!("/connectors/{}", encoded(name)), None)
                    .await;
            }
        }
        for (name, stopped, _) in CONNECTORS {
            let mut config = self.config(name);
            config["name"] = json!(name);
            if shown[name]["info"]["config"] != config {
                self.ask("PUT", &format!("/connectors/{name}/config"), Some(config))
                    .await;
            }
            let state = &shown[name]["status"]["connector"]["state"];
            let target = if stopped { "stop" } else { "resume" };
            if *state != *if stopped { "STOPPED" } else { "RUNNING" } {
                self.ask("PUT", &format!("/connectors/{name}/{target}"), None)
                    .await;
            }
        }
    }

    async fn ask(&self, method: &str, target: &str, body: Option<Value>) {
        let request = match body {
            Some(body) => Request::json(Server::Connect, method, target, body.to_string()),
            None => Request::bare(Server::Connect, method, target),
        };
        let reply = self.send(&request).await.expect("the worker answers");
        assert!(reply.status < 300, "{method} {target}: {reply:?}");
    }

    async fn get(&self, target: &str) -> Option<Value> {
        let request = Request::bare(Server::Connect, "GET", target);
        serde_json::from_str(&self.send(&request).await.ok()?.body).ok()
    }

    /// Where a server listens.
    pub fn address(&self, server: Server) -> SocketAddr {
        match server {
            Server::Connect => self.connect,
            Server::Registry => self.registry,
        }
    }

    /// Sends a request as it is written, over a connection of its own.
    pub async fn send(&self, request: &Request) -> Result<Reply, String> {
        let address = self.address(request.server);
        let bytes = written(address, request);
        let bytes = self.raw(request.server, &bytes, false).await?;
        client::read(&bytes).ok_or_else(|| format!("no HTTP: {}", String::from_utf8_lossy(&bytes)))
    }

    /// Sends bytes, and nothing ever after if `end`; reads until the server closes.
    pub async fn raw(&self, server: Server, bytes: &[u8], end: bool) -> Result<Vec<u8>, String> {
        let exchange = async {
            let mut stream = TcpStream::connect(self.address(server)).await?;
            // Who is refused early may find the connection closed before all is sent.
            let _closed = stream.write_all(bytes).await;
            if end {
                let _closed = stream.shutdown().await;
            }
            let mut answer = Vec::new();
            match stream.read_to_end(&mut answer).await {
                Err(error) if answer.is_empty() => Err(error),
                _ => Ok(answer),
            }
        };
        let answer = timeout(PATIENCE, exchange).await;
        let answer = answer.map_err(|_late| format!("no answer in {PATIENCE:?}"))?;
        answer.map_err(|error| error.to_string())
    }

    /// A line that is written to the file of `in` arrives in the file of `out`: the worker does its work.
    pub async fn moves_a_line(&mut self) {
        self.lines += 1;
        let line = format!("line {}", self.lines);
        let source = self.folder.path().join("in.txt");
        let mut source = OpenOptions::new().create(true).append(true).open(source);
        let source = source.as_mut().expect("the file opens");
        writeln!(source, "{line}").expect("a line is written");
        until(&format!("{line} arrives"), async || {
            let arrived = fs::read_to_string(self.folder.path().join("out.txt")).ok()?;
            arrived.lines().any(|one| one == line).then_some(())
        })
        .await;
    }

    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }
}

fn written(to: SocketAddr, request: &Request) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
    let mut headers = vec![("Connection".to_owned(), "close".to_owned())];
    let named = |(name, _): &(String, String)| name.eq_ignore_ascii_case("host");
    if !request.headers.iter().any(named) {
        headers.push(("Host".to_owned(), to.to_string()));
    }
    if let Some(body) = &request.body {
        headers.push(("Content-Length".to_owned(), body.len().to_string()));
    }
    headers.extend(request.headers.iter().cloned());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend(request.body.as_deref().unwrap_or_default());
    bytes
}
