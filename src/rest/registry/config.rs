//! `/config`: which readers must get along with which writers, for a subject or for all that have no level of their own.

use super::{
    Answer, App,
    query::Asked,
    request::{Body, ConfigRequest},
};
use crate::registry::{ConfigValue, Refusal};
use axum::{
    Json,
    extract::{Path, State},
};
use serde_json::{Value, json};

/// `GET /config`
pub(super) async fn show_global(State(app): State<App>) -> Answer {
    let config = app.registry.config(None).unwrap_or_default();
    Ok(Json(shown(&config, "compatibilityLevel")))
}

/// `GET /config/{subject}`
pub(super) async fn show(
    State(app): State<App>,
    Path(subject): Path<String>,
    asked: Asked,
) -> Answer {
    let own = app.registry.config(Some(&subject));
    if !asked.flag("defaultToGlobal") {
        let own = own.ok_or(Refusal::NoCompatibility(subject))?;
        return Ok(Json(shown(&own, "compatibilityLevel")));
    }
    let mut config = own.unwrap_or_default();
    let global = app.registry.config(None).unwrap_or_default();
    let level = app.registry.compatibility(Some(&subject));
    config.compatibility = Some(level.as_str().to_owned());
    config.normalize = config.normalize.or(global.normalize);
    Ok(Json(shown(&config, "compatibilityLevel")))
}

/// `PUT /config`
pub(super) async fn set_global(
    State(app): State<App>,
    Body(request): Body<ConfigRequest>,
) -> Answer {
    let config = app.registry.set_config(None, &request.change()?).await?;
    Ok(Json(shown(&config, "compatibility")))
}

/// `PUT /config/{subject}`
pub(super) async fn set(
    State(app): State<App>,
    Path(subject): Path<String>,
    Body(request): Body<ConfigRequest>,
) -> Answer {
    let change = request.change()?;
    let config = app.registry.set_config(Some(&subject), &change).await?;
    Ok(Json(shown(&config, "compatibility")))
}

/// `DELETE /config`: the default counts again.
pub(super) async fn delete_global(State(app): State<App>) -> Answer {
    let config = app.registry.delete_config(None).await?;
    Ok(Json(shown(&config, "compatibilityLevel")))
}

/// `DELETE /config/{subject}`: everybody's counts again.
pub(super) async fn delete(State(app): State<App>, Path(subject): Path<String>) -> Answer {
    let config = app.registry.delete_config(Some(&subject)).await?;
    Ok(Json(shown(&config, "compatibilityLevel")))
}

/// A change is answered with the key that it was made by, a question with the one of the topic's records.
fn shown(config: &ConfigValue, level: &str) -> Value {
    let mut answer = json!({});
    if let Some(normalize) = config.normalize {
        answer["normalize"] = json!(normalize);
    }
    if let Some(name) = &config.compatibility {
        answer[level] = json!(name);
    }
    answer
}
