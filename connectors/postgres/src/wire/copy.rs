//! `COPY … TO STDOUT (FORMAT binary)`: rows as they lie in the receive buffer.
//!
//! Owns the stream's header, trailer and end. A row is handed out together with whether it is the last, which is known
//! because the next message is looked at before the row is given away.

use super::{
    buffer::RECEIVE_BYTES,
    connection::{Connection, closed},
};
use crate::error::{ServerError, protocol};
use tapline_sdk::Result;

/// `PGCOPY\n\xff\r\n\0`, flags, length of the header's extension.
const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

/// The count of fields that ends the stream.
const TRAILER: [u8; 2] = [0xff, 0xff];

/// A COPY that runs.
pub struct CopyOut<'a> {
    connection: &'a mut Connection,
    started: bool,
}

impl Connection {
    /// Starts `COPY … TO STDOUT`.
    ///
    /// # Errors
    /// `doing` with what the server said.
    pub async fn copy_out(&mut self, doing: &str, sql: &str) -> Result<CopyOut<'_>> {
        self.buffer.reserve(RECEIVE_BYTES);
        self.begin_copy(doing, sql, b'H').await?;
        Ok(CopyOut::new(self))
    }
}

impl<'a> CopyOut<'a> {
    fn new(connection: &'a mut Connection) -> Self {
        Self {
            connection,
            started: false,
        }
    }

    /// Hands whole rows that are in the buffer to `take`: a count of fields, and a length and a value of each, as
    /// [`TupleSpans`](crate::types::TupleSpans) reads them, with whether it is the last row of all. `Ok(false)` after
    /// the last one; `take` returns whether to go on, so that a full batch can be sent in between.
    ///
    /// # Errors
    /// If the server or the connection fails, or what `take` returns.
    pub async fn rows(
        &mut self,
        doing: &str,
        mut take: impl FnMut(&[u8], bool) -> Result<bool>,
    ) -> Result<bool> {
        loop {
            let mut consumed = 0;
            let mut go_on = true;
            let mut ended = false;
            while go_on && !ended {
                let Some((message, bytes)) = self.connection.buffer.peek_at(consumed)? else {
                    break;
                };
                match message.tag {
                    b'd' => {}
                    b'c' => {
                        consumed += bytes;
                        ended = true;
                        continue;
                    }
                    b'E' => {
                        let error = ServerError::parse(message.body);
                        self.connection.buffer.consume(consumed + bytes);
                        self.connection.until_ready().await?;
                        return Err(error.into_error(doing));
                    }
                    b'N' | b'S' | b'A' => {
                        consumed += bytes;
                        continue;
                    }
                    tag => {
                        return Err(protocol(format!("message {} inside COPY", char::from(tag))));
                    }
                }
                let row = if self.started {
                    message.body
                } else {
                    first_row(message.body)?
                };
                if row == TRAILER || row.is_empty() {
                    self.started = true;
                    consumed += bytes;
                    continue;
                }
                // Whether this row is the last shows in the next message.
                let Some((next, _)) = self.connection.buffer.peek_at(consumed + bytes)? else {
                    break;
                };
                let last = next.tag == b'c' || (next.tag == b'd' && next.body == TRAILER);
                go_on = take(row, last)?;
                self.started = true;
                consumed += bytes;
            }
            self.connection.buffer.consume(consumed);
            if ended {
                return match self.connection.until_ready().await? {
                    None => Ok(false),
                    Some(error) => Err(error.into_error(doing)),
                };
            }
            if !go_on {
                return Ok(true);
            }
            if self
                .connection
                .buffer
                .fill(&mut self.connection.socket)
                .await?
                == 0
            {
                return Err(closed());
            }
        }
    }
}

/// The first message carries the header before its row.
fn first_row(body: &[u8]) -> Result<&[u8]> {
    let header = body
        .strip_prefix(SIGNATURE)
        .and_then(|rest| rest.split_first_chunk::<4>());
    let extension = header.and_then(|(_flags, rest)| rest.split_first_chunk::<4>());
    let row = extension.and_then(|(length, rest)| rest.get(u32::from_be_bytes(*length) as usize..));
    row.ok_or_else(|| protocol("the server's COPY does not begin with the binary header"))
}
