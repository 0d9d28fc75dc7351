//! `/subjects/{subject}/versions`: registering, showing and deleting the versions of a subject.

use super::{
    Answer, App,
    failure::Failure,
    query::{self, Asked},
    request::{Body, SchemaRequest},
    schemas,
};
use crate::registry::{Refusal, Registered, Which};
use axum::{
    Json,
    extract::{Path, State},
    response::Response,
};
use serde_json::{Value, json};

/// `GET /subjects/{subject}/versions`
pub(super) async fn list(
    State(app): State<App>,
    Path(subject): Path<String>,
    asked: Asked,
) -> Answer {
    let which = asked.which();
    let versions = app.registry.registered(&subject, which);
    if versions.is_empty() {
        return Err(Refusal::SubjectNotFound(subject).into());
    }
    let page = asked.page(versions.iter().map(|one| json!(one.version)));
    Ok(Json(Value::Array(page)))
}

/// `POST /subjects/{subject}/versions`
pub(super) async fn register(
    State(app): State<App>,
    Path(subject): Path<String>,
    asked: Asked,
    Body(request): Body<SchemaRequest>,
) -> Answer {
    let candidate = request.candidate()?;
    let normalize = asked.flag("normalize");
    let registry = &app.registry;
    let id = registry
        .register_candidate(&subject, &candidate, normalize)
        .await?;
    Ok(Json(json!({"id": id})))
}

/// `GET /subjects/{subject}/versions/{version}`
pub(super) async fn show(
    State(app): State<App>,
    Path((subject, version)): Path<(String, String)>,
    asked: Asked,
) -> Answer {
    Ok(Json(schemas::registered(&find(
        &app, &subject, &version, &asked,
    )?)))
}

/// `GET /subjects/{subject}/versions/{version}/schema`
pub(super) async fn text(
    State(app): State<App>,
    Path((subject, version)): Path<(String, String)>,
    asked: Asked,
) -> Result<Response, Failure> {
    let found = find(&app, &subject, &version, &asked)?;
    Ok(schemas::bare(&found.document.text))
}

/// `GET /subjects/{subject}/versions/{version}/referencedby`: the ids of the schemas that use it.
pub(super) async fn referenced_by(
    State(app): State<App>,
    Path((subject, version)): Path<(String, String)>,
    asked: Asked,
) -> Answer {
    let found = app
        .registry
        .version(&subject, query::version(&version)?, Which::All)?;
    let which = asked.which();
    let ids = app.registry.referenced_by(&subject, found.version, which);
    Ok(Json(json!(asked.page(ids))))
}

/// `DELETE /subjects/{subject}/versions/{version}`
pub(super) async fn delete(
    State(app): State<App>,
    Path((subject, version)): Path<(String, String)>,
    asked: Asked,
) -> Answer {
    let version = query::version(&version)?;
    let permanent = asked.flag("permanent");
    let deleted = app
        .registry
        .delete_version(&subject, version, permanent)
        .await?;
    Ok(Json(json!(deleted)))
}

fn find(app: &App, subject: &str, version: &str, asked: &Asked) -> Result<Registered, Refusal> {
    let which = match asked.flag("deleted") {
        true => Which::All,
        false => Which::Live,
    };
    app.registry
        .version(subject, query::version(version)?, which)
}
