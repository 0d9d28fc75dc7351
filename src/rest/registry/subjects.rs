//! `/subjects`: which there are, whether one has a schema, and their end.

use super::{
    Answer, App,
    query::Asked,
    request::{Body, SchemaRequest},
    schemas,
};
use crate::registry::Which;
use axum::{
    Json,
    extract::{Path, State},
};
use serde_json::json;
use std::sync::Arc;

/// `GET /subjects`
pub(super) async fn list(State(app): State<App>, asked: Asked) -> Answer {
    let prefix = schemas::prefix(&asked);
    let mut subjects: Vec<Arc<str>> = app.registry.subjects_with(asked.which());
    subjects.retain(|subject| subject.starts_with(prefix));
    let page = asked.page(subjects);
    Ok(Json(page.iter().map(|subject| json!(&**subject)).collect()))
}

/// `POST /subjects/{subject}`: the version that has this schema.
pub(super) async fn look_up(
    State(app): State<App>,
    Path(subject): Path<String>,
    asked: Asked,
    Body(request): Body<SchemaRequest>,
) -> Answer {
    let which = match asked.flag("deleted") {
        true => Which::All,
        false => Which::Live,
    };
    let candidate = request.candidate()?;
    let normalize = asked.flag("normalize");
    let found = app
        .registry
        .look_up(&subject, &candidate, normalize, which)?;
    Ok(Json(schemas::registered(&found)))
}

/// `DELETE /subjects/{subject}`
pub(super) async fn delete(
    State(app): State<App>,
    Path(subject): Path<String>,
    asked: Asked,
) -> Answer {
    let permanent = asked.flag("permanent");
    let versions = app.registry.delete_subject(&subject, permanent).await?;
    Ok(Json(json!(versions)))
}
