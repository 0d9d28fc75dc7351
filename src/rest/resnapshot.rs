//! `POST /tapline/v1/connectors/{name}/resnapshot`: a source reads tables again, `{"tables": ["public.orders"]}`, or
//! all of them.

use super::{App, body, connectors, failure::Failure};
use crate::worker::ConnectorKind;
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    tables: Vec<String>,
}

pub(super) async fn start(
    State(app): State<App>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let connector = connectors::require(&app, &name)?;
    if connector.kind != ConnectorKind::Source {
        let message = format!("Connector {name} is a sink: only a source can read tables again");
        return Err(Failure::bad_request(message).remedy("name the source that writes its topics"));
    }
    let wanted: Wanted = if body.is_empty() {
        Wanted::default()
    } else {
        serde_json::from_slice(&body).map_err(|error| {
            body::misshapen("the body cannot be read", &error)
                .remedy("send {\"tables\": [\"schema.table\", …]}, or nothing for all of them")
        })?
    };
    app.worker.resnapshot(&name, &wanted.tables).await?;
    let message = match wanted.tables.as_slice() {
        [] => format!("Connector {name} reads all of its tables again"),
        tables => format!("Connector {name} reads {} again", tables.join(", ")),
    };
    Ok((StatusCode::ACCEPTED, Json(json!({"message": message}))))
}
