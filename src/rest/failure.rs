//! Errors as Kafka Connect shows them: `{"error_code": 404, "message": "…"}`, always with a message.

use axum::{
    Json,
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::json;
use std::{any::Any, borrow::Cow};
use tapline_sdk::{Error, ErrorKind};

/// More of a word that a caller made up tells nobody anything.
const SHOWN_CHARS_MAX: usize = 200;

/// A request that is not answered with what was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) message: String,
    remedy: Cow<'static, str>,
}

impl Failure {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            remedy: Cow::Borrowed(""),
        }
    }

    /// Adds what to do about it. It follows the message in brackets, so that what clients know of the original's words
    /// stays at the beginning.
    pub(super) fn remedy(mut self, remedy: impl Into<Cow<'static, str>>) -> Self {
        self.remedy = remedy.into();
        self
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// There is nothing at this path.
    pub(super) fn no_resource(path: &str) -> Self {
        let remedy = format!(
            "nothing is at {}; use a path that begins with /connectors, /connector-plugins, /admin/loggers, /health, \
             /metrics or /tapline/v1",
            cut(path)
        );
        Self::not_found("HTTP 404 Not Found").remedy(remedy)
    }

    /// There is something at this path that this method is not for.
    pub(super) fn not_allowed(method: &Method, path: &str) -> Self {
        let message = "HTTP 405 Method Not Allowed";
        let (method, path) = (cut(method.as_str()), cut(path));
        let remedy = format!("{path} does not take {method}; the header Allow names what it takes");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, message).remedy(remedy)
    }
}

/// A wrong request is the caller's, everything else the worker's. The remedy is part of the message: a caller has
/// nothing else to read.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match error.kind {
            ErrorKind::Config => StatusCode::BAD_REQUEST,
            ErrorKind::Disconnected | ErrorKind::Retriable | ErrorKind::Fatal => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        let code = error
            .code
            .map(|code| format!(" [{code}]"))
            .unwrap_or_default();
        let failure = Self::new(status, format!("{}{code}", error.chain()));
        failure.remedy(error.remedy.unwrap_or_default())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let message = match &*self.remedy {
            "" => self.message,
            remedy => format!("{} ({remedy})", self.message),
        };
        let body = json!({"error_code": self.status.as_u16(), "message": message});
        (self.status, Json(body)).into_response()
    }
}

/// A caller's word, cut to what can be read.
pub(super) fn cut(word: &str) -> String {
    match word.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((at, _)) => format!("{}…", word.split_at(at).0),
        None => word.to_owned(),
    }
}

/// A handler that panicked. What it said may hold anything, so only the log learns that it happened.
pub(super) fn panicked(_what: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a request handler panicked");
    Failure::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "the worker failed to answer; its log says more",
    )
    .into_response()
}
