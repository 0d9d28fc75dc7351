//! The two halves of a replication session's socket.
//!
//! The walsender sends every message by itself. A socket that the runtime watches wakes a thread for each of them, even
//! while nobody wants to read: on two cores that is most of what reading costs. So a plain socket is off the watch
//! until a read or a write finds that it must wait, and can be taken off again ([`Either::unwatch`]). Under TLS it is
//! always watched: there the cipher is what costs. Owns no framing.

use super::socket::{Either, Socket};
use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream as Blunt},
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf, split},
    net::TcpStream,
};

/// What is read.
pub(super) type ReadSide = Either<Lazy, ReadHalf<Socket>>;

/// What is written.
pub(super) type WriteSide = Either<Lazy, WriteHalf<Socket>>;

/// A socket that is watched only while somebody waits for it. Never blocks.
pub(super) enum Lazy {
    /// The runtime wakes us.
    Watched(TcpStream),
    /// Nobody wakes us. `None` only after the watch could not be set up.
    Unwatched(Option<Blunt>),
}

/// Takes a socket apart.
///
/// # Errors
/// If the kernel has no file descriptor left.
pub(super) fn halves(socket: Socket) -> io::Result<(ReadSide, WriteSide)> {
    match socket {
        Socket::Plain(socket) => {
            // Stays non-blocking; a second descriptor, so that each half is watched for itself.
            let reader = socket.into_std()?;
            let writer = Lazy::Unwatched(Some(reader.try_clone()?));
            let reader = Lazy::Unwatched(Some(reader));
            Ok((ReadSide::Plain(reader), WriteSide::Plain(writer)))
        }
        Socket::Tls(_) => {
            let (reader, writer) = split(socket);
            Ok((ReadSide::Tls(reader), WriteSide::Tls(writer)))
        }
    }
}

impl<T> Either<Lazy, T> {
    /// What arrives, or room after a write that had to wait for it, wakes nobody until there was nothing to do.
    ///
    /// # Errors
    /// If the runtime cannot give the socket back.
    pub(super) fn unwatch(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.unwatch(),
            Self::Tls(_) => Ok(()),
        }
    }
}

impl Lazy {
    fn unwatch(&mut self) -> io::Result<()> {
        if matches!(self, Self::Watched(_))
            && let Self::Watched(socket) = std::mem::replace(self, Self::Unwatched(None))
        {
            *self = Self::Unwatched(Some(socket.into_std()?));
        }
        Ok(())
    }

    fn watch(&mut self) -> io::Result<()> {
        if let Self::Unwatched(socket) = self {
            let socket = socket.take().ok_or(io::ErrorKind::NotConnected)?;
            *self = Self::Watched(TcpStream::from_std(socket)?);
        }
        Ok(())
    }
}

/// Something to do with an unwatched socket: `None` if it would have to wait.
fn attempt<T>(
    socket: Option<&mut Blunt>,
    mut what: impl FnMut(&mut Blunt) -> io::Result<T>,
) -> io::Result<Option<T>> {
    let socket = socket.ok_or(io::ErrorKind::NotConnected)?;
    loop {
        match what(socket) {
            Ok(done) => return Ok(Some(done)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

impl AsyncRead for Lazy {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let side = self.get_mut();
        loop {
            match side {
                Self::Watched(socket) => return Pin::new(socket).poll_read(cx, into),
                Self::Unwatched(socket) => {
                    let read = attempt(socket.as_mut(), |socket| {
                        socket.read(into.initialize_unfilled())
                    });
                    if let Some(read) = read? {
                        into.advance(read);
                        return Poll::Ready(Ok(()));
                    }
                    side.watch()?;
                }
            }
        }
    }
}

impl AsyncWrite for Lazy {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        let side = self.get_mut();
        loop {
            match side {
                Self::Watched(socket) => return Pin::new(socket).poll_write(cx, from),
                Self::Unwatched(socket) => {
                    if let Some(written) = attempt(socket.as_mut(), |socket| socket.write(from))? {
                        return Poll::Ready(Ok(written));
                    }
                    side.watch()?;
                }
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // TCP has no buffer of ours.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Watched(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Unwatched(Some(socket)) => Poll::Ready(socket.shutdown(Shutdown::Write)),
            Self::Unwatched(None) => Poll::Ready(Ok(())),
        }
    }
}
