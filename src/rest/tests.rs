use super::{Door, bind, entries_from_json, guarded, position_to_json};
use crate::worker::ConnectorKind;
use axum::{Router, body::Bytes, routing::get};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

fn entries(entry: Value, kind: ConnectorKind) -> Result<Value, String> {
    let entries = entries_from_json(&[entry], kind)?;
    let shown = entries.iter().map(|entry| {
        json!({
            "partition": position_to_json(&entry.partition),
            "offset": entry.offset.as_ref().map(position_to_json),
        })
    });
    Ok(shown.collect())
}

#[test]
fn offsets_round_trip_in_connects_shape() {
    let source =
        json!({"partition": {"server": "shop"}, "offset": {"lsn": 42, "done": true, "x": null}});
    assert_eq!(
        entries(source.clone(), ConnectorKind::Source),
        Ok(json!([source]))
    );
    let sink = json!({"partition": {"kafka_topic": "t", "kafka_partition": "1"}, "offset": {"kafka_offset": "17"}});
    assert_eq!(
        entries(sink, ConnectorKind::Sink),
        Ok(
            json!([{"partition": {"kafka_topic": "t", "kafka_partition": 1}, "offset": {"kafka_offset": 17}}])
        )
    );
    let reset = json!({"partition": {"server": "shop"}, "offset": null});
    assert_eq!(
        entries(reset.clone(), ConnectorKind::Source),
        Ok(json!([reset]))
    );
}

#[test]
fn malformed_offsets_are_refused_in_connects_words() {
    for (entry, kind, words) in [
        (
            json!({"partition": null}),
            ConnectorKind::Sink,
            "cannot be null or missing",
        ),
        (
            json!({"partition": {"kafka_topic": "t"}}),
            ConnectorKind::Sink,
            "must contain the keys",
        ),
        (
            json!({"partition": {"kafka_topic": "t", "kafka_partition": "x"}}),
            ConnectorKind::Sink,
            "Partition values for sink connectors need to be integers.",
        ),
        (
            json!({"partition": {"kafka_topic": "t", "kafka_partition": 0}, "offset": {"o": 1}}),
            ConnectorKind::Sink,
            "contain the key 'kafka_offset'",
        ),
        (
            json!({"partition": {"kafka_topic": "t", "kafka_partition": 0}, "offset": {"kafka_offset": -1}}),
            ConnectorKind::Sink,
            "Offset values",
        ),
        (
            json!({"partition": {"a": [1]}}),
            ConnectorKind::Source,
            "neither text",
        ),
        (
            json!({"partition": {"a": 1.5}}),
            ConnectorKind::Source,
            "64-bit integer",
        ),
        (
            json!({"partition": {}, "ofset": {}}),
            ConnectorKind::Source,
            "Unrecognized field",
        ),
        (json!([]), ConnectorKind::Source, "not an object"),
    ] {
        let refused = entries(entry.clone(), kind).expect_err("it is malformed");
        assert!(refused.contains(words), "{entry}: {refused}");
    }
}

#[tokio::test]
async fn only_loopback_is_bound_unless_the_flag_says_so() {
    let everywhere = "0.0.0.0:0".parse().expect("an address");
    let refused = bind(everywhere, false).await.expect_err("not loopback");
    assert_eq!(refused.code, Some("TL0130"));
    assert!(bind(everywhere, true).await.is_ok());
    let local = bind("127.0.0.1:0".parse().expect("an address"), false)
        .await
        .expect("loopback");
    let taken = local.local_addr().expect("an address");
    assert_eq!(
        bind(taken, false).await.expect_err("taken").code,
        Some("TL0131")
    );
}

/// A server with one resource behind the guards, and its base URL.
async fn server() -> String {
    let listener = bind("127.0.0.1:0".parse().expect("an address"), false)
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let thing = get(async || "thing")
        .post(async |body: Bytes| body.len().to_string())
        .delete(async || -> &'static str { panic!("with a secret in it") });
    let router = guarded(Router::new().route("/thing", thing), true, &Door::default());
    drop(tokio::spawn(axum::serve(listener, router).into_future()));
    format!("http://{address}")
}

/// Status and body of a request.
async fn ask(
    method: Method,
    url: &str,
    headers: &[(header::HeaderName, &str)],
    body: Vec<u8>,
) -> (StatusCode, String) {
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    let mut request = client.request(method, url).body(body);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let answer = request.send().await.expect("the server answers");
    (answer.status(), answer.text().await.expect("a body"))
}

const BODY_BYTES_MAX: usize = 1 << 20;

const JSON: (header::HeaderName, &str) = (header::CONTENT_TYPE, "application/json; charset=utf-8");

#[tokio::test]
async fn framework_errors_have_connects_shape() {
    let url = server().await;
    let get = async |path: &str| ask(Method::GET, &format!("{url}{path}"), &[], Vec::new()).await;
    assert_eq!(get("/thing").await, (StatusCode::OK, "thing".to_owned()));
    let (status, body) = get("/nothing").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(
        body,
        json!({
            "error_code": 404,
            "message": "HTTP 404 Not Found (nothing is at /nothing; use a path that begins with /connectors, \
                        /connector-plugins, /admin/loggers, /health, /metrics or /tapline/v1)",
        })
    );
    let (status, body) = ask(Method::PUT, &format!("{url}/thing"), &[JSON], Vec::new()).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(body.contains("HTTP 405 Method Not Allowed"), "{body}");
}

#[tokio::test]
async fn writes_without_json_and_large_bodies_are_refused() {
    let url = format!("{}/thing", server().await);
    let post = async |headers: &[(header::HeaderName, &str)], len: usize| {
        ask(Method::POST, &url, headers, vec![b' '; len]).await.0
    };
    assert_eq!(post(&[], 2).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let form = (header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    assert_eq!(post(&[form], 2).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(post(&[JSON], BODY_BYTES_MAX).await, StatusCode::OK);
    let large = vec![b' '; BODY_BYTES_MAX + 1];
    let (status, body) = ask(Method::POST, &url, &[JSON], large).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(body.contains("\"error_code\":413"), "{body}");
}

#[tokio::test]
async fn foreign_names_are_refused_on_loopback() {
    let url = format!("{}/thing", server().await);
    let get = async |headers: &[(header::HeaderName, &str)]| {
        ask(Method::GET, &url, headers, Vec::new()).await.0
    };
    assert_eq!(
        get(&[(header::HOST, "localhost:8083")]).await,
        StatusCode::OK
    );
    assert_eq!(
        get(&[(header::HOST, "evil.example")]).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        get(&[(header::ORIGIN, "https://evil.example")]).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        get(&[(header::ORIGIN, "null")]).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        get(&[(header::ORIGIN, "http://127.0.0.1:9")]).await,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_panic_is_an_answer_without_its_text() {
    let url = format!("{}/thing", server().await);
    let (status, body) = ask(Method::DELETE, &url, &[JSON], Vec::new()).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(
        body.contains("error_code") && !body.contains("secret"),
        "{body}"
    );
}
