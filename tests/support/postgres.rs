//! Private Postgres servers: a cluster in a temporary folder, on a free loopback port, for one test.

use super::{
    process::{Process, free_port, unprivileged},
    wait,
};
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};
use tempfile::TempDir;

/// A Postgres with `wal_level=logical`; user `postgres`, no password. Stops when dropped.
pub struct Postgres {
    process: Option<Process>,
    programs: PathBuf,
    folder: TempDir,
    port: u16,
    settings: Vec<String>,
}

impl Postgres {
    /// Starts the newest server that is installed as a package.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// As [`Postgres::start`], with settings (`wal_level=replica`).
    pub async fn start_with(settings: &[&str]) -> Self {
        Self::start_from(programs(), settings).await
    }

    /// Starts a server from this folder of programs.
    pub async fn start_from(programs: PathBuf, settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        copy_template(&programs, &folder.path().join("data"));
        let settings = settings.iter().map(|&setting| setting.to_owned()).collect();
        let mut server = Self {
            process: None,
            programs,
            folder,
            port: free_port(),
            settings,
        };
        server.restart().await;
        server
    }

    /// Starts the server again after [`Postgres::kill`] or [`Postgres::stop`], on the same port and data.
    pub async fn restart(&mut self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())
            .expect("log opens");
        let mut command = unprivileged(&self.programs.join("postgres"));
        command
            .arg("-D")
            .arg(self.data())
            .stdout(log.try_clone().expect("log clones"))
            .stderr(log);
        let port = format!("port={}", self.port);
        let fixed = [
            "wal_level=logical",
            "max_replication_slots=20",
            "max_wal_senders=20",
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "shared_buffers=64MB",
            "max_prepared_transactions=10",
            &port,
        ];
        for setting in fixed
            .into_iter()
            .chain(self.settings.iter().map(String::as_str))
        {
            command.args(["-c", setting]);
        }
        let _stale = std::fs::remove_file(self.data().join("postmaster.pid"));
        self.process = Some(Process::spawn(&mut command));
        wait::until("Postgres accepts connections", async || {
            self.try_connect().await
        })
        .await;
    }

    /// SIGKILL to the postmaster: what a crash of the server looks like. Its backends end by themselves.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Backends notice the postmaster's death; the process group takes those that are slow to.
            let group = format!("-{}", process.pid());
            process.kill();
            let _none_left = Command::new("kill")
                .args(["-KILL", "--", &group])
                .stderr(Stdio::null())
                .status();
        }
    }

    /// A fast shutdown, waited for.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal("INT");
            process.wait();
        }
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A connection URL for this database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// A connection to database `postgres`.
    pub async fn connect(&self) -> PgConnection {
        self.connect_to("postgres").await
    }

    /// A connection to this database.
    pub async fn connect_to(&self, database: &str) -> PgConnection {
        self.options(database)
            .connect()
            .await
            .expect("Postgres takes a connection")
    }

    /// Runs statements, several separated by semicolons, in database `postgres`.
    pub async fn execute(&self, sql: &str) {
        execute(&self.url("postgres"), sql).await;
    }

    /// The rows of a query as text, columns joined by `|`, NULL as `∅`.
    pub async fn rows(&self, sql: &str) -> Vec<String> {
        let wrapped = format!(
            "select coalesce((select string_agg(coalesce(v, '∅'), '|' order by n) \
             from json_each_text(row_to_json(q)) with ordinality as j(k, v, n)), '') from ({sql}) q"
        );
        text_rows(&mut self.connect().await, &wrapped).await
    }

    /// The server's log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The folder of the cluster.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn options(&self, database: &str) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port);
        options.username("postgres").database(database)
    }

    async fn try_connect(&self) -> Option<()> {
        self.options("postgres").connect().await.ok().map(drop)
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A connection to this URL.
pub async fn connect(url: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().expect("a URL of our own parses");
    // Servers may have other time zones; what is compared as text must not depend on them.
    let options = options.options([("timezone", "UTC")]);
    options
        .connect()
        .await
        .unwrap_or_else(|error| panic!("cannot connect to {url}: {error}"))
}

/// Runs statements, several separated by semicolons.
pub async fn execute(url: &str, sql: &str) {
    let mut connection = connect(url).await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap_or_else(|error| panic!("{error} in: {sql}"));
    connection.close().await.expect("connection closes");
}

/// The rows of a query that returns one column of text.
pub async fn text_rows(connection: &mut PgConnection, sql: &str) -> Vec<String> {
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned()))
        .fetch_all(connection)
        .await
        .unwrap_or_else(|error| panic!("{error} in: {sql}"))
}

/// The server programs: `TAPLINE_TEST_POSTGRES_BIN`, or the newest of Debian's packages.
pub fn programs() -> PathBuf {
    if let Ok(folder) = std::env::var("TAPLINE_TEST_POSTGRES_BIN") {
        return PathBuf::from(folder);
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let newest = versions
        .map(|entry| entry.path().join("bin"))
        .filter(|bin| bin.join("initdb").exists())
        .max_by_key(|bin| {
            let version = bin
                .parent()
                .and_then(Path::file_name)
                .and_then(|name| name.to_str());
            version.and_then(|version| version.parse::<u32>().ok())
        });
    newest.expect("no Postgres server is installed: run scripts/setup")
}

/// The programs of Postgres 18 that `scripts/setup` fetched.
pub fn programs_18() -> PathBuf {
    let bin = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/postgres-18/bin");
    assert!(
        bin.join("initdb").exists(),
        "Postgres 18 is missing: run scripts/setup"
    );
    bin
}

/// `initdb` takes over a second: each test copies a cluster that was made once per run and version.
fn copy_template(programs: &Path, to: &Path) {
    static TEMPLATES: OnceLock<parking_lot::Mutex<Vec<(PathBuf, TempDir)>>> = OnceLock::new();
    let mut templates = TEMPLATES.get_or_init(Default::default).lock();
    if !templates.iter().any(|(of, _)| of == programs) {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut initdb = unprivileged(&programs.join("initdb"));
        initdb.arg("-D").arg(folder.path().join("data")).args([
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ]);
        let output = initdb.output().expect("initdb starts");
        assert!(
            output.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        templates.push((programs.to_owned(), folder));
    }
    let from = templates
        .iter()
        .find(|(of, _)| of == programs)
        .map(|(_, folder)| folder.path());
    let from = from
        .expect("invariant: the template was just made")
        .join("data");
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "cannot copy the template cluster"
    );
}
