//! How much may be asked: sizes, times and numbers, each a setting; and by which names.

use crate::rest::daemon::{Daemon, client};
use crate::support::wait::{DEADLINE, until};
use reqwest::{Method, header};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

#[tokio::test(flavor = "multi_thread")]
async fn bodies_heads_names_and_connectors_have_their_bounds() {
    let mut daemon = Daemon::new(
        "http.body.max.bytes: 4KiB\nhttp.header.max.bytes: 8KiB\nconnectors.max: 2\nconnector.name.max.chars: 10\n\
         connector.files.allowed.paths: FOLDER\n",
    );
    daemon.start(&["worker"]).await;
    let file = daemon.path("x").display().to_string();
    let config = json!({"connector.class": "FileStreamSource", "topic": "t", "file": file});
    let create = async |name: &str| {
        let body = json!({"name": name, "config": config});
        daemon.ask(Method::POST, "/connectors", Some(body)).await
    };
    let (code, answer) = create(&"x".repeat(8 << 10)).await;
    assert_eq!((code, &answer["error_code"]), (413, &json!(413)));
    let (code, answer) = create("longer-than-ten").await;
    assert!(
        code == 400 && answer.to_string().contains("longer than 10"),
        "{answer}"
    );
    assert_eq!(create("a").await.0, 201);
    assert_eq!(create("b").await.0, 201);
    let (code, answer) = create("c").await;
    assert!(
        code == 400 && answer.to_string().contains("connectors.max"),
        "{answer}"
    );
    for url in [daemon.url(), daemon.registry_url()] {
        let large = client().get(&url).header("x-large", "x".repeat(16 << 10));
        let large = large.send().await.expect("it answers");
        assert_eq!(large.status(), 431, "{url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_too_slow_to_ask_is_sent_away() {
    let mut daemon = Daemon::new("http.header.timeout.ms: 300ms\n");
    daemon.start(&["worker"]).await;
    for said in [
        "",
        "GET / HTTP/1.1\r\nhost: loc",
        "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ] {
        let mut slow = connect(&daemon).await;
        slow.write_all(said.as_bytes()).await.expect("it is sent");
        let mut heard = Vec::new();
        let closed = timeout(DEADLINE, slow.read_to_end(&mut heard)).await;
        assert!(closed.is_ok(), "{said:?} is still connected");
    }
    assert_eq!(daemon.get("/").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_counted_and_one_too_many_is_told_so() {
    let mut daemon = Daemon::new("http.connections.max: 3\n");
    daemon.start(&["worker"]).await;
    let mut open = Vec::new();
    until("three connections are served", async || {
        let mut one = connect(&daemon).await;
        let _asked = one
            .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await;
        let mut heard = [0; 12];
        one.read_exact(&mut heard).await.ok()?;
        if &heard == b"HTTP/1.1 200" {
            open.push(one);
        }
        (open.len() == 3).then_some(())
    })
    .await;
    let mut heard = String::new();
    let mut fourth = connect(&daemon).await;
    let read = timeout(DEADLINE, fourth.read_to_string(&mut heard)).await;
    assert!(read.is_ok(), "the fourth is held");
    assert!(
        heard.starts_with("HTTP/1.1 503") && heard.contains("http.connections.max"),
        "{heard}"
    );
    // The other listener counts for itself.
    let registry = client().get(format!("{}/subjects", daemon.registry_url()));
    assert_eq!(registry.send().await.expect("it answers").status(), 200);
    open.pop();
    until("there is room again", async || {
        let answer = client().get(daemon.url()).send().await.ok()?;
        (answer.status() == 200).then_some(())
    })
    .await;
}

async fn connect(daemon: &Daemon) -> TcpStream {
    TcpStream::connect(("127.0.0.1", daemon.port()))
        .await
        .expect("it connects")
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_servers_and_rebound_names_are_refused_everywhere() {
    let mut daemon = Daemon::new("");
    daemon.start(&["worker"]).await;
    let (rest, registry) = (daemon.url(), daemon.registry_url());
    for url in [
        format!("{rest}/connectors"),
        format!("{rest}/tapline/v1/status"),
        format!("{rest}/tapline/v1/topics"),
        format!("{rest}/metrics"),
        format!("{rest}/admin/loggers"),
        format!("{registry}/subjects"),
    ] {
        for (name, value, code) in [
            (header::HOST, "localhost:8083", 200),
            (header::HOST, "evil.example", 403),
            (header::HOST, "127.0.0.1.evil.example", 403),
            (header::ORIGIN, "http://localhost", 200),
            (header::ORIGIN, "https://evil.example", 403),
            (header::ORIGIN, "null", 403),
        ] {
            let asked = client().get(&url).header(&name, value).send();
            assert_eq!(
                asked.await.expect("it answers").status(),
                code,
                "{url} {name}: {value}"
            );
        }
    }
}
