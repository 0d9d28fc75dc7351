//! Asking a running worker over HTTP: finds it, and turns its refusals into errors.

use super::Target;
use reqwest::{Method, Response, StatusCode, Url};
use serde_json::Value;
use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tapline_sdk::{Error, Result, Secret};

/// The file in the data directory that holds the address of the worker that runs there.
pub(super) const ADDRESS_FILE: &str = "rest.address";

/// The file in the data directory that lets in who can read it, where a worker has users.
pub(super) const TOKEN_FILE: &str = "rest.token";

/// Who asks, where `--url` does not say. Never an argument: those are everybody's to see.
const USER_VARIABLE: &str = "TAPLINE_USER";
const PASSWORD_VARIABLE: &str = "TAPLINE_PASSWORD";

/// A worker of this machine answers a connection at once.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// Longer than any request takes that the worker does not give up itself.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(100);

/// A way to one worker.
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    login: Option<Login>,
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
                let text = text.trim();
                let scheme = if text.contains("://") { "" } else { "http://" };
                (format!("{scheme}{text}"), Some(file))
            }
        };
        let base = Url::parse(&text)
            .ok()
            .filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
        let mut base = base.ok_or_else(|| {
            // I9: it may hold a password, wherever that stands in what is no address.
            let shown = if text.contains('@') {
                "what is given"
            } else {
                &text
            };
            Error::config(format!("`{shown}` is not a worker's address"))
                .code("TL0140")
                .remedy("write it as http://127.0.0.1:8083")
        })?;
        let login = Login::of(target, &base, found_by.is_some());
        // I9: from here on the address is shown.
        let _nothing_to_hide = base.set_username("").and_then(|()| base.set_password(None));
        Ok(Self {
            http: http(target, &base)?,
            base,
            login,
            found_by,
        })
    }

    /// A GET of these path segments.
    ///
    /// # Errors
    /// The worker does not answer, or refuses.
    pub(super) async fn get(&self, path: &[&str], query: &[(&str, String)]) -> Result<Response> {
        let request = self.request(Method::GET, path).query(query);
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

    /// A write with a JSON body; returns the answer.
    ///
    /// # Errors
    /// The worker does not answer, or refuses.
    pub(super) async fn write(&self, method: Method, path: &[&str], body: &Value) -> Result<Value> {
        let request = self.request(method, path).json(body);
        let answer = self.send(request).await?.json().await;
        answer.map_err(|error| self.garbled(error))
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
        let request = self.request(method, path).json(body);
        let response = request.send().await.map_err(|error| self.silent(error))?;
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED {
            return Err(stranger());
        }
        let answer = response.json().await;
        Ok((status, answer.map_err(|error| self.garbled(error))?))
    }

    /// What a refusal says.
    pub(super) fn refusal(status: StatusCode, body: &Value) -> Error {
        let message = body.get("message").and_then(Value::as_str);
        let message = message.map_or_else(|| format!("HTTP {status}"), str::to_owned);
        Error::config(format!("the worker refused: {message}")).code("TL0142")
    }

    fn request(&self, method: Method, path: &[&str]) -> reqwest::RequestBuilder {
        let request = self.http.request(method, self.url(path));
        match &self.login {
            Some(Login::User(name, password)) => request.basic_auth(name, Some(password.expose())),
            Some(Login::Token(token)) => request.bearer_auth(token.expose()),
            None => request,
        }
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
        if status == StatusCode::UNAUTHORIZED {
            return Err(stranger());
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

/// A user, or whoever can read the worker's data directory.
enum Login {
    User(String, Secret),
    Token(Secret),
}

impl Login {
    /// What the address says, else the environment, else the token beside the address file.
    fn of(target: &Target, base: &Url, local: bool) -> Option<Self> {
        let plain = |text: &str| percent_decoded(text);
        if !base.username().is_empty() {
            let password = base.password().map(plain).unwrap_or_default();
            return Some(Self::User(plain(base.username()), Secret::new(password)));
        }
        if let Ok(user) = env::var(USER_VARIABLE) {
            let password = env::var(PASSWORD_VARIABLE).unwrap_or_default();
            return Some(Self::User(user, Secret::new(password)));
        }
        let token = local.then(|| fs::read_to_string(target.data_dir.join(TOKEN_FILE)).ok());
        token
            .flatten()
            .map(|token| Self::Token(Secret::new(token.trim())))
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after
            .get(..2)
            .and_then(|code| std::str::from_utf8(code).ok());
        let code = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        match (first, code) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn http(target: &Target, base: &Url) -> Result<reqwest::Client> {
    // A proxy that the environment names cannot reach a loopback address of this machine.
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .connect_timeout(CONNECT_TIME_MAX)
        .timeout(ANSWER_TIME_MAX)
        // Where a request was sent is where its login is meant for.
        .redirect(reqwest::redirect::Policy::none())
        // Reading the system's authorities takes time, and plain HTTP needs none.
        .tls_built_in_root_certs(base.scheme() == "https" && target.cacert.is_none());
    if let Some(file) = &target.cacert {
        let all = reqwest::Certificate::from_pem_bundle(&pem(file)?);
        for authority in all.map_err(|error| not_pem(file).because(error))? {
            builder = builder.add_root_certificate(authority);
        }
    }
    if let Some(file) = &target.cert {
        let own = reqwest::Identity::from_pem(&pem(file)?);
        builder = builder.identity(own.map_err(|error| not_pem(file).because(error))?);
    }
    let built = builder.build();
    built.map_err(|error| Error::fatal("cannot make an HTTP client").because(error))
}

fn pem(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).map_err(|error| not_pem(file).because(error))
}

fn not_pem(file: &Path) -> Error {
    Error::config(format!("cannot use {} for https", file.display()))
        .code("TL0132")
        .remedy("give a PEM file: of certificates for --cacert, of a certificate and its key for --cert")
}

fn stranger() -> Error {
    Error::config("the worker refused: it does not know who asks")
        .code("TL0144")
        .remedy(
            "set TAPLINE_USER and TAPLINE_PASSWORD, or write the user into --url; with --data-dir, be the worker's user",
        )
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
