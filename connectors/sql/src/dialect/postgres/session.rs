//! The one connection of a sink task: its settings, transactions and savepoints.
//!
//! Statements that a dropped future left half done make the session unusable: it is marked before each unit of work and
//! cleared after it (I5).

use super::{
    Failed,
    error::{Class, Doing, answer, classify},
};
use crate::address::Address;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
};
use std::time::Duration;
use tapline_sdk::Error;

/// The oldest server whose behaviour is tested.
pub const VERSION_MIN: i32 = 140_000;

/// A server that does not answer a connect attempt this long is down; the runtime tries again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Statements differ by table and set of columns: enough for a few hundred tables, at some KiB each.
const STATEMENTS_MAX: usize = 500;

/// Why each setting: dates, intervals, floats and money are read in one form whatever the server's defaults; names mean
/// what they say (an empty search path, as Postgres' own apply workers have); waits end; plans find rows by index even
/// before the first ANALYZE, and never compile; a commit that was answered survives a crash of the server.
const SETTINGS: &str = "SET datestyle = 'ISO, MDY'; SET intervalstyle = 'postgres'; SET timezone = 'UTC'; \
    SET lc_monetary = 'C'; SET standard_conforming_strings = on; SET search_path = pg_catalog; \
    SET client_min_messages = warning; \
    SET lock_timeout = '30s'; SET statement_timeout = '10min'; \
    SET idle_in_transaction_session_timeout = '5min'; \
    SET jit = off; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
    SET plan_cache_mode = force_generic_plan; SET xmloption = content; SET check_function_bodies = off; \
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

/// A connection with its state.
pub struct Session {
    connection: PgConnection,
    name: String,
    usable: bool,
}

impl Session {
    /// Connects, and sets what every statement relies on.
    pub async fn connect(address: &Address) -> Result<Self, Error> {
        let doing = Doing::new("connect to", address);
        let options = options(address)?;
        let attempt = PgConnection::connect_with(&options);
        let connection = tokio::time::timeout(CONNECT_TIMEOUT, Box::pin(attempt))
            .await
            .map_err(|_| doing.error(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))?
            .map_err(|error| doing.error(error))?;
        let mut session = Self {
            connection,
            name: address.to_string(),
            usable: true,
        };
        session
            .run("set up the session of", SETTINGS)
            .await
            .map_err(task)?;
        Ok(session)
    }

    /// Switches foreign keys and triggers off where the role may, and warns where it may not.
    pub async fn be_replica(&mut self) -> Result<(), Error> {
        let statement = sqlx::raw_sql("SET session_replication_role = replica");
        match statement.execute(&mut self.connection).await {
            Ok(_) => Ok(()),
            Err(error) => match answer(&error).map(|answer| classify(answer.code())) {
                Some(Class::Privilege) => {
                    tracing::warn!(
                        remedy = "if the target has any: GRANT SET ON PARAMETER session_replication_role TO the role (Postgres 15 or newer), or give it SUPERUSER",
                        "role may not set session_replication_role: foreign keys and triggers of the target stay active"
                    );
                    Ok(())
                }
                _ => Err(Doing::new("set up the session of", &self.name).error(error)),
            },
        }
    }

    /// The connection, for queries.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Runs statements without parameters.
    pub async fn run(&mut self, what: &'static str, sql: &str) -> Result<(), Failed> {
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut self.connection)
            .await
            .map(drop)
            .map_err(|error| Doing::new(what, &self.name).failed(error))
    }

    /// Starts a transaction. The session is unusable until it ends by [`Session::commit`] or [`Session::rollback`].
    pub async fn begin(&mut self) -> Result<(), Error> {
        if !self.usable {
            return Err(Error::disconnected(format!(
                "the connection to `{}` was left in mid-statement",
                self.name
            ))
            .code("TL0402"));
        }
        self.usable = false;
        self.run("begin a transaction in", "BEGIN")
            .await
            .map_err(task)
    }

    /// Ends a transaction. If the answer is lost, only the stored position tells whether it took place (I5).
    pub async fn commit(&mut self) -> Result<(), Failed> {
        self.run("commit a transaction in", "COMMIT").await?;
        // One large statement leaves a buffer of its size, in every connection.
        self.connection.shrink_buffers();
        self.usable = true;
        Ok(())
    }

    /// Undoes a transaction. A session that cannot even do that stays unusable.
    pub async fn rollback(&mut self) {
        match self.run("roll back a transaction in", "ROLLBACK").await {
            Ok(()) => self.usable = true,
            Err(_) => tracing::debug!("rollback failed, connection is given up"),
        }
    }

    /// Sets a savepoint.
    pub async fn savepoint(&mut self, name: &'static str) -> Result<(), Failed> {
        self.run("write to", &format!("SAVEPOINT {name}")).await
    }

    /// Forgets a savepoint, keeping what was done since.
    pub async fn release(&mut self, name: &'static str) -> Result<(), Failed> {
        self.run("write to", &format!("RELEASE {name}")).await
    }

    /// Undoes what was done since a savepoint, and forgets it.
    pub async fn undo(&mut self, name: &'static str) -> Result<(), Failed> {
        let sql = format!("ROLLBACK TO {name}; RELEASE {name}");
        self.run("write to", &sql).await
    }

    /// Says goodbye.
    pub async fn close(self) -> Result<(), Error> {
        let doing = Doing::new("close the connection to", &self.name);
        self.connection
            .close()
            .await
            .map_err(|error| doing.error(error))
    }

    /// The server's version as a number: 150018.
    pub async fn version(&mut self) -> Result<i32, Error> {
        sqlx::query_scalar("SELECT current_setting('server_version_num')::int4")
            .fetch_one(&mut self.connection)
            .await
            .map_err(|error| Doing::new("read the version of", &self.name).error(error))
    }
}

/// For steps where no row can be to blame.
pub fn task(failed: Failed) -> Error {
    match failed {
        Failed::Task(error) => error,
        Failed::Data(data) => refused(&data.into_record_error().to_string()),
        Failed::Row(_, error) => refused(&error.to_string()),
        Failed::Missing => refused("a row is missing"),
    }
}

fn refused(why: &str) -> Error {
    Error::config(format!("the target refuses a statement: {why}"))
        .code("TL0416")
        .remedy("correct the target's table as the message says, then restart the task")
}

fn options(address: &Address) -> Result<PgConnectOptions, Error> {
    let mode: PgSslMode = address.sslmode.parse().map_err(|_| {
        Error::config(format!("sslmode `{}` is unknown", address.sslmode))
            .code("TL0401")
            .remedy("use disable, allow, prefer, require, verify-ca or verify-full")
    })?;
    let mut options = PgConnectOptions::new_without_pgpass()
        .host(&address.host)
        .port(address.port)
        .database(&address.database)
        .username(&address.username)
        .ssl_mode(mode)
        .application_name("tapline")
        .statement_cache_capacity(STATEMENTS_MAX)
        .disable_statement_logging();
    if let Some(password) = &address.password {
        options = options.password(password.expose());
    }
    if let Some(path) = &address.sslrootcert {
        options = options.ssl_root_cert(path);
    }
    if let Some(path) = &address.sslcert {
        options = options.ssl_client_cert(path);
    }
    if let Some(path) = &address.sslkey {
        options = options.ssl_client_key(path);
    }
    Ok(options)
}
