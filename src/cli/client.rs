//! Asking a running worker over HTTP: finds it, and turns its refusals into errors.

use super::Target;
use reqwest::{Method, Response, StatusCode, Url};
use serde_json::Value;
use std::{fs, path::PathBuf, time::Duration};
use tapline_sdk::{Error, Result};

/// The file in the data directory that holds the address of the worker that runs there.
pub(super) const ADDRESS_FILE: &str = "rest.address";

/// A worker of this machine answers a connection at once.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// Longer than any request takes that the worker does not give up itself.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(100);

/// A way to one worker.
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    /// The address file the worker was found by; explains a worker that is gone.
    found_by: Option<PathBuf>,
}

impl Client {
    /// The worker at `--url`, or the one whose address stands in the data directory.
    ///
    /// # Errors
    /// There is no such file, or the address is none.
    pub(super) fn find(target: &Target) -> Result<Self> {
        let (text, found_by) = match &target.url {
            Some(url) => (url.clone(), None),
            None => {
                let file = target.data_dir.join(ADDRESS_FILE);
                let text = fs::read_to_string(&file).map_err(|error| no_worker(target, error))?;
                (format!("http://{}", text.trim()), Some(file))
            }
        };
        let base = Url::parse(&text)
            .ok()
            .filter(|url| url.scheme() == "http" && url.has_host());
        let base = base.ok_or_else(|| {
            Error::config(format!("`{text}` is not a worker's address"))
                .code("TL0140")
                .remedy("write it as http://127.0.0.1:8083")
        })?;
        // A proxy that the environment names cannot reach a loopback address of this machine.
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_built_in_root_certs(false)
            .connect_timeout(CONNECT_TIME_MAX)
            .timeout(ANSWER_TIME_MAX)
            .build()
            .map_err(|error| Error::fatal("cannot make an HTTP client").because(error))?;
        Ok(Self {
            http,
            base,
            found_by,
        })
    }

    /// A GET of these path segments.
    ///
    /// # Errors
    /// The worker does not answer, or refuses.
    pub(super) async fn get(&self, path: &[&str], query: &[(&str, String)]) -> Result<Response> {
        let request = self.http.get(self.url(path)).query(query);
        self.send(request).await
    }

    /// A GET whose answer is JSON.
    ///
    /// # Errors
    /// As [`Client::get`], or the answer is no JSON.
    pub(super) async fn json(&self, path: &[&str]) -> Result<Value> {
        let answer = self.get(path, &[]).await?.json().await;
        answer.map_err(|error| self.garbled(error))
    }

    /// A write with a JSON body; returns the answer's `message`.
    ///
    /// # Errors
    /// The worker does not answer, or refuses.
    pub(super) async fn write(
        &self,
        method: Method,
        path: &[&str],
        body: &Value,
    ) -> Result<String> {
        let request = self.http.request(method, self.url(path)).json(body);
        let answer = self.send(request).await?.json::<Value>().await;
        let answer = answer.map_err(|error| self.garbled(error))?;
        let message = answer.get("message").and_then(Value::as_str);
        Ok(message.unwrap_or("done").to_owned())
    }

    /// A DELETE without a body, and without one in its answer.
    ///
    /// # Errors
    /// The worker does not answer, or refuses.
    pub(super) async fn delete(&self, path: &[&str]) -> Result<()> {
        let request = self.http.delete(self.url(path));
        self.send(request).await.map(drop)
    }

    /// A write with a JSON body; returns the answer whatever its status.
    ///
    /// # Errors
    /// The worker does not answer, or not in JSON.
    pub(super) async fn exchange(
        &self,
        method: Method,
        path: &[&str],
        body: &Value,
    ) -> Result<(StatusCode, Value)> {
        let request = self.http.request(method, self.url(path)).json(body);
        let response = request.send().await.map_err(|error| self.silent(error))?;
        let status = response.status();
        let answer = response.json().await;
        Ok((status, answer.map_err(|error| self.garbled(error))?))
    }

    /// What a refusal says.
    pub(super) fn refusal(status: StatusCode, body: &Value) -> Error {
        let message = body.get("message").and_then(Value::as_str);
        let message = message.map_or_else(|| format!("HTTP {status}"), str::to_owned);
        Error::config(format!("the worker refused: {message}")).code("TL0142")
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Response> {
        let response = request.send().await.map_err(|error| self.silent(error))?;
        let status = response.status();
        if status.is_success() || status == StatusCode::SERVICE_UNAVAILABLE {
            return Ok(response);
        }
        let body: Value = response.json().await.unwrap_or_default();
        Err(Self::refusal(status, &body))
    }

    fn silent(&self, error: reqwest::Error) -> Error {
        let remedy = match &self.found_by {
            Some(file) => format!(
                "start it again with `tapline run`; {} is what a worker left that was killed",
                file.display()
            ),
            None => "check the address, and that a worker runs there".to_owned(),
        };
        Error::disconnected(format!("the worker at {} does not answer", self.base))
            .code("TL0141")
            .remedy(remedy)
            .because(error.without_url())
    }

    fn garbled(&self, error: reqwest::Error) -> Error {
        Error::disconnected(format!("what answers at {} is no worker", self.base))
            .code("TL0141")
            .remedy("check the address")
            .because(error.without_url())
    }
}

fn no_worker(target: &Target, error: std::io::Error) -> Error {
    let folder = target.data_dir.display();
    Error::config(format!("no worker runs on {folder}"))
        .code("TL0140")
        .remedy(
            "start one with `tapline run FILE`, or say where it is: --data-dir DIR or --url URL",
        )
        .because(error)
}
