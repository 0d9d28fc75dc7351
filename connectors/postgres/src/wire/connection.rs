//! A logged-in session: statements by the simple query protocol, and the way into COPY and replication.

use super::{
    buffer::ReceiveBuffer,
    endpoint::{Endpoint, LoggedIn, Session},
    login::log_in,
    socket::Socket,
};
use crate::error::{ServerError, disconnected, protocol};
use bytes::BytesMut;
use postgres_protocol::message::frontend;
use std::io;
use tapline_sdk::{Error, Result};
use tokio::io::AsyncWriteExt;

/// A row of texts, `None` for NULL.
pub type Row = Vec<Option<String>>;

/// Rows of one answer; catalogue queries are the only ones asked this way, so an answer is small.
pub type Reply = Vec<Row>;

/// One session.
pub struct Connection {
    pub(super) socket: Socket,
    pub(super) buffer: ReceiveBuffer,
    parameters: Vec<(String, String)>,
    process_id: u32,
}

impl Connection {
    /// Connects and logs in.
    ///
    /// # Errors
    /// What is in the way, without the password.
    pub async fn open(endpoint: &Endpoint, session: Session) -> Result<Self> {
        let LoggedIn {
            socket,
            buffer,
            parameters,
            process_id,
        } = Box::pin(log_in(endpoint, session)).await?;
        Ok(Self {
            socket,
            buffer,
            parameters,
            process_id,
        })
    }

    /// A server parameter as it was at login, such as `server_version`.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The server's process for this session.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process_id
    }

    /// Runs a statement and returns its rows.
    ///
    /// # Errors
    /// `doing` with what the server said.
    pub async fn query(&mut self, doing: &str, sql: &str) -> Result<Reply> {
        match self.try_query(sql).await? {
            Ok(rows) => Ok(rows),
            Err(error) => Err(error.into_error(doing)),
        }
    }

    /// Runs a statement for its effect.
    ///
    /// # Errors
    /// `doing` with what the server said.
    pub async fn execute(&mut self, doing: &str, sql: &str) -> Result<()> {
        self.query(doing, sql).await.map(drop)
    }

    /// As [`Connection::query`], with the server's error apart for whoever can do something about it.
    ///
    /// # Errors
    /// If the connection fails.
    pub async fn try_query(&mut self, sql: &str) -> Result<Result<Reply, ServerError>> {
        self.send_query(sql).await?;
        let mut rows = Vec::new();
        let mut error = None;
        loop {
            self.fill_message().await?;
            let Some((message, total)) = self.buffer.peek()? else {
                continue;
            };
            match message.tag {
                b'D' => rows.push(row(message.body)?),
                b'E' => error = error.or_else(|| Some(ServerError::parse(message.body))),
                b'Z' => {
                    self.buffer.consume(total);
                    return Ok(error.map_or(Ok(rows), Err));
                }
                // Row descriptions, command tags, notices, parameters, empty queries.
                b'T' | b'C' | b'N' | b'S' | b'I' | b'A' => {}
                tag => {
                    return Err(protocol(format!(
                        "the server answered a query with message {}",
                        char::from(tag)
                    )));
                }
            }
            self.buffer.consume(total);
        }
    }

    /// Says goodbye; a server that is gone needs none.
    pub async fn close(mut self) {
        let mut message = BytesMut::new();
        frontend::terminate(&mut message);
        if self.socket.write_all(&message).await.is_ok() {
            let _gone = self.socket.shutdown().await;
        }
    }

    /// Sends a statement that ends in the COPY state told by message `wanted`.
    pub(super) async fn begin_copy(&mut self, doing: &str, sql: &str, wanted: u8) -> Result<()> {
        self.send_query(sql).await?;
        loop {
            self.fill_message().await?;
            let Some((message, total)) = self.buffer.peek()? else {
                continue;
            };
            match message.tag {
                tag if tag == wanted => {
                    self.buffer.consume(total);
                    return Ok(());
                }
                b'E' => {
                    let error = ServerError::parse(message.body);
                    self.buffer.consume(total);
                    self.until_ready().await?;
                    return Err(error.into_error(doing));
                }
                b'N' | b'S' | b'A' => self.buffer.consume(total),
                tag => {
                    return Err(protocol(format!(
                        "the server answered COPY with message {}",
                        char::from(tag)
                    )));
                }
            }
        }
    }

    pub(super) async fn until_ready(&mut self) -> Result<Option<ServerError>> {
        let mut error = None;
        loop {
            self.fill_message().await?;
            let Some((message, total)) = self.buffer.peek()? else {
                continue;
            };
            let tag = message.tag;
            if tag == b'E' {
                error = error.or_else(|| Some(ServerError::parse(message.body)));
            }
            self.buffer.consume(total);
            if tag == b'Z' {
                return Ok(error);
            }
        }
    }

    /// Waits until the buffer holds a whole message.
    pub(super) async fn fill_message(&mut self) -> Result<()> {
        while self.buffer.peek()?.is_none() {
            if self.buffer.fill(&mut self.socket).await? == 0 {
                return Err(closed());
            }
        }
        Ok(())
    }

    async fn send_query(&mut self, sql: &str) -> Result<()> {
        let mut message = BytesMut::new();
        frontend::query(sql, &mut message).map_err(|error| {
            Error::config("a name or setting holds a zero byte")
                .code("TL0318")
                .because(error)
        })?;
        let broken = |error| disconnected("cannot send a statement to the server", error);
        self.socket.write_all(&message).await.map_err(broken)?;
        self.socket.flush().await.map_err(broken)
    }
}

pub(super) fn closed() -> Error {
    let error = io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the server closed the connection",
    );
    disconnected("lost the connection to the server", error)
}

/// DataRow: a count, and a length and a value per column.
fn row(body: &[u8]) -> Result<Row> {
    read_row(body).ok_or_else(|| protocol("the server sent a row that is cut short"))
}

fn read_row(body: &[u8]) -> Option<Row> {
    let (count, mut rest) = body.split_first_chunk::<2>()?;
    let mut row = Vec::with_capacity(usize::from(u16::from_be_bytes(*count)));
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk::<4>()?;
        rest = after;
        row.push(match usize::try_from(i32::from_be_bytes(*length)) {
            Err(_) => None,
            Ok(length) => {
                let (value, after) = rest.split_at_checked(length)?;
                rest = after;
                Some(String::from_utf8_lossy(value).into_owned())
            }
        });
    }
    Some(row)
}
