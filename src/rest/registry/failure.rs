//! Errors as Confluent's registry shows them: `{"error_code": 40401, "message": "…"}`, the code's first three digits
//! being the HTTP status.

use crate::registry::Refusal;
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

/// A request that is not answered with what was asked for.
#[derive(Debug)]
pub(super) struct Failure {
    code: u16,
    message: String,
}

impl Failure {
    /// An error that is none of the registry's store: an HTTP status, or one of Confluent's codes.
    pub(super) fn plain(code: u16, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        let status = match self.code {
            code @ ..1_000 => code,
            code => code / 100,
        };
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        if let Refusal::Store(error) = &refusal {
            tracing::error!(error = %error.chain(), "the schema registry could not store a change");
        }
        Self {
            code: refusal.code(),
            message: refusal.to_string(),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = json!({"error_code": self.code, "message": self.message});
        (self.status(), Json(body)).into_response()
    }
}
