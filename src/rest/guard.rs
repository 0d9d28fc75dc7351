//! What a browser must not be tricked into: a write's body needs a JSON content type, which a foreign page cannot send
//! without being asked first (a write without a body has the page's Origin), and on loopback the Host and Origin must be local names, against DNS rebinding. Nor may a request
//! be held for ever.

use super::failure::Failure;
use crate::herder::watched;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{net::IpAddr, time::Duration};

/// As in Kafka Connect: a request that takes longer is given up.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(90);

/// Refuses writes of anything but JSON. Pause, stop and their like have no body and need no type.
pub(super) async fn writes_are_json(request: Request, next: Next) -> Response {
    let reads = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    if reads || is_json(request.headers()) || has_no_body(request.headers()) {
        return next.run(request).await;
    }
    Failure::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "HTTP 415 Unsupported Media Type",
    )
    .into_response()
}

/// Refuses to answer who takes no JSON, as Kafka Connect does. What is no resource of Connect's may answer otherwise.
pub(super) async fn answers_are_json(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let ours = path.starts_with("/metrics") || path.starts_with("/tapline/");
    if ours || accepts_json(request.headers()) {
        return next.run(request).await;
    }
    Failure::new(StatusCode::NOT_ACCEPTABLE, "HTTP 406 Not Acceptable").into_response()
}

/// Refuses names that are not of this machine, if the server listens on loopback.
pub(super) async fn names_are_local(
    State(local): State<bool>,
    request: Request,
    next: Next,
) -> Response {
    if !local || (is_local(request.headers(), header::HOST) && origin_is_local(request.headers())) {
        return next.run(request).await;
    }
    Failure::new(
        StatusCode::FORBIDDEN,
        "this worker listens on loopback and answers to local names only, such as 127.0.0.1 or localhost",
    )
    .into_response()
}

/// Gives a request up that takes too long. What it began may still happen: every change of ours is safe to repeat.
pub(super) async fn answers_in_time(request: Request, next: Next) -> Response {
    match watched(REQUEST_TIME_MAX, next.run(request)).await {
        Ok(response) => response,
        Err(told) => Failure::new(StatusCode::INTERNAL_SERVER_ERROR, told).into_response(),
    }
}

/// Gives errors of the framework itself (a body too large, a path that is not UTF-8) the form of all others.
pub(super) async fn errors_are_json(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || is_json(response.headers()) {
        return response;
    }
    Failure::new(status, format!("HTTP {status}")).into_response()
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
