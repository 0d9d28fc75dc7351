//! The positions that the target holds, written in the transaction of the data (I4), and the fence (I10).
//!
//! One row per (cluster id, connector, topic id, partition). Opening takes a generation that is higher than any before;
//! every data transaction ends with a compare-and-set of position and generation, so that a task which was superseded
//! changes nothing, whenever its last statement arrives. A row with an empty cluster id is an operator's word
//! (`alter_offsets`): the next task to open takes it over.

mod identity;

use super::{
    Failed, ddl,
    error::Doing,
    session::{Session, task},
};
use crate::{
    error::{fenced, out_of_order},
    naming::TableName,
};
use sqlx::{AssertSqlSafe, Row};
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use tapline_sdk::{Assignment, Error, SinkContext, TopicPartition};
use uuid::Uuid;

/// The cluster id of rows that an operator has set.
const BY_OPERATOR: &str = "";

/// A partition that this task applies.
#[derive(Debug, Clone)]
struct Held {
    at: TopicPartition,
    topic_id: String,
    position: Option<u64>,
}

/// This task's positions.
#[derive(Debug)]
pub struct Positions {
    table: String,
    cluster_id: Arc<str>,
    connector: Arc<str>,
    generation: i64,
    held: Vec<Held>,
}

/// A stored row.
#[derive(Debug, Clone)]
struct Stored {
    cluster_id: String,
    topic: String,
    topic_id: String,
    partition: i64,
    position: Option<i64>,
    generation: i64,
}

impl Positions {
    /// Takes partitions over and fences whoever had them.
    pub async fn open(
        session: &mut Session,
        table: &TableName,
        context: &SinkContext,
        assigned: &[Assignment],
        stored: &[Option<u64>],
    ) -> Result<Self, Error> {
        session.begin().await?;
        let opened = Self::take_over(session, table, context, assigned, stored).await;
        let opened = match opened {
            Ok(positions) => session.commit().await.map(|()| positions),
            Err(failed) => Err(failed),
        };
        if opened.is_err() {
            session.rollback().await;
        }
        opened.map_err(task)
    }

    async fn take_over(
        session: &mut Session,
        table: &TableName,
        context: &SinkContext,
        assigned: &[Assignment],
        stored: &[Option<u64>],
    ) -> Result<Self, Failed> {
        create_table(session, table).await?;
        let found = Self::rows(session, table, &context.connector, false).await?;
        let mut held = Vec::new();
        for (at, assignment) in assigned.iter().enumerate() {
            let group = stored.get(at).copied().flatten();
            let position = identity::check(context, assignment, group, &found)?;
            held.push(Held {
                at: assignment.at.clone(),
                topic_id: Uuid::from_u128(assignment.topic_id).to_string(),
                position,
            });
        }
        let mut positions = Self {
            table: table.quoted(),
            cluster_id: Arc::clone(&context.cluster_id),
            connector: Arc::clone(&context.connector),
            generation: 0,
            held,
        };
        positions.claim(session, table).await?;
        Ok(positions)
    }

    /// Inserts first, then locks: on a first start there is no row to lock.
    async fn claim(&mut self, session: &mut Session, table: &TableName) -> Result<(), Failed> {
        let doing = Doing::new("take over the positions in", &self.table);
        let sql = format!(
            "WITH mine AS (SELECT * FROM unnest($3::text[], $4::text[], $5::int8[], $6::int8[]) AS u(t, i, p, n)), \
             adopted AS (DELETE FROM {0} AS o USING mine AS u WHERE o.cluster_id = '{BY_OPERATOR}' \
                 AND o.connector = $2 AND o.topic = u.t AND o.partition = u.p) \
             INSERT INTO {0} (cluster_id, connector, topic, topic_id, partition, position, generation) \
             SELECT $1, $2, t, i::uuid, p, n, 0 FROM mine ORDER BY i, p ON CONFLICT DO NOTHING",
            self.table
        );
        self.bound(sqlx::query(AssertSqlSafe(sql)))
            .bind(
                self.held
                    .iter()
                    .map(|held| held.position.map(signed))
                    .collect::<Vec<_>>(),
            )
            .execute(session.connection())
            .await
            .map_err(|error| doing.failed(error))?;
        let locked = Self::rows(session, table, &self.connector, true).await?;
        let clock = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_micros();
        let newest = locked.iter().map(|row| row.generation).max().unwrap_or(0);
        // The clock keeps generations growing even if the table was dropped in between.
        self.generation = newest
            .saturating_add(1)
            .max(i64::try_from(clock).unwrap_or(i64::MAX));
        for held in &mut self.held {
            // A predecessor may have committed between the first look and the lock.
            let row = locked.iter().find(|row| {
                *row.cluster_id == *self.cluster_id
                    && row.topic_id == held.topic_id
                    && row.partition == i64::from(held.at.partition)
            });
            held.position = row
                .and_then(|row| row.position)
                .and_then(|p| u64::try_from(p).ok());
        }
        let sql = format!(
            "UPDATE {} AS p SET generation = $6, updated_at = now() \
             FROM unnest($3::text[], $4::text[], $5::int8[]) AS u(t, i, p) \
             WHERE p.cluster_id = $1 AND p.connector = $2 AND p.topic_id = u.i::uuid AND p.partition = u.p",
            self.table
        );
        let taken = self
            .bound(sqlx::query(AssertSqlSafe(sql)))
            .bind(self.generation)
            .execute(session.connection())
            .await
            .map_err(|error| doing.failed(error))?;
        if taken.rows_affected() == self.held.len() as u64 {
            Ok(())
        } else {
            Err(fenced(&self.connector).into())
        }
    }

    /// Moves the positions as the last statement of a data transaction: every one or none.
    pub async fn advance(
        &self,
        session: &mut Session,
        next: &[(TopicPartition, u64)],
    ) -> Result<(), Failed> {
        let mut rows = Vec::new();
        for (at, next) in next {
            rows.push((self.find(at)?, signed(*next)));
        }
        let sql = format!(
            "UPDATE {} AS p SET position = u.n, updated_at = now() \
             FROM unnest($3::text[], $4::int8[], $5::int8[], $6::int8[]) AS u(i, p, o, n) \
             WHERE p.cluster_id = $1 AND p.connector = $2 AND p.topic_id = u.i::uuid AND p.partition = u.p \
             AND p.position IS NOT DISTINCT FROM u.o AND p.generation = $7",
            self.table
        );
        let moved = sqlx::query(AssertSqlSafe(sql))
            .bind(&*self.cluster_id)
            .bind(&*self.connector)
            .bind(
                rows.iter()
                    .map(|(held, _)| held.topic_id.clone())
                    .collect::<Vec<_>>(),
            )
            .bind(
                rows.iter()
                    .map(|(held, _)| i64::from(held.at.partition))
                    .collect::<Vec<_>>(),
            )
            .bind(
                rows.iter()
                    .map(|(held, _)| held.position.map(signed))
                    .collect::<Vec<_>>(),
            )
            .bind(rows.iter().map(|(_, next)| *next).collect::<Vec<_>>())
            .bind(self.generation)
            .execute(session.connection())
            .await
            .map_err(|error| Doing::new("store the position in", &self.table).failed(error))?;
        // I10: one row each, or another has taken over.
        if moved.rows_affected() == rows.len() as u64 {
            Ok(())
        } else {
            Err(fenced(&self.connector).into())
        }
    }

    /// Remembers what was committed.
    pub fn committed(&mut self, next: &[(TopicPartition, u64)]) {
        for (at, next) in next {
            if let Some(held) = self.held.iter_mut().find(|held| held.at == *at) {
                held.position = Some(*next);
            }
        }
    }

    /// Where a partition stands.
    ///
    /// # Errors
    /// The partition is not this task's.
    pub fn position(&self, at: &TopicPartition) -> Result<Option<u64>, Error> {
        self.find(at).map(|held| held.position)
    }

    /// Whether the topic is spread over several partitions, as far as this task knows.
    #[must_use]
    pub fn is_partitioned(&self, topic: &str) -> bool {
        let mut partitions = self.held.iter().filter(|held| &*held.at.topic == topic);
        partitions.clone().count() > 1 || partitions.any(|held| held.at.partition > 0)
    }

    /// All positions, in the order in which the partitions were assigned.
    #[must_use]
    pub fn all(&self) -> Vec<(TopicPartition, Option<u64>)> {
        self.held
            .iter()
            .map(|held| (held.at.clone(), held.position))
            .collect()
    }

    fn find(&self, at: &TopicPartition) -> Result<&Held, Error> {
        self.held
            .iter()
            .find(|held| held.at == *at)
            .ok_or_else(|| out_of_order(&at.topic, at.partition, 0, 0))
    }

    fn bound<'q>(
        &self,
        query: sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>,
    ) -> sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments> {
        query
            .bind(self.cluster_id.to_string())
            .bind(self.connector.to_string())
            .bind(
                self.held
                    .iter()
                    .map(|held| held.at.topic.to_string())
                    .collect::<Vec<_>>(),
            )
            .bind(
                self.held
                    .iter()
                    .map(|held| held.topic_id.clone())
                    .collect::<Vec<_>>(),
            )
            .bind(
                self.held
                    .iter()
                    .map(|held| i64::from(held.at.partition))
                    .collect::<Vec<_>>(),
            )
    }

    async fn rows(
        session: &mut Session,
        table: &TableName,
        connector: &str,
        lock: bool,
    ) -> Result<Vec<Stored>, Failed> {
        let lock = if lock { " FOR UPDATE" } else { "" };
        let sql = format!(
            "SELECT cluster_id, topic, topic_id::text, partition, position, generation FROM {} \
             WHERE connector = $1 ORDER BY cluster_id, topic_id, partition{lock}",
            table.quoted()
        );
        let doing = Doing::new("read the positions in", table);
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(connector)
            .fetch_all(session.connection())
            .await
            .map_err(|error| doing.failed(error))?;
        let read = |row: &sqlx::postgres::PgRow| {
            Ok(Stored {
                cluster_id: row.try_get(0)?,
                topic: row.try_get(1)?,
                topic_id: row.try_get(2)?,
                partition: row.try_get(3)?,
                position: row.try_get(4)?,
                generation: row.try_get(5)?,
            })
        };
        let stored: Result<Vec<_>, sqlx::Error> = rows.iter().map(read).collect();
        stored.map_err(|error| doing.failed(error))
    }
}

/// Offsets stay far below 2^63.
fn signed(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

async fn exists(session: &mut Session, table: &TableName) -> Result<bool, Failed> {
    sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(table.quoted())
        .fetch_one(session.connection())
        .await
        .map_err(|error| Doing::new("look for", table).failed(error))
}

async fn create_table(session: &mut Session, table: &TableName) -> Result<(), Failed> {
    if exists(session, table).await? {
        return Ok(());
    }
    ddl::ensure_schema(session, &table.schema).await?;
    let sql = format!(
        "{}; CREATE TABLE IF NOT EXISTS {} (cluster_id text NOT NULL, connector text NOT NULL, topic text NOT NULL, \
         topic_id uuid NOT NULL, partition int8 NOT NULL, position int8, generation int8 NOT NULL, \
         updated_at timestamptz NOT NULL DEFAULT now(), \
         PRIMARY KEY (cluster_id, connector, topic_id, partition))",
        ddl::ONE_AT_A_TIME,
        table.quoted()
    );
    session.run("create the positions table in", &sql).await
}

/// The positions of a connector, read without fencing anyone.
pub async fn read(
    session: &mut Session,
    table: &TableName,
    context: &SinkContext,
) -> Result<Vec<(TopicPartition, u64)>, Error> {
    if !exists(session, table).await.map_err(task)? {
        return Ok(Vec::new());
    }
    let mut rows = Positions::rows(session, table, &context.connector, false)
        .await
        .map_err(task)?;
    rows.retain(|row| *row.cluster_id == *context.cluster_id);
    // Of a topic that was created again, the newest counts.
    rows.sort_by_key(|row| row.generation);
    let mut positions: Vec<(TopicPartition, u64)> = Vec::new();
    for row in rows {
        let (Ok(partition), Some(Ok(position))) = (
            u32::try_from(row.partition),
            row.position.map(u64::try_from),
        ) else {
            continue;
        };
        let at = TopicPartition {
            topic: row.topic.into(),
            partition,
        };
        positions.retain(|(known, _)| *known != at);
        positions.push((at, position));
    }
    positions.sort();
    Ok(positions)
}

/// Forgets a connector's positions.
pub async fn purge(session: &mut Session, table: &TableName, connector: &str) -> Result<(), Error> {
    if !exists(session, table).await.map_err(task)? {
        return Ok(());
    }
    let sql = format!("DELETE FROM {} WHERE connector = $1", table.quoted());
    sqlx::query(AssertSqlSafe(sql))
        .bind(connector)
        .execute(session.connection())
        .await
        .map(drop)
        .map_err(|error| Doing::new("purge the positions in", table).error(error))
}

/// Sets or forgets positions by an operator's word. A running task of the connector is fenced by it.
pub async fn alter(
    session: &mut Session,
    table: &TableName,
    connector: &str,
    to: &[(TopicPartition, Option<u64>)],
) -> Result<(), Error> {
    session.begin().await?;
    let altered = alter_within(session, table, connector, to).await;
    let altered = match altered {
        Ok(()) => session.commit().await,
        Err(failed) => Err(failed),
    };
    if altered.is_err() {
        session.rollback().await;
    }
    altered.map_err(task)
}

async fn alter_within(
    session: &mut Session,
    table: &TableName,
    connector: &str,
    to: &[(TopicPartition, Option<u64>)],
) -> Result<(), Failed> {
    create_table(session, table).await?;
    let doing = Doing::new("alter the positions in", table);
    let name = table.quoted();
    for (at, position) in to {
        let sql =
            format!("DELETE FROM {name} WHERE connector = $1 AND topic = $2 AND partition = $3");
        sqlx::query(AssertSqlSafe(sql))
            .bind(connector)
            .bind(&*at.topic)
            .bind(i64::from(at.partition))
            .execute(session.connection())
            .await
            .map_err(|error| doing.failed(error))?;
        let Some(position) = position else {
            continue;
        };
        let sql = format!(
            "INSERT INTO {name} (cluster_id, connector, topic, topic_id, partition, position, generation) \
             VALUES ('{BY_OPERATOR}', $1, $2, md5($2)::uuid, $3, $4, 0)"
        );
        sqlx::query(AssertSqlSafe(sql))
            .bind(connector)
            .bind(&*at.topic)
            .bind(i64::from(at.partition))
            .bind(signed(*position))
            .execute(session.connection())
            .await
            .map_err(|error| doing.failed(error))?;
    }
    Ok(())
}
