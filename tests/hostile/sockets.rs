//! What is no HTTP, or only half of it: bytes on a socket.
//!
//! Below a request there is nobody who could read a sentence: the rule is that the answer, if there is one, is a 4xx or
//! an answer to the part that was a request, that the connection ends, and that the next one is served.

use super::{case::Server, connect::pick, world::World};
use crate::compare::client;
use fastrand::Rng;

/// What is sent, and what it is called.
const PIECES: [(&str, &str); 26] = [
    ("no request line", "\r\n\r\n\r\n"),
    ("no request line", "hello\r\n\r\n"),
    ("no request line", "GET\r\n\r\n"),
    ("no request line", "GET /connectors\r\n\r\n"),
    (
        "no request line",
        "GET  /connectors  HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ),
    (
        "another protocol",
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}",
    ),
    ("another protocol", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("another protocol", "*1\r\n$4\r\nPING\r\n"),
    (
        "another version",
        "GET /connectors HTTP/9.9\r\nHost: localhost\r\n\r\n",
    ),
    ("another version", "GET /connectors HTTP/1.0\r\n\r\n"),
    (
        "bad header",
        "GET /connectors HTTP/1.1\r\nHost localhost\r\n\r\n",
    ),
    (
        "bad header",
        "GET /connectors HTTP/1.1\r\nHost: localhost\r\nA\0B: c\r\n\r\n",
    ),
    ("bad header", "GET /connectors HTTP/1.1\r\n : x\r\n\r\n"),
    (
        "bad header",
        "GET /connectors HTTP/1.1\r\nHost: localhost\r\n folded\r\n\r\n",
    ),
    (
        "bad target",
        "GET connectors HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ),
    ("bad target", "GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    (
        "bad target",
        "GET http://evil.example/connectors HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    ),
    (
        "bad target",
        "CONNECT evil.example:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ),
    (
        "bad length",
        "POST /connectors HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n{}",
    ),
    (
        "bad length",
        "POST /connectors HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    ),
    (
        "bad length",
        "POST /connectors HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999999\r\n\r\n{}",
    ),
    (
        "length and chunks",
        "POST /connectors HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "bad chunks",
        "POST /connectors HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: \
         chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    ),
    (
        "bad chunks",
        "POST /connectors HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: \
         chunked\r\n\r\nffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    ),
    (
        "cut off",
        "POST /connectors HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{",
    ),
    (
        "in a row",
        "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\nGET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\nrubbish\r\n\r\n",
    ),
];

/// Sends one piece; its name with the status of the first answer, 0 for none.
///
/// # Errors
/// What was answered, if that is against the rule.
pub async fn send(world: &World, random: &mut Rng) -> Result<(String, u16), String> {
    let server = pick(random, &[Server::Connect, Server::Registry]);
    let (name, bytes) = match random.u8(0..8) {
        0 => (
            "random bytes",
            (0..random.usize(1..400)).map(|_| random.u8(..)).collect(),
        ),
        1 => {
            let length = random.usize(70_000..200_000);
            let request = format!(
                "GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
                "x".repeat(length)
            );
            ("long target", request.into_bytes())
        }
        2 => {
            let headers: String = (0..random.usize(101..400))
                .map(|at| format!("H{at}: x\r\n"))
                .collect();
            let request = format!("GET /connectors HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
            ("many headers", request.into_bytes())
        }
        3 => {
            let (name, text) = pick(random, &PIECES);
            let mut bytes = text.as_bytes().to_vec();
            for _ in 0..random.usize(1..=3) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
            // What it has become is anybody's guess; the rule is the same.
            (
                if name.is_empty() {
                    name
                } else {
                    "damaged piece"
                },
                bytes,
            )
        }
        _ => {
            let (name, text) = pick(random, &PIECES);
            (name, text.as_bytes().to_vec())
        }
    };
    let shown = || String::from_utf8_lossy(bytes.get(..200).unwrap_or(&bytes)).into_owned();
    // Who resets the connection has answered, too.
    let answer = world.raw(server, &bytes, true).await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if error.contains("no answer in") => {
            return Err(format!("{name}: {error}: {}", shown()));
        }
        Err(_closed) => Vec::new(),
    };
    let Some(reply) = client::read(&answer) else {
        return match answer.is_empty() {
            true => Ok((format!("socket: {name}"), 0)),
            false => Err(format!(
                "{name}: no HTTP: {}",
                String::from_utf8_lossy(&answer)
            )),
        };
    };
    match reply.status {
        200..=499 => Ok((format!("socket: {name}"), reply.status)),
        status => Err(format!("{name}: answered {status}: {}", shown())),
    }
}
