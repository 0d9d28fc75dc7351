//! I9, all of it at once: a secret of its own in every place where a secret may stand, and everything that the worker
//! says, writes and keeps is searched for each of them.

use super::access::users::user;
use crate::rest::daemon::{Daemon, client, said, written};
use crate::support::{postgres::Postgres, wait::until};
use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{Method, header};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Places and what was found there.
#[derive(Default)]
struct Heard(Vec<(String, Vec<u8>)>);

/// The secrets that were handed out.
#[derive(Default)]
struct Secrets(Vec<(String, String)>);

impl Secrets {
    /// A secret for this place, unlike all others.
    fn of(&mut self, place: &str) -> String {
        let secret = format!("cnry{:04}{}", self.0.len(), fastrand::u32(1_000_000..));
        self.0.push((place.to_owned(), secret.clone()));
        secret
    }

    /// A text with a secret for each SECRET in it.
    fn fill(&mut self, place: &str, text: &str) -> String {
        let mut parts = text.split("SECRET");
        let mut filled = parts.next().unwrap_or_default().to_owned();
        for (at, part) in parts.enumerate() {
            filled += &self.of(&format!("{place} {at}"));
            filled += part;
        }
        filled
    }

    /// Where which secret was found, in clear, in base64 or in hexadecimal.
    fn leaks(&self, heard: &Heard) -> Vec<String> {
        let mut leaks = Vec::new();
        for (of, secret) in &self.0 {
            let forms = [secret.clone(), STANDARD.encode(secret), hex::encode(secret)];
            for (place, bytes) in &heard.0 {
                let text = String::from_utf8_lossy(bytes);
                if let Some((form, at)) = forms
                    .iter()
                    .find_map(|form| Some((form, text.find(form.as_str())?)))
                {
                    let from = (0..=at.saturating_sub(120))
                        .rev()
                        .find(|at| text.is_char_boundary(*at));
                    let context: String = text[from.unwrap_or(0)..].chars().take(300).collect();
                    leaks.push(format!("secret of {of} in {place} as {form}: …{context}…"));
                }
            }
        }
        leaks
    }
}

impl Heard {
    fn add(&mut self, place: impl Into<String>, what: impl Into<Vec<u8>>) {
        self.0.push((place.into(), what.into()));
    }

    /// Every file below a folder.
    fn folder(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path: PathBuf = entry.path();
            if path.is_dir() {
                self.folder(&path);
            } else if let Ok(bytes) = fs::read(&path) {
                self.add(path.display().to_string(), bytes);
            }
        }
    }
}

/// A worker that everything is said to.
struct Bench {
    daemon: Daemon,
    password: String,
    heard: Heard,
}

impl Bench {
    /// A request with this body as it is; the whole answer is kept.
    async fn say(&mut self, method: Method, url: &str, login: &str, body: String) -> u16 {
        let mut request = client()
            .request(method.clone(), url)
            .header(header::CONTENT_TYPE, "application/json");
        if !login.is_empty() {
            request = request.header(header::AUTHORIZATION, login);
        }
        let answer = request.body(body).send().await.expect("it answers");
        let code = answer.status().as_u16();
        let head = format!("{:?}", answer.headers());
        let body = answer.bytes().await.expect("a body");
        // Query strings are the caller's own and come back in no answer: they are not part of the place.
        let place = format!(
            "{method} {} → {code}",
            url.split('?').next().unwrap_or_default()
        );
        self.heard.add(place, [head.as_bytes(), &body].concat());
        code
    }

    async fn ask(&mut self, method: Method, path: &str, body: &Value) -> u16 {
        let login = self.login();
        let url = format!("{}{path}", self.daemon.url());
        self.say(method, &url, &login, body.to_string()).await
    }

    fn login(&self) -> String {
        format!(
            "Basic {}",
            STANDARD.encode(format!("alice:{}", self.password))
        )
    }

    /// Everything that can be read over HTTP.
    async fn read_all(&mut self, connectors: &[&str]) {
        let mut paths: Vec<String> = [
            "/",
            "/health",
            "/metrics",
            "/connectors?expand=info&expand=status",
            "/tapline/v1/status",
            "/tapline/v1/topics",
            "/admin/loggers",
            "/connector-plugins?connectorsOnly=false",
        ]
        .map(str::to_owned)
        .into();
        for topic in [
            "connect-configs",
            "connect-offsets",
            "connect-status",
            "_schemas",
            "lines",
            "__consumer_offsets",
        ] {
            paths.push(format!(
                "/tapline/v1/topics/{topic}/records?offset=0&max=1000"
            ));
        }
        for name in connectors {
            for part in [
                "",
                "/config",
                "/status",
                "/tasks",
                "/tasks/0/status",
                "/topics",
                "/offsets",
            ] {
                paths.push(format!("/connectors/{name}{part}"));
            }
        }
        for path in paths {
            self.ask(Method::GET, &path, &Value::Null).await;
        }
    }

    fn commands(&mut self) {
        let url = self
            .daemon
            .url()
            .replace("://", &format!("://alice:{}@", self.password));
        for command in [
            &["connectors"][..],
            &["connectors", "--output", "json"],
            &["status"],
            &["status", "--output", "json"],
            &["topics"],
            &["consume", "connect-configs"],
            &["consume", "connect-status"],
            &["consume", "lines"],
            &["offsets", "show", "shop.lines"],
            &["validate", "shop.yaml"],
            &["validate", "bad.yaml"],
            &["check", "shop.yaml"],
            &["plan", "shop.yaml"],
            &["plan", "next.yaml"],
            &["plan", "next.yaml", "--output", "json"],
            &["apply", "next.yaml"],
            &["plan", "bad.yaml"],
            &["connectors", "--help"],
        ] {
            for by_url in [false, true] {
                let mut run = self.daemon.command(command);
                let asks = !["validate", "check"].contains(&command[0]);
                match by_url {
                    true if asks => _ = run.env("TAPLINE_URL", &url),
                    false if asks => _ = run.arg("--data-dir").arg(self.daemon.data()),
                    _ => {}
                }
                let (code, text) = said(&run.output().expect("the binary starts"));
                self.heard
                    .add(format!("tapline {command:?} ({code:?})"), text);
            }
        }
    }
}

/// What a request may hold: a name and settings, with SECRET wherever one may stand.
const BODIES: &str = r#"
password {SINK "connection.url": "postgres://u@HOST/d", "connection.password": "SECRET"}
userinfo {SINK "connection.url": "postgres://u:SECRET@HOST/d"}
badurl {SINK "connection.url": "postgres://u:SECRET@[bad/d?x=y"}
query {SINK "connection.url": "postgres://HOST/d?user=u&password=SECRET"}
jdbc {"connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "topics": "t", "connection.url": "jdbc:postgresql://HOST/d?password=SECRET", "connection.username": "u", "connection.password": "SECRET"}
debezium {SOURCE "database.password": "SECRET"}
truststore {SOURCE "database.ssl.truststore.password": "SECRET", "database.sslpassword": "SECRET"}
allowed {SINK "connection.url": "postgres://u@HOST/d", "connection.password": "${env:CNRY_ALLOWED}", "insert.mode": "${env:CNRY_ALLOWED}"}
file {SINK "connection.url": "postgres://u@HOST/d", "connection.password": "${file:FOLDER/allowed/p:k}", "batch.size": "${file:FOLDER/allowed/p:k}"}
directory {SINK "connection.url": "postgres://u@HOST/d", "connection.password": "${directory:FOLDER/allowed:q}", "tasks.max": "${directory:FOLDER/allowed:q}"}
inurl {SINK "connection.url": "postgres://u:${env:CNRY_ALLOWED}@HOST/d"}
login {SINK "connection.url": "postgres://u@HOST/d", "connection.password": "${env:CNRY_ALLOWED}"}
refused {SINK "connection.url": "postgres://u@HOST/d", "connection.password": "${env:CNRY_NOT_ALLOWED}"}
converter {SINK "value.converter": "io.confluent.connect.avro.AvroConverter", "value.converter.schema.registry.url": "http://u:SECRET@r", "value.converter.basic.auth.user.info": "u:SECRET"}
registry {SINK "value.converter.schema.registry.basic.auth.user.info": "u:SECRET", "key.converter.ssl.keystore.password": "SECRET"}
transform {SINK "transforms": "a", "transforms.a.type": "RegexRouter", "transforms.a.secret": "SECRET", "transforms.a.password": "SECRET"}
unknown {SINK "some.api.key": "SECRET", "no.such.key": "SECRET", "ssl.key.password": "SECRET"}
number {SINK "connection.password": 7}
list {SINK "connection.password": ["SECRET"]}
object {SINK "connection.password": {"p": "SECRET"}}
noclass {"password": "SECRET", "x": "SECRET"}
badclass {"connector.class": "no.such.Class", "password": "SECRET"}
override {SINK "producer.override.sasl.jaas.config": "x required password=\"SECRET\";"}
"#;

const SINK: &str = r#"{"connector.class": "sql", "topics": "t", "#;
const SOURCE: &str = r#"{"connector.class": "io.debezium.connector.postgresql.PostgresConnector",
    "database.hostname": "127.0.0.1", "database.port": "PORT", "database.user": "u", "database.dbname": "d",
    "topic.prefix": "p", "#;

/// What is no request, with a secret where it stands by mistake.
const SHAPES: &str = r#"
{"password": "SECRET
"SECRET"
["SECRET"]
{"config": "SECRET", "name": "x"}
{"name": "x", "config": {"password": "SECRET", }}
{"name": "x", "config": {"password": ["SECRET"]}}
{"pipelines": "SECRET"}
{"pipelines": [{"name": "a", "connectors": "SECRET"}]}
{"pipelines": [{"name": "a", "connectors": [{"name": "a.b", "type": "sink", "config": {"password": {"x": "SECRET"}}}]}]}
{"pipelines": [{"name": "a", "connectors": [{"name": "a.b", "type": "SECRET", "config": {}}]}]}
{"offsets": "SECRET"}
{"tables": "SECRET"}
{"tables": ["a"], "x": ", expected SECRET"}
password=SECRET
"#;

/// What is asked with them.
const QUESTIONS: [(Method, &str); 8] = [
    (Method::POST, "/connectors"),
    (Method::PUT, "/connectors/password/config"),
    (Method::PATCH, "/connectors/password/config"),
    (Method::PUT, "/connector-plugins/sql/config/validate"),
    (Method::POST, "/tapline/v1/pipelines"),
    (Method::PUT, "/admin/loggers/x"),
    (Method::PATCH, "/connectors/password/offsets"),
    (Method::POST, "/tapline/v1/connectors/shop.lines/resnapshot"),
];

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.is_empty())
}

/// Settings in every request that takes settings; returns the connectors' names.
async fn configure(bench: &mut Bench, secrets: &mut Secrets, port: u16) -> Vec<&'static str> {
    let folder = bench.daemon.path("").display().to_string();
    let folder = folder.trim_end_matches('/').to_owned();
    let mut names = Vec::new();
    for line in lines(BODIES) {
        let (name, text) = line.split_once(' ').expect("a name and settings");
        let text = text.replace("{SINK ", SINK).replace("{SOURCE ", SOURCE);
        let text = text
            .replace("HOST", "127.0.0.1:PORT")
            .replace("PORT", &port.to_string());
        let text = secrets.fill(name, &text.replace("FOLDER", &folder));
        let config: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let class = config["connector.class"].as_str().unwrap_or("sql");
        let validate = format!("/connector-plugins/{class}/config/validate?probe=true");
        let path = format!("/connectors/{name}/config");
        let body = json!({"name": name, "config": config});
        bench.ask(Method::PUT, &validate, &config).await;
        bench.ask(Method::POST, "/connectors", &body).await;
        bench.ask(Method::PUT, &path, &config).await;
        bench.ask(Method::PATCH, &path, &config).await;
        let part = json!({"name": format!("p{name}.x"), "type": "sink", "config": config});
        let pipeline = json!({"name": format!("p{name}"), "connectors": [part]});
        for dry_run in [true, false] {
            let body = json!({"pipelines": [pipeline], "dry_run": dry_run});
            bench
                .ask(Method::POST, "/tapline/v1/pipelines", &body)
                .await;
        }
        names.push(name);
    }
    names
}

/// Bodies and headers that are no such thing.
async fn mistake(bench: &mut Bench, secrets: &mut Secrets) {
    let login = bench.login();
    for (method, path) in QUESTIONS {
        for shape in lines(SHAPES) {
            let body = secrets.fill(&format!("{method} {path} {shape}"), shape);
            let url = format!("{}{path}", bench.daemon.url());
            bench.say(method.clone(), &url, &login, body).await;
        }
    }
    for shape in [
        "Basic SECRET",
        "Bearer SECRET",
        "SECRET",
        "Basic BASE",
        "Digest password=SECRET",
    ] {
        for base in [bench.daemon.url(), bench.daemon.registry_url()] {
            let secret = secrets.of(&format!("login {shape}"));
            let both = STANDARD.encode(format!("alice:{secret}"));
            let login = shape.replace("SECRET", &secret).replace("BASE", &both);
            let url = format!("{base}/subjects");
            bench.say(Method::GET, &url, &login, String::new()).await;
        }
    }
    let secret = secrets.of("query string");
    let url = format!("{}/connectors?password={secret}", bench.daemon.url());
    bench.say(Method::GET, &url, &login, String::new()).await;
}

fn files(bench: &Daemon, secrets: &mut Secrets, port: u16) {
    let folder = bench.path("");
    let folder = folder.display().to_string();
    let folder = folder.trim_end_matches('/');
    let sink = |name: &str, more: &str| {
        format!("  {name}: {{connector: sql, from: {{topics: [lines]}}, {more}}}\n")
    };
    let url = |user: &str| format!("connection.url: \"postgres://{user}@127.0.0.1:{port}/d\"");
    let head = "version: 1\nname: shop\nsources:\n".to_owned()
        + &format!("  lines: {{connector: file, file: \"{folder}/in.txt\", topic: lines}}\n")
        + &format!(
            "  db: {{connector: postgres, database: {{hostname: 127.0.0.1, port: {port}, user: nobody, dbname: postgres, password: {}}}}}\n",
            secrets.of("file: database.password")
        )
        + "sinks:\n";
    let shop = head.clone()
        + &sink(
            "a",
            &format!(
                "{}, connection.password: {}",
                url("u"),
                secrets.of("file: password")
            ),
        )
        + &sink("b", &url(&format!("u:{}", secrets.of("file: userinfo"))))
        + &sink(
            "c",
            &format!(
                "{}, connection.password: \"${{env:CNRY_NOT_ALLOWED}}\"",
                url("u")
            ),
        )
        + &sink(
            "d",
            &format!(
                "{}, connection.password: \"${{file:{folder}/not-allowed:k}}\"",
                url("u")
            ),
        );
    written(&bench.path("shop.yaml"), &shop);
    let next = head.clone()
        + &sink(
            "a",
            &format!(
                "{}, connection.password: {}",
                url("u"),
                secrets.of("next: password")
            ),
        );
    written(&bench.path("next.yaml"), &next);
    let bad =
        head + &sink(
            "a",
            &format!(
                "{}, conection.password: {}",
                url("u"),
                secrets.of("bad: misspelt key")
            ),
        ) + &sink(
            "b",
            &format!(
                "connection.url: \"postgres://u:{}@[x\", tasks.max: x",
                secrets.of("bad: url")
            ),
        ) + &format!(
            "  c: {{connector: sql, connection.password: [{}, x], y\n",
            secrets.of("bad: no YAML")
        );
    written(&bench.path("bad.yaml"), &bad);
}

/// A worker with users, allow-lists and an operator's pipeline, not started yet.
fn prepared(secrets: &mut Secrets, port: u16) -> Bench {
    let settings = "auth.users.file: FOLDER/users\n\
         config.providers.env.param.allowlist.pattern: CNRY_ALLOWED\n\
         config.providers.file.param.allowed.paths: FOLDER/allowed\n\
         config.providers.directory.param.allowed.paths: FOLDER/allowed\n";
    let password = secrets.of("a user's password");
    let daemon = Daemon::new(settings);
    written(&daemon.path("users"), &user(&daemon, "alice", &password));
    fs::create_dir(daemon.path("allowed")).expect("a folder");
    written(&daemon.path("in.txt"), "one line\n");
    for (file, place) in [
        ("not-allowed", "the operator's file"),
        ("allowed/p", "an allowed file"),
    ] {
        written(&daemon.path(file), &format!("k={}\n", secrets.of(place)));
    }
    let secret = secrets.of("an allowed directory's file");
    written(&daemon.path("allowed/q"), &secret);
    files(&daemon, secrets, port);
    Bench {
        daemon,
        password,
        heard: Heard::default(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_leaves_by_any_way_from_any_place() {
    let postgres = Postgres::start().await;
    let mut secrets = Secrets::default();
    let mut bench = prepared(&mut secrets, postgres.port());
    let variables = ["CNRY_ALLOWED", "CNRY_NOT_ALLOWED"].map(|name| (name, secrets.of(name)));
    let talkative = |command: &mut std::process::Command| {
        command.envs(variables.clone());
        command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1");
    };
    bench.daemon.spawn(&["run", "shop.yaml"], talkative);
    bench.daemon.listens().await;
    let mut names = configure(&mut bench, &mut secrets, postgres.port()).await;
    mistake(&mut bench, &mut secrets).await;
    names.extend([
        "shop.lines",
        "shop.db",
        "shop.a",
        "shop.b",
        "shop.c",
        "shop.d",
    ]);
    // Logins that fail: the states say why, and not with what.
    for name in ["shop.a", "login"] {
        let url = format!("{}/connectors/{name}/status", bench.daemon.url());
        let login = bench.login();
        until(&format!("{name} is refused by the database"), async || {
            let asked = client().get(&url).header(header::AUTHORIZATION, &login);
            let status = asked.send().await.ok()?.text().await.ok()?;
            status.contains("\"trace\"").then_some(())
        })
        .await;
    }
    bench.read_all(&names).await;
    let answers = bench.heard.0.len();
    bench.commands();
    // A start from what is stored.
    bench.daemon.kill();
    bench.daemon.spawn(&["worker"], talkative);
    bench.daemon.listens().await;
    bench.read_all(&names).await;
    bench.daemon.stop();
    let (data, log) = (bench.daemon.data(), bench.daemon.log());
    bench.heard.folder(&data);
    bench.heard.add("the worker's log", log.clone());
    search(&bench.heard, &secrets);
    let (places, count) = (bench.heard.0.len(), secrets.0.len());
    let bytes = log.len();
    eprintln!("{count} secrets in none of {places} places ({answers} answers; log: {bytes} bytes)");
}

fn search(heard: &Heard, secrets: &Secrets) {
    // What is searched is what it should be: requests got through, secrets are stored sealed and shown as masks, and
    // the log is as talkative as it can be.
    let all: Vec<_> = heard
        .0
        .iter()
        .map(|(_, bytes)| String::from_utf8_lossy(bytes))
        .collect();
    for word in [
        "[hidden]",
        "sealed:v1:",
        "\"trace\"",
        "TRACE",
        "one line",
        "shop.lines",
        "TL04",
        "may not read",
    ] {
        assert!(
            all.iter().any(|text| text.contains(word)),
            "{word} is nowhere"
        );
    }
    let leaks = secrets.leaks(heard);
    assert!(
        leaks.is_empty(),
        "{} leaks:\n{}",
        leaks.len(),
        leaks.join("\n")
    );
}
