//! An HTTP/1.1 client that sends a request target byte for byte as it is written.
//!
//! A library would mend what the comparison wants to send: `//`, `%2e`, a GET with a body, no Content-Type. One request
//! per connection, bounded in time.

use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Longer than the 90 s after which the original gives up on a request.
const PATIENCE: Duration = Duration::from_secs(100);

/// What goes out.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method, any word.
    pub method: String,
    /// Path and query as they are sent.
    pub target: String,
    /// Headers beside Host, Connection and Content-Length.
    pub headers: Vec<(String, String)>,
    /// The body; `None` sends no Content-Length either.
    pub body: Option<String>,
}

impl Request {
    /// A request without a body.
    pub fn bare(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: None,
        }
    }
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Headers with names in lower case, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
}

/// Sends one request; an error is a text that says what the server did.
pub async fn send(to: SocketAddr, request: &Request) -> Result<Reply, String> {
    let exchange = async {
        let mut stream = TcpStream::connect(to).await?;
        stream.write_all(&written(to, request)).await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        Ok::<_, std::io::Error>(bytes)
    };
    let what = || format!("{} {}", request.method, request.target);
    let bytes = timeout(PATIENCE, exchange)
        .await
        .map_err(|_elapsed| format!("{}: no answer in {PATIENCE:?}", what()))?
        .map_err(|error| format!("{}: {error}", what()))?;
    read(&bytes).ok_or_else(|| {
        format!(
            "{}: not HTTP: {:?}",
            what(),
            String::from_utf8_lossy(&bytes)
        )
    })
}

fn written(to: SocketAddr, request: &Request) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
    let mut headers = vec![("Connection".to_owned(), "close".to_owned())];
    if !request
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        headers.push(("Host".to_owned(), to.to_string()));
    }
    if let Some(body) = &request.body {
        headers.push(("Content-Length".to_owned(), body.len().to_string()));
    }
    headers.extend(request.headers.iter().cloned());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head.push_str(request.body.as_deref().unwrap_or_default());
    head.into_bytes()
}

/// An answer as it came, connection closed behind it; nothing if it is not HTTP.
pub fn read(bytes: &[u8]) -> Option<Reply> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(bytes.get(..end)?).ok()?;
    let body = bytes.get(end + 4..)?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let chunked = headers
        .iter()
        .any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = if chunked {
        unchunked(body)?
    } else {
        body.to_vec()
    };
    Some(Reply {
        status,
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n")?;
        let length = std::str::from_utf8(rest.get(..line)?).ok()?;
        let length = usize::from_str_radix(length.split(';').next()?.trim(), 16).ok()?;
        rest = rest.get(line + 2..)?;
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..length)?);
        rest = rest.get(length + 2..)?;
    }
}

#[test]
fn chunks_are_joined() {
    let reply = read(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
    );
    assert_eq!(reply.map(|reply| reply.body).as_deref(), Some("abcd"));
}
