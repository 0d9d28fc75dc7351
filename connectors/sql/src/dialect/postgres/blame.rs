//! Finds the column that a rejected row is rejected for, where the server's error names none.

use super::{
    Failed,
    error::Doing,
    plan::{Place, Plan},
    session::{Session, task},
};
use crate::change::Change;
use sqlx::AssertSqlSafe;
use std::sync::Arc;
use tapline_sdk::{Arena, Cell, Error};

/// The first column whose value the server does not take for its type.
pub async fn column(
    session: &mut Session,
    plan: &Plan,
    arena: &Arena,
    change: &Change,
) -> Result<Option<Arc<str>>, Error> {
    for place in &plan.columns {
        let cell = place.cell(arena, change.row, change.key);
        if matches!(cell, Cell::Null | Cell::Unavailable) {
            continue;
        }
        let mut text = Vec::new();
        if place.codec.write(arena, cell, &mut text).is_err() {
            return Ok(Some(Arc::clone(&place.name)));
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        let long = place
            .characters_max
            .is_some_and(|max| text.trim_end_matches(' ').chars().count() > max);
        if long || !fits(session, place, text).await? {
            return Ok(Some(Arc::clone(&place.name)));
        }
    }
    Ok(None)
}

async fn fits(session: &mut Session, place: &Place, text: String) -> Result<bool, Error> {
    session.savepoint("tapline_blame").await.map_err(task)?;
    let sql = format!("SELECT CAST($1::text AS {}) IS NULL", place.full_type);
    let answer = sqlx::query(AssertSqlSafe(sql))
        .persistent(false)
        .bind(text)
        .execute(session.connection())
        .await;
    session.undo("tapline_blame").await.map_err(task)?;
    match answer {
        Ok(_) => Ok(true),
        Err(error) => match Doing::new("check a value of", &place.name).failed(error) {
            Failed::Task(error) => Err(error),
            _ => Ok(false),
        },
    }
}
