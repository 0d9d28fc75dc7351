//! Content types: requests in any of the registry's, answers in the one that was asked for.

use super::failure::Failure;
use crate::rest::{
    auth::{Auth, Role, Verdict},
    failure::cut,
    guard,
};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::sync::Arc;

/// What Confluent's registry answers to whom it knows, for what is not theirs to do.
const FORBIDDEN: u16 = 40_301;

/// What the framework says of a request it refuses is a sentence.
const FRAMEWORK_TEXT_BYTES_MAX: usize = 4_096;

/// What answers are in unless somebody asks for another.
const V1: &str = "application/vnd.schemaregistry.v1+json";
const UNVERSIONED: &str = "application/vnd.schemaregistry+json";
const JSON: &str = "application/json";
/// Clients that do not know better send this.
const OCTETS: &str = "application/octet-stream";

/// Refuses bodies of anything but the registry's types: a foreign page cannot send those without being asked first.
pub(super) async fn writes_are_json(request: Request, next: Next) -> Response {
    let writes = matches!(
        *request.method(),
        Method::POST | Method::PUT | Method::PATCH
    );
    let kind = media_type(request.headers().get(header::CONTENT_TYPE));
    if !writes || [V1, UNVERSIONED, JSON, OCTETS].contains(&kind.as_str()) {
        return next.run(request).await;
    }
    let message = format!(
        "HTTP 415 Unsupported Media Type: {} is not taken (send the header Content-Type: {V1} or {JSON})",
        if kind.is_empty() {
            "a body without Content-Type".to_owned()
        } else {
            cut(&kind)
        }
    );
    Failure::plain(415, message).into_response()
}

/// Lets in whom [`Auth`] knows; answers others as Confluent's registry does.
pub(super) async fn users_only(
    State(auth): State<Arc<Auth>>,
    mut request: Request,
    next: Next,
) -> Response {
    let refusal = match guard::shown(&auth, &mut request, &[Role::Registry]).await {
        Verdict::Welcome => return next.run(request).await,
        Verdict::Stranger => Failure::plain(401, "Unauthorized"),
        Verdict::Forbidden => {
            let (role, needs) = (Role::Registry.name(), guard::NEEDS);
            Failure::plain(FORBIDDEN, format!("{} ({needs} {role})", guard::FORBIDDEN))
        }
        Verdict::Later => Failure::plain(503, guard::LATER),
    };
    let status = refusal.status();
    let mut refusal = in_form(refusal.into_response(), JSON);
    if status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static(guard::CHALLENGE);
        refusal
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge);
    }
    refusal
}

/// Gives every answer the type that was asked for, and errors of the framework itself the form of all others.
pub(super) async fn answers_in_form(request: Request, next: Next) -> Response {
    let Some(kind) = wanted(request.headers()) else {
        let message = format!(
            "HTTP 406 Not Acceptable (answers are {V1} or {JSON}: let the header Accept name one)"
        );
        return in_form(Failure::plain(406, message).into_response(), V1);
    };
    let path = cut(request.uri().path());
    let response = next.run(request).await;
    let status = response.status();
    let failed = status.is_client_error() || status.is_server_error();
    if failed && media_type(response.headers().get(header::CONTENT_TYPE)) != JSON {
        let text = axum::body::to_bytes(response.into_body(), FRAMEWORK_TEXT_BYTES_MAX).await;
        let text = text.unwrap_or_default();
        let text = cut(&String::from_utf8_lossy(&text));
        let message = format!(
            "HTTP {status}: {path}: {text} (correct what is named there and send it again)"
        );
        let failure = Failure::plain(status.as_u16(), message);
        return in_form(failure.into_response(), kind);
    }
    in_form(response, kind)
}

fn in_form(mut response: Response, kind: &'static str) -> Response {
    let value = HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}

/// The type that the caller likes best and we have; the first of equals. `None`: there is none.
fn wanted(headers: &HeaderMap) -> Option<&'static str> {
    let Some(accept) = headers.get(header::ACCEPT) else {
        return Some(V1);
    };
    let accept = accept.to_str().unwrap_or_default();
    let mut best: Option<(f32, &'static str)> = None;
    for range in accept.split(',') {
        let (kind, parameters) = range.split_once(';').unwrap_or((range, ""));
        let ours = match kind.trim().to_ascii_lowercase().as_str() {
            V1 | "application/*" | "*/*" | "" => V1,
            UNVERSIONED => UNVERSIONED,
            JSON => JSON,
            _ => continue,
        };
        let quality = parameters.split(';').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            (name.trim() == "q").then(|| value.trim().parse::<f32>().ok())?
        });
        let quality = quality.unwrap_or(1.0);
        if quality > best.map_or(0.0, |(quality, _)| quality) {
            best = Some((quality, ours));
        }
    }
    best.map(|(_, kind)| kind)
}

fn media_type(value: Option<&HeaderValue>) -> String {
    let text = value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = text.split(';').next().unwrap_or_default().trim();
    kind.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::{JSON, UNVERSIONED, V1, wanted};
    use axum::http::{HeaderMap, HeaderValue, header};

    #[test]
    fn the_answers_type_is_the_one_that_is_liked_best() {
        for (accept, kind) in [
            ("*/*", Some(V1)),
            ("application/json", Some(JSON)),
            (
                "application/vnd.schemaregistry.v1+json, application/vnd.schemaregistry+json, application/json",
                Some(V1),
            ),
            (
                "application/json;q=0.2, application/vnd.schemaregistry+json;q=0.9",
                Some(UNVERSIONED),
            ),
            ("text/html, */*; q=0.1", Some(V1)),
            ("text/html", None),
            ("application/json;q=0", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(wanted(&headers), kind, "{accept}");
        }
        assert_eq!(wanted(&HeaderMap::new()), Some(V1));
    }
}
