//! `/admin/loggers` (KIP-495, KIP-976): levels of loggers, read and set while the worker runs.
//!
//! One process is the whole cluster here, so both scopes set the same levels; they differ in what is answered.

use super::{
    App, body,
    failure::{Failure, cut},
};
use crate::logging::{self, Level, Logger};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// A longer name is no module's and no class's.
const NAME_BYTES_MAX: usize = 1024;

/// What to do about a logger that is not there, or one too many.
const LIST: &str = "GET /admin/loggers lists those that there are";

/// What to do about a level.
const LEVELS: &str =
    "send {\"level\": …} with one of OFF, FATAL, ERROR, WARN, INFO, DEBUG, TRACE, ALL";

/// What is served here.
pub(super) fn routes() -> [(&'static str, MethodRouter<App>); 2] {
    [
        ("/admin/loggers", get(list)),
        ("/admin/loggers/{logger}", get(show).put(set)),
    ]
}

async fn list() -> Json<BTreeMap<String, Logger>> {
    Json(logging::loggers().all())
}

async fn show(Path(name): Path<String>) -> Result<Json<Logger>, Failure> {
    let found = logging::loggers().get(&name);
    let found =
        found.ok_or_else(|| Failure::not_found(format!("Logger {name} not found.")).remedy(LIST));
    Ok(Json(found?))
}

async fn set(
    Path(name): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
    body: Bytes,
) -> Result<Response, Failure> {
    let level = match body::settings(body::object(&body)?)?.remove("level") {
        None | Some(None) => {
            let problem = "Desired 'level' parameter was not specified in request.";
            return Err(Failure::bad_request(problem).remedy(LEVELS));
        }
        Some(Some(level)) if level.is_empty() => {
            let failure = Failure::bad_request("Illegal null or empty Level name.");
            return Err(failure.remedy(LEVELS));
        }
        Some(Some(level)) => level,
    };
    let level: Level = level.parse().map_err(|()| {
        Failure::not_found(format!("invalid log level '{}'.", cut(&level))).remedy(LEVELS)
    })?;
    if name.len() > NAME_BYTES_MAX {
        let problem = format!("a logger's name has at most {NAME_BYTES_MAX} bytes");
        return Err(Failure::bad_request(problem).remedy("name a module or a class"));
    }
    let affected = logging::loggers()
        .set(&name, level, Timestamp::now().as_millisecond())
        .map_err(|refused| Failure::bad_request(refused.to_string()).remedy(LIST))?;
    let scope = query.iter().find(|(key, _)| key == "scope");
    let cluster = scope.is_some_and(|(_, scope)| scope.eq_ignore_ascii_case("cluster"));
    Ok(if cluster {
        StatusCode::NO_CONTENT.into_response()
    } else {
        Json(affected).into_response()
    })
}
