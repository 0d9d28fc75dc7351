//! From a host name to a session that is ready for queries: addresses, SSLRequest, and which way to try next.

use super::{
    authentication::{Failed, Login},
    buffer::ReceiveBuffer,
    endpoint::{Endpoint, LoggedIn, Session, at},
    socket::Socket,
    tls::{self, SslMode},
};
use crate::error::{disconnected, protocol};
use bytes::BytesMut;
use postgres_protocol::message::frontend;
use std::{io, time::Duration};
use tapline_sdk::{Error, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream, lookup_host},
    time::timeout,
};

/// Over loopback every message that the walsender sends runs through the whole receiving side of TCP as well, on the
/// walsender's time, as long as our window has room. A window of about what comes between two coalesced reads leaves the
/// rest in the server's own buffer, from where it comes in large pieces (measured: 1.5 times the rows a second of the
/// kernel's own, ever larger choice). Other hosts keep that choice: there the window must cover the way.
const LOOPBACK_WINDOW_BYTES: u32 = 128 * 1024;

/// A host that does not answer within this is not there; the runtime tries again with back-off.
const CONNECT_WAIT: Duration = Duration::from_secs(10);

/// TLS and password exchange together; a server that starts up answers with 57P03 long before.
const LOGIN_WAIT: Duration = Duration::from_secs(30);

/// Opens a socket and logs in.
pub(super) async fn log_in(endpoint: &Endpoint, session: Session) -> Result<LoggedIn> {
    let attempts: &[bool] = match endpoint.ssl_mode {
        SslMode::Disable => &[false],
        SslMode::Allow => &[false, true],
        SslMode::Prefer => &[true, false],
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => &[true],
    };
    let mut first_error = None;
    for encrypted in attempts {
        match timeout(LOGIN_WAIT, attempt(endpoint, session, *encrypted)).await {
            Ok(Ok(logged_in)) => return Ok(logged_in),
            // libpq tries the other way only if pg_hba.conf has no line for this one, or TLS itself fails.
            Ok(Err(Refused { error, other_way })) => {
                let error = first_error.take().unwrap_or(error);
                if !other_way {
                    return Err(error);
                }
                first_error = Some(error);
            }
            Err(_) => {
                return Err(
                    Error::disconnected(format!("cannot log in at {}", at(endpoint)))
                        .code("TL0301")
                        .because(io::Error::new(io::ErrorKind::TimedOut, "no answer")),
                );
            }
        }
    }
    Err(first_error.unwrap_or_else(|| protocol("no way to connect was tried")))
}

struct Refused {
    error: Error,
    other_way: bool,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self {
            error,
            other_way: false,
        }
    }
}

async fn attempt(
    endpoint: &Endpoint,
    session: Session,
    encrypted: bool,
) -> Result<LoggedIn, Refused> {
    let tcp = open(endpoint, session).await?;
    let socket = if encrypted {
        encrypt(endpoint, tcp).await?
    } else {
        Socket::Plain(tcp)
    };
    let mut login = Login {
        endpoint,
        socket,
        buffer: ReceiveBuffer::default(),
    };
    login.start(session).await?;
    login.authenticate().await.map_err(|failed| match failed {
        Failed::Server(refused) => {
            let other_way = refused.sqlstate == "28000";
            let context = format!(
                "cannot log in to database `{}` at {} as `{}`",
                endpoint.database,
                at(endpoint),
                endpoint.user
            );
            Refused {
                error: refused.into_error(context),
                other_way,
            }
        }
        Failed::Other(error) => Refused {
            error,
            other_way: false,
        },
    })?;
    Ok(login.finish().await?)
}

async fn open(endpoint: &Endpoint, session: Session) -> Result<TcpStream> {
    let unreachable = |error| {
        disconnected(format!("cannot reach {}", at(endpoint)), error)
            .remedy("check database.hostname and database.port, and that the server listens there")
    };
    let addresses = lookup_host((endpoint.host.as_str(), endpoint.port))
        .await
        .map_err(unreachable)?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        };
        let socket = socket.map_err(unreachable)?;
        // A server that vanished without a word is found out by the kernel, not only by our own time limits.
        socket.set_keepalive(true).map_err(unreachable)?;
        socket.set_nodelay(true).map_err(unreachable)?;
        if session == Session::Replication && address.ip().is_loopback() {
            socket
                .set_recv_buffer_size(LOOPBACK_WINDOW_BYTES)
                .map_err(unreachable)?;
        }
        match timeout(CONNECT_WAIT, socket.connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::Error::new(io::ErrorKind::TimedOut, "no answer"),
        }
    }
    Err(unreachable(last))
}

async fn encrypt(endpoint: &Endpoint, mut tcp: TcpStream) -> Result<Socket, Refused> {
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    let broken = |error| disconnected(format!("cannot ask {} for TLS", at(endpoint)), error);
    tcp.write_all(&request).await.map_err(broken)?;
    let answer = tcp.read_u8().await.map_err(broken)?;
    if answer != b'S' {
        if endpoint.ssl_mode == SslMode::Prefer {
            return Ok(Socket::Plain(tcp));
        }
        let error = Error::config(format!("the server at {} does not offer TLS", at(endpoint)))
            .code("TL0319")
            .remedy("set ssl = on in postgresql.conf, or lower database.sslmode");
        return Err(error.into());
    }
    // No byte may come before the handshake: it could have been slipped in by someone in between.
    let connector = tls::connector(endpoint.ssl_mode, &endpoint.files)?;
    let name = tls::server_name(&endpoint.host)?;
    let handshake = connector.connect(name, tcp).await.map_err(|error| {
        let context = format!("cannot set up TLS with {}", at(endpoint));
        if tls::is_distrust(&error) {
            Error::config(context)
                .code("TL0319")
                .remedy("check database.sslrootcert and, for verify-full, database.hostname")
                .because(error)
        } else {
            disconnected(context, error)
        }
    });
    match handshake {
        Ok(stream) => Ok(Socket::Tls(Box::new(stream))),
        Err(error) => Err(Refused {
            error,
            other_way: endpoint.ssl_mode == SslMode::Prefer,
        }),
    }
}
