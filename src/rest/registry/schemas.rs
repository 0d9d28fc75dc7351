//! `/schemas`: schemas by id, and all of them.

use super::{Answer, App, failure::Failure, query::Asked};
use crate::registry::{Document, Refusal, Registered, Which};
use axum::{
    Json,
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// `GET /schemas`
pub(super) async fn list(State(app): State<App>, asked: Asked) -> Answer {
    let subjects = app.registry.subjects_with(asked.which());
    let subjects = subjects
        .iter()
        .filter(|subject| subject.starts_with(prefix(&asked)));
    let newest_only = asked.flag("latestOnly");
    let versions = subjects.flat_map(|subject| {
        let mut versions = app.registry.registered(subject, asked.which());
        if newest_only {
            versions.drain(..versions.len().saturating_sub(1));
        }
        versions
    });
    let shown: Vec<Value> = asked.page(versions).iter().map(registered).collect();
    Ok(Json(Value::Array(shown)))
}

/// The prefix that subjects are listed by; Confluent's wildcard of contexts is every subject.
pub(super) fn prefix(asked: &Asked) -> &str {
    match asked.text("subjectPrefix") {
        None | Some(":*:" | ":.:") => "",
        Some(prefix) => prefix,
    }
}

/// `GET /schemas/ids/{id}`
pub(super) async fn show(State(app): State<App>, Path(id): Path<String>, asked: Asked) -> Answer {
    let (id, document) = find(&app, &id)?;
    let mut shown = Map::new();
    describe(&mut shown, &document);
    if asked.resolved()?
        && let Some(text) = app.registry.schema(id)
    {
        shown.insert("schema".to_owned(), json!(&*text));
    }
    if asked.flag("fetchMaxId") {
        shown.insert("maxId".to_owned(), json!(app.registry.highest_id()));
    }
    Ok(Json(Value::Object(shown)))
}

/// `GET /schemas/ids/{id}/schema`
pub(super) async fn text(
    State(app): State<App>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let (id, document) = find(&app, &id)?;
    let resolved = match asked.resolved()? {
        true => app.registry.schema(id),
        false => None,
    };
    let text = resolved.unwrap_or_else(|| Arc::clone(&document.text));
    Ok(bare(&text))
}

/// `GET /schemas/ids/{id}/subjects`
pub(super) async fn subjects(
    State(app): State<App>,
    Path(id): Path<String>,
    asked: Asked,
) -> Answer {
    let mut subjects: Vec<Arc<str>> = uses(&app, &id, &asked)?
        .into_iter()
        .map(|(subject, _)| subject)
        .collect();
    subjects.dedup();
    let shown: Vec<Value> = asked
        .page(subjects)
        .iter()
        .map(|one| json!(&**one))
        .collect();
    Ok(Json(Value::Array(shown)))
}

/// `GET /schemas/ids/{id}/versions`
pub(super) async fn versions(
    State(app): State<App>,
    Path(id): Path<String>,
    asked: Asked,
) -> Answer {
    let uses = asked.page(uses(&app, &id, &asked)?);
    let shown =
        |(subject, version): &(Arc<str>, i32)| json!({"subject": &**subject, "version": version});
    Ok(Json(uses.iter().map(shown).collect()))
}

fn uses(app: &App, id: &str, asked: &Asked) -> Result<Vec<(Arc<str>, i32)>, Refusal> {
    let (id, _) = find(app, id)?;
    let which = match asked.flag("deleted") {
        true => Which::All,
        false => Which::Live,
    };
    let uses = app.registry.uses(id, which);
    let mut uses = uses.ok_or(Refusal::SchemaNotFound(Some(id)))?;
    if let Some(subject) = asked.text("subject") {
        uses.retain(|(name, _)| **name == *subject);
    }
    Ok(uses)
}

/// What is no number is the id of nothing.
fn find(app: &App, id: &str) -> Result<(i32, Arc<Document>), Refusal> {
    let id: i32 = id.parse().map_err(|_| Refusal::SchemaNotFound(None))?;
    let document = app.registry.document(id);
    document
        .map(|document| (id, document))
        .ok_or(Refusal::SchemaNotFound(Some(id)))
}

/// `{"subject":…,"version":…,"id":…,"schema":…}`, with type and references where there are any.
pub(super) fn registered(one: &Registered) -> Value {
    let mut shown = Map::new();
    shown.insert("subject".to_owned(), json!(&*one.subject));
    shown.insert("version".to_owned(), json!(one.version));
    shown.insert("id".to_owned(), json!(one.id));
    describe(&mut shown, &one.document);
    Value::Object(shown)
}

fn describe(shown: &mut Map<String, Value>, document: &Document) {
    if *document.kind != *"AVRO" {
        shown.insert("schemaType".to_owned(), json!(&*document.kind));
    }
    if !document.references.is_empty() {
        shown.insert("references".to_owned(), json!(document.references));
    }
    shown.insert("schema".to_owned(), json!(&*document.text));
}

/// A schema's text as the whole body: it is JSON itself.
pub(super) fn bare(text: &str) -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        text.to_owned(),
    )
        .into_response()
}
