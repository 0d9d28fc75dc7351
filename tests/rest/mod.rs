//! Kafka Connect's REST API over real HTTP: scripted connectors in this process, and the binary as a service.

mod access;
mod behaviour;
mod canary;
mod configs;
mod daemon;
mod lifecycle;
mod offsets;
mod offsets_shown;
mod plugins;
mod restart;
mod service;
mod topics;

use crate::{
    runtime::{
        memory::Memory,
        script::{self, Script},
    },
    support::wait::until,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tapline::{
    rest::{App, Door, bind, serve},
    worker::{Settings, Worker},
};
use tempfile::TempDir;

/// A worker behind its REST API.
pub struct Connect {
    worker: Worker,
    log: Memory,
    folder: Arc<TempDir>,
    url: String,
}

/// An answer: its code and its body, null if that is empty.
pub type Answer = (u16, Value);

/// What a refusal says as Kafka Connect does, without the remedy in brackets that follows it.
pub fn sentence(body: &Value) -> Value {
    let message = body["message"].as_str().unwrap_or_default();
    let (sentence, remedy) = message.split_once(" (").unwrap_or_default();
    assert!(remedy.ends_with(')'), "there is no remedy in {message:?}");
    json!(sentence)
}

impl Connect {
    pub async fn start() -> Self {
        let folder = Arc::new(TempDir::new().expect("a folder"));
        Self::on(Memory::new(), folder).await
    }

    /// A worker whose connectors have not been started yet.
    pub async fn not_begun() -> Self {
        let folder = Arc::new(TempDir::new().expect("a folder"));
        Self::open(Memory::new(), folder).await
    }

    async fn on(log: Memory, folder: Arc<TempDir>) -> Self {
        let connect = Self::open(log, folder).await;
        connect.worker.begin();
        connect
    }

    async fn open(log: Memory, folder: Arc<TempDir>) -> Self {
        let settings = Settings {
            data_dir: folder.path().to_owned(),
            placeholders: None,
            plugins: script::plugins(),
        };
        let worker = Worker::open(settings, Arc::new(log.clone()))
            .await
            .expect("the worker opens");
        let any = "127.0.0.1:0".parse().expect("an address");
        let listener = bind(any, false).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let app = App {
            worker: worker.clone(),
            data_dir: folder.path().to_owned(),
            address,
        };
        drop(tokio::spawn(serve(
            listener,
            app,
            Door::default(),
            std::future::pending::<()>(),
        )));
        worker.publish(&address.to_string());
        Self {
            worker,
            log,
            folder,
            url: format!("http://{address}"),
        }
    }

    /// Stops this worker and opens another on the same log.
    pub async fn again(self) -> Self {
        let stopped = self.worker.stop(Duration::from_secs(10)).await;
        assert_eq!(stopped.abandoned, Vec::<String>::new());
        Self::on(self.log, self.folder).await
    }

    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let client = reqwest::Client::builder().no_proxy().build();
        let mut request = client
            .expect("a client")
            .request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("the worker answers");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a body");
        let body = match text.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}")),
        };
        if status >= 400 {
            assert_eq!(body["error_code"], status, "{path}: {body}");
            assert_ne!(body["message"].as_str().unwrap_or_default(), "", "{path}");
        }
        (status, body)
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None).await
    }

    pub async fn put(&self, path: &str) -> u16 {
        self.ask(Method::PUT, path, None).await.0
    }

    pub async fn post(&self, path: &str) -> Answer {
        self.ask(Method::POST, path, None).await
    }

    /// Creates a counting source of this script.
    pub async fn source(&self, name: &str, script: &str) -> Answer {
        self.create(name, "count", &[("script", script)], None)
            .await
    }

    /// Creates a sink of this script that reads this topic.
    pub async fn sink(&self, name: &str, script: &str, topics: &str) -> Answer {
        let settings = [("script", script), ("topics", topics)];
        self.create(name, "keep", &settings, None).await
    }

    pub async fn create(
        &self,
        name: &str,
        class: &str,
        settings: &[(&str, &str)],
        state: Option<&str>,
    ) -> Answer {
        let mut body = json!({"name": name, "config": {"connector.class": class}});
        for (key, value) in settings {
            body["config"][key] = json!(value);
        }
        if let Some(state) = state {
            body["initial_state"] = json!(state);
        }
        self.ask(Method::POST, "/connectors", Some(body)).await
    }

    /// The connector's state and its tasks' as words.
    pub async fn states(&self, name: &str) -> (String, Vec<String>) {
        let (_, body) = self.get(&format!("/connectors/{name}/status")).await;
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let tasks = body["tasks"].as_array().into_iter().flatten();
        (
            word(&body["connector"]["state"]),
            tasks.map(|task| word(&task["state"])).collect(),
        )
    }

    /// Waits for these states.
    pub async fn reaches(&self, name: &str, connector: &str, tasks: &[&str]) {
        until(&format!("{name} is {connector} {tasks:?}"), async || {
            let states = self.states(name).await;
            (states.0 == connector && states.1 == tasks).then_some(())
        })
        .await;
    }

    pub async fn stop(self) {
        self.worker.stop(Duration::from_secs(10)).await;
    }
}

/// Waits until the target of a script has so many rows.
pub async fn arrived(script: &Script, count: usize) {
    until(&format!("{count} rows in the target"), async || {
        (script.rows().len() >= count).then_some(())
    })
    .await;
}
