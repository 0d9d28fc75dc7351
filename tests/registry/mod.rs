//! The schema registry's API through the real binary: every resource, clients that nobody here wrote, SIGKILL, and our
//! own sources.

mod api;
mod clients;
mod kills;
mod sources;

use crate::support::{process::free_port, wait, worker::Worker};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

/// A pipeline file without connectors.
const NOTHING: &str = "version: 1\nname: empty\n";

/// A worker with its registry on a port of its own.
struct Running {
    /// Removed when the test ends.
    _folder: TempDir,
    worker: Worker,
    address: String,
    client: Client,
}

impl Running {
    async fn start(pipeline: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let binary = Path::new(env!("CARGO_BIN_EXE_tapline"));
        let mut running = Self {
            worker: Worker::new(binary, folder.path(), pipeline),
            address: format!("127.0.0.1:{}", free_port()),
            client: Client::new(),
            _folder: folder,
        };
        running.restart().await;
        running
    }

    /// Starts it, the first time or after its end.
    async fn restart(&mut self) {
        let address = self.address.clone();
        self.worker.start_with(|command| {
            command.args(["--registry", &address]);
        });
        wait::until("the registry answers", async || {
            let answer = self.client.get(format!("http://{address}/")).send().await;
            answer.ok().map(drop)
        })
        .await;
    }

    /// Status and body.
    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let answer = self.try_call(method, path, body).await;
        answer.expect("the registry answers")
    }

    async fn try_call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Option<(u16, Value)> {
        let url = format!("http://{}{path}", self.address);
        let mut request = self.client.request(method, url);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/vnd.schemaregistry.v1+json")
                .body(body.to_string());
        }
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        let kind = answer.headers().get("content-type").cloned();
        assert_eq!(
            kind.as_ref().and_then(|kind| kind.to_str().ok()),
            Some("application/vnd.schemaregistry.v1+json"),
            "{path}"
        );
        let text = answer.text().await.ok()?;
        let body = serde_json::from_str(&text);
        Some((status, body.unwrap_or_else(|_| panic!("{path}: {text}"))))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call(Method::GET, path, None).await
    }

    async fn put(&self, path: &str, body: Value) -> (u16, Value) {
        self.call(Method::PUT, path, Some(body)).await
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call(Method::POST, path, Some(body)).await
    }

    async fn delete(&self, path: &str) -> (u16, Value) {
        self.call(Method::DELETE, path, None).await
    }

    async fn register(&self, subject: &str, schema: &Value) -> (u16, Value) {
        let body = json!({"schema": schema.to_string()});
        self.post(&format!("/subjects/{subject}/versions"), body)
            .await
    }

    /// The status and error code of a request that is refused, which must say why.
    async fn refused(&self, method: Method, path: &str, body: Option<Value>) -> (u16, u64) {
        let (status, answer) = self.call(method, path, body).await;
        let message = answer["message"].as_str().unwrap_or_default();
        assert!(!message.is_empty(), "{path}: {answer}");
        (status, answer["error_code"].as_u64().unwrap_or_default())
    }
}

/// A record with these fields.
fn record(fields: &Value) -> Value {
    json!({"type": "record", "name": "R", "fields": fields})
}
