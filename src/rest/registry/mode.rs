//! `/mode`: whether schemas may be registered and deleted.

use super::{
    Answer, App,
    query::Asked,
    request::{Body, ModeRequest},
};
use crate::registry::{Mode, Refusal};
use axum::{
    Json,
    extract::{Path, State},
};
use serde_json::json;

/// `GET /mode`
pub(super) async fn show_global(State(app): State<App>) -> Answer {
    Ok(shown(app.registry.mode(None)))
}

/// `GET /mode/{subject}`
pub(super) async fn show(
    State(app): State<App>,
    Path(subject): Path<String>,
    asked: Asked,
) -> Answer {
    let mode = match asked.flag("defaultToGlobal") {
        true => app.registry.mode(Some(&subject)),
        false => {
            let own = app.registry.own_mode(Some(&subject));
            own.ok_or(Refusal::NoMode(subject))?
        }
    };
    Ok(shown(mode))
}

/// `PUT /mode`
pub(super) async fn set_global(
    State(app): State<App>,
    asked: Asked,
    Body(request): Body<ModeRequest>,
) -> Answer {
    set_for(&app, None, &asked, &request).await
}

/// `PUT /mode/{subject}`
pub(super) async fn set(
    State(app): State<App>,
    Path(subject): Path<String>,
    asked: Asked,
    Body(request): Body<ModeRequest>,
) -> Answer {
    set_for(&app, Some(&subject), &asked, &request).await
}

async fn set_for(app: &App, subject: Option<&str>, asked: &Asked, request: &ModeRequest) -> Answer {
    let mode =
        Mode::parse(&request.mode).ok_or_else(|| Refusal::InvalidMode(request.mode.clone()))?;
    let force = asked.flag("force");
    app.registry.set_mode(subject, mode, force).await?;
    Ok(shown(mode))
}

/// `DELETE /mode`
pub(super) async fn delete_global(State(app): State<App>) -> Answer {
    Ok(shown(app.registry.delete_mode(None).await?))
}

/// `DELETE /mode/{subject}`
pub(super) async fn delete(State(app): State<App>, Path(subject): Path<String>) -> Answer {
    Ok(shown(app.registry.delete_mode(Some(&subject)).await?))
}

fn shown(mode: Mode) -> Json<serde_json::Value> {
    Json(json!({"mode": mode.as_str()}))
}
