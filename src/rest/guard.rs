//! What a browser must not be tricked into: a write's body needs a JSON content type, which a foreign page cannot send
//! without being asked first (a write without a body has the page's Origin), and on loopback the Host and Origin must be local names, against DNS rebinding. Nor may a request
//! be held for ever.

use super::{
    auth::{Auth, Role, Verdict},
    failure::{Failure, cut},
};
use crate::herder::watched;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{net::IpAddr, sync::Arc, time::Duration};

/// As in Kafka Connect: a request that takes longer is given up.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(90);

/// What the framework says of a request it refuses is a sentence.
const FRAMEWORK_TEXT_BYTES_MAX: usize = 4_096;

/// Refuses writes of anything but JSON. Pause, stop and their like have no body and need no type.
pub(super) async fn writes_are_json(request: Request, next: Next) -> Response {
    let reads = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    if reads || is_json(request.headers()) || has_no_body(request.headers()) {
        return next.run(request).await;
    }
    let message = "HTTP 415 Unsupported Media Type";
    Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
        .remedy("send the body as JSON, with the header Content-Type: application/json")
        .into_response()
}

/// Lets in whom [`Auth`] knows; answers others as Kafka Connect's basic authentication does. What was shown is taken off
/// the request: nobody behind needs it.
pub(super) async fn users_only(
    State(auth): State<Arc<Auth>>,
    mut request: Request,
    next: Next,
) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let path = request.uri().path().trim_end_matches('/');
    let needs: &[Role] = match path {
        "/health" | "/metrics" if reads => &[Role::Connect, Role::Monitor],
        _ => &[Role::Connect],
    };
    match shown(&auth, &mut request, needs).await {
        Verdict::Welcome => next.run(request).await,
        Verdict::Forbidden => Failure::new(StatusCode::FORBIDDEN, FORBIDDEN)
            .remedy(format!("{NEEDS} {}", Role::Connect.name()))
            .into_response(),
        Verdict::Stranger => {
            let challenge = [(header::WWW_AUTHENTICATE, CHALLENGE)];
            let text = "User cannot access the resource.";
            (StatusCode::UNAUTHORIZED, challenge, text).into_response()
        }
        Verdict::Later => Failure::new(StatusCode::SERVICE_UNAVAILABLE, LATER)
            .remedy("send it again in a moment")
            .into_response(),
    }
}

/// What a request shows of who asks, judged and removed.
pub(super) async fn shown(auth: &Arc<Auth>, request: &mut Request, needs: &[Role]) -> Verdict {
    let shown = request.headers_mut().remove(header::AUTHORIZATION);
    let shown = shown.as_ref().and_then(|value| value.to_str().ok());
    auth.judge(shown, needs).await
}

/// Asks for a user and a password.
pub(super) const CHALLENGE: &str = "Basic realm=\"tapline\", charset=\"UTF-8\"";

/// To whom we know, for what is not theirs to do, and what helps.
pub(super) const FORBIDDEN: &str = "the user may not do this";
pub(super) const NEEDS: &str = "the line of auth.users.file needs the role";

/// To who comes while too many passwords are being verified.
pub(super) const LATER: &str = "too many logins at the same time";

/// Refuses to answer who takes no JSON, as Kafka Connect does. What is no resource of Connect's may answer otherwise.
pub(super) async fn answers_are_json(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let ours = path.starts_with("/metrics") || path.starts_with("/tapline/");
    if ours || accepts_json(request.headers()) {
        return next.run(request).await;
    }
    Failure::new(StatusCode::NOT_ACCEPTABLE, "HTTP 406 Not Acceptable")
        .remedy("answers are JSON: let the header Accept name application/json, or leave it out")
        .into_response()
}

/// Refuses names that are not of this machine, if the server listens on loopback; elsewhere, pages of other servers.
pub(super) async fn names_are_local(
    State(local): State<bool>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let (fine, refusal, remedy) = match local {
        true => (
            is_local(headers, header::HOST) && origin_is_local(headers),
            "this worker listens on loopback and answers to local names only",
            "let the headers Host and Origin, where they are sent, name 127.0.0.1, [::1] or localhost",
        ),
        false => (
            origin_is_host(headers),
            "this worker answers to no page but its own: Origin and Host differ",
            "send the request from no other page, or without the header Origin",
        ),
    };
    if fine {
        return next.run(request).await;
    }
    Failure::new(StatusCode::FORBIDDEN, refusal)
        .remedy(remedy)
        .into_response()
}

/// Gives a request up that takes too long. What it began may still happen: every change of ours is safe to repeat.
pub(super) async fn answers_in_time(request: Request, next: Next) -> Response {
    match watched(REQUEST_TIME_MAX, next.run(request)).await {
        Ok(response) => response,
        Err(told) => Failure::new(StatusCode::INTERNAL_SERVER_ERROR, told)
            .remedy("see GET /tapline/v1/status what is held up; the request can be sent again")
            .into_response(),
    }
}

/// Gives errors of the framework itself (a body too large, a path that is not UTF-8) the form of all others.
pub(super) async fn errors_are_json(
    State(body_bytes_max): State<usize>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || is_json(response.headers()) {
        return response;
    }
    let text = axum::body::to_bytes(response.into_body(), FRAMEWORK_TEXT_BYTES_MAX).await;
    let text = text.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let (what, remedy) = match status {
        StatusCode::PAYLOAD_TOO_LARGE => (
            format!("the body has more than {body_bytes_max} bytes"),
            "send less at once, or raise http.body.max.bytes in the worker's settings",
        ),
        _ if text.is_empty() => (format!("{path} failed"), "the worker's log says more"),
        _ => (
            format!("{}: {}", cut(&path), cut(&text)),
            "correct what is named there and send the request again",
        ),
    };
    Failure::new(status, format!("HTTP {status}: {what}"))
        .remedy(remedy)
        .into_response()
}

fn has_no_body(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH);
    !headers.contains_key(header::CONTENT_TYPE)
        && !headers.contains_key(header::TRANSFER_ENCODING)
        && length.is_none_or(|length| length == "0")
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    let text = value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = text.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

fn accepts_json(headers: &HeaderMap) -> bool {
    let mut given = headers.get_all(header::ACCEPT).iter().peekable();
    let takes = |value: &HeaderValue| {
        let mut kinds = value.to_str().unwrap_or_default().split(',');
        kinds.any(|kind| {
            let kind = kind.split(';').next().unwrap_or_default().trim();
            ["*/*", "application/*", "application/json"].contains(&kind)
        })
    };
    given.peek().is_none() || given.any(takes)
}

/// HTTP/1.1 demands a Host; what comes without one is no browser.
fn is_local(headers: &HeaderMap, name: header::HeaderName) -> bool {
    match headers.get(name) {
        None => true,
        Some(value) => value.to_str().is_ok_and(is_local_name),
    }
}

fn origin_is_local(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let name = origin.to_str().ok().and_then(|text| text.split_once("://"));
    name.is_some_and(|(_, name)| is_local_name(name))
}

/// Beyond loopback any name may be ours; a page of another one has no business here.
fn origin_is_host(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let text = |value: &HeaderValue| value.to_str().map(str::to_ascii_lowercase).ok();
    let (origin, host) = (text(origin), headers.get(header::HOST).and_then(text));
    let origin = origin.as_deref().and_then(|text| text.split_once("://"));
    origin.is_some_and(|(_, name)| Some(name) == host.as_deref())
}

fn is_local_name(text: &str) -> bool {
    let Ok(authority) = text.parse::<Authority>() else {
        return false;
    };
    let host = authority.host().trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_local_name;

    #[test]
    fn only_names_of_this_machine_are_local() {
        for name in [
            "localhost",
            "LOCALHOST:8083",
            "127.0.0.1:8083",
            "127.8.8.8",
            "[::1]:8083",
        ] {
            assert!(is_local_name(name), "{name}");
        }
        for name in [
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1:8083",
            "",
            "127.0.0.1.x",
        ] {
            assert!(!is_local_name(name), "{name}");
        }
    }
}
