//! Errors as Kafka Connect shows them: `{"error_code": 404, "message": "…"}`, always with a message.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;
use std::any::Any;
use tapline_sdk::{Error, ErrorKind};

/// A request that is not answered with what was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub(super) fn not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "HTTP 405 Method Not Allowed",
        )
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
        let remedy = error.remedy.as_ref();
        let remedy = remedy
            .map(|remedy| format!(" ({remedy})"))
            .unwrap_or_default();
        Self::new(status, format!("{}{code}{remedy}", error.chain()))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = json!({"error_code": self.status.as_u16(), "message": self.message});
        (self.status, Json(body)).into_response()
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
