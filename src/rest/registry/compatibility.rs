//! `/compatibility`: whether a schema would be taken, and why not.

use super::{
    Answer, App,
    query::{self, Asked},
    request::{Body, SchemaRequest},
};
use crate::registry::{Against, Refusal};
use axum::{
    Json,
    extract::{Path, State},
};
use serde_json::json;

/// `POST /compatibility/subjects/{subject}/versions`: as a registration would judge.
pub(super) async fn check_subject(
    State(app): State<App>,
    Path(subject): Path<String>,
    asked: Asked,
    Body(request): Body<SchemaRequest>,
) -> Answer {
    check(&app, &subject, &asked, request, Against::Subject)
}

/// `POST /compatibility/subjects/{subject}/versions/{version}`
pub(super) async fn check_version(
    State(app): State<App>,
    Path((subject, version)): Path<(String, String)>,
    asked: Asked,
    Body(request): Body<SchemaRequest>,
) -> Answer {
    let against = Against::Version(query::version(&version)?);
    check(&app, &subject, &asked, request, against)
}

fn check(
    app: &App,
    subject: &str,
    asked: &Asked,
    request: SchemaRequest,
    against: Against,
) -> Answer {
    let candidate = request.candidate()?;
    let verbose = asked.flag("verbose");
    let normalize = asked.flag("normalize");
    let messages = match app.registry.check(subject, &candidate, normalize, against) {
        // What is no schema is explained like any other reason, if reasons are asked for.
        Err(refusal @ Refusal::InvalidSchema(_)) if verbose => vec![refusal.to_string()],
        other => other?,
    };
    let mut answer = json!({"is_compatible": messages.is_empty()});
    if verbose {
        answer["messages"] = json!(messages);
    }
    Ok(Json(answer))
}
