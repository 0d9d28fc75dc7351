//! Is the target reachable, new enough, and may we do what the settings ask for? Changes nothing.

use super::{
    error::Doing,
    session::{Session, VERSION_MIN},
};
use crate::settings::Settings;
use tapline_sdk::{Error, Issue};

/// Every problem with its remedy.
pub async fn probe(settings: &Settings) -> Vec<Issue> {
    let mut session = match Session::connect(&settings.address).await {
        Ok(session) => session,
        Err(error) => return vec![issue(&error)],
    };
    let mut issues = match look(&mut session, settings).await {
        Ok(issues) => issues,
        Err(error) => vec![issue(&error)],
    };
    if let Err(error) = session.close().await {
        issues.push(issue(&error));
    }
    issues
}

fn issue(error: &Error) -> Issue {
    let remedy = error.remedy.clone();
    Issue::new(
        "connection.url",
        error.chain(),
        remedy.unwrap_or_else(|| "correct the connection's settings".to_owned()),
    )
}

async fn look(session: &mut Session, settings: &Settings) -> Result<Vec<Issue>, Error> {
    let mut issues = Vec::new();
    let version = session.version().await?;
    if version < VERSION_MIN {
        issues.push(Issue::new(
            "connection.url",
            format!("the target is Postgres {}", version / 10_000),
            format!("use Postgres {} or newer", VERSION_MIN / 10_000),
        ));
    }
    let doing = Doing::new("look up the rights in", &settings.address);
    let role = &settings.address.username;
    let may = |sql: &'static str| sqlx::query_scalar::<_, bool>(sql);
    let read_only =
        may("SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool");
    if read_only
        .fetch_one(session.connection())
        .await
        .map_err(|error| doing.error(error))?
    {
        issues.push(Issue::new(
            "connection.url",
            "the target is read-only",
            "name the primary server, not a standby",
        ));
    }
    let creates = may(
        "SELECT coalesce((SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = $1), \
         has_database_privilege(current_database(), 'CREATE'))",
    );
    let schema = &*settings.positions.schema;
    let creates = creates.bind(schema).fetch_one(session.connection()).await;
    let table_exists = may("SELECT to_regclass($1) IS NOT NULL")
        .bind(settings.positions.quoted())
        .fetch_one(session.connection())
        .await;
    if !creates.map_err(|error| doing.error(error))?
        && !table_exists.map_err(|error| doing.error(error))?
    {
        issues.push(Issue::new(
            "positions.table",
            format!("role {role} may not create tables in schema {schema}"),
            format!("GRANT CREATE ON SCHEMA {schema} TO {role}, or create the table for it"),
        ));
    }
    session.be_replica().await?;
    Ok(issues)
}
