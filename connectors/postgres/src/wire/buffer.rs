//! The receive buffer: bytes from the socket, messages as ranges of it.
//!
//! Owns memory and framing of backend messages (a tag byte, a length, a body) and nothing of their meaning. A message
//! is handed out as a slice of the buffer and counts as read when [`ReceiveBuffer::consume`] is called.

use crate::error::protocol;
use futures_util::FutureExt;
use tapline_sdk::Result;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Large enough that a reader that pauses a few milliseconds between reads finds most of what the walsender wrote
/// meanwhile (measured: twice the rows a second of message-wise reads), small enough to stay in a core's cache.
pub const RECEIVE_BYTES: usize = 256 * 1024;

/// A row is at most 1 GiB in Postgres; what claims to be larger is no message of a Postgres server.
pub const MESSAGE_BYTES_MAX: usize = 1 << 30;

/// Tag and length.
const HEADER_BYTES: usize = 5;

/// One message's tag and body.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// The message type.
    pub tag: u8,
    /// What follows the length.
    pub body: &'a [u8],
}

/// Bytes that were read and not consumed.
#[derive(Debug)]
pub struct ReceiveBuffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Default for ReceiveBuffer {
    fn default() -> Self {
        Self::with_capacity(8 * 1024)
    }
}

impl ReceiveBuffer {
    /// An empty buffer of this size; it grows for a larger message and shrinks after it.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            bytes: vec![0; bytes],
            start: 0,
            end: 0,
        }
    }

    /// Makes the buffer at least this large.
    pub fn reserve(&mut self, bytes: usize) {
        if self.bytes.len() < bytes {
            self.bytes.resize(bytes, 0);
        }
    }

    /// The first whole message, if there is one, and how many bytes it takes. Nothing is consumed.
    ///
    /// # Errors
    /// If the length cannot be one of a Postgres message.
    pub fn peek(&self) -> Result<Option<(Message<'_>, usize)>> {
        self.peek_at(0)
    }

    /// As [`ReceiveBuffer::peek`], after `skip` bytes: whole messages that are still in use.
    ///
    /// # Errors
    /// If the length cannot be one of a Postgres message.
    pub fn peek_at(&self, skip: usize) -> Result<Option<(Message<'_>, usize)>> {
        let rest = self.unread().get(skip..).unwrap_or_default();
        let Some(total) = message_bytes(rest)? else {
            return Ok(None);
        };
        let Some((header, body)) = rest
            .get(..total)
            .and_then(|m| m.split_at_checked(HEADER_BYTES))
        else {
            return Ok(None);
        };
        let tag = header.first().copied().unwrap_or_default();
        Ok(Some((Message { tag, body }, total)))
    }

    /// Marks bytes at the front as done with.
    pub fn consume(&mut self, bytes: usize) {
        self.start = self.end.min(self.start + bytes);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            if self.bytes.len() > 4 * RECEIVE_BYTES {
                self.bytes.truncate(RECEIVE_BYTES);
                self.bytes.shrink_to_fit();
            }
        }
    }

    /// Reads once, what is there, and returns how many bytes came; 0 is the end. Cancelling it loses nothing.
    ///
    /// # Errors
    /// If the socket fails, or a message claims an impossible length.
    pub async fn fill<R: AsyncRead + Unpin>(&mut self, from: &mut R) -> Result<usize> {
        self.make_room()?;
        let mut total = 0;
        while let Some(room) = self
            .bytes
            .get_mut(self.end..)
            .filter(|room| !room.is_empty())
        {
            // TLS hands over a record of 16 KiB at a time: take the others that are there, wait only for the first.
            let read = if total == 0 {
                Some(from.read(room).await)
            } else {
                from.read(room).now_or_never()
            };
            match read {
                None => break,
                Some(Ok(0)) if total == 0 => break,
                // The end or the error comes again with the next read, after what is in the buffer was used.
                Some(Ok(0) | Err(_)) if total > 0 => break,
                Some(Ok(read)) => {
                    self.end += read;
                    total += read;
                }
                Some(Err(error)) => {
                    return Err(crate::error::disconnected(
                        "cannot read from the server",
                        error,
                    ));
                }
            }
        }
        Ok(total)
    }

    fn unread(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Room for the rest of the first message, and never less than half of the buffer.
    fn make_room(&mut self) -> Result<()> {
        let needed = message_bytes_announced(self.unread())?.unwrap_or(HEADER_BYTES);
        let unread = self.end - self.start;
        if self.start > 0 && (self.bytes.len() - self.end) * 2 < self.bytes.len() {
            self.bytes.copy_within(self.start..self.end, 0);
            self.start = 0;
            self.end = unread;
        }
        let wanted = self.start + needed.max(unread + 1);
        if self.bytes.len() < wanted {
            // A large message grows the buffer as it arrives, so a lying length costs no memory.
            let step = (self.bytes.len() * 2).max(HEADER_BYTES);
            if self.end == self.bytes.len() {
                self.bytes.resize(wanted.min(step), 0);
            }
        }
        Ok(())
    }
}

fn message_bytes(unread: &[u8]) -> Result<Option<usize>> {
    Ok(message_bytes_announced(unread)?.filter(|total| unread.len() >= *total))
}

fn message_bytes_announced(unread: &[u8]) -> Result<Option<usize>> {
    let Some(length) = unread
        .get(1..HEADER_BYTES)
        .and_then(|length| length.try_into().ok())
    else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(length) as usize;
    if !(4..=MESSAGE_BYTES_MAX).contains(&length) {
        return Err(protocol(format!(
            "the server announced a message of {length} bytes"
        )));
    }
    Ok(Some(length + 1))
}

#[cfg(test)]
mod tests {
    use super::{RECEIVE_BYTES, ReceiveBuffer};

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag];
        let length = u32::try_from(body.len() + 4).expect("short");
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    #[tokio::test]
    async fn messages_come_out_whole_however_they_arrive() {
        let bodies: Vec<Vec<u8>> = (0..200_usize)
            .map(|n| vec![u8::try_from(n % 251).expect("fits"); n * 97])
            .collect();
        let stream: Vec<u8> = bodies.iter().flat_map(|body| message(b'd', body)).collect();
        for chunk in [1, 3, 100, 70_000] {
            let mut buffer = ReceiveBuffer::with_capacity(16);
            let mut seen = 0;
            for piece in stream.chunks(chunk) {
                let mut piece = piece;
                while !piece.is_empty() {
                    buffer.fill(&mut piece).await.expect("fills");
                    while let Some((message, total)) = buffer.peek().expect("sane") {
                        assert_eq!((message.tag, message.body), (b'd', &*bodies[seen]));
                        buffer.consume(total);
                        seen += 1;
                    }
                }
            }
            assert_eq!(seen, bodies.len());
        }
    }

    #[tokio::test]
    async fn a_large_message_grows_the_buffer_and_leaves_it_small() {
        let stream = message(b'd', &vec![7; 9 * RECEIVE_BYTES]);
        let mut buffer = ReceiveBuffer::default();
        let mut from = &stream[..];
        while buffer.peek().expect("sane").is_none() {
            assert!(buffer.fill(&mut from).await.expect("fills") > 0);
        }
        buffer.consume(stream.len());
        assert!(buffer.bytes.len() <= RECEIVE_BYTES);
    }

    #[tokio::test]
    async fn an_impossible_length_is_an_error_and_no_allocation() {
        let mut buffer = ReceiveBuffer::default();
        let mut from = &b"HTTP/1.1 400 Bad Request\r\n"[..];
        let failed = buffer.fill(&mut from).await.is_err() || buffer.peek().is_err();
        assert!(failed);
    }
}
