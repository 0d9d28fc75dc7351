//! The replication sub-protocol: frames in, standby status out, each half on its own so that status goes out while the
//! reading half waits for room downstream.

use super::{
    buffer::{RECEIVE_BYTES, ReceiveBuffer},
    connection::{Connection, closed},
    halves::{ReadSide, WriteSide, halves},
    socket::Socket,
};
use crate::{
    error::{ServerError, disconnected, protocol},
    lsn::Lsn,
};
use bytes::BytesMut;
use postgres_protocol::message::frontend;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tapline_sdk::Result;
use tokio::{io::AsyncWriteExt, time::timeout};

/// Between 1970 and 2000, the server's epoch.
const EPOCH_SECONDS: u64 = 946_684_800;

/// A goodbye is a courtesy: the server notices the closed socket anyway.
const GOODBYE_WAIT: Duration = Duration::from_secs(1);

/// A session that replicates.
pub struct Replication {
    /// The reading half.
    pub frames: Frames,
    /// The writing half.
    pub status: StatusWriter,
}

impl Connection {
    /// Starts replication; the session then does nothing else.
    ///
    /// # Errors
    /// `doing` with what the server said.
    pub async fn start_replication(mut self, doing: &str, sql: &str) -> Result<Replication> {
        self.buffer.reserve(RECEIVE_BYTES);
        self.begin_copy(doing, sql, b'W').await?;
        Replication::new(self.socket, self.buffer)
    }
}

impl Replication {
    fn new(socket: Socket, buffer: ReceiveBuffer) -> Result<Self> {
        let (reader, writer) = halves(socket)
            .map_err(|error| disconnected("cannot take the replication socket apart", error))?;
        Ok(Self {
            frames: Frames { reader, buffer },
            status: StatusWriter { writer },
        })
    }
}

/// One frame of the stream.
#[derive(Debug, Clone, Copy)]
pub enum Frame<'a> {
    /// A message of the output plugin.
    Data {
        /// Where the change lies in the log; 0 for messages that are no change.
        start: Lsn,
        /// The plugin's message.
        payload: &'a [u8],
    },
    /// How far the server has read.
    KeepAlive {
        /// Every transaction that committed before this has been sent.
        end: Lsn,
        /// The server wants an answer now.
        reply: bool,
    },
    /// The server ends the stream.
    Done,
}

/// The reading half.
pub struct Frames {
    reader: ReadSide,
    buffer: ReceiveBuffer,
}

impl Frames {
    /// The first frame in the buffer, if there is a whole one, and how many bytes it takes.
    ///
    /// # Errors
    /// What the server said, if it ended the stream with an error.
    pub fn peek(&self) -> Result<Option<(Frame<'_>, usize)>> {
        let Some((message, bytes)) = self.buffer.peek()? else {
            return Ok(None);
        };
        let frame = match message.tag {
            b'd' => {
                frame(message.body).ok_or_else(|| protocol("a replication frame is cut short"))?
            }
            b'c' | b'C' | b'Z' => Frame::Done,
            b'E' => {
                return Err(
                    ServerError::parse(message.body).into_error("the server ended the stream")
                );
            }
            b'N' | b'S' | b'A' => Frame::KeepAlive {
                end: Lsn::NONE,
                reply: false,
            },
            tag => {
                return Err(protocol(format!(
                    "message {} inside replication",
                    char::from(tag)
                )));
            }
        };
        Ok(Some((frame, bytes)))
    }

    /// Marks the first frame as done with.
    pub fn consume(&mut self, bytes: usize) {
        self.buffer.consume(bytes);
    }

    /// While data flows and the reader stays away, what arrives is to wake nobody.
    ///
    /// # Errors
    /// If the runtime cannot give the socket back.
    pub fn stay_away(&mut self) -> Result<()> {
        let broken = |error| disconnected("cannot take the socket off the watch", error);
        self.reader.unwatch().map_err(broken)
    }

    /// Reads what is there and returns how many bytes came. Cancelling it loses nothing.
    ///
    /// # Errors
    /// If the connection ends.
    pub async fn fill(&mut self) -> Result<usize> {
        match self.buffer.fill(&mut self.reader).await? {
            0 => Err(closed()),
            read => Ok(read),
        }
    }
}

fn frame(body: &[u8]) -> Option<Frame<'_>> {
    let (tag, rest) = body.split_first()?;
    let (first, rest) = rest.split_first_chunk::<8>()?;
    let first = Lsn(u64::from_be_bytes(*first));
    match tag {
        // Start, the server's end, its clock.
        b'w' => Some(Frame::Data {
            start: first,
            payload: rest.get(16..)?,
        }),
        // The clock, whether to reply.
        b'k' => Some(Frame::KeepAlive {
            end: first,
            reply: *rest.get(8)? != 0,
        }),
        _ => None,
    }
}

/// The writing half.
pub struct StatusWriter {
    writer: WriteSide,
}

impl StatusWriter {
    /// Tells the server what was received and what is durable with us; only the latter lets it forget its log. With
    /// `answer` it says at once that it is there.
    ///
    /// # Errors
    /// If the connection fails.
    pub async fn send(&mut self, received: Lsn, durable: Lsn, answer: bool) -> Result<()> {
        let mut message = Vec::with_capacity(39);
        message.extend_from_slice(&[b'd', 0, 0, 0, 38, b'r']);
        for lsn in [received, durable, durable] {
            message.extend_from_slice(&lsn.0.to_be_bytes());
        }
        message.extend_from_slice(&now().to_be_bytes());
        message.push(u8::from(answer));
        self.write(&message).await
    }

    /// Ends the stream and the session.
    pub async fn close(mut self) {
        let mut message = BytesMut::new();
        frontend::copy_done(&mut message);
        frontend::terminate(&mut message);
        let goodbye = async {
            if self.write(&message).await.is_ok() {
                let _gone = self.writer.shutdown().await;
            }
        };
        let _late = timeout(GOODBYE_WAIT, goodbye).await;
    }

    async fn write(&mut self, message: &[u8]) -> Result<()> {
        let broken = |error| disconnected("cannot tell the server our position", error);
        self.writer.write_all(message).await.map_err(broken)?;
        self.writer.flush().await.map_err(broken)?;
        self.writer.unwatch().map_err(broken)
    }
}

fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let since = since.saturating_sub(Duration::from_secs(EPOCH_SECONDS));
    i64::try_from(since.as_micros()).unwrap_or_default()
}
