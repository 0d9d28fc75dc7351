//! HTTP: health, metrics, records, offsets and states; one file per resource.
//!
//! Answers as a Kafka Connect worker does where Connect has the resource, and under `/tapline/v1` where it has not.
//! Reads and asks through [`Worker`] only; starts no connector and knows no file. Listens beyond loopback only behind a
//! [`Door`] with users and TLS, or where somebody asked for neither by name; see `guard`.
//!
//! Codes: TL0130 an address beyond loopback without users and TLS, TL0131 an address that cannot be bound.

pub mod auth;
mod body;
mod connectors;
mod failure;
mod guard;
mod health;
mod lifecycle;
mod listen;
mod loggers;
mod metrics;
mod offsets;
mod pipelines;
mod plugins;
mod records;
pub mod registry;
mod resnapshot;
mod root;
mod states;
pub mod tls;
mod topics;

pub use offsets::{entries_from_json, position_to_json};
pub use records::{HIGH_WATERMARK_HEADER, NEXT_OFFSET_HEADER};

use crate::{config::gate::HttpLimits, worker::Worker};
use auth::Auth;
use axum::{
    Extension, Router,
    extract::DefaultBodyLimit,
    http::{Method, Uri},
    middleware,
    routing::{MethodRouter, get, patch, post, put},
};
use failure::Failure;
use listen::Listening;
use std::{future::Future, net::SocketAddr, path::PathBuf, sync::Arc};
use tapline_sdk::{Error, Result};
use tls::Tls;
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;

/// What stands before a listener: who is let in, how, and how much they may ask for. The default lets everybody in.
#[derive(Clone, Default)]
pub struct Door {
    /// Who may ask; `None`: everybody.
    pub auth: Option<Arc<Auth>>,
    /// HTTPS; `None`: plain HTTP.
    pub tls: Option<Arc<Tls>>,
    /// What a connection and a request may cost.
    pub limits: HttpLimits,
}

impl Door {
    /// Whether it may stand open beyond this machine.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        self.auth.is_some() && self.tls.is_some()
    }

    fn listening(&self) -> Listening {
        Listening {
            limits: self.limits,
            tls: self.tls.clone(),
        }
    }
}

/// What every resource needs.
#[derive(Clone)]
pub struct App {
    /// Answers.
    pub worker: Worker,
    /// For the free space in `/health`.
    pub data_dir: PathBuf,
    /// Where this server listens; Kafka Connect's `worker_id`.
    pub address: SocketAddr,
}

impl App {
    /// This worker as Kafka Connect names it.
    fn worker_id(&self) -> String {
        self.address.to_string()
    }
}

/// Binds the address. Anything but loopback is refused unless `anywhere`: behind a door that [`Door::is_safe`], or
/// because somebody has asked for it by name.
///
/// # Errors
/// The address is not allowed, or somebody else has it.
pub async fn bind(address: SocketAddr, anywhere: bool) -> Result<TcpListener> {
    if !address.ip().is_loopback() && !anywhere {
        let problem = format!(
            "without users and TLS, whoever reaches {address} may do everything: it is not listened on"
        );
        let remedy = "set auth.users.file, tls.certificate.file and tls.key.file in the worker's settings, listen on \
                      127.0.0.1, or accept the risk with --insecure-rest-without-authentication";
        return Err(Error::config(problem).code("TL0130").remedy(remedy));
    }
    TcpListener::bind(address).await.map_err(|error| {
        let remedy =
            "stop the process that has the port, or choose another with --rest or --registry";
        Error::config(format!("cannot listen on {address}"))
            .code("TL0131")
            .remedy(remedy)
            .because(error)
    })
}

/// Serves behind the door until `stop` resolves; requests under way are finished first.
pub async fn serve(
    listener: TcpListener,
    app: App,
    door: Door,
    stop: impl Future<Output = ()> + Send,
) {
    listen::serve(listener, router(app, &door), door.listening(), stop).await;
}

fn router(app: App, door: &Door) -> Router {
    let local = app.address.ip().is_loopback();
    let routes = [
        ("/health", get(health::show)),
        ("/metrics", get(metrics::show)),
        (
            "/connectors",
            get(connectors::list).post(connectors::create),
        ),
        (
            "/connectors/{name}",
            get(connectors::info).delete(connectors::delete),
        ),
        (
            "/connectors/{name}/config",
            get(connectors::config_of)
                .put(connectors::configure)
                .patch(connectors::patch),
        ),
        ("/connectors/{name}/status", get(connectors::status)),
        ("/connectors/{name}/pause", put(lifecycle::pause)),
        ("/connectors/{name}/resume", put(lifecycle::resume)),
        ("/connectors/{name}/stop", put(lifecycle::stop)),
        ("/connectors/{name}/restart", post(lifecycle::restart)),
        ("/connectors/{name}/tasks", get(lifecycle::tasks)),
        (
            "/connectors/{name}/tasks/{task}/status",
            get(lifecycle::task_status),
        ),
        (
            "/connectors/{name}/tasks/{task}/restart",
            post(lifecycle::task_restart),
        ),
        ("/connectors/{name}/topics", get(lifecycle::topics)),
        (
            "/connectors/{name}/topics/reset",
            put(lifecycle::topics_reset),
        ),
        (
            "/connectors/{name}/offsets",
            get(offsets::show)
                .patch(offsets::alter)
                .delete(offsets::reset),
        ),
        ("/tapline/v1/connectors/{name}/offsets", patch(offsets::set)),
        ("/tapline/v1/status", get(health::connectors)),
        ("/tapline/v1/pipelines", pipelines()),
        ("/tapline/v1/topics", get(topics::list).post(topics::create)),
        (
            "/tapline/v1/topics/{topic}",
            get(topics::show)
                .patch(topics::alter)
                .delete(topics::delete),
        ),
        ("/tapline/v1/topics/{topic}/records", get(records::read)),
        (
            "/tapline/v1/connectors/{name}/resnapshot",
            post(resnapshot::start),
        ),
    ];
    let routes = routes
        .into_iter()
        .chain(plugins::routes())
        .chain(loggers::routes());
    let router = slash_or_none(routes).route("/", get(root::show));
    guarded(router, local, door).with_state(app)
}

/// The resources, each also with a slash at its end: Kafka Connect and Confluent's registry answer both, and real
/// clients write both.
fn slash_or_none<S: Clone + Send + Sync + 'static>(
    routes: impl IntoIterator<Item = (&'static str, MethodRouter<S>)>,
) -> Router<S> {
    let routes = routes.into_iter();
    routes.fold(Router::new(), |router, (path, methods)| {
        router
            .route(&format!("{path}/"), methods.clone())
            .route(path, methods)
    })
}

/// The resource of pipelines, with the turn that its writers take.
fn pipelines() -> MethodRouter<App> {
    post(pipelines::declare).layer(Extension(pipelines::Turn::default()))
}

/// What holds for every resource: limits, guards, and errors in Kafka Connect's shape.
fn guarded<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    local: bool,
    door: &Door,
) -> Router<S> {
    let router = router
        .fallback(async |uri: Uri| Failure::no_resource(uri.path()))
        .method_not_allowed_fallback(async |method: Method, uri: Uri| {
            Failure::not_allowed(&method, uri.path())
        })
        .layer(DefaultBodyLimit::max(door.limits.body_bytes))
        .layer(middleware::from_fn(guard::writes_are_json))
        .layer(middleware::from_fn(guard::answers_are_json))
        .layer(middleware::from_fn_with_state(
            local,
            guard::names_are_local,
        ))
        .layer(middleware::from_fn(guard::answers_in_time))
        .layer(middleware::from_fn_with_state(
            door.limits.body_bytes,
            guard::errors_are_json,
        ))
        .layer(CatchPanicLayer::custom(failure::panicked));
    match &door.auth {
        // Outermost: nothing is done for a stranger.
        Some(auth) => router.layer(middleware::from_fn_with_state(
            Arc::clone(auth),
            guard::users_only,
        )),
        None => router,
    }
}

#[cfg(test)]
mod tests;
