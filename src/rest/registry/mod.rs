//! The schema registry's HTTP API, Confluent's v1, on a listener of its own: `registry.listener`.
//!
//! One file per resource. Speaks with [`crate::registry`] only; what a schema means, and when a change is durable, is
//! decided there. Its own router, so that whoever may register schemas need not be let in to the connectors.

mod compatibility;
mod config;
mod failure;
mod media;
mod mode;
mod query;
mod request;
mod schemas;
mod subjects;
mod versions;

use super::{Door, failure::cut, guard, listen, slash_or_none};
use crate::registry::Registry;
use axum::{
    Json, Router,
    extract::DefaultBodyLimit,
    http::{Method, Uri},
    middleware,
    routing::{MethodRouter, get, post},
};
use failure::Failure;
use serde_json::{Value, json};
use std::{future::Future, net::SocketAddr, sync::Arc};
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;

/// A schema of the largest size as JSON text inside of JSON, where every quote has a backslash before it.
const BODY_BYTES_MAX: usize = 2 * crate::registry::SCHEMA_BYTES_MAX;

/// What every resource needs.
#[derive(Debug, Clone)]
pub struct App {
    /// Answers.
    pub registry: Arc<Registry>,
    /// Where this server listens.
    pub address: SocketAddr,
}

/// Serves until `stop` resolves; requests under way are finished first. The door's bound of bodies is not the
/// registry's: schemas have their own.
pub async fn serve(
    listener: TcpListener,
    app: App,
    door: Door,
    stop: impl Future<Output = ()> + Send,
) {
    listen::serve(listener, router(app, &door), door.listening(), stop).await;
}

/// The API's resources with everything that guards them.
pub(super) fn router(app: App, door: &Door) -> Router {
    let local = app.address.ip().is_loopback();
    let router = slash_or_none(routes())
        .route("/", get(async || Json(json!({}))))
        .fallback(async |uri: Uri| {
            let remedy =
                "use a path that begins with /subjects, /schemas, /compatibility, /config or /mode";
            let path = cut(uri.path());
            Failure::plain(
                404,
                format!("HTTP 404 Not Found (nothing is at {path}; {remedy})"),
            )
        })
        .method_not_allowed_fallback(async |method: Method, uri: Uri| {
            let (method, path) = (cut(method.as_str()), cut(uri.path()));
            let remedy =
                format!("{path} does not take {method}; the header Allow names what it takes");
            Failure::plain(405, format!("HTTP 405 Method Not Allowed ({remedy})"))
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn(media::writes_are_json))
        .layer(middleware::from_fn_with_state(
            local,
            guard::names_are_local,
        ))
        .layer(middleware::from_fn(guard::answers_in_time))
        .layer(CatchPanicLayer::custom(super::failure::panicked))
        .layer(middleware::from_fn(media::answers_in_form))
        .with_state(app);
    match &door.auth {
        Some(auth) => router.layer(middleware::from_fn_with_state(
            Arc::clone(auth),
            media::users_only,
        )),
        None => router,
    }
}

fn routes() -> [(&'static str, MethodRouter<App>); 20] {
    [
        ("/contexts", get(async || Json(json!(["."])))),
        ("/schemas", get(schemas::list)),
        ("/schemas/types", get(async || Json(json!(["AVRO"])))),
        ("/schemas/ids/{id}", get(schemas::show)),
        ("/schemas/ids/{id}/schema", get(schemas::text)),
        ("/schemas/ids/{id}/subjects", get(schemas::subjects)),
        ("/schemas/ids/{id}/versions", get(schemas::versions)),
        ("/subjects", get(subjects::list)),
        (
            "/subjects/{subject}",
            post(subjects::look_up).delete(subjects::delete),
        ),
        (
            "/subjects/{subject}/versions",
            get(versions::list).post(versions::register),
        ),
        (
            "/subjects/{subject}/versions/{version}",
            get(versions::show).delete(versions::delete),
        ),
        (
            "/subjects/{subject}/versions/{version}/schema",
            get(versions::text),
        ),
        (
            "/subjects/{subject}/versions/{version}/referencedby",
            get(versions::referenced_by),
        ),
        (
            "/compatibility/subjects/{subject}/versions",
            post(compatibility::check_subject),
        ),
        (
            "/compatibility/subjects/{subject}/versions/{version}",
            post(compatibility::check_version),
        ),
        (
            "/config",
            get(config::show_global)
                .put(config::set_global)
                .delete(config::delete_global),
        ),
        (
            "/config/{subject}",
            get(config::show).put(config::set).delete(config::delete),
        ),
        (
            "/mode",
            get(mode::show_global)
                .put(mode::set_global)
                .delete(mode::delete_global),
        ),
        (
            "/mode/{subject}",
            get(mode::show).put(mode::set).delete(mode::delete),
        ),
        // Clients ask it before they send the features of a newer version.
        ("/v1/metadata/version", get(async || Json(version()))),
    ]
}

fn version() -> Value {
    json!({"version": concat!("tapline-", env!("CARGO_PKG_VERSION")), "commitId": ""})
}

/// What a handler answers.
type Answer = Result<Json<Value>, Failure>;
