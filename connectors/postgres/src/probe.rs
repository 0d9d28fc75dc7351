//! Checks that touch the server, each problem with its remedy: what `tapline check` and a start with a new
//! configuration show. Changes nothing.

use crate::{
    config::{Autocreate, Settings},
    publication,
    server::{cell, check},
    slot,
    tables::{self, Captured},
    wire::{Connection, Session},
};
use tapline_sdk::{Error, Issue, Result};

/// More tables than this are not listed one by one.
const NAMES_SHOWN: usize = 10;

/// Every problem that can be found without changing anything.
pub(crate) async fn probe(settings: &Settings) -> Vec<Issue> {
    let mut session = match Connection::open(&settings.endpoint, Session::Plain).await {
        Ok(session) => session,
        Err(error) => return vec![issue("database.hostname", &error)],
    };
    if let Err(error) = check(&mut session).await {
        return vec![issue("", &error)];
    }
    let mut issues = Vec::new();
    let mut probe = Probe {
        settings,
        session: &mut session,
        issues: &mut issues,
    };
    if let Err(error) = Box::pin(probe.run()).await {
        issues.push(issue("", &error));
    }
    session.close().await;
    issues
}

fn issue(key: &str, error: &Error) -> Issue {
    let remedy = error
        .remedy
        .clone()
        .unwrap_or_else(|| "see the server's log".to_owned());
    Issue::new(key, error.chain(), remedy)
}

struct Probe<'a> {
    settings: &'a Settings,
    session: &'a mut Connection,
    issues: &'a mut Vec<Issue>,
}

impl Probe<'_> {
    async fn run(&mut self) -> Result<()> {
        self.role().await?;
        self.slot().await?;
        let all = tables::list(self.session).await?;
        let mut captured = tables::capture(&all, &self.settings.filter, self.settings.via_root);
        if captured.tables.is_empty() {
            let problem = format!(
                "matches no table of database `{}`",
                self.settings.endpoint.database
            );
            let remedy = "give schema.table names or patterns of tables that exist";
            self.issues
                .push(Issue::new("table.include.list", problem, remedy));
        }
        self.publication(&all, &mut captured).await?;
        self.privileges(&captured).await?;
        self.identities(&captured).await
    }

    async fn role(&mut self) -> Result<()> {
        // Managed services grant replication by a role of their own instead of the attribute.
        let sql = "select rolsuper or rolreplication or exists (select from pg_roles m \
                     where m.rolname in ('rds_replication', 'azure_pg_admin', 'cloudsqlsuperuser') \
                       and pg_has_role(r.oid, m.oid, 'member')), \
                   (select setting::int from pg_settings where name = 'max_wal_senders') \
                     - (select count(*) from pg_stat_replication) \
                   from pg_roles r where rolname = current_user";
        let reply = self
            .session
            .query("cannot read the role's rights", sql)
            .await?;
        if cell(&reply, 0, 0) == Some("f") {
            let user = &self.settings.endpoint.user;
            let problem = format!("role `{user}` may not replicate");
            self.issues.push(Issue::new(
                "database.user",
                problem,
                format!("alter role \"{user}\" replication"),
            ));
        }
        if cell(&reply, 0, 1)
            .and_then(|free| free.parse::<i64>().ok())
            .is_some_and(|free| free < 1)
        {
            let remedy = "raise max_wal_senders and restart the server";
            self.issues.push(Issue::new(
                "",
                "every WAL sender of the server is in use",
                remedy,
            ));
        }
        Ok(())
    }

    async fn slot(&mut self) -> Result<()> {
        let name = &self.settings.slot;
        if let Some(found) = slot::find(self.session, name).await? {
            if let Err(error) = slot::check_usable(&found, name, &self.settings.endpoint.database) {
                self.issues.push(issue("slot.name", &error));
            }
            if found.active_pid.is_some() {
                self.issues
                    .push(issue("slot.name", &slot::in_use(name, found.active_pid)));
            }
            return Ok(());
        }
        let sql = "select (select setting::int from pg_settings where name = 'max_replication_slots') - count(*) \
                   from pg_replication_slots";
        let reply = self
            .session
            .query("cannot count replication slots", sql)
            .await?;
        if cell(&reply, 0, 0)
            .and_then(|free| free.parse::<i64>().ok())
            .is_some_and(|free| free < 1)
        {
            let problem = format!("slot `{name}` does not exist and no slot is free");
            let remedy = "raise max_replication_slots and restart the server, or drop a slot that nobody reads";
            self.issues.push(Issue::new("slot.name", problem, remedy));
        }
        Ok(())
    }

    async fn publication(&mut self, all: &[tables::Table], captured: &mut Captured) -> Result<()> {
        let settings = self.settings;
        let found = publication::find(self.session, &settings.publication).await?;
        if let Some(found) = &found
            && settings.autocreate != Autocreate::Filtered
        {
            *captured = tables::capture(all, &settings.filter, found.via_root);
        }
        let statements = match publication::plan(settings, found.as_ref(), &captured.members) {
            Ok(statements) => statements,
            Err(error) => {
                self.issues
                    .push(issue("publication.autocreate.mode", &error));
                return Ok(());
            }
        };
        if statements.is_empty() {
            return Ok(());
        }
        let owned: Vec<String> = captured
            .members
            .iter()
            .map(|table| table.relid.to_string())
            .collect();
        let sql = format!(
            "select has_database_privilege(current_database(), 'create'), \
               (select rolsuper from pg_roles where rolname = current_user), \
               (select string_agg(oid::regclass::text, ', ') from pg_class where oid in ({}) \
                  and not pg_has_role(relowner, 'usage'))",
            if owned.is_empty() {
                "0".to_owned()
            } else {
                owned.join(",")
            }
        );
        let reply = self
            .session
            .query("cannot read the role's rights", &sql)
            .await?;
        let is_super = cell(&reply, 0, 1) == Some("t");
        let remedy = "let an administrator create the publication and set publication.autocreate.mode to disabled";
        let mut complain = |problem: String| {
            self.issues
                .push(Issue::new("publication.autocreate.mode", problem, remedy));
        };
        if found.is_none() && cell(&reply, 0, 0) != Some("t") {
            complain("the publication cannot be created without CREATE on the database".to_owned());
        }
        if settings.autocreate == Autocreate::AllTables && !is_super {
            complain("all_tables needs a superuser".to_owned());
        }
        if let Some(tables) =
            cell(&reply, 0, 2).filter(|_| settings.autocreate == Autocreate::Filtered && !is_super)
        {
            complain(format!("the role does not own {tables}"));
        }
        Ok(())
    }

    async fn privileges(&mut self, captured: &Captured) -> Result<()> {
        let oids: Vec<String> = captured
            .tables
            .iter()
            .map(|table| table.relid.to_string())
            .collect();
        if oids.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "select c.oid::regclass from pg_class c where c.oid in ({}) and not (has_table_privilege(c.oid, 'select') \
             and has_schema_privilege(c.relnamespace, 'usage')) order by 1 limit {NAMES_SHOWN}",
            oids.join(",")
        );
        let reply = self
            .session
            .query("cannot read the role's rights", &sql)
            .await?;
        for at in 0..reply.len() {
            let table = cell(&reply, at, 0).unwrap_or_default();
            let problem = format!(
                "role `{}` may not read {table}",
                self.settings.endpoint.user
            );
            let remedy = format!("grant select on {table} and usage on its schema");
            self.issues
                .push(Issue::new("database.user", problem, remedy));
        }
        Ok(())
    }

    /// What the replica identity means for updates and deletes: the server refuses them on a published table that has
    /// none, which is an outage for the application.
    async fn identities(&mut self, captured: &Captured) -> Result<()> {
        let oids: Vec<String> = captured
            .tables
            .iter()
            .map(|table| table.relid.to_string())
            .collect();
        if oids.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "select c.oid::regclass, \
               c.relreplident = 'n' or c.relreplident = 'd' and not exists (select from pg_index i \
                 where i.indrelid = c.oid and i.indisprimary), \
               exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary and not i.indimmediate), \
               c.relreplident = 'i' and exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary \
                 and not i.indisreplident) \
             from pg_class c where c.oid in ({}) order by 1",
            oids.join(",")
        );
        let reply = self
            .session
            .query("cannot read replica identities", &sql)
            .await?;
        let mut shown = 0;
        for at in 0..reply.len() {
            let table = cell(&reply, at, 0).unwrap_or_default();
            let flag = |column| cell(&reply, at, column) == Some("t");
            let warning = if flag(1) {
                Some((
                    "has no replica identity: the server refuses its updates and deletes as soon as it is published",
                    format!("add a primary key, or `alter table {table} replica identity full`"),
                ))
            } else if flag(2) {
                Some((
                    "has a deferrable primary key: keys that are swapped in one statement end as one row in keyed targets",
                    "make the key NOT DEFERRABLE, or do not swap keys".to_owned(),
                ))
            } else if flag(3) {
                Some((
                    "has a replica identity other than its primary key: deletes carry the index's columns only",
                    format!("alter table {table} replica identity default"),
                ))
            } else {
                None
            };
            if let Some((what, remedy)) = warning.filter(|_| shown < NAMES_SHOWN) {
                shown += 1;
                self.issues.push(Issue::new(
                    "",
                    format!("warning: table {table} {what}"),
                    remedy,
                ));
            }
        }
        Ok(())
    }
}
